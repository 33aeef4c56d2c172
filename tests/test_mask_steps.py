"""Steps after the fusion of masks: thresholds of several classes, cleaning of components, and that no fold sees its own truth."""

from collections.abc import Sequence
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

from goldfold.base.errors import ConfigError
from goldfold.config import parse, with_classes
from goldfold.ensembling import average, regions
from goldfold.ensembling.maps import vote
from goldfold.ensembling.nested import Nested, nested
from goldfold.ensembling.regions import Setting
from goldfold.ensembling.steps import FittedStep, build
from goldfold.metrics.segmentation import LEVELS
from goldfold.predictions.arrays import Arrays, OneByOne, load, picked, save
from goldfold.predictions.maps import resized, to_stored, with_first_channel
from goldfold.report import fits, overfitted
from goldfold.submission.form import Form
from goldfold.tasks.segmentation.spec import Spec
from test_config import BASE, OF_TASK
from whole_task import whole

N_FOLDS = 3
ONE, TWO = ["cell"], ["dim", "lit"]
SETTINGS = [Setting(*values) for values in product((0, 4, 9), (0, 1, 6), (False, True))]
TRIED = {"components": {"smallest": [0, 6, 20], "holes": [0, 8], "largest": False}}


class Scenes:
    """Maps and masks of some images; maps are made when they are read.

    Args:
        maps: (classes, height, width) probabilities of each image; ``masks``: (height, width), 0 for the background.
    """

    def __init__(self, folder: Path, classes: list[str], maps: Sequence[Any], masks: Sequence[Any]) -> None:
        self.task = whole({"name": "segmentation", "ignore_value": 9}, classes)
        self.maps, n = [np.round(np.asarray(one) * 255).astype(np.uint8) for one in maps], len(maps)
        self.ids, self.n_read = [f"im{number:03d}" for number in range(n)], 0
        paths = [str(folder / f"{id}.png") for id in self.ids]
        for path, mask in zip(paths, masks, strict=True):
            cv2.imwrite(path, np.asarray(mask, np.uint8))
        self.truth = pd.DataFrame({"id": self.ids, "mask": paths, "fold": np.arange(n) % N_FOLDS})
        sizes = np.array([np.shape(mask) for mask in masks], np.int32)
        entries = {"ids": np.array(self.ids), "classes": np.array(classes), "sizes": sizes}
        self.predictions = OneByOne(entries, "maps", n, self._read)

    def _read(self, row: int) -> Any:
        self.n_read += 1
        return self.maps[row]

    def run(self, *steps: Any, truth: pd.DataFrame | None = None, metric: str = "dice") -> Nested:
        rows = self.truth if truth is None else truth
        built = build(self.task, ["average", *steps], 1)
        return nested(built, {"a": self.predictions}, rows, rows["fold"].to_numpy(), self.task.metric(metric), picked)

    def score(self, predictions: Arrays, metric: str = "dice") -> float:
        evidence = self.task.evidence(predictions, self.truth)
        return float(self.task.metric(metric).value(evidence, np.arange(len(self.ids))))


def blobs(generator: np.random.Generator, n: int, radii: tuple[int, int], side: int = 48) -> Any:
    """Discs (side, side), 1 inside."""
    mask = np.zeros((side, side), np.uint8)
    for _ in range(n):
        x, y = generator.integers(8, side - 8, 2).tolist()
        cv2.circle(mask, (x, y), int(generator.integers(*radii)), 1, -1)
    return mask


def with_specks(folder: Path, seed: int, n: int = 12, size: int = 2, share: float = 1.0) -> Scenes:
    """One class: discs that are found, besides squares of ``size`` pixels a side, of which a share is false."""
    generator, maps, masks = np.random.default_rng(seed), [], []
    for _ in range(n):
        true = blobs(generator, 3, (5, 8))
        found = true.copy()
        for x, y in generator.integers(1, 45, (12, 2)).tolist():
            if not found[y - 1 : y + size + 1, x - 1 : x + size + 1].any():
                found[y : y + size, x : x + size] = 1
                true[y : y + size, x : x + size] = generator.random() >= share
        maps.append(found[None] * 0.9)
        masks.append(true)
    return Scenes(folder, ONE, maps, masks)


def of_coins(folder: Path, seed: int, p: float, n: int = 12) -> Scenes:
    """A disc that is found in every image, and dots of probability ``p`` that are all true or all false by the toss of a coin."""
    generator, maps, masks = np.random.default_rng(seed), [], []
    dots = np.zeros((48, 48))
    dots[4::11, 2:14:4] = 1
    for is_true in generator.integers(2, size=n):
        disc = cv2.circle(np.zeros((48, 48)), (32, 24), 8, 1, -1)
        maps.append(np.stack([0.9 * disc + p * dots, np.zeros((48, 48))]))
        masks.append(disc + is_true * dots)
    return Scenes(folder, TWO, maps, masks)


def of_noise(folder: Path, seed: int, classes: list[str], n: int = 12, side: int = 40) -> Scenes:
    """Predictions and masks of the same kind that know nothing of each other."""
    generator = np.random.default_rng(seed)

    def smooth() -> Any:
        return cv2.GaussianBlur(generator.normal(size=(side, side)), (0, 0), 1.5)

    logits = [np.stack([np.zeros((side, side)), *(6 * smooth() for _ in classes)]) for _ in range(n)]
    maps = [(np.exp(one) / np.exp(one).sum(axis=0))[1:] for one in logits]
    masks = [np.stack([np.full((side, side), 0.05), *(smooth() for _ in classes)]).argmax(axis=0) for _ in range(n)]
    return Scenes(folder, classes, maps, masks)


# --- components


def slowly(channels: Any, of: Sequence[Setting]) -> Any:
    """Cleaned by flood filling one region after the other."""
    made = np.zeros_like(channels)
    background, n_regions = ndimage.label(channels == 0)
    for channel, setting in enumerate(of, start=1):
        found = channels == channel
        for number in range(1, n_regions + 1):
            region = background == number
            around = ndimage.binary_dilation(region) & ~region
            at_border = region[0].any() or region[-1].any() or region[:, 0].any() or region[:, -1].any()
            if not at_border and region.sum() <= setting.holes and (channels[around] == channel).all():
                found = found | region
        parts, n = ndimage.label(found, np.ones((3, 3)))
        regions = [parts == number for number in range(1, n + 1)]
        if setting.largest and regions:

            def order(region: Any) -> tuple[int, int, int]:
                rows, columns = np.nonzero(region)
                return -int(region.sum()), int(rows.min()), int(columns.min())

            regions = [min(regions, key=order)]
        for region in regions:
            if region.sum() >= setting.smallest:
                made[region] = channel
    return made


masks_of = st.integers(0, 2**32 - 1).map(np.random.default_rng)


@settings(max_examples=60)
@given(masks_of, st.sampled_from(SETTINGS), st.sampled_from(SETTINGS), st.integers(1, 14), st.integers(1, 14))
def test_masks_are_cleaned_as_by_a_slow_search(
    generator: np.random.Generator, first: Setting, second: Setting, height: int, width: int
) -> None:
    channels = generator.choice(3, (height, width), p=generator.dirichlet([1, 1, 1])).astype(np.uint8)
    assert np.array_equal(regions.cleaned(channels, [first, second]), slowly(channels, [first, second]))


def test_a_hole_has_one_class_around_it_and_no_border() -> None:
    rows = ["111111..", "1.11.1..", "111111..", "11122222", "1..12..2", "11122222", "2222....", "2.22...."]
    mask = np.array([[".12".index(one) for one in row] for row in rows], np.uint8)
    made = regions.cleaned(mask, [Setting(holes=2), Setting(holes=1)])
    wanted = mask.copy()
    wanted[1, [1, 4]] = 1
    wanted[4, 1:3] = 1
    assert np.array_equal(made, wanted), "two pixels in the second class, one at the border and one of two classes stay"


def test_pixels_counted_by_setting_are_those_of_cleaned_masks() -> None:
    generator, n_changed = np.random.default_rng(0), 0
    for size in ((1, 1), (9, 30), (40, 40)):
        channels = generator.choice(3, size, p=[0.4, 0.35, 0.25]).astype(np.uint8)
        truth = generator.choice([0, 1, 2, 255], size).astype(np.uint8)
        both, predicted = regions.counts(channels, truth, 2, SETTINGS)
        for place, setting in enumerate(SETTINGS):
            made = regions.cleaned(channels, [setting, setting])
            n_changed += not np.array_equal(made, channels)
            for channel in (1, 2):
                of_class = made == channel
                assert both[channel - 1, place] == (of_class & (truth == channel)).sum()
                assert predicted[channel - 1, place] == (of_class & (truth != 255)).sum()
    assert n_changed > len(SETTINGS)


def test_settings_that_remove_planted_false_components_are_found_and_raise_the_nested_score(tmp_path: Path) -> None:
    scenes = with_specks(tmp_path, 0)
    made = scenes.run(TRIED)
    plain = scenes.score(scenes.predictions)
    assert plain < 0.95
    assert scenes.score(made.predictions) > 0.999
    assert made.fitted[1] == {"smallest": {"cell": 6}, "holes": {"cell": 0}, "largest": {"cell": False}}
    assert [fold[1] for fold in made.without.values()] == [made.fitted[1]] * N_FOLDS


def test_true_small_components_are_kept(tmp_path: Path) -> None:
    made = with_specks(tmp_path, 1, share=0.0).run(TRIED)
    assert made.fitted[1]["smallest"] == {"cell": 0}


def test_a_class_is_cleaned_where_this_pays(tmp_path: Path) -> None:
    of_true, of_false = (with_specks(tmp_path, seed, share=seed) for seed in (0, 1))
    paths = [cv2.imread(path, cv2.IMREAD_UNCHANGED) for one in (of_true, of_false) for path in one.truth["mask"]]
    beside = [np.hstack([first, 2 * second]) for first, second in zip(paths[:12], paths[12:], strict=True)]
    empty = np.zeros((48, 48))
    maps = [
        np.stack([np.hstack([first[0], empty]), np.hstack([empty, second[0]])]) / 255
        for first, second in zip(of_true.maps, of_false.maps, strict=True)
    ]
    scenes = Scenes(tmp_path, TWO, maps, beside)
    assert scenes.run(TRIED).fitted[1]["smallest"] == {"dim": 0, "lit": 6}
    together = scenes.run({"components": {**TRIED["components"], "per_class": False}})
    assert len({*together.fitted[1]["smallest"].values()}) == 1


@pytest.mark.parametrize(("step", "p"), [(TRIED, 0.9), ("thresholds", 0.45)])
def test_steps_gain_nothing_nested_on_noise_and_something_where_they_saw_the_images(
    tmp_path: Path, step: Any, p: float
) -> None:
    gains, seen = [], []
    for seed in range(20):
        scenes = of_coins(tmp_path, seed, p)
        made = scenes.run(step, metric="dice_per_image")
        scores = [
            scenes.score(one, "dice_per_image") for one in (made.predictions, made.optimistic, scenes.predictions)
        ]
        gains.append(scores[0] - scores[2])
        seen.append(scores[1] - scores[2])
    assert min(seen) >= 0
    assert np.mean(gains) <= 0 < np.mean(seen)


def test_the_truth_of_a_fold_changes_no_byte_of_its_own_masks(tmp_path: Path) -> None:
    scenes = of_noise(tmp_path, 3, TWO)
    steps = ["thresholds", TRIED]
    before, changed = scenes.run(*steps), 0
    for fold in range(N_FOLDS):
        own = scenes.truth.index[scenes.truth["fold"] == fold]
        mixed = scenes.truth.copy()
        mixed.loc[own, "mask"] = scenes.truth.loc[own[::-1], "mask"].to_numpy()
        assert (mixed["mask"] != scenes.truth["mask"]).any()
        after = scenes.run(*steps, truth=mixed)
        assert after.without[fold] == before.without[fold]
        ids = scenes.truth["id"][own].tolist()
        for first, second in zip(*(scenes.task.masks(made.predictions, ids) for made in (before, after)), strict=True):
            assert first.tobytes() == second.tobytes()
        changed += after.fitted != before.fitted or after.without != before.without
    assert changed == N_FOLDS, "other folds do depend on it"


def test_masks_are_cleaned_one_at_a_time_by_the_settings_of_their_fold(tmp_path: Path) -> None:
    scenes = of_noise(tmp_path, 4, TWO)
    made = scenes.run("thresholds", TRIED)
    n_read = scenes.n_read
    masks = scenes.task.masks(made.predictions, scenes.ids)
    for row, id in enumerate(scenes.ids):
        mask = next(masks)
        assert scenes.n_read == n_read + row + 1
        thresholds, fitted = (fit for fit in made.without[row % N_FOLDS][1:])
        decided = scenes.task.decide(scenes.predictions, [thresholds["thresholds"][name] for name in TWO])
        of = [Setting(*(fitted[key][name] for key in ("smallest", "holes", "largest"))) for name in TWO]
        assert np.array_equal(mask, slowly(next(scenes.task.masks(decided, [id])), of))
        n_read += 1
    save(tmp_path / "oof.npz", made.predictions.items())
    back = load(tmp_path / "oof.npz")
    assert scenes.task.table(back).equals(scenes.task.table(made.predictions))
    rows = scenes.task.submission(back, Form(["id", "class", "rle"], n_keys=2))
    assert rows.equals(scenes.task.submission(made.predictions, Form(["id", "class", "rle"], n_keys=2)))
    assert (
        rows["rle"] != scenes.task.submission(scenes.predictions, Form(["id", "class", "rle"], n_keys=2))["rle"]
    ).any()


def test_no_fit_counts_an_image_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenes, n_counted = of_noise(tmp_path, 5, TWO), []
    true_mask = Spec.true_mask
    monkeypatch.setattr(Spec, "true_mask", lambda spec, path: n_counted.append(path) or true_mask(spec, path))
    made = scenes.run("thresholds", TRIED)
    different = len({str(one[1]) for one in [made.fitted, *made.without.values()]})
    n = len(scenes.ids)
    assert n_counted.count(scenes.truth["mask"][0]) <= 1 + different, (
        "by level, and cleaned with each set of thresholds"
    )
    assert len(n_counted) <= n * (1 + different)
    monkeypatch.setattr("goldfold.tasks.segmentation.kept.MOST_BYTES", 1)
    scenes.task = whole({"name": "segmentation", "ignore_value": 9}, TWO)
    n_counted.clear()
    again = scenes.run("thresholds", TRIED)
    assert len(n_counted) == 2 * N_FOLDS * n, "all images, and each again without the other folds"
    assert (again.fitted, again.without) == (made.fitted, made.without)


def test_counts_of_other_thresholds_are_other_counts(tmp_path: Path) -> None:
    scenes = of_noise(tmp_path, 6, TWO)
    both = [
        scenes.task.cleanable(
            scenes.task.decide(scenes.predictions, [level, level]), scenes.truth, [(0, 0, False)]
        ).both
        for level in (0.3, 0.7)
    ]
    assert (both[0] >= both[1]).all()
    assert both[0].sum() > both[1].sum()


def test_given_values_are_applied_without_a_fit(tmp_path: Path) -> None:
    scenes = with_specks(tmp_path, 2)
    step = {"components": {"smallest": 6, "holes": 0, "largest": True}}
    scenes.truth["fold"] = 0
    made = scenes.run(step)
    assert made.fitted == [None, None]
    assert made.optimistic is None
    assert not isinstance(build(scenes.task, ["average", step], 1)[1], FittedStep)
    for path, mask in zip(scenes.truth["mask"], scenes.task.masks(made.predictions, scenes.ids), strict=True):
        true = cv2.imread(path, cv2.IMREAD_UNCHANGED)
        assert ndimage.label(mask, np.ones((3, 3)))[1] == 1 <= ndimage.label(true, np.ones((3, 3)))[1]


# --- thresholds of several classes


def test_half_is_the_most_probable_class_and_levels_are_those_of_the_masks(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    maps = [generator.dirichlet([1, 1, 1], (9, 11)).transpose(2, 0, 1)[1:] for _ in range(4)]
    maps[3] = np.round(maps[3] * 5) / 5 * 0.6  # ties
    masks = [generator.choice([0, 1, 2, 9], size) for size in ((9, 11), (20, 17), (9, 11), (9, 11))]
    scenes = Scenes(tmp_path, TWO, maps, masks)
    scenes.predictions = replace_entry(
        scenes.predictions, rois=[[0, 0, 11, 9], [2, 3, 15, 20], [0, 0, 11, 9], [0, 0, 11, 9]]
    )
    undecided = scenes.task.decidable(scenes.predictions, scenes.truth)
    neutral = scenes.task.decide(scenes.predictions, [0.5, 0.5])
    for half, plain in zip(*(scenes.task.masks(one, scenes.ids) for one in (neutral, scenes.predictions)), strict=True):
        assert np.array_equal(half, plain)
    seen = set()
    for first, second in zip(LEVELS[::9].tolist(), LEVELS[::-9].tolist(), strict=True):
        direct = scenes.task.evidence(scenes.task.decide(scenes.predictions, [first, second]), scenes.truth)
        found = undecided.at([first, second])
        for part in ("both", "predicted", "true"):
            assert np.array_equal(getattr(found, part), getattr(direct, part)), (first, second)
        seen.add(found.both.sum())
    assert len(seen) > 5


def test_a_class_as_probable_as_the_background_is_background_at_half(tmp_path: Path) -> None:
    maps = [np.array([[[127, 128]], [[0, 0]]]) / 255]
    scenes = Scenes(tmp_path, TWO, maps, [np.zeros((1, 3))])  # the pixel between the two has 0.5
    for predictions in (scenes.predictions, scenes.task.decide(scenes.predictions, [0.5, 0.5])):
        assert next(scenes.task.masks(predictions, scenes.ids)).tolist() == [[0, 0, 1]]


def replace_entry(predictions: OneByOne, rois: Any) -> OneByOne:
    return OneByOne(
        {**predictions.arrays, "rois": np.array(rois, np.int32)}, "maps", len(predictions.rows), predictions.make
    )


def test_each_class_of_several_gets_the_threshold_at_which_it_is_found(tmp_path: Path) -> None:
    generator, maps, masks = np.random.default_rng(1), [], []
    for _ in range(6):
        mask = generator.choice(3, (20, 20), p=[0.6, 0.2, 0.2])
        p = np.stack([np.where(mask == 1, 0.3, 0.1), np.where(mask == 2, 0.6, 0.05)])
        p[1][(mask == 0) & (generator.random((20, 20)) < 0.3)] = 0.5
        maps.append(p)
        masks.append(mask)
    scenes = Scenes(tmp_path, TWO, maps, masks)
    made = scenes.run("thresholds")
    assert scenes.score(scenes.predictions) < 0.6
    assert scenes.score(made.predictions) == 1
    found = made.fitted[1]["thresholds"]
    assert found["dim"] < 0.5 < found["lit"]


# --- votes


@settings(max_examples=30)
@given(masks_of, st.integers(1, 6), st.sampled_from([1, 2, 3, 7]))
def test_a_stored_vote_has_the_class_of_the_exact_one(
    generator: np.random.Generator, members: int, classes: int
) -> None:
    p = generator.dirichlet(np.ones(classes + 1), (members, 200))
    p = np.round(p * 20) / 20
    p[..., 0] = 1 - p[..., 1:].sum(axis=-1)
    weights = generator.choice([1, 1, 2, 0.5, 1 / 3], members).tolist()
    winner = average.vote(p, weights).argmax(axis=1)
    stored = to_stored(vote(p, weights).T[:, None])
    back = with_first_channel(resized(stored, (1, 200)))[:, 0]
    assert np.array_equal(back.argmax(axis=0), winner)
    assert np.abs(back.T - average.vote(p, weights)).max() < 0.03


def test_members_vote_by_pixel_and_ties_go_to_the_larger_mean_probability(tmp_path: Path) -> None:
    maps = [[[p]] for p in ([0.6, 0.9, 0.2, 0.9], [0.6, 0.2, 0.4, 0.4], [0.1, 0.2, 0.4, 0.9])]
    members = [Scenes(tmp_path, ONE, [one], [np.zeros((1, 4))]) for one in maps]
    task = members[0].task

    def of(n: int, weights: Sequence[float]) -> list[int]:
        fused = task.fuse([one.predictions for one in members[:n]], weights, method="vote")
        assert isinstance(fused, OneByOne)
        return [int(one) for one in next(task.masks(fused, ["im000"]))[0]]

    assert of(3, [1, 1, 1]) == [1, 0, 0, 1], "0.9, 0.2 and 0.2 have a mean below 0.5, and so has the vote"
    assert of(2, [1, 1]) == [1, 1, 0, 1], "one of two: 0.9 and 0.2 have a mean of 0.55"
    assert of(2, [1, 2]) == [1, 0, 0, 0]
    assert parse({**BASE, **OF_TASK["segmentation"], "task": "segmentation", "ensemble": {"method": "vote"}})


# --- report and config


def test_the_report_shows_the_settings_of_all_folds_and_without_each(tmp_path: Path) -> None:
    made = with_specks(tmp_path, 0).run(TRIED)
    results: Any = SimpleNamespace(
        steps=[{"step": "average", "fitted": None}, {"step": TRIED, "fitted": made.fitted[1]}],
        without_fold=made.without, row="image", ensemble={"method": "probability", "weights": {"a": 1.0}},
    )  # fmt: skip
    (table,) = [block for block in fits.blocks(results) if hasattr(block, "rows")]
    assert [row[1:] for row in table.rows] == [
        ["smallest.cell", "6", "6", "6", "6"],
        ["holes.cell", "0", "0", "0", "0"],
        ["largest.cell", "false", "false", "false", "false"],
    ]
    simpler = overfitted.advice(SimpleNamespace(steps=results.steps))  # type: ignore[arg-type]
    assert "one setting for all classes ({components: {per_class: false}})" in simpler


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (
            [{"components": {"smallest": -1}}],
            "smallest = -1: must be a whole number of pixels from 0 to 1,000,000,000, or a list",
        ),
        ([{"components": {"smallest": [0, 1.5]}}], r"smallest = \[0, 1.5\]: must be a whole number of pixels"),
        ([{"components": {"smallest": []}}], r"smallest = \[\]: must be a whole number"),
        ([{"components": {"holes": 10**10}}], "holes = 10000000000: must be a whole number of pixels"),
        ([{"components": {"holes": True}}], "holes = True: must be a whole number of pixels"),
        ([{"components": {"largest": "yes"}}], "largest = 'yes': must be true or false, or a list of both"),
        ([{"components": {"largest": [0, 1]}}], r"largest = \[0, 1\]: must be true or false"),
        (
            [{"components": {"smallest": [*range(60)]}}],
            "360 combinations of smallest, holes and largest: at most 200 are",
        ),
        ([{"components": {"per_class": 1}}], "per_class = 1: must be true or false"),
        ([{"components": {"metric": "ap"}}], "metric 'ap': "),
        ([{"components": {"smalest": 1}}], "components does not take 'smalest'; nearest is 'smallest'"),
        (
            ["components", "thresholds"],
            r"ensemble\[1\] = 'thresholds': decides the masks that 'components' cleans; put it first",
        ),
        (
            ["components", "average"],
            "comes after 'components', which needs the combined prediction; put the average first",
        ),
    ],
)
def test_steps_that_cannot_be_are_refused_before_any_job(steps: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse({**BASE, **OF_TASK["segmentation"], "task": "segmentation", "ensemble": steps})


@pytest.mark.parametrize("step", ["thresholds", "components"])
def test_classes_without_a_background_are_refused_with_the_config_or_the_manifest(step: str) -> None:
    masks = {**BASE, **OF_TASK["segmentation"], "task": "segmentation", "ensemble": [step]}
    values = {"mask_values": {"sky": 0, "road": 1}, "classes": ["sky", "road"]}
    said = (
        "thresholds, components and instances need a background, but the pixel value 0 is the class 'sky'; remove the step, "
        "or the class"
    )
    with pytest.raises(ConfigError, match=said):
        parse({**masks, "data": {**masks["data"], **values}})
    assert with_classes.settings(parse(masks))["has_thresholds"]
