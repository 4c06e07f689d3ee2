"""Runs that a person's own script or Hydra app starts by `runback.start`, and starts again."""
