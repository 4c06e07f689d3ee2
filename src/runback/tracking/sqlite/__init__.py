"""MLflow's SQLite database: made, checked, and read without MLflow."""
