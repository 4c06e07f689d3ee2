"""What a network looks at, and what it says of images that it was not made for."""
