"""Try the views of ``tta`` on a made-up image before any job runs, and the network at their sizes."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch

from goldfold.base.errors import ConfigError, GoldfoldError, cause, shown
from goldfold.commands.augmentation_trial import check_augmentation
from goldfold.components import Written, parse
from goldfold.inference import views
from goldfold.inference.parameters import AUGMENT
from goldfold.models import trial

OTHER_SIZES = (
    "Views of other sizes need a network that takes any size: convolutional ones do, at multiples of their stride "
    "(scales: {multiple: 32}); vision transformers of timm with params: {dynamic_img_size: true}, at multiples of their patch."
)
INVERTED = ("maps", "boxes")
"""Outputs of networks that views must be inverted for."""


def check_views(model: Mapping[str, Any], make: Callable[[trial.Size], Any], what: str, wanted: trial.Wanted) -> None:
    """Make each view of an image, and pass it through the network if it has another size.

    Args:
        model: an entry of `goldfold.config.slices.network_checks`.
        make: builds the network for a size.
        what: name of the network in error messages.

    Raises:
        ConfigError: a view cannot be made or inverted, or the network does not work at its size.
    """
    for written in model.get("tta", []):
        try:
            _check(written, model, make, what, wanted)
        except GoldfoldError as error:
            raise ConfigError(f"tta: {shown(written)}: {error}") from error


def _check(
    written: Written, model: Mapping[str, Any], make: Callable[[trial.Size], Any], what: str, wanted: trial.Wanted
) -> None:
    size, channels, seen = wanted.size, wanted.channels, set[trial.Size]()
    image = torch.randint(0, 256, (1, channels, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    batch = views.Batch(["made up"], 1, size, channels)
    for view in views.build([written]):
        made = _seen(view, batch, image)
        if wanted.gives in INVERTED and view.of(batch).turn is None:
            raise ConfigError(_not_inverted(written))
        own = made.shape[-2], made.shape[-1]
        if own not in seen | {size}:
            _check_size(own, make, what, wanted)
        seen.add(own)
    name, params = parse(written)
    if name == "random" and wanted.gives not in INVERTED:
        settings = {"augment": params.get("augment", AUGMENT), "flips": params.get("flips", "none")}
        cached = tuple(model.get("cache_size") or size)
        check_augmentation(settings, size, (cached[0], cached[1]), channels, "label", "augment")


def _seen(view: views.View, batch: views.Batch, image: torch.Tensor) -> torch.Tensor:
    """Make a view of an image.

    Raises:
        ConfigError: it fails, or is no batch of images.
    """
    try:
        made = view.of(batch).forward(image)
    except GoldfoldError:
        raise
    except Exception as error:
        raise ConfigError(f"cannot be made of an image: {cause(error)}") from error
    if not isinstance(made, torch.Tensor) or made.dim() != 4 or made.shape[:2] != image.shape[:2]:
        form = tuple(made.shape) if isinstance(made, torch.Tensor) else type(made).__name__
        raise ConfigError(f"returns {form} for images {tuple(image.shape)}; return (images, channels, height, width)")
    return made


def _not_inverted(written: Written) -> str:
    """Say why a view does not suit masks and boxes, and what to do."""
    if parse(written)[0] == "random":
        return (
            "masks and boxes need augmentations that leave every pixel in its place, such as "
            "[RandomBrightnessContrast, GaussNoise], with flips: none"
        )
    return "masks and boxes need views that can be inverted; give the view a turn, or remove it"


def _check_size(size: trial.Size, make: Callable[[trial.Size], Any], what: str, wanted: trial.Wanted) -> None:
    try:
        trial.check_size(lambda _: make(wanted.size), what, replace(wanted, size=size), trains=False)
    except GoldfoldError as error:
        raise ConfigError(f"{str(error).removeprefix('image_size_px: ')} {OTHER_SIZES}") from error
