"""Stage match: images and those of the detector -> whose boxes each image may be cropped by."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from goldfold.base.files import read_json
from goldfold.crop import detector
from goldfold.crop.find import WITHOUT
from goldfold.tables import read_table, write_table


def run(
    tables: Mapping[str, str],
    own: Mapping[str, str],
    classes: str,
    table: str,
    same_names: str,
    labels: Sequence[str] | None,
) -> list[str]:
    """Write a row per image: split, id, path, part and id among the detector's images; return doubts.

    Args:
        tables: tables of the manifest by split.
        own: lists of the detector by split; ``train`` has the column fold.
        classes: names of the detector's classes.
        table: file to write, see `goldfold.crop.detector.matched`.
        same_names: ``fail`` or ``ignore``: images with the name of a training image of the detector, but other content.
        labels: classes of the boxes that are used; None for all.

    Raises:
        DataError: names are shared, or a class is not the detector's.
    """
    detector.refuse_unknown_labels(labels, read_json(Path(classes)))
    given = {split: read_table(path) for split, path in tables.items() if split not in WITHOUT}
    known = {split: read_table(path) for split, path in own.items()}
    found = detector.matched(given, known, same_names == "ignore")
    for split, images in found.groupby("split", sort=False):
        parts = ", ".join(f"{number:,} {part}" for part, number in images["part"].value_counts().items())
        print(f"{split}: {parts}", flush=True)
    doubts: list[str] = []
    if "group" in given["train"]:
        groups = dict(zip(given["train"]["id"], given["train"]["group"], strict=True))
        folds = dict(zip(known["train"]["id"], known["train"]["fold"].astype(int), strict=True))
        if spread := detector.spread_groups(found[found["split"] == "train"], groups, folds):
            doubts.append(detector.spread_in_words(spread))
    print(*(f"{doubt}\n" for doubt in doubts), sep="", end="", flush=True)
    write_table(Path(table), found)
    return doubts
