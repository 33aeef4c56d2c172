"""Losses with an angular margin, for networks that return scaled cosines (``models[].embedding``).

Deng et al., ArcFace: Additive Angular Margin Loss for Deep Face Recognition, 2019 (https://arxiv.org/abs/1801.07698).

Arguments of all losses:
    logits: (batch, classes), ``scale`` times the cosine of the angle between an embedding and each class.
    target: (batch, classes), rows sum to one.

Each returns one value per sample, (batch,). The margin is computed in float32 also under autocast.
"""

import math

import torch
from torch import Tensor

from goldfold.losses.classification import focal
from goldfold.losses.numeric import at_least_float32, number

SCALE = 30.0
"""Default scale of cosines, as that of ``models[].embedding``."""


def arcface(
    logits: Tensor,
    target: Tensor,
    margin: float = 0.3,
    scale: float = SCALE,
    easy_margin: bool = False,
    gamma: float = 0.0,
) -> Tensor:
    """Cross-entropy of softmax, with the angle to the true class enlarged by a margin.

    Beyond the angle pi - margin, where a larger angle would have a larger cosine again, the cosine is lowered by
    margin x sin(margin) instead, as in the authors' code. A target that is mixed of several classes has the share of the
    margin that it has of each class; label smoothing changes no margin.

    Args:
        margin: in radians, 0 up to (not including) pi / 2.
        scale: that of the network's embedding.
        easy_margin: no margin for angles above pi / 2.
        gamma: exponent of the focal loss; 0 for cross-entropy.

    >>> import torch
    >>> cosines, target = torch.tensor([[0.6, 0.2]]), torch.tensor([[1.0, 0.0]])
    >>> [round(arcface(2 * cosines, target, margin=m, scale=2.0).item(), 3) for m in (0.0, 0.5)]
    [0.371, 0.752]
    """
    _check_margin("margin", margin)
    return _angular(logits, target, torch.tensor(float(margin)), scale, easy_margin, gamma)


def dynamic_arcface(
    logits: Tensor,
    target: Tensor,
    counts: Tensor,
    least: float = 0.05,
    most: float = 0.5,
    power: float = 0.25,
    scale: float = SCALE,
    easy_margin: bool = False,
    gamma: float = 0.0,
) -> Tensor:
    """ArcFace with larger margins for rarer classes (Ha et al. 2020, https://arxiv.org/abs/2010.05350).

    The margin of a class with n training cases grows with n ** -power, from ``least`` for the most frequent class to ``most``
    for the rarest; if all have the same number, it is halfway between.

    Args:
        counts: (classes,), number of labelled training cases of each class in the fold; goldfold supplies it.
        least: smallest margin, ``most`` the largest; both in radians, 0 up to (not including) pi / 2.
        scale: as in `arcface`, like the rest.
    """
    _check_margin("least", least)
    number("most", most, f"of at least least ({least:g}) and below pi / 2", lambda value: least <= value < math.pi / 2)
    number("power", power, "above 0", lambda value: value > 0)
    return _angular(logits, target, _margins(counts, least, most, power), scale, easy_margin, gamma)


def _margins(counts: Tensor, least: float, most: float, power: float) -> Tensor:
    """Margin of each class (classes,), float32."""
    rarity = counts.float().clamp(min=1) ** -power
    spread = rarity.max() - rarity.min()
    share = (rarity - rarity.min()) / spread if spread > 0 else torch.full_like(rarity, 0.5)
    return least + (most - least) * share


def _check_margin(name: str, value: float) -> None:
    number(name, value, "of at least 0 and below pi / 2", lambda value: 0 <= value < math.pi / 2)


def _angular(logits: Tensor, target: Tensor, margin: Tensor, scale: float, easy_margin: bool, gamma: float) -> Tensor:
    """Focal loss of logits whose angle to the true class is enlarged by ``margin``, () or (classes,)."""
    number("scale", scale, "above 0", lambda value: value > 0)
    logits = at_least_float32(logits)
    cosines = (logits / scale).clamp(-1, 1)
    enlarged = scale * with_margin(cosines, margin.to(cosines), easy_margin)
    share = target - target.min(dim=-1, keepdim=True).values  # label smoothing adds the same to all classes
    share = share / share.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(share.dtype).tiny)
    return focal(logits + share.to(logits.dtype) * (enlarged - logits), target, gamma=gamma)


def with_margin(cosines: Tensor, margin: Tensor, easy_margin: bool = False) -> Tensor:
    """Return the cosines of the angles enlarged by ``margin``, see `arcface`.

    The sine is computed from the cosine, without acos, whose gradient is infinite at 0 and pi; the floor under its square is
    the precision of the cosine.

    Args:
        cosines: at least float32, -1..1.
    """
    sines = (1 - cosines.square()).clamp(min=torch.finfo(cosines.dtype).eps).sqrt()
    enlarged = cosines * margin.cos() - sines * margin.sin()
    if easy_margin:
        return torch.where(cosines > 0, enlarged, cosines)
    return torch.where(cosines > -margin.cos(), enlarged, cosines - margin * margin.sin())
