"""Try the augmentation of a model on made-up images before any job runs."""

import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from goldfold.base.errors import ConfigError, GoldfoldError, cause, shown
from goldfold.catalog import TASKS
from goldfold.commands.augmentation_ways import Way, ways_through
from goldfold.samples.sizes import sizes_of
from goldfold.samples.transforms import Augment
from goldfold.tasks import facts

SEEDS = 8
"""Draws that are tried with the probabilities as written, and of each way in which every transform is applied."""
BOXES = {"format": "pascal_voc", "label_fields": ["labels"], "clip": True, "min_visibility": 0.25}
POINTS = {"format": "xy", "label_fields": ["labels"], "remove_invisible": False}


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
    """Augment made-up images, with a mask, boxes or points if the task has them.

    Args:
        size: height and width of the network's input; ``cached``: those of the images that are augmented.
        target: one of the targets of `goldfold.catalog`.
        key: key of the config that has the augmentation, for errors.

    Raises:
        ConfigError: it fails, or its result is not uint8, or of another size or number of channels.
    """
    try:
        params = {"boxes": {"bbox_params": BOXES}, "points": {"keypoint_params": POINTS}}.get(target, {})
        augment = Augment(train["augment"], train["flips"], cached, channels, params, shown=size)
        fields = _fields(cached, channels, target)
        if cached == size:
            _try_each_way(augment, fields, partial(_problem, size=size, channels=channels))
        else:
            unresized = Augment(train["augment"], "none", cached, channels, params)
            _try_each_way(unresized, fields, partial(_problem_of_larger, size=size, channels=channels))
        for seed in range(SEEDS):
            _refuse_misshapen(augment(dict(fields), seed), size, channels)
        if cached != size:
            for seed in range(SEEDS):
                if problem := _problem_of_larger(unresized(dict(fields), seed)["image"], size, channels):
                    raise ConfigError(problem)
    except Exception as error:
        raise failed(key, train["augment"], error) from error


def _fields(size: tuple[int, int], channels: int, target: str) -> dict[str, Any]:
    """Noise, and a mask, a box or points."""
    height, width = size
    drawn = np.random.default_rng(0)
    fields: dict[str, Any] = {"image": drawn.integers(0, 256, (height, width, channels), dtype=np.uint8)}
    if target == "mask":
        fields["mask"] = drawn.integers(0, 2, (height, width), dtype=np.uint8)
    if target == "boxes":
        fields["bboxes"] = np.array([[width / 4, height / 4, 3 * width / 4, 3 * height / 4]], np.float32)
        fields["labels"] = np.array([0])
    if target == "points":
        fields["keypoints"] = np.array([[width / 2, height / 2], [1, 1]], np.float32)
        fields["labels"] = np.array([0, 0])
    return fields


def _try_each_way(augment: Augment, fields: Mapping[str, Any], problem_of: Callable[[Any], str]) -> None:
    """Apply every transform, and every one that a container may choose, whatever their probabilities.

    Args:
        problem_of: image -> what is wrong with it; empty if nothing is.

    Raises:
        ConfigError: something is wrong with the result; names the first transform after which it always was.
    """
    tried = {name: fields[name] for name in ("image", "mask") if name in fields}
    if "bboxes" in fields:
        tried["bboxes"] = np.array(
            [[0.25, 0.25, 0.75, 0.75, 0]], np.float32
        )  # as transforms get them: shares, and a label
    for way in ways_through(augment.compose.transforms):
        for seed in range(SEEDS if any(map(_moves, way)) else 1):
            if culprit := _culprit(way, tried, seed, problem_of):
                raise ConfigError(culprit)


def _culprit(way: Way, fields: Mapping[str, Any], seed: int, problem_of: Callable[[Any], str]) -> str:
    """Apply transforms in turn; return the first after which something is wrong up to the end, with what; else empty."""
    made, found = dict(fields), ""
    generator, python_random = np.random.default_rng(seed), random.Random(seed)
    for transform in way:
        transform.set_random_state(generator, python_random)
        made = transform(**made, force_apply=True)
        problem = problem_of(made["image"])
        found = problem and (found or f"{type(transform).__name__} {problem}")
    return found


def _moves(transform: Any) -> bool:
    """Return whether the size after a transform may depend on its draws; those of colours change none."""
    import albumentations as A

    return not isinstance(transform, A.ImageOnlyTransform)


def _problem(image: Any, size: tuple[int, int], channels: int) -> str:
    """Problem of an image that is to have the input size of the network; empty if there is none."""
    if problem := _problem_of_kind(image, channels):
        return problem
    if image.shape == (*size, channels):
        return ""
    return (
        f"returns {_shape(image)}, but the network takes {size[0]} x {size[1]} x {channels}. End "
        f"with a transform that gives this size: RandomResizedCrop, or Resize, whose size may be left out"
    )


def _problem_of_larger(image: Any, size: tuple[int, int], channels: int) -> str:
    """Problem of an image that is then reduced to the input size of the network, and would be enlarged if it were smaller."""
    height, width = image.shape[:2]
    if (problem := _problem_of_kind(image, channels)) or (height >= size[0] and width >= size[1]):
        return problem
    return (
        f"returns {height} x {width}, which would be enlarged to the {size[0]} x {size[1]} pixels of the network. Use a "
        f"transform that gives at least this size; RandomResizedCrop without a size keeps that of the cached images"
    )


def _problem_of_kind(image: Any, channels: int) -> str:
    if image.dtype != np.uint8:
        return f"returns {image.dtype}; images must stay uint8, which networks normalise. Remove it"
    has = image.shape[2] if image.ndim == 3 else 1
    return "" if has == channels else f"returns {has} channels; the images have {channels}. Remove it"


def _refuse_misshapen(fields: Mapping[str, Any], size: tuple[int, int], channels: int) -> None:
    if problem := _problem(fields["image"], size, channels):
        raise ConfigError(problem)
    if (mask := fields.get("mask")) is not None and mask.shape[:2] != size:
        raise ConfigError(f"returns a mask of {_shape(mask)}, but the image is {size[0]} x {size[1]}")


def _shape(array: Any) -> str:
    return " x ".join(map(str, array.shape))


def failed(key: str, wanted: Any, error: Exception) -> ConfigError:
    """Error for a component that fails on made-up values."""
    if isinstance(error, GoldfoldError):
        return ConfigError(f"{key} = {shown(wanted)}: {error}")
    kind, text = type(error).__name__, cause(error)
    text = text if text.startswith(kind) else f"{kind}: {text}"
    return ConfigError(f"{key} = {shown(wanted)} fails on made-up values: {text}")
