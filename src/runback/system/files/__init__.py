"""Files that appear whole, are locked, or may have been made by anybody."""
