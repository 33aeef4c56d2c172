"""Distribution of the classes over the folds: a table of counts, and a map of deviations from an even share."""

import pandas as pd

from goldfold import components
from goldfold.base.many import are_many
from goldfold.base.words import count, noun
from goldfold.drawing.axes import BLUE, COLOURS, INK, MUTED, Canvas
from goldfold.drawing.blocks import Block, Figure, Table, Text
from goldfold.drawing.figures import MOST_ROWS, WIDTH_PX
from goldfold.drawing.tables import MOST_SHOWN
from goldfold.drawing.words import shortened
from goldfold.report.results import Results
from goldfold.splits.checks import shares, worst
from goldfold.splits.groups import groups_in_words, in_range, in_words, sizes_of

ALL, DEVIATION = "(all)", "(deviation)"
FULL = 0.5
"""Deviation at which the colour is saturated."""
MOST_NUMBERED = 12
"""Most folds whose cells show numbers."""
CELL_PX = 62
SPLITTER_NOTES = {
    "ordered": "; each fold is trained on the images before its validation part",
    "ordered_blocks": "; each fold validates one block of the order",
}


def blocks(results: Results) -> list[Block]:
    """Text, figure and table."""
    summary = results.fold_summary
    validated = summary[summary.index >= 0]
    amounts, sizes = validated.drop(columns=[ALL, DEVIATION], errors="ignore"), validated[ALL]
    far = shares(amounts)
    name, fold, value = worst(far)
    splitter, rows = components.label(results.settings["folds"]["splitter"]), f"{results.row}s"
    text = (
        f"Number of {results.unit} per {results.facts.kinds[0]} in the validation part of each fold, and "
        f"{'in total' if results.unit == rows else f'number of {rows}'}; splitter "
        f"“{splitter}”{SPLITTER_NOTES.get(splitter, '')}. The largest deviation is that of "
        f"“{shortened(name, 40)}” in fold {fold}: {amounts.loc[fold, name]:,} {results.unit}, where an even share would be "
        f"{amounts[name].mean():,.1f} ({value:+.1%}). Folds have {in_range(sizes.tolist())}."
    )
    if found := sizes_of(results.tables["train"]):
        text += f" Groups: {groups_in_words(found)}."
    if -1 in summary.index:
        text += (
            f" {count(int(summary[ALL][-1]), f'training {results.row}')} {noun(int(summary[ALL][-1]), 'is', 'are')} never "
            f"validated, so no score includes {noun(int(summary[ALL][-1]), 'it', 'them')}."
        )
    if results.test_groups is not None:
        words = in_words(results.test_groups)
        text += f" {words[0].upper()}{words[1:]}."
    return [Text(text, heading="Folds"), drawing(far), _table(summary, far)]


def drawing(far: pd.DataFrame) -> Figure:
    """Map with one row per class and one column per fold; of too many classes, those with the largest deviation."""
    from matplotlib.patches import Rectangle

    drawn = far[_furthest_first(far)[:MOST_ROWS]] if len(far.columns) > MOST_ROWS else far
    names, n_folds = [shortened(str(name), 26) for name in drawn], len(drawn)
    is_numbered = n_folds <= MOST_NUMBERED
    left = 40 + 7.5 * max(map(len, names))
    with Canvas(min(WIDTH_PX, left + CELL_PX * max(n_folds, 3)), 66 + 24 * len(names)) as canvas:
        (axes,) = canvas.axes()
        for row, name in enumerate(drawn):
            for column, value in enumerate(drawn[name]):
                strength = min(abs(value) / FULL, 1.0)
                colour = BLUE if value > 0 else COLOURS["rose"]
                axes.add_patch(
                    Rectangle((column - 0.48, row - 0.46), 0.96, 0.92, facecolor=colour, linewidth=0,
                              alpha=round(0.05 + 0.9 * strength, 3))
                )  # fmt: skip
                if is_numbered:
                    tone = COLOURS["on-gold"] if strength > 0.6 else INK if strength > 0.05 else MUTED
                    text = f"{value:+.0%}" if abs(value) >= 0.005 else "0%"
                    axes.text(column, row, text, ha="center", va="center", color=tone, fontsize=10.5)
        axes.set_xlim(-0.5, n_folds - 0.5)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.grid(visible=False)
        axes.spines["bottom"].set_visible(False)
        step = 1 if n_folds <= 30 else 10
        axes.set_xticks(range(0, n_folds, step), [str(number) for number in drawn.index[::step]])
        axes.set_yticks(range(len(names)), names)
        axes.tick_params(labelcolor=INK)
        axes.set_xlabel("fold")
        caption = (
            f"How much more (blue) or less (rose) of a class is in a fold's validation part than an even share; colours are "
            f"saturated at {FULL:.0%}."
        )
        if len(far.columns) > MOST_ROWS:
            caption += f" The {MOST_ROWS} of {len(far.columns):,} classes with the largest deviation are drawn."
        return canvas.block("folds", caption, "Map of classes by folds, each cell the deviation from an even share")


def _table(summary: pd.DataFrame, far: pd.DataFrame) -> Table:
    """Table with one row per class and one column per fold, and a last row of all; of many classes, those in the map's order.

    Args:
        far: deviation of each class (column) in each fold.
    """
    amounts, caption = summary.drop(columns=DEVIATION, errors="ignore").T, ""
    if are_many(len(far.columns)):
        chosen = _furthest_first(far)[:MOST_SHOWN]
        amounts = pd.concat([amounts.loc[chosen], amounts.loc[[ALL]]])
        caption = f"The {len(chosen)} of {len(far.columns):,} classes with the largest deviation; all are in folds/summary.csv."
    rows = [
        [str(name), *(f"{value:,}" for value in row)]
        for name, row in zip(amounts.index, amounts.to_numpy(), strict=True)
    ]
    columns = ["class", *("not validated" if number < 0 else f"fold {number}" for number in summary.index)]
    return Table(columns, rows, text_columns=["class"], mark=len(rows) - 1, caption=caption)


def _furthest_first(far: pd.DataFrame) -> list[str]:
    """Classes by their largest deviation."""
    return far.abs().max().sort_values(ascending=False, kind="stable").index.tolist()
