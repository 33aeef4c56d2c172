"""One pass of a few images through a network before any job runs: in training, forth and back, and in prediction."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from goldfold.base.errors import ConfigError, GoldfoldError, NotBuiltError, SizeError, cause
from goldfold.base.words import count
from goldfold.cases import Inputs
from goldfold.models.fusion import Branch, fused
from goldfold.models.wrapping import Normalised

Make = Callable[[tuple[int, int]], nn.Module]
"""Builds a network for images of (height, width)."""
Size = tuple[int, int]
TRAIN_IMAGES, PREDICT_IMAGES = 2, 1
"""In the smallest batches."""
MOST_PIXELS, FEWER_PIXELS = 2**22, 2**20
"""Of the images of a pass of a detector; of larger images smaller ones are tried, for they might take all memory."""
STRIDES = 128
"""Multiple of the strides of all networks: a detector takes sizes that leave the same remainder alike."""
PARAMS = " Correct models[].params."
"""Advice of errors that is wrong where another size works."""
PATIENCE_S = 15.0
"""For the search of sizes that work."""


@dataclass(frozen=True)
class Wanted:
    """Input of a network, and the output that its task needs."""

    size: Size
    """Height and width in pixels."""
    channels: int
    n_classes: int
    gives: Literal["values", "maps", "boxes", "anything"] = "anything"
    """A number per class; a map per class; boxes, and losses in training."""
    train_images: int = TRAIN_IMAGES
    """Images of the pass in training: one where batches have one, of which batch normalisation may have no statistics."""
    branch: Branch | None = None
    """Of the metadata, where the network takes it."""


class _Failed(Exception):
    """A pass that did not end, or ended in an output of another shape."""


def check(make: Make, what: str, wanted: Wanted, own_size: Callable[[], Size | None] = lambda: None) -> nn.Module:
    """Build a network and pass images through it, on torch's meta device where the network can.

    Args:
        what: names the network in errors.
        own_size: gives the size that the network was made for, tried where ``wanted.size`` does not work.

    Returns:
        The network inside `Normalised`, possibly on the meta device.

    Raises:
        ConfigError: it cannot be built, or does not work at this size; the text names sizes that do.
    """
    try:
        return _passed(make, wanted)
    except (SizeError, NotBuiltError) as error:
        said, refused = str(error).removesuffix(" Take larger images, or another network."), error
    except _Failed as error:
        said, refused = f"{what} cannot be {error}", None
    found, tried = _sizes_that_work(make, wanted, own_size())
    if found:
        key = "" if said.startswith("image_size_px") else "image_size_px: "
        raise ConfigError(f"{key}{said.removesuffix(PARAMS)} Sizes that work: {' or '.join(map(words, found))}.")
    if refused is not None:
        raise refused
    also = f" Nor can it at {len(tried)} other sizes." if tried else ""
    raise ConfigError(f"{said}{also} Take another network, or correct models[].params.")


def without_gradient(network: nn.Module) -> list[str]:
    """Names of the learnable parameters of a network that `check` gave that its output does not depend on, if on others."""
    learnable = {name: value for name, value in network.named_parameters() if value.requires_grad}
    lost = [name for name, value in learnable.items() if value.grad is None]
    return lost if len(lost) < len(learnable) else []


def words(size: Size) -> str:
    """A size as errors name it."""
    return f"{size[0]}x{size[1]} (height x width)"


def _passed(make: Make, wanted: Wanted) -> nn.Module:
    """The network after both passes: without memory where that is possible, else with real numbers."""
    if wanted.gives != "boxes":  # torchvision's detectors choose boxes by their scores, which meta tensors lack
        try:
            return _pass_on("meta", make, wanted)
        except Exception as error:
            if not _is_of_meta(error):
                raise
    elif (smaller := _smaller(wanted.size)) != wanted.size:
        with torch.device("meta"):
            make(wanted.size)
        return _pass_on("cpu", make, replace(wanted, size=smaller))
    return _pass_on("cpu", make, wanted)


def _smaller(size: Size) -> Size:
    """``size`` itself, or where that has too many pixels, a small one that leaves the same remainders."""
    n_pixels = TRAIN_IMAGES * math.prod(size)
    if n_pixels <= MOST_PIXELS:
        return size
    scale = math.sqrt(FEWER_PIXELS / n_pixels)
    height, width = (
        max(side - math.ceil(side * (1 - scale) / STRIDES) * STRIDES, side % STRIDES or STRIDES) for side in size
    )
    return height, width


def _is_of_meta(error: BaseException) -> bool:
    """Whether an error says that meta tensors have no values; the network may work with real ones."""
    origin = error.__cause__ if isinstance(error, (GoldfoldError, _Failed)) and error.__cause__ else error
    return isinstance(origin, NotImplementedError) or "meta" in str(origin).lower()


def _pass_on(device: str, make: Make, wanted: Wanted) -> nn.Module:
    with torch.device(device):
        network = make(wanted.size)
        if not isinstance(network, nn.Module):
            raise _Failed(f"used: it is of type {type(network).__name__}, not a torch.nn.Module.")
        if device == "meta" and any(isinstance(part, nn.RNNBase) for part in network.modules()):
            raise NotImplementedError("recurrent layers take longer on the meta device than with numbers")
        fusion = None if wanted.branch is None else fused(network, "of this model", wanted.n_classes, wanted.branch)
        whole = Normalised(network, wanted.channels, fusion)
        _pass(
            whole.train(), "trained", wanted.train_images, wanted, _targets(wanted) if wanted.gives == "boxes" else None
        )
        with torch.no_grad():
            _pass(whole.eval(), "used to predict", PREDICT_IMAGES, wanted, None)
    return whole


def _targets(wanted: Wanted) -> list[dict[str, Tensor]]:
    """A box in the middle of each image."""
    height, width = wanted.size
    box = torch.tensor([[width / 4, height / 4, 3 * width / 4, 3 * height / 4]])
    return [{"boxes": box, "labels": torch.zeros(1, dtype=torch.int64)} for _ in range(wanted.train_images)]


def _pass(network: nn.Module, doing: str, n: int, wanted: Wanted, targets: Any) -> None:
    images: Any = torch.zeros(n, wanted.channels, *wanted.size, dtype=torch.uint8)
    if wanted.branch is not None:
        images = replace(Inputs.of(images), metadata=torch.zeros(n, wanted.branch.n_columns))
    try:
        output = network(images) if targets is None else network(images, targets)
    except Exception as error:
        alone = n == 1 and "more than 1 value per channel" in str(error)
        way = " Batches of two images (train.batch_size: 2) have statistics of batch normalisation." * alone
        raise _Failed(
            f"{doing} at {words(wanted.size)}, {count(n, 'image')} of {wanted.channels} channels: {cause(error)}.{way}"
        ) from error
    if wrong := _wrong(output, n, wanted, network.training):
        raise _Failed(f"{doing} at {words(wanted.size)}: {wrong}.")
    parts = list(_learnable(output)) if network.training else []
    if parts:
        _backward(parts, doing)
    elif network.training and (wanted.gives != "anything" or isinstance(output, Tensor)):
        raise _Failed(f"{doing}: its output depends on no parameter that can be learnt.")


def _backward(parts: list[Tensor], doing: str) -> None:
    """Gradient of what depends on the parameters."""
    try:
        torch.autograd.backward([part.sum() for part in parts])
    except Exception as error:
        raise _Failed(f"{doing}: its gradient cannot be computed: {cause(error)}.") from error


def _learnable(output: Any) -> Iterator[Tensor]:
    """Tensors within an output that have a gradient."""
    if isinstance(output, Tensor):
        yield from [output] * output.requires_grad
    elif isinstance(output, dict | list | tuple):
        for part in output.values() if isinstance(output, dict) else output:
            yield from _learnable(part)


def _wrong(output: Any, n: int, wanted: Wanted, training: bool) -> str:
    """Says in what an output differs from what the task needs; empty where it does not."""
    if wanted.gives == "boxes":
        return _wrong_losses(output) if training else _wrong_boxes(output, n)
    if wanted.gives == "anything":
        return ""
    needed = (n, wanted.n_classes, *(wanted.size if wanted.gives == "maps" else ()))
    axes = "(images, n_classes, height, width)" if wanted.gives == "maps" else "(images, n_classes)"
    if not isinstance(output, Tensor):
        return f"it gives a {type(output).__name__}, not a tensor {axes}"
    if tuple(output.shape) != needed:
        return f"it gives {tuple(output.shape)}, where {axes} = {needed} is needed"
    return "" if output.is_floating_point() else f"it gives {output.dtype}, not floating-point numbers"


def _wrong_losses(output: Any) -> str:
    if not isinstance(output, dict) or not output:
        return f"it gives a {type(output).__name__} in training, not losses by name"
    wrong = [name for name, value in output.items() if not isinstance(value, Tensor) or value.shape != ()]
    wrong = wrong or [name for name, value in output.items() if not value.isfinite()]
    return f"its loss {wrong[0]!r} is not a finite number" if wrong else ""


def _wrong_boxes(output: Any, n: int) -> str:
    if not isinstance(output, list) or len(output) != n:
        return f"it gives a {type(output).__name__}, not a list with a dict per image"
    lacking = [key for key in ("boxes", "scores", "labels") if not all(key in image for image in output)]
    return f"its dict of an image has no {lacking[0]!r}" if lacking else ""


def _sizes_that_work(make: Make, wanted: Wanted, own_size: Size | None) -> tuple[list[Size], list[Size]]:
    """The nearest sizes at which both passes end, at most two, and all that were tried."""
    end, found, tried = time.monotonic() + PATIENCE_S, list[Size](), list[Size]()
    for size in _candidates(wanted.size, own_size):
        if len(found) == 2 or time.monotonic() > end:
            break
        tried.append(size)
        try:
            _passed(make, replace(wanted, size=size))
        except Exception:  # whatever it is, this size does not work either
            continue
        found.append(size)
    return found, tried


def _candidates(size: Size, own: Size | None) -> list[Size]:
    """The network's own size, then sizes in whole strides around ``size``, the nearest first; at most six."""
    near = set[Size]()
    for unit in (14, 16, 32):
        for sides in (size, (max(size),) * 2):
            near |= {tuple(max(side // unit, 1) * unit for side in sides)}  # type: ignore[arg-type]
            near |= {tuple(math.ceil(side / unit) * unit for side in sides)}  # type: ignore[arg-type]
    nearest = sorted(near - {size, own}, key=lambda other: _distance(other, size))[:3]
    first, last = ([own], []) if own is not None else ([], [(128, 128), (224, 224)])
    return [other for other in dict.fromkeys([*first, *nearest, *last]) if other != size]


def _distance(one: Size, other: Size) -> float:
    return sum(abs(math.log(a / b)) for a, b in zip(one, other, strict=True))
