"""Networks as files: what may be in one, and whether one can be stored and loaded again."""
