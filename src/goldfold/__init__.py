"""goldfold: from a folder of images to a submission and an honest score."""

__version__ = "0.1.0"
