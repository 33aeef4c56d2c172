"""The state of a training: how far it is, and what is saved so that it can go on."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from torch import Tensor, nn

from goldfold.engine.checkpoint import Stateful

State = dict[str, Any]


@dataclass
class Training:
    """How far a training is. Hooks read it; one that keeps an average of the weights sets ``scored``."""

    scored: nn.Module
    """The network that is validated and kept: the trained one, or an average of it."""
    step: int = 0
    """Steps done since the start."""
    n_updates: int = 0
    """Steps that changed the weights: the scaler of fp16 skips a step whose gradient overflows."""
    losses: list[dict[str, float]] = field(default_factory=list)
    """Of each step of the running epoch: the total as ``train_loss``, and its parts, where it has several."""
    history: list[dict[str, float]] = field(default_factory=list)
    """A row per epoch that is done."""
    resumed_at_step: list[int] = field(default_factory=list)

    def state_dict(self) -> State:
        """All but the network."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "scored"}

    def load_state_dict(self, state_dict: State) -> None:
        """Take over what `state_dict` gave, in a run that goes on from there."""
        for name, value in state_dict.items():
            setattr(self, name, value)
        self.resumed_at_step = [*self.resumed_at_step, self.step]

    def end_epoch(self, lr: float, scores: Mapping[str, float]) -> None:
        """Add a row to the history: mean losses of the steps, the last learning rate, the scores."""
        means = {name: math.fsum(step[name] for step in self.losses) / len(self.losses) for name in self.losses[0]}
        self.history.append({"epoch": len(self.history), **means, "lr": lr, **scores})
        self.losses = []


def saved(parts: Mapping[str, Stateful]) -> State:
    """All that training goes on from; whatever is random is a function of counters, and needs no state."""
    return {name: part.state_dict() for name, part in parts.items()}


def restore(parts: Mapping[str, Stateful], state: State) -> None:
    """Put each part back into the state that `saved` found it in."""
    for name, part in parts.items():
        part.load_state_dict(state[name])


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """A copy of all weights and buffers, on the CPU."""
    return {name: value.detach().cpu().clone().contiguous() for name, value in model.state_dict().items()}
