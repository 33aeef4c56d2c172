"""What each result was made from: recipes, records, digests of code and data, and what is out of date."""
