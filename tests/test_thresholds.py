"""Search of decision thresholds: against an exact search, for rare classes, and on all images."""

import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve

from goldfold import catalog, metrics
from goldfold.ensembling import nested, thresholds
from goldfold.ensembling.thresholds import Thresholds
from goldfold.metrics import thresholds as of_scores
from goldfold.metrics.classification import Labelled
from goldfold.metrics.metric import Metric
from goldfold.metrics.multilabel import MultiLabelled
from goldfold.predictions.arrays import picked
from test_ensemble_steps import TWO, folds_of, of_yes, truth_of

OF_DECISIONS = {"label": "accuracy balanced_accuracy f1_macro f1 mcc quadratic_kappa", "labels": "f1_macro f1_micro"}


def rare(n: int, share: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores (n,) and labels (n,) of a class that few images have."""
    draw = np.random.default_rng(seed)
    labels = (draw.random(n) < share).astype(int)
    return 1 / (1 + np.exp(5 - 3.5 * labels - draw.normal(size=n))), labels


def best_f1(scores: np.ndarray, labels: np.ndarray) -> float:
    precision, recall, _ = precision_recall_curve(labels, scores)
    return float((2 * precision * recall / np.maximum(precision + recall, 1e-12)).max())


def by(metric: Metric | str, scores: np.ndarray, labels: np.ndarray) -> float:
    """Value at the fitted threshold."""
    chosen = TWO.metric(metric) if isinstance(metric, str) else metric
    truth = truth_of(np.array(TWO.classes)[labels].tolist())
    step = Thresholds(TWO, 1)
    (made,) = step.apply(
        {"a": of_yes(scores)}, step.fit({"a": of_yes(scores)}, truth, folds_of(len(truth)), chosen)
    ).values()
    return float(chosen.value(TWO.evidence(made, truth), np.arange(len(truth))))


@pytest.mark.parametrize("share", [0.02, 0.002, 0.0005])
def test_thresholds_of_rare_classes_are_those_of_an_exact_search(share: float) -> None:
    scores, labels = rare(20_000, share)
    assert by("f1", scores, labels) == pytest.approx(best_f1(scores, labels))
    own = metrics.Metric(TWO.metric("f1").function, of_labels=True)
    assert by(own, scores, labels) == pytest.approx(best_f1(scores, labels), abs=0.005), "a metric without counts"


def test_a_rare_label_of_several_gets_the_threshold_of_an_exact_search() -> None:
    scores, labels = rare(20_000, 0.002)
    values = np.stack([scores, scores[::-1], np.full(len(scores), 0.1)], axis=1)
    found = MultiLabelled(values, np.stack([labels, labels[::-1], labels], axis=1).astype(np.uint8))
    metric = metrics.build("f1_macro", catalog.METRICS["labels"])
    chosen = thresholds._search(found, metric, [[0], [1], [2]])
    assert metric.value(found.of_class(0).at(chosen[:1].tolist()), np.arange(20_000)) == pytest.approx(
        best_f1(scores, labels)
    )
    assert chosen[0] == chosen[1]


@pytest.mark.filterwarnings("ignore")
def test_counts_give_the_value_of_the_metric_at_each_threshold() -> None:
    draw, n_tried = np.random.default_rng(0), 0
    for n in (1, 2, 5, 30):
        p, true = np.round(draw.random((n, 3)), 1), draw.integers(0, 2, (n, 3))
        two = Labelled(np.stack([1 - p[:, 0], p[:, 0]], axis=1), true[:, 0])
        for target, evidence in (("label", two), ("labels", MultiLabelled(p, true.astype(np.uint8)))):
            for name in OF_DECISIONS[target].split():
                metric = metrics.build(name, catalog.METRICS[target])
                found = evidence.of_class(0) if metric.is_mean_over_classes else evidence
                start = np.full(3 if found is evidence and target == "labels" else 1, 0.5)
                levels = found.levels([0])
                values = thresholds._by_counts(found, metric, [0], levels, start)
                expected = [metric.value(found.at([level, *start[1:]]), np.arange(n)) for level in levels.tolist()]
                assert values == pytest.approx(np.nan_to_num(expected, nan=-np.inf)), (name, n)
                n_tried += 1
    assert n_tried == 4 * 8


def test_all_images_are_searched_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nested, "MOST_FITTED", 50)
    scores, labels = rare(1000, 0.01)
    truth = truth_of(np.array(TWO.classes)[labels].tolist())
    metric = TWO.metric("f1")
    (fitted,) = nested.fit([Thresholds(TWO, 1)], {"a": of_yes(scores)}, truth, folds_of(1000), metric, picked)
    assert fitted == Thresholds(TWO, 1).fit({"a": of_yes(scores)}, truth, folds_of(1000), metric)


@pytest.mark.parametrize(("low", "high"), [(0.9, 0.95), (0.9, 1.0), (0.5, np.nextafter(1, 0))])
def test_nothing_is_predicted_where_no_prediction_is_best(low: float, high: float) -> None:
    labels = (np.arange(1000) % 33 == 0).astype(int)
    scores = np.where(np.arange(1000) % 2, low, high)
    assert by("accuracy", scores, labels) == 1 - labels.mean()
    own = Metric(TWO.metric("accuracy").function, of_labels=True)
    assert by(own, scores, labels) == 1 - labels.mean(), "a metric without counts"


def test_all_are_predicted_where_that_is_best() -> None:
    assert by("f1", np.array([0.1, 0.2, 0.3, 0.2]), np.array([1, 1, 1, 0])) == pytest.approx(6 / 7)


def test_a_label_without_images_is_never_predicted_if_that_is_better() -> None:
    said = np.array([[0.9, 0.6], [0.8, 0.1], [0.2, 1.0], [0.1, 0.2]] * 5)
    found = MultiLabelled(said, np.array([[1, 0], [1, 0], [0, 0], [0, 0]] * 5, np.uint8))
    metric = metrics.build("f1_micro", catalog.METRICS["labels"])
    chosen = thresholds._search(found, metric, [[0], [1]])
    assert metric.value(found.at(chosen.tolist()), np.arange(20)) == 1
    assert not found.at(chosen.tolist()).predicted[:, 1].any()


def test_of_very_many_scores_those_at_the_ends_are_all_candidates() -> None:
    scores = np.random.default_rng(0).random(250_000)
    levels, ordered = of_scores.between(scores), np.sort(scores)
    assert 90_000 < len(levels) < 120_000
    assert levels[-1] > ordered[-1]
    at_ends = (ordered[1:] + ordered[:-1]) / 2
    assert np.isin(at_ends[: of_scores.ENDS - 1], levels).all()
    assert np.isin(at_ends[1 - of_scores.ENDS :], levels).all()
    places = np.searchsorted(ordered, levels)
    assert np.diff(places).max() <= 3
    assert levels.tolist() == sorted(levels.tolist())
