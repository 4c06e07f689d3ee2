"""A run while it trains: what its task gives to it, and what of that is recorded."""
