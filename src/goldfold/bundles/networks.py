"""Networks of a bundle, as described in ``bundle.json``: what their weight files do not tell."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from goldfold.base.native import scale_of
from goldfold.models.arguments import OUR_OWN

FORBIDDEN = OUR_OWN | {"checkpoint_path", "pretrained_cfg", "pretrained_cfg_overlay"}
"""Network parameters that goldfold sets itself, or that would load another file."""

Written = str | dict[str, Any]
Positive = Annotated[int, Field(ge=1)]


class Part(BaseModel):
    """Base of the parts of a bundle; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Branch(Part):
    """A network's branch for metadata; its weights file holds the statistics by which the columns are encoded."""

    width: Positive
    dropout: Annotated[float, Field(ge=0, lt=1)]
    numeric: list[str]
    categorical: list[str]


class Head(Part):
    """Own head of a network, see `goldfold.config.head.Head`."""

    pooling: Written | None = Field(None, exclude_if=lambda pooling: pooling is None)
    hidden: list[Positive] = Field([], exclude_if=lambda hidden: not hidden)
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, exclude_if=lambda dropout: dropout == 0)


class Embedding(Part):
    """Head of a network that embeds images, see `goldfold.config.retrieval.Embedding`."""

    width: Positive
    neck: Literal["batch_norm", "none"]
    scale: Annotated[float, Field(gt=0)]
    centres: Positive


class Neighbours(Part):
    """Votes of nearest neighbours, see `goldfold.config.retrieval.Neighbours`; the weight file holds their index."""

    of: str
    k: Positive
    votes: Literal["sum", "max"]
    temperature: Annotated[float, Field(gt=0)]
    background: Annotated[float, Field(ge=-1, le=1)]
    unknown: str | None = Field(None, exclude_if=lambda name: name is None)


class FrozenHead(Part):
    """Head on a frozen backbone, see `goldfold.bundles.fitted_layers`; the weight file holds its numbers."""

    head: Literal["mlp", "knn", "boosted", "zero_shot"]
    target: Literal["label", "labels", "value"]


class Windows(Part):
    """Windows that images are predicted in, see `goldfold.inference.windows.Windows`."""

    overlap: Annotated[float, Field(ge=0, lt=1)]


class Network(Part):
    """Description of a network, as in an entry of the config's ``models``."""

    network: str
    backbone: str | None
    params: dict[str, Any]
    size: Annotated[list[Positive], Field(min_length=2, max_length=2)]
    """Height and width in pixels."""
    cache_size: Annotated[list[Positive], Field(min_length=2, max_length=2)] | None = Field(
        None, exclude_if=lambda size: size is None
    )
    """Height and width of the frame that images are resized to first, if larger."""
    resize: Annotated[
        str, Field(pattern=r"^((squash|pad|crop)(-(bilinear|bicubic|lanczos))?|native(-[0-9]+(\.[0-9]+)?)?)$")
    ]
    windows: Windows | None = Field(None, exclude_if=lambda windows: windows is None)
    """How images are predicted at their own size, or a multiple of it, in windows of ``size``; ``resize`` is then ``native``."""
    metadata: Branch | None = Field(None, exclude_if=lambda branch: branch is None)
    """Branch for metadata; None where the network takes images alone."""
    head: Head | None = Field(None, exclude_if=lambda head: head is None)
    """Pooling and layers that replace those of the network."""
    views: Written | None = Field(None, exclude_if=lambda views: views is None)
    """How the images of a case become one output; None for the mean."""
    max_images: Positive | None = Field(None, exclude_if=lambda number: number is None)
    """Most images of a case that the network gets."""
    embedding: Embedding | None = Field(None, exclude_if=lambda embedding: embedding is None)
    """Head that embeds images; None where the network has another."""
    frozen_head: FrozenHead | None = Field(None, exclude_if=lambda head: head is None)
    """Head that was fitted to embeddings, in place of the last layer; None where this is a layer of the network."""
    neighbours: Neighbours | None = Field(None, exclude_if=lambda neighbours: neighbours is None)
    """Votes of the nearest training images, in place of the cosines to the classes."""

    @property
    def frame(self) -> tuple[tuple[int, int], str]:
        """Size (height, width) of the frame that a decoded image is resized to, and the resize mode."""
        height, width = self.cache_size or self.size
        return (height, width), self.resize

    @model_validator(mode="after")
    def _native_in_windows(self) -> "Network":
        if (self.windows is None) == (scale_of(self.resize) is not None):
            raise ValueError("resize is native if and only if there are windows")
        return self

    @field_validator("params")
    @classmethod
    def _loads_nothing(cls, params: dict[str, Any]) -> dict[str, Any]:
        if taken := sorted(FORBIDDEN & set(params)):
            raise ValueError(f"{taken[0]!r} may not be set in a bundle")
        return params
