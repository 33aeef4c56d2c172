"""Errors a user can act on, and the nearest-name hint they share."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from traceback import extract_tb


class GoldfoldError(Exception):
    """Something the user can put right; shown as its text alone, without a traceback."""


class ConfigError(GoldfoldError):
    """The config cannot be used as written."""


class SizeError(ConfigError):
    """A network does not work at an image size; others may do."""


class NotBuiltError(ConfigError):
    """A network's own code refuses what it is built with."""


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


def cause(error: BaseException) -> str:
    """First line of an error, its kind where that alone says nothing, and the place where it has no text at all."""
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    kind = type(error).__name__
    if not text:
        frames = extract_tb(error.__traceback__)
        own = [frame for frame in frames if "torch" not in Path(frame.filename).parts] or frames
        return f"{kind} in {Path(own[-1].filename).name}, line {own[-1].lineno}: {own[-1].line}" if own else kind
    return f"{kind}: {text.rstrip('.')}" if isinstance(error, LookupError) else text.rstrip(".")
