"""Metrics of folds without a class and of constant predictions: a number as in scikit-learn, or NaN, never an error."""

from typing import Any

import numpy as np
import pytest
from sklearn import metrics as reference

from goldfold import catalog, metrics
from goldfold.metrics.classification import Labelled
from goldfold.metrics.multilabel import MultiLabelled
from goldfold.metrics.regression import Valued
from goldfold.report import scores, verdict
from test_report_verdict import N, results_of

RNG = np.random.default_rng(0)
EIGHT = np.arange(8)


def yes(p: Any) -> np.ndarray:
    return np.stack([1 - np.asarray(p, float), np.asarray(p, float)], axis=1)


LABELS = {
    "no positives": Labelled(yes(RNG.random(8)), np.zeros(8, int)),
    "positives alone": Labelled(yes(RNG.random(8)), np.ones(8, int)),
    "constant": Labelled(yes(np.full(8, 0.9)), EIGHT % 2),
    "one image": Labelled(yes([0.7]), np.array([1])),
    "one class of three": Labelled(RNG.dirichlet(np.ones(3), 8), np.full(8, 2)),
    "constant of three": Labelled(np.full((8, 3), 1 / 3), EIGHT % 3),
}
SETS = {
    "no labels": MultiLabelled(RNG.random((8, 3)), np.zeros((8, 3), np.uint8)),
    "all labels": MultiLabelled(RNG.random((8, 3)), np.ones((8, 3), np.uint8)),
    "constant": MultiLabelled(np.full((8, 3), 0.5), (np.arange(24).reshape(8, 3) % 2).astype(np.uint8)),
}
NUMBERS = {
    "equal truth": Valued(RNG.normal(size=8), np.ones(8)),
    "constant": Valued(np.ones(8), RNG.integers(0, 5, 8).astype(float)),
    "one image": Valued(np.ones(1), np.ones(1)),
}
CASES = {"label": LABELS, "labels": SETS, "value": NUMBERS}
UNDEFINED = {
    ("label", "roc_auc"): {"no positives", "positives alone", "one image", "one class of three"},
    ("label", "partial_auc"): {"no positives", "positives alone", "one image", "one class of three"},
    ("label", "auc_above_tpr"): {"no positives", "positives alone", "one image", "one class of three"},
    ("label", "average_precision"): {"no positives"},
    ("label", "pf1"): {"no positives"},
    ("label", "quadratic_kappa"): {"one image"},
    ("labels", "roc_auc"): {"no labels", "all labels"},
    ("labels", "map"): {"no labels"},
    ("labels", "partial_auc"): {"no labels", "all labels"},
    ("labels", "auc_above_tpr"): {"no labels", "all labels"},
    ("labels", "pf1"): {"no labels"},
    ("labels", "map_at_k"): {"no labels"},
    ("labels", "gap"): {"no labels"},
    ("value", "r2"): {"equal truth", "one image"},
    ("value", "quadratic_kappa"): {"equal truth", "one image"},
    ("value", "pearson"): {*NUMBERS},
    ("value", "spearman"): {*NUMBERS},
}
"""Cases in which a metric has no value."""


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("target", "name"), [(target, name) for target in CASES for name in catalog.METRICS[target]])
def test_degenerate_cases_have_a_number_or_none(target: str, name: str) -> None:
    metric = metrics.build(name, catalog.METRICS[target])
    for case, evidence in CASES[target].items():
        value = metric.value(evidence, np.arange(len(evidence)))
        assert isinstance(value, float)
        is_undefined = case in UNDEFINED.get((target, name), ())
        assert np.isnan(value) == is_undefined, (case, value)
        found = metrics.score(metric, evidence, None, 20)
        assert np.isnan(found.value) == is_undefined


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("case", [*LABELS])
def test_degenerate_cases_are_scored_as_in_scikit_learn(case: str) -> None:
    evidence, labels = LABELS[case], LABELS[case].labels
    chosen = evidence.probabilities.argmax(axis=1)
    grades = range(evidence.probabilities.shape[1])
    for name, expected in {
        "f1_micro": reference.f1_score(labels, chosen, average="micro"),
        "f1_macro": reference.f1_score(labels, chosen, average="macro", zero_division=0),
        "balanced_accuracy": reference.recall_score(labels, chosen, labels=np.unique(labels), average="macro"),
        "mcc": reference.matthews_corrcoef(labels, chosen),
        "quadratic_kappa": reference.cohen_kappa_score(labels, chosen, weights="quadratic", labels=list(grades)),
        "log_loss": reference.log_loss(labels, evidence.probabilities, labels=list(grades)),
    }.items():
        found = metrics.build(name, catalog.METRICS["label"]).value(evidence, np.arange(len(evidence)))
        assert found == pytest.approx(expected, nan_ok=True), name


def test_metrics_that_compare_cases_say_so() -> None:
    """Metrics that need predictions of all folds on one scale are shown beside their mean within folds."""
    found = {
        target: {name for name in names if metrics.build(name, names).compares_cases}
        for target, names in catalog.METRICS.items()
    }
    assert found == {
        "label": {"roc_auc", "average_precision", "partial_auc", "auc_above_tpr", "gap"},
        "order": {"roc_auc"},
        "labels": {"roc_auc", "map", "partial_auc", "auc_above_tpr", "gap"},
        "value": {"pearson", "spearman"},
        "mask": set(),
        "boxes": {"ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "f1"},
        "points": {"ap"},
    }
    assert metrics.build({"partial_auc": {"max_fpr": 0.2}}, catalog.METRICS["label"]).compares_cases


def test_a_fold_without_a_score_is_named_and_left_out_of_means() -> None:
    right = np.ones(N, bool)
    results = results_of({"m-seed0": right, "n-seed0": right}, right)
    results.metric, results.whole_name, results.wanted_metric = "roc_auc", "ensemble", None
    results.named, results.leaderboard = (
        lambda table: table,
        results.leaderboard.rename(columns={"accuracy": "roc_auc"}),
    )
    results.metrics = {"oof": {"roc_auc": {"value": 0.8}}}
    one = {0: 0.75, 1: float("nan"), 2: 0.85}
    folds = {"m-seed0": one, "n-seed0": one, "ensemble": one}
    text, table = scores._by_fold(results, folds)
    assert "roc_auc cannot be computed in fold 1, as where all images of a fold have one class" in text.text
    assert table.rows[0][1:] == ["0.8000", "0.0707", "0.7500", "–", "0.8500"]
    assert verdict.spreads(results, folds)[0] == pytest.approx(0.1 / np.sqrt(2))
    results.settings, results.models = {"models": [{"name": "m"}], "seeds": [0, 1]}, ["m"]
    results.members = {"m-seed0": 0, "m-seed1": 0}
    both = {"m-seed0": one, "m-seed1": {0: 0.77, 1: float("nan"), 2: 0.87}, "ensemble": one}
    assert verdict.spreads(results, both)[1] == pytest.approx(0.02 / np.sqrt(2))
    whole = {name: {0: 0.75, 1: 0.8} for name in folds}
    assert "cannot be computed" not in scores._by_fold(results, whole)[0].text
