"""YOLO and RT-DETR of the library ultralytics (AGPL-3.0), as detectors like any other; its own trainer trains them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from goldfold.base.errors import ConfigError, SizeError, cause
from goldfold.models.detectors import Boxes
from goldfold.models.ultralytics_library import library
from goldfold.models.ultralytics_names import known, problem

STRIDE, STRIDE_P6 = 32, 64
"""Sides of images are multiples of this, for names with ``-p6`` of the second: its trainer would round others up."""

NO_ARGUMENTS = (
    "model", "n_classes", "in_channels", "image_size", "score_threshold", "nms_iou", "max_boxes",
)  # fmt: skip
"""Parameters that are no arguments of the trainer."""


def build(
    model: str,
    n_classes: int,
    in_channels: int,
    image_size: tuple[int, int],
    score_threshold: float = 0.01,
    nms_iou: float = 0.7,
    max_boxes: int = 300,
    optimizer: Literal["auto", "MuSGD"] | None = None,
    cos_lr: bool = True,
    lrf: float = 0.01,
    nbs: int | None = None,
    momentum: float | None = None,
    warmup_momentum: float | None = None,
    warmup_bias_lr: float | None = None,
    multi_scale: float | None = None,
    close_mosaic: int | None = None,
    box: float | None = None,
    cls: float | None = None,
    cls_pw: float | None = None,
    dfl: float | None = None,
    hsv_h: float | None = None,
    hsv_s: float | None = None,
    hsv_v: float | None = None,
    degrees: float | None = None,
    translate: float | None = None,
    scale: float | None = None,
    shear: float | None = None,
    perspective: float | None = None,
    flipud: float | None = None,
    fliplr: float | None = None,
    bgr: float | None = None,
    mosaic: float | None = None,
    mixup: float | None = None,
    cutmix: float | None = None,
) -> nn.Module:
    """Build a detector of ultralytics from the YAML file of its architecture, with new weights.

    The parameters from ``optimizer`` on are arguments of its trainer, with its names and, where None, its defaults; they are read
    by `goldfold.training.of_ultralytics.arguments`. The result has the attributes ``mean`` and ``std`` of its input.

    Args:
        model: name of the architecture, such as ``yolo11n``, ``yolov8s``, ``yolov9c``, ``yolo26n`` or ``rtdetr-l``.
        image_size: (height, width), equal and a multiple of the stride.
        score_threshold: boxes with a lower score are dropped.
        nms_iou: of two boxes of one class with a larger IoU, the one with the lower score is dropped; RT-DETR needs no such step.
        max_boxes: maximum number of boxes per image.
        optimizer: one that `train.optimizer` does not have; ``auto`` also chooses the learning rate.
        cos_lr: let the learning rate fall by a cosine, not linearly.
        lrf: last learning rate as a fraction of the first.
        nbs: images per step, reached by accumulating batches; by default one batch, or `train.accumulate` batches.

    Raises:
        ConfigError: the library is not installed, it has no such architecture, or size or channels do not fit.
    """
    given = {name: value for name, value in locals().items() if value is not None and name not in NO_ARGUMENTS}
    library()
    _check(given)
    if model not in known():
        raise ConfigError(f"params: model = {model!r}: {problem(model)}")
    if in_channels not in (1, 3):
        raise ConfigError(f"data.channels = {in_channels}: ultralytics trains on images of 1 or 3 channels")
    height, width = image_size
    stride = STRIDE_P6 if model.endswith("-p6") else STRIDE
    if height != width or height % stride:
        raise SizeError(
            f"image_size_px: {height}x{width} (height x width): ultralytics trains on squares whose side is a multiple of "
            f"{stride}."
        )
    network = Detector(
        _new(model, n_classes, in_channels), model.startswith("rtdetr"), score_threshold, nms_iou, max_boxes
    )
    network.mean, network.std = (0.0,) * in_channels, (1.0,) * in_channels  # type: ignore[assignment]
    return network


def _check(given: dict[str, Any]) -> None:
    """Check types and ranges of the arguments of the trainer by its own rules."""
    from ultralytics.cfg import check_cfg

    try:
        check_cfg(given)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"params: {cause(error)}") from error


def _new(model: str, n_classes: int, in_channels: int) -> Any:
    """Build an architecture with new weights; the library prints nothing."""
    from ultralytics.nn.tasks import DetectionModel, RTDETRDetectionModel
    from ultralytics.utils import DEFAULT_CFG

    kind = RTDETRDetectionModel if model.startswith("rtdetr") else DetectionModel
    built = kind(f"{model}.yaml", ch=in_channels, nc=n_classes, verbose=False)
    built.args, built.nc, built.names = DEFAULT_CFG, n_classes, {number: str(number) for number in range(n_classes)}
    return built


class Detector(nn.Module):
    """Model of ultralytics with a batch of images of 0..1 as input."""

    def __init__(
        self, model: Any, is_rtdetr: bool, score_threshold: float = 0.01, nms_iou: float = 0.7, max_boxes: int = 300
    ) -> None:
        super().__init__()
        self.model, self.is_rtdetr = model, is_rtdetr
        self.score_threshold, self.nms_iou, self.max_boxes = score_threshold, nms_iou, max_boxes

    @property
    def head_parts(self) -> list[str]:
        """Prefixes of the parameters that are new for other classes: the width of some layers depends on their number."""
        last = f"model.model.{len(self.model.model) - 1}"
        parts = ("cv3", "one2one_cv3", "denoising_class_embed", "enc_score_head", "dec_score_head")
        return [f"{last}.{part}" for part in parts]

    def forward(self, images: Tensor, targets: Sequence[Boxes] | None = None) -> Boxes | list[Boxes]:
        """Return the loss in training, which its own trainer computes itself, otherwise the boxes of each image, best first.

        Args:
            images: (batch, channels, height, width), 0..1.
            targets: boxes and labels per image, possibly empty; required in training.
        """
        if self.training:
            if targets is None:
                raise ValueError("a detector in training needs targets")
            total, _ = self.model.loss(as_batch(images, targets))
            return {"loss": total.sum() / len(images)}
        found = self.model(images)
        found = found[0] if isinstance(found, tuple) else found
        height, width = images.shape[-2:]
        return [self._best(*one, (height, width)) for one in self._each(found.float(), width, height)]

    def _each(self, found: Tensor, width: int, height: int) -> list[tuple[Tensor, Tensor]]:
        """Return the centred boxes (n, 4) in pixels and the scores (n, classes) of each image."""
        if not self.is_rtdetr:  # (batch, 4 + classes, n)
            return [(one[:4].T, one[4:].T) for one in found]
        size = found.new_tensor([width, height] * 2)
        return [(one[:, :4] * size, one[:, 4:]) for one in found]

    def _best(self, boxes: Tensor, scores: Tensor, size: tuple[int, int]) -> Boxes:
        """Return the boxes above the threshold, clipped to (height, width), one per object; each may have several labels."""
        from torchvision.ops import batched_nms, clip_boxes_to_image

        rows, labels = torch.where(scores > self.score_threshold)
        kept, scores = boxes[rows], scores[rows, labels]
        half = kept[:, 2:] / 2
        corners = clip_boxes_to_image(torch.cat([kept[:, :2] - half, kept[:, :2] + half], dim=1), size)
        if self.is_rtdetr:
            order = scores.argsort(descending=True, stable=True)[: self.max_boxes]
        else:
            order = batched_nms(corners, scores, labels, self.nms_iou)[: self.max_boxes]
        return {"boxes": corners[order], "scores": scores[order], "labels": labels[order]}


def as_batch(images: Tensor, targets: Sequence[Boxes]) -> dict[str, Tensor]:
    """Return a batch as the losses of ultralytics take it: boxes as centre and size in fractions of the image."""
    height, width = images.shape[-2:]
    numbers = [boxes["boxes"].new_full((len(boxes["boxes"]),), place) for place, boxes in enumerate(targets)]
    corners = torch.cat([boxes["boxes"] for boxes in targets]).float()
    centred = torch.cat([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], dim=1)
    return {
        "img": images,
        "batch_idx": torch.cat(numbers).float(),
        "cls": torch.cat([boxes["labels"] for boxes in targets]).float()[:, None],
        "bboxes": centred / centred.new_tensor([width, height] * 2),
    }
