"""Boxes around objects, each with a class."""
