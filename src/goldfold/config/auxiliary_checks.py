"""Checks of auxiliary targets."""

from collections.abc import Iterator

from goldfold.base.errors import nearest
from goldfold.catalog import TASKS
from goldfold.config.models import Model
from goldfold.config.root import Config
from goldfold.tasks import facts
from goldfold.tasks.facts import Facts

KEY = "train.auxiliary"


def auxiliary_problems(model: Model, config: Config, task: Facts) -> Iterator[str]:
    """Problems of `train.auxiliary` of a model."""
    how = model.train.auxiliary
    if how is None:
        return
    if not task.takes_metadata:
        able = ", ".join(name for name in TASKS if facts(name).takes_metadata)
        yield f"{KEY}: networks of task {config.task!r} have no features of a case; remove it (these tasks have: {able})"
        return
    if model.train.fixmatch is not None:
        yield f"{KEY}: FixMatch trains on its own batches, which have no auxiliary targets; remove one of the two"
    metadata = getattr(config.data, "metadata", None)
    known = [*metadata.numeric, *metadata.categorical] if metadata else []
    for name in how.columns:
        yield from _of_column(name, known, _targets(config))
    own = next((one for one in config.models if one.name == model.name), model)
    inputs = set(known) - set(own.train.auxiliary.columns if own.train.auxiliary else ())
    if own.branch is not None and (both := [name for name in how.columns if name in inputs]):
        yield (
            f"{KEY}: {both[0]!r} is an input of the network, as the model's own train.auxiliary does not name it; name it "
            f"there too, or set metadata: false"
        )
    if own.branch is not None and known and not inputs:
        yield f"{KEY}: names all columns of data.metadata, so none is left as an input of the network; set metadata: false"


def _of_column(name: str, known: list[str], targets: set[str]) -> Iterator[str]:
    if name in targets:
        yield f"{KEY}: {name!r} is the target itself; name other columns"
    elif not known:
        yield f"{KEY}: {name!r} is not in data.metadata, which names no column; list it there as numeric or categorical"
    elif name not in known:
        yield f"{KEY}: {name!r} is not in data.metadata; {nearest(name, known)}list it there as numeric or categorical"


def _targets(config: Config) -> set[str]:
    """Columns of the table that hold the target."""
    found = (getattr(config.data, key, None) for key in ("label_column", "target_column", "label_columns"))
    return {name for value in found if value for name in (value if isinstance(value, list) else [value])}
