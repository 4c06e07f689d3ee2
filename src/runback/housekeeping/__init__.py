"""Checks for `doctor`, and removals for `clean`: machine, stores, leftovers of dead processes."""
