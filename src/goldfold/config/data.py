"""Config of the data: where images and labels are, and how they are split."""

from pathlib import PurePath
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from goldfold.config.base import Section, Unique

Policy = Literal["quarantine", "fail"]
RAW = ("train", "images", "masks", "annotations", "test", "test_images", "test_answers", "unlabeled", "groups")
"""Keys of sources that name the user's files and folders."""


class _DataBase(Section):
    target: ClassVar[str]
    """What it brings to learn from: ``label``, ``mask`` or ``boxes``."""
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


class Digits(_DataBase):
    """The 1,797 handwritten digits of scikit-learn, written out as PNG and CSV; a fifth is the test set."""

    target: ClassVar[str] = "label"
    source: Literal["digits"]
    directory: str = "data/digits"
    """Where the files are written."""
    test_answers: str | None = None
    """CSV (id, label) of the test images' true labels, where known; used for nothing but a score in the report."""

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


class Folder(_DataBase):
    """One folder a class; `train` may also hold `train/` and `val/` (or `valid/`), which are then pooled."""

    target: ClassVar[str] = "label"
    source: Literal["folder"]
    train: str
    """Folder with one sub-folder a class."""
    test: str | None = None
    """Folder of test images, searched with all sub-folders."""
    test_answers: str | None = None
    """CSV (id, label) of the test images' true labels, where known; used for nothing but a score in the report."""
    unlabeled: str | None = None
    """Folder of images without labels, searched with all sub-folders."""


class Csv(_DataBase):
    """A CSV table of ids and labels beside a folder of images."""

    target: ClassVar[str] = "label"
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
    label_column: str = "label"
    group_column: str | None = None
    """Column that says which images belong together (patient, sender, ...); a group is never split over folds."""
    fold_column: str | None = None
    """Column with the fold number, for `folds.splitter: predefined`."""


class _MaskBase(_DataBase):
    target: ClassVar[str] = "mask"
    mask_values: Literal["index", "nonzero"] | dict[str, Annotated[int, Field(ge=0, lt=2**16)]] = "index"
    """Which pixel value is which class: `index`: 1 is the first of `classes`, 2 the second, 0 the background (without
    `classes`, each value found is a class of that name); `nonzero`: all but 0 is the one class (255, numbered objects);
    or {name: value}, where 0 may be a class of its own."""
    ignore_value: Annotated[int, Field(ge=0, lt=2**16)] | None = None
    """Pixel value that counts for nothing, neither in training nor in scores."""

    @model_validator(mode="after")
    def _something_to_learn(self) -> "_MaskBase":
        if isinstance(self.mask_values, dict) and not any(self.mask_values.values()):
            raise ValueError("mask_values names no value but 0, so every pixel would be of one class; name another")
        return self

    @field_validator("mask_values")
    @classmethod
    def _values_differ(cls, rule: Any) -> Any:
        names = list(rule) if isinstance(rule, dict) else []
        for number, name in enumerate(names):
            for other in names[:number]:
                if rule[other] == rule[name]:
                    raise ValueError(f"classes {other!r} and {name!r} have the same value {rule[name]}")
        return rule

    @field_validator("ignore_value")
    @classmethod
    def _ignores_no_class(cls, value: int | None, info: ValidationInfo) -> int | None:
        rule, classes = info.data.get("mask_values"), info.data.get("classes") or []
        values = rule if isinstance(rule, dict) else {name: 1 + n for n, name in enumerate(classes) if rule == "index"}
        for name, own in values.items():
            if own == value:
                raise ValueError(f"is the value of class {name!r}; what is ignored must be no class")
        return value

    @property
    def target_settings(self) -> dict[str, Any]:
        """The rule for pixel values; classes that are found are named as their values."""
        rule = "names" if self.mask_values == "index" and self.classes is None else self.mask_values
        return {"mask_values": rule, "ignore_value": self.ignore_value}


class Masks(_MaskBase):
    """A folder of images and one of masks of the same names: one channel, a value a class."""

    source: Literal["masks"]
    train: str
    """Folder of training images, searched with all sub-folders."""
    masks: str
    """Folder of their masks."""
    mask_suffix: str = ""
    """What the name of a mask has after its image's, e.g. `_mask`."""
    test: str | None = None
    """Folder of test images."""
    test_answers: str | None = None
    """Folder of the test images' true masks, where known; used for nothing but a score in the report."""
    unlabeled: str | None = None
    """Folder of images without masks."""
    groups: str | None = None
    """CSV (id, group) that says which images belong together; a group is never split over folds."""


class Coco(_DataBase):
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


class Voc(_DataBase):
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


class _Scenes(_DataBase):
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


class ScenesMasks(_Scenes, _MaskBase):
    """Handwritten digits on photographs, both from inside scikit-learn, as images and masks; a fifth is the test set."""

    source: Literal["scenes_masks"]


class ScenesBoxes(_Scenes):
    """Handwritten digits on photographs, both from inside scikit-learn, in COCO's JSON; a fifth is the test set."""

    target: ClassVar[str] = "boxes"
    source: Literal["scenes_boxes"]


Data = Annotated[Digits | Folder | Csv | Masks | Coco | Voc | ScenesMasks | ScenesBoxes, Field(discriminator="source")]


class Folds(Section):
    """How the training images are split for cross-validation."""

    splitter: Literal["stratified", "group", "stratified_group", "predefined"] = "stratified"
    n_folds: int = Field(5, ge=2, le=100)
    seed: int = Field(0, ge=0, lt=2**32)
    sticky: bool = False
    """Whether images keep their folds when others come or go, as long as splitter, n_folds and seed stay; scores of
    before and after then compare. Keep `folds/` of the results: it holds what was decided."""


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
