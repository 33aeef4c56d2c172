"""Frozen backbones with their weights, for the stage embed and for bundles."""

import hashlib
from collections.abc import Mapping
from typing import Any

from torch import nn

from goldfold.engine.seeding import seeded
from goldfold.inference.embedding import Embedder
from goldfold.inference.predictor import build


def backbone(model: Mapping[str, Any], channels: int) -> nn.Module:
    """Build a frozen network with its weights: published ones, those of a file, or random ones, the same in every job."""
    with seeded("frozen", str(model["backbone"]), "weights"):
        network = build(Embedder(), model, channels, starts=True)
    if isinstance(model["pretrained"], str):
        from goldfold.models.pretrained import summary

        print(summary(model["pretrained"], network.network), flush=True)  # type: ignore[arg-type]
    return network.eval()


def digest(network: nn.Module) -> str:
    """Digest of the weights of a network."""
    found = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        found.update(name.encode())
        found.update(value.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()[:16]
