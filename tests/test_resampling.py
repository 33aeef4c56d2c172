"""Scores of resamples: metrics that prepare an evidence give what they give of each resample alone."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldfold import catalog, metrics
from goldfold.metrics.bootstrap import bootstrap, draws, quantiles, resample
from goldfold.metrics.classification import Labelled
from goldfold.metrics.multilabel import MultiLabelled
from goldfold.metrics.paired import gain, resampled
from goldfold.metrics.resampling import PREPARED, drawn, place, prepared

OF_LABELS: tuple[Any, ...] = (
    "accuracy", "balanced_accuracy", "f1_macro", "log_loss", "roc_auc", "average_precision", "gap", {"map_at_k": {"k": 2}},
)  # fmt: skip
OF_SETS = ("roc_auc", "map")


def labelled(seed: int, n: int, n_classes: int, levels: int, has_thresholds: bool = False) -> Labelled:
    """Probabilities of few levels have ties within and between classes; few cases lack classes."""
    rng = np.random.default_rng(seed)
    p = rng.integers(1, levels + 1, (n, n_classes)).astype(np.float32 if seed % 2 else np.float64)
    thresholds = rng.random(n) if has_thresholds and n_classes == 2 else None
    return Labelled(p / p.sum(axis=1, keepdims=True), rng.integers(0, n_classes, n), thresholds)


def same(metric: metrics.Metric, evidence: Any, rows: Any) -> None:
    assert np.array_equal(prepared(metric, evidence)(rows), metric.value(evidence, rows), equal_nan=True)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6), n=st.integers(1, 60), n_classes=st.integers(2, 5), levels=st.sampled_from([1, 3, 10**6]),
    name=st.sampled_from(OF_LABELS), has_thresholds=st.booleans(),
)  # fmt: skip
def test_prepared_metrics_of_labels_are_the_same_to_the_last_bit(
    seed: int, n: int, n_classes: int, levels: int, name: Any, has_thresholds: bool
) -> None:
    metric = metrics.build(name, catalog.METRICS["label"])
    evidence = labelled(seed, n, n_classes, levels, has_thresholds)
    groups = [str(place // 3) for place in range(n)]
    for rows in (*draws(n, None, 3, seed), *draws(n, groups, 3, seed), *draws(n, None, 1, seed, 2 * n)):
        same(metric, evidence, rows)


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 60),
    levels=st.sampled_from([1, 3, 10**6]),
    name=st.sampled_from(OF_SETS),
)
def test_prepared_metrics_of_several_labels_are_the_same_to_the_last_bit(
    seed: int, n: int, levels: int, name: str
) -> None:
    rng = np.random.default_rng(seed)
    truth = (rng.random((n, 3)) < 0.3).astype(np.uint8)
    evidence = MultiLabelled(rng.integers(0, levels, (n, 3)) / levels, truth)
    metric = metrics.build(name, catalog.METRICS["labels"])
    for rows in draws(n, None, 5, seed):
        same(metric, evidence, rows)


def test_every_prepared_metric_is_in_the_tests_above() -> None:
    named = [metrics.build(next(iter([name] if isinstance(name, str) else name)), catalog.METRICS["label"]).function
             for name in OF_LABELS]  # fmt: skip
    named += [metrics.build(name, catalog.METRICS["labels"]).function for name in OF_SETS]
    assert [*PREPARED] == [place(function) for function in named]


def test_scores_and_comparisons_are_of_the_same_resamples() -> None:
    metric, other = metrics.build("roc_auc", catalog.METRICS["label"]), labelled(1, 50, 3, 9)
    evidence, groups = labelled(0, 50, 3, 9), [str(place // 2) for place in range(50)]
    found = metrics.score(metric, evidence, groups, 100)
    assert found == bootstrap(lambda rows: metric.value(evidence, rows), 50, groups, 100)
    both = resampled(metric, {"one": evidence, "other": other}, groups, 100)
    for name, one in (("one", evidence), ("other", other)):
        assert np.array_equal(both[name], drawn(metric, one, groups, 100), equal_nan=True)


@pytest.mark.parametrize("n_resamples", [0, 1])
def test_without_resamples_there_is_no_interval(n_resamples: int) -> None:
    found = metrics.score(metrics.build("accuracy", catalog.METRICS["label"]), labelled(0, 20, 2, 9), None, n_resamples)
    assert np.isnan(found.low) == (n_resamples == 0)


def test_intervals_of_few_cases_or_groups_are_expanded() -> None:
    values = np.random.default_rng(0).normal(size=400)
    groups = [f"g{place // 20}" for place in range(400)]

    def wider(names: list[str] | None) -> float:
        def mean(rows: Any) -> float:
            return float(values[rows].mean())

        found = bootstrap(mean, 400, names, 4000)
        low, high = np.quantile(resample(mean, 400, names, 4000), [0.025, 0.975])
        return (found.high - found.low) / float(high - low)

    assert wider(None) == pytest.approx(1.003, abs=0.01)
    assert wider(groups) == pytest.approx(np.sqrt(20 / 19) * 2.093 / 1.96, abs=0.05)


def test_one_independent_case_has_no_interval_of_a_score_or_a_gain() -> None:
    """All resamples of one group are the same: an interval without width would call any difference more than noise."""
    right = np.array([1.0, 1.0, 0.0, 1.0])
    found = bootstrap(lambda rows: float(right[rows].mean()), 4, ["g"] * 4)
    assert found.value == 0.75
    assert np.isnan([found.low, found.high]).all()
    won = gain([0.5], [0.75], [np.full(9, 0.5)], [np.full(9, 0.75)], 1)
    assert (won.value, won.verdict) == (0.25, "")
    assert gain([0.5], [0.75], [np.full(9, 0.5)], [np.full(9, 0.75)], 2).verdict == "better"


def test_expanded_intervals_of_20_cases_contain_the_truth_more_often() -> None:
    draw, hits = np.random.default_rng(0), {"plain": 0, "expanded": 0}
    for _ in range(1000):
        values = draw.exponential(size=20)
        drawn = draw.multinomial(20, np.full(20, 0.05), 400) @ values / 20
        for name, (low, high) in (("plain", np.quantile(drawn, [0.025, 0.975])), ("expanded", quantiles(drawn, 20))):
            hits[name] += int(low <= 1 <= high)
    assert hits["expanded"] - hits["plain"] >= 10
    assert hits["expanded"] >= 890
