"""Classes with a decision threshold; used before training."""

from goldfold.tasks.multilabel.spec import Spec


def decided(spec: Spec) -> list[str]:
    """Return all classes."""
    return spec.classes
