"""Runs read back from MLflow."""
