"""What the report says of fitted steps: their spread over folds, and the nested score after each."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

from goldfold.bundles import card
from goldfold.drawing.blocks import Table
from goldfold.ensembling.nested import Nested, nested
from goldfold.ensembling.steps import build, weights_of
from goldfold.metrics.calibration import binned
from goldfold.planning.full import NOTHING
from goldfold.predictions.arrays import picked
from goldfold.report import ensemble, fits, fitted, overfitted
from whole_task import whole

CLASSES = ["a", "b", "c"]
TASK = whole({"name": "classification"}, CLASSES)
N = 120
Made = Any


def results_of(steps: list[Any], metric: str = "log_loss", n_members: int = 2) -> tuple[Made, Nested]:
    """A run of overconfident members whose steps were fitted as the stage does."""
    rng = np.random.default_rng(0)
    ids, labels, folds = [f"i{n:03d}" for n in range(N)], rng.integers(3, size=N), np.arange(N) % 3
    truth = pd.DataFrame({"id": ids, "label": np.array(CLASSES)[labels], "fold": folds})
    members = {}
    for name in [f"m{n}-seed0" for n in range(n_members)]:
        logits = 6 * rng.normal(size=(N, 3)) + 4 * np.eye(3)[labels]
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        members[name] = {
            "ids": np.array(ids),
            "classes": np.array(CLASSES),
            "probabilities": p / p.sum(axis=1, keepdims=True),
        }
    made = nested(build(TASK, steps, 1), members, truth, folds, TASK.metric(metric), picked)
    weights = weights_of(made.fitted[0], members) if made.fitted[0] else dict.fromkeys(members, 1.0)
    return SimpleNamespace(
        ensemble={"method": "probability", "weights": {name: one / sum(weights.values()) for name, one in weights.items()}},
        steps=[{"step": step, "fitted": one} for step, one in zip(steps, made.fitted, strict=True)],
        without_fold=made.without, truth=truth, members=members, joined=members.get,
        evidence=TASK.evidence(made.predictions, truth),
        task={"name": "classification"}, classes=CLASSES, scores=TASK, facts=TASK.facts, row="image", made=[], full=NOTHING,
        metric=metric, chosen_metric=TASK.metric(metric), optimistic={"value": 0.4321}, metrics={},
    ), made  # fmt: skip


def tables(blocks: list[Any]) -> dict[str, Table]:
    """Tables by the name of their first two columns."""
    return {" ".join(block.columns[:2]): block for block in blocks if isinstance(block, Table)}


def test_log_loss_and_calibration_error_stand_before_and_after_a_temperature_both_nested() -> None:
    results, made = results_of(["hill_climbing", "temperature"])
    found = fitted.stages(results)
    assert [*found] == ["hill_climbing", "temperature"]
    assert np.array_equal(found["temperature"].probabilities, results.evidence.probabilities), "what is reported"
    before, after, flat = tables(fitted.blocks(results))[" log_loss"].rows
    assert flat == ["fitted on the scored images (optimistic)", "0.4321", "–"]
    labels = found["temperature"].labels
    assert float(after[1]) == pytest.approx(log_loss(labels, made.predictions["probabilities"]), abs=5e-5)
    assert float(before[1]) == pytest.approx(log_loss(labels, found["hill_climbing"].probabilities), abs=5e-5)
    assert float(after[1]) < float(before[1])
    assert float(after[2]) < float(before[2]), "calibration error"
    flattered = log_loss(labels, made.optimistic["probabilities"])
    assert float(after[1]) != pytest.approx(flattered, abs=5e-5), "the un-nested log loss is another number"
    assert any(getattr(block, "name", "") == "reliability_of_steps" for block in fitted.blocks(results))


def test_each_parameter_stands_with_its_range_over_the_fits_without_a_fold() -> None:
    results, made = results_of(["simplex", "temperature"])
    of_folds = [f"{made.without[fold][1]['temperature']:.5g}" for fold in range(3)]
    found = tables(fitted.blocks(results))["step parameter"]
    assert found.columns[2:] == ["on all folds", "without 0", "without 1", "without 2"]
    (row,) = found.rows
    assert row == ["temperature", "temperature", f"{made.fitted[1]['temperature']:.5g}", *of_folds]
    results.without_fold = {fold: made.without[fold % 3] for fold in range(6)}
    low, *_, high = sorted(of_folds, key=float)
    assert tables(fitted.blocks(results))["step parameter"].rows[0][3:] == [f"{low} to {high}"], "many folds: the range"
    results.without_fold = made.without
    weights = tables(ensemble.section(results).blocks)["member weight"]  # type: ignore[union-attr]
    assert weights.columns == ["member", "weight", "without a fold"]
    of_first = [made.without[fold][0]["weights"]["m0-seed0"] for fold in range(3)]
    assert weights.rows[0][2] == f"{min(of_first):.3f} to {max(of_first):.3f}"
    assert min(of_first) < max(of_first)


def test_an_average_with_given_weights_has_no_range_and_thresholds_a_score_before_and_after() -> None:
    results, made = results_of(["average", "temperature"], n_members=1)
    assert fits.weights_without_fold(results) == []
    assert [*fitted.stages(results)] == ["average", "temperature"]
    (row,) = tables(fitted.blocks(results))["step parameter"].rows
    assert row[2] == f"{made.fitted[1]['temperature']:.5g}"
    results.members = {}
    assert fitted.stages(results) == {}, "predictions of the members are gone"


def test_the_calibration_error_of_sure_decisions_is_their_share_of_errors() -> None:
    assert binned(np.ones(10), np.arange(10) < 7).error == pytest.approx(0.3)
    assert binned(np.full(4, 0.75), np.array([True, True, True, False])).error == 0


def refitted(results: Made, place: int, on_all: Any, without: list[Any]) -> Made:
    """The same run with other parameters of one step."""
    results.steps[place]["fitted"] = on_all
    for fold, one in enumerate(without):
        results.without_fold[fold][place] = one
    return results


def test_fits_that_disagree_or_are_at_a_limit_are_named_and_others_are_not() -> None:
    results, _ = results_of([{"stacking": {"metadata": False}}, "temperature"])
    refitted(results, 1, {"temperature": 1.1}, [{"temperature": at} for at in (0.9, 1.2, 1.3)])
    results.steps[0]["fitted"]["models"][0]["fitted"]["penalty"] = 100.0
    for fold in range(3):
        results.without_fold[fold][0]["models"][0]["fitted"]["penalty"] = 1000.0
    assert fits.sentence(results) == ""
    assert list(fits.notes(results)) == []
    results.without_fold[2][0]["models"][0]["fitted"]["penalty"] = 10000.0
    refitted(results, 1, {"temperature": 0.2854}, [{"temperature": 0.05}] * 3)
    (note,) = fits.notes(results)
    assert note.level == "warn"
    assert note.text == (
        "The penalty of stacking differs much between the fits and is at a limit of its range (10 to 10000) in 1 of 4 fits "
        "(100 on all folds, 1000 to 10000 without one; set it, as in {stacking: {penalty: 1000}}); the temperature differs much "
        "between the fits and is at a limit of its range (0.05 to 20) in 3 of 4 fits (0.2854 on all folds, 0.05 without one; "
        "leave the step out if probabilities do not count): the data hardly determine it, and the score is of other values than "
        "those used for test images."
    )
    penalty, temperature = tables(fitted.blocks(results))["step parameter"].rows
    assert penalty[1:] == ["penalty", "100", "1000", "1000", "10000 (limit)"]
    assert temperature[1:] == ["temperature", "0.2854", *["0.05 (limit)"] * 3]
    results.steps[0]["step"] = {"stacking": {"penalty": 100.0}}
    assert "penalty" not in fits.sentence(results), "it is given"


def test_a_stack_has_coefficients_and_no_weights() -> None:
    results, made = results_of(["stacking"])
    assert not fits.are_weighted(results)
    table = tables(ensemble.section(results).blocks)["member coefficient"]  # type: ignore[union-attr]
    written = np.abs(np.array(made.fitted[0]["models"][0]["fitted"]["coefficients"]))
    assert [row[1].text for row in table.rows] == [f"{written[:, :3].mean():.4f}", f"{written[:, 3:].mean():.4f}"]
    assert " to " in table.rows[0][2]
    trees, _ = results_of([{"boosted_stacking": {"trees": 2}}])
    assert not {"member weight", "member coefficient"} & {*tables(ensemble.section(trees).blocks)}  # type: ignore[union-attr]
    averaged, _ = results_of(["average", "temperature"])
    assert fits.are_weighted(averaged)
    network = SimpleNamespace(network="timm", backbone="", size=(8, 8), resize="squash")
    members = [SimpleNamespace(name=name, weight=1.0, network=network, weights=["w"]) for name in "ab"]
    for fitted_fusion, share in ((made.fitted[0], "–"), ({"weights": {"a": 1.0, "b": 1.0}}, "0.5")):
        fusion = SimpleNamespace(fitted=fitted_fusion)
        manifest: Any = SimpleNamespace(members=members, fusion=fusion, validation={"left_out": []})
        assert f"| a | {share} | timm | 8 x 8, squash | 1 |" in [*card._members(manifest)]


@pytest.mark.parametrize(
    ("steps", "advice"),
    [
        (["average", "temperature"], ""),
        (["simplex"], "the plain average (ensemble: [average])"),
        (
            [{"hill_climbing": {"steps": 12}}],
            "fewer steps of hill climbing ({hill_climbing: {steps: 6}}); or the plain average",
        ),
        (
            [{"stacking": {"penalty": 200.0}}],
            "a larger penalty of the stack ({stacking: {penalty: 2000}}); or the plain average",
        ),
        (
            ["boosted_stacking"],
            "smaller trees (boosted_stacking: depth: 2, trees: 20), or a linear stack (stacking); or the",
        ),
    ],
)
def test_steps_that_do_not_hold_on_other_images_are_named_with_simpler_settings(steps: list[Any], advice: str) -> None:
    results, _ = results_of(steps)
    results.metrics = {"oof": {"log_loss": {"value": 0.5, "low": 0.4, "high": 0.6}}}
    for optimistic, n_notes in ((0.9, 1), (0.55, 0), (None, 0)):
        results.optimistic = None if optimistic is None else {"value": optimistic}
        assert len(list(overfitted.notes(results))) == n_notes
    results.optimistic = {"value": 0.9}
    (note,) = overfitted.notes(results)
    assert "they give 0.9000; fitted without each image's fold, 0.5000." in note.text
    assert advice in note.text
    assert ("Simpler steps may generalise better: " in note.text) == bool(advice)
