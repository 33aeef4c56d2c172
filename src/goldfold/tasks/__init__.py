"""Tasks: all that depends on the kind of target. A task is a package of facets here and one line in the catalog."""

import importlib
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from goldfold import components
from goldfold.base.errors import ConfigError
from goldfold.catalog import FACETS, TASKS
from goldfold.tasks import protocol
from goldfold.tasks.facts import Facts

Spec = Mapping[str, Any]
"""``name`` of a task, and its settings."""


def facts(name: str) -> Facts:
    """Return the facts of a task, given by name or, if user-defined, as ``package.module:Class``.

    Raises:
        ConfigError: unknown task, or one that lacks required members.
    """
    if name in TASKS:
        return _built_in(name, "facts")
    found = _user_defined(name)
    known: Any = getattr(found, "facts", None)
    lacking = [] if isinstance(known, Facts) else ["facts"]
    lacking += ["examine"] * (not hasattr(found, "examine"))
    lacking += [key for keys in protocol.REQUIRED.values() for key in keys if not hasattr(found, key)]
    if lacking:
        raise ConfigError(f"task {name!r} has no {', '.join(lacking)}; goldfold.tasks.protocol describes each.")
    return known


def examine(name: str) -> protocol.Examine:
    """Return the function that examines a task's targets, before its classes are known."""
    return _built_in(name, "examine") if name in TASKS else _user_defined(name).examine


def target(spec: Spec, classes: Sequence[str]) -> protocol.Target:
    """Return the target facet of a task with these classes."""
    return _facet("target", spec, classes)


def learn(spec: Spec, classes: Sequence[str]) -> protocol.Learn:
    """Return the facet for batches and losses."""
    return _facet("learn", spec, classes)


def infer(spec: Spec, classes: Sequence[str]) -> protocol.Infer:
    """Return the facet for networks and their predictions."""
    return _facet("infer", spec, classes)


def output(spec: Spec, classes: Sequence[str]) -> protocol.Output:
    """Return the facet that joins and fuses predictions."""
    return _facet("output", spec, classes)


def tables(spec: Spec, classes: Sequence[str]) -> protocol.Tables:
    """Return the facet for tables of predictions."""
    return _facet("tables", spec, classes)


def score(spec: Spec, classes: Sequence[str]) -> protocol.Score:
    """Return the scoring facet."""
    return _facet("score", spec, classes)


def decide(spec: Spec, classes: Sequence[str]) -> protocol.Decide | None:
    """Return the facet for decisions by thresholds; None if the task has none."""
    if not has(spec["name"], "decide"):
        return None
    return _facet("decide", spec, classes)


def decided(spec: Spec, classes: Sequence[str]) -> list[str] | None:
    """Return the classes with a threshold, see `protocol.Decide.decided_classes`; None if the task has no thresholds.

    Raises:
        ConfigError: thresholds do not apply to these classes.
    """
    if not has(spec["name"], "decide"):
        return None
    found = _facet("decided", spec, classes)
    return list(found if spec["name"] in TASKS else found.decided_classes())


def external(spec: Spec, classes: Sequence[str]) -> protocol.External | None:
    """Return the facet for predictions of other tools; None if the task has none."""
    if not has(spec["name"], "external"):
        return None
    return _facet("external", spec, classes)


def submit(spec: Spec, classes: Sequence[str]) -> protocol.Submit:
    """Return the facet for submissions."""
    return _facet("submit", spec, classes)


def show(spec: Spec, classes: Sequence[str]) -> protocol.Show:
    """Return the facet for report sections."""
    return _facet("show", spec, classes)


def labels(name: str) -> bool:
    """Return True if a task makes pseudo labels."""
    return name in TASKS or hasattr(_user_defined(name), "pseudo_labels")


def has(name: str, facet: str) -> bool:
    """Return True if a task has an optional facet; a user-defined class needs all members of the facet."""
    if name in TASKS:
        return find_spec(f"{TASKS[name]}.{FACETS[facet].partition(':')[0]}") is not None
    return all(hasattr(_user_defined(name), key) for key in protocol.OPTIONAL[facet])


def _facet(facet: str, spec: Spec, classes: Sequence[str]) -> Any:
    """Build a facet of a built-in task, or the user-defined class, which has all facets."""
    name, settings = spec["name"], {key: value for key, value in spec.items() if key != "name"}
    if name not in TASKS:
        return _user_defined(name)(classes, **settings)
    made = importlib.import_module(f"{TASKS[name]}.spec").Spec(list(classes), **settings)
    return _built_in(name, facet)(made)


def _built_in(name: str, facet: str) -> Any:
    module, _, part = FACETS[facet].partition(":")
    return getattr(importlib.import_module(f"{TASKS[name]}.{module}"), part)


def _user_defined(name: str) -> Any:
    return components.at(components.place(name, TASKS, "task"), f"task {name!r}")
