"""Prediction sets and intervals: what they cover on planted data, and that no image is covered by its own label."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.ensemble import RandomForestClassifier

import made_run
from goldfold.base.errors import ConfigError, DataError
from goldfold.bundles import form
from goldfold.bundles.predicting import fused
from goldfold.commands import preflight
from goldfold.config import parse
from goldfold.drawing.blocks import Section, Table
from goldfold.ensembling import conformal
from goldfold.ensembling.coverage import refuse_unreachable
from goldfold.ensembling.nested import nested
from goldfold.ensembling.sets import PredictionIntervals, PredictionSets
from goldfold.ensembling.steps import build
from goldfold.predictions.arrays import Arrays, picked
from goldfold.report import sets
from whole_task import whole

CLASSES = ["a", "b", "c", "d"]
TASK = whole({"name": "classification"}, CLASSES)
NUMBERS = whole({"name": "regression"}, ["-3 to 0", "0 to 4"])
FOLDS = 4
METRIC: Any = None
"""No step of these looks at a metric."""
NEAR = 0.02
"""Two points, the agreed distance from the intended coverage."""


def ids_of(n: int) -> list[str]:
    return [f"i{number:05d}" for number in range(n)]


def labelled(probabilities: np.ndarray) -> Arrays:
    return {"ids": np.array(ids_of(len(probabilities))), "classes": np.array(CLASSES), "probabilities": probabilities}


def truth_of(labels: np.ndarray, **more: Any) -> pd.DataFrame:
    return pd.DataFrame({"id": ids_of(len(labels)), "label": np.array(CLASSES)[labels], **more})


def planted(draw: np.random.Generator, n: int, sharpness: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Overconfident probabilities (n, classes), and labels."""
    logits = draw.normal(size=(n, len(CLASSES))) * sharpness
    shares = softmax(logits / 1.5, axis=1).cumsum(axis=1)
    return softmax(logits, axis=1), (draw.uniform(size=(n, 1)) > shares[:, :-1]).sum(axis=1)


def inside(
    step: Any, predictions: Arrays, labels: np.ndarray, fit_on: int, **more: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Sets, and whether they have the label, of the images after the first ``fit_on``, on which the step is fitted."""
    truth = truth_of(labels, **more)
    found = step.fit({"m": predictions}, truth[:fit_on], np.zeros(fit_on, int), METRIC)
    made = step.apply({"m": predictions}, json.loads(json.dumps(found)))["m"]["sets"][fit_on:]
    return made, made[np.arange(len(made)), labels[fit_on:]]


# --- the limit


def test_the_limit_has_the_rank_of_the_finite_sample_and_groups_share_one_weight() -> None:
    scores = np.random.default_rng(0).permutation(np.arange(1.0, 101.0))
    assert conformal.limit(scores, 0.9) == 91, "ceil(101 x 0.9)"
    assert conformal.limit(scores[:0], 0.9) is None
    assert conformal.limit(np.arange(1.0, 10.0), 0.9) == 9
    assert conformal.limit(np.arange(1.0, 9.0), 0.9) is None
    assert [conformal.fewest(share) for share in (0.5, 0.8, 0.9, 0.99)] == [1, 4, 9, 99]
    one_each = [str(number) for number in range(100)]
    assert conformal.limit(scores, 0.9, one_each) == 91
    groups = ["big"] * 6 + ["x", "y", "z"]
    assert conformal.limit(np.array([1, 2, 3, 4, 5, 6, 7, 8, 9.0]), 0.6, groups) == 8, "(1 + 1 + 1) / (4 + 1) at 8"
    assert conformal.limit(np.array([1, 2, 3, 4, 5, 6, 7, 8, 9.0]), 0.1, groups) == 3, "(3 / 6) / (4 + 1) at 3"
    assert conformal.limit(np.arange(9.0), 0.9, groups) is None, "four groups, however many cases"


def test_scores_of_adaptive_sets_add_what_is_more_probable() -> None:
    p = np.array([[0.2, 0.5, 0.3], [1.0, 1.0, 2.0]])
    before = conformal.cumulative(p, np.zeros(2))
    assert before == pytest.approx(np.array([[0.8, 0, 0.5], [0.5, 0.75, 0]]))
    assert conformal.cumulative(p, np.ones(2)) == pytest.approx(np.array([[1, 0.5, 0.8], [0.75, 1, 0.5]]))
    draws = conformal.uniform(ids_of(4000))
    assert np.array_equal(draws[[7, 3]], conformal.uniform(["i00007", "i00003"])), "by id, not by place"
    assert abs(draws.mean() - 0.5) < 0.02
    assert 0 <= draws.min() < 0.01 < 0.99 < draws.max() < 1


# --- coverage


@pytest.mark.parametrize(
    "settings", [{}, {"score": "adaptive"}, {"score": "adaptive", "randomised": False}, {"coverage": 0.8}]
)
def test_sets_cover_what_they_are_to_cover(settings: dict[str, Any]) -> None:
    draw, shares, sizes = np.random.default_rng(1), [], []
    for _ in range(40):
        made, found = inside(PredictionSets(TASK, 1, **settings), labelled((of := planted(draw, 900))[0]), of[1], 300)
        shares.append(found.mean())
        sizes.append(made.sum(axis=1))
    assert np.mean(shares) == pytest.approx(settings.get("coverage", 0.9), abs=NEAR)
    assert 1 < np.mean(sizes) < 3.5, "not by sets of everything"
    if settings.get("score") == "adaptive":
        assert np.min(sizes) == (1 if settings.get("randomised") is False else 0)


def test_sets_by_class_cover_each_class_where_common_ones_do_not() -> None:
    draw, own, common = np.random.default_rng(2), [], []
    for _ in range(25):
        labels = draw.choice(len(CLASSES), 2400, p=[0.4, 0.3, 0.2, 0.1])
        knows = np.array([3.0, 3.0, 3.0, 0.5])[labels]  # the rare class is the hard one
        logits = draw.normal(size=(2400, 4)) + knows[:, None] * np.eye(4)[labels]
        predictions, later = labelled(softmax(logits, axis=1)), labels[1200:]
        for shares, settings in ((own, {"by": "class"}), (common, {})):
            found = inside(PredictionSets(TASK, 1, **settings), predictions, labels, 1200)[1]
            shares.append([found[later == place].mean() for place in range(4)])
    assert np.mean(own, axis=0) == pytest.approx(np.full(4, 0.9), abs=NEAR)
    assert np.mean(common, axis=0)[3] < 0.75


def test_a_class_with_too_few_cases_is_in_every_set() -> None:
    probabilities, labels = planted(np.random.default_rng(3), 400)
    labels[labels == 3] = 0
    labels[:8] = 3
    step, truth = PredictionSets(TASK, 1, by="class"), truth_of(labels)
    found = step.fit({"m": labelled(probabilities)}, truth, np.zeros(400, int), METRIC)
    assert [name for name, one in found["limits"].items() if one is None] == ["d"]
    made = step.apply({"m": labelled(probabilities)}, json.loads(json.dumps(found)))["m"]["sets"]
    assert made[:, 3].all()
    assert not made[:, 0].all()


def grouped(draw: np.random.Generator, n_groups: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Groups of 30 easy cases and groups of one hard case: probabilities, labels, groups."""
    sizes = np.where(np.arange(n_groups) % 2, 30, 1)
    groups = np.repeat(np.arange(n_groups), sizes)
    of_group = draw.normal(size=n_groups) / 2
    labels = draw.integers(4, size=len(groups))
    knows = (np.where(sizes == 1, 0.5, 4.0) + of_group)[groups]
    return softmax(draw.normal(size=(len(groups), 4)) + knows[:, None] * np.eye(4)[labels], axis=1), labels, groups


def test_a_case_of_a_new_group_is_covered_where_counting_cases_fails() -> None:
    draw, ours, naive = np.random.default_rng(4), [], []
    for _ in range(40):
        probabilities, labels, groups = grouped(draw, 240)
        fit_on = int((groups < 120).sum())
        later, names = groups[fit_on:] - 120, groups.astype(str)
        for shares, counts in ((ours, True), (naive, False)):
            step = PredictionSets(TASK, 1, groups=counts)
            found = inside(step, labelled(probabilities), labels, fit_on, group=names)[1]
            shares.append((np.bincount(later, found) / np.bincount(later)).mean())
    assert np.mean(ours) == pytest.approx(0.9, abs=NEAR)
    assert np.mean(naive) < 0.8


@pytest.mark.parametrize("is_grouped", [False, True])
def test_intervals_cover_numbers_and_numbers_of_new_groups(is_grouped: bool) -> None:
    draw, shares = np.random.default_rng(5), []
    for _ in range(60):
        sizes = np.where(np.arange(200) % 2, 10, 1) if is_grouped else np.ones(200, int)
        groups = np.repeat(np.arange(200), sizes)
        predicted = draw.normal(size=len(groups))
        error = draw.standard_t(3, len(groups)) * np.where(sizes == 1, 3, 1)[groups]
        more = {"group": groups.astype(str)} if is_grouped else {}
        truth = pd.DataFrame({"id": ids_of(len(groups)), "value": predicted + error, **more})
        members = {"m": {"ids": np.array(truth["id"]), "values": predicted, "spreads": 0 * predicted}}
        step, fit_on = PredictionIntervals(NUMBERS, 1), int((groups < 100).sum())
        found = step.fit(members, truth[:fit_on], np.zeros(fit_on, int), METRIC)
        made = step.apply(members, json.loads(json.dumps(found)))["m"]
        covered = ((made["lower"] <= truth["value"]) & (truth["value"] <= made["upper"]))[fit_on:]
        shares.append(covered.groupby(groups[fit_on:]).mean().mean())
    assert np.mean(shares) == pytest.approx(0.9, abs=NEAR)


def test_means_over_the_networks_of_all_folds_are_covered_at_least_as_often() -> None:
    """Real trainings: the limit is that of forests of one fold each, the test prediction their mean."""
    draw, nested_, of_mean = np.random.default_rng(10), [], []
    for seed in range(6):
        x = draw.normal(size=(1400, 6))
        logits = np.stack([2 * x[:, 0] * x[:, 1], 2 * x[:, 2], x[:, 3] + x[:, 4] * x[:, 5], 0 * x[:, 0]], axis=1)
        labels = (draw.uniform(size=(1400, 1)) > softmax(logits, axis=1).cumsum(axis=1)[:, :-1]).sum(axis=1)
        folds, oof, later = np.arange(400) % 5, np.empty((400, 4)), np.zeros((1000, 4))
        for fold in range(5):
            own, others = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
            forest = RandomForestClassifier(10, min_samples_leaf=3, random_state=seed).fit(x[others], labels[others])
            oof[own], later = forest.predict_proba(x[own]), later + forest.predict_proba(x[400:]) / 5
        step, truth = PredictionSets(TASK, 1), truth_of(labels[:400])
        made = nested([step], {"m": labelled(oof)}, truth, folds, METRIC, picked)
        (tested,) = step.apply({"m": labelled(later)}, made.fitted[0]).values()
        nested_.append(made.predictions["sets"][np.arange(400), labels[:400]].mean())
        of_mean.append(tested["sets"][np.arange(1000), labels[400:]].mean())
    assert np.mean(nested_) == pytest.approx(0.9, abs=NEAR)
    assert 0.9 < np.mean(of_mean) < 0.97


# --- nested, in tables and bundles


def run(steps: Sequence[Any], predictions: Arrays, truth: pd.DataFrame) -> Any:
    folds = np.arange(len(truth)) % FOLDS
    return nested(build(TASK, steps, 1), {"m": predictions}, truth, folds, TASK.metric("accuracy"), picked)


@pytest.mark.parametrize("settings", [{}, {"by": "class"}, {"score": "adaptive"}])
def test_labels_of_a_fold_change_no_set_of_the_fold(settings: dict[str, Any]) -> None:
    probabilities, labels = planted(np.random.default_rng(6), 240)
    folds = np.arange(240) % FOLDS
    other = np.where(folds == 0, (labels + 1) % 4, labels)
    steps = ["average", {"prediction_sets": settings}]
    before, after = (run(steps, labelled(probabilities), truth_of(of)) for of in (labels, other))
    made, again = before.predictions["sets"], after.predictions["sets"]
    assert made[folds == 0].tobytes() == again[folds == 0].tobytes()
    assert not np.array_equal(made[folds != 0], again[folds != 0])
    assert before.without[0] == after.without[0]
    assert np.array_equal(before.predictions["probabilities"], probabilities)
    assert before.optimistic is None, "the score is the same"
    covered = made[np.arange(240), labels].mean()
    assert 0.84 < covered < 0.96


def test_tables_list_the_classes_of_a_set_and_the_ends_of_an_interval() -> None:
    predictions = labelled(np.array([[0.6, 0.3, 0.1, 0], [0.25, 0.25, 0.25, 0.25], [0, 0, 1, 0]]))
    made = PredictionSets(TASK, 1).apply({"m": predictions}, {"limit": 0.72})["m"]
    table = TASK.table(made)
    assert table["set"].tolist() == ["a|b", "", "c"]
    assert [*table][:4] == ["id", "prediction", "confidence", "set"]
    assert table.drop(columns="set").equals(TASK.table(predictions))
    values = {"ids": np.array(["x"]), "values": np.array([2.0]), "spreads": np.array([0.0])}
    interval = NUMBERS.table(PredictionIntervals(NUMBERS, 1).apply({"m": values}, {"limit": 0.5})["m"])
    assert interval.to_dict("records") == [{"id": "x", "predicted": 2, "spread": 0, "lower": 1.5, "upper": 2.5}]


def test_a_bundle_applies_the_limits_of_the_run() -> None:
    probabilities, labels = planted(np.random.default_rng(7), 200)
    step = {"prediction_sets": {"score": "adaptive", "by": "class"}}
    made = run(["average", step], labelled(probabilities), truth_of(labels))
    member = form.Member.model_construct(name="m", weight=1.0)
    saved = form.Fitted.model_validate_json(form.Fitted(step=step, fitted=made.fitted[1]).model_dump_json())
    manifest = form.Manifest.model_construct(
        task={"name": "classification"}, classes=CLASSES, members=[member], ensemble={"method": "probability"}, fusion=None,
        postprocessing=[saved],
    )  # fmt: skip
    logits = {**labelled(probabilities), "logits": np.log(probabilities)}
    logits.pop("probabilities")
    found = fused(manifest, [member], [[logits]])
    (of_run,) = build(TASK, [step], 1)[0].apply({"m": labelled(probabilities)}, made.fitted[1]).values()
    assert np.array_equal(found["sets"], of_run["sets"])
    assert 0 < found["sets"].mean() < 1


# --- bad input

BASE: dict[str, Any] = {
    "name": "x", "data": {"source": "digits"}, "models": [{"name": "a", "network": "small_resnet", "image_size_px": 8}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([{"prediction_sets": {"coverage": 1}}], "prediction_sets: coverage = 1: must be above 0 and below 1, such as 0.9"),
        ([{"prediction_sets": {"coverage": 90}}], "coverage = 90: must be above 0 and below 1"),
        ([{"prediction_sets": {"coverage": "high"}}], "coverage = 'high': must be a number"),
        ([{"prediction_sets": {"score": "aps"}}], "score = 'aps': must be threshold or adaptive"),
        ([{"prediction_sets": {"by": "patient"}}], "by = 'patient': must be class, or left out"),
        ([{"prediction_sets": {"groups": "patient"}}], "groups = 'patient': must be true or false"),
        ([{"prediction_sets": {"randomised": False}}], "randomised has no effect with score: threshold; remove it"),
        ([{"prediction_sets": {"covrage": 0.9}}], "prediction_sets does not take 'covrage'; nearest is 'coverage'"),
        (["prediction_sets", "temperature"],
         "ensemble[0] = 'prediction_sets': is fitted to the final predictions, which 'temperature' changes; put it last"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_one_error_of_the_config(steps: list[Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse({**BASE, "ensemble": steps})
    assert said in str(caught.value)
    assert str(caught.value).startswith("config: 1 problem\n")


MASKS = {"source": "masks", "train": "t", "masks": "m", "classes": ["lit"]}
UNET = {"name": "a", "network": "unet", "backbone": "resnet18", "image_size_px": 64}
BOXES = {"source": "coco", "train": "t.json", "images": "i"}
FINDER = {"name": "a", "network": "fasterrcnn", "image_size_px": 64}


def test_intervals_without_a_range_are_refused() -> None:
    ink = {**BASE, "task": "regression", "data": {"source": "digits_ink"}}
    with pytest.raises(ConfigError, match=r"prediction_intervals: coverage = -1: must be above 0 and below 1"):
        parse({**ink, "ensemble": [{"prediction_intervals": {"coverage": -1}}]})
    with pytest.raises(ConfigError, match=r"prediction_intervals does not take 'score'"):
        parse({**ink, "ensemble": [{"prediction_intervals": {"score": "adaptive"}}]})


def test_the_configs_of_the_page_are_valid(repo: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (repo / "docs/sets.md").read_text(), re.DOTALL)
    of_task = {"regression": {"data": {"source": "digits_ink"}}}
    written = [yaml.safe_load(block) for block in blocks]
    found = [parse({**BASE, **of_task.get(one.get("task"), {}), **one}).postprocessing for one in written]
    assert found == [[{"prediction_sets": {"coverage": 0.9}}], [{"prediction_intervals": {"coverage": 0.9}}]]


@pytest.mark.parametrize(
    ("task", "data", "model"),
    [
        ("multilabel", {"source": "digits_labels"}, BASE["models"][0]),
        ("regression", {"source": "digits_ink"}, BASE["models"][0]),
        ("segmentation", MASKS, UNET),
        ("detection", BOXES, FINDER),
    ],
)
def test_other_tasks_have_no_sets(task: str, data: dict[str, Any], model: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"ensemble\[0\] = 'prediction_sets': .*allowed with {task}: average, "):
        parse({**BASE, "task": task, "data": data, "models": [model], "ensemble": ["prediction_sets"]})


def test_too_few_cases_or_groups_for_any_limit_are_refused() -> None:
    probabilities, labels = planted(np.random.default_rng(8), 40)
    members = {"m": labelled(probabilities)}

    def fit(n: int, of: Sequence[str] | None = None, **settings: Any) -> Any:
        truth = truth_of(labels[:n], **({"group": of} if of else {}))
        return PredictionSets(TASK, 1, **settings).fit(members, truth, np.zeros(n, int), METRIC)

    with pytest.raises(
        DataError, match=r"a coverage of 0.9 is fitted on at least 9 cases, but there are 8 cases to fit on. Lower"
    ):
        fit(8)
    with pytest.raises(
        DataError, match=r"at least 9 groups, but there are 4 groups to fit on. .* groups: false to take cases as"
    ):
        fit(40, ["a", "b", "c", "d"] * 10)
    with pytest.raises(DataError, match=r"at least 99 cases of one class, but there are 40 cases to fit on"):
        fit(40, by="class", coverage=0.99)
    assert fit(40, ["a", "b", "c", "d"] * 10, groups=False) == fit(40)


@given(
    n=st.integers(6, 60), n_groups=st.integers(0, 12), coverage=st.sampled_from([0.5, 0.8, 0.9, 0.95]),
    by=st.sampled_from([None, "class"]), groups=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
def test_a_coverage_is_refused_with_the_folds_where_the_step_would_refuse_it(
    n: int, n_groups: int, coverage: float, by: str | None, groups: bool, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    probabilities, labels = planted(draw, n)
    of = {"group": draw.integers(n_groups, size=n).astype(str)} if n_groups else {}
    truth = truth_of(labels, **of).assign(fold=draw.integers(3, size=n))
    step, members = PredictionSets(TASK, 1, coverage, by=by, groups=groups), {"m": labelled(probabilities)}
    wanted = [{"step": "prediction_sets", "coverage": coverage, "groups": groups, "by": by}]
    said = set[str]()
    for fold in truth["fold"].unique():
        others = truth[truth["fold"] != fold].reset_index(drop=True)
        try:
            step.fit(members, others, others["fold"].to_numpy(), METRIC)
        except DataError as error:
            said.add(str(error))
    unscored = truth.head(1).assign(fold=-1, id="never validated")
    table = pd.concat([truth, unscored])
    if not said:
        refuse_unreachable(table, wanted)
        return
    with pytest.raises(DataError) as caught:
        refuse_unreachable(table, wanted)
    assert str(caught.value) in said


def test_a_coverage_is_checked_before_the_first_job_where_the_folds_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made_run.finish(tmp_path / "run")
    asked: list[Any] = []
    done = SimpleNamespace(returncode=0)
    monkeypatch.setattr("goldfold.trials.run", lambda trials: asked.append(trials) or done)
    made_run.session()._preflight()
    made_run.session(ensemble=[{"prediction_sets": {"coverage": 0.99, "groups": False}}])._preflight()
    before, after = ([one for one in checks if "coverages" in one] for checks in asked)
    assert before == []
    of_step = {"step": "prediction_sets", "coverage": 0.99, "groups": False, "by": None}
    assert after == [{"folds": "results/tiny/folds", "coverages": [of_step]}]
    printed: list[str] = []
    monkeypatch.setattr("builtins.print", lambda *texts, **_: printed.extend(texts))
    assert preflight.main(after) == 1
    (line,) = printed
    assert line.startswith(
        "goldfold: ensemble: prediction_sets: a coverage of 0.99 is fitted on at least 99 cases, but there are"
    )


# --- report


def results_of(draw: np.random.Generator) -> Any:
    probabilities, labels, groups = grouped(draw, 160)
    truth = truth_of(labels, group=groups.astype(str))
    steps = ["average", {"prediction_sets": {"coverage": 0.8}}]
    made = nested(
        build(TASK, steps, 1),
        {"m": labelled(probabilities)},
        truth,
        groups // 2 % FOLDS,
        TASK.metric("accuracy"),
        picked,
    )
    return SimpleNamespace(
        steps=[{"step": step, "fitted": one} for step, one in zip(steps, made.fitted, strict=True)], oof=made.predictions,
        truth=truth, classes=CLASSES, row="image", facts=TASK.facts, target=TASK, answers=None, test=None, tables={},
    )  # fmt: skip


def test_the_report_shows_what_was_covered_by_size_class_and_group() -> None:
    results = results_of(np.random.default_rng(9))
    page = sets.section(results)
    assert isinstance(page, Section)
    whole_, sizes, classes, groups = [block for block in page.blocks if isinstance(block, Table)]
    truth = results.truth.assign(inside=results.oof["sets"][np.arange(len(results.truth)), TASK.evidence(
        results.oof, results.truth).labels])  # fmt: skip
    share = truth.groupby("group")["inside"].mean().mean()
    assert whole_.rows[0][2] == f"{100 * share:.1f} %"
    assert 75 < 100 * share < 87
    assert sum(int(str(row[1]).replace(",", "")) for row in sizes.rows) == len(truth)
    assert {row[0] for row in classes.rows} == set(CLASSES)
    assert [row[0] for row in groups.rows] == ["1", "20 and more"]
    assert [row[1] for row in groups.rows] == ["80", "80"]
    assert "The sets are fitted to contain the true class of 80.0 % of new images, each of a new group" in page.intro
    assert sets.section(SimpleNamespace(steps=results.steps[:1])) is None


def test_the_report_shows_intervals_by_range_and_those_of_test_images() -> None:
    truth = pd.DataFrame({"id": ids_of(8), "value": [-3, -2, -1, -1, 1, 2, 3, 4.0], "fold": 0})
    values = {"ids": np.array(ids_of(8)), "values": np.zeros(8), "spreads": np.zeros(8)}
    steps = [{"step": "average", "fitted": None}, {"step": "prediction_intervals", "fitted": {"limit": 2.0}}]
    made = PredictionIntervals(NUMBERS, 1).apply({"m": values}, steps[1]["fitted"])["m"]
    task = whole({"name": "regression"}, ["-3 to 0", "0 to 4"])
    results: Any = SimpleNamespace(
        steps=steps, oof=made, truth=truth, classes=task.classes, row="image", facts=task.facts, target=task,
        answers=truth[:4].drop(columns="fold"), test=made, tables={"test": truth[["id"]]},
    )  # fmt: skip
    page = sets.section(results)
    assert page is not None
    assert "The intervals are fitted to contain the true number of 90.0 % of new images." in page.intro
    parts, ranges = page.blocks
    assert isinstance(parts, Table)
    assert isinstance(ranges, Table)
    assert [row[:3] for row in parts.rows] == [["out of fold", "8", "62.5 %"], ["test", "4", "75.0 %"]]
    assert [row[4] for row in parts.rows] == ["4", "4"]
    assert [row[:3] for row in ranges.rows] == [["0 to 4", "4", "50.0 %"], ["-3 to 0", "4", "75.0 %"]]
