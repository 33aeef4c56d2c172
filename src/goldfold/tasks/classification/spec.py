"""The classes of a classification."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Spec:
    """Names of the classes in the order of the network's outputs."""

    classes: list[str]
