"""Fusion of boxes with fitted settings: what is found, and that no fold sees its own truth."""

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from goldfold.base.errors import ConfigError
from goldfold.config import parse
from goldfold.ensembling.fitted_fusion import FittedFusion
from goldfold.ensembling.nested import Nested, applied, nested
from goldfold.ensembling.steps import build
from goldfold.predictions.arrays import Arrays, load, picked, save
from goldfold.report import ensemble as ensemble_section
from goldfold.report import fits, overfitted
from goldfold.stages import ensemble
from goldfold.tasks.detection.boxes import arrays
from goldfold.tasks.steps import ForSteps
from test_config import BASE, OF_TASK

CLASSES = ["cell"]
TASK: Any = ForSteps({"name": "detection"}, CLASSES)
SIDE, N_FOLDS = 100, 3
Boxes = list[list[float]]
Members = dict[str, Arrays]


def ids_of(n: int) -> list[str]:
    return [f"im{number:03d}" for number in range(n)]


def predicted(images: Sequence[tuple[Any, Any]]) -> Arrays:
    """Boxes and scores of each image, all of one class."""
    found = [
        (np.reshape(boxes, (-1, 4)).clip(0, SIDE), np.asarray(scores), np.zeros(len(scores)))
        for boxes, scores in images
    ]
    return arrays(CLASSES, np.array(ids_of(len(images))), np.full((len(images), 2), SIDE), found)


def truth_of(images: Sequence[Any]) -> pd.DataFrame:
    texts = [json.dumps([["cell", *map(float, box)] for box in boxes]) for boxes in images]
    n = len(images)
    return pd.DataFrame(
        {"id": ids_of(n), "width": SIDE, "height": SIDE, "boxes": texts, "fold": np.arange(n) % N_FOLDS}
    )


def folds_of(truth: pd.DataFrame) -> np.ndarray:
    return truth["fold"].to_numpy()


def fitted(step: Any, members: Members, truth: pd.DataFrame, metric: str = "ap50") -> Nested:
    return nested(build(TASK, [step], 1), members, truth, folds_of(truth), TASK.metric(metric), picked)


def value(predictions: Arrays, truth: pd.DataFrame, metric: str = "ap50") -> float:
    return float(TASK.metric(metric).value(TASK.evidence(predictions, truth), np.arange(len(truth))))


def moved(boxes: Any, generator: np.random.Generator, pixels: float) -> Any:
    """Each box, shifted as a whole."""
    return np.asarray(boxes) + np.tile(generator.normal(0, pixels, (len(boxes), 2)), 2)


def noise(seed: int, n: int = 12) -> tuple[Members, pd.DataFrame]:
    """Two members of which no setting is better than another but by luck."""
    generator = np.random.default_rng(seed)
    corners = generator.uniform(0, 60, (n, 3, 2))
    true = np.concatenate([corners, corners + 25], axis=2)
    members = {
        name: predicted([(moved(boxes, generator, 6), generator.uniform(0.02, 1, 3)) for boxes in true])
        for name in ("a", "b")
    }
    return members, truth_of(true)


# --- what is found


def test_the_iou_threshold_that_keeps_neighbours_apart_is_found_and_a_member_of_noise_is_left_out() -> None:
    """Two objects overlap by 0.6: fused at 0.55, they are one."""
    generator = np.random.default_rng(0)
    corners = generator.uniform(0, 40, (24, 2))
    true = [[[x, y, x + 40, y + 40], [x + 10, y, x + 50, y + 40]] for x, y in corners]
    good = {
        name: predicted([(moved(boxes, generator, 0.5), generator.uniform(0.05, 0.25, 2)) for boxes in true])
        for name in ("a", "b")
    }
    wrong = generator.uniform(0, 50, (24, 3, 2))
    bad = predicted([(np.concatenate([box, box + 30], axis=1), generator.uniform(0.8, 1, 3)) for box in wrong])
    members, truth = {**good, "bad": bad}, truth_of(true)
    step = {"fitted_fusion": {"iou_threshold": [0.55, 0.8], "skip_threshold": 0}}
    made = fitted(step, members, truth)
    for (one,) in [made.fitted, *made.without.values()]:
        assert one["iou_threshold"] == 0.8
        assert one["weights"]["bad"] == 0
        assert sum(one["weights"].values()) == pytest.approx(1, abs=1e-5)
    plain = fitted("average", members, truth)
    assert value(made.predictions, truth) > value(plain.predictions, truth) + 0.2
    assert value(made.predictions, truth) > 0.99


def test_a_floor_is_found_where_repeats_of_low_score_lower_the_score_of_an_object() -> None:
    """Each object is found once with 0.5 and four times with 0.04; a box without an object has 0.4."""
    generator = np.random.default_rng(1)
    corners = generator.uniform(0, 30, (24, 2))
    true = [[[x, y, x + 30, y + 30]] for x, y in corners]
    scores = [0.5, *[0.04] * 4, 0.4]
    members = {
        name: predicted([([*moved(box * 5, generator, 0.5), [65, 65, 95, 95]], scores) for box in true])
        for name in "ab"
    }
    step = {"fitted_fusion": {"iou_threshold": 0.55, "skip_threshold": [0, 0.05], "weights": [1]}}
    made = fitted(step, members, truth_of(true))
    assert {one[0]["skip_threshold"] for one in [made.fitted, *made.without.values()]} == {0.05}
    assert made.fitted[0]["weights"] == {"a": 0.5, "b": 0.5}
    plain = fitted("average", members, truth_of(true))
    assert value(plain.predictions, truth_of(true)) < 0.6 < value(made.predictions, truth_of(true))


def test_of_equal_settings_the_first_stays_and_one_member_is_not_fused() -> None:
    members, truth = noise(0)
    alone = fitted({"fitted_fusion": {"iou_threshold": [0.6, 0.5]}}, {"a": members["a"]}, truth)
    usual = {"skip_threshold": 0.0, "conf_type": "avg"}
    assert alone.fitted == [{"weights": {"a": 1.0}, "iou_threshold": 0.6, **usual}]
    assert np.array_equal(alone.predictions["boxes"], members["a"]["boxes"])
    empty = truth.assign(boxes="[]")  # nothing can be scored
    (unknown,) = fitted("fitted_fusion", members, empty).fitted
    assert unknown == {"weights": {"a": 0.5, "b": 0.5}, "iou_threshold": 0.55, **usual}


def test_the_rule_is_found_where_a_member_finds_objects_that_the_other_does_not_know() -> None:
    """One member alone finds half of the objects, with scores above those of its wrong boxes of the other half: averages with
    the absent member halve the former, so that both members' wrong boxes come first."""
    generator = np.random.default_rng(0)
    corners = generator.uniform(0, 25, (24, 2))
    true = [[[x, y, x + 20, y + 20]] for x, y in corners]
    wrong = [[x + 45, y + 45, x + 65, y + 65] for x, y in corners]
    finds = np.arange(24) % 2 == 0
    one = [
        ([*box, bad] if found else [bad], [0.9, 0.5] if found else [0.5])
        for box, bad, found in zip(true, wrong, finds, strict=True)
    ]
    two = [
        ([bad] if found else [*box, bad], [0.5] if found else [0.9, 0.5])
        for box, bad, found in zip(true, wrong, finds, strict=True)
    ]
    members = {"a": predicted(one), "b": predicted(two)}
    step = {"fitted_fusion": {"iou_threshold": 0.55, "skip_threshold": 0, "weights": [1]}}
    made, truth = fitted(step, members, truth_of(true)), truth_of(true)
    assert {one[0]["conf_type"] for one in [made.fitted, *made.without.values()]} == {"max"}
    plain = fitted("average", members, truth)
    assert value(plain.predictions, truth) < 0.6 < value(made.predictions, truth)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"conf_type": "mean"}, "conf_type = 'mean': must be of avg, max, box_and_model_avg"),
        ({"conf_type": []}, "must be of avg"),
        ({"conf_type": "max", "method": "nms"}, "conf_type: nms has no rules of confidence; remove it"),
        ({"conf_type": "max", "method": {"wbf": {"conf_type": "avg"}}}, "conf_type: method has one already; remove it"),
    ],
)
def test_rules_that_cannot_be_tried_are_refused(params: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        build(TASK, [{"fitted_fusion": params}], 1)


def test_a_rule_of_the_method_is_kept() -> None:
    members, truth = noise(0)
    made = fitted(
        {"fitted_fusion": {"method": {"wbf": {"conf_type": "max"}}, "iou_threshold": 0.5, "weights": [1]}},
        members,
        truth,
    )
    assert "conf_type" not in made.fitted[0]


def test_soft_nms_has_no_iou_threshold_to_try() -> None:
    members, truth = noise(0)
    (step,) = build(TASK, [{"fitted_fusion": {"method": "soft_nms", "weights": [1]}}], 1)
    made = nested([step], members, truth, folds_of(truth), TASK.metric("ap50"), picked)
    assert {(one.iou_threshold, one.skip_threshold) for one in step.fused} == {(0.55, 0.0), (0.55, 0.05)}  # type: ignore[attr-defined]
    assert made.fitted[0]["iou_threshold"] == 0.55


@pytest.mark.parametrize("method", ["wbf", "nms", "soft_nms", "nmw"])
def test_weights_leave_out_no_box_above_the_floor(method: str) -> None:
    apart = [[0, 0, 20, 20], [50, 50, 80, 80], [0, 60, 20, 90]]
    light, heavy = predicted([(apart, [0.9, 0.06, 0.04])]), predicted([(apart[:1], [0.8])])
    for weights in ([1.0, 1.0], [1.0, 2.0]):
        made = TASK.fuse([light, heavy], weights, method=method, skip_threshold=0.05)
        found = {tuple(box) for box in made["boxes"].tolist()}
        assert tuple(apart[1]) in found, "0.06 is above the floor, whatever the weight"
        assert tuple(apart[2]) not in found


# --- nested


def test_settings_of_noise_score_better_on_the_images_that_they_were_fitted_on() -> None:
    step = {"fitted_fusion": {"iou_threshold": [0.4, 0.55, 0.7], "skip_threshold": [0, 0.3]}}
    gaps = []
    for seed in range(6):
        members, truth = noise(seed)
        made = fitted(step, members, truth)
        gaps.append(value(made.optimistic, truth) - value(made.predictions, truth))
    assert min(gaps) >= 0
    assert np.mean(gaps) > 0.01


def test_the_truth_of_a_fold_changes_no_byte_of_its_own_fused_boxes() -> None:
    members, truth = noise(3)
    step = {"fitted_fusion": {"iou_threshold": [0.4, 0.55, 0.7], "skip_threshold": [0, 0.3]}}
    before, folds = fitted(step, members, truth), folds_of(truth)
    changed = 0
    for fold in range(N_FOLDS):
        own = truth.index[folds == fold]
        mixed = truth.copy()
        mixed.loc[own, "boxes"] = truth.loc[own[::-1], "boxes"].to_numpy()
        after = fitted(step, members, mixed)
        assert after.without[fold] == before.without[fold]
        parts = [picked([(made.predictions, truth["id"][own].tolist())]) for made in (before, after)]
        for name in parts[0]:
            assert parts[0][name].tobytes() == parts[1][name].tobytes(), name
        changed += after.fitted != before.fitted or after.without != before.without
    assert changed == N_FOLDS, "other folds do depend on it"


def test_each_fold_has_the_boxes_of_the_settings_that_were_fitted_without_it() -> None:
    members, truth = noise(4)
    made, folds = fitted("fitted_fusion", members, truth), folds_of(truth)
    for fold in range(N_FOLDS):
        others, ids = truth[folds != fold].reset_index(drop=True), truth["id"][folds == fold].tolist()
        (alone,) = [FittedFusion(TASK, 1).fit(members, others, folds[folds != fold], TASK.metric("ap50"))]
        assert made.without[fold] == [alone]
        weights = [alone["weights"][name] for name in members]
        settings = {
            "iou_threshold": alone["iou_threshold"],
            "skip_threshold": alone["skip_threshold"],
            "method": {"wbf": {"conf_type": alone["conf_type"]}},
        }
        kept = [member for member, weight in zip(members.values(), weights, strict=True) if weight]
        fused = TASK.fuse(kept, [weight for weight in weights if weight], **settings)
        wanted, found = (picked([(one, ids)]) for one in (fused, made.predictions))
        assert found["boxes"].tobytes() == wanted["boxes"].tobytes()


def test_boxes_are_fused_once_for_all_folds_and_rounds_do_not_share_them(monkeypatch: pytest.MonkeyPatch) -> None:
    members, truth = noise(5)
    counts: list[int] = []
    fuse = FittedFusion.fuse
    monkeypatch.setattr(
        FittedFusion, "fuse", lambda step, parts, *more: counts.append(len(parts[0]["ids"])) or fuse(step, parts, *more)
    )
    (step,) = build(
        TASK,
        [{"fitted_fusion": {"iou_threshold": [0.5, 0.7], "skip_threshold": 0, "weights": [1], "conf_type": "avg"}}],
        1,
    )
    nested([step], members, truth, folds_of(truth), TASK.metric("ap50"), picked)
    n = len(truth)
    assert sum(counts) == 2 * n + n + n, "two settings in the fits; then nested, and by the fit on all folds"
    swapped = {"a": members["b"], "b": {**members["a"], "scores": members["a"]["scores"] / 2}}
    again = nested([step], swapped, truth, folds_of(truth), TASK.metric("ap50"), picked)
    fresh = fitted(
        {"fitted_fusion": {"iou_threshold": [0.5, 0.7], "skip_threshold": 0, "weights": [1], "conf_type": "avg"}},
        swapped,
        truth,
    )
    assert sum(counts) == 3 * 4 * n
    assert again.fitted == fresh.fitted
    assert again.predictions["scores"].tobytes() == fresh.predictions["scores"].tobytes()


def test_settings_are_fitted_on_a_part_of_many_images(monkeypatch: pytest.MonkeyPatch) -> None:
    members, truth = noise(6, n=30)
    monkeypatch.setattr("goldfold.ensembling.fitted_fusion.MOST_IMAGES", 10)
    (step,) = build(TASK, [{"fitted_fusion": {"iou_threshold": 0.55, "skip_threshold": [0, 0.3], "weights": [1]}}], 1)
    made = nested([step], members, truth, folds_of(truth), TASK.metric("ap50"), picked)
    assert len(made.predictions["ids"]) == 30
    (kept,) = {len(one["ids"]) for one in step.fused.values()}  # type: ignore[attr-defined]
    assert 10 < kept < 20, "without a fold, others take the place of its images; most stay"


# --- in a run


def test_the_stage_writes_the_nested_score_the_optimistic_one_and_the_settings(tmp_path: Path) -> None:
    members, truth = noise(7)
    folds = tmp_path / "folds"
    folds.mkdir()
    truth.to_csv(folds / "train.csv", index=False)
    (folds / "classes.json").write_text(json.dumps(CLASSES))
    for name, one in members.items():
        for fold in range(N_FOLDS):
            folder = tmp_path / f"predict/{name}/round0/fold{fold}/seed0"
            save(folder / "oof.npz", picked([(one, truth["id"][folds_of(truth) == fold].tolist())]).items())
            save(folder / "test.npz", picked([(one, ids_of(2))]).items())
    ensemble.run(
        predictions=str(tmp_path / "predict"), train=str(folds / "train.csv"), classes=str(folds / "classes.json"),
        folder=str(tmp_path / "ensemble"), leaderboard=str(tmp_path / "leaderboard.csv"),
        metrics=str(tmp_path / "metrics.json"), task={"name": "detection"}, metric="ap50", models=["a", "b"], seeds=[0],
        n_folds=N_FOLDS, rounds=1, has_test=True, weights={}, settings={"method": "wbf"}, workers=1,
        fusion={"fitted_fusion": {"iou_threshold": [0.4, 0.7]}},
    )  # fmt: skip
    scores = json.loads((tmp_path / "metrics.json").read_text())
    assert scores["optimistic"]["ap50"]["value"] > scores["oof"]["ap50"]["value"]
    known = json.loads((tmp_path / "ensemble/fitted.json").read_text())
    (step,), on_all = known["steps"], known["steps"][0]["fitted"]
    assert set(on_all) == {"weights", "iou_threshold", "skip_threshold", "conf_type"}
    assert sorted(known["without_fold"]) == ["0", "1", "2"]
    weights = json.loads((tmp_path / "ensemble/weights.json").read_text())["weights"]
    assert weights == pytest.approx({f"{name}-seed0": on_all["weights"][f"{name}-seed0"] for name in "ab"})
    parts = {name: [picked([(one, ids_of(2))])] * N_FOLDS for name, one in members.items()}
    of_test = {f"{name}-seed0": TASK.fuse(part, [1.0] * N_FOLDS) for name, part in parts.items()}
    made = applied(build(TASK, [step["step"]], 1), of_test, [on_all])  # as bundles do
    written = load(tmp_path / "ensemble/test.npz")
    assert all(written[name].tobytes() == made[name].tobytes() for name in made)


def test_the_report_shows_the_settings_of_all_folds_and_without_each() -> None:
    members, truth = noise(8)
    step = {"fitted_fusion": {"iou_threshold": [0.4, 0.7]}}
    made = fitted(step, members, truth)
    results: Any = SimpleNamespace(
        steps=[{"step": step, "fitted": made.fitted[0]}], without_fold=made.without, row="image",
        ensemble={"method": step, "weights": made.fitted[0]["weights"]},
    )  # fmt: skip
    (table,) = [block for block in fits.blocks(results) if hasattr(block, "rows")]
    assert [row[1] for row in table.rows] == ["iou_threshold", "skip_threshold", "conf_type"]
    assert table.rows[2][2] == made.fitted[0]["conf_type"]
    assert table.columns[2:] == ["on all folds", "without 0", "without 1", "without 2"]
    (weights,) = ensemble_section._members(results)
    assert weights.columns == ["member", "weight", "without a fold"]  # type: ignore[attr-defined]
    assert "fitted_fusion" in ensemble_section.MEANINGS


def test_equal_weights_are_advised_where_weights_were_fitted() -> None:
    def said(params: dict[str, Any]) -> str:
        return overfitted.advice(SimpleNamespace(steps=[{"step": {"fitted_fusion": params}, "fitted": {}}]))  # type: ignore[arg-type]

    assert "equal weights of the members ({fitted_fusion: {weights: [1]}}); or the plain average" in said({})
    assert "equal weights" not in said({"weights": [1]})
    assert "the plain average" in said({"weights": 1})


# --- before any job


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"iou_threshold": []}, r"iou_threshold = \[\]: must be above 0 and below 1, or a list of such"),
        ({"iou_threshold": [0.5, 1]}, "must be above 0 and below 1"),
        ({"iou_threshold": [True]}, "must be above 0 and below 1"),
        ({"skip_threshold": -0.1}, "must be from 0 to below 1"),
        ({"weights": [0]}, "must be numbers from 0 to 100, not all 0"),
        ({"weights": [1, -1]}, "must be numbers from 0 to 100"),
        ({"weights": [*range(7)]}, "weights: 7 values: at most 6 are tried"),
        (
            {"iou_threshold": [0.5, 0.6, 0.7, 0.8, 0.9], "skip_threshold": [0, 0.1, 0.2, 0.3, 0.4]},
            "5 x 5 pairs of iou_threshold and skip_threshold: at most 24 are tried; give fewer values",
        ),
        (
            {"method": {"soft_nms": {"sigma": 0.4}}, "iou_threshold": 0.6},
            "iou_threshold: soft_nms of ensemble-boxes has none; remove it",
        ),
        ({"method": "probability"}, "method 'probability': allowed with detection: wbf"),
        ({"metric": "dice"}, "metric 'dice': "),
    ],
)
def test_values_that_cannot_be_tried_are_refused_before_any_job(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse({**BASE, "task": "detection", **OF_TASK["detection"], "ensemble": [{"fitted_fusion": given}]})
