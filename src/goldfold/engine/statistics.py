"""Batch norm statistics of a network whose weights are an average, by torch's update_bn."""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import update_bn


def update_statistics(
    network: nn.Module,
    batches: Iterable[Any],
    forward: Callable[[nn.Module, Any], Any],
    kept: Collection[str] = (),
) -> None:
    """Replace the statistics of batch norm by those of ``batches``; a network without batch norm stays as it is.

    Args:
        forward: (network, inputs) -> outputs, as in prediction; a network in training mode updates its statistics.
        kept: names of the layers that keep their statistics.
    """
    left = {id(layer) for name, layer in network.named_modules() if name in set(kept)}
    if any(isinstance(layer, _BatchNorm) and id(layer) not in left for layer in network.modules()):
        update_bn(batches, _Statistics(network, forward, left).eval())


def frozen_statistics(network: nn.Module) -> list[str]:
    """Return the names of the batch norm layers in evaluation mode, of a network in training mode."""
    return [name for name, layer in network.named_modules() if isinstance(layer, _BatchNorm) and not layer.training]


class _Statistics(nn.Module):
    """A network as `update_bn` takes it: in its training mode, batch norm alone is in training mode, not dropout."""

    def __init__(self, network: nn.Module, run: Callable[[nn.Module, Any], Any], left: set[int]) -> None:
        super().__init__()
        self.network, self.run, self.left = network, run, left

    def modules(self, remove_duplicate: bool = True) -> Iterator[nn.Module]:
        """Yield all parts but the layers that keep their statistics."""
        yield from (part for part in super().modules() if id(part) not in self.left)

    def train(self, mode: bool = True) -> "_Statistics":
        """Set the mode of batch norm; the rest stays in evaluation mode."""
        super().train(False)
        for layer in self.modules():
            if isinstance(layer, _BatchNorm):
                layer.train(mode)
        return self

    def forward(self, inputs: Any) -> Tensor:
        """Return the outputs of the network."""
        outputs: Tensor = self.run(self.network, inputs)
        return outputs
