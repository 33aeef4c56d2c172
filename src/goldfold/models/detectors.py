"""Torchvision detectors on any timm backbone with a feature pyramid.

Designed for training from scratch at small sizes: GroupNorm in the pyramid and in the heads that support it, trainable
BatchNorm in the backbone, anchors and proposals in proportion to the strides. Inputs are normalised and of equal size.
"""

import inspect
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from goldfold.base.errors import ConfigError
from goldfold.models.pyramid import GROUPS, NORM, Pyramid, body
from goldfold.models.timm_models import Pretrained, with_statistics

RATIOS = (0.5, 1.0, 2.0)
"""Aspect ratios (height / width) of anchors."""
Boxes = dict[str, Tensor]
"""``boxes`` (n, 4) x1 y1 x2 y2 in pixels of the image, ``labels`` (n,) 0..K-1 and, in predictions, ``scores`` (n,)."""


def build(
    detector: str,
    backbone: str,
    n_classes: int,
    in_channels: int,
    image_size: tuple[int, int],
    pretrained: Pretrained = False,
    dropout: float = 0.0,
    drop_path: float = 0.0,
    strides: Sequence[int] = (8, 16, 32),
    width: int = 128,
    score_threshold: float = 0.05,
    nms_iou: float = 0.5,
    max_boxes: int = 100,
    **params: Any,
) -> nn.Module:
    """Build a detector on a timm backbone with a feature pyramid.

    The result has the attributes ``mean`` and ``std`` of its input.

    Args:
        detector: key of DETECTORS.
        backbone: timm model name.
        image_size: (height, width).
        pretrained: load the published weights of the backbone from timm's hub or cache, or adapt weights given by name.
        strides: strides of the pyramid levels, each twice the previous; add 4 for objects of a few pixels.
        width: channels of the pyramid and the heads.
        score_threshold: boxes with a lower score are dropped.
        nms_iou: of two boxes of one class with a larger IoU, the one with the lower score is dropped.
        max_boxes: maximum number of boxes per image.
        params: parameters of the detector's function in this module, and numeric parameters of torchvision's class.

    Raises:
        ConfigError: the backbone lacks these strides, dropout or drop_path is not supported, or the weights are not
            available.
    """
    if dropout:
        raise ConfigError(f"dropout = {dropout:g}: network {detector!r} has no dropout; remove it")
    if width < GROUPS or width % GROUPS:
        raise ConfigError(f"width = {width}: must be a multiple of {GROUPS}, for the groups of GroupNorm")
    features = body(backbone, in_channels, image_size, pretrained, drop_path, strides)
    pyramid = Pyramid(features, width)
    keep = {"score_thresh": score_threshold, "nms_thresh": nms_iou, "detections_per_img": max_boxes}
    model, first_label = DETECTORS[detector](pyramid, n_classes, tuple(strides), keep, **params)
    model.transform = _PadOnly(strides[-1])
    return with_statistics(Detector(model, first_label), features, in_channels)


class Detector(nn.Module):
    """Torchvision detector with a batch of normalised images as input, and labels from 0."""

    def __init__(self, model: nn.Module, first_label: int) -> None:
        super().__init__()
        self.model = model
        self.first_label = first_label

    def forward(self, images: Tensor, targets: Sequence[Boxes] | None = None) -> Boxes | list[Boxes]:
        """Return losses by name in training, otherwise the boxes of each image, best first.

        Args:
            images: (batch, channels, height, width), normalised.
            targets: boxes and labels per image, possibly empty; required in training.
        """
        if not self.training:
            found: list[Boxes] = self.model(images)
            return [{**each, "labels": each["labels"] - self.first_label} for each in found]
        if targets is None:
            raise ValueError("a detector in training needs targets")
        given = [{"boxes": each["boxes"], "labels": each["labels"] + self.first_label} for each in targets]
        losses: Boxes = self.model(images, given)
        return losses


class _PadOnly(nn.Module):
    """Replaces torchvision's resizing and normalising: only pads images to a multiple of the stride.

    torchvision's transform would copy every image, lose the channels-last layout and read fixed_size as (width, height);
    without padding, its anchors would be spaced by height // cells instead of by the stride.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, images: Tensor, targets: list[Boxes] | None = None) -> tuple[Any, list[Boxes] | None]:
        from torchvision.models.detection.image_list import ImageList

        height, width = images.shape[-2:]
        padded = functional.pad(images, (0, -width % self.stride, 0, -height % self.stride))
        return ImageList(padded, [(height, width)] * len(images)), targets

    def postprocess(self, result: list[Boxes], *sizes: Any) -> list[Boxes]:
        return result


# --- detectors: (pyramid, classes, strides, limits of predictions, own parameters) -> model, its first label


def _fcos(
    pyramid: Pyramid,
    n_classes: int,
    strides: Sequence[int],
    keep: dict[str, float],
    head_convs: int = 4,
    **params: Any,
) -> tuple[nn.Module, int]:
    """FCOS (Tian et al. 2019): every cell inside an object predicts the distances to its four sides."""
    from torchvision.models.detection import FCOS
    from torchvision.models.detection.fcos import FCOSClassificationHead, FCOSHead, FCOSRegressionHead

    head = FCOSHead(
        pyramid.out_channels, 1, n_classes, 0
    )  # its norm layer cannot be chosen, so the branches are replaced
    head.classification_head = FCOSClassificationHead(pyramid.out_channels, 1, n_classes, head_convs, norm_layer=NORM)
    head.regression_head = FCOSRegressionHead(pyramid.out_channels, 1, head_convs, norm_layer=NORM)
    nn.init.ones_(
        head.regression_head.bbox_reg.bias
    )  # one stride, as in the paper; with torchvision's 0 the ReLU can die
    model = FCOS(
        pyramid,
        n_classes,
        anchor_generator=_anchors(strides, 1.0, 1, (1.0,)),
        head=_in_float(head),
        **keep,
        **_numbers(FCOS, params),
    )
    return model, 0


def _retinanet(
    pyramid: Pyramid,
    n_classes: int,
    strides: Sequence[int],
    keep: dict[str, float],
    head_convs: int = 4,
    anchor_scale: float = 4.0,
    octaves: int = 3,
    **params: Any,
) -> tuple[nn.Module, int]:
    """RetinaNet (Lin et al. 2017): anchors of ``anchor_scale`` strides, with ``octaves`` sizes per octave."""
    from torchvision.models.detection import RetinaNet
    from torchvision.models.detection.retinanet import RetinaNetHead

    head = RetinaNetHead(pyramid.out_channels, octaves * len(RATIOS), n_classes, norm_layer=NORM)
    for branch in (head.classification_head, head.regression_head):
        branch.conv = branch.conv[:head_convs]  # torchvision always makes four
    model = RetinaNet(
        pyramid,
        n_classes,
        anchor_generator=_anchors(strides, anchor_scale, octaves, RATIOS),
        head=_in_float(head),
        **keep,
        **_numbers(RetinaNet, params),
    )
    return model, 0


def _faster_rcnn(
    pyramid: Pyramid,
    n_classes: int,
    strides: Sequence[int],
    keep: dict[str, float],
    anchor_scale: float = 4.0,
    box_convs: int = 0,
    box_width: int = 256,
    **params: Any,
) -> tuple[nn.Module, int]:
    """Faster R-CNN (Ren et al. 2015), with fewer proposals than in torchvision, whose class 0 is the background."""
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.faster_rcnn import FastRCNNConvFCHead, FastRCNNPredictor
    from torchvision.ops import MultiScaleRoIAlign
    from torchvision.ops.poolers import initLevelMapper

    channels = pyramid.out_channels
    names = [str(index) for index in range(len(strides))]
    pool = MultiScaleRoIAlign(names, 7, 2, canonical_scale=round(28 * anchor_scale))  # 224 for torchvision's scale of 8
    # torchvision would infer them from the first batch that it sees, wrongly where its size is no multiple of the stride
    pool.scales = [1 / stride for stride in strides]
    levels = int(math.log2(strides[0])), int(math.log2(strides[-1]))
    pool.map_levels = initLevelMapper(*levels, pool.canonical_scale, pool.canonical_level)
    model = FasterRCNN(
        pyramid,
        rpn_anchor_generator=_anchors(strides, anchor_scale, 1, RATIOS),
        box_roi_pool=pool,
        box_head=FastRCNNConvFCHead((channels, 7, 7), [channels] * box_convs, [box_width] * 2, NORM),
        box_predictor=_in_float(FastRCNNPredictor(box_width, n_classes + 1)),
        **{f"box_{name}": value for name, value in keep.items()},
        **{**PROPOSALS, **_numbers(FasterRCNN, params)},
    )
    _in_float(model.rpn.head)
    model.rpn.min_size = 1.0  # pixels; torchvision's 0.001 keeps slivers at the border
    return model, 1


PROPOSALS = {
    "rpn_pre_nms_top_n_train": 600,
    "rpn_pre_nms_top_n_test": 600,
    "rpn_post_nms_top_n_train": 300,
    "rpn_post_nms_top_n_test": 300,
    "rpn_batch_size_per_image": 128,
    "box_batch_size_per_image": 64,
}
"""Numbers of proposals of Faster R-CNN for images of a few hundred pixels; torchvision's are for 800 to 1333."""
DETECTORS: dict[str, Callable[..., tuple[nn.Module, int]]] = {
    "fcos": _fcos,
    "retinanet": _retinanet,
    "faster_rcnn": _faster_rcnn,
}


# --- parts


def _anchors(strides: Sequence[int], scale: float, octaves: int, ratios: tuple[float, ...]) -> Any:
    """Make anchors centred in their cells; torchvision's are at the corner, which biases them to the right and bottom."""
    from torchvision.models.detection.anchor_utils import AnchorGenerator

    sizes = tuple(tuple(stride * scale * 2 ** (step / octaves) for step in range(octaves)) for stride in strides)
    generator = AnchorGenerator(sizes, (ratios,) * len(strides))
    generator.cell_anchors = [cell + stride / 2 for cell, stride in zip(generator.cell_anchors, strides, strict=True)]
    return generator


def _numbers(model: Callable[..., nn.Module], params: dict[str, Any]) -> dict[str, Any]:
    """Check that torchvision's class takes numbers of these names; it would silently ignore any other."""
    taken = inspect.signature(model).parameters.items()
    names = {name for name, parameter in taken if isinstance(parameter.default, (int, float))}
    names -= {"min_size", "max_size"}
    if wrong := sorted(set(params) - names):
        raise TypeError(f"unknown parameter {wrong[0]!r}; torchvision takes {', '.join(sorted(names))}")
    return params


def _in_float(module: nn.Module) -> nn.Module:
    """Make ``module`` return float32 under autocast: torchvision encodes boxes in its dtype, and bf16 is too coarse."""
    module.register_forward_hook(_to_float)
    return module


def _to_float(module: nn.Module, inputs: Any, output: Any) -> Any:
    if isinstance(output, Tensor):
        return output.float()
    if isinstance(output, dict):
        return {name: value.float() for name, value in output.items()}
    return type(output)(_to_float(module, inputs, value) for value in output)


fcos = partial(build, "fcos")
retinanet = partial(build, "retinanet")
faster_rcnn = partial(build, "faster_rcnn")
