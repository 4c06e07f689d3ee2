"""The commands that make a project."""
