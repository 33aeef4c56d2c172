"""Optional members of facets, with the defaults for tasks without them."""

from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np

from goldfold import components
from goldfold.tasks import protocol

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from torch import nn

    from goldfold.predictions.arrays import Arrays
    from goldfold.samples.windows import Targets
    from goldfold.submission.form import Form


def has_validation_loss(learn: protocol.Learn) -> bool:
    """Return True if the loss can be computed in evaluation mode."""
    return bool(getattr(learn, "has_validation_loss", True))


def takes_counts(learn: protocol.Learn) -> bool:
    """Return True if the loss takes the number of labelled training cases of each class in the fold."""
    return components.COUNTS in signature(learn.loss).parameters


def compose_params(learn: protocol.Learn) -> dict[str, Any]:
    """Return the arguments of albumentations' Compose; empty if targets do not move with the image."""
    return dict(getattr(learn, "compose_params", {}))


def soft(learn: protocol.Learn) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return the function that makes the target of a sample ready for mixing; by default it is as it is."""
    return getattr(learn, "soft", lambda sample: sample)


def fit(learn: protocol.Learn, rows: "pd.DataFrame", network: "nn.Module") -> None:
    """Fit what depends on the targets of the labelled training rows of the fold, such as the scale of numbers."""
    if own := getattr(learn, "fit", None):
        own(rows, network)


def scale_of(learn: protocol.Learn) -> tuple[float, float] | None:
    """Return the number that networks learn as 0 and the difference that they learn as 1; None if targets are no numbers."""
    found: tuple[float, float] | None = getattr(learn, "scale", None)
    return found


def classes_of(target: protocol.Target, rows: "pd.DataFrame", targets: Sequence[dict[str, Any]]) -> "NDArray[np.int64]":
    """Return the class of each row, (n,): of several classes in an image, the one in fewest rows; -1 without any."""
    present = getattr(target, "presence", None)
    found = present(targets) if present else target.content(rows).to_numpy() > 0
    rare_first = np.argsort(found.sum(axis=0), kind="stable")
    first = rare_first[found[:, rare_first].argmax(axis=1)]
    return np.where(found.any(axis=1), first, -1)


def in_windows(
    target: protocol.Target, ids: Sequence[str], targets: Sequence[dict[str, Any]], images: Any, min_visible: float
) -> "Targets":
    """Return what windows of images at their own size show of their targets.

    Args:
        targets: result of `Target.targets` for the images ``ids``.
        images: a `goldfold.cache.tiled.TiledImages`.
    """
    found: Targets = target.in_windows(ids, targets, images, min_visible)  # type: ignore[attr-defined]
    return found


def refuse_doubts(
    submit: protocol.Submit, named: Sequence[str] | None, metric: components.Written, form: "Form | None"
) -> None:
    """Raise DataError if the score depends on something that the config leaves open."""
    if refuse := getattr(submit, "refuse_doubts", None):
        refuse(named, metric, form)


def write_extras(
    submit: protocol.Submit, predictions: "Arrays", table: "pd.DataFrame", folder: str, class_ids: Mapping[str, int]
) -> None:
    """Write the additional files of a submission."""
    if write := getattr(submit, "write_extras", None):
        write(predictions, table, folder, class_ids)


def completed(facet: protocol.External, partial: "Arrays", others: "Sequence[Arrays]") -> "Arrays":
    """Fill in the classes that a member does not know."""
    found: Arrays = facet.completed(partial, others)  # type: ignore[attr-defined]
    return found


def draw_target(show: protocol.Show, row: Mapping[str, Any]) -> "NDArray[Any] | None":
    """Draw a training image with its target; None if the text of the label suffices."""
    draw = getattr(show, "draw_target", None)
    return draw(row) if draw else None
