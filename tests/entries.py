"""The entries of the catalog, loaded: what the contract tests walk over."""

from typing import Any

from goldfold import catalog, components, metrics
from goldfold.inference import views
from goldfold.metrics import Metric

LOSSES: dict[str, dict[str, Any]] = {
    target: {name: components.load(name, entries, "loss") for name in entries}
    for target, entries in catalog.LOSSES.items()
}
METRICS: dict[str, dict[str, Metric]] = {
    target: {name: metrics.build(name, entries) for name in entries} for target, entries in catalog.METRICS.items()
}
METHODS: dict[str, dict[str, Any]] = {
    target: {name: components.load(name, entries, "ensemble method") for name in entries}
    for target, entries in catalog.ENSEMBLES.items()
}
SEVERAL_VIEWS = ("crop", "five_crop", "ten_crop", "scales", "random")
"""Views that give several, are bound to a batch or have another size, see `test_tta`."""
VIEWS = {name: views.build([name])[0] for name in catalog.VIEWS if name not in SEVERAL_VIEWS}
_LIGHT = {"transforms": ["light"]}
AUGMENTATIONS: dict[str, Any] = {
    **{name: name for name in [*catalog.PRESETS, "shift_scale_rotate", "elastic", "randaugment", "vignette"]},
    "shift_scale_rotate": {"shift_scale_rotate": {"shift": 0.1, "p": 1.0}},
    "only_channels": {"only_channels": {"numbers": [1, 3], **_LIGHT}},
    "only_square": {"only_square": {**_LIGHT, "otherwise": ["light"]}},
    "only_without_boxes": {"only_without_boxes": {**_LIGHT, "otherwise": ["light"]}},
}
"""Values of ``train.augment``: each preset, and each step with the parameters that it needs."""
assert set(AUGMENTATIONS) == {*catalog.PRESETS, *catalog.AUGMENTATIONS}
SPLITTERS = {name: components.load(name, catalog.SPLITTERS, "splitter") for name in catalog.SPLITTERS}
NETWORKS = components.every(catalog.NETWORKS)
