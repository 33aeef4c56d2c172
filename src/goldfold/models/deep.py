"""Deep supervision: in training, further outputs from earlier stages of a decoder, which have a loss too (Lee et al. 2015)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from goldfold.base.errors import ConfigError

DECODERS = ("unet", "unetplusplus", "manet")
"""Networks of segmentation_models_pytorch whose decoders have stages with known channels."""


@dataclass(frozen=True)
class Deep:
    """Outputs of several depths in training."""

    logits: tuple[Tensor, ...]
    """(batch, channels, height, width) of each depth, the network's own output first."""
    weights: tuple[float, ...]
    """Weights of their losses."""

    def __getitem__(self, rows: Tensor) -> "Deep":
        """Return the outputs of some images of the batch."""
        return Deep(tuple(one[rows] for one in self.logits), self.weights)

    def depths(self, size: Sequence[int]) -> Iterator[tuple[Tensor, float]]:
        """Yield the logits of each depth at ``size`` (height, width), and the weight of their loss."""
        for one, weight in zip(self.logits, self.weights, strict=True):
            same = one.shape[-2:] == tuple(size)
            yield one if same else functional.interpolate(one, size=tuple(size), mode="bilinear"), weight


class DeeplySupervised(nn.Module):
    """A network of segmentation_models_pytorch with a head on each of some stages of its decoder, used in training alone."""

    def __init__(
        self, model: Any, stages: Sequence[nn.Module], channels: Sequence[int], weights: Sequence[float]
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, self.segmentation_head = model.encoder, model.decoder, model.segmentation_head
        n_classes = next(part for part in model.segmentation_head.modules() if isinstance(part, nn.Conv2d)).out_channels
        self.deep_heads = nn.ModuleList([nn.Conv2d(width, n_classes, 1) for width in channels])
        names = {id(part): name for name, part in self.decoder.named_modules()}
        self.stages = [names[id(stage)] for stage in stages]
        self.weights = [weight / sum((1.0, *weights)) for weight in (1.0, *weights)]

    def forward(self, images: Tensor) -> Tensor | Deep:
        """Return logits (batch, n_classes, height, width) for normalised images; in training those of all depths."""
        found: dict[str, Tensor] = {}

        def keep(name: str) -> Any:
            return lambda stage, inputs, output: found.__setitem__(name, output)

        wanted = self.stages if self.training else []
        handles = [self.decoder.get_submodule(name).register_forward_hook(keep(name)) for name in wanted]
        try:
            logits: Tensor = self.segmentation_head(self.decoder(self.encoder(images)))
        finally:
            for handle in handles:
                handle.remove()
        if not self.training:
            return logits
        deep = (head(found[name]) for head, name in zip(self.deep_heads, self.stages, strict=True))
        return Deep((logits, *deep), tuple(self.weights))


def supervised(architecture: str, model: Any, wanted: bool | Sequence[float]) -> nn.Module:
    """Return the network with heads on the last stages of its decoder before the output.

    Args:
        wanted: weights of the losses of these stages, from the finest, relative to 1 for the output; True for 1/2 and 1/4.

    Raises:
        ConfigError: the network has no such stages, or the weights are no positive numbers.
    """
    weights = [0.5, 0.25] if wanted is True else wanted
    what = f"params: deep_supervision = {wanted!r}"
    if architecture not in DECODERS:
        raise ConfigError(f"{what}: network {architecture!r} has no decoder for it; use {', '.join(DECODERS)}")
    are_numbers = isinstance(weights, list | tuple) and all(
        isinstance(one, int | float) and not isinstance(one, bool) and 0 < one <= 1 for one in weights
    )
    if not are_numbers or not weights:
        raise ConfigError(f"{what}: write true, or weights above 0 and at most 1 from the finest stage on, [0.5, 0.25]")
    blocks = model.decoder.blocks
    if architecture == "unetplusplus":
        widths = list(model.decoder.out_channels)
        stages = [blocks[f"x_0_{place}"] for place in range(len(widths))]
    else:
        stages = list(blocks)
        widths = [_width(stage) for stage in stages]
    if len(weights) >= len(stages):
        raise ConfigError(
            f"{what}: the decoder has {len(stages) - 1} stages before its output, and there are {len(weights)} weights"
        )
    chosen = range(len(stages) - 2, len(stages) - 2 - len(weights), -1)
    return DeeplySupervised(
        model, [stages[place] for place in chosen], [widths[place] for place in chosen], list(weights)
    )


def _width(block: nn.Module) -> int:
    """Channels of the output of a block of a decoder, which its second convolution makes."""
    second = block.get_submodule("conv2")
    return next(part for part in second.modules() if isinstance(part, nn.Conv2d)).out_channels
