"""Parameters of entries of ``tta`` that give several views: allowed values, and the number of views. Imports nothing heavy."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from goldfold.base.errors import ConfigError, nearest, shown
from goldfold.catalog import TURNS
from goldfold.components import Written, parse

SHARE = 0.875
"""Side of a crop, as a share of the image's: 224 of 256 pixels."""
FACTORS = (0.8, 1.0, 1.25)
UNTURNED = ("identity",)
AUGMENT, N_RANDOM = "light", 8
MOST_RANDOM = 1000
SMALLEST, LARGEST = 0.1, 10.0
"""Range of factors of size."""
N_CROPS = {"crop": 1, "five_crop": 5, "ten_crop": 10}


def _whole(value: Any, least: int, most: float = float("inf")) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _share(value: Any) -> str:
    return "" if _number(value) and 0 < value < 1 else "must be above 0 and below 1, a share of the side"


def _turns(value: Any) -> str:
    if not _list(value):
        return f"write a list of {', '.join(TURNS)}"
    if wrong := [name for name in value if name not in [*TURNS]]:
        return f"{shown(wrong[0])} does not turn an image; {nearest(str(wrong[0]), TURNS)}allowed: {', '.join(TURNS)}"
    return "names one more than once" if len({*value}) < len(value) else ""


def _factors(value: Any) -> str:
    if not _list(value) or not all(_number(one) and SMALLEST <= one <= LARGEST for one in value):
        return f"write a list of numbers from {SMALLEST:g} to {LARGEST:g}, such as [0.8, 1.0, 1.25]"
    return "names one more than once" if len({*value}) < len(value) else ""


def _list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and len(value) > 0


CHECKS: dict[str, Callable[[Any], str]] = {
    "share": _share,
    "turns": _turns,
    "factors": _factors,
    "multiple": lambda value: "" if _whole(value, 1) else "must be a whole number of pixels, at least 1",
    "n": lambda value: "" if _whole(value, 1, MOST_RANDOM) else f"must be a whole number from 1 to {MOST_RANDOM}",
    "seed": lambda value: "" if _whole(value, 0) else "must be a whole number, at least 0",
}
"""Parameter -> function that describes what is wrong with a value; empty if nothing is."""


def problems(params: Mapping[str, Any]) -> list[str]:
    """Describe wrong values of parameters; of those without a check none."""
    found = ((key, value, CHECKS[key](value)) for key, value in params.items() if key in CHECKS)
    return [f"{key} = {shown(value)}: {problem}" for key, value, problem in found if problem]


def check(**params: Any) -> None:
    """Raise ConfigError for the first wrong value of a parameter."""
    if found := problems(params):
        raise ConfigError(found[0])


def turns_of(written: Written) -> list[str]:
    """Names of the symmetries that a view of a config applies."""
    name, params = parse(written)
    turns = params.get("turns")
    return [name] if name in TURNS else [str(one) for one in turns] if isinstance(turns, list | tuple) else []


def n_views(written: Written) -> int:
    """Number of views that an entry of ``tta`` gives.

    >>> [n_views(one) for one in ("hflip", "ten_crop", {"scales": {"factors": [0.8, 1.25], "turns": ["identity", "hflip"]}})]
    [1, 10, 4]
    """
    name, params = parse(written)
    turns = len(turns_of(written)) or 1
    if name == "scales":
        factors = params.get("factors", FACTORS)
        return turns * (len(factors) if _list(factors) else 1)
    if name == "random":
        n = params.get("n", N_RANDOM)
        return int(n) if _whole(n, 1) else 1
    return N_CROPS[name] * turns if name in N_CROPS else 1
