"""Splits beside the plain ones: several classes an image, by order, by a file, with rows that are only learnt from."""

import json
import re
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from entries import SPLITTERS
from goldfold import sources
from goldfold.audit.doubts.copies import about_copies
from goldfold.audit.doubts.folds import about_groups
from goldfold.base.errors import DataError
from goldfold.base.files import read_json, write_json
from goldfold.report.data import _groups
from goldfold.splits.checks import deviations, read_summary, shares, worst
from goldfold.splits.even import evened, unevenness
from goldfold.splits.greedy import stratified_units
from goldfold.splits.groups import compare_groups, groups_in_words, in_words, sizes_of
from goldfold.splits.ordered import in_blocks
from goldfold.splits.scored import scored
from goldfold.splits.splitting import split, training
from goldfold.stages import folds

CLASSES = ["cat", "dog"]
ORDERED = ["ordered", "ordered_blocks"]
seeds = st.integers(0, 2**32 - 1)


def table_of(n: int, **columns: Any) -> pd.DataFrame:
    """``n`` images, a class in turns."""
    return pd.DataFrame(
        {"id": [f"i{number:03d}" for number in range(n)], "label": [CLASSES[k % 2] for k in range(n)], **columns}
    )


def content(table: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({name: (table["label"] == name).astype(int) for name in CLASSES})


def folds_of(table: pd.DataFrame, splitter: str, n_folds: int = 3, seed: int = 0, **more: Any) -> np.ndarray:
    return split(table, content(table), splitter, n_folds, seed, **more)


def or_reject(table: pd.DataFrame, amounts: pd.DataFrame, splitter: str, n_folds: int, seed: int) -> np.ndarray:
    try:
        return split(table, amounts, splitter, n_folds, seed)
    except DataError:
        assume(False)
        raise


# --- what stays


@pytest.mark.parametrize("seed", [0, 7])
def test_labels_are_split_by_scikit_learn_itself_over_rows_sorted_by_id(seed: int) -> None:
    table = table_of(60).sample(frac=1, random_state=1)
    sorted_rows = table.sort_values("id")
    parts = StratifiedKFold(3, shuffle=True, random_state=seed).split(sorted_rows, sorted_rows["label"])
    wanted = {id: number for number, (_, rows) in enumerate(parts) for id in sorted_rows["id"].iloc[rows]}
    assert (
        dict(zip(table["id"], folds_of(table.reset_index(drop=True), "stratified", seed=seed), strict=True)) == wanted
    )


@given(st.integers(1, 6), st.integers(2, 5), seeds)
def test_whole_groups_are_split_by_the_rule_of_scikit_learn(n_classes: int, n_folds: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    labels, groups = generator.integers(0, n_classes, 90), generator.integers(0, 30, 90)
    labels[: n_folds * n_classes] = np.arange(n_folds * n_classes) % n_classes
    counts = np.zeros((30, n_classes))
    np.add.at(counts, (groups, labels), 1)
    there = counts.sum(axis=1) > 0
    found = stratified_units(counts[there], n_folds, seed)[np.unique(groups, return_inverse=True)[1]]
    parts = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed).split(labels, labels, groups)
    assert {n: set(rows) for n, (_, rows) in enumerate(parts)} == {
        n: set(np.flatnonzero(found == n)) for n in range(n_folds)
    }


# --- as even as whole units allow


def skewed(n: int, n_classes: int) -> np.ndarray:
    """Images of each class, and all, of groups of very different size."""
    generator = np.random.default_rng(3)
    sizes = np.maximum(1, generator.lognormal(1.2, 1.2, n)).astype(int)
    own = [generator.multinomial(size, generator.dirichlet([0.3] * n_classes)) for size in sizes]
    return np.column_stack([np.array(own), sizes]).astype(float)


def rare_labels(n_images: int, n_groups: int | None) -> np.ndarray:
    """20 labels of some 1 to 2 % of the images, and all, of single images or of groups."""
    generator = np.random.default_rng(3)
    has = generator.random((n_images, 20)) < generator.uniform(0.015, 0.03, 20)
    amounts = np.column_stack([has, np.ones(n_images)])
    if n_groups is None:
        return amounts
    made = np.zeros((n_groups, 21))
    np.add.at(made, generator.integers(0, n_groups, n_images), amounts)
    return made[made[:, -1] > 0]


def best_of_random(amounts: np.ndarray, n_folds: int, n_seeds: int = 10_000) -> dict[str, float]:
    """Of 10,000 random splits into as many units each: the least of each measure, each of its own split."""
    generator = np.random.default_rng(0)
    one, even = np.arange(len(amounts)) % n_folds, amounts.sum(axis=0) / n_folds
    least: dict[str, float] = {}
    for _ in range(n_seeds // 500):
        folds = generator.permuted(np.tile(one, (500, 1)), axis=1)
        held = np.stack([(folds == fold).astype(np.float32) @ amounts.astype(np.float32) for fold in range(n_folds)], 1)
        for name, values in measured(held, even).items():
            least[name] = min(least.get(name, np.inf), float(values.min()))
    return least


def measured(held: np.ndarray, even: np.ndarray) -> dict[str, np.ndarray]:
    """Measures of splits (splits, folds, columns): the worst and the mean deviation, and the range of the sizes."""
    off = np.abs(held / even - 1)
    return {"worst": off.max(axis=(1, 2)), "mean": off.mean(axis=(1, 2)), "sizes": np.ptp(held[..., -1], axis=1)}


@pytest.mark.parametrize(
    "amounts",
    [
        skewed(400, 6),
        skewed(400, 6)[:, -1:],
        rare_labels(600, None),
        rare_labels(900, 250),
        skewed(40, 3),
        skewed(20, 2),
    ],
    ids=["groups", "sizes", "labels", "groups and labels", "few groups", "very few groups"],
)
def test_folds_are_as_even_as_the_best_of_10_000_random_seeds(amounts: np.ndarray) -> None:
    started = time.process_time()
    found = evened(amounts, stratified_units(amounts, 5, 0), 5, 0)
    assert time.process_time() - started < 2, "a second or so, on a busy machine too"
    held = np.stack([amounts[found == fold].sum(axis=0) for fold in range(5)])
    even, random = amounts.sum(axis=0) / 5, best_of_random(amounts, 5)
    for name, values in measured(held[None], even).items():
        assert values[0] <= random[name] + 1e-6, name
    assert abs(worst(shares(pd.DataFrame(held)))[2]) <= random["worst"] + 1e-6, "which is what is reported"


def test_the_search_is_the_same_for_the_same_seed_and_leaves_even_folds_alone() -> None:
    amounts = skewed(200, 4)
    start = np.arange(200) % 5
    found = [evened(amounts, start, 5, seed) for seed in (0, 0, 1)]
    assert (found[0] == found[1]).all()
    assert unevenness(amounts, found[0], 5) < unevenness(amounts, start, 5)
    assert (evened(amounts, found[0], 5, 0, grain=amounts.max(axis=0)) == found[0]).all()


@pytest.mark.parametrize("splitter", ["group", "stratified_group", "multilabel_stratified_group"])
def test_groups_that_can_be_even_are(splitter: str) -> None:
    """scikit-learn's own rule gives folds of 21, 18 and 21 here."""
    table = table_of(60, group=[f"g{number % 17}" for number in range(60)])
    found = folds_of(table, splitter, seed=7)
    assert np.bincount(found).tolist() == [20, 20, 20]
    if splitter != "group":
        assert (content(table).groupby(found).sum() == 10).all(axis=None)


def test_10_000_groups_take_about_a_second() -> None:
    generator = np.random.default_rng(0)
    table = table_of(20_000, group=generator.integers(0, 10_000, 20_000).astype(str))
    for splitter in ("group", "stratified_group"):
        started = time.process_time()
        sizes = np.bincount(folds_of(table, splitter, n_folds=5))
        assert time.process_time() - started < 3
        assert np.ptp(sizes) <= 20


def test_a_large_group_of_copies_does_not_make_folds_uneven() -> None:
    """101 near copies of 404 images in one fold of four; all others move to make up for them."""
    table = table_of(404, copies=["i000" if number < 101 else "" for number in range(404)])
    found = folds_of(table, "stratified", n_folds=4)
    assert len(set(found[:101])) == 1
    assert np.bincount(found).tolist() == [101] * 4
    assert deviations(content(table), found, 4).abs().max(axis=None) < 0.02


@pytest.mark.parametrize("splitter", ["stratified", "group", "stratified_group", "predefined"])
def test_a_plain_split_learns_from_all_that_it_does_not_validate(splitter: str) -> None:
    table = table_of(
        24, group=[f"g{k // 2}" for k in range(24)], fold=[str(k // 2 % 3) for k in range(24)], sha256="same"
    )
    numbers = folds_of(table if "group" in splitter else table.drop(columns="group"), splitter)
    learnt = training(table, numbers, 3, splitter)
    assert (learnt == np.stack([numbers != number for number in range(3)])).all()


# --- several classes an image


@st.composite
def multilabel(draw: st.DrawFn) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    """Tables with groups of some images and 1 to 5 classes, of which an image has any number."""
    n_folds, n, n_classes = draw(st.integers(2, 4)), draw(st.integers(24, 80)), draw(st.integers(1, 5))
    generator = np.random.default_rng(draw(seeds))
    has = (generator.random((n, n_classes)) < generator.uniform(0.1, 0.6, n_classes)).astype(int)
    has[: 2 * n_folds] = 1
    table = pd.DataFrame({"id": [f"i{number}" for number in generator.permutation(n)]})
    table["group"] = [f"g{number}" for number in generator.integers(0, n // draw(st.integers(1, 4)), n)]
    return table, pd.DataFrame(has, columns=[f"c{number}" for number in range(n_classes)]), n_folds


@given(multilabel(), seeds, st.sampled_from(["multilabel_stratified", "multilabel_stratified_group"]))
def test_multilabel_folds_hold_each_image_once_and_part_no_group(
    made: tuple[pd.DataFrame, pd.DataFrame, int], seed: int, splitter: str
) -> None:
    table, amounts, n_folds = made
    table = table if "group" in splitter else table.drop(columns="group")
    found = or_reject(table, amounts, splitter, n_folds, seed)
    assert set(found) == set(range(n_folds))
    assert all((amounts[found != number].sum() > 0).all() for number in range(n_folds))
    if "group" in table:
        assert (pd.Series(found).groupby(table["group"]).nunique() == 1).all()
    order = np.random.default_rng(seed).permutation(len(table))
    shuffled = table.iloc[order].reset_index(drop=True), amounts.iloc[order].reset_index(drop=True)
    assert (split(*shuffled, splitter, n_folds, seed) == found[order]).all()


@pytest.mark.parametrize("splitter", ["stratified", "multilabel_stratified", "multilabel_stratified_group"])
def test_rare_classes_of_images_with_several_are_shared_out(splitter: str) -> None:
    generator = np.random.default_rng(0)
    has = pd.DataFrame(
        (generator.random((400, 6)) < [0.5, 0.3, 0.2, 0.1, 0.05, 0.03]).astype(int), columns=list("abcdef")
    )
    table = pd.DataFrame({"id": [f"i{k}" for k in range(400)]})
    if splitter.endswith("group"):
        table["group"] = [f"g{k // 2}" for k in range(400)]
    found = split(table, has, splitter, 4, 0)
    counts = has.groupby(found).sum()
    spread = counts.max() - counts.min()
    assert (spread[["d", "e", "f"]] <= 2).all(), counts
    assert (spread <= 8).all(), counts
    assert np.ptp(np.bincount(found)) <= 12
    by_chance = has.groupby(generator.permutation(np.arange(400) % 4)).sum()
    assert (by_chance.max() - by_chance.min()).max() > spread.max(), "the bound says something"


# --- by order


@given(
    st.lists(st.integers(0, 30), min_size=12, max_size=60), st.integers(2, 4), st.integers(0, 6), st.booleans(), seeds
)
def test_an_ordered_fold_learns_from_its_past_alone(
    days: list[int], n_folds: int, gap: int, has_groups: bool, seed: int
) -> None:
    assume(len(set(days)) > n_folds)
    table = table_of(len(days), order=[str(day) for day in days])
    if has_groups:
        table["group"] = [f"g{k}" for k in np.random.default_rng(seed).integers(0, 12, len(days))]
    found = SPLITTERS["ordered"](table, content(table), n_folds, 0)
    learnt = training(table, found, n_folds, "ordered", gap)
    assert set(found) == set(range(-1, n_folds))
    order = np.array(days)
    for number, part in enumerate(learnt):
        validated = found == number
        assert not (part & validated).any()
        assert (order[part] < order[validated].min()).all()
        assert (order[part] <= order[validated].min() - gap).all()
        if has_groups:
            assert not set(table["group"][part]) & set(table["group"][validated])
        elif not gap:
            assert (part == (order < order[validated].min())).all(), "nothing of the past is left out without a reason"


@given(st.lists(st.integers(0, 30), min_size=12, max_size=60), st.integers(2, 5), st.integers(0, 6))
def test_blocks_validate_each_image_once_and_learn_from_both_sides(days: list[int], n_folds: int, gap: int) -> None:
    assume(len(set(days)) >= n_folds)
    table, order = table_of(len(days), order=[str(day) for day in days]), np.array(days)
    found = SPLITTERS["ordered_blocks"](table, content(table), n_folds, 0)
    assert set(found) == set(range(n_folds))
    assert (np.diff(found[np.argsort(order, kind="stable")]) >= 0).all(), "blocks follow each other"
    for number, part in enumerate(training(table, found, n_folds, "ordered_blocks", gap)):
        first, last = order[found == number].min(), order[found == number].max()
        assert (part == (((order < first) & (order <= first - gap)) | ((order > last) & (order >= last + gap)))).all()


def test_blocks_are_even_and_never_part_equal_values() -> None:
    assert in_blocks(np.arange(12.0), 4).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert in_blocks(np.array([5.0, 1, 1, 1, 1, 1, 1, 2]), 3).tolist() == [2, 0, 0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("values", "gap"),
    [
        ([f"2024-01-{day:02d}" for day in range(1, 13)], 2),
        ([f"202401{day:02d}" for day in range(1, 13)], 2),
        ([f"2024-01-{day:02d}T06:00:00+02:00" for day in range(1, 13)], 2),
        ([str(day / 2) for day in range(12)], 1),
    ],
)
def test_dates_and_numbers_give_the_same_folds_and_a_gap_in_days(values: list[str], gap: int) -> None:
    table = table_of(12, order=values)
    found = folds_of(table, "ordered", 2, gap=gap)
    assert found.tolist() == [-1] * 4 + [0] * 4 + [1] * 4
    assert training(table, found, 2, "ordered", gap)[1].tolist() == [True] * 7 + [False] * 5


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["1"] * 11 + [""], r"data\.order_column: id 'i011' has no value for the order\. Fill it in\."),
        (
            ["1"] * 11 + ["31/05/2024"],
            r"id 'i011' has '31/05/2024' as order; all values must be numbers, or all dates",
        ),
        (["2024-05-01"] * 11 + ["7"], r"id 'i011' has '7' as order"),
        (["1", "2", "3"] * 4, r"the images have 3 different values, but 4 blocks are needed, .* Lower folds\.n_folds"),
    ],
)
def test_an_order_that_cannot_be_used(values: list[str], said: str) -> None:
    with pytest.raises(DataError, match=said):
        folds_of(table_of(12, order=values), "ordered", 3)


def test_an_ordered_fold_that_learns_nothing_or_misses_a_class_is_refused() -> None:
    table = table_of(12, order=[str(number) for number in range(12)])
    with pytest.raises(DataError, match=r"fold 0 has no training images\. Lower folds\.n_folds or folds\.gap\."):
        folds_of(table, "ordered", 2, gap=20)
    table["label"] = ["cat"] * 5 + ["dog", "cat", "dog", "cat", "dog", "cat", "dog"]
    with pytest.raises(
        DataError, match=r"the training images of fold 0, .* have no image of class 'dog'\. .*ordered_blocks"
    ):
        folds_of(table, "ordered", 2)
    assert set(folds_of(table, "ordered_blocks", 2)) == {0, 1}
    table["label"] = ["dog", "dog"] + ["cat"] * 10
    with pytest.raises(DataError, match=r"class 'dog' is in no validation part: .* never scored"):
        folds_of(table, "ordered", 2)


# --- rows that are only learnt from


@given(
    st.lists(st.booleans(), min_size=20, max_size=60),
    st.sampled_from(["stratified", "group", "stratified_group"]),
    seeds,
)
def test_train_only_rows_never_validate_and_are_never_learnt_beside_their_group(
    marks: list[bool], splitter: str, seed: int
) -> None:
    generator, n = np.random.default_rng(seed), len(marks)
    table = table_of(n, train_only=["1" if mark else "" for mark in marks])
    table["sha256"] = [f"s{number}" for number in generator.integers(0, 2 * n, n)]
    if "group" in splitter:
        table["group"] = [f"g{number}" for number in generator.integers(0, 10, n)]
    found = or_reject(table, content(table), splitter, 2, seed)
    assert ((found < 0) == np.array(marks)).all()
    assert len(scored(table.assign(fold=found.astype(str)))) == n - sum(marks)
    for number, part in enumerate(training(table, found, 2, splitter)):
        validated, only = table[found == number], table[part & (found < 0)]
        for column in {"group", "sha256"} & set(table):
            assert not set(only[column]) & set(validated[column])
        left_out = table[~part & (found < 0)]
        leaks = left_out["sha256"].isin(validated["sha256"])
        if "group" in table:
            leaks |= left_out["group"].isin(validated["group"])
        assert leaks.all(), "none is left out without a reason"
        assert part[(found >= 0) & (found != number)].all()
    plain = table[~np.array(marks)].reset_index(drop=True)
    assert (split(plain, content(plain), splitter, 2, seed) == found[found >= 0]).all(), "they do not move the others"


def test_train_only_rows_of_an_order_are_learnt_from_their_own_time_on() -> None:
    table = table_of(12, order=[str(number) for number in range(10)] + ["7", ""], train_only=[""] * 10 + ["1", "1"])
    found = folds_of(table, "ordered_blocks", 2)
    assert found.tolist() == [0] * 5 + [1] * 5 + [-1, -1]
    assert training(table, found, 2, "ordered", 0)[:, 10:].tolist() == [[False, True], [False, True]]
    assert training(table, found, 2, "ordered_blocks", 0)[:, 10:].tolist() == [[True, True], [False, True]]


def test_nothing_to_validate_and_classes_that_are_only_learnt_are_refused() -> None:
    with pytest.raises(DataError, match=r"all 12 training images are marked as train_only: none is left to validate"):
        folds_of(table_of(12, train_only=["1"] * 12), "stratified")
    table = table_of(12, group=[f"g{number}" for number in range(12)])
    table["train_only"] = np.where(table["label"] == "dog", "1", "")
    with pytest.raises(DataError, match=r"class 'dog' is in no validation part: all its images are train_only"):
        folds_of(table, "group")


@pytest.mark.parametrize("splitter", [name for name in SPLITTERS if name not in ("predefined",)])
def test_one_image_is_refused_by_every_splitter(splitter: str) -> None:
    table = table_of(1, group=["a"], order=["1"])
    with pytest.raises(DataError, match=r"Lower (folds\.)?n_folds"):
        folds_of(table if "group" in splitter else table.drop(columns="group"), splitter)


def test_a_fold_of_minus_one_is_learnt_from_in_every_fold() -> None:
    table = table_of(8, fold=["0", "1", "0", "1", "-1", "-1", "0", "1"])
    table["label"] = ["cat"] * 2 + ["dog"] * 6
    found = folds_of(table, "predefined", 2)
    assert found.tolist() == [0, 1, 0, 1, -1, -1, 0, 1]
    assert training(table, found, 2, "predefined")[:, 4:6].all()


# --- even shares


def test_shares_beyond_the_tolerance_are_refused_with_the_worst_cell() -> None:
    table = table_of(40, fold=["0"] * 20 + ["1"] * 20)
    table["label"] = ["dog"] * 4 + ["cat"] * 16 + ["dog"] * 8 + ["cat"] * 12
    far = deviations(content(table), folds_of(table, "predefined", 2), 2)
    assert far["dog"].tolist() == pytest.approx([-1 / 3, 1 / 3])
    assert worst(far)[0] == "dog"
    said = (
        r"folds\.tolerance = 0\.3: fold 0 has 33% less of class 'dog' than its even share \(2 of 4 cells exceed it\)\."
    )
    with pytest.raises(DataError, match=said):
        folds_of(table, "predefined", 2, tolerance=0.3)
    assert set(folds_of(table, "predefined", 2, tolerance=0.34)) == {0, 1}
    assert set(folds_of(table, "stratified", 4, tolerance=0.01)) == {0, 1, 2, 3}


@given(st.integers(3, 40), st.integers(3, 40), st.integers(2, 3), seeds)
def test_a_stratified_split_is_within_any_tolerance_but_for_one_image(n: int, m: int, n_folds: int, seed: int) -> None:
    table = table_of(n + m).assign(label=["cat"] * n + ["dog"] * m)
    split(table, content(table), "stratified", n_folds, seed, tolerance=0.001)


# --- groups of the test images


def test_test_groups_are_told_as_new_or_known() -> None:
    train, numbers = pd.Series(list("aabbcc")), np.array([0, 0, 1, 1, 1, 1])
    learnt = training(pd.DataFrame({"group": train}), numbers, 2, "group")
    new = compare_groups(train, pd.Series(["x", "y", "y"]), numbers, learnt)
    assert new == {"groups": 2, "images": 3, "new": 2, "new_images": 3, "shared": 0}
    assert in_words(new).startswith("all 2 groups of the test images are new, like")
    some = compare_groups(train, pd.Series(["a", "y", "y"]), numbers, learnt)
    assert "1 of 2 groups of the test images are in training too (33% of the test images)" in in_words(some)
    parted = np.array([0, 1, 0, 1, 0, 1])
    shared = compare_groups(
        train, pd.Series(["x"]), parted, training(pd.DataFrame({}, index=range(6)), parted, 2, "stratified")
    )
    assert shared["shared"] == 6
    assert "6 validation images have a group that their fold is trained on" in in_words(shared)
    assert [list(about_groups(found)) for found in (None, new)] == [[], []], "as it should be, or nothing to say"
    assert [len(list(about_groups(found))) for found in (some, shared)] == [1, 1]


# --- the source and the stage


@pytest.fixture
def raw(in_tmp: Path, write_picture: Any) -> Path:
    for number in range(4):
        for folder, prefix in (("images", "a"), ("more", "a"), ("more", "b")):
            write_picture(in_tmp / f"{folder}/{prefix}{number}.png", np.full((8, 8, 3), number, dtype=np.uint8))
    rows = [f"a{number},{CLASSES[number % 2]},p{number},{number},{'yes' if number == 3 else ''}" for number in range(4)]
    (in_tmp / "train.csv").write_text("\n".join(["id,label,who,day,only", *rows]) + "\n")
    (in_tmp / "extra.csv").write_text("id,label\na0,cat\nb1,dog\n")
    (in_tmp / "test.csv").write_text("id,who\nb2,p1\n")
    return in_tmp


def read(**settings: Any) -> dict[str, pd.DataFrame]:
    return sources.read("csv", train="train.csv", images="images", **settings)


@pytest.mark.usefixtures("raw")
def test_a_table_of_more_images_is_only_learnt_from() -> None:
    made = read(
        group_column="who", order_column="day", train_only_column="only", extra_train="extra.csv", extra_images="more",
        test="test.csv", test_images="more",
    )  # fmt: skip
    table = made["train"]
    assert table["id"].tolist() == ["a0", "a1", "a2", "a3", "extra/a0", "extra/b1"]
    assert table["train_only"].tolist() == ["", "", "", "1", "1", "1"]
    assert table["group"].tolist() == ["p0", "p1", "p2", "p3", "extra/extra/a0", "extra/extra/b1"]
    assert table["order"].isna().tolist() == [False] * 4 + [True] * 2
    assert table["path"].tolist()[3:] == ["images/a3.png", "more/a0.png", "more/b1.png"]
    assert made["test"]["group"].tolist() == ["p1"]


def test_a_folder_of_more_images_is_only_learnt_from(raw: Path, write_picture: Any) -> None:
    for path in ("flowers/rose/1.png", "flowers/daisy/2.png", "others/rose/1.png"):
        write_picture(raw / path, np.zeros((8, 8, 3), dtype=np.uint8))
    table = sources.read("folder", train="flowers", extra_train="others")["train"]
    assert table["id"].tolist() == ["daisy/2", "rose/1", "extra/rose/1"]
    assert table["train_only"].tolist() == ["", "", "1"]
    assert table["label"].tolist() == ["daisy", "rose", "rose"]
    (raw / "who.csv").write_text("id,group\nrose/1,ann\ndaisy/2,ann\n")
    table = sources.read("folder", train="flowers", extra_train="others", groups="who.csv")["train"]
    assert table["group"].tolist() == ["ann", "ann", "extra/extra/rose/1"]
    write_picture(raw / "others/1.png", np.zeros((8, 8, 3), dtype=np.uint8))
    with pytest.raises(DataError, match=r"data\.extra_train: others/1\.png is outside the class folders"):
        sources.read("folder", train="flowers", extra_train="others")


def test_marks_and_places_that_are_wrong(raw: Path) -> None:
    (raw / "train.csv").write_text("id,label,only,day\na0,cat,maybe,1\na1,dog,0,\na2,cat,,3\na3,cat,1,\n")
    with pytest.raises(DataError, match=r"train\.csv: data\.train_only_column: id 'a0' has 'maybe'; write 1 or 0"):
        read(train_only_column="only")
    (raw / "train.csv").write_text("id,label,only,day\na0,cat,no,1\na1,dog,0,\na2,cat,,3\na3,cat,1,\n")
    with pytest.raises(DataError, match=r"train\.csv: column 'day' is empty in 1 rows, first 'a1'\. Fill it\."):
        read(train_only_column="only", order_column="day")


def stage(table: pd.DataFrame, splitter: str, n_folds: int = 2, **more: Any) -> list[pd.DataFrame]:
    """The lists that the stage writes, a fold each."""
    Path("manifest").mkdir(exist_ok=True)
    defaults = {"sha256": table["id"], "path": "x.png", "width": "8", "height": "8"}
    table.assign(**{name: value for name, value in defaults.items() if name not in table}).to_csv(
        "manifest/train.csv", index=False
    )
    pd.DataFrame(columns=["split", "id", "path", "part", "reason"]).to_csv("manifest/quarantine.csv", index=False)
    Path("manifest/duplicates.csv").write_text("cluster\n")
    write_json("manifest/classes.json", CLASSES)
    write_json("manifest/class_ids.json", {})
    splits = ["train", "test"] if Path("manifest/test.csv").exists() else ["train"]
    folds.run("manifest", "folds", {"name": "classification"}, splits, splitter, n_folds, 0, shards=1, **more)
    return [pd.read_csv(f"folds/fold{number}.csv", dtype=str) for number in range(n_folds)]


@pytest.mark.usefixtures("in_tmp")
@pytest.mark.parametrize(
    ("column", "splitter", "values", "said"),
    [
        ("fold", "predefined", ["0"] * 11 + ["9"], "id 'i011' has fold '9'; with folds.n_folds: 2"),
        ("fold", "predefined", ["0"] * 12, "no image is in fold 1"),
        ("order", "ordered", ["1"] * 11 + ["x"], "id 'i011' has 'x' as order"),
        ("order", "ordered", ["1"] * 12, "the images have 1 different values, but 3 blocks are needed"),
    ],
)
def test_errors_name_the_key_that_gives_folds_or_order(
    column: str, splitter: str, values: list[str], said: str
) -> None:
    key = f"data.columns: [{column}]"
    with pytest.raises(DataError, match=re.escape(f"{key}: {said}")):
        stage(table_of(12, **{column: values}), splitter, keys={column: key})


@pytest.mark.usefixtures("in_tmp")
def test_a_list_leaves_out_what_its_fold_neither_learns_nor_validates(capsys: pytest.CaptureFixture[str]) -> None:
    lists = stage(table_of(12, order=[str(number) for number in range(12)]), "ordered")
    assert [dict(part["split"].value_counts()) for part in lists] == [{"train": 4, "val": 4}, {"train": 8, "val": 4}]
    assert pd.read_csv("folds/train.csv")["fold"].tolist() == [-1] * 4 + [0] * 4 + [1] * 4
    summary = pd.read_csv("folds/summary.csv", index_col="fold")
    assert summary["(all)"].to_dict() == {-1: 4, 0: 4, 1: 4}
    assert summary["(deviation)"].fillna(9).tolist() == [9, 0, 0]
    assert "fold 0: 4 images are neither trained on nor validated" in capsys.readouterr().out
    assert len(pd.read_csv("folds/shards/train-0.csv")) == 12, "all are cached: another fold learns from them"


@pytest.mark.usefixtures("in_tmp")
def test_a_copy_of_a_validated_image_is_left_out_of_its_fold_alone_and_a_known_fold_is_kept() -> None:
    table = table_of(12, train_only=[""] * 10 + ["1"] * 2)
    table["sha256"] = [*table["id"][:11], "i000"]
    lists = stage(table, "stratified", sticky=True)
    of_first = int(pd.read_csv("folds/train.csv", index_col="id")["fold"]["i000"])
    assert "i011" not in set(lists[of_first]["id"])
    assert "i011" in set(lists[1 - of_first]["id"])
    assert all("i010" in set(part["id"]) for part in lists)
    before = pd.read_csv("folds/train.csv", index_col="id")["fold"]
    stage(pd.concat([table, table_of(20).iloc[12:]]).fillna(""), "stratified", sticky=True)
    after = pd.read_csv("folds/train.csv", index_col="id")["fold"]
    assert (after[before.index] == before).all()
    assert set(after[12:]) <= {0, 1}


@pytest.mark.parametrize("splitter", ["stratified", "ordered", "ordered_blocks"])
def test_a_case_that_shares_an_image_with_a_validated_case_is_left_out_of_its_fold_alone(splitter: str) -> None:
    """i014 shares its second image with the first of i012, and has no fold; i015 lacks a view as others do."""
    images = [[f"a{number}", f"b{number}"] for number in range(16)]
    images[14][1], images[15][1], images[3][1] = "a12", None, None
    table = table_of(16, train_only=[""] * 14 + ["1"] * 2, order=[str(number) for number in range(14)] + ["", ""])
    table = table.assign(sha256=table["id"], images_sha256=[json.dumps(own) for own in images])
    found = folds_of(table, splitter, 2)
    learnt = training(table, found, 2, splitter)
    assert [bool(part[14]) for part in learnt] == [found[12] != number for number in range(2)]
    assert learnt[:, 15].all()
    assert (training(table.drop(columns="images_sha256"), found, 2, splitter) != learnt).sum() == 1


def test_an_ordered_fold_learns_from_no_earlier_case_that_shares_an_image_with_it() -> None:
    images = [[f"a{number}", f"b{number}"] for number in range(6)]
    images[1][0] = "b5"
    table = table_of(6, order=[str(number) for number in range(6)])
    table["images_sha256"] = [json.dumps(own) for own in images]
    found = np.array([-1, -1, 0, 0, 1, 1])
    assert training(table, found, 2, "ordered").astype(int).tolist() == [[1, 1, 0, 0, 0, 0], [1, 0, 1, 1, 0, 0]]


@pytest.mark.parametrize("splitter", ["stratified", "ordered_blocks"])
def test_near_copies_are_never_on_both_sides_of_a_fold(splitter: str) -> None:
    table = table_of(16, order=[str(number) for number in range(16)])
    table["copies"] = ["c" if number in (0, 9, 15) else "" for number in range(16)]
    table["train_only"] = ["1" if number == 9 else "" for number in range(16)]
    found = folds_of(table, splitter, 2)
    learnt, copies = training(table, found, 2, splitter), (table["copies"] == "c").to_numpy()
    assert found[9] == -1
    assert all(not (part & copies).any() for number, part in enumerate(learnt) if (copies & (found == number)).any())
    assert (found[0] == found[15]) == (splitter == "stratified"), "an order is not broken for a copy, it is left out"
    assert learnt[:, ~copies].sum() >= 10, "others are learnt from"


@pytest.mark.usefixtures("in_tmp")
def test_folds_and_order_from_a_file() -> None:
    table = table_of(6).assign(id=[f"train/i{number}" for number in range(6)])
    Path("folds.csv").write_text(
        "id,fold\n" + "".join(f"i{number},{number % 3 - 1}\n" for number in range(6)) + "gone,0\n"
    )
    with pytest.raises(DataError, match=r"class 'dog' are in fold|class 'cat' are in fold|Lower folds"):
        stage(table.assign(label=["cat", "cat", "dog"] * 2), "predefined", file="folds.csv")
    stage(table, "predefined", file="folds.csv")
    assert pd.read_csv("folds/train.csv")["fold"].tolist() == [-1, 0, 1] * 2
    Path("order.csv").write_text("id,order\n" + "".join(f"train/i{number},{9 - number}\n" for number in range(6)))
    stage(table, "ordered_blocks", file="order.csv")
    assert pd.read_csv("folds/train.csv")["fold"].tolist() == [1, 1, 1, 0, 0, 0]
    Path("folds.csv").write_text("id,fold\ni0,0\ni1,1\n")
    with pytest.raises(
        DataError, match=r"folds\.file: folds\.csv has no fold for 4 of 6 training images, first 'train/i2'"
    ):
        stage(table, "predefined", file="folds.csv")
    Path("folds.csv").write_text("id,fold\ni0,0\ni0,1\n")
    with pytest.raises(DataError, match=r"folds\.csv: 1 duplicate ids, first 'i0'"):
        stage(table, "predefined", file="folds.csv")
    Path("folds.csv").write_text("id,fold\n" + "".join(f"i{number},{number}\n" for number in range(6)))
    with pytest.raises(DataError, match=r"folds\.file: id 'train/i2' has fold '2'; with folds\.n_folds: 2"):
        stage(table, "predefined", file="folds.csv")


@pytest.mark.usefixtures("in_tmp")
def test_groups_of_test_images_are_told_and_not_handed_on() -> None:
    Path("manifest").mkdir()
    test = pd.DataFrame({"id": ["t0"], "path": "t.png", "sha256": "t", "width": "8", "height": "8", "group": "g9"})
    test.to_csv("manifest/test.csv", index=False)
    stage(table_of(12, group=[f"g{number // 2}" for number in range(12)]), "stratified_group")
    assert read_json("folds/test_groups.json") == {"groups": 1, "images": 1, "new": 1, "new_images": 1, "shared": 0}
    assert "group" not in pd.read_csv("folds/test.csv"), "a column more would predict all anew"
    stage(table_of(12), "stratified")
    assert read_json("folds/test_groups.json") is None


def test_no_fold_learns_from_a_copy_of_what_it_is_scored_on() -> None:
    table = pd.DataFrame({"id": list("abcdef"), "fold": list("001122"), "copies": ["x", "", "x", "", "", ""]})
    learnt = training(table, table["fold"].to_numpy(np.int64), 3, "predefined")
    assert learnt.astype(int).tolist() == [[0, 0, 0, 1, 1, 1], [0, 1, 0, 0, 1, 1], [1, 1, 1, 1, 0, 0]]


# --- what is said of groups and copies


def test_sizes_of_groups_and_of_copies_are_said() -> None:
    table = table_of(12, group=["a"] * 7 + list("bcdef"))
    assert groups_in_words(sizes_of(table)) == "6, of 1 to 7 images, the largest 'a'"
    assert groups_in_words(sizes_of(table.assign(group=list("aabbccddeeff")))) == "6, of 2 images each"
    assert sizes_of(table_of(3)) == {}
    plain, copied = table_of(12), table_of(12, copies=["i000"] * 5 + [""] * 7)
    words = [_groups(SimpleNamespace(tables={"train": own}, row="image")) for own in (plain, copied)]  # type: ignore[arg-type]
    assert words[0] == "images are treated as independent (no groups)"
    assert words[1] == "no groups, but 1 set of copies, the largest of 5 images, none of which is split over folds"


def test_a_group_of_near_copies_that_holds_much_of_the_data_is_named_with_the_key() -> None:
    rows = [
        {"cluster": 0, "split": "train", "id": f"i{n}", "label": "", "kind": "near", "n_labels": 0} for n in range(101)
    ]
    policy = {"within": "group", "across": "report", "two_labels": "keep"}
    first, second = about_copies(rows, policy, 404)
    assert first.endswith("; the largest has 101 images")
    assert "101 of 404 training images (25%) are one group of near copies" in second
    assert "set data.duplicates_distance: null" in second
    assert len(list(about_copies(rows, policy, 40_000))) == 1


# --- classes of too few images


def tailed(**columns: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """30 images of two classes, one of a third and two of a fourth."""
    kinds = ["cat", "dog"] * 15 + ["owl", "elk", "elk"]
    table = pd.DataFrame({"id": [f"i{number:02d}" for number in range(33)], "label": kinds, **columns})
    return table, pd.DataFrame({name: (table["label"] == name).astype(int) for name in ("cat", "dog", "owl", "elk")})


@pytest.mark.parametrize("splitter", ["stratified", "multilabel_stratified", "stratified_group"])
def test_rare_classes_are_refused_learnt_from_alone_or_spread(splitter: str) -> None:
    groups = {"group": [f"g{number:02d}" for number in range(33)]} if splitter == "stratified_group" else {}
    table, amounts = tailed(**groups)
    with pytest.raises(
        DataError, match=r"class 'owl' has 1 image, fewer than folds.n_folds: 3 .* folds.rare_classes: train_only"
    ):
        split(table, amounts, splitter, 3, 0)
    with pytest.raises(
        DataError, match=r"class 'elk' has no image that could be validated: all of them are external .*accept it"
    ):
        split(table.assign(train_only=["0"] * 31 + ["1", "1"]), amounts, splitter, 3, 0)
    kept = split(table, amounts, splitter, 3, 0, rare_classes="train_only")
    assert kept[30:].tolist() == [-1, -1, -1]
    assert training(table, kept, 3, splitter)[:, 30:].all(), "learnt from in every fold"
    spread = split(table, amounts, splitter, 3, 0, rare_classes="spread")
    assert set(spread) == {0, 1, 2}
    assert spread[31] != spread[32]
    assert np.bincount(spread).tolist() == [11, 11, 11]


def test_a_policy_for_rare_classes_changes_nothing_where_there_are_none() -> None:
    table = table_of(60)
    found = [folds_of(table, "stratified", rare_classes=policy) for policy in ("fail", "train_only", "spread")]
    assert (found[0] == found[1]).all()
    assert (found[0] == found[2]).all()


def test_all_classes_may_be_rare() -> None:
    table = pd.DataFrame({"id": [f"i{number:02d}" for number in range(40)]})
    amounts = pd.DataFrame(np.kron(np.eye(20, dtype=int), np.ones((2, 1), int)), columns=[f"c{n}" for n in range(20)])
    found = split(table, amounts, "stratified", 5, 0, rare_classes="spread")
    assert np.bincount(found).tolist() == [8] * 5
    assert (found[::2] != found[1::2]).all(), "each class is in two folds"


def test_a_class_of_one_group_may_be_learnt_from_alone() -> None:
    table, amounts = tailed(group=[f"g{number // 3}" for number in range(30)] + ["h", "i", "i"])
    kept = split(table, amounts, "stratified_group", 2, 0, rare_classes="train_only")
    assert kept[30:].tolist() == [-1, -1, -1]


@pytest.mark.parametrize("columns", [
    {"fold": [str(number % 3) for number in range(30)] + ["2"] * 3},
    {"order": [str(number) for number in range(33)]},
    {"train_only": ["0"] * 30 + ["1"] * 3},
])  # fmt: skip
def test_a_class_that_order_given_folds_or_marks_leave_in_one_part_is_let_through_by_policy(columns: Any) -> None:
    table, _ = tailed(**columns)
    amounts = pd.DataFrame({"cat": [1] * 30 + [0] * 3, "owl": [0] * 30 + [1] * 3})
    splitter = {"fold": "predefined", "order": "ordered_blocks"}.get(next(iter(columns)), "stratified")
    with pytest.raises(DataError, match=r"class 'owl'.* folds\.rare_classes"):
        split(table, amounts, splitter, 3, 0)
    assert split(table, amounts, splitter, 3, 0, rare_classes="train_only")[30:].tolist() == [-1] * 3
    spread = split(table, amounts, splitter, 3, 0, rare_classes="spread")
    assert len(set(spread[30:])) == 1, "as the user has them"


def test_objects_of_a_rare_class_take_their_image_out_of_validation() -> None:
    table = pd.DataFrame({"id": [f"i{number:02d}" for number in range(20)]})
    amounts = pd.DataFrame({"cell": np.arange(20) % 4 + 1, "rare": [3, *[0] * 19]})
    assert split(table, amounts, "stratified", 4, 0, rare_classes="train_only")[0] == -1
    spread = split(table, amounts, "stratified", 4, 0, rare_classes="spread")
    assert sorted(np.bincount(spread)) == [5, 5, 5, 5]


def test_a_summary_with_a_very_long_name_of_a_class_is_read(tmp_path: Path) -> None:
    long = "y" * 200_000
    (tmp_path / "summary.csv").write_text(f"fold,fold,{long},(all)\n0,1,2,3\n")
    assert list(read_summary(tmp_path / "summary.csv")) == ["fold", long, "(all)"]
