"""A whole run with a sealed holdout: no file but the sealed one has its truth, and a command opens it."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from goldfold import cli
from goldfold.planning.outputs import SEALED
from test_workflow import TINY, snakemake, write_config, write_images

_TINY: Any = TINY
ONE: dict[str, Any] = {"models": _TINY["models"][:1], "pseudo_labels": {"rounds": 0}}
"""Changes of TINY to a single model without rounds."""
IDS = ["02", "03", "07", "08"]


def test_a_whole_run_keeps_its_holdout_sealed_until_the_command_opens_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """That labels of the holdout change no list that a job reads is shown for each task in test_holdout."""
    write_images(tmp_path)
    pd.DataFrame({"id": IDS}).to_csv(tmp_path / "holdout.csv", index=False)
    write_config(tmp_path, **ONE, holdout={"file": "holdout.csv"})
    done = snakemake(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    results = tmp_path / "results/tiny"
    lists = [path for path in (results / "folds").rglob("*.csv") if path.name.startswith(("train", "fold", "holdout"))]
    with_truth = {
        str(path.relative_to(results / "folds"))
        for path in lists
        if {"id", "label"} <= {*(table := pd.read_csv(path, dtype=str))} and set(table["id"]) & {*IDS}
    }
    assert with_truth == {SEALED}
    assert set(pd.read_csv(results / "ensemble/holdout.csv", dtype=str)["id"]) == {*IDS}
    monkeypatch.chdir(tmp_path)
    assert cli.main(["holdout", "--open"]) == 0
    assert "opening 1 of 1." in capsys.readouterr().out
    page = (results / "report/report.html").read_text()
    assert "The holdout is sealed: it has not been opened." in page
    assert cli.main(["verify", "results/tiny"]) == 0
