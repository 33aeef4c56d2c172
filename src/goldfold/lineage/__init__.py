"""Lineage of results: recipes, records, digests of code and data, and staleness."""
