"""What may be wrong with data that can be run, a module per topic."""
