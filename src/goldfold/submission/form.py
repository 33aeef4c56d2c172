"""The format of a submission."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Form:
    """The columns of a submission, and its rows if a sample file gives them."""

    columns: list[str]
    n_keys: int = 1
    """Number of leading columns that identify a row; the first is the image's id."""
    keys: Sequence[tuple[str, ...]] | None = None
    """Keys of the rows in the order of the sample file; None without one."""
    as_labels: bool = False
    """Whether it holds labels rather than probabilities."""
    n_best: int = 0
    """Classes in a cell, the most probable first; 0: the predicted label or labels."""
    confidence: str | None = None
    """Column with the confidence of the label; that of the label itself if both are in one cell; None: no confidence."""
    repeats: bool = False
    """Whether several rows may have one key, such as one row per instance."""
    may_lack: bool = False
    """Whether an image may have no row, such as one without a point."""
