"""Config of the data: where images and labels are, and how they are split."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from goldfold.config.base import Number, Section, Unique
from goldfold.config.box_sources import Coco, Voc, Yolo
from goldfold.config.demo import Digits, DigitsInk, DigitsLabels, ScenesBoxes, ScenesMasks
from goldfold.config.mask_sources import Instances, Masks, Rle, Tiles
from goldfold.config.own_source import Own
from goldfold.config.sources import Stacked
from goldfold.config.table import Csv
from goldfold.config.written import Splitter


class Folder(Stacked):
    """One folder a class; `train` may also hold `train/` and `val/` (or `valid/`), which are then pooled."""

    target: ClassVar[str] = "label"
    source: Literal["folder"]
    train: str
    """Folder with one sub-folder a class."""
    class_level: Literal["leaf"] | Annotated[int, Field(ge=1)] | Annotated[int, Field(ge=-9, le=-1)] = "leaf"
    """Which folders below `train` are classes, where they lie in one another: `leaf`, those that images lie in, each a
    class named by its path (`Fruit/Apple`); or the outermost (1), those within them (2), and so on; or, by its name alone,
    the innermost (-1), the one above it (-2), ...: `patient 7/ill/1.jpg`, with `group_level: 1`."""
    group_level: Annotated[int, Field(ge=1)] | None = None
    """How many folders of an image's path below `train` name its group, which is never split over folds: 2 for
    `class/patient/1.jpg`, with `class_level: 1`."""
    train_list: str | Annotated[list[str], Field(min_length=1), Unique] | None = None
    """Text files that name the training images, one per line (`Fruit/1.jpg`, or with class numbers after it, which are not
    read): paths below `train`, from there or from where the list lies. Without it, all images of the class folders."""
    test_list: str | Annotated[list[str], Field(min_length=1), Unique] | None = None
    """The same for the test images, below `test`, or below `train` where there is no `test`."""
    extra_train: str | None = None
    """Another such folder, whose images are learnt from in every fold and never validated: external data."""
    test: str | None = None
    """Folder of test images, searched with all sub-folders."""
    test_answers: str | None = None
    """CSV (id, label) of the test images' true labels, where known; used for nothing but a score in the report."""
    unlabeled: str | None = None
    """Folder of images without labels, searched with all sub-folders; those of other splits are left out, so it may be
    `train` where lists name a part of it."""
    groups: str | None = None
    """CSV (id, group) of the images of `train` that says which belong together; a group is never split over folds. An id
    is the path below the folder without suffix, as in `oof.csv`; images of `extra_train` are groups of their own."""

    @property
    def has_test(self) -> bool:
        """Test images may be a folder, or listed."""
        return self.test is not None or self.test_list is not None

    @property
    def has_groups(self) -> bool:
        """Groups come from a table or from folders."""
        return self.group_level is not None or super().has_groups

    @property
    def listed_folders(self) -> list[str]:
        """Folders of which lists name a part."""
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
    | ScenesMasks
    | ScenesBoxes
    | DigitsLabels
    | DigitsInk,
    Field(discriminator="source"),
]
"""Sources of the catalog."""
NAMED, OWN = "source: named", "source: own"
"""Names of what `data` may be."""


def _tag(value: Any) -> str:
    source = value.get("source") if isinstance(value, dict) else getattr(value, "source", None)
    return OWN if isinstance(source, str) and ":" in source else NAMED


Data = Annotated[Annotated[Named, Tag(NAMED)] | Annotated[Own, Tag(OWN)], Discriminator(_tag)]


class Folds(Section):
    """How the training images are split for cross-validation."""

    splitter: Splitter = "stratified"
    """`ordered`: fold k learns from what comes before its validation images, and the first images are never validated;
    `ordered_blocks`: each fold validates a block of the order and learns from all others."""
    n_folds: int = Field(5, ge=2, le=100)
    seed: int = Field(0, ge=0, lt=2**32)
    sticky: bool = False
    """Whether images keep their folds when others come or go, as long as splitter, n_folds and seed stay; scores of
    before and after then compare. Keep `folds/` of the results: it holds what was decided."""
    file: str | None = None
    """CSV (id, fold) for `predefined`, or (id, order) for ordered splits, where the data have no such column."""
    rare_classes: Literal["fail", "train_only", "spread"] | None = None
    """What to do with classes of fewer images than folds, or all in one group or set of copies: `fail`; `train_only`, learn
    from their images in every fold and validate none, so that no score says anything of them; `spread`, let each image
    be validated by one fold: a class with one image is then scored by models that never saw it. By default, boxes are
    spread, since an image holds several classes, and other tasks fail."""
    gap: Number = Field(0.0, ge=0)
    """Ordered splits: how far apart what is learnt from and what is validated must be, in units of the order; days for
    dates."""
    tolerance: Annotated[Number, Field(gt=0)] | None = None
    """How far a fold may be from its even share of a class, 0.1 being a tenth more or less; one image is always allowed.
    Without it, any split is taken, and the deviation is printed and shown."""


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
