"""Steps of the ensemble that take columns of the cases, metadata and embeddings, as written in a config."""

from collections.abc import Sequence

from goldfold.components import Written, parse

METADATA = "metadata"
"""Parameter of such steps: true, or a list of names of columns."""
EMBEDDINGS, COMPONENTS = "embeddings", "components"
"""Further parameters: true, or a list of models with frozen backbones; how many columns each of these has."""
OF_CASES = (METADATA, EMBEDDINGS, COMPONENTS)


def metadata_of(step: Written) -> bool | Sequence[str]:
    """Return a step's parameter ``metadata``; False without one, and for user-defined steps, whose parameters are their own.

    >>> metadata_of({"stacking": {"metadata": ["age"]}}), metadata_of("stacking"), metadata_of({"my:Step": {"metadata": 3}})
    (['age'], False, False)
    """
    return _taken(step, METADATA)


def embeddings_of(step: Written) -> bool | Sequence[str]:
    """Return a step's parameter ``embeddings``, as `metadata_of` does."""
    return _taken(step, EMBEDDINGS)


def _taken(step: Written, key: str) -> bool | Sequence[str]:
    name, params = parse(step)
    found: bool | Sequence[str] = False if ":" in name else params.get(key, False)
    return found


def without(step: Written, keys: Sequence[str] = OF_CASES) -> Written:
    """Return the same step without columns of the cases, or without some of these parameters.

    >>> without({"stacking": {"penalty": 1, "metadata": True}}), without({"stacking": {"metadata": True}})
    ({'stacking': {'penalty': 1}}, 'stacking')
    """
    name, params = parse(step)
    kept = {key: value for key, value in params.items() if key not in keys}
    if ":" in name or len(kept) == len(params):
        return step
    return {name: kept} if kept else name
