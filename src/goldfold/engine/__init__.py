"""The training loop. It knows no task, model or loss by name."""
