"""Metadata columns in the ensemble: which, and the nested score with and without them."""

import math
from typing import Any

from goldfold import components
from goldfold.base.words import count
from goldfold.drawing.blocks import Block, Table, Text
from goldfold.drawing.words import interval, score
from goldfold.ensembling.with_metadata import METADATA, metadata_of
from goldfold.metadata.of_cases import OfCases, read
from goldfold.metrics.paired import Gain
from goldfold.report.results import Results

VERDICTS = {
    "better": "Metadata help: the interval of their gain is above 0.",
    "worse": "Metadata harm: the interval of their gain is below 0. Leave them out.",
    "noise": "The interval of their gain contains 0: no evidence that metadata help.",
    "": "The gain has no interval.",
}


def blocks(results: Results) -> list[Block]:
    """Columns, and scores with and without them; empty if no step takes metadata."""
    known: dict[str, Any] | None = results.metrics.get(METADATA)
    if known is None:
        return []
    names = [*known["numeric"], *known["categorical"]]
    takers = " and ".join(components.name_of(one["step"]) for one in results.steps if metadata_of(one["step"]))
    found = Gain(**{end: math.nan if value is None else value for end, value in known["gain"].items()})
    text = (
        f"{takers} takes {count(len(names), 'metadata column')} besides the predictions: {', '.join(names)}. Both scores are "
        f"nested: parameters, and statistics of the columns, are fitted without the fold that is scored. The gain is positive "
        f"if metadata help; its 95 % interval is over the same resamples of {results.row}s for both. {VERDICTS[found.verdict]}"
    )
    rows: list[list[Any]] = [
        ["with metadata", score(results.metrics["oof"][results.metric]["value"]), ""],
        ["without metadata", score(known["without"][results.metric]), ""],
        ["gain", score(found.value), interval(found.low, found.high)],
    ]
    return [Text(text, heading="Metadata"), Table(["", results.metric, "95 % interval"], rows, text_columns=[""])]


def metadata_of_cases(results: Results) -> OfCases | None:
    """Metadata of the training cases; None if no step takes any, or the lists are no longer on disk."""
    known = results.metrics.get(METADATA)
    lists = sorted((results.root / "folds").glob("fold*-metadata.csv")) if known else []
    return read(map(str, lists), known) if lists else None
