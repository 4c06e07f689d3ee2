"""The stage after a search: its best trials are trained again on fresh seeds, and compared on these."""
