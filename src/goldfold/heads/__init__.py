"""Heads on embeddings: what they are fitted to, how their strength is chosen, and the heads themselves."""
