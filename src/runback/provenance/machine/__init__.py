"""The machine and the packages around a run."""
