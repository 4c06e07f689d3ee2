"""The report in a sweep's MLflow run on its trials: a note, plots, a table, and the best config."""
