"""Section on the data: numbers and sizes of images, folds, and doubts."""

import numpy as np
import pandas as pd

from goldfold import components
from goldfold.base.words import count
from goldfold.drawing import mask_colours
from goldfold.drawing.blocks import Block, Gallery, Lines, Section, Text
from goldfold.drawing.figures import bars, sizes
from goldfold.drawing.overlays import CLASS_COLOURS, Colour, class_legend
from goldfold.drawing.pictures import picture
from goldfold.drawing.words import listed
from goldfold.images import cases
from goldfold.report import copies, folds, quarantine
from goldfold.report.copies import Cluster
from goldfold.report.results import Results
from goldfold.splits.together import COLUMN
from goldfold.targets.mask_bits import Bits
from goldfold.targets.mask_coding import Coding
from goldfold.tasks.optional import draw_target

MOST_SAMPLES, MOST_DRAWN_SAMPLES = 120, 24
SAMPLE_PX = 230


def section(results: Results, clusters: list[Cluster], doubts: list[str]) -> Section:
    """Counts, sizes, folds, doubts, examples."""
    numbers = [_number(split, table) for split, table in results.tables.items()]
    intro = f"{listed(numbers)}; {count(len(results.classes), *results.facts.kinds)}; {_groups(results)}."
    blocks = [*_counts(results), *_sizes(results), *folds.blocks(results), *_doubts(results, clusters, doubts)]
    return Section("data", "Data", intro[0].upper() + intro[1:], [*blocks, *_samples(results)])


def _number(split: str, table: pd.DataFrame) -> str:
    """``300 training images``, or ``300 training cases of 559 images``."""
    name = "training" if split == "train" else split
    rows = count(len(table), f"{name} {cases.word(table)}")
    return f"{rows} of {count(len(cases.each(table)), 'image')}" if cases.are_in(table) else rows


def _groups(results: Results) -> str:
    table = results.tables["train"]
    copied = table[COLUMN][table[COLUMN] != ""].value_counts() if COLUMN in table else pd.Series(dtype=int)
    if "group" not in table and len(copied):
        sets = f"{count(len(copied), 'set')} of copies, the largest of {count(int(copied.max()), results.row)}"
        return f"no groups, but {sets}, none of which is split over folds"
    if "group" not in table:
        return f"{results.row}s are treated as independent (no groups)"
    is_ordered = components.name_of(results.settings["folds"]["splitter"]).startswith("ordered")
    how = "a fold is never trained on groups it is scored on" if is_ordered else "none of which is split over folds"
    return f"{table['group'].nunique():,} groups, {how}"


def _counts(results: Results) -> list[Block]:
    target = results.target
    counts = pd.DataFrame({"train": (target.content(results.tables["train"]) > 0).sum()})
    last = [table for (number, _), table in results.pseudo.items() if number in results.taught[-1:]]
    if last and all(results.facts.target in table for table in last):
        taken = (target.content(pd.concat(last, ignore_index=True)) > 0).sum()
        counts["pseudo labels, mean per fold"] = (taken / len(last)).round(1)
    counts = counts.reindex(results.classes).fillna(0)
    rows = f"{results.row}s"
    return [
        Text("", heading=f"{rows.capitalize()} per {results.facts.kinds[0]}"),
        bars("class_counts", counts, rows, ""),
    ]


def _sizes(results: Results) -> list[Block]:
    found = {}
    for split, table in results.tables.items():
        if {"width", "height"} <= set(table) and len(table):
            found[split] = (table["width"].to_numpy(dtype=float), table["height"].to_numpy(dtype=float))
    pairs = np.concatenate([np.stack(pair, axis=1) for pair in found.values()]) if found else np.empty((0, 2))
    if not len(pairs):
        return []
    heading = "Image sizes"
    if (pairs == pairs[0]).all():
        return [Text(f"All images are {pairs[0][0]:.0f} × {pairs[0][1]:.0f} pixels.", heading)]
    (w0, h0), (w1, h1), (wm, hm) = pairs.min(axis=0), pairs.max(axis=0), np.median(pairs, axis=0)
    text = (
        f"Widths from {w0:.0f} to {w1:.0f} pixels (median {wm:.0f}), heights from {h0:.0f} to {h1:.0f} (median "
        f"{hm:.0f}); {count(len(np.unique(pairs, axis=0)), 'different size')}."
    )
    return [Text(text, heading), sizes(found)]


def _doubts(results: Results, clusters: list[Cluster], doubts: list[str]) -> list[Block]:
    heading = "Doubts"
    known = f"{quarantine.sentence(results)} {copies.sentence(clusters)}"
    if not doubts:
        return [
            Text(
                f"{known} No other doubts about images and classes; goldfold check also looks at metadata and networks.",
                heading,
            )
        ]
    return [
        Lines(
            doubts,
            heading,
            f"{known} Doubts about images and classes; goldfold check also looks at metadata and networks:",
        )
    ]


def _samples(results: Results) -> list[Block]:
    """Gallery of training images of each class, spread over the table, with their targets drawn; no image twice."""
    truth, content = results.tables["train"], results.target.content(results.tables["train"])
    if "path" not in truth:
        return []
    draws = draw_target(results.show, truth.iloc[0].to_dict()) is not None
    most = MOST_DRAWN_SAMPLES if draws else MOST_SAMPLES
    each, shown, pictures = max(1, min(6, most // len(results.classes))), set[str](), []
    for name in results.classes[:most]:
        rows = truth[(content[name] > 0).to_numpy() & ~truth["id"].isin(shown)]
        chosen = rows.iloc[np.unique(np.linspace(0, len(rows) - 1, min(each, len(rows))).round().astype(int))]
        shown |= set(chosen["id"])
        for row in chosen.to_dict("records"):
            pictures.append(picture(row["path"], name, [row["id"]], drawn=draw_target(results.show, row)))
    caption = "Training images as they are on disk, before resizing and augmentation."
    caption += " The first image of each case is shown." * cases.are_in(results.tables["train"])
    heading = "Examples of each class"
    if not draws:
        return [Gallery(pictures, caption, heading, is_compact=True)]
    legend = class_legend(results.classes, _colours(results)) if len(results.classes) <= len(CLASS_COLOURS) else []
    caption += " The targets of all classes are drawn on them."
    return [Gallery(pictures, caption, heading, column_px=SAMPLE_PX, legend=legend)]


def _colours(results: Results) -> list[Colour]:
    """Colours of the classes in masks; empty for tasks without masks."""
    coding, table = getattr(results.target, "coding", None), results.tables["train"]
    return (
        mask_colours.of_classes(coding, table["mask"].iloc[0])
        if isinstance(coding, Coding | Bits) and "mask" in table
        else []
    )
