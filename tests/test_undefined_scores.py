"""Scores that are undefined, and labels without images: values, notes of the report, resamples that are dropped."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from goldfold import catalog, metrics
from goldfold.metrics import regression
from goldfold.metrics.classification import Labelled
from goldfold.metrics.multilabel import MultiLabelled
from goldfold.report import absent, unscored
from goldfold.report.results import ENSEMBLE


@pytest.mark.parametrize(("n", "number"), [(7, 0.1), (10, 0.3), (6, 0.7), (1, 2.0)])
def test_equal_numbers_have_no_correlation_and_no_r2(n: int, number: float) -> None:
    """The mean of 7 times 0.1 is not 0.1 in floating point."""
    equal, rising = np.full(n, number), np.arange(float(n))
    assert np.isnan(regression.r2(rising, equal))
    for metric in (regression.pearson, regression.spearman):
        assert np.isnan(metric(equal, rising))
        assert np.isnan(metric(rising, equal))
    if n > 1:
        assert regression.r2(equal, rising) < 0 < regression.pearson(rising + number, rising)


# --- labels without images


def of_labels(name: str) -> metrics.Metric:
    return metrics.build(name, catalog.METRICS["labels"])


@pytest.mark.parametrize("false_positives", [0, 1])
@pytest.mark.parametrize("average", ["macro", "micro"])
def test_f1_of_a_label_without_images_is_that_of_scikit_learn(average: str, false_positives: int) -> None:
    draw = np.random.default_rng(0)
    true, said = draw.integers(0, 2, (30, 3)), draw.random((30, 3))
    true[:, 2], said[:, 2], said[:false_positives, 2] = 0, 0.1, 0.6
    found = MultiLabelled(said, true.astype(np.uint8))
    expected = f1_score(true, said >= 0.5, average=average, zero_division=0.0)
    assert of_labels(f"f1_{average}").value(found, np.arange(30)) == pytest.approx(expected)
    nothing = MultiLabelled(np.zeros((3, 2)), np.zeros((3, 2), np.uint8))
    assert of_labels(f"f1_{average}").value(nothing, np.arange(3)) == 0


def results(metric: str, true: Any) -> Any:
    truth = np.array(true, np.uint8)
    return SimpleNamespace(
        truth=pd.DataFrame({"fold": np.arange(len(truth)) % 2}), classes=["a", "b", "c"][: truth.shape[1]], row="image",
        evidence=MultiLabelled(truth * 0.8, truth), chosen_metric=of_labels(metric), metric=metric,
    )  # fmt: skip


def test_labels_without_images_are_named() -> None:
    missing = [[1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 1, 0]]
    nowhere, in_some = absent.notes(results("f1_macro", missing))
    assert (nowhere.level, nowhere.title) == ("warn", "1 label without images")
    assert nowhere.text == (
        "No image has c. There F1 is 0, whatever is predicted, as in scikit-learn (zero_division=0), so that f1_macro cannot be "
        "above 0.6667."
    )
    assert in_some.text.startswith("b is missing in some folds. There F1 is 0")
    assert not [*absent.notes(results("f1_micro", missing)), *absent.notes(results("roc_auc", missing))]
    assert not [*absent.notes(results("f1_macro", [[1, 1]] * 4))]


# --- resamples without a score


def test_resamples_without_a_score_are_counted_where_there_are_more_than_a_few() -> None:
    said = np.random.default_rng(0).random(60)
    metric = metrics.build("roc_auc", catalog.METRICS["label"])

    def drawn(n_positive: int) -> dict[str, Any]:
        evidence = Labelled(np.stack([1 - said, said], axis=1), (np.arange(60) < n_positive).astype(int))
        return {ENSEMBLE: metrics.resampling.drawn(metric, evidence)}

    (note,) = unscored.of_resamples(drawn(1), "roc_auc", "image")
    n = int(np.isnan(drawn(1)[ENSEMBLE]).sum())
    assert 330 < n < 400, "a case is in none of 60 draws in 36.5 % of the resamples"
    assert note.level == "warn"
    assert note.title == f"{n / 10:.1f}% of the resamples have no score"
    assert note.text.startswith(f"roc_auc cannot be computed for {n} of 1,000 resamples")
    (few,) = unscored.of_resamples(drawn(3), "roc_auc", "image")
    assert "too narrow" in few.text
    assert not [*unscored.of_resamples(drawn(5), "roc_auc", "image")], "0.6 %"
    assert not [*unscored.of_resamples({}, "roc_auc", "image")], "results of before resampled scores were kept"
