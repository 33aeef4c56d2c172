"""Shared code of tasks whose networks return one number per image and class.

Predictions of a member have ``logits`` float32 (n, classes), those of an ensemble ``probabilities`` float64 (n, classes), or
float32 of `goldfold.base.many` classes. Such tables take gigabytes: they are made in blocks, and not copied where not needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold import catalog, components
from goldfold.base.many import are_many

if TYPE_CHECKING:
    from torch import Tensor, nn

    from goldfold.cases import Inputs
    from goldfold.components import Written
    from goldfold.inference.views import View
    from goldfold.models.fusion import Branch
    from goldfold.predictions.arrays import Arrays
    from goldfold.tasks.protocol import Entries

BLOCK = 16384
"""Images that are averaged at a time."""
NUMBERS = 2**20
"""Probabilities of `goldfold.base.many` classes that are averaged at a time."""
Squash = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Logits (n, classes) -> probabilities."""


def network(
    name: str,
    n_outputs: int,
    image_size: tuple[int, int],
    channels: int,
    metadata_branch: Branch | None = None,
    views: Written = "mean",
    embedding: Mapping[str, Any] | None = None,
    neighbours: Mapping[str, Any] | None = None,
    classes: Sequence[str] = (),
    **params: Any,
) -> nn.Module:
    """Build a network with ``n_outputs`` numbers per case, for cases with images of 0..255.

    Args:
        metadata_branch: branch for metadata, if the network takes it.
        views: how the images of a case become one, see `goldfold.models.aggregation`.
        embedding: settings of a head that embeds, and ``neighbours`` those of one that predicts by neighbours; ``classes`` are
            the names of the outputs.
    """
    from goldfold import models
    from goldfold.models.case_head import case_head
    from goldfold.models.wrapping import Normalised

    built = models.build(name, n_classes=n_outputs, in_channels=channels, image_size=image_size, **params)
    if embedding is not None:
        embedded = components.at(catalog.EMBEDDED, "embedding")
        return Normalised(built, channels, *embedded(built, name, classes, embedding, neighbours, views))
    return Normalised(built, channels, *case_head(built, name, n_outputs, metadata_branch, views))


def predicted(
    model: nn.Module, inputs: Inputs, views: Sequence[View], mean: Callable[[Tensor], Tensor]
) -> dict[str, Any]:
    """Predict the ``logits`` (batch, classes) of a batch: of one view unchanged, of several the ``mean`` of their stack."""
    import torch

    outputs = [model(inputs.map(view.forward)).float() for view in views]
    return {"logits": (outputs[0] if len(outputs) == 1 else mean(torch.stack(outputs))).cpu().numpy()}


def packed(ids: Iterable[str], parts: Iterable[Mapping[str, Any]], classes: Sequence[str]) -> Entries:
    """Concatenate batches with ``logits`` to the entries of a file."""
    logits = [part["logits"] for part in parts]
    return _entries(np.array(list(ids), dtype=str), np.concatenate(logits) if logits else None, classes)


def joined(parts: Sequence[Arrays], classes: Sequence[str]) -> Arrays:
    """Concatenate predictions for disjoint sets of images, ordered by id."""
    from goldfold.predictions.arrays import disjoint

    order, ids = disjoint(parts, classes)
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.arange(len(order))
    logits, start = np.empty((len(ids), len(classes)), dtype=np.float32), 0
    for part in parts:  # into one array, without a second one of all parts
        stop = start + len(part["ids"])
        logits[places[start:stop]], start = part["logits"], stop
    return dict(_entries(ids, logits, classes))


def fused(
    members: Sequence[Arrays],
    weights: Sequence[float],
    classes: Sequence[str],
    squash: Squash,
    average: Callable[[NDArray[Any], Sequence[float]], NDArray[Any]],
    by_image: bool = False,
    by_member: bool = False,
) -> Arrays:
    """Align members on id; return ``probabilities`` (n, classes), the ``average`` of their stack.

    Args:
        by_image: the average of an image depends on that image alone, so it is made for `BLOCK` images at a time, and the
            stack of all members and images is never in memory.
        by_member: the average takes the members one after the other, so that only one of them is converted at a time.
    """
    from goldfold.predictions.arrays import common_ids

    ids = common_ids(members, classes)
    rows = _rows(members, ids)
    n, values = len(ids), np.empty((0 if by_member else len(ids), len(classes)), _dtype(len(classes)))
    if by_member:
        made = average((_converted(member, squash, own) for member, own in zip(members, rows, strict=True)), weights)  # type: ignore[arg-type]
        return {"ids": ids, "classes": np.array(classes), "probabilities": made.astype(values.dtype, copy=False)}
    size = _block(len(classes)) if by_image else max(n, 1)
    for start in range(0, n, size):
        stop = start + size
        values[start:stop] = average(
            np.stack([_of_rows(member, squash, own[start:stop]) for member, own in zip(members, rows, strict=True)]),
            weights,
        )
    return {"ids": ids, "classes": np.array(classes), "probabilities": values}


def _rows(members: Sequence[Arrays], ids: NDArray[np.str_]) -> list[NDArray[np.int64]]:
    """Return the rows of ``ids`` in each member; members with the same order of ids share one array."""
    from goldfold.predictions.arrays import rows_of

    found: list[NDArray[np.int64]] = []
    for number, member in enumerate(members):
        same = number > 0 and np.array_equal(member["ids"], members[number - 1]["ids"])
        found.append(found[-1] if same else rows_of(member, ids.tolist()))
    return found


def _dtype(n_classes: int) -> type[np.floating[Any]]:
    return np.float32 if are_many(n_classes) else np.float64


def _block(n_classes: int) -> int:
    """Number of images that are converted at a time."""
    return max(1, NUMBERS // n_classes) if are_many(n_classes) else BLOCK


def _converted(predictions: Arrays, squash: Squash, rows: NDArray[np.int64]) -> NDArray[Any]:
    """Return the probabilities of some of the images, made in blocks: float64, or float32 of many classes."""
    n_classes = len(predictions["classes"])
    values, size = np.empty((len(rows), n_classes), _dtype(n_classes)), _block(n_classes)
    for start in range(0, len(rows), size):
        values[start : start + size] = _of_rows(predictions, squash, rows[start : start + size])
    return values


def _of_rows(predictions: Arrays, squash: Squash, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the probabilities of some of the images."""
    if "probabilities" in predictions:
        return np.asarray(predictions["probabilities"][rows])
    return squash(predictions["logits"][rows].astype(np.float64))


def probabilities(predictions: Arrays, squash: Squash, ids: Sequence[str] | None = None) -> NDArray[np.float64]:
    """Return probabilities (n, classes), in the order of ``ids`` if given.

    Raises:
        DataError: an id has no prediction.
    """
    from goldfold.predictions.arrays import rows_of

    every = np.arange(len(predictions["ids"]))
    rows = every if ids is None else rows_of(predictions, ids)
    if "probabilities" not in predictions:
        return _converted(predictions, squash, rows)
    values: NDArray[np.float64] = predictions["probabilities"]
    return values if np.array_equal(rows, every) else values[rows]


def _entries(ids: NDArray[np.str_], logits: NDArray[Any] | None, classes: Sequence[str]) -> Entries:
    values = np.zeros((0, len(classes))) if logits is None else logits
    return [
        ("ids", np.array(ids, dtype=str)),
        ("classes", np.array(classes)),
        ("logits", values.astype(np.float32, copy=False)),
    ]


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return probabilities of mutually exclusive classes."""
    from scipy import special

    values: NDArray[np.float64] = special.softmax(logits, axis=1)
    return values


def sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return probabilities of independent binary classes."""
    from scipy import special

    values: NDArray[np.float64] = special.expit(logits)
    return values
