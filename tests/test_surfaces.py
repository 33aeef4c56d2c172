"""Metrics of the boundaries of masks: against a slow search, on empty masks, in resamples, and only where they are asked for."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldfold import catalog, metrics
from goldfold.base.errors import ConfigError
from goldfold.commands.ensemble_trial import check_ensemble
from goldfold.config import parse
from goldfold.every_metric import every_metric
from goldfold.metrics.segmentation import Overlap
from goldfold.metrics.surfaces import Pairs
from goldfold.predictions.arrays import in_order
from goldfold.targets.mask_coding import IGNORE
from goldfold.tasks.segmentation.spec import Spec
from test_config import BASE, OF_TASK
from test_mask_steps import ONE, TWO, of_noise

WANTED: list[Any] = [
    "boundary_iou", {"boundary_iou": {"tolerance_px": 1}}, {"boundary_iou": {"tolerance": 0.2}},
    "boundary_f1", {"boundary_f1": {"tolerance_px": 2.5}}, "hausdorff", {"hausdorff": {"percentile": 80}},
]  # fmt: skip
each = pytest.mark.parametrize("wanted", WANTED, ids=str)


def built(wanted: Any) -> metrics.Metric:
    return metrics.build(wanted, catalog.METRICS["mask"])


def overlap(predicted: Any, true: Any, n_classes: int = 1) -> Overlap:
    """Evidence of masks (n, height, width), without the counts."""
    counts = np.zeros((len(true), n_classes), int)
    pairs = Pairs(lambda: zip(predicted, true, strict=True), range(1, n_classes + 1), IGNORE)
    return Overlap(counts, counts, counts, pairs)


def value(wanted: Any, predicted: Any, true: Any, n_classes: int = 1) -> float:
    evidence = overlap(np.array(predicted, np.uint8), np.array(true, np.uint8), n_classes)
    return built(wanted).value(evidence, np.arange(len(evidence)))


def pixels(mask: Any) -> list[tuple[int, int]]:
    return [(int(y), int(x)) for y, x in zip(*np.nonzero(mask), strict=True)]


def boundary(mask: Any) -> list[tuple[int, int]]:
    """Pixels with one of four neighbours outside the mask, or outside the image."""
    inside = {*pixels(mask)}
    return [(y, x) for y, x in inside if {(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)} - inside]


def nearest(points: Any, others: Any) -> np.ndarray:
    return np.array([min(np.hypot(y - v, x - u) for v, u in others) for y, x in points])


def slowly(wanted: Any, predicted: Any, true: Any) -> float:
    """The metric of one class in one image, from the distances between all pairs of pixels."""
    name, params = ({wanted: {}} if isinstance(wanted, str) else wanted).copy().popitem()
    known, diagonal = true != IGNORE, float(np.hypot(*true.shape))
    own, real = (predicted == 1) & known, true == 1
    if not own.any() and not real.any():
        return 0.0 if name == "hausdorff" else 1.0
    if not own.any() or not real.any():
        return diagonal if name == "hausdorff" else 0.0
    default = {"boundary_iou": 0.02, "boundary_f1": 0.0075}.get(name, 0)
    reach = params.get("tolerance_px") or max(1, params.get("tolerance", default) * diagonal)
    if name == "boundary_iou":
        rows, columns = true.shape
        every = [(y, x) for y in range(-1, rows + 1) for x in range(-1, columns + 1)]
        bands = []
        for mask in (own, real):
            points = pixels(mask)
            outside = [point for point in every if point not in {*points}]
            bands.append({point for point, far in zip(points, nearest(points, outside), strict=True) if far <= reach})
        return len(bands[0] & bands[1]) / len(bands[0] | bands[1])
    far = nearest(boundary(own), boundary(real)), nearest(boundary(real), boundary(own))
    if name == "hausdorff":
        return max(float(np.percentile(one, params.get("percentile", 100))) for one in far)
    precision, recall = (float((one <= reach).mean()) for one in far)
    return 2 * precision * recall / max(precision + recall, 1e-12)


@each
@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 12))
def test_metrics_of_boundaries_are_those_of_a_slow_search(wanted: Any, seed: int, height: int, width: int) -> None:
    generator = np.random.default_rng(seed)
    p = generator.uniform(0, 1)
    predicted = (generator.random((height, width)) < p).astype(np.uint8)
    true = np.where(generator.random((height, width)) < 0.8, predicted, 1 - predicted).astype(np.uint8)
    true[generator.random((height, width)) < generator.choice([0, 0.1])] = IGNORE
    assert value(wanted, [predicted], [true]) == pytest.approx(slowly(wanted, predicted, true), abs=1e-5)


def test_values_of_a_shifted_square_and_of_empty_masks() -> None:
    true, moved, nothing = np.zeros((3, 30, 40), np.uint8)
    true[5:15, 5:15], moved[5:15, 8:18] = 1, 1
    assert value("hausdorff", [moved], [true]) == 3
    assert value({"hausdorff": {"percentile": 30}}, [moved], [true]) == 0
    assert value({"boundary_f1": {"tolerance_px": 3}}, [moved], [true]) == 1
    assert value({"boundary_iou": {"tolerance_px": 100}}, [moved], [true]) == pytest.approx(70 / 130), "the whole masks"
    for name, best, worst in (("boundary_iou", 1, 0), ("boundary_f1", 1, 0), ("hausdorff", 0, 50)):
        assert value(name, [true], [true]) == best
        assert value(name, [nothing], [nothing]) == best, "an image without any class is right"
        assert value(name, [true], [nothing]) == value(name, [nothing], [true]) == worst
        both = value(name, [true, nothing, nothing], [true, nothing, true])
        assert both == pytest.approx((2 * best + worst) / 3)
        assert value(name, [true + 0], [np.where(true, 1, 2)], 2) == (best + worst) / 2, "the mean over the classes"
        assert value(name, [2 * true], [2 * true], 2) == best, "a class in neither mask does not count"
    assert not built("hausdorff").greater_is_better


@each
def test_intervals_are_those_of_the_values_of_images_and_masks_are_read_once(wanted: Any, tmp_path: Path) -> None:
    scenes = of_noise(tmp_path, 0, TWO)
    metric, evidence = scenes.task.metric(wanted), scenes.task.evidence(scenes.predictions, scenes.truth)
    n_read = scenes.n_read
    found = metrics.score(metric, evidence, n_resamples=50)
    assert scenes.n_read == 2 * n_read == 2 * len(scenes.ids)
    alone = [metric.value(evidence, np.array([row])) for row in range(len(scenes.ids))]
    assert found.value == pytest.approx(np.mean(alone))
    assert found.low < found.value < found.high
    again = metrics.bootstrap.bootstrap(lambda rows: float(np.mean(np.array(alone)[rows])), len(alone), None, 50)
    assert (found.low, found.high) == pytest.approx((again.low, again.high))


def test_no_mask_is_read_again_for_metrics_of_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenes, read = of_noise(tmp_path, 1, ONE), []
    true_mask = Spec.true_mask
    monkeypatch.setattr(Spec, "true_mask", lambda spec, path: read.append(path) or true_mask(spec, path))
    evidence = scenes.task.evidence(scenes.predictions, scenes.truth)
    found = every_metric(scenes.task.facts, scenes.task, evidence, scenes.truth, scenes.task.metric("dice"))
    assert not catalog.OF_MASKS & {*found}
    assert len(read) == len(scenes.ids)
    asked = every_metric(scenes.task.facts, scenes.task, evidence, scenes.truth, scenes.task.metric("hausdorff"))
    assert list(asked) == ["hausdorff", "dice", "iou", "dice_per_image", "iou_per_image"]
    assert len(read) == 2 * len(scenes.ids)


def test_validation_reads_predictions_once_and_keeps_masks_if_the_metric_needs_them(tmp_path: Path) -> None:
    scenes = of_noise(tmp_path, 2, TWO)
    true = [cv2.imread(path, cv2.IMREAD_UNCHANGED) for path in scenes.truth["mask"]]
    targets = SimpleNamespace(inner=true.__getitem__, placement=lambda row: SimpleNamespace(inner=true[row].shape))

    def evidence() -> Any:
        return scenes.task.evidence(in_order(scenes.predictions.items()), scenes.truth, targets)

    rows = np.arange(len(true))
    whole = scenes.task.evidence(scenes.predictions, scenes.truth)
    plain = evidence()
    assert scenes.task.metric("dice").value(plain, rows) == scenes.task.metric("dice").value(whole, rows)
    metric = scenes.task.metric("boundary_f1")
    assert metric.value(evidence(), rows) == metric.value(whole, rows)
    with pytest.raises(ConfigError, match="'boundary_f1' needs masks, but there are only counts of pixels"):
        metric.value(plain, rows)


def test_settings_of_steps_cannot_be_fitted_by_metrics_that_need_masks() -> None:
    config = {**BASE, **OF_TASK["segmentation"], "task": "segmentation", "metric": "hausdorff"}
    said = r"metric 'hausdorff' needs the masks, .* write {thresholds: {metric: ...}} with one of dice, iou, dice_per_image"
    with pytest.raises(ConfigError, match=said):
        parse({**config, "ensemble": ["thresholds"]})
    with pytest.raises(
        ConfigError, match=r"metric 'boundary_iou' needs the masks, .* write {components: {metric: ...}}"
    ):
        parse({**config, "ensemble": [{"components": {"metric": "boundary_iou"}}]})
    made = parse({**config, "ensemble": [{"components": {"metric": "dice"}}]})
    assert made.metric == "hausdorff"


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"hausdorff": {"percentile": 0}}, "percentile = 0: must be above 0 and at most 100"),
        ({"boundary_iou": {"tolerance": 2}}, "tolerance = 2: must be above 0 and below 1, a share of the diagonal"),
        ({"boundary_f1": {"tolerance_px": 0.5}}, "tolerance_px = 0.5: must be at least 1"),
    ],
)
def test_parameters_out_of_range_are_refused_before_any_job(wanted: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_ensemble({"task": "segmentation", "metric": wanted}, 2)
    (name,) = wanted
    allowed = {"percentile": 95} if name == "hausdorff" else {"tolerance": 0.1}
    check_ensemble({"task": "segmentation", "metric": {name: allowed}}, 2)
