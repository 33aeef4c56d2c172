"""Errors that a user can act on, and the nearest-name hint that they share."""

import re
from collections.abc import Iterable
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from traceback import extract_tb
from typing import Any

MOST_SHOWN = 200
"""Characters of a value shown in an error."""
LONG = re.compile(
    rf"(?<!\w)'[^'\n]{{{MOST_SHOWN},}}'(?!\w)|(?<!\w)\"[^\"\n]{{{MOST_SHOWN},}}\"(?!\w)|\S{{{MOST_SHOWN + 1},}}"
)
"""A quoted value, or a word, that is longer than `MOST_SHOWN`."""


class GoldfoldError(Exception):
    """An error that the user can correct; shown without a traceback."""

    def __init__(self, text: str = "") -> None:
        super().__init__(shortened(text))


class ConfigError(GoldfoldError):
    """The config cannot be used."""


class SizeError(ConfigError):
    """A network does not support an image size; it may support others."""


class NotBuiltError(ConfigError):
    """A network's own code rejects its arguments."""


class DataError(GoldfoldError):
    """The data cannot be used."""


class TrainingError(GoldfoldError):
    """Training cannot continue."""


class Stopped(SystemExit):
    """Exit on a signal; any other SystemExit comes from code that is not goldfold's."""


def as_error(error: Exception | SystemExit) -> Exception:
    """``error``, or a GoldfoldError for a ``sys.exit`` in user-defined code, which would end goldfold silently."""
    if not isinstance(error, SystemExit):
        return error
    frames = [frame for frame in extract_tb(error.__traceback__) if not frame.filename.startswith("<")]
    place = f"{frames[-1].filename}, line {frames[-1].lineno}: {frames[-1].line}" if frames else "an unknown place"
    return GoldfoldError(
        f"user-defined code ended the process instead of raising an error, with {shown(error.code)} ({place}). "
        f"Remove that; code to be run as a script belongs below if __name__ == '__main__'."
    )


def nearest(name: str, choices: Iterable[str], n: int = 1) -> str:
    """Hint such as ``nearest is 'lr'; `` for an unknown name, with up to ``n`` names; empty if nothing is near."""
    close = get_close_matches(str(name)[:MOST_SHOWN], [str(choice) for choice in choices], n=n, cutoff=0.5)
    return f"nearest {'is' if len(close) == 1 else 'are'} {', '.join(map(repr, close))}; " if close else ""


def unknown(what: str, name: str, choices: Iterable[str]) -> ConfigError:
    """Error for a name that is not among ``choices``; lists the nearest one and all choices."""
    allowed = sorted(choices)
    return ConfigError(f"unknown {what} {name!r}: {nearest(name, allowed)}allowed: {', '.join(allowed)}")


def shown(value: Any) -> str:
    """``value`` as shown in an error: its `repr`; only the two ends of a long one."""
    try:
        return _ends(value.isoformat() if isinstance(value, date) else repr(value))
    except (ValueError, RecursionError):  # an integer of thousands of digits; a list that contains itself
        return f"a value of type {type(value).__name__} that is too large to show"


def shortened(text: str) -> str:
    """``text`` with every very long word or quoted value reduced to its two ends."""
    return LONG.sub(lambda match: _ends(match[0]), str(text))


def _ends(text: str) -> str:
    if len(text) <= MOST_SHOWN:
        return text
    half = (MOST_SHOWN - 5) // 2
    return f"{text[:half]} ... {text[-half:]}"


def cause(error: BaseException) -> str:
    """First line of an error; also the next if it ends in a colon, the type if the text alone is unclear, and the place if
    there is no text. Of pydantic's errors, the first value and what is wrong with it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if len(lines) > 2 and re.match(r"\d+ validation errors? for ", lines[0]):
        return f"{lines[1]}: {lines[2].partition(' [type=')[0]}"
    text = " ".join(lines[: 2 if lines and lines[0].endswith((":", ":.")) else 1]).rstrip(":")
    kind = type(error).__name__
    if not text:
        frames = extract_tb(error.__traceback__)
        own = [frame for frame in frames if "torch" not in Path(frame.filename).parts] or frames
        return f"{kind} in {Path(own[-1].filename).name}, line {own[-1].lineno}: {own[-1].line}" if own else kind
    return f"{kind}: {text.rstrip('.')}" if isinstance(error, LookupError) else text.rstrip(".")
