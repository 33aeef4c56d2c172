"""Config of FixMatch: unlabelled images that a training learns from, and how."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field

from goldfold.config.augmentation import Augmentation
from goldfold.config.base import UNSET, Number, Section, Unique

STRONG: list[Any] = [
    "light",
    "randaugment",
    {"CoarseDropout": {"num_holes_range": [1, 1], "hole_height_range": [0.1, 0.5], "hole_width_range": [0.1, 0.5]}},
]


class FixMatch(Section):
    """FixMatch (Sohn et al. 2020): besides its labelled images, the model learns from unlabelled ones. It predicts a weakly
    augmented view of each; where it is confident, it is trained to predict the same for a strongly augmented view. Task:
    classification."""

    mu: int = Field(7, ge=1)
    """Unlabelled images per labelled one, in each batch."""
    weight: Number = Field(1.0, gt=0)
    """Weight of the loss on unlabelled images, added to that on labelled ones."""
    threshold: Number = Field(0.95, ge=0, le=1)
    """Smallest probability of the weak view's class at which the image is learned from."""
    temperature: Annotated[Number, Field(gt=0)] | None = UNSET
    """By default the target is the most probable class; with a temperature it is the softmax of the logits divided by it, as in
    UDA (Xie et al. 2020, 0.4 there)."""
    sources: Annotated[list[Literal["test", "unlabeled"]], Field(min_length=1), Unique] = ["test", "unlabeled"]
    """Splits whose images are used, without labels; those that the data lack are left out."""
    weak: Augmentation | None = UNSET
    """Augmentation of the view that is predicted; by default `train.augment`, as in the paper. Flips of `train.flips` apply to
    both views."""
    strong: Augmentation = STRONG
    """Augmentation of the view that is trained on; must differ from `weak`."""
    renew_epochs: Annotated[int, Field(ge=1)] | None = UNSET
    """By default each image is labelled from its weak view in every step. With a number, the network that is validated (the
    average of the weights, if there is one) labels all images, without augmentation, before epoch `renew_epochs`, twice as
    many, ..., and the labels are kept in between; before the first time, only the labelled images are learned from."""
    ema_teacher: bool = False
    """Predict the weak views with the averaged weights of `ema_decay`, not with the current ones."""

    def weak_view(self, augment: Any) -> Any:
        """Augmentation of the weak view, where ``augment`` is that of the labelled images."""
        return augment if self.weak is None else self.weak

    def splits(self, there: Iterable[str]) -> list[str]:
        """Those of the splits that are ``there`` whose images are used."""
        return [split for split in there if split in self.sources]
