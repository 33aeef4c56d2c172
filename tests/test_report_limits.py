"""Warnings of intervals from few cases and of medians; scores pooled over folds beside those within folds."""

from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from goldfold.metrics import Metric
from goldfold.report import headline, limits


def results(n: int, metric: str = "accuracy", **columns: Any) -> Any:
    truth = pd.DataFrame({"id": [str(place) for place in range(n)], **columns})
    return SimpleNamespace(
        truth=truth, metric=metric, row="image", whole_name="ensemble",
        chosen_metric=Metric(len, compares_cases=metric == "own_ranking"),
        metrics={"oof": {metric: {"value": 0.8}}},
    )  # fmt: skip


@pytest.mark.parametrize(("n", "groups", "text"), [
    (49, None, "of 49 images only"), (50, None, ""), (300, 30, "of 30 groups of images only"), (300, 50, ""),
])  # fmt: skip
def test_few_independent_cases_are_warned_of(n: int, groups: int | None, text: str) -> None:
    columns = {} if groups is None else {"group": [str(place % groups) for place in range(n)]}
    found = list(limits.notes(results(n, **columns)))
    assert [text in note.title for note in found] == [True] * bool(text)


def test_medians_are_warned_of() -> None:
    assert [note.title for note in limits.notes(results(99, "median_error"))] == ["The interval of a median is coarse"]


def test_a_score_that_compares_cases_of_different_folds_is_shown_beside_that_within_folds() -> None:
    folds = {"ensemble": {0: 0.9, 1: 0.88}}
    assert (
        "0.8000 over all folds together (the headline) and 0.8900 as the mean within folds"
        in limits.pooled_in_words(results(99, "own_ranking"), folds)
    )
    assert limits.pooled_in_words(results(99, "accuracy"), folds) == ""
    assert limits.pooled_in_words(results(99, "own_ranking"), {"ensemble": {0: 0.9}}) == ""


def test_limits_are_told_wherever_an_interval_is_shown() -> None:
    assert limits.in_words(results(50)) == ""
    assert limits.in_words(results(300, "median_error", group=[str(place % 30) for place in range(300)])) == (
        "An interval from fewer than 50 independent groups of images (30 here) is too narrow. median_error takes few different "
        "values over resamples, so its interval is coarse."
    )
    few = headline._limits(*limits.independent(results(49).truth, "test image"), "accuracy", "0.1 to 0.2")
    assert few == " An interval from fewer than 50 independent test images (49 here) is too narrow."
    assert headline._limits(49, "images", "accuracy", "–") == "", "without an interval there is nothing to warn of"
