"""Interpolation of images: by name, or that of a backbone in timm."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from conftest import picture
from goldfold.base.errors import ConfigError
from goldfold.bundles import form
from goldfold.cache.building import Frame
from goldfold.cache.shrunk import at_size
from goldfold.config import parse, slices
from goldfold.images.decode import resize
from goldfold.images.geometry import parts_of
from goldfold.images.refit import Refit
from goldfold.planning.plan import cache_spec, plan_of

REPO = Path(__file__).parents[1]
BASE: dict[str, Any] = {"name": "t", "data": {"source": "csv", "train": "t.csv", "images": "i"}}
OWN: dict[str, Any] = {"name": "a", "backbone": "test_vit", "image_size_px": 32}


@pytest.mark.parametrize("way", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("size", [(11, 7), (60, 50)])
def test_pixels_are_those_of_pillow(way: str, size: tuple[int, int]) -> None:
    image = picture(0, (33, 41))
    wanted = Image.fromarray(image).resize(size[::-1], Image.Resampling[way.upper()])
    found = resize(image, size, f"squash-{way}")
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - np.asarray(wanted).astype(int)).max() <= 1, "Pillow rounds between its two passes"


def test_images_of_any_depth_and_number_of_channels_keep_both() -> None:
    deep = np.random.default_rng(0).integers(0, 65535, (20, 20, 5), dtype=np.uint16)
    found = resize(deep, (9, 9), "pad-lanczos")
    assert (found.dtype, found.shape) == (np.uint16, (9, 9, 5))
    flat = np.full((20, 20, 1), 65535, np.uint16)
    assert (resize(flat, (9, 9), "squash-bicubic") == 65535).all()


def test_area_is_what_it_was_and_the_place_of_an_image_does_not_depend_on_it() -> None:
    image = picture(1, (30, 40))
    assert (resize(image, (16, 16), "squash") == cv2.resize(image, (16, 16), interpolation=cv2.INTER_AREA)).all()
    borders = [(resize(image, (16, 16), mode) == 0).all(axis=(1, 2)).tolist() for mode in ("pad", "pad-bicubic")]
    assert borders[0] == borders[1]
    made = Refit.of((30, 40), (30, 40), (12, 16), "squash-bicubic", None).image(image)
    assert (made == resize(image, (12, 16), "squash-bicubic")).all()


def test_the_name_of_a_cache_is_read_back_and_is_one_that_the_rules_take() -> None:
    (pattern,) = re.findall(r'spec=r"(.*)"', (REPO / "workflow/rules/common.smk").read_text())
    for way in ("squash", "squash-bicubic", "pad-lanczos"):
        name = cache_spec((48, 64), way)
        assert re.fullmatch(pattern, name)
        assert Frame.of(name) == Frame((48, 64), way)


def test_larger_cached_images_are_reduced_in_the_same_way_whether_their_sizes_are_known_or_not() -> None:
    image = picture(0, (32, 32))
    stored = SimpleNamespace(frame=(32, 32), case_batch=lambda ids: (image[None, None], np.ones((1, 1), bool)))
    table = pd.DataFrame({"id": ["a"], "width": [32], "height": [32]})
    for way in ("squash-bicubic", "squash-lanczos", "pad-bicubic"):
        wanted = resize(image, (16, 16), way)
        for tables in ([table], [table[["id"]]], []):
            (found,) = at_size(stored, (16, 16), way, *tables).views("a")
            assert (found == wanted).all()


def test_unknown_ways_are_named() -> None:
    with pytest.raises(ConfigError, match="unknown interpolation 'bicubik': nearest is 'bicubic'"):
        parts_of("squash-bicubik")


@pytest.mark.usefixtures("in_tmp")
def test_a_backbone_brings_its_interpolation_and_models_share_images_only_if_it_is_the_same() -> None:
    import timm

    others = [{**OWN, "name": "b", "interpolation": "own"}, {**OWN, "name": "c", "interpolation": "bicubic"}]
    made = parse({**BASE, "models": [OWN, *others]})
    own = timm.get_pretrained_cfg("test_vit").interpolation
    assert made.models[1].resizing == f"squash-{own}"
    specs = plan_of(made).specs
    assert specs["a"] == "32x32-squash"
    assert specs["b"] == f"32x32-squash-{own}"
    assert (specs["c"] == specs["b"]) == (own == "bicubic")
    assert slices.resize(made, "c") == "squash-bicubic"
    assert "interpolation" not in slices.learning(made, "c"), "the images of the cache say it"


def test_own_needs_a_backbone_and_names_are_checked() -> None:
    small = {"name": "a", "network": "small_resnet", "image_size_px": 16}
    with pytest.raises(ConfigError, match="interpolation = 'own': is that of a backbone of timm"):
        parse({**BASE, "models": [{**small, "interpolation": "own"}]})
    with pytest.raises(ConfigError, match="interpolation"):
        parse({**BASE, "models": [{**small, "interpolation": "nearest"}]})


def test_a_bundle_keeps_the_interpolation() -> None:
    described = slices.network(parse({**BASE, "models": [{**OWN, "interpolation": "bicubic"}]}), "a")
    assert form.Network(**described, resize="squash-bicubic").resize == "squash-bicubic"
    with pytest.raises(ValueError, match="resize"):
        form.Network(**described, resize="squash-nearest")
