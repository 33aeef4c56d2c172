"""The benchmarks run, and what they compute by hand is right; their figures are in docs/."""

import importlib.util
import json
import subprocess
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import forks

ROOT = Path(__file__).parents[1]


def benchmark(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / f"benchmarks/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_made_up_finished_state_has_nothing_to_do(tmp_path: Path) -> None:
    out = tmp_path / "scaling.json"
    words = ["--runs", "20", "--repeats", "1", "--out", str(out)]
    run = subprocess.run(
        [forks.folder() / "python", ROOT / "benchmarks/scaling.py", *words],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    (row,) = json.loads(out.read_text())["rows"]
    assert (row["runs"], row["jobs"]) == (
        20,
        3 + 8 + 20 + 20 + 3,
    )  # demo, manifest, folds; cache; train; predict; the rest
    assert 0 < row["ours"] < 1


def test_pairs_are_timed_and_errors_counted() -> None:
    pairs = benchmark("pairs")
    timed = pairs.seconds("roc_auc", 3, 4, 60)
    assert (timed["pairs"], timed["members"]) == (6, 4)
    found = pairs.error_rates(60, 3, 4, 50)
    assert found["any_with_holm"] <= found["any_alone"] <= 1


def test_time_covered_by_overlapping_jobs() -> None:
    covered = benchmark("overhead").covered
    assert covered([(0, 2), (1, 3), (5, 6), (5.5, 5.7)]) == 4
    assert covered([]) == 0


def test_cost_of_views_is_measured_against_as_many_forward_passes() -> None:
    import torch

    from goldfold import tasks
    from goldfold.inference.predictor import build

    tta = benchmark("tta")
    spec = {"network": "small_resnet", "backbone": None, "size": [8, 8], "params": {"widths": [4]}}
    task = tasks.infer({"name": "classification"}, tta.CLASSES)
    case = tta.Case(build(task, spec, 3), task, *_views_and_images(tta, "ten_crop from larger"), torch.device("cpu"))
    found = tta.measured(case, 2)
    assert case.n_views == 10
    assert {key: len(values) for key, values in found.items()} == {"plain": 2, "views": 2, "whole": 2}
    assert min(value for values in found.values() for value in values) > 0


def _views_and_images(tta: ModuleType, name: str) -> tuple[object, object, int]:
    from goldfold.cache.shrunk import Shrunk

    wanted, multiple = tta.LISTS[name]
    return wanted, Shrunk(tta.Stored(2, 8 * multiple), (8, 8), "squash", []), 2


def test_the_interval_of_a_difference_is_over_the_images_that_each_seed_has() -> None:
    interval = benchmark("fixmatch").interval
    nan, gain = float("nan"), np.tile([1.0, 0.0, 0.0, 0.0], 50)
    low, high = interval(np.stack([gain, gain]))
    assert (low, high) == pytest.approx((0.25 - 1.96 * 0.0306, 0.25 + 1.96 * 0.0306), abs=0.02)
    without = np.where(np.arange(200) < 100, nan, gain)
    low, high = interval(np.stack([without, without]))
    assert (low, high) == pytest.approx((0.25 - 1.96 * 0.0433, 0.25 + 1.96 * 0.0433), abs=0.02)


def test_intervals_of_groups_cover_the_truth_and_intervals_of_their_cases_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    coverage = benchmark("interval_coverage")
    monkeypatch.setattr(coverage, "N_FRESH", 4000)
    monkeypatch.setattr(coverage, "N_RESAMPLES", 100)
    monkeypatch.setattr(coverage, "METRICS", ("accuracy",))
    shares = {}
    for name in ("60 groups of 5, by group", "60 groups of 5, by case"):
        population, n, by_group = coverage.SETTINGS[name]
        trials = [
            coverage.trial(population, n, by_group, np.random.default_rng(number))["accuracy"] for number in range(30)
        ]
        shares[by_group] = coverage.covered(trials)["models"]
    assert shares[True] >= 0.85
    assert shares[False] <= shares[True] - 0.05


def test_expanded_intervals_of_few_cases_cover_more_than_plain_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    small = benchmark("small_samples")
    monkeypatch.setattr(small, "N_RESAMPLES", 200)
    found = small.coverage("log loss 0.51", 20, 200)
    assert found["plain"][0] < found["expanded"][0]
    assert found["expanded"][1] / found["plain"][1] == pytest.approx(1.095, abs=0.03)
    score, _, without, truth = small.roc_auc(2000, 0.75, np.random.default_rng(0))
    assert score == pytest.approx(truth, abs=0.05)
    assert without.mean() == pytest.approx(score, abs=1e-4)
    for name in ("accuracy 0.7 to 0.85", "ROC AUC 0.75 to 0.85", "log loss 0.51 to 0.32"):
        scores, drawn, truth = small.gained(name, 4000, np.random.default_rng(0))
        assert scores[1] - scores[0] == pytest.approx(truth, abs=0.02)
        assert drawn.mean(axis=0) == pytest.approx(scores, abs=0.005)
    gains = small.coverage_of_gains("log loss 0.51 to 0.32", 20, 200)
    assert gains["normal"][0] < gains["expanded"][0]
    assert gains["expanded"][1] / gains["normal"][1] == pytest.approx(1.0956, abs=1e-3)


def test_the_gain_of_steps_is_measured_nested_and_on_new_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = benchmark("ensemble_gain")
    monkeypatch.setattr(measured, "N_RESAMPLES", 50)
    monkeypatch.setattr(measured, "STEPS", {"average": "average", "boosted": {"boosted_stacking": {"trees": 5}}})
    found = measured.trial(0, 120)
    assert {*found} == {*measured.MEMBERS, "average", "boosted"}
    nested, on_new, unnested, *_ = found["boosted"]
    assert unnested < min(nested, on_new), "trees know the cases that they were fitted on"
    assert found["average"][0] == found["average"][2], "nothing is fitted"


def test_instances_of_apart_discs_are_found_by_each_way() -> None:
    compared = benchmark("instances")
    truth = np.zeros((60, 60), np.uint16)
    truth[5:20, 5:20], truth[30:50, 30:50] = 3, 8
    for name, settings in compared.WAYS.items():
        found = np.array(compared.numbers(truth, settings[:1]))
        assert found[0].tolist() == [2] * 12, name
    values = np.arange(12.0).reshape(6, 2, 1)
    assert compared.nested(values)[:, 0].tolist() == values[:, 1, 0].tolist()
