"""Classes with a decision threshold; used before training."""

from goldfold.tasks.points.spec import Spec


def decided(spec: Spec) -> list[str]:
    """Return the classes."""
    return spec.classes
