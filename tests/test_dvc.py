"""`dvc repro` makes what `snakemake` makes and runs again what `snakemake` would: in a copy of this repository with a tiny
config and its raw data under DVC, and in a clone of it that pulled from a remote."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import yaml
from dvc.repo import Repo

import forks
from goldfold.base.errors import ConfigError
from goldfold.config import parse
from goldfold.config.members import refuse_other_members
from goldfold.planning.outputs import files_of
from goldfold.planning.plan import plan_of
from test_reruns_real import models_of
from test_workflow import ROOT, TINY, write_images

BIN = Path(sys.executable).parent
RESULTS = "results/tiny"
NOT_KEPT = {"cache", "logs", ".lock", ".status", ".submission.run.json.lock", "provenance.json"}
"""What has no version: the cache is rebuilt only for jobs that run, the others tell of runs on this machine."""
MODELS: Any = TINY["models"]
Made = dict[Path, tuple[str, float]]


def run(folder: Path, *words: str) -> str:
    """What a command said that went well."""
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(forks.folder()), str(BIN), os.environ["PATH"]]),
        "PYTHONPATH": str(folder / "src"),
        "DVC_SITE_CACHE_DIR": str(folder / ".dvc/tmp/site"),
        **{f"GIT_{who}_{what}": "tests" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }
    result = subprocess.run(words, capture_output=True, text=True, cwd=folder, env=environment)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


def make_project(folder: Path, **changes: Any) -> Path:
    files = run(ROOT, "git", "ls-files", "-co", "--exclude-standard", "-z").split("\0")[:-1]
    for name in files:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    write_images(folder)
    config = {**TINY, "pseudo_labels": {"rounds": 0}, **changes}
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    write_members(folder, config["models"])
    run(folder, "git", "init", "-q")
    run(folder, "dvc", "add", "raw")
    run(folder, "dvc", "remote", "add", "-d", "store", str(folder.with_name("remote")))
    commit(folder)
    return folder


def write_members(folder: Path, models: list[dict[str, Any]]) -> None:
    """Name the stages after the models."""
    pipeline, names = folder / "dvc.yaml", ", ".join(model["name"] for model in models)
    text, n = re.subn(r"- members: \[.*?\]", f"- members: [{names}]", pipeline.read_text())
    assert n == 1
    pipeline.write_text(text)


def commit(folder: Path) -> None:
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-q", "-m", "state")


def edit(folder: Path, **changes: Any) -> None:
    config = yaml.safe_load((folder / "config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump({**config, **changes}, sort_keys=False))
    write_members(folder, {**config, **changes}["models"])


def made(folder: Path) -> Made:
    """By record: the rule of the job that wrote it, and when that started."""
    found = {path: json.loads(path.read_text()) for path in (folder / RESULTS).rglob("*run.json")}
    return {path.relative_to(folder / RESULTS): (record["rule"], record["started"]) for path, record in found.items()}


def jobs_since(before: Made, folder: Path) -> dict[str, int]:
    """Jobs that really ran, by rule."""
    return Counter(rule for path, (rule, started) in made(folder).items() if before.get(path) != (rule, started))


def is_settled(folder: Path) -> bool:
    """Whether DVC sees no change but that folds are always looked at."""
    status = json.loads(run(folder, "dvc", "status", "--json"))
    return dict(status) == {"folds": ["always changed"]}


def test_stages_are_named_after_the_models_of_the_config() -> None:
    shipped, config = (yaml.safe_load((ROOT / name).read_text()) for name in ("dvc.yaml", "config.yaml"))
    refuse_other_members(shipped, config)
    config["models"].append({"name": "third"})
    said = r"dvc\.yaml: members are \[resnet10t, small_resnet\], .* below vars: members: \[resnet10t, small_resnet, third\]"
    with pytest.raises(ConfigError, match=said):
        refuse_other_members(shipped, config)


def test_every_file_of_every_stage_but_cached_images_has_a_version() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].values()
    outs = [next(iter(out)) for stage in stages for out in [*stage["outs"], *stage.get("metrics", [])]]
    kept = tuple(out.replace("${name}", "tiny").replace("${item.model}", "{model}") for out in outs)
    stages_of_plan = {
        name: files for name, files in files_of(plan_of(parse(TINY))).items() if name not in ("demo", "cache")
    }
    assert [path for files in stages_of_plan.values() for path in files.all if not path.startswith(kept)] == []


@pytest.fixture(scope="module")
def project(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What was run without DVC, and then by it with another setting of one model, one more test image and no rounds."""
    changed = {**MODELS[1], "train": {"lr": 0.01}}
    folder = make_project(tmp_path_factory.mktemp("dvc") / "project", models=[MODELS[0], changed])
    others = shutil.ignore_patterns("round1", "pseudo", "cache", "logs")
    shutil.copytree(tiny_run / RESULTS, folder / RESULTS, symlinks=True, ignore=others)
    before, models_before = made(folder), models_of(folder)
    cv2.imwrite(str(folder / "raw/images/new.png"), np.full((16, 16), 200, np.uint8))
    with (folder / "raw/test.csv").open("a") as table:
        table.write("new\n")
    run(folder, "dvc", "add", "raw")
    run(folder, "dvc", "repro")
    assert jobs_since(before, folder) == {
        "manifest": 1, "folds": 1, "cache": 4, "train": 2, "predict": 4, "ensemble": 1, "submit": 1, "report": 1,
    }  # fmt: skip
    touched = {path for path in models_before if "/slim/" in path or path.startswith("ensemble/") or "/test." in path}
    models = models_of(folder)
    assert {path for path in models_before if models[path][1] != models_before[path][1]} == touched
    commit(folder)
    return folder


@pytest.fixture(scope="module")
def clone(project: Path) -> Path:
    commit(project)
    run(project, "dvc", "push", "--all-commits")
    folder = project.with_name("clone")
    run(project, "git", "clone", "-q", str(project), str(folder))
    assert not (folder / "results").exists()
    assert not (folder / "raw").exists()
    return folder


def test_repro_makes_results_and_score(project: Path) -> None:
    assert len(pd.read_csv(project / RESULTS / "submission.csv")) == 11
    shown = json.loads(run(project, "dvc", "metrics", "show", "--json"))[""]["data"]
    (score,) = (shown[f"{RESULTS}/headline.json"]["data"],)
    assert list(shown) == [f"{RESULTS}/headline.json"]
    assert score["oof"]["accuracy"] == json.loads((project / RESULTS / "metrics.json").read_text())["oof"]["accuracy"]
    assert set(score) == {"task", "metric", "oof"}, "a handful of numbers"


def test_all_that_is_made_has_a_version(project: Path) -> None:
    lock = yaml.safe_load((project / "dvc.lock").read_text())
    kept = {project / out["path"] for stage in lock["stages"].values() for out in stage["outs"]}
    assert len(kept) == 3 + 2 * 2 + 15 + 4  # folds, a member each, ensemble, result
    files = [path for path in (project / RESULTS).rglob("*") if path.is_file()]
    left = {path.relative_to(project / RESULTS).parts[0] for path in files if not kept & {path, *path.parents}}
    assert left <= NOT_KEPT
    assert is_settled(project)


def test_untouched_tree_has_nothing_to_do(project: Path) -> None:
    before = made(project)
    said = run(project, "dvc", "repro")
    assert said.count("Nothing to be done") == 1  # Snakemake looked at the raw data
    for stage in ("member@wide", "member@slim", "ensemble", "result"):
        assert f"Stage '{stage}' didn't change, skipping" in said
    assert jobs_since(before, project) == {}


def test_comment_and_touch_run_nothing(project: Path) -> None:
    before, config = made(project), project / "config.yaml"
    config.write_text(f"# a comment\n{config.read_text()}")
    touched = [*(project / "raw/images").iterdir(), *(project / RESULTS).rglob("*.csv"), project / "Snakefile"]
    for path in touched:
        os.utime(path)
    said = run(project, "dvc", "repro")
    assert "Stage 'member@wide' didn't change, skipping" in said
    assert jobs_since(before, project) == {}
    assert is_settled(project)


def test_an_experiment_with_another_method_trains_nothing(project: Path) -> None:
    before = made(project)
    said = run(project, "dvc", "exp", "run", "-n", "ranks", "-S", "config.yaml:+ensemble.method=rank")
    assert "Ran experiment(s): ranks" in said
    assert jobs_since(before, project) == {"ensemble": 1, "submit": 1, "report": 1}
    assert '"method": "rank"' in (project / RESULTS / "ensemble/weights.json").read_text()
    assert is_settled(project)
    shown = json.loads(run(project, "dvc", "exp", "show", "--json"))
    assert "ranks" in [experiment["name"] for base in shown for experiment in base["experiments"] or []]


@pytest.mark.slow
def test_corrected_label_trains_all_and_decodes_nothing(project: Path) -> None:
    before, table = made(project), project / "raw/train.csv"
    table.write_text(table.read_text().replace("00,light", "00,dark", 1))
    run(project, "dvc", "add", "raw")
    run(project, "dvc", "repro")
    assert jobs_since(before, project) == {
        "manifest": 1, "folds": 1, "train": 4, "predict": 4, "ensemble": 1, "submit": 1, "report": 1,
    }  # fmt: skip
    assert is_settled(project)


MEMBERS, BELOW = {"member@wide", "member@slim"}, {"ensemble", "result"}
ALL_STAGES = MEMBERS | BELOW


@pytest.mark.parametrize(
    ("file", "old", "new", "stages"),
    [
        pytest.param("config.yaml", "name: tiny", "name: tiny\nseeds: [0, 1]", ALL_STAGES, id="a seed more"),
        pytest.param("config.yaml", "name: slim", "name: slim\n  dropout: 0.1", ALL_STAGES, id="a model's setting"),
        pytest.param("config.yaml", "tta:", "tta:\n- vflip", ALL_STAGES, id="tta"),
        pytest.param("config.yaml", "gallery: 4", "gallery: 5", ALL_STAGES, id="report"),
        pytest.param("src/goldfold/engine/loop.py", "", "\nADDED = 1\n", ALL_STAGES, id="code of engine"),
        pytest.param("src/goldfold/ensembling/average.py", "", "\nADDED = 1\n", ALL_STAGES, id="code of ensembling"),
        pytest.param("workflow/scripts/predict.py", "", "\nADDED = 1\n", ALL_STAGES, id="a script"),
        pytest.param(f"{RESULTS}/train/slim/round0/fold1/seed0/model.safetensors", None, None,
                     {"member@slim", "result"}, id="a deleted model"),
        pytest.param(f"{RESULTS}/leaderboard.csv", None, None, {"ensemble"}, id="a deleted file of the ensemble"),
        pytest.param(f"{RESULTS}/folds/fold1.csv", None, None, ALL_STAGES, id="a deleted list"),
    ],
)  # fmt: skip
def test_snakemake_is_asked_wherever_an_edit_of_the_matrix_has_jobs(
    file: str, old: str | None, new: str | None, stages: set[str], project: Path
) -> None:
    """What is run inside a stage is Snakemake's matter (test_reruns.py); a stage that DVC skips would never ask it."""
    path = project / file
    before, times = path.read_bytes(), path.stat()
    if old is None or new is None:
        path.unlink()
    else:
        text = before.decode()
        assert old in text
        path.write_text(text.replace(old, new, 1) if old else text + new)
    try:
        stale = statuses(project)
    finally:
        path.write_bytes(before)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert stale >= {"folds", *stages}


def statuses(folder: Path) -> set[str]:
    """Stages that `dvc repro` would run, were each of the others up to date; asked here, as ten starts of DVC take long."""
    with contextlib.chdir(folder), closing(Repo()) as repo:
        return set(repo.status())


def test_plots_show_curves_and_confusion(project: Path) -> None:
    said = run(project, "dvc", "plots", "show", "-o", "plots")
    page = (project / "plots/index.html").read_text()
    assert "WARNING" not in said
    assert page.count("vegaEmbed(") == 4
    for title in ("training loss", "validation loss", "validation score", "out-of-fold confusion"):
        assert title in page
    for member in ("wide-seed0", "slim-seed0"):
        assert page.count(f'"member": "{member}"') == 3 * 2  # plots x folds
    assert '"prediction": "' in page


def test_ci_in_a_fresh_clone_pulls_and_runs_nothing(project: Path, clone: Path) -> None:
    said = run(clone, "make", "ci-repro", f"BIN={BIN}", "-o", ".venv/.ready")
    assert "oof.accuracy.value" in said
    assert made(clone) == {path: job for path, job in made(project).items() if job[0] != "cache"}
    assert "Nothing to be done" in run(clone, "snakemake", "-n")
    assert run(clone, "git", "status", "--short") == ""


def test_results_of_an_earlier_commit_come_back(clone: Path) -> None:
    before = made(clone)
    run(clone, "git", "checkout", "-q", "HEAD~1")
    run(clone, "dvc", "pull")
    assert set(jobs_since(before, clone)) == {"ensemble", "submit", "report"}, "their records are the older ones"
    assert "Nothing to be done" in run(clone, "snakemake", "-n")


@pytest.mark.slow
def test_rounds_are_trained_once_whichever_member_is_asked_for_first(tmp_path: Path) -> None:
    folder = make_project(tmp_path / "project", pseudo_labels={"rounds": 1, "threshold": 0.0})
    run(folder, "dvc", "repro", "member@slim")  # its second round learns from the first of both
    before = made(folder)
    assert Counter(rule for rule, _ in before.values())["train"] == 6
    run(folder, "dvc", "repro")
    assert jobs_since(before, folder) == {"train": 2, "predict": 2, "ensemble": 1, "submit": 1, "report": 1}
    assert is_settled(folder)
    commit(folder)
    run(folder, "dvc", "push")
    clone = tmp_path / "clone"
    run(folder, "git", "clone", "-q", str(folder), str(clone))
    run(clone, "dvc", "pull")
    assert "Nothing to be done" in run(clone, "snakemake", "-n")
    before = made(clone)
    run(clone, "dvc", "repro")
    assert jobs_since(before, clone) == {}
    (clone / RESULTS / "train/wide/round0/fold0/seed0/history.csv").unlink()
    run(clone, "dvc", "repro")
    assert (clone / RESULTS / "train/wide/round0/fold0/seed0/history.csv").exists()
    assert is_settled(clone)
