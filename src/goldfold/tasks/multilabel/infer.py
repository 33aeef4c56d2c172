"""Networks with an output per class, and their logits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from goldfold.tasks import logits as of_logits
from goldfold.tasks.multilabel.spec import Spec
from goldfold.tasks.protocol import Entries

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor, nn

    from goldfold.inference.views import View


class Infer:
    """A member's predictions hold ``logits`` float32 (n, classes)."""

    def __init__(self, spec: Spec) -> None:
        self.classes = spec.classes

    def model(self, network: str, image_size: tuple[int, int], channels: int, **params: Any) -> nn.Module:
        """Network with a head of one output a class."""
        return of_logits.network(network, len(self.classes), image_size, channels, **params)

    def predict(self, model: nn.Module, images: Tensor, views: Sequence[View]) -> dict[str, Any]:
        """``logits``: of one view as the network gives them, of several the log odds of the mean probability."""
        import torch
        from torch.nn import functional

        outputs = [model(view.forward(images)).float() for view in views]
        if len(outputs) == 1:
            return {"logits": outputs[0].cpu().numpy()}
        stack = torch.stack(outputs)
        yes, no = (torch.logsumexp(functional.logsigmoid(sign * stack), dim=0) for sign in (1, -1))
        return {"logits": (yes - no).cpu().numpy()}

    def pack(
        self, table: pd.DataFrame, parts: Iterable[dict[str, Any]], frame: tuple[int, int] = (0, 0), resize: str = ""
    ) -> Entries:
        """Batches one below the other."""
        return of_logits.packed(table["id"], parts, self.classes)
