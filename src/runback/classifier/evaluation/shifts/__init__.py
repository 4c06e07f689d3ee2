"""Moves and corrupts images, and measures what a network makes of them."""
