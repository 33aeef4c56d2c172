"""Submissions: formats of sample files, and how each kind of prediction fills them."""
