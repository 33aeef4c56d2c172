"""Files that a finished training writes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from safetensors.torch import save_file

from goldfold.engine.checkpoint import write_all
from goldfold.engine.parts import AUXILIARY
from goldfold.engine.state import Training, weights_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from goldfold.engine.hooks.best import Best
    from goldfold.metadata.encoder import Encoder
    from goldfold.training.spec import Spec


def others_of(spec: Spec) -> list[str]:
    """Return the name of the file of the epoch that was not chosen; empty without validation, when the last one is all."""
    return [] if spec.is_on_all_rows else [f"{spec.train.other_checkpoint}.safetensors"]


def write(
    folder: Path,
    spec: Spec,
    result: Training,
    best: Best,
    encoder: Encoder | None,
    snapshots: Mapping[str, dict[str, Tensor]],
) -> None:
    """Write the weights of the last epoch, of the best one (if there is a validation) and of snapshots, with the encoder in
    their headers, and the history; remove snapshots of an earlier training."""
    train, last = spec.train, weights_of(result.scored)
    kept = {"last": _predicting(last), "best": _predicting(best.weights or last)}
    rows: list[dict[str, Any]] = [dict(row) for row in result.history]
    if result.stopped and len(rows) < train.epochs:
        rows[-1]["stopped"] = f"{result.stopped['by']}: {result.stopped['why']}"
    history = pd.DataFrame(rows).to_csv(index=False)
    header = None if encoder is None else encoder.to_header()
    writers = {
        "model.safetensors": partial(save_file, kept[train.checkpoint], metadata=header),
        **{name: partial(save_file, kept[train.other_checkpoint], metadata=header) for name in others_of(spec)},
        **{name: partial(save_file, _predicting(weights), metadata=header) for name, weights in snapshots.items()},
        "history.csv": partial(Path.write_text, data=history, encoding="utf-8", newline="\n"),
    }
    write_all(folder, writers)
    for path in folder.glob("snapshot*.safetensors"):
        if path.name not in snapshots:
            path.unlink()


def _predicting(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights that prediction needs: all but those of the heads of auxiliary targets."""
    return {name: value for name, value in weights.items() if not name.startswith(AUXILIARY)}
