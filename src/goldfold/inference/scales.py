"""Views of whole images at other sizes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from torch import Tensor

from goldfold.inference.parameters import FACTORS, UNTURNED, check
from goldfold.inference.views import Batch, Size, Turn, View, resized, turn_of


def scales(factors: Sequence[float] = FACTORS, multiple: int = 1, turns: Sequence[str] = UNTURNED) -> list[View]:
    """The image at ``factors`` times its size, once for each of the ``turns``, for networks that take other sizes.

    Args:
        multiple: sides are rounded to multiples of this number of pixels, such as the stride of a network.
    """
    check(factors=factors, multiple=multiple, turns=turns)
    return [_view(turn_of(name), name, float(factor), multiple) for name in turns for factor in factors]


@dataclass(frozen=True)
class Resized:
    """A turn, then another size."""

    turn: Turn

    def inverse(self, x: Tensor, frame: Size | None = None) -> Tensor:
        """See `goldfold.inference.views.Placing`; maps are resized bilinearly."""
        return self.turn.inverse(resized(x, self.turn.size(_needed(frame))))

    def boxes_back(self, boxes: Tensor, size: Size, frame: Size | None = None) -> Tensor:
        """See `goldfold.inference.views.Placing`."""
        height, width = turned = self.turn.size(_needed(frame))
        if turned != tuple(size):
            ratio = boxes.new_tensor([width / size[1], height / size[0]] * 2)
            boxes = boxes * ratio
        return self.turn.boxes_back(boxes, turned)


def _needed(frame: Size | None) -> Size:
    if frame is None:
        raise ValueError("the inverse of a view of another size needs the size of the image")
    return frame


def _view(turn: Turn, name: str, factor: float, multiple: int) -> View:
    def seen(larger: Tensor | None, x: Tensor) -> Tensor:
        frame = x.shape[-2], x.shape[-1]
        size = scaled(frame, factor, multiple)
        source = x if larger is None or size == frame else larger
        return resized(turn.forward(source), turn.size(size))

    def bind(batch: Batch) -> View:
        return replace(view, forward=partial(seen, batch.larger if batch.is_aligned else None), bind=None)

    view = View(f"scale({factor:g}, {name})", partial(seen, None), Resized(turn), bind, reads_larger=True)
    return view


def scaled(size: Size, factor: float, multiple: int) -> Size:
    """Size of an image at ``factor`` times its size, both sides multiples of ``multiple``.

    >>> scaled((64, 96), 0.8, 1), scaled((64, 96), 0.8, 32)
    ((51, 77), (64, 64))
    """
    height, width = (max(1, round(side * factor / multiple)) * multiple for side in size)
    return height, width
