"""Prediction on many views of an image."""
