"""Losses of a student against the softened predictions of its teacher, one class per kind of target.

``rows`` makes the targets from probabilities, so that a fused prediction teaches as a single one does, and targets of mixed
samples are their weighted sums; the call gives one loss per sample, (batch,).
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from goldfold.losses.numeric import at_least_float32, number

Rows = NDArray[np.float32]


class Classes:
    """Kullback-Leibler divergence of softened predictions from the teacher's, x temperature^2 (Hinton et al. 2015, sec. 2).

    The factor keeps the size of the gradient: at high temperatures it approaches the difference of the centred logits, divided
    by the number of classes, whatever the temperature.
    """

    def __init__(self, temperature: float = 2.0) -> None:
        self.temperature = _valid(temperature)

    def rows(self, probabilities: NDArray[np.float64]) -> Rows:
        """Return softmax(log p / temperature), (n, classes): the softened logits of which p is the softmax."""
        logs = np.log(np.clip(probabilities, np.finfo(float).tiny, None)) / self.temperature
        powers = np.exp(logs - logs.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)

    def __call__(self, logits: Tensor, teacher: Tensor) -> Tensor:
        """Compute the loss of logits (batch, classes) against rows (batch, classes)."""
        own = functional.log_softmax(at_least_float32(logits) / self.temperature, dim=-1)
        return functional.kl_div(own, teacher, reduction="none").sum(dim=-1) * self.temperature**2


class Labels:
    """The same for independent labels: the divergence of each binary prediction, mean over the labels."""

    def __init__(self, temperature: float = 2.0) -> None:
        self.temperature = _valid(temperature)

    def rows(self, probabilities: NDArray[np.float64]) -> Rows:
        """Return sigmoid(log odds of p / temperature), (n, labels)."""
        logs = (
            np.log(np.clip(np.stack([probabilities, 1 - probabilities]), np.finfo(float).tiny, None)) / self.temperature
        )
        yes, no = np.exp(logs - logs.max(axis=0))
        return np.asarray(yes / (yes + no), np.float32)

    def __call__(self, logits: Tensor, teacher: Tensor) -> Tensor:
        """Compute the loss of logits (batch, labels) against rows (batch, labels)."""
        scaled = at_least_float32(logits) / self.temperature
        yes = functional.kl_div(functional.logsigmoid(scaled), teacher, reduction="none")
        no = functional.kl_div(functional.logsigmoid(-scaled), 1 - teacher, reduction="none")
        return (yes + no).mean(dim=-1) * self.temperature**2


class Numbers:
    """Squared error to the teacher's number, on the scale of the training targets."""

    def __init__(self, middle: float, spread: float) -> None:
        self.middle, self.spread = middle, spread

    def rows(self, values: NDArray[np.float64]) -> Rows:
        """Return the scaled numbers, (n, 1)."""
        return np.asarray((values - self.middle) / self.spread, np.float32)[:, None]

    def __call__(self, outputs: Tensor, teacher: Tensor) -> Tensor:
        """Compute the loss of outputs (batch, 1) against rows (batch, 1)."""
        return torch.square(at_least_float32(outputs) - teacher).mean(dim=-1)


def similarity(features: Tensor, teacher: Tensor) -> Tensor:
    """Similarity-preserving loss (Tung and Mori 2019, eq. 1 to 4): scalar, mean squared difference of two matrices.

    Rows of the matrices are the normalised inner products of a case's features with those of all cases of the batch; that of
    the teacher is the mean over its seeds. Networks may have features of different lengths.

    Args:
        features: (batch, d) of the student.
        teacher: (batch, seeds, e).
    """
    with torch.autocast(features.device.type, enabled=False):
        own, others = features.float(), teacher.float().transpose(0, 1)
        mine = functional.normalize(own @ own.T, dim=1)
        theirs = functional.normalize(others @ others.transpose(1, 2), dim=2).mean(dim=0)
        return torch.square(mine - theirs).mean()


def _valid(temperature: float) -> float:
    number("temperature", temperature, "above 0", lambda value: value > 0)
    return temperature
