"""Update rules, which turn gradients into steps. A rule is a function here and a line in ``goldfold.catalog.UPDATES``.

Arguments and result of all rules:
    network: the network whose weights are updated.
    gradient: computes the gradient of the step's loss at the current weights, replacing any earlier gradient, and
        returns the losses. All calls within a step draw the same random numbers.
    step: calls the hooks (clipping) and then the optimizer step; called once.
    further parameters, each with a default: parameters of the rule, set in the config.
    Returns the losses for the history: those at the weights before the step.
"""

from collections.abc import Callable

from torch import nn

Losses = dict[str, float]
Update = Callable[[nn.Module, Callable[[], Losses], Callable[[], None]], Losses]


def plain(network: nn.Module, gradient: Callable[[], Losses], step: Callable[[], None]) -> Losses:
    """Compute one gradient and take one step."""
    losses = gradient()
    step()
    return losses
