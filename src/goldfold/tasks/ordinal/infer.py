"""Networks whose outputs become log-probabilities of ordered classes, which are their logits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from goldfold.tasks import logits as of_logits
from goldfold.tasks.classification.infer import Infer as Labels
from goldfold.tasks.ordinal.spec import Spec
from goldfold.tasks.protocol import Entries

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

    from goldfold.cases import Inputs
    from goldfold.inference.views import View


class Infer:
    """Predictions of a member have ``logits`` float32 (n, classes)."""

    def __init__(self, spec: Spec) -> None:
        self.spec, self.labels = spec, Labels(spec.labels)

    def model(self, network: str, image_size: tuple[int, int], channels: int, **params: Any) -> nn.Module:
        """Build a network with the outputs of the link, and the link after it."""
        from goldfold.models.ordinal_link import OrdinalLink, n_outputs

        kind, n = self.spec.link, len(self.spec.classes)
        made = of_logits.network(network, n_outputs(kind, n), image_size, channels, **params)
        made.link = OrdinalLink(kind, n)
        return made

    def predict(self, model: nn.Module, inputs: Inputs, views: Sequence[View]) -> dict[str, Any]:
        """Predict ``logits``: of one view unchanged, of several the log of the mean probability."""
        return self.labels.predict(model, inputs, views)

    def pack(
        self, table: pd.DataFrame, parts: Iterable[dict[str, Any]], frame: tuple[int, int] = (0, 0), resize: str = ""
    ) -> Entries:
        """Concatenate the batches."""
        return self.labels.pack(table, parts, frame, resize)
