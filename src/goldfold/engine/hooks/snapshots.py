"""Weights at the ends of cycles of the schedule."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from goldfold.base.errors import TrainingError
from goldfold.engine.hooks import Hook
from goldfold.engine.state import Training, weights_of
from goldfold.planning.origins import snapshot_file


class Snapshots(Hook):
    """Keeps the weights at the end of each cycle but the last, which is the end of the training (Huang et al. 2017).

    They are those that would be validated: of an average, if there is one.
    """

    def __init__(self, ends: Sequence[int]) -> None:
        """``ends``: numbers of updates after which the cycles end, see `goldfold.optim.cycles.cycle_ends`."""
        self.ends = list(ends[:-1])
        self.weights: dict[str, dict[str, Tensor]] = {}
        """Weights of each snapshot by its number, from 1; text, as keys of JSON."""

    def after_step(self, training: Training) -> None:
        """Keep the weights, if a cycle ends with this update."""
        if training.n_updates in self.ends:
            self.weights[str(self.ends.index(training.n_updates) + 1)] = weights_of(training.scored)

    def files(self) -> dict[str, dict[str, Tensor]]:
        """Return the weights of each snapshot, by the name of its file.

        Raises:
            TrainingError: a cycle did not end, since the fp16 scaler skipped its updates.
        """
        if len(self.weights) < len(self.ends):
            raise TrainingError(
                f"{len(self.ends) - len(self.weights)} of {len(self.ends)} snapshots were not taken: too many steps were skipped "
                f"under fp16. Use bf16 or fp32 (runtime.precision), or a smaller lr."
            )
        return {snapshot_file(int(number)): weights for number, weights in self.weights.items()}

    def facts(self) -> dict[str, Any]:
        """Return the number of updates before each snapshot."""
        return {"after_updates": self.ends}

    def state_dict(self) -> dict[str, Any]:
        """Return the snapshots so far."""
        return {"weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the snapshots."""
        self.weights = state_dict["weights"]
