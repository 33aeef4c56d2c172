"""Checks of the data: integrity, duplicates, shift between training and test images, doubts."""
