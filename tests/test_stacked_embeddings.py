"""Embeddings of frozen backbones in the stack of the ensemble: what they earn, no leak, config, jobs and files."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import made_run
from goldfold.base.errors import ConfigError, DataError
from goldfold.base.files import read_json, write_json
from goldfold.config import parse
from goldfold.config.dependencies import recipe
from goldfold.embeddings import Embeddings
from goldfold.ensembling.nested import Nested
from goldfold.ensembling.with_metadata import METADATA, without
from goldfold.heads import of_cases
from goldfold.heads.of_cases import EmbeddedCases
from goldfold.planning.plan import Job, plan_of
from goldfold.predictions.arrays import picked, save
from goldfold.report import fits
from goldfold.stages import ensemble
from goldfold.targets.label_sets import to_text
from test_ensemble_steps import ids_of
from test_frozen_heads import LINEAR, MLP, with_heads
from test_stacked_metadata import CLASSES, TASK, assert_noise_earns_nothing, cases, drawn
from test_stacked_metadata import gain_of as gain_of_columns
from test_stacked_metadata import run as of_columns
from test_workflow import TINY

WIDTH = 24
STACKS: list[Any] = [
    {"stacking": {"embeddings": True}},
    {"boosted_stacking": {"trees": 12, "rate": 0.2, "embeddings": True, "components": 6}},
]


def embedded(features: np.ndarray, name: str = "net") -> EmbeddedCases:
    """Embeddings of the cases, in another order than their predictions."""
    ids = np.array(ids_of(len(features)))[::-1]
    return EmbeddedCases({name: Embeddings({"ids": ids, "features": features[::-1].astype(np.float32)})})


def noise(n: int, seed: int) -> EmbeddedCases:
    return embedded(5 + np.random.default_rng([9, n, seed]).normal(size=(n, WIDTH)))


def knowing(labels: np.ndarray) -> EmbeddedCases:
    """Directions of the embeddings tell the classes apart; no single column does."""
    draw = np.random.default_rng(0)
    return embedded(4 * np.eye(3)[labels] @ draw.normal(size=(3, WIDTH)) + draw.normal(size=(len(labels), WIDTH)) + 100)


def run(
    step: Any, members: Any, truth: pd.DataFrame, known: EmbeddedCases | None, metadata: Any = None, task: Any = TASK
) -> Nested:
    return of_columns(step, members, truth, metadata, task, known)


def gain_of(step: Any, members: Any, truth: pd.DataFrame, known: EmbeddedCases) -> dict[str, float]:
    return gain_of_columns(step, members, truth, None, embeddings=known)


# --- what is earned


@pytest.mark.parametrize("step", STACKS)
def test_embeddings_that_alone_carry_the_label_gain(step: Any) -> None:
    members, truth, labels = drawn(240, 0, strength=0.0)
    assert gain_of(step, members, truth, knowing(labels))["low"] > 0.4
    found = run(step, members, truth, knowing(labels)).predictions["probabilities"]
    assert (found.argmax(axis=1) == labels).mean() > 0.95


@pytest.mark.parametrize(
    "step",
    [
        {"stacking": {"embeddings": True, "penalty": 10}},
        {"boosted_stacking": {"trees": 12, "rate": 0.4, "embeddings": True}},
    ],
    ids=str,
)
def test_random_embeddings_earn_nothing(step: Any) -> None:
    assert_noise_earns_nothing(step, lambda seed: {"known": None, "embeddings": noise(160, seed)})


@pytest.mark.parametrize("name", ["regression", "multilabel", "ordinal"])
def test_numbers_sets_and_ordered_classes_learn_from_embeddings_too(name: str) -> None:
    members, truth, labels = drawn(200, 4, strength=0.0)
    if name == "regression":
        values = np.random.default_rng(0).normal(size=200)
        one = {"ids": np.array(ids_of(200)), "classes": np.array(CLASSES), "values": values, "spreads": values * 0}
        members, truth = {"m": one}, truth.assign(value=labels.astype(str))
    elif name == "multilabel":
        truth = truth.assign(labels=[to_text([CLASSES[label]]) for label in labels])
    found = run(STACKS[0], members, truth, knowing(labels), task={"name": name}).predictions
    if name == "regression":
        assert np.abs(found["values"] - labels).mean() < 0.4
    else:
        assert (found["probabilities"].argmax(axis=1) == labels).mean() > 0.85


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


def test_components_are_those_of_the_cases_that_the_stack_is_fitted_on() -> None:
    members, truth, _ = drawn(120, 1)
    own, features = (truth["fold"] == 1).to_numpy(), np.random.default_rng(0).normal(size=(120, WIDTH))
    one, two = (run(STACKS[0], members, truth, embedded(features + far * own[:, None])) for far in (0, 50))
    assert json.dumps(one.without[1]) == json.dumps(two.without[1]), "mean, spread and components"
    assert json.dumps(one.without[0]) != json.dumps(two.without[0])


# --- columns


def test_columns_are_components_of_equal_deviation_that_together_weigh_like_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    features = np.random.default_rng(0).normal(size=(60, 5)) * [1, 2, 3, 4, 0] + 1000
    features[:, 3] = features[:, 2]
    known = embedded(features).only(True, 16)
    fitted = json.loads(json.dumps(known.fit(ids_of(60))))
    rows = known.rows(ids_of(60), fitted)
    assert rows.shape == (60, 5)
    np.testing.assert_allclose(rows.var(axis=0), [1 / 3, 1 / 3, 1 / 3, 0, 0], atol=1e-3)
    np.testing.assert_allclose(rows[:, :3].T @ rows[:, :3] / 20, np.eye(3), atol=1e-3)
    np.testing.assert_array_equal(known.columns(rows, fitted, indicators=True), rows)
    monkeypatch.setattr(of_cases, "BLOCK", 7)
    np.testing.assert_allclose(known.rows(ids_of(60), fitted), rows, atol=1e-6)
    with pytest.raises(DataError, match="1 images have no prediction, first 'zz'"):
        known.rows(["zz"], fitted)


def test_of_many_cases_every_nth_gives_the_components(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_cases, "MOST_ROWS", 30)
    known = noise(60, 0)
    assert known.fit(ids_of(60)) == known.fit(ids_of(60)[::2])


def test_embeddings_of_models_and_metadata_stand_side_by_side() -> None:
    members, truth, labels = drawn(120, 1)
    both = EmbeddedCases({"a": knowing(labels).known["net"], "b": noise(120, 0).known["net"]})
    step: Any = {"stacking": {"embeddings": ["b", "a"], "components": 3, "metadata": ["age"]}}
    found = run(step, members, truth, both, cases(120, "3", "x").only(["age"])).fitted[0]
    assert [*found["embeddings"]] == ["b", "a"]
    assert np.shape(found["models"][0]["fitted"]["coefficients"]) == (3, 2 * 3 + 2 + 2 * 3)
    assert without(step, [METADATA]) == {"stacking": {"embeddings": ["b", "a"], "components": 3}}
    with pytest.raises(ConfigError, match="stacking: embeddings: no embeddings of these cases are given"):
        run(step, members, truth, None, cases(120, "3", "x"))


def test_the_report_prints_no_components() -> None:
    members, truth, labels = drawn(120, 1)
    fitted = run(STACKS[0], members, truth, knowing(labels)).fitted
    results: Any = SimpleNamespace(
        steps=[{"step": STACKS[0], "fitted": fitted[0]}], without_fold={}, ensemble={"weights": {"m0": 1.0, "m1": 1.0}}
    )
    assert [one.name for one in fits.parameters(results)] == ["models.fitted.penalty"]


# --- config, recipe, jobs


def stacked(step: Any, *models: dict[str, Any]) -> dict[str, Any]:
    return with_heads(*models, ensemble=[step])


def test_models_that_share_embeddings_are_taken_once() -> None:
    other = {**MLP, "name": "larger", "image_size_px": 16}
    config = parse(stacked(STACKS[0], LINEAR, MLP, other))
    assert config.stacked_embeddings == {name: config.embeddings[name] for name in ("linear", "larger")}
    one = parse(stacked({"stacking": {"embeddings": ["mlp"]}}, LINEAR, MLP, other))
    assert one.stacked_embeddings == {"mlp": config.embeddings["mlp"]}
    plan = plan_of(one)
    files = [path for job in plan.above(Job("ensemble")) if job.stage == "embed" for path in plan.outputs(job)[:1]]
    assert {Path(path).parent.name for path in files} == {config.embeddings["mlp"]}
    assert {Path(path).name.split("-")[0] for path in files} == {"train", "test"}
    assert recipe(one, Job("ensemble"))["settings"]["embeddings"] == {"mlp": config.embeddings["mlp"]}
    plain = parse(stacked("stacking", LINEAR, MLP, other))
    assert "embeddings" not in recipe(plain, Job("ensemble"))["settings"]
    assert not [job for job in plan_of(plain).above(Job("ensemble")) if job.stage == "embed"]


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"embeddings": ["b0"]}, r"'b0' is trained by fold: features of different folds are not comparable.*\(linear, mlp\)"),
        ({"embeddings": ["liner"]}, "'liner' is no model; .*nearest is 'linear'"),
        ({"embeddings": ["linear", "mlp"]}, "'linear' and 'mlp' have the same embeddings; name one of them"),
        ({"embeddings": "linear"}, "embeddings = 'linear': write embeddings: true"),
        ({"embeddings": []}, r"embeddings = \[\]: write embeddings: true"),
        ({"components": 4}, "components = 4: has no effect without embeddings"),
        ({"embeddings": True, "components": 0}, "components = 0: must be a whole number of at least 1"),
    ],
)  # fmt: skip
def test_what_a_stack_cannot_take_is_refused(params: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse(stacked({"stacking": params}, LINEAR, MLP))


@pytest.mark.usefixtures("in_tmp")
def test_sizes_and_interpolations_may_be_those_of_the_backbone() -> None:
    own = {"name": "own", "backbone": "test_vit", "frozen": {"head": "logistic"}, "interpolation": "own"}
    config = parse(stacked({"stacking": {"embeddings": ["own", "mlp"]}}, own, MLP))
    assert config.stacked_embeddings == {name: config.embeddings[name] for name in ("own", "mlp")}
    same = {**own, "name": "same", "image_size_px": list(config.model("own").size)}
    with pytest.raises(ConfigError, match="'own' and 'same' have the same embeddings; name one of them"):
        parse(stacked({"stacking": {"embeddings": ["own", "same"]}}, own, same))


def test_a_stack_without_a_frozen_backbone_has_no_embeddings() -> None:
    with pytest.raises(ConfigError, match="embeddings: no model has a frozen backbone; give one frozen"):
        parse(stacked(STACKS[0]))


def test_other_embeddings_rerun_the_ensemble_and_train_nothing(tmp_path: Path) -> None:
    models: list[Any] = [TINY["models"][0], LINEAR]  # type: ignore[index]
    values: dict[str, Any] = {"pseudo_labels": {"rounds": 0}, "models": models, "ensemble": [STACKS[0]]}
    made_run.finish(tmp_path / "run", **values)
    assert made_run.would_run(tmp_path / "run", **values) == set()
    fewer = [{"stacking": {"embeddings": True, "components": 4}}]
    late = {"ensemble", "submit", "report"}
    assert made_run.would_run(tmp_path / "run", **{**values, "ensemble": fewer}) == late
    flipped = [models[0], {**LINEAR, "frozen": {"head": "logistic", "views": ["hflip"]}}]
    found = made_run.would_run(tmp_path / "run", **{**values, "models": flipped})
    assert {name for name in found if not name.startswith(("embed ", "cache "))} == {"heads_once linear", *late}


# --- stage


def test_the_stage_predicts_with_embeddings_and_says_what_they_gain(tmp_path: Path) -> None:
    members, truth, labels = drawn(120, 0, strength=0.3)
    for fold in range(int(truth["fold"].max()) + 1):
        folder = tmp_path / f"predict/net/round0/fold{fold}/seed0"
        own = truth["id"][truth["fold"] == fold].tolist()
        place = {name: np.array(value) for name, value in (("round", 0), ("fold", fold), ("seed", 0))}
        for part, ids in (("oof", own), ("test", truth["id"].tolist())):
            one = picked([(members["m0"], ids)])
            logits = {"ids": one["ids"], "logits": np.log(one["probabilities"]).astype(np.float32)}
            save(folder / f"{part}.npz", [*logits.items(), ("classes", one["classes"]), *place.items()])
    truth.to_csv(tmp_path / "train.csv", index=False)
    write_json(tmp_path / "classes.json", CLASSES)
    known, path = knowing(labels).known["net"], tmp_path / "embeddings/e-8x8-0/train-0.npz"
    save(path, known.arrays.items())
    other = tmp_path / "embeddings/other/train-0.npz"
    save(other, known.arrays.items())
    ensemble.run(
        predictions=str(tmp_path / "predict"), train=str(tmp_path / "train.csv"), classes=str(tmp_path / "classes.json"),
        folder=str(tmp_path / "ensemble"), leaderboard=str(tmp_path / "leaderboard.csv"), metrics=str(tmp_path / "metrics.json"),
        task=TASK, metric="log_loss", models=["net"], seeds=[0], n_folds=int(truth["fold"].max()) + 1, rounds=1, has_test=True,
        weights={}, settings={"method": "probability"}, workers=1, fusion=STACKS[0], embeddings={"net": "e-8x8-0"},
        embedded=[str(path), str(other)],
    )  # fmt: skip
    found = read_json(tmp_path / "metrics.json")["embeddings"]
    assert found["models"] == {"net": "e-8x8-0"}
    assert found["gain"]["low"] > 0.1
    table = pd.read_csv(tmp_path / "ensemble/test.csv").set_index("id").loc[truth["id"]]
    best = table[[column for column in table if column.startswith("p_") or column in CLASSES]].to_numpy()[:, :3]
    assert (best.argmax(axis=1) == labels).mean() > 0.85
