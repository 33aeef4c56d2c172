"""torch.compile of a network for its training steps; validation and prediction run the same weights uncompiled."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from goldfold.base.errors import cause
from goldfold.engine.seeding import seeded
from goldfold.models.wrapping import Normalised

if TYPE_CHECKING:
    from collections.abc import Iterable

    from goldfold.engine.gradient import Gradient
    from goldfold.engine.loop import Pause, Validate

BACKEND: Any = "inductor"
"""Compiler of torch.compile."""
MOST_REASON = 300
"""Most characters of a reason."""


def compiled(gradient: Gradient, batches: Iterable[Any], lacks_images: bool) -> str | None:
    """Compile the network in place, so that its state keeps its names; return why it was left as it is, else None.

    A copy is compiled first, and computes the gradients of some batches: a compiler that is missing and a graph that cannot
    be compiled show only there. Each shape is compiled for itself (``dynamic=False``); otherwise code, and so results,
    would depend on the shapes seen before, and a resumed run would differ.

    Args:
        batches: a batch of each size of training.
        lacks_images: whether cases lack images, so that the number of images differs from batch to batch.
    """
    if lacks_images:
        return "some cases lack images, so that each batch would be compiled for its own number of images"
    try:
        _try(gradient, batches)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # the compiler may raise anything
        return " ".join(cause(error).split())[:MOST_REASON]
    _compile(gradient.network)
    return None


def uncompiled(validate: Validate) -> Validate:
    """Wrap validation so that it runs the network as prediction will."""

    def run(network: nn.Module, pause: Pause) -> Any:
        with torch.compiler.set_stance("force_eager"):
            return validate(network, pause)

    return run


def _try(gradient: Gradient, batches: Iterable[Any]) -> None:
    """Compute the gradient of each batch with a compiled copy of the network.

    Raises:
        Exception: it cannot be compiled; the type depends on the reason.
    """
    network, accelerator = copy.deepcopy(gradient.network).train(), gradient.accelerator
    _compile(network)
    for batch in batches:
        with seeded("compile"):
            with accelerator.autocast():
                loss = gradient.loss(network, batch.to(accelerator.device)).total
            torch.autograd.backward(loss)


def _compile(network: nn.Module) -> None:
    """Compile the part of a network that takes images of one size."""
    part = network.network if isinstance(network, Normalised) else network
    part.compile(backend=BACKEND, dynamic=False)
