"""Metadata columns in the stack of the ensemble: nested, in bundles, in the report, and what runs again."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from goldfold import tasks
from goldfold.base.errors import DataError
from goldfold.ensembling import stacking
from goldfold.ensembling.nested import Nested, nested
from goldfold.ensembling.steps import build
from goldfold.ensembling.with_metadata import without
from goldfold.metadata import of_cases
from goldfold.metadata.columns import Columns
from goldfold.metadata.encoder import Encoder
from goldfold.metadata.of_cases import OfCases, encoder_of
from goldfold.metadata_gain import gain_of_metadata
from goldfold.predictions.arrays import Arrays, picked
from goldfold.targets.label_sets import to_text
from goldfold.tasks.steps import ForSteps
from test_ensemble_steps import folds_of, ids_of, labelled

CLASSES = ["a", "b", "c"]
TASK = {"name": "classification"}
KINDS = {"numeric": ["age"], "categorical": ["site"]}
STACKS: list[Any] = [{"stacking": {"metadata": True}}, {"boosted_stacking": {"trees": 20, "metadata": True}}]


def drawn(n: int, seed: int, strength: float = 1.0) -> tuple[dict[str, Arrays], pd.DataFrame, np.ndarray]:
    """Two members of three classes that know the label as well as ``strength`` says."""
    draw = np.random.default_rng([n, seed])
    labels = draw.integers(0, 3, n)
    logits = [strength * np.eye(3)[labels] + draw.normal(size=(n, 3)) for _ in range(2)]
    members = {f"m{place}": labelled(softmax(one, axis=1), CLASSES) for place, one in enumerate(logits)}
    table = pd.DataFrame({"id": ids_of(n), "label": np.array(CLASSES)[labels], "fold": folds_of(n)})
    return members, table, labels


def cases(n: int, age: Any, site: Any) -> OfCases:
    """Metadata of the cases, in another order than their predictions."""
    table = pd.DataFrame({"id": ids_of(n), "meta_age": age, "meta_site": site}).astype(str)
    return OfCases(table[::-1].reset_index(drop=True), Columns(("age",), ("site",)))


def noise(n: int, seed: int, n_sites: int = 12) -> OfCases:
    draw = np.random.default_rng([7, n, seed])
    age = np.where(draw.uniform(size=n) < 0.1, "", draw.normal(50, 9, n).round(2).astype(str))
    return cases(n, age, draw.integers(n_sites, size=n))


def knowing(labels: np.ndarray, seed: int = 0) -> OfCases:
    """Age and site tell the classes apart: age the first from the others, site the second."""
    draw = np.random.default_rng(seed)
    return cases(len(labels), 30 + 40 * (labels == 0) + draw.normal(0, 3, len(labels)), labels == 1)


def run(step: Any, members: Any, truth: pd.DataFrame, known: OfCases | None, task: Any = TASK) -> Nested:
    made = ForSteps(task, CLASSES, known)
    metric = made.metric("rmse" if task["name"] == "regression" else "log_loss")
    return nested(build(made, [step], 1), members, truth, truth["fold"].to_numpy(), metric, picked)


def gain_of(step: Any, members: Any, truth: pd.DataFrame, known: OfCases) -> dict[str, float]:
    scores = tasks.score(TASK, CLASSES)
    evidence = scores.evidence(run(step, members, truth, known).predictions, truth)
    plain = build(ForSteps(TASK, CLASSES), [without(step)], 1)
    found = gain_of_metadata(scores, plain, members, evidence, truth, scores.metric("log_loss"))
    gain: dict[str, float] = found["gain"]
    assert gain["low"] < gain["value"] < gain["high"]
    return gain


# --- what is earned


@pytest.mark.parametrize("step", STACKS)
def test_columns_that_alone_carry_the_label_gain(step: Any) -> None:
    members, truth, labels = drawn(240, 0, strength=0.0)
    assert gain_of(step, members, truth, knowing(labels))["low"] > 0.5
    found = run(step, members, truth, knowing(labels)).predictions["probabilities"]
    assert (found.argmax(axis=1) == labels).mean() > 0.95


@pytest.mark.parametrize("step", STACKS)
def test_columns_of_noise_earn_nothing(step: Any) -> None:
    """Over seeds: the mean gain is not above 0, and hardly an interval is."""
    gains = [gain_of(step, *drawn(160, seed)[:2], noise(160, seed)) for seed in range(10)]
    assert np.mean([one["value"] for one in gains]) <= 0
    assert sum(one["low"] > 0 for one in gains) <= 1


def test_a_column_with_a_level_of_its_own_for_each_case_changes_little() -> None:
    """An indicator in units of its deviation would be as good as unpenalised: the loss more than doubled."""
    members, truth, _ = drawn(160, 3)
    table = cases(160, "1", ids_of(160))
    gain = gain_of({"stacking": {"metadata": ["site"]}}, members, truth, table)
    assert abs(gain["value"]) < 0.01


# --- no leak


@pytest.mark.parametrize("step", STACKS)
def test_labels_of_a_fold_change_nothing_that_is_applied_to_it(step: Any) -> None:
    members, truth, labels = drawn(120, 1)
    own, other = truth["fold"] == 1, truth.copy()
    other.loc[own, "label"] = np.roll(other.loc[own, "label"], 1)
    one, two = (run(step, members, table, knowing(labels)) for table in (truth, other))
    assert json.dumps(one.without[1]) == json.dumps(two.without[1])
    assert one.predictions["probabilities"][own].tobytes() == two.predictions["probabilities"][own].tobytes()
    assert json.dumps(one.fitted) != json.dumps(two.fitted)


@pytest.mark.parametrize("step", STACKS)
def test_statistics_are_those_of_the_cases_that_the_stack_is_fitted_on(step: Any) -> None:
    members, truth, _ = drawn(120, 1)
    known, own = noise(120, 1), truth["fold"] == 1
    changed = known.table.assign(meta_age=known.table["meta_age"].mask(known.table["id"].isin(truth["id"][own]), "999"))
    changed.loc[changed["id"] == truth["id"][own].iloc[0], "meta_site"] = "new"
    one, two = (run(step, members, truth, OfCases(table, known.known)) for table in (known.table, changed))
    assert json.dumps(one.without[1]) == json.dumps(two.without[1])
    assert json.dumps(one.without[0]) != json.dumps(two.without[0])
    expected = Encoder.fit(known.of(truth["id"][~own].tolist()), known.known)
    assert encoder_of(one.without[1][0]["metadata"]) == expected
    assert np.isfinite(two.predictions["probabilities"]).all(), "an age of 999 and a new level are no error"


# --- columns


def test_columns_are_those_of_networks_with_a_level_each_for_linear_models() -> None:
    known = cases(5, ["10", "20", "", "30", "10"], ["x", "y", "x", "", "z"])
    fitted = json.loads(json.dumps(known.fit(ids_of(4))))
    rows = known.rows(ids_of(5), fitted)
    assert rows.tolist() == encoder_of(fitted).encode(known.of(ids_of(5))).tolist()
    assert known.columns(rows, fitted, indicators=False).tolist() == rows.tolist()
    found = known.columns(rows, fitted, indicators=True)
    assert found[:, :2].tolist() == rows[:, :2].tolist()
    assert found[:, 2:].tolist() == [[1, 0], [0, 1], [1, 0], [0, 0], [0, 0]], "missing and unknown: no level"
    assert known.only(["site"]).known == Columns((), ("site",))
    with pytest.raises(DataError, match=r"no metadata of case 'zz'"):
        known.of(["i000", "zz"])


def test_of_many_levels_the_most_frequent_have_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_cases, "MOST_LEVELS", 2)
    known = cases(6, "1", ["d", "c", "b", "b", "a", ""])
    assert known.fit(ids_of(6))["categorical"] == {"site": ["a", "b"]}


@pytest.mark.parametrize("step", STACKS)
def test_blocks_of_cases_are_stacked_alike(step: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    members, truth, labels = drawn(60, 2)
    at_once = run(step, members, truth, knowing(labels)).predictions["probabilities"]
    monkeypatch.setattr(stacking, "BLOCK", 7)
    found = run(step, members, truth, knowing(labels)).predictions["probabilities"]
    assert found == pytest.approx(at_once, abs=1e-12)


@pytest.mark.parametrize("step", STACKS)
@pytest.mark.parametrize("name", ["regression", "multilabel"])
def test_numbers_and_sets_of_labels_learn_from_metadata_too(step: Any, name: str) -> None:
    members, truth, labels = drawn(200, 4, strength=0.0)
    if name == "regression":
        values = np.random.default_rng(0).normal(size=200)
        members = {
            "m": {"ids": np.array(ids_of(200)), "classes": np.array(CLASSES), "values": values, "spreads": values * 0}
        }
        truth = truth.assign(value=labels.astype(str))
    else:
        truth = truth.assign(labels=[to_text([CLASSES[label]]) for label in labels])
    found = run(step, members, truth, knowing(labels), {"name": name}).predictions
    if name == "regression":
        assert np.abs(found["values"] - labels).mean() < 0.35
    else:
        assert (found["probabilities"].argmax(axis=1) == labels).mean() > 0.95


def test_without_metadata_a_stack_is_what_it_was() -> None:
    members, truth, labels = drawn(90, 5)
    plain, given = (run("stacking", members, truth, known) for known in (None, knowing(labels)))
    assert json.dumps(plain.fitted) == json.dumps(given.fitted)
    assert [*plain.fitted[0]] == ["members", "models"]
