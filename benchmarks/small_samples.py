"""Coverage of bootstrap intervals of few cases, by simulation: quantiles as they are, expanded, and BCa.

python benchmarks/small_samples.py [--sets 1000] [--cases 20 30 50 100 300]

Each set has new cases of a known population, whose true score is known. Three 95 % intervals are compared on the same 1,000
resamples: from the 2.5 % to the 97.5 % quantile (Efron 1979), between the quantiles of `goldfold.metrics.bootstrap.levels`
(expanded; Hesterberg 2015), and bias-corrected and accelerated (BCa; Efron 1987), whose acceleration is that of the jackknife.
"""

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from goldfold.metrics.bootstrap import levels

Array = NDArray[Any]
Scored = tuple[float, Array, Array, float]
"""Score of a set, of its resamples (n_resamples,), of the set without each case (n,), and the true score."""
N_RESAMPLES = 1000
Z = 1.959964
METHODS = ("plain", "expanded", "BCa")


def of_mean(values: Array, truth: float, draw: np.random.Generator) -> Scored:
    """Score that is the mean of a number per case."""
    n = len(values)
    counts = draw.multinomial(n, np.full(n, 1 / n), N_RESAMPLES)
    return float(values.mean()), counts @ values / n, (values.sum() - values) / (n - 1), truth


def accuracy(n: int, level: float, draw: np.random.Generator) -> Scored:
    """Accuracy of a classifier that is right with a probability."""
    return of_mean((draw.random(n) < level).astype(float), level, draw)


def log_loss(n: int, level: float, draw: np.random.Generator) -> Scored:
    """Log loss of logits of the true class, normal with a mean of ``level`` and a deviation of 1.5."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    truth = float(np.logaddexp(0, -(level + 1.5 * nodes)) @ weights / weights.sum())
    return of_mean(np.logaddexp(0, -draw.normal(level, 1.5, n)), truth, draw)


def roc_auc(n: int, level: float, draw: np.random.Generator) -> Scored:
    """Area under the ROC curve of two normal classes of equal probability."""
    is_positive = draw.random(n) < 0.5
    is_positive[:2] = (True, False)
    values = draw.normal(size=n) + np.sqrt(2) * ndtri(level) * is_positive
    higher = (values[is_positive][:, None] > values[~is_positive]).astype(float)

    def area(counts: Array) -> Array:
        positive, negative = counts[:, is_positive], counts[:, ~is_positive]
        pairs = positive.sum(axis=1) * negative.sum(axis=1)
        hits = ((positive @ higher) * negative).sum(axis=1)
        return np.divide(hits, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)

    resamples = area(draw.multinomial(n, np.full(n, 1 / n), N_RESAMPLES))
    return float(higher.mean()), resamples, area(1 - np.eye(n)), level


def ends(score: float, drawn: Array, without: Array, n: int) -> dict[str, tuple[float, float]]:
    """Intervals by method."""
    drawn, without = drawn[np.isfinite(drawn)], without[np.isfinite(without)]
    below = np.clip((drawn < score).mean() + (drawn == score).mean() / 2, 0.001, 0.999)
    bias, skew = float(ndtri(below)), without.mean() - without
    spread = (skew**2).sum() ** 1.5
    acceleration = float((skew**3).sum() / (6 * spread)) if spread else 0.0
    moved = [float(ndtr(bias + (bias + z) / (1 - acceleration * (bias + z)))) for z in (-Z, Z)]
    of = {"plain": [0.025, 0.975], "expanded": list(levels(n)), "BCa": moved}
    return {name: tuple(np.quantile(drawn, at).tolist()) for name, at in of.items()}


SCORES: dict[str, Callable[[int, np.random.Generator], Scored]] = {
    "accuracy 0.8": partial(accuracy, level=0.8),
    "accuracy 0.95": partial(accuracy, level=0.95),
    "ROC AUC 0.75": partial(roc_auc, level=0.75),
    "ROC AUC 0.92": partial(roc_auc, level=0.92),
    "log loss 0.51": partial(log_loss, level=1.0),
    "log loss 0.17": partial(log_loss, level=2.5),
}


def coverage(name: str, n: int, sets: int) -> dict[str, tuple[float, float]]:
    """Share of the intervals that contain the true score, and their mean width, by method."""
    found: dict[str, list[tuple[bool, float]]] = {method: [] for method in METHODS}
    for number in range(sets):
        score, drawn, without, truth = SCORES[name](n, draw=np.random.default_rng([n, number]))
        for method, (low, high) in ends(score, drawn, without, n).items():
            found[method].append((low - 1e-12 <= truth <= high + 1e-12, high - low))
    return {method: tuple(np.mean(pairs, axis=0).tolist()) for method, pairs in found.items()}


def main() -> None:
    """Run all settings, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=1000, help="simulated sets per row")
    parser.add_argument("--cases", type=int, nargs="+", default=[20, 30, 50, 100, 300])
    parser.add_argument("--only", nargs="+", choices=[*SCORES], default=[*SCORES], help="scores to simulate")
    asked, begun = parser.parse_args(), time.process_time()
    print(
        "| score | cases | 2.5 % to 97.5 % | expanded | BCa | width | width, expanded |\n|---|---|---|---|---|---|---|"
    )
    for name in asked.only:
        for n in asked.cases:
            one = coverage(name, n, asked.sets)
            shares = " | ".join(f"{one[method][0]:.3f}" for method in METHODS)
            print(f"| {name} | {n} | {shares} | {one['plain'][1]:.3f} | {one['expanded'][1]:.3f} |", flush=True)
    print(f"{asked.sets} sets per row, {time.process_time() - begun:.0f} s of processor time")


if __name__ == "__main__":
    main()
