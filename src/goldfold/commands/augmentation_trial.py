"""Try the augmentation of a model on made-up images before any job runs."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from goldfold.base.errors import ConfigError, GoldfoldError, cause, shown
from goldfold.catalog import TASKS
from goldfold.samples.sizes import sizes_of
from goldfold.samples.transforms import Augment
from goldfold.tasks import facts

SEEDS = 8
"""Draws that are tried, besides one in which every transform is applied."""
BOXES = {"format": "pascal_voc", "label_fields": ["labels"], "clip": True, "min_visibility": 0.25}


def check_augmentations(model: Mapping[str, Any]) -> None:
    """Try the augmentation of a model at every size of its training.

    Args:
        model: an entry of `goldfold.config.slices.network_checks`.

    Raises:
        ConfigError: see `check_augmentation`.
    """
    target = facts(model["task"]).target if model["task"] in TASKS else ""
    cached = tuple(model.get("cache_size", model["size"]))
    for size in dict.fromkeys([tuple(model["size"]), *sizes_of(model["train"].get("sizes"))]):
        check_augmentation(model["train"], size, cached, model["channels"], target)
        for view in ("weak", "strong") if (how := model["train"].get("fixmatch")) else ():
            settings, key = {**model["train"], "augment": how[view]}, f"train.fixmatch.{view}"
            check_augmentation(settings, size, cached, model["channels"], target, key)


def check_augmentation(
    train: Mapping[str, Any],
    size: tuple[int, int],
    cached: tuple[int, int],
    channels: int,
    target: str,
    key: str = "train.augment",
) -> None:
    """Augment made-up images, with a mask or boxes if the task has them.

    Args:
        size: height and width of the network's input; ``cached``: those of the images that are augmented.
        target: one of the targets of `goldfold.catalog`.
        key: key of the config that has the augmentation, for errors.

    Raises:
        ConfigError: it fails, or its result is not uint8, or of another size or number of channels.
    """
    try:
        params = {"bbox_params": BOXES} if target == "boxes" else {}
        augment = Augment(train["augment"], train["flips"], cached, channels, params, shown=size)
        fields = _fields(cached, channels, target)
        _try_each(augment, fields["image"])
        for seed in range(SEEDS):
            _refuse_misshapen(augment(dict(fields), seed), size, channels)
        if cached != size:
            unresized = Augment(train["augment"], "none", cached, channels, params)
            for seed in range(SEEDS):
                _refuse_small(unresized(dict(fields), seed)["image"], size)
    except Exception as error:
        raise failed(key, train["augment"], error) from error


def _fields(size: tuple[int, int], channels: int, target: str) -> dict[str, Any]:
    """Noise, and a mask or a box in the middle."""
    height, width = size
    drawn = np.random.default_rng(0)
    fields: dict[str, Any] = {"image": drawn.integers(0, 256, (height, width, channels), dtype=np.uint8)}
    if target == "mask":
        fields["mask"] = drawn.integers(0, 2, (height, width), dtype=np.uint8)
    if target == "boxes":
        fields["bboxes"] = np.array([[width / 4, height / 4, 3 * width / 4, 3 * height / 4]], np.float32)
        fields["labels"] = np.array([0])
    return fields


def _try_each(augment: Augment, image: Any) -> None:
    """Apply every transform, whatever its probability.

    Raises:
        ConfigError: the result is not uint8, or has other channels; names the first transform that changed this.
    """
    channels, culprits = image.shape[2], list[str]()
    for transform in augment.compose.transforms:
        image = _applied(transform, image)
        has = image.shape[2] if image.ndim == 3 else 1
        if image.dtype != np.uint8:
            culprits.append(
                f"{type(transform).__name__} returns {image.dtype}; images must stay uint8, which networks normalise"
            )
        elif has != channels:
            culprits.append(f"{type(transform).__name__} returns {has} channels; the images have {channels}")
        else:
            culprits.clear()
    if culprits:
        raise ConfigError(f"{culprits[0]}. Remove it")


def _applied(transform: Any, image: Any) -> Any:
    """Apply a transform, whatever its probability; of a container that chooses (OneOf), each of its transforms.

    Raises:
        ConfigError: a transform that may be chosen does not return uint8.
    """
    import albumentations as A

    if not isinstance(transform, A.BaseCompose):
        return transform(image=image, force_apply=True)["image"]
    if isinstance(transform, A.Sequential):
        for one in transform.transforms:
            image = _applied(one, image)
        return image
    for one in transform.transforms:
        if (made := _applied(one, image)).dtype != np.uint8:
            raise ConfigError(f"{type(one).__name__} returns {made.dtype}; images must stay uint8. Remove it")
    return transform(image=image, force_apply=True)["image"]


def _refuse_misshapen(fields: Mapping[str, Any], size: tuple[int, int], channels: int) -> None:
    image, mask = fields["image"], fields.get("mask")
    if image.dtype != np.uint8 or image.shape != (*size, channels):
        raise ConfigError(
            f"returns {_shape(image)} of {image.dtype}, but the network takes {size[0]} x {size[1]} x {channels} of uint8. End "
            f"with a transform that gives this size: RandomResizedCrop, or Resize, whose size may be left out"
        )
    if mask is not None and mask.shape != size:
        raise ConfigError(f"returns a mask of {_shape(mask)}, but the image is {size[0]} x {size[1]}")


def _refuse_small(image: Any, size: tuple[int, int]) -> None:
    """Refuse a result that would be enlarged to the input size of the network."""
    height, width = image.shape[:2]
    if height < size[0] or width < size[1]:
        raise ConfigError(
            f"returns {height} x {width}, which would be enlarged to the {size[0]} x {size[1]} pixels of the network. Use a "
            f"transform that gives at least this size; RandomResizedCrop without a size keeps that of the cached images"
        )


def _shape(array: Any) -> str:
    return " x ".join(map(str, array.shape))


def failed(key: str, wanted: Any, error: Exception) -> ConfigError:
    """Error for a component that fails on made-up values."""
    if isinstance(error, GoldfoldError):
        return ConfigError(f"{key} = {shown(wanted)}: {error}")
    kind, text = type(error).__name__, cause(error)
    text = text if text.startswith(kind) else f"{kind}: {text}"
    return ConfigError(f"{key} = {shown(wanted)} fails on made-up values: {text}")
