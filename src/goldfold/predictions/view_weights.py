"""Name of an entry of prediction files, which their writer and the report share."""

WEIGHTS = "view_weights"
"""Weights that the network gave to the images of each case: (n, images), 0 for missing images, summing to 1."""
