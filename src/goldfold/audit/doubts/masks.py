"""Doubts about masks: smeared values, and black that no class names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from goldfold.base.words import count, noun
from goldfold.targets.class_files import BITS

if TYPE_CHECKING:
    import pandas as pd

BINARY, MOST_OPENED = 2, 100
"""Number of values of clean masks of one class; number of masks opened to see their format."""
NONZERO = (
    "data.mask_values: nonzero takes smears for foreground; save the masks with the clean values only, or list these and set "
    "data.unlisted_values: nearest (source: masks)"
)


def about_masks(train: pd.DataFrame, task: Mapping[str, Any]) -> Iterator[str]:
    """Smeared masks, and black pixels that become background of colour masks although the config does not say so.

    Args:
        train: the manifest's table.
        task: settings of the task, from `goldfold.config.slices.task`.
    """
    if "mask" not in train or task["mask_values"] == BITS:
        return
    from goldfold.targets import smears
    from goldfold.targets.mask_table import edges_of, first_jpeg

    rule, names = task["mask_values"], [name for name in train["mask"] if isinstance(name, str) and name]
    edges = edges_of(names)
    found = smears.find(edges)
    if found is not None and rule == "nonzero":
        yield f"the masks hold {found.in_words}; {NONZERO}"
    elif found is not None and task.get("unlisted_values") == "nearest":
        yield f"the masks hold {found.in_words}; each is taken for the nearest value of data.mask_values"
    elif rule == "nonzero" and len(edges) > BINARY and (jpeg := first_jpeg(names[:MOST_OPENED])):
        n = count(len(edges), "value")
        yield f"masks are JPEG, first {jpeg}, and hold {n}, as lossy compression makes of two; {NONZERO}"
    elif rule != "nonzero" and (mixed := smears.mixed(edges)):
        lie = f"the value{'s'[: len(mixed) > 1]} {smears.listed(mixed)} often {noun(len(mixed), 'lies', 'lie')}"
        yield (
            f"masks: {lie} between a lower and a higher value, as interpolated class indices do (a class of outlines "
            f"does too): if the masks were resized, resize them with nearest-neighbour interpolation"
        )
    yield from _about_black(train, rule, task["ignore_value"])


def _about_black(train: pd.DataFrame, rule: Any, ignore: Any) -> Iterator[str]:
    """Black in colour masks whose meaning the config does not state."""
    from goldfold.targets import colours
    from goldfold.targets.mask_values import ignored, parsed

    named = set(rule.values()) if isinstance(rule, dict) else set()
    if not any(value >= colours.FIRST for value in named) or 0 in named | set(ignored(ignore)):
        return
    contents = [parsed(text) for text in train["mask_values"]]
    n_black, n = sum(content.get(0, 0) for content in contents), sum(sum(content.values()) for content in contents)
    if n_black:
        masks = count(sum(0 in content for content in contents), "mask")
        yield (
            f"black, {n_black / n:.2%} of the pixels, in {masks}, is no class of data.mask_values, so it is background; "
            f'if it marks unlabelled pixels, set data.ignore_value: "#000000"; if it is a class, name it'
        )
