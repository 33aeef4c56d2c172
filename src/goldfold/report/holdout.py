"""Section on the sealed holdout: whether it was opened, how often, and the recorded scores. Nothing is scored here."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from goldfold import ledger, openings
from goldfold.base.words import count, times
from goldfold.drawing.blocks import Block, Section, Table, Text
from goldfold.drawing.words import VERDICTS, interval, luck_in_words, score, shortened
from goldfold.images import cases
from goldfold.looks import luck_by_metric
from goldfold.openings import Opening
from goldfold.planning.outputs import HOLDOUT
from goldfold.report.results import Results


def section(results: Results, path: str | Path = openings.FILE) -> Section | None:
    """State of the holdout, and its openings by all experiments; None without a holdout."""
    if (table := results.tables.get(HOLDOUT)) is None:
        return None
    found = openings.of(openings.read(path), ledger.test_set(list(table["id"])))
    size = count(len(table), f"labelled {cases.word(table)}")
    intro = (
        f"{size} were set aside before the folds were made. No training, fit or score on this page used their labels. "
    )
    if not found:
        return Section(HOLDOUT, "Holdout", f"{intro}The holdout is sealed: it has not been opened.")
    intro += f"The holdout was opened {times(len(found))}, by the command goldfold holdout --open, which recorded these scores."
    blocks: list[Block] = [_table(found), *map(Text, _lucky(found))]
    return Section(HOLDOUT, "Holdout", intro, blocks)


def _table(found: Sequence[Opening]) -> Table:
    columns = ["opened", "experiment", "metric", "holdout", "interval", "out of fold", "expected", "difference", "note"]
    rows = [
        [one.time[:10], shortened(one.experiment, 30), one.metric, score(one.score), interval(one.low, one.high), score(one.oof),
         interval(one.expected_low, one.expected_high), VERDICTS[one.is_expected], shortened(one.note, 40)]
        for one in found
    ]  # fmt: skip
    caption = "Expected: 95 % range of holdout scores, given the out-of-fold score, with the noise of both."
    return Table(columns, rows, ["opened", "experiment", "metric", "difference", "note"], caption)


def _lucky(found: Sequence[Opening]) -> Iterator[str]:
    for metric, n, gain in luck_by_metric(found):
        yield f"{luck_in_words(f'{n} opened ensembles ', gain, f' ({metric})')}; less if they resemble each other."
