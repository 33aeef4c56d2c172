"""Edits that are really run: what they touch is written, nothing else is, and then there is nothing to do."""

import base64
import shutil
from pathlib import Path

import pandas as pd
import pytest

import made_run
from made_run import would_run
from test_reruns import ROUND_0, SLIM, States, planned, ran, runs
from test_workflow import jobs_of, snakemake, write_images

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


def models_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Time and bytes of every model and prediction, by path below the folder of results."""
    results = folder / "results/tiny"
    files = sorted(path for name in ("*.safetensors", "*.npz") for path in results.rglob(name))
    return {str(path.relative_to(results)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def test_an_image_that_moves_to_another_fold_reruns_the_two_folds(code: Path, tmp_path: Path) -> None:
    """One model, three folds that the data name, no test images."""

    def prepare(folder: Path) -> None:
        write_images(folder)
        write_folds(folder, {})

    folds = {"n_folds": 3, "splitter": "predefined"}
    made_run.finish(tmp_path / "left", prepare, data=DATA_OF_THREE_FOLDS, folds=folds, models=[SLIM], **ROUND_0)
    states = States(tmp_path / "left", made_run.clone(tmp_path / "left", tmp_path / "clone"))
    states.apply(lambda folder: write_folds(folder, {"06": 1}))
    jobs = runs(models="slim", rounds=[0], folds=[0, 1]) | {"ensemble", "report"}
    for folder in (states.left, states.clone):
        assert would_run(folder) >= {"manifest", "folds"}
        made_run.make_folds()
    assert would_run(states.left) == planned(states.left, code) == jobs
    assert would_run(states.clone) == planned(states.clone, code) == jobs | {"cache 12x12-squash/train-0"}


def test_a_clone_of_a_real_run_has_nothing_to_do_whatever_the_times_of_its_files(
    tiny_run: Path, code: Path, tmp_path: Path
) -> None:
    """What looks newer is dated again. Edits that are then really run: tests/test_dvc.py."""
    folder = copies_of(tiny_run, tmp_path).clone
    assert would_run(folder) == planned(folder, code) == set()


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
    assert "1 job did not finish; earlier results are restored" in refused.stdout + refused.stderr
    assert {path: path.read_bytes() for path in before} == before
    table.write_text(corrected)
    assert {"manifest", "folds"} <= jobs_of(snakemake(folder, "-n", code=code)).keys()
