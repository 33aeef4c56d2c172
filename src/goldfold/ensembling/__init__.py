"""Ways to make one prediction of many. Each kind of prediction has a module with its METHODS."""
