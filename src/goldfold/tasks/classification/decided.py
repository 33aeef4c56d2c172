"""Classes with a decision threshold; used before training."""

from goldfold.base.errors import ConfigError
from goldfold.tasks.classification.spec import Spec


def decided(spec: Spec) -> list[str]:
    """Return the second of two classes.

    Raises:
        ConfigError: the number of classes is not two.
    """
    if (n := len(spec.classes)) != 2:
        raise ConfigError(f"thresholds decide between two classes, but there are {n}; remove the step")
    return spec.classes[1:]
