"""Detection on windows of large images: training windows with boxes, and boxes of windows joined to those of the image."""

import contextlib
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from conftest import COCO, NETS, Tiny
from goldfold import tasks
from goldfold.base.errors import ConfigError
from goldfold.cache.tiled import TiledImages
from goldfold.cases import Inputs
from goldfold.config import parse
from goldfold.config.checks import check
from goldfold.inference.predictor import Predictor
from goldfold.inference.window_boxes import joined
from goldfold.inference.windows import Grid, Windows
from goldfold.metrics.detection import average_precision, compare
from goldfold.predictions.arrays import load
from goldfold.samples.dense import Packed
from goldfold.samples.window_targets import WindowBoxes
from goldfold.samples.windows import Crops
from goldfold.stages import cache as stage
from jobs import bytes_of
from test_resume import run_until

Found = tuple[Any, Any, Any]
WINDOW = (64, 64)


def shown(grid: Grid, boxes: Any, labels: Any, least: float = 0.0, shift: float = 0.0) -> Iterator[Found]:
    """The true boxes in each window, clipped, of which it shows at least a share; scored by it."""
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    generator, high = np.random.default_rng(0), np.array([grid.window[1], grid.window[0]] * 2)
    for top, left in grid:
        clipped = (boxes - np.array([left, top, left, top])).clip(0, high)
        share = (clipped[:, 2:] - clipped[:, :2]).prod(axis=1) / areas
        seen = (share > 0) & (share >= least)
        moved = (clipped[seen] + generator.uniform(-shift, shift, (seen.sum(), 4))).clip(0, high)
        yield moved, 0.9 * share[seen], labels[seen]


def scene(seed: int, size: tuple[int, int], longest: int, n: int = 40) -> tuple[Any, Any]:
    """Boxes of three classes, of 3 to ``longest`` pixels, at least 3 pixels from each other."""
    generator, boxes = np.random.default_rng(seed), np.empty((0, 4))
    for _ in range(n):
        sides = np.minimum(generator.integers(3, longest, 2, endpoint=True), size[::-1])
        corner = generator.integers(0, np.array(size[::-1]) - sides, endpoint=True)
        box = np.array([*corner, *(corner + sides)], float)
        if ((box[:2] >= boxes[:, 2:] + 3).any(axis=1) | (box[2:] <= boxes[:, :2] - 3).any(axis=1)).all():
            boxes = np.vstack([boxes, box])
    return boxes, generator.integers(0, 3, len(boxes))


def rows_of(boxes: Any, labels: Any) -> list[list[float]]:
    return sorted([*np.round(box, 6).tolist(), int(label)] for box, label in zip(boxes, labels, strict=True))


# --- joining


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    ("overlap", "longest", "least"),
    [
        (0.0, 50, 0.0),
        (0.1, 50, 0.0),
        (0.25, 16, 0.25),
        (0.25, 50, 0.0),
        (0.5, 32, 0.25),
        (0.5, 60, 0.0),
        (0.8, 51, 0.25),
    ],
)
def test_perfect_boxes_of_windows_are_perfect_boxes_of_the_image(
    seed: int, overlap: float, longest: int, least: float
) -> None:
    """Also of objects that no window shows wholly; with ``least``, windows leave out objects of which they show little."""
    size = [(150, 221), (64, 200), (40, 30), (129, 65)][seed % 4]
    boxes, labels = scene(seed, size, longest)
    grid = Grid.of(size, WINDOW, overlap)
    found = joined(grid, shown(grid, boxes, labels, least))
    assert np.allclose(rows_of(found[0], found[2]), rows_of(boxes, labels))
    assert average_precision(compare([(boxes, labels)], [found], 3), np.arange(1)) == pytest.approx(1)
    assert (np.diff(found[1]) <= 0).all(), "best first"


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5])
def test_an_object_on_a_corner_counts_once_and_is_whole(overlap: float) -> None:
    grid = Grid.of((128, 128), WINDOW, overlap)
    box, label = np.array([[40.0, 44.5, 90.0, 85.25]]), np.array([1])
    found = joined(grid, shown(grid, box, label))
    assert np.allclose(found[0], box)
    assert found[2].tolist() == [1]


@pytest.mark.parametrize("overlap", [0.25, 0.5])
def test_boxes_that_are_a_pixel_off_are_joined_too(overlap: float) -> None:
    boxes, labels = scene(3, (200, 200), int(64 * overlap), 60)
    boxes, labels = boxes[keep := (boxes[:, 2:] - boxes[:, :2]).min(axis=1) > 8], labels[keep]
    grid = Grid.of((200, 200), WINDOW, overlap)
    found = joined(grid, shown(grid, boxes, labels, 0.3, shift=0.9))
    assert len(found[1]) == len(boxes) > 10
    assert average_precision(compare([(boxes, labels)], [found], 3), np.arange(1)) > 0.6


def one_row(parts: dict[int, list[list[float]]], overlap: float = 0.25) -> list[list[float]]:
    """Boxes that are found where windows of a row, by number, find boxes of one class; scores fall with the number."""
    grid = Grid.of((64, 256), WINDOW, overlap)
    found = [(np.array(parts.get(n, []), float).reshape(-1, 4), np.full(len(parts.get(n, [])), 0.9 - n / 10),
              np.zeros(len(parts.get(n, [])), int)) for n in range(len(grid))]  # fmt: skip
    return [box.round(3).tolist() for box in joined(grid, found)[0]]


def test_half_an_object_that_no_other_window_finds_stays() -> None:
    assert one_row({0: [[50, 10, 64, 30]]}) == [[50, 10, 64, 30]]
    assert one_row({}) == []


def test_a_fragment_in_another_box_is_dropped_and_its_whole_box_stays() -> None:
    """Of an object from 46 to 76 the first window shows, and finds badly, a part; the second one starts at 48."""
    assert one_row({0: [[52, 12, 64, 18]], 1: [[0, 10, 28, 30]]}) == [[48, 10, 76, 30]]
    assert one_row({0: [[30, 10, 63, 30]], 1: [[0, 12, 8, 18]]}) == [[30, 10, 63, 30]]


CUT = [40.0, 10, 64, 30]
"""What the first of two windows, of which the second starts at 48, shows of an object from 40 to 68."""
PUT_TOGETHER = [40.0, 10, 68, 30]


def two(first: dict[float, list[float]], second: dict[float, list[float]]) -> dict[float, list[float]]:
    """Boxes by score that are found where two windows find boxes of one class by score, in any order."""
    grid, made = Grid.of((64, 112), WINDOW, 0.25), []
    for turn in (1, -1):
        parts = []
        for found in (first, second):
            boxes = np.array([*found.values()][::turn]).reshape(-1, 4)
            parts.append((boxes, np.array([*found][::turn]), np.zeros(len(boxes), int)))
        boxes, scores, _ = joined(grid, parts)
        made.append(dict(zip(scores.tolist(), boxes.round(2).tolist(), strict=True)))
    assert made[0] == made[1], "the order within a window has no influence"
    return made[0]


@pytest.mark.parametrize("noise", [[0.0, 0, 64, 60], [0, 10, 60, 30], [0, 9, 10, 31], [0, 8, 30, 33]])
def test_a_false_box_of_a_low_score_neither_deletes_an_object_nor_takes_its_partner(noise: list[float]) -> None:
    assert two({0.9: CUT}, {0.8: [0, 10, 20, 30], 0.02: noise})[0.9] == PUT_TOGETHER
    before = [48 - noise[2] / 4, noise[1], 64, noise[3]]
    assert two({0.8: CUT, 0.02: before}, {0.9: [0, 10, 20, 30]})[0.9] == PUT_TOGETHER
    assert 0.9 in two({0.9: CUT}, {0.02: noise})


def test_a_second_fragment_of_an_object_that_has_its_partner_is_dropped() -> None:
    whole, half, other = [30.0, 10, 63, 30], [0.0, 10, 15, 18], [0.0, 19, 15, 30]
    assert [*two({0.9: whole}, {0.6: half, 0.5: other})] == [0.9]
    assert [*two({0.9: whole}, {0.6: [0.0, 10, 15, 30], 0.5: other})] == [0.9, 0.5], (
        "the second window shows two boxes there"
    )
    assert [*two({0.9: whole}, {0.2: half, 0.1: other})] == [0.9]


def test_of_two_cut_boxes_that_lie_in_each_other_the_better_one_stays() -> None:
    """They are not alike where both windows see them."""
    upper, lower = [46.0, 10, 64, 26], [0.0, 17, 18, 32]
    assert [*two({0.9: upper}, {0.6: lower})] == [0.9]
    assert [*two({0.6: upper}, {0.9: lower})] == [0.9]


def test_neighbours_within_one_window_stay_two_objects() -> None:
    pair = [[50, 10, 60, 30], [60, 10, 70, 30]]
    seen = {0: [[50, 10, 60, 30], [60, 10, 64, 30]], 1: [[2, 10, 12, 30], [12, 10, 22, 30]]}
    assert sorted(one_row(seen)) == pair


def test_boxes_of_other_classes_are_not_joined() -> None:
    grid = Grid.of((64, 112), WINDOW, 0.25)
    box = np.array([[50.0, 10, 60, 20]])
    parts = [(box, [0.5], [0]), (box - [48, 0, 48, 0], [0.7], [1])]
    boxes, scores, labels = joined(grid, parts)
    assert (boxes.tolist(), scores.tolist(), labels.tolist()) == ([*box.tolist() * 2], [0.7, 0.5], [1, 0])


def test_sides_are_means_by_score_where_they_are_seen() -> None:
    grid = Grid.of((64, 112), WINDOW, 0.25)
    parts = [([[50, 10, 64, 20]], [0.2], [0]), ([[4, 14, 26, 20]], [0.6], [0])]
    boxes, scores, _ = joined(grid, parts)
    assert np.allclose(boxes, [[(0.2 * 50 + 0.6 * 52) / 0.8, 13, 74, 20]]), "the right side is the second one's alone"
    assert scores.tolist() == [0.6]


def test_more_windows_take_no_more_memory() -> None:
    def peak(height: int) -> int:
        grid = Grid.of((height, 64), WINDOW, 0.5)
        tracemalloc.start()
        joined(grid, ((np.empty((0, 4)), np.empty(0), np.empty(0, int)) for _ in grid))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(64)
    few, many = peak(64 * 8), peak(64 * 80)
    assert many - few < 144 * 200, "of 144 windows more, only the places are kept"


class Bright(nn.Module):
    """Finds the bright pixels of each window as one box."""

    def forward(self, inputs: Inputs) -> list[dict[str, torch.Tensor]]:
        found = []
        for image in inputs.single[:, 0]:
            rows, columns = torch.nonzero(image > 200, as_tuple=True)
            box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] if len(rows) else []
            n = len(rows[:1])
            boxes = torch.tensor([float(side) for side in box]).reshape(n, 4)
            found.append({"boxes": boxes, "scores": torch.full((n,), 0.5), "labels": torch.zeros(n, dtype=torch.long)})
        return found


class Whole:
    """Images in memory as those of the cache; part of each is cropped."""

    frame = WINDOW

    def __init__(self, images: dict[str, Any]) -> None:
        self.images = images

    def size(self, id: str) -> tuple[int, int]:
        height, width = self.images[id].shape
        return height, width

    def part(self, id: str, box: tuple[int, int, int, int]) -> Any:
        padded = np.pad(self.images[id], 64)[box[0] + 64 : box[2] + 64, box[1] + 64 : box[3] + 64]
        return np.repeat(padded[..., None], 3, axis=2)


def test_the_predictor_finds_objects_at_their_place_in_images_of_any_size_also_in_crops() -> None:
    images = {"large": np.zeros((100, 230), np.uint8), "small": np.zeros((20, 30), np.uint8)}
    images["empty"] = np.zeros((70, 65), np.uint8)
    images["large"][50:80, 100:140] = 255
    images["small"][3:9, 20:30] = 255
    rows = [("large", 300, 120, "10 5 240 105"), ("small", 30, 20, ""), ("empty", 65, 70, "")]
    table = pd.DataFrame(rows, columns=["id", "width", "height", "roi"])
    how: dict[str, Any] = {"windows": Windows(0.25)}
    infer = tasks.infer({"name": "detection"}, ["a"])
    made = dict(Predictor(Bright(), infer, "native", torch.device("cpu"), **how).entries(table, Whole(images), 8))
    assert made["counts"].tolist() == [1, 1, 0]
    assert made["boxes"].tolist() == [[110, 55, 150, 85], [20, 3, 30, 9]]


# --- training windows


def crops_of(boxes: list[list[float]], labels: list[int], positive: float = 1.0, least: float = 0.25) -> Crops:
    fields = {"bboxes": np.array(boxes, np.float32).reshape(-1, 4), "labels": np.array(labels, int)}
    images: Any = Whole({"a": np.zeros((200, 300), np.uint8)})
    return Crops(images, WindowBoxes(["a"], [fields], least), positive)


def test_windows_show_drawn_objects_wholly_and_classes_equally_often() -> None:
    crops = crops_of([[10.5, 20, 30, 45], *[[200 + 10 * n, 150, 205 + 10 * n, 155] for n in range(9)]], [1, *[0] * 9])
    seen = [crops(0, seed)[1] for seed in range(60)]
    rare = [one for one in seen if 1 in one["labels"]]
    assert 18 < len(rare) < 42
    assert all(np.isclose(np.ptp(one["bboxes"][:, [0, 2]]), 19.5) for one in rare)
    assert {len(one["labels"]) for one in rare} == {1}
    assert len({one["bboxes"][0, 0] for one in rare}) > 10, "anywhere in the window"


def test_a_window_lies_in_an_object_that_is_larger_and_anywhere_without_objects() -> None:
    crops = crops_of([[20, 30, 290, 180]], [0])
    for seed in range(20):
        top, left, bottom, right = crops.box(0, seed)
        assert 30 <= top <= bottom <= 180
        assert 20 <= left <= right <= 290
        assert crops_of([[20, 30, 290, 180]], [0], least=0.0)(0, seed)[1]["bboxes"].tolist() == [[0, 0, 64, 64]]
    places = {crops_of([], []).box(0, seed) for seed in range(20)}
    assert len(places) > 15
    assert crops_of([], [])(0, 1)[1]["bboxes"].shape == (0, 4)


def test_boxes_of_which_a_window_shows_too_little_are_no_objects_in_it() -> None:
    targets = crops_of([[40, 0, 80, 20], [54, 30, 94, 50]], [0, 1]).targets
    found = targets.part(0, (0, 0, 64, 64))
    assert (found["bboxes"].tolist(), found["labels"].tolist()) == ([[40, 0, 64, 20], [54, 30, 64, 50]], [0, 1])
    targets = crops_of([[40, 0, 80, 20], [54, 30, 94, 50]], [0, 1], least=0.3).targets
    assert targets.part(0, (0, 0, 64, 64))["labels"].tolist() == [0]
    assert targets.part(0, (-20, 0, 44, 64))["bboxes"].tolist() == [[40, 20, 64, 40]], (
        "of an image smaller than the window"
    )


def test_a_mask_as_run_lengths_is_decoded_once_for_all_of_its_windows() -> None:
    mask = np.random.default_rng(0).integers(0, 3, (300, 50), np.uint8)
    packed = Packed(mask)
    for top, left, bottom, right in (
        (0, 0, 300, 50),
        (100, 3, 130, 9),
        (127, 0, 128, 1),
        (128, 0, 256, 50),
        (250, 7, 300, 8),
    ):
        assert np.array_equal(packed.part((top, left, bottom, right)), mask[top:bottom, left:right])


# --- stages


HOW = {"windows": {"per_image": 2, "overlap": 0.5}, "image_size_px": [32, 32]}


@pytest.fixture(scope="module")
def native(tiny_boxes: Tiny) -> dict[str, str]:
    """Cache of the scenes at their own size, by split."""
    folders = {split: str(tiny_boxes.root / f"native/{split}-0") for split in ("train", "test")}
    with contextlib.chdir(tiny_boxes.root):
        for split, folder in folders.items():
            stage.run(str(tiny_boxes.folds / f"shards/{split}-0.csv"), folder, [128, 128], 3, "native")
    return folders


def test_a_detector_is_trained_on_windows_resumed_to_the_same_bytes_and_predicts_whole_images(
    tiny_boxes: Tiny, native: dict[str, str], tmp_path: Path
) -> None:
    train = {"epochs": 2, "augment": "light", "flips": "both", "mix": ["mosaic"], "ema_decay": 0.9}
    model = tiny_boxes.model(train, **HOW)
    how: dict[str, Any] = {"model": model, "resize": "native", "caches": [native["train"]]}
    facts = tiny_boxes.train(tmp_path / "whole", **how)
    assert facts["n_train"] == 6
    run_until(3, tiny_boxes, tmp_path / "again", **how)
    assert tiny_boxes.train(tmp_path / "again", **how)["resumed_at_step"] == [2]
    assert bytes_of(tmp_path / "again") == bytes_of(tmp_path / "whole")
    settings = {"model": {**model, "windows": {"overlap": 0.5}}, "resize": "native", "caches": [*native.values()]}
    settings["model"]["params"] = {**model["params"], "score_threshold": 0.0, "max_boxes": 20}
    tiny_boxes.predict(tmp_path / "predicted", tmp_path / "whole/model.safetensors", "test", **settings)
    found = load(tmp_path / "predicted/test.npz")
    assert found["counts"].min() > 0
    assert 32 < found["boxes"][:, 2].max() <= 64, "beyond a window, within the image"


def test_targets_of_windows_are_boxes_of_the_whole_image(tiny_boxes: Tiny, native: dict[str, str]) -> None:
    images = TiledImages([native["train"]], (32, 32))
    table = pd.read_csv(tiny_boxes.fold_file(), dtype=str)
    target = tasks.target(tiny_boxes.task, tiny_boxes.classes)
    for row, fields in zip(table.to_dict("records"), target.targets(table, images, "native"), strict=True):
        boxes, labels = target.spec.boxes(row["boxes"])
        assert np.allclose(fields["bboxes"], boxes)
        assert fields["labels"].tolist() == labels.tolist()
    half = target.targets(table, images, "native-0.5")
    first = next(number for number, fields in enumerate(half) if len(fields["labels"]))
    assert np.allclose(half[first]["bboxes"] * 2, target.spec.boxes(table["boxes"][first])[0])


# --- config


def config_of(windows: Any = True, **more: Any) -> Any:
    net = {"name": "m", **NETS["detection"], "windows": windows}
    return parse({"name": "t", "task": "detection", "data": COCO, "models": [net], **more})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"windows": 512}, "models[0].windows = 512: write true, or {scale: 1, overlap: 0.5, positive_crop: 0.5, per_image: au"),
        ({"windows": 512}, "the size of a window is image_size_px: 512 of the model"),
        ({"windows": {"per_image": 2.5}}, "windows.per_image = 2.5: write auto, or a whole number of windows from 1 to 10,000"),
        ({"tta": ["d4"]}, "tta[0] = 'd4': is no view; the eight turns and mirrored turns are tta: [identity, hflip, vflip, r"),
        ({"ensemble": ["average", "instances"]}, "'instances': is an ensemble step of another task; allowed with detection"),
        ({"task_params": {"max_detections": 0}}, "task_params.max_detections = 0"),
    ],
)  # fmt: skip
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        check(config_of(**settings))
    assert said in str(error.value)


def test_detectors_in_windows_are_allowed() -> None:
    check(config_of({"scale": 0.5, "overlap": 0.0}))


def test_more_than_100_objects_of_a_class_count_if_asked_for() -> None:
    corners = np.stack(np.meshgrid(np.arange(20), np.arange(10)), axis=-1).reshape(-1, 2) * 10.0
    boxes, labels = np.hstack([corners, corners + 8]), np.zeros(200, int)
    truth = pd.DataFrame({"id": ["a"], "boxes": [tasks_text(boxes)]})
    found = {
        "ids": np.array(["a"]), "classes": np.array(["x"]), "sizes": np.array([[100, 200]]), "counts": np.array([200]),
        "boxes": boxes, "scores": np.linspace(0.9, 0.1, 200), "labels": labels,
    }  # fmt: skip
    for settings, least, most in (({}, 0.45, 0.55), ({"max_detections": 300}, 0.999, 1.001)):
        score = tasks.score({"name": "detection", **settings}, ["x"])
        assert least < score.metric("ap").value(score.evidence(found, truth), np.arange(1)) < most


def tasks_text(boxes: Any) -> str:
    from goldfold.targets.boxes import to_text

    return to_text(["x"] * len(boxes), boxes)
