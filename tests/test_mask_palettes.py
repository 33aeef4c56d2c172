"""Masks with palettes: read by colour or by index, mixed with others, ignored values, and through the first jobs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from conftest import NETS
from goldfold import tasks
from goldfold.audit.doubts.masks import about_masks
from goldfold.base.errors import ConfigError, DataError
from goldfold.cache.images import CachedImages, build
from goldfold.config import parse, slices
from goldfold.config.root import Config
from goldfold.images.decode import Undecodable
from goldfold.sources import masks
from goldfold.stages import folds, manifest
from goldfold.targets import colours
from goldfold.targets.mask_coding import IGNORE, Coding
from goldfold.targets.masks import decode_mask
from goldfold.targets.palettes import Used, are_indices

pytestmark = pytest.mark.usefixtures("in_tmp")
RED, BLUE, GREY, WHITE, VOID = 0xFF0000, 0x0000FF, 0x808080, 0xFFFFFF, 0xE0E0C0
INDICES = np.repeat(np.array([[0, 0, 0, 1, 1, 2]], np.uint8), 4, axis=0)
N_PIXELS = {1: 8, 2: 4}
"""Of one mask, by class."""


def with_palette(indices: np.ndarray, *entries: int) -> Image.Image:
    height, width = indices.shape
    picture = Image.frombytes("P", (width, height), indices.astype(np.uint8).tobytes())
    picture.putpalette([entry >> shift & 255 for entry in entries for shift in (16, 8, 0)])
    return picture


def in_colours(*entries: int) -> Image.Image:
    table = np.array([[entry >> shift & 255 for shift in (16, 8, 0)] for entry in entries], np.uint8)
    return Image.fromarray(table[INDICES])


def put(*pictures: Image.Image, suffix: str = "png") -> None:
    """Four images and their masks, these in turn."""
    for number in range(4):
        for folder in ("images", "masks"):
            Path(folder).mkdir(exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 255, (4, 6, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(f"images/{number}.png")
        pictures[number % len(pictures)].save(f"masks/{number}.{suffix}")


def config_of(**data: Any) -> Config:
    data = {"source": "masks", "train": "images", "masks": "masks", "duplicates": "ignore", **data}
    models = [{"name": "net", **NETS["segmentation"]}]
    return parse({"name": "t", "task": "segmentation", "data": data, "models": models, "folds": {"n_folds": 2}})


def counted(**data: Any) -> dict[str, int]:
    """Pixels of each class over the four masks, as the manifest counts them."""
    config = config_of(**data)
    settings = {key: value for key, value in slices.task(config).items() if key != "name"}
    table = masks.read("images", "masks")["train"].assign(height=4, width=6)
    found = tasks.examine("segmentation")(table, config.data.classes, "train", False, 1, **settings)
    if any(found.flaws):
        raise DataError(found.flaws[0])
    return (
        tasks.target({"name": "segmentation", **settings}, found.classes)
        .content(found.table)
        .sum()
        .astype(int)
        .to_dict()
    )


def first_jobs(**data: Any) -> None:
    config = config_of(**data)
    manifest.run(folder="out", workers=1, **slices.manifest(config))
    folds.run("out", "folds", slices.task(config), config.tables, shards=1, **config.folds.model_dump())


# --- the rule


def used(path: str, *palette: int, indices: tuple[int, ...] | None = None) -> Used:
    return Used(path, list(palette), indices if indices is not None else range(len(palette)))


@pytest.mark.parametrize(
    ("files", "settings", "expected"),
    [
        ([], {}, False),
        ([used("a", WHITE, 0), used("b", 0, WHITE), used("c", WHITE)], {}, False),
        ([used("a", 0, RED, BLUE), used("b", 0, RED)], {}, True),
        ([used("a", 0, RED, RED), used("b", 0, RED, RED)], {}, True),
        ([used("a", RED, BLUE)], {}, True),
        ([used("a", 0, GREY, RED), used("b", 0, GREY)], {}, True),
        ([used("a", 0, RED, indices=(0,)), used("b", 0, BLUE)], {}, True),
        ([used("a", 0, RED), used("b", 0, BLUE)], {"rule": "nonzero"}, True),
        ([used("a", WHITE, 0)], {"asked": "index"}, True),
        ([used("a", 0, RED), used("b", 0, BLUE)], {"asked": "colour"}, False),
    ],
)
def test_palettes_are_read_by_index_where_they_are_colours_and_shared(
    files: list[Used], settings: dict[str, Any], expected: bool
) -> None:
    assert are_indices(files, **{"asked": "auto", "rule": "index", **settings}) is expected


@pytest.mark.parametrize(
    ("files", "settings", "said"),
    [
        ([used("a", 0, RED, BLUE), used("b", 0, BLUE, RED)], {},
         r"palettes of the masks differ: entry 1 is #ff0000 in a and #0000ff in b\. Name the colours, data\.mask_values: "
         r'\{class_1: "#ff0000", class_2: "#0000ff"\}, or set data\.mask_palette: index'),
        ([used("a", 0, RED, indices=(0, 1)), used("b", 0, BLUE, RED, indices=(0, 2))], {},
         r"differ: #ff0000 is entry 1 in a and entry 2 in b\."),
        ([used("a", RED, 0)], {}, r"in the palette of a entry 0 is #ff0000 and entry 1 is black, so the background"),
        ([used("a", RED, 0)], {"rule": "nonzero"}, r"entry 0 is #ff0000 and entry 1 is black"),
        ([used("a", WHITE, RED)], {"rule": "nonzero"}, r"entry 0 of the palette of a is #ffffff: nonzero may mean"),
        ([used("a", 0, RED), used("b", 0, BLUE)], {"rule": "nonzero", "ignores": True}, r"palettes of the masks differ"),
        ([used("a", 0, 0, 0)], {}, r"entries 0 and 1 of the palette of a are the same colour, #000000\. Set data\.mask_p"),
        ([used("a", 0, RED)], {"plain": "b"}, r"a has a palette of colours and b has none, so the value 1 is ambiguous"),
    ],
)  # fmt: skip
def test_palettes_that_may_be_read_in_two_ways_are_refused(
    files: list[Used], settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(DataError, match=said):
        are_indices(files, **{"asked": "auto", "rule": "index", **settings})


# --- the config


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"ignore_value": 255}, {"ignore_value": 255}),
        ({"ignore_value": [254, 255]}, {"ignore_value": [254, 255]}),
        ({"classes": ["a"], "ignore_value": [253, 254, 255]}, {"ignore_value": [253, 254, 255]}),
        ({"mask_values": {"a": "#ff0000"}, "ignore_value": ["#e0e0c0", 0x7, [0, 0, 255]]},
         {"ignore_value": [65536 + VOID, 7, 65536 + BLUE], "mask_palette": "colour"}),
        ({"mask_values": {"a": "#ff0000"}, "ignore_value": [9, 8, 7]}, {"ignore_value": 65536 + 0x090807}),
        ({"mask_values": {"a": "#ffffff"}}, {"mask_values": {"a": 255}, "mask_palette": "colour"}),
        ({"mask_values": {"a": 255}, "unlisted_values": "nearest"}, {"unlisted_values": "nearest"}),
    ],
)  # fmt: skip
def test_values_to_ignore_and_palettes_reach_the_task_as_numbers(
    data: dict[str, Any], expected: dict[str, Any]
) -> None:
    settings = slices.task(config_of(**data))
    assert {key: settings[key] for key in expected} == expected


def test_defaults_are_no_settings_so_that_nothing_runs_again() -> None:
    assert slices.task(config_of()) == {"name": "segmentation", "mask_values": "names", "ignore_value": None}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"mask_palette": "index", "mask_values": {"a": "#ff0000"}}, r"mask_palette: index reads no colours, but"),
        ({"unlisted_values": "nearest"}, r"unlisted_values: nearest needs the clean values"),
        ({"unlisted_values": "nearest", "mask_values": "nonzero"}, r"unlisted_values: nearest needs the clean values"),
        (
            {"mask_values": {"a": 1}, "ignore_value": [0, 2]},
            r"ignore_value names 0, so the one class would have no background",
        ),
        ({"mask_values": {"a": 1}, "ignore_value": [1, 2]}, r"data\.ignore_value: is the value of class 'a'"),
        ({"ignore_value": []}, r"data\.ignore_value.*: is an empty list; name values"),
        ({"ignore_value": ["#12"]}, r"data\.ignore_value.*must be a whole number from 0 to 65535, or a colour"),
    ],
)
def test_rules_that_contradict_each_other_are_refused(data: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        config_of(**data)


def test_several_values_count_for_nothing() -> None:
    mask = np.array([[0, 1, 253, 255]], np.uint8)
    assert Coding(["a"], "index", [253, 255]).channels(mask).tolist() == [[0, 1, IGNORE, IGNORE]]
    assert Coding(["a"], "nonzero", [253, 255]).channels(mask).tolist() == [[0, 1, IGNORE, IGNORE]]
    assert Coding(["a"], "nonzero", [253, 255]).pixels([{0: 5, 1: 2, 253: 3}]) == [[2]]


# --- through the first jobs


@pytest.mark.parametrize("suffix", ["png", "gif", "bmp", "tif"])
def test_a_quantised_mask_is_not_inverted(suffix: str) -> None:
    quantised = in_colours(0, WHITE, WHITE).quantize(4)
    assert (quantised.getpalette() or [])[:3] == [255, 255, 255], "white is entry 0"
    full = in_colours(WHITE, WHITE, WHITE).quantize(4)
    assert np.asarray(full).max() == 0, "by index it would be empty"
    put(quantised, full, suffix=suffix)
    assert counted(mask_values="nonzero") == {"foreground": 2 * 12 + 2 * 24}
    assert counted(mask_values={"road": "#ffffff"}) == {"road": 2 * 12 + 2 * 24}
    with pytest.raises(
        DataError, match=r"has the value 255, no class .*; its palette is read by colour, data\.mask_palette"
    ):
        counted(classes=["road"])


def test_colours_of_the_config_are_found_in_palettes_of_any_order_and_in_rgb_masks() -> None:
    swapped = with_palette(np.array([0, 2, 1], np.uint8)[INDICES], 0, BLUE, RED)
    put(with_palette(INDICES, 0, RED, BLUE), swapped, in_colours(0, RED, BLUE), Image.fromarray(INDICES * 0))
    rule = {"road": "#ff0000", "car": "#0000ff"}
    assert counted(mask_values=rule) == {"road": 3 * 8, "car": 3 * 4}
    first_jobs(mask_values=rule)
    shard = pd.read_csv("folds/shards/train-0.csv", dtype=str, keep_default_na=False)
    build(shard, Path("cache"), (4, 6), 3, "squash")
    coding = Coding(list(rule), slices.task(config_of(mask_values=rule))["mask_values"], None)
    cached = CachedImages(["cache"])
    assert [coding.channels(cached.mask(str(number))).tolist() for number in range(3)] == [INDICES.tolist()] * 3
    with pytest.raises(
        DataError, match=r"the palettes of the masks differ: entry 1 is #ff0000 in masks/0\.png and #0000ff"
    ):
        counted(classes=["road", "car"])


def test_a_palette_of_colours_that_all_share_is_read_by_index() -> None:
    with_void = INDICES.copy()
    with_void[0, 0] = 255
    palette = [0, RED, BLUE, *range(3, 255), VOID]
    put(with_palette(with_void, *palette), with_palette(INDICES, *palette))
    assert counted(classes=["a", "b"], ignore_value=255) == {"a": 4 * 8, "b": 4 * 4}
    assert counted(mask_values={"b": 2, "a": 1}, ignore_value=[254, 255]) == {"b": 4 * 4, "a": 4 * 8}
    assert counted(mask_values={"a": "#ff0000", "b": "#0000ff"}, ignore_value="#e0e0c0") == {"a": 4 * 8, "b": 4 * 4}
    assert counted(mask_values="nonzero", ignore_value=255) == counted(mask_values="nonzero", ignore_value="#e0e0c0")
    with pytest.raises(
        DataError, match=r"data\.ignore_value: #e0e0c0 is a colour, .* write 255, its entry in the palette"
    ):
        counted(classes=["a", "b"], ignore_value="#e0e0c0")


def test_a_value_of_no_class_is_named_by_its_index_where_a_palette_is_read_by_index() -> None:
    put(with_palette(INDICES, 0, RED, BLUE))
    with pytest.raises(DataError, match=r"masks/0\.png has the value 2, no class \(see data\.mask_values\)$"):
        counted(classes=["a"])


def test_a_palette_without_colours_of_its_own_is_read_by_index_where_that_is_asked_for() -> None:
    put(with_palette(INDICES, 0, 0, 0), suffix="tif")
    with pytest.raises(DataError, match=r"entries 0 and 1 of the palette of masks/0\.tif are the same colour"):
        counted()
    assert counted(mask_palette="index") == {"1": 4 * 8, "2": 4 * 4}


def test_transparency_of_a_palette_counts_for_nothing() -> None:
    put(with_palette(INDICES, 0, RED, BLUE))
    for number in range(4):
        with_palette(INDICES, 0, RED, BLUE).save(f"masks/{number}.png", transparency=bytes([0, 128, 255]))
    assert counted(mask_values={"a": "#ff0000", "b": "#0000ff"}) == {"a": 4 * 8, "b": 4 * 4}


def test_masks_of_test_images_must_have_the_palette_of_the_training_masks() -> None:
    put(with_palette(INDICES, 0, RED, BLUE))
    Path("test").mkdir()
    Path("truth").mkdir()
    Image.fromarray(np.full((4, 6, 3), 9, np.uint8)).save("test/t.png")
    with_palette(INDICES, 0, BLUE, RED).save("truth/t.png")
    with pytest.raises(
        DataError, match=r"differ: entry 1 is #ff0000 in the training masks and #0000ff in truth/t\.png"
    ):
        first_jobs(classes=["a", "b"], test="test", test_answers="truth")
    with_palette(INDICES, 0, RED).save("truth/t.png")
    first_jobs(classes=["a", "b"], test="test", test_answers="truth")
    assert list(pd.read_csv("out/answers.csv")["mask"]) == ["truth/t.png"]


def test_entries_that_no_pixel_has_are_no_hindrance_for_the_masks_of_test_images() -> None:
    put(with_palette(INDICES, 0, RED, BLUE), suffix="tif")
    config = config_of(mask_values="nonzero")
    settings = {key: value for key, value in slices.task(config).items() if key != "name"}
    table = masks.read("images", "masks")["train"].assign(height=4, width=6)
    found = tasks.examine("segmentation")(table, None, "train", False, 1, **settings)
    assert found.settled["mask_palette"]["indices"] == [0, 1, 2], "of 256 entries, most of them black"
    again = tasks.examine("segmentation")(table, None, "data.test_answers", False, 1, **settings, **found.settled)
    assert again.flaws == [""] * 4


def test_a_mask_that_alpha_alone_holds_is_refused_not_empty() -> None:
    Image.fromarray(np.dstack([INDICES * 0] * 3 + [INDICES * 100])).save("m.png")
    with pytest.raises(
        Undecodable, match=r"^is of one colour, and only its alpha differs; save the alpha as a grey im"
    ):
        decode_mask("m.png")


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (lambda: with_palette(1 - (INDICES > 0), WHITE, 0), INDICES > 0),
        (lambda: with_palette(INDICES, 0, RED, BLUE), INDICES > 0),
        (
            lambda: with_palette(INDICES, WHITE, RED, BLUE),
            r"^m\.png has a palette whose background is not both entry 0 and",
        ),
        (
            lambda: with_palette(INDICES, 0, 0, 0),
            r"^m\.png has a palette whose background is not both entry 0 and black",
        ),
    ],
)
def test_objects_in_files_with_palettes(picture: Callable[[], Image.Image], expected: Any) -> None:
    Path("objects").mkdir()
    picture().save("objects/m.png")
    if isinstance(expected, str):
        with pytest.raises(Undecodable, match=expected):
            decode_mask("objects")
    else:
        assert np.array_equal(decode_mask("objects") == 255, expected)


def test_check_asks_what_black_is_where_colours_are_named() -> None:
    train = pd.DataFrame({"mask": ["m"] * 2, "mask_values": ['{"0": 3, "7": 1}', '{"7": 4}']})

    def said(**settings: Any) -> list[str]:
        rule = {"a": colours.number_of(255, 0, 0), **settings.pop("rule", {})}
        return list(about_masks(train, {"mask_values": rule, "ignore_value": None, **settings}))

    assert len(said()) == 1
    assert said()[0].startswith(
        "black, 37.50% of the pixels, in 1 mask, is no class of data.mask_values, so it is back"
    )
    assert said(ignore_value=0) == said(ignore_value=[0, 7]) == said(rule={"nothing": 0}) == []
    assert list(about_masks(train, {"mask_values": {"a": 7}, "ignore_value": None})) == [], "values, not colours"
