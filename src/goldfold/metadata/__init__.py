"""Metadata columns: what is known of cases besides images and target, and how networks are given it."""
