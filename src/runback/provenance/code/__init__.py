"""The code of a run: taken from git, stored, and laid out again."""
