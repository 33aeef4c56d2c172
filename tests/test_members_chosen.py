"""Steps that choose, weigh and stack members, and the averages they use."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from goldfold.base.errors import ConfigError
from goldfold.ensembling import average, boosting, nested, simplex, stacking, temperature
from goldfold.ensembling.fold_effects import means
from goldfold.ensembling.linear import Linear
from goldfold.ensembling.logistic import PENALTY_OF_FOLDS
from goldfold.ensembling.steps import build
from goldfold.predictions.arrays import Arrays, picked, with_thresholds
from goldfold.targets.label_sets import to_text
from goldfold.tasks import logits as of_logits
from test_ensemble_steps import SEVERAL, TWO, folds_of, ids_of, labelled, of_yes, run, truth_of, value
from whole_task import whole

THREE = whole({"name": "classification"}, ["a", "b", "c"])
NUMBER = whole({"name": "regression"}, ["0 to 1", "1 to 2"])
ALL_OF_LABELS = ("fitted_average", "hill_climbing", "simplex", "stacking", "boosted_stacking")


def drawn(n: int, seed: int = 0) -> np.random.Generator:
    return np.random.default_rng([n, seed])


def knowing(n: int, n_members: int, strength: Sequence[float], seed: int = 0) -> tuple[dict[str, Arrays], pd.DataFrame]:
    """Members of three classes whose logits know the label as well as ``strength`` says."""
    draw = drawn(n, seed)
    labels = draw.integers(0, 3, n)
    members = {
        f"m{place}": labelled(
            softmax(strength[place] * np.eye(3)[labels] + draw.normal(size=(n, 3)), axis=1), THREE.classes
        )
        for place in range(n_members)
    }
    return members, truth_of([THREE.classes[label] for label in labels])


def fitted(step: Any, task: Any, members: dict[str, Arrays], truth: pd.DataFrame, metric: str = "log_loss") -> Any:
    (built,) = build(task, [step], 1)
    return json.loads(json.dumps(built.fit(members, truth, folds_of(len(truth)), task.metric(metric)))), built


# --- averages


def test_power_is_that_of_scipy_and_between_probability_and_the_most_confident() -> None:
    stack = drawn(5).dirichlet(np.ones(3), size=(4, 6))
    weights = [1.0, 2.0, 0.5, 1.0]
    expected = stats.pmean(stack, 3, axis=0, weights=np.array(weights)[:, None, None])
    assert average.power(stack, weights, 3) == pytest.approx(expected / expected.sum(axis=1, keepdims=True))
    assert average.power(stack, weights, 1) == pytest.approx(average.probability(stack, weights))
    assert average.power(stack, weights, 1e-6) == pytest.approx(average.geometric(stack, weights), abs=1e-4)
    assert average.power(stack, weights, 100).argmax(axis=1).tolist() == stack.max(axis=0).argmax(axis=1).tolist()
    for exponent in (0, 101):
        with pytest.raises(
            ConfigError, match=rf"exponent = {exponent}: must be above 0 and at most 100; for 0, use geometric"
        ):
            average.power(stack, weights, exponent)


def test_votes_are_counted_with_weights_and_ties_go_to_the_larger_mean() -> None:
    stack = np.array([[[0.6, 0.4, 0.0]], [[0.1, 0.5, 0.4]], [[0.2, 0.38, 0.42]]])
    assert average.vote(stack, [1, 1, 1])[0] == pytest.approx([1 / 3] * 3, abs=1e-5)
    assert average.vote(stack, [1, 1, 1]).argmax(axis=1) == [1], "three votes for three classes: b has the largest mean"
    assert average.vote(stack, [1, 1, 2]).argmax(axis=1) == [2]
    assert average.vote(stack[[0, 0, 1]], [1, 1, 1]).argmax(axis=1) == [0], "a majority, whatever the mean"
    assert average.vote(stack, [1, 1, 1]).sum(axis=1) == pytest.approx([1])


@pytest.mark.parametrize("method", ["probability", "geometric", "logit", "vote", {"power": {"exponent": 3}}, "rank"])
@pytest.mark.parametrize("task", [THREE, SEVERAL])
def test_blocks_of_images_give_the_same_bytes(task: Any, method: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if task is SEVERAL and method == "geometric":
        return
    members = [labelled(drawn(50, seed).dirichlet(np.ones(3), size=50), task.classes) for seed in range(3)]
    at_once = task.fuse(members, [1, 2, 1], method=method)["probabilities"]
    monkeypatch.setattr(of_logits, "BLOCK", 7)
    assert task.fuse(members, [1, 2, 1], method=method)["probabilities"].tobytes() == at_once.tobytes()


# --- noise


@pytest.mark.parametrize("step", [{"hill_climbing": {"steps": 12}}, "simplex"])
def test_two_hundred_members_of_noise_are_at_chance_nested(step: Any) -> None:
    """Above chance on the images that they were chosen on."""
    metric = "log_loss" if step == "simplex" else "accuracy"
    nested_scores, seen = [], []
    for seed in range(4):
        draw = drawn(60, seed)
        members = {f"m{place}": of_yes(draw.uniform(size=60)) for place in range(200 if seed == 0 else 40)}
        truth = truth_of(["yes" if yes else "no" for yes in draw.integers(0, 2, 60)])
        made = run([step], members, truth, metric)
        nested_scores.append(value(TWO, made.predictions, truth, "accuracy"))
        seen.append(value(TWO, made.optimistic, truth, "accuracy"))
    assert np.mean(seen) > 0.62
    assert abs(np.mean(nested_scores) - 0.5) < 0.11, "1.7 standard deviations of 240 coins"


def of_new_cases(step: Any, n_of_noise: int) -> float:
    """Log loss on 1,760 cases of a step that is fitted on 240 others, with two members that know and some that do not."""
    members, truth = knowing(2000, 2 + n_of_noise, [1.0, 0.7, *[0.0] * n_of_noise])
    (built,) = build(THREE, [step], 1)
    fit = built.fit(members, truth[:240], folds_of(240), THREE.metric("log_loss")) if hasattr(built, "fit") else None
    (made,) = built.apply(members, fit).values()
    evidence = THREE.evidence(made, truth)
    return float(THREE.metric("log_loss").value(evidence, np.arange(240, 2000)))


def test_members_of_noise_cost_a_stack_little() -> None:
    """The penalty grows with the noise; with one of 10, thirty such members undo nearly all that the two others know."""
    none, some, many = (of_new_cases("stacking", n) for n in (0, 5, 30))
    assert none == of_new_cases({"stacking": {"penalty": 10.0}}, 0)
    assert none < some < none + 0.04
    assert some < many < none + 0.16
    assert many < np.log(3) - 0.1 < of_new_cases({"stacking": {"penalty": 10.0}}, 30)
    assert many < of_new_cases("average", 30) - 0.1
    assert none < of_new_cases("average", 0) - 0.02


def test_the_penalty_is_chosen_on_other_folds_and_can_be_given() -> None:
    members, truth = knowing(240, 40, [1.0, *[0.0] * 39])
    chosen = fitted("stacking", THREE, members, truth)[0]["models"][0]["fitted"]
    assert chosen["penalty"] > 10
    given = fitted({"stacking": {"penalty": chosen["penalty"]}}, THREE, members, truth)[0]["models"][0]["fitted"]
    assert given == chosen
    pair = {"id": [*truth["id"], *(f"{id}_2" for id in truth["id"])], "label": [*truth["label"]] * 2}
    twice = {
        name: labelled(np.tile(one["probabilities"], (2, 1)), THREE.classes) | {"ids": np.array(pair["id"])}
        for name, one in members.items()
    }
    folds = np.tile(folds_of(240), 2)
    (step,) = build(THREE, ["stacking"], 1)
    alike = step.fit(twice, pd.DataFrame(pair), folds, THREE.metric("log_loss"))["models"][0]["fitted"]["penalty"]
    assert alike > 10, "copies of a case are in one fold, and so on the same side of each cut"


@pytest.mark.parametrize("step", ALL_OF_LABELS)
def test_labels_of_a_fold_change_nothing_of_its_own_predictions(step: Any) -> None:
    members, truth = knowing(80, 3, [2.0, 1.0, 0.5])
    other, own = truth.copy(), folds_of(80) == 1
    other.loc[own, "label"] = np.roll(other.loc[own, "label"], 1)
    one, two = (run([step, "temperature"], members, table, "log_loss", THREE).predictions for table in (truth, other))
    assert one["probabilities"][own].tobytes() == two["probabilities"][own].tobytes()
    assert one["probabilities"][~own].tobytes() != two["probabilities"][~own].tobytes()


# --- hill climbing


def test_hill_climbing_takes_each_time_the_member_that_helps_most() -> None:
    members, truth = knowing(120, 4, [1.5, 1.2, 0.8, 0.0])
    found, _ = fitted({"hill_climbing": {"steps": 12}}, THREE, members, truth)
    counts, path = np.zeros(4), []
    stack = np.stack([one["probabilities"] for one in members.values()])
    index = [THREE.classes.index(label) for label in truth["label"]]
    for _ in range(12):
        losses = []
        for place in range(4):
            mean = np.average(stack, axis=0, weights=counts + np.eye(4)[place])
            losses.append(-np.log(mean[np.arange(120), index]).mean())
        counts = counts + np.eye(4)[int(np.argmin(losses))]
        path.append((min(losses), counts / counts.sum()))
    expected = min(path, key=lambda one: one[0])[1]
    assert list(found["weights"].values()) == pytest.approx(expected, abs=1e-6)
    assert found["weights"]["m3"] < 0.1


@pytest.mark.parametrize("step", ["fitted_average", "hill_climbing", {"hill_climbing": {"bags": 5}}])
def test_weights_are_equal_where_no_weighting_can_be_scored(step: Any) -> None:
    """The area under the curve is undefined if all images are of one class."""
    members, _ = knowing(20, 4, [1.0] * 4)
    found, _ = fitted(step, THREE, members, truth_of(["a"] * 20), "roc_auc")
    assert [*found["weights"].values()] == pytest.approx([0.25] * 4, abs=0.15 if isinstance(step, dict) else 1e-6)
    assert min(found["weights"].values()) > 0


def test_hill_climbing_by_another_average_and_metric() -> None:
    members, truth = knowing(90, 3, [3.0, 0.5, 0.0])
    found, _ = fitted({"hill_climbing": {"method": "rank", "metric": "accuracy", "steps": 4}}, THREE, members, truth)
    assert sum(found["weights"].values()) == pytest.approx(1)
    assert max(found["weights"], key=found["weights"].__getitem__) == "m0"
    again, _ = fitted({"hill_climbing": {"bags": 3}}, THREE, members, truth)
    assert again == fitted({"hill_climbing": {"bags": 3}}, THREE, members, truth)[0], "the same bags"


# --- weights on the simplex


def test_weights_on_the_simplex_are_the_optimum_of_a_general_solver() -> None:
    members, truth = knowing(150, 4, [1.5, 1.2, 0.8, 0.0])
    index = [THREE.classes.index(label) for label in truth["label"]]
    of_true = np.stack([one["probabilities"][np.arange(150), index] for one in members.values()], axis=1)
    reference = minimize(
        lambda weights: -np.log(of_true @ weights).mean(), np.full(4, 0.25), bounds=[(0, 1)] * 4,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1}, method="SLSQP", options={"ftol": 1e-14},
    )  # fmt: skip
    found, _ = fitted("simplex", THREE, members, truth)
    assert list(found["weights"].values()) == pytest.approx(reference.x, abs=2e-3)


def test_weights_of_numbers_minimise_the_squared_error() -> None:
    draw = drawn(200)
    truth = draw.normal(size=200)
    values = truth[:, None] + draw.normal(size=(200, 4)) * [0.5, 0.7, 1.0, 9.0]
    reference = minimize(
        lambda weights: ((values @ weights - truth) ** 2).mean(), np.full(4, 0.25), bounds=[(0, 1)] * 4,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1}, method="SLSQP", options={"ftol": 1e-14},
    )  # fmt: skip
    assert simplex.of_numbers(values, truth) == pytest.approx(reference.x, abs=1e-3)


def test_sets_of_labels_are_weighted_by_all_labels_together() -> None:
    draw = drawn(100)
    true = draw.integers(0, 2, (100, 3))
    good, bad = np.clip(true, 0.1, 0.9), np.full((100, 3), 0.5)
    truth = pd.DataFrame(
        {"id": ids_of(100), "labels": [to_text(np.array(SEVERAL.classes)[row == 1].tolist()) for row in true]}
    )
    members = {"good": labelled(good, SEVERAL.classes), "bad": labelled(bad, SEVERAL.classes)}
    for step in ("simplex", "hill_climbing"):
        found, _ = fitted(step, SEVERAL, members, truth)
        assert found["weights"] == {"good": 1, "bad": 0}, step


# --- stacking


def test_a_linear_stack_is_the_logistic_regression_of_scikit_learn() -> None:
    members, truth = knowing(150, 2, [1.5, 0.5])
    found, step = fitted({"stacking": {"penalty": 2}}, THREE, members, truth)
    logs = [np.log(one["probabilities"]) for one in members.values()]
    columns = np.concatenate([one - one.mean(axis=1, keepdims=True) for one in logs], axis=1)
    folds, scaled = folds_of(len(truth)), columns / columns.std(axis=0)
    within = scaled - means(scaled, folds)[folds]
    indicators = np.sqrt(2 / PENALTY_OF_FOLDS) * np.eye(4)[folds]
    model = LogisticRegression(C=0.5, max_iter=5000, tol=1e-8, fit_intercept=False)
    reference = model.fit(np.concatenate([within, indicators], axis=1), truth["label"])
    outputs, places = scaled @ reference.coef_[:, : scaled.shape[1]].T, np.searchsorted([*"abc"], truth["label"])
    rows = np.arange(len(places))
    best = minimize(lambda added: -log_softmax(outputs + added, axis=1)[rows, places].mean(), np.zeros(3)).x
    turned = {name: members[name] for name in reversed(members)}
    for given in (members, turned):
        result = step.apply(given, found)["ensemble"]
        assert result["probabilities"] == pytest.approx(softmax(outputs + best, axis=1), abs=1e-4)


def test_a_boosted_stack_from_json_is_that_of_scikit_learn() -> None:
    columns = drawn(120).normal(size=(120, 4))
    target = (columns[:, 0] > 0).astype(int) + (columns[:, 1] > 0.5)
    model = boosting.Boosted(10, 2, 0.3)
    found = json.loads(json.dumps(model.fit(columns, target, False)))
    share = (np.bincount(target) + 1) / (len(target) + 3)
    reference = GradientBoostingClassifier(
        init=boosting._Start(np.tile(share, (120, 1))), n_estimators=10, max_depth=2, learning_rate=0.3, subsample=0.8,
        max_features="sqrt", min_samples_leaf=6, random_state=0,
    ).fit(columns.astype(np.float32), target)  # fmt: skip
    differences = model.outputs(columns, found) - reference.decision_function(columns)
    assert differences == pytest.approx(np.tile(differences[0], (120, 1)), abs=1e-6), "but for the intercepts"
    assert softmax(model.outputs(columns, found), axis=1).mean(axis=0) == pytest.approx(np.bincount(target) / 120)
    two = model.fit(columns, target.clip(max=1), False)
    assert stacking.two(model.outputs(columns, two)).argmax(axis=1) == pytest.approx(target.clip(max=1), abs=1)


@pytest.mark.parametrize("step", ["stacking", "boosted_stacking"])
def test_numbers_and_sets_of_labels_are_stacked_too(step: str) -> None:
    draw = drawn(160)
    number = draw.uniform(0, 2, 160)
    members = {
        name: {
            "ids": np.array(ids_of(160)), "classes": np.array(NUMBER.classes), "spreads": np.full(160, 0.1),
            "values": 2 * number + 1 + draw.normal(size=160) * noise,
        }
        for name, noise in (("a", 0.2), ("b", 0.6))
    }  # fmt: skip
    truth = pd.DataFrame({"id": ids_of(160), "value": number.astype(str)})
    made = run([step], members, truth, "rmse", NUMBER)
    assert value(NUMBER, made.predictions, truth, "rmse") < 0.3, "members are at twice the number plus one"
    assert made.predictions["spreads"].shape == (160,)

    true = draw.integers(0, 2, (160, 3))
    noisy = np.clip(1 - true + draw.normal(size=(160, 3)) * 0.2, 0.01, 0.99)
    table = pd.DataFrame(
        {"id": ids_of(160), "labels": [to_text(np.array(SEVERAL.classes)[row == 1].tolist()) for row in true]}
    )
    made = run([step], {"wrong": labelled(noisy, SEVERAL.classes)}, table, "log_loss", SEVERAL)
    assert value(SEVERAL, made.predictions, table, "log_loss") < 0.35, "a member that says the opposite is understood"


@pytest.mark.parametrize("step", ["stacking", "boosted_stacking"])
def test_a_member_that_always_says_the_same_changes_nothing(step: str) -> None:
    """The deviation that numpy computes for its columns is not quite 0."""
    members, truth = knowing(100, 2, [1.5, 1.0])
    with_prior = {**members, "prior": labelled(np.tile([0.5, 0.3, 0.2], (100, 1)), THREE.classes)}
    alone, beside = (
        run([step], given, truth, "log_loss", THREE).predictions["probabilities"] for given in (members, with_prior)
    )
    assert np.isfinite(beside).all()
    if step == "stacking":
        assert beside == pytest.approx(alone, abs=1e-3)
    number = drawn(60).normal(size=60)
    model = Linear(10.0)
    found = model.fit(np.stack([number, np.full(60, 0.1)], axis=1), number + 1, is_number=True, folds=folds_of(60))
    assert model.outputs(np.array([[0.0, 0.1], [0.0, 7.0]]), found)[:, 0] == pytest.approx([1, 1], abs=0.2)


@pytest.mark.parametrize("step", ["stacking", "boosted_stacking"])
def test_a_class_that_was_not_seen_keeps_the_mean_of_the_members(step: str) -> None:
    members, truth = knowing(60, 2, [2.0, 1.0])
    mean = THREE.fuse([*members.values()], [1.0, 1.0])["probabilities"]
    truth["label"] = np.where(truth["label"] == "c", "a", truth["label"])
    found, built = fitted(step, THREE, members, truth)
    result = built.apply(members, found)["ensemble"]["probabilities"]
    assert result[:, 2] == pytest.approx(mean[:, 2])
    assert result.sum(axis=1) == pytest.approx(np.ones(60))
    assert np.abs(result[:, 0] - mean[:, 0]).max() > 0.05, "the others are fitted"
    truth["label"] = "b"
    found, built = fitted(step, THREE, members, truth)
    assert built.apply(members, found)["ensemble"]["probabilities"] == pytest.approx(mean)


def test_a_class_of_one_fold_alone_is_predicted_by_the_members() -> None:
    """The stack of this fold is fitted without it."""
    labels = np.where(folds_of(120) == 0, 2, drawn(120).integers(0, 2, 120))
    knows = softmax(3 * np.eye(3)[labels] + drawn(121).normal(size=(120, 3)), axis=1)
    members, truth = {"m": labelled(knows, THREE.classes)}, truth_of([THREE.classes[label] for label in labels])
    made = run(["stacking"], members, truth, "log_loss", THREE)
    assert value(THREE, made.predictions, truth, "log_loss") < value(THREE, members["m"], truth, "log_loss") + 0.15


def test_a_label_that_all_or_no_images_have_is_predicted_by_the_members() -> None:
    members = {
        name: labelled(drawn(60, seed).uniform(0.1, 0.9, (60, 3)), SEVERAL.classes) for seed, name in enumerate("mn")
    }
    mean = SEVERAL.fuse([*members.values()], [1.0, 1.0])["probabilities"]
    sets = [["a", "b"] if place % 2 else ["a"] for place in range(60)]
    truth = pd.DataFrame({"id": ids_of(60), "labels": [to_text(labels) for labels in sets]})
    found, built = fitted("stacking", SEVERAL, members, truth)
    result = built.apply(members, found)["ensemble"]["probabilities"]
    assert result[:, [0, 2]] == pytest.approx(mean[:, [0, 2]])
    assert np.abs(result[:, 1] - mean[:, 1]).max() > 0.05


# --- temperature


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 3.0])
def test_the_temperature_of_overconfident_predictions_is_found(true_temperature: float) -> None:
    draw = drawn(4000)
    logits = draw.normal(size=(4000, 3)) * 2
    labels = [THREE.classes[draw.choice(3, p=row)] for row in softmax(logits, axis=1)]
    members = {"m": labelled(softmax(logits * true_temperature, axis=1), THREE.classes)}
    found, step = fitted("temperature", THREE, members, truth_of(labels))
    assert found["temperature"] == pytest.approx(true_temperature, rel=0.08)
    result = step.apply(members, found)["m"]["probabilities"]
    assert result.argmax(axis=1).tolist() == logits.argmax(axis=1).tolist()
    assert result.sum(axis=1) == pytest.approx(1)


@pytest.mark.parametrize("task", [TWO, SEVERAL])
def test_decisions_by_thresholds_stay(task: Any) -> None:
    n = len(task.classes)
    p = drawn(200).uniform(size=(200, n))
    values = p if task is SEVERAL else np.stack([1 - p[:, 0], p[:, 0]], axis=1)
    shares = [0.3, 0.6, 0.8][: n if task is SEVERAL else 1]
    before = with_thresholds(labelled(values, task.classes), shares)
    (step,) = build(task, ["temperature"], 1)
    after = step.apply({"m": before}, {"temperature": 2.5})["m"]
    assert not np.array_equal(after["probabilities"], before["probabilities"])
    decide = (lambda one: one["probabilities"] >= one["thresholds"]) if task is SEVERAL else (
        lambda one: one["probabilities"][:, 1] * (1 - one["thresholds"][:, 0])
        > one["probabilities"][:, 0] * one["thresholds"][:, 0]
    )  # fmt: skip
    assert np.array_equal(decide(before), decide(after))


def test_temperature_is_fitted_without_the_fold_and_picked_by_id() -> None:
    members, truth = knowing(80, 2, [3.0, 2.0])
    made = run(["average", "temperature"], members, truth, "log_loss", THREE)
    assert len({one[1]["temperature"] for one in made.without.values()}) > 1
    assert picked([(made.predictions, ids_of(80))])["ids"].tolist() == ids_of(80)


# --- bad input


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"hill_climbing": {"steps": 0}}, "hill_climbing: steps = 0: must be a whole number from 1 to 1,000"),
        ({"hill_climbing": {"bags": 0}}, "hill_climbing: bags = 0: must be a whole number from 1 to 1,000"),
        ({"stacking": {"penalty": 0}}, "stacking: penalty = 0: must be above 0"),
        ({"boosted_stacking": {"rate": 2}}, "boosted_stacking: rate = 2: must be above 0 and at most 1"),
        ({"boosted_stacking": {"trees": 0}}, "boosted_stacking: trees = 0: must be from 1 to 10,000"),
    ],
)
def test_parameters_out_of_range_are_refused(step: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        build(THREE, [step], 1)


def test_temperature_of_values_at_the_edges_is_finite() -> None:
    assert np.isfinite(temperature.at(np.array([[0.0, 1.0]]), 0.05, False)).all()
    assert np.isfinite(temperature.at(np.array([[0.0, 1.0]]), 20, True)).all()


# --- many images


@pytest.mark.parametrize("step", ["stacking", "boosted_stacking"])
@pytest.mark.parametrize("task", [THREE, SEVERAL, NUMBER])
def test_blocks_of_images_are_stacked_alike(step: str, task: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = drawn(30)
    ids = np.array([f"i{place:02d}" for place in range(30)])
    members: dict[str, Any] = {}
    for name in ("one", "two"):
        order = draw.permutation(30)
        values = {"values": draw.normal(size=30), "spreads": np.zeros(30)} if task is NUMBER else {
            "probabilities": draw.dirichlet(np.ones(len(task.classes)), 30)
        }  # fmt: skip
        members[name] = {"ids": ids[order], "classes": np.array(task.classes), **values}
    if task is NUMBER:
        truth = pd.DataFrame({"id": ids, "value": draw.normal(size=30).astype(str)})
    elif task is SEVERAL:
        truth = pd.DataFrame({"id": ids, "labels": [to_text(task.classes[: draw.integers(0, 3)]) for _ in ids]})
    else:
        truth = pd.DataFrame({"id": ids, "label": draw.choice(task.classes, 30)})
    fit, built = fitted(step, task, members, truth, "rmse" if task is NUMBER else "log_loss")
    (together,) = built.apply(members, fit).values()
    monkeypatch.setattr(stacking, "BLOCK", 7)
    (blocks,) = built.apply(members, fit).values()
    key = "values" if task is NUMBER else "probabilities"
    assert blocks["ids"].tolist() == together["ids"].tolist() == ids.tolist()
    assert blocks[key] == pytest.approx(together[key], abs=1e-12)


@pytest.mark.parametrize("step", ["simplex", "hill_climbing", "fitted_average", "stacking"])
def test_a_nested_fit_sees_the_images_of_a_block_alone_and_predicts_the_same(
    step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    members, truth = knowing(90, 3, [2.0, 1.0, 0.0])

    def made() -> Any:
        return nested.nested(
            build(THREE, [step, "temperature"], 1), members, truth, folds_of(90), THREE.metric("log_loss"), picked
        )

    sizes = []
    apply = nested.applied
    monkeypatch.setattr(nested, "applied", lambda own, some, fitted: (
        sizes.append(len(next(iter(some.values()))["ids"])), apply(own, some, fitted),
    )[1])  # fmt: skip
    monkeypatch.setattr(nested, "BLOCK", 7)
    blocks = made()
    assert max(sizes[:-1]) == 7, "and all images once, for the optimistic prediction"
    assert sizes[-1] == 90
    monkeypatch.setattr(nested, "_is_by_image", lambda *_: False)
    whole = made()
    assert sizes[-1] == sizes[-2] == 90
    assert blocks.fitted == whole.fitted
    assert blocks.without == whole.without
    for one in (blocks, whole):
        assert one.predictions["ids"].tolist() == truth["id"].tolist()
    assert {*blocks.predictions} == {*whole.predictions}
    assert blocks.predictions["probabilities"] == pytest.approx(whole.predictions["probabilities"], abs=1e-12)


def test_ranks_are_of_all_images() -> None:
    """A step in which images depend on each other is applied to all of them."""
    (step,) = build(THREE, [{"hill_climbing": {"method": "rank"}}], 1)
    assert not nested._is_by_image([step], {})
    assert nested._is_by_image(build(THREE, ["hill_climbing"], 1), {})


def test_steps_are_fitted_on_at_most_so_many_images(monkeypatch: pytest.MonkeyPatch) -> None:
    members, truth = knowing(300, 3, [2.0, 1.0, 0.0])
    asked = []

    class Asked:
        def fit(self, members: Any, truth: pd.DataFrame, folds: Any, metric: Any) -> Any:
            asked.append((truth["id"].tolist(), np.asarray(folds).tolist()))

        def apply(self, members: Any, fitted: Any) -> Any:
            return {"ensemble": next(iter(members.values()))}

    monkeypatch.setattr(nested, "MOST_FITTED", 50)
    folds, metric = folds_of(300), THREE.metric("log_loss")
    for _ in range(2):
        nested.fit([Asked()], members, truth, folds, metric, picked)
    assert asked[0] == asked[1]
    ids, of = asked[0]
    assert len(ids) == len({*ids}) == 50
    assert of == [folds[truth["id"].tolist().index(id)] for id in ids]
    nested.fit([Asked()], members, truth.iloc[:50].reset_index(drop=True), folds[:50], metric, picked)
    assert asked[2][0] == truth["id"].tolist()[:50], "no more than that: all, in their order"


# --- noise


@pytest.mark.parametrize("step", [{"hill_climbing": {"steps": 4}}, "simplex", "stacking"])
def test_two_hundred_members_of_noise_are_at_chance_nested_and_above_it_where_they_saw_the_images(step: str) -> None:
    honest, flattered = [], []
    for seed in range(4):
        draw = np.random.default_rng(seed)
        members = {f"m{number:03d}": of_yes(draw.uniform(size=90)) for number in range(200)}
        truth = truth_of(draw.choice(["no", "yes"], 90).tolist())
        made = run([step], members, truth, "log_loss")
        honest.append(value(TWO, made.predictions, truth, "roc_auc"))
        flattered.append(value(TWO, made.optimistic, truth, "roc_auc"))
    assert abs(np.mean(honest) - 0.5) < 0.1, "four data sets of 90 images: the standard error is 0.03"
    assert min(flattered) > 0.7
