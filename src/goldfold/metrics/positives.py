"""Metrics of class probabilities that rank or count positives.

With two classes, the second is the positive one; with more, each class is scored against the rest, and the mean is over the
classes present in the truth.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import ConfigError
from goldfold.metrics import counts
from goldfold.metrics.classification import Labels, Probabilities
from goldfold.metrics.metric import Metric
from goldfold.metrics.ranking import average_precision as precision_over_recall
from goldfold.metrics.ranking import reciprocal_ranks

Positive = NDArray[np.bool_]


def average_precision(probabilities: Probabilities, labels: Labels) -> float:
    """Average precision, as in scikit-learn."""
    return _mean_over_positives(precision_over_recall, probabilities, labels)


def partial_auc(probabilities: Probabilities, labels: Labels, max_fpr: float = 0.1) -> float:
    """Area under the ROC curve up to a false positive rate, scaled so that 0.5 is chance and 1 perfect (McClish 1989).

    Args:
        max_fpr: largest false positive rate, as in scikit-learn.
    """
    refuse_outside("partial_auc", "max_fpr", max_fpr)
    return _mean_over_positives(lambda p, true: standardised(p, true, max_fpr), probabilities, labels)


def auc_above_tpr(probabilities: Probabilities, labels: Labels, min_tpr: float = 0.8) -> float:
    """Area under the ROC curve above a true positive rate, from 0 to 1 - min_tpr (measure of ISIC 2024).

    Args:
        min_tpr: smallest true positive rate.
    """
    refuse_outside("auc_above_tpr", "min_tpr", min_tpr)
    return _mean_over_positives(lambda p, true: area_above(p, true, min_tpr), probabilities, labels)


def pf1(probabilities: Probabilities, labels: Labels) -> float:
    """Probabilistic F1: the counts of F1 with predicted positives as sums of probabilities."""
    return _mean_over_positives(probabilistic_f1, probabilities, labels)


def mcc(probabilities: Probabilities, labels: Labels) -> float:
    """Matthews correlation coefficient of the most probable class; 0 if all predictions or all labels are one class."""
    from sklearn.metrics import matthews_corrcoef

    return float(matthews_corrcoef(labels, probabilities.argmax(axis=1)))


def f1(probabilities: Probabilities, labels: Labels) -> float:
    """F1 score of the second of two classes, 0 if it is neither true nor predicted; for more classes that of each, averaged."""
    from sklearn.metrics import f1_score

    chosen = probabilities.argmax(axis=1)
    if probabilities.shape[1] == 2:
        return float(f1_score(labels, chosen, zero_division=0.0))
    return float(f1_score(labels, chosen, average="macro", zero_division=0.0))


def map_at_k(probabilities: Probabilities, labels: Labels, k: int = 5) -> float:
    """Mean over images of 1 / rank of the true class, 0 beyond rank ``k``; of tied classes the worst rank counts."""
    if k < 1:
        raise ConfigError(f"metric: map_at_k: k = {k}: must be at least 1")
    return float(reciprocal_ranks(probabilities, labels, k).mean())


def gap(probabilities: Probabilities, labels: Labels) -> float:
    """Global average precision: micro average precision of the most probable class of each image.

    Images are ordered by the probability of that class, equal ones together; the precision so far is summed over correct
    predictions and divided by the number of images (Weyand et al. 2020, Google Landmarks Dataset v2).
    """
    hit = probabilities.argmax(axis=1) == labels
    return precision_over_recall(probabilities.max(axis=1), hit) * float(hit.mean()) if hit.any() else 0.0


def _mean_over_positives(
    value: Callable[[Probabilities, Positive], float], probabilities: Probabilities, labels: Labels
) -> float:
    """Value of the second of two classes, or the mean over classes; NaN where no class can be scored."""
    columns = [1] if probabilities.shape[1] == 2 else range(probabilities.shape[1])
    found = [value(probabilities[:, column], labels == column) for column in columns]
    known = [one for one in found if np.isfinite(one)]
    return float(np.mean(known)) if known else float("nan")


def probabilistic_f1(p: Probabilities, is_positive: Positive) -> float:
    """Probabilistic F1 of one class; NaN without positives."""
    n = int(is_positive.sum())
    return 2 * float(p[is_positive].sum()) / (float(p.sum()) + n) if n else float("nan")


def area_above(scores: Probabilities, is_positive: Positive, min_tpr: float) -> float:
    """Area under the ROC curve of one class above a true positive rate; NaN without positives or negatives."""
    width = 1 - min_tpr
    chance = width**2 / 2
    # with classes and scores turned round, a high true positive rate is a low false positive rate
    return chance + (2 * standardised(-scores, ~is_positive, width) - 1) * (width - chance)


def standardised(scores: Probabilities, is_positive: Positive, max_fpr: float) -> float:
    """Standardised area under the ROC curve of one class up to a false positive rate; NaN without positives or negatives."""
    from sklearn.metrics import roc_auc_score

    if is_positive.all() or not is_positive.any():
        return float("nan")
    return float(roc_auc_score(is_positive, scores, max_fpr=max_fpr))


def refuse_outside(name: str, parameter: str, value: float) -> None:
    """Raise ConfigError unless a parameter of a metric is above 0 and below 1."""
    if not 0 < value < 1:
        raise ConfigError(f"metric: {name}: {parameter} = {value:g}: must be above 0 and below 1")


AVERAGE_PRECISION = Metric(average_precision, compares_cases=True)
PARTIAL_AUC = Metric(partial_auc, compares_cases=True)
AUC_ABOVE_TPR = Metric(auc_above_tpr, compares_cases=True)
GAP = Metric(gap, compares_cases=True)
F1 = Metric(f1, of_labels=True, of_counts=counts.f1)
MCC = Metric(mcc, of_labels=True, of_counts=counts.mcc)
