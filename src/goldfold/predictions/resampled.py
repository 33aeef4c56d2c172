"""File of the scores of members and ensemble on the same resamples, for every comparison between them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from goldfold.predictions.arrays import load, save

FILE = "resampled.npz"
"""Name of the file, in the folder of the ensemble."""
Drawn = Mapping[str, NDArray[np.float64]]
"""Scores (n_resamples,) by member; NaN where a resample cannot be scored."""


def write(folder: Path, drawn: Drawn) -> None:
    """Write ``members`` (n,) and ``scores`` (n, n_resamples)."""
    save(folder / FILE, [("members", np.array([*drawn])), ("scores", np.stack([*drawn.values()]))])


def read(folder: Path) -> Drawn:
    """Read what `write` wrote; empty if there is no file."""
    if not (folder / FILE).exists():
        return {}
    found = load(folder / FILE)
    return dict(zip(found["members"].tolist(), found["scores"], strict=True))
