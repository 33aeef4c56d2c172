"""Heads on frozen backbones by fold and seed, for the stage heads and for bundles."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold import catalog, components, tasks
from goldfold.embeddings import Embeddings
from goldfold.heads.fitting import FittedHead, fitted
from goldfold.heads.protocol import TEXTS, VALUE, Head
from goldfold.heads.targets import Targets
from goldfold.tables import read_table


def parts_of(train: str) -> dict[str, int]:
    """Return the fold that validates each labelled case.

    Args:
        train: CSV of id and, for rows that are validated, fold.
    """
    table = read_table(train)
    return dict(zip(table["id"], table["fold"].astype(int), strict=True)) if "fold" in table else {}


@dataclass(frozen=True)
class Facet:
    """Facets of a task that fit heads and write their predictions."""

    task: dict[str, Any]
    classes: list[str]
    checkpoint: str = ""
    """Of the network, whose text tower a head with a parameter `TEXTS` takes."""

    @cached_property
    def more(self) -> dict[str, Any]:
        """Texts of the classes, where the head takes them."""
        if not self.checkpoint:
            return {}
        from goldfold.models.clip import TextsOfClasses  # needs the library transformers

        return {TEXTS: TextsOfClasses(self.classes, self.checkpoint)}

    def fits(
        self,
        head: components.Written,
        known: Embeddings,
        trained: pd.DataFrame,
        parts: Mapping[str, int],
        fold: int,
        seeds: list[int],
    ) -> Iterator[tuple[FittedHead, tuple[float, float]]]:
        """Yield the head of a fold with each seed, and the scale of its targets."""
        kind = tasks.facts(self.task["name"]).target
        targets = Targets.of(kind, tasks.target(self.task, self.classes).targets(trained, None, ""))  # type: ignore[arg-type]
        load, n_outputs = components.load(head, catalog.HEADS[kind], "head"), targets.n_outputs(len(self.classes))
        made: Head = load(kind, n_outputs, **self.more)
        numbers = np.array([parts.get(id, -1) for id in trained["id"]], dtype=np.int64)
        for one in fitted(made, known.of(trained["id"].tolist()), targets.scaled, numbers, fold, seeds):
            yield one, targets.scale

    def entries(
        self, head: FittedHead, scale: tuple[float, float], known: Embeddings, table: pd.DataFrame
    ) -> list[tuple[str, NDArray[Any]]]:
        """Return the entries of a prediction file."""
        outputs = head(known.of(table["id"].tolist())) if len(table) else np.zeros((0, max(1, len(self.classes))))
        if tasks.facts(self.task["name"]).target == VALUE:
            middle, spread = scale
            values = outputs[:, 0] * spread + middle
            part = {"values": values, "spreads": np.zeros(len(values)), "scales": np.full(len(values), spread)}
        else:
            part = {"logits": outputs}
        return [*tasks.infer(self.task, self.classes).pack(table, [part], (0, 0), "")]
