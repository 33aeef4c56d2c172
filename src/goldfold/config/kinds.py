"""Arguments that goldfold passes to each kind of component; a config sets the remaining ones."""

from goldfold.components import COUNTS, Kind

PREDICTION = {
    "label": ("logits", "target"),
    "order": ("logits", "target"),
    "labels": ("logits", "target", "positive_weight"),
    "value": ("output", "target"),
    "mask": ("logits", "target"),
    "points": ("logits", "target", "peaks"),
}
COUNTED = ("label", "order", "labels")
"""Targets whose losses may have a parameter ``counts``."""
OF_MASKS = ("overlap", "class_weight")
"""Parameters of losses of masks that goldfold sets."""
LOSSES = {
    target: Kind(
        "loss",
        given,
        frozenset({"ignore_index", "weight", *[COUNTS] * (target in COUNTED), *OF_MASKS * (target == "mask")}),
    )
    for target, given in PREDICTION.items()
}
CLASS_WEIGHTS = Kind("weighting of classes", (COUNTS,))
EVIDENCE = {
    "label": ("probabilities", "labels"),
    "order": ("probabilities", "labels"),
    "labels": ("found",),
    "value": ("predicted", "truth"),
    "mask": ("overlap",),
    "boxes": ("evidence", "rows"),
    "points": ("evidence", "rows"),
}
METRICS = {target: Kind("metric", given) for target, given in EVIDENCE.items()}
FUSED = {"boxes": ("members", "weights", "iou"), "points": ("members", "weights", "size")}
METHODS = {target: Kind("ensemble method", FUSED.get(target, ("stack", "weights"))) for target in EVIDENCE}
OPEN = Kind("component", is_open=True)
"""Metrics, losses and ensemble methods of user-defined tasks, which may pass any arguments."""
STEP = Kind("ensemble step", ("task", "workers"))
HEAD = Kind("head", ("target", "n_outputs"), frozenset({"texts"}))
OPTIMIZER = Kind("optimizer", ("params",), frozenset({"lr", "weight_decay"}))
SCHEDULE = Kind("schedule", ("optimizer", "steps", "warmup_steps"))
HOOK = Kind("hook", ("network",))
UPDATE = Kind("update rule", ("network", "gradient", "step"))
SAMPLER = Kind("sampler", ("cases", "batch_size", "generator"))
GENERATOR = Kind("generator", ("given",))
MIX = Kind("mix", ("sample", "partner", "generator"))
PRESET = Kind("augmentation preset")
AUGMENTATION = Kind("augmentation", ("size", "channels", "turns"))
TRANSFORM = Kind("transform", filled=frozenset({"size", "height", "width"}))
VIEW = Kind("view")
SOURCE = Kind("data source")
POOLING = Kind("pooling")
SPLITTER = Kind("splitter", ("table", "content", "n_folds", "seed"))
AGGREGATION = Kind("aggregation of views", ("n_features",))
NETWORK = Kind(
    "network",
    (),
    frozenset({
        "backbone", "drop_path", "dropout", "head_settings", "image_size", "in_channels", "n_classes", "pretrained", "statistics",
    }),
)  # fmt: skip
