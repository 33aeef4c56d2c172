"""Found and true instances of masks, and their matches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold.tasks.segmentation.maps import INSTANCES, layers_of, mask, regions
from goldfold.tasks.segmentation.spec import Mask, Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.ensembling.instances import Setting
    from goldfold.metrics.instances import Matches
    from goldfold.predictions.arrays import Arrays
    from goldfold.targets.objects import Objects
    from goldfold.tasks.segmentation.kept import Kept

Channels = Mask


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


def separated(spec: Spec, predictions: Arrays, ids: Sequence[str]) -> Iterator[list[Objects]]:
    """Yield the found instances of each image, at the original size: of all classes, or of each that may overlap others."""
    from goldfold.ensembling.instances import instances
    from goldfold.predictions.arrays import rows_of

    placed = regions(predictions)
    for row in rows_of(predictions, ids).tolist():
        channels = mask(spec, predictions, row, placed[row])
        settings = settings_of(spec, predictions, row)
        if not spec.overlaps:
            yield [instances(channels, settings, spec.first)]
            continue
        yield [instances(layer, [own]) for layer, own in zip(layers_of(spec, channels), settings, strict=True)]


def by_class(spec: Spec, objects: Sequence[Objects]) -> list[tuple[Objects, int]]:
    """Return the objects among which those of each class are, and their channel there; ``objects`` as of `separated`."""
    return [(one, 1) for one in objects] if spec.overlaps else [(objects[0], code) for code in spec.coding.codes]


def _labels(spec: Spec, layers: Sequence[Objects]) -> NDArray[np.int32]:
    """Return the numbers of instances (height, width), or (classes, height, width) if classes may overlap."""
    return np.stack([one.labels for one in layers]) if spec.overlaps else layers[0].labels


def numbers(spec: Spec, predictions: Arrays, ids: Sequence[str]) -> Iterator[NDArray[np.int32]]:
    """Yield the numbers of instances of each image, (height, width), or (classes, height, width) if classes may overlap."""
    return (_labels(spec, layers) for layers in separated(spec, predictions, ids))


def write(spec: Spec, predictions: Arrays, ids: Sequence[str], folder: Path) -> None:
    """Write ``<id>.png`` per image, or per class and image, see `goldfold.targets.objects.write`."""
    from goldfold.targets import objects
    from goldfold.targets.mask_files import numbered

    for id, every in zip(ids, numbers(spec, predictions, ids), strict=True):
        for own, labels in numbered(spec.coding, every):
            objects.write(folder / own / f"{id}.png", labels)


def found(spec: Spec, predictions: Arrays, truth: pd.DataFrame) -> Matches:
    """Match found and true instances at the original size, one image at a time."""
    from goldfold.metrics.instances import of_numbers
    from goldfold.predictions.arrays import rows_of

    placed, counted = regions(predictions), []
    for row, path in zip(rows_of(predictions, list(truth["id"])).tolist(), truth["mask"], strict=True):
        own = [[one] for one in settings_of(spec, predictions, row)]
        counted.append(_numbers(spec, mask(spec, predictions, row, placed[row]), *true_instances(spec, path), own))
    return of_numbers(_stacked(counted, len(spec.classes), 1)[:, :, 0])


def of_pairs(spec: Spec, read: Callable[[], Iterable[tuple[Channels, Channels]]]) -> Matches:
    """Match the connected components of predicted and true masks, where no more is known of the instances."""
    from goldfold.ensembling.instances import Setting
    from goldfold.metrics.instances import of_numbers
    from goldfold.targets.objects import connected

    n = len(spec.classes)
    numbers = [
        _numbers(spec, channels, true, connected(true, spec.coding), [[Setting()]] * n) for channels, true in read()
    ]
    return of_numbers(_stacked(numbers, n, 1)[:, :, 0])


def separable(
    spec: Spec, kept: Kept, predictions: Arrays, truth: pd.DataFrame, settings: Sequence[tuple[float, float, int]]
) -> Instances:
    """Match instances by each setting with the true ones; numbers of images that an earlier fit has counted are kept."""
    from goldfold.ensembling.instances import Setting
    from goldfold.predictions.arrays import rows_of
    from goldfold.tasks.segmentation.kept import key

    placed, tried, counted = regions(predictions), [Setting(*one) for one in settings], []
    for row, path in zip(rows_of(predictions, list(truth["id"])).tolist(), truth["mask"], strict=True):

        def count(row: int = row, path: str = path) -> NDArray[np.int32]:
            channels = mask(spec, predictions, row, placed[row])
            return _numbers(spec, channels, *true_instances(spec, path), [tried] * len(spec.classes))

        counted.append(kept.of(key(predictions, row, INSTANCES, tuple(settings), path), count))
    return Instances(_stacked(counted, len(spec.classes), len(tried)))


def true_instances(spec: Spec, path: str) -> tuple[Channels, list[Objects]]:
    """Return the channel of every pixel of a mask file, and its instances as `separated` does."""
    from goldfold.targets.objects import read

    return read(path, spec.coding, spec.true_instances)


def _stacked(numbers: Sequence[NDArray[np.int32]], n_classes: int, n_settings: int) -> NDArray[np.int32]:
    from goldfold.metrics.instances import WIDTH

    return np.array(numbers, np.int32).reshape(-1, n_classes, n_settings, WIDTH)


def _numbers(
    spec: Spec,
    channels: Channels,
    true_channels: Channels,
    true: Sequence[Objects],
    settings: Sequence[Sequence[Setting]],
) -> NDArray[np.int32]:
    """Match the instances of a mask by each setting of each class (classes, settings, `WIDTH`)."""
    from goldfold.ensembling.instances import basins
    from goldfold.metrics.instances import WIDTH, Crossing

    coding, made = spec.coding, np.zeros((len(settings), len(settings[0]), WIDTH), np.int32)
    known = true_channels != coding.ignore
    for place, (tried, (objects, channel)) in enumerate(zip(settings, by_class(spec, true), strict=True)):
        parts = basins(coding.has(channels, coding.codes[place]))
        labels = np.zeros(channels.shape, np.int32)
        if parts is not None:
            labels[parts.window] = parts.labels
        numbers = np.cumsum(objects.channels == channel) * (objects.channels == channel)
        of_class: NDArray[Any] = np.concatenate([[0], numbers])[objects.labels]
        n_parts = 0 if parts is None else len(parts.areas)
        crossing = Crossing(labels[known], of_class[known], n_parts, int(numbers.max(initial=0)))
        for at, setting in enumerate(tried):
            groups = np.zeros(0, np.int64) if parts is None else parts.groups(setting)
            made[place, at] = crossing.numbers(groups)
    return made
