"""Steps of the ensemble that take metadata columns, as written in a config."""

from collections.abc import Sequence

from goldfold.components import Written, parse

METADATA = "metadata"
"""Parameter of such steps: true, or a list of names of columns."""


def metadata_of(step: Written) -> bool | Sequence[str]:
    """Return a step's parameter ``metadata``; False without one, and for user-defined steps, whose parameters are their own.

    >>> metadata_of({"stacking": {"metadata": ["age"]}}), metadata_of("stacking"), metadata_of({"my:Step": {"metadata": 3}})
    (['age'], False, False)
    """
    name, params = parse(step)
    found: bool | Sequence[str] = False if ":" in name else params.get(METADATA, False)
    return found


def without(step: Written) -> Written:
    """Return the same step without metadata.

    >>> without({"stacking": {"penalty": 1, "metadata": True}}), without({"stacking": {"metadata": True}})
    ({'stacking': {'penalty': 1}}, 'stacking')
    """
    if not metadata_of(step):
        return step
    name, params = parse(step)
    kept = {key: value for key, value in params.items() if key != METADATA}
    return {name: kept} if kept else name
