"""Stochastic weight averaging."""

import math
from collections.abc import Callable
from typing import Any, Literal

from torch import nn
from torch.optim.swa_utils import AveragedModel

from goldfold.base.errors import ConfigError
from goldfold.engine.hooks import Context, Hook
from goldfold.engine.hooks.checks import number, whole
from goldfold.engine.state import Training, unscaled
from goldfold.engine.statistics import frozen_statistics, update_statistics

ANNEALED: dict[str, Callable[[float], float]] = {
    "cosine": lambda share: (1 - math.cos(math.pi * share)) / 2,
    "linear": lambda share: share,
}
"""Share of the way to the rate of SWA, by share of its epochs of annealing, as in torch's SWALR."""


class Swa(Hook):
    """Averages the weights at the ends of the last epochs (Izmailov et al. 2018, algorithm 1, by torch's swa_utils).

    The average is validated and saved, with batch norm statistics of its own: before each validation, they are computed from
    all training images (torch's update_bn), as the network sees them in prediction.
    """

    def __init__(
        self,
        network: nn.Module,
        start: float = 0.75,
        lr: float | None = None,
        anneal_epochs: float = 1.0,
        anneal: Literal["cosine", "linear"] = "cosine",
        every_epochs: int = 1,
    ) -> None:
        """See the arguments.

        Args:
            start: share of the epochs that are trained before, below 1.
            lr: learning rate from there on, instead of the schedule's; None: the schedule's.
            anneal_epochs: epochs over which the rate moves to ``lr``.
            every_epochs: epochs between two averaged networks; the last epoch is always one of them.
        """
        number(start=start, anneal_epochs=anneal_epochs, **({} if lr is None else {"lr": lr}))
        if not 0 <= start < 1:
            raise ConfigError(f"start = {start:g}: must be a share of the epochs, from 0 to below 1")
        if lr is not None and not lr > 0:
            raise ConfigError(f"lr = {lr:g}: must be above 0; leave it out to keep the rate of the schedule")
        if not anneal_epochs >= 0:
            raise ConfigError(f"anneal_epochs = {anneal_epochs:g}: must be at least 0")
        if not isinstance(anneal, str) or anneal not in ANNEALED:
            raise ConfigError(f"anneal = {anneal!r}: must be cosine or linear")
        whole("every_epochs", every_epochs, 1, "epochs")
        self.network, self.start, self.lr, self.every_epochs = network, start, lr, every_epochs
        self.anneal_epochs, self.anneal = anneal_epochs, anneal
        self.average = AveragedModel(network)
        self.n_updates = -1
        """Updates of the weights before the network that was averaged last."""
        self.rates: list[float] = []
        """Rate of each group of parameters, and after it the number of updates, when SWA began; empty before."""

    def before_training(self, context: Context) -> None:
        """Keep the context."""
        self.context = context

    @property
    def n_averaged(self) -> int:
        """Number of networks in the average."""
        return int(self.average.n_averaged)

    def before_epoch(self, training: Training) -> None:
        """Select the average for validation, once there is one."""
        if self.n_averaged:
            training.scored = self.average.module

    def before_step(self, training: Training) -> None:
        """Replace the learning rate of the schedule."""
        if self.lr is None or not self._has_begun(training):
            return
        groups = self.context.optimizer.param_groups
        if not self.rates:
            self.rates = [*(float(group["lr"]) for group in groups), float(training.n_updates)]
        *rates, began = self.rates
        n_steps = self.anneal_epochs * self.context.steps_per_epoch
        share = min(1.0, (training.n_updates - began) / n_steps) if n_steps else 1.0
        way, base = ANNEALED[self.anneal](share), unscaled(rates, groups)
        for group, rate in zip(groups, rates, strict=True):
            own = self.lr * (rate / base if base else 1.0)  # groups with rates of their own keep their proportions
            group["lr"] = way * own + (1 - way) * rate

    def after_steps(self, training: Training, is_validated: bool) -> None:
        """Average the network, if its epoch is due, and compute the statistics of the average for its validation."""
        left = self.context.epochs - 1 - len(training.history)
        is_due = left % self.every_epochs == 0 or training.stopped is not None
        if self._has_begun(training) and is_due and training.n_updates > self.n_updates:
            self.average.update_parameters(self.network)
            self.n_updates = training.n_updates
        if self.n_averaged:
            training.scored = self.average.module
            if is_validated:
                kept = frozen_statistics(self.network)
                update_statistics(self.average.module, self.context.training_batches(), self.context.forward, kept)

    def _has_begun(self, training: Training) -> bool:
        return len(training.history) >= first_epoch(self.start, self.context.epochs)

    def facts(self) -> dict[str, Any]:
        """Return the number of networks in the average, 0 for a training that ended before SWA began."""
        return {"averaged": self.n_averaged}

    def state_dict(self) -> dict[str, Any]:
        """Return the average, and the rates at its beginning."""
        return {"average": self.average.state_dict(), "n_updates": self.n_updates, "rates": self.rates}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the average and the rates."""
        self.average.load_state_dict(state_dict["average"])
        self.n_updates, self.rates = state_dict["n_updates"], state_dict["rates"]


def first_epoch(start: float, epochs: int) -> int:
    """Number of epochs before SWA begins."""
    return math.floor(start * epochs)
