"""What a run came from: its code, its machine and its config; and whether doing it again gives the same."""
