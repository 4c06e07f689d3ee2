"""Decides which params come next and which trial ends early."""
