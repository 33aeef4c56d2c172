"""Mixing of samples: images, targets and weights are mixed by the same shares, by draws of the sample alone."""

import itertools
from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conftest import Tiny
from goldfold.base.errors import ConfigError
from goldfold.cache.images import CachedImages
from goldfold.catalog import MIXES
from goldfold.commands.sample_trial import MADE, check_samples
from goldfold.components import load
from goldfold.config import parse, slices
from goldfold.samples.mixing import Mixing, Sample, boxes, maps, values
from goldfold.samples.mixing.regions import Rectangle, cut, fitted, quadrants, window
from goldfold.targets.mask_coding import IGNORE
from goldfold.training.samples import loader
from goldfold.training.spec import read
from whole_task import classification, whole

SIZE = (20, 30)
LEVELS = (0, 80, 160, 240)
seeds = st.integers(0, 2**32 - 1)
every_mix = pytest.mark.parametrize(
    ("target", "name"), [(target, name) for target, names in MIXES.items() for name in names]
)


def flat(number: int, n_views: int = 1, **fields: Any) -> Sample:
    """A sample of one grey level, of class ``number`` of four."""
    images = np.full((n_views, *SIZE, 3), LEVELS[number], np.uint8)
    weight = fields.pop("weight", 1.0)
    label = {} if fields else {"label": np.eye(4, dtype=np.float32)[number]}
    return {
        "id": f"i{number}",
        "weight": weight,
        "images": images,
        "present": np.ones(n_views, bool),
        **label,
        **fields,
    }


def each(*samples: Sample) -> Any:
    """Partners, one after the other."""
    return iter(samples).__next__


def noise(target: str, number: int) -> Sample:
    images = np.random.default_rng(number).integers(256, size=(1, *SIZE, 3), dtype=np.uint8)
    return {"id": "a", "weight": 0.3, "images": images, "present": np.ones(1, bool), **MADE[target](SIZE, 3)}


# --- one mix


@given(seeds, st.floats(0.1, 4))
def test_mixup_blends_images_labels_and_weights_by_one_share(seed: int, alpha: float) -> None:
    mixed = values.mixup(flat(0), each(flat(3, weight=0.5)), np.random.default_rng(seed), alpha)
    share = float(mixed["label"][0])
    assert mixed["label"].tolist() == pytest.approx([share, 0, 0, 1 - share], abs=1e-6)
    assert len(np.unique(mixed["images"])) == 1
    assert mixed["images"].flat[0] == pytest.approx(240 * (1 - share), abs=0.501)
    assert mixed["weight"] == pytest.approx(share + 0.5 * (1 - share), abs=1e-6)


@given(seeds, st.floats(0.1, 4), st.integers(1, 2))
def test_cutmix_keeps_the_label_of_as_many_pixels_as_are_left(seed: int, alpha: float, n_views: int) -> None:
    mixed = values.cutmix(flat(0, n_views), each(flat(3, n_views, weight=0.0)), np.random.default_rng(seed), alpha)
    share = (mixed["images"][0] == 0).mean()
    assert set(np.unique(mixed["images"])) <= {0, 240}
    assert mixed["label"].tolist() == pytest.approx([share, 0, 0, 1 - share], abs=1e-6)
    assert mixed["weight"] == pytest.approx(share, abs=1e-6)
    assert all(np.array_equal(view, mixed["images"][0]) for view in mixed["images"])


@given(seeds, st.floats(0, 0.5))
def test_a_mosaic_fills_every_pixel_and_its_label_is_the_areas(seed: int, least: float) -> None:
    others = [flat(number, weight=number / 4) for number in (1, 2, 3)]
    mixed = values.mosaic(flat(0, weight=0.0), each(*others), np.random.default_rng(seed), least)
    assert set(np.unique(mixed["images"])) <= {*LEVELS}, "no other value, such as of a pixel that is not filled"
    shares = [(mixed["images"] == level).mean() for level in LEVELS]
    assert mixed["label"].tolist() == pytest.approx(shares, abs=1e-6)
    assert float(mixed["label"].sum()) == pytest.approx(1, abs=1e-6)
    assert mixed["weight"] == pytest.approx(np.dot(shares, [0, 0.25, 0.5, 0.75]), abs=1e-6)


@given(seeds)
def test_cut_has_the_area_of_the_share_before_it_is_clipped(seed: int) -> None:
    place = cut((1000, 1000), 1.0, np.random.default_rng(seed))
    share = np.random.default_rng(seed).beta(1.0, 1.0)
    assert place.area <= 1e6 * (1 - share) + 1
    if place.top > 0 and place.left > 0 and place.bottom < 1000 and place.right < 1000:
        assert place.area == pytest.approx(1e6 * (1 - share), abs=2001)


@given(seeds, st.integers(2, 60), st.integers(2, 60), st.floats(0, 0.5))
def test_quadrants_cover_an_image_once_and_windows_lie_in_it(seed: int, height: int, width: int, least: float) -> None:
    generator, seen = np.random.default_rng(seed), np.zeros((height, width), int)
    for place in quadrants((height, width), least, generator):
        seen[place.of_map] += 1
        part = window((height, width), place, generator)
        assert 0 <= part.top < part.bottom <= height
        assert 0 <= part.left < part.right <= width
        assert (part.height >= place.height, part.width >= place.width) == (True, True), "never enlarged"
    assert (seen == 1).all()


def test_a_part_is_resized_with_any_number_of_channels() -> None:
    for channels in (1, 3, 5):
        part = np.random.default_rng(0).integers(256, size=(8, 6, channels), dtype=np.uint8)
        made = fitted(part, Rectangle(0, 0, 4, 3))
        assert made.shape == (4, 3, channels)
        mean = part.reshape(4, 2, 3, 2, channels).mean(axis=(1, 3))
        assert np.abs(made - mean).max() <= 0.5


@every_mix
def test_a_mix_leaves_its_arguments_alone_and_keeps_shape_and_type(target: str, name: str) -> None:
    mix = load(name, MIXES[target], "mix")
    for number in range(3):
        own, other = noise(target, 1), noise(target, 2)
        mixed = mix(own, lambda other=other: other, np.random.default_rng(number))
        for before, after in ((noise(target, 1), own), (noise(target, 2), other)):
            assert all(np.array_equal(before[field], after[field]) for field in before)
        assert mixed["images"].dtype == np.uint8
        assert mixed["images"].shape == own["images"].shape
        assert mixed["weight"] == 0.3, "that of both, to the last bit"
        assert not np.array_equal(mixed["images"], own["images"])


@pytest.mark.parametrize(("target", "name"), [(t, n) for t, names in MIXES.items() for n in names if n != "mosaic"])
def test_a_sample_mixed_with_itself_is_unchanged(target: str, name: str) -> None:
    own = noise(target, 1)
    for number in range(3):
        mixed = load(name, MIXES[target], "mix")(own, lambda: own, np.random.default_rng(number))
        assert np.array_equal(mixed["images"], own["images"])
        for field in MADE[target](SIZE, 3) if target not in ("boxes", "points") else ():
            assert np.array_equal(mixed[field], own[field]), field
        assert mixed["weight"] == own["weight"]


def test_a_view_that_either_case_has_is_present_after_mixup() -> None:
    own, other = flat(1, 2), flat(3, 2)
    own["present"], other["present"] = np.array([True, False]), np.array([True, False])
    own["images"][1] = other["images"][1] = 0
    assert values.mixup(own, each(other), np.random.default_rng(0))["present"].tolist() == [True, False]
    other["present"] = np.array([False, True])
    assert values.mixup(own, each(other), np.random.default_rng(0))["present"].tolist() == [True, True]


@pytest.mark.parametrize(
    ("mix", "said"),
    [
        ({"mixup": {"alpha": 0}}, "train.mix = {'mixup': {'alpha': 0}}: mixup: alpha = 0 must be above 0"),
        ({"mosaic": {"least": 0.6}}, "mosaic: least = 0.6 must be between 0 and 0.5"),
        ("test_mixing:of_floats", "returns images of float64 (1, 20, 30, 3); return uint8"),
        ("test_mixing:of_nothing", "returns NoneType; return a sample with the fields id, weight, images"),
        ("test_mixing:broken", "fails on made-up values: KeyError: 'lable'"),
    ],
)
def test_a_mix_that_cannot_be_used_is_refused_before_any_job(mix: Any, said: str) -> None:
    model = {"task": "classification", "size": SIZE, "channels": 3, "train": {"mix": [mix]}}
    with pytest.raises(ConfigError) as caught:
        check_samples(model, 2)
    assert said in str(caught.value)


def of_floats(sample: Sample, partner: Any, generator: Any) -> Sample:
    return {**sample, "images": sample["images"] / 255}


def of_nothing(sample: Sample, partner: Any, generator: Any) -> None:
    return None


def broken(sample: Sample, partner: Any, generator: Any) -> Sample:
    return {**sample, "label": sample["lable"]}


# --- masks


def striped(number: int) -> Sample:
    """A sample with a mask, whose level tells the class of each pixel."""
    mask = np.full(SIZE, IGNORE, np.uint8)
    mask[:, :24] = np.repeat(np.arange(6) % 3, 4)
    mask = np.roll(mask, number, axis=1)
    return flat(0, mask=mask, weight=number / 4) | {"images": np.repeat(mask[None, ..., None], 3, axis=-1)}


@given(seeds, st.sampled_from([maps.cutmix, maps.copy_paste]))
def test_pixels_go_with_their_classes(seed: int, mix: Any) -> None:
    own, other = striped(0), striped(3)
    mixed = mix(own, each(other), np.random.default_rng(seed))
    assert np.array_equal(mixed["images"][0, ..., 0], mixed["mask"])
    assert ((mixed["mask"] == own["mask"]) | (mixed["mask"] == other["mask"])).all()


@given(seeds)
def test_a_mosaic_of_masks_is_exact_where_nothing_is_resized_and_has_no_new_class(seed: int) -> None:
    mixed = maps.mosaic(striped(0), each(*map(striped, (1, 2, 3))), np.random.default_rng(seed), least=0.5)
    assert set(np.unique(mixed["mask"])) <= {0, 1, 2, IGNORE}
    assert mixed["weight"] in (0, 0.25, 0.5, 0.75), (
        "a weight of one of them: losses over a batch group its images by weight"
    )
    levels = {1: 10, 2: 20}
    blocks = flat(0, mask=np.kron(np.array([[1, 2]], np.uint8), np.ones((20, 15), np.uint8)))
    blocks["images"][0] = np.vectorize(levels.get)(blocks["mask"])[..., None]
    mixed = maps.mosaic(blocks, lambda: blocks, np.random.default_rng(seed))
    seen = np.abs(mixed["images"][0, ..., 0].astype(int) - np.vectorize(levels.get)(mixed["mask"]))
    assert np.quantile(seen, 0.9) == 0, "but for pixels at borders, which are of two classes"
    assert seen.max() <= 5


@pytest.mark.parametrize("mix", [maps.cutmix, maps.mosaic, maps.copy_paste])
def test_the_weight_of_a_mixed_mask_is_on_average_mixed_by_the_share_of_its_pixels(mix: Any) -> None:
    def seen(level: int, weight: float) -> Sample:
        mask = np.full(SIZE, 1, np.uint8)
        mask[: SIZE[0] // 2] = 0
        return flat(level, mask=mask, weight=weight)

    drawn, by_shares = [], []
    for seed in range(2000):
        mixed = mix(seen(0, 1.0), lambda: seen(3, 0.1), np.random.default_rng(seed))
        drawn.append(mixed["weight"])
        by_shares.append(1 - 0.9 * float((mixed["images"][..., 0] == LEVELS[3]).mean()))
    assert set(drawn) == {1.0, 0.1}, "losses over a batch group its images by weight"
    assert np.mean(drawn) == pytest.approx(np.mean(by_shares), abs=0.04)
    assert np.std(by_shares) < 0.01 or np.corrcoef(drawn, by_shares)[0, 1] > 0.2, "of each sample, not of all"


def test_objects_are_connected_regions_of_classes_besides_the_background() -> None:
    mask = np.zeros((6, 6), np.uint8)
    mask[0, 0] = mask[1, 1] = mask[5, 5] = 1
    mask[5, 4], mask[3] = 2, IGNORE
    numbers, n = maps.objects(mask)
    assert np.bincount(numbers.ravel()).tolist() == [32, 2, 1, 1]
    assert (n, numbers[5, 4]) == (3, 3)
    own, other = flat(0, mask=np.zeros((20, 30), np.uint8)), flat(3, mask=np.zeros((20, 30), np.uint8))
    assert maps.copy_paste(own, each(other), np.random.default_rng(0)) is own, "there is nothing to paste"
    other["mask"][2:4, 5:8] = 2
    mixed = maps.copy_paste(own, each(other), np.random.default_rng(0), share=0.0)
    assert np.array_equal(mixed["mask"], other["mask"])
    assert np.array_equal(mixed["images"][0, ..., 0] == 240, other["mask"] == 2)


# --- boxes


def with_box(number: int, *box: float) -> Sample:
    """A sample with one bright box on black."""
    sample = flat(0, bboxes=np.array([box], np.float32), labels=np.array([number]))
    left, top, right, bottom = (round(edge) for edge in box)
    sample["images"][0, top:bottom, left:right] = LEVELS[number]
    return sample


@given(seeds, st.integers(0, 3))
def test_a_box_of_a_mosaic_is_where_its_pixels_are(seed: int, which: int) -> None:
    samples = [flat(0, bboxes=np.zeros((0, 4), np.float32), labels=np.zeros(0, int)) for _ in range(4)]
    samples[which] = with_box(3, 9, 6, 21, 15)
    mixed = boxes.mosaic(samples[0], each(*samples[1:]), np.random.default_rng(seed), min_visible=0.0)
    seen = np.argwhere(mixed["images"][0, ..., 0] > 120)
    if len(mixed["bboxes"]):
        (box,) = mixed["bboxes"]
        expected = [*seen.min(axis=0)[::-1], *(seen.max(axis=0)[::-1] + 1)]
        assert np.abs(box - expected).max() <= 0.51
        assert mixed["labels"].tolist() == [3]
    else:
        assert np.ptp(seen, axis=0).min(initial=0) == 0, "at most a line of pixels"


def test_parts_of_boxes_are_clipped_to_their_quadrant_and_tiny_rests_dropped() -> None:
    part, place = Rectangle(10, 10, 20, 20), Rectangle(0, 20, 10, 30)
    given = np.array([[12, 12, 18, 18], [0, 10, 14, 20], [0, 10, 12, 20], [0, 0, 5, 5]], np.float32)
    made, labels = boxes.shown(given, np.arange(4), part, place, min_visible=0.25)
    assert made.tolist() == [[22, 2, 28, 8], [20, 0, 24, 10]], "of the third, 2 of 12 columns are left"
    assert labels.tolist() == [0, 1]
    made, _ = boxes.shown(given, np.arange(4), Rectangle(10, 10, 20, 20), Rectangle(0, 20, 5, 30), min_visible=0.1)
    assert made.tolist() == [[22, 1, 28, 4], [20, 0, 24, 5], [20, 0, 22, 5]]


def test_boxes_shrink_to_what_is_seen_and_are_dropped_where_little_is() -> None:
    hidden = np.zeros(SIZE, bool)
    hidden[:, 10:14] = True
    given = np.array([[8.5, 2.25, 12, 8], [11, 2, 13, 8], [9, 0, 20, 5], [10.5, 3, 18.5, 9.5]], np.float32)
    made, labels = boxes.visible(given, np.arange(4), hidden, min_visible=0.25)
    assert made.tolist() == [[8.5, 2.25, 10, 8], [9, 0, 20, 5], [14, 3, 18.5, 9.5]], (
        "one is hidden, one seen on both sides"
    )
    assert labels.tolist() == [0, 2, 3]


@given(seeds)
def test_pasted_boxes_cover_their_pixels(seed: int) -> None:
    own, other = with_box(1, 2, 2, 12, 10), with_box(3, 8, 6, 20, 16)
    mixed = boxes.copy_paste(own, each(other), np.random.default_rng(seed))
    assert mixed["labels"].tolist() == [1, 3]
    assert mixed["bboxes"].tolist() == [[2, 2, 12, 10], [8, 6, 20, 16]], "the corner of the first is hidden, no side"
    assert np.array_equal(mixed["images"][0, ..., 0] == 240, other["images"][0, ..., 0] == 240)
    mixed = boxes.cutmix(own, each(other), np.random.default_rng(seed))
    for box, label in zip(mixed["bboxes"].astype(int), mixed["labels"], strict=True):
        seen = mixed["images"][0, box[1] : box[3], box[0] : box[2], 0] == LEVELS[label]
        assert min(seen.any(axis=0).all(), seen.any(axis=1).all()), "no row or column of a box is all hidden"


def test_mixup_keeps_the_boxes_of_both_images_and_drops_those_that_are_hardly_seen() -> None:
    own, other = with_box(1, 2, 2, 12, 10), {**with_box(3, 8, 6, 20, 16), "weight": 0.5}
    seen = set[tuple[int, ...]]()
    for seed in range(40):
        mixed = boxes.mixup(own, each(other), np.random.default_rng(seed), alpha=0.5)
        share = float(np.random.default_rng(seed).beta(0.5, 0.5))
        shares = [share, 1 - share]
        kept = [one for one, own_share in zip((own, other), shares, strict=True) if own_share >= 0.25]
        assert mixed["labels"].tolist() == [one["labels"][0] for one in kept]
        assert mixed["bboxes"].tolist() == [one["bboxes"][0].tolist() for one in kept], "as they were"
        assert mixed["bboxes"].dtype == np.float32
        assert mixed["bboxes"].shape == (len(kept), 4)
        assert mixed["weight"] == pytest.approx(shares[0] + 0.5 * shares[1])
        corners = [mixed["images"][0, row, column, 0] for row, column in ((3, 3), (15, 19))]
        assert np.abs(np.array(corners) - [LEVELS[1] * shares[0], LEVELS[3] * shares[1]]).max() <= 1
        seen.add(tuple(mixed["labels"]))
    assert seen == {(1,), (3,), (1, 3)}
    empty = flat(0, bboxes=np.zeros((0, 4), np.float32), labels=np.zeros(0, int))
    assert boxes.mixup(empty, each(empty), np.random.default_rng(0))["bboxes"].shape == (0, 4)


# --- which samples are mixed


def of(mixes: list[Any], probability: float = 1.0, n: int = 8) -> Any:
    """(row, epoch) -> mixed sample of `n` images of one level each."""
    mixing = Mixing(mixes, probability, lambda epoch: np.arange(n))

    def sample(row: int, stream: Any = ()) -> Sample:
        return {
            "id": f"i{row}",
            "weight": 1.0,
            "images": np.full((1, 8, 8, 1), row, np.uint8),
            "present": np.ones(1, bool),
        }

    return lambda row, epoch: mixing(sample(row), sample, epoch, ("key", epoch, f"i{row}"))


def named(name: str) -> Any:
    def mix(sample: Sample, partner: Any, generator: np.random.Generator) -> Sample:
        return {**sample, "mix": name, "partner": partner()["id"]}

    return mix


def test_samples_are_mixed_with_the_probability_and_each_mix_and_partner_is_as_likely_as_another() -> None:
    draw, n = of([named("a"), named("b")], 0.3, n=5), 4000
    found = [draw(row, epoch) for row, epoch in itertools.product(range(5), range(n // 5))]
    mixed = [one for one in found if "mix" in one]
    assert abs(len(mixed) - 0.3 * n) < 4 * np.sqrt(n * 0.3 * 0.7)
    assert abs(Counter(one["mix"] for one in mixed)["a"] - len(mixed) / 2) < 4 * np.sqrt(len(mixed) / 4)
    partners = Counter(one["partner"] for one in mixed)
    assert len(partners) == 5
    assert all(abs(number - len(mixed) / 5) < 4 * np.sqrt(len(mixed) * 0.16) for number in partners.values())
    assert not any("mix" in of([named("a")], 0.0)(row, 0) for row in range(8))
    assert all("mix" in of([named("a")], 1.0)(row, 0) for row in range(8))


def batches_of(tiny: Tiny, workers: int = 0, process: int = 0, processes: int = 1, **train: Any) -> list[Any]:
    """Batches of the epochs 0 and 1 of a fold."""
    chosen, where = whole(tiny.task, tiny.classes), {"round": 0, "fold": 0, "seed": 0}
    spec = read(tiny.model({"batch_size": 4, "augment": "medium", **train}), "squash", 3, where)
    rows = pd.read_csv(tiny.fold_file(), dtype=str, keep_default_na=False).query("split == 'train'").assign(weight=1.0)
    place: Any = SimpleNamespace(process_index=process, num_processes=processes, device=SimpleNamespace(type="cpu"))
    found = loader(spec, chosen, chosen.learn, rows.reset_index(drop=True), CachedImages(tiny.caches()), workers, place)
    return [batch for epoch in range(2) for batch in found.epoch(epoch)]


def by_id(batches: list[Any]) -> dict[tuple[int, str], Any]:
    """Images and targets of the cases of two epochs of equal length."""
    half = len(batches) // 2
    return {
        (number // half, id): (batch.inputs.images[row], str(batch.targets[row]), float(batch.weights[row]))
        for number, batch in enumerate(batches)
        for row, id in enumerate(batch.ids)
    }


MANY = {"mix": [{"mixup": {"alpha": 1}}, "cutmix", "mosaic"], "mix_probability": 0.7}


def test_a_sample_is_the_same_in_any_batch_worker_and_process(tiny: Tiny) -> None:
    found = by_id(batches_of(tiny, **MANY))
    others = [
        by_id(batches_of(tiny, workers=2, **MANY)),
        by_id(batches_of(tiny, **{**MANY, "batch_size": 5})),
        *(by_id(batches_of(tiny, process=process, processes=2, **{**MANY, "batch_size": 2})) for process in range(2)),
    ]
    assert len(found) == 2 * 20
    for other in others:
        for place, (images, target, weight) in other.items():
            assert np.array_equal(images, found[place][0])
            assert (target, weight) == found[place][1:]
    assert {place for part in others[-2:] for place in part} == set(found), "two processes share the global batches"
    targets = [target for _, target, _ in found.values()]
    assert sum("1." in target and "0." in target for target in targets) < len(targets), "soft rows"


def test_without_mixing_samples_are_as_before_and_validation_never_mixes(tiny: Tiny) -> None:
    plain, never = by_id(batches_of(tiny)), by_id(batches_of(tiny, mixup_alpha=1.0, mix_probability=0.0))
    assert all(np.array_equal(plain[place][0], never[place][0]) for place in plain)
    assert plain[next(iter(plain))][1] in ("tensor(0)", "tensor(1)")


def test_labels_are_smoothed_once_after_mixing() -> None:
    task, seen = classification("abcd"), []
    loss = task.learn.loss(loss="test_mixing:recorded", label_smoothing=0.2)
    recorded.targets = seen
    mixed = values.mixup(flat(0), each(flat(3)), np.random.default_rng(0), 1.0)
    loss(lambda inputs: None, task.collate([mixed, flat(2)]))
    share = float(mixed["label"][0])
    assert seen[0][0].tolist() == pytest.approx([0.8 * share + 0.05, 0.05, 0.05, 0.8 * (1 - share) + 0.05], abs=1e-6)
    assert seen[0].sum(dim=1).tolist() == pytest.approx([1, 1])


def test_sets_of_labels_are_smoothed_towards_one_half_after_mixing() -> None:
    task, seen = whole({"name": "multilabel"}, "abcd"), []
    loss = task.learn.loss(loss="test_mixing:recorded_of_sets", label_smoothing=0.2)
    recorded.targets = seen
    first, second = (
        {"id": "x", "weight": np.float32(1), "images": np.zeros((1, 4, 4, 3), np.uint8), "present": np.ones(1, bool),
         "labels": np.array(row, dtype=np.float32)}
        for row in ([1, 1, 0, 0], [0, 1, 0, 1])
    )  # fmt: skip
    mixed = values.mixup(first, each(second), np.random.default_rng(0), 1.0)
    loss(lambda inputs: None, task.collate([mixed]))
    share = float(mixed["labels"][0])
    assert 0 < share < 1
    assert seen[0][0].tolist() == pytest.approx([0.8 * share + 0.1, 0.9, 0.1, 0.8 * (1 - share) + 0.1], abs=1e-6)


def recorded_of_sets(logits: Any, target: Any, positive_weight: Any) -> Any:
    return recorded(logits, target)


def recorded(logits: Any, target: Any) -> Any:
    recorded.targets.append(target)  # type: ignore[attr-defined]
    return target.sum(dim=1)


@pytest.mark.parametrize("name", ["multilabel", "regression"])
def test_targets_of_other_tasks_are_mixed_too(name: str, tiny_of: dict[str, Tiny]) -> None:
    tiny = tiny_of[name]
    plain = batches_of(tiny)
    mixed = batches_of(tiny, mix=list(MIXES[whole(tiny.task, tiny.classes).facts.target]))
    assert [batch.ids for batch in mixed] == [batch.ids for batch in plain]
    for before, after in zip(plain, mixed, strict=True):
        assert after.targets.dtype == before.targets.dtype
        assert not np.array_equal(after.targets, before.targets)
        low, high = (float(edge(torch.cat([batch.targets for batch in plain]))) for edge in (torch.min, torch.max))
        assert low <= float(after.targets.min()) <= float(after.targets.max()) <= high


def test_the_probability_of_mixing_is_no_part_of_a_recipe_without_mixes() -> None:
    def recipe(**train: Any) -> Any:
        model = {"name": "a", "network": "small_resnet", "image_size_px": 8}
        data = {"source": "digits"}
        return slices.learning(parse({"name": "t", "data": data, "models": [model], "train": train}), "a")

    assert recipe(mix_probability=0.5) == recipe()
    assert recipe(mix_probability=0.5, mix=["mixup"]) != recipe(mix=["mixup"])
