"""What a training needs of task and config: samples, network, optimizer and hooks for the engine, validation."""
