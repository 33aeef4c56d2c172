"""The classes that have a threshold, which decides between classes; asked before anything is trained."""

from goldfold.base.errors import ConfigError
from goldfold.tasks.classification.spec import Spec


def decided(spec: Spec) -> list[str]:
    """The second of two classes.

    Raises:
        ConfigError: there is another number of classes.
    """
    if (n := len(spec.classes)) != 2:
        raise ConfigError(f"thresholds decide between two classes, and there are {n}; remove the step")
    return spec.classes[1:]
