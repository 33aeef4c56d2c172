"""Initialise a network from a local weight file; by default only its head may stay new.

timm adapts a backbone's file as it does its published weights: names of other tools, the first convolution, position
embeddings. A file of a whole network is loaded by name.
"""

import logging
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from goldfold.base.errors import ConfigError, GoldfoldError, cause
from goldfold.models.heads import is_of_head
from goldfold.models.weight_files import read

State = dict[str, Tensor]
Make = Callable[..., nn.Module]
PLACES = ("encoder.model.", "model.backbone.body.", "")
"""Prefixes of a timm backbone in a network: smp's encoder, the body of a detector's pyramid, or the network itself."""
MISFIT = re.compile(r"size mismatch for (\S+):")
"""torch's message for a parameter of another shape."""
SHOWN = 4
"""Maximum number of names in an error message."""


def start_from(path: str, make: Make, params: Mapping[str, Any], partly: bool = False) -> nn.Module:
    """Build a network with the weights of a file; its attribute ``new`` lists the parameters that the file did not set.

    Args:
        make: builds the network from ``params``; its ``pretrained`` may be weights by name.
        params: with ``n_classes``, ``in_channels`` and, for networks with one, ``backbone``.
        partly: allow parameters besides the head to stay new.

    Raises:
        ConfigError: the file cannot be read, is from another network, or leaves parameters besides the head new.
    """
    state, shapes, head = read(path), *_shapes(make, params)
    place = next(place for place in PLACES if any(name.startswith(place) for name in shapes))
    state = _with_matching_names(state, shapes, place)
    if params.get("backbone") and not (place and any(name.startswith(place) for name in state)):
        model = _loaded_by_timm(path, make, params, state, partly)
        loaded = _names_loaded_by_timm(make, params, state)
        loaded |= _load(model, {name: state[name] for name in head & state.keys()}, params["in_channels"])
        head |= {name for name in shapes if not name.startswith(place)}
    else:
        model = make(**params)
        loaded = _load(model, state, params["in_channels"])
    _refuse(path, shapes.keys() - head, loaded, partly)
    _refuse_nan(path, model)
    for module in model.modules():  # timm keeps a copy of all weights in its settings
        settings: Any = getattr(module, "pretrained_cfg", None)
        if isinstance(settings, dict):
            settings.pop("state_dict", None)
    model.new = sorted(shapes.keys() - loaded)  # type: ignore[assignment]
    return model


def summary(path: str, network: nn.Module) -> str:
    """Return a log line with the file and the parameters that it did not set."""
    return f"loaded {path}; new: {', '.join(getattr(network, 'new', ())) or 'nothing'}"


def _shapes(make: Make, params: Mapping[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """Return the shapes of all trained tensors by name, and the names of the head: those that depend on the classes, or are of
    an own head of the config."""
    try:
        with torch.device("meta"):
            one, other = make(**params), make(**{**params, "n_classes": params["n_classes"] + 1})
    except Exception:  # a network that cannot be built on the meta device
        one, other = make(**params), make(**{**params, "n_classes": params["n_classes"] + 1})
    shapes, others = _trained_shapes(one), _trained_shapes(other)
    return shapes, {name for name, shape in shapes.items() if others.get(name) != shape or is_of_head(name, one)}


def _trained_shapes(model: nn.Module) -> dict[str, Any]:
    """Return the shapes of parameters and batch norm statistics by name."""
    statistics = {
        name: value for name, value in model.state_dict().items() if name.endswith(("running_mean", "running_var"))
    }
    return {name: value.shape for name, value in [*model.named_parameters(), *statistics.items()]}


def _with_matching_names(state: State, shapes: Iterable[str], place: str) -> State:
    """Strip a prefix that all names share and the network's names lack, such as Lightning's ``model``."""
    own = set(shapes) | {name.removeprefix(place) for name in shapes}
    for elsewhere in PLACES[:-1]:
        inner = {name.removeprefix(elsewhere): value for name, value in state.items() if name.startswith(elsewhere)}
        if inner and elsewhere != place:
            return inner
    while (
        not own & state.keys()
        and len({name.split(".")[0] for name in state}) == 1
        and all("." in name for name in state)
    ):
        state = {name.split(".", 1)[1]: value for name, value in state.items()}
    return state


def _load(model: nn.Module, state: Mapping[str, Tensor], channels: int) -> set[str]:
    """Copy weights by name where shapes match, adapting a first convolution to the channels; return the names."""
    from timm.models import adapt_input_conv

    fitting, own = State(), model.state_dict()
    for name, value in state.items():
        if name in own and _is_other_input(own[name], value, channels):
            value = adapt_input_conv(channels, value, base_chans=value.shape[1])
        if name in own and own[name].shape == value.shape:
            fitting[name] = value
    model.load_state_dict(fitting, strict=False)
    return set(fitting)


def _is_other_input(own: Tensor, given: Tensor, channels: int) -> bool:
    """Return True if both are a first convolution, with different numbers of input channels."""
    shapes = own.shape, given.shape
    same = all(len(shape) == 4 for shape in shapes) and shapes[0][:1] + shapes[0][2:] == shapes[1][:1] + shapes[1][2:]
    return same and own.shape[1] == channels and given.shape[1] in (1, 3, 4)


def _loaded_by_timm(path: str, make: Make, params: Mapping[str, Any], state: State, partly: bool) -> nn.Module:
    """Build the network with backbone weights adapted by timm; weights that do not fit are removed from ``state``."""
    while True:
        try:
            with _quiet():
                return make(**params, pretrained=state)
        except Exception as error:
            origin = error.__cause__ if isinstance(error, GoldfoldError) and error.__cause__ else error
            misfits = MISFIT.findall(str(origin))
            if partly and misfits and any(name in state for name in misfits):
                for name in misfits:
                    state.pop(name, None)
                continue
            what = f"{listed(misfits)} has another shape" if misfits else cause(origin)
            raise ConfigError(
                f"pretrained: {path} does not fit backbone {params['backbone']!r}: {what}. Use weights of the same backbone, "
                f"or set partly_pretrained: true to skip weights that do not fit."
            ) from error


def _names_loaded_by_timm(make: Make, params: Mapping[str, Any], state: State) -> set[str]:
    """Return the names that timm sets from backbone weights, found by loading NaN, since timm may rename them."""
    nan = {
        name: torch.full((), torch.nan, dtype=value.dtype).expand(value.shape) if value.is_floating_point() else value
        for name, value in state.items()
    }
    with _quiet():
        made = make(**params, pretrained=nan).state_dict()
    return {name for name, value in made.items() if value.is_floating_point() and value.isnan().any()}


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence timm's log and warnings within the block; `start_from` reports the parameters that stay new."""
    log = logging.getLogger("timm")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        log.setLevel(level)


def _refuse(path: str, wanted: set[str], loaded: set[str], partly: bool) -> None:
    """Raise ConfigError if the file is from another network, or leaves parameters besides the head new."""
    missing = sorted(wanted - loaded)
    if wanted and len(missing) > 0.5 * len(wanted):
        raise ConfigError(
            f"pretrained: {path} fits {len(wanted) - len(missing)} of {len(wanted)} parameters of this network. Use weights "
            f"of the same backbone."
        )
    if missing and not partly:
        raise ConfigError(
            f"pretrained: {path} would leave {listed(missing)} new, outside the head: missing from the file, or in a shape "
            f"that cannot be adapted. Use other weights, or set partly_pretrained: true to train these parameters from "
            f"scratch."
        )


def _refuse_nan(path: str, model: nn.Module) -> None:
    """Raise ConfigError if parameters are NaN, as after a failed training."""
    lost = [name for name, value in model.named_parameters() if not value.is_meta and value.isnan().any()]
    if lost:
        raise ConfigError(
            f"pretrained: {path} has NaN values, in {listed(lost)}. Use weights of a training that succeeded."
        )


def listed(names: list[str]) -> str:
    """Return the first few names for an error message."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
