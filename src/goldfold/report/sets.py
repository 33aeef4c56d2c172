"""Section on prediction sets and intervals: measured coverage, in all and by class, size of set and size of group."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold import components
from goldfold.base.words import count
from goldfold.drawing.blocks import Block, Section, Table
from goldfold.drawing.words import interval, percent
from goldfold.ensembling.sets import COVERAGE, KEEP_SCORES, SETS
from goldfold.metrics import Score
from goldfold.metrics.bootstrap import bootstrap
from goldfold.predictions.arrays import Arrays, rows_of
from goldfold.report.results import Results
from goldfold.splits.scored import groups_of, with_groups

SIZES = (1, 2, 5, 10, 20)
"""Smallest numbers of cases of the rows of the table by size of group."""
MOST_CLASSES = 30
N_RESAMPLES = 200


@dataclass(frozen=True)
class Covered:
    """Sets or intervals with the truth."""

    inside: NDArray[np.bool_]
    """(n,), whether the set has the true class, or the interval the true number."""
    sizes: NDArray[np.float64]
    """(n,), classes in the set, or width of the interval."""
    groups: list[str] | None
    weights: NDArray[np.float64]
    """(n,), 1 / (cases of the group) if each group counts the same."""

    def share(self, rows: NDArray[np.int64]) -> Score:
        """Weighted share that is covered of some cases, with its interval."""
        groups = None if self.groups is None else [self.groups[row] for row in rows]
        return bootstrap(
            lambda drawn: float(np.average(self.inside[rows[drawn]], weights=self.weights[rows[drawn]])),
            len(rows),
            groups,
            N_RESAMPLES,
        )


def section(results: Results) -> Section | None:
    """Coverage out of fold, nested, and on test images with known targets; None without sets."""
    step = next((one["step"] for one in results.steps if components.name_of(one["step"]) in KEEP_SCORES), None)
    if step is None:
        return None
    name, params = components.parse(step)
    is_by_group = params.get("groups", True)
    found = covered(results.oof, results.truth, results.classes, is_by_group)
    blocks = [
        _parts(results, found, is_by_group),
        *(_by_size(results, found) if name == SETS else []),
        _by_class(results, found),
    ]
    title = "Prediction sets" if name == SETS else "Prediction intervals"
    intro = _intro(results, name, params.get("coverage", COVERAGE), found, is_by_group)
    return Section("sets", title, intro, [*blocks, *_by_group(results, found)])


def covered(predictions: Arrays, truth: pd.DataFrame, classes: Sequence[str], is_by_group: bool) -> Covered:
    """Compare sets or intervals with the truth.

    Args:
        truth: id and target, and possibly group, of predicted images.
        is_by_group: whether each group counts the same; otherwise each image.
    """
    rows, groups = rows_of(predictions, truth["id"].tolist()), groups_of(truth)
    weights = np.ones(len(truth))
    if groups is not None and is_by_group:
        weights = 1 / truth["group"].map(truth["group"].value_counts()).to_numpy(dtype=float)
    if "sets" in predictions:
        place = {name: number for number, name in enumerate(classes)}
        sets = predictions["sets"][rows]
        inside = sets[np.arange(len(sets)), [place[label] for label in truth["label"]]]
        return Covered(inside, sets.sum(axis=1).astype(float), groups, weights)
    lower, upper = predictions["lower"][rows], predictions["upper"][rows]
    numbers = truth["value"].to_numpy(dtype=float)
    return Covered((lower <= numbers) & (numbers <= upper), upper - lower, groups, weights)


def _intro(results: Results, name: str, coverage: float, found: Covered, is_by_group: bool) -> str:
    what = (
        "sets are fitted to contain the true class"
        if name == SETS
        else "intervals are fitted to contain the true number"
    )
    of = f"{percent(coverage)} of new {results.row}s"
    if found.groups is not None:
        of += (
            ", each of a new group" if is_by_group else ", taken as independent of each other in spite of their groups"
        )
    fit = "Out of fold, each limit was fitted without the fold it is applied to (nested). "
    fit += "Test predictions are means over the networks of all folds, usually better than those of one fold that the "
    fit += "limits were fitted on, so that more than the intended share tends to be covered. "
    return (
        f"The {what} of {of}. {fit}Images that differ from the training images may be covered less: see docs/sets.md."
    )


def _parts(results: Results, found: Covered, is_by_group: bool) -> Table:
    """Coverage and size out of fold, and on test images with known targets."""
    parts = {"out of fold": found}
    if results.answers is not None and results.test is not None:
        known = with_groups(results.answers, results.tables.get("test"))
        parts["test"] = covered(results.test, known, results.classes, is_by_group)
    rows = []
    for name, part in parts.items():
        share = part.share(np.arange(len(part.inside)))
        rows.append([
            name, f"{len(part.inside):,}", percent(share.value), _interval(share), _size(part.sizes.mean()),
        ])  # fmt: skip
    each = (
        "each group counts the same"
        if is_by_group and found.groups is not None
        else f"each {results.row} counts the same"
    )
    size = "mean size" if "sets" in results.oof else "mean width"
    return Table(
        ["", f"{results.row}s", "covered", "95 % interval", size], rows, text_columns=[""], caption=f"Covered: {each}."
    )


def _by_size(results: Results, found: Covered) -> list[Block]:
    """Coverage by number of classes in the set, with empty sets and those of one class."""
    rows = []
    for size in np.unique(found.sizes).astype(int):
        own = np.flatnonzero(found.sizes == size)
        name = count(size, *results.facts.kinds) if size else "empty"
        rows.append([name, f"{len(own):,}", percent(len(own) / len(found.sizes)), percent(found.inside[own].mean())])
    caption = (
        f"Covered: share of the {results.row}s. An empty set means that no class is probable enough, as for an image unlike "
        f"all others."
    )
    columns = ["classes in the set", f"{results.row}s", "share", "covered"]
    return [Table(columns, rows, text_columns=columns[:1], caption=caption)]


def _by_class(results: Results, found: Covered) -> Table:
    """Coverage of each true class, or range of the true number; those covered least first."""
    content = results.target.content(results.truth)
    places, shares = content.to_numpy().argmax(axis=1), {}
    for place, name in enumerate(content.columns):
        if len(own := np.flatnonzero(places == place)):
            shares[str(name)] = (found.share(own), own)
    least = sorted(shares, key=lambda name: shares[name][0].value)[:MOST_CLASSES]
    rows = [
        [name, f"{len(own):,}", percent(share.value), _interval(share), _size(found.sizes[own].mean())]
        for name in least
        for share, own in [shares[name]]
    ]
    noun = results.facts.kinds[0]
    more = f" The {MOST_CLASSES} of {len(shares)} that are covered least." if len(shares) > MOST_CLASSES else ""
    size = "mean size" if "sets" in results.oof else "mean width"
    columns = [noun, f"{results.row}s", "covered", "95 % interval", size]
    return Table(columns, rows, text_columns=[noun], caption=f"By true {noun}, out of fold.{more}")


def _by_group(results: Results, found: Covered) -> list[Block]:
    """Coverage by size of the group; empty without groups of several images."""
    if found.groups is None:
        return []
    names = np.asarray(found.groups)
    _, places, sizes = np.unique(names, return_inverse=True, return_counts=True)
    if sizes.max() == 1:
        return []
    ends = [*SIZES[1:], np.inf]
    rows = []
    for start, end in zip(SIZES, ends, strict=True):
        own = np.flatnonzero((sizes[places] >= start) & (sizes[places] < end))
        if len(own):
            share, n = found.share(own), int(((sizes >= start) & (sizes < end)).sum())
            name = (
                str(start)
                if end == start + 1
                else f"{start} to {int(end) - 1}"
                if np.isfinite(end)
                else f"{start} and more"
            )
            rows.append([name, f"{n:,}", f"{len(own):,}", percent(share.value), _interval(share)])
    columns = [f"{results.row}s of a group", "groups", f"{results.row}s", "covered", "95 % interval"]
    return [Table(columns, rows, text_columns=columns[:1], caption="By size of the group, out of fold.")]


def _interval(share: Score) -> str:
    return interval(100 * share.low, 100 * share.high, 1)


def _size(mean: float) -> str:
    return f"{mean:.4g}"
