"""Masks whose classes are colours: their numbers, the config, flaws, the cache, and masks that are written."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from conftest import MASKS, NETS, SHAPES, scene, write_scenes
from goldfold.base.errors import ConfigError, DataError
from goldfold.cache.images import CachedImages, build
from goldfold.config import parse, slices
from goldfold.images.decode import Undecodable
from goldfold.stages import folds, manifest
from goldfold.targets import colours
from goldfold.targets.mask_coding import IGNORE, Coding
from goldfold.targets.masks import by_colour, decode_mask, resize_mask, values_in, write_mask

pytestmark = pytest.mark.usefixtures("in_tmp")
PICTURE = np.array([[[0, 0, 0], [9, 9, 9]], [[255, 0, 128], [0, 0, 9]]], np.uint8)
RED, BLUE = colours.number_of(255, 0, 0), colours.number_of(0, 0, 255)


@given(arrays(np.uint8, st.tuples(st.integers(1, 5), st.integers(1, 5), st.just(3))))
def test_numbers_of_colours_round_trip_and_greys_are_their_level(pixels: np.ndarray) -> None:
    numbers = colours.numbers_of(pixels)
    assert np.array_equal(colours.pixels_of(numbers), pixels)
    grey = (pixels == pixels[..., :1]).all(axis=2)
    assert np.array_equal(numbers[grey], pixels[grey][:, 0])
    assert (numbers[~grey] >= 2**16).all()
    first = pixels[0, 0].tolist()
    assert colours.number_of(*first) == numbers[0, 0]


def test_a_number_is_written_as_people_write_it() -> None:
    assert [colours.written(number) for number in (7, colours.number_of(255, 0, 8))] == ["7", "#ff0008"]


@pytest.mark.parametrize(("suffix", "mode"), [(".png", "RGB"), (".png", "RGBA"), (".bmp", "RGB"), (".webp", "RGB")])
def test_a_colour_mask_is_decoded_to_numbers(suffix: str, mode: str) -> None:
    Image.fromarray(PICTURE).convert(mode).save(f"m{suffix}", **({"lossless": True} if suffix == ".webp" else {}))
    mask = decode_mask(f"m{suffix}")
    assert mask.tolist() == [[0, 9], [colours.number_of(255, 0, 128), colours.number_of(0, 0, 9)]]
    assert values_in(mask) == dict.fromkeys(sorted(mask.ravel().tolist()), 1)


def test_a_palette_is_decoded_to_its_index_and_to_its_colours_where_these_are_asked_for() -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.putdata([1, 0])
    picture.save("m.png")
    assert decode_mask("m.png").tolist() == [[1, 0]]
    assert decode_mask(by_colour("m.png")).tolist() == [[BLUE, RED]]


def test_a_photograph_is_no_mask() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    with pytest.raises(Undecodable, match=r"^holds 40\d\d colours; a mask has one per class, in a lossless format$"):
        values_in(colours.numbers_of(noise))


def test_a_resized_colour_mask_mixes_no_colours() -> None:
    mask = colours.numbers_of(PICTURE)
    assert np.array_equal(resize_mask(mask, (4, 4), "squash"), mask.repeat(2, 0).repeat(2, 1))


def test_channels_of_colours_and_back() -> None:
    coding = Coding(["red", "blue"], {"red": RED, "blue": BLUE}, ignore_value=9)
    mask = np.array([[0, RED, BLUE], [9, RED + 1, 8]], np.uint32)
    channels = coding.channels(mask)
    assert channels.tolist() == [[0, 1, 2], [IGNORE, IGNORE, IGNORE]]
    assert coding.channels(np.array([[0, 9]], np.uint8)).tolist() == [[0, IGNORE]], "a picture that happens to be grey"
    picture = coding.written(channels[:1])
    assert picture.tolist() == [[[0, 0, 0], [255, 0, 0], [0, 0, 255]]]
    write_mask("m.png", picture)
    assert decode_mask("m.png").tolist() == mask[:1].tolist()


# --- config


@pytest.mark.parametrize("value", ["#FF0000", "#ff0000", [255, 0, 0]])
def test_a_colour_may_be_written_in_two_ways(value: Any) -> None:
    config = config_of({"mask_values": {"dim": value, "lit": 3}, "ignore_value": [7, 7, 7]})
    assert slices.task(config)["mask_values"] == {"dim": RED, "lit": 3}
    assert slices.task(config)["ignore_value"] == 7


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"mask_values": {"dim": "#ff00", "lit": 2}},
            r"data\.mask_values = '#ff00': must be a whole number from 0 to 65535, or",
        ),
        ({"mask_values": {"dim": [256, 0, 0], "lit": 2}}, r"data\.mask_values: must be a whole number"),
        (
            {"mask_values": {"dim": [1, 2], "lit": 2}},
            r"data\.mask_values: must be .* or a colour, \[r, g, b\]",
        ),
        ({"mask_values": {"dim": None, "lit": 2}}, r'data\.mask_values = None: must be .* or "#rrggbb" \(in quotes\)'),
        ({"mask_values": {"dim": True, "lit": 2}}, r"data\.mask_values = True: must be a whole number"),
        (
            {"mask_values": {"dim": 65536, "lit": 2}},
            r"data\.mask_values = 65536: must be a whole number from 0 to 65535",
        ),
        (
            {"mask_values": {"dim": [255, 0, 0], "lit": "#ff0000"}},
            r"classes 'dim' and 'lit' have the same value #ff0000",
        ),
        ({"mask_values": {"dim": 1, "lit": [1, 1, 1]}}, r"classes 'dim' and 'lit' have the same value"),
        ({"mask_values": {"dim": 300, "lit": "#ff0000"}}, r"a value above 255 and a colour do not go together"),
        ({"mask_values": {"dim": "#000000"}}, r"mask_values names no value but 0"),
        (
            {"mask_values": {"dim": "#ff0000", "lit": 2}, "ignore_value": [255, 0, 0]},
            r"data\.ignore_value: is the value of class 'dim'",
        ),
    ],
)
def test_colours_that_cannot_be_used_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config_of(changes)


# --- through the stages

RULE = {"mask_values": {"dim": "#ff0000", "lit": [0, 0, 255]}}


def config_of(changes: dict[str, Any]) -> Any:
    data = {**MASKS, **changes}
    values = {"name": "t", "task": "segmentation", "data": data, "folds": {"n_folds": 2}}
    return parse({**values, "models": [{"name": "net", **NETS["segmentation"]}]})


def made(changes: dict[str, Any]) -> pd.DataFrame:
    config = config_of(changes)
    manifest.run(folder="out", workers=1, **slices.manifest(config))
    folds.run("out", "folds", slices.task(config), config.tables, shards=1, **config.folds.model_dump())
    return pd.read_csv("folds/train.csv", dtype=str, keep_default_na=False)


def paint(name: str, mask: np.ndarray) -> None:
    """Dim shapes red, lit ones blue."""
    palette = np.array([[0, 0, 0], [255, 0, 0], [0, 0, 255]], np.uint8)
    Image.fromarray(palette[mask]).save(f"raw/masks/{name}.png")


@pytest.fixture
def painted(in_tmp: Path) -> None:
    """The small scenes with masks of colours."""
    write_scenes(in_tmp)
    for path in Path("raw/masks").iterdir():
        paint(path.stem, decode_mask(path))


def test_masks_of_colours_are_learnt_from_as_masks_of_values_are(painted: None) -> None:
    train = made(RULE)
    write_scenes(Path())
    assert pd.read_csv("folds/summary.csv")[SHAPES].sum().min() > 0
    painted_summary = Path("folds/summary.csv").read_text()
    assert set(train["mask_depth"]) == {"8", "32"}, "an image without a shape is all grey"
    plain = made({})
    assert Path("folds/summary.csv").read_text() == painted_summary
    assert list(plain["fold"]) == list(train["fold"])


def test_the_cache_keeps_colours(painted: None) -> None:
    made(RULE)
    shard = pd.read_csv("folds/shards/train-0.csv", dtype=str, keep_default_na=False)
    build(shard, Path("cache"), (48, 64), 3, "squash")
    tests = pd.read_csv("folds/shards/test-0.csv", dtype=str, keep_default_na=False)
    build(tests, Path("tests"), (48, 64), 3, "squash")
    cached = CachedImages(["cache", "tests"])
    coding = Coding(SHAPES, {"dim": RED, "lit": BLUE}, None)
    for number, id in enumerate(["im00", "im01", "im02", "im03"]):
        true = Coding(SHAPES, "index", None).channels(np.asarray(scene_mask(number)))
        assert np.array_equal(coding.channels(cached.mask(id)), true), id


def scene_mask(number: int) -> np.ndarray:
    kinds = [("dim", "lit"), ("lit",), ("dim",), ()][number % 4]
    return scene(number, kinds).mask


def test_colours_of_no_class_are_named(painted: None) -> None:
    mask = np.zeros((48, 64, 3), np.uint8)
    mask[:2] = (1, 2, 3)
    mask[2:3] = 9
    Image.fromarray(mask).save("raw/masks/im02.png")
    said = r"'im02': its mask raw/masks/im02\.png has the values 9, #010203, no class \(see data\.mask_values\)"
    with pytest.raises(DataError, match=said):
        made(RULE)


@pytest.mark.parametrize("changes", [{}, {"classes": None}, {"classes": ["x"], "mask_values": "nonzero"}])
def test_colours_without_a_rule_for_them_are_refused(painted: None, changes: dict[str, Any]) -> None:
    said = (
        r"its mask raw/masks/im00\.png: a colour image, its channels differ; name the colours in data\.mask_values, or "
        r"make it single-channel"
    )
    with pytest.raises(DataError, match=said):
        made(changes)


def test_masks_of_which_none_can_be_used_are_not_called_empty(in_tmp: Path) -> None:
    write_scenes(in_tmp)
    for path in Path("raw/masks").iterdir():
        path.write_bytes(b"")
    said = r"^data\.masks: no mask with a class can be used, first: its mask raw/masks/im00\.png: file is empty\. Cor"
    with pytest.raises(DataError, match=said):
        made({"classes": None})
