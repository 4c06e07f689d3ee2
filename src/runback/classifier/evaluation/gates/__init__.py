"""What a run must show before it is used, and who has looked at it."""
