"""Section on cleaning rounds: training rows that were dropped or relabelled."""

import pandas as pd

from goldfold.base.words import count
from goldfold.drawing.blocks import Block, Cell, Gallery, Section, Table, Text
from goldfold.drawing.words import listed, percent
from goldfold.planning.inner import cleaning_at
from goldfold.report.label_issues import candidate
from goldfold.report.results import Results
from goldfold.report.rounds import WHY_SAME_FOLD
from goldfold.tables import read_table

DONE = {"drop": "dropped", "relabel": "relabelled"}
"""Action -> its participle."""


def section(results: Results, gallery: int) -> Section | None:
    """Number of changed rows by class, and pictures of some of them, for each cleaning round; None without one."""
    found = read(results)
    if not found:
        return None
    intro = (
        f"Before training, rows whose label is probably wrong are dropped or relabelled. For each fold, only inner trainings "
        f"on its training rows judge them, {WHY_SAME_FOLD} Validation rows are never changed: all scores, before and after "
        f"cleaning, are on the labels as given, right or wrong. So a better model may score lower on them if many are wrong."
    )
    blocks = [block for number in found for block in _of_round(results, number, found[number], gallery)]
    return Section("cleaned", "Cleaned labels", intro, blocks)


def read(results: Results) -> dict[int, dict[int, pd.DataFrame]]:
    """Tables of `goldfold.stages.clean` by round and fold, as far as they are on disk."""
    found: dict[int, dict[int, pd.DataFrame]] = {}
    for stage in results.grid.rounds:
        for fold in range(results.grid.n_folds if stage.cleaning is not None else 0):
            path = results.root / "clean" / f"round{stage.number}" / f"fold{fold}.csv"
            if path.exists():
                found.setdefault(stage.number, {})[fold] = read_table(path)
    return found


def _of_round(results: Results, number: int, tables: dict[int, pd.DataFrame], gallery: int) -> list[Block]:
    cleaning, action = cleaning_at(results.grid, number), results.settings["rounds"][number]["clean"]["action"]
    whole = pd.concat([table.assign(fold=fold) for fold, table in tables.items()], ignore_index=True)
    changed = whole[whole["action"] != "keep"]
    judges = (
        f"Judged by {listed(list(cleaning.models))} with the settings of round {cleaning.judged_by}, in "
        f"{count(cleaning.folds, 'inner part')} per fold. "
    )
    most = max(int((table["action"] != "keep").sum()) for table in tables.values())
    text = Text(
        f"{judges}At most {count(most, 'row')} of a fold {'is' if most == 1 else 'are'} {DONE[action]}; "
        f"{count(changed['id'].nunique(), results.row)} in at least one fold.",
        heading=f"Round {number}",
    )
    if changed.empty:
        return [text]
    return [text, _by_class(results, changed, tables, DONE[action]), _gallery(results, changed, gallery, DONE[action])]


def _by_class(results: Results, changed: pd.DataFrame, tables: dict[int, pd.DataFrame], done: str) -> Table:
    given = results.target.content(results.tables["train"]).sum()
    counts = changed.groupby("given")["id"].nunique()
    by_fold = changed.groupby(["given", "fold"]).size()
    most = max((counts.get(name, 0) / max(1, given[name]) for name in results.classes), default=0.0)
    rows: list[list[str | Cell]] = []
    for name in results.classes:
        share = counts.get(name, 0) / max(1, given[name])
        of_folds = [f"{by_fold.get((name, fold), 0):,}" for fold in tables]
        rows.append([name, f"{counts.get(name, 0):,}", Cell(percent(share), share / most if most else 0.0), *of_folds])
    columns = ["given class", done, "share of the class", *(f"fold {fold}" for fold in tables)]
    return Table(columns, rows, text_columns=columns[:1], caption=f"Rows {done} in at least one fold, and in each.")


def _gallery(results: Results, changed: pd.DataFrame, most: int, done: str) -> Gallery:
    table = results.tables["train"]
    paths = dict(zip(table["id"], table["path"], strict=True)) if "path" in table else {}
    once = changed.assign(margin=changed["margin"].astype(float)).sort_values(["margin", "id"], kind="stable")
    once = once.drop_duplicates("id")
    shown = once[:most]
    caption = f"{len(shown)} of {count(len(once), results.row)} {done}, the most suspicious first: given → suggested."
    return Gallery([candidate(paths, row) for row in shown.to_dict("records")], caption)
