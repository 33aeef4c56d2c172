"""Try loss, augmentation and metric of a model on made-up values before any job runs."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from goldfold import catalog, components
from goldfold.base.errors import ConfigError
from goldfold.commands.augmentation_trial import check_augmentations, failed
from goldfold.commands.ensemble_trial import check_ensemble
from goldfold.config import kinds
from goldfold.generating.protocol import Given, problem
from goldfold.losses import class_weights, combined
from goldfold.targets.class_weights import by_name
from goldfold.tasks import facts

N_CASES = 8
"""Made-up number of training cases of each class."""
SIDE = 32
"""Height and width of the made-up masks."""


def _of_label(n: int) -> tuple[Tensor, ...]:
    return torch.randn(2, n), torch.eye(n)[[0, n - 1]]


def _of_labels(n: int) -> tuple[Tensor, ...]:
    return torch.randn(2, n), torch.eye(n)[[0, n - 1]], torch.ones(n)


def _of_value(n: int) -> tuple[Tensor, ...]:
    return torch.randn(2), torch.randn(2)


def _of_mask(n: int) -> tuple[Tensor, ...]:
    return torch.randn(2, n, SIDE, SIDE), torch.arange(2 * SIDE * SIDE).reshape(2, SIDE, SIDE) % 2


def _of_masks(n: int) -> tuple[Tensor, ...]:
    return torch.randn(2, n, SIDE, SIDE), torch.arange(2 * n * SIDE * SIDE).reshape(2, n, SIDE, SIDE) % 2.0


MADE: dict[str, Callable[[int], tuple[Tensor, ...]]] = {
    "label": _of_label, "labels": _of_labels, "value": _of_value, "mask": _of_mask,
    "masks": _of_masks,
}  # fmt: skip
"""Target -> arguments of its losses: outputs of a network, targets of a batch of two, and further ones. `masks`: of classes
that may overlap."""


def check_components(model: Mapping[str, Any], n_classes: int) -> None:
    """Compute the loss and its gradient, augment an image and load the metric.

    Args:
        model: an entry of `goldfold.config.slices.network_checks` with ``train``.

    Raises:
        ConfigError: one of them fails.
    """
    known = facts(model["task"])
    if model["task"] in catalog.TASKS and known.target in MADE:  # other tasks call their losses as they like
        known_classes = model.get("n_classes")
        n = known_classes or _listed(model["train"]["loss"]) or n_classes
        _check_loss("masks" if model.get("overlap") else known.target, known.losses, model["train"], n)
    check_augmentations(model)
    if model.get("metric") is not None:
        _check_metric(model["metric"], known.metrics)
    if model.get("generated"):
        _check_generator(model)
    check_ensemble(model, model.get("n_classes") or n_classes)


class _Quiet:
    """Progress bar that shows nothing."""

    def __init__(self, total: int, unit: str) -> None:
        pass

    def advance(self, n: int = 1) -> None:
        """Do nothing."""

    close = advance


def _check_generator(model: Mapping[str, Any]) -> None:
    """Make images from two made-up ones, after one step."""
    height, width = model.get("cache_size", model["size"])
    drawn = np.random.default_rng(0).integers(256, size=(2, height, width, model["channels"]), dtype=np.uint8)
    generator, known = model["generated"]["generator"], facts(model["task"])
    classes = np.arange(2) if known.target == "label" else None
    given = Given(drawn, classes, 1, ("trial",), progress=_Quiet, is_trial=True)
    try:
        made = components.load(generator, catalog.GENERATORS[known.target], "generator")(given)
        wrong = problem(made, given)
    except Exception as error:
        raise failed("train.generated.generator", generator, error) from error
    if wrong:
        raise ConfigError(f"train.generated.generator {components.label(generator)}: {wrong}")


def _check_loss(target: str, entries: Mapping[str, str], train: Mapping[str, Any], n_classes: int) -> None:
    outputs, *others = MADE[target](n_classes)
    counts = [float(N_CASES)] * n_classes if target in kinds.COUNTED else None
    harden = partial(torch.argmax, dim=1) if target == "label" else lambda given: given
    given = {"overlap": True} if target == "masks" else {}
    try:
        total = combined(entries, train["loss"], counts, harden, given)(outputs.requires_grad_(), *others).total
        torch.autograd.backward(total.mean())
    except Exception as error:
        raise failed("train.loss", train["loss"], error) from error
    wanted = train.get("class_weights")
    if wanted is not None and not by_name(wanted):
        class_weights.weights(wanted, [str(place) for place in range(n_classes)], [float(N_CASES)] * n_classes)


def _listed(loss: components.Several) -> int:
    """Largest number of classes that the parameters of a loss list; 0 without lists."""
    params = [components.parse(part)[1] for part, _ in components.summed(loss)]
    return max((len(value) for one in params for value in one.values() if isinstance(value, list)), default=0)


def _check_metric(wanted: components.Written, entries: Mapping[str, str]) -> None:
    try:
        metric = components.load(wanted, entries, "metric")
    except Exception as error:
        raise failed("metric", wanted, error) from error
    if not callable(metric) and not hasattr(metric, "value"):
        raise ConfigError(
            f"metric = {wanted!r}: is {type(metric).__name__}, not a function; name a function or a Metric"
        )
