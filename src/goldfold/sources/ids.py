"""Ids: one an image, apart between the splits, and those of the competition's sample file."""

from collections.abc import Sequence
from pathlib import Path
from unicodedata import normalize

import pandas as pd

from goldfold.base.errors import DataError
from goldfold.images.files import without_suffix
from goldfold.images.nearest import nearest_name


def tell_apart(tables: dict[str, pd.DataFrame]) -> None:
    """Refuse an id that stands twice in a split; ids that two splits share get the split's name before them.

    The ids of the test images stay as they are, since the submission names them.

    Raises:
        DataError: duplicate ids.
    """
    for split, table in tables.items():
        repeated = table["id"][table["id"].duplicated()]
        if len(repeated):
            raise DataError(
                f"{split}: {repeated.nunique()} duplicate ids, first {repeated.iloc[0]!r}. Give every image one row and an "
                f"id of its own."
            )
    for split, than in (("train", ("test",)), ("unlabeled", ("train", "test"))):
        others = {id for name in than if name in tables for id in tables[name]["id"]}
        if split in tables and others & set(tables[split]["id"]):
            tables[split]["id"] = f"{split}/" + tables[split]["id"]


def match_sample(keys: Sequence[tuple[str, ...]], sample: str, test: pd.DataFrame | None) -> pd.DataFrame:
    """The test table with the ids as the sample file writes them (with or without folder and suffix, and with accented
    letters as one sign or as two).

    Args:
        keys: what tells the rows of the sample apart; the first part is the image's id.

    Raises:
        DataError: sample and test images are not the same.
    """
    if test is None:
        raise DataError(
            "submission.sample is set, but there are no test images: set data.test, or remove submission.sample."
        )
    repeated = pd.Series(keys, dtype=object)[pd.Series(keys, dtype=object).duplicated()]
    if len(repeated):
        raise DataError(f"{sample}: {len(repeated)} duplicate ids, first {', '.join(map(repr, repeated.iloc[0]))}.")
    ids = {key[0] for key in keys}
    names = test["path"].map(lambda path: Path(path).name)
    for written in (test["id"], names, names.map(without_suffix)):
        if set(written) == ids and written.is_unique:
            return test.assign(id=written)
    of_composed = {normalize("NFC", id): id for id in ids}
    for written in (test["id"], names, names.map(without_suffix)):
        found = written.map(lambda name: of_composed.get(normalize("NFC", name)))
        if set(found) == ids and found.is_unique:
            return test.assign(id=found)
    for what, odd, others in (
        ("not among the test images", ids - set(test["id"]), set(test["id"])),
        ("missing in it", set(test["id"]) - ids, ids),
    ):
        if odd:
            first = min(odd, key=str)
            hint = nearest_name(first, sorted(map(str, others)), "the nearest is")
            raise DataError(f"{sample}: {len(odd)} ids are {what}, first {first!r}. {hint}Both must name the same.")
    raise AssertionError("unreachable: the sets differ")
