"""Experiment tracking and hyperparameter sweeps for Keras."""
