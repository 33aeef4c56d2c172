"""`dvc repro` makes what `snakemake` makes, in a clone of this repository with a tiny config."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from test_workflow import ROOT, TINY, write_images

BIN = Path(sys.executable).parent


def run(folder: Path, *words: str) -> str:
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    result = subprocess.run(words, capture_output=True, text=True, cwd=folder, env=environment)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clone")
    files = run(ROOT, "git", "ls-files", "-co", "--exclude-standard", "-z").split("\0")[:-1]
    for name in files:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    run(folder, "git", "init", "-q")
    write_images(folder)
    config = {**TINY, "models": TINY["models"][:1], "data": {**TINY["data"], "shards": 1}}  # type: ignore[index, dict-item]
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    run(folder, "dvc", "repro")
    return folder


def test_repro_makes_results_and_score(clone: Path) -> None:
    assert len(pd.read_csv(clone / "results/tiny/submission.csv")) == 10
    shown = run(clone, "dvc", "metrics", "show", "--md")
    assert "oof.accuracy.value" in shown
    assert "results/tiny/metrics.json" in shown


def test_second_repro_has_nothing_to_do(clone: Path) -> None:
    models = sorted((clone / "results/tiny/train").rglob("model.safetensors"))
    before = [path.stat().st_mtime_ns for path in models]
    said = run(clone, "dvc", "repro")
    assert "Stage 'member@model0' didn't change, skipping" in said
    assert "Stage 'result' didn't change, skipping" in said
    assert [path.stat().st_mtime_ns for path in models] == before


def test_repro_sees_a_new_label(clone: Path) -> None:
    train = clone / "raw/train.csv"
    text = train.read_text()
    train.write_text(text.replace("00,light", "00,dark", 1))
    said = run(clone, "dvc", "repro")
    assert "Running stage 'member@model0'" in said
    train.write_text(text)
    run(clone, "dvc", "repro")


def test_repro_keeps_the_models_that_an_edit_does_not_touch(clone: Path) -> None:
    models = sorted((clone / "results/tiny/train").rglob("model.safetensors"))
    assert len(models) == 4
    before = [path.stat().st_mtime_ns for path in models]
    config = yaml.safe_load((clone / "config.yaml").read_text())
    (clone / "config.yaml").write_text(yaml.safe_dump({**config, "ensemble": {"method": "rank"}}))
    run(clone, "dvc", "repro")
    assert [path.stat().st_mtime_ns for path in models] == before
    assert '"method": "rank"' in (clone / "results/tiny/ensemble/weights.json").read_text()


def test_plots_show_draws_the_confusion_matrix(clone: Path) -> None:
    run(clone, "dvc", "plots", "show", "-o", "plots")
    page = (clone / "plots/index.html").read_text()
    assert "Out-of-fold confusion" in page
    assert '"prediction"' in page
