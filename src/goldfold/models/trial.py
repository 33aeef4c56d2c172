"""Trial pass through a network before any job runs: forward and backward in training, and prediction."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from goldfold.base.errors import ConfigError, GoldfoldError, NotBuiltError, SizeError, cause
from goldfold.base.words import count
from goldfold.cases import Inputs
from goldfold.components import Written
from goldfold.models.case_head import MEAN, CaseHead, case_head
from goldfold.models.embedding import embedded
from goldfold.models.fusion import Branch
from goldfold.models.patches import ignored
from goldfold.models.wrapping import Normalised

Make = Callable[[tuple[int, int]], nn.Module]
"""Builds a network for images of (height, width)."""
Size = tuple[int, int]
TRAIN_IMAGES, PREDICT_IMAGES = 2, 1
"""Images per trial batch in training and in prediction."""
MOST_PIXELS, FEWER_PIXELS = 2**22, 2**20
"""Maximum pixels of a detector's trial batch, and pixels to reduce larger ones to, which might exhaust the memory."""
STRIDES = 128
"""Common multiple of all network strides: a detector treats sizes with the same remainder alike."""
PARAMS = " Correct models[].params."
"""Advice in an error message, removed if another size works."""
PATIENCE_S = 15.0
"""Time limit of the search for sizes that work."""


@dataclass(frozen=True)
class Wanted:
    """Input of a network and the output required by its task."""

    size: Size
    """Height and width in pixels."""
    channels: int
    n_classes: int
    gives: Literal["values", "maps", "boxes", "anything"] = "anything"
    """Output: one number per class; one map per class; boxes (in training, losses)."""
    train_images: int = TRAIN_IMAGES
    """Images of the trial batch in training: 1 if batches have one image, which may fail in batch normalisation."""
    branch: Branch | None = None
    """Metadata branch, if the network has one."""
    views: Written = MEAN
    """How the images of a case become one."""
    embedding: Mapping[str, Any] | None = None
    """Settings of the embedding, if the network has one."""
    check_losses: Callable[[Mapping[str, Tensor]], object] | None = None
    """Raises ConfigError for losses of a detector, by name, that do not fit settings of the training."""


class _Failed(Exception):
    """A pass that failed or returned an output of the wrong form."""


def check(make: Make, what: str, wanted: Wanted, own_size: Callable[[], Size | None] = lambda: None) -> nn.Module:
    """Build a network and pass images through it, on torch's meta device if possible.

    Args:
        what: name of the network in error messages.
        own_size: returns the default size of the network, tried if ``wanted.size`` does not work.

    Returns:
        The network inside `Normalised`, possibly on the meta device.

    Raises:
        ConfigError: the network cannot be built, or does not work at this size; the message lists sizes that do.
    """
    try:
        return _passed(make, wanted)
    except (SizeError, NotBuiltError) as error:
        problem, refused = str(error).removesuffix(" Use larger images, or another network."), error
    except _Failed as error:
        problem, refused = f"{what} cannot be {error}", None
    found, tried = _sizes_that_work(make, wanted, own_size())
    if found:
        key = "" if problem.startswith("image_size_px") else "image_size_px: "
        raise ConfigError(f"{key}{problem.removesuffix(PARAMS)} Sizes that work: {' or '.join(map(words, found))}.")
    if refused is not None:
        raise refused
    also = f" It also fails at {len(tried)} other sizes." if tried else ""
    raise ConfigError(f"{problem}{also} Use another network, or correct models[].params.")


def check_size(make: Make, what: str, wanted: Wanted, trains: bool = True) -> None:
    """Build a network and pass images through it, as `check` does, without a search for other sizes.

    Args:
        trains: whether it is trained at this size, not only used to predict.

    Raises:
        ConfigError: the network does not work at this size.
    """
    try:
        _passed(make, wanted, trains)
    except _Failed as error:
        raise ConfigError(f"{what} cannot be {str(error).removesuffix(PARAMS)}") from error


def without_gradient(network: nn.Module) -> list[str]:
    """Return the trainable parameters that the output of a network from `check` does not depend on; none if on no others."""
    learnable = {name: value for name, value in network.named_parameters() if value.requires_grad}
    lost = [name for name, value in learnable.items() if value.grad is None]
    return lost if len(lost) < len(learnable) else []


def words(size: Size) -> str:
    """Format a size for error messages."""
    return f"{size[0]}x{size[1]} (height x width)"


def _passed(make: Make, wanted: Wanted, trains: bool = True) -> nn.Module:
    """Run both passes, or only that of prediction, and return the network; on the meta device if possible, else on the CPU."""
    if wanted.gives != "boxes":  # torchvision's detectors select boxes by score, for which meta tensors have no values
        try:
            return _pass_on("meta", make, wanted, trains)
        except Exception as error:
            if not _is_meta_error(error):
                raise
    elif (smaller := _smaller(wanted.size)) != wanted.size:
        with torch.device("meta"):
            make(wanted.size)
        return _pass_on("cpu", make, replace(wanted, size=smaller), trains)
    return _pass_on("cpu", make, wanted, trains)


def _smaller(size: Size) -> Size:
    """Return ``size``, or if it has too many pixels, a smaller size with the same remainders modulo `STRIDES`."""
    n_pixels = TRAIN_IMAGES * math.prod(size)
    if n_pixels <= MOST_PIXELS:
        return size
    scale = math.sqrt(FEWER_PIXELS / n_pixels)
    height, width = (
        max(side - math.ceil(side * (1 - scale) / STRIDES) * STRIDES, side % STRIDES or STRIDES) for side in size
    )
    return height, width


def _is_meta_error(error: BaseException) -> bool:
    """Return True if an error is due to the meta device, so that the network may work on the CPU."""
    origin = error.__cause__ if isinstance(error, (GoldfoldError, _Failed)) and error.__cause__ else error
    return isinstance(origin, NotImplementedError) or "meta" in str(origin).lower()


def _pass_on(device: str, make: Make, wanted: Wanted, trains: bool) -> nn.Module:
    with torch.device(device):
        network = make(wanted.size)
        if not isinstance(network, nn.Module):
            raise _Failed(f"used: it is of type {type(network).__name__}, not a torch.nn.Module.")
        if rest := ignored(network, wanted.size):
            raise _Failed(f"used at {words(wanted.size)}: {rest}.")
        if device == "meta" and any(isinstance(part, nn.RNNBase) for part in network.modules()):
            raise NotImplementedError("recurrent layers are slower on the meta device than on the CPU")
        whole = Normalised(network, wanted.channels, *_head(network, wanted))
        if trains:
            targets = _targets(wanted) if wanted.gives == "boxes" else None
            _pass(whole.train(), "trained", wanted.train_images, wanted, targets)
        with torch.no_grad():
            _pass(whole.eval(), "used to predict", PREDICT_IMAGES, wanted, None)
    return whole


def _head(network: nn.Module, wanted: Wanted) -> CaseHead:
    """Return the layers that replace the head of the network, if there are any."""
    if wanted.embedding is not None:
        return embedded(network, "of this model", [""] * wanted.n_classes, wanted.embedding, views=wanted.views)
    return case_head(network, "of this model", wanted.n_classes, wanted.branch, wanted.views)


def _targets(wanted: Wanted) -> list[dict[str, Tensor]]:
    """Return one box in the middle of each image."""
    height, width = wanted.size
    box = torch.tensor([[width / 4, height / 4, 3 * width / 4, 3 * height / 4]])
    return [{"boxes": box, "labels": torch.zeros(1, dtype=torch.int64)} for _ in range(wanted.train_images)]


def _pass(network: nn.Module, doing: str, n: int, wanted: Wanted, targets: Any) -> None:
    images: Any = torch.zeros(n, wanted.channels, *wanted.size, dtype=torch.uint8)
    if wanted.embedding is not None:
        images = Inputs.of(images)
    if wanted.branch is not None:
        images = replace(Inputs.of(images), metadata=torch.zeros(n, wanted.branch.n_columns))
    elif wanted.views != MEAN:
        images = Inputs.of(images)
    try:
        output = network(images) if targets is None else network(images, targets)
        if knows_loss := wanted.gives == "maps" and hasattr(output, "losses"):
            output = output.losses(torch.zeros(n, *wanted.size, dtype=torch.int64))
        elif hasattr(output, "depths"):
            output = torch.stack([logits for logits, _ in output.depths(wanted.size)]).sum(dim=0)
    except Exception as error:
        alone = n == 1 and "more than 1 value per channel" in str(error)
        way = " Use batches of two images (train.batch_size: 2), as batch normalisation needs several values." * alone
        raise _Failed(
            f"{doing} at {words(wanted.size)}, {count(n, 'image')} of {wanted.channels} channels: {cause(error)}.{way}"
        ) from error
    if wrong := _wrong_losses(output) if knows_loss else _wrong(output, n, wanted, network.training):
        raise _Failed(f"{doing} at {words(wanted.size)}: {wrong}.")
    if targets is not None and wanted.check_losses is not None:
        wanted.check_losses(output)
    parts = list(_learnable(output)) if network.training else []
    if parts:
        _backward(parts, doing)
    elif network.training and (wanted.gives != "anything" or isinstance(output, Tensor)):
        raise _Failed(f"{doing}: its output depends on no trainable parameter.")


def _backward(parts: list[Tensor], doing: str) -> None:
    """Compute the gradient of all outputs that depend on parameters."""
    try:
        torch.autograd.backward([part.sum() for part in parts])
    except Exception as error:
        raise _Failed(f"{doing}: its gradient cannot be computed: {cause(error)}.") from error


def _learnable(output: Any) -> Iterator[Tensor]:
    """Yield the tensors within an output that require a gradient."""
    if isinstance(output, Tensor):
        yield from [output] * output.requires_grad
    elif isinstance(output, dict | list | tuple):
        for part in output.values() if isinstance(output, dict) else output:
            yield from _learnable(part)


def _wrong(output: Any, n: int, wanted: Wanted, training: bool) -> str:
    """Describe how an output differs from what the task needs; empty if it does not."""
    if wanted.gives == "boxes":
        return _wrong_losses(output) if training else _wrong_boxes(output, n)
    if wanted.gives == "anything":
        return ""
    needed = (n, wanted.n_classes, *(wanted.size if wanted.gives == "maps" else ()))
    axes = "(images, n_classes, height, width)" if wanted.gives == "maps" else "(images, n_classes)"
    if not isinstance(output, Tensor):
        return f"it returns a {type(output).__name__}, not a tensor {axes}"
    if tuple(output.shape) != needed:
        return f"it returns {tuple(output.shape)}, where {axes} = {needed} is needed"
    return "" if output.is_floating_point() else f"it returns {output.dtype}, not floating-point numbers"


def _wrong_losses(output: Any) -> str:
    if not isinstance(output, dict) or not output:
        return f"it returns a {type(output).__name__} in training, not losses by name"
    wrong = [name for name, value in output.items() if not isinstance(value, Tensor) or value.shape != ()]
    wrong = wrong or [name for name, value in output.items() if not value.isfinite()]
    return f"its loss {wrong[0]!r} is not a finite number" if wrong else ""


def _wrong_boxes(output: Any, n: int) -> str:
    if not isinstance(output, list) or len(output) != n:
        return f"it returns a {type(output).__name__}, not a list with one dict per image"
    lacking = [key for key in ("boxes", "scores", "labels") if not all(key in image for image in output)]
    return f"its dict of an image has no {lacking[0]!r}" if lacking else ""


def _sizes_that_work(make: Make, wanted: Wanted, own_size: Size | None) -> tuple[list[Size], list[Size]]:
    """Return the nearest sizes that work, at most two, and all sizes tried."""
    end, found, tried = time.monotonic() + PATIENCE_S, list[Size](), list[Size]()
    for size in _candidates(wanted.size, own_size):
        if len(found) == 2 or time.monotonic() > end:
            break
        tried.append(size)
        try:
            _passed(make, replace(wanted, size=size))
        except Exception:  # any error means that this size does not work either
            continue
        found.append(size)
    return found, tried


def _candidates(size: Size, own: Size | None) -> list[Size]:
    """Return the network's own size, then multiples of strides around ``size``, nearest first; at most six.

    Each stride has the nearest of its multiples among them, since a network may take no others.
    """
    of_each, near = set[Size](), set[Size]()
    for unit in (14, 16, 32):
        multiples = set[Size]()
        for sides in (size, (max(size),) * 2):
            multiples |= {tuple(max(side // unit, 1) * unit for side in sides)}  # type: ignore[arg-type]
            multiples |= {tuple(math.ceil(side / unit) * unit for side in sides)}  # type: ignore[arg-type]
        multiples -= {size}
        near |= multiples - {own}
        of_each |= {min(multiples, key=lambda other: (_distance(other, size), other))} if multiples else set()
    by_distance = sorted(near, key=lambda other: (_distance(other, size), other))
    chosen = (of_each - {own}) | {*by_distance[:2]}
    nearest = [other for other in by_distance if other in chosen][: 5 if own is not None else 4]
    first, last = ([own], []) if own is not None else ([], [(128, 128), (224, 224)])
    return [other for other in dict.fromkeys([*first, *nearest, *last]) if other != size]


def _distance(one: Size, other: Size) -> float:
    return sum(abs(math.log(a / b)) for a, b in zip(one, other, strict=True))
