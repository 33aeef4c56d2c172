"""Config of data sources with boxes."""

from pathlib import PurePath
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from goldfold.config.base import Unique
from goldfold.config.sources import DataBase


def _parent(path: str) -> str:
    return str(PurePath(path).parent)


class Coco(DataBase):
    """Boxes in COCO's JSON."""

    target: ClassVar[str] = "boxes"
    source: Literal["coco"]
    train: str | Annotated[list[str], Field(min_length=1), Unique]
    """JSON with images, annotations and categories; an image without annotations is a negative. A list of several, such as
    those of a training and a validation folder, is pooled into one training set, which the folds split."""
    images: str | Annotated[list[str], Field(min_length=1)] = ""
    """Folder that file names are relative to, or a list with one per JSON of `train`; by default the folder of each JSON.
    With several folders, ids of images begin with the folder."""
    test: str | None = None
    """JSON with the test images."""
    test_images: str | None = None
    """Folder of the test images, if it is not `images`, or if there is no JSON of test images; if `images` is not a single
    folder, the default is the folder of the JSON."""
    test_answers: str | None = None
    """JSON with the test images' true boxes, if known; used only for a score in the report."""
    unlabeled: str | None = None
    """Folder of images without boxes."""
    groups: str | None = None
    """CSV (id, group) of images that belong together; a group is never split over folds."""

    @model_validator(mode="before")
    @classmethod
    def _images_beside(cls, values: Any) -> Any:
        """Set the default folders of images: those of the JSON files."""
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
                f"images has {len(self.images)} folders and train {n} files: name one per file, or one for all"
            )
        return self

    @property
    def has_test(self) -> bool:
        """Return whether test images are listed, or are all images of a folder."""
        return self.test is not None or self.test_images is not None


class Voc(DataBase):
    """Boxes in Pascal VOC's XML, one file per image."""

    target: ClassVar[str] = "boxes"
    source: Literal["voc"]
    annotations: str
    """Folder of the XML files."""
    images: str
    """Folder of the images."""
    train: str | list[str] | None = None
    """Lists of names (`ImageSets/Main/trainval.txt`), or folders below `annotations` (`[rf/train, rf/valid]`); by default
    every XML file that is not of the test set."""
    test: str | None = None
    """List of the names of the test images, or a folder of them below `images`."""
    test_answers: str | None = None
    """Folder of the test images' XML files, if known; used only for a score in the report."""
    unlabeled: str | None = None
    """Folder of images without boxes."""
    one_based: bool = False
    """Whether pixel coordinates start at 1, as in VOC 2007 to 2012; most labelling tools start at 0."""
    difficult: Literal["keep", "drop"] = "keep"
    """Policy for objects marked `<difficult>1</difficult>`: `keep` treats them like others; `drop` leaves them out of
    training and scores, and an image with no other object then has no target."""
    groups: str | None = None
    """CSV (id, group) of images that belong together; a group is never split over folds."""


class Yolo(DataBase):
    """Boxes in YOLO's text files, one per image: class number, centre and size as fractions of the image's size."""

    target: ClassVar[str] = "boxes"
    source: Literal["yolo"]
    train: str
    """Folder of images and labels, as `images/` and `labels/`, each with or without `train/` and `val/` (which are
    pooled), as `train/images/`, `train/labels/`, ..., or side by side; a folder `test/` next to `train/` is left out.
    If `names` is a `data.yaml` with `train` and `val`, these name the training images."""
    names: str
    """`data.yaml`, or a text file with one name per line. From the YAML, `names`, `kpt_shape`, and `train` and `val` (and
    `path`) are read; of the images below data.train, only those that `train` and `val` name are training images."""
    labels: str | None = None
    """Folder of the labels, if it is not below `train`."""
    test: str | None = None
    """Folder of test images, which may be below `train` and is then not trained on; or a text file with one path per line,
    or a `data.yaml` whose `test` names them."""
    test_answers: str | None = None
    """Folder of the test images' labels, if known; used only for a score in the report."""
    unlabeled: str | None = None
    """Folder of images without boxes."""
    groups: str | None = None
    """CSV (id, group) of images that belong together; a group is never split over folds."""
