"""The commands that start sweeps, look at them, and stop them."""
