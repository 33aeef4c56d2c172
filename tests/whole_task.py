"""All facets of a task as one object, for tests that look at several of them."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from goldfold import tasks
from goldfold.catalog import TASKS
from goldfold.tasks.optional import takes_counts

FACETS = (
    tasks.target, tasks.learn, tasks.infer, tasks.output, tasks.tables, tasks.score, tasks.submit, tasks.show,
)  # fmt: skip


class Whole:
    """Members of the facets of a task with these classes, by name."""

    def __init__(self, spec: Mapping[str, Any], classes: Sequence[str]) -> None:
        self.name, self.classes = spec["name"], list(classes)
        self.facts = tasks.facts(self.name)
        self.facets = [facet(spec, classes) for facet in FACETS]
        self.more: list[Any] = [self.facts, *filter(None, [tasks.decide(spec, classes)])]
        if self.name in TASKS:
            own = {key: value for key, value in spec.items() if key != "name"}
            self.more.append(importlib.import_module(f"{TASKS[self.name]}.spec").Spec(list(classes), **own))
            self.more.append(importlib.import_module(f"{TASKS[self.name]}.output"))

    def loss(self, **settings: Any) -> Any:
        """The loss, which is the task's default where none is named."""
        known = {"loss": self.facts.default_loss} if "loss" in self.facts.loss_keys else {}
        known |= {"counts": [4.0] * len(self.classes)} if takes_counts(self.learn) else {}
        return self.learn.loss(**known | {key: value for key, value in settings.items() if value is not None})

    @property
    def learn(self) -> Any:
        """Batches and losses."""
        return self.facets[1]

    def __getattr__(self, member: str) -> Any:
        for part in (*self.facets, *self.more):
            if hasattr(part, member):
                return getattr(part, member)
        raise AttributeError(member)


def whole(spec: Mapping[str, Any], classes: Sequence[str]) -> Whole:
    """All facets of a task: ``name`` and its settings, for these classes."""
    return Whole(spec, classes)


def classification(classes: Sequence[str]) -> Whole:
    """One label per image."""
    return Whole({"name": "classification"}, classes)
