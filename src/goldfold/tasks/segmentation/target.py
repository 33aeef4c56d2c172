"""Masks, from the raw data to samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from goldfold.tasks.protocol import Examined
from goldfold.tasks.segmentation.spec import Spec

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.cache.images import CachedImages
    from goldfold.cache.tiled import TiledImages
    from goldfold.samples.dense import FramedMasks
    from goldfold.samples.window_targets import WindowMasks


def examine(
    table: pd.DataFrame,
    classes: Sequence[str] | None,
    where: str,
    drops: bool,
    workers: int,
    mask_values: str | Mapping[str, int] = "index",
    ignore_value: int | Sequence[int] | None = None,
    mask_palette: str | Mapping[str, Sequence[int]] = "auto",
    unlisted_values: str = "flaw",
) -> Examined:
    """Check that masks can be read, have the size of their image, and contain only values of classes."""
    from goldfold.targets import mask_values as values
    from goldfold.targets.mask_table import Masks, Rule, values_json

    to_nearest = unlisted_values == "nearest"
    masks = Masks(table, Rule(mask_values, ignore_value, mask_palette), workers)
    sound = values.sound_of(masks.contents, masks.flaws(None), classes is None and mask_values == "names")
    names = values.classes_of(sound, classes, mask_values, ignore_value, masks.smears)
    examined = table.assign(
        mask=masks.names,
        mask_sha256=masks.digests,
        mask_depth=[values.depth(content) for content in masks.contents],
        mask_values=values_json(masks.contents),
    )
    missing = ["" if there else "image has no mask" for there in masks.has]
    flaws = masks.flaws(values.known(names, mask_values, ignore_value, masks.contents), to_nearest)
    settled = {} if masks.shared is None else {"mask_palette": masks.shared}
    return Examined(examined, names, missing, flaws, settled=settled)


class Target:
    """One mask per image."""

    def __init__(self, spec: Spec) -> None:
        self.classes, self.coding = spec.classes, spec.coding

    def content(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the number of pixels of each class."""
        import pandas as pd

        from goldfold.targets.mask_values import parsed

        numbers = self.coding.pixels([parsed(text) for text in table["mask_values"]])
        return pd.DataFrame(numbers, columns=list(self.classes), index=table.index)

    def targets(self, table: pd.DataFrame, images: CachedImages, resize: str) -> FramedMasks:
        """Return ``mask`` (height, width) per image, made on access: channel indices, IGNORE outside the image or unknown.

        Of classes that may overlap it is (height, width, bytes), see `goldfold.targets.mask_bits.planes`.
        """
        from goldfold.samples.dense import FramedMasks

        return FramedMasks(table, images, resize, self.coding)

    def presence(self, targets: Sequence[dict[str, Any]]) -> NDArray[np.bool_]:
        """Return whether a class is in the mask of each image, (images, classes), in the network's frame."""
        import numpy as np

        if targets and targets[0]["mask"].ndim == 3:
            return np.array([self._layers(fields["mask"]).any(axis=(1, 2)) for fields in targets])
        channels = self.coding.first + np.arange(len(self.classes))
        return np.stack([np.bincount(fields["mask"].ravel(), minlength=256)[channels] > 0 for fields in targets])

    def amounts(self, targets: Sequence[dict[str, Any]]) -> NDArray[np.int64]:
        """Return the number of pixels of each channel, or of each class that may overlap others, in the network's frame."""
        import numpy as np

        if self.coding.overlaps:
            each = [self._layers(fields["mask"]).sum(axis=(1, 2)) for fields in targets]
        else:
            each = [np.bincount(fields["mask"].ravel(), minlength=256)[: self.coding.n_channels] for fields in targets]
        return np.sum(each, axis=0, dtype=np.int64)

    def _layers(self, mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Return the pixels (classes, height, width) of the classes in bytes of sets, or in a soft mask."""
        from goldfold.targets.mask_bits import layers, n_bytes
        from goldfold.targets.soft_masks import decided

        n = len(self.classes)
        if self.coding.overlaps and mask.shape[2] == n_bytes(n):
            return layers(mask, n) == 1
        return decided(mask.transpose(2, 0, 1), self.coding)

    def in_windows(
        self, ids: Sequence[str], targets: FramedMasks, images: TiledImages, min_visible: float
    ) -> WindowMasks:
        """Return what windows show of the masks."""
        from goldfold.samples.window_targets import WindowMasks

        return WindowMasks(targets, images)
