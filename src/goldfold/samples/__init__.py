"""Training samples: datasets, batches and augmentation."""
