"""Errors a user can act on, and the nearest-name hint they share."""

from collections.abc import Iterable
from difflib import get_close_matches


class GoldfoldError(Exception):
    """Something the user can put right; shown as its text alone, without a traceback."""


class ConfigError(GoldfoldError):
    """The config cannot be used as written."""


class DataError(GoldfoldError):
    """The data cannot be used as they are."""


class TrainingError(GoldfoldError):
    """Training cannot go on."""


def nearest(name: str, choices: Iterable[str]) -> str:
    """Hint such as ``nearest is 'lr'; `` for an unknown name, empty where nothing is near."""
    close = get_close_matches(str(name), [str(choice) for choice in choices], n=1, cutoff=0.5)
    return f"nearest is {close[0]!r}; " if close else ""


def unknown(what: str, name: str, choices: Iterable[str]) -> ConfigError:
    """Error for a name that is not among ``choices``, with the nearest one and all of them."""
    allowed = sorted(choices)
    return ConfigError(f"unknown {what} {name!r}: {nearest(name, allowed)}allowed: {', '.join(allowed)}")
