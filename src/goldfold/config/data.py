"""Config of the data: sources of images and labels, folds, submission."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from goldfold.config.base import Number, Section, Unique
from goldfold.config.box_sources import Coco, Voc, Yolo
from goldfold.config.demo import Digits, DigitsInk, DigitsLabels, PlacedBoxes, PlacedDigits, ScenesBoxes, ScenesMasks
from goldfold.config.mask_sources import Instances, Masks, Tiles
from goldfold.config.own_source import Own
from goldfold.config.point_sources import Points
from goldfold.config.rle_source import Rle
from goldfold.config.sources import Stacked
from goldfold.config.table import Csv
from goldfold.config.written import Splitter


class Folder(Stacked):
    """One folder per class; `train` may also hold `train/` and `val/` (or `valid/`), which are then pooled."""

    target: ClassVar[str] = "label"
    source: Literal["folder"]
    train: str
    """Folder with one sub-folder per class."""
    class_level: Literal["leaf"] | Annotated[int, Field(ge=1)] | Annotated[int, Field(ge=-9, le=-1)] = "leaf"
    """Folders below `train` that are classes, if folders are nested: `leaf`, those that hold images, each a class named by
    its path (`Fruit/Apple`); the outermost (1), those within them (2), and so on; or, named without its path, the
    innermost (-1), its parent (-2), ...: `patient 7/ill/1.jpg`, with `group_level: 1`."""
    group_level: Annotated[int, Field(ge=1)] | None = None
    """Number of leading folders of an image's path below `train` that name its group, which is never split over folds: 2
    for `class/patient/1.jpg`, with `class_level: 1`."""
    train_list: str | Annotated[list[str], Field(min_length=1), Unique] | None = None
    """Text files that name the training images, one per line (`Fruit/1.jpg`; class numbers after it are ignored): paths
    below `train`, relative to it or to the list's folder. By default all images of the class folders."""
    test_list: str | Annotated[list[str], Field(min_length=1), Unique] | None = None
    """Text files that name the test images, below `test`, or below `train` if there is no `test`."""
    extra_train: str | None = None
    """Another such folder, whose images are trained on in every fold and never validated: external data."""
    test: str | None = None
    """Folder of test images, searched with all sub-folders."""
    test_answers: str | None = None
    """CSV (id, label) of the test images' true labels, if known; used only for a score in the report."""
    unlabeled: str | None = None
    """Folder of images without labels, searched with all sub-folders; images of other splits are left out, so it may be
    `train` if lists name a part of it."""
    groups: str | None = None
    """CSV (id, group) of the images of `train` that belong together; a group is never split over folds. An id is the path
    below the folder without suffix, as in `oof.csv`; each image of `extra_train` is a group of its own."""

    @property
    def has_test(self) -> bool:
        """Return whether test images are a folder or listed."""
        return self.test is not None or self.test_list is not None

    @property
    def has_groups(self) -> bool:
        """Return whether groups come from a table or from folders."""
        return self.group_level is not None or super().has_groups

    @property
    def listed_folders(self) -> list[str]:
        """Folders of which lists may name only a part."""
        test = [self.test or self.train] if self.test_list else []
        return [*([self.train] if self.train_list else []), *test]

    @model_validator(mode="after")
    def _one_way_each(self) -> "Folder":
        if self.group_level is not None and self.groups is not None:
            raise ValueError("group_level and groups both say which images belong together; remove one")
        if self.stack is not None and (self.train_list or self.test_list):
            raise ValueError("train_list and test_list name single files and do not go with stack; use source: csv")
        return self


Named = Annotated[
    Digits
    | Folder
    | Csv
    | Masks
    | Tiles
    | Instances
    | Rle
    | Coco
    | Voc
    | Yolo
    | Points
    | ScenesMasks
    | ScenesBoxes
    | PlacedDigits
    | PlacedBoxes
    | DigitsLabels
    | DigitsInk,
    Field(discriminator="source"),
]
"""Sources of the catalog."""
NAMED, OWN = "source: named", "source: own"
"""Tags of the two forms of `data`."""


def _tag(value: Any) -> str:
    source = value.get("source") if isinstance(value, dict) else getattr(value, "source", None)
    return OWN if isinstance(source, str) and ":" in source else NAMED


Data = Annotated[Annotated[Named, Tag(NAMED)] | Annotated[Own, Tag(OWN)], Discriminator(_tag)]


class Folds(Section):
    """Split of the training images for cross-validation."""

    splitter: Splitter = "stratified"
    """`ordered`: fold k is trained on the images before its validation images, and the first images are never validated;
    `ordered_blocks`: each fold validates one block of the order and is trained on all others."""
    n_folds: int = Field(5, ge=2, le=100)
    """Number of folds: each model is trained once without each of them, and validated on it."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Another seed gives another split."""
    sticky: bool = False
    """Whether images keep their folds when others are added or removed, as long as splitter, n_folds and seed stay the same,
    so that scores remain comparable. Keep `folds/` of the results: it holds the assignment."""
    file: str | None = None
    """CSV (id, fold) for `predefined`, or (id, order) for ordered splits, if the data have no such column."""
    rare_classes: Literal["fail", "train_only", "spread"] | None = None
    """Policy for classes that have fewer images than folds, or all images in one group or set of copies: `fail`;
    `train_only`: train on their images in every fold and validate none, so that no score covers them; `spread`: validate
    each image in one fold, so that a class with one image is scored by models that never saw it. The default is `spread`
    for detection and points, where an image holds several classes, and `fail` for other tasks."""
    gap: Number = Field(0.0, ge=0)
    """Ordered splits: smallest distance between training and validation images, in units of the order; days for dates."""
    tolerance: Annotated[Number, Field(gt=0)] | None = None
    """Largest relative deviation of a fold from its even share of a class, 0.1 being 10 % more or less; one image is always
    allowed. By default any split is accepted, and the deviation is printed and shown in the report."""


class Submission(Section):
    """Format of the submission."""

    sample: str | None = None
    """The competition's sample file: the submission gets its columns and the order of its rows."""
    format: Literal["auto", "label", "probabilities", "best", "confidence", "instances"] = "auto"
    """`auto`: as in the sample file; without one, labels for metrics of labels, otherwise probabilities. `best`: the most
    probable classes in one cell, separated by spaces, as `map_at_k` scores them, k of the metric or as many as the sample
    shows. `confidence`: label and probability, as `gap` scores them, in one cell or two columns as in the sample.
    `instances`: of masks, one row of run lengths per instance; other values are not for masks."""
    id_column: str = "id"
    """Column of the submission with the id."""
    label_column: str = "label"
    """Column of the submission with the class; of a `sample`, needed only where two columns could be it."""

    @model_validator(mode="after")
    def _columns_differ(self) -> "Submission":
        if self.id_column == self.label_column:
            raise ValueError(f"id_column and label_column are both {self.id_column!r}")
        return self
