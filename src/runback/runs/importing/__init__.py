"""Turns a notebook that trains a Keras model into a script with a task; nothing of the notebook is run."""
