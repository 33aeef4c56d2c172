"""Classes with a decision threshold, and components that can be cleaned and separated; used before training."""

from goldfold.base.errors import ConfigError
from goldfold.tasks.segmentation.spec import Spec


def decided(spec: Spec) -> list[str]:
    """Return the classes, which are decided against the background.

    Raises:
        ConfigError: there is no background.
    """
    from goldfold.targets.mask_values import values_of

    if spec.overlaps:
        return spec.classes
    values = values_of(spec.classes, spec.mask_values)
    if 0 in values:
        name = spec.classes[values.index(0)]
        raise ConfigError(
            f"thresholds, components and instances need a background, but the pixel value 0 is the class {name!r}; remove the "
            f"step, or the class"
        )
    return spec.classes
