"""Whether a classifier is as good for one group of images as for another."""
