"""Views that show parts of an image, other sizes and random augmentations: made, inverted, averaged, refused."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import albumentations as A
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import special
from torch import Tensor, nn
from torchvision.transforms import FiveCrop, TenCrop

import goldfold
from conftest import Tiny
from goldfold.base.errors import ConfigError, DataError
from goldfold.bundles import form
from goldfold.bundles.export import export
from goldfold.cache.shrunk import Shrunk
from goldfold.cases import Inputs
from goldfold.catalog import TURNS
from goldfold.commands import preflight
from goldfold.config import chosen, dependencies, parse, slices
from goldfold.inference import views
from goldfold.inference.parameters import n_views
from goldfold.inference.predictor import Predictor
from goldfold.inference.scales import scaled
from goldfold.planning.plan import Job
from goldfold.predictions.arrays import load
from goldfold.samples.presets.reading import light
from goldfold.samples.transforms import Augment
from test_bundle import _edit
from test_dense_tasks import task_of
from test_frames import BrightBoxes, Pixelwise, bright_scenes
from tiny_results import write_results
from whole_task import classification

IDS = ["a", "b", "c", "d", "e"]
GEOMETRIC: Any = [{"Affine": {"rotate": [5, 30], "p": 1.0}}]
PIXELS: Any = [{"RandomBrightnessContrast": {"p": 1.0}}, "GaussNoise"]


def images(n: int, size: tuple[int, int], seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 3, *size), dtype=torch.uint8, generator=generator)


def batch(size: tuple[int, int], larger: Tensor | None = None, ids: Sequence[str] = IDS, **more: Any) -> views.Batch:
    return views.Batch(ids, 1, size, 3, larger, **more)


def seen(written: Any, x: Tensor, larger: Tensor | None = None, **more: Any) -> list[Tensor]:
    """Views of images."""
    of = batch((x.shape[-2], x.shape[-1]), larger, IDS[: len(x)], **more)
    return [view.of(of).forward(x) for view in views.build([written])]


# --- crops


def test_ten_crop_is_that_of_torchvision_cut_from_the_larger_cached_image() -> None:
    larger = images(2, (64, 80))
    x = images(2, (56, 70))
    wanted = TenCrop((56, 70))(larger)
    found = seen("ten_crop", x, larger)
    assert len(found) == len(wanted) == 10
    assert all(torch.equal(one, other) for one, other in zip(found, wanted, strict=True))
    odd = seen({"five_crop": {"share": 0.7}}, images(1, (13, 13)), images(1, (19, 19)))
    assert all(torch.equal(a, b) for a, b in zip(odd, FiveCrop(13)(images(1, (19, 19))), strict=True))
    (middle,) = seen("crop", x, larger)
    assert torch.equal(middle, wanted[4])


def test_crops_without_larger_images_are_enlarged_to_the_networks_input() -> None:
    x = images(2, (32, 48))
    for one, part in zip(seen("five_crop", x), FiveCrop((28, 42))(x), strict=True):
        assert one.shape == x.shape
        enlarged = nn.functional.interpolate(part.float(), (32, 48), mode="bilinear", align_corners=False)
        assert (one.dtype, x.dtype) == (torch.uint8, torch.uint8)
        assert (one - enlarged).abs().max() <= 1, "rounded"
        assert (one - enlarged).mean().abs() < 0.1
    turned = seen({"crop": {"turns": ["identity", "rot90"]}}, x)
    apart = turned[1].float() - turned[0].rot90(1, (2, 3)).float()
    assert apart.abs().max() <= 1, "the middle of a turned image"


# --- scales

factors = st.floats(0.3, 3.0)


@given(st.integers(8, 40), st.integers(8, 40), factors, st.sampled_from(sorted(TURNS)), st.integers(0, 99))
def test_boxes_of_a_scale_are_transformed_back(height: int, width: int, factor: float, turn: str, seed: int) -> None:
    drawn = torch.Generator().manual_seed(seed)
    first, second = torch.rand((2, 3, 2), generator=drawn)
    boxes = torch.cat([torch.minimum(first, second), torch.maximum(first, second)], 1) * torch.tensor(
        [width, height] * 2
    )
    (view,) = views.build([{"scales": {"factors": [factor], "turns": [turn]}}])
    forward, turning = views.turn_of(turn), view.turn
    assert turning is not None
    made = view.forward(torch.zeros(1, 1, height, width))
    size = made.shape[-2], made.shape[-1]
    frame = forward.size((height, width))
    there = _turned_boxes(forward, boxes, (height, width)) * torch.tensor([size[1] / frame[1], size[0] / frame[0]] * 2)
    back = turning.boxes_back(there, size, (height, width))
    assert torch.allclose(back, boxes, atol=1e-3)
    assert turning.boxes_back(boxes[:0], size, (height, width)).shape == (0, 4)


def _turned_boxes(turn: views.Turn, boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Boxes of a turned image: the way back of the opposite turn."""
    opposite = next(other for other in map(views.turn_of, TURNS) if _undoes(other, turn))
    return opposite.boxes_back(boxes, size)


def _undoes(one: views.Turn, other: views.Turn) -> bool:
    x = torch.arange(12.0).view(3, 4)
    return torch.equal(one.forward(other.forward(x)), x) if other.forward(x).shape else False


@given(st.integers(16, 40), st.integers(16, 40), factors, st.sampled_from(sorted(TURNS)))
def test_maps_of_a_scale_are_transformed_back(height: int, width: int, factor: float, turn: str) -> None:
    """A plane keeps its values under linear interpolation, except at the border."""
    ys, xs = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    plane = (0.5 * ys + 0.3 * xs)[None, None]
    (view,) = views.build([{"scales": {"factors": [factor], "turns": [turn]}}])
    assert view.turn is not None
    back = view.turn.inverse(view.forward(plane), (height, width))
    assert back.shape == plane.shape
    edge = 1 + int(2 / min(factor, 1.0))
    inner = (..., slice(edge, -edge), slice(edge, -edge))
    assert torch.allclose(back[inner], plane[inner], atol=0.02)
    assert factor == 1 or scaled((height, width), factor, 1) != (height, width) or torch.equal(back, plane)


def test_a_scale_of_one_is_the_image_and_others_are_taken_from_the_larger_one() -> None:
    x, larger = images(2, (32, 32)), images(2, (64, 64), seed=1)
    wanted: Any = {"scales": {"factors": [0.5, 1.0, 2.0]}}
    half, same, double = seen(wanted, x, larger)
    assert torch.equal(same, x)
    assert torch.equal(double, larger)
    assert torch.equal(half, views.resized(larger, (16, 16)))
    half, _, double = seen(wanted, x, larger, is_aligned=False)
    assert torch.equal(half, views.resized(x, (16, 16))), "with padding, the place of the image differs by its rounding"
    assert [tuple(one.shape[-2:]) for one in seen({"scales": {"multiple": 16}}, x)] == [(32, 32), (32, 32), (32, 32)]


def test_scales_of_masks_and_boxes_are_inverted_before_they_are_averaged() -> None:
    turns = ["identity", "hflip"]
    doubled = views.build([{"scales": {"factors": [2.0], "turns": turns}}])
    ramp = torch.arange(0, 240, 12, dtype=torch.uint8).expand(1, 3, 16, 20).contiguous()
    model, masks = Pixelwise(1), task_of("segmentation", "a")
    plain = masks.predict(model, Inputs.of(ramp), views.build(["identity"]))["maps"]
    found = masks.predict(model, Inputs.of(ramp), doubled)["maps"]
    assert found.shape == plain.shape
    assert np.abs(found.astype(int) - plain)[..., 2:-2].max() <= 3
    scenes, boxes = bright_scenes((20, 24)), task_of("detection", "ab")
    wanted = boxes.predict(BrightBoxes(), scenes, views.build(["identity"]))["found"]
    for (one, _, labels), (other, _, others) in zip(
        boxes.predict(BrightBoxes(), scenes, doubled)["found"], wanted, strict=True
    ):
        order, order_of_others = one[:, 0].argsort(), other[:, 0].argsort()
        assert one[order] == pytest.approx(other[order_of_others], abs=0.51)
        assert labels[order].tolist() == others[order_of_others].tolist()


# --- random augmentations


@dataclass(frozen=True)
class Stored:
    """Random images of ids, at any size."""

    frame: tuple[int, int]

    def case_batch(self, ids: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        drawn = [
            np.random.default_rng(ord(id[0])).integers(256, size=(1, *self.frame, 3), dtype=np.uint8) for id in ids
        ]
        return np.stack(drawn), np.ones((len(ids), 1), bool)


class Colour(nn.Module):
    """Mean colours as logits, which depend on each view."""

    def forward(self, inputs: Inputs) -> Tensor:
        x = inputs.single.float()
        return torch.stack([x[:, 0].mean((1, 2)), x[:, 1, :8, :8].mean((1, 2)), x[:, 2].amax((1, 2))], 1) / 64


def logits(tta: Any, ids: Sequence[str], size: int, stored: Any) -> dict[str, Any]:
    predictor = Predictor(Colour(), classification("xyz"), "squash", torch.device("cpu"), views.build(tta))
    found = dict(predictor.entries(pd.DataFrame({"id": ids}), stored, size))
    return {id: row.tobytes() for id, row in zip(found["ids"], found["logits"], strict=True)}


@pytest.mark.parametrize("larger", [False, True])
def test_random_views_depend_on_seed_and_id_alone(larger: bool) -> None:
    frame = (32, 32)
    stored = Shrunk(Stored((48, 48)), frame, "squash", []) if larger else Stored(frame)
    wanted: Any = {"augment": GEOMETRIC, "n": 3, "flips": "both"}
    whole = logits([{"random": wanted}], IDS, 5, stored)
    assert whole == logits([{"random": wanted}], IDS, 2, stored)
    assert logits([{"random": wanted}], IDS[::-1], 3, stored) == whole
    assert logits([{"random": wanted}], ["c"], 1, stored)["c"] == whole["c"]
    assert whole["a"] != logits([{"random": {**wanted, "seed": 1}}], IDS, 5, stored)["a"]
    assert whole["a"] != logits([{"random": {**wanted, "n": 2}}], IDS, 5, stored)["a"]


def test_random_views_differ_by_number_and_id_and_use_the_larger_image_if_pixels_move() -> None:
    x, larger = images(1, (32, 32)).repeat(2, 1, 1, 1), images(1, (48, 48)).repeat(2, 1, 1, 1)
    first, second = seen({"random": {"augment": GEOMETRIC, "n": 2}}, x, larger)
    assert (first.shape, first.dtype) == (x.shape, torch.uint8)
    assert not torch.equal(first, second)
    assert not torch.equal(first[0], first[1]), "the same image under another id"
    augment = Augment(GEOMETRIC, "none", (48, 48), 3, shown=(32, 32))
    made = [augment({"image": larger[0].permute(1, 2, 0).numpy()}, seed)["image"] for seed in _seeds("a", 2)]
    assert [one.tolist() for one in made] == [one[0].permute(1, 2, 0).tolist() for one in (first, second)]
    assert all(view.of(batch((32, 32))).turn is None for view in views.build([{"random": {"augment": GEOMETRIC}}]))
    for view in views.build([{"random": {"augment": PIXELS, "n": 2}}]):
        bound = view.of(batch((32, 32), larger, ["a", "b"]))
        assert bound.turn == views.Turn()
        assert bound.forward(x.float() + 0.2).shape == x.shape, "of the images themselves, which stay in place"


def paints(size: Any, channels: int, turns: bool) -> list[Any]:
    """An augmentation of the user that writes into its image."""

    def paint(image: Any, **_: Any) -> Any:
        image[:] = image // 2
        return image

    return [A.Lambda(image=paint, p=1.0)]


def test_an_augmentation_that_writes_into_its_image_changes_neither_the_other_views_nor_the_images() -> None:
    x = images(2, (32, 32))
    kept = x.clone()
    made = seen({"random": {"augment": "test_tta:paints", "n": 3}}, x, x)
    assert all(torch.equal(one, kept // 2) for one in made)
    assert torch.equal(x, kept)


def _seeds(id: str, n: int) -> list[int]:
    from goldfold.base.counter import counter

    return [counter(0, "tta", number, id, 0) for number in range(n)]


# --- mean


def test_each_view_counts_the_same_and_the_network_sees_each_once() -> None:
    tta: list[Any] = ["identity", {"five_crop": {"turns": ["identity", "hflip"]}}, {"scales": {"factors": [0.5]}}]
    built, task, x = views.build(tta), classification("xyz"), images(5, (32, 32))
    assert len(built) == sum(map(n_views, tta)) == 12
    each = [task.predict(Colour(), Inputs.of(x), [view])["logits"].astype(float) for view in built]
    mean = special.softmax(np.stack(each), axis=2).mean(axis=0)
    found = special.softmax(task.predict(Colour(), Inputs.of(x), built)["logits"].astype(float), axis=1)
    assert found == pytest.approx(mean, abs=1e-6)


def test_the_number_of_views_is_known_without_building_them() -> None:
    listed: list[Any] = [
        "hflip", "crop", {"crop": {"turns": ["identity", "rot90"]}}, "five_crop", "ten_crop", "scales", "random",
        {"scales": {"factors": [0.5, 2], "turns": ["hflip", "vflip", "rot90"]}}, {"random": {"n": 3}},
        {"shift_left": {"share": 0.1}},
    ]  # fmt: skip
    assert [n_views(one) for one in listed] == [len(views.build([one])) for one in listed]


# --- config


def config_of(tta: Any, task: str = "classification", **model: Any) -> Any:
    given = {"label": {"source": "folder", "train": "raw"}}
    data: Any = given["label"]
    network: dict[str, Any] = {"backbone": "resnet18"}
    if task == "segmentation":
        data, network = {"source": "masks", "train": "i", "masks": "m"}, {"network": "unet", "backbone": "resnet18"}
    if task == "detection":
        data, network = (
            {"source": "coco", "train": "a.json", "images": "r"},
            {"network": "fcos", "backbone": "resnet18"},
        )
    models = [{"name": "m", **network, "image_size_px": 64, **model}]
    return parse({"name": "t", "task": task, "data": data, "models": models, "tta": tta})


def predicting(config: Any) -> Any:
    return dependencies.recipe(config, Job("predict", "m", 0, 0, 0))["settings"]["tta"]


def test_recipes_of_other_views_are_unchanged_and_those_of_random_ones_hold_the_steps() -> None:
    before: list[Any] = ["identity", "hflip", {"shift_left": {"share": 0.1}}]
    config = config_of(before)
    assert predicting(config) == before
    assert "tta" not in slices.network_checks(config_of(["identity", "rot90"]))[0]
    made = config_of(["ten_crop", "random", {"random": {"augment": ["vignette"], "n": 2}}])
    steps = predicting(made)
    assert steps[0] == "ten_crop"
    assert steps[1] == {"random": {"augment": light()}}
    assert {
        "goldfold.inference.crops:ten_crop",
        "goldfold.random_views:random",
        "goldfold.samples.vignette:vignette",
    } <= {*chosen.places(made, "predict", "m")}
    assert not any("crops" in place or "random" in place for place in chosen.places(config, "predict", "m"))


def test_augmentations_of_a_view_may_be_in_a_file(in_tmp: Path) -> None:
    Path("steps.yaml").write_text("- GaussNoise\n- {vignette: {p: 1.0}}\n")
    assert config_of([{"random": {"augment": "steps.yaml"}}]).tta == [
        {"random": {"augment": ["GaussNoise", {"vignette": {"p": 1.0}}]}}
    ]


@pytest.mark.parametrize(
    ("tta", "task", "said"),
    [
        ({"five_crop": {"share": 1}}, "", "tta[0] = {'five_crop': {'share': 1}}: share = 1: must be above 0 and below 1"),
        ({"five_crop": {"shares": 0.9}}, "", "five_crop does not take 'shares'; nearest is 'share'"),
        ({"crop": {"turns": ["rot9"]}}, "", "turns = ['rot9']: 'rot9' does not turn an image; nearest is 'rot90'"),
        ({"crop": {"turns": "hflip"}}, "", "turns = 'hflip': write a list of identity, hflip"),
        ({"crop": {"turns": ["hflip", "hflip"]}}, "", "turns = ['hflip', 'hflip']: names one more than once"),
        ({"scales": {"factors": [0.8, 0]}}, "", "factors = [0.8, 0]: write a list of numbers from 0.1 to 10"),
        ({"scales": {"factors": [0.8, 0.8]}}, "", "names one more than once"),
        ({"scales": {"multiple": 0}}, "", "multiple = 0: must be a whole number of pixels, at least 1"),
        ({"random": {"n": 0}}, "", "n = 0: must be a whole number from 1 to 1000"),
        ({"random": {"seed": -1}}, "", "seed = -1: must be a whole number, at least 0"),
        ({"random": {"flips": "up"}}, "", "flips = 'up': allowed: none, horizontal, both"),
        ({"random": {"augment": "ligth"}}, "", "'ligth': nearest is 'light'"),
        ("five_crop", "segmentation", "masks and boxes need views that show the whole image and can be inverted"),
        ({"crop": {"share": 0.9}}, "detection", "allowed with detection: identity, hflip"),
    ],
)  # fmt: skip
def test_wrong_views_are_refused(tta: Any, task: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_of([tta], task or "classification")
    assert said in str(caught.value)


def test_turns_within_views_must_suit_the_shape_of_the_image() -> None:
    with pytest.raises(ConfigError, match="tta view 'rot90' swaps height and width"):
        config_of([{"scales": {"turns": ["hflip", "rot90"]}}], image_size_px=[64, 96])
    config_of([{"scales": {"turns": ["hflip", "rot180"]}}], image_size_px=[64, 96])


def test_several_views_of_an_entry_are_several_opinions() -> None:
    data = {"source": "csv", "train": "a.csv", "images": "i", "target_column": "t", "test": "b.csv", "test_images": "i"}
    model = {"name": "m", "backbone": "resnet18", "image_size_px": 64}
    base = {"name": "t", "task": "regression", "data": data, "models": [model], "pseudo_labels": {"rounds": 1}}
    with pytest.raises(ConfigError, match="a view to tta"):
        parse({**base, "tta": ["crop"]})
    parse({**base, "tta": ["five_crop"]})


# --- before any job


def check(tta: Any, task: str = "classification", **model: Any) -> None:
    preflight.check(slices.network_checks(config_of([tta], task, **model))[0])


def test_scales_are_refused_for_networks_of_one_size_which_take_crops() -> None:
    vit: Any = {"backbone": "vit_tiny_patch16_224"}
    with pytest.raises(ConfigError) as caught:
        check({"scales": {"factors": [0.8]}}, **vit)
    assert str(caught.value).startswith(
        "tta: {'scales': {'factors': [0.8]}}: network 'timm' on 'vit_tiny_patch16_224' cannot be used at 51x51 "
    )
    assert "params: {dynamic_img_size: true}" in str(caught.value)
    check("ten_crop", **vit)
    check({"scales": {"factors": [0.8], "multiple": 16}}, **vit, params={"dynamic_img_size": True})
    with pytest.raises(ConfigError, match=r"at 51x51 .* divisible by patch size .*scales: \{multiple: 32\}"):
        check({"scales": {"factors": [0.8]}}, **vit, params={"dynamic_img_size": True})
    for task in ("segmentation", "detection"):
        check({"scales": {"factors": [0.8, 1.25]}}, task)


@pytest.mark.parametrize("task", ["segmentation", "detection"])
def test_random_views_of_masks_and_boxes_may_not_move_pixels(task: str) -> None:
    check({"random": {"augment": PIXELS}}, task)
    for augment, flips in ((GEOMETRIC, "none"), (PIXELS, "horizontal"), ("light", "none"), (["randaugment"], "none")):
        with pytest.raises(ConfigError, match="masks and boxes need augmentations that leave every pixel in its place"):
            check({"random": {"augment": augment, "flips": flips}}, task)


def flat() -> views.View:
    """A view without images."""
    return views.View("flat", lambda x: x.flatten(1))


def darker() -> views.View:
    """A view that could be inverted, but does not say so."""
    return views.View("darker", lambda x: x / 2)


def test_views_that_fail_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"test_tta:flat.*returns \(1, 12288\) for images \(1, 3, 64, 64\)"):
        check("test_tta:flat")
    check("test_tta:darker")
    with pytest.raises(ConfigError, match=r"test_tta:darker.*give the view a turn, or remove it"):
        check("test_tta:darker", "segmentation")
    with pytest.raises(ConfigError, match=r"augment = .*returns 32 x 32"):
        check({"random": {"augment": [{"RandomCrop": {"height": 32, "width": 32}}]}}, cache_image_size_px=96)


# --- run and bundle

TTA: list[Any] = [
    "identity",
    "five_crop",
    {"scales": {"factors": [0.5, 1.5]}},
    {"random": {"augment": "light", "n": 2, "flips": "horizontal"}},
]


@pytest.fixture(scope="module")
def finished(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Results, and their bundle."""
    root = tmp_path_factory.mktemp("tta")
    results = write_results(tiny, root / "results")
    export(results, root / "bundle")
    return results, root / "bundle"


def test_a_bundle_predicts_new_views_as_a_run_does(
    finished: tuple[Path, Path], tiny: Tiny, tmp_path: Path, in_tmp: Path
) -> None:
    results, exported = finished
    bundle = Path(shutil.copytree(exported, tmp_path / "bundle"))
    _edit(bundle, lambda written: written.update(views=TTA))
    folds = []
    for fold in range(2):
        folder, weights = tmp_path / f"fold{fold}", results / f"train/net/round0/fold{fold}/seed0/model.safetensors"
        tiny.predict(folder, weights, "test", fold_file=tiny.fold_file(fold), tta=TTA, batch_size=3 + fold)
        folds.append(special.softmax(load(folder / "test.npz")["logits"].astype(float), axis=1))
    paths = list(pd.read_csv(tiny.folds / "test.csv", dtype=str)["path"])
    found = goldfold.load(bundle).predict(paths, batch_size=5)
    assert found.arrays["probabilities"] == pytest.approx(np.mean(folds, axis=0), abs=1e-6)
    plain = goldfold.load(exported).predict(paths)
    assert np.abs(plain.arrays["probabilities"] - found.arrays["probabilities"]).max() > 1e-4


def test_code_within_a_view_of_a_bundle_must_be_trusted(finished: tuple[Path, Path], tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(finished[1], tmp_path / "bundle"))
    _edit(bundle, lambda written: written.update(views=[{"random": {"augment": ["os:system"]}}]))
    with pytest.raises(DataError, match="--trust os"):
        goldfold.load(bundle)
    assert form.read(bundle).places_of_own_code() == ["os:system"]
