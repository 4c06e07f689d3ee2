"""What the sweep's run in MLflow shows of its trials: a note, plots, a table, and the best config."""
