"""Stage manifest: raw data -> one row per usable image, and a quarantine of the others with reasons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from goldfold import components, sources, tasks
from goldfold.audit import copies, quarantine
from goldfold.audit.integrity import scan
from goldfold.base.errors import DataError
from goldfold.base.files import write_json, write_text
from goldfold.base.words import count
from goldfold.crop.find import with_rois
from goldfold.images import cases
from goldfold.images.limits import MOST_PIXELS
from goldfold.images.nearest import nearest_file
from goldfold.images.stacks import files_of
from goldfold.sources.declared import Settled, settle
from goldfold.sources.ids import match_sample, tell_apart
from goldfold.sources.reading import read_csv, without_index
from goldfold.sources.sized import with_sizes
from goldfold.splits.thinning import thinned
from goldfold.tasks import learnable
from goldfold.tasks.optional import refuse_doubts

COLUMNS = ("id", "path", "sha256", "width", "height")
MISSING_FILE = "file is missing"
"""Reason that `goldfold.audit.integrity` gives for a path without a file."""
PARTS = (("dropped", quarantine.LEFT_OUT), ("cut", quarantine.CUT))
"""Fields of `goldfold.tasks.protocol.Examined` that list parts of targets, and the outcome for these parts."""


@dataclass
class Policies:
    """Handling of unusable images: ``quarantine`` or ``fail``; ``drop`` leaves out only the flawed part of a target."""

    on_bad_image: str
    on_missing_image: str
    on_missing_label: str
    on_bad_label: str


def run(
    folder: str,
    source: dict[str, Any],
    task: dict[str, Any],
    policies: dict[str, str],
    metric: components.Written | None,
    classes: list[str] | None,
    sample: str | None,
    submission: dict[str, str],
    workers: int,
    channels: int = 3,
    max_pixels: int = MOST_PIXELS,
    roi: dict[str, Any] | None = None,
    duplicates: Mapping[str, Any] = MappingProxyType({}),
    most_rows: int | None = None,
    has_thresholds: bool = False,
    weighted_classes: Mapping[str, Sequence[str]] = MappingProxyType({}),
    class_lists: Mapping[str, int] = MappingProxyType({}),
) -> list[str]:
    """Write tables of all splits, ``{quarantine,duplicates}.csv`` and ``{classes,class_ids}.json``; return doubts.

    Args:
        source: settings of the data source, its name under ``source``.
        task: name and settings of the task; ``policies`` see `Policies`.
        metric: score, where the manifest depends on it: with a sample file, or a metric of ordered classes.
        classes: names of the classes in their order, where the config gives them.
        sample, submission: the competition's sample file, and format, id_column and label_column of the submission;
            checked here, so that nothing is trained for a submission that cannot be made.
        workers: number of processes that read images.
        channels: channels that images are read as; images with others are unusable.
        max_pixels: images with more pixels are unusable, and are not decoded.
        roi: how to find the part of each image to crop, see `goldfold.crop.find`; None for whole images.
        duplicates: see `goldfold.audit.copies.Policy`.
        most_rows: number of rows per split, evenly spaced, for a quick look; None for all.
        has_thresholds: whether decisions are made by fitted thresholds, which some sets of classes do not have.
        weighted_classes: classes with a weight in the loss, by the key of the config that names them.
        class_lists: lengths of lists with one value per class, by the key of the config that has them.

    Raises:
        DataError: the data cannot be used; the message says which, where and what to do.
    """
    raw, policy = _read(source, most_rows), Policies(**policies)
    lost: list[pd.DataFrame] = []
    tell_apart(raw.tables)
    scanned = scan(cases.files(raw.tables), workers, channels, max_pixels)
    with sources.named(source["source"]):
        sound = {split: _sound(split, table, scanned, lost, policy) for split, table in raw.tables.items()}
    sized = {split: settle(table, raw.sizes, split, _leaves_out(split, policy)) for split, table in sound.items()}
    tables = {split: of.table for split, of in sized.items()}
    doubts = [*raw.notes, *(note for of in sized.values() for note in of.notes)]
    tables["train"], names, dropped, settled = _targets("train", sized["train"], task, classes, policy, workers)
    lost += dropped
    tables, found = copies.settle(tables, scanned, lost, copies.Policy(**duplicates))
    learnable.check(tables, lost, task, names, has_thresholds)
    learnable.check_classes(names, weighted_classes, class_lists)
    own_ids = tables["test"]["id"] if "test" in tables else None
    _check_submission(tables, task, names, classes, metric, sample, submission)
    if raw.answers is not None and own_ids is not None:
        tables["answers"] = _answers(
            raw.answers, raw.sizes, tables["test"], own_ids, task | settled, names, policy, workers
        )
    tables = with_rois(tables, roi, workers, scanned)
    if own_ids is not None:
        found = copies.renamed(found, dict(zip(own_ids, tables["test"]["id"], strict=True)))
    write_text(Path(folder) / "duplicates.csv", found.to_csv(index=False))
    write_json(Path(folder) / "class_ids.json", raw.numbers)
    _write(Path(folder), tables, lost, names, tasks.facts(task["name"]).kinds)
    print(*(f"{doubt}\n" for doubt in doubts), sep="", end="", flush=True)
    return doubts


@dataclass(frozen=True)
class Raw:
    """Content of a data source."""

    tables: dict[str, pd.DataFrame]
    """Images by split."""
    answers: pd.DataFrame | None
    """Targets of test images."""
    sizes: pd.DataFrame | None
    """Sizes of images, as declared by the source."""
    numbers: dict[str, int]
    """Class -> its number in the files of the source, where it has numbers."""
    notes: list[str]


def _read(source: dict[str, Any], most_rows: int | None) -> Raw:
    """Read a data source, at most ``most_rows`` images of each split."""
    tables = sources.read(**source)
    answers, categories, sizes, notes = (tables.pop(name, None) for name in ("answers", "categories", "sizes", "notes"))
    if most_rows is not None:
        tables = {split: thinned(table, most_rows) for split, table in tables.items()}
    numbers = {} if categories is None else dict(zip(categories["name"], categories["id"].tolist(), strict=True))
    return Raw(tables, answers, sizes, numbers, [] if notes is None else notes["note"].tolist())


def _leaves_out(split: str, policies: Policies) -> bool:
    """Return whether single images with a flawed target may be left out."""
    return split != "test" and policies.on_bad_label == "quarantine"


def _sound(
    split: str, table: pd.DataFrame, scanned: pd.DataFrame, lost: list[pd.DataFrame], policies: Policies
) -> pd.DataFrame:
    """Keep rows of readable images, with the findings of the scan; quarantine the others, or raise DataError.

    A case of several images is kept as long as one of its images is usable.
    """
    merged = cases.each(table).merge(scanned[[*COLUMNS[1:], "reason"]], on="path", how="left", validate="many_to_one")
    is_missing, is_bad = merged["reason"] == MISSING_FILE, merged["reason"] != ""
    is_lost = is_bad.groupby(merged["id"]).transform("all")
    for rows, policy, key in (
        (is_missing, policies.on_missing_image, "on_missing_image"),
        (is_bad & ~is_missing, policies.on_bad_image, "on_bad_image"),
    ):
        is_needed = split == "test" and bool((rows & is_lost).any())
        if rows.any() and (policy == "fail" or is_needed):
            way_out = "Restore the files" if is_needed else f"Restore the files, or set data.{key}: quarantine"
            names = ", ".join(f"{row.id!r} ({row.path}: {_reason(row)})" for row in merged[rows].head(3).itertuples())
            raise DataError(
                f"{split}: {int(rows.sum())} of {len(merged)} images cannot be used, first {names}. {way_out}."
            )
    lost.append(merged[is_bad].assign(split=split))
    return cases.gathered(merged[~is_bad].drop(columns="reason").reset_index(drop=True))


def _reason(row: Any) -> str:
    """Reason why an image is unusable; for a missing one with the file that its name most likely means."""
    hint = nearest_file(files_of(row.path)[0]) if row.reason == MISSING_FILE else ""
    return f"{row.reason}; {hint}" if hint else str(row.reason)


def _targets(
    split: str,
    sized: Settled,
    task: dict[str, Any],
    classes: list[str] | None,
    policies: Policies,
    workers: int,
) -> tuple[pd.DataFrame, list[str], list[pd.DataFrame], dict[str, Any]]:
    """Keep rows with a usable target; return them, the classes, rows left out, and settings for other targets.

    Raises:
        DataError: a target is unusable and its policy is not to leave it out.
    """
    table = with_sizes(sized.table)
    settings = {key: value for key, value in task.items() if key != "name"}
    drops = policies.on_bad_label == "drop"
    found = tasks.examine(task["name"])(table, classes, split, drops, workers, **settings)
    lost: list[pd.DataFrame] = []
    missing, flaws = (pd.Series(reasons, index=table.index, dtype=str) for reasons in (found.missing, found.flaws))
    flaws = flaws.mask(sized.reasons != "", sized.reasons)
    for reasons, policy, key in (
        (missing, policies.on_missing_label, "on_missing_label"),
        (flaws, policies.on_bad_label, "on_bad_label"),
    ):
        rows = reasons != ""
        if rows.any() and policy != "quarantine":
            first = f"{table['id'][rows].iloc[0]!r}: {reasons[rows].iloc[0]}"
            ways = "drop or quarantine" if found.part and key == "on_bad_label" else "quarantine"
            raise DataError(
                f"{split}: {int(rows.sum())} of {len(table)} images have a target that cannot be used, first {first}. "
                f"Correct {'it' if rows.sum() == 1 else 'them'}, or "
                f"set data.{key}: {ways}."
            )
        lost.append(table[rows].assign(reason=reasons[rows], split=split))
    rows = [(*one, outcome) for what, outcome in PARTS for one in getattr(found, what)]
    if rows:
        parts = table[["id", "path"]].merge(pd.DataFrame(rows, columns=["id", "reason", "outcome"]), on="id")
        lost.append(parts.assign(split=split, part=found.part))
    rest = found.table[(missing == "") & (flaws == "")].reset_index(drop=True)
    return rest, found.classes, lost, found.settled


def _answers(
    answers: pd.DataFrame,
    said: pd.DataFrame | None,
    test: pd.DataFrame,
    own_ids: "pd.Series[str]",
    task: dict[str, Any],
    classes: list[str],
    policies: Policies,
    workers: int,
) -> pd.DataFrame:
    """Read the true targets of test images, by their own ids or those of the sample file; flaws are handled as in training."""
    where = "data.test_answers"
    written = dict(zip(test["id"], test["id"], strict=True)) | dict(zip(own_ids, test["id"], strict=True))
    known = answers.assign(id=answers["id"].map(written)).dropna(subset="id")
    if len(twice := known["id"][known["id"].duplicated()]):
        raise DataError(
            f"{where}: {twice.nunique()} test images have two rows, first {twice.iloc[0]!r}. Keep one of each."
        )
    images = test[[*COLUMNS, *cases.columns_of(test)]].merge(known, on="id")
    if images.empty:
        raise DataError(f"{where}: it names none of the {len(test)} test images by id.")
    sized = settle(images, said, where, _leaves_out(where, policies))
    table, _, lost, _ = _targets(where, sized, task, classes, replace(policies, on_missing_label="quarantine"), workers)
    rows = _listed(lost).to_dict("records")
    for row in rows:
        print(f"{where}: {row['outcome']} {row['id']!r}: {row['reason']}", flush=True)
    if table.empty:
        first = f"{rows[0]['id']!r}: {rows[0]['reason']}"
        raise DataError(f"{where}: none of its {len(images)} images can be used, first {first}. Correct them.")
    return table


def _check_submission(
    tables: dict[str, pd.DataFrame],
    task: dict[str, Any],
    names: list[str],
    named: list[str] | None,
    metric: components.Written | None,
    sample: str | None,
    submission: dict[str, Any],
) -> None:
    """Refuse data that could not be submitted or scored later; test ids become those of the sample file."""
    form, submit = None, tasks.submit(task, names)
    if sample is not None and metric is not None:
        form = submit.form(without_index(read_csv(sample, "submission.sample")), sample, submission, metric)
        tables["test"] = match_sample(form.keys or [], sample, tables.get("test"))
    elif "test" in tables:
        usual = next(iter(tasks.facts(task["name"]).metrics))
        format = "probabilities" if submission["format"] in ("auto", "label") else submission["format"]
        submit.form(None, "", {**submission, "format": format}, metric or usual)
    refuse_doubts(submit, named, metric or "", form)


def _write(
    folder: Path, tables: dict[str, pd.DataFrame], lost: list[pd.DataFrame], names: list[str], kinds: tuple[str, str]
) -> None:
    for split, table in tables.items():
        extra = [column for column in table if column not in COLUMNS]
        write_text(folder / f"{split}.csv", table[[*COLUMNS, *extra]].to_csv(index=False))
    bad = _listed(lost)
    write_text(folder / "quarantine.csv", bad.to_csv(index=False))
    write_json(folder / "classes.json", names)
    counts = ", ".join(f"{len(table)} {split}" for split, table in tables.items())
    rows = bad.to_dict("records")
    quarantined = f"{count(quarantine.n_images(rows), 'image')} in quarantine"
    told = [counts, count(len(names), *kinds), quarantined, quarantine.parts_in_words(rows)]
    print("; ".join(filter(None, told)), flush=True)


def _listed(lost: list[pd.DataFrame]) -> pd.DataFrame:
    """Assemble the rows of ``quarantine.csv``."""
    rows = pd.concat(lost, ignore_index=True).reindex(columns=quarantine.COLUMNS)
    return rows.fillna({"part": "image", "outcome": quarantine.LEFT_OUT})
