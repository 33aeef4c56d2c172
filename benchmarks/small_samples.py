"""Coverage of bootstrap intervals of few cases, by simulation: quantiles as they are, expanded, and BCa.

python benchmarks/small_samples.py [--sets 1000] [--cases 20 30 50 100 300] [--gains]

Each set has new cases of a known population, whose true score is known. Three 95 % intervals are compared on the same 1,000
resamples: from the 2.5 % to the 97.5 % quantile (Efron 1979), between the quantiles of `goldfold.metrics.bootstrap.levels`
(expanded; Hesterberg 2015), and bias-corrected and accelerated (BCa; Efron 1987), whose acceleration is that of the jackknife.

With ``--gains`` two classifiers are scored on the same cases, and the interval of their difference is that of
`goldfold.metrics.paired.gain`, beside the one with normal quantiles and the deviation over resamples as it is.
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
from goldfold.metrics.paired import gain

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


def gained(name: str, n: int, draw: np.random.Generator) -> tuple[list[float], Array, float]:
    """Scores of two classifiers, of both on the same resamples (n_resamples, 2), and the true gain of the second.

    Half of the variance of a logit is common to both.
    """
    logits = np.sqrt(0.5) * (draw.normal(size=n) + draw.normal(size=(2, n)))
    metric, *worth = GAINS[name]
    counts = draw.multinomial(n, np.full(n, 1 / n), N_RESAMPLES)
    if metric == "ROC AUC":
        is_positive = draw.random(n) < 0.5
        is_positive[:2] = (True, False)
        values = logits + np.sqrt(2) * ndtri(worth)[:, None] * is_positive
        higher = [(one[is_positive][:, None] > one[~is_positive]).astype(float) for one in values]
        positive, negative = counts[:, is_positive], counts[:, ~is_positive]
        pairs = positive.sum(axis=1) * negative.sum(axis=1)
        hits = np.stack([((positive @ one) * negative).sum(axis=1) for one in higher], axis=1)
        drawn = np.divide(hits, pairs[:, None], out=np.full(hits.shape, np.nan), where=pairs[:, None] > 0)
        return [float(one.mean()) for one in higher], drawn, worth[1] - worth[0]
    if metric == "accuracy":
        cases, truth = (logits < ndtri(worth)[:, None]).astype(float), worth[1] - worth[0]
    else:
        nodes, weights = np.polynomial.hermite_e.hermegauss(80)
        of = [float(np.logaddexp(0, -(level + 1.5 * nodes)) @ weights / weights.sum()) for level in worth]
        cases, truth = -np.logaddexp(0, -(np.array(worth)[:, None] + 1.5 * logits)), of[0] - of[1]
    return cases.mean(axis=1).tolist(), counts @ cases.T / n, truth


GAINS: dict[str, tuple[str, float, float]] = {
    "accuracy 0.8 to 0.8": ("accuracy", 0.8, 0.8),
    "accuracy 0.7 to 0.85": ("accuracy", 0.7, 0.85),
    "ROC AUC 0.75 to 0.75": ("ROC AUC", 0.75, 0.75),
    "ROC AUC 0.75 to 0.85": ("ROC AUC", 0.75, 0.85),
    "log loss 0.51 to 0.51": ("log loss", 1.0, 1.0),
    "log loss 0.51 to 0.32": ("log loss", 1.0, 1.7),
}


def coverage_of_gains(name: str, n: int, sets: int) -> dict[str, tuple[float, float]]:
    """Share of the intervals that contain the true gain, and their mean width, by method."""
    found: dict[str, list[tuple[bool, float]]] = {"normal": [], "expanded": []}
    for number in range(sets):
        scores, drawn, truth = gained(name, n, np.random.default_rng([n, number]))
        made = gain([scores[0]], [scores[1]], [drawn[:, 0]], [drawn[:, 1]], n)
        half = Z * float(np.nanstd(drawn[:, 1] - drawn[:, 0], ddof=1))
        for method, (low, high) in {
            "normal": (made.value - half, made.value + half),
            "expanded": (made.low, made.high),
        }.items():
            found[method].append((low - 1e-12 <= truth <= high + 1e-12, high - low))
    return {method: tuple(np.mean(pairs, axis=0).tolist()) for method, pairs in found.items()}


def _print_gains(names: list[str], cases: list[int], sets: int) -> None:
    print("| gain | cases | normal | expanded | width | width, expanded |\n|---|---|---|---|---|---|")
    for name in names:
        for n in cases:
            one = coverage_of_gains(name, n, sets)
            shares = " | ".join(f"{one[method][0]:.3f}" for method in one)
            print(f"| {name} | {n} | {shares} | {one['normal'][1]:.3f} | {one['expanded'][1]:.3f} |", flush=True)


def main() -> None:
    """Run all settings, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=1000, help="simulated sets per row")
    parser.add_argument("--cases", type=int, nargs="+", default=[20, 30, 50, 100, 300])
    parser.add_argument("--only", nargs="+", choices=[*SCORES, *GAINS], help="scores to simulate")
    parser.add_argument("--gains", action="store_true", help="simulate gains of one classifier over another")
    asked, begun = parser.parse_args(), time.process_time()
    if asked.gains:
        _print_gains(asked.only or [*GAINS], asked.cases, asked.sets)
        print(f"{asked.sets} sets per row, {time.process_time() - begun:.0f} s of processor time")
        return
    print(
        "| score | cases | 2.5 % to 97.5 % | expanded | BCa | width | width, expanded |\n|---|---|---|---|---|---|---|"
    )
    for name in asked.only or SCORES:
        for n in asked.cases:
            one = coverage(name, n, asked.sets)
            shares = " | ".join(f"{one[method][0]:.3f}" for method in METHODS)
            print(f"| {name} | {n} | {shares} | {one['plain'][1]:.3f} | {one['expanded'][1]:.3f} |", flush=True)
    print(f"{asked.sets} sets per row, {time.process_time() - begun:.0f} s of processor time")


if __name__ == "__main__":
    main()
