"""Instances of masks: cut at necks, matched as a slow search does, fitted without the fold, written without a shared pixel."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from goldfold.base.errors import ConfigError, DataError
from goldfold.config import parse, slices
from goldfold.drawing import overlays
from goldfold.ensembling.instances import Setting, basins, instances
from goldfold.ensembling.nested import Nested
from goldfold.every_metric import every_metric
from goldfold.metrics.instances import LEVELS, Matches, instance_ap
from goldfold.predictions.arrays import in_order, load, save
from goldfold.stages.submit import _ordered
from goldfold.targets import objects, rle, run_masks
from goldfold.targets.mask_coding import Coding
from goldfold.targets.objects import joined
from goldfold.tasks import facts
from goldfold.tasks.segmentation.instances import separated
from goldfold.tasks.segmentation.show_instances import outlined
from goldfold.tasks.segmentation.spec import Spec
from test_config import BASE, OF_TASK
from test_mask_steps import N_FOLDS, ONE, TWO, Scenes
from whole_task import whole

TRIED = {"instances": {"distance": [0, 4], "neck": [0, 0.7, 0.9], "smallest": [0, 12]}}
NAMES = ("distance", "neck", "smallest")
SETTINGS = [Setting(*values) for values in product((0, 4), (0, 0.6, 0.9, 1), (0, 6))]


def discs(*of: tuple[int, int, int], side: int = 64) -> Any:
    """Numbers of discs (x, y, radius), later ones below earlier ones, and the mask of all."""
    labels = np.zeros((side, side), np.uint16)
    for number, (x, y, radius) in reversed([*enumerate(of, start=1)]):
        cv2.circle(labels, (x, y), radius, number, -1)
    return labels


def pairs_of_discs(folder: Path, seed: int, n: int = 12, classes: Sequence[str] = ONE) -> Scenes:
    """Touching discs as numbered objects, with maps that find them all as one, and specks of noise."""
    generator, maps, masks = np.random.default_rng(seed), [], []
    for _ in range(n):
        x, y = generator.integers(14, 20, 2).tolist()
        labels = discs((x, y, 9), (x + 15, y + 3, 8), (x + 2, y + 32, 7))
        found = (labels > 0).astype(float)
        found[2:4, 50:52] = 1
        maps.append(0.9 * found[None] if len(classes) == 1 else np.stack([0.9 * found, 0 * found]))
        masks.append(labels)
    scenes = Scenes(folder, [*classes], maps, masks)
    values: dict[str, Any] = {"mask_values": "nonzero"} if len(classes) == 1 else {}
    scenes.task = whole({"name": "segmentation", "true_instances": "given", **values}, classes)
    return scenes


def noise(seed: int, side: int = 40, scale: float = 1.5) -> Any:
    """A random mask with two classes."""
    generator = np.random.default_rng(seed)
    values = [cv2.GaussianBlur(generator.normal(size=(side, side)), (0, 0), scale) for _ in range(2)]
    return np.stack([np.full((side, side), 0.02), *values]).argmax(axis=0).astype(np.uint8)


# --- separation


@pytest.mark.parametrize(("neck", "n"), [(0, 3), (0.3, 3), (0.6, 4), (0.9, 4)])
def test_touching_discs_are_cut_at_their_neck_and_nothing_else_is(neck: float, n: int) -> None:
    labels = discs((16, 20, 9), (31, 23, 8), (16, 50, 7))
    labels[55:60, 30:62] = 4  # long, but without a neck
    found = instances((labels > 0).astype(np.uint8), [Setting(neck=neck)])
    assert len(found.channels) == n
    assert np.array_equal(found.labels > 0, labels > 0)
    if n == 4:
        for number in range(1, 5):
            own = labels == number
            best = np.bincount(found.labels[own]).argmax()
            assert (own & (found.labels == best)).sum() / (own | (found.labels == best)).sum() > 0.9


def test_centres_nearer_than_the_distance_are_of_one_instance_and_small_ones_are_left_out() -> None:
    labels = discs((16, 20, 9), (31, 23, 8), (16, 50, 3))
    mask = (labels > 0).astype(np.uint8)
    found = {
        setting: len(instances(mask, [setting]).channels)
        for setting in (Setting(14, 0.9), Setting(17, 0.9), Setting(0, 0.9, 40), Setting(0, 0, 40), Setting(0, 0, 500))
    }
    assert [*found.values()] == [3, 2, 2, 1, 0]


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_instances_are_connected_parts_of_their_class(setting: Setting) -> None:
    for seed in range(4):
        channels = noise(seed)
        found = instances(channels, [setting, setting])
        assert len(found.channels) == found.labels.max()
        for number, channel in enumerate(found.channels.tolist(), start=1):
            own = found.labels == number
            assert (channels[own] == channel).all()
            assert own.sum() >= setting.smallest
            assert ndimage.label(own, np.ones((3, 3)))[1] == 1
        if not setting.smallest:
            assert np.array_equal(found.labels > 0, channels > 0)
        if not setting.neck and not setting.smallest:
            assert len(found.channels) == sum(ndimage.label(channels == one, np.ones((3, 3)))[1] for one in (1, 2))


def test_basins_are_those_of_one_watershed_over_the_whole_mask() -> None:
    from skimage.morphology import local_maxima
    from skimage.segmentation import watershed

    for seed in range(3):
        mask = noise(seed, 60, 2.5) == 1
        found = basins(mask)
        assert found is not None
        distances = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        tops = ndimage.label(local_maxima(distances, connectivity=2) & mask, np.ones((3, 3)))[0]
        wanted = watershed(-distances, tops, np.ones((3, 3)), mask=mask)[found.window]
        assert len(found.areas) == wanted.max() > 10
        same = [
            (wanted[own] == np.bincount(wanted[own]).argmax()).sum()
            for own in map(found.labels.__eq__, range(1, wanted.max() + 1))
        ]
        assert sum(same) > 0.98 * mask.sum(), "the same parts by other numbers, but for ties of single pixels"


def test_an_image_of_one_class_alone_is_one_instance_and_an_empty_one_has_none() -> None:
    assert len(instances(np.ones((9, 7), np.uint8), [Setting(neck=0.9)]).channels) == 1
    assert len(instances(np.zeros((9, 7), np.uint8), [Setting()] * 2).channels) == 0


def test_an_object_that_the_border_cuts_is_not_cut_in_two() -> None:
    mask = np.zeros((40, 40), np.uint8)
    cv2.circle(mask, (0, 20), 12, 1, -1)
    assert len(instances(mask, [Setting(neck=0.9)]).channels) == 1


# --- true instances


def read(path: str, way: str, classes: Sequence[str] = ONE, rule: Any = "nonzero", ignored: Any = None) -> Any:
    channels, (found,) = objects.read(path, Coding(classes, rule, ignored), way)
    return channels, found


def test_true_instances_are_files_values_or_rows_or_else_components(tmp_path: Path) -> None:
    labels = discs((16, 20, 9), (31, 23, 8), (16, 50, 7))
    (tmp_path / "parts").mkdir()
    for number in (1, 2, 3):
        cv2.imwrite(str(tmp_path / f"parts/{number}.png"), np.uint8(255 * (labels == number)))
    cv2.imwrite(str(tmp_path / "labels.png"), labels)
    runs = run_masks.runs_of({1: [rle.encode(labels == number) for number in (1, 2, 3)]}, False, 1)
    text = run_masks.to_text(runs, *labels.shape)
    for path in (str(tmp_path / "parts"), str(tmp_path / "labels.png"), text):
        for way, n in (("given", 3), ("components", 2), ("auto", 3 if path.endswith("parts") else 2)):
            channels, found = read(path, way)
            assert np.array_equal(channels, labels > 0)
            assert found.channels.tolist() == [1] * n, (path, way)
            assert np.array_equal(found.labels > 0, labels > 0)
            assert n == 2 or np.array_equal(found.labels, labels)


def test_pixels_in_two_files_are_of_the_first_and_unknown_ones_of_no_object(tmp_path: Path) -> None:
    first, second = np.zeros((6, 6), np.uint8), np.zeros((6, 6), np.uint8)
    first[:, :3], second[:, 2:4] = 255, 255
    for name, part in (("a", first), ("b", second), ("c", first)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), part)
    _, found = read(str(tmp_path), "auto")
    assert [int((found.labels == number).sum()) for number in range(4)] == [12, 18, 6, 0], "c lies below a"
    cv2.imwrite(str(tmp_path / "values.png"), np.repeat([[1, 1, 2, 0, 7, 7]], 6, axis=0).astype(np.uint8))
    channels, found = read(str(tmp_path / "values.png"), "given", ignored=7)
    assert (channels[:, 4:] == 255).all()
    assert [np.unique(found.labels[:, place]).tolist() for place in range(6)] == [[1], [1], [2], [0], [0], [0]]


def test_rows_of_run_lengths_keep_their_class() -> None:
    left, right = np.zeros((4, 8), bool), np.zeros((4, 8), bool)
    left[:, :2], right[:, 4:6] = True, True
    runs = run_masks.runs_of(
        {1: [rle.encode(right)], 2: [rle.encode(left), rle.encode(right[:, ::-1] & ~left)]}, False, 1
    )
    _, found = read(run_masks.to_text(runs, 4, 8), "given", TWO, "index")
    assert found.channels.tolist() == [1, 2, 2]


# --- metric


def slowly(found: Any, true: Any, known: Any, channel: int) -> list[Fraction] | None:
    """TP / (TP + FP + FN) at each threshold by comparing all pairs of sets of pixels; None without any instance."""
    sets = [
        [
            {*map(tuple, np.argwhere((one.labels == number) & known))}
            for number in np.flatnonzero(one.channels == channel) + 1
        ]
        for one in (found, true)
    ]
    own, others = ([one for one in part if one] for part in sets)
    if not own and not others:
        return None
    values = []
    for level in (Fraction(10 + step, 20) for step in range(10)):
        n_hits = sum(any(Fraction(len(a & b), len(a | b)) > level for b in others) for a in own)
        values.append(Fraction(n_hits, len(own) + len(others) - n_hits))
    return values


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 7), st.sampled_from([0.0, 0.1]))
def test_matches_are_those_of_a_slow_search(tmp_path_factory: Any, seed: int, place: int, unknown: float) -> None:
    folder, generator = tmp_path_factory.mktemp("slow"), np.random.default_rng(seed)
    masks, maps = [], []
    for _ in range(2):
        mask = noise(int(generator.integers(10**6)), 24, 2)
        moved = np.roll(mask, generator.integers(0, 3, 2).tolist(), (0, 1)) * (generator.random(mask.shape) > 0.02)
        maps.append(np.stack([0.9 * (moved == 1), 0.9 * (moved == 2)]))
        masks.append(np.where(generator.random(mask.shape) < unknown, 9, mask))
    scenes = Scenes(folder, TWO, maps, masks)
    setting = SETTINGS[2 * place]
    scenes.predictions = scenes.task.separate(
        scenes.predictions, [(setting.distance, setting.neck, setting.smallest)] * 2
    )
    evidence = scenes.task.evidence(scenes.predictions, scenes.truth)
    spec = Spec(TWO, ignore_value=9)
    values = []
    for (found,), path in zip(separated(spec, scenes.predictions, scenes.ids), scenes.truth["mask"], strict=True):
        channels, (true,) = objects.read(path, spec.coding, "auto")
        of_classes = [slowly(found, true, channels != 255, channel) for channel in (1, 2)]
        present = [one for one in of_classes if one is not None]
        values.append([float(sum(part) / len(part)) for part in zip(*present, strict=True)] if present else [1.0] * 10)
    assert scenes.task.metric("instance_ap").value(evidence, np.arange(2)) == pytest.approx(np.mean(values))
    at_half = scenes.task.metric({"instance_ap": {"iou": 0.5}})
    assert at_half.value(evidence, np.array([1, 0, 1])) == pytest.approx(np.mean([values[row][0] for row in (1, 0, 1)]))


def test_a_pair_at_the_threshold_is_no_hit_and_empty_images_are_right(tmp_path: Path) -> None:
    true, found = np.zeros((4, 4, 8), np.uint8), np.zeros((4, 4, 8))
    true[0, :, 0:4] = 1
    found[0, :, 2:4] = 1  # IoU 0.5
    found[1, 0, 0] = 1  # false
    true[2, 0, 0] = 1  # missed
    scenes = Scenes(tmp_path, ONE, [0.9 * one[None] for one in found], [*true])
    evidence = scenes.task.evidence(scenes.predictions, scenes.truth)
    values = [scenes.task.metric("instance_ap").value(evidence, np.array([row])) for row in range(4)]
    assert values == [0, 0, 0, 1]
    exact = Matches(np.array([[[1] * 10]]), np.array([[1]]), np.array([[2]]))
    assert instance_ap(exact) == 0.5
    with pytest.raises(ConfigError, match=r"instance_ap: iou = 0.3: must be one of 0.5, 0.55, ..., 0.95"):
        instance_ap(exact, iou=0.3)
    assert [instance_ap(exact, iou=float(level)) for level in LEVELS] == [0.5] * 10


def test_validation_in_training_compares_connected_components(tmp_path: Path) -> None:
    scenes = pairs_of_discs(tmp_path, 3, 4)
    metric = scenes.task.metric("instance_ap")
    true = [(cv2.imread(path, cv2.IMREAD_UNCHANGED) > 0).astype(np.uint8) for path in scenes.truth["mask"]]
    targets = SimpleNamespace(inner=true.__getitem__, placement=lambda row: SimpleNamespace(inner=true[row].shape))
    evidence = scenes.task.evidence(in_order(scenes.predictions.items()), scenes.truth, targets)
    assert metric.value(evidence, np.arange(4)) == pytest.approx(2 / 3), (
        "both components are found, and the speck is false"
    )


# --- the step


def ap(scenes: Scenes, predictions: Any) -> float:
    return scenes.score(predictions, "instance_ap")


def test_settings_that_separate_planted_objects_are_found_and_raise_the_nested_score(tmp_path: Path) -> None:
    scenes = pairs_of_discs(tmp_path, 0)
    made = scenes.run(TRIED)
    assert ap(scenes, scenes.predictions) < 0.4
    assert ap(scenes, made.predictions) > 0.9
    assert scenes.score(made.predictions) == scenes.score(scenes.predictions), "masks stay the same"
    metric = scenes.task.metric("dice")
    scores = [
        every_metric(facts("segmentation"), scenes.task, scenes.task.evidence(one, scenes.truth), scenes.truth, metric)
        for one in (scenes.predictions, made.predictions)
    ]
    assert [*scores[1]] == [*scores[0], "instance_ap"], "reported where instances are separated"
    at = scores[1]["instance_ap"]
    assert at["low"] <= at["value"] == ap(scenes, made.predictions) <= at["high"]
    assert made.fitted[1] == {"distance": {"cell": 0}, "neck": {"cell": 0.7}, "smallest": {"cell": 12}}
    assert [fold[1] for fold in made.without.values()] == [made.fitted[1]] * N_FOLDS
    whole_objects = Scenes(tmp_path, ONE, [one / 255 for one in scenes.maps], [one[0] > 0 for one in scenes.maps])
    assert whole_objects.run(TRIED).fitted[1] == {name: {"cell": 0} for name in NAMES}, "nothing is cut for nothing"


def test_numbers_by_setting_are_those_of_instances_made_with_it(tmp_path: Path) -> None:
    scenes = pairs_of_discs(tmp_path, 1, 4)
    tried = [(setting.distance, setting.neck, setting.smallest) for setting in SETTINGS]
    evidence = scenes.task.separable(scenes.predictions, scenes.truth, tried)
    values = []
    for place, setting in enumerate(tried):
        made = scenes.task.separate(scenes.predictions, [setting])
        values.append(scenes.task.metric("instance_ap").value(evidence.at([place]), np.arange(4)))
        assert ap(scenes, made) == values[-1]
    assert len({*values}) > 3


def test_the_truth_of_a_fold_changes_no_byte_of_its_own_instances(tmp_path: Path) -> None:
    scenes = pairs_of_discs(tmp_path, 2)
    generator = np.random.default_rng(0)
    for path in scenes.truth["mask"]:  # truth that knows nothing of the maps, so that fits differ
        labels = discs(*[(*generator.integers(5, 59, 2).tolist(), int(generator.integers(3, 12))) for _ in range(4)])
        cv2.imwrite(path, labels)
    before, changed = scenes.run("thresholds", TRIED), 0

    def of(made: Nested, ids: list[str]) -> list[bytes]:
        return [one.tobytes() for one in scenes.task.instances(made.predictions, ids)]

    for fold in range(N_FOLDS):
        own = scenes.truth.index[scenes.truth["fold"] == fold]
        mixed = scenes.truth.copy()
        mixed.loc[own, "mask"] = scenes.truth.loc[own[::-1], "mask"].to_numpy()
        after = scenes.run("thresholds", TRIED, truth=mixed)
        assert after.without[fold] == before.without[fold]
        ids = scenes.truth["id"][own].tolist()
        assert of(before, ids) == of(after, ids)
        changed += after.fitted != before.fitted or after.without != before.without
    assert changed, "other folds do depend on it"


def test_each_class_has_its_own_settings(tmp_path: Path) -> None:
    scenes = pairs_of_discs(tmp_path, 4, 6)
    together = [one[0] / 255 for one in scenes.maps]
    labels = [cv2.imread(path, cv2.IMREAD_UNCHANGED) for path in scenes.truth["mask"]]
    maps = [np.stack([np.hstack([one, 0 * one]), np.hstack([0 * one, one])]) for one in together]
    masks = [np.hstack([one > 0, 2 * (mask > 0)]) for one, mask in zip(together, labels, strict=True)]
    two = Scenes(tmp_path, TWO, maps, masks)
    assert two.run(TRIED).fitted[1]["smallest"] == {"dim": 0, "lit": 12}, "specks are true in the first class"
    step = {"instances": {**TRIED["instances"], "per_class": False}}
    assert len({*two.run(step).fitted[1]["smallest"].values()}) == 1


def test_given_values_are_applied_without_a_fit_and_survive_a_file(tmp_path: Path) -> None:
    scenes = pairs_of_discs(tmp_path, 5, 4)
    scenes.truth["fold"] = 0
    made = scenes.run({"instances": {"distance": 2.5, "neck": 0.7, "smallest": 12}})
    assert made.fitted == [None, None]
    save(tmp_path / "oof.npz", made.predictions.items())
    back = load(tmp_path / "oof.npz")
    assert ap(scenes, back) == ap(scenes, made.predictions) > 0.9


# --- output


def test_submissions_have_a_row_per_instance_and_no_pixel_twice(tmp_path: Path) -> None:
    scenes = pairs_of_discs(tmp_path, 6, 4)
    scenes.maps[2][:] = 0
    made = scenes.run({"instances": {"distance": 0, "neck": 0.7, "smallest": 12}}).predictions
    form = scenes.task.form(None, "", {"id_column": "ImageId", "format": "instances"}, "instance_ap")
    table = scenes.task.submission(made, form)
    assert table.columns.tolist() == ["ImageId", "rle"]
    assert table["ImageId"].value_counts().to_dict() == {"im000": 3, "im001": 3, "im002": 1, "im003": 3}
    assert table.loc[table["ImageId"] == "im002", "rle"].tolist() == [""]
    for id, labels in zip(scenes.ids, scenes.task.instances(made, scenes.ids), strict=True):
        parts = [rle.decode(text, 64, 64) for text in table.loc[table["ImageId"] == id, "rle"]]
        assert np.sum(parts, axis=0).max() <= 1
        for number, part in enumerate(parts, start=1):
            assert np.array_equal(part, labels == number)
    sample = pd.DataFrame({"ImageId": scenes.ids[::-1], "EncodedPixels": ""})
    form = scenes.task.form(sample, "sample.csv", {"id_column": "id", "format": "instances"}, "instance_ap")
    ordered = _ordered(scenes.task.submission(made, form), form, scenes.ids, "sample.csv")
    assert ordered["ImageId"].tolist() == ["im003"] * 3 + ["im002"] + ["im001"] * 3 + ["im000"] * 3
    assert ordered["EncodedPixels"].tolist()[:3] == table["rle"].tolist()[-3:]


def test_submissions_of_several_classes_name_the_class_of_an_instance(tmp_path: Path) -> None:
    maps = [np.stack([0.9 * (noise(seed) == channel) for channel in (1, 2)]) for seed in range(2)]
    scenes = Scenes(tmp_path, TWO, maps, [noise(seed) for seed in range(2)])
    form = scenes.task.form(None, "", {"id_column": "id", "format": "instances"}, "dice")
    table = scenes.task.submission(scenes.predictions, form)
    for (id, name), rows in table.groupby(["id", "class"]):
        mask = noise(scenes.ids.index(id)) == 1 + TWO.index(name)
        assert len(rows) == ndimage.label(mask, np.ones((3, 3)))[1] > 1
        assert np.array_equal(np.sum([rle.decode(text, 40, 40) for text in rows["rle"]], axis=0), mask)


def test_labels_are_written_with_16_bits_only_with_the_step(tmp_path: Path) -> None:
    scenes = pairs_of_discs(tmp_path, 7, 2)
    made = scenes.run({"instances": {"distance": 0, "neck": 0.7, "smallest": 12}}).predictions
    table = pd.DataFrame({"id": scenes.ids})
    scenes.task.write_extras(made, table, str(tmp_path), {})
    for id, labels in zip(scenes.ids, scenes.task.instances(made, scenes.ids), strict=True):
        written = cv2.imread(str(tmp_path / f"instances/{id}.png"), cv2.IMREAD_UNCHANGED)
        assert written.dtype == np.uint16
        assert np.array_equal(written, labels)
    scenes.task.write_extras(scenes.predictions, table, str(tmp_path), {})
    assert not (tmp_path / "instances").exists()
    many = joined((300, 300), [(1, np.arange(90_000).reshape(300, 300))])
    with pytest.raises(
        DataError, match=r"the image has 89,999 instances, and a PNG can number 65,535. Leave out small ones"
    ):
        objects.write(tmp_path / "many.png", many.labels)


def test_the_report_counts_instances_and_outlines_hits_missed_and_false_ones(tmp_path: Path) -> None:
    scenes = pairs_of_discs(tmp_path, 8, 4)
    truth = scenes.truth.assign(path=scenes.truth["mask"])
    made = scenes.run({"instances": {"distance": 0, "neck": 0.7, "smallest": 0}}).predictions
    section = scenes.task.pages(made, truth, 2)[-1]
    assert section.title == "Instances"
    assert "12 true instances and 16 found" in section.intro
    table = section.blocks[0]
    assert table.rows[0][0] == "0.50"
    assert table.rows[0][2:] == ["12", "4", "0"]
    assert table.rows[0][1].text == "0.7500"
    assert [one.pictures[0].lines[1] for one in section.blocks[1:]] == ["3 true, 4 found, 3 hits"] * len(
        section.blocks[1:]
    )
    assert len(section.blocks) > 1
    own, true = next(scenes.task.instances(made, scenes.ids[:1])), cv2.imread(truth["mask"][0], cv2.IMREAD_UNCHANGED)
    found = [
        objects.Objects(np.int32(one), np.ones(one.max(), np.uint8)) for one in (own, np.where(true == 3, 0, true))
    ]
    drawn = outlined(np.zeros((64, 64, 3), np.uint8), found[:1], found[1:], np.ones((64, 64), bool))
    of_colours = [(drawn == colour).all(axis=2) for colour in (overlays.FOUND, overlays.MISSED, overlays.FALSE)]
    assert [one.any() for one in of_colours] == [True, False, True]
    small = [one.reshape(64, 7, 64, 7).any(axis=(1, 3)) for one in of_colours]
    assert set(np.unique(true[small[0]])) == {1, 2}
    assert set(np.unique(true[small[2]])) == {0, 3}, "the speck and the disc that is no longer true"
    without = outlined(np.zeros((64, 64, 3), np.uint8), found[1:], found[:1], np.ones((64, 64), bool))
    assert (without == overlays.MISSED).all(axis=2).any()


# --- config

SEGMENTATION = {**BASE, **OF_TASK["segmentation"], "task": "segmentation"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ensemble": ["average", {"instances": {"neck": 1.5}}]}, r"neck = 1.5: must be a share from 0 to 1, or a list of such"),
        ({"ensemble": [{"instances": {"distance": -1}}]}, r"distance = -1: must be a number of pixels from 0 to"),
        ({"ensemble": [{"instances": {"smallest": [0, 2.5]}}]}, r"smallest = \[0, 2.5\]: must be a whole number of pixels"),
        ({"ensemble": [{"instances": {"metric": "dice"}}]}, r"metric = 'dice': must be instance_ap, or"),
        ({"ensemble": [{"instances": {"per_class": "no"}}]}, r"per_class = 'no': must be true or false"),
        ({"ensemble": [{"instances": {"smallest": [*range(20)]}}]}, r"360 combinations of distance, neck and smallest"),
        ({"ensemble": ["instances", "components"]}, r"'components': changes the masks whose objects 'instances' separates"),
        ({"ensemble": ["instances", "thresholds"]}, r"'thresholds': changes the masks whose objects 'instances' separates"),
        ({"ensemble": ["components"], "metric": "instance_ap"}, r"metric 'instance_ap' needs the masks"),
        ({"submission": {"format": "label"}}, r"submission.format = 'label': allowed with segmentation: auto, instances"),
        ({"task_params": {"true_instances": "given"}}, r"the values of these masks are classes, not instances; set"),
        ({"task_params": {"true_instances": "some"}}, r"task_params.true_instances = 'some'"),
    ],
)  # fmt: skip
def test_settings_of_instances_that_cannot_work_are_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse({**SEGMENTATION, **change})


def test_other_tasks_submit_no_instances() -> None:
    with pytest.raises(
        ConfigError, match=r"submission.format = 'instances': task 'classification' predicts no instances"
    ):
        parse({**BASE, "submission": {"format": "instances"}})


def test_instances_are_files_of_the_submission_and_train_nothing_anew() -> None:
    numbered = {**SEGMENTATION["data"], "mask_values": "nonzero", "classes": ["cell"]}
    plain = parse({**SEGMENTATION, "data": numbered})
    steps = ["thresholds", "components", "instances"]
    made = parse({**SEGMENTATION, "data": numbered, "ensemble": steps, "task_params": {"true_instances": "given"}})
    assert (plain.submission_files, made.submission_files) == (("masks/",), ("masks/", "instances/"))
    assert slices.task(made) == slices.task(plain)
    assert slices.late_task(made) == {**slices.late_task(plain), "true_instances": "given"}
