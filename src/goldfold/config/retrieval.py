"""Config of models that embed images: the embedding, and members that predict by nearest neighbours."""

from typing import Literal

from pydantic import Field

from goldfold.config.base import UNSET, Name, Number, Section


class Embedding(Section):
    """Head of a network that embeds images on the unit sphere, and classifies them by the cosines to the classes; for
    `arcface`."""

    width: int = Field(512, ge=1, le=8192)
    """Numbers of an embedding."""
    neck: Literal["batch_norm", "none"] = "batch_norm"
    """Batch normalisation after the linear layer that gives the embedding."""
    scale: Number = Field(30.0, gt=0, le=1000)
    """Factor of the cosines before softmax; that of the loss `arcface` must be the same."""
    centres: int = Field(1, ge=1, le=64)
    """Centres per class, of which the nearest counts (sub-centre ArcFace: 3, for noisy labels or classes of several looks)."""


class Neighbours(Section):
    """Member that predicts by the votes of the nearest training images of its fold, in the embedding of a trained model."""

    of: Name
    """Model with an `embedding`; all its seeds and folds have this member too."""
    k: int = Field(10, ge=1, le=1000)
    """Number of neighbours that vote."""
    votes: Literal["sum", "max"] = "sum"
    """sum: a class has the votes of all its neighbours; max: that of the nearest."""
    temperature: Number = Field(0.1, gt=0, le=10)
    """A neighbour at cosine c has exp(c / temperature) votes."""
    background: Number = Field(0.5, ge=-1, le=1)
    """Cosine of one further neighbour, whose votes all classes share: an image without a nearer one gets a small confidence.
    With `unknown`, it votes for that class."""
    unknown: str | None = UNSET
    """Class of the images that are like no known one (`new_whale`): its training images are left out of the index."""
