"""Format numbers and names for display."""

import math
from collections.abc import Sequence


def score(value: float | None, digits: int = 4) -> str:
    """Score with four decimals; a dash if there is none."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}".replace("-", "−")


def interval(low: float | None, high: float | None, digits: int = 4) -> str:
    """Both ends; a dash if one is missing."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return "–"
    return f"{low:.{digits}f} to {high:.{digits}f}".replace("-", "−")


def change(value: float, digits: int = 4) -> str:
    """Difference with its sign."""
    text = f"{value:+.{digits}f}".replace("-", "−")
    return text[1:] if float(text[1:]) == 0 else text


def percent(share: float, digits: int = 1) -> str:
    """Share of 0..1 in per cent."""
    return "–" if not math.isfinite(share) else f"{100 * share:.{digits}f} %"


def duration(seconds: float) -> str:
    """``0.4 s``, ``38 s``, ``12 min 5 s``, ``3 h 20 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


VERDICTS = {None: "unknown", True: "within noise", False: "more than noise"}
"""Words for whether noise explains a difference; None if that is unknown."""


def noise_in_words(said: str, is_expected: bool | None, expected: str, causes: str) -> str:
    """Sentences on whether noise explains a difference of two scores.

    Args:
        said: the difference.
        expected: what noise explains.
        causes: sentences on what else may, if noise does not.
    """
    if is_expected is None:
        return (
            f"{said}. Whether noise explains it is unknown: too few cases can be scored, or the out-of-fold score is perfect and "
            f"has no noise to measure."
        )
    return f"{said}, {VERDICTS[is_expected]}" + (
        f": {expected}." if is_expected else f" explains: {expected}. {causes}"
    )


def luck_in_words(who: str, gain: float, of: str = "") -> str:
    """Sentence, without its end, on the luck of the best of ``who``; ``of``: what they are scored by."""
    return (
        f"If all {who}were equally good, the best of them would be expected to score up to {score(gain)} better than it is"
        f"{of}, by chance"
    )


def listed(names: Sequence[str], at_most: int = 5) -> str:
    """``a, b and c``; ``a, b and 7 more`` if there are many."""
    if len(names) > at_most:
        return f"{', '.join(names[:at_most])} and {len(names) - at_most} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def shortened(text: str, at_most: int = 24) -> str:
    """Long text shortened in the middle, so that a figure keeps its shape."""
    if len(text) <= at_most:
        return text
    keep = at_most - 1
    return f"{text[: keep - keep // 3]}…{text[-(keep // 3) :]}"
