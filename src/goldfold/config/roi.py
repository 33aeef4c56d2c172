"""Config of the part of each image that is cut out before it is resized."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from goldfold.config.base import Number, Section, Unique

Margin = Annotated[Number, Field(ge=0, le=1)]
Share = Annotated[Number, Field(ge=0, le=1)]
Unit = Literal["pixels", "shares"]
Corners = Literal["xyxy", "xywh"]


class NoRoi(Section):
    """Images are taken whole."""

    files: ClassVar[list[str]] = []
    method: Literal["none"] = "none"


class ContourRoi(Section):
    """What stands out from its background: a breast, an eye, a leaf. Threshold, opening, largest connected region."""

    files: ClassVar[list[str]] = []
    method: Literal["contour"]
    threshold: Literal["otsu"] | Annotated[Number, Field(gt=0, lt=1)] = "otsu"
    """`otsu`: found for each image; a number: share of the way from an image's darkest level to its brightest."""
    shows: Literal["bright", "dark"] = "bright"
    """Whether the region is brighter or darker than its background."""
    margin: Margin = 0.05
    """Share of the region's width and height that is added on each side."""
    least_share: Share = 0.02
    """A region of a smaller share of the image is none: the whole image is taken."""
    most_share: Share = 0.95
    """The same for a region whose box has a larger share."""


class ColumnRoi(Section):
    """A box that the tables of `data.source: csv` give for each image, those of training and of test images."""

    files: ClassVar[list[str]] = []
    method: Literal["column"]
    columns: Annotated[list[str], Field(min_length=1), Unique]
    """One column with four numbers (`12 30 480 510`, `[12, 30, 480, 510]`), or four columns."""
    corners: Corners = "xyxy"
    """x1, y1, x2, y2, or x, y, width, height; from the upper left corner of the upright image."""
    unit: Unit = "pixels"
    """Pixels, or shares of the image's width and height."""
    margin: Margin = 0.0
    """Share of the box's width and height that is added on each side."""

    @model_validator(mode="after")
    def _one_or_four(self) -> "ColumnRoi":
        if len(self.columns) not in (1, 4):
            raise ValueError(f"columns names {len(self.columns)} columns; name one, or four")
        return self


class BoxesRoi(Section):
    """Boxes that a detector predicted, in files: those of another experiment of goldfold's, or any other's."""

    method: Literal["boxes"]
    boxes: str | Annotated[list[str], Field(min_length=1), Unique]
    """CSV (id, x1, y1, x2, y2; where it has them score or confidence, label or prediction) or COCO results (JSON);
    `results/<other>/ensemble/oof.csv` and `test.csv` are such files. An image stands in one of them alone."""
    pick: Literal["best", "union"] = "best"
    """The box with the best score, or the smallest box around all that reach `least_score`."""
    least_score: Share = 0.3
    """Boxes with a lower score are passed over; a box without a score has 1."""
    labels: Annotated[list[str], Field(min_length=1), Unique] | None = None
    """Only boxes of these classes count (of COCO results: category numbers, as text)."""
    unit: Unit = "pixels"
    """Of a CSV: pixels, or shares of the image's width and height."""
    margin: Margin = 0.05
    """Share of the box's width and height that is added on each side."""

    @property
    def files(self) -> list[str]:
        """Files that are read."""
        return [self.boxes] if isinstance(self.boxes, str) else self.boxes


Roi = Annotated[NoRoi | ContourRoi | ColumnRoi | BoxesRoi, Field(discriminator="method")]


def settings(roi: Any) -> dict[str, Any]:
    """What the manifest is told of it, as plain builtins; nothing where images are taken whole."""
    if isinstance(roi, NoRoi):
        return {}
    told = roi.model_dump(exclude={"columns"})
    return {"roi": told | ({"boxes": roi.files} if isinstance(roi, BoxesRoi) else {})}


def handed(roi: Any) -> dict[str, Any]:
    """What the reader of the data source is told of it."""
    return {"roi_columns": roi.columns} if isinstance(roi, ColumnRoi) else {}
