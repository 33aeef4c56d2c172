"""Facts of segmentation."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from goldfold import catalog
from goldfold.tasks.facts import Facts


@dataclass(frozen=True)
class Settings:
    """Settings of the config's ``task_params``."""

    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    """For one class: a pixel is predicted as the class at or above this probability."""


FACTS = Facts(
    target="mask",
    columns=("width", "height", "mask_sha256"),
    metrics=catalog.METRICS["mask"],
    scores_decisions_alone=True,
    reported=("dice", "iou", "dice_per_image", "iou_per_image"),
    methods=catalog.ENSEMBLES["mask"],
    fusions=catalog.FUSIONS["mask"],
    postprocessing=catalog.POSTPROCESSING["mask"],
    networks=catalog.NETWORKS["maps"],
    views=catalog.INVERTED,
    losses=catalog.LOSSES["mask"],
    mixes=catalog.MIXES["mask"],
    default_loss={"dice": 0.5, "ce": 0.5},
    submission_files=("masks/",),
    settings=Settings,
    post_training_settings=("threshold",),
    unit="pixels",
    cached=("mask", "mask_sha256", "mask_depth"),
    cache_files=("masks.npy",),
    on_missing_label="fail",
    resizes=("squash", "pad"),  # pixels cropped away would count as background
)
