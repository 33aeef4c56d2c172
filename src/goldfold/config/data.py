"""Config of the data: where images and labels are, and how they are split."""

from pathlib import PurePath
from typing import Annotated, Literal

from pydantic import Field, model_validator

from goldfold.config.base import Section, Unique

Policy = Literal["quarantine", "fail"]


class _DataBase(Section):
    classes: Annotated[list[str], Field(min_length=2), Unique] | None = None
    """Names of the classes in their order (grades from the lowest; negative before positive); without it, numbers by
    value, then names by alphabet."""
    channels: Literal[1, 3] = 3
    """1 reads images as grey, 3 as colour."""
    on_bad_image: Policy = "quarantine"
    """What to do with an image that cannot be read."""
    on_missing_image: Policy = "fail"
    """What to do with a row whose image is not there."""
    on_missing_label: Policy = "quarantine"
    """What to do with a training image that has no label."""
    shards: int = Field(4, ge=1, le=999)
    """The cache is kept in this many pieces a split; one new image rebuilds one piece."""
    test_answers: str | None = None
    """CSV (id, label) of the test images' true labels, where known; used for nothing but a score in the report."""

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

    def raw_paths(self) -> list[str]:
        """Files and folders whose contents the manifest depends on."""
        keys = ("train", "images", "test", "test_images", "unlabeled")
        return [path for key in keys if (path := getattr(self, key, None)) is not None]


class Digits(_DataBase):
    """The 1,797 handwritten digits of scikit-learn, written out as PNG and CSV; a fifth is the test set."""

    source: Literal["digits"]
    directory: str = "data/digits"
    """Where the files are written."""

    @property
    def has_test(self) -> bool:
        """The embedded set always has test images."""
        return True

    def owned(self, path: str | None) -> list[str]:
        """As for every source, but what lies in ``directory`` is generated: its generator's code is tracked instead."""
        return [] if path is None or PurePath(path).is_relative_to(self.directory) else [path]

    def raw_paths(self) -> list[str]:
        """None: the files are generated, and their generator's code is tracked instead."""
        return []


class Folder(_DataBase):
    """One folder a class; `train` may also hold `train/` and `val/` (or `valid/`), which are then pooled."""

    source: Literal["folder"]
    train: str
    """Folder with one sub-folder a class."""
    test: str | None = None
    """Folder of test images, searched with all sub-folders."""
    unlabeled: str | None = None
    """Folder of images without labels, searched with all sub-folders."""


class Csv(_DataBase):
    """A CSV table of ids and labels beside a folder of images."""

    source: Literal["csv"]
    train: str
    """CSV with a row an image."""
    images: str
    """Folder that the image names are relative to."""
    test: str | None = None
    """CSV of the test ids (a sample submission will do)."""
    test_images: str | None = None
    """Folder of the test images, where it is another than `images`."""
    unlabeled: str | None = None
    """Folder of images without labels, searched with all sub-folders."""
    id_column: str = "id"
    image_column: str | None = None
    """Column with file names; without it the id is the file name, with or without its suffix."""
    label_column: str = "label"
    group_column: str | None = None
    """Column that says which images belong together (patient, sender, ...); a group is never split over folds."""
    fold_column: str | None = None
    """Column with the fold number, for `folds.splitter: predefined`."""


Data = Annotated[Digits | Folder | Csv, Field(discriminator="source")]


class Folds(Section):
    """How the training images are split for cross-validation."""

    splitter: Literal["stratified", "group", "stratified_group", "predefined"] = "stratified"
    n_folds: int = Field(5, ge=2, le=100)
    seed: int = Field(0, ge=0, lt=2**32)


class Submission(Section):
    """What the submission looks like."""

    sample: str | None = None
    """The competition's sample file: its columns and the order of its rows are taken over."""
    format: Literal["auto", "label", "probabilities"] = "auto"
    """`auto`: what the sample file shows; without one, labels for metrics of labels, else probabilities."""
    id_column: str = "id"
    label_column: str = "label"

    @model_validator(mode="after")
    def _columns_differ(self) -> "Submission":
        if self.id_column == self.label_column:
            raise ValueError(f"id_column and label_column are both {self.id_column!r}")
        return self
