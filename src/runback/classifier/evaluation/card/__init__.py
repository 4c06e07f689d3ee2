"""A model's card: what it is, what it is for, and every number of it from the record."""
