"""Warnings about data that can be run, one module per topic. Each function yields sentences."""
