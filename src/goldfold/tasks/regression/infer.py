"""Networks with one output, and predictions in units of the target."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from goldfold.tasks import logits as of_logits
from goldfold.tasks.protocol import Entries
from goldfold.tasks.regression.output import arrays, keys_of
from goldfold.tasks.regression.scale import keep, of_network
from goldfold.tasks.regression.spec import Spec

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

    from goldfold.cases import Inputs
    from goldfold.inference.views import View


class Infer:
    """Networks and their predictions; the arrays are described in `goldfold.tasks.regression.output.Output`."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def model(self, network: str, image_size: tuple[int, int], channels: int, **params: Any) -> nn.Module:
        """Build a network with one output, the scaled number."""
        made = of_logits.network(network, 1, image_size, channels, **params)
        keep(made, self.spec.scale)
        return made

    def predict(self, model: nn.Module, inputs: Inputs, views: Sequence[View]) -> dict[str, Any]:
        """Predict ``values`` (batch,), the mean over the views, and ``spreads`` (batch,), their standard deviation.

        ``scales`` (batch,) is the spread of the training targets of the network.
        """
        middle, spread = of_network(model) or self.spec.scale
        outputs = [model(inputs.map(view.forward))[:, 0].double().cpu().numpy() for view in views]
        stack = np.stack(outputs) * spread + middle
        return {"values": stack.mean(axis=0), "spreads": stack.std(axis=0), "scales": np.full(stack.shape[1], spread)}

    def pack(
        self, table: pd.DataFrame, parts: Iterable[dict[str, Any]], frame: tuple[int, int] = (0, 0), resize: str = ""
    ) -> Entries:
        """Concatenate the batches."""
        listed = list(parts)
        found = [np.concatenate([np.zeros(0), *(part[key] for part in listed)]) for key in keys_of(listed)]
        return arrays(self.spec.classes, table["id"].to_numpy(dtype=str), *found).items()
