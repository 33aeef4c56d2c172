"""CLIP and its relatives (Radford et al. 2021; SigLIP, Zhai et al. 2023) by transformers: image towers, and texts as classes.

Only safetensors are read: a checkpoint that would run code when loaded is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import normalize

from goldfold.base.errors import ConfigError, SizeError
from goldfold.models.checkpoints import NO_CODE, adapt, readable, statistics

CONTENTS = "config.json, model.safetensors and the tokenizer's files"
TEXTS_AT_ONCE = 64


def build(
    n_classes: int,
    in_channels: int,
    image_size: tuple[int, int],
    checkpoint: str,
    pretrained: bool = False,
    dropout: float = 0.0,
) -> nn.Module:
    """Build the image tower of a checkpoint with a new last layer.

    Args:
        image_size: height and width; position embeddings are interpolated where it is not that of the checkpoint.
        checkpoint: name on the hub, such as ``openai/clip-vit-base-patch32``, or a folder.
        pretrained: load the weights of the checkpoint; without it, its shape alone is used.

    Raises:
        ConfigError: there is no such checkpoint, it is no pair of image and text towers, or transformers is not installed.
    """
    return ImageTower(
        _whole(checkpoint, pretrained), n_classes, in_channels, image_size, dropout, statistics(checkpoint, "clip")
    )


def fetch(checkpoint: str, takes_texts: bool = False) -> None:
    """Download a checkpoint, or load that of a folder.

    Args:
        takes_texts: whether its text tower, with the tokenizer, is used too.

    Raises:
        ConfigError: it is not available.
    """
    whole = _whole(checkpoint, True)
    if takes_texts:
        _embedded(whole.eval(), checkpoint, ["a photo"])


class ImageTower(nn.Module):
    """Image tower of a CLIP or SigLIP model: its embedding in the space that images share with texts, then a linear layer."""

    def __init__(
        self, whole: Any, n_classes: int, in_channels: int, image_size: tuple[int, int], dropout: float, statistics: Any
    ) -> None:
        super().__init__()
        config = whole.config.vision_config
        if any(side % config.patch_size for side in image_size):
            raise SizeError(
                f"image_size_px = {image_size[0]}x{image_size[1]}: must be divisible by {config.patch_size}, the patch of this "
                f"checkpoint, which was trained at {config.image_size}"
            )
        self.vision = whole.vision_model
        self.projection = getattr(whole, "visual_projection", None) or nn.Identity()
        self.resized = tuple(image_size) != (config.image_size, config.image_size)
        patches = self.vision.embeddings.patch_embedding
        if in_channels != patches.in_channels:
            adapt(patches, in_channels)
        self.num_features = int(getattr(whole.config, "projection_dim", 0) or config.hidden_size)
        if isinstance(self.projection, nn.Identity):
            self.num_features = int(config.hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.classifier: nn.Module = nn.Linear(self.num_features, n_classes)
        mean, std = statistics if in_channels == len(statistics[0]) else ((0.5,) * in_channels, (0.25,) * in_channels)
        self.mean, self.std = tuple(mean), tuple(std)

    def forward(self, images: Tensor) -> Tensor:
        """Return outputs (batch, classes) for normalised images (batch, channels, height, width)."""
        found = self.vision(pixel_values=images.contiguous(), interpolate_pos_encoding=self.resized).pooler_output
        outputs: Tensor = self.classifier(self.dropout(self.projection(found)))
        return outputs

    def get_classifier(self) -> nn.Module:
        """Return the last layer, as networks of timm do."""
        return self.classifier

    def reset_classifier(self, n_classes: int) -> None:
        """Replace the last layer; with 0 classes the outputs are embeddings."""
        self.classifier = nn.Linear(self.num_features, n_classes) if n_classes else nn.Identity()

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Return patterns of the names of the parameters of each block, as transformers of timm do."""
        blocks = [(r"^vision\.encoder\.layers\.(\d+)", None), (r"^vision\.post_layernorm", (99999,))]
        return {"stem": r"^vision\.(?:embeddings|pre_layrnorm)", "blocks": blocks}

    def no_weight_decay(self) -> set[str]:
        """Return the names of parameters without weight decay."""
        return {
            name for name, _ in self.named_parameters() if name.startswith("vision.embeddings.") and "patch" not in name
        }


class TextsOfClasses:
    """Texts as classes by the text tower of a checkpoint, see `goldfold.heads.protocol.Texts`."""

    def __init__(self, names: Sequence[str], checkpoint: str) -> None:
        self.names, self.checkpoint = names, checkpoint
        self.known: dict[str, Any] = {}

    def classes(self, prompts: Sequence[Sequence[str]]) -> tuple[NDArray[np.float64], float]:
        """Return the mean embedding of the texts of each class (classes, d), of length 1, and the checkpoint's scale."""
        key = repr(prompts)
        if key not in self.known:  # the same for each fold
            self.known[key] = self._made(prompts)
        found: tuple[NDArray[np.float64], float] = self.known[key]
        return found

    def _made(self, prompts: Sequence[Sequence[str]]) -> tuple[NDArray[np.float64], float]:
        whole = _whole(self.checkpoint, True).eval()
        every = _embedded(whole, self.checkpoint, [text for texts in prompts for text in texts])
        ends = np.cumsum([len(texts) for texts in prompts])[:-1]
        means = np.stack([part.mean(axis=0) for part in np.split(every, ends)])
        return means / np.linalg.norm(means, axis=1, keepdims=True), float(whole.logit_scale.detach().exp())


def _embedded(whole: Any, checkpoint: str, texts: Sequence[str]) -> NDArray[np.float64]:
    """Return the embeddings (n, d) of texts, of length 1."""
    with readable(checkpoint, "clip", CONTENTS):
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(checkpoint, **NO_CODE)
        if not {*tokenizer.get_vocab()} - {*tokenizer.all_special_tokens}:  # as transformers makes one without files
            raise ValueError("its tokenizer knows no word, as where the tokenizer's files are missing")
    longest = whole.config.text_config.max_position_embeddings
    # SigLIP was trained on texts padded to the full length, without a mask; CLIP does not see what follows the end of a text
    is_padded = hasattr(whole, "logit_bias")
    padding, names = ("max_length", ("input_ids",)) if is_padded else (True, ("input_ids", "attention_mask"))
    parts = []
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        listed = [*texts[start : start + TEXTS_AT_ONCE]]
        tokens = tokenizer(listed, return_tensors="pt", padding=padding, truncation=True, max_length=longest)
        wanted = {name: tokens[name] for name in names if name in tokens}
        with torch.inference_mode():
            parts.append(normalize(_pooled(whole.get_text_features(**wanted)).double(), dim=1).numpy())
    return np.concatenate(parts)


def _pooled(found: Any) -> Tensor:
    """Return the embeddings in what ``get_text_features`` gives, in transformers before and after version 5."""
    pooled: Tensor = found if isinstance(found, Tensor) else found.pooler_output
    return pooled


def _whole(checkpoint: str, pretrained: bool) -> Any:
    with readable(checkpoint, "clip", CONTENTS):
        from transformers import AutoConfig, AutoModel

        if pretrained:
            model = AutoModel.from_pretrained(checkpoint, use_safetensors=True, **NO_CODE)
        else:
            make: Any = AutoModel.from_config
            model = make(AutoConfig.from_pretrained(checkpoint, **NO_CODE))
    if not all(hasattr(model, name) for name in ("vision_model", "text_model", "logit_scale")):
        raise ConfigError(
            f"checkpoint {checkpoint!r}: {type(model).__name__} has no image and text tower; use one of CLIP or SigLIP"
        )
    return model
