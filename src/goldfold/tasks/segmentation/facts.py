"""Facts of segmentation."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from goldfold import catalog
from goldfold.tasks.facts import Facts


@dataclass(frozen=True)
class Settings:
    """Settings of the config's ``task_params``."""

    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    """For one class, or classes that may overlap: a pixel is predicted as the class at or above this probability."""
    true_instances: Literal["auto", "given", "components"] = "auto"
    """True instances: `given` by the masks (files of a folder, values of a file, rows of run lengths) or their connected
    `components`; `auto`: the files of a folder, else components."""


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
    loss_keys=("loss", "class_weights"),
    submission_keys=("format",),
    submission_files=("masks/",),
    step_files={"instances": "instances/"},
    settings=Settings,
    pseudo_label_keys=("soft", "ignore_band", "least_decided"),
    post_training_settings=("threshold", "true_instances"),
    unit="pixels",
    cached=("mask", "mask_sha256", "mask_depth"),
    cache_files=("masks.npy",),
    on_missing_label="fail",
    resizes=("squash", "pad"),  # pixels cropped away would count as background
    in_windows=True,
)
