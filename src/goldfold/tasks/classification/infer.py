"""Networks with one output per class, and their logits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from goldfold.tasks import logits as of_logits
from goldfold.tasks.classification.spec import Spec
from goldfold.tasks.protocol import Entries

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor, nn

    from goldfold.cases import Inputs
    from goldfold.inference.views import View


class Infer:
    """Predictions of a member have ``logits`` float32 (n, classes)."""

    def __init__(self, spec: Spec) -> None:
        self.classes = spec.classes

    def model(self, network: str, image_size: tuple[int, int], channels: int, **params: Any) -> nn.Module:
        """Build a network with one output per class."""
        return of_logits.network(network, len(self.classes), image_size, channels, classes=self.classes, **params)

    def predict(self, model: nn.Module, inputs: Inputs, views: Sequence[View]) -> dict[str, Any]:
        """Predict ``logits``: of one view unchanged, of several the log of the mean probability."""
        return of_logits.predicted(model, inputs, views, _log_mean)

    def pack(
        self, table: pd.DataFrame, parts: Iterable[dict[str, Any]], frame: tuple[int, int] = (0, 0), resize: str = ""
    ) -> Entries:
        """Concatenate the batches."""
        return of_logits.packed(table["id"], parts, self.classes)


def _log_mean(stack: Tensor) -> Tensor:
    """Return the log of the mean probability over the views (views, batch, classes)."""
    import torch

    return torch.logsumexp(torch.log_softmax(stack, dim=-1), dim=0) - float(np.log(len(stack)))
