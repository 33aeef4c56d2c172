"""Image files: found, looked at, decoded, placed in a frame."""
