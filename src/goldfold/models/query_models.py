"""Models of transformers behind `goldfold.models.query_detectors`: their kinds, configurations and checkpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from goldfold.models.checkpoints import configuration, loaded, new
from goldfold.models.pyramid import in_transformers, maps_of

OF_CLASSES = ("class_embed.", "enc_score_head.", "denoising_class_embed.", "class_labels_classifier.")
"""Parts whose shapes depend on the number of classes, which are new where a checkpoint has another number."""
OURS = {
    "auxiliary_loss", "d_model", "decoder_n_levels", "dilation", "dropout", "encoder_hidden_dim", "freeze_backbone_batch_norms",
    "is_encoder_decoder", "num_channels", "num_feature_levels", "num_queries", "tie_word_embeddings",
}  # fmt: skip
"""Keys of configurations that are set by other parameters, or have no meaning here."""
AUTO = "AutoModelForObjectDetection"


@dataclass(frozen=True)
class Family:
    """A kind of detector in transformers."""

    name: str
    """As ``model_type`` in its configurations."""
    losses: tuple[str, ...]
    """Parts of its loss."""
    strides: tuple[int, ...]
    """Default strides of its features."""
    queries: int
    has_trained_queries: bool = False
    """Whether queries are parameters, and no object is a class of its own (DETR); otherwise queries are places of the image."""

    def weights(self, config: Any) -> dict[str, float]:
        """Return the factors of the parts of the loss that these do not contain yet."""
        factors = dict.fromkeys(self.losses, 1.0)
        if self.has_trained_queries:
            factors |= {"loss_bbox": config.bbox_loss_coefficient, "loss_giou": config.giou_loss_coefficient}
        return factors

    @property
    def always(self) -> dict[str, Any]:
        """Settings of every configuration: any size of image, and a first score of 0.01 (Lin et al. 2017, section 4.1), which
        transformers derives from the number of classes."""
        if self.has_trained_queries:
            return {}
        return {"anchor_image_size": None, "eval_size": None, "initializer_bias_prior_prob": 0.01}

    def shape(self, width: int, strides: Sequence[int]) -> dict[str, Any]:
        """Return the settings of a configuration for this width; feed-forward layers are four times as wide, as published."""
        shared = {"d_model": width, "encoder_ffn_dim": 4 * width, "decoder_ffn_dim": 4 * width}
        if self.has_trained_queries:
            return shared
        n = len(strides)
        encoder = {"encoder_hidden_dim": width, "encoder_in_channels": [width] * n, "encode_proj_layers": [n - 1]}
        decoder = {"decoder_in_channels": [width] * n, "num_feature_levels": n, "decoder_n_levels": n}
        copies = {"freeze_backbone_batch_norms": False, "tie_word_embeddings": False}  # of parts that are not used
        return {**shared, **encoder, **decoder, **copies, "feat_strides": list(strides)}


FAMILIES: dict[str, Family] = {
    "rt_detr_v2": Family("rt_detr_v2", ("loss_vfl", "loss_bbox", "loss_giou"), (8, 16, 32), 300),
    "d_fine": Family("d_fine", ("loss_vfl", "loss_bbox", "loss_giou", "loss_fgl", "loss_ddf"), (8, 16, 32), 300),
    "detr": Family("detr", ("loss_ce", "loss_bbox", "loss_giou"), (32,), 100, has_trained_queries=True),
}


class Features(nn.Module):
    """Backbone as transformers calls it: images, and masks of their pixels -> maps and their masks, finest first."""

    def __init__(self, body: Any) -> None:
        super().__init__()
        self.body = body
        for (
            parameter
        ) in body.parameters():  # transformers freezes the first stages of some; `train.freeze` does that here
            parameter.requires_grad_(True)

    def forward(self, images: Tensor, mask: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return maps (batch, channels, height, width) and masks (batch, height, width), which are true: images have one size."""
        return [(one, torch.ones_like(one[:, 0], dtype=torch.bool)) for one in maps_of(self.body, images)]


def on_backbone(
    of: Family, backbone: str, n_classes: int, strides: Sequence[int], width: int, params: Mapping[str, Any]
) -> Any:
    """Build a new model for features of a timm backbone at ``strides``, with a copy of the backbone to be replaced.

    Raises:
        ConfigError: the backbone lacks these strides, or transformers is not installed.
    """
    settings = {"num_queries": of.queries, **of.shape(width, strides), **of.always, **params}
    whole = new(
        AUTO,
        configuration(of.name)(num_labels=n_classes, backbone_config=in_transformers(backbone, strides), **settings),
    )
    for part in whole.modules():
        if isinstance(part, nn.BatchNorm2d):  # transformers draws it around 0, which blocks a training from scratch
            nn.init.ones_(part.weight)
    if of.has_trained_queries:  # as in DETR's own code; so near to 0 as transformers draws them, all queries stay alike
        nn.init.normal_(whole.model.query_position_embeddings.weight)
    return whole


def of_checkpoint(of: Family, checkpoint: str, pretrained: bool, n_classes: int, params: Mapping[str, Any]) -> Any:
    """Build the model of a checkpoint, see `goldfold.models.checkpoints.loaded`."""
    return loaded(of.name, AUTO, checkpoint, pretrained, n_classes, {**of.always, **params}, OF_CLASSES)
