"""Trainings on external or own training rows alone: `train.rows`."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import made_run
from conftest import CLASSES, Tiny, picture, prepare, save_picture
from goldfold.base.errors import ConfigError, DataError
from goldfold.config import parse
from goldfold.config.dependencies import recipe
from goldfold.inference.predictor import encoder_beside
from goldfold.planning.plan import Job, job_of, plan_of
from goldfold.planning.row_lists import list_of
from goldfold.planning.runs import WHOLE, Run
from goldfold.splits.kinds import by_kind
from goldfold.stages import folds
from goldfold.tables import read_table
from made_run import would_run
from test_cleaning import write_manifest, write_run
from test_reruns import scheduled_jobs
from test_rounds import B0, B3, BASE, NET, recipes

MARKED = {**BASE["data"], "train_only_column": "is_external"}
CHAIN: list[dict[str, Any]] = [
    {"train": {"rows": "external"}},
    {"start": "previous", "train": {"rows": "own", "lr": 1.0e-4}},
]
"""Pretraining on external rows, then fine-tuning on own ones."""


# --- the lists of the folds stage


def make_lists(folder: Path, rows: list[str], full: bool = False) -> dict[str, pd.DataFrame]:
    settings: dict[str, Any] = {"rows": rows} if rows else {}
    folds.run(
        str(folder / "manifest"), str(folder / "folds"), {"name": "classification"}, ["train"], "predefined", 3, 0, 1,
        full=full, **settings,
    )  # fmt: skip
    found = [
        *(folder / "folds").glob("fold?.csv"),
        *(folder / "folds").glob("full.csv"),
        *(folder / "folds/rows").glob("*"),
    ]
    return {path.stem: read_table(path) for path in found}


def write_marked(folder: Path, **columns: Any) -> None:
    """48 rows in three folds, of which the last 12 are external; two of these belong to groups of own rows."""
    marks = ["1" if number >= 36 else "" for number in range(48)]
    of_fold = [-1 if number >= 36 else number % 3 for number in range(48)]
    groups = [f"g{number - 36 if number in (40, 41) else number}" for number in range(48)]
    write_manifest(folder, **{"train_only": marks, "fold": of_fold, "group": groups, **columns})


def test_the_lists_of_external_and_own_rows_divide_the_training_rows_of_a_fold(tmp_path: Path) -> None:
    write_marked(tmp_path / "manifest")
    lists = make_lists(tmp_path, ["external", "own"], full=True)
    parts = [*(f"fold{fold}" for fold in range(3)), "full"]
    assert sorted(lists) == sorted(f"{part}{end}" for part in parts for end in ("", "-external", "-own"))
    for fold, part in enumerate(parts):
        every, external, own = (lists[f"{part}{end}"] for end in ("", "-external", "-own"))
        trained = {name: table[table["split"] == "train"] for name, table in (("external", external), ("own", own))}
        for table in (external, own):
            assert table[table["split"] == "val"].values.tolist() == every[every["split"] == "val"].values.tolist()
            assert table.merge(every).shape == table.shape, "each row is as in the list of all"
        both = pd.concat([trained["own"], trained["external"]], ignore_index=True)
        assert both.equals(every[every["split"] == "train"].reset_index(drop=True))
        assert set(trained["external"]["id"]) <= {f"i{number:03d}" for number in range(36, 48)}
        beside = {0: [], 1: ["i040"], 2: ["i041"], 3: []}[fold]  # of the groups of rows 4 and 5
        assert len(trained["external"]) == 12 - len(beside)
        assert not {*beside} & {*trained["external"]["id"]}


def test_no_label_of_an_own_training_row_is_in_the_list_of_external_rows(tmp_path: Path) -> None:
    labels = [CLASSES[number % 2] for number in range(48)]
    swapped = [label if number >= 36 else CLASSES[(number + 1) % 2] for number, label in enumerate(labels)]
    for name, given_labels in (("as given", labels), ("swapped", swapped)):
        (tmp_path / name).mkdir()
        write_marked(tmp_path / name / "manifest", label=given_labels)
    first, second = (make_lists(tmp_path / name, ["external"]) for name in ("as given", "swapped"))
    for fold in range(3):
        assert not first[f"fold{fold}"].equals(second[f"fold{fold}"])
        trained = [lists[f"fold{fold}-external"].query("split == 'train'") for lists in (first, second)]
        assert len(trained[0]) >= 11
        assert trained[0].equals(trained[1])


def test_lists_that_no_training_asks_for_are_removed(tmp_path: Path) -> None:
    write_marked(tmp_path / "manifest")
    assert len(make_lists(tmp_path, ["external", "own"])) == 9
    assert sorted(make_lists(tmp_path, ["own"])) == [f"fold{fold}{end}" for fold in range(3) for end in ("", "-own")]
    assert len(make_lists(tmp_path, [])) == 3


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"train_only": [""] * 48, "fold": [number % 3 for number in range(48)]},
         r"train\.rows = 'external': no row is marked as external\. Mark some in data\.train_only_column, or name data\.extra"),
        ({"train_only": ["1", *[""] * 47], "fold": [number % 3 for number in range(48)]},
         r"train\.rows = 'external': only one row is marked as external\. Mark some in data\.train_only_column, or name data\.e"),
        ({"group": [f"g{number if number < 36 else 4}" for number in range(48)]},
         r"train\.rows = 'external': fold 1 would be trained on no external row, since all are copies of cases that it "
         r"validates, of their groups, or too late in the order\. Name further external rows, or set rows: all"),
        ({"group": [f"g{number if number < 37 else 4}" for number in range(48)]},
         r"train\.rows = 'external': fold 1 would be trained on only one external row, since the others are copies of cases "),
    ],
    ids=["none", "one", "none in a fold", "one in a fold"],
)  # fmt: skip
def test_folds_without_external_rows_are_refused_before_any_training(
    columns: dict[str, Any], said: str, tmp_path: Path
) -> None:
    write_marked(tmp_path / "manifest", **columns)
    with pytest.raises(DataError, match=said):
        make_lists(tmp_path, ["external"])


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=20))
def test_kinds_divide_any_training_rows(rows: list[tuple[bool, bool, bool]]) -> None:
    table = pd.DataFrame({"train_only": ["1" if row[0] else "" for row in rows]})
    trained = {fold: pd.Series([row[1 + fold] for row in rows], dtype=bool).to_numpy() for fold in (0, 1)}
    wanted = ["external", "own"]
    too_few = any(sum(own and mask == kind for mask, own in zip(table["train_only"], trained[fold], strict=True)) < 2
                  for fold in trained for kind in ("1", ""))  # fmt: skip
    if too_few:
        with pytest.raises(DataError, match=r"train\.rows = '(external|own)'"):
            by_kind(table, trained, wanted)
        return
    found = by_kind(table, trained, wanted)
    for fold, mask in trained.items():
        assert (found[fold, "all"] == mask).all()
        assert ((found[fold, "external"] ^ found[fold, "own"]) == mask).all()
        assert (table["train_only"][found[fold, "external"]] == "1").all()


# --- which jobs read which list


def test_each_job_reads_the_list_of_the_rows_that_its_training_uses() -> None:
    models = [{**B0, "train": {"generated": {}}}, {"name": "mix", "soup": {"of": ["b0", "b3"]}}, B3]
    rounds = [CHAIN[0], {"models": ["b0", "mix"], "start": "scratch", "train": {"rows": "own", "generated": None}}]
    rounds[0] = {**rounds[0], "models": ["b0", "b3"]}
    plan = plan_of(parse({**BASE, "data": MARKED, "models": models, "rounds": rounds}))
    found = {
        job.name: list_of(plan, job)
        for stage in plan.stages()[3:]
        for job in plan.jobs(stage)
        if job.model and job.fold == 1
    }
    assert found == {
        "generate b0/round0/fold1": "rows/fold1-external.csv",
        "train b0/round0/fold1/seed0": "rows/fold1-external.csv",
        "train b3/round0/fold1/seed0": "rows/fold1-external.csv",
        "train b0/round1/fold1/seed0": "rows/fold1-own.csv",
        "derive mix/round1/fold1/seed0": "rows/fold1-own.csv",  # as its first ingredient
        **{f"predict {run}/fold1/seed0": "fold1.csv" for run in ("b0/round0", "b3/round0", "b0/round1", "mix/round1")},
    }
    assert set(plan.row_lists) == {f"rows/fold{fold}-{kind}.csv" for fold in (0, 1) for kind in ("external", "own")}
    assert {f"results/tiny/folds/{name}" for name in plan.row_lists} < set(plan.expected(Job("folds")))


def test_trainings_on_all_rows_have_the_same_chain() -> None:
    config = parse({**BASE, "data": MARKED, "models": [B0], "rounds": CHAIN, "full_data": True})
    plan = plan_of(config)
    first, second = (job_of("full_train", Run("b0", number, WHOLE, 0)) for number in (0, 1))
    assert [list_of(plan, job) for job in (first, second)] == ["rows/full-external.csv", "rows/full-own.csv"]
    assert plan.above(second) == [first]
    assert recipe(config, second)["settings"]["start"] == "b0/round0/full/seed0"
    assert recipe(config, Job("folds"))["settings"]["rows"] == ["external", "own"]


def test_all_rows_are_what_a_config_without_the_key_has() -> None:
    plain, named = recipes(data=MARKED), recipes(data=MARKED, train={**BASE["train"], "rows": "all"})
    assert plain == named
    assert not any('"rows"' in json.dumps(one) for one in plain.values())
    own = recipes(data=MARKED, models=[{**B0, "train": {"rows": "own"}}, B3])
    differing = {name.split("/")[0] for name in plain if own[name] != plain[name]}
    assert differing == {"folds", "train b0", "report"}


def test_other_rows_make_other_generated_images() -> None:
    models = {rows: [{**B0, "train": {"generated": {}, "rows": rows}}] for rows in ("all", "own")}
    first, second = (recipes(data=MARKED, models=models[rows])["generate b0/round0/fold0"] for rows in ("all", "own"))
    assert first["settings"] == second["settings"]
    assert first != second


def test_judges_of_labels_are_trainings_of_all_rows() -> None:
    rounds = [{"models": ["b0"], "train": {"rows": "external"}}, {}, {"clean": {}}]
    clean = parse({**BASE, "data": MARKED, "rounds": rounds}).every_round[2].clean
    assert clean is not None
    assert clean.round == 1
    own = [{**B0, "train": {"rows": "own"}}, B3]
    clean = parse({**BASE, "data": MARKED, "models": own, "rounds": [{}, {"clean": {}}]}).every_round[1].clean
    assert clean is not None
    assert clean.models == ["b3"]


FROZEN = {"name": "head", "network": "small_resnet", "image_size_px": 16, "frozen": {"head": "logistic"}}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rounds": CHAIN}, r"rounds\[0\]\.train\.rows = 'external': the data have no external rows; name some by "
         r"data\.extra_train or data\.train_only_column, or remove rows\n(?s:.*)rounds\[1\]\.train\.rows = 'own': the data"),
        ({"models": [B0, {**B3, "train": {"rows": "own"}}]}, r"models\[1\] \(b3\)\.train\.rows = 'own': the data have no ext"),
        ({"data": MARKED, "train": {"rows": "external rows"}}, r"train\.rows = 'external rows': nearest is 'external'; allowed"),
        ({"data": MARKED, "train": {"rows": "own"}, "models": [B0, FROZEN]}, r"train\.rows = 'own': head is a head on a frozen "
         r"backbone, which is fitted on all training rows; set rows in the train of the other models, or in rounds"),
        ({"data": MARKED, "models": [FROZEN], "rounds": [{"train": {"rows": "own"}}]},
         r"rounds\[0\]\.train\.rows = 'own': the round trains no network, and heads on frozen backbones are fitted on all tr"),
        ({"data": MARKED, "rounds": [*CHAIN, {"clean": {"round": 0, "models": ["b0"]}}]},
         r"rounds\[2\]\.clean\.models: b0 is made "
         r"from other models, learns from a teacher or has train\.rows in round 0, and inner trainings can do none of these"),
        ({"data": MARKED, "rounds": [*CHAIN, {"clean": {}}]},
         r"rounds\[2\]\.clean: of the models that round 0 trains on the given "
         r"labels of all rows none has a weight in the ensemble; give one a weight, or put a round before it that trains one so"),
    ],
    ids=["round", "model", "unknown", "head", "round of heads", "judge", "no judge"],
)  # fmt: skip
def test_rows_that_cannot_be_used_are_refused_before_any_job(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse({**BASE, **changes})


@pytest.mark.parametrize(
    "data",
    [
        {"source": "folder", "train": "raw", "extra_train": "."},
        {"source": "test_own_source:read", "brings": "label", "files": [], "columns": ["train_only"]},
    ],
    ids=["folder", "own source"],
)
def test_any_source_with_external_rows_will_do(
    data: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw").mkdir()
    assert plan_of(parse({**BASE, "data": data, "tta": ["identity"], "rounds": CHAIN})).rows["b0", 0] == "external"


# --- training


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """24 own and 16 external images with an age and a site, which is another one in external rows."""
    root = tmp_path_factory.mktemp("marked")
    rows = []
    for number in range(40):
        save_picture(root / f"img/n{number:02d}.png", picture(number, level=90 + 70 * (number % 2)))
        is_external = number >= 24
        rows.append({
            "id": f"n{number:02d}", "label": CLASSES[number % 2], "only": int(is_external), "age": number + 100 * is_external,
            "site": "xy"[number // 2 % 2] if is_external else "abc"[number // 2 % 3],
        })  # fmt: skip
    pd.DataFrame(rows).to_csv(root / "train.csv", index=False)
    kinds = {"numeric": ["age"], "categorical": ["site"]}
    data = {"source": "csv", "train": str(root / "train.csv"), "images": str(root / "img"), "train_only_column": "only",
            "duplicates": "ignore", "metadata": kinds}  # fmt: skip
    tiny = prepare(Tiny(root, data), ["train"])
    folds.run(
        str(root / "manifest"), str(tiny.folds), tiny.task, ["train"], "stratified", 2, 0, 1, rows=["external", "own"]
    )
    return tiny


def rows_of(tiny: Tiny, kind: str, **model: Any) -> dict[str, Any]:
    """Arguments of a training on fold 0 with external or own rows."""
    settings = {
        "epochs": 1,
        "warmup_epochs": 0,
        "rows": kind,
        "class_weights": "inverse_frequency",
        "sampler": "balanced",
    }
    files = {"metadata": tiny.metadata(tiny.fold_file(), with_test=False)} if model.get("metadata") else {}
    return {"fold_file": str(tiny.folds / f"rows/fold0-{kind}.csv"), "model": tiny.model(settings, **model), **files}


def test_a_pretraining_depends_on_no_label_of_an_own_row(marked: Tiny, tmp_path: Path) -> None:
    """All that a chain hands on: the weights of the pretraining, which validates own rows, with their labels swapped."""
    job, path = rows_of(marked, "external"), tmp_path / "swapped.csv"
    table = read_table(job["fold_file"])
    is_external = table["id"] >= "n24"
    assert is_external.sum() == 16
    assert table["split"].eq("train").equals(is_external), (
        "its training rows are external, and all own ones are validated"
    )
    table.loc[~is_external, "label"] = table.loc[~is_external, "label"].map(
        dict(zip(CLASSES, CLASSES[::-1], strict=True))
    )
    table.to_csv(path, index=False)
    facts = [marked.train(tmp_path / "a", **job), marked.train(tmp_path / "b", **{**job, "fold_file": str(path)})]
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in "ab"]
    assert weights[0] == weights[1]
    assert facts[0]["final"] != facts[1]["final"], "the labels are those that it is scored by"
    assert facts[0]["n_train"] == 16


def test_metadata_are_encoded_alike_whichever_rows_a_round_uses(marked: Tiny, tmp_path: Path) -> None:
    """External rows have other sites: a fine-tuning starts from weights with as many levels, and knows its own."""
    external, own = (rows_of(marked, kind, metadata=True) for kind in ("external", "own"))
    marked.train(tmp_path / "pretrained", **external)
    start = tmp_path / "pretrained/model.safetensors"
    marked.train(tmp_path / "tuned", **own, start=str(start), place={"round": 1, "fold": 0, "seed": 0})
    marked.train(
        tmp_path / "all",
        **{
            **own,
            "model": marked.model({"epochs": 1, "warmup_epochs": 0}, metadata=True),
            "fold_file": marked.fold_file(),
        },
    )
    encoders = [
        encoder_beside(tmp_path / f"{name}/model.safetensors", own["model"]) for name in ("pretrained", "tuned", "all")
    ]
    assert encoders[0] == encoders[1] == encoders[2]
    assert encoders[0] is not None
    assert encoders[0].categorical["site"] == ["a", "b", "c", "x", "y"]


def test_a_class_that_external_rows_lack_is_predicted_all_the_same(marked: Tiny, tmp_path: Path) -> None:
    job, path = rows_of(marked, "external"), tmp_path / "cats.csv"
    table = read_table(job["fold_file"])
    table[(table["split"] == "val") | (table["label"] == "cat")].to_csv(path, index=False)
    facts = marked.train(tmp_path / "cats", **{**job, "fold_file": str(path)})
    assert facts["n_train"] == 8
    marked.train(tmp_path / "tuned", **rows_of(marked, "own"), start=str(tmp_path / "cats/model.safetensors"))


# --- what reruns


def write_mixed(folder: Path) -> None:
    """The images of TINY in given folds, with metadata; every fifth is external."""
    made_run.write_metadata(folder)
    path = folder / "raw/train.csv"
    rows = pd.read_csv(path, dtype=str)
    number = pd.Series(range(len(rows)))
    fold = (number % 2).where(number % 5 > 0, -1)
    rows.assign(is_external=(number % 5 == 0).astype(int), fold=fold).to_csv(path, index=False)


MIXED = {"data": {**made_run.METADATA["data"], "train_only_column": "is_external", "fold_column": "fold"},
         "folds": {"splitter": "predefined", "n_folds": 2}}  # fmt: skip


@pytest.mark.parametrize(
    ("row", "trained"),
    [
        (10, {"wide/round0", "wide/round1", "all/round0"}),
        (12, {"wide/round1", "own/round0", "all/round0"}),
    ],
    ids=["external", "own"],
)
def test_an_edited_label_reruns_the_trainings_that_use_its_row_and_their_descendants(
    row: int, trained: set[str], in_tmp: Path
) -> None:
    wide = {**NET, "name": "wide", "train": {"rows": "external"}}
    models = [wide, {**NET, "name": "own", "train": {"rows": "own"}}, {**NET, "name": "all"}]
    rounds = [{}, {"models": ["wide"], "start": "previous", "train": {"rows": "own"}}]
    write_run(in_tmp, write_mixed, **MIXED, models=models, rounds=rounds)
    made_run.run(in_tmp)
    assert not would_run(in_tmp)
    path = in_tmp / "raw/train.csv"
    table = pd.read_csv(path, dtype=str)
    table.loc[row, "label"] = {"dark": "light", "light": "dark"}[table.loc[row, "label"]]
    table.to_csv(path, index=False)
    made_run.enter(in_tmp)
    made_run.make_folds()
    again = [job.split()[1] for job in would_run(in_tmp) if job.startswith("train ")]
    assert {job.split("/fold")[0] for job in again if "/fold1/" in job} == trained, "fold 1 is trained on row 12"


def test_snakemake_plans_what_the_plan_says(in_tmp: Path, code: Path) -> None:
    """The lists that each job reads: of trainings, soups, generated images, trainings on all rows, models with metadata."""
    models = [
        {**B0, "train": {"generated": {}}},
        {**B3, "metadata": True},
        {"name": "mix", "soup": {"of": ["b0", "b0"]}},
    ]
    models[2]["soup"]["of"] = ["b0"]
    full = {"models": ["b3"]}
    plan = write_run(in_tmp, write_mixed, **MIXED, models=models, seeds=[0, 1], rounds=CHAIN, full_data=full)
    planned = {entry["name"]: entry for entry in scheduled_jobs(in_tmp, code)}
    jobs = made_run.session().standing().stale()
    assert {*planned} == {job.name for job in jobs}
    assert {"derive", "generate", "full_train"} < {job.stage for job in jobs}
    for job in jobs:
        inputs = {*planned[job.name]["inputs"]} - {planned[job.name]["recipe"]}
        assert inputs == {*made_run.inputs_of(plan, job)}, job.name
    tuned = planned["train b3/round1/fold1/seed0"]["inputs"]
    assert {"results/tiny/folds/rows/fold1-own.csv", "results/tiny/folds/fold1-metadata.csv"} < {*tuned}
    assert all(Path(path).exists() for path in tuned if "/folds/" in path)
