"""Config of data sources that bring boxes."""

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
