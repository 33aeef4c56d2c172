"""Training by the trainer of ultralytics: its arguments, its files, and the trainer with goldfold's data, scores and state."""
