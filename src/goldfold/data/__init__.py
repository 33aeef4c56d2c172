"""Images and labels: where they come from, whether they are sound, how they are split, cached and augmented."""
