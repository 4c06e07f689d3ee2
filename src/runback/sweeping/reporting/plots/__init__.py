"""A sweep's plots, drawn in a process of their own."""
