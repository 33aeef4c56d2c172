"""Fusion of detections against ensemble-boxes itself."""

import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest
from ensemble_boxes import nms, non_maximum_weighted, soft_nms, weighted_boxes_fusion
from hypothesis import given, settings
from hypothesis import strategies as st

from entries import METHODS as ALL_METHODS
from goldfold.base.errors import ConfigError, DataError
from goldfold.ensembling import boxes as fusion
from goldfold.ensembling import boxes as module

LIBRARY = {"wbf": weighted_boxes_fusion, "nms": nms, "soft_nms": soft_nms, "nmw": non_maximum_weighted}
METHODS = ALL_METHODS["boxes"]


def fuse(method: str, *arguments: Any, **settings: Any) -> Any:
    return fusion.fuse(METHODS[method], *arguments, **settings)


def fuse_images(method: str, *arguments: Any, **settings: Any) -> Any:
    return fusion.fuse_images(METHODS[method], *arguments, **settings)


METHOD = pytest.mark.parametrize("method", sorted(METHODS))
seeds = st.integers(0, 2**32 - 1)
BOX = [0.1, 0.1, 0.5, 0.5]

Members = tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]


def members(seed: int, n_members: int = 3, n_objects: int = 6, n_labels: int = 3, empty: float = 0.2) -> Members:
    """Each member finds most of the same objects, shifted a little, and some of its own; some members are empty."""
    generator = np.random.default_rng(seed)
    corners = generator.uniform(0, 0.6, (n_objects, 2))
    objects = np.concatenate([corners, corners + generator.uniform(0.1, 0.4, (n_objects, 2))], axis=1)
    classes = generator.integers(0, n_labels, n_objects)
    made: Members = ([], [], [])
    for _ in range(n_members):
        found = generator.integers(0, n_objects, 0 if generator.random() < empty else generator.integers(1, 12))
        jitter = generator.normal(0, 0.015, (len(found), 4))
        made[0].append(np.clip(objects[found] + jitter, 0, 1))
        made[1].append(generator.uniform(0.01, 1, len(found)))
        made[2].append(np.where(generator.random(len(found)) < 0.1, 0, classes[found]))
    return made


def by_library(method: str, made: Members, weights: list[float] | None, iou: float) -> list[np.ndarray]:
    boxes, scores, labels = LIBRARY[method](
        [list(boxes) if not len(boxes) and method in ("wbf", "nmw") else boxes for boxes in made[0]],
        [scores.copy() for scores in made[1]],
        made[2],
        weights=weights,
        iou_thr=iou,
    )
    scores = fusion.below_one(scores) if method == "wbf" and weights and len({*weights}) > 1 else np.minimum(scores, 1)
    order = np.lexsort((*boxes.T[::-1], labels, -scores))
    return [boxes[order], scores[order], labels[order]]


def same(one: Any, other: Any, tolerance: float = 0.0) -> None:
    for part, expected in zip(one, other, strict=True):
        np.testing.assert_allclose(part, expected, rtol=0, atol=tolerance)


@METHOD
def test_it_gives_what_ensemble_boxes_gives(method: str) -> None:
    compared = 0
    for seed in range(500):
        generator = np.random.default_rng([seed, 1])
        n_members, iou = int(generator.integers(1, 5)), float(generator.uniform(0.2, 0.9))
        made = members(seed, n_members)
        weights = generator.uniform(0.05, 5, n_members).tolist() if seed % 2 else None
        if sum(map(len, made[1])):
            same(fuse(method, *made, weights, iou), by_library(method, made, weights, iou), 1e-6)
            compared += 1
    assert compared > 400


@pytest.mark.parametrize("rule", fusion.CONF_TYPES)
def test_weighted_fusion_gives_the_bits_of_ensemble_boxes(rule: str) -> None:
    """More cases by ``benchmarks/boxes.py``."""
    for seed in range(150):
        generator = np.random.default_rng([seed, 2])
        n_members, iou, overflows = (
            int(generator.integers(1, 10)),
            float(generator.uniform(0.2, 0.9)),
            bool(seed % 4 == 1),
        )
        boxes, scores, labels = members(seed, n_members, empty=0.0)
        scores = [np.ceil(one * 10) / 10 for one in scores] if seed % 3 == 0 else scores  # ties
        weights = generator.uniform(0.05, 5, n_members).tolist() if seed % 2 else None
        ours = fusion.wbf((boxes, scores, labels), weights, iou, rule, overflows)
        settings: Any = {"weights": weights, "iou_thr": iou, "conf_type": rule, "allows_overflow": overflows}
        theirs = weighted_boxes_fusion(boxes, scores, labels, **settings)
        if rule == "avg" and (weights or overflows) and n_members > 1 - overflows:
            theirs = (theirs[0], fusion.below_one(theirs[1]), theirs[2])
        for one, other in zip(ordered(*ours), ordered(*theirs), strict=True):
            np.testing.assert_array_equal(one, other)


def ordered(boxes: Any, scores: Any, labels: Any) -> list[np.ndarray]:
    order = np.lexsort((*boxes.T, labels, scores))
    return [boxes[order], scores[order], labels[order]]


@METHOD
def test_boxes_below_the_threshold_are_skipped_before_weighting(method: str) -> None:
    made = members(3, empty=0.0)
    kept = [scores >= 0.5 for scores in made[1]]
    strong = tuple([part[mask] for part, mask in zip(parts, kept, strict=True)] for parts in made)
    skipped = fuse(method, *made, [1.0, 2.0, 0.4], skip_threshold=0.5)
    assert 0 < sum(map(len, strong[1])) < sum(map(len, made[1]))
    same(skipped, fuse(method, *strong, [1.0, 2.0, 0.4]))


# --- properties


@settings(max_examples=40, deadline=None)
@given(seeds, st.lists(st.floats(0, 100), min_size=3, max_size=3).filter(any), st.sampled_from(sorted(METHODS)))
def test_scores_are_at_most_one_and_fall_and_boxes_lie_inside(seed: int, weights: list[float], method: str) -> None:
    boxes, scores, labels = fuse(method, *members(seed), weights)
    assert boxes.shape == (len(scores), 4)
    assert boxes.dtype == scores.dtype == np.float64
    assert labels.dtype == np.int64
    assert (scores > 0).all()
    assert (scores <= 1).all()
    assert (np.diff(scores) <= 0).all()
    assert ((boxes >= 0) & (boxes <= 1)).all()
    assert (boxes[:, :2] <= boxes[:, 2:]).all()


def test_scores_that_the_library_lets_overflow_keep_their_order_below_one() -> None:
    other = [0.7, 0.7, 0.8, 0.8]
    made = ([[BOX, BOX, other, other], [BOX, other]], [[0.9, 0.9, 0.8, 0.8], [0.9, 0.8]], [[0] * 4, [0] * 2])
    theirs = weighted_boxes_fusion(*made, weights=[10, 0.1])[1]
    assert theirs[0] > theirs[1] > 1
    high, low = fuse("wbf", *made, [10, 0.1])[1].astype(np.float32)
    assert 1 > high > low > 0.99
    generator = np.random.default_rng(0)
    scores = np.sort(np.concatenate([generator.uniform(0, 1.02, 500), generator.uniform(1, 8, 500)]))
    bent = fusion.below_one(scores)
    assert (np.diff(bent.astype(np.float32)) >= 0).all()
    assert len(np.unique(bent)) == len(scores)
    assert (bent < 1).all()
    kept = scores <= fusion.BENT_FROM
    assert np.array_equal(bent[kept], scores[kept])
    assert np.abs(bent - scores)[scores <= 1].max() < 0.005 + 1e-9


@settings(max_examples=25, deadline=None)
@given(seeds, st.integers(1, 16))
def test_one_member_of_boxes_that_do_not_overlap_comes_back(seed: int, n: int) -> None:
    generator = np.random.default_rng(seed)
    cells = generator.permutation(16)[:n]
    corners = np.stack([cells % 4, cells // 4], axis=1) / 4 + generator.uniform(0, 0.1, (n, 2))
    boxes = np.concatenate([corners, corners + generator.uniform(0.02, 0.15, (n, 2))], axis=1)
    scores, labels = generator.uniform(0.01, 1, n), generator.integers(0, 2, n)
    order = np.argsort(-scores)
    for method in METHODS:
        same(fuse(method, [boxes], [scores], [labels]), (boxes[order], scores[order], labels[order]), 1e-6)
    same(fuse("wbf", [boxes], [scores], [labels]), (boxes[order], scores[order], labels[order]))


@settings(max_examples=25, deadline=None)
@given(seeds, st.permutations(range(4)), st.sampled_from(sorted(METHODS)))
def test_the_order_of_members_does_not_matter_where_no_scores_tie(seed: int, order: list[int], method: str) -> None:
    """Boxes are taken by falling score, so members only matter in order where weighted scores are equal."""
    made, weights = members(seed, n_members=4), [1.0, 0.7, 2.1, 1.3]
    turned = tuple([parts[number] for number in order] for parts in made)
    same(fuse(method, *made, weights), fuse(method, *turned, [weights[number] for number in order]), 1e-6)


def test_the_order_of_members_may_matter_where_scores_tie() -> None:
    first, second = [0.1, 0.1, 0.5, 0.5], [0.12, 0.1, 0.52, 0.5]
    one = fuse("nms", [[first], [second]], [[0.5], [0.5]], [[0], [0]])
    other = fuse("nms", [[second], [first]], [[0.5], [0.5]], [[0], [0]])
    assert one[0].tolist() != other[0].tolist()


@METHOD
@pytest.mark.parametrize("factor", [1e-200, 1e200])
def test_only_the_ratio_of_weights_matters(method: str, factor: float) -> None:
    made = members(7)
    same(fuse(method, *made, [1.0, 2.0, 0.5]), fuse(method, *made, [factor, 2 * factor, 0.5 * factor]), 1e-6)


@METHOD
def test_what_weighs_nothing_is_left_out(method: str) -> None:
    made = members(5, n_members=2, empty=0.0)
    whole = fuse(method, *made, [1.0, 2.0])
    with_third = tuple([*parts, extra] for parts, extra in zip(made, ([BOX], [0.9], [0]), strict=True))
    same(fuse(method, *with_third, [1.0, 2.0, 0.0]), whole)
    point = ([[0.2, 0.2, 0.2, 0.7], BOX], [0.9, 0.0], [0, 1])
    padded = tuple([parts[0], np.concatenate([parts[1], extra])] for parts, extra in zip(made, point, strict=True))
    same(fuse(method, *padded, [1.0, 2.0]), whole)


@METHOD
def test_members_may_be_empty_any_or_all(method: str) -> None:
    empty = fuse(method, [[], np.zeros((0, 4))], [[], []], [[], []], [1.0, 2.0])
    assert [part.shape for part in empty] == [(0, 4), (0,), (0,)]
    assert [part.dtype for part in empty] == [np.float64, np.float64, np.int64]
    assert [part.shape for part in fuse(method, [], [], [])] == [(0, 4), (0,), (0,)]
    boxes, _, labels = fuse(method, [[], [BOX]], [[], [0.8]], [[], [2]])
    assert boxes == pytest.approx(np.array([BOX]))
    assert labels.tolist() == [2]
    assert len(fuse(method, [[BOX]], [[0.3]], [[0]], skip_threshold=0.5)[1]) == 0


@METHOD
def test_it_is_silent_leaves_its_inputs_alone_and_clips_what_is_rounding(
    method: str, capfd: pytest.CaptureFixture[str]
) -> None:
    boxes, scores = np.array([[-1e-7, 0.0, 0.5, 1 + 1e-7], [0.3, 0.3, 0.3, 0.5]]), np.array([1 + 1e-7, 0.4])
    made = ([boxes.copy(), []], [scores.copy(), []], [np.array([0, 1]), []])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fused = fuse(method, *made, [3.0, 1.0])
    assert capfd.readouterr() == ("", "")
    assert fused[0] == pytest.approx(np.array([[0, 0, 0.5, 1]]), abs=1e-6)
    assert (made[0][0] == boxes).all()
    assert (made[1][0] == scores).all()


@METHOD
def test_ties_come_by_label_then_by_coordinates(method: str) -> None:
    made = [[0.6, 0.6, 0.9, 0.9], [0.1, 0.1, 0.3, 0.3], [0.6, 0.1, 0.9, 0.3]]
    for turn in ([0, 1, 2], [2, 1, 0], [1, 0, 2]):
        boxes, _, labels = fuse(method, [[made[n] for n in turn]], [[0.5] * 3], [[[0, 1, 0][n] for n in turn]])
        assert labels.tolist() == [0, 0, 1]
        assert boxes == pytest.approx(np.array([made[2], made[0], made[1]]))


# --- many images


def test_images_keep_their_order_whatever_the_number_of_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST_POOL_IMAGES", 4)
    images = [members(seed) for seed in range(21)]
    alone = fuse_images("wbf", images, [1.0, 2.0, 3.0], workers=1)
    for one, image in zip(alone, images, strict=True):
        same(one, fuse("wbf", *image, [1.0, 2.0, 3.0]))
    for one, other in zip(alone, fuse_images("wbf", images, [1.0, 2.0, 3.0], workers=2), strict=True):
        same(one, other)
    turned = fuse_images("wbf", images[::-1], [1.0, 2.0, 3.0])
    for one, other in zip(alone, turned[::-1], strict=True):
        same(one, other)
    assert fuse_images("nms", [], workers=3) == []


def test_few_images_start_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ProcessPoolExecutor", None)
    assert len(fuse_images("nms", [members(seed) for seed in range(3)], workers=8)) == 3


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_names_the_image(workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST_POOL_IMAGES", 1)
    images = [([[BOX]], [[0.5]], [[0]]), ([[BOX]], [[float("nan")]], [[0]])]
    with pytest.raises(DataError, match=r"^image 1: member 0: box 0 .*: the score is NaN or infinite\.$"):
        fuse_images("nms", images, workers=workers)


# --- errors


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"weights": [1.0]}, "weights: 1 for 2 members. Give one per member."),
        ({"weights": [1.0, -1.0]}, "weights: [1.0, -1.0]. None may be negative, infinite or NaN."),
        ({"weights": [1.0, float("nan")]}, "weights: [1.0, nan]. None may be negative, infinite or NaN."),
        ({"weights": [0, 0]}, "weights: all are 0. At least one must be above 0."),
        ({"iou_threshold": 1.5}, "iou_threshold: 1.5. It must be in 0..1."),
        ({"iou_threshold": float("nan")}, "iou_threshold: nan. It must be in 0..1."),
        ({"skip_threshold": -0.1}, "skip_threshold: -0.1. It must be in 0..1."),
    ],
)
def test_settings_that_cannot_be_used(changed: dict[str, Any], text: str) -> None:
    given = {
        "method": "wbf",
        "boxes_list": [[BOX], []],
        "scores_list": [[0.5], []],
        "labels_list": [[0], []],
        **changed,
    }
    with pytest.raises(ConfigError) as caught:
        fuse(**given)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        (
            {"scores_list": [[0.5]]},
            "boxes, scores and labels are of 2, 1 and 2 members. Give one entry per member in each.",
        ),
        ({"scores_list": [[], [0.5, 0.5]]}, "member 1: 1 boxes, 2 scores and 1 labels. The numbers must be equal."),
        (
            {"boxes_list": [[], [[0.1, 0.5]]]},
            "member 1: boxes, scores and labels have shapes (1, 2), (1,) and (1,). They must be (n, 4), (n,) and (n,).",
        ),
        (
            {"boxes_list": [[], [[0.1, float("nan"), 0.5, 0.5]]]},
            "member 1: box 0 [0.1, nan, 0.5, 0.5], score 0.5: a coordinate is NaN or infinite.",
        ),
        (
            {"boxes_list": [[], [[0.5, 0.1, 0.1, 0.5]]]},
            "member 1: box 0 [0.5, 0.1, 0.1, 0.5], score 0.5: the box is reversed; write x1, y1, x2, y2 with x1 <= x2, "
            "y1 <= y2.",
        ),
        (
            {"boxes_list": [[], [[10, 20, 30, 40]]]},
            "member 1: box 0 [10.0, 20.0, 30.0, 40.0], score 0.5: the box is outside 0..1; divide by the image's width "
            "and height.",
        ),
        ({"scores_list": [[], [1.5]]}, "member 1: box 0 [0.1, 0.1, 0.5, 0.5], score 1.5: the score is outside 0..1."),
        (
            {"labels_list": [[], [0.5]]},
            "member 1: box 0 [0.1, 0.1, 0.5, 0.5], score 0.5: the label is not an integer.",
        ),
    ],
)
def test_data_that_cannot_be_used(changed: dict[str, Any], text: str) -> None:
    given = {
        "method": "wbf",
        "boxes_list": [[], [BOX]],
        "scores_list": [[], [0.5]],
        "labels_list": [[], [0]],
        **changed,
    }
    with pytest.raises(DataError) as caught:
        fuse(**given)
    assert str(caught.value) == text


def test_importing_it_loads_no_ensemble_boxes() -> None:
    code = "import sys, goldfold.ensembling.boxes; sys.exit('numba' in sys.modules or 'ensemble_boxes' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
