"""Base classes of all data sources of the config."""

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
"""Keys of sources that name user files and folders."""


def _rule(value: Any) -> Any:
    if isinstance(value, str) and value in ("full_range", "min_max", "percentile"):
        return value
    are_levels = isinstance(value, list) and len(value) == 2 and all(type(part) is int for part in value)
    if are_levels and 0 <= value[0] < value[1] <= 65535:
        return value
    raise ValueError(
        f"{value!r} is not allowed; write one of: full_range, min_max, percentile, or two values [black, white] with "
        f"0 <= black < white <= 65535"
    )


Scale = Annotated[Literal["full_range", "min_max", "percentile"] | list[int], BeforeValidator(_rule)]
"""Rule that maps 16 bits to 8."""


class DataBase(Section):
    """Settings that every source has."""

    target: ClassVar[str]
    """Kind of target: ``label``, ``labels``, ``value``, ``mask``, ``boxes`` or ``points``."""
    classes: Annotated[list[str], Field(min_length=1), Unique] | None = None
    """Names of the classes in order (grades from the lowest; negative before positive); by default numbers by value, then
    names in alphabetical order."""
    channels: int = Field(3, ge=1, le=64)
    """1 reads images as grey, 3 as colour; 4 and more are alpha or further bands of a file, or channels of a stack."""
    max_pixels: int = Field(200_000_000, ge=1)
    """An image whose header declares more pixels (width times height) is not decoded and counts as unreadable: 32,000 x
    32,000 pixels of one colour fit into 100 kB but take 6 GB. With more than 4 channels, the limit is divided by channels / 4."""
    scale_16bit: Scale = "percentile"
    """Conversion of 16-bit images to the 8 bits that networks get: `percentile` (from the 0.1st to the 99.9th percentile
    of each image), `min_max` of each image, `full_range` (0 to 65535), or the values [black, white]: [0, 4095] for 12 bits.
    It is applied to cached images, which keep 16 bits."""
    on_bad_image: Policy = "quarantine"
    """Policy for images that cannot be read."""
    on_missing_image: Policy = "fail"
    """Policy for rows whose image is missing."""
    on_missing_label: Policy | None = None
    """Policy for training images without label, mask or annotation; by default `fail` for masks, else `quarantine`."""
    on_bad_label: Literal["fail", "quarantine", "drop"] = "fail"
    """Policy for flawed masks and boxes; `drop` leaves out only the box, and clips one that reaches outside."""
    outside_links: Literal["fail", "follow"] = "fail"
    """Policy for files that are symbolic links to a path outside the folders named here."""
    duplicates: Literal["group", "drop", "fail", "ignore"] = "group"
    """Policy for training images that are copies of each other: `group` keeps copies in one fold; `drop` keeps the
    first by id (of those that are validated, if some are not); `fail` ends the job; `ignore` does nothing, and only
    byte-identical copies are searched."""
    duplicates_distance: Annotated[int, Field(ge=0, le=16)] | None = 6
    """Most bits of a 64-bit perceptual hash that may differ between near copies (resized, re-encoded, brighter, ...);
    `null`: only byte-identical copies count, for frames of films or icons, where different images look alike."""
    duplicates_mirrored: bool = False
    """Whether mirrored images count as near copies."""
    duplicates_across: Literal["report", "drop_train", "fail"] = "report"
    """Policy for training images that have a copy in the test set; unlabeled images with a copy in the training or test
    set are always left out."""
    on_two_labels: Literal["keep", "quarantine", "fail"] = "keep"
    """Policy for training images whose copies have a different target; `duplicates.csv` lists them."""
    shards: int = Field(4, ge=1, le=999)
    """Number of cache shards per split; one new image rebuilds one shard."""
    roi: Roi = NoRoi()
    """Region of interest that is cut out of each image before resizing."""

    @property
    def n_files(self) -> int:
        """Number of files per image."""
        return 1

    @model_validator(mode="after")
    def _channels_are_shared(self) -> "DataBase":
        if self.channels % self.n_files:
            raise ValueError(f"channels = {self.channels}: {self.n_files} files per image cannot share them evenly")
        return self

    @property
    def reader_keys(self) -> frozenset[str]:
        """Keys shared by all sources that are passed to this source's reader too."""
        return frozenset()

    @property
    def target_kind(self) -> str:
        """Kind of target, given the settings."""
        return self.target

    @property
    def named_classes(self) -> list[str] | None:
        """Names of the classes in order, if they are given."""
        return self.classes

    @property
    def target_settings(self) -> dict[str, Any]:
        """Settings of targets that are passed to the task."""
        return {}

    @property
    def has_cases(self) -> bool:
        """Return whether a case may have several images."""
        return False

    @property
    def has_answers(self) -> bool:
        """Return whether targets of the test images are known."""
        return getattr(self, "test_answers", None) is not None

    @property
    def has_test(self) -> bool:
        """Return whether there are test images to predict."""
        return getattr(self, "test", None) is not None

    @property
    def has_unlabeled(self) -> bool:
        """Return whether there are images without labels."""
        return getattr(self, "unlabeled", None) is not None

    @property
    def has_metadata(self) -> bool:
        """Whether columns of metadata are named."""
        return False

    @property
    def has_groups(self) -> bool:
        """Return whether it has groups of images that belong together."""
        return bool(getattr(self, "group_column", None) or getattr(self, "groups", None))

    def key_of(self, column: str) -> str | None:
        """Key that gives the column ``fold`` or ``order``; None if no key does."""
        return f"data.{column}_column" if getattr(self, f"{column}_column", None) else None

    @property
    def listed_folders(self) -> list[str]:
        """Folders of which tables or lists may name only a part of the images."""
        return []

    def owned(self, path: str | None) -> list[str]:
        """``path`` if it is a user file; empty if it is not set or is generated."""
        return [] if path is None else [path]

    @property
    def generated(self) -> list[str]:
        """A file that represents all files that the source writes itself; empty for user data."""
        return []

    @property
    def demo_files(self) -> list[str]:
        """Data files that the stage `demo` writes; empty for user data."""
        return []

    @property
    def read_as(self) -> Any:
        """Section of the source that reads the data: this one, unless it is a short form of another."""
        return self

    def raw_paths(self) -> list[str]:
        """Files and folders whose contents the manifest depends on."""
        values = [getattr(self, key, None) for key in RAW]
        flat = [path for value in values for path in (value if isinstance(value, list) else [value])] + self.roi.files
        return [path for path in flat if path is not None for path in self.owned(path)]


class Stacked(DataBase):
    """Settings of sources whose images may have one file per channel."""

    stack: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=2), Unique] | None = None
    """Names of channels that are stored in one file each, in order: [red, green, blue, yellow] for `1_red.png`,
    `1_green.png`, ...; `channels` is then their number, unless it is given."""
    stack_pattern: str = "{id}_{channel}"
    """Pattern of a file's path from id and channel, without suffix: `{channel}/{id}` for one folder per channel."""

    @model_validator(mode="before")
    @classmethod
    def _channels_of_files(cls, values: Any) -> Any:
        """Set ``channels`` to the number of files of the stack."""
        if isinstance(values, dict) and "channels" not in values and isinstance(values.get("stack"), list):
            return {**values, "channels": max(1, len(values["stack"]))}
        return values

    @property
    def n_files(self) -> int:
        """Number of files per image: one per channel of the stack."""
        return len(self.stack or "1")

    @field_validator("stack_pattern")
    @classmethod
    def _pattern_names_both(cls, pattern: str) -> str:
        if pattern.count("{id}") != 1 or pattern.count("{channel}") != 1:
            raise ValueError("must have {id} and {channel}, once each")
        return pattern
