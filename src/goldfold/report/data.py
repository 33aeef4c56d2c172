"""Section on the data: how many images, of what size, in which fold, which were left out, and which are the same."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from goldfold.report import folds
from goldfold.report.blocks import Block, Gallery, Section, Table, Text
from goldfold.report.figures import bars, sizes
from goldfold.report.overlays import CLASS_COLOURS, class_legend
from goldfold.report.pictures import picture
from goldfold.report.results import Results
from goldfold.report.words import count, listed

MOST_LISTED = 50
MOST_SAMPLES, MOST_DRAWN_SAMPLES = 120, 24
SAMPLE_PX = 230


@dataclass(frozen=True)
class Twins:
    """Images that are the same file, byte for byte."""

    ids: list[str]
    splits: list[str]
    folds: list[str]
    labels: list[str]
    """What is learnt from each training image, as text; empty for others."""

    @property
    def disagree(self) -> bool:
        """Whether they carry different labels."""
        return len(set(filter(None, self.labels))) > 1

    @property
    def cross_folds(self) -> bool:
        """Whether training images lie in different folds."""
        return len(set(filter(None, self.folds))) > 1

    @property
    def cross_splits(self) -> bool:
        """Whether one is a training image and another is not."""
        return "train" in self.splits and len(set(self.splits)) > 1


def twins(results: Results) -> list[Twins]:
    """Sets of images with the same sha256, over all splits."""
    learnt = [name for name in results.task.columns if name not in ("width", "height")]
    parts = [
        table.assign(split=split, label=table[learnt].agg(" ".join, axis=1) if split == "train" else "")
        for split, table in results.tables.items()
        if "sha256" in table
    ]
    every = pd.concat(parts, ignore_index=True).fillna("") if parts else pd.DataFrame({"sha256": []})
    every = every.reindex(columns=["sha256", "id", "split", "fold", "label"], fill_value="")
    if results.settings["folds"]["splitter"].startswith("ordered"):
        every["fold"] = ""  # a fold never learns from a file it is scored on
    every["fold"] = every["fold"].replace("-1", "")
    same = every[(every["sha256"] != "") & every["sha256"].duplicated(keep=False)]
    return [
        Twins(list(rows["id"]), list(rows["split"]), list(rows["fold"]), list(rows["label"]))
        for _, rows in same.groupby("sha256", sort=False)
    ]


def section(results: Results, same: list[Twins]) -> Section:
    """Counts, sizes, folds, quarantine, duplicates, examples."""
    numbers = [
        count(len(table), "training image" if split == "train" else f"{split} image")
        for split, table in results.tables.items()
    ]
    intro = f"{listed(numbers)}; {count(len(results.classes), 'class', 'classes')}; {_groups(results)}."
    blocks = [
        *_counts(results),
        *_sizes(results),
        *folds.blocks(results),
        *_quarantine(results),
        *_duplicates(results, same),
    ]
    return Section("data", "Data", intro[0].upper() + intro[1:], [*blocks, *_samples(results)])


def _groups(results: Results) -> str:
    table = results.tables["train"]
    if "group" not in table:
        return "images are taken as independent of each other (no groups)"
    is_ordered = results.settings["folds"]["splitter"].startswith("ordered")
    how = "a fold never learns from those it is scored on" if is_ordered else "none of which is split over folds"
    return f"{table['group'].nunique():,} groups, {how}"


def _counts(results: Results) -> list[Block]:
    task = results.task
    counts = pd.DataFrame({"train": (task.content(results.tables["train"]) > 0).sum()})
    last = [table for (number, _), table in results.pseudo.items() if number == results.n_rounds]
    if last and all(task.target in table for table in last):
        taken = (task.content(pd.concat(last, ignore_index=True)) > 0).sum()
        counts["pseudo labels, mean of the folds"] = (taken / len(last)).round(1)
    counts = counts.reindex(results.classes).fillna(0)
    return [Text("", heading="Images by class"), bars("class_counts", counts, "images", "")]


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


def _quarantine(results: Results) -> list[Block]:
    lost = results.quarantine
    if lost.empty:
        return [Text("Every image could be used; the quarantine is empty.", heading="Quarantine")]
    rows = [
        [str(value) for value in row] for row in lost[["split", "id", "path", "reason"]].head(MOST_LISTED).to_numpy()
    ]
    n_images = len(results.left_out)
    n_parts = len(lost) - n_images
    parts = [count(n_images, "image")] * (n_images > 0) + [count(n_parts, "box", "boxes")] * (n_parts > 0)
    text = f"{listed(parts)} left out{_first(len(lost))}."
    columns = ["split", "id", "path", "reason"]
    return [Text(text, heading="Quarantine"), Table(columns, rows, text_columns=columns)]


def _duplicates(results: Results, same: list[Twins]) -> list[Block]:
    heading = "Identical images"
    if not same:
        return [Text("No two images are the same file (by sha256 of their bytes).", heading)]
    worst_first = sorted(same, key=lambda pair: (not pair.disagree, not pair.cross_folds, not pair.cross_splits))
    has_labels = "label" in results.truth  # masks and boxes say nothing as text
    rows = [
        [listed(pair.ids), _values(pair.splits), *([_values(pair.labels)] if has_labels else []), _values(pair.folds),
         _problem(pair)]
        for pair in worst_first[:MOST_LISTED]
    ]  # fmt: skip
    columns = ["ids", "split", *(["label"] if has_labels else []), "fold", "what is wrong"]
    text = f"{count(len(same), 'set')} of images that are the same file, byte for byte{_first(len(same))}."
    return [Text(text, heading), Table(columns, rows, text_columns=columns)]


def _values(values: list[str]) -> str:
    return ", ".join(dict.fromkeys(filter(None, values)))


def _problem(pair: Twins) -> str:
    found = [
        "different labels" if pair.disagree else "",
        "in several folds" if pair.cross_folds else "",
        "in train and another split" if pair.cross_splits else "",
    ]
    return "; ".join(filter(None, found)) or "counted more than once"


def _first(number: int) -> str:
    return f"; the first {MOST_LISTED} are listed" if number > MOST_LISTED else ""


def _samples(results: Results) -> list[Block]:
    """Some training images of each class, spread over the table, with their targets drawn on them; no image twice."""
    truth, content = results.tables["train"], results.task.content(results.tables["train"])
    if "path" not in truth:
        return []
    draws = results.task.drawn(truth.iloc[0].to_dict()) is not None
    most = MOST_DRAWN_SAMPLES if draws else MOST_SAMPLES
    each, shown, pictures = max(1, min(6, most // len(results.classes))), set[str](), []
    for name in results.classes[:most]:
        rows = truth[(content[name] > 0).to_numpy() & ~truth["id"].isin(shown)]
        chosen = rows.iloc[np.unique(np.linspace(0, len(rows) - 1, min(each, len(rows))).round().astype(int))]
        shown |= set(chosen["id"])
        for row in chosen.to_dict("records"):
            pictures.append(picture(row["path"], name, [row["id"]], drawn=results.task.drawn(row)))
    caption = "Training images as they are on disk, before any resizing or augmentation."
    heading = "Examples of each class"
    if not draws:
        return [Gallery(pictures, caption, heading, is_compact=True)]
    legend = class_legend(results.classes) if len(results.classes) <= len(CLASS_COLOURS) else []
    caption += " Their targets are drawn on them, of all classes an image has."
    return [Gallery(pictures, caption, heading, column_px=SAMPLE_PX, legend=legend)]
