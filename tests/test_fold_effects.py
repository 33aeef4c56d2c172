"""Stacks of members that know nothing but the labels of their training parts, in folds of unlike labels."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from goldfold.ensembling.fold_effects import intercepts
from goldfold.ensembling.nested import nested
from goldfold.ensembling.steps import build
from goldfold.predictions.arrays import Arrays, picked
from test_members_chosen import NUMBER
from whole_task import whole

N_FOLDS, N_OF_FOLD, N_SETS = 5, 40, 4
CLASSES = ["a", "b"]
KINDS: dict[str, Any] = {
    "classification": whole({"name": "classification"}, CLASSES),
    "regression": NUMBER,
}
FOLDS = np.repeat(np.arange(N_FOLDS), N_OF_FOLD)
IDS = np.array([f"i{row:03d}" for row in range(len(FOLDS))])


def knowing_nothing(kind: str, seed: int, noise: float) -> tuple[dict[str, Arrays], pd.DataFrame]:
    """Each member predicts the mean of its training part, with a little noise of its own."""
    draw = np.random.default_rng(seed)
    effects = draw.normal(size=N_FOLDS)[FOLDS]
    target = draw.normal(size=len(FOLDS)) + effects
    if kind == "classification":
        target = (draw.random(len(FOLDS)) < 1 / (1 + np.exp(-effects))).astype(float)
    base = np.array([target[fold != FOLDS].mean() for fold in range(N_FOLDS)])[FOLDS]
    members: dict[str, Arrays] = {}
    for name in ("m", "n"):
        own = draw.normal(size=len(FOLDS)) * noise
        if kind == "classification":
            logit = np.log(base / (1 - base)) + own
            values = {"classes": np.array(CLASSES), "logits": np.stack([0 * logit, logit], axis=1).astype(np.float32)}
            members[name] = {"ids": IDS, **values}
        else:
            members[name] = {
                "ids": IDS, "classes": np.array(NUMBER.classes), "values": base + own, "spreads": np.zeros(len(FOLDS)),
            }  # fmt: skip
    if kind == "classification":
        return members, pd.DataFrame({"id": IDS, "label": np.array(CLASSES)[target.astype(int)]})
    return members, pd.DataFrame({"id": IDS, "value": target.astype(str)})


def score(step: Any, kind: str, metric: str, noise: float) -> float:
    """Mean nested score over sets."""
    task, found = KINDS[kind], []
    for seed in range(N_SETS):
        members, truth = knowing_nothing(kind, seed, noise)
        made = nested(build(task, [step], 1), members, truth, FOLDS, task.metric(metric), picked)
        found.append(task.metric(metric).value(task.evidence(made.predictions, truth), np.arange(len(truth))))
    return float(np.mean(found))


@pytest.mark.parametrize("noise", [0.02, 0.2])
@pytest.mark.parametrize("step", ["stacking", {"boosted_stacking": {"trees": 15}}], ids=["linear", "boosted"])
def test_a_stack_does_not_learn_from_means_of_training_parts_what_a_fold_lacks(step: Any, noise: float) -> None:
    """A stack of these members with one intercept for all folds has a log loss of 0.57, an AUC of 0.75 and an R2 of 0.4."""
    plain = score("average", "classification", "log_loss", noise)
    assert score(step, "classification", "log_loss", noise) > plain - 0.05
    assert score(step, "classification", "roc_auc", noise) < 0.55
    assert score(step, "regression", "r2", noise) < 0.05


@pytest.mark.parametrize("size", [3, 100])
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_the_intercept_gives_each_class_its_share(n_outputs: int, size: float) -> None:
    """Also of outputs that are nearly all certain."""
    draw = np.random.default_rng(0)
    outputs, target = draw.normal(size=(200, n_outputs)) * size, draw.integers(0, max(2, n_outputs), 200)
    found = outputs + intercepts(outputs, target)
    full = np.concatenate([np.zeros((200, 1)), found], axis=1) if n_outputs == 1 else found
    probabilities = softmax(full, axis=1)
    assert probabilities.mean(axis=0) == pytest.approx(np.bincount(target) / 200, abs=1e-7)
