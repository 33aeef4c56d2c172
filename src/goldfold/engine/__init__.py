"""The training loop, independent of any task, model or loss."""
