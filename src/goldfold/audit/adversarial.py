"""Adversarial validation: train a classifier to tell two sets of images apart, and find the features that it uses."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

N_FOLDS = 5
FEWEST = 10
"""Fewest images per set; with fewer, the sets are not compared."""
VARIANCE_FACTOR = 2.0
"""Factor of the variance: each pair of folds is used twice, once per direction, so what the two share by chance counts
double. 95 % intervals of 180 random splits contained 0.5 in 89 % without it, in 96 % with it (docs/data-figures.md)."""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Auc:
    """Area under the ROC curve with its 95 % interval: 0.5 indistinguishable, 1 fully separable."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """Result of comparing two sets."""

    auc: Auc
    scores: Values
    """(n,) similarity of each image to the second set, by a classifier that never saw it or its copies."""
    drops: dict[str, float]
    """Kind of feature -> loss of AUC when the kind is shuffled among the images (permutation importance)."""


def compare(
    features: Values, is_second: NDArray[np.bool_], kinds: Sequence[str], units: Sequence[Any], seed: int = 0
) -> Comparison | None:
    """Cross-validated gradient boosting; None if a set has too few images, or all of one unit.

    Args:
        features: (n, k), finite.
        is_second: (n,) False for images of the first set.
        kinds: kind of each feature.
        units: (n,) group (or cluster of copies) of each image; never split over folds, and the unit of the interval.
    """
    unit = np.unique(np.asarray(units, dtype=str), return_inverse=True)[1]
    fewest_units = min(len(np.unique(unit[is_second == side])) for side in (False, True))
    if min(is_second.sum(), (~is_second).sum()) < FEWEST or fewest_units < 2:
        return None
    scores, shuffled = np.zeros(len(features)), {kind: np.zeros(len(features)) for kind in kinds}
    folds = list(_folds(is_second, unit, min(N_FOLDS, fewest_units), seed))
    generator = np.random.default_rng(seed)
    for rows in folds:
        model = _fitted(np.delete(features, rows, axis=0), np.delete(is_second, rows), seed)
        scores[rows] = model(features[rows])
        for kind, of_kind in shuffled.items():
            changed, columns = features[rows].copy(), [own == kind for own in kinds]
            changed[:, columns] = changed[generator.permutation(len(rows))][:, columns]
            of_kind[rows] = model(changed)
    auc = auc_by_fold(scores, is_second, unit, folds)
    drops = {kind: auc.value - auc_by_fold(of, is_second, unit, folds).value for kind, of in shuffled.items()}
    return Comparison(auc, scores, drops)


def _folds(
    is_second: NDArray[np.bool_], unit: NDArray[np.int64], n_folds: int, seed: int
) -> Iterator[NDArray[np.int64]]:
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    is_alone = len(np.unique(unit)) == len(unit)
    splitter = (StratifiedKFold if is_alone else StratifiedGroupKFold)(n_folds, shuffle=True, random_state=seed)
    for _, rows in splitter.split(unit, is_second, None if is_alone else unit):
        yield rows


def _fitted(features: Values, is_second: NDArray[np.bool_], seed: int) -> Any:
    """Fit; return a function from (n, k) features to (n,) log odds. One thread: the data are small, and cores are shared."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    model = HistGradientBoostingClassifier(
        max_iter=50,
        max_leaf_nodes=8,
        min_samples_leaf=10,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=seed,
    )
    with threadpool_limits(1):
        model.fit(features, is_second)

    def log_odds(rows: Values) -> Values:
        with threadpool_limits(1):
            return model.decision_function(rows)

    return log_odds


def auc_by_fold(
    scores: Values, is_second: NDArray[np.bool_], unit: NDArray[np.int64], folds: Sequence[NDArray[np.int64]]
) -> Auc:
    """Mean AUC of the folds, weighted by their number of pairs; scores of different folds are never compared.

    The interval is DeLong's (1988), over units (Obuchowski 1997), widened for cross-validation, on the logit scale.
    """
    parts = []
    for rows in folds:
        second, first = rows[is_second[rows]], rows[~is_second[rows]]
        if len(second) and len(first):
            parts.append((first, second, *_placements(scores[first], scores[second])))
    pairs = np.array([len(first) * len(second) for first, second, *_ in parts], dtype=float)
    weights = pairs / pairs.sum()
    value = float(sum(weight * own.mean() for weight, (_, _, _, own) in zip(weights, parts, strict=True)))
    n_units = int(unit.max()) + 1
    sums = np.zeros((2, n_units))
    for weight, (first, second, of_first, of_second) in zip(weights, parts, strict=True):
        for side, (rows, placed) in enumerate(((first, of_first), (second, of_second))):
            np.add.at(sums[side], unit[rows], weight * (placed - value) / len(rows))
    counts = [len(np.unique(unit[is_second == side])) for side in (False, True)]
    by_side = sum(n / (n - 1) * float((side**2).sum()) for n, side in zip(counts, sums, strict=True))
    variance = by_side + 2 * n_units / (n_units - 1) * float((sums[0] * sums[1]).sum())
    return Auc(value, *_ends(value, math.sqrt(max(variance, 0.0) * VARIANCE_FACTOR), min(counts)))


def _placements(first: Values, second: Values) -> tuple[Values, Values]:
    """For each image, the share of the other set that it is ranked correctly against; ties count half."""
    from scipy.stats import rankdata

    every = rankdata(np.concatenate([first, second]))
    of_first = 1 - (every[: len(first)] - rankdata(first)) / len(second)
    of_second = (every[len(first) :] - rankdata(second)) / len(first)
    return of_first, of_second


def _ends(value: float, error: float, n_units: int) -> tuple[float, float]:
    """95 % interval on the logit scale, by Student's t; for an AUC of 0 or 1 Clopper-Pearson's over units."""
    from scipy.stats import t

    if value in (0.0, 1.0):
        bound = 0.025 ** (1 / n_units)
        return (bound, 1.0) if value else (0.0, 1 - bound)
    quantile = float(t.ppf(0.975, n_units - 1))
    odds, step = math.log(value / (1 - value)), quantile * error / (value * (1 - value))
    low, high = (1 / (1 + math.exp(-min(max(end, -700.0), 700.0))) for end in (odds - step, odds + step))
    return low, high


def alone(feature: Values, is_second: NDArray[np.bool_]) -> float:
    """AUC of a single feature, 0.5 to 1, regardless of which set has the larger values."""
    second = _placements(feature[~is_second], feature[is_second])[1].mean()
    return float(max(second, 1 - second))
