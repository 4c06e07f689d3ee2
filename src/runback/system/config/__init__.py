"""Configs as data: their references, their bounds, and what their targets may name."""
