"""The origin of a run: its code, machine and config; and whether doing it again gives the same."""
