"""Averages of class probabilities.

Each takes a stack (members, images, classes) of probabilities and weights (members,), and returns (images, classes).
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax
from scipy.stats import rankdata

from goldfold.base.bound import parts_of
from goldfold.base.errors import ConfigError

Array = NDArray[np.floating[Any]]
TINY = 1e-12
MOST_EXPONENT = 100
OF_MEAN = 1e-6
"""Share of the mean probability in a vote."""


def probability(stack: Array, weights: Sequence[float]) -> Array:
    """Weighted mean of the probabilities."""
    return np.average(stack, axis=0, weights=weights)


def geometric(stack: Array, weights: Sequence[float]) -> Array:
    """Weighted geometric mean (the mean of log-probabilities), normalised so that rows sum to one."""
    return softmax(np.average(np.log(np.clip(stack, TINY, 1)), axis=0, weights=weights), axis=1)


def logit(stack: Array, weights: Sequence[float]) -> Array:
    """Weighted mean of log p/(1-p), each class against all others, then normalised so that rows sum to one.

    The mean of the networks' logits before softmax is `geometric` instead, since the softmax of mean logits is the
    normalised geometric mean of the probabilities. For two classes both are the same.
    """
    clipped = np.clip(stack, TINY, 1 - TINY)
    mean = expit(np.average(np.log(clipped / (1 - clipped)), axis=0, weights=weights))
    return mean / mean.sum(axis=1, keepdims=True)


def power(stack: Array, weights: Sequence[float], exponent: float = 2.0) -> Array:
    """Weighted power mean, (mean of p^exponent)^(1/exponent), normalised so that rows sum to one.

    1 is `probability`; the larger the exponent, the more a confident member counts; near 0 it approaches `geometric`.

    Raises:
        ConfigError: the exponent is not above 0 and at most 100; beyond, powers of probabilities are rounded to 0.
    """
    if not 0 < exponent <= MOST_EXPONENT:
        raise ConfigError(
            f"ensemble: power: exponent = {exponent:g}: must be above 0 and at most {MOST_EXPONENT}; for 0, use geometric"
        )
    mean = np.average(np.clip(stack, 0, 1) ** exponent, axis=0, weights=weights) ** (1 / exponent)
    return mean / np.clip(mean.sum(axis=1, keepdims=True), TINY, None)


def vote(stack: Array, weights: Sequence[float]) -> Array:
    """Weighted share of the members whose most probable class it is; ties are decided by the mean probability.

    The mean probability has a share of `OF_MEAN` in the result, so that classes with equal votes have its order.
    """
    chosen = stack.argmax(axis=2)[..., None] == np.arange(stack.shape[2])
    votes = np.average(chosen, axis=0, weights=weights)
    return (1 - OF_MEAN) * votes + OF_MEAN * probability(stack, weights)


def mean_ranks(stack: Iterable[Array], weights: Sequence[float]) -> Array:
    """Weighted mean over members of the rank of each *image* within its class, ties averaged, scaled to (0, 1]."""
    return _mean_and_ranks(stack, weights)[1]


def rank(stack: Iterable[Array], weights: Sequence[float]) -> Array:
    """Rank average: within each class, the sorted mean probabilities, reassigned to images in the order of `mean_ranks`.

    Using probabilities instead of plain ranks, which would make all classes equally frequent, keeps classes comparable,
    so that the argmax still gives the most probable class. The order within a class, all that a ranking metric uses, is
    that of the mean ranks; rows need not sum to one. Members are read one after the other.
    """
    mean, ranks = _mean_and_ranks(stack, weights)
    for c in range(mean.shape[1]):
        levels = np.sort(mean[:, c])
        places = (rankdata(ranks[:, c]) - 1).clip(0, len(levels) - 1)
        mean[:, c] = np.interp(places, np.arange(len(levels)), levels)
    return mean


def _mean_and_ranks(stack: Iterable[Array], weights: Sequence[float]) -> tuple[Array, Array]:
    """Weighted means over members of probabilities and of scaled ranks; sums are in the order of ``np.average``."""
    given = np.asarray(weights, dtype=float)
    mean, ranks = None, None
    for values, weight in zip(stack, given, strict=True):
        if mean is None or ranks is None:
            mean, ranks = values * weight, np.empty(values.shape)
            for c in range(values.shape[1]):
                ranks[:, c] = rankdata(values[:, c]) * weight
            continue
        mean += values * weight
        for c in range(values.shape[1]):
            ranks[:, c] += rankdata(values[:, c]) * weight
    if mean is None or ranks is None:
        raise ValueError("there is no member to average")
    total = given.reshape(-1, 1, 1).sum(axis=0)
    mean /= total
    ranks /= total
    ranks /= len(ranks)
    return mean, ranks


BY_IMAGE = ("probability", "geometric", "logit", "power", "vote")
"""Averages in which the result of an image depends on no other image, by name: a job depends on the code of its own alone."""
BY_MEMBER = ("rank",)
"""Averages that read the stack one member after the other, once, and make each column of the result from this column alone."""


def is_by_image(average: Callable[..., Any]) -> bool:
    """Return whether the result of an image depends on no other image; False for averages of the user's own."""
    return _name(average) in BY_IMAGE


def is_by_member(average: Callable[..., Any]) -> bool:
    """Return whether members may be given one after the other, instead of as an array."""
    return _name(average) in BY_MEMBER


def _name(average: Callable[..., Any]) -> str:
    """Name of an average of this module; empty for one of the user's own."""
    function, _ = parts_of(average)
    return function.__name__ if getattr(function, "__module__", "") == __name__ else ""
