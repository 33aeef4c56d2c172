"""Thousands of classes of few images: stages keep a table of images x classes per member and few copies, and no table of classes
x classes."""

import importlib
import importlib.util
import json
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score

from goldfold import catalog, metrics, tasks
from goldfold.audit import mislabelled
from goldfold.base.many import MOST_LISTED
from goldfold.drawing.blocks import Table
from goldfold.drawing.tables import MOST_SHOWN
from goldfold.ensembling.steps import FittedStep, build
from goldfold.metrics.areas import FEW, class_areas, resampled_areas
from goldfold.metrics.bootstrap import draws, resample
from goldfold.metrics.classification import Labelled, quadratic_kappa
from goldfold.metrics.paired import resampled
from goldfold.metrics.ranking import roc_area
from goldfold.metrics.resampling import drawn, is_together, prepared
from goldfold.predictions.arrays import load, save
from goldfold.report import folds as of_folds
from goldfold.splits import checks
from goldfold.splits.rare import in_one_part
from goldfold.stages import ensemble
from goldfold.submission import best
from goldfold.tasks import logits as of_logits
from goldfold.tasks.steps import ForSteps
from tiny_results import fusing

ROOT = Path(__file__).parents[1]
N_CLASSES, N_FOLDS = 4000, 2
N_IMAGES = 400
TABLE = N_IMAGES * N_CLASSES * 4
"""Bytes of the predictions of a member, a tenth of those of a table of classes x classes in the same numbers."""
CLASSES = [f"c{number:05d}" for number in range(N_CLASSES)]
TASK: dict[str, Any] = {"name": "classification"}
MEMBERS = ("a", "b")


def peak(work: Callable[[], Any]) -> float:
    """Largest memory of what ``work`` allocates, in tables of one member, without libraries that are imported on use."""
    for name in ("pandas", "scipy.special", "scipy.stats", "sklearn.metrics", "matplotlib.figure"):
        importlib.import_module(name)
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / TABLE
    finally:
        tracemalloc.stop()


def logits(labels: NDArray[np.int64], seed: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    found = rng.standard_normal((len(labels), N_CLASSES), dtype=np.float32)
    found[np.arange(len(labels)), labels] += rng.choice([2.0, 8.0], len(labels)).astype(np.float32)
    return found


@pytest.fixture(scope="module")
def truth() -> pd.DataFrame:
    """Two images of each of some classes, one in each fold."""
    rows = range(N_IMAGES)
    labels = [CLASSES[row // 2 * 7] for row in rows]
    return pd.DataFrame(
        {"id": [f"i{row:04d}" for row in rows], "label": labels, "fold": [str(row % 2) for row in rows]}
    )


def values_of(truth: pd.DataFrame) -> NDArray[np.float32]:
    """Probabilities of an ensemble."""
    return of_logits.softmax(logits(truth["label"].map(CLASSES.index).to_numpy(), 0)).astype(np.float32)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, truth: pd.DataFrame) -> Path:
    """Predictions of two members of `truth`, and of the same images as test images."""
    root = tmp_path_factory.mktemp("many")
    (root / "folds").mkdir()
    truth.to_csv(root / "folds/train.csv", index=False)
    truth[["id"]].to_csv(root / "folds/test.csv", index=False)
    (root / "folds/classes.json").write_text(json.dumps(CLASSES))
    for seed, name in enumerate(MEMBERS):
        whole = logits(truth["label"].map(CLASSES.index).to_numpy(), seed)
        for fold in range(N_FOLDS):
            for part, own in (("oof", (truth["fold"] == str(fold)).to_numpy()), ("test", np.ones(N_IMAGES, bool))):
                entries = {"ids": truth["id"].to_numpy(str)[own], "classes": np.array(CLASSES), "logits": whole[own]}
                save(root / f"predict/{name}/round0/fold{fold}/seed0/{part}.npz", entries.items())
    return root


def fuse(root: Path, metric: Any, **more: Any) -> None:
    lists = root / "folds"
    ensemble.run(
        predictions=str(root / "predict"), train=str(lists / "train.csv"), classes=str(lists / "classes.json"),
        folder=str(root / "ensemble"), leaderboard=str(root / "leaderboard.csv"), metrics=str(root / "metrics.json"),
        task=TASK, metric=metric, models=[*MEMBERS], seeds=[0], n_folds=N_FOLDS, rounds=1, has_test=True, weights={},
        settings=fusing("classification"), workers=1, **more,
    )  # fmt: skip


def test_the_ensemble_of_two_members_takes_a_few_tables(
    results: Path, truth: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_logits, "NUMBERS", 2**16)  # so that blocks are small beside these tables
    assert peak(lambda: fuse(results, {"map_at_k": {"k": 5}})) < len(MEMBERS) + N_FOLDS + 4
    fused = load(results / "ensemble/oof.npz")
    assert fused["probabilities"].dtype == np.float32
    assert np.allclose(fused["probabilities"].sum(axis=1), 1, atol=1e-4)
    table = pd.read_csv(results / "ensemble/oof.csv")
    assert list(table) == ["id", "prediction", "confidence", "label", "fold"]
    found = json.loads((results / "metrics.json").read_text())
    assert {*found["oof"]} == {"map_at_k(k=5)", "accuracy", "balanced_accuracy", "f1_macro", "log_loss", "roc_auc"}
    assert all(one["low"] <= one["value"] <= one["high"] for one in found["oof"].values())
    right = (table["prediction"] == truth["label"]).mean()
    assert found["oof"]["accuracy"]["value"] == pytest.approx(right)
    assert 0.4 < right < 0.9
    assert len(found["classes"]) == N_CLASSES


@pytest.mark.parametrize("format", ["label", "best", "confidence", "probabilities"])
def test_submissions_take_a_few_tables(truth: pd.DataFrame, format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(best, "BLOCK", 32)
    facet = tasks.submit(TASK, CLASSES)
    form = facet.form(None, "", {"format": format, "id_column": "id", "label_column": "label"}, "accuracy")
    predictions = {"ids": truth["id"].to_numpy(str), "classes": np.array(CLASSES), "probabilities": values_of(truth)}
    tables: list[pd.DataFrame] = []
    assert peak(lambda: tables.append(facet.submission(predictions, form))) < 2.5
    assert tables[0].shape == (N_IMAGES, 1 + N_CLASSES if format == "probabilities" else 2)
    if format == "best":
        wanted = [" ".join(CLASSES[place] for place in np.argsort(-row)[:5]) for row in predictions["probabilities"]]
        assert list(tables[0]["label"]) == wanted
    if format == "probabilities":
        assert (tables[0].iloc[:, 1:].to_numpy() == predictions["probabilities"]).all()


def test_a_threshold_for_unknown_images_takes_one_more_table(truth: pd.DataFrame) -> None:
    predictions = {"ids": truth["id"].to_numpy(str), "classes": np.array(CLASSES), "probabilities": values_of(truth)}
    (step,) = build(ForSteps(TASK, CLASSES), [{"unknown": {"label": CLASSES[1]}}], 1)
    assert isinstance(step, FittedStep)
    metric, folds = metrics.build("gap", catalog.METRICS["label"]), np.zeros(N_IMAGES, np.int64)
    fitted: list[Any] = []
    assert peak(lambda: fitted.append(step.fit({"ensemble": predictions}, truth, folds, metric))) < 1.5
    assert 0 < fitted[0]["threshold"] < 1


def test_sections_of_the_report_take_a_few_tables_and_list_the_worst_classes(truth: pd.DataFrame) -> None:
    predictions = {"ids": truth["id"].to_numpy(str), "classes": np.array(CLASSES), "probabilities": values_of(truth)}
    sections: list[Any] = []
    assert peak(lambda: sections.extend(tasks.show(TASK, CLASSES).pages(predictions, truth, 4))) < 4
    (classes,) = [one for one in sections if one.id == "classes"]
    (table,) = [block for block in classes.blocks if isinstance(block, Table)]
    assert len(table.rows) == MOST_SHOWN
    assert "The 50 of 4,000 classes with the worst F1 are listed" in classes.intro


def test_confident_learning_takes_no_table_of_classes_by_classes(
    truth: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    values, labels = values_of(truth), truth["label"].map(CLASSES.index).to_numpy()
    monkeypatch.setattr(mislabelled, "BLOCK", 2**16)
    assert peak(lambda: (mislabelled.find(values, labels), mislabelled.joint(values, labels))) < 0.5


def test_folds_of_many_classes_are_counted_without_copies(truth: pd.DataFrame) -> None:
    content, numbers = tasks.target(TASK, CLASSES).content(truth), truth["fold"].astype(int).to_numpy()
    assert peak(lambda: (checks.deviations(content, numbers, N_FOLDS), in_one_part(content, numbers))) < 1
    assert checks.amounts(content, numbers).equals(content.groupby(numbers).sum().astype(np.int64))
    assert in_one_part(content, np.where(numbers == 0, 0, 1 - (truth["label"] == CLASSES[7]))) == [CLASSES[7]]


def test_the_table_of_folds_lists_the_classes_with_the_largest_deviation() -> None:
    amounts = pd.DataFrame(np.ones((2, N_CLASSES), int), columns=CLASSES).assign(c00900=[2, 0])
    far = checks.shares(amounts)
    table = of_folds._table(amounts.assign(**{"(all)": N_CLASSES, "(deviation)": 1.0}), far)
    assert [row[0] for row in (table.rows[0], table.rows[-1])] == ["c00900", "(all)"]
    assert len(table.rows) == MOST_SHOWN + 1
    assert table.caption == "The 50 of 4,000 classes with the largest deviation; all are in folds/summary.csv."


@settings(deadline=None, max_examples=50)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 3 * FEW),
    n_classes=st.integers(2, 300),
    levels=st.sampled_from([1, 3, 10**6]),
)
def test_areas_are_those_of_sorted_columns_to_the_last_bit(seed: int, n: int, n_classes: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    values, labels = (
        rng.integers(0, levels, (n, n_classes)) / levels,
        rng.integers(0, n_classes, n) // rng.integers(1, 9),
    )
    wanted = [roc_area(column, labels == number) for number, column in enumerate(values.T)]
    assert np.array_equal(class_areas(values, labels), wanted, equal_nan=True)
    metric, evidence = metrics.build("roc_auc", catalog.METRICS["label"]), Labelled(values, labels)
    if n_classes > 2:
        rows = [*draws(n, None, 3, seed)]
        counts = np.array([np.bincount(one, minlength=n) for one in rows])
        found = resampled_areas(values, labels, counts)
        assert np.array_equal(found, [metric.value(evidence, one) for one in rows], equal_nan=True)


def test_validation_in_training_takes_no_table_of_classes_by_classes(truth: pd.DataFrame) -> None:
    """It computes all metrics that are reported, with kappa among them."""
    values, labels = values_of(truth), truth["label"].map(CLASSES.index).to_numpy()
    for name in tasks.facts("classification").reported:
        metric = metrics.build(name, catalog.METRICS["label"])
        assert peak(partial(metric.value, Labelled(values, labels), np.arange(N_IMAGES))) < 1.5, name
    wanted = cohen_kappa_score(labels, values.argmax(axis=1), weights="quadratic", labels=range(N_CLASSES))
    assert quadratic_kappa(values, labels) == pytest.approx(wanted, rel=1e-9)
    assert np.isnan(quadratic_kappa(values[:1], values[:1].argmax(axis=1)))


def test_kappa_of_high_grades_keeps_its_digits() -> None:
    drawn_from = np.random.default_rng(0)
    labels = drawn_from.integers(N_CLASSES - 2, N_CLASSES, size=500)
    values = np.eye(N_CLASSES, dtype=np.float32)[drawn_from.permutation(labels)]
    wanted = cohen_kappa_score(labels, values.argmax(axis=1), weights="quadratic", labels=range(N_CLASSES))
    assert quadratic_kappa(values, labels) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("parameters", [{}, {"scale": 0.0}])
def test_a_metric_that_writes_into_its_arguments_changes_no_other_score(parameters: dict[str, float]) -> None:
    values, rows = np.random.default_rng(0).random((20, 3)), np.arange(20)
    evidence = Labelled(values.copy(), rows % 3)
    metric = metrics.Metric(partial(in_place, **parameters) if parameters else in_place)
    assert metric.value(evidence, rows) == 0
    assert np.array_equal(evidence.probabilities, values)
    assert np.array_equal(evidence.labels, rows % 3)


def in_place(probabilities: Any, labels: Any, scale: float = 0.0) -> float:
    probabilities *= scale
    labels[:] = 0
    return float(probabilities.sum())


def test_pairs_of_many_classes_are_resampled_at_once_with_the_same_scores() -> None:
    drawn_from = np.random.default_rng(0)
    labels = drawn_from.integers(MOST_LISTED + 1, size=60)
    one = Labelled(drawn_from.random((60, MOST_LISTED + 1)), labels)
    metric = tasks.score({"name": "classification"}, [f"k{k}" for k in range(MOST_LISTED + 1)]).metric("roc_auc")
    assert is_together(metric, one)
    found = resampled(metric, {"a": one}, None, 5, seed=3)["a"]
    value = prepared(metric, one)
    assert found.tolist() == [value(rows) for rows in draws(60, None, 5, seed=3)]


def test_the_area_under_the_roc_curve_of_many_classes_is_resampled_at_once() -> None:
    rng = np.random.default_rng(0)
    metric = metrics.build("roc_auc", catalog.METRICS["label"])
    evidence = Labelled(rng.random((60, MOST_LISTED + 1)), rng.integers(0, MOST_LISTED, 60))
    groups = [str(row // 2) for row in range(60)]
    one_by_one = resample(prepared(metric, evidence), 60, groups, 3)
    assert np.array_equal(drawn(metric, evidence, groups, 3), one_by_one)


def test_a_run_of_many_classes_has_a_small_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = importlib.util.spec_from_file_location("many_classes", ROOT / "benchmarks/many_classes.py")
    assert made is not None
    assert made.loader is not None
    benchmark = importlib.util.module_from_spec(made)
    made.loader.exec_module(benchmark)
    monkeypatch.chdir(tmp_path)
    benchmark.write_data(MOST_LISTED + 1, 2, 10)
    config = benchmark.config(2, "gap", "confidence")
    for stage in benchmark.STAGES.values():
        stage(config)
    results = tmp_path / benchmark.RESULTS
    page = (results / "report/report.html").read_text()
    assert len(page) < 1e6
    for words in (
        "The 50 of 1,001 classes with the worst F1",
        "full matrix would be unreadable",
        "The two members agree on",
    ):
        assert words in page
    assert "correlation of their predicted values" not in page, "tables of many classes have no values to correlate"
    assert pd.read_csv(results / "submission.csv").shape == (10, 2)
