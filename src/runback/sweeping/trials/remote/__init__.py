"""Trials on other machines: a coordinator's workers, and what the two say to each other."""
