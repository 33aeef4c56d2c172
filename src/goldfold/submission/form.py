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
