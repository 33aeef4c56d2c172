"""Config of the data: where images and labels are, and how they are split."""

from pathlib import PurePath
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from goldfold.config.base import Number, Section, Unique
from goldfold.config.mask_sources import Instances, MaskBase, Masks, Rle
from goldfold.config.sources import DataBase, Stacked


class _Digits(DataBase):
    """What all forms of the embedded digits share."""

    directory: str
    test_answers: str | None = None
    """CSV of the test images' true targets, where known; used for nothing but a score in the report."""

    @property
    def has_test(self) -> bool:
        """The embedded set always has test images."""
        return True

    @property
    def generated(self) -> list[str]:
        """The table of the training images."""
        return [f"{self.directory}/train.csv"]

    def owned(self, path: str | None) -> list[str]:
        """As for every source, but what lies in ``directory`` is generated: its generator's code is tracked instead."""
        return [] if path is None or PurePath(path).is_relative_to(self.directory) else [path]


class Digits(_Digits):
    """The 1,797 handwritten digits of scikit-learn, written out as PNG and CSV; a fifth is the test set."""

    target: ClassVar[str] = "label"
    source: Literal["digits"]
    directory: str = "data/digits"
    """Where the files are written."""


class DigitsLabels(_Digits):
    """The same digits with what is true of each as labels: even, prime, loop; of a 1, none. For `task: multilabel`."""

    target: ClassVar[str] = "labels"
    source: Literal["digits_labels"]
    directory: str = "data/digits_labels"
    """Where the files are written."""


class DigitsInk(_Digits):
    """The same digits with the share of the paper that is inked, in per cent. For `task: regression`."""

    target: ClassVar[str] = "value"
    source: Literal["digits_ink"]
    directory: str = "data/digits_ink"
    """Where the files are written."""


class Folder(Stacked):
    """One folder a class; `train` may also hold `train/` and `val/` (or `valid/`), which are then pooled."""

    target: ClassVar[str] = "label"
    source: Literal["folder"]
    train: str
    """Folder with one sub-folder a class."""
    extra_train: str | None = None
    """Another such folder, whose images are learnt from in every fold and never validated: external data."""
    test: str | None = None
    """Folder of test images, searched with all sub-folders."""
    test_answers: str | None = None
    """CSV (id, label) of the test images' true labels, where known; used for nothing but a score in the report."""
    unlabeled: str | None = None
    """Folder of images without labels, searched with all sub-folders."""


class Metadata(Section):
    """Columns that are known of images besides their target: checked and kept beside them, learnt from by no network yet."""

    numeric: Annotated[list[str], Unique] = []
    """Columns of numbers; an empty field is missing, text ends the job."""
    categorical: Annotated[list[str], Unique] = []
    """Columns of names."""

    @model_validator(mode="after")
    def _one_kind_each(self) -> "Metadata":
        if both := sorted(set(self.numeric) & set(self.categorical)):
            raise ValueError(f"{both[0]!r} is listed as numeric and as categorical; keep one")
        return self


class Csv(Stacked):
    """A CSV table of ids and targets beside a folder of images: a label, several labels, or a number."""

    target: ClassVar[str] = "label"
    handed: ClassVar[frozenset[str]] = frozenset({"label_separator"})
    source: Literal["csv"]
    train: str
    """CSV with a row an image."""
    images: str
    """Folder that the image names are relative to."""
    test: str | None = None
    """CSV of the test ids (a sample submission will do)."""
    test_images: str | None = None
    """Folder of the test images, where it is another than `images`."""
    test_answers: str | None = None
    """CSV (id, label) of the test images' true labels, where known; used for nothing but a score in the report."""
    unlabeled: str | None = None
    """Folder of images without labels, searched with all sub-folders."""
    id_column: str = "id"
    image_column: str | None = None
    """Column with file names; without it the id is the file name, with or without its suffix."""
    image_columns: Annotated[list[str], Field(min_length=2), Unique] | None = None
    """Columns with the names of several files that are stacked as one image's channels, evenly shared: two photographs
    make `channels: 6`, which is what it is unless it is given."""
    label_column: str = "label"
    label_separator: Annotated[str, Field(min_length=1)] | None = None
    """What parts several labels in one cell (`" "`, `"|"`), for `task: multilabel`; blanks around a label do not count."""
    label_columns: Annotated[list[str], Field(min_length=1), Unique] | None = None
    """Columns of 0 and 1, one a class, for `task: multilabel`, in place of `label_column`."""
    empty_label: Literal["missing", "no_class"] | None = None
    """What an empty cell of labels, or a row of zeros, means: `missing`, no label is known (see `on_missing_label`), or
    `no_class`, the image is of none. Without it, an empty cell is missing, a row of zeros is of no class."""
    target_column: str | None = None
    """Column with a number to predict, for `task: regression`, in place of `label_column`."""
    metadata: Metadata | None = None
    """What else is known of the images."""
    group_column: str | None = None
    """Column that says which images belong together (patient, sender, ...); a group is never split over folds."""
    fold_column: str | None = None
    """Column with the fold number, for `folds.splitter: predefined`; -1 is learnt from in every fold, never validated."""
    order_column: str | None = None
    """Column with a number or a date (2024-05-31), for `folds.splitter: ordered` and `ordered_blocks`."""
    train_only_column: str | None = None
    """Column that says which images are learnt from in every fold and never validated (1, true or yes; 0, false, no or
    empty): external data. They are left out of the folds that validate the same group or the same file."""
    extra_train: str | None = None
    """A second CSV of the same columns whose images are all train-only; it may lack those of group, fold and order."""
    extra_images: str | None = None
    """Folder of its images, where it is another than `images`."""

    @model_validator(mode="before")
    @classmethod
    def _channels_of_columns(cls, values: Any) -> Any:
        """A picture a column has three channels each."""
        if isinstance(values, dict) and "channels" not in values and isinstance(values.get("image_columns"), list):
            return {**values, "channels": max(1, 3 * len(values["image_columns"]))}
        return values

    @property
    def n_files(self) -> int:
        """One a channel of the stack, or one a column."""
        return len(self.image_columns or self.stack or "1")

    @model_validator(mode="after")
    def _files_are_named_one_way(self) -> "Csv":
        for other in ("stack", "image_column", "unlabeled"):
            if self.image_columns is not None and getattr(self, other) is not None:
                raise ValueError(f"image_columns and {other} do not go together; remove one")
        return self

    @property
    def brings(self) -> str:
        """Depends on the columns that are named."""
        if self.target_column is not None:
            return "value"
        return "labels" if self.label_columns or self.label_separator else "label"

    @property
    def target_settings(self) -> dict[str, Any]:
        """The separator, which submissions take over."""
        return {} if self.label_separator is None else {"label_separator": self.label_separator}

    @property
    def named_classes(self) -> list[str] | None:
        """The columns of classes are named in their order."""
        return self.classes if self.classes is not None or self.label_columns is None else list(self.label_columns)

    @model_validator(mode="after")
    def _one_target(self) -> "Csv":
        given = [
            key
            for key in ("label_column", "label_columns", "target_column")
            if key in self.model_fields_set and getattr(self, key) is not None
        ]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} are given, but one target is learnt; keep one")
        if self.label_separator is not None and given not in ([], ["label_column"]):
            raise ValueError(f"label_separator parts the labels of label_column, not of {given[0]}; remove it")
        if self.empty_label is not None and self.brings != "labels":
            raise ValueError("empty_label is of several labels an image: set label_separator or label_columns")
        return self

    @model_validator(mode="after")
    def _classes_can_be_read(self) -> "Csv":
        mark, names = self.label_separator, self.classes or []
        if mark is not None and (any(letter.isalnum() for letter in mark) or (mark != mark.strip() and mark.strip())):
            raise ValueError(f"label_separator {mark!r} must be blanks, or signs without blanks around them")
        for name in names:
            if mark is not None and mark in name:
                raise ValueError(
                    f"classes: {name!r} holds label_separator {mark!r}, so it would be read as two labels; rename it, or use "
                    f"another separator"
                )
        if self.label_columns is not None and names and set(names) != set(self.label_columns):
            odd = sorted(set(names) ^ set(self.label_columns))[0]
            raise ValueError(f"classes and label_columns must name the same; {odd!r} is in one of them only")
        return self


class Coco(DataBase):
    """Boxes in COCO's JSON."""

    target: ClassVar[str] = "boxes"
    source: Literal["coco"]
    train: str
    """JSON with images, annotations and categories; an image without annotations is a negative."""
    images: str
    """Folder that file names are relative to."""
    test: str | None = None
    """JSON with the test images."""
    test_images: str | None = None
    """Folder of the test images, where it is another than `images`, or where there is no JSON."""
    test_answers: str | None = None
    """JSON with the test images' true boxes, where known; used for nothing but a score in the report."""
    unlabeled: str | None = None
    """Folder of images without boxes."""
    groups: str | None = None
    """CSV (id, group) that says which images belong together; a group is never split over folds."""

    @property
    def has_test(self) -> bool:
        """Test images may be listed, or be all of a folder."""
        return self.test is not None or self.test_images is not None


class Voc(DataBase):
    """Boxes in Pascal VOC's XML, a file an image."""

    target: ClassVar[str] = "boxes"
    source: Literal["voc"]
    annotations: str
    """Folder of the XML files."""
    images: str
    """Folder of the images."""
    train: str | list[str] | None = None
    """Lists of names (`ImageSets/Main/trainval.txt`); without it, every XML that is not in the test list."""
    test: str | None = None
    """List of the test images' names."""
    test_answers: str | None = None
    """Folder of the test images' XML files, where known; used for nothing but a score in the report."""
    unlabeled: str | None = None
    """Folder of images without boxes."""
    one_based: bool = False
    """Whether pixels are counted from 1, as in VOC 2007 to 2012; most labelling tools count from 0."""
    groups: str | None = None
    """CSV (id, group) that says which images belong together; a group is never split over folds."""


class Yolo(DataBase):
    """Boxes in YOLO's text files, one an image: class number, centre and size as shares of the image's."""

    target: ClassVar[str] = "boxes"
    source: Literal["yolo"]
    train: str
    """Folder of images and labels, as `images/` and `labels/`, each with or without `train/` and `val/` (which are
    pooled), as `train/images/`, `train/labels/`, ..., or side by side; a folder `test/` beside `train/` is left out."""
    names: str
    """`data.yaml`, of which only `names` is read, or a text file with a name a line."""
    labels: str | None = None
    """Folder of the labels, where they do not lie below `train`."""
    test: str | None = None
    """Folder of test images; may lie below `train`, and is not learnt from."""
    test_answers: str | None = None
    """Folder of the test images' labels, where known; used for nothing but a score in the report."""
    unlabeled: str | None = None
    """Folder of images without boxes."""
    groups: str | None = None
    """CSV (id, group) that says which images belong together; a group is never split over folds."""


class _Scenes(DataBase):
    """What both forms of the embedded scenes share."""

    directory: str = "data/scenes"
    """Where the files are written."""

    @property
    def has_test(self) -> bool:
        """The embedded set always has test images."""
        return True

    @property
    def has_answers(self) -> bool:
        """The truth is embedded too."""
        return True

    @property
    def generated(self) -> list[str]:
        """The table of the photographs that the images were cut from."""
        return [f"{self.directory}/groups.csv"]

    def owned(self, path: str | None) -> list[str]:
        """As for every source, but what lies in ``directory`` is generated."""
        return [] if path is None or PurePath(path).is_relative_to(self.directory) else [path]


class ScenesMasks(_Scenes, MaskBase):
    """Handwritten digits on photographs, both from inside scikit-learn, as images and masks; a fifth is the test set."""

    source: Literal["scenes_masks"]


class ScenesBoxes(_Scenes):
    """Handwritten digits on photographs, both from inside scikit-learn, in COCO's JSON; a fifth is the test set."""

    target: ClassVar[str] = "boxes"
    source: Literal["scenes_boxes"]


Data = Annotated[
    Digits
    | Folder
    | Csv
    | Masks
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


Splitter = Literal[
    "stratified", "group", "stratified_group", "multilabel_stratified", "multilabel_stratified_group", "ordered",
    "ordered_blocks", "predefined",
]  # fmt: skip


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
