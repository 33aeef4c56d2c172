"""Metadata columns in the stack of the ensemble: nested, in bundles, in the report, and what runs again."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

import goldfold
import made_run
from conftest import Tiny
from goldfold import tasks
from goldfold.base.errors import ConfigError, DataError
from goldfold.bundles import form
from goldfold.bundles.export import export
from goldfold.column_gain import gain_of_columns
from goldfold.commands import preflight
from goldfold.config import columns, parse, slices
from goldfold.config.dependencies import recipe
from goldfold.drawing.blocks import Table
from goldfold.ensembling import stacking
from goldfold.ensembling.nested import Nested, nested
from goldfold.ensembling.steps import build
from goldfold.ensembling.with_metadata import without
from goldfold.metadata import of_cases
from goldfold.metadata.columns import Columns, refuse_unusable
from goldfold.metadata.encoder import Encoder
from goldfold.metadata.of_cases import OfCases, encoder_of
from goldfold.metrics import resampling
from goldfold.planning.plan import Job, plan_of
from goldfold.predictions.arrays import Arrays, picked, save
from goldfold.predictions.arrays import load as load_arrays
from goldfold.report import fitted as fitted_report
from goldfold.report import stacked as stacked_report
from goldfold.report.results import read as read_results
from goldfold.splits.scored import groups_of
from goldfold.stages import folds
from goldfold.tables import read_table
from goldfold.targets.label_sets import to_text
from goldfold.tasks.steps import ForSteps
from made_run import would_run
from test_ensemble_steps import folds_of, ids_of, labelled
from test_metadata import of_noise as of_noise  # a fixture
from test_reruns import LATE
from tiny_results import fuse, record, write_results

CLASSES = ["a", "b", "c"]
TASK = {"name": "classification"}
KINDS = {"numeric": ["age"], "categorical": ["site"]}
NOISY = {"numeric": ["age", "noise"], "categorical": ["site"]}
STACKS: list[Any] = [
    {"stacking": {"metadata": True}},
    {"boosted_stacking": {"trees": 12, "rate": 0.2, "metadata": True}},
]


def drawn(n: int, seed: int, strength: float = 1.0) -> tuple[dict[str, Arrays], pd.DataFrame, np.ndarray]:
    """Two members of three classes that know the label as well as ``strength`` says."""
    draw = np.random.default_rng([n, seed])
    labels = draw.integers(0, 3, n)
    logits = [strength * np.eye(3)[labels] + draw.normal(size=(n, 3)) for _ in range(2)]
    members = {f"m{place}": labelled(softmax(one, axis=1), CLASSES) for place, one in enumerate(logits)}
    table = pd.DataFrame({"id": ids_of(n), "label": np.array(CLASSES)[labels], "fold": folds_of(n)})
    return members, table, labels


def cases(n: int, age: Any, site: Any) -> OfCases:
    """Metadata of the cases, in another order than their predictions."""
    table = pd.DataFrame({"id": ids_of(n), "meta_age": age, "meta_site": site}).astype(str)
    return OfCases(table[::-1].reset_index(drop=True), Columns(("age",), ("site",)))


def noise(n: int, seed: int, n_sites: int = 12) -> OfCases:
    draw = np.random.default_rng([7, n, seed])
    age = np.where(draw.uniform(size=n) < 0.1, "", draw.normal(50, 9, n).round(2).astype(str))
    return cases(n, age, draw.integers(n_sites, size=n))


def knowing(labels: np.ndarray, seed: int = 0) -> OfCases:
    """Age and site tell the classes apart: age the first from the others, site the second."""
    draw = np.random.default_rng(seed)
    return cases(len(labels), 30 + 40 * (labels == 0) + draw.normal(0, 3, len(labels)), labels == 1)


def run(
    step: Any, members: Any, truth: pd.DataFrame, known: OfCases | None, task: Any = TASK, embeddings: Any = None
) -> Nested:
    made = ForSteps(task, CLASSES, known, embeddings)
    metric = made.metric("rmse" if task["name"] == "regression" else "log_loss")
    return nested(build(made, [step], 1), members, truth, truth["fold"].to_numpy(), metric, picked)


def gain_of(
    step: Any, members: Any, truth: pd.DataFrame, known: OfCases | None, n_resamples: int = 1000, embeddings: Any = None
) -> dict[str, float]:
    scores = tasks.score(TASK, CLASSES)
    evidence = scores.evidence(run(step, members, truth, known, embeddings=embeddings).predictions, truth)
    plain = build(ForSteps(TASK, CLASSES), [without(step)], 1)
    metric = scores.metric("log_loss")
    of_ensemble = resampling.drawn(metric, evidence, groups_of(truth), n_resamples)
    found = gain_of_columns(scores, plain, members, evidence, of_ensemble, truth, metric)
    gain: dict[str, float] = found["gain"]
    assert gain["low"] < gain["value"] < gain["high"]
    return gain


# --- what is earned


@pytest.mark.parametrize("step", STACKS)
def test_columns_that_alone_carry_the_label_gain(step: Any) -> None:
    members, truth, labels = drawn(240, 0, strength=0.0)
    assert gain_of(step, members, truth, knowing(labels))["low"] > 0.5
    found = run(step, members, truth, knowing(labels)).predictions["probabilities"]
    assert (found.argmax(axis=1) == labels).mean() > 0.95


@pytest.mark.parametrize("step", [{"stacking": {"metadata": True, "penalty": 10}}, STACKS[1]], ids=str)
def test_columns_of_noise_earn_nothing(step: Any) -> None:
    assert_noise_earns_nothing(step, lambda seed: {"known": noise(160, seed)})


def assert_noise_earns_nothing(step: Any, columns_of: Callable[[int], dict[str, Any]]) -> None:
    """Over seeds, the nested gain is not above 0; that of columns which saw the scored labels is.

    Args:
        columns_of: seed -> columns of noise, as arguments of `run` and `gain_of`.
    """
    scores, gains, seen = tasks.score(TASK, CLASSES), [], []
    for seed in range(7):
        members, truth, _ = drawn(160, seed)
        gains.append(gain_of(step, members, truth, n_resamples=200, **columns_of(seed)))
        both = [run(one, members, truth, **columns_of(seed)).optimistic for one in (without(step), step)]
        losses = [scores.metric("log_loss").value(scores.evidence(one, truth), np.arange(160)) for one in both]
        seen.append(losses[0] - losses[1])
    assert _above_0([one["value"] for one in gains]) < 2
    assert sum(one["low"] > 0 for one in gains) <= 1, "95 % intervals"
    assert _above_0(seen) > 2.5


def _above_0(values: list[float]) -> float:
    """Mean in units of its standard error."""
    return float(np.mean(values) / (np.std(values, ddof=1) / np.sqrt(len(values))))


def test_a_column_with_a_level_of_its_own_for_each_case_changes_little() -> None:
    """An indicator in units of its deviation would be as good as unpenalised: the loss more than doubled."""
    members, truth, _ = drawn(160, 3)
    table = cases(160, "1", ids_of(160))
    gain = gain_of({"stacking": {"metadata": ["site"]}}, members, truth, table)
    assert abs(gain["value"]) < 0.01


# --- no leak


@pytest.mark.parametrize("step", STACKS)
def test_labels_of_a_fold_change_nothing_that_is_applied_to_it(step: Any) -> None:
    members, truth, labels = drawn(120, 1)
    own, other = truth["fold"] == 1, truth.copy()
    other.loc[own, "label"] = np.roll(other.loc[own, "label"], 1)
    one, two = (run(step, members, table, knowing(labels)) for table in (truth, other))
    assert json.dumps(one.without[1]) == json.dumps(two.without[1])
    assert one.predictions["probabilities"][own].tobytes() == two.predictions["probabilities"][own].tobytes()
    assert json.dumps(one.fitted) != json.dumps(two.fitted)


@pytest.mark.parametrize("step", STACKS)
def test_statistics_are_those_of_the_cases_that_the_stack_is_fitted_on(step: Any) -> None:
    members, truth, _ = drawn(120, 1)
    known, own = noise(120, 1), truth["fold"] == 1
    changed = known.table.assign(meta_age=known.table["meta_age"].mask(known.table["id"].isin(truth["id"][own]), "999"))
    changed.loc[changed["id"] == truth["id"][own].iloc[0], "meta_site"] = "new"
    one, two = (run(step, members, truth, OfCases(table, known.known)) for table in (known.table, changed))
    assert json.dumps(one.without[1]) == json.dumps(two.without[1])
    assert json.dumps(one.without[0]) != json.dumps(two.without[0])
    expected = Encoder.fit(known.of(truth["id"][~own].tolist()), known.known)
    assert encoder_of(one.without[1][0]["metadata"]) == expected
    assert np.isfinite(two.predictions["probabilities"]).all(), "an age of 999 and a new level are no error"


# --- columns


def test_columns_are_those_of_networks_with_a_level_each_for_linear_models() -> None:
    known = cases(5, ["10", "20", "", "30", "10"], ["x", "y", "x", "", "z"])
    fitted = json.loads(json.dumps(known.fit(ids_of(4))))
    rows = known.rows(ids_of(5), fitted)
    assert rows.tolist() == encoder_of(fitted).encode(known.of(ids_of(5))).tolist()
    assert known.columns(rows, fitted, indicators=False).tolist() == rows.tolist()
    found = known.columns(rows, fitted, indicators=True)
    assert found[:, :2].tolist() == rows[:, :2].tolist()
    assert found[:, 2:].tolist() == [[1, 0], [0, 1], [1, 0], [0, 0], [0, 0]], "missing and unknown: no level"
    assert known.only(["site"]).known == Columns((), ("site",))
    with pytest.raises(DataError, match=r"no metadata of case 'zz'"):
        known.of(["i000", "zz"])


def test_of_many_levels_the_most_frequent_have_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_cases, "MOST_LEVELS", 2)
    known = cases(6, "1", ["d", "c", "b", "b", "a", ""])
    assert known.fit(ids_of(6))["categorical"] == {"site": ["a", "b"]}


@pytest.mark.parametrize("step", STACKS)
def test_blocks_of_cases_are_stacked_alike(step: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    members, truth, labels = drawn(60, 2)
    at_once = run(step, members, truth, knowing(labels)).predictions["probabilities"]
    monkeypatch.setattr(stacking, "BLOCK", 7)
    found = run(step, members, truth, knowing(labels)).predictions["probabilities"]
    assert found == pytest.approx(at_once, abs=1e-12)


@pytest.mark.parametrize("step", STACKS)
@pytest.mark.parametrize("name", ["regression", "multilabel"])
def test_numbers_and_sets_of_labels_learn_from_metadata_too(step: Any, name: str) -> None:
    members, truth, labels = drawn(200, 4, strength=0.0)
    if name == "regression":
        values = np.random.default_rng(0).normal(size=200)
        members = {
            "m": {"ids": np.array(ids_of(200)), "classes": np.array(CLASSES), "values": values, "spreads": values * 0}
        }
        truth = truth.assign(value=labels.astype(str))
    else:
        truth = truth.assign(labels=[to_text([CLASSES[label]]) for label in labels])
    found = run(step, members, truth, knowing(labels), {"name": name}).predictions
    if name == "regression":
        assert np.abs(found["values"] - labels).mean() < 0.35
    else:
        assert (found["probabilities"].argmax(axis=1) == labels).mean() > 0.95


def test_without_metadata_a_stack_is_what_it_was() -> None:
    members, truth, labels = drawn(90, 5)
    plain, given = (run("stacking", members, truth, known) for known in (None, knowing(labels)))
    assert json.dumps(plain.fitted) == json.dumps(given.fitted)
    assert [*plain.fitted[0]] == ["members", "models"]


# --- config, plan, what runs again


def config(step: Any, quick: bool = False, **data: Any) -> Any:
    known = {"source": "csv", "train": "t.csv", "images": "i", "test": "x.csv", "metadata": KINDS, **data}
    model = {"name": "net", "network": "small_resnet", "image_size_px": 16}
    return parse({"name": "t", "data": known, "models": [model], "ensemble": [step], "quick": quick})


def test_columns_are_in_the_recipe_of_the_ensemble_and_their_lists_its_inputs() -> None:
    made = config({"boosted_stacking": {"metadata": ["site"]}})
    assert recipe(made, Job("ensemble"))["settings"]["metadata"] == {"numeric": [], "categorical": ["site"]}
    assert columns.taken(made) == {"numeric": [], "categorical": ["site"], "takers": ["steps"]}
    assert columns.taken(config(STACKS[0], quick=True)) is None
    assert recipe(config(STACKS[0]), Job("ensemble"))["settings"]["metadata"] == KINDS
    lists = [*(f"fold{fold}-metadata.csv" for fold in range(5)), "test-metadata.csv"]
    assert [plan_of(made).metadata_lists(Job(stage)) for stage in ("ensemble", "report", "submit")] == [
        lists,
        lists,
        [],
    ]
    plain = config("stacking")
    assert "metadata" not in recipe(plain, Job("ensemble"))["settings"]
    assert plan_of(plain).metadata_lists(Job("ensemble")) == []
    assert columns.taken(plain) is None


@pytest.mark.parametrize(
    ("value", "data", "said"),
    [
        (["agee"], {}, "metadata: 'agee' is not in data.metadata; nearest is 'age'; it has age, site"),
        (["id"], {}, "metadata: 'id' is not in data.metadata; it has age, site"),
        (["age", "age"], {}, "metadata: 'age' is listed twice; remove one"),
        ([], {}, "metadata = []: write metadata: true for all columns of data.metadata, or a list of their names"),
        ("age", {}, "metadata = 'age': write metadata: true for all columns of data.metadata, or a list of their names"),
        (True, {"metadata": None}, "metadata: data.metadata names no column; list them there, or remove it"),
        (["age"], {"metadata": None}, "metadata: 'age' is not in data.metadata; it names no column"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["stacking", "boosted_stacking"])
def test_columns_that_a_stack_cannot_take_are_refused(name: str, value: Any, data: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config({name: {"metadata": value}}, **data)
    assert f"ensemble[0] = {{'{name}': {{'metadata': {value!r}}}}}: {said}" in str(caught.value)


def test_other_steps_take_no_metadata_and_columns_with_another_role_are_none() -> None:
    with pytest.raises(ConfigError, match=r"simplex does not take 'metadata'; its parameters: none"):
        config({"simplex": {"metadata": True}})
    with pytest.raises(ConfigError, match=r"metadata: 'label' is also label_column; remove it from metadata"):
        config(STACKS[0], metadata={"numeric": [], "categorical": ["label"]})


@pytest.fixture(scope="module")
def run_of_a_stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up run whose stack takes metadata, as no model does."""
    folder, here = tmp_path_factory.mktemp("made") / "run", Path.cwd()
    data = {"data": made_run.METADATA["data"], "ensemble": [STACKS[0]]}
    made_run.finish(folder, made_run.write_metadata, **data)
    made_run.enter(here)
    return folder


@pytest.mark.parametrize("name", ["train", "test"])
def test_a_changed_value_reruns_the_ensemble_alone(
    name: str, run_of_a_stack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = made_run.clone(run_of_a_stack, tmp_path / "run")
    assert would_run(folder) == set()
    path = folder / f"raw/{name}.csv"
    path.write_text(path.read_text().replace(",30,", ",31,", 1))
    made_run.enter(folder)
    made_run.make_folds()
    assert {job for job in would_run(folder) if not job.startswith("cache")} == LATE
    assert {job for job in would_run(folder, ensemble=["stacking"]) if not job.startswith("cache")} == LATE


def test_rows_without_the_columns_are_refused_by_the_folds_and_before_the_first_job(
    run_of_a_stack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = made_run.clone(run_of_a_stack, tmp_path / "run")
    made_run.enter(folder)
    asked: list[Any] = []
    done = SimpleNamespace(returncode=0)
    monkeypatch.setattr("goldfold.trials.run", lambda trials: asked.append(trials) or done)
    made_run.session()._preflight()
    (check,) = (one for one in asked[0] if "stacked" in one)
    (folder / "results/tiny/folds/test-metadata.csv").write_text("id,meta_age\n")
    said = (
        "test: there is no column 'site', which the ensemble takes. Add it to the table (an empty cell is a missing value), or "
        "list only other columns in the ensemble's stacking: {metadata: [...]}."
    )
    printed: list[str] = []
    monkeypatch.setattr("builtins.print", lambda *texts, **_: printed.extend(texts))
    assert preflight.main([check]) == 1
    assert printed == [f"goldfold: ensemble: {said}"]
    rows = pd.read_csv("results/tiny/manifest/test.csv", dtype=str)
    rows.drop(columns="meta_site").to_csv("results/tiny/manifest/test.csv", index=False)
    made = made_run.config()
    with pytest.raises(DataError) as caught:
        folds.run("results/tiny/manifest", "elsewhere", taken=columns.taken(made), **slices.folds(made))
    assert str(caught.value) == said
    constant = pd.DataFrame({"meta_site": ["a", "a"]})
    with pytest.raises(DataError, match=r"so that no stack can learn from it\. List only other columns"):
        refuse_unusable(constant, None, Columns((), ("site",)), by_steps=True)


# --- results, bundles, the report


@pytest.fixture(scope="module")
def results(of_noise: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Finished results and their bundle: networks of images of noise, whose stack takes the columns that say the label."""
    folder = tmp_path_factory.mktemp("results") / "noise"
    write_results(of_noise, folder)
    fuse(of_noise, folder, {"net": 1.0}, **stacked_by(folder))
    source = {"id_column": "id", "image_column": None, "metadata": NOISY}
    settings = {"roi": None, "max_pixels": 200_000_000, "source": source}
    record(folder, "manifest/run.json", "manifest", settings, [], ["manifest/classes.json"])
    export(folder, folder.parent / "bundle")
    return folder


def stacked_by(folder: Path) -> dict[str, Any]:
    """Steps of the ensemble, and what the job hands to the stage besides."""
    lists = [str(folder / f"folds/{name}-metadata.csv") for name in ("fold0", "fold1", "test")]
    fusion = {"boosted_stacking": {"trees": 40, "metadata": ["age", "site"]}}
    return {"fusion": fusion, "postprocessing": ["temperature"], "metadata": KINDS, "metadata_lists": lists}


def test_the_stage_scores_both_nested_and_keeps_the_statistics(results: Path) -> None:
    metrics = json.loads((results / "metrics.json").read_text())
    assert metrics["oof"]["accuracy"]["value"] > 0.9
    known = metrics["metadata"]
    assert (known["numeric"], known["categorical"]) == (["age"], ["site"])
    assert known["without"]["accuracy"] < 0.8
    assert known["gain"]["value"] == pytest.approx(metrics["oof"]["accuracy"]["value"] - known["without"]["accuracy"])
    assert 0 < known["gain"]["low"] < known["gain"]["value"]
    fitted = json.loads((results / "ensemble/fitted.json").read_text())
    table = pd.read_csv(results / "folds/train.csv", dtype=str)
    of_fold = [read_table(results / f"folds/fold{fold}-metadata.csv") for fold in (0, 1)]
    for fold in ("0", "1"):
        others = of_fold[0].set_index("id").loc[table["id"][table["fold"] != fold]].reset_index()
        assert encoder_of(fitted["without_fold"][fold][0]["metadata"]) == Encoder.fit(
            others, Columns(("age",), ("site",))
        )
    assert fitted["steps"][0]["fitted"]["metadata"]["categorical"] == {"site": ["north", "south"]}


def test_members_of_other_tools_are_stacked_with_metadata(results: Path, of_noise: Tiny, tmp_path: Path) -> None:
    for part in ("oof", "test"):
        ids = load_arrays(results / f"ensemble/{part}.npz")["ids"]
        logits = np.random.default_rng(0).normal(size=(len(ids), 2)).astype(np.float32)
        (tmp_path / "external/other").mkdir(parents=True, exist_ok=True)
        entries = {"ids": ids, "classes": np.array(of_noise.classes), "logits": logits}
        save(tmp_path / f"external/other/{part}.npz", entries.items())
    here = tmp_path / "results"
    shutil.copytree(results, here)
    fuse(of_noise, here, {"net": 1.0}, external=["other"], outside=str(tmp_path / "external"), **stacked_by(here))
    fitted = json.loads((here / "ensemble/fitted.json").read_text())["steps"][0]["fitted"]
    assert fitted["members"] == ["net-seed0", "other"]
    used = {column for (tree,) in fitted["models"][0]["fitted"]["rounds"] for column in tree["column"]}
    assert used & {4, 6}, "age and site follow the two columns of each member"
    assert json.loads((here / "metrics.json").read_text())["metadata"]["gain"]["low"] > 0


def test_a_bundle_predicts_by_a_table_as_the_run_did(results: Path, of_noise: Tiny, in_tmp: Path) -> None:
    bundle, images = goldfold.load(results.parent / "bundle"), of_noise.root / "img"
    shuffled = pd.read_csv(of_noise.root / "test.csv", dtype=str).sample(frac=1, random_state=0)
    shuffled.drop(columns="noise").to_csv("new.csv", index=False)
    found, wanted = bundle.predict(images, table="new.csv"), load_arrays(results / "ensemble/test.npz")
    rows = [found.arrays["ids"].tolist().index(id) for id in wanted["ids"]]
    np.testing.assert_allclose(found.arrays["probabilities"][rows], wanted["probabilities"], atol=1e-5)
    shuffled.assign(age="20").to_csv("younger.csv", index=False)
    other = bundle.predict(images, table="younger.csv")
    assert np.abs(other.arrays["probabilities"] - found.arrays["probabilities"]).max() > 0.1
    with pytest.raises(DataError, match=r"--table FILE \(CSV with one row per image: id, age, site\)"):
        bundle.predict(images)
    shuffled.drop(columns="age").to_csv("new.csv", index=False)
    with pytest.raises(DataError, match=r"new\.csv has no column 'age', which this bundle takes; it has: id, site"):
        bundle.predict(images, table="new.csv")
    written = form.read(results.parent / "bundle")
    assert (written.schema_version, written.stacks_metadata) == (4, True)
    card = (results.parent / "bundle" / form.CARD).read_text()
    assert "The model of the networks' predictions takes metadata columns besides images: age, site" in card


def test_the_report_names_the_columns_and_their_gain(results: Path, of_noise: Tiny) -> None:
    settings = {
        "models": [{"name": "net"}], "seeds": [0], "folds": {"n_folds": 2}, "pseudo_labels": {"rounds": 0}, "data": {}
    }  # fmt: skip
    found = read_results(results, of_noise.task, "accuracy", settings)
    blocks = fitted_report.blocks(found)
    (text,) = (block.text for block in blocks if getattr(block, "heading", "") == "Metadata")
    assert text.startswith(
        "boosted_stacking takes 2 metadata columns besides the predictions: age, site. Both scores are nested"
    )
    assert text.endswith("Metadata help: the interval of their gain is above 0.")
    tables = [block for block in blocks if isinstance(block, Table)]
    (scores,) = (table for table in tables if table.columns == ["", "accuracy", "95 % interval"])
    assert [row[0] for row in scores.rows] == ["with metadata", "without metadata", "gain"]
    assert "log_loss" in tables[-1].columns, "after each step, of which the first needs the lists"
    after = fitted_report.stages(found)
    assert len(after) == 2
    np.testing.assert_array_equal(after["temperature"].probabilities, found.evidence.probabilities)
    assert stacked_report.blocks(replace(found, metrics={**found.metrics, "metadata": None})) == []
