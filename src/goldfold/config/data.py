"""Config of the data: where images and labels are, and how they are split."""

from pathlib import PurePath
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from goldfold.config.base import Number, Section, Unique
from goldfold.config.mask_sources import Instances, MaskBase, Masks, Rle, Tiles
from goldfold.config.own_source import Own
from goldfold.config.sources import DataBase, Stacked
from goldfold.config.table import Csv
from goldfold.config.written import Splitter


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


def _parent(path: str) -> str:
    return str(PurePath(path).parent)


class Coco(DataBase):
    """Boxes in COCO's JSON."""

    target: ClassVar[str] = "boxes"
    source: Literal["coco"]
    train: str | Annotated[list[str], Field(min_length=1), Unique]
    """JSON with images, annotations and categories; an image without annotations is a negative. A list of several, such as
    those of a training and a validation folder, is one training set: folds take the place of the fixed split."""
    images: str | Annotated[list[str], Field(min_length=1)] = ""
    """Folder that file names are relative to, or a list of one for each JSON of `train`; without it, images lie beside
    their JSON. Ids of images in several folders begin with these."""
    test: str | None = None
    """JSON with the test images."""
    test_images: str | None = None
    """Folder of the test images, where it is another than the one folder of `images`, or where there is no JSON; where
    `images` is no single folder, by default that of the JSON."""
    test_answers: str | None = None
    """JSON with the test images' true boxes, where known; used for nothing but a score in the report."""
    unlabeled: str | None = None
    """Folder of images without boxes."""
    groups: str | None = None
    """CSV (id, group) that says which images belong together; a group is never split over folds."""

    @model_validator(mode="before")
    @classmethod
    def _images_beside(cls, values: Any) -> Any:
        """Images that no key names lie beside their JSON."""
        if not isinstance(values, dict):
            return values
        train, images, test = (values.get(key) for key in ("train", "images", "test"))
        names = [train] if isinstance(train, str) else train
        if not images and isinstance(names, list) and all(isinstance(name, str) for name in names):
            folders = list(map(_parent, names))
            values = {**values, "images": folders[0] if isinstance(train, str) else folders}
        if not isinstance(images, str) or not images:
            beside = _parent(test) if isinstance(test, str) else None
            values = {"test_images": beside, **{key: value for key, value in values.items() if value is not None}}
        return values

    @model_validator(mode="after")
    def _a_folder_each(self) -> "Coco":
        n = 1 if isinstance(self.train, str) else len(self.train)
        if not isinstance(self.images, str) and len(self.images) != n:
            raise ValueError(
                f"images has {len(self.images)} folders and train {n} files: name one for each, or one for all"
            )
        return self

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
    """Lists of names (`ImageSets/Main/trainval.txt`), or folders below `annotations` (`[rf/train, rf/valid]`); without it,
    every XML that is not of the test set."""
    test: str | None = None
    """List of the test images' names, or a folder of them below `images`."""
    test_answers: str | None = None
    """Folder of the test images' XML files, where known; used for nothing but a score in the report."""
    unlabeled: str | None = None
    """Folder of images without boxes."""
    one_based: bool = False
    """Whether pixels are counted from 1, as in VOC 2007 to 2012; most labelling tools count from 0."""
    difficult: Literal["keep", "drop"] = "keep"
    """What to do with objects marked `<difficult>1</difficult>`: learn from them as from others, or leave them out, of
    the score too; an image that has no others has no target then."""
    groups: str | None = None
    """CSV (id, group) that says which images belong together; a group is never split over folds."""


class Yolo(DataBase):
    """Boxes in YOLO's text files, one an image: class number, centre and size as shares of the image's."""

    target: ClassVar[str] = "boxes"
    source: Literal["yolo"]
    train: str
    """Folder of images and labels, as `images/` and `labels/`, each with or without `train/` and `val/` (which are
    pooled), as `train/images/`, `train/labels/`, ..., or side by side; a folder `test/` beside `train/` is left out.
    Where `names` is a `data.yaml` with `train` and `val`, these say which images are learnt from."""
    names: str
    """`data.yaml`, or a text file with a name a line. Of the YAML `names` is read, `kpt_shape`, and `train` and `val` (and
    `path`), by which only the images that they name, of those below data.train, are learnt from."""
    labels: str | None = None
    """Folder of the labels, where they do not lie below `train`."""
    test: str | None = None
    """Folder of test images; may lie below `train`, and is not learnt from. Or a text file with a path a line, or
    `data.yaml`, whose `test` names them."""
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
