"""What competitions ask for: the shapes of sample files, and how each kind of prediction fills them."""
