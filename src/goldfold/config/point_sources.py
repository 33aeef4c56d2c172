"""Config of data sources with points."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from goldfold.config.base import Number
from goldfold.config.sources import DataBase


class Points(DataBase):
    """Points in a CSV, one row per point: id of the image, x, y and optionally a class; sources of boxes bring points too, the
    centres of their boxes."""

    target: ClassVar[str] = "points"
    source: Literal["points"]
    train: str
    """CSV of ids and coordinates; a row without coordinates says that its image has no point."""
    images: str
    """Folder that the ids are relative to, with or without suffix."""
    id_column: str = "id"
    """Column with the id of the image."""
    x_column: str = "x"
    """Column with the distance from the left side of the image, in its pixels."""
    y_column: str = "y"
    """Column with the distance from the top."""
    class_column: str | None = None
    """Column with the class; by default there is one class, named by `classes` or else `point`."""
    pixel_centre: Annotated[Number, Field(ge=0, le=1)] = 0.5
    """Coordinates of the centre of the first pixel, in the tables and in the submission: 0.5 if they are distances from the
    corner of the image, as those of boxes; 0 or 1 if pixels are numbered from there."""
    unlisted: Literal["empty", "missing", "left_out"] = "empty"
    """Treatment of images without a row: as `empty`, without points; as `missing` a target (`on_missing_label`); or as
    `left_out` on purpose, in which case `unlabeled` may include them."""
    test: str | None = None
    """Folder of test images."""
    test_answers: str | None = None
    """CSV of the test images' true points, if known; used only for a score in the report."""
    unlabeled: str | None = None
    """Folder of images without points."""
    groups: str | None = None
    """CSV (id, group) of images that belong together; a group is never split over folds."""

    @model_validator(mode="after")
    def _classes_have_a_column(self) -> "Points":
        if self.class_column is None and len(self.classes or "1") > 1:
            raise ValueError("several classes need class_column, the column with the class")
        return self

    @property
    def target_settings(self) -> dict[str, Any]:
        """Setting by which submissions count pixels as the data do."""
        return {} if self.pixel_centre == 0.5 else {"pixel_centre": self.pixel_centre}

    @property
    def reader_keys(self) -> frozenset[str]:
        """Keys shared by all sources that are passed to the reader of points too."""
        return frozenset({"classes", "pixel_centre"})
