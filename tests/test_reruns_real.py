"""Edits that are really run: what they touch is written, nothing else is, and then there is nothing to do."""

import base64
import shutil
from pathlib import Path

import pandas as pd
import pytest

import made_run
from made_run import would_run
from test_reruns import LATE, ROUND_0, SLIM, WIDE, States, caches, edited, planned, ran, runs
from test_workflow import jobs_of, snakemake, write_config, write_images

DATA_OF_THREE_FOLDS = {
    "source": "csv", "train": "raw/train.csv", "images": "raw/images", "channels": 1, "shards": 1, "fold_column": "part",
}  # fmt: skip


def write_folds(folder: Path, moved: dict[str, int]) -> None:
    """A column of predefined folds, with some images moved to another."""
    table = pd.read_csv(folder / "raw/train.csv", dtype=str)
    parts = [moved.get(id, int(id) // 2 % 3) for id in table["id"]]
    table.assign(part=parts).to_csv(folder / "raw/train.csv", index=False)


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Back from the folders of runs after each test."""
    monkeypatch.chdir(tmp_path)


def copies_of(run: Path, folder: Path) -> States:
    """A run that Snakemake has made, in a folder of its own and as a clone."""
    left = Path(shutil.copytree(run, folder / "left", symlinks=True))
    return States(left, made_run.clone(left, folder / "clone"))


@pytest.fixture(scope="module")
def run_of_three_folds(code: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One model, three folds that the data name, no test images."""
    folder = tmp_path_factory.mktemp("three folds")
    write_images(folder)
    write_folds(folder, {})
    folds = {"n_folds": 3, "splitter": "predefined"}
    write_config(folder, data=DATA_OF_THREE_FOLDS, folds=folds, models=[SLIM], **ROUND_0)
    ran(folder, code)
    return folder


def models_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Time and bytes of every model and prediction, by path below the folder of results."""
    results = folder / "results/tiny"
    files = sorted(path for name in ("*.safetensors", "*.npz") for path in results.rglob(name))
    return {str(path.relative_to(results)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def changed(before: dict[str, tuple[int, bytes]], after: dict[str, tuple[int, bytes]]) -> set[str]:
    """Models and predictions that were written, each of which has other bytes."""
    assert set(before) == set(after)
    written = {path for path in before if before[path][0] != after[path][0]}
    assert written == {path for path in before if before[path][1] != after[path][1]}
    return written


def test_an_image_that_moves_to_another_fold_reruns_the_two_folds(
    run_of_three_folds: Path, code: Path, tmp_path: Path
) -> None:
    states = copies_of(run_of_three_folds, tmp_path)
    states.apply(lambda folder: write_folds(folder, {"06": 1}))
    jobs = runs(models="slim", rounds=[0], folds=[0, 1]) | {"ensemble", "report"}
    made = {"manifest", "folds"}
    assert ran(states.left, code, "results/tiny/folds/run.json") == made
    assert would_run(states.left) == planned(states.left, code) == jobs
    before = models_of(states.clone)
    assert ran(states.clone, code) == jobs | made | {"cache 12x12-squash/train-0"}
    after = models_of(states.clone)
    assert not {path for path in before if "/fold2/" in path and before[path][1] != after[path][1]}
    assert {path for path in before if "/fold2/" not in path and before[path][1] == after[path][1]} == set()
    assert planned(states.clone, code) == set()


def test_edits_that_are_really_run_write_what_they_touch_and_nothing_else(
    tiny_run: Path, code: Path, tmp_path: Path
) -> None:
    folder = copies_of(tiny_run, tmp_path).clone
    assert would_run(folder) == planned(folder, code) == set(), "what looks newer is dated again"
    before, settings = models_of(folder), {"models": edited(WIDE, train={"lr": 0.01}), **ROUND_0}
    jobs = runs(models="wide", rounds=[0]) | LATE
    write_config(folder, **settings)
    assert ran(folder, code) == jobs | caches(jobs)
    after = models_of(folder)
    assert changed(before, after) == {
        path for path in before if "/wide/round0/" in path or path.startswith("ensemble/")
    }
    assert planned(folder, code) == set()
    write_config(folder, **settings, ensemble={"method": "rank"})
    assert ran(folder, code) == LATE
    assert changed(after, models_of(folder)) == {path for path in before if path.startswith("ensemble/")}
    assert planned(folder, code) == set()


def test_lists_that_are_gone_or_cut_short_are_made_again_and_train_nothing(
    tiny_run: Path, code: Path, tmp_path: Path
) -> None:
    folder = copies_of(tiny_run, tmp_path).left
    before = models_of(folder)
    fold = folder / "results/tiny/folds/fold0.csv"
    lines = fold.read_text().splitlines(keepends=True)
    fold.write_text("".join(lines[:-3]))
    (folder / "results/tiny/manifest/run.json").unlink()
    assert ran(folder, code, "results/tiny/metrics.json") == {"manifest", "folds"}
    assert fold.read_text() == "".join(lines)
    assert {path: of[1] for path, of in models_of(folder).items()} == {path: of[1] for path, of in before.items()}


def test_results_that_are_back_in_place_after_a_kill_are_not_made_again(
    tiny_run: Path, code: Path, tmp_path: Path
) -> None:
    folder = copies_of(tiny_run, tmp_path).left
    for name in ("model.safetensors", "history.csv", "run.json"):  # as Snakemake marks outputs of a job that it starts
        mark = base64.urlsafe_b64encode(f"results/tiny/train/wide/round0/fold0/seed0/{name}".encode()).decode()
        (folder / ".snakemake/incomplete" / mark).write_text("{}")
    assert planned(folder, code) == set()
    (folder / "results/tiny/train/wide/round0/fold0/seed0/run.json").unlink()
    assert "train wide/round0/fold0/seed0" in planned(folder, code)


def test_a_refused_run_leaves_the_earlier_results_and_the_next_sees_all_changes(
    tiny_run: Path, code: Path, tmp_path: Path
) -> None:
    folder = copies_of(tiny_run, tmp_path).left
    results, table = folder / "results/tiny", folder / "raw/train.csv"
    before = {path: path.read_bytes() for path in results.rglob("*") if path.suffix in (".json", ".csv", ".npz")}
    corrected = table.read_text().replace("00,light", "00,dark")
    table.write_text(corrected + corrected.splitlines()[-1] + "\n")
    refused = snakemake(folder, code=code)
    assert refused.returncode == 1
    assert "1 duplicate ids, first '39'" in refused.stdout + refused.stderr
    assert "1 job did not finish; earlier results are back in place" in refused.stdout + refused.stderr
    assert {path: path.read_bytes() for path in before} == before
    table.write_text(corrected)
    assert {"manifest", "folds"} <= jobs_of(snakemake(folder, "-n", code=code)).keys()
