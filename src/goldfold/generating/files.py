"""Files of generated images: a folder that is read like cached images."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.cache.stores import RawWriter
from goldfold.generating.protocol import Made

IMAGE_FILES = ("images.npy", "ids.csv")
SOURCE = "source"
"""Column of ``ids.csv``: id of the training image whose target a generated image has."""


def write(folder: Path, made: Made, ids: NDArray[np.str_]) -> None:
    """Write images and their ids, ``<id of the source>~<number>``, into ``folder``.

    Args:
        ids: ids of the images that the generator was given.
    """
    writer = RawWriter(folder / "images.npy", made.images.shape, made.images.dtype)
    for image in made.images:
        writer.append(image)
    writer.finish()
    sources = pd.Series(ids[made.rows], dtype=str)
    numbers = sources.groupby(sources).cumcount()
    table = pd.DataFrame({"id": sources + "~" + numbers.astype(str), SOURCE: sources})
    table.to_csv(folder / "ids.csv", index=False)
