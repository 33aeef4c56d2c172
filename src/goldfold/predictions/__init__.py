"""Predictions for images: arrays by id, in memory and on disk."""
