"""For any Keras training: its state, its checkpoints, its resumption, its network as a file."""
