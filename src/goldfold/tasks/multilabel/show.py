"""Sections of the report for several labels per image."""

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
    """Classes, labels that come together, calibration and errors.

    Args:
        evidence: of the images of ``truth``, in its order.
        by_class: scores of single classes.
        truth: id and path.
        gallery: pictures a gallery.
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
        f"Each class is a yes or no of its own, a yes {_from(evidence.threshold)} on. All classes are right for "
        f"{percent(float(whole.all(axis=1).mean()))} of the {count(n, 'image')}; an image has {evidence.truth.sum() / n:.2f} "
        f"labels on average, and {n_none:,} have none."
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
    intro += order_in_words(len(rows), "F1")
    columns = ["class", *scores.values(), "images", "best threshold", "F1 there"]
    caption = (
        "The best threshold is the one with the highest F1 on these very predictions, so its F1 flatters a little; where "
        "it is far from the one in use for many classes, the step thresholds of the ensemble is worth a try."
    )
    table = Table(columns, rows, text_columns=["class"], caption=caption)
    return Section("classes", "Class by class", intro, [table], "Classes")


def _from(threshold: float | NDArray[np.float64]) -> str:
    """From where on a class is taken to be there."""
    return "from its fitted threshold" if isinstance(threshold, np.ndarray) else f"from {threshold:g}"


def _best_threshold(evidence: MultiLabelled, place: int) -> tuple[float, float]:
    """The threshold of the highest F1 of a class, the one nearest to 0.5 of several, and that F1."""
    p, true = evidence.probabilities[:, place], evidence.truth[:, place] == 1
    said = p[:, None] >= THRESHOLDS
    scores = 2 * (said & true[:, None]).sum(axis=0) / np.maximum(said.sum(axis=0) + true.sum(), 1)
    chosen = int(np.lexsort((np.abs(THRESHOLDS - 0.5), -scores))[0])
    return round(float(THRESHOLDS[chosen]), 2), float(scores[chosen])


def _share(value: float) -> str | Cell:
    return Cell(f"{value:.4f}", float(value)) if np.isfinite(value) else "–"


def _together(evidence: MultiLabelled, classes: list[str]) -> list[Section]:
    """How often labels come together, and how often they are predicted together."""
    if not 2 <= len(classes) <= MOST_CLASSES_DRAWN:
        return []
    true = evidence.truth.astype(float)
    said = evidence.predicted.astype(float)
    counts, predicted = true.T @ true, said.T @ said
    shares = counts / np.maximum(np.diag(counts)[:, None], 1)
    texts = [
        [f"{counts[r, c]:,.0f}\n({predicted[r, c]:,.0f})" for c in range(len(classes))] for r in range(len(classes))
    ]
    caption = (
        "Images that have both labels, and in brackets those of which both are predicted; on the diagonal, images of the "
        "label. The darker, the larger the share of the row's images."
    )
    intro = "Labels that come together help each other or are confused; pairs predicted far more often than they come are errors."
    figure = matrix("together", shares * 0.8, texts, classes, ("label", "and"), caption)
    return [Section("together", "Labels that come together", intro, [figure], "Together")]


def _calibration(evidence: MultiLabelled) -> Section:
    p, true = evidence.probabilities.ravel(), evidence.truth.ravel() == 1
    sure, is_right = np.maximum(p, 1 - p), (p >= 0.5) == true
    figure, gap, n_bins = reliability(sure, is_right)
    intro = (
        f"Does a probability of 0.9 come true nine times in ten? Over all pairs of image and class predictions are "
        f"{percent(float(sure.mean()))} sure of their yes or no and {percent(float(is_right.mean()))} right. Expected "
        f"calibration error: {gap:.4f} (mean distance between the two over {n_bins} bins of equal width, weighted by the "
        f"pairs in each)."
    )
    return Section("calibration", "Calibration", intro, [figure, confidence(sure, is_right)])


def _errors(evidence: MultiLabelled, classes: list[str], truth: pd.DataFrame, gallery: int) -> Section:
    wrong = evidence.predicted != (evidence.truth == 1)
    distance = np.where(wrong, np.abs(evidence.probabilities - evidence.truth), 0.0)
    ids = truth["id"].to_numpy(dtype=str)
    worst = np.lexsort((ids, -distance.max(axis=1)))
    worst = worst[wrong[worst].any(axis=1)]
    intro = (
        "Pictures say most about what to do next: a label forgotten, a bad crop, two classes that look alike. All are "
        "training images, each predicted by models that never saw it."
    )
    if not len(worst):
        return Section("errors", "Errors in pictures", intro, [Text("There are no errors out of fold.")], "Errors")
    shown = worst[:gallery]
    which = "All images" if len(shown) == len(worst) else f"{len(shown)} of {len(worst):,} images"
    caption = (
        f"{which} with a wrong label, the surest first: + is there and was not found, − was found and is not there."
    )
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
    """Scores by class, labels that come together, calibration, errors in pictures."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def pages(self, predictions: Arrays, truth: pd.DataFrame, gallery: int) -> list[Section]:
        """Sections of the report, see `pages`."""
        scores = Score(self.spec)
        evidence = scores.evidence(predictions, truth)
        return pages(evidence, list(self.spec.classes), scores.by_class(evidence), truth, gallery)
