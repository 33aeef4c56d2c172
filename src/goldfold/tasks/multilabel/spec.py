"""The classes of a multi-label classification, and its settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import ConfigError, DataError, nearest


@dataclass(frozen=True)
class Spec:
    """Names of the classes in the order of the network's outputs, and settings.

    Raises:
        DataError: a weight is of no class.
        ConfigError: a weight is not more than 0.
    """

    classes: list[str]
    threshold: float = 0.5
    positive_weights: Mapping[str, float] = field(default_factory=dict)
    label_separator: str = " "
    """Separator of labels in the data, and so in the submission."""

    def __post_init__(self) -> None:
        for name, weight in self.positive_weights.items():
            if name not in self.classes:
                hint = nearest(name, self.classes)
                raise DataError(
                    f"task_params.positive_weights: {name!r} is no class; {hint}classes: {', '.join(self.classes)}"
                )
            if not weight > 0:
                raise ConfigError(f"task_params.positive_weights.{name} = {weight}: must be more than 0")

    def named(self, is_there: NDArray[np.bool_]) -> list[str]:
        """Names of the classes that are there, (classes,)."""
        return [name for name, there in zip(self.classes, is_there, strict=True) if there]
