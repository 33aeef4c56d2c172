"""Models of transformers behind `goldfold.models.query_detectors`: their kinds, configurations and checkpoints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from goldfold.base.errors import ConfigError
from goldfold.models.checkpoints import NO_CODE, adapt, quiet, readable
from goldfold.models.pyramid import indices

OF_CLASSES = ("class_embed.", "enc_score_head.", "denoising_class_embed.", "class_labels_classifier.")
"""Parts whose shapes depend on the number of classes, which are new where a checkpoint has another number."""
OURS = {
    "auxiliary_loss", "d_model", "decoder_n_levels", "dilation", "dropout", "encoder_hidden_dim", "freeze_backbone_batch_norms",
    "is_encoder_decoder", "num_channels", "num_feature_levels", "num_queries", "tie_word_embeddings",
}  # fmt: skip
"""Keys of configurations that are set by other parameters, or have no meaning here."""
EXACT: Any = {"attn_implementation": "eager"}
"""Attention in plain operations, whose gradient has a deterministic form on GPUs."""


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
        self.is_channels_last = getattr(body, "output_fmt", None) == "NHWC"
        for (
            parameter
        ) in body.parameters():  # transformers freezes the first stages of some; `train.freeze` does that here
            parameter.requires_grad_(True)

    def forward(self, images: Tensor, mask: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return maps (batch, channels, height, width) and masks (batch, height, width), which are true: images have one size."""
        found = self.body(images)
        maps = getattr(found, "feature_maps", found)  # transformers wraps those of its own backbones
        maps = [one.permute(0, 3, 1, 2) for one in maps] if self.is_channels_last else maps
        return [(one, torch.ones_like(one[:, 0], dtype=torch.bool)) for one in maps]

    def taking(self, in_channels: int) -> Features:
        """Adapt the first convolution to the number of channels."""
        first = next(layer for layer in self.body.modules() if isinstance(layer, nn.Conv2d))
        own = first.in_channels
        if own != in_channels:
            adapt(first, in_channels)
            for part in self.body.modules():
                if getattr(part, "num_channels", None) == own:
                    part.num_channels = in_channels  # which transformers compares with that of the images
        return self


def on_backbone(
    of: Family, backbone: str, n_classes: int, strides: Sequence[int], width: int, params: Mapping[str, Any]
) -> Any:
    """Build a new model for features of a timm backbone at ``strides``, with a copy of the backbone to be replaced.

    Raises:
        ConfigError: the backbone lacks these strides, or transformers is not installed.
    """
    copied = {
        "model_type": "timm_backbone",
        "backbone": backbone,
        "features_only": True,
        "use_pretrained_backbone": False,
    }
    copied["out_indices"] = indices(backbone, strides)
    settings = {"num_queries": of.queries, **of.shape(width, strides), **of.always, **params}
    config = _kind(of)(backbone_config=copied, num_labels=n_classes, **settings)
    whole = _built(config)
    for part in whole.modules():
        if isinstance(part, nn.BatchNorm2d):  # transformers draws it around 0, which blocks a training from scratch
            nn.init.ones_(part.weight)
    if of.has_trained_queries:  # as in DETR's own code; so near to 0 as transformers draws them, all queries stay alike
        nn.init.normal_(whole.model.query_position_embeddings.weight)
    return whole


def of_checkpoint(of: Family, checkpoint: str, pretrained: bool, n_classes: int, params: Mapping[str, Any]) -> Any:
    """Build the model of a checkpoint with outputs for ``n_classes``.

    Args:
        pretrained: load its weights, all but those of another number of classes.

    Raises:
        ConfigError: it cannot be read, is of another kind, or its weights do not fit its configuration.
    """
    settings = {
        **params,
        **({} if of.has_trained_queries else {"anchor_image_size": None, "eval_size": None}),
    }
    with readable(checkpoint, of.name), quiet():
        from transformers import AutoConfig, AutoModelForObjectDetection

        config = AutoConfig.from_pretrained(checkpoint, num_labels=n_classes, **settings, **NO_CODE)
    if config.model_type != of.name:
        raise ConfigError(
            f"checkpoint {checkpoint!r}: is a {config.model_type}, not a {of.name}. Correct network or checkpoint."
        )
    if not pretrained:
        return _built(config)
    loading: Any = {"use_safetensors": True, "ignore_mismatched_sizes": True, "output_loading_info": True}
    with readable(checkpoint, of.name), quiet():
        whole, report = AutoModelForObjectDetection.from_pretrained(
            checkpoint, config=config, **loading, **EXACT, **NO_CODE
        )
    if lost := sorted(_new(report)):
        raise ConfigError(
            f"checkpoint {checkpoint!r}: would leave {lost[0]} and {len(lost) - 1} more new, outside the head. Remove params "
            f"that change shapes, or use other weights."
        )
    return whole.train()  # as any new module


def _built(config: Any) -> Any:
    from transformers import AutoModelForObjectDetection

    with quiet():
        make: Any = AutoModelForObjectDetection.from_config
        return make(config, **EXACT)


def _new(report: Mapping[str, Any]) -> Iterator[str]:
    """Names of weights that a checkpoint did not set, besides those that depend on the classes."""
    misfits = [key[0] if isinstance(key, tuple) else key for key in report["mismatched_keys"]]
    return (name for name in {*report["missing_keys"], *misfits} if not any(part in name for part in OF_CLASSES))


def _kind(of: Family) -> Any:
    """Class of its configurations."""
    with readable("", of.name):
        from transformers import CONFIG_MAPPING

        return CONFIG_MAPPING[of.name]


def known(of: Family, params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Check that a configuration has numbers or names of these keys; transformers would take any other without an effect.

    Raises:
        TypeError: it has not, or they are set by other parameters.
    """
    names = {name for name, default in _defaults(of).items() if isinstance(default, int | float | str)} - OURS
    if wrong := sorted(set(params) - names):
        raise TypeError(f"unknown parameter {wrong[0]!r}; transformers takes {', '.join(sorted(names))}")
    return params


def _defaults(of: Family) -> dict[str, Any]:
    kind = _kind(of)
    return {name: getattr(kind, name) for name in kind.__annotations__}
