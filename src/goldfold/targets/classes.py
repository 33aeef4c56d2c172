"""Classes and their order."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any
from unicodedata import normalize

import pandas as pd

from goldfold.base.errors import DataError, nearest
from goldfold.base.numbers import in_ascii_digits, number_of

NEGATIVE_FIRST = ({"0", "1"}, {"false", "true"}, {"no", "yes"}, {"neg", "pos"}, {"negative", "positive"})
"""Pairs of names whose natural order has the positive class second."""
TAKEN = frozenset({"(all)", "(deviation)", "(image)", "(images)", "(nothing)"})
"""Reserved names: columns next to those of classes in tables of folds."""


def classes_of(labels: "pd.Series[str]", named: Sequence[str] | None, where: str) -> list[str]:
    """The classes in the order of ``named``, or in natural order without it.

    Raises:
        DataError: a label is not in ``named``, or is a reserved name.
    """
    present = natural_order(labels)
    if taken := sorted(TAKEN & set(present)):
        raise DataError(f"{where}: label {taken[0]!r} is a name that goldfold uses in its own tables. Rename it.")
    _refuse_twins(present if named is None else [], where)
    known = set(present if named is None else named)
    for label in present:
        if label not in known:
            raise DataError(
                f"{where}: label {label!r} is not in data.classes; {nearest(label, named or [])}named: {', '.join(named or [])}"
            )
    return present if named is None else list(named)


def _refuse_twins(names: Sequence[str], where: str) -> None:
    """Refuse two spellings of a number or a letter, such as ``01`` and ``1``, which may be one class or two."""
    of_letters: dict[str, str] = {}
    for name in names:
        if (first := of_letters.setdefault(normalize("NFC", name), name)) != name:
            raise DataError(
                f"{where}: labels {first!a} and {name!a} look the same: an accented letter is composed in one and "
                f"decomposed in the other. Write them alike (in NFC), or name both in data.classes if they are two classes."
            )
    for first, second in one_number(names):
        raise DataError(
            f"{where}: labels {first!r} and {second!r} are the same number. Write them alike, or name both in data.classes "
            f"if they are two classes."
        )


def one_number(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Pairs of labels that are two spellings of one number, sorted by value."""
    for first, second in itertools.pairwise(natural_order(names)):
        if (value := _number(first)) is not None and value == _number(second):
            yield first, second


def natural_order(names: Iterable[str]) -> list[str]:
    """Unique names: numbers by value, then names in alphabetical order."""
    return sorted(set(names), key=_natural)


def refuse_unordered(classes: Sequence[str], named: Sequence[str] | None, metric: Any, one_probability: bool) -> None:
    """Refuse to guess an order of classes if the score depends on it.

    Args:
        one_probability: the sample file asks for one probability, of the second of two classes.

    Raises:
        DataError: ``data.classes`` must give the order.
    """
    if named is not None:
        return
    if metric == "quadratic_kappa" and any(_number(name) is None for name in classes):
        raise DataError(
            f"quadratic_kappa needs ordered grades, but {', '.join(classes)} are not numbers. Set data.classes, "
            f"lowest grade first."
        )
    if one_probability and {name.lower() for name in classes} not in NEGATIVE_FIRST:
        raise DataError(
            f"the sample file asks for one probability, but it is unclear which of {' and '.join(classes)} is positive. Set "
            f"data.classes: [negative, positive] with these names."
        )


def refuse_disordered(classes: Sequence[str], are_named: bool) -> None:
    """Refuse ordered classes whose order is not known, or contradicts their numbers.

    Args:
        are_named: the classes are those of ``data.classes``.

    Raises:
        DataError: with what to write.
    """
    numbers = [_number(name) for name in classes]
    values = [number for number in numbers if number is not None]
    if len(values) < len(numbers):
        if not are_named:
            raise DataError(
                f"task: ordinal needs the order of the classes, but {', '.join(classes)} are not numbers. Set data.classes, "
                f"lowest class first."
            )
        return
    if values not in (sorted(values), sorted(values, reverse=True)):
        raise DataError(
            f"data.classes: {', '.join(classes)} are numbers, but not in order. Task ordinal needs the lowest class first: "
            f"{', '.join(natural_order(classes))}."
        )


def _number(name: str) -> Decimal | None:
    """The number that a label stands for, in any script; None if it is a name."""
    return number_of(in_ascii_digits(name))


def _natural(name: str) -> tuple[bool, Decimal, str]:
    """Sort key: numbers by value, then names in alphabetical order."""
    value = _number(name)
    return (True, Decimal(0), name) if value is None else (False, value, name)
