"""How the training of a run changes its samples: augmentation and mixing. Loads no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goldfold import catalog, components
from goldfold.images.cases import refuse_pasting
from goldfold.samples.by_size import BySize
from goldfold.samples.mixing import Mixing
from goldfold.samples.transforms import Augment
from goldfold.tasks.optional import compose_params, soft

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from goldfold.tasks.protocol import Learn
    from goldfold.training.spec import Spec


WHOLE = 0.999
"""Share of a box that albumentations finds of one that is wholly visible, at least: it adds a little to the area before."""


def augment_of(spec: Spec, learn: Learn, frame: tuple[int, int]) -> Augment | BySize:
    """Build the augmentation of a run, for cached images of the size ``frame``."""
    params = compose_params(learn)
    if boxes := params.get("bbox_params"):
        params = {**params, "bbox_params": {**boxes, "min_visibility": min(spec.train.min_visible, WHOLE)}}
    how = spec.train.augment, spec.train.flips, frame, spec.channels, params
    if not spec.sizes:
        return Augment(*how, shown=spec.size)
    made = {size: Augment(*how, shown=size) for _, choices in spec.sizes for size in choices}
    augments = [[made[size] for size in choices] for _, choices in spec.sizes]
    return BySize([epoch for epoch, _ in spec.sizes], augments, spec.key)


def mixing_of(spec: Spec, learn: Learn, lacking: str | None, rows: Callable[[int], NDArray[np.int64]]) -> Mixing | None:
    """Build the mixing of a run; None if samples are not mixed.

    Args:
        lacking: a case that lacks a view, if there is one.
        rows: epoch -> rows that partners are drawn from.
    """
    wanted = spec.train.mix
    if not wanted:
        return None
    refuse_pasting([components.name_of(one) for one in wanted], lacking)
    entries = catalog.MIXES.get(spec.model["target"], {})
    mixes = [components.load(one, entries, "mix") for one in wanted]
    return Mixing(mixes, spec.train.mix_probability, rows, soft(learn))
