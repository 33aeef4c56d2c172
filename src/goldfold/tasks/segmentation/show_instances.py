"""Report section on instances: numbers, AP by threshold, and their outlines on images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from goldfold.base.words import count
from goldfold.drawing import overlays
from goldfold.drawing.blocks import Block, Cell, Picture, Section, Table, Text
from goldfold.drawing.overlays import Pixels
from goldfold.drawing.pictures import galleries, picture
from goldfold.metrics.instances import LEVELS, Crossing, Matches
from goldfold.tasks.segmentation.instances import found, separated, true_instances
from goldfold.tasks.segmentation.maps import INSTANCES
from goldfold.tasks.segmentation.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.predictions.arrays import Arrays
    from goldfold.targets.objects import Objects

COLUMN_PX = 230
FROM = {
    "auto": "the files of a mask that has one per object, otherwise its connected components",
    "given": "those that the masks list: files of a folder, values of a file, or rows of run lengths",
    "components": "connected components of the masks",
}
"""Origin of the true instances by ``task_params.true_instances``."""


def has_instances(spec: Spec, predictions: Arrays) -> bool:
    """Return whether instances are of interest: they are separated by a step, or listed by the masks."""
    return INSTANCES in predictions or spec.true_instances == "given"


def instance_section(spec: Spec, predictions: Arrays, truth: pd.DataFrame, gallery: int) -> Section:
    """Build the section with the matches of all images, read one at a time.

    Args:
        gallery: pictures per gallery.
    """
    matches = found(spec, predictions, truth)
    values = matches.by_image()
    means = values.mean(axis=1)
    worst_first = np.lexsort((truth["id"].to_numpy(dtype=str), means))
    how = "Outlines of instances, at an IoU of 0.5."
    shown = galleries(
        lambda rows: _pictures(spec, predictions, truth, matches, means, rows),
        worst_first, gallery, "by instance AP", how, COLUMN_PX, overlays.ERROR_LEGEND,
    )  # fmt: skip
    blocks: list[Block] = [_by_threshold(matches, values), *_by_class(spec, matches), *shown]
    return Section("instances", "Instances", _in_words(spec, predictions, matches, means), blocks, "Instances")


def _in_words(spec: Spec, predictions: Arrays, matches: Matches, means: NDArray[np.float64]) -> str:
    n_true, n_found = int(matches.true.sum()), int(matches.found.sum())
    how = "separated by the step instances" if INSTANCES in predictions else "the connected components of the masks"
    mean = f"{means.mean():.4f}" if len(means) else "–"
    text = (
        f"{count(n_true, 'true instance')} and {n_found:,} found; instance AP {mean}, the mean over images. Found "
        f"instances are {how}; true ones are {FROM[spec.true_instances]}. A found instance hits a true one if their IoU is above "
        f"the threshold; an image has TP / (TP + FP + FN) per threshold."
    )
    n_empty = int((matches.true.sum(axis=1) == 0).sum())
    if n_empty:
        verb = "has" if n_empty == 1 else "have"
        text += f" {count(n_empty, 'image')} {verb} no true instance: 1 if none is found either, otherwise 0."
    return text


def _by_threshold(matches: Matches, values: NDArray[np.float64]) -> Table:
    n_found, n_true = int(matches.found.sum()), int(matches.true.sum())
    hits = matches.hits.sum(axis=(0, 1)).tolist()
    rows: list[list[str | Cell]] = [
        [f"{level:.2f}", _bar(float(of_level)), f"{n:,}", f"{n_found - n:,}", f"{n_true - n:,}"]
        for level, of_level, n in zip(LEVELS, values.mean(axis=0), hits, strict=True)
    ]
    rows.append(["mean", _bar(float(values.mean())), "", "", ""])
    return Table(["IoU above", "instance AP", "hits", "false", "missed"], rows, ["IoU above"], mark=len(rows) - 1)


def _by_class(spec: Spec, matches: Matches) -> list[Block]:
    """Return a table of the classes, if there are several."""
    if len(spec.classes) == 1:
        return []
    precisions = matches.precisions.mean(axis=2)
    rows: list[list[str | Cell]] = []
    for place, name in enumerate(spec.classes):
        present = precisions[np.isfinite(precisions[:, place]), place]
        numbers = [f"{int(part[:, place].sum()):,}" for part in (matches.true, matches.found, matches.hits[..., 0])]
        rows.append([name, _bar(float(present.mean())) if len(present) else "–", *numbers])
    columns = ["class", "instance AP", "true", "found", "hits at 0.5"]
    return [Text("", heading="Instances by class"), Table(columns, rows, ["class"])]


def _bar(value: float) -> str | Cell:
    return Cell(f"{value:.4f}", value) if np.isfinite(value) else "–"


def _pictures(
    spec: Spec,
    predictions: Arrays,
    truth: pd.DataFrame,
    matches: Matches,
    means: NDArray[np.float64],
    rows: NDArray[np.intp],
) -> list[Picture]:
    table = truth.iloc[rows].to_dict("records")
    made = []
    for row, of, own in zip(rows, table, separated(spec, predictions, [of["id"] for of in table]), strict=True):
        image = overlays.opened(of.get("path", ""))
        drawn = None if image is None else outlined(image, own, *_known(spec, of["mask"]))
        n_true, n_found = int(matches.true[row].sum()), int(matches.found[row].sum())
        numbers = f"{n_true:,} true, {n_found:,} found, {int(matches.hits[row, :, 0].sum()):,} hits"
        made.append(picture("", f"AP {means[row]:.3f}", [of["id"], numbers], drawn))
    return made


def _known(spec: Spec, path: str) -> tuple[list[Objects], NDArray[np.bool_]]:
    """Return the true instances of a mask, and where its channels are known."""
    channels, objects = true_instances(spec, path)
    return objects, channels != spec.coding.ignore


def outlined(image: Pixels, found: Sequence[Objects], true: Sequence[Objects], known: NDArray[np.bool_]) -> Pixels:
    """Draw the outlines of instances: hits as they are found, missed and false ones.

    Args:
        found, true: objects of all classes, or of each that may overlap others.
        known: (height, width) where the truth is known.
    """
    drawn = overlays.enlarged(overlays.grey(image))
    for pair in zip(found, true, strict=True):
        _outline(drawn, *pair, known)
    return drawn


def _outline(drawn: Pixels, own: Objects, true: Objects, known: NDArray[np.bool_]) -> None:
    is_hit = np.zeros(len(own.channels) + 1, np.bool_), np.zeros(len(true.channels) + 1, np.bool_)
    for channel in np.unique(own.channels):
        parts, others = (np.concatenate([[0], (one.channels == channel) * np.arange(1, len(one.channels) + 1)])[one.labels][known]
                         for one in (own, true))  # fmt: skip
        pairs = Crossing(parts, others, len(own.channels), len(true.channels)).hits()
        is_hit[0][pairs[:, 0]], is_hit[1][pairs[:, 1]] = True, True
    for labels, hit, wanted, colour in (
        (true.labels, is_hit[1], False, overlays.MISSED),
        (own.labels, is_hit[0], False, overlays.FALSE),
        (own.labels, is_hit[0], True, overlays.FOUND),
    ):
        chosen = hit == wanted
        chosen[0] = False
        drawn[_edges(labels, chosen, drawn.shape[:2])] = colour


def _edges(labels: NDArray[np.int32], chosen: NDArray[np.bool_], size: tuple[int, ...]) -> NDArray[np.bool_]:
    """Pixels (size) at the inner border of some of the labels, which are scaled to the drawing."""
    import cv2

    scaled = cv2.resize(labels, (size[1], size[0]), interpolation=cv2.INTER_NEAREST_EXACT)
    edges = np.zeros(scaled.shape, np.bool_)
    wide = overlays.LINE_PX
    padded = np.pad(scaled, wide, mode="edge")
    for y, x in ((0, wide), (2 * wide, wide), (wide, 0), (wide, 2 * wide)):
        edges |= padded[y : y + size[0], x : x + size[1]] != scaled
    found: NDArray[np.bool_] = edges & chosen[scaled]
    return found
