"""Config of generated training images."""

from pydantic import Field

from goldfold.config.base import Number, Section
from goldfold.config.written import Generator


class Generated(Section):
    """Generated training images: in each fold, a generator learns from the training images of the fold alone, and the images
    that it makes are trained on besides. They are never validated on, and no other fold sees them."""

    generator: Generator = "mae"
    """`mae`: a masked autoencoder, which replaces parts of each training image by what it expects there; `{mae: {steps: 2000,
    mask: 0.7}}`; or your own as `package.module:function`."""
    per_image: int = Field(2, ge=1, le=100)
    """Images made per training image."""
    share: Number = Field(0.3, gt=0, lt=1)
    """Share of the samples of an epoch that are generated images; an epoch has all its other samples too, and so is longer."""
    weight: Number = Field(1.0, gt=0)
    """Weight of a generated image in the loss; a training image has 1."""
