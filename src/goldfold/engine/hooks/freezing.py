"""Freezing of parts of a network, and unfreezing by epoch."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from goldfold.engine.hooks import Hook
from goldfold.engine.state import Training


class Freezing(Hook):
    """Freezes parameters in ranges of epochs; their batch norm keeps its statistics, as in prediction.

    A frozen parameter gets no gradient, so the optimizer leaves it as it is, without weight decay and state; when it is
    unfrozen, its state begins as that of a new optimizer, with the learning rate of the schedule.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        ranges: Sequence[tuple[int, set[str]]],
        table: Callable[[], Sequence[str]],
    ) -> None:
        """Take a network and its optimizer before the first step.

        Args:
            optimizer: with a ``trained_from`` in its groups of parameters.
            ranges: first epoch and names of the frozen parameters, in order of epochs, each range with fewer than before.
            table: lines of the log that describe the parts of the network.
        """
        self.network, self.optimizer, self.ranges, self.table = network, optimizer, ranges, table
        self.groups = [{key: group[key] for key in group if key != "params"} for group in optimizer.param_groups]
        """Settings of the groups before the first step, without what optimizers count in them."""
        self.began = 0
        """Number of the range that the last epoch was in."""
        self.shown = -1

    def before_epoch(self, training: Training) -> None:
        """Freeze what is frozen in the epoch."""
        epoch = len(training.history)
        number = sum(first <= epoch for first, _ in self.ranges) - 1
        frozen = self.ranges[number][1]
        self._freeze(frozen)
        if number > self.began:
            self._renew(self.ranges[self.began][0], self.ranges[number][0])
            self.began = number
        if number != self.shown:
            lines = self.table()
            print(f"from epoch {self.ranges[number][0]} on:", *lines, sep="\n", flush=True)
            self.shown = number

    def _freeze(self, frozen: set[str]) -> None:
        """Let the gradients of other parameters be computed, and put frozen batch norm into evaluation mode."""
        fixed = {id(value) for group in self.optimizer.param_groups if is_fixed(group) for value in group["params"]}
        for name, value in self.network.named_parameters():
            value.requires_grad_(name not in frozen and id(value) not in fixed)
        for place, layer in self.network.named_modules():
            if "running_mean" in layer._buffers and self._is_within(place, frozen):
                layer.eval()

    def _is_within(self, place: str, frozen: set[str]) -> bool:
        """Return whether a layer, or if it has no parameters the smallest part around it that has some, is frozen."""
        while True:
            names = [f"{place}.{name}" for name, _ in self.network.get_submodule(place).named_parameters()]
            if names or not place:
                return bool(names) and frozen.issuperset(names)
            place = place.rpartition(".")[0]

    def _renew(self, before: int, epoch: int) -> None:
        """Begin the state of the optimizer anew for parameters that are unfrozen after one range and up to another."""
        for group, settings in zip(self.optimizer.param_groups, self.groups, strict=True):
            if before < group["trained_from"] <= epoch:
                for key in group.keys() - settings.keys() - {"params"}:
                    del group[key]
                group.update(settings)
                for value in group["params"]:
                    self.optimizer.state.pop(value, None)

    def facts(self) -> list[dict[str, int]]:
        """Return the first epoch of each range, and the number of parameters that are frozen in it."""
        sizes = {name: value.numel() for name, value in self.network.named_parameters()}
        return [{"epoch": epoch, "frozen": sum(sizes[name] for name in frozen)} for epoch, frozen in self.ranges]

    def state_dict(self) -> dict[str, Any]:
        """Return the number of the range."""
        return {"began": self.began}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the number of the range."""
        self.began = state_dict["began"]


def is_fixed(group: Mapping[str, Any]) -> bool:
    """Return whether a group of parameters is frozen in all epochs by its scale of the learning rate."""
    return group.get("lr_scale") == 0
