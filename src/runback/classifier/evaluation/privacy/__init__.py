"""What a network gives away about the images that it was trained on."""
