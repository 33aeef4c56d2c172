"""Detectors of transformers whose queries are matched to objects: DETR, RT-DETR v2 and D-FINE.

Either of a checkpoint, or new on any timm backbone. Inputs are normalised and of equal size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from goldfold.base.errors import SizeError
from goldfold.models.checkpoints import in_float32, known, refuse_both, refuse_fixed, statistics, take_channels
from goldfold.models.detectors import Boxes
from goldfold.models.pyramid import body
from goldfold.models.query_models import FAMILIES, OURS, Family, Features, of_checkpoint, on_backbone
from goldfold.models.timm_models import Pretrained, to_channels, with_statistics

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of the pixels for checkpoints without ``preprocessor_config.json``."""
WIDTH = 256
"""Default features per query, as published."""
OTHERS = ("enc_topk_logits", "enc_topk_bboxes", "denoising_meta_values", "initial_reference_points")
"""Outputs of RT-DETR v2 and D-FINE that their losses take besides."""
CORNERS = "intermediate_predicted_corners"
"""Output of D-FINE that its loss takes as ``predicted_corners``."""


def build(
    detector: str,
    n_classes: int,
    in_channels: int,
    image_size: tuple[int, int],
    backbone: str | None = None,
    checkpoint: str | None = None,
    pretrained: Pretrained = False,
    dropout: float = 0.0,
    drop_path: float = 0.0,
    strides: Sequence[int] | None = None,
    width: int | None = None,
    queries: int | None = None,
    score_threshold: float = 0.05,
    max_boxes: int = 100,
    **params: Any,
) -> nn.Module:
    """Build a detector of transformers, of a checkpoint or on a timm backbone.

    The result has the attributes ``mean`` and ``std`` of its input.

    Args:
        detector: key of `goldfold.models.query_models.FAMILIES`.
        image_size: (height, width).
        backbone: timm model name.
        checkpoint: name on the hub, or a folder; without ``pretrained``, its shape alone is used.
        pretrained: load the weights of the checkpoint, or those of the backbone from timm's hub or cache, or adapt weights of
            the backbone given by name.
        dropout: of the layers of the transformer, also in place of that of a checkpoint.
        strides: of the features on a backbone, by default 8, 16, 32, for DETR 32; each twice the previous.
        width: features per query on a backbone, by default 256.
        queries: largest number of objects per image, by default 300, for DETR 100.
        score_threshold: boxes with a lower score are dropped.
        max_boxes: maximum number of boxes per image.
        params: numbers and names in the configuration of transformers, such as ``decoder_layers``.

    Raises:
        ConfigError: the checkpoint, the backbone or the size does not fit, or the weights are not available.
    """
    of = FAMILIES[detector]
    refuse_both(detector, backbone, checkpoint)
    given = {**known(of.name, params, OURS), "dropout": dropout}
    given |= {} if queries is None else {"num_queries": queries}
    shape = tuple(strides or of.strides)
    if checkpoint is None:
        whole = on_backbone(of, str(backbone), n_classes, shape, width or WIDTH, given)
        features = Features(body(str(backbone), in_channels, image_size, pretrained, drop_path, shape))
    else:
        fixed = {"strides": strides, "width": width, "queries": queries if of.has_trained_queries else None}
        refuse_fixed(checkpoint, {**fixed, "drop_path": drop_path or None})
        whole = of_checkpoint(of, checkpoint, bool(pretrained), n_classes, given)
        shape = tuple(getattr(whole.config, "feat_strides", of.strides))
        features = Features(whole.model.backbone.model)
        take_channels(features, in_channels)
    whole.model.backbone = features
    model = QueryDetector(whole, of, shape, score_threshold, max_boxes)
    model.refuse(*image_size)
    if checkpoint is None:
        return with_statistics(model, features.body, in_channels)
    model.mean, model.std = (to_channels(one, in_channels) for one in statistics(checkpoint, detector, IMAGENET))
    return model


@dataclass(frozen=True)
class Output:
    """Outputs of the queries of a batch, in float32, as boxes and the loss need them under autocast."""

    logits: Tensor
    """(batch, queries, classes), of DETR with a last class for no object."""
    boxes: Tensor
    """(batch, queries, 4): centre x, centre y, width and height as shares of the padded image."""
    of_layers: dict[str, Any]
    """Outputs of all layers by the names of the arguments of the loss in transformers."""


class QueryDetector(nn.Module):
    """Detector of transformers with a batch of normalised images as input, padded to a multiple of the stride."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __init__(
        self, whole: Any, of: Family, strides: tuple[int, ...], score_threshold: float, max_boxes: int
    ) -> None:
        super().__init__()
        self.model = whole.model
        self.of, self.loss, self.config = of, whole.loss_function, deepcopy(whole.config)
        self.config.auxiliary_loss = True
        self.strides, self.score_threshold, self.max_boxes = strides, score_threshold, max_boxes
        if of.has_trained_queries:
            # its decoder would normalise between layers for auxiliary losses, unlike that of the published weights
            self.model.config.auxiliary_loss = False
            self.class_embed, self.bbox_embed = whole.class_labels_classifier, whole.bbox_predictor
        for part in _exact(self.model):
            part.register_forward_hook(_to_float32)
        if hasattr(self.model.decoder, "integral"):
            self.model.decoder.integral = WithoutAutocast(self.model.decoder.integral)

    def forward(self, images: Tensor, targets: Sequence[Boxes] | None = None) -> Boxes | list[Boxes]:
        """Return losses by name in training, each summed over the layers, otherwise the boxes of each image, best first.

        Args:
            images: (batch, channels, height, width), normalised.
            targets: boxes and labels per image, possibly empty; required in training.
        """
        height, width = images.shape[-2:]
        self.refuse(height, width)
        padded = functional.pad(images, (0, -width % self.strides[-1], 0, -height % self.strides[-1]))
        size = padded.new_tensor([padded.shape[-1], padded.shape[-2]] * 2, dtype=torch.float32)
        if not self.training:
            return self._found(self._output(padded, None), size, (height, width))
        if targets is None:
            raise ValueError("a detector in training needs targets")
        labels = [{"class_labels": one["labels"], "boxes": _centred(one["boxes"].float()) / size} for one in targets]
        return self._losses(self._output(padded, labels), labels)

    def refuse(self, height: int, width: int) -> None:
        """Raise SizeError if images of this size have fewer places than there are queries, which are chosen among them."""
        places = sum(-(-height // stride) * -(-width // stride) for stride in self.strides)
        if not self.of.has_trained_queries and places < self.config.num_queries:
            raise SizeError(
                f"image_size_px = {height}x{width}: has {places} places at strides {', '.join(map(str, self.strides))} for "
                f"{self.config.num_queries} queries. Use larger images, or params: {{queries: {places}}} or fewer."
            )

    def _output(self, images: Tensor, labels: list[Boxes] | None) -> Output:
        if self.of.has_trained_queries:
            return self._of_trained_queries(images, with_layers=labels is not None)
        found = self.model(images, labels=labels)
        logits, boxes = found.intermediate_logits, found.intermediate_reference_points
        others = {name: found.get(name) for name in OTHERS} | {"predicted_corners": found.get(CORNERS)}
        return Output(logits[:, -1], boxes[:, -1], {"outputs_class": logits, "outputs_coord": boxes, **others})

    def _of_trained_queries(self, images: Tensor, with_layers: bool) -> Output:
        """Outputs of DETR, of all layers in training."""
        found = self.model(images, output_hidden_states=with_layers)
        earlier = (
            found.decoder_hidden_states[1:-1] if with_layers else ()
        )  # the first is the input, the last normalised
        hidden = torch.stack([*map(self.model.decoder.layernorm, earlier), found.last_hidden_state])
        logits, boxes = self.class_embed(hidden).float(), self.bbox_embed(hidden).float().sigmoid()
        return Output(logits[-1], boxes[-1], {"outputs_class": logits, "outputs_coord": boxes})

    def _losses(self, output: Output, labels: list[Boxes]) -> Boxes:
        """Return the parts of the loss by name; NaN where boxes are not finite, which cannot be matched."""
        logits, boxes = output.logits.float(), output.boxes.float()
        zero = logits.sum() * 0.0
        if not boxes.isfinite().all():
            return dict.fromkeys(self.of.losses, zero * torch.nan)
        with torch.autocast(logits.device.type, enabled=False):
            given = in_float32(output.of_layers)
            _, parts, _ = self.loss(logits, labels, logits.device, boxes, self.config, **given)
        weights = self.of.weights(self.config)
        return {
            name: sum((value * weights[name] for key, value in parts.items() if key.startswith(name)), zero)
            for name in self.of.losses
        }

    def _found(self, output: Output, padded: Tensor, size: tuple[int, int]) -> list[Boxes]:
        """Return the best boxes of each image, clipped to (height, width)."""
        logits = output.logits.float()
        scores = logits.softmax(-1)[..., :-1] if self.of.has_trained_queries else logits.sigmoid()
        n_classes = scores.shape[-1]
        best, places = scores.flatten(1).topk(min(self.max_boxes, scores[0].numel()), dim=1)
        ends = padded.new_tensor([size[1], size[0]] * 2)
        corners = (_corners(output.boxes.float()) * padded).clamp(min=0).minimum(ends)
        found = []
        for score, place, box in zip(best, places, corners, strict=True):
            keep = score >= self.score_threshold
            rows, labels = place[keep] // n_classes, place[keep] % n_classes
            found.append({"boxes": box[rows], "scores": score[keep], "labels": labels})
        return found


class WithoutAutocast(nn.Module):
    """A part without parameters that computes in float32, also under autocast."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, *given: Tensor) -> Any:
        """Return the output of the part."""
        with torch.autocast(given[0].device.type, enabled=False):
            return self.part(*in_float32(given))


def _exact(model: Any) -> Iterator[nn.Module]:
    """Yield the parts of RT-DETR v2 and D-FINE from which boxes are computed: half precision is too coarse for these."""
    yield from getattr(model, "decoder_input_proj", ())
    yield from (part for name in ("enc_bbox_head", "enc_score_head") if (part := getattr(model, name, None)))
    yield from (part for name in ("bbox_embed", "class_embed") for part in getattr(model.decoder, name, None) or ())
    yield from [model.decoder.pre_bbox_head] if hasattr(model.decoder, "pre_bbox_head") else []


def _to_float32(module: nn.Module, inputs: Any, output: Any) -> Any:
    return in_float32(output)


def _centred(boxes: Tensor) -> Tensor:
    """Centre and size of boxes given by their corners."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return torch.cat([(low + high) / 2, high - low], dim=-1)


def _corners(boxes: Tensor) -> Tensor:
    """Corners of boxes given by their centre and size."""
    centre, half = boxes[..., :2], boxes[..., 2:].clamp(min=0) / 2
    return torch.cat([centre - half, centre + half], dim=-1)


rt_detr_v2 = partial(build, "rt_detr_v2")
d_fine = partial(build, "d_fine")
detr = partial(build, "detr")
