"""The ledger of looks: `goldfold submitted`, what noise allows, and its section of the report."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import astuple, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import made_run
from goldfold import cli, ledger
from goldfold.base.errors import DataError
from goldfold.base.files import read_json
from goldfold.config.dependencies import recipe
from goldfold.drawing.words import noise_in_words
from goldfold.ledger import Look
from goldfold.lineage.staleness import causes
from goldfold.looks import luck, noise
from goldfold.metrics.luck import expected_maximum
from goldfold.planning.plan import Job, plan_of
from goldfold.predictions.arrays import save
from goldfold.report import ledger as section
from test_compare import made
from tiny_results import record

N_TEST = 60
Run = Callable[..., Path]
LOOK = Look(
    "2026-01-01T00:00:00+00:00", "one", "accuracy", 0.8, 0.75, 0.85, 0.79, 0.02, 0.74, 0.86, N_TEST, 1.0, "aaa", "1f", ""
)  # fmt: skip


@pytest.fixture
def finished(in_tmp: Path) -> Run:
    """Writes a finished run with a submission below ``results``."""

    def make(name: str = "one", strength: float = 1.0) -> Path:
        root = made(Path("results") / name, strength)
        test = pd.DataFrame({"id": [f"t{place}" for place in range(N_TEST)]})
        test.to_csv(root / "folds/test.csv", index=False)
        save(root / "ensemble/test.npz", [("ids", test["id"].to_numpy(str)), ("p", np.full(N_TEST, strength))])
        (root / "metrics.json").write_text(json.dumps({"oof": {"accuracy": {"value": 0.62, "low": 0.54, "high": 0.7}}}))
        test.assign(label=f"a{strength}").to_csv(root / "submission.csv", index=False)
        settings = {**read_json(root / "ensemble/run.json")["recipe"]["settings"], "has_test": True}
        fused = ["ensemble/oof.npz", "ensemble/test.npz", "ensemble/weights.json", "metrics.json"]
        record(root, "ensemble/run.json", "ensemble", settings, [], fused)
        lists = ["folds/train.csv", "folds/test.csv", "folds/classes.json"]
        record(root, "folds/run.json", "folds", {}, [], [], lists)
        submit(root)
        return root

    return make


def submit(root: Path) -> None:
    record(root, "submission.run.json", "submit", {}, ["ensemble/test.npz", "folds/test.csv"], ["submission.csv"])


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(["submitted", *arguments]) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(["submitted", *arguments]) == 2
    return capsys.readouterr().err


# --- the command


def test_looks_of_several_experiments_share_one_ledger_and_are_counted(
    finished: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    finished("one")
    text = said(capsys, "0.60", "--public-share", "0.5", "--note", "first, with a comma")
    assert "one: accuracy 0.6000 public, 0.6200 out of fold (95 % interval 0.5400 to 0.7000)" in text
    assert "Difference: −0.0200, within noise: a public score of" in text
    assert "that of 50.0 % of 60 test images." in text
    assert "1 look at these test images so far (accuracy)." in text
    assert "best of them" not in text
    assert re.search(
        r"^30 public images are few: accuracy has a standard deviation of 0\.\d{3}, and a difference below", text, re.M
    )
    text = said(capsys, "0.99", str(finished("two", 2.0)))
    assert "+0.3700, more than noise explains" in text
    assert "50.0 % of 60 test images; --public-share sets another share." in text, "the share of the look before"
    assert "2 looks at these test images so far" in text
    first, second = ledger.read()
    assert (first.experiment, second.experiment, first.note) == ("one", "two", "first, with a comma")
    assert first.test_set == second.test_set
    gain = expected_maximum(2) * np.median([first.noise, second.noise])
    assert f"expected to score up to {gain:.4f} better than it is" in text
    text = said(capsys)
    assert len(text.splitlines()) == 4
    assert re.search(r"one +accuracy +0\.6200 +0\.6000 +0\.\d{4} to 0\.\d{4} +within noise +first, with a comma", text)
    assert [row["is_expected"] for row in json.loads(said(capsys, "--json"))] == [True, False]


def test_an_empty_ledger_says_how_to_begin(in_tmp: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "submissions.csv has no submissions yet. Record one: goldfold submitted 0.912" in said(capsys)
    assert "below results/ no run has one" in refused(capsys, "0.9")


def test_the_same_submission_is_no_new_look(finished: Run, capsys: pytest.CaptureFixture[str]) -> None:
    finished()
    said(capsys, "0.60")
    assert "already has this submission: 0.6 for one" in refused(capsys, "0.61")
    assert "1 look at these test images" in said(capsys, "0.61", "--again")
    assert [look.public for look in ledger.read()] == [0.61]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["nan"], "'nan' is not a score: a finite number is needed"),
        (["0,9"], "'0,9' is not a score (a number such as 0.912)"),
        (["results/one", "0.9"], "The score comes first: goldfold submitted 0.912 results/mine"),
        (["0.9", "--public-share", "30"], "--public-share 30: not a share above 0 and at most 1. Write 0.3 for 30 %."),
        (["0.9", "results/none"], "results/none is not a folder"),
    ],
)
def test_what_cannot_be_recorded_is_refused(
    finished: Run, capsys: pytest.CaptureFixture[str], arguments: list[str], error: str
) -> None:
    finished()
    assert error in refused(capsys, *arguments)
    assert not Path(ledger.FILE).exists()


def test_an_edited_or_unfinished_submission_is_refused(finished: Run, capsys: pytest.CaptureFixture[str]) -> None:
    root, other = finished(), finished("two", 2.0)
    assert "2 runs have: results/one, results/two one" in refused(capsys, "0.9")
    assert "accuracy is at most 1, not 90. If this is a percentage, write 0.9." in refused(capsys, "90", str(root))
    with (root / "submission.csv").open("a") as stream:
        stream.write("t99,a\n")
    assert "submission.csv is not what its job wrote" in refused(capsys, "0.9", str(root))
    submit(root)
    fused = root / "ensemble/test.npz"
    fused.write_bytes((other / "ensemble/test.npz").read_bytes())
    settings = read_json(root / "ensemble/run.json")["recipe"]["settings"]
    names = [str(Path(*Path(path).parts[2:])) for path in read_json(root / "ensemble/run.json")["outputs"]]
    record(root, "ensemble/run.json", "ensemble", settings, [], names)
    text = refused(capsys, "0.9", str(root))
    assert "submission.run.json was made from a version of ensemble/test.npz other than the present one" in text
    record(root, "ensemble/run.json", "ensemble", {**settings, "has_test": False}, [], names)
    assert "has no submission: its config has no test images (data.test)" in refused(capsys, "0.9", str(root))
    (other / "submission.run.json").unlink()
    text = refused(capsys, "0.9", str(other))
    assert "is not a finished run: submission.run.json is missing. Run snakemake to completion first." in text


# --- the file


def test_the_ledger_is_read_back_as_it_was_written(in_tmp: Path) -> None:
    nan = float("nan")
    odd = replace(LOOK, noise=nan, expected_low=nan, note='"quoted"\nsecond line, 犬', submission="2f")
    ledger.add(LOOK)
    ledger.add(odd)
    assert repr(ledger.read()) == repr([LOOK, odd])
    assert ledger.read()[1].is_expected is None
    Path(ledger.FILE).write_bytes(b"\xef\xbb\xbf" + Path(ledger.FILE).read_bytes())
    assert len(ledger.read()) == 2, "as a spreadsheet program saves it"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda text: text.replace("public,noise", "score,noise"), "its columns are time, .* Restore the first line"),
        (lambda text: text.replace("0.79", "0,79"), "submissions.csv line 2 does not have 15 cells"),
        (lambda text: text.replace("0.79", "good"), "submissions.csv line 2: public is 'good', which is not a number"),
        (lambda text: text.replace("0.79", ""), "submissions.csv line 2: public is '', which is not a number"),
        (lambda text: text.replace(",60,", ",0,"), "line 2: test_images is '0', not a number of images"),
        (lambda text: text + "<<<<<<< HEAD\n", "line 3 does not have 15 cells. Correct or remove the line"),
    ],
)
def test_a_broken_ledger_is_refused_with_its_line(in_tmp: Path, change: Callable[[str], str], error: str) -> None:
    ledger.add(LOOK)
    path = Path(ledger.FILE)
    path.write_text(change(path.read_text()))
    with pytest.raises(DataError, match=error):
        ledger.read()


def test_a_look_reruns_the_reports_of_its_metric_and_nothing_else(in_tmp: Path) -> None:
    made_run.finish(in_tmp / "run")
    metric = made_run.config().metric
    assert made_run.would_run(in_tmp / "run") == set()
    ledger.add(replace(LOOK, metric="another"))
    assert made_run.would_run(in_tmp / "run") == set()
    ledger.add(replace(LOOK, metric=str(metric), submission="2f"))
    assert made_run.would_run(in_tmp / "run") == {"report"}
    report = Job("report")
    found = causes(plan_of(made_run.config()).record(report), recipe(made_run.config(), report), [], [])
    assert [str(cause) for cause in found] == ["submissions.csv is new"], "what goldfold why says"
    Path(ledger.FILE).write_text("time\n")
    with pytest.raises(DataError, match="its columns are time, not"):
        made_run.would_run(in_tmp / "run")


# --- noise


class Hits:
    """Evidence of right and wrong predictions."""

    def __init__(self, hits: np.ndarray) -> None:
        self.hits = hits

    def __len__(self) -> int:
        return len(self.hits)

    def arguments(self, rows: Any) -> tuple[Any, ...]:
        return (self.hits[rows],)


def share(hits: np.ndarray) -> float:
    return float(hits.mean())


def metric() -> Any:
    from goldfold.metrics import Metric

    return Metric(share)


@pytest.mark.parametrize("n_public", [50, 800])
def test_the_noise_of_an_accuracy_is_binomial(n_public: int) -> None:
    hits = np.arange(400) % 5 > 0
    found = noise(metric(), Hits(hits), None, n_public)
    assert found.sd == pytest.approx(np.sqrt(0.8 * 0.2 / n_public), rel=0.08)
    both = np.sqrt(0.8 * 0.2 * (1 / n_public + 1 / 400))
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * both, rel=0.1)
    assert found.low < 0 < found.high


def test_noise_is_larger_where_images_of_a_group_stand_and_fall_together() -> None:
    hits = np.repeat(np.arange(40) % 5 > 0, 10)
    found = noise(metric(), Hits(hits), [f"g{place // 10}" for place in range(400)], 100)
    assert found.sd == pytest.approx(np.sqrt(0.8 * 0.2 / 10), rel=0.1), "ten groups of ten"


def test_19_of_20_public_scores_lie_in_the_range_that_is_expected() -> None:
    found = noise(metric(), Hits(np.arange(300) % 5 > 0), None, 100)
    rng = np.random.default_rng(0)
    differences = rng.binomial(100, 0.8, 4000) / 100 - rng.binomial(300, 0.8, 4000) / 300
    within = (found.low <= differences) & (differences <= found.high)
    assert within.mean() == pytest.approx(0.95, abs=0.015)


def test_a_perfect_score_says_nothing_of_the_noise_of_another() -> None:
    assert np.isnan([*astuple(noise(metric(), Hits(np.ones(300, bool)), None, 100))]).all()
    said = noise_in_words("0.99", None, "", "")
    assert said.endswith(
        "unknown: too few cases can be scored, or the out-of-fold score is perfect and has no noise to measure."
    )


@pytest.mark.parametrize("n", [1, 5, 100])
def test_the_expected_maximum_is_that_of_drawn_normals(n: int) -> None:
    drawn = np.random.default_rng(0).normal(size=(20000, n)).max(axis=1)
    assert expected_maximum(n) == pytest.approx(drawn.mean(), abs=4 * drawn.std() / np.sqrt(20000))


def test_luck_of_one_look_is_none_and_unknown_without_noise() -> None:
    assert luck([LOOK]) == pytest.approx(0, abs=1e-9)
    assert luck([LOOK, LOOK]) == pytest.approx(0.02 / np.sqrt(np.pi), rel=1e-3)
    assert np.isnan(luck([replace(LOOK, noise=float("nan"))] * 2))


# --- the report


def results(ids: Sequence[str]) -> Any:
    return SimpleNamespace(tables={"test": pd.DataFrame({"id": ids})}, metric="accuracy")


def test_the_report_shows_looks_at_its_own_test_images_and_metric(in_tmp: Path) -> None:
    ids = [f"t{place}" for place in range(N_TEST)]
    own = ledger.test_set(ids[::-1])
    assert section.section(results(ids)) is None, "no ledger, no section"
    ledger.add(LOOK)
    ledger.add(replace(LOOK, test_set=own, metric="log_loss"))
    assert section.section(results(ids)) is None, "looks at other images, and with another metric"
    for place in range(6):
        ledger.add(
            replace(
                LOOK,
                test_set=own,
                oof=0.7 + place / 100,
                public=0.9 + place / 50,
                submission=f"{place}",
                note=f"n{place}",
            )
        )
    found = section.section(results(ids))
    assert found is not None
    figure, text, table = found.blocks
    assert found.intro.startswith("6 looks at the public score of 60 test images")
    assert figure.name == "public_scores"  # type: ignore[union-attr]
    assert "rank the 6 submissions in the same order (Spearman's rank correlation 1.00)" in text.text  # type: ignore[union-attr]
    assert [row[-1] for row in table.rows] == [f"n{place}" for place in range(5, -1, -1)]  # type: ignore[union-attr]
    assert table.rows[0][-2] == "more than noise"  # type: ignore[union-attr]
    assert section.section(SimpleNamespace(tables={}, metric="accuracy")) is None  # type: ignore[arg-type]


def test_how_much_of_the_spread_noise_explains() -> None:
    near, far = [0.79, 0.80], [0.70, 0.90]
    text = section.spread([replace(LOOK, public=public) for public in near])
    assert text.endswith(
        "0.0071; that of the noise of one public score is 0.0200, which is enough to explain all of the spread."
    )
    assert section.spread([replace(LOOK, public=public) for public in far]).endswith(
        "explains at most 2 % of their variance."
    )
    assert section.spread([LOOK]) == section.best([LOOK]) == ""
    assert section.spread([LOOK, replace(LOOK, noise=float("nan"))]) == ""
    assert section.ranks([replace(LOOK, oof=oof) for oof in (0.1, 0.2, 0.3, 0.4)]) == "", "too few"
    turned = [replace(LOOK, oof=value, public=public) for value, public in zip(range(5), (2, 5, 1, 4, 3), strict=True)]
    assert "in an order that may be unrelated" in section.ranks(turned)
    assert section.ranks([LOOK] * 6) == "", "all are equal"
