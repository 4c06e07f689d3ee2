"""A run's life: what it is made from, how it goes on, and how it is read back."""
