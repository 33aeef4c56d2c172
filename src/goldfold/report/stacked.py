"""Columns of the cases in the ensemble, metadata and embeddings: which, and the nested score with and without them."""

import math
from dataclasses import dataclass
from typing import Any

from goldfold import components
from goldfold.base.words import count
from goldfold.drawing.blocks import Block, Table, Text
from goldfold.drawing.words import interval, score
from goldfold.embeddings import by_name
from goldfold.ensembling.with_metadata import EMBEDDINGS, METADATA, embeddings_of, metadata_of
from goldfold.heads.of_cases import EmbeddedCases
from goldfold.metadata.of_cases import OfCases, read
from goldfold.metrics.paired import Gain
from goldfold.report.results import Results
from goldfold.tasks.steps import ForSteps

VERDICTS = {
    "better": "{Name} help: the interval of their gain is above 0.",
    "worse": "{Name} harm: the interval of their gain is below 0. Leave them out.",
    "noise": "The interval of their gain contains 0: no evidence that {name} help.",
    "": "The gain has no interval.",
}


def blocks(results: Results) -> list[Block]:
    """Columns, and scores with and without them; empty if no step takes any."""
    found = list[Block]()
    if (known := results.metrics.get(METADATA)) is not None:
        names = [*known["numeric"], *known["categorical"]]
        takers = _takers(results, metadata_of)
        found += _gain(results, known, METADATA, f"{takers} takes {count(len(names), 'metadata column')}", names)
    if (known := results.metrics.get(EMBEDDINGS)) is not None:
        names = [f"{model} ({embedding})" for model, embedding in known["models"].items()]
        takers = _takers(results, embeddings_of)
        text = f"{takers} takes principal components of {count(len(names), 'embedding')}, which know no label,"
        found += _gain(results, known, EMBEDDINGS, text, names)
    return found


def _takers(results: Results, taken: Any) -> str:
    return " and ".join(components.name_of(one["step"]) for one in results.steps if taken(one["step"]))


def _gain(results: Results, known: dict[str, Any], name: str, takes: str, names: list[str]) -> list[Block]:
    found = Gain(**{end: math.nan if value is None else value for end, value in known["gain"].items()})
    verdict = VERDICTS[found.verdict].format(name=name, Name=name.capitalize())
    text = (
        f"{takes} besides the predictions: {', '.join(names)}. Both scores are "
        f"nested: parameters, and statistics of the columns, are fitted without the fold that is scored. The gain is positive "
        f"if {name} help; its 95 % interval is over the same resamples of {results.row}s for both. {verdict}"
    )
    rows: list[list[Any]] = [
        [f"with {name}", score(results.metrics["oof"][results.metric]["value"]), ""],
        [f"without {name}", score(known["without"][results.metric]), ""],
        ["gain", score(found.value), interval(found.low, found.high)],
    ]
    return [
        Text(text, heading=name.capitalize()),
        Table(["", results.metric, "95 % interval"], rows, text_columns=[""]),
    ]


@dataclass(frozen=True)
class CasesOf:
    """Columns of the training cases that steps take; None if no step takes any, or their files are no longer on disk."""

    metadata: OfCases | None
    embeddings: EmbeddedCases | None

    def lack(self, results: Results) -> bool:
        """Return whether a step takes columns that are not there."""
        steps = [one["step"] for one in results.steps]
        return (self.metadata is None and any(map(metadata_of, steps))) or (
            self.embeddings is None and any(map(embeddings_of, steps))
        )

    def task(self, results: Results) -> ForSteps:
        """Return the facets of the task for steps, with these columns."""
        return ForSteps(results.task, results.classes, self.metadata, self.embeddings)


def cases_of(results: Results) -> CasesOf:
    """Read the columns of the training cases."""
    kinds, embedded = results.metrics.get(METADATA), results.metrics.get(EMBEDDINGS)
    lists = sorted((results.root / "folds").glob("fold*-metadata.csv")) if kinds else []
    names = embedded["models"] if embedded else {}
    files = [sorted((results.root / "embeddings" / name).glob("train-*.npz")) for name in names.values()]
    return CasesOf(
        read(map(str, lists), kinds) if kinds and lists else None,
        EmbeddedCases(by_name(names, (path for of_name in files for path in of_name)))
        if files and all(files)
        else None,
    )
