"""Labels to look at, and cleaned labels, in the report."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from goldfold.config import parse, slices
from goldfold.drawing.blocks import Gallery, Section, Table, Text
from goldfold.metrics.classification import Labelled
from goldfold.metrics.multilabel import MultiLabelled
from goldfold.metrics.regression import Valued
from goldfold.planning.grid import grid_of
from goldfold.report import cleaned, label_issues, rounds
from test_cleaning import CLEAN
from test_report import THREE, Build, build, holds, page_of, words
from test_rounds import BASE

assert build, "the fixture"


def results(evidence: Any, classes: list[str], **more: Any) -> Any:
    truth = pd.DataFrame({"id": [f"i{number}" for number in range(len(evidence))]})
    return SimpleNamespace(truth=truth, evidence=evidence, classes=classes, whole="ensemble", row="image", **more)


def labelled(n: int = 30, wrong: tuple[int, ...] = (4, 10)) -> Labelled:
    """Three classes in turns; the models are sure of the next class for the images ``wrong``, of the first of them most."""
    labels = np.arange(n) % 3
    values = np.full((n, 3), 0.05)
    values[np.arange(n), labels] = 0.9
    for place, row in enumerate(wrong):
        values[row] = 0.01
        values[row, (labels[row] + 1) % 3] = 0.98 - place / 50
        values[row, labels[row]] = 0.01 + place / 50
    return Labelled(2 * values, labels)


def section_of(made: Any, gallery: int = 8) -> Section:
    found = label_issues.section(made, label_issues.find(made), gallery)
    assert found is not None
    return found


def test_suspicious_labels_are_listed_with_the_class_that_the_models_are_sure_of() -> None:
    made = results(labelled(), ["a", "b", "c"])
    issues = label_issues.find(made)
    assert issues is not None
    assert issues.table.to_dict("records") == [
        {"id": "i4", "given": "b", "suggested": "c", "confidence": 0.98, "margin": -0.97, "rank": 1},
        {"id": "i10", "given": "b", "suggested": "c", "confidence": 0.96, "margin": -0.93, "rank": 2},
    ]
    assert issues.estimated.to_dict("records") == [{"given": "b", "suggested": "c", "n": 2.0}]
    section = section_of(made, gallery=1)
    holds(section.intro, "calls 2 labels of 30 suspicious", "estimates that 2 (6.7 %) are wrong", "not a verdict",
          "ambiguous", "No label was changed", "report/label_issues.csv")  # fmt: skip
    table, gallery = section.blocks
    assert isinstance(table, Table)
    assert isinstance(gallery, Gallery)
    assert [cell if isinstance(cell, str) else cell.text for cell in table.rows[0]] == ["b → c", "2", "2"]
    assert (gallery.pictures[0].title, [*gallery.pictures[0].lines]) == ("b → c", ["98.0 % sure", "i4"])
    assert gallery.caption.startswith("1 of 2 candidates")


def test_each_of_several_labels_is_judged_alone() -> None:
    truth = np.array([[1, 0], [1, 1], [0, 0], [0, 1], [1, 0], [0, 1]], np.uint8)
    values = np.where(truth == 1, 0.9, 0.1)
    values[0, 1], values[3, 1] = 0.95, 0.02  # present in fact, and absent in fact
    made = results(MultiLabelled(values, truth), ["cat", "dog"])
    issues = label_issues.find(made)
    assert issues is not None
    assert issues.table[["id", "label", "given", "suggested", "rank"]].values.tolist() == [
        ["i3", "dog", "present", "absent", 1], ["i0", "dog", "absent", "present", 2],
    ]  # fmt: skip
    section = section_of(made)
    assert "2 labels of 12 suspicious" in section.intro
    table, gallery = section.blocks
    assert isinstance(table, Table)
    assert isinstance(gallery, Gallery)
    assert [row[:2] for row in table.rows] == [["dog", "absent → present"], ["dog", "present → absent"]]
    assert gallery.pictures[0].title == "dog: present → absent"


def test_right_labels_are_no_candidates_and_numbers_have_none() -> None:
    section = section_of(results(labelled(wrong=()), ["a", "b", "c"]))
    assert section.blocks == []
    assert "calls 0 labels of 30 suspicious" in section.intro
    other = results(Valued(np.zeros(3), np.zeros(3)), [])
    assert label_issues.find(other) is None
    assert label_issues.section(other, None, 8) is None


def test_the_page_shows_them_and_the_table_lies_beside_it(build: Build) -> None:
    arguments = build(wrong=(4,))
    text = words(page_of(arguments))
    holds(text, "Labels to look at", "calls 1 label of 30 suspicious")
    table = pd.read_csv(Path(arguments["out"]).with_name("label_issues.csv"))
    assert list(table.columns) == ["id", "given", "suggested", "confidence", "margin", "rank"]
    assert list(table["id"]) == ["img04"]
    assert set(table["given"]) | set(table["suggested"]) <= set(THREE)


# --- cleaning rounds


def cleaned_results(root: Path, action: str, tables: list[list[list[str]]]) -> Any:
    """Two folds of a round that cleans, with these rows of id, given, suggested and action."""
    wanted = [{}, {"clean": {**CLEAN["clean"], "action": action}}]
    settings = slices.report(parse({**BASE, "rounds": wanted}))["settings"]
    for fold, rows in enumerate(tables):
        table = pd.DataFrame(rows, columns=["id", "given", "suggested", "action"]).assign(
            confidence="0.9", margin="-0.8"
        )
        (root / "clean/round1").mkdir(parents=True, exist_ok=True)
        table.to_csv(root / f"clean/round1/fold{fold}.csv", index=False)
    train = pd.DataFrame({"id": ["a", "b", "c", "d"], "label": ["cat", "cat", "dog", "dog"]})

    def content(rows: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({name: (rows["label"] == name).astype(int) for name in ("cat", "dog")})

    return SimpleNamespace(
        root=root, settings=settings, grid=grid_of(settings), classes=["cat", "dog"], row="image", tables={"train": train},
        target=SimpleNamespace(content=content), pseudo={},
    )  # fmt: skip


def test_cleaned_rows_are_counted_by_class_and_shown(tmp_path: Path) -> None:
    tables = [
        [["a", "cat", "dog", "drop"], ["c", "dog", "cat", "keep"]],
        [["a", "cat", "dog", "drop"], ["b", "cat", "dog", "drop"]],
    ]
    section = cleaned.section(cleaned_results(tmp_path, "drop", tables), 8)
    assert section is not None
    holds(
        section.intro,
        "only inner trainings on its training rows",
        "Validation rows are never changed",
        "labels as given",
    )
    text, table, gallery = section.blocks
    assert isinstance(text, Text)
    assert isinstance(table, Table)
    assert isinstance(gallery, Gallery)
    assert text.heading == "Round 1"
    assert text.text == (
        "Judged by b0 and b3 with the settings of round 0, in 2 inner parts per fold. At most 2 rows of a fold are dropped; "
        "2 images in at least one fold."
    )
    rows = [[cell if isinstance(cell, str) else cell.text for cell in row] for row in table.rows]
    assert rows == [["cat", "2", "100.0 %", "1", "2"], ["dog", "0", "0.0 %", "0", "0"]]
    assert [picture.lines[1] for picture in gallery.pictures] == ["a", "b"]


@pytest.mark.parametrize("action", ["drop", "relabel"])
def test_a_round_that_cleans_nothing_says_so_and_one_without_cleaning_has_no_section(
    tmp_path: Path, action: str
) -> None:
    made = cleaned_results(tmp_path, action, [[], []])
    section = cleaned.section(made, 8)
    assert section is not None
    assert [type(block) for block in section.blocks] == [Text]
    table = rounds.blocks(made)[1]
    assert isinstance(table, Table)
    assert [row[-1] for row in table.rows] == ["none", f"{action}, by b0 and b3 of round 0"]
    made.grid = grid_of(slices.report(parse({**BASE, "rounds": [{}, {}]}))["settings"])
    assert cleaned.section(made, 8) is None
