"""Update rules: how a step comes from the gradient. A rule is a function here and a line in ``goldfold.catalog.UPDATES``.

Arguments and result of all of them:
    network: whose weights are changed.
    gradient: leaves the gradient of the step's loss in the network, at the weights that it has then, in place of any
        earlier one; the losses are returned. Each call of a step draws the same random numbers.
    step: has the optimizer take a step with the gradient, after hooks (clipping) have seen it; called once.
    more parameters, each with a default: those of the rule, which a config can set.
    Returns the losses that go into the history: those at the weights before the step.
"""

from collections.abc import Callable

from torch import nn

Losses = dict[str, float]
Update = Callable[[nn.Module, Callable[[], Losses], Callable[[], None]], Losses]


def plain(network: nn.Module, gradient: Callable[[], Losses], step: Callable[[], None]) -> Losses:
    """One gradient, one step."""
    losses = gradient()
    step()
    return losses
