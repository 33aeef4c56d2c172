"""Presets: lists in the grammar of ``train.augment``, read from the YAML files beside this module.

A preset's function returns the list of its file, in which its parameters replace values. Imports nothing heavy, since the
config is read with it.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from goldfold import components
from goldfold.catalog import PRESETS

HERE = Path(__file__).parent
NESTED = ("transforms", "otherwise")
"""Parameters that are lists of further steps."""
Steps = list[components.Written]


def file_of(name: str) -> Path:
    """YAML file of a preset."""
    return HERE / f"{name}.yaml"


@cache
def _contents(name: str) -> Steps:
    return list(yaml.safe_load(file_of(name).read_text(encoding="utf-8")))


def none() -> Steps:
    """No augmentation."""
    return deepcopy(_contents("none"))


def light(shift: float = 0.07, scale: float = 0.1, rotate: float = 10, shear: float = 5, p: float = 0.9) -> Steps:
    """Small shifts (as fractions of the side), scalings, rotations and shears (in degrees)."""
    moved = {"shift": shift, "scale": scale, "rotate": rotate, "shear": shear, "p": p}
    return changed(_contents("light"), {"shift_scale_rotate": moved})


def medium(least_area: float = 0.5, rotate: float = 10, colour: float = 0.2) -> Steps:
    """Random resized crops of at least ``least_area`` of the image, rotations (in degrees), colour jitter."""
    return changed(_contents("medium"), {**_photo(least_area, colour), "shift_scale_rotate": {"rotate": rotate}})


def heavy(least_area: float = 0.3, rotate: float = 20, shear: float = 8, colour: float = 0.4) -> Steps:
    """Stronger `medium`, with blur and erasing."""
    moved = {"rotate": rotate, "shear": shear}
    return changed(_contents("heavy"), {**_photo(least_area, colour), "shift_scale_rotate": moved})


def medical() -> Steps:
    """Flips, quarter turns, elastic and optical distortion, exposure, focus, vignette: images without an up direction."""
    return deepcopy(_contents("medical"))


def broad() -> Steps:
    """One transform of every kind at a time: frame, shape, colour, tone, blur, noise, occlusion."""
    return deepcopy(_contents("broad"))


def _photo(least_area: float, colour: float) -> dict[str, dict[str, Any]]:
    """Parameters of crops and colours; ``colour`` is the largest relative change, an eighth of it that of the hue."""
    factors = [1 - colour, 1 + colour]
    return {
        "RandomResizedCrop": {"scale": [least_area, 1.0]},
        "ColorJitter": {
            "brightness": factors, "contrast": factors, "saturation": factors, "hue": [-colour / 8, colour / 8],
        },
        "RandomBrightnessContrast": {"brightness_limit": colour, "contrast_limit": colour},
    }  # fmt: skip


def changed(steps: Sequence[components.Written], values: Mapping[str, Mapping[str, Any]]) -> Steps:
    """Copy a list of steps, with other values for parameters of the steps of some names, also of nested ones."""
    found: Steps = []
    for one in steps:
        name, params = components.parse(one)
        inner = {key: changed(params[key], values) for key in NESTED if key in params}
        found.append(components.short({name: {**deepcopy(params), **inner, **values.get(name, {})}}))
    return found


def expanded(wanted: components.Several) -> Steps:
    """Steps of a value of ``train.augment``: a list in which the contents of presets stand in place of their names."""
    found: Steps = []
    for one in [wanted] if isinstance(wanted, str | Mapping) else wanted:
        name, params = components.parse(one)
        if name in PRESETS:
            found += expanded(components.load(one, PRESETS, "augmentation preset")())
        else:
            inner = {key: expanded(params[key]) for key in NESTED if isinstance(params.get(key), list)}
            found.append(components.short({name: {**params, **inner}}))
    return found


def names(wanted: components.Several) -> Iterator[str]:
    """Names of all steps, those of presets and nested ones included."""
    for one in expanded(wanted):
        name, params = components.parse(one)
        yield name
        for key in NESTED:
            yield from names(params.get(key) or [])
