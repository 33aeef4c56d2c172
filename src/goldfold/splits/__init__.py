"""Splitters of training images into folds, and the checks of what they make."""
