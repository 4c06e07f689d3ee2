"""The one door to MLflow: where runs are stored, written, found and served."""
