"""Links from the outputs of a network to probabilities of ordered classes."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Kind = Literal["cumulative", "proportional", "conditional"]
LEAST_GAP = 1e-6
"""Least distance of two logits, so that no class has probability 0."""


def n_outputs(kind: Kind, n_classes: int) -> int:
    """Return the number of outputs of the network: one score, or one output between each class and the next."""
    return 1 if kind == "proportional" else n_classes - 1


class OrdinalLink(nn.Module):
    """Turns outputs (batch, outputs) into log-probabilities (batch, classes), which are logits of a softmax too.

    - ``cumulative``: output k gives the logit of P(class > k), as K - 1 binary labels (Frank & Hall 2001); from the second
      output on, the softplus of an output is the distance to the logit before, so that the logits decrease.
    - ``proportional``: one score, compared with K - 1 cut points that are learned and ordered: the proportional odds model
      (McCullagh 1980), whose outputs share all weights but the bias as in CORAL (Cao et al. 2020).
    - ``conditional``: output k is the logit of P(class > k, given class >= k), as in CORN (Shi et al. 2021).

    Outputs of 0 give all classes the same probability.
    """

    raw: Tensor

    def __init__(self, kind: Kind, n_classes: int) -> None:
        super().__init__()
        self.kind = kind
        places = torch.arange(1, n_classes, dtype=torch.float64)
        cuts = torch.logit(places / n_classes)  # classes of equal probability lie between them
        raw = torch.cat([cuts[:1], (cuts.diff()).expm1().log()])
        if kind == "conditional":
            raw = torch.logit((n_classes - places) / (n_classes - places + 1))
        if kind == "proportional":
            self.raw = nn.Parameter(raw.float())
        else:
            self.register_buffer("raw", raw.float())

    def forward(self, outputs: Tensor) -> Tensor:
        """Return log-probabilities (batch, classes), float32."""
        with torch.autocast(outputs.device.type, enabled=False):
            outputs = outputs.float()
            return self._conditional(outputs + self.raw) if self.kind == "conditional" else self._ordered(outputs)

    def _ordered(self, outputs: Tensor) -> Tensor:
        """Classes between decreasing logits of P(class > k): the difference of two neighbours' sigmoids."""
        own = outputs[:, 1:] if self.kind == "cumulative" else outputs.new_zeros((len(outputs), len(self.raw) - 1))
        gaps = functional.softplus(own + self.raw[1:]) + LEAST_GAP
        after = gaps @ self._later(len(self.raw) - 1)
        above = torch.cat([outputs[:, :1], outputs[:, :1] - after], dim=1) - self.raw[0]
        below, over = functional.logsigmoid(-above), functional.logsigmoid(above)
        between = over[:, :-1] + below[:, 1:] + (-torch.expm1(-gaps)).log()  # s(a) - s(b) = s(a) s(-b) (1 - exp(b - a))
        return torch.cat([below[:, :1], between, over[:, -1:]], dim=1)

    def _conditional(self, outputs: Tensor) -> Tensor:
        """Classes that were reached and not passed."""
        stays, passes = functional.logsigmoid(-outputs), functional.logsigmoid(outputs)
        reached = passes @ self._later(len(self.raw))
        return torch.cat([stays[:, :1], reached[:, :-1] + stays[:, 1:], reached[:, -1:]], dim=1)

    def _later(self, n: int) -> Tensor:
        """Matrix (n, n) that sums up to each column; a cumulative sum has no deterministic form on GPUs."""
        return torch.ones(n, n, device=self.raw.device).triu()
