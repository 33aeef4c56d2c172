"""raw data -> manifest: one row an image, sound images only, the rest in quarantine with a reason."""

from pathlib import Path
from typing import Any

import pandas as pd

from goldfold import tasks
from goldfold.data import sources
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
    metric: str,
    sample: str | None,
    format: str,
    workers: int,
) -> None:
    """Write ``{train,test,unlabeled}.csv``, ``quarantine.csv`` and ``classes.json`` into ``folder``.

    Args:
        source: settings of the data source, its name under ``source``.
        on_bad_image, on_missing_image, on_missing_label: ``quarantine`` or ``fail``.
        sample, format: the competition's sample file and what it is filled with for ``metric``; checked now, so that
            nothing is trained for a submission that cannot be made.
        workers: processes that read images.

    Raises:
        DataError: the data cannot be used; the text says which, where and what to do.
    """
    tables = sources.read(**source)
    quarantine: list[pd.DataFrame] = []
    _refuse_duplicate_ids(tables)
    scanned = scan((path for table in tables.values() for path in table["path"]), workers)
    for split, table in tables.items():
        tables[split] = _sound(split, table, scanned, quarantine, on_bad_image, on_missing_image)
    tables["train"] = _labelled(tables["train"], quarantine, on_missing_label)
    if "unlabeled" in tables:
        tables["unlabeled"] = _without_copies(tables["unlabeled"], tables["train"], quarantine)
    classes = sorted(tables["train"]["label"].unique(), key=_natural)
    _refuse_useless(tables, quarantine, classes)
    if sample is not None:
        table = read_csv(sample, "submission.sample")
        chosen_task = tasks.build(task, classes)
        chosen_task.check_sample(table, sample)
        chosen_task.sample_wants_labels(table, sample, format, metric)
        _check_sample_ids(table.iloc[:, 0], sample, tables.get("test"))
    _write(Path(folder), tables, quarantine, classes)


def _refuse_duplicate_ids(tables: dict[str, pd.DataFrame]) -> None:
    for split, table in tables.items():
        repeated = table["id"][table["id"].duplicated()]
        if len(repeated):
            raise DataError(
                f"{split}: {repeated.nunique()} duplicate ids, first {repeated.iloc[0]!r}. Give every image one "
                f"row and an id of its own."
            )
    names = list(tables)
    for first in names:
        for second in names[names.index(first) + 1 :]:
            shared = sorted(set(tables[first]["id"]) & set(tables[second]["id"]))
            if shared and second == "test":
                raise DataError(
                    f"{len(shared)} ids are in both {first} and {second}, first {shared[0]!r}. Rename one of each."
                )
            if shared:  # ids of a pool come from file names, which may repeat those of other folders
                tables[second]["id"] = second + "/" + tables[second]["id"]


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


def _refuse_useless(tables: dict[str, pd.DataFrame], quarantine: list[pd.DataFrame], classes: list[str]) -> None:
    lost = sum(len(table) for table in quarantine)
    for split, table in tables.items():
        if table.empty:
            raise DataError(
                f"{split}: no usable images ({lost} in quarantine). Look at the paths and labels of data.{split}."
            )
    if len(classes) < 2:
        raise DataError(
            f"train: all {len(tables['train'])} images are of one class, {classes[0]!r}. Name at least two."
        )


def _check_sample_ids(ids: "pd.Series[str]", sample: str, test: pd.DataFrame | None) -> None:
    """Refuse a sample file whose ids are not those of the test images."""
    if ids.duplicated().any():
        raise DataError(
            f"{sample}: {int(ids.duplicated().sum())} duplicate ids, first {ids[ids.duplicated()].iloc[0]!r}."
        )
    if test is None:
        raise DataError(
            "submission.sample is set, but there are no test images: set data.test, or remove submission.sample."
        )
    for what, odd in (
        ("not among the test images", set(ids) - set(test["id"])),
        ("missing in it", set(test["id"]) - set(ids)),
    ):
        if odd:
            raise DataError(
                f"{sample}: {len(odd)} ids are {what}, first {min(odd, key=str)!r}. Both must name the same."
            )


def _write(folder: Path, tables: dict[str, pd.DataFrame], quarantine: list[pd.DataFrame], classes: list[str]) -> None:
    for split, table in tables.items():
        extra = [column for column in ("label", "group", "fold") if column in table]
        write_text(folder / f"{split}.csv", table[[*COLUMNS, *extra]].to_csv(index=False))
    bad = pd.concat(quarantine, ignore_index=True).reindex(columns=["split", "id", "path", "reason"])
    write_text(folder / "quarantine.csv", bad.to_csv(index=False))
    write_json(folder / "classes.json", classes)
    counts = ", ".join(f"{len(table)} {split}" for split, table in tables.items())
    print(f"{counts}; {len(classes)} classes; {len(bad)} in quarantine", flush=True)


def _natural(name: str) -> tuple[bool, float, str]:
    """Numbers by value before names by alphabet."""
    try:
        return False, float(name), name
    except ValueError:
        return True, 0.0, name
