"""Ends of the cycles of a schedule, in updates."""

import math

from goldfold import components
from goldfold.base.errors import ConfigError


def cycle_ends(schedule: components.Written, steps: int, warmup_steps: int) -> list[int]:
    """Return the number of updates after which each cycle of ``cosine`` or ``cyclic`` ends; the last is ``steps``.

    The next update is the first of the next cycle.

    >>> cycle_ends({"cosine": {"cycles": 3}}, 31, 1)
    [11, 21, 31]

    Raises:
        ConfigError: a cycle is shorter than an update.
    """
    name, params = components.parse(schedule)
    cycles, ratio = int(params["cycles"]), float(params.get("cycle_mult", 1.0))
    first = warmup_steps if name == "cosine" else 0  # cyclic has no warm-up
    n, lengths = max(1, steps - first), [ratio**number for number in range(cycles)]
    shares = [math.fsum(lengths[:number]) / math.fsum(lengths) for number in range(1, cycles)]
    ends = [first + math.ceil(round(share * n, 6)) for share in shares]
    ends.append(steps)
    if any(end <= before for before, end in zip([first, *ends], ends, strict=False)):
        raise ConfigError(
            f"schedule: {cycles} cycles of {steps - first} updates: one is shorter than an update; set more epochs, or fewer "
            f"cycles"
        )
    return ends
