"""Report sections for points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from goldfold.base.words import count
from goldfold.drawing.axes import GOLD, MUTED, SERIES, Canvas
from goldfold.drawing.blocks import Cell, Figure, Section, Table
from goldfold.drawing.figures import WIDTH_PX
from goldfold.drawing.overlays import Pixels
from goldfold.drawing.tables import order_in_words, worst_first
from goldfold.drawing.words import percent, score, shortened
from goldfold.metrics.matched_points import Evidence
from goldfold.metrics.points import curve, fbeta, table
from goldfold.tasks.points.outcome import images_of
from goldfold.tasks.points.score import Score
from goldfold.tasks.points.show_images import drawn, image_section
from goldfold.tasks.points.spec import Spec

if TYPE_CHECKING:
    from goldfold.predictions.arrays import Arrays

LEVELS = np.linspace(0.02, 0.98, 49)


def pages(spec: Spec, predictions: Arrays, truth: pd.DataFrame, gallery: int) -> list[Section]:
    """Return the sections on classes, thresholds, counts, and images.

    Args:
        predictions: predictions for at least the images of ``truth``.
        truth: id, path and points.
        gallery: pictures per gallery.
    """
    evidence = Score(spec).evidence(predictions, truth)
    return [
        _classes(spec, evidence),
        _curves(spec, evidence),
        _counts(spec, evidence),
        image_section(spec, images_of(evidence, truth), gallery),
    ]


def reach_in_words(evidence: Evidence) -> str:
    """Distance up to which a point is found."""
    if evidence.distance_px is not None:
        return f"{evidence.distance_px:g} pixels"
    return "3 % of the longer side of its image"


def threshold_in_words(evidence: Evidence) -> str:
    """Score from which a point counts."""
    levels = np.unique(evidence.thresholds.round(3))
    return (
        f"at or above a score of {levels[0]:g}" if len(levels) == 1 else "at or above the fitted score of their class"
    )


def _classes(spec: Spec, evidence: Evidence) -> Section:
    by_class = Score(spec).by_class(evidence)
    rows: list[list[str | Cell]] = [
        [
            str(name), _bar(row["f1"]), _bar(row["ap"]), score(row["precision"]), score(row["recall"]),
            f"{row['points']:,.0f}", f"{row['found']:,.0f}", f"{row['images']:,.0f}", score(row["count_mae"]),
        ]
        for name, row in worst_first(by_class, "f1").iterrows()
    ]  # fmt: skip
    hits, found, true = (int(part.sum()) for part in table(evidence))
    if len(rows) > 1:
        means = [_bar(float(by_class[column].mean())) for column in ("f1", "ap")]
        rows.append(["(all; mean)", *means, "", "", f"{true:,}", f"{found:,}", f"{len(evidence):,}", ""])
    intro = (
        f"Points count {threshold_in_words(evidence)}: {hits:,} of {count(true, 'true point')} are found "
        f"({percent(hits / max(1, true))}), and {found - hits:,} of {found:,} predicted ones are false "
        f"({percent((found - hits) / max(1, found))}). A point is found by one of its class within {reach_in_words(evidence)}; "
        f"matching is one to one, in the order of scores. AP is the mean precision over all recall levels, whatever the "
        f"threshold. The count error is the mean difference between the numbers of predicted and true points of an image."
    )
    intro += order_in_words(len(by_class), "F1")
    columns = ["class", "F1", "AP", "precision", "recall", "true", "predicted", "images", "count error"]
    mark = len(rows) - 1 if len(rows) > 1 else None
    return Section("classes", "Class by class", intro, [Table(columns, rows, ["class"], mark=mark)], "Classes")


def _bar(value: float) -> str | Cell:
    return Cell(f"{value:.4f}", float(value)) if np.isfinite(value) else "–"


def _curves(spec: Spec, evidence: Evidence) -> Section:
    intro = (
        "Left: points are added by descending score; each may find a true point (recall rises) or be false (precision falls). "
        "Right: F1 at each threshold, the same for all classes; it was not fitted without the images that it is scored on, so "
        "its maximum is slightly optimistic."
    )
    return Section("precision", "Precision, recall and threshold", intro, [_drawn_curves(spec, evidence)])


def _drawn_curves(spec: Spec, evidence: Evidence) -> Figure:
    every, weight = np.arange(len(evidence)), np.ones(len(evidence), np.int64)
    scored = np.unique(evidence.true.label).tolist()
    is_few = len(scored) <= len(SERIES)
    with Canvas(WIDTH_PX, 350) as canvas:
        left, right = canvas.axes(1, 2)
        for place, number in enumerate(scored):
            line: dict[str, Any] = {"color": MUTED, "lw": 0.9, "alpha": 0.45}
            if is_few:
                line = {"color": SERIES[place], "lw": 1.8, "label": shortened(spec.classes[number], 22)}
            recall, precision, _ = curve(evidence, number, weight)
            left.plot(recall, precision, **line)
        values = [fbeta(evidence.at([level] * evidence.n_classes), every) for level in LEVELS]
        right.plot(LEVELS, values, color=GOLD, lw=2.4)
        for level in np.unique(evidence.thresholds):
            right.axvline(level, color=MUTED, lw=0.8)
        left.set(xlim=(0, 1.01), ylim=(0, 1.03), xlabel="recall", title="precision")
        right.set(xlim=(0, 1), ylim=(0, 1.03), xlabel="threshold", title="F1 of all points")
        if is_few and scored:
            left.legend(loc="best")
        caption = "" if is_few else f"One thin line per class ({len(scored)}). "
        caption += "Grey lines at the right are the thresholds in use."
        return canvas.block("precision_recall", caption, "Precision against recall, and F1 against the threshold")


def _counts(spec: Spec, evidence: Evidence) -> Section:
    _, found, true = (part.sum(axis=1) for part in table(evidence))
    error = found - true
    intro = (
        f"Points of all classes per image: {true.mean():.2f} true and {found.mean():.2f} predicted on average; the numbers "
        f"differ by {np.abs(error).mean():.2f} on average, and agree in {percent(float((error == 0).mean()))} of the "
        f"{count(len(evidence), 'image')}."
    )
    most = float(max(found.max(initial=1), true.max(initial=1)))
    shift = np.random.default_rng(0).uniform(-0.2, 0.2, (2, len(evidence)))
    with Canvas(WIDTH_PX, 350) as canvas:
        axes = canvas.axes(1, 1)[0]
        axes.plot([0, most], [0, most], color=MUTED, lw=0.8)
        axes.scatter(true + shift[0], found + shift[1], s=9, alpha=0.5, color=SERIES[0])
        axes.set(xlabel="true points of an image", title="predicted points")
        caption = (
            "One dot per image, moved a little so that equal ones can be told apart. On the line the numbers agree."
        )
        figure = canvas.block("counts", caption, "Predicted against true number of points per image")
    return Section("counts", "Counts", intro, [figure], "Counts")


class Show:
    """Report sections: scores by class, precision against recall, counts, and points drawn on images."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def pages(self, predictions: Arrays, truth: pd.DataFrame, gallery: int) -> list[Section]:
        """Return the sections, see `pages`."""
        return pages(self.spec, predictions, truth, gallery)

    def draw_target(self, row: Mapping[str, Any]) -> Pixels | None:
        """Draw the image with its points; None if it cannot be read."""
        return drawn(self.spec, row)
