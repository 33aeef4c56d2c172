"""Where images and labels come from. Each source gives tables of the same shape."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from goldfold.data.sources import coco, digits, folder, instances, masks, rle, scenes, table, voc, yolo
from goldfold.runtime.errors import unknown

SOURCES: dict[str, Callable[..., dict[str, pd.DataFrame]]] = {
    "digits": digits.read,
    "digits_labels": digits.read_labels,
    "digits_ink": digits.read_ink,
    "folder": folder.read,
    "csv": table.read,
    "masks": masks.read,
    "instances": instances.read,
    "rle": rle.read,
    "coco": coco.read,
    "voc": voc.read,
    "yolo": yolo.read,
    "scenes_masks": scenes.read_masks,
    "scenes_boxes": scenes.read_boxes,
}


def read(source: str, **settings: Any) -> dict[str, pd.DataFrame]:
    """Tables of the splits that exist (`train`, `test`, `unlabeled`), a row an image, in the order of the source.

    Columns: ``id`` and ``path`` (text); for train the target, missing where there is none: ``label``, ``labels`` (text, see
    `goldfold.data.label_sets`), ``value``, ``mask`` (see `goldfold.data.masks.decode_mask`) or ``runs`` (run lengths),
    ``boxes`` (text, see `goldfold.data.boxes`) or ``shares`` (boxes in shares of the image); where the source has them
    ``group``, ``fold`` and ``meta_<name>`` (text). `answers` has the targets of test images by id, where they are known,
    and `categories` (name, id) the numbers that the source's own files give the classes.

    Raises:
        DataError: the data are not laid out as the settings say.
    """
    if source not in SOURCES:
        raise unknown("data source", source, SOURCES)
    return SOURCES[source](**settings)
