"""Stage folds: manifest -> folds and lists that all later stages read, each rewritten only when its content changes."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold import sealing, tasks
from goldfold.base.errors import DataError
from goldfold.base.files import read_json, write_if_changed
from goldfold.base.fingerprint import sha256_of
from goldfold.base.many import are_many
from goldfold.base.words import count
from goldfold.cache.images import shard_of
from goldfold.ensembling.coverage import refuse_unreachable
from goldfold.images import cases
from goldfold.metadata.columns import Columns, found_in, refuse_unlearnable, refuse_unusable
from goldfold.planning.inner import inner_list, parts
from goldfold.planning.outputs import GROUP, group_list, metadata_list, part_of
from goldfold.planning.row_lists import ALL, case_list
from goldfold.planning.runs import WHOLE
from goldfold.splits.checks import amounts, deviations, worst
from goldfold.splits.groups import compare_groups, in_words
from goldfold.splits.inner import inner_parts
from goldfold.splits.kinds import by_kind
from goldfold.splits.splitting import SPREAD_FEW, UNKEPT, listed, split, training
from goldfold.splits.stale import keep_only, remove_stale
from goldfold.splits.together import parted
from goldfold.tables import read_table

DIGEST = "train_sha256"
"""Key of the digest of ``train.csv`` in ``split.json``."""
CACHED = ("id", "path", "sha256")
COPIED = ("quarantine.csv", "duplicates.csv", "classes.json", "class_ids.json")
"""Files of the manifest that are kept beside the lists as they are."""


def run(
    manifest: str, folder: str, task: dict[str, Any], splits: list[str], splitter: str, n_folds: int, seed: int,
    shards: int, sticky: bool = False, file: str | None = None, gap: float = 0.0, tolerance: float | None = None,
    rare_classes: str | None = None, keys: Mapping[str, str] = MappingProxyType({}),
    taken: Mapping[str, Any] | None = None, inner: Sequence[int] = (), holdout: Mapping[str, Any] | None = None,
    full: bool = False, rows: Sequence[str] = (), coverages: Sequence[Mapping[str, Any]] = (),
    crops: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Write the lists into ``folder``; return the number of images by split, and the paths of the lists.

    - ``fold<k>.csv``: id, split (train or val), sha256, target, roi: everything that the training of fold k depends on; images
      that fold k neither trains on nor validates are left out
    - ``summary.csv``: amount of each class per fold, the number of images, and the largest deviation of a class from its even
      share; -1 stands for images that no fold validates
    - ``<split>.csv``: table of the manifest; ``shards/<split>-<i>.csv``: everything that a shard of the cache depends on
    - ``fold<k>-groups.csv``: id and group, where there are groups, for samplers by group
    - ``fold<k>-metadata.csv``, ``test-metadata.csv``: id and metadata columns, which no other list has, where there are any
    - ``inner/fold<k>-<i>of<n>.csv``: the training rows of fold k, of which inner part i of n is validated, for each number
      of parts in ``inner``
    - ``full.csv``, ``full-groups.csv``, ``full-metadata.csv``: the same for all rows that any fold trains on or validates, if
      ``full`` asks for them
    - ``rows/fold<k>-external.csv``, ``rows/fold<k>-own.csv``, also of ``full``: the same with these training rows alone, if
      ``rows`` asks for them
    - ``split.json``: splitter and its settings, and the digest of ``train.csv``
    - ``classes.json``, ``class_ids.json``, ``quarantine.csv`` and ``duplicates.csv``: as in the manifest, the last two without
      targets of the holdout
    - ``holdout.csv``: images of the holdout, which no other list has but ``sealed/holdout.csv``, with its targets
    - ``test_groups.json``: how many groups of the test images are new; ``null`` without groups

    The manifest runs again for every touched file; the lists are written only when they differ, so that Snakemake, which
    looks at them through the checkpoint after this job, reruns nothing downstream.

    Args:
        taken: names of metadata columns by kind, where a model takes them; with ``takers`` if only steps of the ensemble do, and
            with ``auxiliary`` columns if models learn these.
        inner: numbers of inner parts per fold that cleaning rounds ask for.
        holdout: how the sealed holdout is chosen, see `goldfold.splits.holdout.separate`.
        full: whether networks are trained on all labelled rows.
        rows: kinds of training rows of which networks are trained alone: external, own.
        coverages: see `goldfold.ensembling.coverage.refuse_unreachable`.
        crops: folder of the manifest's tables with crops, where a detector has found these.
        keys: config keys that name the column `fold` or `order` of the data, for errors.

    Raises:
        DataError: the images cannot be split in this way, metadata columns are not usable, or a coverage is out of reach.
    """
    tables, metadata = _tables(Path(crops or manifest), splits, taken)
    tables["train"].attrs |= keys
    facts, out = tasks.facts(task["name"]), Path(folder)
    target = tasks.target(task, read_json(Path(manifest) / "classes.json"))
    column = "fold" if splitter == "predefined" else "order"
    lists_all = column == "order" or "file" not in (holdout or {})  # cases of a listed holdout need no fold
    if file is not None and lists_all:
        tables["train"] = listed(tables["train"], file, column)
    aside = None
    if holdout is not None:
        aside = sealing.take_out(tables, metadata, target, holdout, splitter, gap, Path(manifest))
    if file is not None and not lists_all:
        tables["train"] = listed(tables["train"], file, column)
    train = tables["train"]
    content = target.content(train)
    rule: dict[str, Any] = {"splitter": splitter, "n_folds": n_folds, "seed": seed}
    known = _known(out, rule, train["id"]) if sticky and splitter not in UNKEPT else {}
    policy = rare_classes or (SPREAD_FEW if facts.target in ("boxes", "points") else "fail")
    with sealing.blamed(aside):
        numbers = split(train, content, **rule, known=known, gap=gap, tolerance=tolerance, rare_classes=policy)
    learnt = training(train, numbers, n_folds, splitter, gap)
    refuse_unreachable(train.assign(fold=numbers), coverages)
    _report(train, numbers, known)
    whole = {WHOLE: learnt.any(axis=0) | (numbers >= 0)} if full else {}
    chosen = by_kind(train, {**dict(enumerate(learnt)), **whole}, rows)
    _write_folds(out, train, numbers, chosen, facts.columns, metadata)
    inner_lists = _write_inner(out, train, content, learnt, facts.columns, {**rule, "rare_classes": policy}, inner)
    _summarise(out, content, numbers, learnt)
    _write_groups(out, train, learnt, numbers, tables.get("test"))
    _write_tables(out, {**tables, "train": train.assign(fold=numbers)}, facts.cached, shards)
    write_if_changed(out / "split.json", json.dumps({**rule, DIGEST: sha256_of(out / "train.csv")}))
    for name in COPIED:
        write_if_changed(out / name, sealing.copied(Path(manifest) / name, aside))
    sealing.seal(out, aside)
    keep_only(out / "inner", inner_lists)
    keep_only(out / "rows", [out / case_list(*place) for place in chosen])
    remove_stale(out, n_folds, list(tables), bool(found_in(metadata["train"])), GROUP in train, full)
    lists = sorted(str(path) for path in out.rglob("*") if path.suffix in (".csv", ".json") and path.name != "run.json")
    return {"images": {name: len(cases.each(table)) for name, table in tables.items()}, "files": lists}


def _tables(
    manifest: Path, splits: Sequence[str], taken: Mapping[str, Any] | None
) -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]:
    """Read the tables of the manifest without metadata, and those of training and test images with metadata alone.

    Raises:
        DataError: metadata columns that a model takes are not usable.
    """
    tables = {name: read_table(manifest / f"{name}.csv") for name in splits}
    metadata = {name: _metadata_apart(tables, name) for name in splits if name in ("train", "test")}
    if taken is not None:
        columns = Columns.of(taken)
        refuse_unusable(metadata["train"], metadata.get("test"), columns, "takers" in taken)
        refuse_unlearnable(metadata["train"], Columns.of(taken.get("auxiliary", {"numeric": (), "categorical": ()})))
    return tables, metadata


def _metadata_apart(tables: dict[str, pd.DataFrame], name: str) -> pd.DataFrame:
    """Move the metadata columns of a table into one of their own, so that lists that all jobs read do not depend on them."""
    table = tables[name]
    columns = found_in(table)
    tables[name] = table.drop(columns=columns)
    return table[["id", *columns]]


def _report(train: pd.DataFrame, numbers: NDArray[np.int64], known: Mapping[str, int]) -> None:
    """Report how many images keep their fold, and groups of copies that span folds."""
    if known:
        kept = sum(known.get(id) == fold for id, fold in zip(train["id"], numbers, strict=True))
        print(f"{kept} of {len(train)} images keep their fold", flush=True)
    if n_parted := parted(train, numbers):
        groups = f"{count(n_parted, 'group')} of copies over several folds"
        print(f"{groups}: no fold is trained on copies of its validation images", flush=True)


def _write_folds(
    out: Path,
    train: pd.DataFrame,
    numbers: NDArray[np.int64],
    chosen: Mapping[tuple[int, str], NDArray[np.bool_]],
    columns: Sequence[str],
    metadata: Mapping[str, pd.DataFrame],
) -> None:
    """Write the list of each fold and that of all rows, with metadata and groups where there are any.

    Args:
        chosen: training rows by fold and kind; of the fold `WHOLE` those of networks that are trained on all rows.
        columns: columns of the target.
        metadata: id and metadata columns of training and test cases.
    """
    has_metadata = bool(found_in(metadata["train"]))
    for (number, kind), of_fold in chosen.items():
        is_validated = (numbers == number) & (number != WHOLE)
        part = pd.Series(np.where(is_validated, "val", "train"), dtype=str)
        rows = train[["id"]].assign(split=part).join(train[["sha256", *columns, *_cut(train)]])
        is_in = of_fold | is_validated
        write_if_changed(out / case_list(number, kind), rows[is_in].to_csv(index=False))
        if kind != ALL:  # metadata and groups are those of the list of all rows
            continue
        if has_metadata:
            of_cases = metadata["train"][metadata["train"]["id"].isin(rows["id"][is_in])]
            write_if_changed(out / metadata_list(part_of(number)), of_cases.to_csv(index=False))
        if GROUP in train:
            write_if_changed(out / group_list(number), train.loc[is_in, ["id", GROUP]].to_csv(index=False))
    for name in metadata if has_metadata else ():
        if name != "train":
            write_if_changed(out / metadata_list(name), metadata[name].to_csv(index=False))


def _write_inner(
    out: Path, train: pd.DataFrame, content: pd.DataFrame, learnt: NDArray[np.bool_], columns: Sequence[str],
    rule: Mapping[str, Any], inner: Sequence[int],
) -> list[Path]:  # fmt: skip
    """Write the lists of inner trainings, see `goldfold.planning.inner`; return their paths.

    Args:
        rule: splitter, seed and rare_classes.
        inner: numbers of parts.
    """
    how, written = {key: rule[key] for key in ("splitter", "seed", "rare_classes")}, []
    for fold, of_fold in enumerate(learnt):
        rows = train[of_fold]
        for n_parts in inner:
            numbers = inner_parts(rows, content[of_fold], n_parts=n_parts, fold=fold, **how)
            trained = training(rows.reset_index(drop=True), numbers, n_parts, "")
            for number, part in enumerate(parts(n_parts)):
                split = np.where(numbers == number, "val", np.where(trained[number], "train", ""))
                table = rows[["id"]].assign(split=split).join(rows[["sha256", *columns, *_cut(rows)]])
                table = table[split != ""]  # without copies of rows that are judged, and rows of their groups
                write_if_changed(path := out / inner_list(fold, part), table.to_csv(index=False))
                written.append(path)
    return written


def _write_tables(out: Path, tables: Mapping[str, pd.DataFrame], cached: Sequence[str], shards: int) -> None:
    """Write the table of each split, and the lists of the shards of the cache.

    Args:
        cached: columns of the target that shards depend on.
    """
    for name, table in tables.items():
        kept = table if name == "train" else table.drop(columns="group", errors="ignore")
        write_if_changed(out / f"{name}.csv", kept.to_csv(index=False))
        if name == "answers":  # used for nothing but a score
            continue
        images = cases.as_cached(table)
        pieces = np.array([shard_of(id, shards) for id in images["id"]], int)
        for piece in range(shards):
            rows = images[pieces == piece].reindex(
                columns=[*CACHED, *cached, *_cut(images.drop(columns=cases.ROIS, errors="ignore")), *_cases(table)]
            )
            write_if_changed(out / "shards" / f"{name}-{piece}.csv", rows.to_csv(index=False))


def _cut(table: pd.DataFrame) -> list[str]:
    """Column of the cropped part of each image, or of the images of each case, where there is one."""
    return [name for name in ("roi", cases.ROIS) if name in table]


def _cases(table: pd.DataFrame) -> list[str]:
    """Columns that name the case and view of each image, for cases of several images."""
    return [cases.CASE, cases.VIEW] if cases.are_in(table) else []


def _summarise(out: Path, content: pd.DataFrame, numbers: NDArray[np.int64], learnt: NDArray[np.bool_]) -> None:
    """Write ``summary.csv``, and print it with the images that a fold neither trains on nor validates."""
    by_fold, far = pd.Series(numbers, name="fold"), deviations(content, numbers, len(learnt))
    furthest = pd.Series({fold: row[row.abs().idxmax()] for fold, row in far.iterrows()}).round(4)
    whole = {"(all)": by_fold.value_counts(), "(deviation)": furthest}
    summary = amounts(content, numbers).rename_axis("fold").assign(**whole)
    write_if_changed(out / "summary.csv", summary.to_csv())
    print((summary[[*whole]] if are_many(content.shape[1]) else summary).to_string(), flush=True)
    name, fold, value = worst(far)
    print(f"furthest from its even share: class {name!r} in fold {fold}, {value:+.1%} of that share", flush=True)
    for number, part in enumerate(learnt):
        left_out = int((~part & (numbers != number)).sum())
        if left_out:
            print(f"fold {number}: {left_out} images are neither trained on nor validated", flush=True)


def _write_groups(
    out: Path, train: pd.DataFrame, learnt: NDArray[np.bool_], numbers: NDArray[np.int64], test: pd.DataFrame | None
) -> None:
    """Compare groups of the test images with those of the folds; write ``null`` where either has no groups."""
    found = None
    if test is not None and "group" in test and "group" in train:
        found = compare_groups(train["group"], test["group"], numbers, learnt)
        print(in_words(found), flush=True)
    write_if_changed(out / "test_groups.json", json.dumps(found))


def _known(folder: Path, rule: dict[str, Any], ids: Iterable[str]) -> dict[str, int]:
    """Return the folds of an earlier split with the same settings, by id.

    Ids match with or without the prefix ``train/`` that the manifest adds to ids shared with another split; otherwise one new
    test image could move all others.
    """
    table, split = folder / "train.csv", folder / "split.json"
    if not table.exists() or not split.exists():
        return {}
    earlier_rule = read_json(split)
    written = earlier_rule.pop(DIGEST, None)
    if earlier_rule != rule:
        return {}
    if written not in (None, sha256_of(table)):
        raise DataError(
            f"{table}: it differs from what the job folds wrote, and folds.sticky: true keeps its folds. Restore it (git, dvc, a "
            f"backup), or remove {split} to split again."
        )
    earlier = read_table(table)
    folds = earlier["fold"].astype(int)
    known = dict(zip(earlier["id"][folds >= 0], folds[folds >= 0].tolist(), strict=True))
    names = ((id, (id, id.removeprefix("train/"), f"train/{id}")) for id in ids)
    return {id: known[found[0]] for id, may_be in names if (found := [name for name in may_be if name in known])}
