"""Config of masks as run lengths."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from goldfold.config.sources import DataBase
from goldfold.targets.class_files import MOST_BITS


class Rle(DataBase):
    """Masks as run lengths in a CSV: one row per image, or per image and class; several rows are merged."""

    target: ClassVar[str] = "mask"
    source: Literal["rle"]
    train: str
    """CSV of ids and run lengths; an empty field, -1 or nan means an image without objects."""
    images: str
    """Folder that the ids are relative to, with or without suffix."""
    id_column: str = "id"
    """Column with the id of the image."""
    rle_column: str = "rle"
    """Column with the run lengths."""
    class_column: str | None = None
    """Column with the class, one of `classes`; by default there is one class."""
    overlap: bool = Field(False, exclude_if=lambda value: value is False)
    """Whether a pixel may be of several classes; otherwise such pixels are a flaw of the mask."""
    row_major: bool = False
    """Whether pixels are counted row by row; by default column by column, which is more common."""
    first_pixel: Annotated[int, Field(ge=0, le=1)] = 1
    """Number of the first pixel."""
    unlisted: Literal["missing", "empty", "left_out"] = "missing"
    """Treatment of images without a row: as `missing` a mask (`on_missing_label`), as `empty`, without objects, or as
    `left_out` on purpose, in which case `unlabeled` may include them."""
    test: str | None = None
    """Folder of test images."""
    test_answers: str | None = None
    """CSV of the test images' true run lengths, if known; used only for a score in the report."""
    unlabeled: str | None = None
    """Folder of images without masks."""
    groups: str | None = None
    """CSV (id, group) of images that belong together; a group is never split over folds."""

    @property
    def reader_keys(self) -> frozenset[str]:
        """Keys shared by all sources that are passed to the reader too."""
        return frozenset({"classes"})

    @model_validator(mode="after")
    def _classes_are_named(self) -> "Rle":
        if self.class_column is not None and self.classes is None:
            raise ValueError("class_column needs the names of the classes, in order: set classes")
        if self.class_column is None and len(self.classes or "1") > 1:
            raise ValueError("several classes need class_column, the column with the class")
        if self.overlap and (self.class_column is None or len(self.classes or ()) == 1):
            raise ValueError("overlap is for several classes, in class_column; remove it")
        if self.overlap and len(self.classes or ()) > MOST_BITS:
            raise ValueError(f"overlap: {len(self.classes or ())} classes; at most {MOST_BITS} are possible")
        return self

    @property
    def target_settings(self) -> dict[str, Any]:
        """Settings by which pixel values are the numbers of the classes in order, or their bits."""
        if self.overlap:
            return {"mask_values": "bits", "ignore_value": None}
        return {"mask_values": "nonzero" if self.class_column is None else "index", "ignore_value": None}
