"""Gains of rounds over the rounds before, on the same cases."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from goldfold.metrics.paired import gain
from goldfold.planning.grid import Grid
from goldfold.predictions.resampled import Drawn

ENSEMBLE = "ensemble"


@dataclass(frozen=True)
class Scored:
    """Scores of the members and the ensemble of a round."""

    values: Mapping[str, float]
    """By name."""
    drawn: Drawn
    """Scores of resamples, the same for all."""


def gains(grid: Grid, rounds: Mapping[int, Scored], n: int, greater_is_better: bool) -> list[dict[str, Any]]:
    """Compare each round with the one before by paired resamples, and the last ensemble with the first.

    The gain of a model is of the mean over its seeds, whose spread is part of its interval; models that a round has not trained
    are left out. The gain of the ensemble is of its nested score. A comparison is plain JSON: ``of``, the rounds ``before`` and
    ``after``, and the fields of `goldfold.metrics.paired.Gain`.

    Args:
        rounds: by number of the round.
        n: independent cases.
    """
    pairs: list[tuple[str, int, int]] = []
    for before, after in zip(rounds, [*rounds][1:], strict=False):
        pairs += [(name, before, after) for name in (ENSEMBLE, *_trained(grid, before, after))]
    whole = [number for number, one in rounds.items() if ENSEMBLE in one.values]
    if len(whole) > 2:
        pairs.append((ENSEMBLE, whole[0], whole[-1]))
    return [*_compared(grid, rounds, pairs, n, greater_is_better)]


def _trained(grid: Grid, before: int, after: int) -> list[str]:
    """Models of both rounds that the later one has trained, or made anew."""
    models = dict.fromkeys(member.model for member in grid.voting(before))
    return [model for model in models if grid.latest(model, after) != grid.latest(model, before)]


def _compared(
    grid: Grid, rounds: Mapping[int, Scored], pairs: Sequence[tuple[str, int, int]], n: int, greater_is_better: bool
) -> Iterator[dict[str, Any]]:
    for name, *numbers in pairs:
        names = [[name] if name == ENSEMBLE else _members(grid, name, number) for number in numbers]
        of = [rounds[number] for number in numbers]
        if not all(one in part.values for own, part in zip(names, of, strict=True) for one in own):
            continue  # no member with a weight was trained yet
        values = [[part.values[one] for one in own] for own, part in zip(names, of, strict=True)]
        drawn = [[part.drawn[one] for one in own] for own, part in zip(names, of, strict=True)]
        found = gain(values[0], values[1], drawn[0], drawn[1], n, greater_is_better)
        yield {"of": name, "before": numbers[0], "after": numbers[1], **asdict(found)}


def _members(grid: Grid, model: str, number: int) -> list[str]:
    return [member.name for member in grid.voting(number) if member.model == model]
