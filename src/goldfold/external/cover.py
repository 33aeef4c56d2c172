"""Checks of predictions of other tools against the images and folds of a run."""

from collections import Counter
from collections.abc import Mapping, Sequence

from goldfold.base.errors import DataError
from goldfold.base.words import count

SHOWN = 60
"""Most characters of an id that a message shows."""


def refuse_twice(ids: Sequence[str], where: str) -> None:
    """Refuse predictions that cover an image more than once.

    Raises:
        DataError: an id is repeated.
    """
    repeated = [id for id, number in Counter(ids).items() if number > 1]
    if repeated:
        raise DataError(
            f"{where}: predicts {count(len(repeated), 'image')} more than once, first {repeated[0][:SHOWN]!r}. Each image needs "
            f"one prediction; average repeated ones, as of several seeds, before writing."
        )


def refuse_missing(ids: Sequence[str], wanted: Sequence[str], where: str, what: str) -> None:
    """Refuse predictions that lack an image.

    Args:
        what: plural noun for the images that are wanted.

    Raises:
        DataError: one is missing.
    """
    found = {*ids}
    if missing := [id for id in wanted if id not in found]:
        example = f" Ids of the file look like {ids[0][:SHOWN]!r}." if ids else " It has no rows."
        raise DataError(
            f"{where}: has no prediction of {len(missing):,} of {len(wanted):,} {what}, first {missing[0][:SHOWN]!r}.{example}"
        )


def refuse_other_folds(
    given: Sequence[tuple[str, str]], folds: Mapping[str, str], where: str, column: str, listed: str
) -> None:
    """Refuse out-of-fold predictions of another assignment of images to folds; numbers of folds may differ.

    A network whose training part had images of this run's fold k would predict them having seen their labels as soon as
    weights are fitted without fold k, and members could not be compared fold by fold.

    Args:
        given: id and fold in the file, of each row; ids that this run does not validate are left out.
        folds: id -> fold of this run.
        column: column of the fold.
        listed: file with the folds of this run.

    Raises:
        DataError: two images are in one fold here and in two there, or the other way round; or one has no fold there.
    """
    if blank := next((id for id, fold in given if id in folds and not fold.strip()), None):
        raise DataError(
            f"{where}: {column} is empty for {blank[:SHOWN]!r}, which this run validates. Write the fold whose networks "
            f"predicted it."
        )
    pairs: dict[tuple[str, str], str] = {}
    for id, fold in given:
        if id in folds:
            pairs.setdefault((folds[id], fold), id)
    for place, other in ((0, 1), (1, 0)):
        first: dict[str, tuple[str, str]] = {}
        for pair, id in pairs.items():
            known = first.setdefault(pair[place], (pair[other], id))
            if known[0] != pair[other]:
                one = "one fold of this run" if place == 0 else f"one fold of the file ({column} {pair[place]!r})"
                two = f"{column} {known[0]!r} and {pair[other]!r}" if place == 0 else "two folds of this run"
                ids = f"{known[1][:SHOWN]!r} and {id[:SHOWN]!r}"
                raise DataError(
                    f"{where}: has another assignment to folds: {ids} are in {one} but in {two}. Train that tool on the folds "
                    f"of this run ({listed} lists them), or give its folds to this run (folds.file)."
                )
