"""Queries that each predict a class and a mask, and their loss by matching to the classes of an image (Cheng et al. 2022)."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

IGNORE = 255
"""Index of pixels that do not count."""
PARTS = ("classes", "masks", "dice")
"""Parts of the loss: cross-entropy of the classes of queries, and cross-entropy and Dice of their masks."""


@dataclass(frozen=True)
class Weights:
    """Factors of the parts of the loss and of the costs of a match, and of queries without an object among the classes."""

    classes: float = 2.0
    masks: float = 5.0
    dice: float = 5.0
    no_object: float = 0.1


@dataclass(frozen=True)
class Queries:
    """Outputs of the queries of a batch in training, which know their loss."""

    classes: tuple[Tensor, ...]
    """Logits of each layer (batch, queries, classes + 1), the last of no object."""
    masks: tuple[Tensor, ...]
    """Logits of each layer (batch, queries, height / stride, width / stride)."""
    stride: int
    """Pixels of the images per pixel of the masks; images are padded at the right and bottom to a multiple of it."""
    weights: Weights

    def __getitem__(self, rows: Tensor) -> "Queries":
        """Return the outputs of some images of the batch."""
        classes, masks = (tuple(one[rows] for one in every) for every in (self.classes, self.masks))
        return Queries(classes, masks, self.stride, self.weights)

    def losses(self, target: Tensor, ignore_index: int = IGNORE) -> dict[str, Tensor]:
        """Return the weighted parts of the loss, each summed over the layers; images where all is ignored do not count.

        Args:
            target: (batch, height, width), class indices; pixels of ``ignore_index`` have no part in matches and masks.
        """
        with torch.autocast(target.device.type, enabled=False):
            wanted = [
                _shares(one, self.stride, self.masks[0].shape[-2:], self.classes[0].shape[-1] - 1, ignore_index)
                for one in target
            ]
            layers = [
                _of_layer(classes.float(), masks.float().flatten(2), wanted, self.weights)
                for classes, masks in zip(self.classes, self.masks, strict=True)
            ]
        return {name: torch.stack([layer[name] for layer in layers]).sum() for name in PARTS}


@dataclass(frozen=True)
class _Shares:
    """Classes of an image at the resolution of the masks."""

    labels: Tensor
    """(n,) classes that the image has."""
    shares: Tensor
    """(n, pixels) share of each of them in the pixels of the image that count."""
    counts: Tensor
    """(pixels,) share of the pixels of the image that count, which weights a pixel of the masks."""


def _shares(target: Tensor, stride: int, size: torch.Size, n_classes: int, ignore_index: int) -> _Shares:
    height, width = size[0] * stride, size[1] * stride
    padded = functional.pad(target, (0, width - target.shape[-1], 0, height - target.shape[-2]), value=ignore_index)
    labels = torch.arange(n_classes, device=target.device)
    every = functional.avg_pool2d((padded == labels[:, None, None]).float()[None], stride)[0].flatten(1)
    counts = every.sum(0)
    labels = labels[every.sum(1) > 0]
    return _Shares(labels, every[labels] / counts.clamp(min=1e-9), counts)


def _of_layer(classes: Tensor, masks: Tensor, wanted: list[_Shares], weights: Weights) -> dict[str, Tensor]:
    """Weighted parts of the loss of one layer; masks are (batch, queries, pixels)."""
    no_object = classes.shape[-1] - 1
    zero = (classes.sum() + masks.sum()) * 0.0
    losses, factors = [zero[None]], [zero[None].detach()]
    of_masks, of_dice, n = [zero], [zero], 0
    for logits, maps, image in zip(classes, masks, wanted, strict=True):
        if not len(image.labels):
            continue
        queries, places = _matched(logits, maps, image, weights)
        labels = torch.full((len(logits),), no_object, dtype=torch.int64, device=logits.device)
        labels[queries] = image.labels[places]
        factor = torch.where(labels == no_object, weights.no_object, 1.0)
        losses.append(functional.cross_entropy(logits, labels, reduction="none") * factor)
        factors.append(factor)
        chosen, shares, counts = maps[queries], image.shares[places], image.counts
        wrong = functional.binary_cross_entropy_with_logits(chosen, shares, reduction="none")
        of_masks.append((wrong * counts).sum() / counts.sum())
        of_dice.append(_dice(chosen.sigmoid() * counts, shares, counts).sum())
        n += len(queries)
    return {
        "classes": weights.classes * torch.cat(losses).sum() / torch.cat(factors).sum().clamp(min=1e-9),
        "masks": weights.masks * torch.stack(of_masks).sum() / max(n, 1),
        "dice": weights.dice * torch.stack(of_dice).sum() / max(n, 1),
    }


@torch.no_grad()
def _matched(logits: Tensor, masks: Tensor, image: _Shares, weights: Weights) -> tuple[Tensor, Tensor]:
    """Return the queries of the cheapest matches, one per class of the image, and the places of these classes."""
    from scipy.optimize import linear_sum_assignment

    counts, shares = image.counts, image.shares.T
    unlike = (functional.softplus(-masks) * counts) @ shares + (functional.softplus(masks) * counts) @ (1 - shares)
    positive = masks.sigmoid() * counts
    common, sizes = positive @ shares, positive.sum(1, keepdim=True) + (image.shares * counts).sum(1)
    cost = (
        -weights.classes * logits.softmax(-1)[:, image.labels]
        + weights.masks * unlike / counts.sum()
        + weights.dice * (1 - (2 * common + 1) / (sizes + 1))
    )
    found = linear_sum_assignment(np.nan_to_num(cost.double().cpu().numpy(), nan=1e9, posinf=1e9, neginf=-1e9))
    queries, places = (torch.as_tensor(one, dtype=torch.int64, device=logits.device) for one in found)
    return queries, places


def _dice(positive: Tensor, shares: Tensor, counts: Tensor) -> Tensor:
    """1 - Dice coefficient of each mask, both sums plus 1 as in the paper's code; ``positive`` contains ``counts``."""
    common, sizes = (positive * shares).sum(1), positive.sum(1) + (shares * counts).sum(1)
    return 1 - (2 * common + 1) / (sizes + 1)
