"""Points: heat maps and their peaks, augmentation, matching and metrics, fusion, tables and submissions."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from entries import NETWORKS
from goldfold import catalog, components, metrics, sources
from goldfold.base.errors import ConfigError, DataError
from goldfold.cases import Inputs
from goldfold.ensembling import points as fusion
from goldfold.ensembling.nested import nested
from goldfold.ensembling.spacing import Spacing
from goldfold.inference import views
from goldfold.inference.peaks import MOST_POINTS, peaks
from goldfold.losses import combined
from goldfold.losses.heat_maps import heat_maps
from goldfold.metrics.matched_points import Evidence, compare
from goldfold.metrics.points import by_class
from goldfold.models.heat_maps import PRIOR, of_points
from goldfold.predictions.arrays import picked
from goldfold.samples.mixing import points as mixing
from goldfold.samples.transforms import Augment
from goldfold.targets import points as texts
from goldfold.tasks.points.arrays import arrays
from goldfold.tasks.points.learn import Learn, in_samples
from goldfold.tasks.points.spec import Spec
from goldfold.tasks.points.target import Target, examine
from goldfold.tasks.steps import ForSteps
from whole_task import whole

PAIR = ["left", "right", "nose"]


def drawn(
    points: Any, labels: Any, size: tuple[int, int], stride: int = 1, n_classes: int = 2, sigma: float = 2.0
) -> Any:
    shape = (n_classes, size[0] // stride, size[1] // stride)
    given = [torch.tensor(np.asarray(points, np.float32))], [torch.tensor(np.asarray(labels), dtype=torch.int64)]
    return heat_maps(*given, shape, (float(stride), float(stride)), sigma)


# --- heat maps and peaks


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_peaks_are_where_the_points_are_to_the_fraction_of_a_pixel(stride: int) -> None:
    generator = np.random.default_rng(0)
    grid = np.stack(np.meshgrid([14.0, 44.0, 75.0], [14.0, 44.0]), axis=-1).reshape(-1, 2)
    points, labels = grid + generator.uniform(-4, 4, grid.shape), np.array([0, 1, 0, 1, 1, 0])
    maps, is_peak = drawn(points, labels, (64, 96), stride, sigma=1.5 * stride)
    assert int(is_peak.sum()) == 6
    ((found, scores, classes),) = peaks(maps, (64, 96))
    assert len(found) == 6
    for point, label in zip(points, labels, strict=True):
        away = np.linalg.norm(found - point, axis=1)
        assert away.min() < 0.01 * stride
        assert classes[away.argmin()] == label
    assert (np.diff(scores) <= 0).all()


def test_a_plateau_is_one_point_and_many_are_cut_by_class() -> None:
    flat = torch.zeros(1, 2, 8, 8)
    flat[0, 0, 2:4, 2:4] = 0.5
    ((found, _, labels),) = peaks(flat, (8, 8))
    assert len(found) == 1
    noise = torch.zeros(1, 2, 128, 128)
    noise[0, 1, ::2, ::2] = torch.linspace(0.1, 0.9, 4096).view(64, 64)
    noise[0, 0, 5, 5] = 0.05
    ((found, scores, labels),) = peaks(noise, (128, 128))
    assert [int((labels == one).sum()) for one in (0, 1)] == [1, MOST_POINTS]
    assert scores[labels == 1].min() > 0.4, "the best are kept"


def test_overlapping_gaussians_keep_the_larger_value_and_points_at_borders_are_drawn() -> None:
    maps, is_peak = drawn([[0.0, 0.0], [16.0, 12.0], [8.0, 6.0], [9.0, 6.0]], [0, 0, 1, 1], (12, 16))
    assert maps[0, 0, 0, 0] > 0.9
    assert maps[0, 0, 11, 15] > 0.9
    assert is_peak[0, 0].sum() == 2
    alone = [drawn([place], [0], (12, 16))[0][0, 0] for place in ([8.0, 6.0], [9.0, 6.0])]
    assert torch.allclose(maps[0, 1], torch.maximum(*alone))
    empty, none = heat_maps([torch.zeros(0, 2)], [torch.zeros(0, dtype=torch.int64)], (1, 4, 4), (1.0, 1.0), 2.0)
    assert empty.sum() == 0 == none.sum()


# --- augmentation


def blob(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Image (height, width, 3) with a Gaussian around each point."""
    maps = heat_maps(
        [torch.tensor(points, dtype=torch.float32)], [torch.zeros(len(points), dtype=torch.int64)],
        (1, *size), (1.0, 1.0), 2.5,
    )[0][0, 0]  # fmt: skip
    return np.repeat((maps.numpy() * 255).round().astype(np.uint8)[..., None], 3, axis=2)


def centroid(image: np.ndarray) -> np.ndarray:
    weight = image[..., 0].astype(float)
    y, x = np.mgrid[: weight.shape[0], : weight.shape[1]] + 0.5
    return np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()


@pytest.mark.parametrize(
    ("augment", "flips", "shown"),
    [
        ("none", "horizontal", None),
        ("none", "both", None),
        ([{"Affine": {"rotate": [-30, 30], "scale": [0.8, 1.2], "translate_px": [-6, 6], "shear": 8, "p": 1}}], "both", None),
        ([{"shift_scale_rotate": {"p": 1.0}}], "horizontal", None),
        ("none", "both", (32, 32)),
        ([{"Rotate": {"limit": 45, "p": 1.0}}], "none", (48, 48)),
    ],
)  # fmt: skip
def test_points_move_with_their_pixels(augment: Any, flips: str, shown: tuple[int, int] | None) -> None:
    size, generator = (64, 64), np.random.default_rng(1)
    learn = Learn(Spec(["a"]))
    made = Augment(augment, flips, size, 3, learn.compose_params, shown=shown)
    for seed in range(12):
        point = generator.uniform(26, 38, (1, 2))
        fields = {"image": blob(point, size), **in_samples(point, np.array([0]), has_mirror=False)}
        seen = made(fields, seed)
        place = np.asarray(seen["keypoints"]).reshape(-1, 2)[0] + 0.5
        assert np.linalg.norm(centroid(seen["image"]) - place) < 0.12, seed


def sample_of(points: np.ndarray, labels: list[int], size: tuple[int, int] = (32, 32)) -> dict[str, Any]:
    fields = in_samples(np.asarray(points, float), np.array(labels), has_mirror=True)
    return {
        "id": "x",
        "weight": 1.0,
        "images": blob(np.asarray(points, float), size)[None],
        "present": np.ones(1, bool),
        **fields,
    }


@pytest.mark.parametrize(
    ("transform", "is_mirror"),
    [
        ("HorizontalFlip", True),
        ("VerticalFlip", True),
        ("Transpose", True),
        ("RandomRotate90", False),
        ("Rotate", False),
    ],
)
def test_paired_classes_change_places_in_mirror_images_alone(transform: str, is_mirror: bool) -> None:
    learn = Learn(Spec(PAIR, swap=[["left", "right"]]))
    augment = Augment([{transform: {"p": 1.0}}], "none", (32, 32), 3, learn.compose_params)
    for seed in range(4):
        one = sample_of(np.array([[16.0, 12.0], [18.0, 20.0], [14.0, 16.0]]), [0, 1, 2])
        seen = augment({"image": one["images"][0], "keypoints": one["keypoints"], "labels": one["labels"]}, seed)
        ready = learn.soft({**one, **seen, "images": seen["image"][None]})
        assert ready["labels"].tolist() == ([1, 0, 2] if is_mirror else [0, 1, 2])
        assert len(ready["keypoints"]) == 3
        again = learn.soft(ready)
        assert again["labels"].tolist() == ready["labels"].tolist(), "settled once"


def test_two_classes_that_are_a_pair_change_places_too() -> None:
    learn = Learn(Spec(["left", "right"], swap=[["left", "right"]]))
    one = sample_of(np.array([[16.0, 12.0], [18.0, 20.0]]), [0, 1])
    one["keypoints"][:, 0] = 31 - one["keypoints"][:, 0]
    ready = learn.soft(one)
    assert ready["labels"].tolist() == [1, 0]
    assert ready["keypoints"].tolist() == [[15.5, 11.5], [13.5, 19.5]]


def test_points_outside_the_crop_are_not_drawn_in_its_padding() -> None:
    images: Any = SimpleNamespace(frame=(64, 64), roi=lambda id: (0, 20, 80, 40))
    text = texts.to_text(["a", "a"], np.array([[40.0, 30.0], [40.0, 50.0]]))
    table = pd.DataFrame({"id": ["x"], "height": [80], "width": [80], "points": [text]})
    (fields,) = Target(Spec(["a"])).targets(table, images, "pad")
    assert fields["keypoints"].tolist() == [[31.5, 31.5]], "the other one is 10 pixels below the crop"


def test_points_that_leave_the_image_are_dropped_and_images_without_points_are_batched() -> None:
    learn = Learn(Spec(["a", "b"]))
    gone = {**sample_of(np.array([[-3.0, 5.0], [5.0, 5.0]]), [0, 1])}
    none = {**gone, "keypoints": [], "labels": []}
    batch = learn.collate([gone, none])
    assert [one["points"].tolist() for one in batch.targets] == [[[5.0, 5.0]], []]
    assert batch.targets[0]["labels"].tolist() == [1]
    logits = torch.zeros(2, 2, 8, 8, requires_grad=True)
    loss = learn.loss("peak_focal")(lambda inputs: logits, batch).total
    loss.backward()
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("mix", list(catalog.MIXES["points"]))
def test_mixed_points_stay_on_their_pixels(mix: str) -> None:
    made = components.load(mix, catalog.MIXES["points"], "mix")
    learn = Learn(Spec(["a"]))
    seen = 0
    for seed in range(20):
        generator = np.random.default_rng(seed)

        def one(draw: np.random.Generator = generator) -> dict[str, Any]:
            return learn.soft(sample_of(draw.uniform(4, 60, (3, 2)), [0, 0, 0], (64, 64)))

        mixed = made(one(), one, generator)
        points, labels = mixing.points_of(mixed)
        assert len(points) == len(labels)
        for x, y in points.round().astype(int):
            if 2 <= x < 62 and 2 <= y < 62:
                seen += 1
                assert mixed["images"][0, y - 1 : y + 2, x - 1 : x + 2, 0].max() > 60
    assert seen > 20


# --- networks and views


OF_BLOCKS = ("unet", "unetplusplus", "linknet", "manet")


@pytest.mark.parametrize(
    ("name", "stride"),
    [(name, 2 if name in OF_BLOCKS else 4) for name in catalog.NETWORKS["maps"] if name not in ("mask2former", "dpt")],
)
def test_networks_give_maps_at_the_stride_of_the_task(name: str, stride: int) -> None:
    built = components.load(name, NETWORKS, "network")(
        backbone="test_resnet", n_classes=3, in_channels=3, image_size=(128, 192)
    )
    network = of_points(built, 3, stride)
    logits = network(torch.zeros(2, 3, 128, 192))
    assert logits.shape == (2, 3, 128 // stride, 192 // stride)
    assert abs(float(logits.sigmoid().mean().detach()) - PRIOR) < 0.08
    logits.sum().backward()
    lacking = [key for key, value in network.named_parameters() if value.requires_grad and value.grad is None]
    assert not lacking


class Shows(torch.nn.Module):
    """Network that gives the first channels of its images as logits, at a stride."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, inputs: Inputs) -> torch.Tensor:
        shares = (inputs.images[:, 0].float() / 255).clamp(1e-4, 1 - 1e-4)
        return torch.nn.functional.avg_pool2d(torch.logit(shares), self.stride)


@pytest.mark.parametrize("stride", [1, 2])
def test_views_are_turned_back_before_maps_are_averaged_and_scales_too(stride: int) -> None:
    point = np.array([[21.3, 13.6]])
    image = torch.from_numpy(blob(point, (48, 64))).permute(2, 0, 1)[None]
    task = whole({"name": "points", "stride": stride}, ["a", "b", "c"])
    every = views.build([*catalog.TURNS, {"scales": {"factors": [0.75, 1, 1.25], "multiple": 4}}])
    every = [view.of(views.Batch(["x"], 1, (48, 64), 3)) for view in every]
    assert len(every) == 11
    (found,) = task.predict(Shows(stride), Inputs.of(image), every)["found"]
    best = [np.flatnonzero(found[2] == label)[0] for label in range(3)]
    assert np.linalg.norm(found[0][best] - point, axis=1).max() < 0.35


def test_scales_are_resized_to_the_maps_that_the_network_gives() -> None:
    class Rounds(torch.nn.Module):
        """Gives maps at stride 4, rounded up."""

        def forward(self, inputs: Inputs) -> torch.Tensor:
            return torch.nn.functional.avg_pool2d(inputs.images[:, 0].float() / 255 - 4, 4, ceil_mode=True)

    task = whole({"name": "points", "stride": 4}, ["a", "b", "c"])
    every = views.build([{"scales": {"factors": [0.75, 1.25], "turns": ["identity", "transpose"]}}, "identity"])
    every = [view.of(views.Batch(["x"], 1, (98, 130), 3)) for view in every]
    (found,) = task.predict(Rounds(), Inputs.of(torch.zeros(1, 3, 98, 130, dtype=torch.uint8)), every)["found"]
    assert set(found[2].tolist()) <= {0, 1, 2}


def test_a_mirrored_view_swaps_the_maps_of_paired_classes() -> None:
    maps, _ = drawn([[10.0, 8.0], [20.0, 14.0]], [0, 1], (24, 32), n_classes=3)
    image = (maps * 255).round().to(torch.uint8)

    class Sided(torch.nn.Module):
        """Names points by their side, as a network that is trained with swapped pairs does."""

        def forward(self, inputs: Inputs) -> torch.Tensor:
            logits = torch.logit((inputs.images[:, 0].float() / 255).clamp(1e-4, 1 - 1e-4))
            return logits[:, [1, 0, 2]] if self.mirrored else logits

        mirrored = False

    task, network = whole({"name": "points", "swap": [["left", "right"]]}, PAIR), Sided()
    for name in catalog.TURNS:
        (view,) = views.build([name])
        network.mirrored = name in ("hflip", "vflip", "transpose", "antitranspose")
        (found,) = task.predict(network, Inputs.of(image), [view])["found"]
        assert np.abs(found[0][found[2] == 0][0] - [10, 8]).max() < 0.1, name
        assert np.abs(found[0][found[2] == 1][0] - [20, 14]).max() < 0.1, name


# --- losses


@pytest.mark.parametrize("name", list(catalog.LOSSES["points"]))
def test_losses_fall_as_maps_become_right_and_have_finite_gradients(name: str) -> None:
    target, is_peak = drawn([[5.2, 6.1], [12.0, 3.0]], [0, 1], (16, 16))
    loss = combined(catalog.LOSSES["points"], name)
    right = torch.logit(target.clamp(1e-3, 1 - 1e-3))
    values = [loss(right * share - 4 * (1 - share), target, is_peak).total for share in (0.0, 0.5, 1.0)]
    assert all(value.shape == (1,) for value in values)
    assert [float(value) for value in values] == sorted(map(float, values), reverse=True)
    logits = (1e4 * torch.randn(1, 2, 16, 16, generator=torch.Generator().manual_seed(0))).requires_grad_()
    loss(logits, target, is_peak).total.sum().backward()
    assert torch.isfinite(logits.grad).all()
    assert loss(torch.randn(1, 2, 16, 16).bfloat16(), target, is_peak).total.dtype == torch.float32


def test_peak_focal_equals_its_formula() -> None:
    # p = 0.25 at a peak, 0.5 beside it where the target is 0.5: 0.75^2 ln 4 + 0.5^4 0.5^2 ln 2
    logits = torch.tensor([[[[-np.log(3.0), 0.0]]]])
    target, is_peak = torch.tensor([[[[1.0, 0.5]]]]), torch.tensor([[[[True, False]]]])
    found = float(combined(catalog.LOSSES["points"], "peak_focal")(logits, target, is_peak).total)
    assert found == pytest.approx(0.5625 * np.log(4) + 0.5**6 * np.log(2), rel=1e-6)


# --- metrics

SIZES = [(100, 100)] * 3


def evidence_of(truth: Any, found: Any, n_classes: int = 1, threshold: float = 0.5, **more: Any) -> Evidence:
    n = len(truth)
    return compare(truth, found, SIZES[:n], n_classes, np.full((n, n_classes), threshold), **more)


def of(name: Any, evidence: Evidence, rows: Any = None) -> float:
    metric = metrics.build(name, catalog.METRICS["points"])
    return metric.value(evidence, np.arange(len(evidence)) if rows is None else np.asarray(rows))


TRUTH = [(np.array([[10.0, 10.0], [50.0, 50.0]]), [0, 0]), (np.empty((0, 2)), []), (np.array([[80.0, 20.0]]), [0])]
FOUND = [
    (np.array([[11.0, 10.0], [50.0, 54.0], [10.0, 11.0]]), [0.9, 0.8, 0.7], [0, 0, 0]),
    (np.array([[5.0, 5.0]]), [0.6], [0]),
    (np.array([[80.0, 21.0]]), [0.4], [0]),
]


def test_metrics_of_a_planted_case_are_those_counted_by_hand() -> None:
    evidence = evidence_of(TRUTH, FOUND)  # default distance: 3 px
    assert of("fbeta", evidence) == pytest.approx(2 * 1 / (3 + 4))  # 1 of 3 found, 4 predicted
    assert of({"fbeta": {"distance_px": 5}}, evidence) == pytest.approx(2 * 2 / (3 + 4))
    assert of({"fbeta": {"beta": 2, "distance_px": 5}}, evidence) == pytest.approx(5 * 2 / (4 * 3 + 4))
    low = evidence.at([0.1])
    assert of({"fbeta": {"distance_px": 5}}, low) == pytest.approx(2 * 3 / (3 + 5))
    assert of("count_mae", evidence) == pytest.approx((1 + 1 + 1) / 3)
    assert of("count_rmse", evidence) == pytest.approx(1.0)
    # recall 1/3 at 0.9, 2/3 at 0.8, 1 at 0.4 with precisions 1, 1, 3/5
    assert of({"ap": {"distance_px": 5}}, evidence) == pytest.approx((67 + 34 * 0.6) / 101)
    assert of({"ap": {"distance_px": [5, 0.5]}}, evidence) == pytest.approx((67 + 34 * 0.6) / 101 / 2)


def test_resampled_images_count_as_often_as_they_are_drawn() -> None:
    evidence, rows = evidence_of(TRUTH, FOUND), [0, 0, 2]
    drawn_again = evidence_of([TRUTH[row] for row in rows], [FOUND[row] for row in rows])
    for name in catalog.METRICS["points"]:
        assert of(name, evidence, rows) == pytest.approx(of(name, drawn_again)), name
    assert np.isnan(of("fbeta", evidence, [1]))
    assert np.isnan(of("ap", evidence, [1]))
    assert of("count_mae", evidence, [1]) == 1


def test_matching_is_one_to_one_greedy_by_score_and_within_classes() -> None:
    truth = [(np.array([[10.0, 10.0], [12.0, 10.0]]), [0, 1])]
    both = [(np.array([[10.0, 10.0], [10.5, 10.0], [12.0, 10.0]]), [0.6, 0.9, 0.8], [0, 0, 0])]
    evidence = evidence_of(truth, both, n_classes=2)
    assert evidence.matches().tolist() == [0, -1, -1], "the best takes it, though another one is nearer"
    assert of("fbeta", evidence) == pytest.approx(2 / (2 + 3))
    assert of({"fbeta": {"average": "macro"}}, evidence) == pytest.approx((2 / (1 + 3) + 0) / 2)


def test_a_keypoint_per_class_is_scored_by_its_best_point() -> None:
    truth = [(np.array([[10.0, 10.0], [40.0, 40.0]]), [0, 1]), (np.array([[30.0, 30.0]]), [0])]
    found = [(np.array([[13.0, 14.0], [60.0, 60.0]]), [0.2, 0.9], [0, 0]), (np.array([[30.0, 30.0]]), [0.01], [0])]
    evidence = evidence_of(truth, found, n_classes=2)
    away = [np.hypot(50, 50), np.hypot(100, 100), 0.0]
    assert of("mean_distance", evidence) == pytest.approx(np.mean(away))
    assert of({"pck": {"distance_px": 71}}, evidence) == pytest.approx(2 / 3)
    assert evidence.at([0.9, 0.9]).partners is evidence.partners, "assigned once for all resamples and thresholds"
    assert of("mean_distance", evidence_of(truth, [(np.empty((0, 2)), [], [])] * 2, n_classes=2)) == pytest.approx(
        np.hypot(100, 100)
    )


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"fbeta": {"beta": 0}}, "beta = 0: must be a number above 0"),
        ({"fbeta": {"distance_px": -1}}, "distance_px = -1: must be a number above 0"),
        ({"fbeta": {"average": "mean"}}, "average = 'mean': allowed: micro, macro"),
        ({"ap": {"distance_px": [5, 0]}}, "distance_px = 0: must be a number above 0"),
        ({"ap": {"distance_px": []}}, "distance_px = None: must be a number above 0"),
    ],
)
def test_wrong_parameters_of_metrics_are_refused(written: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        of(written, evidence_of(TRUTH, FOUND))


def test_the_table_by_class_counts_points_and_errors() -> None:
    table = by_class(evidence_of(TRUTH, FOUND), 5)
    assert (table["images"], table["points"], table["found"]) == ([2], [3], [4])
    assert table["precision"] == [0.5]
    assert table["recall"] == [pytest.approx(2 / 3)]


# --- fusion and steps

NEAR = [
    (np.array([[10.0, 10.0], [50.0, 50.0]]), np.array([0.8, 0.6]), np.array([0, 0])),
    (np.array([[12.0, 10.0], [70.0, 70.0]]), np.array([0.4, 0.3]), np.array([0, 1])),
]


def test_points_of_members_merge_by_scores_and_lonely_ones_lose_score() -> None:
    points, scores, labels = fusion.merged(NEAR, [1, 1], (100, 100))
    assert points.tolist()[0] == pytest.approx([10 + 2 * 0.4 / 1.2, 10.0])
    assert scores.tolist() == pytest.approx([0.6, 0.3, 0.15])
    assert labels.tolist() == [0, 0, 1]
    best, best_scores, _ = fusion.strongest(NEAR, [1, 1], (100, 100))
    assert best.tolist()[0] == [10.0, 10.0]
    assert best_scores.tolist() == [0.8, 0.6, 0.3]
    apart, _, _ = fusion.merged(NEAR, [1, 1], (100, 100), distance_px=1)
    assert len(apart) == 4


def test_two_points_of_one_member_stay_two() -> None:
    two = (np.array([[10.0, 10.0], [11.0, 10.0]]), np.array([0.9, 0.8]), np.array([0, 0]))
    points, scores, _ = fusion.merged([two, two], [1, 1], (100, 100))
    assert sorted(points[:, 0].tolist()) == pytest.approx([10, 11])
    assert scores.tolist() == pytest.approx([0.9, 0.8])


@pytest.mark.parametrize("given", [0, -2, True, "near", float("nan")])
def test_a_distance_of_fusion_must_be_a_number_above_0(given: Any) -> None:
    with pytest.raises(ConfigError, match=r"distance_px = .*must be a number of pixels above 0"):
        fusion.merged(NEAR, [1, 1], (100, 100), distance_px=given)


def made_predictions(found: list[Any], n_classes: int = 1) -> Any:
    ids = np.array([f"i{row}" for row in range(len(found))])
    return arrays(["a", "b"][:n_classes], ids, np.tile([[100, 100]], (len(found), 1)), found)


def test_spacing_and_thresholds_are_fitted_without_the_fold_that_they_are_applied_to() -> None:
    """A true point has a double 2 px beside it, which no threshold parts from the others; a far false point has a low score."""
    generator, truth, found = np.random.default_rng(0), [], []
    for row in range(12):
        true = generator.uniform(20, 80, (1, 2))
        truth.append(texts.to_text(["a"], true))
        points = np.vstack([true, true + np.array([2, 0]), [[5.0, 5.0]]])
        found.append((points, np.array([0.9, 0.8, 0.2]) - 0.3 * (row % 2) * np.array([1, 1, 0]), np.zeros(3, int)))
    table = pd.DataFrame({"id": [f"i{row}" for row in range(12)], "points": truth})
    task = ForSteps({"name": "points"}, ["a"])
    metric = task.metric("fbeta")
    steps = [Spacing(task, 1), components.load("thresholds", catalog.POSTPROCESSING["points"], "step")(task, 1)]
    done = nested(steps, {"m": made_predictions(found)}, table, np.arange(12) % 3, metric, picked)
    assert done.fitted[0] == {"least_px": 3.0}
    assert 0.2 < done.fitted[1]["thresholds"]["a"] <= 0.6
    assert metric.value(task.evidence(done.predictions, table), np.arange(12)) == 1.0
    assert done.predictions["counts"].tolist() == [2] * 12
    assert {fold: own[0]["least_px"] for fold, own in done.without.items()} == {0: 3.0, 1: 3.0, 2: 3.0}


@pytest.mark.parametrize("given", [-1, [1, "two"], [], True, list(range(40))])
def test_wrong_distances_of_spacing_are_refused(given: Any) -> None:
    with pytest.raises(ConfigError, match=r"ensemble: spacing: distances_px"):
        Spacing(ForSteps({"name": "points"}, ["a"]), 1, distances_px=given)


def test_points_keep_a_distance_from_better_ones_of_their_class() -> None:
    points = np.array([[0.0, 0.0], [3.0, 0.0], [6.0, 0.0], [3.0, 0.0]])
    kept = fusion.apart(points, np.array([0.9, 0.8, 0.7, 0.1]), np.array([0, 0, 0, 1]), 4.0)
    assert sorted(kept.tolist()) == [0, 2, 3], "the second falls to the first, so that the third may stay"
    assert len(fusion.apart(points, np.ones(4), np.zeros(4, int), 3.0)) == 3, (
        "exactly at the distance stays, twice at one place not"
    )


# --- sources and targets


@pytest.fixture
def folder(in_tmp: Path, write_picture: Any) -> Path:
    for name in ("a", "b", "c"):
        write_picture(Path(f"images/{name}.png"), np.zeros((20, 30, 3), np.uint8))
    for name in ("t", "u"):
        write_picture(Path(f"test/{name}.png"), np.zeros((20, 30, 3), np.uint8))
    return in_tmp


def read(text: str, **settings: Any) -> dict[str, pd.DataFrame]:
    Path("p.csv").write_text(text)
    return sources.read("points", train="p.csv", images="images", **settings)


def test_a_table_of_points_is_read_and_images_without_rows_are_negatives(folder: Path) -> None:
    found = read("id,x,y,class\na,1.5,2,cat\na,3,4,dog\nb,,,\n", class_column="class", test="test")
    assert dict(zip(found["train"]["id"], found["train"]["points"], strict=True)) == {
        "a": '[["cat",1.5,2],["dog",3,4]]', "b": "[]", "c": "[]",
    }  # fmt: skip
    assert found["test"]["id"].tolist() == ["t", "u"]
    missing = read("id,x,y\na,1,2\n", unlisted="missing")["train"]
    assert missing["points"].isna().tolist() == [False, True, True]
    assert read("id,x,y\na,1,2\n", unlisted="left_out")["train"]["id"].tolist() == ["a"]
    assert read("id,x,y\na,1,2\n", classes=["cell"], pixel_centre=0.0)["train"]["points"][0] == '[["cell",1.5,2.5]]'


@pytest.mark.parametrize(
    ("text", "settings", "said"),
    [
        ("id,x,z\na,1,2\n", {}, r"has no column 'y'.*it has: id, x, z.*Set data.y_column"),
        (
            "id,x,y\na,1,two\n",
            {},
            r"column 'y' has 'two' in line 2 \(1 such rows\), which is not a coordinate in pixels",
        ),
        ("id,x,y\na,1,\n", {}, "column 'y' has an empty field in line 2"),
        ("id,x,y\n,1,2\n", {}, "column 'id' is empty in line 2. Fill it in"),
        ("id,x,y,class\na,1,2,\n", {"class_column": "class"}, "column 'class' is empty in line 2"),
        ("id,x,y\na,1,inf\n", {}, "column 'y' has 'inf' in line 2"),
        ("id,x,y\na,1,2\n", {"test_answers": "p.csv"}, "data.test_answers is set, but there are no test images"),
        (
            "id,x,y\na,1,2\n",
            {"test": "test", "test_answers": "p.csv"},
            "1 ids in it are not among the test images, first 'a'",
        ),
    ],
)
def test_flawed_tables_are_refused_with_their_line(folder: Path, text: str, settings: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read(text, **settings)


def examined(text: Any, drops: bool = False, **settings: Any) -> Any:
    table = pd.DataFrame({"id": ["a", "b"], "width": "30", "height": "20", "points": [text, '[["cat",5,5]]']})
    return examine(table, settings.pop("classes", None), "train", drops, 1, **settings)


def test_points_outside_their_image_of_other_classes_and_repeated_ones_are_flaws() -> None:
    text = '[["cat",31,4],["cat",50,4],["dog",3,3],["dog",3,3]]'
    found = examined(text)
    assert found.flaws[0] == "point 2 (cat) (50, 4) lies outside the image of 30 x 20 pixels"
    dropped = examined(text, drops=True)
    assert dropped.table["points"][0] == '[["cat",30,4],["dog",3,3]]', "a pixel outside is rounding"
    assert [what for _, what in dropped.dropped] == [found.flaws[0], "point 4 (dog) is the same as point 3"]
    assert "has a label that is not a class (cat)" in examined(text, classes=["cat"]).flaws[0]
    assert examined(None).missing[0] == "image has no annotation"
    with pytest.raises(DataError, match="there are no points to train on"):
        examine(pd.DataFrame({"id": ["a"], "width": "3", "height": "3", "points": ["[]"]}), None, "train", False, 1)
    with pytest.raises(DataError, match=r"'\[1\]' is not a list of points"):
        examined("[1]")


def test_boxes_become_their_centres() -> None:
    table = pd.DataFrame({"id": ["a"], "width": "30", "height": "20", "boxes": ['[["cat",1,2,4,8]]']})
    found = examine(table, None, "train", False, 1)
    assert found.table["points"][0] == '[["cat",2.5,5]]'
    assert "boxes" not in found.table


@pytest.mark.parametrize(
    ("swap", "said"),
    [([["cat", "dog"]], "swap: 'dog' is no class"), ([["cat", "cat"]], "swap: 'cat' is in two pairs")],
)
def test_wrong_pairs_of_classes_are_refused(swap: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        examined('[["cat",3,3]]', swap=swap)


# --- tables and submissions


def submitted(sample: pd.DataFrame | None = None, **settings: Any) -> pd.DataFrame:
    task = whole({"name": "points", "threshold": 0.5, **settings}, ["a", "b"])
    found = [
        (np.array([[1.25, 2.5], [3.0, 4.0], [9.0, 9.0]]), [0.9, 0.7, 0.3], [0, 1, 0]),
        (np.array([[7.0, 8.0]]), [0.2], [1]),
    ]
    form = task.form(sample, "sample.csv", {"id_column": "id"}, "fbeta")
    return task.submission(made_predictions(found, 2), form)


def test_submissions_have_a_row_per_point_a_text_per_image_or_columns_per_class() -> None:
    by_point = submitted()
    assert by_point.values.tolist() == [["i0", 1.25, 2.5, "a", 0.9], ["i0", 3.0, 4.0, "b", 0.7]]
    assert list(by_point.columns) == ["id", "x", "y", "class", "score"]
    texts_by_image = submitted(rows="images")
    assert texts_by_image["PointString"].tolist() == ["a 0.900000 1.25 2.50 b 0.700000 3.00 4.00", ""]
    assert submitted(rows="images", point_fields=["x", "y"])["PointString"][0] == "1.25 2.50 3.00 4.00"
    columns = submitted(rows="columns")
    assert list(columns.columns) == ["id", "a_x", "a_y", "b_x", "b_y"]
    assert columns.iloc[1].tolist()[3:] == [7.0, 8.0], "the best point, whatever its score"
    assert np.isnan(columns["a_x"][1])


def test_the_sample_decides_on_the_rows_and_pixels_are_counted_as_in_the_data() -> None:
    found = submitted(
        pd.DataFrame({"experiment": ["i0", "i1"], "particle_type": "a", "x": 0, "y": 0}), pixel_centre=0.0
    )
    assert list(found.columns) == ["experiment", "particle_type", "x", "y"]
    assert found.values.tolist()[0] == ["i0", "a", 0.75, 2.0]
    assert submitted(pd.DataFrame({"image": ["i0", "i1"], "points": ""})).shape == (2, 2)
    assert submitted(pd.DataFrame({"image": ["i0", "i1"], "b_x": 0, "b_y": 0}))["b_x"].tolist() == [3.0, 7.0]
    with pytest.raises(DataError, match=r"sample.csv: has the columns id, x, z; needed are the id and x, y"):
        submitted(pd.DataFrame({"id": ["i0"], "x": 0, "z": 0}))
    with pytest.raises(DataError, match=r"are those of task_params.rows: points, not of images. Remove the setting"):
        submitted(pd.DataFrame({"id": ["i0"], "x": 0, "y": 0}), rows="images")


def test_images_without_points_have_no_row_and_other_images_are_refused() -> None:
    from goldfold.stages.submit import _ordered

    task = whole({"name": "points"}, ["a", "b"])
    for sample in (None, pd.DataFrame({"id": ["i1", "i0"], "x": 0, "y": 0})):
        form = task.form(sample, "sample.csv", {"id_column": "id"}, "fbeta")
        filled = pd.DataFrame([["i0"] + [1] * (len(form.columns) - 1)], columns=form.columns)
        assert _ordered(filled, form, ["i0", "i1"], "sample.csv")["id"].tolist() == ["i0"]
    with pytest.raises(DataError, match="i0"):
        _ordered(filled, form, ["i1"], "sample.csv")


def test_tables_of_goldfold_are_read_as_those_of_another_tool() -> None:
    from goldfold import tasks

    spec = {"name": "points"}
    task, made = whole(spec, ["a", "b"]), made_predictions(NEAR, 2)
    table = task.table(made).astype(str)
    images = pd.DataFrame({"id": ["i0", "i1"], "width": "100", "height": "100"})
    external: Any = tasks.external(spec, ["a", "b"])
    for again in (external.from_table(table, images, "p.csv"), external.from_arrays(made, images, "p.npz")):
        for name in ("points", "scores", "labels", "counts", "sizes"):
            assert again[name] == pytest.approx(made[name], abs=1e-5), name
    for column, value, said in (
        ("prediction", "c", "'c' is no class"),
        ("confidence", "1.5", "not probabilities"),
        ("x", "left", "not a finite number"),
        ("id", "zz", "has no point of any of the 2 images"),
    ):
        with pytest.raises(DataError, match=said):
            external.from_table(table.assign(**{column: value}), images, "p.csv")
    with pytest.raises(DataError, match="'counts' sum to 5, but there are 4 points"):
        external.from_arrays({**made, "counts": np.array([3, 2])}, images, "p.npz")
