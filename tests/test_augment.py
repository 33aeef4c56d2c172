"""Presets as files, steps of augmentation, and the trial of both before any job runs."""

import math
from pathlib import Path
from typing import Any

import albumentations as A
import cv2
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from conftest import Tiny
from goldfold import catalog, components
from goldfold.base.errors import ConfigError, TrainingError
from goldfold.cache.images import CachedImages
from goldfold.commands.augmentation_trial import check_augmentation
from goldfold.config import parse, slices
from goldfold.config.chosen import places
from goldfold.config.libraries import COMPOSITIONS
from goldfold.samples.dataset import TrainingSet
from goldfold.samples.presets import reading
from goldfold.samples.randaugment import randaugment
from goldfold.samples.transforms import Augment

BOXES = {"bbox_params": {"format": "pascal_voc", "label_fields": ["labels"], "clip": True}}
COVERED = {
    "flips": {"HorizontalFlip", "VerticalFlip"}, "transposes": {"Transpose"}, "quarter turns": {"RandomRotate90"},
    "shift-scale-rotate": {"shift_scale_rotate"}, "crop": {"RandomResizedCrop"}, "elastic": {"elastic"},
    "grid distortion": {"GridDistortion"}, "optical distortion": {"OpticalDistortion"}, "CLAHE": {"CLAHE"},
    "brightness-contrast": {"RandomBrightnessContrast"}, "gamma": {"RandomGamma"}, "hue": {"HueSaturationValue"},
    "colour jitter": {"ColorJitter"}, "equalize": {"Equalize"}, "posterize": {"Posterize"}, "solarize": {"Solarize"},
    "sharpen": {"Sharpen"}, "blur": {"GaussianBlur", "MotionBlur", "MedianBlur"}, "noise": {"GaussNoise"},
    "JPEG": {"ImageCompression"}, "dropout": {"CoarseDropout", "GridDropout"}, "vignette": {"vignette"},
}  # fmt: skip
"""Kinds of augmentation that the presets cover together."""


def noise(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def config_of(augment: Any, **more: Any) -> Any:
    model = {"name": "m", "network": "small_resnet", "image_size_px": 16}
    data = {"source": "folder", "train": "raw"}
    return parse({"name": "t", "data": data, "models": [model], "train": {"augment": augment}, **more})


# --- presets


@pytest.mark.parametrize("name", catalog.PRESETS)
def test_defaults_of_a_preset_are_the_values_of_its_file(name: str) -> None:
    written = yaml.safe_load(reading.file_of(name).read_text())
    assert components.load(name, catalog.PRESETS, "preset")() == written


def test_there_is_a_file_for_each_preset_and_they_cover_every_kind() -> None:
    assert {path.stem for path in reading.HERE.glob("*.yaml")} == set(catalog.PRESETS)
    named = {name for preset in catalog.PRESETS for name in reading.names(preset)}
    assert set().union(*COVERED.values()) <= named
    external = named - set(catalog.AUGMENTATIONS)
    assert len(external) >= 22
    assert {name for name in external if not issubclass(getattr(A, name), A.BasicTransform | A.BaseCompose)} == set()


@pytest.mark.parametrize("kind", ["mask", "boxes"])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("name", [*catalog.PRESETS, "randaugment", "vignette"])
def test_a_preset_keeps_type_and_shape_and_is_a_function_of_its_seed(name: str, channels: int, kind: str) -> None:
    size = (20, 36)
    target = {
        "mask": {"mask": noise(size) % 3},
        "boxes": {"bboxes": np.array([[2, 3, 30, 18.0]]), "labels": np.array([1])},
    }
    fields = {"image": noise((*size, channels)), **target[kind]}
    augment = Augment(name, "none", size, channels, BOXES if kind == "boxes" else {})
    made = [augment(dict(fields), seed) for seed in (*range(10), 0)]
    assert {(one["image"].dtype.name, one["image"].shape) for one in made} == {("uint8", (*size, channels))}
    assert kind == "boxes" or all(one["mask"].shape == size and one["mask"].max() <= 2 for one in made)
    assert (made[0]["image"] == made[-1]["image"]).all()
    assert (len({one["image"].tobytes() for one in made}) > 2) == (name != "none")


def test_presets_are_what_their_transforms_of_albumentations_are() -> None:
    """The lists of version 0.1, whose results must keep their bytes."""
    jitter = {
        "brightness": [0.8, 1.2],
        "contrast": [0.8, 1.2],
        "saturation": [0.8, 1.2],
        "hue": [-0.025, 0.025],
        "p": 0.7,
    }
    moved = {"translate_percent": [-0.07, 0.07], "scale": [0.9, 1.1], "shear": [-5, 5], "border_mode": 1, "p": 0.9}
    crop = {"RandomResizedCrop": {"size": [16, 16], "scale": [0.8, 1.0], "ratio": [0.8, 1.25]}}
    turned = {"Affine": {"rotate": [-10, 10], "border_mode": 4, "p": 0.3}}
    lists: list[tuple[Any, Any]] = [
        ("light", [{"Affine": {**moved, "rotate": [-10, 10]}}]),
        ({"light": {"rotate": 5}}, [{"Affine": {**moved, "rotate": [-5, 5]}}]),
        ({"medium": {"least_area": 0.8}}, [crop, turned, {"ColorJitter": jitter}]),
    ]
    image = noise((16, 16, 3))
    for preset, transforms in lists:
        ours, theirs = Augment(preset, "both", (16, 16), 3), Augment(transforms, "both", (16, 16), 3)
        assert all((ours({"image": image}, s)["image"] == theirs({"image": image}, s)["image"]).all() for s in range(9))


def test_a_recipe_holds_the_contents_of_a_preset_and_the_code_of_its_steps() -> None:
    config = config_of([{"light": {"rotate": 3}}, "vignette"])
    written = slices.learning(config, "m")["train"]["augment"]
    assert written[0]["shift_scale_rotate"]["rotate"] == 3
    assert written[1] == "vignette"
    found = places(config, "train", "m")
    assert {"goldfold.samples.geometric:shift_scale_rotate", "goldfold.samples.vignette:vignette"} <= set(found)
    assert "goldfold.samples.vignette:vignette" not in places(config_of("light"), "train", "m")
    assert "goldfold.samples.vignette:vignette" in places(config_of("medical"), "train", "m")


# --- files


@pytest.mark.parametrize("name", catalog.PRESETS)
def test_a_copied_preset_is_the_preset(name: str, in_tmp: Path) -> None:
    Path("my.yaml").write_text(reading.file_of(name).read_text())
    copied, named = (slices.learning(config_of(wanted), "m") for wanted in ("my.yaml", name))
    assert copied == named


def test_a_file_may_stand_in_a_list(in_tmp: Path) -> None:
    Path("my.yaml").write_text("- Blur: {p: 0.1}\n- vignette\n")
    assert config_of(["light", "my.yaml"]).models[0].train.augment == ["light", {"Blur": {"p": 0.1}}, "vignette"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "train.augment = 'my.yaml': my.yaml: No such file or directory"),
        ("", "my.yaml is empty; write one step per line"),
        ("light: {}\n", "my.yaml is {'light': {}}, not a list"),
        ("- Blur: [\n", "my.yaml: "),
        ("- 3\n", "my.yaml, step 1 is 3: write a name, or {name: {parameter: value}}"),
        ("- other.yaml\n", "step 1 is 'other.yaml': a file cannot name another file"),
        ("- Rotat\n", "my.yaml: 'Rotat': nearest is 'Rotate'"),
        ("- vignette: {radios: 1}\n", "vignette does not take 'radios'; nearest is 'radius'"),
        ("- only_square: {transforms: [Blr]}\n", "nearest is 'Blur'"),
        ("- only_square: {transforms: Blur}\n", "only_square.transforms = 'Blur': write a list of steps"),
        ("- only_square: {transforms: [3]}\n", "only_square.transforms: 3 is neither a name nor"),
        ("- only_square\n", "only_square needs 'transforms'"),
    ],
)
def test_a_wrong_file_is_named(text: str | None, said: str, in_tmp: Path) -> None:
    if text is not None:
        Path("my.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        config_of("my.yaml")
    assert said in str(caught.value)


def test_a_transform_outside_a_list_is_refused_with_the_list() -> None:
    with pytest.raises(ConfigError, match=r"'Rotate': a transform of albumentations goes into a list: \[Rotate\]"):
        config_of("Rotate")
    with pytest.raises(ConfigError, match=r"goes into a list: \[\{Rotate: \{'limit': 30\}\}\]"):
        config_of({"Rotate": {"limit": 30}})


# --- steps


def test_a_size_that_is_left_out_is_that_of_the_images() -> None:
    wanted = [{"RandomCrop": {"height": 8, "width": 8}}, "Resize"]
    assert config_of(wanted).models[0].train.augment == wanted
    assert Augment(wanted, "none", (16, 24), 3)({"image": noise((16, 24, 3))}, 0)["image"].shape == (16, 24, 3)


def test_conditions_choose_by_channels_shape_and_boxes() -> None:
    def chosen(name: str, size: tuple[int, int] = (8, 8), channels: int = 3, boxes: bool = False, **params: Any) -> str:
        step = {name: {**params, "transforms": ["Transpose"], "otherwise": ["VerticalFlip"]}}
        (made,) = Augment([step], "none", size, channels, BOXES if boxes else {}).compose.transforms
        return type(made).__name__

    assert chosen("only_channels", numbers=[1, 3]) == "Transpose"
    assert chosen("only_channels", numbers=[1, 3], channels=4) == "VerticalFlip"
    assert (chosen("only_square"), chosen("only_square", (8, 9))) == ("Transpose", "VerticalFlip")
    assert (chosen("only_without_boxes"), chosen("only_without_boxes", boxes=True)) == ("Transpose", "VerticalFlip")
    grey = [{"OneOf": {"transforms": [{"only_channels": {"numbers": [3], "transforms": ["ToGray"]}}]}}]
    assert Augment(grey, "none", (8, 8), 1).compose.transforms == [], "a container of nothing is nothing"


def test_a_vignette_darkens_outside_a_circle_of_its_radius_only() -> None:
    step = {"vignette": {"radius": [0.8, 0.8], "softness": [0, 0], "shift": 0, "p": 1}}
    white = np.full((40, 60, 1), 255, np.uint8)
    seen = Augment([step], "none", (40, 60), 1)({"image": white}, 0)["image"]
    assert set(np.unique(seen)) == {0, 255}
    assert (seen == 255).sum() == pytest.approx(math.pi * (0.8 * 20) ** 2, rel=0.01)
    assert (seen[20, 14:46] == 255).all()


def test_elastic_displacements_have_the_given_spread() -> None:
    """A horizontal ramp shows how far each pixel was moved along x."""
    side, step = 160, {"elastic": {"strength": 0.02, "smoothness": 0.05, "p": 1}}
    ramp = np.repeat(np.arange(side, dtype=np.uint8)[None, :, None], side, 0)
    augment = Augment([step], "none", (side, side), 1)
    moved = [augment({"image": ramp}, seed)["image"].astype(int) - ramp for seed in range(4)]
    assert np.std([one[20:-20, 20:-20] for one in moved]) == pytest.approx(0.02 * side, rel=0.25)


# --- RandAugment


def operations(size: tuple[int, int], channels: int, turns: bool, m: float) -> dict[str, list[Any]]:
    """Transforms of each operation by name; both signs where it has two."""
    found: dict[str, list[Any]] = {}
    for one in randaugment(size, channels, turns, m=m)[0].transforms:
        parts = one.transforms if isinstance(one, A.OneOf) else [one]
        found.setdefault(type(parts[0]).__name__, []).append(parts)
    return found


def test_randaugment_has_the_operations_of_the_paper_and_draws_n_with_replacement() -> None:
    def count(channels: int, turns: bool) -> int:
        return sum(map(len, operations((8, 8), channels, turns, 9).values()))

    assert (count(3, True), count(1, True), count(4, True), count(3, False)) == (14, 13, 10, 11)
    (drawn,) = randaugment((8, 8), 3, True, n=3, m=9)
    assert (drawn.n, drawn.replace, drawn.p) == (3, True, 1.0)
    with pytest.raises(ConfigError, match="m from 0 to 10"):
        randaugment((8, 8), 3, True, m=11)
    still = Augment([{"randaugment": {"n": 9, "m": 0}}], "none", (8, 8), 4)
    assert (still({"image": noise((8, 8, 4)) % 250}, 0)["image"] == noise((8, 8, 4)) % 250).all(), "no change at m = 0"


def test_operations_on_colours_are_those_of_pillow() -> None:
    image = cv2.GaussianBlur(noise((128, 128, 3)), (5, 5), 0)
    pil, share = Image.fromarray(image), 0.7
    made = operations(image.shape[:2], 3, True, 10 * share)
    factors = (1 - 0.9 * share, 1 + 0.9 * share)

    def ours(parts: list[Any]) -> list[NDArray[np.uint8]]:
        return [part(image=image)["image"] for part in parts]

    contrast, saturation = made["ColorJitter"]
    brightness, sharpness = made["Lambda"]
    for parts, enhance in (
        (contrast, ImageEnhance.Contrast), (saturation, ImageEnhance.Color),
        (brightness, ImageEnhance.Brightness), (sharpness, ImageEnhance.Sharpness),
    ):  # fmt: skip
        for one, factor in zip(ours(parts), factors, strict=True):
            theirs = np.asarray(enhance(pil).enhance(factor), dtype=int)
            assert np.abs(one - theirs)[1:-1, 1:-1].max() <= 2, (enhance, factor)
    ((autocontrast,), (equalize,), (posterize,), (solarize,)) = (
        ours(made[name][0]) for name in ("AutoContrast", "Equalize", "Posterize", "Solarize")
    )
    assert np.abs(autocontrast - np.asarray(ImageOps.autocontrast(pil), dtype=int)).max() <= 1
    assert np.abs(equalize - np.asarray(ImageOps.equalize(pil), dtype=int)).max() <= 6, "Pillow truncates its step"
    assert (posterize == np.asarray(ImageOps.posterize(pil, 5))).all()
    assert (solarize == np.asarray(ImageOps.solarize(pil, round(256 * (1 - share))))).mean() > 0.98


def test_shifts_and_turns_are_as_large_as_the_magnitude_says() -> None:
    """A dot at (50, 70) shows where each operation, at half its range, moves it."""
    image = np.zeros((101, 101, 3), np.uint8)
    image[49:52, 69:72] = 255
    found = []
    for parts in operations((101, 101), 3, True, 5)["Affine"]:
        seen = [np.argwhere(part(image=image)["image"][..., 0] > 127).mean(axis=0) for part in parts]
        found.append(sorted(map(list, seen)))
    by, turn, shear = 101 * 150 / 331 / 2, math.radians(15), 0.3 / 2
    y, x = 20 * math.sin(turn), 20 * math.cos(turn)
    expected = [
        [[50, 70 - by], [50, 70 + by]], [[50 - by, 70], [50 + by, 70]], [[50 - y, 50 + x], [50 + y, 50 + x]],
        [[50, 70], [50, 70]], [[50 - 20 * shear, 70], [50 + 20 * shear, 70]],
    ]  # fmt: skip
    np.testing.assert_allclose(found, expected, atol=1)


# --- the trial before the first job


@pytest.mark.parametrize(
    ("augment", "channels", "said"),
    [
        (["Normalize"], 3, "Normalize returns float32; images must stay uint8"),
        ([{"Normalize": {"p": 0.001}}], 3, "Normalize returns float32"),
        (["ToRGB"], 1, "ToRGB returns 3 channels; the images have 1"),
        (
            [{"RandomCrop": {"height": 10, "width": 12}}],
            3,
            "returns 10 x 12 x 3, but the network takes 16 x 24 x 3",
        ),
        (["Transpose"], 3, "returns 24 x 16 x 3"),
        ([{"OneOf": {"transforms": ["Blur", {"ToFloat": {"p": 0.02}}], "p": 0.1}}], 3, "ToFloat returns float32"),
        ([{"Sequential": {"transforms": [{"ToFloat": {"p": 0.02}}]}}], 3, "returns float32"),
        (["CLAHE"], 4, "CLAHE transformation expects 1-channel or 3-channel images"),
    ],
)
def test_the_trial_refuses_what_is_not_uint8_of_the_size(augment: Any, channels: int, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_augmentation({"augment": augment, "flips": "none"}, (16, 24), (16, 24), channels, "label")
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"train.augment = {augment}")


SMALL = {"Resize": {"height": 8, "width": 8}}


@pytest.mark.parametrize(
    ("augment", "said"),
    [
        (
            [{"Resize": {"height": 8, "width": 8, "p": 0.01}}],
            "Resize returns 8 x 8 x 3, but the network takes",
        ),
        ([{"CenterCrop": {"height": 8, "width": 12, "p": 0.01}}], "CenterCrop returns 8 x 12 x 3"),
        ([{"RandomScale": {"scale_limit": 0.3, "p": 0.01}}], "RandomScale returns "),
        ([{"RandomRotate90": {"p": 0.001}}], "RandomRotate90 returns 24 x 16 x 3"),
        ([{"OneOf": {"transforms": ["HorizontalFlip", SMALL], "p": 0.01}}], "Resize returns 8 x 8 x 3"),
        (
            [{"SomeOf": {"transforms": ["Blur", "HorizontalFlip", SMALL], "n": 1, "p": 0.01}}],
            "Resize returns 8 x 8 x 3",
        ),
        ([{"OneOrOther": {"transforms": [SMALL, "Blur"], "p": 0.01}}], "Resize returns 8 x 8 x 3"),
        (
            [{"Sequential": {"transforms": ["Blur", {"OneOf": {"transforms": ["Blur", SMALL]}}], "p": 0.01}}],
            "Resize returns",
        ),
        (["Resize", {"Resize": {"height": 8, "width": 8, "p": 0.01}}, "Blur"], "Resize returns 8 x 8 x 3"),
        (
            [{"OneOf": {"transforms": ["Blur", {"ToGray": {"num_output_channels": 1}}], "p": 0.01}}],
            "ToGray returns 1 channels",
        ),
    ],
)
def test_the_trial_refuses_what_only_sometimes_returns_another_size(augment: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_augmentation({"augment": augment, "flips": "none"}, (16, 24), (16, 24), 3, "mask")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "augment",
    [
        [{"RandomScale": {"p": 0.3}}, "Resize"],
        [{"Resize": {"height": 40, "width": 40, "p": 0.5}}, {"RandomCrop": {"height": 16, "width": 24}}],
        [{"OneOf": {"transforms": ["Transpose", "Blur"], "p": 0.1}}, "RandomResizedCrop"],
        [{"Sequential": {"transforms": ["Transpose", "Resize"], "p": 0.1}}],
        [{"Resize": {"height": 8, "width": 8, "p": 0}}],
        [{"CropNonEmptyMaskIfExists": {"height": 16, "width": 24}}],
    ],
)
def test_the_trial_minds_the_size_at_the_end_only(augment: Any) -> None:
    check_augmentation({"augment": augment, "flips": "none"}, (16, 24), (16, 24), 3, "mask")


def test_the_trial_lets_crops_around_boxes_pass() -> None:
    for step in ({"RandomSizedBBoxSafeCrop": {"height": 16, "width": 24}}, "BBoxSafeRandomCrop"):
        check_augmentation({"augment": [step, "Resize"], "flips": "none"}, (16, 24), (16, 24), 3, "boxes")


def test_the_trial_refuses_what_would_sometimes_be_enlarged_from_a_larger_cached_image() -> None:
    train = {"augment": [{"Resize": {"height": 8, "width": 8, "p": 0.01}}], "flips": "none"}
    with pytest.raises(ConfigError, match="Resize returns 8 x 8, which would be enlarged to the 16 x 24 pixels"):
        check_augmentation(train, (16, 24), (32, 48), 3, "label")
    check_augmentation(
        {**train, "augment": [{"RandomCrop": {"height": 16, "width": 24, "p": 0.5}}]}, (16, 24), (32, 48), 3, "label"
    )


def test_the_trial_refuses_images_that_would_be_enlarged_again_for_the_network() -> None:
    train: dict[str, Any] = {"augment": [{"RandomResizedCrop": {"size": [16, 16]}}], "flips": "none"}
    with pytest.raises(ConfigError) as caught:
        check_augmentation(train, (32, 32), (64, 64), 3, "label")
    said = "returns 16 x 16, which would be enlarged to the 32 x 32 pixels of the network. Use a transform that gives at least"
    assert said in str(caught.value)
    check_augmentation(
        {**train, "augment": [{"RandomResizedCrop": {"size": [48, 32]}}]}, (32, 32), (64, 64), 3, "label"
    )


@pytest.mark.parametrize("target", ["label", "mask", "boxes"])
def test_the_trial_lets_presets_pass_and_crops_of_larger_images(target: str) -> None:
    for name in catalog.PRESETS:
        check_augmentation({"augment": name, "flips": "both"}, (16, 24), (32, 48), 3, target)
    check_augmentation({"augment": ["ToFloat", "FromFloat"], "flips": "none"}, (16, 24), (16, 24), 3, "label")


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (SMALL, r"train\.augment returned 8 x 8 x 3 for {id}, but the network takes 12 x 12 x 3"),
        ("ToFloat", r"train\.augment returned float32 for {id}; images must stay uint8"),
        ({"ToGray": {"num_output_channels": 1, "p": 1}}, r"train\.augment returned 12 x 12 for {id}"),
    ],
)
def test_an_image_that_another_shape_reaches_in_a_training_is_named(tiny: Tiny, step: Any, said: str) -> None:
    images = CachedImages(tiny.caches())
    first = next(iter(images.place))
    augment = Augment([step], "none", images.frame, 3)
    samples = TrainingSet([first], [{"label": 0}], [1.0], images, augment, ("k",))
    with pytest.raises(TrainingError, match=said.format(id=first)):
        samples[(0, 0)]


def test_names_of_compositions_are_those_of_albumentations() -> None:
    assert all(issubclass(getattr(A, name), A.BaseCompose) for name in COMPOSITIONS)
