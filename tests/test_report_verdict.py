"""What the report says of the score as a whole: verdict, luck of the best member, the optimistic score beside it."""

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from goldfold.metrics import score
from goldfold.metrics.paired import resampled
from goldfold.report import comparison, headline, notes, page, scores, verdict
from goldfold.report.comparison import Comparison
from goldfold.report.results import Results
from whole_task import whole

TASK = whole({"name": "classification"}, ["a", "b"])
N = 400
Made = Any


def results_of(
    members: dict[str, np.ndarray], whole_is_right: np.ndarray, metric: str = "accuracy", **more: Any
) -> Made:
    """Members by name, which are right about some of N images whose label is a."""
    truth = pd.DataFrame({"id": [f"i{n:03d}" for n in range(N)], "label": "a", "fold": np.arange(N) % 2})

    def evidence(is_right: np.ndarray) -> Any:
        p = np.where(is_right, 0.9, 0.1)
        arrays = {"ids": truth["id"].to_numpy(str), "probabilities": np.stack([p, 1 - p], axis=1)}
        return TASK.evidence({**arrays, "classes": np.array(["a", "b"])}, truth)

    chosen = TASK.metric(metric)
    found = {name: evidence(is_right) for name, is_right in members.items()}
    rows = [
        {"member": name, metric: chosen.value(one, np.arange(N)), "low": 0.0, "high": 1.0}
        for name, one in found.items()
    ]
    rows.append(
        {"member": "ensemble", metric: chosen.value(evidence(whole_is_right), np.arange(N)), "low": 0.0, "high": 1.0}
    )
    table = pd.DataFrame(rows).sort_values(metric, ascending=not chosen.greater_is_better, kind="stable")
    values = {
        "settings": {"models": [{"name": "m"}], "seeds": [0]}, "leaderboard": table, "members": found, "truth": truth,
        "member_evidence": found, "evidence": evidence(whole_is_right), "chosen_metric": chosen, "metric": metric,
        "greater_is_better": chosen.greater_is_better, "is_ensemble": True, "row": "image", "models": ["m"], "whole": "ensemble",
    }  # fmt: skip
    return SimpleNamespace(**values | more)


def right(rng: np.random.Generator, share: float) -> np.ndarray:
    return rng.uniform(size=N) < share


def compared(results: Made) -> Comparison | None:
    evidence = {**results.member_evidence, "ensemble": results.evidence}
    return comparison.find(results, resampled(results.chosen_metric, evidence, None, 300))


@pytest.mark.parametrize("n_members", [2, 8])
def test_the_best_of_equally_good_members_gains_what_the_expected_maximum_of_normals_says(n_members: int) -> None:
    rng = np.random.default_rng(0)
    members = {f"m{n}-seed0": right(rng, 0.8) for n in range(n_members)}
    found = compared(results_of(members, right(rng, 0.8)))
    assert found is not None
    grid = np.linspace(-8, 8, 4001)
    of_normals = np.trapezoid(grid * n_members * stats.norm.pdf(grid) * stats.norm.cdf(grid) ** (n_members - 1), grid)
    assert found.by_chance == pytest.approx(of_normals * np.sqrt(0.8 * 0.2 / N), rel=0.15)
    assert found.n_members == n_members
    said = comparison.luck_in_words(found, "image")
    assert f"Best of {n_members} members" in said
    assert f"{found.by_chance:.4f}" in said


def test_members_that_make_the_same_errors_gain_nothing_by_chance() -> None:
    same = right(np.random.default_rng(1), 0.8)
    found = compared(results_of({"m0-seed0": same, "m1-seed0": same}, same, "log_loss"))
    assert found is not None
    assert (found.by_chance, found.low, found.high) == (0, 0, 0)


def test_nothing_is_compared_without_resamples_or_a_second_member_and_variants_do_not_count() -> None:
    one = right(np.random.default_rng(1), 0.8)
    assert compared(results_of({"m-seed0": one}, one)) is None
    gone = results_of({"m-seed0": one, "n-seed0": one}, one)
    assert comparison.find(gone, {}) is None, "results of before the resampled scores were kept"
    models = [{"name": "m"}, {"name": "m-mixup"}]
    settings = {"models": models, "seeds": [0], "ablate": {"mixup": {"dropout": 0.1}}}
    assert compared(results_of({"m-seed0": one, "m-mixup-seed0": one}, one, settings=settings)) is None


@pytest.mark.parametrize("metric", ["accuracy", "log_loss"])
@pytest.mark.parametrize(
    ("share", "said"), [(0.97, "better than"), (0.5, "worse than"), (None, "cannot be distinguished")]
)
def test_the_verdict_is_one_sentence_on_the_gain_and_on_the_larger_randomness(
    metric: str, share: float | None, said: str
) -> None:
    rng = np.random.default_rng(0)
    members = {"m-seed0": right(rng, 0.8), "m-seed1": right(rng, 0.7)}
    results = results_of(members, members["m-seed0"] if share is None else right(rng, share), metric)
    found = compared(results)
    folds = {"m-seed0": {0: 0.8, 1: 0.7}, "m-seed1": {0: 0.81, 1: 0.69}, "ensemble": {0: 0.9, 1: 0.9}}
    text = verdict.sentence(results, folds, found)
    assert said in text
    assert text.endswith("; with one seed, the randomness of training is unknown.")
    assert len(re.findall(r"\.(\s|$)", text)) == 1
    results.settings = {"models": [{"name": "m"}], "seeds": [0, 1]}
    between_folds, between_seeds = (
        np.mean([np.std([0.8, 0.7], ddof=1), np.std([0.81, 0.69], ddof=1)]),
        0.01 / np.sqrt(2),
    )
    assert verdict.spreads(results, folds) == pytest.approx((between_folds, between_seeds))
    assert "choice of images matters more than the randomness" in verdict.sentence(results, folds, found)
    folds["m-seed1"] = {0: 0.6, 1: 0.5}
    assert "randomness of training matters at least" in verdict.sentence(results, folds, found)
    assert f"between seeds, on the same fold, by {verdict.spreads(results, folds)[1]:.4f}" in scores._spread_in_words(
        results, folds
    )


def test_the_luck_of_the_best_member_stands_in_the_notes() -> None:
    rng = np.random.default_rng(0)
    members = {f"m{n}-seed0": right(rng, 0.8) for n in range(6)}
    results = results_of(members, right(rng, 0.8))
    compared = Comparison("m0-seed0", 6, -0.01, 0.01, 300, 0.0123)
    (gain,) = notes._gain(results, compared)
    assert gain.text.endswith("inflates its score by about 0.0123.")
    (many,) = notes._metric_of_rows(results, compared)
    assert many.text.startswith(
        "The best of 6 members looks better than it is, by 0.0123 if all are equally good, because"
    )


def test_the_nested_score_is_the_headline_with_the_optimistic_one_and_the_verdict_beside_it() -> None:
    nested = score(TASK.metric("accuracy"), results_of({}, np.ones(N, bool)).evidence, None, 10).as_dict()
    results: Made = SimpleNamespace(
        metrics={"oof": {"accuracy": nested}}, metric="accuracy", truth=pd.DataFrame({"id": ["a"]}), optimistic={"value": 0.4321},
        tables={"train": pd.DataFrame({"id": ["a"]})}, steps=[{"step": "thresholds", "fitted": {}}], greater_is_better=True,
        settings={"folds": {"n_folds": 2}, "seeds": [0], "models": []}, classes=["a"], facts=TASK.facts, models=["m"], taught=[],
        grid=SimpleNamespace(trained_runs=list, rounds=[]), n_rounds=0, test_score=None, answers=None,
    )  # fmt: skip
    head = headline.headline(results, "A verdict.")
    assert head.value == "1.0000"
    assert head.beside == "optimistic (not nested): 0.4321"
    assert "(nested). Fitted and scored on the same images, they give the optimistic 0.4321." in head.sentence
    html = page.render("t", "s", head, [], [])
    assert html.index(">1.0000<") < html.index("optimistic (not nested): 0.4321") < html.index("A verdict.")
    results.optimistic = None
    assert headline.headline(results).beside == ""
    assert 'class="beside"' not in page.render("t", "s", headline.headline(results), [], [])


@pytest.mark.parametrize(
    ("weights", "steps", "name", "noun"),
    [
        ({"a-seed0": 1.0}, [], "a-seed0", "model"),
        (
            {"a-seed0": 1.0},
            [("average", None), ("temperature", {"temperature": 2})],
            "a-seed0 after temperature",
            "model",
        ),
        ({"a-seed0": 1.0, "b-seed0": 0.0}, [("average", None)], "a-seed0", "model"),
        ({"a-seed0": 1.0, "b-seed0": 0.0}, [("hill_climbing", {"weights": {}})], "ensemble", "ensemble"),
        ({"a-seed0": 0.5, "b-seed0": 0.5}, [("average", None)], "ensemble", "ensemble"),
    ],
)
def test_what_steps_change_is_listed_beside_the_member_that_it_is_made_of(
    weights: dict[str, float], steps: list[Any], name: str, noun: str
) -> None:
    """A fitted ensemble with weights other than 0 for one member alone may differ from it in each fold."""
    made = object.__new__(Results)
    made.ensemble, made.steps = {"weights": weights}, [{"step": step, "fitted": fitted} for step, fitted in steps]
    assert (made.whole_name, made.whole) == (name, noun)
    rows = made.named(pd.DataFrame({"member": [*weights, "ensemble"], "accuracy": 0.5}))
    assert sorted(rows["member"]) == sorted({*weights, name})
