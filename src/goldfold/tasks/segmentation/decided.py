"""The classes that have a threshold, which decides whether a pixel is of a class; asked before anything is trained."""

from goldfold.base.errors import ConfigError
from goldfold.tasks.segmentation.spec import Spec


def decided(spec: Spec) -> list[str]:
    """The class, where there is one.

    Raises:
        ConfigError: there is another number of classes.
    """
    if (n := len(spec.classes)) != 1:
        raise ConfigError(f"thresholds decide whether a pixel is of one class, and there are {n}; remove the step")
    return spec.classes
