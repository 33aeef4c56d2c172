"""Networks that are trained on all labelled rows: whose score is shown, and how they were trained."""

from collections.abc import Iterator

from goldfold.base.files import read_json
from goldfold.base.words import count
from goldfold.drawing.blocks import Table, Text
from goldfold.drawing.words import listed
from goldfold.planning.full import JOIN, every_run
from goldfold.report.results import Results
from goldfold.tables import read_table


def sentence(results: Results) -> str:
    """Say that the score is that of the fold networks, and which networks predict the test images; empty without others."""
    full = results.full
    if not full.rounds:
        return ""
    n, row = len(read_table(results.root / "folds" / "full.csv")), results.row
    joined = "the fold networks and " if full.test == JOIN else ""
    others = set(results.models) - set(full.rounds)
    of = f" of {listed(sorted(full.rounds))}" * bool(others)
    return (
        f" The score and its interval belong to the fold networks; the submission uses {joined}networks{of} trained on all "
        f"{n:,} labelled {row}s, which have no out-of-fold score of their own."
    )


def blocks(results: Results) -> list[Text | Table]:
    """Table of the trainings on all rows; empty without any."""
    rows = [*_rows(results)] if results.full.rounds else []
    if not rows:
        return []
    text = (
        f"Trained again on all labelled {results.row}s, with what the folds have decided: weights, thresholds and other steps of "
        f"the ensemble are fitted on the out-of-fold predictions of the fold networks, and applied to "
        f"{'the mean of both' if results.full.test == JOIN else 'the mean of these networks'}."
    )
    columns = ["model", "round", "seed", f"{results.row}s", "epochs", "decided by"]
    return [Text(text, heading="Networks of all rows"), Table(columns, rows, text_columns=["model", "decided by"])]


def _rows(results: Results) -> Iterator[list[str]]:
    for run in every_run(results.grid, results.full):
        path = results.root / "full_train" / run.folder / "run.json"
        if path.exists():
            record = read_json(path)
            numbers = record.get("epochs_of_folds")
            by = f"median of the folds ({', '.join(map(str, numbers))})" if numbers else "the config"
            pseudo = f" + {count(record['n_pseudo'], 'pseudo label')}" if record["n_pseudo"] else ""
            n = f"{record['n_train'] - record['n_pseudo']:,}{pseudo}"
            yield [run.model, str(run.round), str(run.seed), n, str(record["epochs"]), by]
