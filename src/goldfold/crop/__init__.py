"""Crop images before they are resized: find the region of interest (ROI) of each."""
