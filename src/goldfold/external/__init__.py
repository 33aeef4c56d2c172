"""Predictions of other tools, which become members of the ensemble."""
