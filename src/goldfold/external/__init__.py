"""Predictions of other tools, which become members of the ensemble."""

SUFFIXES = (".csv", ".npz", ".json")
"""Suffixes of their files."""
