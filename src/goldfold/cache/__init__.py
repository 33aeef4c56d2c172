"""Decoded, resized images on disk: decode once, never in the training loop."""
