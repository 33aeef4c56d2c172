"""manifest -> folds, and the lists that everything below depends on, each new only when its content is."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from goldfold import tasks
from goldfold.data.cache import shard_of
from goldfold.data.splits import split
from goldfold.data.together import parted
from goldfold.runtime.files import read_json, write_if_changed

CACHED = ("id", "path", "sha256")


def run(
    manifest: str, folder: str, task: dict[str, Any], splits: list[str], splitter: str, n_folds: int, seed: int,
    shards: int, sticky: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Write the stable lists into ``folder``; return how many images there are, and the lists' paths.

    - ``fold<k>.csv``: id, split (train or val), sha256, target: all that the training of fold k depends on
    - ``summary.csv``: how much of each class is in each fold, and the number of its images
    - ``<split>.csv``: the manifest's table; ``shards/<split>-<i>.csv``: all that a piece of cache needs
    - ``split.json``: the rule by which it was split; ``classes.json``, ``class_ids.json``, ``quarantine.csv`` and
      ``duplicates.csv``: as in the manifest

    The manifest is made anew for every touched file; these are written only when they differ, so that Snakemake sees
    nothing new downstream (it looks at them after this job, through the checkpoint).

    Raises:
        DataError: the images cannot be split so.
    """
    tables = {name: pd.read_csv(Path(manifest) / f"{name}.csv", dtype=str, keep_default_na=False) for name in splits}
    train, out = tables["train"], Path(folder)
    chosen_task = tasks.build(task, read_json(Path(manifest) / "classes.json"))
    content = chosen_task.content(train)
    rule: dict[str, Any] = {"splitter": splitter, "n_folds": n_folds, "seed": seed}
    known = _known(out, rule) if sticky else {}
    numbers = split(train, content, **rule, known=known)
    if known:
        kept = sum(known.get(id) == fold for id, fold in zip(train["id"], numbers, strict=True))
        print(f"{kept} of {len(train)} images keep their fold", flush=True)
    if n_parted := parted(train, numbers):
        print(
            f"{n_parted} groups of copies lie in several of the folds of the column: the score is too good", flush=True
        )
    for number in range(n_folds):
        part = pd.Series(["val" if of == number else "train" for of in numbers], dtype=str)
        rows = train[["id"]].assign(split=part).join(train[["sha256", *chosen_task.columns]])
        write_if_changed(out / f"fold{number}.csv", rows.to_csv(index=False))
    by_fold = pd.Series(numbers, name="fold")
    summary = content.groupby(by_fold).sum().assign(**{"(all)": by_fold.value_counts()})
    write_if_changed(out / "summary.csv", summary.to_csv())
    write_if_changed(out / "train.csv", train.assign(fold=numbers).to_csv(index=False))
    for name, table in tables.items():
        if name != "train":
            write_if_changed(out / f"{name}.csv", table.to_csv(index=False))
        if name == "answers":  # nothing is computed from these images but a score
            continue
        pieces = np.array([shard_of(id, shards) for id in table["id"]], int)
        for piece in range(shards):
            rows = table[pieces == piece].reindex(columns=[*CACHED, *chosen_task.cached])
            write_if_changed(out / "shards" / f"{name}-{piece}.csv", rows.to_csv(index=False))
    write_if_changed(out / "split.json", json.dumps(rule))
    for name in ("quarantine.csv", "duplicates.csv"):
        write_if_changed(out / name, (Path(manifest) / name).read_text())
    for name in ("classes.json", "class_ids.json"):
        write_if_changed(out / name, (Path(manifest) / name).read_text())
    _remove_stale(out, n_folds, splits)
    print(summary.to_string(), flush=True)
    lists = sorted(str(path) for path in out.rglob("*") if path.suffix in (".csv", ".json") and path.name != "run.json")
    return {"images": {name: len(table) for name, table in tables.items()}, "files": lists}


def _known(folder: Path, rule: dict[str, Any]) -> dict[str, int]:
    """Folds of an earlier split by the same rule, by id."""
    table, split = folder / "train.csv", folder / "split.json"
    if not table.exists() or not split.exists() or read_json(split) != rule:
        return {}
    earlier = pd.read_csv(table, dtype=str, keep_default_na=False)
    return dict(zip(earlier["id"], earlier["fold"].astype(int), strict=True))


def _remove_stale(folder: Path, n_folds: int, splits: list[str]) -> None:
    """Lists of an earlier run with more folds or other splits would be taken for those of this one."""
    for path in folder.glob("fold*.csv"):
        number = path.stem.removeprefix("fold")
        if number.isdigit() and int(number) >= n_folds:
            path.unlink()
    for name in {"test", "unlabeled", "answers"} - set(splits):
        (folder / f"{name}.csv").unlink(missing_ok=True)
