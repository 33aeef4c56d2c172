"""The classes that have a threshold, which decides whether an image is of a class; asked before anything is trained."""

from goldfold.tasks.multilabel.spec import Spec


def decided(spec: Spec) -> list[str]:
    """All classes."""
    return spec.classes
