"""Images of a folder that no table names, left out on purpose or used as images without labels; answers that name no image."""

import os
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from goldfold.base.errors import DataError
from goldfold.base.words import count, noun
from goldfold.images.stacks import files_of
from goldfold.sources.stacked import images


def pool_beside(
    root: str, tables: Mapping[str, pd.DataFrame], stack: list[str] | None = None, pattern: str = ""
) -> pd.DataFrame:
    """id and path of the images below ``root`` that are in no table: those of `data.unlabeled`.

    If all are in a table, as in a folder of test images, all are returned: the manifest stage leaves out copies.
    """
    known = named(tables)
    every = images(root, "data.unlabeled", stack, pattern)
    rest = [(id, path) for id, path in every if known.isdisjoint(absolute(path))]
    return pd.DataFrame(rest or every, columns=["id", "path"])


def report_unlisted(
    roots: Iterable[str | None], tables: Mapping[str, pd.DataFrame], stack: list[str] | None = None, pattern: str = ""
) -> None:
    """Print one line per folder with images that no table names."""
    known = named(tables)
    for root in dict.fromkeys(root for root in roots if root is not None):
        rest = [path for _, path in images(root, "data.images", stack, pattern) if known.isdisjoint(absolute(path))]
        if rest:
            print(in_words(len(rest), root, files_of(rest[0])[0]), flush=True)


def refuse_others(ids: Iterable[str], test: pd.DataFrame, path: str, objects: str) -> None:
    """Refuse answers for images that are not test images, where a test image without a row counts as one without objects.

    Args:
        ids: of the answers in the file ``path``.
        objects: what such an image has none of, in the plural.

    Raises:
        DataError: an id is not among those of ``test``.
    """
    if others := {*ids} - {*test["id"]}:
        raise DataError(
            f"data.test_answers: {path}: {len(others)} ids in it are not among the test images, first {min(others)!r}. "
            f"Correct them: a test image without a row counts as one without {objects}."
        )


def in_words(number: int, root: str, first: str) -> str:
    """``12 images below raw are in no table, first raw/a.png: ...``."""
    them, are = noun(number, "it", "them"), noun(number, "is", "are")
    what = noun(number, "an image without a label", "images without labels")
    return (
        f"{count(number, 'image')} below {root} {are} in no table, first {first}: left out (data.unlabeled: {root} takes {them} "
        f"as {what})"
    )


def named(tables: Mapping[str, pd.DataFrame]) -> set[str]:
    """Absolute paths of all files of all tables."""
    return {file for table in tables.values() if "path" in table for path in table["path"] for file in absolute(path)}


def absolute(path: str) -> Sequence[str]:
    """Absolute paths of the files of an image."""
    return [os.path.abspath(file) for file in files_of(path)]
