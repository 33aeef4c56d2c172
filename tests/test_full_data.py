"""Networks that are trained on all labelled rows: what they are made from, and whose predictions are submitted."""

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import goldfold
import made_run
from conftest import PLACE, Tiny
from goldfold import tasks
from goldfold.base.errors import ConfigError
from goldfold.base.files import read_json
from goldfold.bundles import card
from goldfold.bundles.export import export
from goldfold.catalog import TASKS
from goldfold.config import parse, slices
from goldfold.config.dependencies import recipe
from goldfold.planning import full
from goldfold.planning.full import FullData
from goldfold.planning.plan import Job, Plan, job_of, plan_of
from goldfold.planning.runs import WHOLE, Member, Run, run_of
from goldfold.predictions.arrays import load
from goldfold.stages import folds, pseudo_label
from jobs import bytes_of
from made_run import would_run
from test_resume import run_until
from test_rounds import BASE, recipes
from test_workflow import jobs_of, snakemake, write_config
from tiny_results import fuse, record, write_results

ROUND_0 = {"pseudo_labels": {"rounds": 0}}
ROUNDS: list[dict[str, Any]] = [
    {},
    {"models": ["b3"], "start": "b0", "teacher": {"threshold": 0.5}},
    {"models": ["b0"], "start": "previous"},
]
ON_ALL = {**PLACE, "fold": WHOLE}
LATE = {"ensemble", "submit", "report"}


def plan(**changes: Any) -> Plan:
    return plan_of(parse({**BASE, "full_data": True, **changes}))


def names(jobs: list[Job]) -> list[str]:
    return [job.name for job in jobs]


# --- which runs there are, and what they read


def test_the_last_round_of_each_model_is_repeated_from_starts_on_all_rows_and_labels_of_all_folds() -> None:
    found = plan(rounds=ROUNDS)
    assert names(found.jobs("full_predict")) == [
        "full_predict b0/round2/full/seed0", "full_predict b3/round1/full/seed0",
    ]  # fmt: skip
    assert names(found.jobs("full_train")) == [
        f"full_train {place}/full/seed0" for place in ("b0/round0", "b0/round2", "b3/round1")
    ]
    late = job_of("full_train", Run("b3", 1, WHOLE, 0))
    assert names(found.above(late)) == ["full_label round1", "full_train b0/round0/full/seed0"]
    assert names(found.above(found.jobs("full_label")[0])) == [
        f"predict {name}/round0/fold{fold}/seed0" for fold in (0, 1) for name in ("b0", "b3")
    ]
    shards = ["train-0", "train-1", "test-0", "test-1"]
    assert [piece.shard for piece in found.caches(late)] == shards, "pseudo-labelled images too"
    assert [piece.shard for piece in found.caches(late._replace(stage="full_predict"))] == shards[2:]
    assert found.outputs(late)[0] == "results/tiny/full_train/b3/round1/full/seed0/model.safetensors"
    assert run_of(found.outputs(late)[0]) == late.run
    with pytest.raises(ConfigError, match=r"full_train b3/round0/full/seed0: full_data does not ask for it"):
        found.refuse_unplanned(late._replace(round=0))


def test_no_run_of_a_fold_is_made_from_one_on_all_rows() -> None:
    found = plan(rounds=ROUNDS)
    upstream = [stage for stage in found.stages() if stage not in (*full.STAGES, *LATE)]
    above = [other for stage in upstream for job in found.jobs(stage) for other in found.above(job)]
    assert len(above) > 15
    assert not {other.stage for other in above} & {*full.STAGES}


def test_epochs_come_from_the_folds_only_where_these_decide_them() -> None:
    stopping = {"train": {"epochs": 9, "early_stopping": {"patience": 2}}}
    models = [BASE["models"][0], {**BASE["models"][1], **stopping}]
    found = plan(models=models, seeds=[0, 4])
    above = {job.model: names(found.above(job)) for job in found.jobs("full_train")}
    assert above["b0"] == []
    assert above["b3"] == [f"train b3/round0/fold{fold}/seed{seed}" for fold in (0, 1) for seed in (0, 4)]
    job = found.jobs("full_train")[-1]
    assert len(found.histories(job)) == 4
    settings = recipe(parse({**BASE, "models": models, "full_data": True}), job)["settings"]
    assert settings["model"]["train"]["hooks"] == [], "nothing watches scores"
    assert settings["place"] == {"round": 0, "fold": WHOLE, "seed": 4}
    own = {"hooks": [{"goldfold.engine.hooks.ema:Ema": {"decay": 0.5}}]}
    assert plan(train={**BASE["train"], **own}, models=models[:1]).full.frozen == (("b0", 0),), "may end a training too"


def test_networks_are_dealt_to_the_members_so_that_their_mean_is_that_of_all() -> None:
    grid = plan(seeds=[3, 5], rounds=None).grid

    def tested(seeds: tuple[int, ...], test: str = "replace") -> dict[int, list[str]]:
        found = FullData({"b0": 0}, seeds, test)
        return {
            seed: [run.folder.split("/", 2)[2] for run in found.tested(grid, Member("b0", seed))] for seed in (3, 5)
        }

    assert tested((3, 5)) == {3: ["full/seed3"], 5: ["full/seed5"]}
    assert tested((0, 1, 2, 3)) == {3: ["full/seed0", "full/seed2"], 5: ["full/seed1", "full/seed3"]}
    assert tested((7,)) == {3: ["full/seed7"], 5: ["full/seed7"]}
    assert tested((3, 5), "join")[5] == ["fold0/seed5", "fold1/seed5", "full/seed5"]
    assert FullData({}, ()).tested(grid, Member("b0", 3)) == grid.runs_of(Member("b0", 3), 0)


# --- what an edit reaches


def test_runs_of_the_folds_keep_their_recipes() -> None:
    before, after = recipes(), recipes(full_data={"seeds": [1, 2]})
    assert {name for name in before if after[name] != before[name]} == {"folds", "ensemble", "report"}
    assert {name.split()[0] for name in set(after) - set(before)} == {"full_train", "full_predict"}
    assert recipes(full_data=False) == before


def full_jobs(*seeds: int) -> set[str]:
    return {
        f"full_{stage} {model}/round0/full/seed{seed}"
        for stage in ("train", "predict")
        for model in ("slim", "wide")
        for seed in seeds
    }


def edit(folder: Path, **changes: object) -> None:
    path = folder / made_run.CONFIG
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))


def test_an_edit_trains_what_it_must(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "run"
    made_run.finish(run, full_data={"seeds": [0]}, **ROUND_0)
    assert would_run(run) == set()
    edit(run, full_data={"seeds": [0, 1]})
    assert would_run(run) == full_jobs(1) | LATE
    edit(run, full_data={"seeds": [0], "test": "join"})
    assert would_run(run) == LATE
    edit(run, full_data={"seeds": [0]}, folds={"n_folds": 2, "seed": 1})
    made_run.make_folds()
    after = would_run(run)
    assert "train slim/round0/fold0/seed0" in after
    assert not after & full_jobs(0), "another split changes no network of all rows"
    edit(run, folds={"n_folds": 2})
    made_run.make_folds()
    assert would_run(run) == set()
    table = pd.read_csv(run / "raw/train.csv", dtype=str)
    table.assign(label=[*table["label"][1:2], *table["label"][1:]]).to_csv(run / "raw/train.csv", index=False)
    made_run.make_folds()
    assert would_run(run) >= full_jobs(0), "another label"


# --- refusals


SOUP = {"name": "mix", "soup": ["b0", "b3"]}
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"full_data": {"models": ["b4"]}}, r"full_data\.models: no model is named 'b4'; nearest is 'b[03]'; allowed: b0, b3"),
    (
        {"models": [*BASE["models"], SOUP], "full_data": {"models": ["mix"]}},
        r"full_data\.models: 'mix' is a soup, which is not trained; allowed: b0, b3",
    ),
    (
        {"ensemble": {"weights": {"b3": 0}}, "full_data": {"models": ["b3"]}},
        r"full_data\.models: 'b3' has weight 0 in the ensemble, so nothing would use its networks; allowed: b0",
    ),
    (
        {"external": [{"name": "trees", "oof": "o.csv", "test": "t.csv"}], "full_data": {"models": ["trees"]}},
        r"full_data\.models: 'trees' is another tool's; give its test predictions in external\.test; allowed: b0, b3",
    ),
    (
        {"train": {"epochs": 30, "schedule": "plateau"}},
        r"full_data: b0 has the schedule plateau, which needs validation scores; use another schedule \(cosine\), or leave",
    ),
    (
        {"models": [BASE["models"][0], {**BASE["models"][1], "train": {"distill": {"teacher": "b0"}}}]},
        r"full_data: b3 learns from a teacher \(train\.distill\), which has no network of all rows; remove distill, or leave",
    ),
    (
        {"rounds": [{}, {"clean": {"folds": 2}}]},
        r"full_data: b0 in round 1 is trained on cleaned labels, which are cleaned by fold; remove clean from the round",
    ),
    (
        {"rounds": [{}, {"teacher": {"adapt": {"by": "accuracy"}}}]},
        r"full_data: b0 in round 1 has pseudo labels whose thresholds are moved by accuracy, which is measured by fold",
    ),
    (
        {"data": {key: value for key, value in BASE["data"].items() if key != "test"}},
        r"full_data: there are no test images, which its networks are to predict; name them in data, or remove full_data",
    ),
    ({"full_data": "all"}, r"full_data = 'all': write true, or a section: \{seeds: \[0, 1\], test: join\}"),
    ({"full_data": {"test": "both"}}, r"full_data\.test = 'both': .*allowed: 'replace'"),
    ({"full_data": {"sedes": [1]}}, r"full_data\.sedes: unknown key; nearest is 'seeds'"),
    ({"full_data": {"seeds": []}}, r"full_data\.seeds"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "said"), REFUSED)
def test_what_cannot_be_trained_on_all_rows_is_refused_before_any_job(
    changes: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("o.csv", "t.csv"):
        Path(name).write_text("id\n")
    with pytest.raises(ConfigError) as caught:
        parse({**BASE, "full_data": True, **changes})
    assert re.search(said, str(caught.value)), caught.value


def test_soups_and_snapshots_keep_their_fold_networks_and_a_quick_run_has_one_seed() -> None:
    found = plan(models=[*BASE["models"], SOUP])
    assert found.full.rounds == {"b0": 0, "b3": 0}
    cycles = {"epochs": 4, "snapshots": 2, "schedule": {"cosine": {"cycles": 2}}}
    job = plan(train={**BASE["train"], **cycles}).jobs("full_train")[0]
    config = parse({**BASE, "train": {**BASE["train"], **cycles}, "full_data": True})
    assert "snapshots" not in recipe(config, job)["settings"]["model"]["train"]
    assert parse({**BASE, "quick": True, "full_data": {"seeds": [4, 5]}}).on_all_rows.seeds == (0,)


# --- lists


def test_the_list_of_all_rows_has_every_labelled_row_and_goes_with_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made_run.finish(tmp_path / "run", made_run.write_metadata, **made_run.METADATA, full_data=True, **ROUND_0)
    lists = Path("results/tiny/folds")
    whole, train = pd.read_csv(lists / "full.csv", dtype=str), pd.read_csv(lists / "train.csv", dtype=str)
    assert whole["id"].tolist() == train["id"].tolist()
    assert set(whole["split"]) == {"train"}
    assert list(whole) == list(pd.read_csv(lists / "fold0.csv", dtype=str))
    assert pd.read_csv(lists / "full-metadata.csv", dtype=str)["id"].tolist() == train["id"].tolist()
    found = plan_of(made_run.config())
    job = next(job for job in found.jobs("full_train") if job.model == "slim")
    assert found.metadata_lists(job) == ["full-metadata.csv"]
    assert found.metadata_lists(job._replace(stage="full_predict")) == ["test-metadata.csv"]
    settings = slices.folds(made_run.config())
    folds.run("results/tiny/manifest", "results/tiny/folds", **{**settings, "full": False})
    assert not list(lists.glob("full*"))


# --- trainings


@pytest.fixture
def all_rows(tiny: Tiny, tmp_path: Path) -> str:
    """The list of all rows of the labels."""
    return _all_rows(tiny, tmp_path)


def _all_rows(tiny: Tiny, folder: Path) -> str:
    path = folder / "full.csv"
    pd.read_csv(tiny.fold_file(), dtype=str).assign(split="train").to_csv(path, index=False)
    return str(path)


def test_a_training_on_all_rows_validates_nothing_and_resumes_with_the_same_bytes(
    tiny: Tiny, all_rows: str, tmp_path: Path
) -> None:
    given = {"fold_file": all_rows, "place": ON_ALL}
    train = {"epochs": 4, "swa": {"start": 0.5}, "augment": "medium", "validate_every": 2}
    model = tiny.model(train)
    facts = tiny.train(tmp_path / "whole", model=model, **given)
    n = len(pd.read_csv(all_rows))
    assert {key: facts[key] for key in ("n_train", "n_val", "epochs", "swa", "files")} == {
        "n_train": n, "n_val": 0, "epochs": 4, "swa": {"averaged": 2}, "files": [],
    }  # fmt: skip
    assert list(pd.read_csv(tmp_path / "whole/history.csv")) == ["epoch", "train_loss", "lr"]
    assert sorted(bytes_of(tmp_path / "whole")) == ["history.csv", "model.safetensors"]
    for step in (2, 4 * (n // 8)):
        run_until(step, tiny, tmp_path / str(step), model=model, **given)
        assert tiny.train(tmp_path / str(step), model=model, **given)["resumed_at_step"] == [step - 1]
        assert bytes_of(tmp_path / str(step)) == bytes_of(tmp_path / "whole")


@pytest.mark.parametrize(("checkpoint", "numbers"), [("best", [2, 3, 1]), ("last", [3, 5, 4])])
def test_the_training_ends_after_the_median_of_the_epochs_of_the_folds_with_their_rates(
    checkpoint: str, numbers: list[int], tiny: Tiny, all_rows: str, tmp_path: Path
) -> None:
    paths = []
    for number, (best, n) in enumerate(zip([2, 3, 1], [3, 5, 4], strict=True)):
        paths.append(tmp_path / f"{number}.csv")
        scores = [0.9 if epoch == best - 1 else 0.5 for epoch in range(n)]
        pd.DataFrame({"epoch": range(n), "accuracy": scores}).to_csv(paths[-1], index=False)
    model = tiny.model({"epochs": 6, "warmup_epochs": 0, "checkpoint": checkpoint})
    given = {"fold_file": all_rows, "place": ON_ALL, "model": model}
    facts = tiny.train(tmp_path / "frozen", **given, histories=list(map(str, paths)))
    wanted = sorted(numbers)[1]
    assert (facts["epochs"], facts["epochs_of_folds"]) == (wanted, numbers)
    assert facts["stopped"]["by"] == "full_data"
    found, planned = pd.read_csv(tmp_path / "frozen/history.csv"), tmp_path / "planned"
    tiny.train(planned, **given)
    assert found["lr"].tolist() == pd.read_csv(planned / "history.csv")["lr"].tolist()[:wanted], "the same schedule"
    assert found["stopped"].iloc[-1].startswith("full_data: the median of the epochs of folds and seeds")
    run_until(
        2 * (len(pd.read_csv(all_rows)) // 8), tiny, tmp_path / "killed", **given, histories=list(map(str, paths))
    )
    tiny.train(tmp_path / "killed", **given, histories=list(map(str, paths)))
    assert bytes_of(tmp_path / "killed") == bytes_of(tmp_path / "frozen")


def test_labels_of_runs_on_all_rows_come_from_the_mean_over_the_folds(tiny_of: dict[str, Tiny], tmp_path: Path) -> None:
    tiny = tiny_of["classification"]
    results = write_results(tiny, tmp_path / "results/x", {"net": 1.0, "second": 1.0})
    paths = [
        str(results / f"predict/{name}/round0/fold{k}/seed0/test.npz") for k in (0, 1) for name in ("net", "second")
    ]
    settings = {"task": tiny.task, "classes": str(tiny.folds / "classes.json"), "weights": {}, "workers": 1}
    settings |= {"settings": {"method": "probability"}, "threshold": 0.0}
    pseudo_label.run(predictions={"test": paths}, out=str(tmp_path / "all.csv"), fold=WHOLE, **settings)
    found = pd.read_csv(tmp_path / "all.csv", dtype={"id": str})
    output = tasks.output(tiny.task, tiny.classes)
    mean = np.mean([output.fuse([load(path)], [1.0], 1)["probabilities"] for path in paths], axis=0)
    assert found["confidence"].to_numpy() == pytest.approx(mean.max(axis=1), abs=1e-6)


# --- predictions of the test images


def add_full(tiny: Tiny, results: Path, seeds: tuple[int, ...]) -> None:
    """Networks of all rows in finished results, with their records."""
    shutil.copyfile(_all_rows(tiny, results / "folds"), results / "folds/full.csv.tmp")
    (results / "folds/full.csv.tmp").replace(results / "folds/full.csv")
    made = read_json(results / "predict/net/round0/fold0/seed0/run.json")["recipe"]["settings"]
    model = tiny.model({"epochs": 1, "warmup_epochs": 0})
    for seed in seeds:
        place, where = {**ON_ALL, "seed": seed}, Run("net", 0, WHOLE, seed).folder
        folders = [results / stage / where for stage in ("full_train", "full_predict")]
        tiny.train(folders[0], model=model, fold_file=str(results / "folds/full.csv"), place=place)
        weights, predicted = f"full_train/{where}/model.safetensors", f"full_predict/{where}/test.npz"
        record(results, f"full_train/{where}/run.json", "full_train", {}, [], [weights])
        tiny.predict(folders[1], results / weights, "test", model=model, fold_file=None, place=place)
        assert sorted(path.name for path in folders[1].iterdir()) == ["test.npz"], "no out-of-fold predictions"
        settings = {**made, "place": place}
        record(results, f"full_predict/{where}/run.json", "full_predict", settings, [weights], [predicted])
    lists = ["folds/classes.json", "folds/train.csv", "folds/test.csv", "folds/full.csv"]
    record(results, "folds/run.json", "folds", {"splitter": "stratified"}, [], [], lists)


@pytest.mark.parametrize("task", TASKS)
def test_networks_of_all_rows_predict_the_test_images_and_change_no_score(
    task: str, tiny_of: dict[str, Tiny], in_tmp: Path
) -> None:
    """In the submission and in a bundle, for every task; out-of-fold predictions, weights and scores keep their bytes."""
    tiny = tiny_of[task]
    results = write_results(tiny, in_tmp / task)
    kept = [
        "leaderboard.csv",
        *(f"ensemble/{name}" for name in ("oof.npz", "weights.json", "fitted.json", "rounds.csv")),
    ]
    kept += ["metrics.json"]
    before = {name: (results / name).read_bytes() for name in kept}
    of_folds = load(results / "ensemble/test.npz")
    add_full(tiny, results, (3, 4))
    given = {"rounds": {"net": 0}, "seeds": [3, 4], "test": "replace"}
    fuse(tiny, results, {"net": 1.0}, full_data=given, on_all_rows=str(results / "full_predict"))
    assert {name: (results / name).read_bytes() for name in kept} == before
    wanted = load(results / "ensemble/test.npz")
    assert any(not np.array_equal(wanted[name], of_folds[name]) for name in of_folds if not name.startswith("ids"))
    manifest = export(results, in_tmp / "bundle")
    assert [member.weights for member in manifest.members] == [
        ["weights/net-full-seed3.safetensors", "weights/net-full-seed4.safetensors"]
    ]
    rows = len(pd.read_csv(results / "folds/full.csv"))
    assert manifest.validation["full_data"] == {"models": ["net"], "test": "replace", "rows": rows}
    found = goldfold.load(in_tmp / "bundle").predict(pd.read_csv(tiny.folds / "test.csv", dtype=str)["path"].tolist())
    for name, array in wanted.items():
        if array.dtype.kind != "U":
            np.testing.assert_allclose(found.arrays[name], array, atol=1e-5)
    said = card.text(manifest)
    assert "**The score and its interval belong to the networks of the folds.**" in said
    assert f"trained on all {rows} labelled images. These have no score of their own" in said


def test_joined_networks_count_the_same(tiny_of: dict[str, Tiny], in_tmp: Path) -> None:
    tiny = tiny_of["classification"]
    results = write_results(tiny, in_tmp / "joined")
    add_full(tiny, results, (3,))
    given = {"rounds": {"net": 0}, "seeds": [3], "test": "join"}
    fuse(tiny, results, {"net": 1.0}, full_data=given, on_all_rows=str(results / "full_predict"))
    parts = [f"predict/net/round0/fold{fold}" for fold in (0, 1)] + ["full_predict/net/round0/full"]
    paths = [next((results / part).rglob("test.npz")) for part in parts]
    mean = tasks.output(tiny.task, tiny.classes).fuse([load(path) for path in paths], [1.0] * 3, 1)
    found = load(results / "ensemble/test.npz")
    np.testing.assert_allclose(found["probabilities"], mean["probabilities"], atol=1e-7)
    assert len(export(results, in_tmp / "bundle").members[0].weights) == 3


# --- a whole run


def test_a_finished_run_gets_networks_of_all_rows_and_keeps_its_score(
    tiny_run: Path, code: Path, tmp_path: Path
) -> None:
    """Its second round is trained on pseudo labels, here those of all folds."""
    shutil.copytree(tiny_run, tmp_path / "run", symlinks=True)
    run, results = tmp_path / "run", tmp_path / "run/results/tiny"
    before = {name: (results / name).read_bytes() for name in ("metrics.json", "leaderboard.csv", "ensemble/oof.npz")}
    write_config(run, full_data={"models": ["slim"], "seeds": [5]})
    made = snakemake(run, code=code)
    assert made.returncode == 0, made.stdout + made.stderr
    assert {name: (results / name).read_bytes() for name in before} == before
    found = read_json(results / "full_train/slim/round1/full/seed5/run.json")
    assert found["member"] == {"model": "slim", "round": 1, "fold": WHOLE, "seed": 5}
    assert (found["n_train"], found["n_pseudo"], found["n_val"]) == (50, 10, 0)
    assert {path for path in found["inputs"] if "/cache/" not in path} == {
        f"results/tiny/{name}" for name in ("folds/full.csv", "folds/classes.json", "pseudo/round1/full.csv")
    }
    page = (results / "report/report.html").read_text()
    assert "The score and its interval belong to the fold networks" in page
    assert "networks of slim trained on all 40 labelled images" in page
    weights = [member.weights for member in export(results, tmp_path / "bundle").members]
    assert sorted(map(len, weights)) == [1, 2], "slim has one network, wide two"
    assert jobs_of(snakemake(run, "-n", code=code)) == {}
    assert not list((results / "full_train").rglob("state.pt"))
