"""Fusion of several predictions into one; a module per kind of prediction."""
