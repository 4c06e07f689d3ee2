"""A sweep's study on disk, and what is read from it."""
