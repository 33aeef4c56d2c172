"""Config of a network's own head."""

from typing import Annotated

from pydantic import Field, model_validator

from goldfold.config.base import UNSET, Number, Section
from goldfold.config.written import Pooling


class Head(Section):
    """Pooling and last layers of a network, in place of its own: for classes, sets of labels and numbers."""

    pooling: Pooling | None = UNSET
    """Pooling of the last map to features: `gem`, the generalised mean with a learned exponent, `{gem: {p: 4}}`, or your own as
    `package.module:Class`. For other poolings of timm, `params: {global_pool: max}`."""
    hidden: list[Annotated[int, Field(ge=1, le=65536)]] = Field([], exclude_if=lambda value: not value)
    """Units of the layers before the last one, each with ReLU and `dropout`: `[256]`, `[512, 256]`."""
    dropout: Number = Field(0.0, ge=0, lt=1, exclude_if=lambda value: value == 0)
    """Dropout after each hidden layer; `dropout` of the model is that before the first layer of the head."""

    @model_validator(mode="after")
    def _sets_something(self) -> "Head":
        if self.dropout and not self.hidden:
            raise ValueError(
                "dropout: is that of hidden layers, and there are none; set hidden, or dropout of the model"
            )
        if not self.hidden and self.pooling is None:
            raise ValueError("sets nothing; set pooling or hidden, or remove it")
        return self


Statistic = Number | Annotated[list[Number], Field(min_length=1)]
"""A number of all channels, or one per channel."""
