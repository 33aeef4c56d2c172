"""A whole run with a sealed holdout, whose labels change none of its files."""

import re
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


def test_a_whole_run_does_not_depend_on_labels_of_its_holdout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = []
    for name, swap in (("true", {}), ("turned", {"02,light": "02,dark", "03,dark": "03,light"})):
        folder = tmp_path / name
        folder.mkdir()
        write_images(folder)
        table = folder / "raw/train.csv"
        text = table.read_text()
        for old, new in swap.items():
            assert old in text
            text = text.replace(old, new)
        table.write_text(text)
        pd.DataFrame({"id": ["02", "03", "07", "08"]}).to_csv(folder / "holdout.csv", index=False)
        write_config(folder, **ONE, holdout={"file": "holdout.csv"})
        done = snakemake(folder)
        assert done.returncode == 0, done.stdout + done.stderr
        digests.append(contents_of(folder / "results/tiny"))
    differ = {path for path in digests[0] if digests[0][path] != digests[1][path]}
    assert differ == {"manifest/train.csv", f"folds/{SEALED}"}
    assert len(digests[0]) > 40
    monkeypatch.chdir(tmp_path / "true")
    assert cli.main(["holdout", "--open"]) == 0
    assert "opening 1 of 1." in capsys.readouterr().out
    page = (tmp_path / "true/results/tiny/report/report.html").read_text()
    assert "The holdout is sealed: it has not been opened." in page
    assert cli.main(["verify", "results/tiny"]) == 0


TIMES = re.compile(r"(^|/)(run\.json|[^/]*\.run\.json|provenance\.json|report\.html|[^/]*\.log|[^/]*\.tsv)$")
"""Records, logs and the page, which hold times and digests of raw data."""


def contents_of(results: Path) -> dict[str, bytes]:
    """Content of the files of a run by path, without those of `TIMES`."""
    paths = {str(path.relative_to(results)): path for path in sorted(results.rglob("*")) if path.is_file()}
    kept = {
        name: path
        for name, path in paths.items()
        if not TIMES.search(name) and not name.startswith((".", "benchmarks"))
    }
    return {name: path.read_bytes() for name, path in kept.items()}
