"""Classes with a decision threshold; used before training."""

from goldfold.tasks.ordinal.spec import Spec


def decided(spec: Spec) -> list[str]:
    """Return all classes but the first: each threshold is on the probability of its class and those above."""
    return spec.classes[1:]
