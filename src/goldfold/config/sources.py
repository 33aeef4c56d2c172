"""What all data sources of the config share."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from goldfold.config.base import Section, Unique
from goldfold.config.roi import NoRoi, Roi

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
    "extra_train",
    "extra_images",
    "train_list",
    "test_list",
    "files",
)
"""Keys of sources that name the user's files and folders."""


def _rule(value: Any) -> Any:
    if isinstance(value, str) and value in ("full_range", "min_max", "percentile"):
        return value
    are_levels = isinstance(value, list) and len(value) == 2 and all(type(part) is int for part in value)
    if are_levels and 0 <= value[0] < value[1] <= 65535:
        return value
    raise ValueError(
        f"{value!r} is no rule; allowed: full_range, min_max, percentile, or two values [black, white] with "
        f"0 <= black < white <= 65535"
    )


Scale = Annotated[Literal["full_range", "min_max", "percentile"] | list[int], BeforeValidator(_rule)]
"""How 16 bits become 8."""


class DataBase(Section):
    """Settings that every source has."""

    target: ClassVar[str]
    """What it brings to learn from: ``label``, ``labels``, ``value``, ``mask`` or ``boxes``."""
    handed: ClassVar[frozenset[str]] = frozenset()
    """Keys that its reader is given although they are not its own."""
    classes: Annotated[list[str], Field(min_length=1), Unique] | None = None
    """Names of the classes in their order (grades from the lowest; negative before positive); without it, numbers by
    value, then names by alphabet."""
    channels: int = Field(3, ge=1, le=64)
    """1 reads images as grey, 3 as colour; 4 and more are alpha or further bands of a file, or a stack's."""
    max_pixels: int = Field(200_000_000, ge=1)
    """An image whose header says more (width times height) is not decoded, and is one that cannot be read: one colour of
    32,000 x 32,000 fits into 100 kB, and takes 6 GB. Of more than 4 channels, as many times fewer."""
    scale_16bit: Scale = "percentile"
    """How images of 16 bits become the 8 that networks are shown: `percentile` (from the value that a thousandth of an
    image's pixels lie below to the one that a thousandth lie above), `min_max` of each image, `full_range` (0 to 65535), or
    the values [black, white]: [0, 4095] for 12 bits. It is applied to what the cache holds, which has all 16."""
    on_bad_image: Policy = "quarantine"
    """What to do with an image that cannot be read."""
    on_missing_image: Policy = "fail"
    """What to do with a row whose image is not there."""
    on_missing_label: Policy | None = None
    """What to do with a training image that has no label, mask or annotation; by default masks fail, others quarantine."""
    on_bad_label: Literal["fail", "quarantine", "drop"] = "fail"
    """What to do where a mask or a box is flawed; `drop` leaves out the box alone, and cuts one that reaches outside."""
    outside_links: Literal["fail", "follow"] = "fail"
    """What to do where a file is a symbolic link to a place outside the folders named here."""
    duplicates: Literal["group", "drop", "fail", "ignore"] = "group"
    """What to do with training images that are copies of each other: keep each group of them in one fold, keep the first
    by id of each (of those that are validated, where some are not), end, or nothing (then only copies byte for byte are
    looked for)."""
    duplicates_distance: Annotated[int, Field(ge=0, le=16)] | None = 6
    """Of 64 bits of a perceptual hash, how many may differ between near copies (resized, re-encoded, brighter, ...);
    `null`: only copies byte for byte count, as for frames of films or icons, where other images look alike."""
    duplicates_mirrored: bool = False
    """Whether a near copy may be mirrored left to right."""
    duplicates_across: Literal["report", "drop_train", "fail"] = "report"
    """What to do with training images that have a copy in the test set; unlabeled images with a copy in training or test
    set are always left out."""
    on_two_labels: Literal["keep", "quarantine", "fail"] = "keep"
    """What to do with training images whose copies have another label, other labels or another number; `duplicates.csv`
    lists them."""
    shards: int = Field(4, ge=1, le=999)
    """The cache is kept in this many pieces a split; one new image rebuilds one piece."""
    roi: Roi = NoRoi()
    """The part of each image that is cut out before it is resized."""

    @property
    def n_files(self) -> int:
        """Files that an image is stacked of."""
        return 1

    @model_validator(mode="after")
    def _channels_are_shared(self) -> "DataBase":
        if self.channels % self.n_files:
            raise ValueError(f"channels = {self.channels}: {self.n_files} files an image cannot share them evenly")
        return self

    @property
    def target_kind(self) -> str:
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
    def has_cases(self) -> bool:
        """Whether a case may have several images."""
        return False

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

    @property
    def has_metadata(self) -> bool:
        """Whether columns of metadata are named."""
        return False

    @property
    def has_groups(self) -> bool:
        """Whether it says which images belong together."""
        return bool(getattr(self, "group_column", None) or getattr(self, "groups", None))

    def key_of(self, column: str) -> str | None:
        """Key that says that the data have a column, ``fold`` or ``order``; None where none does."""
        return f"data.{column}_column" if getattr(self, f"{column}_column", None) else None

    @property
    def listed_folders(self) -> list[str]:
        """Folders of which tables or lists may name a part of the images."""
        return []

    def owned(self, path: str | None) -> list[str]:
        """``path`` where it is the user's file, nothing where it is not given or is generated."""
        return [] if path is None else [path]

    @property
    def generated(self) -> list[str]:
        """A file that stands for all those that the source writes by itself; empty where the data are the user's."""
        return []

    @property
    def demo_files(self) -> list[str]:
        """Files of the data that the stage `demo` writes; empty where the data are the user's."""
        return []

    @property
    def read_as(self) -> Any:
        """Section of the source that reads the data: this one, where it is no short form of another."""
        return self

    def raw_paths(self) -> list[str]:
        """Files and folders whose contents the manifest depends on."""
        values = [getattr(self, key, None) for key in RAW]
        flat = [path for value in values for path in (value if isinstance(value, list) else [value])] + self.roi.files
        return [path for path in flat if path is not None for path in self.owned(path)]


class Stacked(DataBase):
    """Settings of sources whose images may lie in a file a channel."""

    stack: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=2), Unique] | None = None
    """Channels that lie in files of their own, in their order, by what their names have: [red, green, blue, yellow] for
    `1_red.png`, `1_green.png`, ...; `channels` is their number then, unless it is given."""
    stack_pattern: str = "{id}_{channel}"
    """How id and channel make a file's name, folders and all, without suffix: `{channel}/{id}` for a folder a channel."""

    @model_validator(mode="before")
    @classmethod
    def _channels_of_files(cls, values: Any) -> Any:
        """A stack has as many channels as files."""
        if isinstance(values, dict) and "channels" not in values and isinstance(values.get("stack"), list):
            return {**values, "channels": max(1, len(values["stack"]))}
        return values

    @property
    def n_files(self) -> int:
        """One a channel of the stack."""
        return len(self.stack or "1")

    @field_validator("stack_pattern")
    @classmethod
    def _pattern_names_both(cls, pattern: str) -> str:
        if pattern.count("{id}") != 1 or pattern.count("{channel}") != 1:
            raise ValueError("must have {id} and {channel}, once each")
        return pattern
