"""Metrics of several labels per image that rank or count positives."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import ConfigError
from goldfold.metrics.metric import Metric
from goldfold.metrics.multilabel import MultiLabelled
from goldfold.metrics.positives import area_above, probabilistic_f1, refuse_outside, standardised
from goldfold.metrics.ranking import average_precision


def partial_auc(found: MultiLabelled, max_fpr: float = 0.1) -> float:
    """Area under the ROC curve up to a false positive rate, scaled so that 0.5 is chance and 1 perfect, mean over the classes.

    Args:
        max_fpr: largest false positive rate, as in scikit-learn.
    """
    refuse_outside("partial_auc", "max_fpr", max_fpr)
    return _mean_over_classes(lambda p, true: standardised(p, true, max_fpr), found)


def auc_above_tpr(found: MultiLabelled, min_tpr: float = 0.8) -> float:
    """Area under the ROC curve above a true positive rate, from 0 to 1 - min_tpr, mean over the classes.

    Args:
        min_tpr: smallest true positive rate.
    """
    refuse_outside("auc_above_tpr", "min_tpr", min_tpr)
    return _mean_over_classes(lambda p, true: area_above(p, true, min_tpr), found)


def pf1(found: MultiLabelled) -> float:
    """Probabilistic F1: the counts of F1 with predicted positives as sums of probabilities, mean over classes with positives."""
    return _mean_over_classes(probabilistic_f1, found)


def mcc(found: MultiLabelled) -> float:
    """Matthews correlation coefficient of each class, 0 if all its predictions or all its labels are equal, averaged."""
    predicted, true = found.predicted, found.truth == 1
    n, both = len(found), (predicted & true).sum(axis=0).astype(float)
    of_predicted, of_true = predicted.sum(axis=0).astype(float), true.sum(axis=0).astype(float)
    spread = np.sqrt(of_predicted * (n - of_predicted) * of_true * (n - of_true))
    values = np.divide(n * both - of_predicted * of_true, spread, out=np.zeros(len(both)), where=spread > 0)
    return float(values.mean())


def map_at_k(found: MultiLabelled, k: int = 5) -> float:
    """Mean average precision of the ``k`` most probable classes of each image, over the images with a label.

    The precision at each of an image's labels among them is summed and divided by its number of labels, at most ``k``. Of
    tied classes, those that are not labels come first.
    """
    _refuse_small("map_at_k", k)
    hits, true = _best(found, k)[1], found.truth == 1
    hits = hits[any_label := true.any(axis=1)]
    if not any_label.any():
        return float("nan")
    precision = hits.cumsum(axis=1) / np.arange(1, hits.shape[1] + 1)
    return float(((precision * hits).sum(axis=1) / np.minimum(true[any_label].sum(axis=1), k)).mean())


def gap(found: MultiLabelled, k: int = 20) -> float:
    """Global average precision of the ``k`` most probable classes of each image, all pooled (as in YouTube-8M).

    Pairs of image and class are ordered by probability, equal ones together; the precision so far is summed over the labels
    among them and divided by the number of all labels (Abu-El-Haija et al. 2016).
    """
    _refuse_small("gap", k)
    scores, hits = _best(found, k)
    total = int((found.truth == 1).sum())
    if not total:
        return float("nan")
    return average_precision(scores.ravel(), hits.ravel()) * int(hits.sum()) / total if hits.any() else 0.0


def _best(found: MultiLabelled, k: int) -> tuple[NDArray[np.floating[Any]], NDArray[np.bool_]]:
    """Return the probabilities of the ``k`` best classes of each image (n, k), and whether each is a label."""
    order = np.lexsort((found.truth, -found.probabilities), axis=1)[:, :k]
    return np.take_along_axis(found.probabilities, order, axis=1), np.take_along_axis(found.truth, order, axis=1) == 1


def _mean_over_classes(value: Callable[[Any, NDArray[np.bool_]], float], found: MultiLabelled) -> float:
    """Mean over the classes that can be scored; NaN if there is none."""
    pairs = zip(found.probabilities.T, (found.truth == 1).T, strict=True)
    known = [of_class for p, true in pairs if np.isfinite(of_class := value(p, true))]
    return float(np.mean(known)) if known else float("nan")


def _refuse_small(name: str, k: int) -> None:
    if k < 1:
        raise ConfigError(f"metric: {name}: k = {k}: must be at least 1")


MCC = Metric(mcc, of_labels=True, is_mean_over_classes=True)
PARTIAL_AUC = Metric(partial_auc, compares_cases=True)
AUC_ABOVE_TPR = Metric(auc_above_tpr, compares_cases=True)
GAP = Metric(gap, compares_cases=True)
