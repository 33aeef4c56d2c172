"""Confident learning: candidates, their order, and the estimated number of wrong labels by class."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from goldfold.audit import mislabelled
from goldfold.audit.mislabelled import RULES, Joint, find, margins, thresholds


def perfect(true: NDArray[Any], n_classes: int, sure: float = 1.0) -> NDArray[np.float64]:
    """Probabilities of a model that is right about every image."""
    values = np.full((len(true), n_classes), (1 - sure) / (n_classes - 1))
    values[np.arange(len(true)), true] = sure
    return values


def flipped(true: NDArray[Any], share: float, n_classes: int, seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    draw = np.random.default_rng(seed)
    rows = np.sort(draw.choice(len(true), round(share * len(true)), replace=False))
    labels = true.copy()
    labels[rows] = (true[rows] + draw.integers(1, n_classes, len(rows))) % n_classes
    return labels, rows


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=30, deadline=None)
@given(
    n_classes=st.integers(2, 6),
    share=st.floats(0, 0.3),
    sure=st.sampled_from([1.0, 0.9]),
    seed=st.integers(0, 99),
    one_sided=st.booleans(),
)
def test_a_model_that_is_always_right_finds_exactly_the_flipped_labels(
    rule: str, n_classes: int, share: float, sure: float, seed: int, one_sided: bool
) -> None:
    draw = np.random.default_rng(seed)
    odds = np.full(n_classes, 1.0)
    odds[0] = 10.0 if one_sided else 1.0  # class imbalance
    true = np.concatenate([np.repeat(np.arange(n_classes), 5), draw.choice(n_classes, 60, p=odds / odds.sum())])
    labels, rows = flipped(true, share, n_classes, seed)
    found = find(perfect(true, n_classes, sure), labels, rule)
    assert sorted(found.rows) == list(rows)
    assert (found.suggested == true[found.rows]).all()
    assert (found.confidence == sure).all()
    assert (found.margin < 0).all()
    wrong = np.zeros((n_classes, n_classes))
    np.add.at(wrong, (labels, true), 1)
    assert np.allclose(joint(perfect(true, n_classes, sure), labels), wrong)


@pytest.mark.parametrize("rule", RULES)
def test_right_labels_of_a_sure_model_are_no_candidates(rule: str) -> None:
    true = np.array([0, 1, 2] * 10)
    assert len(find(perfect(true, 3, 0.8), true, rule)) == 0


def dense(found: Joint, n_classes: int) -> Any:
    """Matrix of given and other classes."""
    matrix = np.zeros((n_classes, n_classes))
    assert (found.n > 0).all()
    matrix[found.given, found.other] = found.n
    return matrix


def joint(values: Any, labels: Any) -> Any:
    return dense(mislabelled.joint(values, labels), values.shape[1])


def confident_joint(values: Any, labels: Any) -> Any:
    return dense(mislabelled.confident_joint(values, labels), values.shape[1])


@pytest.mark.parametrize("rule", RULES)
def test_classes_without_images_or_predictions_are_no_error(rule: str) -> None:
    values = np.array([[0.9, 0.1, 0.0, 0.0], [0.8, 0.2, 0.0, 0.0], [0.9, 0.1, 0.0, 0.0], [0.2, 0.8, 0.0, 0.0]])
    labels = np.array([0, 0, 1, 1])  # 2 and 3 have no image and are never predicted
    found = find(values, labels, rule)
    assert list(found.rows) == [2]
    assert list(found.suggested) == [0]
    assert not joint(values, labels)[2:].any()
    assert not confident_joint(values, labels)[:, 2:].any()
    unsure = np.array([0, 0, 1, 2])  # class 1 has an image and is never predicted; image 1 is below the threshold of 0
    assert list(find(values[:, [0, 2, 1]], unsure, rule).rows) == [2]
    assert list(thresholds(values, labels)) == pytest.approx([0.85, 0.45, np.inf, np.inf])


@pytest.mark.parametrize("rule", RULES)
def test_random_labels_are_estimated_to_be_wrong_at_their_rate(rule: str) -> None:
    """With labels drawn at random, 2 of 3 are wrong; joint and candidates say so."""
    draw = np.random.default_rng(0)
    true, labels = draw.integers(0, 3, 3000), draw.integers(0, 3, 3000)
    values = perfect(true, 3, 0.9)
    wrong = float((true != labels).mean())
    assert 1 - np.trace(joint(values, labels)) / 3000 == pytest.approx(wrong, abs=0.02)
    assert len(find(values, labels, rule)) / 3000 == pytest.approx(wrong, abs=0.02)


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 5), st.integers(1, 60), st.integers(0, 999))
def test_the_joint_keeps_the_number_of_images_of_each_label(n_classes: int, n: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    values, labels = draw.dirichlet(np.ones(n_classes), n), draw.integers(0, n_classes, n)
    assert np.allclose(joint(values, labels).sum(axis=1), np.bincount(labels, minlength=n_classes))
    for rule in RULES:
        found = find(values, labels, rule)
        assert (values[found.rows, found.suggested] >= values[found.rows, labels[found.rows]]).all()
        assert (found.suggested != labels[found.rows]).all()
        assert (np.diff(found.margin.round(12)) >= 0).all(), "the most suspicious first"
        assert np.allclose(found.margin, margins(values, labels)[found.rows])
        assert len(set(found.rows)) == len(found.rows)


def test_the_paper_s_counts_by_hand() -> None:
    """Thresholds 0.6 and 0.5: image 1 is confidently of class 1 although its label is 0, image 2 of none."""
    values = np.array([[0.95, 0.05], [0.4, 0.6], [0.45, 0.55], [0.5, 0.5], [0.5, 0.5]])
    labels = np.array([0, 0, 0, 1, 1])
    assert list(thresholds(values, labels)) == pytest.approx([0.6, 0.5])
    assert confident_joint(values, labels).tolist() == [[1, 2], [0, 2]]
    assert joint(values, labels).tolist() == [[1, 2], [0, 2]]
    assert list(find(values, labels).rows) == [1, 2]


def test_a_tie_of_the_thresholds_is_decided_by_the_larger_probability() -> None:
    values = np.array([[0.5, 0.3, 0.2], [0.4, 0.6, 0.0], [0.0, 0.5, 0.5], [0.5, 0.45, 0.05]])
    labels = np.array([0, 1, 2, 2])
    assert list(find(values, labels).suggested) == [0], "both 0 (0.5) and 1 (0.45) may reach their thresholds"
