"""Random image changes while training, as Keras layers in front of the network."""
