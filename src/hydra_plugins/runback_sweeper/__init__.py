"""The runback sweeper for Hydra: `hydra/sweeper=runback`.

Hydra imports this package at every start of every app, so it holds config and a thin shim only.
"""
