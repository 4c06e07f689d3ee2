"""MLflow's web interface, for one user of this machine."""
