"""Any number of labels per image, none too: each class is a yes or no of its own."""
