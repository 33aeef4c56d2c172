"""Index of the labelled embeddings of a fold's training images, for members that predict by neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from goldfold.cache.shrunk import at_size
from goldfold.inference.predictor import trained
from goldfold.models.features import Heard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pandas as pd
    from torch import Tensor, nn

    from goldfold.cases import Inputs
    from goldfold.tasks.protocol import Infer
    from goldfold.training.context import TrainingImages
    from goldfold.training.spec import Spec

HEAD = "fusion.head."
"""Prefix of the weights of the head, which takes embeddings."""
BATCH_SIZE = 64
"""Images that are embedded at a time."""
FILE = "embeddings.npz"
"""File of the index, beside the weights."""


def embeddings(network: nn.Module, batches: Iterable[Inputs], autocast: Callable[[], Any]) -> Tensor:
    """Return the embeddings (cases, width) float32 of cases, which are the inputs of the network's head."""
    found = []
    network.eval()
    for inputs in batches:
        with Heard(network) as heard, torch.inference_mode(), autocast():
            network(inputs)
        found.append(heard.features(inputs).float().cpu())
    return torch.cat(found)


def indexed(table: pd.DataFrame, unknown: str | None) -> pd.DataFrame:
    """Rows of a fold that are in its index: labelled training images, without those of the unknown class.

    Args:
        table: id, label and split of a fold's list.
    """
    rows = table[(table["split"] == "train") & (table["label"] != "")]
    return rows[rows["label"] != unknown].sort_values("id").reset_index(drop=True)


def with_index(
    weights: Mapping[str, Tensor], index: Tensor, labels: Sequence[str], classes: Sequence[str]
) -> dict[str, Tensor]:
    """Return the weights with the index as head, in place of their own head."""
    numbers = {name: number for number, name in enumerate(classes)}
    body = {name: value for name, value in weights.items() if not name.startswith(HEAD)}
    rows = torch.tensor([numbers[label] for label in labels], dtype=torch.int64)
    return {**body, f"{HEAD}index": index.contiguous(), f"{HEAD}labels": rows}


def file_of(rows: pd.DataFrame, index: Tensor, place: Mapping[str, int]) -> dict[str, Any]:
    """Return the arrays of `FILE`: ids, labels and embeddings float16, with round, fold and seed."""
    return {
        "ids": rows["id"].to_numpy(dtype=str),
        "labels": rows["label"].to_numpy(dtype=str),
        "embeddings": index.numpy().astype(np.float16),
        **{key: np.array(value) for key, value in place.items()},
    }


@dataclass(frozen=True)
class Indexed:
    """A network that predicts by neighbours, with its index."""

    network: nn.Module
    weights: dict[str, Tensor]
    arrays: dict[str, Any]
    """See `file_of`."""


def indexed_network(
    spec: Spec, infer: Infer, weights: Mapping[str, Tensor], training: TrainingImages, classes: Sequence[str]
) -> Indexed:
    """Embed the training images of a fold by a network of that fold, and make them the head of the network.

    Args:
        spec: of the member; its model has ``neighbours``.
        weights: of the trained network.
    """
    accelerator, body = training.accelerator, {key: value for key, value in spec.model.items() if key != "neighbours"}
    build = partial(trained, infer, channels=spec.channels, device=accelerator.device, resize=spec.resize)
    embedder, rows = build(body, weights), indexed(training.rows, spec.model["neighbours"].get("unknown"))
    load, ids = embedder.loader(rows, at_size(training.images, spec.size, spec.resize, rows)), list(rows["id"])
    batches = (load(ids[start : start + BATCH_SIZE]) for start in range(0, len(ids), BATCH_SIZE))
    index = embeddings(embedder.network, batches, accelerator.autocast)
    made = with_index(weights, index, list(rows["label"]), classes)
    return Indexed(build(spec.model, made).network, made, file_of(rows, index, spec.place))
