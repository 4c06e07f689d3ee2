"""Intervals and comparisons of measured accuracies."""
