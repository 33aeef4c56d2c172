"""Apply the duplicates policy: group, drop or refuse images that are copies of each other, before folds are made."""

import json
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.audit import perceptual, target_maps
from goldfold.audit.duplicates import MAX_DISTANCE, Differ, find, of_cases
from goldfold.audit.target_maps import Map, maps_of
from goldfold.base.errors import DataError
from goldfold.base.words import count
from goldfold.images import cases
from goldfold.splits.together import COLUMN
from goldfold.targets.label_sets import from_text

Tables = dict[str, pd.DataFrame]
LISTS = ("boxes", "points")
"""Columns of objects, any number per image."""
SHOWN = 10


@dataclass(frozen=True)
class Policy:
    """Which copies to look for and what to do with them; see `config.data` for the matching keys.

    Args:
        within: copies within training: ``group``, ``drop`` (keep the first by id, preferring images that a fold
            validates), ``fail`` or ``ignore``; with ``ignore`` only exact copies are found.
        distance: largest Hamming distance of near copies, in bits; None for exact copies only.
        across: training images with a copy in the test set: ``report``, ``drop_train`` or ``fail``.
        two_labels: training images whose copies have a different label: ``keep``, ``quarantine`` or ``fail``.
    """

    within: str = "group"
    distance: int | None = MAX_DISTANCE
    mirrored: bool = False
    across: str = "report"
    two_labels: str = "keep"


def settle(
    tables: Tables, scanned: pd.DataFrame, lost: list[pd.DataFrame], policy: Policy
) -> tuple[Tables, pd.DataFrame]:
    """Remove the images that the policy leaves out; return the tables, and all copies as `duplicates.find` returns them.

    Images that are left out are added to ``lost``, with split and reason. Images of ``unlabeled`` with a copy in training
    are always left out (a fold's models would train on their validation images). Unless copies are ignored, so are those
    with a copy in the test set (training on test images is a separate setting).

    Args:
        scanned: result of `integrity.scan`.

    Raises:
        DataError: the policy does not allow the copies found.
    """
    found = _found(tables, scanned, policy)
    out = {"train": _refused_or_left_out(found, policy, _never_validated(tables["train"]))}
    if "unlabeled" in tables:
        out["unlabeled"] = _pool_copies(tables, found, policy)
    left = {}
    for split, reasons in out.items():
        reason = tables[split]["id"].map(reasons)
        lost.append(tables[split][reason.notna()].assign(reason=reason[reason.notna()], split=split))
        left[split] = tables[split][reason.isna()].reset_index(drop=True)
    if policy.within == "group":
        left["train"] = _grouped(left["train"], found)
    for line in _log_lines(found, out, policy):
        print(line, flush=True)
    return {**tables, **left}, found


def renamed(found: pd.DataFrame, test_ids: dict[str, str]) -> pd.DataFrame:
    """Replace the ids of the test images in ``found``."""
    is_test = found["split"] == "test"
    nearest = {f"test:{old}": f"test:{new}" for old, new in test_ids.items()}
    return found.assign(
        id=found["id"].mask(is_test, found["id"].map(test_ids)),
        nearest=found["nearest"].map(nearest).fillna(found["nearest"]),
    )


def _labelled(table: pd.DataFrame) -> pd.DataFrame:
    """Add a column ``label`` with the target as one string: the sorted labels, or the normalised number.

    Masks, boxes and points have no string that near copies could share: only targets of byte-identical images are numbered.
    """
    if "value" in table:
        numbers = pd.to_numeric(table["value"], errors="coerce")
        return table.assign(label=[None if pd.isna(number) else f"{number:.10g}" for number in numbers])
    if "labels" in table:
        return table.assign(
            label=[None if pd.isna(text) else " ".join(sorted(from_text(text))) for text in table["labels"]]
        )
    if "mask_sha256" in table:
        return table.assign(label=_numbered("mask", table["sha256"], table["mask_sha256"]))
    if name := next((name for name in LISTS if name in table), None):
        texts = table[name].map(lambda text: json.dumps(sorted(json.loads(text))), na_action="ignore")
        return table.assign(label=_numbered(name, table["sha256"], texts))
    return table


def _numbered(name: str, images: "pd.Series[str]", targets: "pd.Series[str]") -> list[str | None]:
    """``mask 1``, ``mask 2``, ... for distinct targets of byte-identical images; None for all other images."""
    is_same = images.duplicated(keep=False) & targets.notna()
    numbers = targets[is_same].groupby(images[is_same]).transform(lambda own: pd.factorize(own)[0] + 1)
    return [f"{name} {numbers[row]}" if there else None for row, there in is_same.items()]


def _found(tables: Tables, scanned: pd.DataFrame, policy: Policy) -> pd.DataFrame:
    parts = [cases.as_cached(_labelled(table)).assign(split=split) for split, table in tables.items()]
    columns = ["split", "id", "path", "sha256", "label", *([cases.CASE] if cases.are_in(tables["train"]) else [])]
    every = pd.concat([part.reindex(columns=columns) for part in parts], ignore_index=True)
    return of_cases(_copies(every, tables, scanned, policy), every)


def _copies(every: pd.DataFrame, tables: Tables, scanned: pd.DataFrame, policy: Policy) -> pd.DataFrame:
    """Find copies among all images."""
    if policy.within == "ignore" or policy.distance is None:
        return find(every, None)
    looks = scanned.drop_duplicates("sha256").set_index("sha256")
    looks["thumbnail"] = looks["thumbnail"].map(perceptual.unpacked)
    if policy.mirrored:
        pairs = zip(looks["hash"].tolist(), looks["thumbnail"], strict=True)
        looks["mirrored"] = np.array([perceptual.mirrored(*pair) for pair in pairs], np.uint64)
    columns = ["hash", "thumbnail", *(["mirrored"] if policy.mirrored else [])]
    return find(every.join(looks[columns], on="sha256"), policy.distance, differ=_differ(list(tables.values())))


def _differ(tables: list[pd.DataFrame]) -> Differ | None:
    """Function that compares boxes or masks of near copies; rows count through all tables, concatenated."""
    of_table = [maps_of(table) for table in tables]
    if not any(of_table):
        return None
    made: dict[int, Map | None] = {}
    places = [(of, row) for of, table in zip(of_table, tables, strict=True) for row in range(len(table))]

    def differ(pairs: NDArray[np.int64], mirrored: NDArray[np.int64]) -> NDArray[np.bool_]:
        rows, numbers = np.unique(pairs, return_inverse=True)
        for row in rows.tolist():
            of, place = places[row]
            if row not in made:
                made[row] = None if of is None else of(place)
        return target_maps.differ([made[row] for row in rows.tolist()], numbers.reshape(pairs.shape), mirrored)

    return differ


def _never_validated(train: pd.DataFrame) -> set[str]:
    """Ids of images that no fold validates; of several copies, one that a fold validates is kept instead."""
    marks = [train[column] == value for column, value in (("train_only", "1"), ("fold", "-1")) if column in train]
    return {id for mark in marks for id in train["id"][mark]}


def _refused_or_left_out(found: pd.DataFrame, policy: Policy, never_validated: set[str]) -> dict[str, str]:
    """Raise where the policy forbids copies; return the training images to leave out, id -> reason."""
    train = found[found["split"] == "train"]
    out: dict[str, str] = {}
    two = train[train["n_labels"] > 1]
    if policy.two_labels == "fail":
        _refuse(two, "with more than one label", "Correct the labels, or set data.on_two_labels: quarantine or keep")
    if policy.two_labels == "quarantine":
        for row in two.itertuples():
            out[row.id] = f"its copies have {row.n_labels} labels, see cluster {row.cluster} of duplicates.csv"
    across = found[_has(found, "train") & _has(found, "test")]
    if policy.across == "fail":
        ways = "Remove them from one of the two, or set data.duplicates_across: drop_train or report"
        _refuse(across, "in both training and test set", ways)
    if policy.across == "drop_train":
        first = across[across["split"] == "test"].drop_duplicates("cluster").set_index("cluster")["id"]
        for row in across[across["split"] == "train"].itertuples():
            out.setdefault(row.id, f"is a copy of test image {first[row.cluster]}")
    left = train[~train["id"].isin(list(out)) & _is_repeated(train, out)]
    if policy.within == "fail":
        _refuse(left, "among training images", "Remove all but one of each, or set data.duplicates: group or drop")
    if policy.within == "drop":
        left = left.sort_values("id", key=lambda ids: ids.isin(never_validated), kind="stable")
        first = left.drop_duplicates("cluster").set_index("cluster")["id"]
        for row in left[left["cluster"].duplicated()].itertuples():
            out[row.id] = f"is a copy of training image {first[row.cluster]}"
    return out


def _is_repeated(train: pd.DataFrame, out: dict[str, str]) -> "pd.Series[bool]":
    """Mask of the rows whose cluster keeps more than one image in training."""
    stays = train["cluster"][~train["id"].isin(list(out))].value_counts()
    return train["cluster"].map(stays).fillna(0) > 1


def _pool_copies(tables: Tables, found: pd.DataFrame, policy: Policy) -> dict[str, str]:
    """Unlabeled images to leave out, id -> reason."""
    out: dict[str, str] = {}
    digests = tables["unlabeled"].set_index("id")["sha256"]
    for split, name in (("train", "training"), ("test", "test")):
        if split not in tables or (split == "test" and policy.within == "ignore"):
            continue
        own = found[found["split"] == split].drop_duplicates("cluster").set_index("cluster")["id"]
        same = tables[split].drop_duplicates("sha256").set_index("sha256")["id"]
        pool = found[(found["split"] == "unlabeled") & found["cluster"].isin(own.index)]
        for id, cluster in zip(pool["id"], pool["cluster"], strict=True):
            twin = same.get(digests[id])
            text = f"looks like {name} image {own[cluster]}"
            out.setdefault(id, text if twin is None else f"has the same bytes as {name} image {twin}")
    return out


def _grouped(train: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """Add the column `COLUMN` to ``train`` if any of its images are copies of each other."""
    own = found[(found["split"] == "train") & found["id"].isin(train["id"])]
    own = own[own["cluster"].duplicated(keep=False)]
    first = own.groupby("cluster")["id"].transform("first")
    names = dict(zip(own["id"], first, strict=True))
    return train.assign(**{COLUMN: train["id"].map(names).fillna("")}) if names else train


def _has(found: pd.DataFrame, split: str) -> "pd.Series[bool]":
    """Mask of the rows whose cluster contains an image of the split."""
    return found["cluster"].isin(found.loc[found["split"] == split, "cluster"])


def _refuse(rows: pd.DataFrame, what: str, ways_out: str) -> None:
    if rows.empty:
        return
    clusters = [part for _, part in rows.groupby("cluster")]
    listed = [", ".join(map(_named, part.to_dict("records"))) for part in clusters[:SHOWN]]
    more = f", and {len(clusters) - SHOWN} more" if len(clusters) > SHOWN else ""
    raise DataError(f"{count(len(clusters), 'group')} of copies {what}: {'; '.join(listed)}{more}. {ways_out}.")


def _named(row: dict[Hashable, Any]) -> str:
    label = f" is {row['label']!r}" if isinstance(row["label"], str) else ""
    return f"{row['split']} {row['id']!r}{label}"


def _log_lines(found: pd.DataFrame, out: dict[str, dict[str, str]], policy: Policy) -> Iterator[str]:
    """Yield lines for the log."""
    train = found[found["split"] == "train"]
    within = train[train["cluster"].duplicated(keep=False)]
    if len(within):
        done = {"group": ", kept in one fold unless the folds are given", "drop": "; the first of each is kept"}
        groups = count(within["cluster"].nunique(), "group")
        yield f"{groups} of copies among {len(within)} training images{done.get(policy.within, '')}"
    n_two = train.loc[train["n_labels"] > 1, "cluster"].nunique()
    if n_two:
        yield f"{count(n_two, 'group')} of copies with more than one label; data.on_two_labels: {policy.two_labels}"
    n_across = train.loc[_has(found, "test")[train.index], "cluster"].nunique()
    if n_across:
        yield (
            f"{count(n_across, 'group')} of copies in both training and test set, so the test score is optimistic; "
            f"data.duplicates_across: {policy.across}"
        )
    for split, reasons in out.items():
        if reasons:
            yield f"{count(len(reasons), 'image')} of {split} left out as copies, see quarantine.csv"
