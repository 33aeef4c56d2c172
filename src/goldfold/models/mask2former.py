"""Mask2Former of transformers (Cheng et al. 2022): queries with a class and a mask, as maps of the classes of pixels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from goldfold.models.checkpoints import (
    configuration,
    known,
    loaded,
    new,
    quiet,
    refuse_both,
    refuse_fixed,
    statistics,
    take_channels,
)
from goldfold.models.mask_queries import Queries, Weights
from goldfold.models.pyramid import Stages, body, in_transformers
from goldfold.models.timm_models import Pretrained, to_channels, with_statistics

NAME, AUTO = "mask2former", "AutoModelForUniversalSegmentation"
STRIDES = (4, 8, 16, 32)
"""Strides of the features, of which the finest is that of the masks."""
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of the pixels for checkpoints without ``preprocessor_config.json``."""
OF_CLASSES = ("class_predictor.", "criterion.")
"""Parts whose shapes depend on the number of classes, and the loss of transformers, which is not used."""
OURS = {
    "common_stride", "dropout", "feature_size", "hidden_dim", "ignore_value", "importance_sample_ratio", "mask_feature_size",
    "num_queries", "output_auxiliary_logits", "oversample_ratio", "train_num_points", "use_auxiliary_loss",
}  # fmt: skip
"""Keys of configurations that are set by other parameters, or are those of the loss of transformers."""
LEAST = 1e-6
"""Added to the score of every class, so that a pixel that no query takes has a finite logit."""


def build(
    n_classes: int,
    in_channels: int,
    image_size: tuple[int, int],
    backbone: str | None = None,
    checkpoint: str | None = None,
    pretrained: Pretrained = False,
    dropout: float = 0.0,
    drop_path: float = 0.0,
    width: int | None = None,
    queries: int | None = None,
    **params: Any,
) -> nn.Module:
    """Build Mask2Former with semantic masks, of a checkpoint of transformers or on a timm backbone.

    The result has the attributes ``mean`` and ``std`` of its input.

    Args:
        n_classes: channels of the output; 1 for one class and background.
        image_size: (height, width); any, as images are padded to a multiple of 32.
        backbone: timm model name.
        checkpoint: name on the hub, or a folder; without ``pretrained``, its shape alone is used.
        pretrained: load the weights of the checkpoint, or those of the backbone from timm's hub or cache, or adapt weights of
            the backbone given by name.
        dropout: of the layers of the transformer.
        width: channels behind a backbone, by default 256; a multiple of 32.
        queries: largest number of masks per image, by default 100.
        params: numbers in the configuration of transformers, such as ``decoder_layers`` and the weights of the loss.

    Raises:
        ConfigError: the checkpoint or the backbone does not fit, or the weights are not available.
    """
    refuse_both(NAME, backbone, checkpoint)
    given, n_labels = {**known(NAME, params, OURS), "dropout": dropout}, max(n_classes, 2)
    given |= {} if queries is None else {"num_queries": queries}
    if checkpoint is not None:
        refuse_fixed(checkpoint, {"width": width, "queries": queries, "drop_path": drop_path or None})
        whole = loaded(NAME, AUTO, checkpoint, bool(pretrained), n_labels, given, OF_CLASSES)
        encoder = whole.model.pixel_level_module.encoder
        take_channels(encoder, in_channels)
        model = Mask2Former(whole, encoder, n_classes)
        model.mean, model.std = (to_channels(one, in_channels) for one in statistics(checkpoint, NAME, IMAGENET))
        return model
    sizes = dict.fromkeys(("feature_size", "mask_feature_size", "hidden_dim"), width or 256)
    with quiet():  # transformers warns of any backbone but Swin
        config = configuration(NAME)(
            num_labels=n_labels, backbone_config=in_transformers(str(backbone), STRIDES), **sizes, **given
        )
    encoder = body(str(backbone), in_channels, image_size, pretrained, drop_path, STRIDES)
    return with_statistics(Mask2Former(new(AUTO, config), encoder, n_classes), encoder, in_channels)


class Mask2Former(nn.Module):
    """Mask2Former whose queries become one map per class; in training they stay queries, for their own loss."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __init__(self, whole: Any, encoder: nn.Module, n_classes: int) -> None:
        super().__init__()
        self.encoder = Stages(encoder)
        self.decoder = whole.model.pixel_level_module.decoder
        self.transformer = whole.model.transformer_module
        self.segmentation_head = whole.class_predictor
        self.n_classes, config = n_classes, whole.config
        self.weights = Weights(config.class_weight, config.mask_weight, config.dice_weight, config.no_object_weight)

    def forward(self, images: Tensor) -> Tensor | Queries:
        """Return queries in training, otherwise logits (batch, n_classes, height, width).

        Args:
            images: (batch, channels, height, width), normalised.
        """
        height, width = images.shape[-2:]
        padded = functional.pad(images, (0, -width % STRIDES[-1], 0, -height % STRIDES[-1]))
        pixels = self.decoder(self.encoder(padded.contiguous()))
        found = self.transformer(
            multi_scale_features=pixels.multi_scale_features,
            mask_features=pixels.mask_features,
            output_hidden_states=True,
        )
        hidden, masks = found.intermediate_hidden_states, found.masks_queries_logits
        if self.training:
            classes = tuple(self.segmentation_head(one.transpose(0, 1)) for one in hidden)
            return Queries(classes, tuple(masks), STRIDES[0], self.weights)
        logits = self._logits(self.segmentation_head(hidden[-1].transpose(0, 1)), masks[-1], padded.shape[-2:])
        return logits[..., :height, :width]

    def _logits(self, classes: Tensor, masks: Tensor, size: torch.Size) -> Tensor:
        """Return the logarithms of the scores of classes, the products of the class and mask of each query, summed over these."""
        with torch.autocast(classes.device.type, enabled=False):
            shares, inside = classes.float().softmax(-1)[..., :-1], masks.float().sigmoid()
            scores = torch.einsum("bqc,bqhw->bchw", shares, inside)
            scores = functional.interpolate(scores, size=size, mode="bilinear", align_corners=False)
            logits = (scores + LEAST).log()
        return logits[:, 1:] - logits[:, :1] if self.n_classes == 1 else logits
