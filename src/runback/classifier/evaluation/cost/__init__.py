"""What a run has cost."""
