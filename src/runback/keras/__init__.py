"""State, checkpoints, resumption and network file of any Keras training."""
