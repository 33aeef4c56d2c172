"""Any number of labels per image, including none; each class is an independent yes or no."""
