"""Image files: find, inspect and decode them, and place images in a frame."""
