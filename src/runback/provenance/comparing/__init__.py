"""Two records or results compared."""
