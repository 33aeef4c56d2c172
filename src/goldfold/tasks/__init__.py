"""What differs between labels, masks and boxes. A task is a package of facets here and one line in the catalog."""

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
"""``name`` of a task, and the task's own settings."""


def facts(name: str) -> Facts:
    """Facts of a task, by name or of the user's own as ``package.module:Class``.

    Raises:
        ConfigError: no such task.
    """
    if name in TASKS:
        return _of_ours(name, "facts")
    found = _own(name)
    known: Any = getattr(found, "facts", None)
    lacking = [] if isinstance(known, Facts) else ["facts"]
    lacking += ["examine"] * (not hasattr(found, "examine"))
    lacking += [key for keys in protocol.REQUIRED.values() for key in keys if not hasattr(found, key)]
    if lacking:
        raise ConfigError(f"task {name!r} has no {', '.join(lacking)}; see goldfold.tasks.protocol for what each is.")
    return known


def examine(name: str) -> protocol.Examine:
    """Function that looks at a task's targets, before its classes are known."""
    return _of_ours(name, "examine") if name in TASKS else _own(name).examine


def target(spec: Spec, classes: Sequence[str]) -> protocol.Target:
    """Targets of a task with these classes."""
    return _facet("target", spec, classes)


def learn(spec: Spec, classes: Sequence[str]) -> protocol.Learn:
    """Batches and losses of a task with these classes."""
    return _facet("learn", spec, classes)


def infer(spec: Spec, classes: Sequence[str]) -> protocol.Infer:
    """Networks of a task with these classes, and what they predict."""
    return _facet("infer", spec, classes)


def output(spec: Spec, classes: Sequence[str]) -> protocol.Output:
    """What is done with predictions of a task with these classes."""
    return _facet("output", spec, classes)


def tables(spec: Spec, classes: Sequence[str]) -> protocol.Tables:
    """Predictions of a task with these classes as tables."""
    return _facet("tables", spec, classes)


def score(spec: Spec, classes: Sequence[str]) -> protocol.Score:
    """Scores of a task with these classes."""
    return _facet("score", spec, classes)


def decide(spec: Spec, classes: Sequence[str]) -> protocol.Decide | None:
    """Decisions by thresholds of a task with these classes; None where it makes none."""
    if not has(spec["name"], "decide"):
        return None
    return _facet("decide", spec, classes)


def decided(spec: Spec, classes: Sequence[str]) -> list[str] | None:
    """Classes that have a threshold, as `protocol.Decide.decided_classes`; None where the task makes no such decisions.

    Raises:
        ConfigError: with these classes nothing is decided by thresholds.
    """
    if not has(spec["name"], "decide"):
        return None
    found = _facet("decided", spec, classes)
    return list(found if spec["name"] in TASKS else found.decided_classes())


def submit(spec: Spec, classes: Sequence[str]) -> protocol.Submit:
    """Submissions of a task with these classes."""
    return _facet("submit", spec, classes)


def show(spec: Spec, classes: Sequence[str]) -> protocol.Show:
    """Report pages of a task with these classes."""
    return _facet("show", spec, classes)


def labels(name: str) -> bool:
    """Whether a task makes pseudo labels."""
    return name in TASKS or hasattr(_own(name), "pseudo_labels")


def has(name: str, facet: str) -> bool:
    """Whether a task has an optional facet; of a class of the user's own, all of its members."""
    if name in TASKS:
        return find_spec(f"{TASKS[name]}.{FACETS[facet].partition(':')[0]}") is not None
    return all(hasattr(_own(name), key) for key in protocol.OPTIONAL[facet])


def _facet(facet: str, spec: Spec, classes: Sequence[str]) -> Any:
    """Facet of a task of ours, or the user's own class, which is all of them."""
    name, settings = spec["name"], {key: value for key, value in spec.items() if key != "name"}
    if name not in TASKS:
        return _own(name)(classes, **settings)
    made = importlib.import_module(f"{TASKS[name]}.spec").Spec(list(classes), **settings)
    return _of_ours(name, facet)(made)


def _of_ours(name: str, facet: str) -> Any:
    module, _, part = FACETS[facet].partition(":")
    return getattr(importlib.import_module(f"{TASKS[name]}.{module}"), part)


def _own(name: str) -> Any:
    return components.at(components.place(name, TASKS, "task"), f"task {name!r}")
