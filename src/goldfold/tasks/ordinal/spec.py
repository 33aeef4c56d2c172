"""Specification of an ordinal task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from goldfold.tasks.classification.spec import Spec as Labels

if TYPE_CHECKING:
    from goldfold.models.ordinal_link import Kind


@dataclass(frozen=True)
class Spec:
    """Class names from the lowest to the highest, and how the network's outputs become their probabilities."""

    classes: list[str]
    link: Kind = "cumulative"

    @property
    def labels(self) -> Labels:
        """Specification of the task without the order."""
        return Labels(self.classes)
