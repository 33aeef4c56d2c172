"""Specification of a classification task."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Spec:
    """Class names in the order of the network's outputs."""

    classes: list[str]
