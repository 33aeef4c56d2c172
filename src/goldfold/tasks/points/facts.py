"""Facts of points."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from goldfold import catalog
from goldfold.tasks.facts import Facts
from goldfold.tasks.points.spec import POINT_FIELDS, RADIUS_PX, THRESHOLD

PointField = Literal["label", "class_index", "score", "x", "y"]


@dataclass(frozen=True)
class Settings:
    """Settings of the config's ``task_params``."""

    radius_px: Annotated[float, Field(ge=0.5, le=200)] = RADIUS_PX
    """Radius of the peak that a network is trained on around each point, in pixels of its input: three standard deviations of
    a Gaussian."""
    stride: Literal[1, 2, 4] = 1
    """Input pixels per pixel of the heat map, in both directions."""
    swap: list[Annotated[list[str], Field(min_length=2, max_length=2)]] = field(default_factory=list)
    """Pairs of classes that change places in a mirrored image, such as [[left_eye, right_eye]]."""
    threshold: Annotated[float, Field(ge=0, le=1)] = THRESHOLD
    """Points count as found at or above this score, in `fbeta`, in counts and in submissions."""
    distance_px: Annotated[float, Field(gt=0)] | None = None
    """Distance up to which a point is at its place, in pixels of the image; by default 3 % of the image's longer side."""
    rows: Literal["auto", "points", "images", "columns"] = "auto"
    """Rows of the submission: one per point, one per image with a PointString, or one per image with the columns
    `<class>_x` and `<class>_y` of its best point; `auto`: as in the sample file, else one per point."""
    point_fields: Annotated[list[PointField], Field(min_length=1)] = field(default_factory=lambda: [*POINT_FIELDS])
    """Fields of each point in a PointString, in this order."""


FACTS = Facts(
    target="points",
    converts=("boxes",),
    columns=("width", "height", "points"),
    metrics=catalog.METRICS["points"],
    reported=("fbeta", "ap", "count_mae"),
    methods=catalog.ENSEMBLES["points"],
    fusions=catalog.FUSIONS["points"],
    postprocessing=catalog.POSTPROCESSING["points"],
    networks={name: where for name, where in catalog.NETWORKS["maps"].items() if name not in catalog.OWN_LOSS},
    views=catalog.INVERTED,
    losses=catalog.LOSSES["points"],
    mixes=catalog.MIXES["points"],
    default_loss="peak_focal",
    settings=Settings,
    post_training_settings=("threshold", "distance_px", "rows", "point_fields"),
    unit="points",
    bad_label_policies=("fail", "quarantine", "drop"),
)
