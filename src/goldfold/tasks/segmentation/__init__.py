"""Segmentation: one class per pixel, either one class against the background, or several."""
