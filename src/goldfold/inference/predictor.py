"""Predict with a trained network: the same code in validation, in the stage predict and in bundles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from goldfold.cases import Inputs
from goldfold.inference import views
from goldfold.inference.loading import Images, Loader
from goldfold.inference.views import View
from goldfold.inference.windows import Grid, Joins, Parts, Windows, batch_of
from goldfold.metadata.encoder import Encoder
from goldfold.models.arguments import arguments
from goldfold.models.earlier import as_trained
from goldfold.models.fusion import branch_of

if TYPE_CHECKING:
    import pandas as pd

Entries = Iterable[tuple[str, NDArray[Any]]]


class Predicting(Protocol):
    """Facet of a task that prediction needs, see `goldfold.tasks.protocol.Infer`."""

    def model(self, network: str, image_size: tuple[int, int], channels: int, **params: Any) -> nn.Module:
        """Build a network that takes `Inputs` with images of 0..255."""

    def predict(self, model: nn.Module, inputs: Inputs, views: Sequence[View]) -> dict[str, Any]:
        """Predict the arrays of a batch, with views inverted."""

    def pack(
        self, table: pd.DataFrame, parts: Iterable[dict[str, Any]], frame: tuple[int, int], resize: str
    ) -> Entries:
        """Join the arrays of all batches, by name."""


class Adapts(Protocol):
    """Computes statistics from images, as `goldfold.models.batch_norm.Adapter` does."""

    def adapt(self, ids: Sequence[str], batches: Callable[[Sequence[str]], Inputs], batch_size: int) -> bool:
        """Return whether the network now has the statistics of these images."""


def build(
    task: Predicting,
    spec: Mapping[str, Any],
    channels: int,
    starts: bool = False,
    encoder: Encoder | None = None,
) -> nn.Module:
    """Build the network of an entry of the config's ``models``, for training, prediction and bundles.

    Args:
        spec: ``network``, ``size``, ``views`` if images of a case are not averaged, and the keys that
            `goldfold.models.arguments.arguments` takes.
        starts: whether weights are loaded to start training from.
        encoder: encodes the metadata, where the network takes it (``spec`` has ``metadata``).
    """
    more: dict[str, Any] = {key: spec[key] for key in ("views", "embedding", "neighbours") if spec.get(key)}
    if encoder is not None:
        more["metadata_branch"] = branch_of(spec["metadata"], encoder.n_levels)
    return task.model(spec["network"], tuple(spec["size"]), channels, **arguments(spec, starts), **more)


@dataclass(frozen=True)
class Predictor:
    """A network with the task that interprets its outputs, its views, and how images are put into its frame."""

    network: nn.Module
    task: Predicting
    resize: str
    device: torch.device
    views: Sequence[View] = field(default_factory=lambda: [views.identity()])
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext
    """Context that sets the precision of the network."""
    adapter: Adapts | None = None
    """Computes statistics of batch normalisation from the images, where they replace those of training."""
    encoder: Encoder | None = None
    """Encodes the metadata columns of tables, where the network takes metadata."""
    windows: Windows | None = None
    """How images are predicted in windows, where they are not predicted whole."""

    def adapt(self, images: Images, table: pd.DataFrame, batch_size: int) -> bool:
        """Compute the statistics of batch normalisation from the images of ``table``, where it is adapted.

        Returns:
            Whether the network now has the statistics of the images; otherwise it has those of training.
        """
        if self.adapter is None:
            return False
        with self.autocast():
            return self.adapter.adapt(list(table["id"]), self.loader(table, images), batch_size)

    def entries(
        self,
        table: pd.DataFrame,
        images: Images,
        batch_size: int,
        on_batch: Callable[[int], None] = lambda n: None,
    ) -> Entries:
        """Predict the cases of ``table``, in its order; return arrays by name, large ones made per image on access.

        Args:
            table: id, the columns that `goldfold.tasks.protocol.Infer.pack` needs, and metadata where the network takes it.
            on_batch: called with the number of images of each finished batch.
        """
        if self.windows is not None:
            in_parts: Any = images
            parts = self._in_windows(list(table["id"]), in_parts, self.windows.overlap, batch_size, on_batch)
        else:
            parts = self._parts(list(table["id"]), self.loader(table, images), batch_size, on_batch)
        return self.task.pack(table, parts, images.frame, self.resize)

    def loader(self, table: pd.DataFrame, images: Images) -> Loader:
        """Return a function: ids of the table -> cases on the device."""
        if self.encoder is None:
            return Loader(images, self.device)
        return Loader(images, self.device, dict(zip(table["id"], self.encoder.encode(table), strict=True)))

    def _parts(
        self, ids: Sequence[str], loader: Loader, batch_size: int, on_batch: Callable[[int], None]
    ) -> Iterator[dict[str, Any]]:
        """Predict batch by batch; decoding and transfer happen once per batch."""
        self.network.eval()
        reads_larger = any(view.reads_larger for view in self.views)
        for start in range(0, len(ids), batch_size):
            chosen = ids[start : start + batch_size]
            inputs, larger = loader.with_larger(chosen) if reads_larger else (loader(chosen), None)
            with torch.inference_mode(), self.autocast():
                part = self.task.predict(self.network, inputs, self._bound(chosen, inputs, larger))
            on_batch(len(chosen))
            yield part

    def _in_windows(
        self, ids: Sequence[str], images: Parts, overlap: float, batch_size: int, on_batch: Callable[[int], None]
    ) -> Iterator[dict[str, Any]]:
        """Predict image by image, each window by window; ``on_batch`` is also called with 0 after a batch of windows."""
        self.network.eval()
        task: Joins = self.task  # type: ignore[assignment]
        for id in ids:
            grid = Grid.of(images.size(id), images.frame, overlap)
            whole = task.joined(grid, self._windows_of(id, images, grid, batch_size, on_batch))
            on_batch(1)
            yield whole

    def _windows_of(
        self, id: str, images: Parts, grid: Grid, batch_size: int, on_batch: Callable[[int], None]
    ) -> Iterator[dict[str, Any]]:
        """Yield the prediction of each window of an image."""
        size, places = min(batch_size, batch_of(grid.window)), iter(grid)
        while chosen := list(islice(places, size)):
            pixels = np.stack([images.part(id, grid.box(place)) for place in chosen])
            inputs = Inputs.of(torch.from_numpy(pixels).to(self.device).permute(0, 3, 1, 2))
            names = [f"{id} {top} {left}" for top, left in chosen]
            with torch.inference_mode(), self.autocast():
                part = self.task.predict(self.network, inputs, self._bound(names, inputs, None))
            on_batch(0)
            for number in range(len(chosen)):
                yield {name: values[number] for name, values in part.items()}

    def _bound(self, ids: Sequence[str], inputs: Inputs, larger: Tensor | None) -> list[View]:
        """Return the views of a batch."""
        channels, height, width = inputs.images.shape[-3:]
        flat = None if larger is None else larger.flatten(0, 1)
        batch = views.Batch(ids, inputs.n_views, (height, width), channels, flat, self.resize.startswith("squash"))
        return [view.of(batch) for view in self.views]


def trained(
    task: Predicting,
    spec: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    channels: int,
    device: torch.device,
    adapts: bool = False,
    encoder: Encoder | None = None,
    **settings: Any,
) -> Predictor:
    """Build the predictor of a trained network.

    Args:
        spec: see `build`.
        adapts: whether batch normalisation uses the statistics of the images, see `Predictor.adapt`.
        encoder: encodes the metadata, where the network takes it; see `encoder_beside`.
        settings: ``resize``, ``views`` and ``autocast``.
    """
    from goldfold.models.batch_norm import Adapter  # training does not depend on it

    network = build(task, as_trained(spec, weights), channels, encoder=encoder)
    network.load_state_dict(weights)
    network.to(device)
    adapter = Adapter(network, lambda x: task.predict(network, x, [views.identity()])) if adapts else None
    overlap = (spec.get("windows") or {}).get("overlap")  # recipes of training have none
    windows = None if overlap is None else Windows(overlap)
    return Predictor(network, task, device=device, adapter=adapter, encoder=encoder, windows=windows, **settings)


def encoder_beside(weights: str | Path, spec: Mapping[str, Any]) -> Encoder | None:
    """Return the encoder in the header of a file of weights, where the network of ``spec`` takes metadata.

    Raises:
        DataError: the header has none.
    """
    if not spec.get("metadata"):
        return None
    from safetensors import safe_open

    with safe_open(weights, "pt") as file:
        return Encoder.from_header(file.metadata(), weights)
