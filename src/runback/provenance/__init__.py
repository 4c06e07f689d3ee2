"""What a run came from: its code and its config."""
