"""Crops by the boxes of a detector of the same run: which boxes of an image are honest, and which of them is taken."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from goldfold.base.errors import DataError, nearest
from goldfold.base.words import count, noun
from goldfold.crop import boxes
from goldfold.crop.fit import Found
from goldfold.images.files import without_suffix

COLUMNS = boxes.COLUMNS
"""Columns of a table of boxes: id, label, score and corners in pixels."""
MATCHED = ["split", "id", "path", "part", "own_id"]
"""Columns of `matched`."""
OOF, NEW, UNSCORED = "oof", "new", "unscored"
"""Parts of an image: a training image that a fold validates; not among the detector's; a training image that no fold
validates. The other parts are the detector's splits ``test`` and ``holdout``."""
PREDICTED = ("test", "holdout")
"""Splits that the ensemble of a detector predicts besides its training images."""
WHOSE = {OOF: "networks of the other folds", NEW: "all networks", UNSCORED: "no network"}
"""Networks that predict the boxes of the images of a part; those of the splits are predicted by all."""
NOTHING, UNSURE = "the detector finds nothing", "the detector is not sure enough"
SEEN = "every network of the detector has seen its boxes"
"""Reasons why the whole image is taken."""
SHOWN = 3
"""Most groups that a message names."""


def matched(
    tables: Mapping[str, pd.DataFrame], own: Mapping[str, pd.DataFrame], may_share_names: bool = False
) -> pd.DataFrame:
    """Match images with those of the detector by their content; one row per image, with `MATCHED`.

    Args:
        tables: id, path and sha256 by split.
        own: the detector's lists: id, path, sha256, and fold of those of ``train``; of an image in several, ``train`` counts.
        may_share_names: whether an image may have the name of a training image of the detector, but other content.

    Raises:
        DataError: it has, and may not.
    """
    known = _by_content(own)
    parts = [table[["id", "path", "sha256"]].assign(split=split) for split, table in tables.items()]
    every = pd.concat(parts, ignore_index=True)
    places = [known.get(digest, (NEW, "")) for digest in every["sha256"]]
    found = every.assign(part=[part for part, _ in places], own_id=[id for _, id in places])
    if not may_share_names:
        _refuse_same_names(found[found["part"] == NEW], own["train"])
    return found[MATCHED]


def _by_content(own: Mapping[str, pd.DataFrame]) -> dict[str, tuple[str, str]]:
    """Part and id of the detector's images by their digest; training images come before the others."""
    train = own["train"]
    found = {
        digest: (OOF if int(fold) >= 0 else UNSCORED, id)
        for id, digest, fold in zip(train["id"], train["sha256"], train["fold"], strict=True)
    }
    for split, table in own.items():
        if split not in PREDICTED:
            continue
        for id, digest in zip(table["id"], table["sha256"], strict=True):
            found.setdefault(digest, (split, id))
    return found


def _refuse_same_names(others: pd.DataFrame, train: pd.DataFrame) -> None:
    known = {name: id for id, path in zip(train["id"], train["path"], strict=True) for name in _names(id, path)}
    same = [
        (id, path, known[name])
        for id, path in zip(others["id"], others["path"], strict=True)
        if (name := next((name for name in _names(id, path) if name in known), None))
    ]
    if same:
        id, path, other = same[0]
        raise DataError(
            f"data.roi: {count(len(same), 'image has', 'images have')} the name of a training image of the detector, but other "
            f"content, first {id!r} ({path}; the detector's {other!r}). A resized copy would be cropped by networks that have "
            f"seen its boxes, and scores would be too good. Give both configs the same files; if they are different images, "
            f"set data.roi.same_names: ignore."
        )


def _names(id: str, path: str) -> Iterator[str]:
    yield id
    yield without_suffix(Path(path).name)


def refuse_unknown_labels(labels: Sequence[str] | None, classes: Sequence[str]) -> None:
    """Refuse classes that the detector does not know.

    Raises:
        DataError: it does not know one.
    """
    for label in labels or ():
        if label not in classes:
            raise DataError(
                f"data.roi.labels: {label!r} is no class of the detector; {nearest(label, classes)}there are: "
                f"{', '.join(classes)}."
            )


def spread_groups(images: pd.DataFrame, groups: Mapping[str, str], folds: Mapping[str, int]) -> list[str]:
    """Groups of the images whose boxes come from several folds of the detector, sorted.

    Networks of the detector have then seen boxes of other images of the group.

    Args:
        images: rows of `matched` of training images.
        groups: id -> group.
        folds: the detector's fold of its own training images, by their id.
    """
    known = images[(images["part"] == OOF) & images["id"].isin(list(groups))]
    numbers = known["own_id"].map(folds).groupby(known["id"].map(groups)).nunique()
    return sorted(numbers.index[numbers > 1])


def by_image(table: pd.DataFrame, labels: Sequence[str] | None) -> dict[str, pd.DataFrame]:
    """Boxes of each image by its id, of the given classes alone."""
    wanted = table if labels is None else table[table["label"].isin(labels)]
    return {str(id): rows.assign(is_share=False) for id, rows in wanted.groupby("id")}


def picked(rows: pd.DataFrame | None, pick: str, least_score: float) -> Found:
    """The box of an image; None and the reason where the whole image is taken."""
    box, reason = boxes.picked(rows, 1, 1, pick, least_score)
    return box, {boxes.NONE: NOTHING, boxes.UNSURE: UNSURE}.get(reason, reason)


def found_in(
    images: pd.DataFrame, tables: Mapping[str, pd.DataFrame], roi: Mapping[str, Any]
) -> dict[str, list[Found]]:
    """Box of each image, by split in the order of the rows.

    Args:
        images: rows of `matched`.
        tables: boxes by part; ``id`` is the detector's, of the part `NEW` the path of the image.
        roi: ``pick``, ``least_score`` and ``labels``.
    """
    known = {part: by_image(table, roi["labels"]) for part, table in tables.items()}
    keys = images["own_id"].where(images["part"] != NEW, images["path"])
    found: dict[str, list[Found]] = {}
    for split, part, key in zip(images["split"], images["part"], keys, strict=True):
        rows = known.get(part, {}).get(key)
        one = (None, SEEN) if part == UNSCORED else picked(rows, roi["pick"], roi["least_score"])
        found.setdefault(split, []).append(one)
    return found


def of_table(table: pd.DataFrame) -> pd.DataFrame:
    """Boxes as `COLUMNS`, of a table of predictions of a detection task."""
    return table.rename(columns={"prediction": "label", "confidence": "score"})[COLUMNS]


def whose(images: pd.DataFrame, split: str) -> list[str]:
    """Networks whose boxes the images of a split are cropped by, see `WHOSE`."""
    return [WHOSE.get(part, WHOSE[NEW]) for part in images["part"][images["split"] == split]]


def spread_in_words(groups: Sequence[str]) -> str:
    """Say that boxes of one group come from several folds of the detector."""
    first = ", ".join(map(repr, groups[:SHOWN])) + (", ..." if len(groups) > SHOWN else "")
    return (
        f"{count(len(groups), 'group')} of training images {noun(len(groups), 'is', 'are')} in several folds of the detector "
        f"({first}): its networks have seen boxes of other images of the group, which new groups do not have. Keep the groups "
        f"together in the detector's folds too"
    )
