"""Config of the region of interest that is cut out of each image before resizing."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from goldfold.config.base import Number, Section, Unique

Margin = Annotated[Number, Field(ge=0, le=1)]
Share = Annotated[Number, Field(ge=0, le=1)]
Unit = Literal["pixels", "shares"]
Corners = Literal["xyxy", "xywh"]


class NoRoi(Section):
    """Whole images are used."""

    files: ClassVar[list[str]] = []
    method: Literal["none"] = "none"


class ContourRoi(Section):
    """An object on a plain background: a breast, an eye, a leaf. Threshold, opening, largest connected region."""

    files: ClassVar[list[str]] = []
    method: Literal["contour"]
    threshold: Literal["otsu"] | Annotated[Number, Field(gt=0, lt=1)] = "otsu"
    """`otsu`: computed per image; a number: fraction of the range from an image's darkest to its brightest level."""
    shows: Literal["bright", "dark"] = "bright"
    """Whether the region is brighter or darker than its background."""
    margin: Margin = 0.05
    """Margin added on each side, as a fraction of the region's width and height."""
    least_share: Share = 0.02
    """Smallest region, as a fraction of the image; with a smaller one, the whole image is used."""
    most_share: Share = 0.95
    """Largest box of a region, as a fraction of the image; with a larger one, the whole image is used."""


class ColumnRoi(Section):
    """A box per image in the tables of `data.source: csv`, those of training and of test images."""

    files: ClassVar[list[str]] = []
    method: Literal["column"]
    columns: Annotated[list[str], Field(min_length=1), Unique]
    """One column with four numbers (`12 30 480 510`, `[12, 30, 480, 510]`), or four columns."""
    corners: Corners = "xyxy"
    """x1, y1, x2, y2, or x, y, width, height; from the top left corner of the upright image."""
    unit: Unit = "pixels"
    """Pixels, or fractions of the image's width and height."""
    margin: Margin = 0.0
    """Margin added on each side, as a fraction of the box's width and height."""

    @model_validator(mode="after")
    def _one_or_four(self) -> "ColumnRoi":
        if len(self.columns) not in (1, 4):
            raise ValueError(f"columns names {len(self.columns)} columns; name one, or four")
        return self


class BoxesRoi(Section):
    """Boxes predicted by a detector, read from files of another goldfold experiment or any other tool."""

    method: Literal["boxes"]
    boxes: str | Annotated[list[str], Field(min_length=1), Unique]
    """CSV (id, x1, y1, x2, y2; optionally score or confidence, label or prediction) or COCO results (JSON);
    `results/<other>/ensemble/oof.csv` and `test.csv` are such files. An image may be in only one of them."""
    pick: Literal["best", "union"] = "best"
    """The box with the best score, or the smallest box around all boxes with at least `least_score`."""
    least_score: Share = 0.3
    """Boxes with a lower score are ignored; a box without a score has 1."""
    labels: Annotated[list[str], Field(min_length=1), Unique] | None = None
    """Only boxes of these classes are used (for COCO results: category numbers, as text)."""
    unit: Unit = "pixels"
    """For a CSV: pixels, or fractions of the image's width and height."""
    margin: Margin = 0.05
    """Margin added on each side, as a fraction of the box's width and height."""

    @property
    def files(self) -> list[str]:
        """Files with boxes."""
        return [self.boxes] if isinstance(self.boxes, str) else self.boxes


class DetectorRoi(Section):
    """Boxes of a detector with a config of its own, which the same run trains first, into its own folder of results. Its
    training images are cropped by its out-of-fold boxes, all others by the fused boxes of all its networks."""

    files: ClassVar[list[str]] = []
    method: Literal["detector"]
    config: str
    """Config file of the detector (`task: detection`)."""
    member: str | None = Field(None, alias="from")
    """Member of the detector whose boxes are used: a model, or `model-seed1` if it has several seeds; by default its
    ensemble."""
    pick: Literal["best", "union"] = "best"
    """The box with the best score, or the smallest box around all boxes with at least `least_score`."""
    least_score: Share = 0.3
    """Boxes with a lower score are ignored."""
    labels: Annotated[list[str], Field(min_length=1), Unique] | None = None
    """Only boxes of these classes are used."""
    margin: Margin = 0.05
    """Margin added on each side, as a fraction of the box's width and height."""
    same_names: Literal["fail", "ignore"] = "fail"
    """An image with the name of a training image of the detector, but other content, may be a resized copy of it, whose box
    the detector has seen: refused by default. `ignore`: they are different images."""


Roi = Annotated[NoRoi | ContourRoi | ColumnRoi | BoxesRoi | DetectorRoi, Field(discriminator="method")]


def settings(roi: Any) -> dict[str, Any]:
    """Settings for the manifest stage, as plain builtins; empty if whole images are used, or cropped by a later stage."""
    if isinstance(roi, NoRoi | DetectorRoi):
        return {}
    found = roi.model_dump(exclude={"columns"})
    return {"roi": found | ({"boxes": roi.files} if isinstance(roi, BoxesRoi) else {})}


def reader_settings(roi: Any) -> dict[str, Any]:
    """Settings for the reader of the data source."""
    return {"roi_columns": roi.columns} if isinstance(roi, ColumnRoi) else {}
