"""Sections of the report for boxes around objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.base.words import count
from goldfold.drawing import box_errors
from goldfold.drawing.axes import GOLD, MUTED, SERIES, Canvas
from goldfold.drawing.blocks import Block, Cell, Figure, Picture, Section, Table, Text
from goldfold.drawing.box_errors import KINDS, Checked
from goldfold.drawing.figures import WIDTH_PX
from goldfold.drawing.overlays import ERROR_LEGEND, FALSE, FOUND, MISSED, Box, Pixels, boxed, colour_of, opened
from goldfold.drawing.pictures import galleries, picture
from goldfold.drawing.tables import LONG, order_in_words, worst_first
from goldfold.drawing.words import percent, score, shortened
from goldfold.metrics.detection import Evidence, best_threshold, precision_recall
from goldfold.targets.boxes import from_text
from goldfold.tasks.detection.boxes import by_image
from goldfold.tasks.detection.score import Score
from goldfold.tasks.detection.spec import Spec

if TYPE_CHECKING:
    from goldfold.predictions.arrays import Arrays

IOUS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
MOST_PAIRS = 20
MOST_ERRORS, MOST_BOXES = 12, 30
"""At most so many errors of a picture are drawn and numbered, and so many boxes altogether: more would cover it."""
COLUMN_PX = 300
APS = ("ap", "ap50", "ap75")


@dataclass(frozen=True)
class Image:
    """One image: its objects, and the boxes from the threshold on, surest first."""

    id: str
    path: str
    objects: NDArray[np.float64]
    classes: NDArray[np.int64]
    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    labels: NDArray[np.int64]

    @cached_property
    def checked(self) -> Checked:
        """What each box is, and which objects are missed."""
        return box_errors.check(self.objects, self.classes, self.boxes, self.labels)


def pages(spec: Spec, predictions: Arrays, truth: pd.DataFrame, gallery: int) -> list[Section]:
    """Classes, precision against recall, errors by kind, and images.

    Args:
        predictions: of the images of ``truth`` at least.
        truth: id, path and boxes.
        gallery: pictures a gallery.
    """
    evidence = Score(spec).evidence(predictions, truth)
    threshold = best_threshold(evidence)
    images = _images_of(spec, predictions, truth, threshold)
    return [
        _classes(spec, evidence),
        _curves(spec, evidence),
        _errors(spec, images, threshold),
        _pictures(spec, images, gallery),
    ]


def _images_of(spec: Spec, predictions: Arrays, truth: pd.DataFrame, threshold: float) -> list[Image]:
    paths = truth["path"] if "path" in truth else [""] * len(truth)
    found = []
    for id, path, text, (boxes, scores, labels) in zip(
        truth["id"], paths, truth["boxes"], by_image(predictions, list(truth["id"])), strict=True
    ):
        names, objects = from_text(text)
        order = np.argsort(-scores, kind="stable")
        order = order[scores[order] >= threshold]  # none where the threshold is NaN: there was nothing to choose
        classes = np.array([spec.classes.index(name) for name in names], dtype=np.int64)
        boxes = boxes[order].astype(np.float64)
        found.append(Image(id, path, objects, classes, boxes, scores[order], labels[order].astype(np.int64)))
    return found


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
        "AP, average precision, is the mean of the precision over all levels of recall: 1 where all objects are found, "
        "in the right place, before any false box. AP50 lets a box count that overlaps its object by half (IoU 0.5), AP75 "
        "by three quarters; AP is the mean over IoU 0.5 to 0.95. Precision (of the boxes, the share that is right) and "
        "recall (of the objects, the share that is found) are at the score from which on the F1 of the class is best, at "
        "IoU 0.5."
    )
    intro += order_in_words(len(table), "AP50")
    columns = ["class", "AP", "AP50", "AP75", "precision", "recall", "score from", "objects", "boxes"]
    mark = len(rows) - 1 if len(rows) > 1 else None
    return Section("classes", "Class by class", intro, [Table(columns, rows, ["class"], mark=mark)], "Classes")


def _bar(value: float) -> str | Cell:
    return Cell(f"{value:.4f}", float(value)) if np.isfinite(value) else "–"


def _curves(spec: Spec, evidence: Evidence) -> Section:
    intro = (
        "Boxes are taken from the surest on: each further one may find an object (recall grows) or be false (precision "
        "falls). Where a curve ends, even the least sure boxes find no more. Precision is the best that is reached at "
        "this recall or a higher one, as in COCO's scores."
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
        right.set(ylim=(0, 1.03), xlabel="IoU that a box must reach", title="average precision")
        left.legend(loc="best")
        caption = "" if is_few else f"A thin line for each of {len(scored)} classes. "
        caption += "Right: how fast AP falls as boxes must fit better says how well they are placed."
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
    at = "No score divides the boxes best" if np.isnan(threshold) else f"Boxes count from a score of {threshold:.3f} on"
    intro = (
        f"{at} (where F1 over all classes is best): {n_found:,} of {count(int(n_objects), 'object')} are found "
        f"({percent(n_found / max(1, n_objects))}), and {n_boxes - n_found:,} of {count(int(n_boxes), 'box', 'boxes')} are "
        f"false ({percent((n_boxes - n_found) / max(1, n_boxes))})."
    )
    blocks: list[Block] = [Table(columns, rows, ["class"], mark=mark), Text(box_errors.MEANING)]
    return Section("errors", "Errors in numbers", intro, [*blocks, *_pairs(spec, images)], "Errors")


def _counts(images: list[Image], n: int) -> NDArray[np.int64]:
    """By class (classes, 8): objects, found, missed, boxes, and boxes of each kind of error."""
    counts = np.zeros((n, 4 + len(KINDS) - 1), dtype=np.int64)
    for image in images:
        kind, missed = image.checked.kind, image.checked.is_missed
        parts = [image.classes, image.classes[~missed], image.classes[missed], image.labels]
        parts += [image.labels[kind == number] for number in range(1, len(KINDS))]
        counts += np.stack([np.bincount(part, minlength=n) for part in parts], axis=1)
    return counts


def _pairs(spec: Spec, images: list[Image]) -> list[Block]:
    """Which class is taken for which, most often first."""
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
    return [Text("", heading="Which class is taken for which"), Table(header, lines, text_columns=header[:1])]


def _pictures(spec: Spec, images: list[Image], gallery: int) -> Section:
    n_errors = np.array([image.checked.n_errors for image in images])
    worst_first = np.lexsort((np.array([image.id for image in images]), -n_errors))
    middle, clean = int(np.quantile(n_errors, 0.5, method="lower")), int((n_errors == 0).sum())
    intro = (
        f"{count(len(images), 'training image')}, each predicted by models that never saw it. Missed objects and "
        f"false boxes are errors: half of the images have {count(middle, 'error')} or fewer, {clean:,} have none. Drawn are "
        f"the boxes that count in the numbers above."
    )
    how = (
        f"Missed objects are dashed. Errors are numbered, and named below the picture: a false box with its class and score, a "
        f"missed object with its class. At most {MOST_ERRORS} errors and {MOST_BOXES} boxes are drawn, the surest first."
    )
    shown = galleries(
        lambda rows: [_picture(spec, images[row]) for row in rows],
        worst_first, gallery, "by the number of errors", how, COLUMN_PX, ERROR_LEGEND,
    )  # fmt: skip
    return Section("images", "Image by image", intro, shown, "Images")


def _picture(spec: Spec, image: Image) -> Picture:
    n_false = int((image.checked.kind != box_errors.FOUND).sum())
    n_missed, pixels = int(image.checked.is_missed.sum()), opened(image.path)
    verdict = " · ".join([f"{n_missed:,} missed"] * (n_missed > 0) + [f"{n_false:,} false"] * (n_false > 0))
    missed, false = chosen_errors(image)
    counts = f"{count(len(image.objects), 'object')}, {count(len(image.boxes), 'box', 'boxes')}"
    lines = [counts, *_legend(spec, image, missed, false), image.id]
    drawing = None if pixels is None else boxed(pixels, boxes_of(image, missed, false))
    return picture("", verdict or "no errors", lines, drawing)


def chosen_errors(image: Image) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Objects that are missed, the largest first, and false boxes, the surest first, of which at most so many are drawn."""
    sides = image.objects.reshape(-1, 4)[:, 2:] - image.objects.reshape(-1, 4)[:, :2]
    missed = np.flatnonzero(image.checked.is_missed)
    missed = missed[np.argsort(-sides.prod(axis=1)[missed], kind="stable")]
    false = np.flatnonzero(image.checked.kind != box_errors.FOUND)
    n_missed = min(len(missed), max(MOST_ERRORS // 2, MOST_ERRORS - len(false)))
    return missed[:n_missed], false[: MOST_ERRORS - n_missed]


def boxes_of(image: Image, missed: NDArray[np.intp], false: NDArray[np.intp]) -> list[Box]:
    """Boxes that are right, objects that are missed, and boxes that are false, the last on top; errors with their number."""
    found = np.flatnonzero(image.checked.kind == box_errors.FOUND)[: MOST_BOXES - len(missed) - len(false)]
    drawn = [Box(image.boxes[row], FOUND) for row in found]
    drawn += [
        Box(image.objects[row], MISSED, str(number), is_dashed=True) for number, row in enumerate(missed, start=1)
    ]
    return drawn + [
        Box(image.boxes[row], FALSE, str(number)) for number, row in enumerate(false, start=1 + len(missed))
    ]


def _legend(spec: Spec, image: Image, missed: NDArray[np.intp], false: NDArray[np.intp]) -> list[str]:
    """What the numbers in a picture stand for."""
    names = [shortened(name, 16) for name in spec.classes]
    of_missed = [f"{number} {names[image.classes[row]]}" for number, row in enumerate(missed, start=1)]
    of_false = [
        f"{number} {names[image.labels[row]]} {image.scores[row]:.2f}"
        for number, row in enumerate(false, start=1 + len(missed))
    ]
    n_false, n_missed = int((image.checked.kind != box_errors.FOUND).sum()), int(image.checked.is_missed.sum())
    parts = (("Missed", of_missed, n_missed), ("False", of_false, n_false))
    return [
        f"{word}: {', '.join(said)}" + (f", and {n - len(said):,} more" if n > len(said) else "")
        for word, said, n in parts
        if n
    ]


def drawn(spec: Spec, row: Mapping[str, Any]) -> Pixels | None:
    """A training image with its true boxes in the colours of their classes; None where it cannot be read."""
    pixels = opened(row["path"])
    if pixels is None:
        return None
    labels, corners = from_text(row["boxes"])
    colours = [colour_of(spec.classes.index(name)) for name in labels]
    return boxed(pixels, [Box(box, colour) for box, colour in zip(corners, colours, strict=True)])


class Show:
    """Scores by class, precision against recall, and boxes drawn on images."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def pages(self, predictions: Arrays, truth: pd.DataFrame, gallery: int) -> list[Section]:
        """Sections of the report, see `pages`."""
        return pages(self.spec, predictions, truth, gallery)

    def draw_target(self, row: Mapping[str, Any]) -> Pixels | None:
        """The image with its boxes; None where it cannot be read."""
        return drawn(self.spec, row)
