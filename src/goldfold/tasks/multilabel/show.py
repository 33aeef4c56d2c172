"""Report sections for several labels per image."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.base.words import count
from goldfold.drawing.blocks import Block, Cell, Gallery, Picture, Section, Table, Text
from goldfold.drawing.calibration import confidence, reliability
from goldfold.drawing.figures import matrix
from goldfold.drawing.pictures import picture
from goldfold.drawing.tables import order_in_words, worst_first
from goldfold.drawing.words import listed, percent, shortened
from goldfold.metrics.multilabel import MultiLabelled
from goldfold.predictions.arrays import Arrays
from goldfold.tasks.multilabel.score import Score
from goldfold.tasks.multilabel.spec import Spec

MOST_CLASSES_DRAWN = 20
THRESHOLDS = np.linspace(0.05, 0.95, 19)


def pages(
    evidence: MultiLabelled, classes: list[str], by_class: pd.DataFrame, truth: pd.DataFrame, gallery: int
) -> list[Section]:
    """Return the sections on classes, co-occurring labels, calibration and errors.

    Args:
        evidence: evidence for the images of ``truth``, in its order.
        by_class: scores of single classes.
        truth: id and path.
        gallery: pictures per gallery.
    """
    return [
        _classes(evidence, classes, by_class), *_together(evidence, classes), _calibration(evidence),
        _errors(evidence, classes, truth, gallery),
    ]  # fmt: skip


def _classes(evidence: MultiLabelled, classes: list[str], by_class: pd.DataFrame) -> Section:
    n = len(evidence)
    whole = evidence.predicted == (evidence.truth == 1)
    n_none = int((evidence.truth.sum(axis=1) == 0).sum())
    intro = (
        f"Each class is an independent yes or no, predicted at or above {_threshold_in_words(evidence.threshold)}. All "
        f"classes are correct for {percent(float(whole.all(axis=1).mean()))} of the {count(n, 'image')}; an image has "
        f"{evidence.truth.sum() / n:.2f} labels on average, and {n_none:,} have none."
    )
    best = {name: _best_threshold(evidence, place) for place, name in enumerate(classes)}
    scores = {
        "f1": "F1", "precision": "precision", "recall": "recall", "roc_auc": "AUC", "average_precision": "average precision",
    }  # fmt: skip
    rows = [
        [
            str(name),
            *(_share(row[key]) for key in scores),
            f"{int(row['images']):,}",
            f"{best[str(name)][0]:g}",
            _share(best[str(name)][1]),
        ]
        for name, row in worst_first(by_class, "f1").iterrows()
    ]
    intro += order_in_words(len(by_class), "F1")
    columns = ["class", *scores.values(), "images", "best threshold", "F1 there"]
    caption = (
        "The best threshold has the highest F1 on the same predictions, so its F1 is slightly optimistic. If it is far from "
        "the threshold in use for many classes, try the ensemble step thresholds."
    )
    table = Table(columns, rows, text_columns=["class"], caption=caption)
    return Section("classes", "Class by class", intro, [table], "Classes")


def _threshold_in_words(threshold: float | NDArray[np.float64]) -> str:
    return "its fitted threshold" if isinstance(threshold, np.ndarray) else f"a probability of {threshold:g}"


def _best_threshold(evidence: MultiLabelled, place: int) -> tuple[float, float]:
    """Return the threshold with the highest F1 of a class, the nearest to 0.5 of several, and that F1."""
    p, true = evidence.probabilities[:, place], evidence.truth[:, place] == 1
    predicted = p[:, None] >= THRESHOLDS
    scores = 2 * (predicted & true[:, None]).sum(axis=0) / np.maximum(predicted.sum(axis=0) + true.sum(), 1)
    chosen = int(np.lexsort((np.abs(THRESHOLDS - 0.5), -scores))[0])
    return round(float(THRESHOLDS[chosen]), 2), float(scores[chosen])


def _share(value: float) -> str | Cell:
    return Cell(f"{value:.4f}", float(value)) if np.isfinite(value) else "–"


def _together(evidence: MultiLabelled, classes: list[str]) -> list[Section]:
    """Compare how often pairs of labels occur together and are predicted together."""
    if not 2 <= len(classes) <= MOST_CLASSES_DRAWN:
        return []
    true = evidence.truth.astype(float)
    given = evidence.predicted.astype(float)
    counts, predicted = true.T @ true, given.T @ given
    shares = counts / np.maximum(np.diag(counts)[:, None], 1)
    texts = [
        [f"{counts[r, c]:,.0f}\n({predicted[r, c]:,.0f})" for c in range(len(classes))] for r in range(len(classes))
    ]
    caption = (
        "Number of images with both labels and, in brackets, with both predicted; on the diagonal, images with the label. "
        "Darker cells have a larger share of the row's images."
    )
    intro = "Pairs of labels predicted together far more often than they occur together point to confusion."
    figure = matrix("together", shares * 0.8, texts, classes, ("label", "and"), caption)
    return [Section("together", "Labels that occur together", intro, [figure], "Together")]


def _calibration(evidence: MultiLabelled) -> Section:
    p, true = evidence.probabilities.ravel(), evidence.truth.ravel() == 1
    sure, is_right = np.maximum(p, 1 - p), (p >= 0.5) == true
    figure, gap, n_bins = reliability(sure, is_right)
    intro = (
        f"Are decisions with a probability of 0.9 correct nine times in ten? Over all pairs of image and class, the mean "
        f"probability of the decision is {percent(float(sure.mean()))}, and {percent(float(is_right.mean()))} are correct. "
        f"Expected calibration error: {gap:.4f} (mean difference between the two over {n_bins} bins of equal width, weighted "
        f"by their number of pairs)."
    )
    return Section("calibration", "Calibration", intro, [figure, confidence(sure, is_right)])


def _errors(evidence: MultiLabelled, classes: list[str], truth: pd.DataFrame, gallery: int) -> Section:
    wrong = evidence.predicted != (evidence.truth == 1)
    distance = np.where(wrong, np.abs(evidence.probabilities - evidence.truth), 0.0)
    ids = truth["id"].to_numpy(dtype=str)
    worst = np.lexsort((ids, -distance.max(axis=1)))
    worst = worst[wrong[worst].any(axis=1)]
    intro = (
        "Look for missing labels, bad crops and classes that look alike. All pictures are training images, each predicted "
        "by models not trained on it."
    )
    if not len(worst):
        return Section("errors", "Errors in pictures", intro, [Text("There are no errors out of fold.")], "Errors")
    shown = worst[:gallery]
    which = "All images" if len(shown) == len(worst) else f"{len(shown)} of {len(worst):,} images"
    caption = f"{which} with a wrong label, most confident first: + is a missed label, − is a false one."
    pictures = [_picture(evidence, classes, truth, wrong, row) for row in shown]
    blocks: list[Block] = [Gallery(pictures, caption, heading="Most confident errors")]
    return Section("errors", "Errors in pictures", intro, blocks, "Errors")


def _picture(
    evidence: MultiLabelled, classes: list[str], truth: pd.DataFrame, wrong: NDArray[np.bool_], row: int
) -> Picture:
    places = sorted(np.flatnonzero(wrong[row]), key=lambda place: -abs(evidence.probabilities[row, place] - 0.5))
    signs = [f"{'+' if evidence.truth[row, place] else '−'}{shortened(classes[place], 16)}" for place in places]
    sure = [f"{shortened(classes[place], 16)} {100 * evidence.probabilities[row, place]:.1f} %" for place in places[:3]]
    image = truth.iloc[row]
    return picture(image.get("path"), listed(signs, 3), [*sure, str(image["id"])])


class Show:
    """Report sections: scores by class, labels that occur together, calibration, errors in pictures."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def pages(self, predictions: Arrays, truth: pd.DataFrame, gallery: int) -> list[Section]:
        """Return the sections, see `pages`."""
        scores = Score(self.spec)
        evidence = scores.evidence(predictions, truth)
        return pages(evidence, list(self.spec.classes), scores.by_class(evidence), truth, gallery)
