"""Classes with a decision threshold; used before training."""

from goldfold.base.errors import ConfigError
from goldfold.tasks.segmentation.spec import Spec


def decided(spec: Spec) -> list[str]:
    """Return the only class.

    Raises:
        ConfigError: there are several classes.
    """
    if (n := len(spec.classes)) != 1:
        raise ConfigError(f"thresholds apply to masks of one class, but there are {n} classes; remove the step")
    return spec.classes
