"""Table of the students of a run and their teachers."""

from goldfold.drawing.blocks import Table, Text
from goldfold.drawing.words import listed
from goldfold.report import rounds
from goldfold.report.results import Results

COLUMNS = ["model", "round", "learns from", "weight", "of features"]


def blocks(results: Results) -> list[Text | Table]:
    """Who learns from whom by distillation; empty if no model does."""
    rows = [row for stage in results.grid.rounds for row in _rows(results, stage.number)]
    text = "Teachers are of the same fold as their student, with all their seeds."
    return [Text(text, heading="Distillation"), Table(COLUMNS, rows, text_columns=COLUMNS[:3])] if rows else []


def _rows(results: Results, number: int) -> list[list[str]]:
    found = []
    for student, teachers in results.grid.rounds[number].lessons.items():
        how = rounds.train_of(results.settings, student, number)["distill"]
        names = [f"{model} of round {of}" for model, of in teachers]
        features = f"{how['features']:g}" if how.get("features") else "–"
        found.append([student, str(number), listed(names), f"{how['weight']:g}", features])
    return found
