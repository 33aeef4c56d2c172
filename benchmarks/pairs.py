"""Differences between all pairs of members: time, and how often equally good members are said to differ.

python benchmarks/pairs.py [--sets 300] [--members 30] [--cases 100000] [--json pairs.json]

Time: members of random probabilities, from evidence to p values, in seconds of the processor; the resampled scores are those
of the leaderboard's intervals, which the ensemble needs anyway. Error rates: members that are right about cases with the same
probability, with errors in common; each data set is drawn anew. A data set counts as an error if any pair of its members is
called better, once without and once with Holm's correction.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from goldfold import tasks
from goldfold.metrics import resampling
from goldfold.metrics.pairs import pairs

N_RESAMPLES = 1000
TIMED = (("accuracy", 10), ("roc_auc", 2), ("roc_auc", 10))
"""Metric and number of classes."""
SHARE_RIGHT, COMMON = 0.8, 0.8
"""Share of right answers of each member; part of the variance of its errors that all members share."""


def evidence(labels: NDArray[Any], probabilities: NDArray[Any]) -> Any:
    """Labels (n,) and probabilities (n, classes) as goldfold scores them."""
    names = [f"c{place}" for place in range(probabilities.shape[1])]
    ids = np.array([f"{place:07d}" for place in range(len(labels))])
    arrays = {"ids": ids, "classes": np.array(names), "probabilities": probabilities}
    truth = pd.DataFrame({"id": ids, "label": np.array(names)[labels]})
    return tasks.score({"name": "classification"}, names).evidence(arrays, truth)


def seconds(metric: str, n_classes: int, n_members: int, n_cases: int) -> dict[str, Any]:
    """Time of the resampled scores of all members, and of the comparison of all pairs."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, n_classes, n_cases)
    chosen = tasks.score({"name": "classification"}, [f"c{place}" for place in range(n_classes)]).metric(metric)
    values, drawn, spent = {}, {}, 0.0
    for member in range(n_members):
        p = rng.random((n_cases, n_classes)) + 0.3 * np.eye(n_classes)[labels]
        found = evidence(labels, p / p.sum(axis=1, keepdims=True))
        start = time.process_time()
        values[str(member)] = chosen.value(found, np.arange(n_cases))
        drawn[str(member)] = resampling.drawn(chosen, found, None, N_RESAMPLES)
        spent += time.process_time() - start
    start = time.process_time()
    n_pairs = len(pairs(values, drawn, n_cases))
    return {
        "metric": metric, "classes": n_classes, "members": n_members, "cases": n_cases, "pairs": n_pairs,
        "resampled_s": round(spent, 1), "pairs_s": round(time.process_time() - start, 2),
    }  # fmt: skip


def error_rates(n_cases: int, n_members: int, n_sets: int, n_resamples: int = 300) -> dict[str, Any]:
    """Shares of data sets of equally good members in which a pair is called different, alone and corrected."""
    rng = np.random.default_rng(n_cases)
    chosen = tasks.score({"name": "classification"}, ["c0", "c1"]).metric("accuracy")
    labels = np.zeros(n_cases, int)
    alone, corrected, of_pairs = 0, 0, []
    for _ in range(n_sets):
        hard = rng.normal(size=n_cases) * COMMON**0.5
        values, drawn = {}, {}
        for member in range(n_members):
            noise = rng.normal(size=n_cases) * (1 - COMMON) ** 0.5
            p = np.where(hard + noise < stats.norm.ppf(SHARE_RIGHT), 0.9, 0.1)
            found = evidence(labels, np.stack([p, 1 - p], axis=1))
            values[str(member)] = chosen.value(found, np.arange(n_cases))
            drawn[str(member)] = resampling.drawn(chosen, found, None, n_resamples)
        made = pairs(values, drawn, n_cases)
        of_pairs += [one.gain.p < 0.05 for one in made]
        alone += any(one.gain.p < 0.05 for one in made)
        corrected += any(one.p_holm < 0.05 for one in made)
    return {
        "cases": n_cases, "members": n_members, "sets": n_sets, "pairs_that_differ": round(float(np.mean(of_pairs)), 4),
        "any_alone": round(alone / n_sets, 3), "any_with_holm": round(corrected / n_sets, 3),
    }  # fmt: skip


def main() -> None:
    """Print the rows, and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=300)
    parser.add_argument("--members", type=int, default=30)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    for n_cases in (50, 100, 300, 1000):
        rows.append(error_rates(n_cases, 10, options.sets))
        print(rows[-1], flush=True)
    for metric, n_classes in TIMED:
        rows.append(seconds(metric, n_classes, options.members, options.cases))
        print(rows[-1], flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
