"""Ends of the cycles of a schedule, in updates."""

import math

from goldfold import components
from goldfold.base.errors import ConfigError


def cycle_ends(schedule: components.Written, steps: int, warmup_steps: int) -> list[int]:
    """Return the number of updates after which each cycle of ``cosine`` or ``cyclic`` ends; the last is ``steps``.

    The last update of a cycle is the one before the restart of ``cosine``, or the one with the lowest rate of ``cyclic``.

    >>> cycle_ends({"cosine": {"cycles": 3}}, 31, 1)
    [11, 21, 31]

    Raises:
        ConfigError: a cycle is shorter than an update.
    """
    name, params = components.parse(schedule)
    cycles, ratio = int(params["cycles"]), float(params.get("cycle_mult", 1.0))
    is_cosine = name == "cosine"
    first = warmup_steps if is_cosine else 0  # cyclic has no warm-up
    n, lengths = max(1, steps - first), [ratio**number for number in range(cycles)]
    shares = [math.fsum(lengths[:number]) / math.fsum(lengths) for number in range(1, cycles)]
    bounds = [round(share * n, 6) for share in shares]
    ends = [first + math.ceil(bound) if is_cosine else math.floor(bound + 0.5) + 1 for bound in bounds]
    ends.append(steps)
    if any(end <= before for before, end in zip([first, *ends], ends, strict=False)):
        raise ConfigError(
            f"schedule: {cycles} cycles of {steps - first} updates: one is shorter than an update; set more epochs, or fewer "
            f"cycles"
        )
    return ends
