"""Facts of object detection."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from goldfold import catalog
from goldfold.tasks.detection.spec import BOX_FIELDS
from goldfold.tasks.facts import Facts

BoxField = Literal["label", "class_index", "score", "x1", "y1", "x2", "y2", "width", "height"]


@dataclass(frozen=True)
class Settings:
    """Settings of the config's ``task_params``."""

    box_fields: Annotated[list[BoxField], Field(min_length=1)] = field(default_factory=lambda: [*BOX_FIELDS])
    """Fields of each box in a PredictionString, in this order."""
    least_score: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Boxes with a lower score are left out of the submission."""
    yolo: Literal["boxes", "scores"] | None = None
    """Write the predicted boxes as YOLO's text files too: class, centre and size as fractions of the image; `scores`: and the
    score as a sixth number."""
    max_detections: Annotated[int, Field(ge=1, le=100_000)] = 100
    """Best boxes per image and class that the metrics count, 100 as in COCO. Set it to more where images have more objects."""


FACTS = Facts(
    target="boxes",
    columns=("width", "height", "boxes"),
    metrics=catalog.METRICS["boxes"],
    reported=("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar100", "f1"),
    methods=catalog.ENSEMBLES["boxes"],
    fusions=catalog.FUSIONS["boxes"],
    postprocessing=catalog.POSTPROCESSING["boxes"],
    networks=catalog.NETWORKS["boxes"],
    views=catalog.INVERTED,
    losses=catalog.LOSSES["boxes"],
    mixes=catalog.MIXES["boxes"],
    loss_keys=("loss_weights",),
    ensemble_keys=("iou_threshold", "skip_threshold"),
    submission_files=("submission.json",),
    chosen_files={"yolo": "yolo/"},
    settings=Settings,
    post_training_settings=("box_fields", "least_score", "yolo", "max_detections"),
    unit="objects",
    weighs_samples=False,
    bad_label_policies=("fail", "quarantine", "drop"),
    in_windows=True,
)
