"""Found and true instances of masks, and their matches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold.tasks.segmentation.maps import INSTANCES, mask, regions
from goldfold.tasks.segmentation.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.ensembling.instances import Setting
    from goldfold.metrics.instances import Matches
    from goldfold.predictions.arrays import Arrays
    from goldfold.targets.objects import Objects
    from goldfold.tasks.segmentation.kept import Kept

Channels = NDArray[np.uint8]


@dataclass(frozen=True)
class Instances:
    """Numbers of instances (n, classes, settings, `goldfold.metrics.instances.WIDTH`) by each setting."""

    numbers: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.numbers)

    def at(self, places: Sequence[int]) -> Matches:
        """Return the matches of instances by one setting per class, given by its place."""
        from goldfold.metrics.instances import of_numbers

        return of_numbers(self.numbers[:, range(len(places)), places])


def settings_of(spec: Spec, predictions: Arrays, row: int) -> list[Setting]:
    """Return the settings of the classes in an image; those of connected components without the step `instances`."""
    from goldfold.ensembling.instances import Setting

    if INSTANCES not in predictions:
        return [Setting()] * len(spec.classes)
    return [Setting(distance, neck, int(smallest)) for distance, neck, smallest in predictions[INSTANCES][row].tolist()]


def separated(spec: Spec, predictions: Arrays, ids: Sequence[str]) -> Iterator[Objects]:
    """Yield the found instances of each image, at the original size."""
    from goldfold.ensembling.instances import instances
    from goldfold.predictions.arrays import rows_of

    placed = regions(predictions)
    for row in rows_of(predictions, ids).tolist():
        channels = mask(spec, predictions, row, placed[row])
        yield instances(channels, settings_of(spec, predictions, row), spec.first)


def write(spec: Spec, predictions: Arrays, ids: Sequence[str], folder: Path) -> None:
    """Write ``<id>.png`` per image, see `goldfold.targets.objects.write`."""
    from goldfold.targets import objects

    for id, one in zip(ids, separated(spec, predictions, ids), strict=True):
        objects.write(folder / f"{id}.png", one.labels)


def found(spec: Spec, predictions: Arrays, truth: pd.DataFrame) -> Matches:
    """Match found and true instances at the original size, one image at a time."""
    from goldfold.metrics.instances import of_numbers
    from goldfold.predictions.arrays import rows_of

    placed, numbers = regions(predictions), []
    for row, path in zip(rows_of(predictions, list(truth["id"])).tolist(), truth["mask"], strict=True):
        own = [[one] for one in settings_of(spec, predictions, row)]
        numbers.append(
            _numbers(mask(spec, predictions, row, placed[row]), *true_instances(spec, path), spec.first, own)
        )
    return of_numbers(_stacked(numbers, len(spec.classes), 1)[:, :, 0])


def of_pairs(spec: Spec, read: Callable[[], Iterable[tuple[Channels, Channels]]]) -> Matches:
    """Match the connected components of predicted and true masks, where no more is known of the instances."""
    from goldfold.ensembling.instances import Setting
    from goldfold.metrics.instances import of_numbers
    from goldfold.targets.objects import components

    n = len(spec.classes)
    numbers = [
        _numbers(channels, true, components(true, range(spec.first, spec.n_channels)), spec.first, [[Setting()]] * n)
        for channels, true in read()
    ]
    return of_numbers(_stacked(numbers, n, 1)[:, :, 0])


def separable(
    spec: Spec, kept: Kept, predictions: Arrays, truth: pd.DataFrame, settings: Sequence[tuple[float, float, int]]
) -> Instances:
    """Match instances by each setting with the true ones; numbers of images that an earlier fit has counted are kept."""
    from goldfold.ensembling.instances import Setting
    from goldfold.predictions.arrays import rows_of
    from goldfold.tasks.segmentation.kept import key

    placed, tried, numbers = regions(predictions), [Setting(*one) for one in settings], []
    for row, path in zip(rows_of(predictions, list(truth["id"])).tolist(), truth["mask"], strict=True):

        def count(row: int = row, path: str = path) -> NDArray[np.int32]:
            channels = mask(spec, predictions, row, placed[row])
            return _numbers(channels, *true_instances(spec, path), spec.first, [tried] * len(spec.classes))

        numbers.append(kept.of(key(predictions, row, INSTANCES, tuple(settings), path), count))
    return Instances(_stacked(numbers, len(spec.classes), len(tried)))


def true_instances(spec: Spec, path: str) -> tuple[Channels, Objects]:
    """Return the channel of every pixel of a mask file, and its instances."""
    from goldfold.targets.objects import read

    return read(path, spec.coding, spec.true_instances)


def _stacked(numbers: Sequence[NDArray[np.int32]], n_classes: int, n_settings: int) -> NDArray[np.int32]:
    from goldfold.metrics.instances import WIDTH

    return np.array(numbers, np.int32).reshape(-1, n_classes, n_settings, WIDTH)


def _numbers(
    channels: Channels, true_channels: Channels, true: Objects, first: int, settings: Sequence[Sequence[Setting]]
) -> NDArray[np.int32]:
    """Match the instances of a mask by each setting of each class (classes, settings, `WIDTH`)."""
    from goldfold.ensembling.instances import basins
    from goldfold.metrics.instances import WIDTH, Crossing
    from goldfold.targets.mask_coding import IGNORE

    made = np.zeros((len(settings), len(settings[0]), WIDTH), np.int32)
    known = true_channels != IGNORE
    for place, tried in enumerate(settings):
        parts = basins(channels == first + place)
        labels = np.zeros(channels.shape, np.int32)
        if parts is not None:
            labels[parts.window] = parts.labels
        numbers = np.cumsum(true.channels == first + place) * (true.channels == first + place)
        of_class: NDArray[Any] = np.concatenate([[0], numbers])[true.labels]
        n_parts = 0 if parts is None else len(parts.areas)
        crossing = Crossing(labels[known], of_class[known], n_parts, int(numbers.max(initial=0)))
        for at, setting in enumerate(tried):
            groups = np.zeros(0, np.int64) if parts is None else parts.groups(setting)
            made[place, at] = crossing.numbers(groups)
    return made
