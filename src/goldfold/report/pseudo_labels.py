"""Tables of pseudo labels: how many by round and fold, how sure and how right, and the share and threshold of each class."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from goldfold.base.files import read_json
from goldfold.base.words import count
from goldfold.drawing.blocks import Block, Cell, Table, Text
from goldfold.drawing.tables import LONG
from goldfold.drawing.words import listed, percent, score
from goldfold.report.results import Results

TINY = 1e-6
COMPARED = ("label", "labels")
"""Kinds of targets of which a pseudo label is right or wrong."""
Facts = Mapping[tuple[int, int], Mapping[str, Any]]
"""Facts of the stage by round and fold, see `goldfold.stages.pseudo_label.facts`."""


def blocks(results: Results) -> Sequence[Block]:
    """Tables of all rounds with a teacher; empty if there are none."""
    facts = dict(_facts(results))
    return [*_counts(results), *_without(results, facts), *_shares(results, facts)]


def _facts(results: Results) -> Iterator[tuple[tuple[int, int], Mapping[str, Any]]]:
    """Facts of the stage from its records; those written by earlier versions have none."""
    for labels in results.grid.labels():
        path = results.root / "pseudo" / f"{labels.folder}.run.json"
        if path.exists():
            yield (labels.round, labels.fold), read_json(path).get("pseudo_labels", {})


def _counts(results: Results) -> Sequence[Block]:
    used = {source for labels in results.grid.labels() for source in labels.sources}
    pools = {split: len(table) for split, table in results.tables.items() if split in used}
    known = _is_right(results)
    rows: list[list[str | Cell]] = []
    for (number, fold), table in sorted(results.pseudo.items()):
        sources = table["source"] if "source" in table else pd.Series("test", index=table.index)
        for source, own in table.groupby(sources.astype(str)):
            share = len(own) / pools[str(source)] if pools.get(str(source)) else float("nan")
            bar = 0.0 if share != share else share
            line: list[str | Cell] = [
                f"round {number} fold {fold} {source}", f"{len(own):,}", Cell(percent(share), bar), _mean(own, "confidence"),
            ]  # fmt: skip
            if known is not None:
                line.append(_share_right(own, known))
            rows.append(line)
    if not rows:
        return []
    right = (
        " Accuracy: share of the pseudo labels of test images that equal the known targets, which no round sees."
        if known is not None
        else ""
    )
    heading = Text(
        f"{results.row.capitalize()}s that got a pseudo label, of {_pools(pools, results.row)}.{right}",
        heading="Number",
    )
    columns = [
        f"round, fold, {results.row}s",
        "labelled",
        "share",
        "mean confidence",
        *["accuracy"] * (known is not None),
    ]
    return [heading, Table(columns, rows, text_columns=columns[:1])]


def _pools(pools: dict[str, int], row: str) -> str:
    return " and ".join(count(number, f"{split} {row}") for split, number in pools.items())


def _mean(table: pd.DataFrame, column: str) -> str:
    return score(float(table[column].astype(float).mean())) if column in table and len(table) else "–"


def _is_right(results: Results) -> "pd.Series[str] | None":
    """Known targets of test images by id; None without any, or where targets are not equal or unequal."""
    target = results.facts.target
    is_compared = results.answers is not None and target in COMPARED
    return results.answers.set_index("id")[target] if is_compared and results.answers is not None else None


def _share_right(table: pd.DataFrame, known: "pd.Series[str]") -> str:
    target = str(known.name)
    own = table[table["id"].isin(known.index)]
    return score(float((own[target] == own["id"].map(known)).mean())) if len(own) and target in own else "–"


def _without(results: Results, facts: Facts) -> Sequence[Block]:
    """Rounds and folds without a pseudo label, and classes that a teacher never predicts."""
    said: list[str] = []
    for number in results.taught:
        empty = [str(fold) for (of, fold), table in sorted(results.pseudo.items()) if of == number and not len(table)]
        if empty:
            said.append(
                f"Round {number}: no {results.row} got a pseudo label in fold{'s'[: len(empty) > 1]} {listed(empty)}; it was "
                f"trained on the true labels alone there."
            )
        never: dict[str, list[str]] = {}
        for (of, fold), own in sorted(facts.items()):
            for name in own.get("never_predicted", []) if of == number else []:
                never.setdefault(name, []).append(str(fold))
        said += [
            f"Round {number}: the teacher never predicts “{name}” (fold{'s'[: len(folds) > 1]} {listed(folds)}), so the class "
            f"has no pseudo labels."
            for name, folds in never.items()
        ]
    return [Text(" ".join(said))] if said else []


def _shares(results: Results, facts: Facts) -> Sequence[Block]:
    """Share of each class among the pseudo labels of the last round with any, and in training; its threshold and accuracy."""
    target, last = results.target, results.taught[-1:]
    tables = [
        table
        for (number, _), table in results.pseudo.items()
        if number in last and results.facts.target in table and len(table)
    ]
    every = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    found = target.content(every).sum() if tables else pd.Series(dtype=float)
    if not found.sum():
        return []
    given = target.content(results.tables["train"]).sum()
    pseudo, train = found / found.sum(), given / given.sum()
    more = _more(results, every, [own for (number, _), own in facts.items() if number in last])
    rows: list[list[str | Cell]] = [
        [
            name, _ratio(pseudo[name], train[name]), Cell(percent(pseudo[name]), pseudo[name] / pseudo.max()),
            percent(train[name]), *(column[name] for column in more.values()),
        ]
        for name in _largest_ratio_first(results.classes, pseudo, train)
    ]  # fmt: skip
    text = (
        f"Shares of {results.unit} in the pseudo labels of the last round, all folds together, and in training. A ratio far "
        f"from 1 means that a class is predicted with high confidence more often, or less often, than it occurs."
    )
    columns = ["class", "ratio", "share of pseudo labels", "share in training", *more]
    return [Text(text, heading="Classes"), Table(columns, rows, text_columns=["class"])]


def _more(results: Results, table: pd.DataFrame, facts: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """Columns by class that only some runs have: mean confidence and accuracy with one class per image, and thresholds."""
    found: dict[str, dict[str, str]] = {}
    if "label" in table:
        by_class = {name: table[table["label"] == name] for name in results.classes}
        found["mean confidence"] = {name: _mean(own, "confidence") for name, own in by_class.items()}
        known = _is_right(results)
        if known is not None:
            found["accuracy"] = {name: _share_right(own, known) for name, own in by_class.items()}
    thresholds = [own["thresholds"] for own in facts if "thresholds" in own]
    if thresholds:
        found["threshold, by fold"] = {name: _span([one[name] for one in thresholds]) for name in results.classes}
    return found


def _span(values: Sequence[float]) -> str:
    low, high = score(min(values)), score(max(values))
    return low if low == high else f"{low} to {high}"


def _largest_ratio_first(
    classes: Sequence[str], pseudo: "pd.Series[float]", train: "pd.Series[float]"
) -> Sequence[str]:
    """Classes, sorted by how far their ratio is from 1 if there are many."""
    if len(classes) <= LONG:
        return classes
    far = {name: abs(float(np.log((pseudo[name] + TINY) / (train[name] + TINY)))) for name in classes}
    return sorted(classes, key=lambda name: -far[name])


def _ratio(part: float, whole: float) -> str:
    return f"{part / whole:.2f}" if whole else "–"
