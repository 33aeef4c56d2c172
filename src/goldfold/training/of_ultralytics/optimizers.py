"""Optimizers of ultralytics' trainer that `train.optimizer` can name."""

OPTIMIZERS = {
    "sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "adamax": "Adamax", "nadam": "NAdam", "radam": "RAdam", "rmsprop": "RMSprop",
}  # fmt: skip
"""`train.optimizer` -> name in ultralytics."""
