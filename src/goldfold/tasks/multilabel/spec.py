"""Specification of a multi-label classification task."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import ConfigError, DataError, nearest


@dataclass(frozen=True)
class Spec:
    """Class names in the order of the network's outputs, and settings.

    Raises:
        DataError: a weight is given for an unknown class.
        ConfigError: a weight is not above 0.
    """

    classes: list[str]
    threshold: float = 0.5
    positive_weights: Mapping[str, float] = field(default_factory=dict)
    label_separator: str = " "
    """Separator of labels in the data and in the submission."""

    def __post_init__(self) -> None:
        for name, weight in self.positive_weights.items():
            if name not in self.classes:
                hint = nearest(name, self.classes)
                raise DataError(
                    f"task_params.positive_weights: {name!r} is not a class; {hint}classes: {', '.join(self.classes)}"
                )
            if not weight > 0:
                raise ConfigError(f"task_params.positive_weights.{name} = {weight}: must be above 0")

    def named(self, is_present: NDArray[np.bool_]) -> list[str]:
        """Return the names of the classes present, where ``is_present`` is (classes,)."""
        return [name for name, present in zip(self.classes, is_present, strict=True) if present]
