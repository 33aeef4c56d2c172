"""Are the data sound? Integrity, duplicates, shift between training and test images, doubts."""
