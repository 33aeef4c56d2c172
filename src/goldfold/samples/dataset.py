"""Training samples and their batches, independent of the number of worker processes."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from goldfold.base.counter import counter
from goldfold.base.errors import TrainingError
from goldfold.cache.images import stacked_views
from goldfold.cases import Batch
from goldfold.engine.parent import die_with
from goldfold.samples.by_size import BySize
from goldfold.samples.mixing import Mixing
from goldfold.samples.samplers import EpochOrder, in_random_order, repeats
from goldfold.samples.transforms import Augment


class Place(NamedTuple):
    """Place of a training sample."""

    epoch: int
    row: int
    again: int = 0
    """Number of times that the row was in the epoch before."""
    batch: int = 0
    """Number of its batch in the epoch."""
    number: int = 0
    """Number of training samples of the run before it."""


Crops = Callable[[int, int], tuple[Any, Mapping[str, Any]]]
"""(row, seed) -> image of a window, as `goldfold.samples.windows.One`, and fields of its target."""
More = Callable[[Place], dict[str, Any]]
"""Further fields of the sample of a place."""


class TrainingSet(Dataset[dict[str, Any]]):
    """Samples by place: images, augmented and mixed as a function of key, epoch, id and earlier repeats, and their target."""

    def __init__(
        self,
        ids: Sequence[str],
        targets: Sequence[dict[str, Any]],
        weights: Sequence[float],
        images: Any,
        augment: Augment | BySize,
        key: tuple[int | str, ...],
        metadata: NDArray[np.float32] | None = None,
        mixing: Mixing | None = None,
        more: More | None = None,
        drop_view: float = 0.0,
        crops: Crops | None = None,
    ) -> None:
        """``metadata`` has one row per sample, where networks take it; ``mixing`` is None where samples are not mixed; ``more``
        makes further fields of a sample; ``drop_view`` is the probability that an image of a case is left out; ``crops``
        draws windows of the images, where networks take these.
        """
        self.metadata, self.mixing, self.more, self.drop_view = metadata, mixing, more, drop_view
        self.crops = crops
        self.ids, self.targets, self.weights = list(ids), targets, weights
        self.images, self.augment, self.key = images, augment, key

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, place: tuple[int, ...]) -> dict[str, Any]:
        """Return the augmented sample, mixed if samples are; ``place`` has the fields of `Place`."""
        place = Place(*place)
        own = self.at(place, self.augment.at(place.epoch, place.batch))
        if self.drop_view:
            own = {**own, "present": kept(own["present"], self.drop_view, counter(*self._stream(place), "drop view"))}
        return own if self.more is None else {**own, **self.more(place)}

    def at(self, place: Place, augment: Augment) -> dict[str, Any]:
        """Return the sample of a place; it and those that it is mixed with are augmented by ``augment``."""
        stream = self._stream(place)
        own = self._augmented(augment, place.row, stream)
        return own if self.mixing is None else self.mixing(own, partial(self._augmented, augment), place.epoch, stream)

    def _stream(self, place: Place) -> tuple[int | str, ...]:
        """Names of the random numbers of a place."""
        stream = (*self.key, place.epoch, self.ids[place.row])
        return (*stream, "again", place.again) if place.again else stream

    def _augmented(self, augment: Augment, row: int, stream: tuple[int | str, ...]) -> dict[str, Any]:
        """Return the sample of a row, augmented by random numbers of a stream, see `sample`."""

        def augmented(fields: dict[str, Any], view: int) -> dict[str, Any]:
            made = augment(fields, counter(*stream, *([view] if view else [])))
            _refuse_other(made["image"], augment.shape, self.ids[row])
            return made

        metadata = metadata_of(self.metadata, row)
        draw = counter(*stream, "images") if getattr(self.images, "max_images", None) else None
        of_window = self.crops and self.crops(row, counter(*stream, "window"))
        images, target = of_window or (self.images, self.targets[row])
        return sample(images, self.ids[row], target, self.weights[row], augmented, metadata, draw)


def _refuse_other(image: NDArray[Any], shape: tuple[int, int, int], id: str) -> None:
    """Raise TrainingError for an augmented image that is not uint8 of the (height, width, channels) that the network takes."""
    if image.dtype != np.uint8:
        raise TrainingError(
            f"train.augment returned {image.dtype} for {id}; images must stay uint8, which networks normalise"
        )
    if image.shape != shape:
        returned, taken = (" x ".join(map(str, one)) for one in (image.shape, shape))
        raise TrainingError(
            f"train.augment returned {returned} for {id}, but the network takes {taken}; end with this size"
        )


def sample(
    images: Any,
    id: str,
    target: Mapping[str, Any],
    weight: float = 1.0,
    augmented: Callable[[dict[str, Any], int], dict[str, Any]] = lambda fields, view: fields,
    metadata: Mapping[str, Any] = MappingProxyType({}),
    draw: int | None = None,
) -> dict[str, Any]:
    """Return a case: ``id``, ``weight``, ``images`` (views, height, width, channels) uint8, ``present`` (views,), target fields.

    Args:
        images: a `goldfold.cache.images.CachedImages`, or another source of the ``views`` of a case.
        augmented: (fields, view) -> image and fields of the target after augmentation. Targets of cases with several
            images do not move with the images.
        metadata: ``metadata`` of the case, see `metadata_of`.
        draw: seed of a random choice of images, where the number of images per case is limited.
    """
    views, known = (
        images.views(id) if draw is None else images.views(id, draw),
        {"id": id, "weight": weight, **metadata},
    )
    if len(views) == 1:
        fields = augmented({"image": views[0], **target}, 0)
        seen = fields.pop("image")
        return {**fields, "images": seen[None], "present": np.ones(1, bool), **known}
    each = [None if one is None else augmented({"image": one}, view)["image"] for view, one in enumerate(views)]
    stacked, present = stacked_views([each])
    return {**target, "images": stacked[0], "present": present[0], **known}


def kept(present: NDArray[np.bool_], drop: float, seed: int) -> NDArray[np.bool_]:
    """Return which images of a case are kept, where each is left out with probability ``drop``, but never all of them."""
    draws = np.random.default_rng(seed).random(len(present))
    left = present & (draws >= drop)
    return left if left.any() else present & (draws == draws[present].max())


def metadata_of(rows: NDArray[np.float32] | None, row: int) -> dict[str, NDArray[np.float32]]:
    """Return the field ``metadata`` of a sample, where there is any."""
    return {} if rows is None else {"metadata": rows[row]}


class EpochSampler(Sampler[list[Place]]):
    """Batches of places in an order that depends only on key and epoch; an incomplete last batch is dropped.

    With fewer samples than the batch size, all samples form one batch. Each of N ``processes`` that train together takes
    every N-th sample of a global batch N times as large.
    """

    def __init__(
        self,
        n: int,
        batch_size: int,
        key: tuple[int | str, ...],
        process: int = 0,
        processes: int = 1,
        order: EpochOrder | None = None,
    ) -> None:
        """``order``: rows of each epoch, where these are not ``n`` rows in random order."""
        self.order = in_random_order(n, key) if order is None else order
        self.batch_size = batch_size * processes
        self.process, self.processes = process, processes
        self.epoch, self.start = 0, 0

    def __len__(self) -> int:
        return max(1, len(self.order) // self.batch_size)

    def __iter__(self) -> Iterator[list[Place]]:
        rows = self.order(self.epoch)
        used = min(len(rows), len(self) * self.batch_size)
        numbers = self.epoch * used + np.arange(len(rows))
        places = np.stack([rows, repeats(rows), numbers], axis=1)
        for step in range(self.start, len(self)):
            batch = places[step * self.batch_size : (step + 1) * self.batch_size]
            own = batch[self.process :: self.processes].tolist()
            yield [Place(self.epoch, row, again, step, number) for row, again, number in own]


class Loader:
    """Batches of consecutive epochs."""

    def __init__(
        self,
        samples: TrainingSet,
        batch_size: int,
        collate: Callable[[list[dict[str, Any]]], Batch],
        workers: int,
        process: int = 0,
        processes: int = 1,
        order: EpochOrder | None = None,
    ) -> None:
        """``process`` is the rank of this process among the ``processes`` that train together; ``order`` as for the sampler."""
        self.samples, self.collate = samples, collate
        self.sampler = EpochSampler(len(samples), batch_size, samples.key, process, processes, order)
        self.batches = DataLoader(
            samples, batch_sampler=self.sampler, collate_fn=collate, num_workers=workers, worker_init_fn=_obey_parent_only,
            persistent_workers=workers > 0, multiprocessing_context="fork" if workers else None,
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.sampler)

    def of_each_size(self) -> Iterator[Batch]:
        """Make the first batch of the first epoch at each size of training, in this process."""
        self.sampler.epoch, self.sampler.start = 0, 0
        places = next(iter(self.sampler))
        for augment in self.samples.augment.every:
            yield self.collate([self.samples.at(place, augment) for place in places])

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """Iterate over the batches of epoch ``number``, beginning with batch ``start``; earlier ones are not made."""
        self.sampler.epoch, self.sampler.start = number, start
        return iter(self.batches)


def _obey_parent_only(worker: int) -> None:
    """Ignore all signals but the parent's: a signal to all processes of a job must not interrupt the running step."""
    die_with(os.getppid())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_exit_on_sigterm_of_parent, daemon=True).start()


def _exit_on_sigterm_of_parent() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)
