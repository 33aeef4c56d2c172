"""Edits that are taken back, looked at only, or made while files have times of their own choosing."""

import json
import os
import shutil
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

import forks
import made_run
from goldfold import cli
from goldfold.base.files import read_json, sealed, write_json
from goldfold.planning.plan import Job
from made_run import would_run
from test_reruns import EVERY_RUN, LATE, caches, planned, runs
from test_workflow import TINY, snakemake, write_config

RESULTS = "results/tiny"
MODELS: Any = TINY["models"]


@pytest.fixture
def run(made_up_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A made-up run of one's own."""
    monkeypatch.chdir(tmp_path)  # and back again after the test
    return Path(shutil.copytree(made_up_run / "left", tmp_path / "run"))


@pytest.fixture
def real_run(tiny_run: Path, tmp_path: Path) -> Path:
    """A real one."""
    return Path(shutil.copytree(tiny_run, tmp_path / "real run", symlinks=True))


def edit(folder: Path, **changes: object) -> None:
    write_config(folder, **changes)


def date(paths: Iterable[Path], seconds_from_now: float) -> None:
    when = time.time() + seconds_from_now
    for path in paths:
        os.utime(path, (when, when))


def files(folder: Path) -> list[Path]:
    return [path for path in (folder / "results").rglob("*") if path.is_file()]


def test_a_setting_that_comes_back_is_run_again(run: Path) -> None:
    for title in ("Yours", "Mine", "Yours"):
        edit(run, report={"title": title})
        assert made_run.run(run) == {"report"}
        assert read_json(run / RESULTS / "report/run.json")["recipe"]["settings"]["title"] == title
    assert would_run(run) == set()


def test_what_was_only_looked_at_still_runs_after_another_edit_and_a_touch(run: Path) -> None:
    edit(run, models=[{**MODELS[0], "train": {"lr": 0.01}}, MODELS[1]])
    jobs = would_run(run)
    assert jobs >= runs("train", models="wide")
    for seconds in (0, 86400 * 2, -86400):
        date(files(run), seconds)
        assert would_run(run) == jobs
    edit(run, models=[{**MODELS[0], "train": {"lr": 0.02}}, MODELS[1]])
    assert would_run(run) == jobs
    date(files(run), 0)
    edit(run, models=[{**MODELS[0], "train": {"lr": 0.01}}, MODELS[1]])
    assert would_run(run) == jobs
    edit(run)
    assert would_run(run) == set()


def test_results_of_the_future_hide_no_edit(run: Path) -> None:
    date(files(run), 86400 * 2)
    assert would_run(run) == set()
    edit(run, tta=["identity"])
    assert would_run(run) >= runs("predict") | LATE
    edit(run)
    table = run / "raw/train.csv"
    table.write_text(table.read_text().replace("00,light", "00,dark", 1))
    assert would_run(run) >= {"manifest", "folds"}
    made_run.make_folds()
    assert would_run(run) == EVERY_RUN


def test_raw_data_that_come_back_after_the_folds_were_made_train_nothing(run: Path) -> None:
    table = run / "raw/train.csv"
    before = table.read_text()
    for text, jobs in ((before.replace("00,light", "00,dark", 1), EVERY_RUN), (before, set[str]())):
        table.write_text(text)
        assert would_run(run) >= {"manifest", "folds"}
        made_run.make_folds()
        assert would_run(run) == jobs


def test_a_record_that_cannot_be_read_is_no_proof(run: Path) -> None:
    (run / RESULTS / "train/slim/round1/fold0/seed0/run.json").write_text("")
    assert would_run(run) >= runs("train", models="slim", rounds=[1], folds=[0])


def test_a_file_that_was_cut_is_made_again(run: Path) -> None:
    model = run / RESULTS / "train/slim/round1/fold0/seed0/model.safetensors"
    model.write_bytes(b"")
    date([model], -86400)
    assert would_run(run) >= runs("train predict", "slim", [1], [0]) | LATE
    history = run / RESULTS / "train/wide/round1/fold0/seed0/history.csv"
    history.write_text(history.read_text() + "1")
    assert would_run(run) >= runs("train", "wide", [1], [0])


def test_a_deleted_list_is_made_again(run: Path) -> None:
    (run / RESULTS / "folds/fold0.csv").unlink()
    assert would_run(run, [Job("folds")]) == {"folds"}
    made_run.make_folds()
    assert would_run(run) == set()


def test_a_file_that_was_put_back_from_another_run_makes_what_was_made_from_it_stale(run: Path) -> None:
    """As `dvc checkout` of one folder of results does: the older model with its own record."""
    place = run / RESULTS / "train/slim/round1/fold0/seed0"
    model, record = place / "model.safetensors", read_json(place / "run.json")
    model.write_bytes((run / RESULTS / "train/slim/round1/fold1/seed0/model.safetensors").read_bytes())
    name = str(model.relative_to(run))
    record["outputs"][name] = read_json(run / RESULTS / "train/slim/round1/fold1/seed0/run.json")["outputs"][
        name.replace("fold0", "fold1")
    ]
    write_json(place / "run.json", sealed(record))
    date([model, place / "run.json"], -86400 * 300)
    assert would_run(run) - {"cache 12x12-squash/train-0"} >= runs("predict", "slim", [1], [0]) | LATE


def test_the_order_of_models_means_nothing(run: Path) -> None:
    edit(run, models=[MODELS[1], MODELS[0]])
    assert would_run(run) == {"report"}


def test_pseudo_label_sources_are_part_of_the_recipe(run: Path) -> None:
    made_run.enter(run)
    recipe = made_run.session().recipe_file(Job("pseudo_label", round=1, fold=0))
    assert read_json(recipe)["data"]["sources"] == ["test"]


def test_predictions_that_are_asked_for_anew_wait_for_their_images(run: Path, code: Path) -> None:
    shutil.rmtree(run / RESULTS / "cache")
    jobs = planned(run, code, "--forcerun=predict")  # which asserts it of each
    assert jobs >= runs("predict") | caches(runs("predict"))


def test_a_test_set_that_comes_later_waits_for_its_images(run: Path) -> None:
    for path in (run / RESULTS / "predict").rglob("run.json"):  # as if there had been none when they were made
        record = read_json(path)
        test = str(path.with_name("test.npz").relative_to(run))
        del record["outputs"][test]
        write_json(path, sealed(record))
        path.with_name("test.npz").unlink()
    shutil.rmtree(run / RESULTS / "cache")
    assert would_run(run) >= runs("predict", rounds=[0]) | caches(runs("predict", rounds=[0]))


def test_a_run_of_one_model_leaves_the_state_of_another(real_run: Path, code: Path) -> None:
    run = real_run
    other = run / RESULTS / "train/wide/round0/fold0/seed0"
    for path in other.iterdir():
        path.unlink()
    (other / "state.pt").write_text("of a training that was killed")
    shutil.rmtree(run / RESULTS / "predict/slim/round0/fold0")
    result = snakemake(run, f"{RESULTS}/predict/slim/round0/fold0/seed0/oof.npz", code=code)
    assert result.returncode == 0, result.stdout + result.stderr
    assert (other / "state.pt").exists()


def test_why_on_a_real_plan(
    real_run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = real_run
    monkeypatch.chdir(run)
    monkeypatch.setattr(sys, "executable", str(forks.folder() / "python"))  # with which it starts Snakemake
    words = [f"{RESULTS}/metrics.json", "--configfile", "tiny.yaml"]
    assert cli.main(["why", *words]) == 0
    assert capsys.readouterr().out.startswith("Nothing would run")
    edit(run, models=[{**MODELS[0], "train": {"lr": 0.01}}, MODELS[1]])
    cli.main(["why", "--json", *words])
    told = json.loads(capsys.readouterr().out)
    assert told["trainings"] == len(runs("train", "wide") | runs("train", "slim", rounds=[1]))
    causes = [cause for job in told["jobs"] for cause in job["causes"] if job["rule"] == "train"]
    assert {"kind": "setting", "name": "model.train.lr", "old": 0.001, "new": 0.01} in causes
    edit(run)
    table = run / "raw/train.csv"
    table.write_text(table.read_text().replace("00,light", "00,dark", 1))
    cli.main(["why", *words])
    said = capsys.readouterr().out
    assert said.startswith("2 jobs would run, none of them trainings: ")
    assert "raw/train.csv changed" in said
    made = {path: path.stat().st_mtime_ns for path in (run / RESULTS / "train").rglob("model.safetensors")}
    cli.main(["why", "--look", *words])
    assert "raw/train.csv" not in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in made} == made, "--look trains nothing"
