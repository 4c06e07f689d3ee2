"""Trains a network: batches, fit, the report after each epoch, the progress display."""
