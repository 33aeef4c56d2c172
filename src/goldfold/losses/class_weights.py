"""Weights of classes: given, or computed from the number of training cases of each class.

A function of the catalog (`CLASS_WEIGHTS`) takes ``counts`` (classes,), all above 0, and returns a positive weight per class,
in any scale: the weights are scaled to sum to the number of classes, so that the loss of a balanced data set is unchanged.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from goldfold import catalog, components
from goldfold.base.errors import ConfigError, cause
from goldfold.losses.numeric import by_device, number
from goldfold.targets.class_weights import by_name, unknown


def inverse_frequency(counts: Tensor) -> Tensor:
    """1 / number of training cases of the class."""
    return 1 / counts


def effective_number(counts: Tensor, beta: float = 0.999) -> Tensor:
    """1 / effective number of training cases, (1 - beta^n) / (1 - beta) (Cui et al. 2019); beta 0: no weights."""
    number("beta", beta, "of at least 0 and below 1", lambda value: 0 <= value < 1)
    log_beta = torch.tensor(beta, dtype=torch.float64).log()
    return (1 - beta) / -torch.expm1(counts.double() * log_beta.to(counts.device))


def balanced(counts: Tensor, beta: float) -> Tensor:
    """Weights of `effective_number`, scaled, float32."""
    return _scaled(effective_number(counts.clamp(min=1), beta), counts)


def weights(wanted: components.Written, classes: Sequence[str], counts: Sequence[float] | None) -> Tensor:
    """Weight of each class as in the config's ``train.class_weights``, (classes,), float32; they sum to the number of classes.

    Args:
        wanted: weight by class name (1 for classes that it does not name), or an entry of `CLASS_WEIGHTS`.
        classes: names of the classes, in the order of the network's outputs.
        counts: number of labelled training cases of each class; one without any has weight 1.

    Raises:
        ConfigError: an unknown class, or weights that cannot be computed.
    """
    if by_name(wanted):
        for problem in unknown(wanted, classes):
            raise ConfigError(f"train.class_weights: {problem}")
        values: Mapping[str, float] = dict(wanted)  # type: ignore[arg-type]
        return _scaled(torch.tensor([float(values.get(name, 1.0)) for name in classes]), torch.ones(len(classes)))
    if counts is None:
        raise ConfigError("train.class_weights: the number of training cases of each class is not known here")
    return _computed(wanted, torch.tensor(counts, dtype=torch.float32))


def of_targets(
    wanted: components.Written | None, classes: Sequence[str], counts: Sequence[float] | None
) -> Callable[[Tensor], Tensor] | None:
    """Return a function of targets (batch, classes), rows that sum to one, to weights (batch,); arguments as in `weights`.

    The weight of a soft target is the mean of its classes' weights. None: without class weights.
    """
    if wanted is None:
        return None
    on = by_device(weights(wanted, classes, counts))
    return lambda target: (target * on(target.device)).sum(dim=-1)


def _computed(wanted: components.Written, counts: Tensor) -> Tensor:
    where = f"train.class_weights = {wanted!r}"
    function = components.load(wanted, catalog.CLASS_WEIGHTS, "weighting of classes")
    try:
        found = torch.as_tensor(function(counts.clamp(min=1)), dtype=torch.float64)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    except Exception as error:  # a user-defined function may raise anything
        raise ConfigError(f"{where} fails: {type(error).__name__}: {cause(error)}") from error
    if found.shape != counts.shape or not (found.isfinite() & (found > 0)).all():
        raise ConfigError(f"{where}: returns {found.tolist()}, where {len(counts)} finite weights above 0 are needed")
    return _scaled(found, counts)


def _scaled(values: Tensor, counts: Tensor) -> Tensor:
    """Scale the weights of classes with cases to a mean of 1; others have weight 1."""
    has_cases = counts > 0
    mean = (values * has_cases).sum() / has_cases.sum().clamp(min=1)
    return torch.where(has_cases, values / mean, torch.ones_like(values)).float()
