"""Splitters of training images into folds, and checks of the splits."""
