"""Masks that JPEG compression or interpolation smeared: their signature, what is said of them, and their nearest values."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw, ImageFilter

from goldfold import tasks
from goldfold.audit.doubts.masks import about_masks
from goldfold.base.errors import DataError
from goldfold.targets import colours, smears
from goldfold.targets.mask_coding import IGNORE, Coding
from goldfold.targets.mask_scan import scan_edges

pytestmark = pytest.mark.usefixtures("in_tmp")
SIDE_PX = 96
RED, BLUE = colours.number_of(255, 0, 0), colours.number_of(0, 0, 255)


def shapes(*levels: Any, mode: str = "L") -> Image.Image:
    """Discs and a rectangle of these levels on 0."""
    picture = Image.new(mode, (SIDE_PX, SIDE_PX))
    draw = ImageDraw.Draw(picture)
    for place in range(4):
        x, y = 4 + 46 * (place % 2), 4 + 46 * (place // 2)
        draw_shape = draw.rectangle if place == 3 else draw.ellipse
        draw_shape([x, y, x + 36, y + 32], fill=levels[place % len(levels)])
    return picture


def jpeg(picture: Image.Image, quality: int = 75) -> Image.Image:
    """The same after compression, to be saved in any format."""
    packed = io.BytesIO()
    picture.save(packed, "JPEG", quality=quality)
    return Image.open(packed)


def resized(picture: Image.Image, by: Image.Resampling = Image.Resampling.BILINEAR) -> Image.Image:
    return picture.resize((61, 61), by)


def found(picture: Image.Image) -> smears.Smears | None:
    pixels = np.asarray(picture)
    return smears.find(smears.edges_of(colours.numbers_of(pixels) if pixels.ndim == 3 else pixels))


@pytest.mark.parametrize("levels", [(255,), (128, 255), (60, 120, 180, 240)])
@pytest.mark.parametrize(
    ("smear", "interpolated"),
    [
        (lambda picture: jpeg(picture, 50), False),
        (jpeg, False),
        (lambda picture: jpeg(picture, 95), False),
        (resized, True),
        (lambda picture: picture.filter(ImageFilter.GaussianBlur(2)), True),
    ],
)
def test_smears_are_known_by_where_they_lie(
    levels: tuple[int, ...], smear: Callable[[Image.Image], Image.Image], interpolated: bool
) -> None:
    seen = found(smear(shapes(*levels)))
    assert seen is not None
    assert seen.clean == [0, *sorted(levels)]
    assert seen.interpolated == interpolated
    assert found(shapes(*levels)) is None


@pytest.mark.parametrize("smear", [jpeg, resized])
def test_smeared_colours_have_clean_shades(smear: Callable[[Image.Image], Image.Image]) -> None:
    seen = found(smear(shapes((255, 0, 0), (0, 0, 255), mode="RGB")))
    assert seen is not None
    clean = colours.pixels_of(np.array(seen.clean)).astype(int)
    assert np.abs(clean - [[0, 0, 0], [0, 0, 255], [255, 0, 0]]).max() <= 4


def lines(*levels: int, width_px: int = 2, scale: int = 1) -> Image.Image:
    """Lines that are nowhere three pixels wide, at another size by their anti-aliasing."""
    side, ends = SIDE_PX * scale, np.random.default_rng(0).integers(0, SIDE_PX, (12, 4)) * scale
    picture = Image.new("L", (side, side))
    for place, line in enumerate(ends.tolist()):
        ImageDraw.Draw(picture).line(line, fill=levels[place % len(levels)], width=width_px * scale)
    return picture if scale == 1 else picture.resize((SIDE_PX, SIDE_PX), Image.Resampling.BOX)


@pytest.mark.parametrize("width_px", [1, 2])
@pytest.mark.parametrize("quality", [50, 75, 95])
def test_smears_of_thin_objects_are_seen(quality: int, width_px: int) -> None:
    seen = found(jpeg(lines(255, width_px=width_px), quality))
    assert seen is not None
    assert seen.clean == [0, 255]
    assert found(lines(100, 180, 255, width_px=width_px)) is None


def test_smears_of_thin_objects_by_interpolation_are_seen() -> None:
    for levels in ((255,), (128, 255)):
        seen = found(lines(*levels, scale=4))
        assert seen is not None
        assert seen.clean == [0, *levels]
    assert found(resized(lines(255))) is not None


@pytest.mark.parametrize("smear", [jpeg, resized, lambda picture: resized(picture, Image.Resampling.BICUBIC)])
def test_small_numbers_of_classes_are_told_apart(smear: Callable[[Image.Image], Image.Image]) -> None:
    seen = found(smear(shapes(1, 5, 9)))
    assert seen is not None
    assert seen.clean == [0, 1, 5, 9]


def test_numbers_that_follow_one_another_are_mixed_at_edges() -> None:
    def mixed(picture: Image.Image) -> list[int]:
        return smears.mixed(smears.edges_of(np.asarray(picture)))

    for smear in (resized, lambda picture: picture.resize((200, 200), Image.Resampling.BILINEAR)):
        assert mixed(smear(shapes(1, 2, 3))) == [1, 2]
    assert mixed(shapes(1, 2, 3)) == []
    assert mixed(resized(shapes(1, 2, 3), Image.Resampling.NEAREST)) == []
    assert mixed(Image.fromarray(numbered(6, 6))) == []


def test_black_and_white_are_offered_where_jpeg_moved_them() -> None:
    pixels = np.asarray(jpeg(shapes(255), 75)).copy()
    pixels[pixels == 0] = 1
    pixels[::16, ::16][pixels[::16, ::16] == 1] = 0
    for picture in (Image.fromarray(pixels), Image.fromarray(pixels).convert("RGB")):
        seen = found(picture)
        assert seen is not None
        assert seen.clean == [0, 255]


@pytest.mark.parametrize("quality", [10, 20, 30, 50, 75, 90])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_one_colour_in_jpeg_is_one_class(quality: int, subsampling: int) -> None:
    packed = io.BytesIO()
    shapes((255, 0, 0), (0, 0, 255), mode="RGB").save(packed, "JPEG", quality=quality, subsampling=subsampling)
    seen = found(Image.open(packed))
    assert seen is not None
    clean = colours.pixels_of(np.array(seen.clean)).astype(int)
    assert len(clean) == 3
    assert np.abs(clean - [[0, 0, 0], [0, 0, 255], [255, 0, 0]]).max() <= 16


def test_one_colour_in_jpeg_files_of_several_qualities_is_one_class() -> None:
    pictures = [jpeg(shapes((255, 0, 0), mode="RGB"), quality) for quality in (10, 20, 30, 50, 75, 95)]
    seen = smears.find(smears.summed(smears.edges_of(colours.numbers_of(np.asarray(picture))) for picture in pictures))
    assert seen is not None
    assert len(seen.clean) == 2


def numbered(side: int, step: int) -> np.ndarray:
    mask = np.zeros((SIDE_PX, SIDE_PX), np.uint16)
    for place in range((SIDE_PX // step) ** 2):
        y, x = divmod(place, SIDE_PX // step)
        mask[y * step : y * step + side, x * step : x * step + side] = place + 1
    return mask


@pytest.mark.parametrize(
    "mask",
    [
        pytest.param(numbered(2, 6), id="tiny objects"),
        pytest.param(numbered(6, 6), id="objects that touch"),
        pytest.param(np.repeat(np.arange(24, dtype=np.uint8), 4)[:, None].repeat(96, 1), id="stripes"),
        pytest.param(np.diag(np.arange(96, dtype=np.uint8)), id="lines of one pixel"),
        pytest.param(np.zeros((9, 9), np.uint8), id="empty"),
    ],
)
def test_objects_and_thin_classes_are_no_smears(mask: np.ndarray) -> None:
    assert smears.find(smears.edges_of(mask)) is None


def test_edges_count_pixels_inside_and_between() -> None:
    mask = np.array([[0, 0, 0, 5, 9]] * 5, np.uint8)
    mask[:, 4] = 99
    assert smears.edges_of(mask) == {0: (15, 10, 0, 15), 5: (5, 0, 5, 0), 99: (5, 0, 0, 0)}


def test_the_nearest_value_is_by_level_or_by_colour() -> None:
    coding = Coding(["a", "b"], {"a": 100, "b": 200}, 255, to_nearest=True)
    mask = np.array([[0, 40, 60, 149, 151, 210, 240]], np.uint8)
    assert coding.channels(mask).tolist() == [[0, 0, 1, 1, 2, 2, IGNORE]]
    assert coding.pixels([{0: 5, 40: 1, 60: 2, 151: 4, 240: 9}]) == [[2, 4]]
    coloured = Coding(["red", "blue"], {"red": RED, "blue": BLUE}, None, to_nearest=True)
    shades = [colours.number_of(*shade) for shade in ((250, 3, 0), (1, 0, 243), (9, 9, 40))]
    assert coloured.channels(np.array([[*shades, 7]], np.uint32)).tolist() == [[1, 2, 0, 0]]


# --- what is said and done


def examined(rule: Any, *pictures: Image.Image, suffix: str = "png", **settings: Any) -> Any:
    for number, picture in enumerate(pictures):
        picture.save(f"{number}.{suffix}")
    width, height = pictures[0].size
    table = pd.DataFrame({"mask": [f"{number}.{suffix}" for number in range(len(pictures))]})
    table = table.assign(id=table.index.astype(str), height=height, width=width)
    names = list(rule) if isinstance(rule, dict) else None
    return tasks.examine("segmentation")(table, names, "train", False, 1, mask_values=rule, **settings)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "jpg"])
def test_smeared_values_are_no_classes_whatever_the_format(suffix: str) -> None:
    said = (
        r"^data\.masks: the masks hold \d+ values, of which \d+ \(\d+\.\d% of the pixels\) are only at the edges of the others: "
        r"they are smeared, most likely by JPEG compression \(or by interpolation, as by resizing or blur\)\. Nearest clean "
        r"values: 0, 255\. Save .* or set data\.mask_values: \{class_1: 255\} and data\.unlisted_values: nearest\.$"
    )
    with pytest.raises(DataError, match=said):
        examined("names", shapes(255) if suffix == "jpg" else jpeg(shapes(255)), suffix=suffix)


def test_smeared_colours_that_are_yet_to_be_named_are_told_as_smeared() -> None:
    with pytest.raises(
        DataError, match=r"a colour image, .*; the masks hold .* clean values: #000000, #0000ff, #ff0000"
    ):
        examined("names", resized(shapes((255, 0, 0), (0, 0, 255), mode="RGB")))


def test_smeared_values_are_taken_for_the_nearest_where_that_is_asked_for() -> None:
    smeared = resized(shapes(128, 255))
    rule = {"a": 128, "b": 255}
    flaws = examined(rule, smeared).flaws
    assert "smeared, most likely by interpolation" in flaws[0]
    assert "Nearest clean values: 0, 128, 255 (see data.unlisted_values)" in flaws[0]
    sound = examined(rule, smeared, unlisted_values="nearest")
    assert sound.flaws == [""]
    spec = {"name": "segmentation", "mask_values": rule, "unlisted_values": "nearest"}
    pixels = tasks.target(spec, ["a", "b"]).content(sound.table).iloc[0]
    clean = np.asarray(resized(shapes(128, 255), Image.Resampling.NEAREST))
    assert np.allclose(pixels, [(clean == 128).sum(), (clean == 255).sum()], rtol=0.12)


def test_a_value_with_regions_of_its_own_is_never_taken_for_another() -> None:
    flaws = examined({"a": 128}, jpeg(shapes(128, 255)), unlisted_values="nearest").flaws
    assert "no class (see data.mask_values)" in flaws[0]
    assert examined({"a": 1, "b": 2}, shapes(1, 2, 3), unlisted_values="nearest").flaws != [""]


def test_photographic_masks_of_many_colours_are_usable_where_the_nearest_is_asked_for() -> None:
    noisy = jpeg(shapes((200, 30, 60), (20, 180, 90), (90, 90, 200), mode="RGB").resize((300, 300)), 60)
    rule = {
        "a": colours.number_of(200, 30, 60),
        "b": colours.number_of(20, 180, 90),
        "c": colours.number_of(90, 90, 200),
    }
    flaws = examined(rule, noisy).flaws
    assert "colours; a mask has one per class, in a lossless format; the masks hold" in flaws[0]
    assert examined(rule, noisy, unlisted_values="nearest").flaws == [""]


def test_check_doubts_smears_where_any_value_counts() -> None:
    examined("nonzero", jpeg(shapes(255)))
    train = pd.DataFrame({"mask": ["0.png"], "mask_values": ["{}"]})
    doubts = list(about_masks(train, {"mask_values": "nonzero", "ignore_value": None}))
    assert len(doubts) == 1
    assert "smeared, most likely by JPEG" in doubts[0]
    assert "nonzero takes smears for foreground" in doubts[0]
    shapes(255).save("0.png")
    assert list(about_masks(train, {"mask_values": "nonzero", "ignore_value": None})) == []


def test_check_doubts_any_jpeg_of_more_than_two_values_and_numbers_that_were_mixed() -> None:
    examined("nonzero", shapes(255), suffix="jpg")
    jpeg(shapes(255), 100).save("0.png", "JPEG", quality=100)  # few values, and none of them far from the clean ones
    train = pd.DataFrame({"mask": ["0.png"], "mask_values": ["{}"]})
    scan_edges(["0.png"], 1)
    (doubt,) = about_masks(train, {"mask_values": "nonzero", "ignore_value": None})
    assert "masks are JPEG, first 0.png, and hold" in doubt
    assert "nonzero takes smears for foreground" in doubt
    resized(shapes(1, 2, 3)).save("0.png")
    scan_edges(["0.png"], 1)
    (doubt,) = about_masks(train, {"mask_values": "index", "ignore_value": None})
    assert doubt.startswith(
        "masks: the values 1, 2 often lie between a lower and a higher value, as interpolated class indices do"
    )


def test_smears_in_the_files_of_objects_are_found() -> None:
    Path("objects").mkdir()
    jpeg(shapes(255)).save("objects/1.png")
    edges = scan_edges(["objects"], 1)["edges"][0]
    assert len(edges) > 500, "of the file, not of the mask that is made of it"
