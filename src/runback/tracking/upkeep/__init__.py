"""Mends what dead processes, deletions and moved folders leave in the store."""
