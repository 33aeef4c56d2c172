"""Report sections for boxes around objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.base.words import count
from goldfold.drawing import box_errors
from goldfold.drawing.axes import GOLD, MUTED, SERIES, Canvas
from goldfold.drawing.blocks import Block, Cell, Figure, Section, Table, Text
from goldfold.drawing.box_errors import KINDS
from goldfold.drawing.figures import WIDTH_PX
from goldfold.drawing.overlays import Pixels
from goldfold.drawing.tables import LONG, order_in_words, worst_first
from goldfold.drawing.words import percent, score, shortened
from goldfold.metrics.detection import Evidence, best_threshold, precision_recall
from goldfold.tasks.detection.outcome import Image, images_of
from goldfold.tasks.detection.score import Score
from goldfold.tasks.detection.show_confusion import by_size, confusion
from goldfold.tasks.detection.show_images import drawn, image_section
from goldfold.tasks.detection.show_worst import worst_errors
from goldfold.tasks.detection.spec import Spec

if TYPE_CHECKING:
    from goldfold.predictions.arrays import Arrays

IOUS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
MOST_PAIRS = 20
APS = ("ap", "ap50", "ap75")


def pages(spec: Spec, predictions: Arrays, truth: pd.DataFrame, gallery: int) -> list[Section]:
    """Return the sections on classes, precision against recall, errors by kind and size, the worst of them, and images.

    Args:
        predictions: predictions for at least the images of ``truth``.
        truth: id, path and boxes.
        gallery: pictures per gallery.
    """
    evidence = Score(spec).evidence(predictions, truth)
    threshold = best_threshold(evidence)
    images = images_of(spec, predictions, truth, threshold)
    return [
        _classes(spec, evidence),
        _curves(spec, evidence),
        _errors(spec, images, threshold),
        *worst_errors(spec, images, gallery),
        image_section(spec, images, gallery),
    ]


def _classes(spec: Spec, evidence: Evidence) -> Section:
    table = Score(spec).by_class(evidence)
    rows: list[list[str | Cell]] = [
        [
            str(name), *(_bar(row[column]) for column in APS),
            *(score(row[column]) for column in ("precision", "recall", "threshold")),
            f"{row['objects']:,.0f}", f"{row['detections']:,.0f}",
        ]
        for name, row in worst_first(table, "ap50").iterrows()
    ]  # fmt: skip
    if len(rows) > 1:
        totals = [f"{table[column].sum():,.0f}" for column in ("objects", "detections")]
        rows.append(["(all; mean AP)", *(_bar(float(table[column].mean())) for column in APS), "", "", "", *totals])
    intro = (
        "AP, average precision, is the mean precision over all recall levels: 1 if all objects are found, in the right "
        "place, before any false box. For AP50 a box counts if its IoU with the object is at least 0.5, for AP75 at least "
        "0.75; AP is the mean over IoU 0.5 to 0.95. Precision (share of the boxes that are correct) and recall (share of the "
        "objects that are found) are at the score threshold with the best F1 of the class, at IoU 0.5."
    )
    if (most := int(evidence.objects.max(initial=0))) > spec.max_detections:
        intro += (
            f" An image has {most:,} objects of a class, but only its best {spec.max_detections:,} boxes of a class count: "
            f"set task_params.max_detections."
        )
    intro += order_in_words(len(table), "AP50")
    columns = ["class", "AP", "AP50", "AP75", "precision", "recall", "threshold", "objects", "boxes"]
    mark = len(rows) - 1 if len(rows) > 1 else None
    return Section("classes", "Class by class", intro, [Table(columns, rows, ["class"], mark=mark)], "Classes")


def _bar(value: float) -> str | Cell:
    return Cell(f"{value:.4f}", float(value)) if np.isfinite(value) else "–"


def _curves(spec: Spec, evidence: Evidence) -> Section:
    intro = (
        "Boxes are added by descending score: each may find an object (recall rises) or be false (precision falls). Where a "
        "curve ends, the remaining boxes find no more objects. Precision is the best at this recall or a higher one, as in "
        "COCO's scores."
    )
    curves = {iou: precision_recall(evidence, iou) for iou in IOUS}
    scored = [index for index, (_, values) in enumerate(curves[0.5]) if np.isfinite(values).any()]
    if not scored:
        return Section("precision", "Precision and recall", "No class has an object, so there is no curve.")
    figure = _drawn_curves(curves, scored, spec.classes)
    return Section("precision", "Precision and recall", intro, [figure])


def _drawn_curves(curves: Mapping[float, Sequence[tuple[Any, Any]]], scored: list[int], classes: list[str]) -> Figure:
    is_few = len(scored) <= len(SERIES)
    with Canvas(WIDTH_PX, 350) as canvas:
        left, right = canvas.axes(1, 2)
        for place, index in enumerate(scored):
            line: dict[str, Any] = {"color": MUTED, "lw": 0.9, "alpha": 0.45}
            if is_few:
                line = {"color": SERIES[place], "lw": 1.8, "label": shortened(classes[index], 22)}
            recall, precision = curves[0.5][index]
            left.plot(recall, np.where(precision > 0, precision, np.nan), **line)
            right.plot(IOUS, [curves[iou][index][1].mean() for iou in IOUS], marker="o", ms=3, **line)
        if len(scored) > 1:
            mean: dict[str, Any] = (
                {"color": GOLD, "lw": 3} if not is_few else {"color": MUTED, "lw": 2.4, "ls": (0, (4, 2))}
            )
            mean["label"] = "mean of the classes"
            left.plot(curves[0.5][0][0], np.mean([curves[0.5][index][1] for index in scored], axis=0), **mean)
            right.plot(IOUS, [np.mean([curves[iou][index][1].mean() for index in scored]) for iou in IOUS], **mean)
        left.set(xlim=(0, 1.01), ylim=(0, 1.03), xlabel="recall", title="precision at IoU 0.5")
        right.set(ylim=(0, 1.03), xlabel="minimum IoU of a box", title="average precision")
        left.legend(loc="best")
        caption = "" if is_few else f"One thin line per class ({len(scored)}). "
        caption += "Right: a slow fall of AP with the IoU threshold means that boxes are placed accurately."
        return canvas.block("precision_recall", caption, "Precision against recall, and AP against the IoU threshold")


def _errors(spec: Spec, images: list[Image], threshold: float) -> Section:
    tables = _counts(images, len(spec.classes))
    order = np.argsort(-tables[:, 2], kind="stable") if len(spec.classes) > LONG else np.arange(len(spec.classes))
    names = [spec.classes[index] for index in order] + ["(all)"] * (len(spec.classes) > 1)
    counts = np.vstack([tables[order], tables.sum(axis=0)]) if len(spec.classes) > 1 else tables
    rows = [[name, *(f"{value:,}" for value in row)] for name, row in zip(names, counts, strict=True)]
    columns = ["class", "objects", "found", "missed", "boxes", *KINDS[1:]]
    mark = len(rows) - 1 if len(rows) > 1 else None
    n_objects, n_found, _, n_boxes = tables.sum(axis=0)[:4]
    at = "No score threshold is best" if np.isnan(threshold) else f"Boxes count at or above a score of {threshold:.3f}"
    intro = (
        f"{at} (best F1 over all classes): {n_found:,} of {count(int(n_objects), 'object')} are found "
        f"({percent(n_found / max(1, n_objects))}), and {n_boxes - n_found:,} of {count(int(n_boxes), 'box', 'boxes')} are "
        f"false ({percent((n_boxes - n_found) / max(1, n_boxes))})."
    )
    blocks: list[Block] = [Table(columns, rows, ["class"], mark=mark), Text(box_errors.MEANING)]
    blocks += [*confusion(images, spec.classes), *_pairs(spec, images), *by_size(images)]
    return Section("errors", "Errors in numbers", intro, blocks, "Errors")


def _counts(images: list[Image], n: int) -> NDArray[np.int64]:
    """Count per class (classes, 8): objects, found, missed, boxes, and boxes of each kind of error."""
    counts = np.zeros((n, 4 + len(KINDS) - 1), dtype=np.int64)
    for image in images:
        kind, missed = image.checked.kind, image.checked.is_missed
        parts = [image.classes, image.classes[~missed], image.classes[missed], image.labels]
        parts += [image.labels[kind == number] for number in range(1, len(KINDS))]
        counts += np.stack([np.bincount(part, minlength=n) for part in parts], axis=1)
    return counts


def _pairs(spec: Spec, images: list[Image]) -> list[Block]:
    """Return a table of the classes confused most often."""
    n = len(spec.classes)
    wrong = np.zeros((n, n), dtype=np.int64)
    for image in images:
        rows = image.checked.kind == box_errors.WRONG_CLASS
        np.add.at(wrong, (image.classes[image.checked.object[rows]], image.labels[rows]), 1)
    if not wrong.any():
        return []
    order = [divmod(int(place), n) for place in np.argsort(-wrong, axis=None, kind="stable")[:MOST_PAIRS]]
    lines: list[list[str | Cell]] = [
        [f"{spec.classes[a]} → {spec.classes[b]}", Cell(f"{wrong[a, b]:,}", wrong[a, b] / wrong.max())]
        for a, b in order
        if wrong[a, b]
    ]
    header = ["true → predicted", "boxes"]
    return [Text("", heading="Most confused classes"), Table(header, lines, text_columns=header[:1])]


class Show:
    """Report sections: scores by class, precision against recall, and boxes drawn on images."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def pages(self, predictions: Arrays, truth: pd.DataFrame, gallery: int) -> list[Section]:
        """Return the sections, see `pages`."""
        return pages(self.spec, predictions, truth, gallery)

    def draw_target(self, row: Mapping[str, Any]) -> Pixels | None:
        """Draw the image with its boxes; None if it cannot be read."""
        return drawn(self.spec, row)
