"""What the report says of training recipes: students, restarts, snapshots, inner trainings."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from goldfold.report import training
from goldfold.report.results import Run

Made = Any


def run_of(history: dict[str, Any], record: dict[str, Any] | None = None) -> Run:
    return Run("m", 0, 0, 0, record or {}, pd.DataFrame(history))


def results_of(runs: list[Run], train: dict[str, Any], **more: Any) -> Made:
    values = {
        "settings": {"models": [{"name": "m", "train": train}]}, "models": ["m"], "runs": runs, "metric": "accuracy",
        "watched_metric": "accuracy", "greater_is_better": True, "taught": [],
    }  # fmt: skip
    return SimpleNamespace(**values | more)


@pytest.mark.parametrize("weight", [0.25, 0.5, 1.0])
def test_a_students_loss_on_its_labels_is_drawn_without_the_part_of_its_teacher(weight: float) -> None:
    own, teacher, features = np.array([2.0, 1.0]), np.array([5.0, 4.0]), np.array([0.3, 0.2])
    history = {
        "epoch": [0, 1], "train_loss": (1 - weight) * own + weight * teacher + features, "val_loss": [2.1, 1.1],
        "train_loss_own": (1 - weight) * own, "train_loss_distill": weight * teacher, "train_loss_features": features,
    }  # fmt: skip
    run = run_of(history)
    results = results_of([run], {"distill": {"teacher": "t", "weight": weight}})
    found = training.on_labels(results, run)["train_loss"]
    about = training._about_losses(results)
    assert training.STUDENT_LOSS in about
    assert (training.TAUGHT_ALONE in about) == (weight == 1)
    assert found.isna().all() if weight == 1 else np.allclose(found, own)
    assert training.table(results)["train_loss"].equals(found), "curves.csv has what is drawn"
    plain = run_of({"epoch": [0], "train_loss": [2.0]})
    assert training.on_labels(results, plain) is plain.history
    assert training._about_losses(results_of([plain], {})) == ""
    assert "weight" in training._about_losses(results_of([plain], {}, taught=[1]))


@pytest.mark.parametrize(
    ("rates", "is_said"),
    [([1.0, 2.0, 1.5, 1.0, 0.5, 0.1], True), ([1.0, 0.1, 1.0, 0.1, 1.0, 0.1], False), ([1.0] * 6, True)],
)
def test_more_epochs_are_not_advised_where_the_learning_rate_restarts(rates: list[float], is_said: bool) -> None:
    history = {"epoch": range(6), "train_loss": 1.0, "accuracy": [0.1, 0.3, 0.5, 0.6, 0.7, 0.8], "lr": rates}
    curve = {"lr_curve": [[place, rate] for place, rate in enumerate(rates)]}
    for run in (run_of(history), run_of(history, curve)):
        assert bool([*training.still_rising(results_of([run, run], {}))]) == is_said
