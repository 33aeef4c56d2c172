"""Metadata columns: facts about cases besides images and target, and their encoding for networks."""
