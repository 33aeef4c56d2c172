"""What the report says of fitted steps: their spread over folds, and the nested score after each."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

from goldfold.drawing.blocks import Table
from goldfold.ensembling.nested import Nested, nested
from goldfold.ensembling.steps import build, weights_of
from goldfold.metrics.calibration import binned
from goldfold.predictions.arrays import picked
from goldfold.report import ensemble, fitted
from whole_task import whole

CLASSES = ["a", "b", "c"]
TASK = whole({"name": "classification"}, CLASSES)
N = 120
Made = Any


def results_of(steps: list[Any], metric: str = "log_loss", n_members: int = 2) -> tuple[Made, Nested]:
    """A run of overconfident members whose steps were fitted as the stage does."""
    rng = np.random.default_rng(0)
    ids, labels, folds = [f"i{n:03d}" for n in range(N)], rng.integers(3, size=N), np.arange(N) % 3
    truth = pd.DataFrame({"id": ids, "label": np.array(CLASSES)[labels], "fold": folds})
    members = {}
    for name in [f"m{n}-seed0" for n in range(n_members)]:
        logits = 6 * rng.normal(size=(N, 3)) + 4 * np.eye(3)[labels]
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        members[name] = {
            "ids": np.array(ids),
            "classes": np.array(CLASSES),
            "probabilities": p / p.sum(axis=1, keepdims=True),
        }
    made = nested(build(TASK, steps, 1), members, truth, folds, TASK.metric(metric), picked)
    weights = weights_of(made.fitted[0], members) if made.fitted[0] else dict.fromkeys(members, 1.0)
    return SimpleNamespace(
        ensemble={"method": "probability", "weights": {name: one / sum(weights.values()) for name, one in weights.items()}},
        steps=[{"step": step, "fitted": one} for step, one in zip(steps, made.fitted, strict=True)],
        without_fold=made.without, truth=truth, members=members, joined=members.get,
        evidence=TASK.evidence(made.predictions, truth),
        task={"name": "classification"}, classes=CLASSES, scores=TASK, facts=TASK.facts, row="image", made=[],
        metric=metric, chosen_metric=TASK.metric(metric), optimistic={"value": 0.4321}, metrics={},
    ), made  # fmt: skip


def tables(blocks: list[Any]) -> dict[str, Table]:
    """Tables by the name of their first two columns."""
    return {" ".join(block.columns[:2]): block for block in blocks if isinstance(block, Table)}


def test_log_loss_and_calibration_error_stand_before_and_after_a_temperature_both_nested() -> None:
    results, made = results_of(["hill_climbing", "temperature"])
    found = fitted.stages(results)
    assert [*found] == ["hill_climbing", "temperature"]
    assert np.array_equal(found["temperature"].probabilities, results.evidence.probabilities), "what is reported"
    before, after, flat = tables(fitted.blocks(results))[" log_loss"].rows
    assert flat == ["fitted on the scored images (optimistic)", "0.4321", "–"]
    labels = found["temperature"].labels
    assert float(after[1]) == pytest.approx(log_loss(labels, made.predictions["probabilities"]), abs=5e-5)
    assert float(before[1]) == pytest.approx(log_loss(labels, found["hill_climbing"].probabilities), abs=5e-5)
    assert float(after[1]) < float(before[1])
    assert float(after[2]) < float(before[2]), "calibration error"
    flattered = log_loss(labels, made.optimistic["probabilities"])
    assert float(after[1]) != pytest.approx(flattered, abs=5e-5), "the un-nested log loss is another number"
    assert any(getattr(block, "name", "") == "reliability_of_steps" for block in fitted.blocks(results))


def test_each_parameter_stands_with_its_range_over_the_fits_without_a_fold() -> None:
    results, made = results_of(["simplex", "temperature"])
    ranges = [made.without[fold][1]["temperature"] for fold in range(3)]
    said = f"{min(ranges):.4g} to {max(ranges):.4g}"
    (row,) = tables(fitted.blocks(results))["step parameter"].rows
    assert row == ["temperature", "temperature", f"{made.fitted[1]['temperature']:.4g}", said]
    weights = tables(ensemble.section(results).blocks)["member weight"]  # type: ignore[union-attr]
    assert weights.columns == ["member", "weight", "without a fold"]
    of_first = [made.without[fold][0]["weights"]["m0-seed0"] for fold in range(3)]
    assert weights.rows[0][2] == f"{min(of_first):.3f} to {max(of_first):.3f}"
    assert min(of_first) < max(of_first)


def test_an_average_with_given_weights_has_no_range_and_thresholds_a_score_before_and_after() -> None:
    results, made = results_of(["average", "temperature"], n_members=1)
    assert fitted.weights_without_fold(results) == []
    assert [*fitted.stages(results)] == ["average", "temperature"]
    (row,) = tables(fitted.blocks(results))["step parameter"].rows
    assert row[2] == f"{made.fitted[1]['temperature']:.4g}"
    results.members = {}
    assert fitted.stages(results) == {}, "predictions of the members are gone"


def test_the_calibration_error_of_sure_decisions_is_their_share_of_errors() -> None:
    assert binned(np.ones(10), np.arange(10) < 7).error == pytest.approx(0.3)
    assert binned(np.full(4, 0.75), np.array([True, True, True, False])).error == 0
