"""Report sections for one label per image."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.base.words import count
from goldfold.drawing.blocks import Block, Cell, Gallery, Picture, Section, Table, Text
from goldfold.drawing.calibration import confidence, reliability
from goldfold.drawing.figures import matrix
from goldfold.drawing.pictures import picture
from goldfold.drawing.tables import order_in_words, worst_first
from goldfold.drawing.words import percent, shortened
from goldfold.metrics.areas import class_areas
from goldfold.predictions.arrays import Arrays
from goldfold.tasks.classification.score import Score
from goldfold.tasks.classification.spec import Spec

MOST_CLASSES_DRAWN = 30
MOST_PAIRS = 20


@dataclass(frozen=True)
class Outcome:
    """Predictions and truth per image; ``labels`` and ``predicted`` are class indices."""

    ids: NDArray[np.str_]
    classes: list[str]
    values: NDArray[np.floating[Any]]
    """Probabilities (n, classes), rows summing to one."""
    labels: NDArray[np.int64]
    paths: dict[str, str]
    predicted: NDArray[np.integer[Any]]
    """Predicted class: the most probable, or for two classes by a threshold."""

    @property
    def confidence(self) -> NDArray[np.float64]:
        """Probability of the predicted class (n,)."""
        return self.values[np.arange(len(self.values)), self.predicted].astype(np.float64)

    @property
    def is_wrong(self) -> NDArray[np.bool_]:
        """True for images whose predicted class is not the label (n,)."""
        return self.predicted != self.labels

    def counts(self) -> NDArray[np.int64]:
        """Return the confusion matrix: rows are true classes, columns predicted classes."""
        n = len(self.classes)
        return np.bincount(self.labels * n + self.predicted, minlength=n * n).reshape(n, n)


def pages(
    values: NDArray[np.floating[Any]],
    classes: list[str],
    truth: pd.DataFrame,
    gallery: int,
    predicted: NDArray[np.integer[Any]],
) -> list[Section]:
    """Return the sections on confusion, classes, calibration and errors.

    Args:
        values: probabilities (n, classes) of the images of ``truth``, in its order.
        truth: id, label and path.
        gallery: pictures per gallery.
        predicted: index of the predicted class per image.
    """
    index = {name: number for number, name in enumerate(classes)}
    labels = truth["label"].map(index).to_numpy(dtype=np.int64)
    scaled = values / values.sum(axis=1, keepdims=True)
    paths = dict(zip(truth["id"], truth["path"], strict=True)) if "path" in truth else {}
    outcome = Outcome(truth["id"].to_numpy(dtype=str), classes, scaled, labels, paths, predicted)
    return [_confusion(outcome), _classes(outcome), _calibration(outcome), _errors(outcome, gallery)]


def _confusion(outcome: Outcome) -> Section:
    n = len(outcome.classes)
    n_wrong = int(outcome.is_wrong.sum())
    intro = (
        f"{n_wrong:,} of {count(len(outcome.labels), 'image')} ({percent(n_wrong / len(outcome.labels), 2)}) are "
        f"misclassified. Rows are true classes, columns are predicted classes, out of fold."
    )
    blocks: list[Block] = []
    if n <= MOST_CLASSES_DRAWN:
        counts = outcome.counts()
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        texts = [[_cell(counts[r, c], shares[r, c], r == c, n) for c in range(n)] for r in range(n)]
        caption = "Number of images" + (" and share of the true class." if n <= 14 else ".") + " Errors are red."
        names = ("true class", "predicted class")
        blocks.append(matrix("confusion", shares, texts, outcome.classes, names, caption, highlight_errors=True))
    else:
        blocks.append(Text(f"With {n} classes the full matrix would be unreadable; see the most confused pairs below."))
    return Section("confusion", "Confusion", intro, [*blocks, *_pairs(outcome)])


def _cell(number: int, share: float, is_diagonal: bool, n: int) -> str:
    """Format count and, if there is room, share; only exact values are shown as 0 % or 100 %."""
    if not number:
        return "0" if is_diagonal else "·"
    if n > 14:
        return f"{number:,}"
    digits = 1 if n <= 8 else 0
    half = 10**-digits / 2
    rounded = f"{100 * share:.{digits}f}"
    if 100 * share < half or 100 - half <= 100 * share < 100:
        rounded = f"<{2 * half:g}" if share < 0.5 else f">{100 - 2 * half:g}"
    return f"{number:,}\n{rounded} %"


def _pairs(outcome: Outcome) -> list[Block]:
    """Return a table of the pairs of classes confused most often."""
    if not outcome.is_wrong.any():
        return [Text("No errors: no class was confused with another.")]
    labels, predicted = outcome.labels, outcome.predicted
    wrong = np.stack([labels, predicted])[:, outcome.is_wrong]
    places, both = np.unique(np.sort(wrong, axis=0), axis=1, return_counts=True)
    order, n_true = np.argsort(-both, kind="stable")[:MOST_PAIRS], np.bincount(labels, minlength=len(outcome.classes))
    lines: list[list[str | Cell]] = [
        [
            f"{outcome.classes[a]} ↔ {outcome.classes[b]}",
            Cell(f"{n:,}", n / both.max()),
            percent(n / max(1, n_true[a] + n_true[b]), 2),
            f"{((labels == a) & (predicted == b)).sum():,}", f"{((labels == b) & (predicted == a)).sum():,}",
        ]
        for a, b, n in zip(*places[:, order], both[order], strict=True)
    ]  # fmt: skip
    header = ["pair A ↔ B", "confused", "share of both", "A taken for B", "B taken for A"]
    return [Text("", heading="Most confused pairs"), Table(header, lines, text_columns=header[:1])]


def _classes(outcome: Outcome) -> Section:
    n = len(outcome.classes)
    found = (outcome.labels[~outcome.is_wrong], outcome.labels, outcome.predicted)
    hits, n_true, n_predicted = (np.bincount(one, minlength=n) for one in found)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision, recall, f1 = hits / n_predicted, hits / n_true, 2 * hits / (n_true + n_predicted)
    areas = class_areas(outcome.values, outcome.labels)
    rows = [
        [
            outcome.classes[c], _share(f1[c]), _share(precision[c]), _share(recall[c]), _share(areas[c]), f"{n_true[c]:,}",
            f"{n_predicted[c] - hits[c]:,}", f"{n_true[c] - hits[c]:,}",
        ]
        for c in worst_first(pd.DataFrame({"f1": f1}), "f1").index
    ]  # fmt: skip
    intro = (
        "Precision: share of the images predicted as the class that belong to it. Recall: share of the images of the class "
        "that are predicted as it. F1: their harmonic mean. AUC: area under the ROC curve of the class's probability against all "
        "other classes. Scores of a class with few images are unreliable."
    )
    intro += order_in_words(n, "F1")
    columns = ["class", "F1", "precision", "recall", "AUC", "images", "false positives", "false negatives"]
    return Section("classes", "Class by class", intro, [Table(columns, rows, text_columns=["class"])], "Classes")


def _share(value: float) -> str | Cell:
    return Cell(f"{value:.4f}", float(value)) if np.isfinite(value) else "–"


def _calibration(outcome: Outcome) -> Section:
    is_right = ~outcome.is_wrong
    figure, gap, n_bins = reliability(outcome.confidence, is_right)
    mean, right = float(outcome.confidence.mean()), float(is_right.mean())
    half = 1.96 * float(np.sqrt(right * (1 - right) / len(is_right)))
    lean = "overconfident" if mean > right else "underconfident"
    if abs(mean - right) < max(0.01, half):
        lean = f"well calibrated, as far as {len(is_right):,} images show (± {percent(half)})"
    intro = (
        f"Are predictions with a probability of 0.9 correct nine times in ten? On average the predicted probability is "
        f"{percent(mean)} and {percent(right)} are correct, so overall predictions are {lean}. Expected calibration error: "
        f"{gap:.4f} (mean difference between the two over {n_bins} bins of equal width, weighted by their number of images)."
    )
    return Section("calibration", "Calibration", intro, [figure, confidence(outcome.confidence, is_right)])


def _errors(outcome: Outcome, gallery: int) -> Section:
    wrong = np.flatnonzero(outcome.is_wrong)
    wrong = wrong[np.lexsort((outcome.ids[wrong], -outcome.confidence[wrong]))]
    unsure = np.lexsort((outcome.ids, outcome.confidence))[:gallery]
    blocks: list[Block] = []
    intro = (
        "Look for wrong labels, bad crops and classes that look alike. All pictures are training images, each predicted by "
        "models not trained on it."
    )
    if len(wrong):
        first = wrong[:gallery]
        which = "All errors" if len(first) == len(wrong) else f"{len(first)} of {len(wrong):,} errors"
        caption = f"{which}, most confident first: true class → predicted class."
        blocks.append(Gallery(_pictures(outcome, first), caption, heading="Most confident errors"))
    else:
        blocks.append(Text("There are no errors among the out-of-fold predictions.", heading="Most confident errors"))
    caption = "Images with the least confident predictions, correct or not."
    blocks.append(Gallery(_pictures(outcome, unsure), caption, heading="Least confident images"))
    return Section("errors", "Errors in pictures", intro, blocks, "Errors")


def _pictures(outcome: Outcome, rows: NDArray[np.int64]) -> list[Picture]:
    predicted, sure = outcome.predicted, outcome.confidence
    return [
        picture(
            outcome.paths.get(str(outcome.ids[row])),
            _verdict(outcome.classes[outcome.labels[row]], outcome.classes[predicted[row]]),
            [f"{100 * sure[row]:.1f} % sure", str(outcome.ids[row])],
        )
        for row in rows
    ]


def _verdict(true: str, predicted: str) -> str:
    return f"{shortened(true)} ✓" if true == predicted else f"{shortened(true)} → {shortened(predicted)}"


class Show:
    """Report sections: confusion, scores by class, calibration, errors in pictures."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def pages(self, predictions: Arrays, truth: pd.DataFrame, gallery: int) -> list[Section]:
        """Return the sections, see `pages`."""
        evidence = Score(self.spec).evidence(predictions, truth)
        return pages(evidence.probabilities, self.spec.classes, truth, gallery, evidence.chosen)
