"""raw data -> manifest: one row an image, sound images only, the rest in quarantine with a reason."""

from pathlib import Path
from typing import Any

import pandas as pd

from goldfold import tasks
from goldfold.data import sources
from goldfold.data.classes import classes_of, refuse_unordered
from goldfold.data.ids import match_sample, tell_apart
from goldfold.data.integrity import scan
from goldfold.data.sources.table import read_csv
from goldfold.runtime.errors import DataError
from goldfold.runtime.files import write_json, write_text

COLUMNS = ("id", "path", "sha256", "width", "height")


def run(
    folder: str,
    source: dict[str, Any],
    task: str,
    on_bad_image: str,
    on_missing_image: str,
    on_missing_label: str,
    metric: str | None,
    classes: list[str] | None,
    sample: str | None,
    submission: dict[str, str],
    workers: int,
) -> None:
    """Write ``{train,test,unlabeled}.csv``, ``quarantine.csv`` and ``classes.json`` into ``folder``.

    Args:
        source: settings of the data source, its name under ``source``.
        on_bad_image, on_missing_image, on_missing_label: ``quarantine`` or ``fail``.
        metric: the score, where the manifest depends on it: with a sample file, or a metric of ordered classes.
        classes: names of the classes in their order, where the user gives them.
        sample, submission: the competition's sample file, and format, id_column and label_column of the submission;
            checked now, so that nothing is trained for a submission that cannot be made.
        workers: processes that read images.

    Raises:
        DataError: the data cannot be used; the text says which, where and what to do.
    """
    tables = sources.read(**source)
    quarantine: list[pd.DataFrame] = []
    tell_apart(tables)
    scanned = scan((path for table in tables.values() for path in table["path"]), workers)
    for split, table in tables.items():
        tables[split] = _sound(split, table, scanned, quarantine, on_bad_image, on_missing_image)
    tables["train"] = _labelled(tables["train"], quarantine, on_missing_label)
    if "unlabeled" in tables:
        tables["unlabeled"] = _without_copies(tables["unlabeled"], tables["train"], quarantine)
    _refuse_empty(tables, quarantine)
    names = classes_of(tables["train"]["label"], classes)
    if len(names) < 2:
        raise DataError(f"train: all {len(tables['train'])} images are of one class, {names[0]!r}. Name at least two.")
    _check_submission(tables, tasks.build(task, names), classes, metric, sample, submission)
    _write(Path(folder), tables, quarantine, names)


def _sound(
    split: str, table: pd.DataFrame, scanned: pd.DataFrame, quarantine: list[pd.DataFrame], on_bad: str, on_missing: str
) -> pd.DataFrame:
    """Rows of readable images with what the scan found; the others go to quarantine, or the job ends."""
    merged = table.merge(scanned, on="path", how="left", validate="many_to_one")
    is_missing, is_bad = merged["reason"] == "file is missing", merged["reason"] != ""
    for rows, policy, key in (
        (is_missing, on_missing, "on_missing_image"),
        (is_bad & ~is_missing, on_bad, "on_bad_image"),
    ):
        if rows.any() and (policy == "fail" or split == "test"):
            way_out = "Restore the files" if split == "test" else f"Restore the files, or set data.{key}: quarantine"
            names = ", ".join(f"{row.id!r} ({row.path}: {row.reason})" for row in merged[rows].head(3).itertuples())
            raise DataError(
                f"{split}: {int(rows.sum())} of {len(merged)} images cannot be used, first {names}. {way_out}."
            )
    quarantine.append(merged[is_bad].assign(split=split))
    return merged[~is_bad].drop(columns="reason").reset_index(drop=True)


def _labelled(train: pd.DataFrame, quarantine: list[pd.DataFrame], policy: str) -> pd.DataFrame:
    lacks = train["label"].isna()
    if lacks.any() and policy == "fail":
        raise DataError(
            f"train: {int(lacks.sum())} of {len(train)} images have no label, first {train['id'][lacks].iloc[0]!r}. "
            f"Label them, or set data.on_missing_label: quarantine."
        )
    quarantine.append(train[lacks].assign(reason="image has no label", split="train"))
    return train[~lacks].reset_index(drop=True)


def _without_copies(pool: pd.DataFrame, train: pd.DataFrame, quarantine: list[pd.DataFrame]) -> pd.DataFrame:
    """The pool without copies of training images: a fold's models would train on their validation images."""
    original = pool["sha256"].map(train.drop_duplicates("sha256").set_index("sha256")["id"])
    is_copy = original.notna()
    reasons = "has the same bytes as training image " + original[is_copy].astype(str)
    quarantine.append(pool[is_copy].assign(reason=reasons, split="unlabeled"))
    return pool[~is_copy].reset_index(drop=True)


def _refuse_empty(tables: dict[str, pd.DataFrame], quarantine: list[pd.DataFrame]) -> None:
    lost = sum(len(table) for table in quarantine)
    for split, table in tables.items():
        if table.empty:
            raise DataError(
                f"{split}: no usable images ({lost} in quarantine). Look at the paths and labels of data.{split}."
            )


def _check_submission(
    tables: dict[str, pd.DataFrame],
    task: tasks.Task,
    named: list[str] | None,
    metric: str | None,
    sample: str | None,
    submission: dict[str, str],
) -> None:
    """Refuse what could not be submitted or scored in the end; the test ids become those of the sample file."""
    one_probability = False
    if sample is not None and metric is not None:
        table = read_csv(sample, "submission.sample")
        task.check_sample(table, sample)
        as_labels = task.sample_wants_labels(table, sample, submission["format"], metric)
        one_probability = not as_labels and len(table.columns) == 2 and str(table.columns[1]) not in task.classes
        tables["test"] = match_sample(table.iloc[:, 0], sample, tables.get("test"))
    elif "test" in tables:
        task.default_columns(submission["id_column"], submission["label_column"], as_labels=False)
    refuse_unordered(task.classes, named, metric or "", one_probability)


def _write(folder: Path, tables: dict[str, pd.DataFrame], quarantine: list[pd.DataFrame], classes: list[str]) -> None:
    for split, table in tables.items():
        extra = [column for column in ("label", "group", "fold") if column in table]
        write_text(folder / f"{split}.csv", table[[*COLUMNS, *extra]].to_csv(index=False))
    bad = pd.concat(quarantine, ignore_index=True).reindex(columns=["split", "id", "path", "reason"])
    write_text(folder / "quarantine.csv", bad.to_csv(index=False))
    write_json(folder / "classes.json", classes)
    counts = ", ".join(f"{len(table)} {split}" for split, table in tables.items())
    print(f"{counts}; {len(classes)} classes; {len(bad)} in quarantine", flush=True)
