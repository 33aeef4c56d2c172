"""`goldfold compare`: two finished runs on the cases that both have predicted."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import softmax

from goldfold import cli
from goldfold.base.errors import DataError
from goldfold.comparison import compare
from goldfold.metrics.bootstrap import draws
from goldfold.predictions.arrays import save
from tiny_results import record

CLASSES = ["a", "b", "c"]
N = 150


def made(
    root: Path, strength: float, *, seeds: Sequence[int] = (0,), rows: slice = slice(None), classes: Sequence[str] = CLASSES,
    turned: int = 0, relabelled: int = 0, task: str = "classification", external: Sequence[str] = (),
) -> Path:  # fmt: skip
    """A finished run of one model whose members know the label as well as ``strength`` says."""
    labels = np.random.default_rng(0).integers(0, 3, N)
    ids = np.array([f"i{place:03d}" for place in range(N)])
    table = pd.DataFrame({"id": ids, "label": np.array(classes)[labels], "fold": (np.arange(N) + turned) % 2})
    table.loc[: relabelled - 1, "label"] = classes[0]
    table = table[rows]
    for name in ("folds", "ensemble"):
        (root / name).mkdir(parents=True)
    table.to_csv(root / "folds/train.csv", index=False)
    (root / "folds/classes.json").write_text(json.dumps(list(classes)))
    logits = []
    for seed in seeds:
        noise = np.random.default_rng(seed + 1).normal(size=(N, 3))
        logits.append((strength * np.eye(3)[labels] + noise).astype(np.float32))
        for fold in (0, 1):
            own = table.index[table["fold"] == fold]
            folder = root / f"predict/net/round0/fold{fold}/seed{seed}"
            folder.mkdir(parents=True)
            save(folder / "oof.npz", [("ids", ids[own]), ("classes", np.array(classes)), ("logits", logits[-1][own])])
    for name in external:  # knows two of the classes
        (root / "external" / name).mkdir(parents=True)
        known = np.where(np.arange(3) < 2, logits[0] * strength, np.nan).astype(np.float32)
        arrays = [("ids", ids[table.index]), ("classes", np.array(classes)), ("logits", known[table.index])]
        save(root / "external" / name / "oof.npz", arrays)
    fused = softmax(np.mean(logits, axis=0), axis=1)[table.index]
    save(
        root / "ensemble/oof.npz",
        [("ids", ids[table.index]), ("classes", np.array(classes)), ("probabilities", fused.astype(float))],
    )
    (root / "ensemble/weights.json").write_text("{}")
    settings = {
        "task": {"name": task}, "metric": "accuracy", "models": ["net"], "seeds": list(seeds), "n_folds": 2, "rounds": 1,
        "weights": {}, **({"external": list(external)} if external else {}),
    }  # fmt: skip
    record(root, "ensemble/run.json", "ensemble", settings, [], ["ensemble/oof.npz", "ensemble/weights.json"])
    record(root, "folds/run.json", "folds", {}, [], [], ["folds/train.csv", "folds/classes.json"])
    return root


def test_a_run_is_no_better_than_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = (made(tmp_path / name, 1.0) for name in ("one", "other"))
    found = compare(one, other)
    assert (found.metric, found.n_cases, found.n_other, found.has_same_folds) == ("accuracy", N, (0, 0), True)
    assert [row.name for row in found.rows] == ["ensemble", "net"]
    assert {(row.gain.value, row.gain.low, row.gain.high, row.is_identical) for row in found.rows} == {
        (0.0, 0.0, 0.0, True)
    }
    assert cli.main(["compare", str(one), str(other)]) == 0
    said = capsys.readouterr().out
    assert said.count("(95 % interval 0.0000 to 0.0000): identical predictions") == 2
    assert "The ensembles of both runs made identical predictions." in said
    assert "noise" not in said
    assert not any(row.is_identical for row in compare(one, made(tmp_path / "third", 1.1)).rows)


def test_the_gain_is_that_of_both_on_the_same_resamples(tmp_path: Path) -> None:
    one, other = made(tmp_path / "one", 0.5), made(tmp_path / "other", 2.0)
    row = compare(one, other).rows[0]
    hits = []
    for root in (one, other):
        table = pd.read_csv(root / "folds/train.csv")
        values = np.load(root / "ensemble/oof.npz")["probabilities"]
        hits.append(np.array(CLASSES)[values.argmax(axis=1)] == table["label"])
    differences = [(hits[1][drawn].mean() - hits[0][drawn].mean()) for drawn in draws(N, None, 1000)]
    assert row.gain.value == pytest.approx(hits[1].mean() - hits[0].mean())
    expanded = stats.t.ppf(0.975, N - 1) * np.sqrt(N / (N - 1))
    assert row.gain.high - row.gain.low == pytest.approx(2 * expanded * np.std(differences, ddof=1), rel=1e-3)
    assert row.gain.verdict == "better"
    assert compare(other, one).rows[0].gain.verdict == "worse"
    assert compare(one, other, "log_loss").rows[0].gain.verdict == "better", "a smaller loss is better"


def test_several_seeds_add_the_variation_between_trainings(tmp_path: Path) -> None:
    one, other = made(tmp_path / "one", 1.0, seeds=[0, 1, 2]), made(tmp_path / "other", 1.0, seeds=[3, 4, 5])
    ensemble, net = compare(one, other).rows
    assert net.before == pytest.approx(np.mean([0.62, 0.62, 0.62]), abs=0.15)
    assert net.gain.verdict == "noise"
    assert net.gain.high - net.gain.low > 0
    assert ensemble.gain.verdict in ("noise", "better", "worse")


def test_external_members_of_both_runs_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = made(tmp_path / "one", 0.5, external=["tool"]), made(tmp_path / "other", 2.0, external=["tool", "new"])
    rows = {row.name: row for row in compare(one, other).rows}
    assert [*rows] == ["ensemble", "net", "tool"], "new has nothing to be compared with"
    assert 0 < rows["tool"].before < rows["tool"].after
    assert rows["tool"].gain.verdict == "better"
    assert compare(one, one).rows[2].is_identical
    assert cli.main(["compare", str(one), str(other)]) == 0
    assert "  tool      " in capsys.readouterr().out
    (other / "external/tool/oof.npz").unlink()
    assert [row.name for row in compare(one, other).rows] == ["ensemble", "net"], "as models whose files are gone"


def test_few_cases_are_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = [str(made(tmp_path / name, 1.0, rows=slice(40))) for name in ("one", "other")]
    assert cli.main(["compare", *few]) == 0
    assert "fewer than 50 independent cases (40 here) is too narrow" in capsys.readouterr().out
    assert cli.main(["compare", *(str(made(tmp_path / name, 1.0)) for name in ("third", "fourth"))]) == 0
    assert "too narrow" not in capsys.readouterr().out


def test_what_differs_besides_the_predictions_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = made(tmp_path / "one", 1.0, rows=slice(10, None))
    other = made(tmp_path / "other", 1.0, turned=1, relabelled=20, rows=slice(None, -5))
    assert cli.main(["compare", str(one), str(other)]) == 0
    said = capsys.readouterr().out
    assert f"accuracy, out of fold, on {N - 15} cases of both runs" in said
    assert "The runs have other folds" in said
    assert f"Not compared: 5 cases that only {one} has predicted" in said
    assert f"Not compared: 10 cases that only {other} has predicted" in said
    assert "cases have another target in" in said
    assert "): noise" in said or "): worse" in said
    assert cli.main(["compare", str(one), str(other), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"][0]["name"] == "ensemble"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"classes": ["a", "b", "d"]}, "other classes: only one has 'c'"),
        ({"classes": ["b", "a", "c"]}, "other classes: their order differs"),
        ({"task": "multilabel"}, "is a run of classification, .* of multilabel: they cannot be compared"),
        ({"rows": slice(100, None)}, "have no case in common: their ids differ, e.g. 'i000' and 'i100'"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    one, other = made(tmp_path / "one", 1.0, rows=slice(0, 100)), made(tmp_path / "other", 1.0, **changes)
    with pytest.raises(DataError, match=said):
        compare(one, other)


def test_an_unknown_metric_and_an_unfinished_run_are_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = made(tmp_path / "one", 1.0), made(tmp_path / "other", 1.0)
    assert cli.main(["compare", str(one), str(other), "--metric", "acuracy"]) == 2
    assert "nearest is 'accuracy'" in capsys.readouterr().err
    assert cli.main(["compare", str(one), str(tmp_path / "none")]) == 2
    assert "none is not a folder" in capsys.readouterr().err
    (other / "ensemble/run.json").unlink()
    assert cli.main(["compare", str(one), str(other)]) == 2
    said = capsys.readouterr().err
    assert "is not a finished run: ensemble/run.json is missing. Run snakemake to completion first." in said
    assert "export" not in said
