"""Report sections for one class per pixel. Masks are read one image at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold.drawing.blocks import Block, Cell, Section, Table, Text
from goldfold.drawing.figures import matrix
from goldfold.drawing.overlays import Pixels
from goldfold.drawing.tables import order_in_words, worst_first
from goldfold.drawing.words import percent
from goldfold.metrics.segmentation import dice
from goldfold.tasks.segmentation.outcome import Outcome, compared
from goldfold.tasks.segmentation.score import Score
from goldfold.tasks.segmentation.show_images import drawn, image_section
from goldfold.tasks.segmentation.show_instances import has_instances, instance_section
from goldfold.tasks.segmentation.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.predictions.arrays import Arrays

MOST_CLASSES_DRAWN = 30
MOST_PAIRS = 20


def pages(spec: Spec, predictions: Arrays, truth: pd.DataFrame, gallery: int) -> list[Section]:
    """Return the sections on classes, confusion, images and, where there are any, instances.

    Args:
        predictions: predictions for at least the images of ``truth``.
        truth: id, path and mask.
        gallery: pictures per gallery.
    """
    outcome = compared(spec, predictions, truth)
    between = [_shared(outcome) if spec.overlaps else _confusion(outcome)] if len(spec.classes) > 1 else []
    sections = [_classes(outcome), *between, image_section(outcome, gallery)]
    return (
        [*sections, instance_section(spec, predictions, truth, gallery)]
        if has_instances(spec, predictions)
        else sections
    )


def _classes(outcome: Outcome) -> Section:
    overlap, n_all = outcome.overlap, max(1, int(outcome.counted.sum()))
    table = Score(outcome.spec).by_class(overlap)
    alone = dice(overlap.both, overlap.predicted, overlap.true)  # (n, classes)
    table["alone"] = [float(own[np.isfinite(own)].mean()) if np.isfinite(own).any() else np.nan for own in alone.T]
    rows: list[list[str | Cell]] = [
        [
            str(name), *(_bar(row[column]) for column in ("dice", "iou", "alone")),
            f"{row['images']:,.0f}", f"{row['pixels']:,.0f}", percent(row["pixels"] / n_all, 2),
        ]
        for name, row in worst_first(table, "dice").iterrows()
    ]  # fmt: skip
    if len(rows) > 1:
        means = [_bar(float(table[column].mean())) for column in ("dice", "iou", "alone")]
        rows.append(["(mean of the classes)", *means, "", "", ""])
    intro = (
        "Dice is twice the number of pixels shared by prediction and truth, divided by the sum of both; IoU is the "
        "intersection divided by the union. Over the set: the pixels of all images are pooled first, so large objects "
        "count most. Per image: the mean Dice over the images in which the class is true or predicted, so an image with a "
        "small object counts as much as one with a large object."
    )
    columns = ["class", "Dice over the set", "IoU over the set", "Dice per image", "images", "pixels", "share"]
    mark = len(rows) - 1 if len(rows) > 1 else None
    intro += order_in_words(len(table), "Dice")
    return Section("classes", "Class by class", intro, [Table(columns, rows, ["class"], mark=mark)], "Classes")


def _bar(value: float) -> str | Cell:
    return Cell(f"{value:.4f}", float(value)) if np.isfinite(value) else "–"


def _confusion(outcome: Outcome) -> Section:
    pixels, names = outcome.pixels, outcome.names
    of_true = pixels.sum(axis=1, keepdims=True)
    shares = pixels / np.maximum(of_true, 1)
    n_wrong, n_all = int(pixels.sum() - np.trace(pixels)), int(pixels.sum())
    intro = (
        f"{n_wrong:,} of {n_all:,} pixels ({percent(n_wrong / max(1, n_all), 2)}) are misclassified. Rows are true "
        f"classes, columns are predicted classes, out of fold."
    )
    blocks: list[Block] = []
    if len(names) <= MOST_CLASSES_DRAWN:
        texts = [[_share(shares[r, c], r == c, len(names)) for c in range(len(names))] for r in range(len(names))]
        caption = "Share of the pixels of the true class, in per cent. Errors are red."
        axes = ("true class", "predicted class")
        blocks.append(matrix("confusion", shares, texts, names, axes, caption, highlight_errors=True))
    else:
        blocks.append(
            Text(f"With {len(names)} classes the full matrix would be unreadable; see the largest errors below.")
        )
    return Section("confusion", "Confusion of classes", intro, [*blocks, *_pairs(outcome)], "Confusion")


def _shared(outcome: Outcome) -> Section:
    """Show which classes overlap, in truth and prediction."""
    true, found = outcome.pixels
    pairs = [(a, b) for a in range(len(true)) for b in range(a) if true[a, b] or found[a, b]]
    pairs.sort(key=lambda pair: -int(true[pair] + found[pair]))
    names = outcome.spec.classes
    rows: list[list[str | Cell]] = [
        [f"{names[b]} and {names[a]}", f"{true[a, b]:,}", f"{found[a, b]:,}",
         *(_of_smaller(part, a, b) for part in (true, found))]
        for a, b in pairs[:MOST_PAIRS]
    ]  # fmt: skip
    intro = (
        "Each class is decided by itself, so a pixel may be of several. Pixels that two classes share, and their share in those "
        "of the smaller of the two."
    )
    header = ["classes", "shared, true", "shared, predicted", "share, true", "share, predicted"]
    blocks: list[Block] = [Table(header, rows, header[:1])] if rows else [Text("No two classes share a pixel.")]
    return Section("overlap", "Overlap of classes", intro, blocks, "Overlap")


def _of_smaller(pixels: NDArray[np.int64], a: int, b: int) -> str:
    smaller = min(pixels[a, a], pixels[b, b])
    return percent(pixels[a, b] / smaller, 2) if smaller else "–"


def _share(share: float, is_diagonal: bool, n: int) -> str:
    """Format a share in per cent; only exact values are shown as 0 or 100."""
    if not share:
        return "0" if is_diagonal else "·"
    digits = 1 if n <= 14 else 0
    least = 10.0**-digits
    text = f"{100 * share:.{digits}f}"
    if 100 * share < least / 2:
        return f"<{least:g}"
    return f">{100 - least:g}" if share < 1 and float(text) == 100 else text


def _pairs(outcome: Outcome) -> list[Block]:
    """Return a table of the confused classes, most pixels first."""
    wrong = outcome.pixels * (1 - np.eye(len(outcome.pixels), dtype=np.int64))
    if not wrong.any():
        return [Text("No errors: no pixel is misclassified.")]
    of_true, names = outcome.pixels.sum(axis=1), outcome.names
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_PAIRS]
    places = [divmod(int(place), len(names)) for place in order]
    rows: list[list[str | Cell]] = [
        [f"{names[a]} → {names[b]}", Cell(f"{wrong[a, b]:,}", wrong[a, b] / wrong.max()),
         percent(wrong[a, b] / of_true[a], 2), percent(wrong[a, b] / wrong.sum(), 2)]
        for a, b in places
        if wrong[a, b]
    ]  # fmt: skip
    header = ["true → predicted", "pixels", "share of the true class", "share of all errors"]
    return [Text("", heading="Largest errors"), Table(header, rows, text_columns=header[:1])]


class Show:
    """Report sections: scores by class and by image, and masks drawn on images, the worst first."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def pages(self, predictions: Arrays, truth: pd.DataFrame, gallery: int) -> list[Section]:
        """Return the sections, see `pages`."""
        return pages(self.spec, predictions, truth, gallery)

    def draw_target(self, row: Mapping[str, Any]) -> Pixels | None:
        """Draw the image with the outlines of its mask; None if it cannot be read."""
        return drawn(self.spec, row)
