"""Images keep their folds when others come or go."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from goldfold.base.errors import DataError
from goldfold.base.files import read_json, write_json
from goldfold.base.fingerprint import sha256_of
from goldfold.splits.splitting import split
from goldfold.stages import folds

CLASSES = ["cat", "dog", "owl"]


def rows(labels: list[str], groups: list[str] | None = None, first: int = 0) -> pd.DataFrame:
    table = pd.DataFrame({"id": [f"i{first + number}" for number in range(len(labels))], "label": labels})
    return table if groups is None else table.assign(group=groups)


def content(table: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({name: (table["label"] == name).astype(float) for name in CLASSES})


def folds_of(table: pd.DataFrame, splitter: str = "stratified", n: int = 3, **known: dict[str, int]) -> dict[str, int]:
    numbers = split(table, content(table), splitter, n, 0, **known)
    return dict(zip(table["id"], numbers.tolist(), strict=True))


def balanced(n: int, first: int = 0) -> pd.DataFrame:
    return rows([CLASSES[number % 3] for number in range(n)], first=first)


@given(n_old=st.integers(9, 40), n_new=st.integers(0, 30), gone=st.integers(0, 5))
def test_known_images_stay_and_new_ones_even_the_classes_out(n_old: int, n_new: int, gone: int) -> None:
    old = balanced(n_old)
    before = folds_of(old)
    now = pd.concat([old.iloc[gone:], balanced(n_new, first=n_old)], ignore_index=True)
    after = folds_of(now, known=before)
    assert all(after[id] == before[id] for id in old["id"][gone:])
    table = pd.DataFrame({"label": now["label"], "fold": [after[id] for id in now["id"]]})
    counts = pd.crosstab(table["fold"], table["label"])
    if not gone:
        assert (counts.max() - counts.min()).max() <= 2
    shuffled = now.sample(frac=1, random_state=1).reset_index(drop=True)
    assert folds_of(shuffled, known=before) == after


@given(groups=st.lists(st.integers(0, 8), min_size=18, max_size=40), seed=st.integers(0, 99))
def test_groups_stay_whole_even_where_two_have_grown_together(groups: list[int], seed: int) -> None:
    draw = np.random.default_rng(seed)
    labels = [CLASSES[number % 3] for number in range(len(groups))]
    before = {f"i{number}": int(draw.integers(0, 2)) for number in range(len(groups) // 2)}
    table = rows(labels, [str(group) for group in groups])
    try:
        after = folds_of(table, "stratified_group", 2, known=before)
    except DataError:  # a fold may be left without images or a class, as by any splitter
        reject()
    assert table.assign(fold=table["id"].map(after)).groupby("group")["fold"].nunique().max() == 1


def test_a_group_goes_where_most_of_its_images_are() -> None:
    table = rows(["cat", "dog", "owl"] * 4, ["a", "a", "a", *"bcdefghij"])
    before = {f"i{number}": number % 2 for number in range(3, 12)} | {"i0": 1, "i1": 1, "i2": 0}
    after = folds_of(table, "stratified_group", 2, known=before)
    assert [after[id] for id in ("i0", "i1", "i2")] == [1, 1, 1]
    assert all(after[f"i{number}"] == number % 2 for number in range(3, 12))


def test_the_user_s_own_folds_go_before() -> None:
    table = balanced(12).assign(fold=["0", "1"] * 6)
    assert folds_of(table, "predefined", 2, known=dict.fromkeys(table["id"], 0)) == {f"i{n}": n % 2 for n in range(12)}


def stage(n: int, sticky: bool, n_folds: int = 2, seed: int = 0, before: str = "") -> dict[str, str]:
    """Fold by id, as the stage writes it for ``n`` images, with ``before`` put before their ids."""
    table = balanced(n).assign(sha256="0", path="x.png", width="8", height="8")
    table["id"] = before + table["id"]
    Path("manifest").mkdir(exist_ok=True)
    table.to_csv("manifest/train.csv", index=False)
    pd.DataFrame(columns=["split", "id", "path", "part", "reason"]).to_csv("manifest/quarantine.csv", index=False)
    Path("manifest/duplicates.csv").write_text("cluster\n")
    write_json("manifest/classes.json", CLASSES)
    write_json("manifest/class_ids.json", {})
    task = {"name": "classification"}
    folds.run("manifest", "folds", task, ["train"], "stratified", n_folds, seed, shards=1, sticky=sticky)
    made = pd.read_csv("folds/train.csv", dtype=str)
    return dict(zip(made["id"], made["fold"], strict=True))


@pytest.mark.usefixtures("in_tmp")
def test_the_stage_keeps_folds_where_it_is_asked_to_and_the_rule_is_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = stage(30, sticky=True)
    assert "keep their fold" not in capsys.readouterr().out
    assert stage(30, sticky=False) == before
    fresh = stage(44, sticky=False)
    assert any(fresh[id] != fold for id, fold in before.items())
    stage(30, sticky=False)
    more = stage(44, sticky=True)
    assert all(more[id] == fold for id, fold in before.items())
    assert "30 of 44 images keep their fold" in capsys.readouterr().out
    assert stage(44, sticky=True, seed=1) != more
    written = read_json("folds/split.json")
    assert written.pop("train_sha256") == sha256_of("folds/train.csv")
    assert written == {"splitter": "stratified", "n_folds": 2, "seed": 1}
    assert set(stage(44, sticky=True, n_folds=3).values()) == {"0", "1", "2"}


@pytest.mark.usefixtures("in_tmp")
def test_folds_are_kept_where_ids_get_the_name_of_their_split_or_lose_it() -> None:
    """As they do where a test image of the same name comes or goes."""
    before = stage(30, sticky=True)
    told_apart = stage(44, sticky=True, before="train/")
    assert {id: told_apart[f"train/{id}"] for id in before} == before
    kept = {id.removeprefix("train/"): fold for id, fold in told_apart.items()}
    assert stage(44, sticky=True) == kept
    assert stage(44, sticky=False) != kept, "or nothing is shown"
