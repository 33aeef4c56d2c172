"""The shape of a submission."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Form:
    """The columns of a submission, and its rows where a sample file names them."""

    columns: list[str]
    n_keys: int = 1
    """Leading columns that tell its rows apart; the first is the image's id."""
    keys: Sequence[tuple[str, ...]] | None = None
    """Its rows in the order of the sample file; None where there is none."""
    as_labels: bool = False
    """Whether it holds the short form of a prediction."""
