"""A sweep as people follow it: its MLflow run and its live table."""
