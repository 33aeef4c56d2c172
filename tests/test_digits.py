"""The embedded default at its full size: what `make demo` makes."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_default_reaches_its_score(tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(tmp_path),
        "--configfile", str(ROOT / "config.yaml"), "--cores", "all", "--resources", "gpu=2",
    ]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stdout + result.stderr
    results = tmp_path / "results/digits"
    assert json.loads((results / "metrics.json").read_text())["oof"]["accuracy"]["value"] >= 0.985
    submission = pd.read_csv(results / "submission.csv")
    answers = pd.read_csv(tmp_path / "data/digits/test_answers.csv")
    assert np.mean(submission.merge(answers, on="id").eval("label_x == label_y")) >= 0.97
    for path in results.glob("predict/*/round*/fold*/seed*/oof.npz"):
        assert np.load(path)["logits"].dtype == np.float32
