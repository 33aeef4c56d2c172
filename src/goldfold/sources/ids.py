"""Ids of images: unique, distinct between splits, and matched with the competition's sample file."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from unicodedata import normalize

import pandas as pd

from goldfold.base.errors import DataError
from goldfold.base.words import count, noun
from goldfold.images.files import without_suffix
from goldfold.images.nearest import nearest_name


def tell_apart(tables: dict[str, pd.DataFrame]) -> None:
    """Refuse duplicate ids within a split; if two splits share an id, prefix all ids of one split with its name.

    The ids of test images never change, since submissions use them.

    Raises:
        DataError: duplicate ids.
    """
    for split, table in tables.items():
        repeated = table["id"][table["id"].duplicated()]
        if len(repeated):
            raise DataError(
                f"{split}: {repeated.nunique()} duplicate ids, first {repeated.iloc[0]!r}. Give every image one row and its "
                f"own id."
            )
    for split, than in (("train", ("test",)), ("unlabeled", ("train", "test"))):
        others = {id for name in than if name in tables for id in tables[name]["id"]}
        if split in tables and others & set(tables[split]["id"]):
            tables[split]["id"] = f"{split}/" + tables[split]["id"]


def match_sample(keys: Sequence[tuple[str, ...]], sample: str, test: pd.DataFrame | None) -> pd.DataFrame:
    """The test table with ids as the sample file writes them (with or without folder and suffix, and with accented letters
    composed or decomposed).

    Args:
        keys: keys of the rows of the sample; the first part is the image's id.

    Raises:
        DataError: sample and test set have different images.
    """
    if test is None:
        raise DataError(
            "submission.sample is set, but there are no test images: set data.test, or remove submission.sample."
        )
    repeated = pd.Series(keys, dtype=object)[pd.Series(keys, dtype=object).duplicated()]
    if len(repeated):
        raise DataError(f"{sample}: {repeated_rows(repeated.iloc[0], len(repeated))} Keep one of each.")
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
    hint = ""
    if odd := ids - set(test["id"]):
        hint = nearest_name(min(odd, key=str), sorted(map(str, test["id"])), "the nearest test image is")
    raise DataError(
        f"{sample}: {other_ids(ids, set(test['id']))}. {hint}It must name exactly the {len(test):,} test images: correct it, or "
        f"data.test."
    )


def other_ids(ids: AbstractSet[str], wanted: AbstractSet[str]) -> str:
    """Describe how ids differ from those of the test images; empty if they do not.

    >>> other_ids({"a", "x"}, {"a", "b", "c"})
    "1 id is not that of a test image, first 'x'; 2 test images are missing, first 'b'"
    """
    said = []
    if odd := ids - wanted:
        verb = "is not that" if len(odd) == 1 else "are not those"
        said.append(f"{count(len(odd), 'id')} {verb} of a test image, first {min(odd, key=str)!r}")
    if odd := wanted - ids:
        said.append(
            f"{count(len(odd), 'test image')} {noun(len(odd), 'is', 'are')} missing, first {min(odd, key=str)!r}"
        )
    return "; ".join(said)


def repeated_rows(first: Sequence[str], n: int) -> str:
    """Describe ``n`` rows of a submission or its sample that repeat an earlier one; ``first`` is the key of the first."""
    verb = noun(n, "repeats", "repeat")
    return f"{count(n, 'row')} {verb} the id of an earlier one, first {', '.join(map(repr, first))}."
