"""How often a classifier is right, and where it is not."""
