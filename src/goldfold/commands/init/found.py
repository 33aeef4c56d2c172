"""Layouts, settings and doubts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MANY = 3
"""Number of examples that are named."""
WHOLE = ("classification", "multilabel", "regression")
"""Tasks with a target per image."""


@dataclass(frozen=True)
class Doubt:
    """Something for the user to check; if it ``stops``, the first job of a run would fail."""

    text: str
    stops: bool = False


@dataclass(frozen=True)
class Setting:
    """A value of the config, and the reason for it."""

    value: Any
    why: str


@dataclass
class Layout:
    """One way to read the folder."""

    source: str
    """Name of the data source."""
    task: str
    title: str
    data: dict[str, Setting]
    """Keys of the config's ``data``."""
    train: list[str]
    """Training images, relative to the root."""
    splits: dict[str, int]
    """Images by split."""
    likelihood: float
    """0 to 1; the likeliest layout is chosen."""
    folder: str = ""
    """Folder that the names of the training images are relative to, itself relative to the root."""
    classes: dict[str, int] = field(default_factory=dict)
    """Amount of each class."""
    unit: str = "images"
    """Unit of ``classes``."""
    in_images: dict[str, int] = field(default_factory=dict)
    """Images with each class, if all of them were counted."""
    has_small_boxes: bool = False
    n_groups: int | None = None
    of_one_group: list[str] = field(default_factory=list)
    """Classes whose images are all in one group."""
    n_folds: int | None = None
    """Number of folds, if a column gives them."""
    n_probabilities: int = 0
    """Columns of probabilities in the sample submission."""
    test: list[str] = field(default_factory=list)
    """Test images, relative to the root."""
    roles: dict[str, str] = field(default_factory=dict)
    """Role of explained files other than those of ``train``, ``test`` and ``data`` (see `goldfold.commands.init.roles`)."""
    facts: dict[str, str] = field(default_factory=dict)
    """More lines of the report, by heading."""
    doubts: list[Doubt] = field(default_factory=list)
    is_contradicted: bool = False
    """True if the files' contents contradict it; then it is dropped if a reading of masks is found."""

    @property
    def images_of(self) -> dict[str, int]:
        """Images with each class, if known."""
        return self.in_images or (self.classes if self.task in WHOLE else {})

    @property
    def limits_folds(self) -> bool:
        """True if each fold must have each class; rare classes of boxes are split as far as possible."""
        return self.task != "detection"

    def rare(self, n_folds: int) -> list[str]:
        """Classes that cannot be in each of ``n_folds`` folds, the rarest first, if `limits_folds`."""
        counts = self.images_of if self.limits_folds else {}
        small = [name for name, n in by_count(counts)[::-1] if 0 < n < n_folds]
        return list(dict.fromkeys(small + self.of_one_group))

    def doubt(self, text: str, stops: bool = False) -> None:
        """Add a doubt."""
        self.doubts.append(Doubt(text, stops))


def some(names: Iterable[str]) -> str:
    """The first few names, quoted, followed by ``...`` if there are more."""
    listed = list(names)
    return ", ".join(repr(name) for name in listed[:MANY]) + (", ..." if len(listed) > MANY else "")


def spread(names: Sequence[str], n: int) -> list[str]:
    """At most ``n`` of ``names``, evenly spaced and deterministic."""
    return list(names) if len(names) <= n else [names[place * len(names) // n] for place in range(n)]


def by_count(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Sort by count, the most frequent first."""
    return sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
