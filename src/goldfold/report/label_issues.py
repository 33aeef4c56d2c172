"""Section on labels that may be wrong, by confident learning on the out-of-fold predictions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.audit import mislabelled
from goldfold.base.words import count
from goldfold.drawing.blocks import Block, Cell, Gallery, Picture, Section, Table
from goldfold.drawing.pictures import picture
from goldfold.drawing.words import percent, shortened
from goldfold.report.results import Results

MOST_PAIRS = 20
PRESENCE = ("absent", "present")
"""Values of one of several labels."""
FILE = "label_issues.csv"
"""Table of all candidates, beside the page."""


@dataclass(frozen=True)
class Issues:
    """Labels that may be wrong."""

    table: pd.DataFrame
    """id, given, suggested, confidence, margin and rank of each candidate, with ``label`` where an image has several; the
    most suspicious first."""
    estimated: pd.DataFrame
    """given, suggested and the estimated number (``n``) of such wrong labels, with ``label`` where an image has several."""
    n_labels: int
    """Number of labels that were judged."""

    @property
    def has_several(self) -> bool:
        """An image may have several labels."""
        return "label" in self.table


def find(results: Results) -> Issues | None:
    """Candidates among the images with an out-of-fold prediction; None for tasks without classes per image."""
    evidence: Any = results.evidence
    if not hasattr(evidence, "probabilities"):
        return None
    # told apart by their fields: with their classes, the report of a task would depend on the metrics of others
    of = _of_one if hasattr(evidence, "labels") else _of_several
    return of(results.truth, evidence, results.classes)


def _of_one(truth: pd.DataFrame, evidence: Any, classes: Sequence[str]) -> Issues:
    values = evidence.probabilities / evidence.probabilities.sum(axis=1, keepdims=True)
    found, wrong = _judged(truth, values, evidence.labels, classes)
    return Issues(_ranked(found), _largest_first(wrong), len(truth))


def _of_several(truth: pd.DataFrame, evidence: Any, classes: Sequence[str]) -> Issues:
    tables, estimates = [], []
    for number, name in enumerate(classes):
        column = evidence.probabilities[:, number].astype(np.float64)
        values, labels = np.stack([1 - column, column], axis=1), evidence.truth[:, number].astype(np.int64)
        found, wrong = _judged(truth, values, labels, PRESENCE)
        found.insert(1, "label", name)
        wrong.insert(0, "label", name)
        tables.append(found)
        estimates.append(wrong)
    whole, wrong = pd.concat(tables, ignore_index=True), pd.concat(estimates, ignore_index=True)
    return Issues(_ranked(whole), _largest_first(wrong), len(truth) * len(classes))


def _judged(
    truth: pd.DataFrame, values: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]], names: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the candidates, and the estimated numbers of wrong labels."""
    found, wrong, name_of = mislabelled.find(values, labels), mislabelled.joint(values, labels), np.array(names, object)
    table = pd.DataFrame(
        {
            "id": truth["id"].to_numpy()[found.rows],
            "given": name_of[labels[found.rows]],
            "suggested": name_of[found.suggested],
            "confidence": found.confidence.round(6),
            "margin": found.margin.round(6),
        }
    )
    is_other = wrong.given != wrong.other
    given, suggested = wrong.given[is_other], wrong.other[is_other]
    return table, pd.DataFrame(
        {"given": name_of[given], "suggested": name_of[suggested], "n": wrong.n[is_other].round(2)}
    )


def _ranked(table: pd.DataFrame) -> pd.DataFrame:
    table = table.sort_values(["margin", "id"], kind="stable", ignore_index=True)
    return table.assign(rank=np.arange(1, len(table) + 1))


def _largest_first(estimated: pd.DataFrame) -> pd.DataFrame:
    return estimated.sort_values("n", ascending=False, kind="stable", ignore_index=True)


def section(results: Results, issues: Issues | None, gallery: int) -> Section | None:
    """Estimated numbers of wrong labels, and pictures of the most suspicious ones."""
    if issues is None:
        return None
    n, wrong = len(issues.table), float(issues.estimated["n"].sum())
    intro = (
        f"Confident learning (Northcutt et al. 2021) on the {results.whole}'s out-of-fold predictions calls "
        f"{count(n, 'label')} of {issues.n_labels:,} suspicious, and estimates that {wrong:,.0f} "
        f"({percent(wrong / max(1, issues.n_labels))}) are wrong. This is a list of {results.row}s to look at, not a "
        f"verdict: right labels of ambiguous or unusual {results.row}s are in it too, and a weak model suspects many right "
        f"labels. No label was changed. All candidates are in report/{FILE}."
    )
    blocks: list[Block] = [_pairs(issues), _gallery(results, issues, gallery)] if n else []
    return Section("label-issues", "Labels to look at", intro, blocks, "Labels")


def _pairs(issues: Issues) -> Table:
    """Estimated numbers by given and suggested class, next to the number of candidates."""
    keys = ["label"] * issues.has_several + ["given", "suggested"]
    listed = issues.table.groupby(keys).size().rename("listed").reset_index()
    shown = issues.estimated.merge(listed, "left", keys).fillna({"listed": 0})
    shown = shown[shown["n"] >= 0.5][:MOST_PAIRS]
    rows: list[list[str | Cell]] = [
        [
            *(f"{row['label']}" for _ in range(issues.has_several)),
            f"{row['given']} → {row['suggested']}",
            Cell(f"{row['n']:,.0f}", float(row["n"] / shown["n"].max())),
            f"{int(row['listed']):,}",
        ]
        for row in shown.to_dict("records")
    ]
    header = [*["label"] * issues.has_several, "given → suggested", "estimated to be wrong", "listed"]
    return Table(header, rows, text_columns=header[:-2], caption="The most frequent pairs.")


def _gallery(results: Results, issues: Issues, most: int) -> Gallery:
    truth, shown = results.truth, issues.table[:most]
    paths = dict(zip(truth["id"], truth["path"], strict=True)) if "path" in truth else {}
    which = "All candidates" if len(shown) == len(issues.table) else f"{len(shown)} of {len(issues.table):,} candidates"
    caption = (
        f"{which}, the most suspicious first, by how far the given is less probable than another: "
        "given → suggested, with the probability of the suggested."
    )
    return Gallery(
        [candidate(paths, row) for row in shown.to_dict("records")], caption, heading="Most suspicious labels"
    )


def candidate(paths: dict[str, str], row: dict[Any, Any]) -> Picture:
    """Picture of an image whose label may be wrong.

    Args:
        row: ``id``, ``given``, ``suggested`` and ``confidence``, with ``label`` where an image has several.
    """
    title = f"{shortened(str(row['given']))} → {shortened(str(row['suggested']))}"
    named = f"{shortened(str(row['label']))}: {title}" if "label" in row else title
    return picture(paths.get(str(row["id"])), named, [f"{100 * float(row['confidence']):.1f} % sure", str(row["id"])])
