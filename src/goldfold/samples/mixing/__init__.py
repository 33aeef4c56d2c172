"""Mixing of training samples: each is mixed, or not, by draws of its own, whatever batch it is in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.counter import counter

Sample = dict[str, Any]
"""``id``, ``weight``, ``images`` (views, height, width, channels) uint8, ``present`` (views,), and fields of the target."""
Partner = Callable[[], Sample]
"""Draws another augmented training sample; each call draws a new one."""
Mix = Callable[[Sample, Partner, np.random.Generator], Sample]
"""(sample, partner, generator) -> the mixed sample, without changing its arguments."""
COMMON = ("id", "weight", "images", "present", "metadata")
"""Fields of a sample that are not of its target."""


@dataclass(frozen=True)
class Mixing:
    """Mixes samples by draws that depend on their stream alone."""

    mixes: Sequence[Mix]
    """A mixed sample uses one of them, each with equal probability."""
    probability: float
    """Probability that a sample is mixed."""
    rows: Callable[[int], NDArray[np.int64]]
    """Epoch -> its rows; partners are drawn from these, and so as often as the sampler takes them."""
    soft: Callable[[Sample], Sample] = lambda sample: sample
    """Returns a sample whose target can be mixed: a row of probabilities for a label."""

    def __call__(
        self,
        sample: Sample,
        augmented: Callable[[int, tuple[int | str, ...]], Sample],
        epoch: int,
        stream: tuple[int | str, ...],
    ) -> Sample:
        """Return the sample, mixed or not.

        Args:
            augmented: (row, stream) -> augmented sample.
            stream: names of the sample's own random numbers.
        """
        generator, soft = np.random.default_rng(counter(*stream, "mix")), self.soft(sample)
        if generator.random() >= self.probability:
            return soft
        mix, rows, numbers = self.mixes[int(generator.integers(len(self.mixes)))], self.rows(epoch), count()

        def partner() -> Sample:
            row = int(rows[generator.integers(len(rows))])
            return self.soft(augmented(row, (*stream, "mix", next(numbers))))

        return mix(soft, partner, generator)


def weighted_sum(values: Sequence[Any], shares: Sequence[float]) -> Any:
    """Sum of numbers or arrays by shares that add up to 1; exactly the first if all are equal."""
    first, *others = map(_real, values)
    return first + sum(share * (other - first) for other, share in zip(others, shares[1:], strict=True))


def mixed_weight(samples: Sequence[Mapping[str, Any]], shares: Sequence[float]) -> float:
    """Weight of a mixed sample in the loss."""
    return float(weighted_sum([sample["weight"] for sample in samples], shares))


def drawn_weight(
    samples: Sequence[Mapping[str, Any]], shares: Sequence[float], generator: np.random.Generator
) -> float:
    """Weight of one of the samples, drawn by the shares, whose mean is `mixed_weight`.

    For losses over a whole batch (Dice), which group its samples by weight: almost every sample of a mixed weight would be
    a group of its own. The draw is the last of a mix, so that images do not depend on it.
    """
    return float(samples[int(generator.choice(len(samples), p=shares))]["weight"])


def _real(value: Any) -> Any:
    """Return an array of whole numbers or truth values as float32; anything else as it is."""
    return value.astype(np.float32) if isinstance(value, np.ndarray) and value.dtype.kind in "biu" else value
