"""One whole run of features that meet only in whole runs: distillation, unlabelled images, pseudo labels, snapshots, soups and
a sealed holdout. A new feature that needs a whole run is added to `FEATURES`, and gets a test here."""

import contextlib
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from goldfold import cli
from goldfold.base.files import read_json
from goldfold.bundles.export import export
from goldfold.planning.outputs import SEALED
from test_workflow import N_TEST, TINY, snakemake, write_images

_TINY: Any = TINY
WIDE, SLIM = _TINY["models"]
CYCLES: dict[str, Any] = {"epochs": 2, "schedule": {"cosine": {"cycles": 2}}, "snapshots": 2}
IDS = ["02", "03", "07", "08"]
"""Cases of the holdout."""
FEATURES: dict[str, Any] = {
    **{key: value for key, value in _TINY.items() if key != "pseudo_labels"},
    "models": [
        {**WIDE, "train": {"fixmatch": {"mu": 1}}},
        {**SLIM, "train": {"distill": {"teacher": "wide", "weight": 0.7}}},
        {**WIDE, "name": "c", "train": CYCLES},
        {"name": "even", "soup": ["wide", "c"]},
        {"name": "picked", "soup": {"of": ["wide", "c-snapshot1"], "select": "greedy"}},
    ],
    "rounds": [{}, {"models": ["wide", "slim"], "teacher": {"models": ["slim"], "threshold": 0}}],
    "ensemble": {"weights": {"wide": 0, "c": 0, "c-snapshot1": 1}},
    "tta": ["identity"],
    "holdout": {"file": "holdout.csv"},
}


@pytest.fixture(scope="module")
def finished(code: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("features")
    write_images(folder)
    pd.DataFrame({"id": IDS}).to_csv(folder / "holdout.csv", index=False)
    (folder / "tiny.yaml").write_text(yaml.safe_dump(FEATURES))
    made = snakemake(folder, code=code)
    assert made.returncode == 0, made.stdout + made.stderr
    return folder


@pytest.fixture
def results(finished: Path) -> Path:
    return finished / "results/tiny"


def test_a_second_start_has_nothing_to_do(finished: Path, code: Path) -> None:
    again = snakemake(finished, "-n", code=code)
    assert "Nothing to be done" in again.stdout + again.stderr, again.stdout


def test_a_student_is_trained_after_its_teacher_which_learns_from_unlabelled_images_too(results: Path) -> None:
    lessons = sorted(path.relative_to(results).as_posix() for path in results.glob("teach/**/*.npz"))
    assert lessons == [f"teach/wide/round{r}/fold{k}/seed0/train.npz" for r in (0, 1) for k in (0, 1)]
    record = read_json(results / "train/slim/round1/fold1/seed0/run.json")
    read = {path for path in record["inputs"] if "/teach/" in path or "/predict/" in path}
    assert read == {f"results/tiny/{of}" for of in (lessons[3], "predict/wide/round1/fold1/seed0/test.npz")}
    assert record["started"] > read_json(results / "teach/wide/round1/fold1/seed0/run.json")["started"]
    assert "train_loss_distill" in (results / "train/slim/round1/fold1/seed0/history.csv").read_text()
    record = read_json(results / "train/wide/round0/fold1/seed0/run.json")
    lists = {path for path in record["inputs"] if "/folds/" in path}
    assert lists == {f"results/tiny/folds/{name}" for name in ("fold1.csv", "classes.json", "test.csv")}
    assert record["fixmatch"] == {"images": N_TEST}
    assert "mask_rate" in (results / "train/wide/round0/fold1/seed0/history.csv").read_text()


def test_soups_and_snapshots_are_members_from_training_to_bundle(finished: Path, results: Path) -> None:
    members = [f"{name}-seed0" for name in ("wide", "slim", "c", "c-snapshot1", "even", "picked")]
    assert sorted(pd.read_csv(results / "leaderboard.csv")["member"]) == sorted([*members, "ensemble"])
    weights = read_json(results / "ensemble/weights.json")["weights"]
    voting = ["slim-seed0", "c-snapshot1-seed0", "even-seed0", "picked-seed0"]
    assert sorted(name for name, weight in weights.items() if weight) == sorted(voting)
    page = (results / "report/report.html").read_text()
    assert "The ingredients of a soup were chosen on the validation fold" in page
    curves = pd.read_csv(results / "report/curves.csv")["member"].unique()
    assert sorted(curves) == ["c-seed0", "slim-seed0", "wide-seed0"]
    record = read_json(results / "train/c-snapshot1/round0/fold1/seed0/run.json")
    assert "results/tiny/train/c/round0/fold1/seed0/snapshot1.safetensors" in record["inputs"]
    with contextlib.chdir(finished):
        bundle = export("results/tiny", "bundle")
    assert sorted(member.name for member in bundle.members) == sorted(voting)


def test_the_holdout_is_sealed_until_the_command_opens_it(
    finished: Path, results: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """That labels of the holdout change no list that a job reads is shown for each task in test_holdout."""
    lists = [path for path in (results / "folds").rglob("*.csv") if path.name.startswith(("train", "fold", "holdout"))]
    with_truth = {
        str(path.relative_to(results / "folds"))
        for path in lists
        if {"id", "label"} <= {*(table := pd.read_csv(path, dtype=str))} and set(table["id"]) & {*IDS}
    }
    assert with_truth == {SEALED}
    assert set(pd.read_csv(results / "ensemble/holdout.csv", dtype=str)["id"]) == {*IDS}
    monkeypatch.chdir(finished)
    assert cli.main(["holdout", "--open"]) == 0
    assert "opening 1 of 1." in capsys.readouterr().out
    page = (results / "report/report.html").read_text()
    assert "The holdout is sealed: it has not been opened." in page
    assert cli.main(["verify", "results/tiny"]) == 0
