"""Training set-up from task and config: samples, network, optimizer and hooks for the engine, validation."""
