"""Many runs side by side: as pandas frames, and as a table."""
