"""Runs on their way to MLflow."""
