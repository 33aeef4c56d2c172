"""Config of windows: large images in parts, for networks that predict maps or boxes."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from goldfold.config.base import Number, Section

if TYPE_CHECKING:
    from goldfold.config.models import Model

MOST_CROPS = 10_000
MOST_OVERLAP = 0.95
"""Four hundred windows of each pixel: far more than they can gain."""


def _count(value: Any) -> Any:
    """A number of windows, or ``auto``; one message for both."""
    is_whole = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_CROPS
    if value != "auto" and not is_whole:
        raise ValueError(f"write auto, or a whole number of windows from 1 to {MOST_CROPS:,}")
    return value


class Windows(Section):
    """Windows of `image_size_px`, which a network is trained on and predicts, instead of whole images at that size."""

    scale: Number = Field(1.0, ge=0.01, le=4)
    """Factor by which images are resized first: 0.5 halves their sides, so that a window shows four times as much."""
    overlap: Number = 0.5
    """Part of a window that the next one covers again in prediction, from 0 to 0.95. Maps of overlapping windows are averaged
    with Gaussian weights; boxes of one object are joined."""
    positive_crop: Number = Field(0.5, ge=0, le=1)
    """Probability that a training window is placed around a pixel, or an object, of a class, of each class equally often, instead
    of anywhere in the image; the background does not count."""
    per_image: Annotated[Literal["auto"] | Annotated[int, Field(ge=1, le=MOST_CROPS)], BeforeValidator(_count)] = "auto"
    """Training windows of each image per epoch; `auto` is the number that covers its area about once, from 1 to 256."""

    @field_validator("overlap")
    @classmethod
    def _covers(cls, value: float) -> float:
        if not 0 <= value <= MOST_OVERLAP:
            what = (
                "windows would hardly move"
                if value > 0
                else "the stride would be larger than the window, and leave gaps"
            )
            raise ValueError(f"{what}; write 0 (windows side by side) to {MOST_OVERLAP}")
        return value


def _switched(value: Any) -> Any:
    """``true`` stands for all defaults, ``false`` for no windows."""
    if isinstance(value, bool):
        return {} if value else None
    if value is None or isinstance(value, dict | Windows):
        return value
    size = f"image_size_px: {value}" if isinstance(value, int) else "image_size_px"
    raise ValueError(
        f"write true, or {{scale: 1, overlap: 0.5, positive_crop: 0.5, per_image: auto}} with the keys that you want to change; "
        f"the size of a window is {size} of the model"
    )


Written = Annotated[Windows | None, BeforeValidator(_switched, json_schema_input_type=Windows | bool | None)]


def of_training(model: "Model") -> dict[str, Any]:
    """Settings that a training depends on, for its recipe; those of prediction change no weights."""
    return {"windows": model.windows.model_dump(include={"positive_crop", "per_image"})} if model.windows else {}


def of_prediction(model: "Model") -> dict[str, Any]:
    """Settings that a prediction depends on, for its recipe; the scale is that of `Model.resizing`."""
    return {"windows": model.windows.model_dump(include={"overlap"})} if model.windows else {}
