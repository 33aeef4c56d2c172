"""Coverage of the 95 % intervals of out-of-fold scores, by simulation with retraining.

python benchmarks/interval_coverage.py [--sets 400] [--json coverage.json]

Each simulated data set is drawn anew from a known population, split into folds, and a model is trained per fold on the others;
the interval is that of `goldfold.metrics.bootstrap` around the out-of-fold score. It is compared with three true scores,
each measured on 20,000 fresh cases: the mean score of the models that were trained, that of the same model trained on all
cases of the set, and the mean of the first over all sets, which is the score of the procedure and not of these models.
"""

import argparse
import json
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, StratifiedKFold

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from goldfold import tasks
from goldfold.metrics.bootstrap import bootstrap

N_FOLDS = 5
N_FRESH = 20_000
N_RESAMPLES = 1000
DIMENSIONS = 8
METRICS = ("accuracy", "roc_auc", "log_loss")
SCORES = tasks.score({"name": "classification"}, ["no", "yes"])


def evidence(labels: NDArray[Any], values: NDArray[Any]) -> Any:
    """Labels (n,) and probabilities of the second class (n,) as goldfold scores them."""
    ids = np.array([f"{place:06d}" for place in range(len(labels))])
    probabilities = np.stack([1 - values, values], axis=1)
    arrays = {"ids": ids, "classes": np.array(["no", "yes"]), "probabilities": probabilities}
    return SCORES.evidence(arrays, pd.DataFrame({"id": ids, "label": np.array(["no", "yes"])[labels]}))


@dataclass(frozen=True)
class Population:
    """Two normal classes in `DIMENSIONS` dimensions; cases of a group share a shift that the label does not explain.

    Args:
        group_size: cases per group; 1 for independent cases.
        shift: standard deviation of the shift of a group.
    """

    group_size: int = 1
    shift: float = 0.0
    distance: float = 1.0

    def draw(self, n: int, generator: np.random.Generator) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Return inputs (n, dimensions), labels (n,) and groups (n,)."""
        groups = np.arange(n) // self.group_size
        labels = generator.integers(0, 2, n)
        if self.group_size > 1:  # of a patient, most images have one label
            labels = np.where(generator.random(n) < 0.9, generator.integers(0, 2, groups.max() + 1)[groups], labels)
        middle = np.zeros(DIMENSIONS)
        middle[:2] = self.distance
        shifts = self.shift * generator.normal(size=(groups.max() + 1, DIMENSIONS))
        return generator.normal(size=(n, DIMENSIONS)) + labels[:, None] * middle + shifts[groups], labels, groups


def trial(
    population: Population, n: int, by_group: bool, generator: np.random.Generator
) -> dict[str, dict[str, float]]:
    """Intervals and true scores of one data set, by metric."""
    inputs, labels, groups = population.draw(n, generator)
    fresh, fresh_labels, _ = population.draw(N_FRESH, generator)
    seed = int(generator.integers(2**31))
    stratified = StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed)
    splitter: Any = GroupKFold(N_FOLDS) if population.group_size > 1 else stratified
    found, of_models = np.zeros(n), []
    for train, held_out in splitter.split(inputs, labels, groups if population.group_size > 1 else None):
        model = LogisticRegression(max_iter=200).fit(inputs[train], labels[train])
        found[held_out] = model.predict_proba(inputs[held_out])[:, 1]
        of_models.append(model.predict_proba(fresh)[:, 1])
    of_all = LogisticRegression(max_iter=200).fit(inputs, labels).predict_proba(fresh)[:, 1]
    names = [str(group) for group in groups] if by_group else None
    own, everything = evidence(labels, found), np.arange(N_FRESH)
    fresh_of = [evidence(fresh_labels, values) for values in (*of_models, of_all)]
    scores = {}
    for name in METRICS:
        metric = SCORES.metric(name)
        score = bootstrap(partial(metric.value, own), n, names, N_RESAMPLES, seed)
        *truths, refitted = (metric.value(one, everything) for one in fresh_of)
        scores[name] = {**score.as_dict(), "models": float(np.mean(truths)), "refitted": refitted}
    return scores


def covered(trials: list[dict[str, float]]) -> dict[str, float]:
    """Share of the intervals that contain each true score, and mean width."""
    procedure = float(np.mean([one["models"] for one in trials]))
    truths = {
        "models": [one["models"] for one in trials],
        "procedure": [procedure] * len(trials),
        "refitted": [one["refitted"] for one in trials],
    }
    return {
        **{name: float(np.mean([one["low"] <= true <= one["high"] for one, true in zip(trials, values, strict=True)]))
           for name, values in truths.items()},
        "width": float(np.mean([one["high"] - one["low"] for one in trials])),
        "bias": float(np.mean([one["value"] - one["models"] for one in trials])),
    }  # fmt: skip


SETTINGS: dict[str, tuple[Population, int, bool]] = {
    "50 cases": (Population(), 50, False),
    "100 cases": (Population(), 100, False),
    "300 cases": (Population(), 300, False),
    "1,000 cases": (Population(), 1000, False),
    "60 groups of 5, by group": (Population(5, 0.7), 300, True),
    "60 groups of 5, by case": (Population(5, 0.7), 300, False),
}
"""Population, number of cases, and whether groups are resampled, by name."""


def main() -> None:
    """Run all settings, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=400, help="simulated data sets per setting")
    parser.add_argument("--json", type=Path, help="file for all figures")
    asked, begun, found = parser.parse_args(), time.process_time(), {}
    print("| data set | metric | models trained | procedure | refitted on all | mean width | score minus truth |")
    print("|---|---|---|---|---|---|---|")
    for name, (population, n, by_group) in SETTINGS.items():
        trials = [trial(population, n, by_group, np.random.default_rng([n, number])) for number in range(asked.sets)]
        for metric in METRICS:
            one = covered([of[metric] for of in trials])
            found[f"{name}, {metric}"] = one
            shares = " | ".join(f"{one[key]:.3f}" for key in ("models", "procedure", "refitted"))
            print(f"| {name} | {metric} | {shares} | {one['width']:.3f} | {one['bias']:+.4f} |", flush=True)
    print(f"{asked.sets} sets per row, {time.process_time() - begun:.0f} s of processor time")
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
