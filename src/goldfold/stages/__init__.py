"""The nine stages, one public ``run(...)`` each. They talk to each other by files only."""
