"""A run in one file, checked before it is used."""
