"""Gain of each way to fuse members over the best member, nested and not, on digits.

python benchmarks/ensemble_gain.py [--draws 20] [--labelled 300]

Each draw takes other labelled digits (scikit-learn's 1,797 digits, 8 x 8 pixels, those of the demo), three folds, and four weak
members of different kinds, trained by scikit-learn as members of other tools are. Steps are fitted as in a run: nested scores
are of steps fitted without the fold of the case, un-nested ones of steps fitted on all. The truth is the score on all digits
that are not labelled, which are predicted as test images are: by the mean over the folds, and steps fitted on all folds.
"""

import argparse
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from goldfold.ensembling.nested import applied, nested
from goldfold.ensembling.steps import build
from goldfold.metrics.paired import gain, resampled
from goldfold.predictions.arrays import picked
from goldfold.tasks.steps import ForSteps

CLASSES = [str(digit) for digit in range(10)]
TASK = ForSteps({"name": "classification"}, CLASSES)
METRIC = TASK.metric("log_loss")
N_FOLDS, N_RESAMPLES, SMALLEST = 3, 1000, 1e-3
MEMBERS: dict[str, Any] = {
    "logistic regression": lambda: LogisticRegression(C=1e-3, max_iter=500),
    "nearest neighbours": lambda: KNeighborsClassifier(15),
    "forest": lambda: RandomForestClassifier(10, max_depth=6, random_state=0),
    "naive Bayes": lambda: GaussianNB(var_smoothing=0.1),
}
STEPS: dict[str, Any] = {
    "`average`": "average",
    "`average: {method: rank}`": {"average": {"method": "rank"}},
    "`fitted_average`": "fitted_average",
    "`hill_climbing`": "hill_climbing",
    "`simplex`": "simplex",
    "`stacking`": "stacking",
    "`boosted_stacking`": "boosted_stacking",
}
Scores = dict[str, tuple[float, ...]]
"""Nested score, un-nested score, score of new digits, gain of the nested score over the best member and half its interval."""


def member(ids: NDArray[Any], probabilities: NDArray[Any]) -> dict[str, Any]:
    """Predictions of a member, as another tool's."""
    logits = np.log(np.clip(probabilities, SMALLEST, 1)).astype(np.float32)
    return {"ids": ids, "classes": np.array(CLASSES), "logits": logits}


def fused(members: list[dict[str, Any]]) -> Any:
    """Mean of the networks of the folds, as of a member's test predictions."""
    return TASK.fuse(members, [1.0] * len(members))


def trial(seed: int, n: int) -> Scores:
    """Scores of the members and of each way to fuse them, on one draw of labelled digits."""
    inputs, digits = load_digits(return_X_y=True)
    ids = np.array([f"d{place:04d}" for place in range(len(digits))])
    truth = pd.DataFrame({"id": ids, "label": digits.astype(str)})
    order = np.random.default_rng(seed).permutation(len(digits))
    own, new = np.sort(order[:n]), np.sort(order[n:])
    folds, known = np.zeros(n, int), truth.iloc[own].reset_index(drop=True)
    parts = [*StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed).split(own, digits[own])]
    oof, of_new = dict[str, Any](), dict[str, Any]()
    for name, make in MEMBERS.items():
        values, tested = np.zeros((n, 10)), []
        for number, (train, held_out) in enumerate(parts):
            model = make().fit(inputs[own[train]], digits[own[train]])
            values[held_out], folds[held_out] = model.predict_proba(inputs[own[held_out]]), number
            tested.append(member(ids[new], model.predict_proba(inputs[new])))
        oof[name], of_new[name] = member(ids[own], values), fused(tested)
    logits = {name: {**one, "logits": np.log(one["probabilities"]).astype(np.float32)} for name, one in of_new.items()}
    return _scores(oof, logits, known, truth.iloc[new].reset_index(drop=True), folds)


def _scores(
    oof: dict[str, Any], of_new: dict[str, Any], known: pd.DataFrame, new: pd.DataFrame, folds: NDArray[Any]
) -> Scores:
    rows, others = np.arange(len(known)), np.arange(len(new))
    evidence = {name: TASK.evidence(fused([one]), known) for name, one in oof.items()}
    found: Scores = {
        name: (METRIC.value(one, rows), METRIC.value(TASK.evidence(fused([of_new[name]]), new), others))
        for name, one in evidence.items()
    }
    best = min(found, key=lambda name: found[name][0])
    for name, step in STEPS.items():
        steps = build(TASK, [step], 1)
        made = nested(steps, oof, known, folds, METRIC, picked)
        one = TASK.evidence(made.predictions, known)
        value = METRIC.value(one, rows)
        unnested = value if made.optimistic is None else METRIC.value(TASK.evidence(made.optimistic, known), rows)
        drawn = resampled(METRIC, {"best": evidence[best], "fused": one}, None, N_RESAMPLES)
        won = gain([found[best][0]], [value], [drawn["best"]], [drawn["fused"]], len(known), greater_is_better=False)
        on_new = METRIC.value(TASK.evidence(applied(steps, of_new, made.fitted), new), others)
        found[name] = (value, on_new, unnested, won.value, (won.high - won.low) / 2, found[best][1] - on_new)
    return found


def table(draws: int, n: int) -> list[str]:
    """Means over draws, with standard errors of the mean of the gains."""
    every = [trial(seed, n) for seed in range(draws)]
    lines = []
    for name in every[0]:
        values = np.array([one[name] for one in every])
        mean, error = values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(draws)
        if name in MEMBERS:
            lines.append(f"| {name} | | {mean[0]:.3f} | {mean[1]:.3f} | | | |")
            continue
        lines.append(
            f"| {name} | {mean[2]:.3f} | {mean[0]:.3f} | {mean[1]:.3f} | {mean[3]:+.3f} ± {error[3]:.3f} | ± {mean[4]:.3f} | "
            f"{mean[5]:+.3f} ± {error[5]:.3f} |"
        )
    return lines


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--labelled", type=int, default=300)
    asked, begun = parser.parse_args(), time.process_time()
    warnings.simplefilter("ignore")
    print(
        "| | un-nested | nested | new digits | gain, nested | interval of one draw | gain on new digits |\n|---|---|---|---|---|---|---|"
    )
    print("\n".join(table(asked.draws, asked.labelled)))
    print(f"{asked.draws} draws of {asked.labelled} digits, {time.process_time() - begun:.0f} s of processor time")


if __name__ == "__main__":
    main()
