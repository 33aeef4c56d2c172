"""Differences between all pairs of members: the test, its correction, and what the report says of them."""

from itertools import combinations
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from goldfold import catalog, metrics
from goldfold.metrics import luck
from goldfold.metrics.classification import Labelled
from goldfold.metrics.paired import resampled
from goldfold.metrics.pairs import Pair, holm, pairs
from goldfold.report import pairs as report

N = 400
Made = Any


def members(
    shares: list[float], seed: int = 0, n: int = N, metric: str = "accuracy"
) -> tuple[dict[str, float], dict[str, Any]]:
    """Scores of members that are right about these shares of ``n`` cases, and the same of resamples."""
    rng = np.random.default_rng(seed)
    hard, labels = rng.random(n), np.zeros(n, int)
    evidence = {}
    for place, share in enumerate(shares):
        p = np.where(stats.norm.cdf(stats.norm.ppf(hard) * 0.6 + rng.normal(size=n) * 0.8) < share, 0.9, 0.1)
        evidence[f"m{place}-seed0"] = Labelled(np.stack([p, 1 - p], axis=1), labels)
    chosen = metrics.build(metric, catalog.METRICS["label"])
    values = {name: chosen.value(one, np.arange(n)) for name, one in evidence.items()}
    return values, resampled(chosen, evidence, None, 300)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_the_closed_test_of_all_sets_by_bonferroni(p: list[float]) -> None:
    """A hypothesis is rejected if each set of hypotheses with it is (Marcus, Peritz and Gabriel 1976)."""
    sets = [one for size in range(1, len(p) + 1) for one in combinations(range(len(p)), size)]
    for place, found in enumerate(holm(p)):
        assert found == pytest.approx(
            min(1, max(len(one) * min(p[other] for other in one) for one in sets if place in one))
        )


def test_pairs_without_a_test_do_not_count() -> None:
    found = holm([0.02, float("nan"), 0.01])
    assert found[::2] == [0.02, 0.02]
    assert np.isnan(found[1])


@pytest.mark.parametrize("metric", ["accuracy", "log_loss"])
def test_a_pair_is_tested_on_the_resamples_that_both_are_scored_on(metric: str) -> None:
    values, drawn = members([0.7, 0.8], metric=metric)
    (pair,) = pairs(values, drawn, N, metric == "accuracy")
    assert (pair.better, pair.other) == ("m1-seed0", "m0-seed0")
    difference = abs(values["m1-seed0"] - values["m0-seed0"])
    deviation = np.std(drawn["m1-seed0"] - drawn["m0-seed0"], ddof=1) * np.sqrt(N / (N - 1))
    assert pair.gain.value == pytest.approx(difference)
    assert pair.gain.p == pytest.approx(2 * stats.t.sf(difference / deviation, N - 1))
    assert (pair.gain.low, pair.gain.high) == pytest.approx(
        (difference - 1.966 * deviation, difference + 1.966 * deviation), rel=1e-3
    )
    assert pair.p_holm == pair.gain.p, "one pair is one test"


def test_equally_good_members_differ_one_by_one_and_seldom_with_the_correction() -> None:
    """28 pairs of 8 members in each of 60 data sets."""
    found = [[pair.verdict for pair in pairs(*members([0.8] * 8, seed), N)] for seed in range(60)]
    some = np.mean([set(verdicts) != {"noise"} for verdicts in found])
    better = np.mean(["better" in verdicts for verdicts in found])
    assert better <= 0.1 < 0.4 < some
    alone = np.mean([verdict != "noise" for verdicts in found for verdict in verdicts])
    assert 0.02 < alone < 0.09, "about one in twenty, if each pair is tested alone"


def test_a_member_that_is_better_is_found_among_equals_and_identical_ones_are_noise() -> None:
    values, drawn = members([0.8, 0.8, 0.95])
    assert {pair.verdict for pair in pairs(values, drawn, N) if pair.better == "m2-seed0"} == {"better"}
    same = {"a": 0.8, "b": 0.8}
    (pair,) = pairs(same, {"a": drawn["m0-seed0"], "b": drawn["m0-seed0"]}, N)
    assert (pair.gain.value, pair.gain.low, pair.gain.high, pair.gain.p, pair.verdict) == (0, 0, 0, 1, "noise")


def test_members_without_a_score_are_left_out_and_without_resamples_nothing_is_known() -> None:
    nothing = np.full(300, np.nan)
    values, drawn = members([0.8, 0.9])
    found = pairs({**values, "x": float("nan")}, {**drawn, "x": nothing}, N)
    assert [(pair.better, pair.other) for pair in found] == [("m1-seed0", "m0-seed0")]
    (pair,) = pairs({"a": 0.8, "b": 0.7}, {"a": nothing, "b": nothing}, N)
    assert pair.verdict == ""
    assert np.isnan(pair.p_holm)


def results_of(values: dict[str, float], n: int = N, seeds: tuple[int, ...] = (0,), metric: str = "accuracy") -> Made:
    models = sorted({name.split("-seed")[0] for name in values if "-seed" in name})
    rows = pd.DataFrame({"member": [*values], metric: [*values.values()]}).sort_values(metric, ascending=False)
    return SimpleNamespace(
        settings={"models": [{"name": name} for name in models], "seeds": list(seeds)}, models=models, leaderboard=rows,
        metric=metric, greater_is_better=True, row="image", truth=pd.DataFrame({"id": range(n)}),
    )  # fmt: skip


def texts(section: Any) -> str:
    return " ".join(block.text for block in section.blocks if block.kind == "text")


def test_the_report_names_noise_counts_chance_and_compares_with_seeds() -> None:
    values, drawn = members([0.8, 0.8, 0.95])
    values["tool"], drawn["tool"] = values.pop("m1-seed0"), drawn.pop("m1-seed0")
    results = results_of(values)
    found = report.find(results, drawn)
    section = report.section(results, found)
    assert section is not None
    assert [block.kind for block in section.blocks] == ["text", "figure", "table"]
    said = texts(section)
    assert "Of 3 pairs, 2 differ if each is tested alone (interval without 0), and 1 is noise." in said
    assert "about 0.2 would differ by chance. With Holm's correction for 3 tests, 2 differ." in said
    assert "trained again with other seeds, two models may differ by more" in said
    assert "too narrow" not in said
    rows = section.blocks[2].rows
    assert [row[-1] for row in rows] == ["better", "better", "noise"]
    assert "tool" in {row[1] for row in rows}, "external members too"
    assert section.blocks[1].svg.count(">noise<") == 1
    table = report.table(found)
    assert table is not None
    assert list(table.columns) == ["better", "other", "difference", "low", "high", "p", "p_holm", "verdict"]
    assert list(table["verdict"]) == ["better", "better", "noise"]


def test_pairs_of_one_model_say_what_the_seeds_alone_change() -> None:
    values, drawn = members([0.8, 0.8])
    renamed = {"m0-seed0": "m0-seed0", "m1-seed0": "m0-seed1"}
    values, drawn = ({renamed[name]: one for name, one in found.items()} for found in (values, drawn))
    results = results_of(values, 40, (0, 1), "median_hit")
    section = report.section(results, report.find(results, drawn))
    assert section is not None
    assert [block.kind for block in section.blocks] == ["text", "table"], "two members need no matrix"
    said = texts(section)
    assert "The difference between the two members is noise: its interval contains 0." in said
    assert f"Between seeds of one model the difference is up to {abs(np.subtract(*values.values())):.4f}" in said
    assert "fewer than 50 independent images (40 here) is too narrow. median_hit takes few different values" in said


def test_of_many_members_the_best_are_shown_and_all_are_in_the_table() -> None:
    values, drawn = members(list(np.linspace(0.7, 0.9, 15)))
    results = results_of(values)
    found = report.find(results, drawn)
    section = report.section(results, found)
    assert section is not None
    shown = {name for row in section.blocks[2].rows for name in row[:2]}
    assert shown == {*results.leaderboard["member"][:12]}
    assert "The best 12 of 15 members are shown; pairs.csv has all pairs." in section.blocks[1].caption
    table = report.table(found)
    assert table is not None
    assert len(table) == 105


def test_one_member_has_no_pairs() -> None:
    values, drawn = members([0.8])
    results = results_of(values)
    assert report.find(results, drawn) == []
    assert report.section(results, []) is None
    assert report.table([]) is None


def test_a_pair_that_only_the_number_of_tests_explains_is_unclear() -> None:
    gain = pairs(*members([0.7, 0.8]), N)[0].gain
    assert gain.verdict == "better"
    assert [Pair("a", "b", gain, p).verdict for p in (0.04, 0.06)] == ["better", "unclear"]


@pytest.mark.parametrize("n", [2, 6])
def test_both_estimators_of_luck_agree_for_independent_members(n: int) -> None:
    drawn = np.random.default_rng(0).normal(0.8, 0.02, (n, 4000))
    assert luck.of_resamples(drawn) == pytest.approx(luck.of_deviations([0.02] * n), rel=0.05)
    assert luck.of_resamples(np.tile(drawn[:1], (n, 1))) == pytest.approx(0, abs=1e-3), "what errors share cancels"
