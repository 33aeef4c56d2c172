"""What all data sources of the config share."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from goldfold.config.base import Section, Unique

Policy = Literal["quarantine", "fail"]
RAW = (
    "train",
    "images",
    "masks",
    "annotations",
    "labels",
    "names",
    "test",
    "test_images",
    "test_answers",
    "unlabeled",
    "groups",
)
"""Keys of sources that name the user's files and folders."""


class DataBase(Section):
    """Settings that every source has."""

    target: ClassVar[str]
    """What it brings to learn from: ``label``, ``labels``, ``value``, ``mask`` or ``boxes``."""
    handed: ClassVar[frozenset[str]] = frozenset()
    """Keys that its reader is given although they are not its own."""
    classes: Annotated[list[str], Field(min_length=1), Unique] | None = None
    """Names of the classes in their order (grades from the lowest; negative before positive); without it, numbers by
    value, then names by alphabet."""
    channels: Literal[1, 3] = 3
    """1 reads images as grey, 3 as colour."""
    on_bad_image: Policy = "quarantine"
    """What to do with an image that cannot be read."""
    on_missing_image: Policy = "fail"
    """What to do with a row whose image is not there."""
    on_missing_label: Policy | None = None
    """What to do with a training image that has no label, mask or annotation; by default masks fail, others quarantine."""
    on_bad_label: Literal["fail", "quarantine", "drop"] = "fail"
    """What to do where a mask or a box is flawed; `drop` leaves out the box alone, and cuts one that reaches outside."""
    shards: int = Field(4, ge=1, le=999)
    """The cache is kept in this many pieces a split; one new image rebuilds one piece."""

    @property
    def brings(self) -> str:
        """What it brings to learn from, as it is set."""
        return self.target

    @property
    def named_classes(self) -> list[str] | None:
        """Names of the classes in their order, where they are given."""
        return self.classes

    @property
    def target_settings(self) -> dict[str, Any]:
        """What the task must know of targets as this source has them."""
        return {}

    @property
    def has_answers(self) -> bool:
        """Whether the truth of the test images is known."""
        return getattr(self, "test_answers", None) is not None

    @property
    def has_test(self) -> bool:
        """Whether there are test images to predict."""
        return getattr(self, "test", None) is not None

    @property
    def has_unlabeled(self) -> bool:
        """Whether there are images without labels to learn from."""
        return getattr(self, "unlabeled", None) is not None

    def owned(self, path: str | None) -> list[str]:
        """``path`` where it is the user's file, nothing where it is not given or is generated."""
        return [] if path is None else [path]

    @property
    def generated(self) -> list[str]:
        """A file that stands for all those that the source writes by itself; empty where the data are the user's."""
        return []

    def raw_paths(self) -> list[str]:
        """Files and folders whose contents the manifest depends on."""
        values = [getattr(self, key, None) for key in RAW]
        flat = [path for value in values for path in (value if isinstance(value, list) else [value])]
        return [path for path in flat if path is not None for path in self.owned(path)]
