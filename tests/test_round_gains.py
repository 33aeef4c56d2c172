"""Gain of each round over the one before: which rounds are compared, on which resamples, and what the report says."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conftest import Tiny
from goldfold.drawing.blocks import Table
from goldfold.metrics.bootstrap import draws
from goldfold.metrics.paired import gain
from goldfold.predictions.arrays import load
from goldfold.report import round_gains, scores
from test_tasks import members_file, run_ensemble

ROUNDS: dict[str, Any] = {"models": ["a", "b"], "seeds": [0, 1], "rounds": [["a", "b"], ["a"], ["a", "b"]]}


@pytest.fixture
def predictions(tiny: Tiny, tmp_path: Path) -> Path:
    """Predictions of a, which gains 0.2 in round 1, and of b, which round 1 does not train."""
    for model, number, right in (("a", 0, 0.6), ("a", 1, 0.8), ("a", 2, 0.8), ("b", 0, 0.5), ("b", 2, 0.45)):
        for seed in (0, 1):
            members_file(tmp_path / "p", tiny, model, number, right - 0.05 * seed, seed)
    return tmp_path / "p"


def rounds_of(predictions: Path, tiny: Tiny, out: Path, **changes: Any) -> dict[tuple[str, int, int], Any]:
    made = run_ensemble(predictions, tiny, out, **ROUNDS, **changes)
    return {(one.pop("of"), one.pop("before"), one.pop("after")): one for one in made["rounds"]}


def test_models_are_compared_in_the_rounds_that_train_them_and_ensembles_in_all(
    predictions: Path, tiny: Tiny, tmp_path: Path
) -> None:
    found = rounds_of(predictions, tiny, tmp_path)
    assert [*found] == [
        ("ensemble", 0, 1), ("a", 0, 1), ("ensemble", 1, 2), ("a", 1, 2), ("b", 1, 2), ("ensemble", 0, 2),
    ]  # fmt: skip
    assert found["a", 0, 1]["value"] == pytest.approx(0.2)
    assert found["a", 0, 1]["low"] > 0
    assert found["a", 1, 2]["value"] == 0
    assert found["b", 1, 2]["low"] < 0 < found["b", 1, 2]["high"]
    silent = rounds_of(predictions, tiny, tmp_path, weights={"a": 0.0})
    assert [*silent] == [*found], "models of weight 0 are compared too"


@pytest.mark.parametrize("grouped", [False, True])
def test_the_gain_is_that_of_goldfold_compare_on_the_same_resamples_by_case_or_by_group(
    predictions: Path, tiny: Tiny, tmp_path: Path, grouped: bool
) -> None:
    table = pd.read_csv(tiny.folds / "train.csv", dtype=str)
    if grouped:
        table = table.assign(group=[f"g{int(row) // 4}" for row in range(len(table))])
    table.to_csv(tmp_path / "train.csv", index=False)
    found = rounds_of(predictions, tiny, tmp_path, train=str(tmp_path / "train.csv"))
    groups = list(table["group"]) if grouped else None
    hits: dict[int, list[Any]] = {}
    for number in (0, 1):
        for seed in (0, 1):
            parts = [load(predictions / f"a/round{number}/fold{fold}/seed{seed}/oof.npz") for fold in (0, 1)]
            chosen = {id: row.argmax() for part in parts for id, row in zip(part["ids"], part["logits"], strict=True)}
            right = [tiny.classes[chosen[id]] == label for id, label in zip(table["id"], table["label"], strict=True)]
            hits.setdefault(number, []).append(np.array(right, float))
    rows = [*draws(len(table), groups, 1000)]
    drawn = [[np.array([one[row].mean() for row in rows]) for one in hits[number]] for number in (0, 1)]
    values = [[float(one.mean()) for one in hits[number]] for number in (0, 1)]
    n = table["group"].nunique() if grouped else len(table)
    wanted = gain(values[0], values[1], drawn[0], drawn[1], n)
    for name in ("value", "low", "high", "p"):
        assert found["a", 0, 1][name] == pytest.approx(getattr(wanted, name)), name


def test_a_round_without_an_ensemble_is_not_compared_and_one_round_has_no_gains(
    predictions: Path, tiny: Tiny, tmp_path: Path
) -> None:
    how: dict[str, Any] = {"models": ["a", "b"], "seeds": [0, 1], "rounds": [["b"], ["a"]], "weights": {"b": 0.0}}
    for seed in (0, 1):
        members_file(predictions, tiny, "a", 1, 0.8, seed)
    assert "rounds" not in run_ensemble(predictions, tiny, tmp_path, **how), "a has no round before, b is trained once"
    assert "rounds" not in run_ensemble(predictions, tiny, tmp_path, **{**how, "rounds": 1})


def results(entries: list[dict[str, Any]], **changes: Any) -> Any:
    whole = pd.DataFrame(
        {"member": "ensemble", "round": [0, 1], "accuracy": [0.8, 0.82], "low": [0.7, 0.72], "high": [0.9, 0.92]}
    )
    settings = {"models": [{"name": "net"}], "seeds": [0]}
    return SimpleNamespace(
        metrics={"rounds": json.loads(json.dumps(entries))} if entries else {}, settings=settings, whole_name="ensemble",
        whole="ensemble", truth=pd.DataFrame({"id": range(40)}), row="image", metric="accuracy", greater_is_better=True,
        rounds=whole, taught=False, is_ensemble=True, **changes,
    )  # fmt: skip


def entry(of: str, value: float, half: float | None) -> dict[str, Any]:
    ends = (
        {"low": None, "high": None, "p": None}
        if half is None
        else {"low": value - half, "high": value + half, "p": 0.3}
    )
    return {"of": of, "before": 0, "after": 1, "value": value, **ends}


@pytest.mark.parametrize(
    ("half", "word", "said"),
    [
        (
            0.01,
            "gain",
            "improved from 0.8000 to 0.8200 (+0.0200): a gain beyond the choice of images (95 % interval of",
        ),
        (0.03, "no difference that the cases can show", ": no difference that the images can show (95 % interval of"),
        (None, "unknown", "(+0.0200)."),
    ],
)
def test_the_report_says_what_the_cases_can_show(half: float | None, word: str, said: str) -> None:
    found = results([entry("ensemble", 0.02, half), entry("net", -0.05, 0.01)])
    (text, table) = round_gains.blocks(found)
    assert isinstance(table, Table)
    assert [[row[0], row[1], row[-1]] for row in table.rows] == [
        ["1 after 0", "ensemble", word],
        ["1 after 0", "net", "loss"],
    ]
    assert "the same 40 images" in text.text  # type: ignore[union-attr]
    assert "With one seed, the randomness of training is not part of the interval" in text.text  # type: ignore[union-attr]
    assert said in scores.rounds_in_words(found)


def test_the_only_member_is_not_listed_beside_the_ensemble() -> None:
    found = results([entry("ensemble", 0.02, 0.01), entry("net", 0.02, 0.01)])
    table = round_gains.blocks(found)[1]
    assert isinstance(table, Table)
    assert [row[1] for row in table.rows] == ["ensemble"]
    several = results([entry("ensemble", 0.0, 0.0), entry("net", 0.0, 0.0), entry("other", 0.0, 0.0)])
    table = round_gains.blocks(several)[1]
    assert isinstance(table, Table)
    assert len(table.rows) == 3


def test_results_without_gains_of_rounds_have_no_table() -> None:
    assert round_gains.blocks(results([])) == []
    assert scores.rounds_in_words(results([])).endswith("improved from 0.8000 to 0.8200 (+0.0200).")
