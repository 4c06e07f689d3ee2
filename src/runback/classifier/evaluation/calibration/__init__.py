"""Whether a probability means what it says, and what a network does that may leave images to a person."""
