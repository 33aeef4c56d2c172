"""The part of each image that is cut out before it is resized."""
