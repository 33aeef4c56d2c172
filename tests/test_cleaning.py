"""Cleaning rounds: inner trainings judge the training labels of a fold, and nothing knows its validation labels."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import made_run
from goldfold.base.errors import ConfigError, DataError
from goldfold.config import parse, slices
from goldfold.config.dependencies import recipe
from goldfold.planning.grid import grid_of
from goldfold.planning.inner import parts
from goldfold.planning.plan import Job, Plan, job_at, job_of, plan_of
from goldfold.planning.runs import Cleaning, Run
from goldfold.predictions.arrays import save
from goldfold.stages import clean, folds
from goldfold.training.samples import rows_of
from test_reruns import scheduled_jobs
from test_rounds import B0, B3, BASE, changed, recipes
from test_workflow import jobs_of, snakemake, write_images

CLEAN: dict[str, Any] = {"clean": {"folds": 2}}
CLASSES = ["cat", "dog"]


def plan(rounds: list[dict[str, Any]], **changes: Any) -> Plan:
    return plan_of(parse({**BASE, "rounds": rounds, **changes}))


# --- plan and recipes


def test_each_fold_is_judged_by_inner_trainings_of_its_own_with_the_first_seed() -> None:
    found = plan([{}, {"models": ["b0"]}, CLEAN], seeds=[3, 0])
    assert found.grid.rounds[2].cleaning == Cleaning(("b0",), 1, 2), (
        "the last plain round, and the models that it trains"
    )
    train = job_of("train", Run("b3", 2, 1, 0))
    assert found.above(train) == [Job("clean", round=2, fold=1)]
    judges = found.above(Job("clean", round=2, fold=1))
    assert [judge.name for judge in judges] == [
        "inner_predict b0/round1/fold1/part0of2/seed3", "inner_predict b0/round1/fold1/part1of2/seed3",
    ]  # fmt: skip
    assert found.above(judges[0]) == [judges[0]._replace(stage="inner_train")]
    assert found.above(judges[0]._replace(stage="inner_train")) == []
    assert [len(found.jobs(stage)) for stage in ("inner_train", "inner_predict", "clean")] == [4, 4, 2]
    assert found.caches(judges[0]) == found.pieces("12x12-squash", ["train"])
    assert found.outputs(judges[0]) == [
        f"results/tiny/inner_predict/b0/round1/fold1/part0of2/seed3/{name}" for name in ("oof.npz", "run.json")
    ]
    place = {"model": "b0", "round": "1", "fold": "1", "part": "0of2", "seed": "3"}
    assert job_at("inner_predict", SimpleNamespace(**place)) == judges[0]
    assert {run.round for run in found.runs} == {0, 1, 2}
    assert len(found.runs) == 2 * (4 + 2 + 4), "judges do not vote"


def test_rounds_with_the_same_judges_share_them_and_a_plan_without_cleaning_has_none() -> None:
    both = plan([{}, CLEAN, {"clean": {"folds": 2, "action": "relabel"}}])
    assert len(both.jobs("inner_train")) == len(plan([{}, CLEAN]).jobs("inner_train")) == 8
    assert len(both.jobs("clean")) == 4
    other = plan([{}, CLEAN, {"clean": {"folds": 3, "models": ["b3"]}}])
    assert len(other.jobs("inner_train")) == 8 + 6
    assert len(other.inner_lists) == len(set(other.inner_lists)) == 2 * (2 + 3)
    without = plan([{}, {}])
    assert not {"inner_train", "inner_predict", "clean"} & {*without.stages()}
    assert without.inner_lists == []


def test_an_edit_of_clean_reaches_its_own_round_and_configs_without_it_keep_their_recipes() -> None:
    before = recipes(rounds=[{}, {}])
    assert "clean" not in json.dumps(before)
    assert "inner" not in json.dumps(before["folds"])
    later = ["train b0/round1", "train b3/round1", "report"]
    assert changed(before, rounds=[{}, CLEAN]) == ["folds", *later], (
        "the folds stage writes the lists of the inner parts"
    )
    cleaned = recipes(rounds=[{}, CLEAN])
    relabelled = {"clean": {"folds": 2, "action": "relabel"}}
    assert changed(cleaned, rounds=[{}, relabelled]) == ["clean round1", "report"]
    one, gone = {"clean": {"folds": 2, "models": ["b0"]}}, ["inner_train b3/round0", "inner_predict b3/round0"]
    assert changed(cleaned, rounds=[{}, one]) == [*gone, "clean round1", "report"]
    late = ["clean round1", "ensemble", "report"]
    assert changed(cleaned, rounds=[{}, CLEAN], ensemble={"weights": {"b0": 2}}) == late
    inner = recipe(parse({**BASE, "rounds": [{}, CLEAN]}), Job("inner_train", "b0", 0, 1, 0, part="0of2"))
    outer = recipe(parse({**BASE, "rounds": [{}, CLEAN]}), job_of("train", Run("b0", 0, 1, 0)))
    assert inner == outer, "an inner training has the settings and the code of its round's training"


def test_the_grid_of_a_report_s_settings_has_the_cleaning() -> None:
    config = parse({**BASE, "rounds": [{}, {**CLEAN, "teacher": {}}]})
    settings = json.loads(json.dumps(slices.report(config)["settings"]))
    assert grid_of(settings) == plan_of(config).grid


WRONG: list[tuple[Any, dict[str, Any], str]] = [
    ([CLEAN], {}, r"rounds\[0\]\.clean: the first round has no earlier round whose models could judge its labels; put"),
    ([{}, {"clean": True}], {}, r"rounds\[1\]\.clean = True: write a section: \{\} for the defaults, or \{by: inner,"),
    ([{}, {"clean": "inner"}], {}, r"rounds\[1\]\.clean = 'inner': write a section: \{by: inner\}"),
    ([{}, CLEAN], {"models": [{**B0, "train": {"distill": {"teacher": "b3"}}}, {**B3, "train": {"distill": {"teacher": "b0"}}}]},
     r"rounds\[1\]\.clean: .*(?s:.*)\(b0\)\.train\.distill\.teacher: in round 0 models learn in a circle: b0 from b3"),
    ([{}, {"clean": {"round": 1}}], {}, r"rounds\[1\]\.clean\.round = 1: the judges must be of an earlier round, here round 0"),
    ([{}, {"teacher": {}}, {"clean": {"round": 1}}], {}, r"rounds\[2\]\.clean\.round = 1: has a start, a teacher or a clean of "
     r"its own, .*; name a round that is trained from scratch on the given labels"),
    ([{}, {"clean": {"folds": 1}}], {}, r"rounds\[1\]\.clean\.folds = 1: must be at least 2"),
    ([{}, {"clean": {"by": "outer"}}], {}, r"rounds\[1\]\.clean\.by = 'outer': allowed: 'inner'"),
    ([{}, {"clean": {"action": "weigh"}}], {}, r"rounds\[1\]\.clean\.action = 'weigh': allowed: 'drop' or 'relabel'"),
    ([{}, {"clean": {"models": ["b9"]}}], {}, r"rounds\[1\]\.clean\.models: no model is named 'b9'"),
    ([{"models": ["b0"]}, {"clean": {"models": ["b3"]}}], {}, r"rounds\[1\]\.clean\.models: round 0 does not train b3; name"),
    ([{}, {"clean": {"models": ["b0"]}}], {"ensemble": {"weights": {"b0": 0}}},
     r"rounds\[1\]\.clean\.models: b0 has weight 0 in the ensemble, so it cannot judge; give it a weight, or remove it"),
    ([{"models": ["b0"]}, CLEAN], {"ensemble": {"weights": {"b0": 0}}}, r"rounds\[1\]\.clean: of the models that round 0 trains "
     r"on the given labels of all rows none has a weight in the ensemble; give one a weight"),
    ([{}, CLEAN], {"task": "regression"}, r"rounds\[1\]\.clean: task 'regression' has no cleaning of labels, which needs one "
     r"class per image; remove clean"),
    ([{}, CLEAN], {"task": "multilabel"}, r"rounds\[1\]\.clean: task 'multilabel' has no cleaning of labels"),
]  # fmt: skip


@pytest.mark.parametrize(("rounds", "changes", "said"), WRONG, ids=[text[:40] for *_, text in WRONG])
def test_cleaning_that_cannot_be_is_refused_before_any_job(rounds: Any, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=rf"(?s)\n  {said}"):
        parse({**BASE, "rounds": rounds, **changes})


# --- lists of the folds


def write_manifest(folder: Path, **columns: Any) -> pd.DataFrame:
    """A manifest of 48 images in given folds; labels as given, or two classes in turns."""
    n = 48
    rows = {
        "id": [f"i{number:03d}" for number in range(n)],
        "path": "p",
        "sha256": [f"s{number}" for number in range(n)],
        "label": [CLASSES[number % 2] for number in range(n)],
        "fold": [number // 2 % 3 for number in range(n)],
        **columns,
    }
    folder.mkdir()
    table = pd.DataFrame(rows)
    table.to_csv(folder / "train.csv", index=False)
    (folder / "classes.json").write_text(json.dumps(CLASSES))
    (folder / "class_ids.json").write_text("null")
    for name in ("quarantine", "duplicates"):
        (folder / f"{name}.csv").write_text("split,id\n")
    return table


def make_folds(folder: Path, inner: list[int], splitter: str = "predefined", **more: Any) -> dict[str, Any]:
    return folds.run(
        str(folder / "manifest"), str(folder / "folds"), {"name": "classification"}, ["train"], splitter, 3, 0, 1,
        inner=inner, **more,
    )  # fmt: skip


def read_lists(folder: Path) -> dict[str, pd.DataFrame]:
    return {path.stem: pd.read_csv(path, dtype=str) for path in sorted((folder / "folds/inner").glob("*.csv"))}


def test_no_judge_is_trained_on_mates_of_the_rows_that_it_judges(tmp_path: Path) -> None:
    """Rows that are only trained on are in no inner part; those of a group of a judged row are left out of its training."""
    groups = [f"g{number // 4}" for number in range(48)]
    only = ["1" if number % 4 == 3 else "" for number in range(48)]
    fold = [-1 if number % 4 == 3 else number // 4 % 3 for number in range(48)]
    write_manifest(tmp_path / "manifest", group=groups, train_only=only, fold=fold)
    make_folds(tmp_path, [2])
    of = dict(zip([f"i{number:03d}" for number in range(48)], groups, strict=True))
    lists = read_lists(tmp_path)
    assert len(lists) == 6
    for table in lists.values():
        judged, trained = ({of[id] for id in table["id"][table["split"] == part]} for part in ("val", "train"))
        assert judged
        assert not judged & trained


@pytest.mark.parametrize("splitter", ["predefined", "stratified_group", "stratified"])
def test_inner_parts_partition_the_training_rows_of_a_fold_by_class_and_group(tmp_path: Path, splitter: str) -> None:
    groups = {} if splitter == "stratified" else {"group": [f"g{number // 4}" for number in range(48)]}
    extra = {"fold": [number // 4 % 3 for number in range(48)], **groups}
    write_manifest(tmp_path / "manifest", **extra)
    made = make_folds(tmp_path, [2, 3], splitter)
    lists = read_lists(tmp_path)
    assert {*lists} == {f"fold{fold}-{part}" for fold in range(3) for part in (*parts(2), *parts(3))}
    assert {str(tmp_path / f"folds/inner/{name}.csv") for name in lists} <= set(made["files"])
    for fold in range(3):
        outer = pd.read_csv(tmp_path / f"folds/fold{fold}.csv", dtype=str)
        of_fold = outer[outer["split"] == "train"]
        for n_parts in (2, 3):
            of_parts = [lists[f"fold{fold}-{part}"] for part in parts(n_parts)]
            validated = [table[table["split"] == "val"] for table in of_parts]
            for table in of_parts:
                assert table.drop(columns="split").equals(of_fold.drop(columns="split").reset_index(drop=True))
            assert sorted(pd.concat(validated)["id"]) == sorted(of_fold["id"]), "each row is judged once"
            counts = [table["label"].value_counts() for table in validated]
            assert all(abs(one[name] - 16 / n_parts) <= 2 for one in counts for name in CLASSES)
            if groups:
                kept = pd.concat([table.assign(part=k) for k, table in enumerate(validated)])
                group = kept["id"].str[1:].astype(int) // 4
                assert kept.groupby(group)["part"].nunique().max() == 1, "no group is in two parts"


def test_lists_of_rounds_that_are_gone_are_removed_and_others_are_as_without_them(tmp_path: Path) -> None:
    write_manifest(tmp_path / "manifest")
    make_folds(tmp_path, [])
    plain = {path.name: path.read_bytes() for path in (tmp_path / "folds").glob("*.*")}
    make_folds(tmp_path, [2, 3])
    assert len(read_lists(tmp_path)) == 15
    make_folds(tmp_path, [2])
    assert sorted(read_lists(tmp_path)) == [f"fold{fold}-{part}" for fold in range(3) for part in parts(2)]
    make_folds(tmp_path, [])
    assert read_lists(tmp_path) == {}
    assert {path.name: path.read_bytes() for path in (tmp_path / "folds").glob("*.*")} == plain
    assert len(plain) > 8


def test_rows_that_are_only_trained_on_are_not_judged(tmp_path: Path) -> None:
    write_manifest(tmp_path / "manifest", train_only=["1"] * 6 + [""] * 42)
    make_folds(tmp_path, [2])
    for table in read_lists(tmp_path).values():
        assert set(table["split"][table["id"] < "i006"]) == {"train"}


def test_more_inner_parts_than_rows_of_a_class_are_refused(tmp_path: Path) -> None:
    write_manifest(tmp_path / "manifest", label=["cat" if number < 6 else "dog" for number in range(48)])
    said = (
        r"folds of rounds\[\]\.clean or rounds\[\]\.teacher\.adapt = 5: class 'cat' has 4 training images in fold 0, fewer than "
        r"the inner parts\. Lower it, add images, merge the class, or set folds\.rare_classes\."
    )
    with pytest.raises(DataError, match=said):
        make_folds(tmp_path, [5])
    make_folds(tmp_path, [5], rare_classes="spread")
    write_manifest(tmp_path / "few", group=[f"g{number % 3}" for number in range(48)], fold=[k % 3 for k in range(48)])
    (tmp_path / "few").rename(tmp_path / "manifest2")
    with pytest.raises(
        DataError, match=r"the 32 training rows of fold 0 cannot be split into 3 inner parts \(there are 2 groups"
    ):
        folds.run(str(tmp_path / "manifest2"), str(tmp_path / "f2"), {"name": "classification"}, ["train"], "predefined", 3,
                  0, 1, inner=[3])  # fmt: skip


# --- the stage, and the training rows


def write_predictions(folder: Path, fold: int, n_parts: int, models: tuple[str, ...] = ("net",)) -> list[str]:
    """Predictions of inner trainings by id alone: sure of the class that the number gives, whatever the label."""
    written = []
    for place, model in enumerate(models):
        for part in parts(n_parts):
            table = read_lists(folder)[f"fold{fold}-{part}"]
            ids = table["id"][table["split"] == "val"].to_numpy(str)[::-1]
            true = np.array([int(id[1:]) % 2 for id in ids])
            logits = np.where(np.arange(2) == true[:, None], 3.0, 0.0)
            path = folder / f"inner_predict/{model}/round0/fold{fold}/part{part}/seed0/oof.npz"
            path.parent.mkdir(parents=True, exist_ok=True)
            entries = {"ids": ids, "classes": np.array(CLASSES), "logits": (logits + place).astype(np.float32)}
            save(path, {**entries, "fold": np.array(fold), "round": np.array(0), "seed": np.array(0)}.items())
            written.append(str(path))
    return written


def clean_fold(folder: Path, fold: int = 0, action: str = "drop", models: tuple[str, ...] = ("net",)) -> pd.DataFrame:
    """Run the stage; the rows that it writes."""
    run_clean(folder, fold, action, write_predictions(folder, fold, 2, models))
    return pd.read_csv(folder / f"clean{fold}.csv", dtype=str, keep_default_na=False)


def run_clean(folder: Path, fold: int, action: str, predictions: list[str]) -> None:
    lists = [str(folder / f"folds/inner/fold{fold}-{part}.csv") for part in parts(2)]
    clean.run(
        predictions, lists, str(folder / "folds/classes.json"), str(folder / f"clean{fold}.csv"),
        {"name": "classification"}, action, fold, {"second": 0.5}, {"method": "probability"}, 1,
    )  # fmt: skip


def with_flipped(labels: list[str], numbers: list[int]) -> list[str]:
    return [CLASSES[1 - CLASSES.index(one)] if k in numbers else one for k, one in enumerate(labels)]


LABELS = [CLASSES[number % 2] for number in range(48)]


@pytest.mark.parametrize("models", [("net",), ("first", "second")])
def test_flipped_labels_are_found_and_dropped_or_relabelled(tmp_path: Path, models: tuple[str, ...]) -> None:
    write_manifest(
        tmp_path / "manifest", label=with_flipped(LABELS, [3, 20, 0])
    )  # of fold 0, which does not train on 0
    make_folds(tmp_path, [2])
    found = clean_fold(tmp_path, models=models)
    assert list(found.columns) == ["id", "given", "suggested", "confidence", "margin", "action"]
    assert found[["id", "given", "suggested", "action"]].values.tolist() == [
        ["i003", "cat", "dog", "drop"], ["i020", "dog", "cat", "drop"],
    ]  # fmt: skip
    table = pd.read_csv(tmp_path / "folds/fold0.csv", dtype=str)
    as_given = rows_of(table, None, 1.0)
    rows = rows_of(table, None, 1.0, str(tmp_path / "clean0.csv"))
    assert rows.equals(as_given[~as_given["id"].isin(["i003", "i020"])].reset_index(drop=True))
    clean_fold(tmp_path, action="relabel", models=models)
    rows = rows_of(table, None, 1.0, str(tmp_path / "clean0.csv"))
    true = as_given["id"].str[1:].astype(int) % 2
    assert list(rows["id"]) == list(as_given["id"])
    assert list(rows["label"]) == [CLASSES[number] for number in true]


def test_no_class_loses_more_than_half_of_its_rows(tmp_path: Path) -> None:
    """24 of 32 training rows have the label cat, and all dogs among them are candidates."""
    write_manifest(tmp_path / "manifest", label=["dog" if number % 4 == 1 else "cat" for number in range(48)])
    make_folds(tmp_path, [2])
    found = clean_fold(tmp_path)
    cats = found[found["given"] == "cat"]
    n = int((pd.read_csv(tmp_path / "folds/fold0.csv", dtype=str).query("split == 'train'")["label"] == "cat").sum())
    assert (cats["action"] == "drop").sum() <= n // 2
    labels, rows = np.array([0] * 6 + [1] * 2), np.array([4, 0, 6, 1, 2, 3, 5])
    candidates = SimpleNamespace(rows=rows)
    assert clean._actions(labels, candidates, "drop") == [  # type: ignore[arg-type]
        "drop", "drop", "drop", "drop", "keep", "keep", "keep",
    ]  # fmt: skip


def test_a_row_of_a_class_that_its_judge_was_not_trained_on_is_kept(tmp_path: Path) -> None:
    """The only bird of fold 0's training rows, which no inner training that judges it has seen, is predicted as a dog."""
    write_manifest(
        tmp_path / "manifest", label=["bird" if number in (3, 25) else one for number, one in enumerate(LABELS)]
    )
    (tmp_path / "manifest/classes.json").write_text(json.dumps([*CLASSES, "bird"]))
    table = pd.read_csv(tmp_path / "manifest/train.csv")
    table.loc[table["id"] == "i025", "fold"] = 0
    table.to_csv(tmp_path / "manifest/train.csv", index=False)
    make_folds(tmp_path, [2], rare_classes="spread")
    predictions = write_predictions(tmp_path, 0, 2)
    for path in predictions:
        arrays = dict(np.load(path))
        logits = np.concatenate([arrays["logits"], np.zeros((len(arrays["logits"]), 1), np.float32)], axis=1)
        save(Path(path), {**arrays, "classes": np.array([*CLASSES, "bird"]), "logits": logits}.items())
    run_clean(tmp_path, 0, "drop", predictions)
    assert (tmp_path / "clean0.csv").read_text() == "id,given,suggested,confidence,margin,action\n"


def test_pseudo_labelled_rows_follow_the_cleaned_ones(tmp_path: Path) -> None:
    write_manifest(tmp_path / "manifest", label=with_flipped(LABELS, [20]))
    make_folds(tmp_path, [2])
    clean_fold(tmp_path)
    (tmp_path / "pseudo.csv").write_text("id,label,confidence,source\ni020,cat,0.9,test\n")
    table = pd.read_csv(tmp_path / "folds/fold0.csv", dtype=str)
    rows = rows_of(table, str(tmp_path / "pseudo.csv"), 0.5, str(tmp_path / "clean0.csv"))
    assert rows[rows["id"] == "i020"][["label", "split", "weight"]].values.tolist() == [["cat", "", 0.5]]
    assert len(rows) == 32


def test_predictions_of_another_fold_are_refused(tmp_path: Path) -> None:
    write_manifest(tmp_path / "manifest")
    make_folds(tmp_path, [2])
    others = write_predictions(tmp_path, 1, 2)
    with pytest.raises(
        DataError, match=r"holds predictions of fold 1; the training rows of fold 0 must be judged by inner"
    ):
        run_clean(tmp_path, 0, "drop", others)


@pytest.mark.parametrize(("rows_of_part", "reaches"), [("val", False), ("train", True)])
@pytest.mark.parametrize("grouped", [False, True])
def test_labels_of_validation_rows_reach_neither_lists_nor_cleaned_rows(
    tmp_path: Path, rows_of_part: str, reaches: bool, grouped: bool
) -> None:
    """All labels of fold 0's validation rows change: the files that its judges and its trainings read keep every byte."""
    made: list[dict[str, bytes]] = []
    for name in ("true", "planted"):
        folder = tmp_path / name
        folder.mkdir()
        validated = [number // 4 % 3 == 0 for number in range(48)]
        is_planted = [validated[k] == (rows_of_part == "val") for k in range(48)]
        swapped = with_flipped(LABELS, [k for k in range(48) if is_planted[k]])
        if rows_of_part == "train":
            swapped = with_flipped(LABELS, [5, 9])
        labels = LABELS if name == "true" else swapped
        groups = {"group": [f"g{number // 4}" for number in range(48)]} if grouped else {}
        write_manifest(folder / "manifest", label=labels, fold=[number // 4 % 3 for number in range(48)], **groups)
        make_folds(folder, [2])
        clean_fold(folder)
        table = pd.read_csv(folder / "folds/fold0.csv", dtype=str)
        rows = rows_of(table, None, 1.0, str(folder / "clean0.csv")).to_csv().encode()
        read = [folder / "clean0.csv", *sorted((folder / "folds/inner").glob("fold0-*.csv"))]
        made.append({"rows": rows, **{path.name: path.read_bytes() for path in read}})
    assert len(made[0]) == 4
    assert (made[0] != made[1]) is reaches


# --- through Snakemake


def write_run(folder: Path, prepare: Any, **changes: Any) -> Plan:
    """A config with cleaning, and its folds."""
    prepare(folder)
    (folder / made_run.CONFIG).write_text(yaml.safe_dump({**BASE, **changes}))
    made_run.enter(folder)
    made_run.make_folds()
    return made_run.session().plan


def test_snakemake_plans_what_the_plan_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cleaning and teacher in one round, metadata, and every file that each job reads and writes."""
    monkeypatch.chdir(tmp_path)
    data = made_run.METADATA["data"]
    models = [B0, {**B3, "metadata": True}]
    found = write_run(
        tmp_path, made_run.write_metadata, data=data, models=models, rounds=[{}, {**CLEAN, "teacher": {}}]
    )
    planned, jobs = scheduled_jobs(tmp_path, made_run.Path(__file__).parents[1]), made_run.session().standing().stale()
    assert {entry["name"] for entry in planned} == {job.name for job in jobs}
    assert {"clean", "inner_train", "inner_predict"} < {job.stage for job in jobs}
    for job in jobs:
        entry = next(entry for entry in planned if entry["name"] == job.name)
        assert entry["outputs"] == sorted(found.outputs(job))
        assert set(entry["inputs"]) - {entry["recipe"]} == set(made_run.inputs_of(found, job)), job.name
    inner = next(entry for entry in planned if entry["name"] == "inner_train b3/round0/fold1/part0of2/seed0")
    assert not [path for path in inner["inputs"] if path.endswith("folds/fold1.csv")], "it has the validation labels"


@pytest.mark.workflow
def test_a_cleaned_training_is_made_by_its_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def prepare(folder: Path) -> None:
        write_images(folder)
        table = pd.read_csv(folder / "raw/train.csv", dtype=str)
        table.loc[[4, 15], "label"] = ["dark", "light"]
        table.to_csv(folder / "raw/train.csv", index=False)

    train = {**BASE["train"], "epochs": 6, "lr": 0.01}
    found = write_run(tmp_path, prepare, models=[B0], train=train, rounds=[{}, CLEAN])
    target = found.record(job_of("train", Run("b0", 1, 0, 0)))
    result = snakemake(tmp_path, target)
    assert result.returncode == 0, result.stdout + result.stderr
    removed = pd.read_csv(tmp_path / "results/tiny/clean/round1/fold0.csv", dtype=str)
    record = json.loads(Path(target).read_text())
    n_train = sum(pd.read_csv(tmp_path / "results/tiny/folds/fold0.csv")["split"] == "train")
    assert record["n_train"] == n_train - (removed["action"] == "drop").sum()
    assert record["inputs"].keys() > {"results/tiny/clean/round1/fold0.csv"}
    assert set(removed["id"]) <= set(pd.read_csv(tmp_path / "results/tiny/folds/fold0.csv", dtype=str).query(
        "split == 'train'")["id"])  # fmt: skip
    assert jobs_of(snakemake(tmp_path, "-n", target)) == {}
