"""Input sizes and interpolations that the config leaves to the backbone, and checks of cached sizes."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from goldfold.base.errors import ConfigError
from goldfold.base.files import write_json
from goldfold.config import train_sizes
from goldfold.config.models import Model
from goldfold.config.root import Config

MOST_PX = 8192
KNOWN = Path(".goldfold/backbones.json")


def with_sizes(config: Config) -> Config:
    """The config with an input size and an interpolation for every model; those of backbones are looked up once and remembered.

    Raises:
        ConfigError: timm has none for a backbone.
    """
    asked = sorted({model.backbone for model in config.models if model.backbone and _lacking(model)})
    if not asked:
        return config
    known = _described(asked)
    models = [model.model_copy(update=_own(model, known)) for model in config.models]
    return config.model_copy(update={"models": models})


def _lacking(model: Model) -> list[str]:
    """Keys that are left to the backbone."""
    return ["image_size_px"] * (model.image_size_px is None) + ["interpolation"] * (model.interpolation == "own")


def _own(model: Model, known: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Values of the keys that a model leaves to its backbone."""
    names = {"image_size_px": "size", "interpolation": "interpolation"}
    return {key: known[str(model.backbone)][names[key]] for key in _lacking(model) if model.backbone}


def refuse_wrong_caches(config: Config) -> None:
    """Refuse cached images that are smaller than a network's input, or have an aspect ratio that `resize` cannot keep;
    and sizes of training that do not fit.

    Raises:
        ConfigError: with one line per model.
    """
    models = [(index, model) for index, model in enumerate(config.models) if not model.is_made or model.frozen]
    lines = [line for index, model in models for line in _wrong_cache(config, index, model)]
    lines += train_sizes.problems(config)
    if lines:
        raise ConfigError("\n".join(lines))


def _wrong_cache(config: Config, index: int, model: Model) -> Iterator[str]:
    (height, width), cached = model.size, config.cached_size(model)
    is_own = model.cache_image_size_px is not None
    own, shared = f"models[{index}] ({model.name}).cache_image_size_px", "cache.image_size_px"
    what = f"{own if is_own else shared} = {cached[0]}x{cached[1]}"
    whose = "its image_size_px" if is_own else f"image_size_px of models[{index}] ({model.name})"
    way = "" if is_own else f", or set {own.split('.')[-1]} for that model"
    if max(cached) > MOST_PX:
        yield f"{what}: must not be more than {MOST_PX}"
    elif cached[0] < height or cached[1] < width:
        yield f"{what}: smaller than {whose}, {height}x{width}; cache images of that size or more{way}"
    elif model.resize != "squash" and cached[0] * width != cached[1] * height:
        yield f"{what}: with resize: {model.resize} it must have the shape of {whose}, {height}x{width}{way}"


def _described(backbones: list[str]) -> dict[str, dict[str, Any]]:
    """``size`` and ``interpolation`` remembered in this folder, or from timm in a separate process: this one loads no torch."""
    release = version("timm")
    try:
        known = json.loads(KNOWN.read_text()).get(release, {})
    except (OSError, ValueError):
        known = {}
    new = [backbone for backbone in backbones if backbone not in known]
    if new:
        command = [sys.executable, "-m", "goldfold.models.describe", *new]
        answer = subprocess.run(command, capture_output=True, text=True)
        if answer.returncode:
            reason = answer.stderr.strip().splitlines()[-1:] or ["no reason given"]
            raise ConfigError(
                f"models: image_size_px is not set, or interpolation is own, and timm has none for {', '.join(new)} "
                f"({reason[0]}). Set it."
            )
        known |= json.loads(answer.stdout.splitlines()[-1])
        write_json(KNOWN, {release: known})
    return {backbone: known[backbone] for backbone in backbones}
