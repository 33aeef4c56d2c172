"""Try sampler and mixing of a model on made-up samples before any job runs."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold import catalog, components
from goldfold.base.errors import ConfigError
from goldfold.commands.augmentation_trial import failed
from goldfold.samples.samplers import EpochOrder, TrainingCases
from goldfold.tasks import facts

N_CASES, BATCH_SIZE, EPOCHS, DRAWS = 12, 4, 2, 4
"""Sizes of the trials; each way of mixing is tried ``DRAWS`` times."""


def _of_mask(size: tuple[int, int], n: int) -> dict[str, Any]:
    mask = np.zeros(size, np.uint8)
    mask[: size[0] // 2, : size[1] // 2] = 1
    return {"mask": mask}


def _of_boxes(size: tuple[int, int], n: int) -> dict[str, Any]:
    return {"bboxes": np.array([[1, 1, size[1] - 1, size[0] - 1]], np.float32), "labels": np.zeros(1, np.int64)}


def _of_points(size: tuple[int, int], n: int) -> dict[str, Any]:
    return {"keypoints": np.array([[1, 1], [size[1] - 2, size[0] - 2]], np.float32), "labels": np.zeros(2, np.int64)}


MADE: dict[str, Callable[[tuple[int, int], int], dict[str, Any]]] = {
    "label": lambda size, n: {"label": np.eye(n, dtype=np.float32)[0]},
    "labels": lambda size, n: {"labels": np.ones(n, np.float32)},
    "value": lambda size, n: {"value": 1.5},
    "mask": _of_mask,
    "boxes": _of_boxes,
    "points": _of_points,
}
"""Target -> its fields in a sample that can be mixed, for a size and a number of classes."""


def check_samples(model: Mapping[str, Any], n_classes: int) -> None:
    """Draw two epochs and mix samples.

    Args:
        model: an entry of `goldfold.config.slices.network_checks` with ``train``.

    Raises:
        ConfigError: one of them fails.
    """
    train, target = model["train"], facts(model["task"]).target
    _check_sampler(train.get("sampler", "shuffled"))
    if model["task"] in catalog.TASKS:  # the samples of other tasks have other fields
        fields = MADE[target](tuple(model["size"]), n_classes)
        for written in train.get("mix", []):
            _check_mix(written, catalog.MIXES[target], fields, (*model["size"], model["channels"]))


def _check_sampler(wanted: components.Written) -> None:
    try:
        sampler = components.load(wanted, catalog.SAMPLERS, "sampler")
        order = EpochOrder(sampler, TrainingCases(N_CASES, _levels), BATCH_SIZE, ("trial",))
        for epoch in range(EPOCHS):
            order(epoch)
    except Exception as error:
        raise failed("train.sampler", wanted, error) from error


def _levels(by: str) -> NDArray[np.int64]:
    return np.arange(N_CASES) % 3


def _check_mix(
    wanted: components.Written, entries: Mapping[str, str], fields: Mapping[str, Any], shape: tuple[int, ...]
) -> None:
    def sample() -> dict[str, Any]:
        images = generator.integers(256, size=(1, *shape), dtype=np.uint8)
        return {"id": "made up", "weight": 1.0, "images": images, "present": np.ones(1, bool), **fields}

    try:
        for number in range(DRAWS):
            generator = np.random.default_rng(number)
            mixed = components.load(wanted, entries, "mix")(sample(), sample, generator)
            _check_mixed(mixed, sample())
    except Exception as error:
        raise failed("train.mix", wanted, error) from error


def _check_mixed(mixed: Any, given: Mapping[str, Any]) -> None:
    if not isinstance(mixed, Mapping) or set(given) - set(mixed):
        raise ConfigError(f"returns {type(mixed).__name__}; return a sample with the fields {', '.join(given)}")
    images = mixed["images"]
    if images.dtype != np.uint8 or images.shape != given["images"].shape:
        raise ConfigError(
            f"returns images of {images.dtype} {images.shape}; return uint8 of the shape it is given, {given['images'].shape}"
        )
