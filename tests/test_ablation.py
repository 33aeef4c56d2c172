"""Ablation: variants of the models, and the table of their gains."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats

from goldfold.base.errors import ConfigError
from goldfold.config import parse, slices
from goldfold.config.members import refuse_other_members
from goldfold.drawing.blocks import Table
from goldfold.metrics import Metric
from goldfold.metrics.bootstrap import levels
from goldfold.metrics.paired import Gain, gain, resampled
from goldfold.planning.grid import grid_of
from goldfold.planning.plan import plan_of
from goldfold.report import ablation, notes, scores
from goldfold.stages.report import _write_table
from test_rounds import B0, B3, BASE, changed, recipes

SWITCHES: dict[str, Any] = {"smooth": {"train": {"label_smoothing": 0.1}}, "wide": {"params": {"widths": [8, 8]}}}


# --- config


def test_each_model_has_a_variant_per_switch_with_one_setting_changed_and_weight_0() -> None:
    config = parse({**BASE, "models": [{**B0, "train": {"lr": 0.5}}, B3], "ablate": SWITCHES})
    models = {model.name: model for model in config.models}
    assert [*models] == ["b0", "b3", "b0-smooth", "b0-wide", "b3-smooth", "b3-wide"]
    assert (models["b0-smooth"].train.label_smoothing, models["b0-smooth"].train.lr) == (0.1, 0.5)
    assert models["b0-smooth"].params == B0["params"]
    assert models["b3-wide"].params == {"widths": [8, 8]}
    assert config.weighted == ["b0", "b3"]


def test_the_short_form_of_a_network_is_changed_like_its_parameters() -> None:
    rest = {key: value for key, value in B0.items() if key not in ("network", "params")}
    short, other = (
        {"small_resnet": {"widths": [4, 4]}},
        {"plain": {"network": {"timm": {"act_layer": "silu"}}, "backbone": "resnet18"}},
    )
    switches = {
        "wide": {"params": {"widths": [8, 8]}},
        "same": {"network": {"small_resnet": {"widths": [2, 2]}}},
        **other,
    }
    models = {
        model.name: model
        for model in parse({**BASE, "models": [{**rest, "network": short}], "ablate": switches}).models
    }
    found = {name: (model.network, model.params) for name, model in models.items()}
    assert found == {
        "b0": ("small_resnet", {"widths": [4, 4]}), "b0-wide": ("small_resnet", {"widths": [8, 8]}),
        "b0-same": ("small_resnet", {"widths": [2, 2]}), "b0-plain": ("timm", {"act_layer": "silu"}),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("ensemble", "weights"),
    [
        ({"weights": {"b0": 2}}, {"b0": 2, "b0-wide": 0, "b3-wide": 0}),
        (["average"], {"b0-wide": 0, "b3-wide": 0}),
        ([{"average": {"weights": {"b3": 3}}}, "thresholds"], {"b3": 3, "b0-wide": 0, "b3-wide": 0}),
        (["thresholds"], {"b0-wide": 0, "b3-wide": 0}),
    ],
)
def test_variants_do_not_vote_whatever_form_the_ensemble_has(ensemble: Any, weights: dict[str, float]) -> None:
    config = parse({**BASE, "ensemble": ensemble, "ablate": {"wide": SWITCHES["wide"]}})
    assert config.average.weights == weights
    assert len(config.postprocessing) == ("thresholds" in ensemble)


def test_variants_are_trained_in_the_rounds_of_their_models_and_teach_none() -> None:
    rounds: list[dict[str, Any]] = [{"models": ["b0"]}, {"teacher": {}}]
    plan = plan_of(parse({**BASE, "rounds": rounds, "ablate": {"wide": SWITCHES["wide"]}}))
    assert [stage.models for stage in plan.grid.rounds] == [("b0", "b0-wide"), ("b0", "b0-wide", "b3", "b3-wide")]
    assert {run.model for labels in plan.labels.values() for run in labels.teachers} == {"b0"}


def test_an_ablation_retrains_no_model_and_a_further_switch_no_variant() -> None:
    late = ["ensemble", "report"]
    assert changed(recipes(), ablate=SWITCHES) == late
    assert changed(recipes(ablate=SWITCHES), ablate={**SWITCHES, "low": {"train": {"lr": 0.01}}}) == late
    assert set(recipes()) < set(recipes(ablate=SWITCHES))
    edited = {**SWITCHES, "smooth": {"train": {"label_smoothing": 0.2}}}
    assert changed(recipes(ablate=SWITCHES), ablate=edited) == [
        "train b0-smooth/round0",
        "train b3-smooth/round0",
        "report",
    ]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ablate": {"x": {"trian": {}}}}, r"ablate\.x \(with b0\)\.trian: unknown key; nearest is 'train'"),
        ({"ablate": {"x": {"train": {"lr": -1}}}}, r"ablate\.x \(with b0\)\.train\.lr = -1: .* greater than 0"),
        (
            {"ablate": {"x": {"train": {"loss": "foc"}}}},
            r"ablate\.x \(with b3\)\.train\.loss = 'foc': nearest is 'focal'",
        ),
        (
            {"ablate": {"x": {}}},
            r"ablate\.x: write the settings of a model that change, such as \{train: \{mixup_alpha: 0\.2\}\}",
        ),
        ({"ablate": {"x": 3}}, r"ablate\.x = 3: write the settings of a model that change"),
        (
            {"ablate": "mixup"},
            r"ablate = 'mixup': write .* by the name of a switch: \{mixup: \{train: \{mixup_alpha: 0\.2\}\}\}",
        ),
        ({"ablate": [{"train": {"lr": 1}}]}, r"ablate: write .* by the name of a switch: \{mixup: \{train: "),
        ({"ablate": {"x y": {"dropout": 0.1}}}, r"ablate: key 'x y': .* match pattern"),
        ({"ablate": {"x": {"name": "z"}}}, r"ablate\.x\.name: variants are named by model and switch; remove it"),
        (
            {"ablate": {"b": {"dropout": 0.1}}, "models": [B0, {**B3, "name": "b0-b"}]},
            r"ablate\.b: its variant of model 'b0' would be named 'b0-b', like models\[1\]; rename the switch",
        ),
        (
            {"ablate": {"x": {"dropout": 0.1}, "y-x": {"dropout": 0.2}}, "models": [B0, {**B3, "name": "b0-y"}]},
            r"ablate\.x: its variant of model 'b0-y' would be named 'b0-y-x', like the variant of 'b0' by ablate\.y-x; rename",
        ),
        (
            {"ablate": SWITCHES, "rounds": [{}, {"models": ["b3-wide"]}]},
            r"rounds\[1\]\.models: 'b3-wide' is a variant of ablate; variants are trained wherever their model is: list 'b3'",
        ),
        (
            {"ablate": SWITCHES, "ensemble": ["fitted_average"]},
            r"'fitted_average': fits its weights to all .* Use average",
        ),
    ],
)
def test_mistakes_in_switches_are_reported_by_the_name_of_the_switch(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse({**BASE, **changes})


@pytest.mark.parametrize(
    ("switches", "said"),
    [
        (
            {"x": {"train": {"mixup_alpha": 0.0}}},
            r"1 problem\n  ablate\.x: changes no setting of any model; change it, or remove it",
        ),
        ({"x": {"image_size_px": [12, 12]}}, r"ablate\.x: changes no setting of any model"),
        ({"x": {"train": {"schedule": {"cosine": {"cycles": 1}}}}}, r"ablate\.x: changes no setting of any model"),
        ({"x": {"train": {"loss": {"cross_entropy": {"weight": 1}}}}}, r"ablate\.x: changes no setting of any model"),
        ({"x": {"train": {"sampler": {"shuffled": {}}}}}, r"ablate\.x: changes no setting of any model"),
        (
            {"x": {"train": {"mixup_alpha": 0.3}}, "y": {"train": {"mix": [{"mixup": {"alpha": 0.3}}]}}},
            r"ablate\.y: makes the same variants as ablate\.x; ",
        ),
        (
            {"x": {"train": {"mix": ["cutmix"]}}, "y": {"train": {"mix": [{"cutmix": {"alpha": 1.0}}]}}},
            r"ablate\.y: makes the same variants as ablate\.x; ",
        ),
        (
            {
                "x": {"train": {"schedule": "multistep"}},
                "y": {"train": {"schedule": {"multistep": {"milestones": [0.5, 0.75]}}}},
            },
            r"ablate\.y: makes the same variants as ablate\.x; ",
        ),
        (
            {"x": {"train": {"swa": {"start": 0}}}, "y": {"train": {"swa": {"start": 0, "every_epochs": 1}}}},
            r"ablate\.y: makes the same variants as ablate\.x; ",
        ),
        (
            {"x": {"train": {"clip_norm": 1}}, "y": {"train": {"hooks": [{"clip": {"norm": 1.0}}]}}},
            r"ablate\.y: makes the same variants as ablate\.x; ",
        ),
    ],
)
def test_switches_without_effect_and_equal_ones_are_refused(switches: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse({**BASE, "ablate": switches})
    parse({**BASE, "ablate": switches, "quick": True})
    parse({**BASE, "models": [B0, {**B3, "image_size_px": 16}], "ablate": {"x": {"image_size_px": 16}}})


def test_dvc_has_a_stage_per_variant() -> None:
    config = yaml.safe_load(yaml.safe_dump({**BASE, "ablate": {"wide": SWITCHES["wide"]}}))
    refuse_other_members({"vars": [{"members": ["b0", "b3", "b0-wide", "b3-wide"]}]}, config)
    with pytest.raises(ConfigError, match="b3-wide"):
        refuse_other_members({"vars": [{"members": ["b0", "b3"]}]}, config)


# --- gains


class Answers:
    """Evidence of classes that are right or wrong."""

    def __init__(self, right: Any) -> None:
        self.right = np.asarray(right, int)

    def __len__(self) -> int:
        return len(self.right)

    def arguments(self, rows: Any) -> tuple[Any, ...]:
        return np.ones(len(rows)), self.right[rows]


ACCURACY = Metric(lambda _, right: right.mean(), name="accuracy")


def found(before: list[Answers], after: list[Answers], **how: Any) -> Gain:
    every = {f"{part}{place}": one for part, of in (("b", before), ("a", after)) for place, one in enumerate(of)}
    drawn = resampled(ACCURACY, every, None, 200)
    values = {name: one.right.mean() for name, one in every.items()}
    parts = [[of[name] for name in every if name[0] == part] for of in (values, drawn) for part in "ba"]
    return gain(*parts, len(before[0]), **how)


def test_the_same_predictions_gain_nothing_and_a_smaller_loss_is_a_gain() -> None:
    right = np.arange(100) % 3 > 0
    assert found([Answers(right)], [Answers(right)]) == Gain(0.0, 0.0, 0.0, 1.0)
    better = found([Answers(right)], [Answers(np.ones(100))])
    assert better.value == pytest.approx(1 - right.mean())
    assert better.verdict == "better"
    worse = found([Answers(right)], [Answers(np.ones(100))], greater_is_better=False)
    assert (worse.value, worse.verdict) == (-better.value, "worse")


def test_variation_between_seeds_widens_the_interval() -> None:
    def of(n_wrong: int) -> Answers:
        return Answers(np.arange(200) >= n_wrong)

    same = found([of(20), of(20), of(20)], [of(10), of(10), of(10)])
    spread = found([of(0), of(20), of(40)], [of(0), of(10), of(20)])
    assert (same.value, spread.value) == (pytest.approx(0.05), pytest.approx(0.05))
    assert (same.verdict, spread.verdict) == ("better", "noise")


def test_intervals_cover_a_gain_of_zero_as_often_as_they_should() -> None:
    """Trainings without a difference whose accuracy varies by seed and by sample."""
    generator, n_trials, outside = np.random.default_rng(0), 200, 0
    for _ in range(n_trials):
        difficulty = generator.uniform(0.6, 1.0, 80)  # of a sample, shared by all trainings

        def trained(difficulty: Any = difficulty) -> Answers:
            return Answers(generator.random(80) < difficulty + generator.normal(0, 0.03))

        verdict = found([trained() for _ in range(3)], [trained() for _ in range(3)]).verdict
        outside += verdict != "noise"
    assert outside / n_trials <= 0.08


def test_intervals_of_few_cases_are_expanded_by_their_number_and_by_student_s_t() -> None:
    """With one training each as the interval of a score is; seeds are combined with it as by Welch."""
    drawn = np.random.default_rng(0).normal(size=(4, 500)) / 10
    deviation = float(np.std(drawn[1] - drawn[0], ddof=1))
    for n in (2, 20, 300):
        found = gain([0.5], [0.6], [drawn[0]], [drawn[1]], n)
        half = stats.t.ppf(0.975, n - 1) * np.sqrt(n / (n - 1)) * deviation
        assert (found.low, found.high) == pytest.approx((0.1 - half, 0.1 + half))
        assert found.p == pytest.approx(2 * stats.t.sf(0.1 / (deviation * np.sqrt(n / (n - 1))), n - 1))
        if n > 2:
            assert half == pytest.approx(-stats.norm.ppf(levels(n)[0]) * deviation), "as the interval of a score"
    several = gain([0.5, 0.52], [0.6, 0.63], [*drawn[:2]], [*drawn[2:]], 20)
    cases = float(np.var(drawn[2:].mean(axis=0) - drawn[:2].mean(axis=0), ddof=1)) * 20 / 19
    seeds = [0.02**2 / 2 / 2, 0.03**2 / 2 / 2]
    total = cases + sum(seeds)
    freedom = total**2 / (cases**2 / 19 + sum(one**2 for one in seeds))
    assert several.high - several.value == pytest.approx(stats.t.ppf(0.975, freedom) * np.sqrt(total))


def test_intervals_of_gains_of_20_cases_cover_more_than_normal_ones() -> None:
    """Mean of a skewed number per case, in part common to both."""
    generator, n, n_sets = np.random.default_rng(0), 20, 1500
    covered = np.zeros(2)
    for _ in range(n_sets):
        both = generator.normal(size=(2, n)) * 0.8 + generator.normal(size=n)
        counts = generator.multinomial(n, np.full(n, 1 / n), 200)
        drawn = counts @ both.T / n
        value = float(both[1].mean() - both[0].mean())
        found = gain([both[0].mean()], [both[1].mean()], [drawn[:, 0]], [drawn[:, 1]], n)
        normal = 1.96 * np.std(drawn[:, 1] - drawn[:, 0], ddof=1)
        covered += (abs(value) <= normal, found.low <= 0 <= found.high)
    plain, expanded = covered / n_sets
    assert plain < 0.93 < 0.94 < expanded < 0.965


def test_a_score_that_is_not_finite_has_no_verdict() -> None:
    drawn = np.full(10, np.nan)
    assert gain([np.nan], [0.5], [drawn], [drawn], 10).verdict == ""


# --- report


def results(**changes: Any) -> Any:
    """Members of which the variant ``wide`` is right everywhere, and ``smooth`` as often as the model, which is on two seeds."""
    config = parse({**BASE, "models": [B0], "seeds": [0, 1], "ablate": SWITCHES})
    right = np.arange(200) % 4 > 0
    of = {"b0": right, "b0-smooth": np.roll(right, 1), "b0-wide": np.ones(200)}
    settings = {key: value for key, value in config.model_dump().items() if key != "rounds"}
    times = [("train", name, seconds) for name, seconds in (("b0", 10.0), ("b0-smooth", 11.0), ("b0-wide", 30.0))]
    return SimpleNamespace(
        settings=settings, grid=grid_of(settings), models=[*of], metric="accuracy", chosen_metric=ACCURACY, row="image",
        truth=pd.DataFrame({"id": range(200)}),
        member_evidence={f"{name}-seed{seed}": Answers(value) for name, value in of.items() for seed in (0, 1)},
        benchmarks=pd.DataFrame(times, columns=["stage", "model", "seconds"]), **changes,
    )  # fmt: skip


def test_the_table_has_gain_interval_verdict_and_time_of_each_switch() -> None:
    table = ablation.table(results())
    assert table is not None
    rows = table.set_index("switch")
    assert [*rows.index] == ["", "smooth", "wide"]
    assert rows.loc["wide", ["gain", "verdict", "seconds_per_training"]].tolist() == [0.25, "better", 30.0]
    assert rows.loc["smooth", ["gain", "verdict"]].tolist() == [0.0, "noise"]
    assert rows.loc["smooth", "low"] < 0 < rows.loc["smooth", "high"]
    assert rows.loc["smooth", "settings"] == "train.label_smoothing 0.1"
    assert rows.loc["", "accuracy"] == 0.75


def test_the_section_lists_the_largest_gain_first_and_there_is_none_without_switches(undrawn: None) -> None:
    shown = ablation.section(results(), ablation.table(results()))
    assert shown is not None
    table = shown.blocks[-1]
    assert [row[0] for row in table.rows] == ["b0", "wide", "smooth"]
    assert [row[-1] for row in table.rows] == ["1.00", "3.00", "1.10"]
    plain = results()
    plain.settings = parse({**BASE, "models": [B0]}).model_dump()
    assert "ablate" not in plain.settings
    assert ablation.section(plain, ablation.table(plain)) is None


@pytest.mark.parametrize("chosen", [{"checkpoint": "best"}, {"early_stopping": {"patience": 1}}])
def test_a_gain_of_an_epoch_chosen_on_the_fold_is_marked(chosen: dict[str, Any], undrawn: None) -> None:
    one = results()
    models = [{**B0}, {**B0, "name": "b0-smooth", "train": chosen}, {**B0, "name": "b0-wide"}]
    one.settings = {**one.settings, "models": parse({**BASE, "models": models}).model_dump()["models"]}
    one.grid = grid_of(one.settings)
    table = ablation.table(one)
    assert table is not None
    assert table.set_index("switch")["chosen_on_fold"].to_dict() == {"": False, "smooth": True, "wide": False}
    shown = ablation.section(one, table)
    assert shown is not None
    assert [row[6] for row in shown.blocks[-1].rows] == ["", "better", "noise *"]
    assert "inflates the gain" in shown.intro


@pytest.mark.parametrize("chosen", [{"checkpoint": "best"}, {"early_stopping": {"patience": 1}}])
def test_a_gain_over_an_epoch_that_was_chosen_on_the_fold_is_marked_by_another_sign(
    chosen: dict[str, Any], undrawn: None
) -> None:
    one = results()
    models = [{**B0, "train": chosen}, {**B0, "name": "b0-smooth", "train": chosen}, {**B0, "name": "b0-wide"}]
    one.settings = {**one.settings, "models": parse({**BASE, "models": models}).model_dump()["models"]}
    one.grid = grid_of(one.settings)
    table = ablation.table(one)
    assert table is not None
    assert not table["chosen_on_fold"].any()
    assert table.set_index("switch")["model_chosen_on_fold"].to_dict() == {"": False, "smooth": False, "wide": True}
    shown = ablation.section(one, table)
    assert shown is not None
    assert [row[6] for row in shown.blocks[-1].rows] == ["", "better †", "noise"]
    assert "†: the same for the model and not for the variant: the score of the model is inflated" in shown.intro
    assert "*: " not in shown.intro


def as_reported(switches: dict[str, Any], **changes: Any) -> Any:
    """Settings and grid of a report, without scores."""
    settings = slices.report(parse({**BASE, **changes, "ablate": switches}))["settings"]
    return SimpleNamespace(settings=settings, grid=grid_of(settings), benchmarks=pd.DataFrame())


BIG, CHOSEN = {**B3, "name": "big"}, {**B3, "name": "big", "train": {"checkpoint": "best"}}
TAUGHT: dict[str, Any] = {"taught": {"train": {"distill": {"teacher": "big"}}}}


@pytest.mark.parametrize(
    ("teacher", "is_chosen"),
    [
        ([BIG], False),
        ([CHOSEN], True),
        ([{**BIG, "train": {"hooks": [{"early_stopping": {"patience": 1}}], "epochs": 9}}], True),
        ([{**B3, "name": "c"}, {"name": "big", "soup": {"of": ["b0", "c"]}}], False),
        ([{**B3, "name": "c"}, {"name": "big", "soup": {"of": ["b0", "c"], "select": "greedy"}}], True),
        ([{**CHOSEN, "name": "c"}, {"name": "big", "soup": ["b0", "c"]}], True),
    ],
)
def test_a_student_of_a_teacher_that_was_chosen_on_the_fold_is_marked(teacher: list[Any], is_chosen: bool) -> None:
    found = as_reported(TAUGHT, models=[B0, *teacher], rounds=[{"models": [one["name"] for one in teacher] + ["b0"]}])
    assert (ablation._is_chosen(found, "b0-taught"), ablation._is_chosen(found, "b0")) == (is_chosen, False)


def test_a_model_that_starts_from_one_that_was_chosen_on_the_fold_is_chosen_too() -> None:
    found = as_reported(
        {"low": {"train": {"lr": 0.01}}}, models=[B0, CHOSEN], rounds=[{}, {"models": ["b0"], "start": "big"}]
    )
    assert ablation._is_chosen(found, "b0-low")


def test_the_time_of_a_student_has_the_predictions_of_its_teachers_and_not_their_trainings() -> None:
    one = results()
    settings = slices.report(parse({**BASE, "models": [B0, BIG], "seeds": [0, 1], "ablate": TAUGHT}))["settings"]
    one.settings, one.grid = settings, grid_of(settings)
    rows = [("train", "b0", 10.0), ("train", "b0-taught", 12.0), ("train", "big", 90.0), ("teach", "big", 4.0)]
    one.benchmarks = pd.DataFrame(rows, columns=["stage", "model", "seconds"])
    assert ablation._seconds(one, "b0") == 10.0
    assert ablation._seconds(one, "b0-taught") == 12.0 + 4.0, "each seed of a fold reads both seeds of the teacher"
    assert "without their own trainings" in ablation._intro(one, 1, [])
    assert "teachers" not in ablation._intro(results(), 1, [])


def test_a_switch_whose_predictions_are_gone_has_no_gain(undrawn: None) -> None:
    lost = results()
    lost.member_evidence = {name: one for name, one in lost.member_evidence.items() if "wide" not in name}
    table = ablation.table(lost)
    assert table is not None
    assert np.isnan(table.set_index("switch").loc["wide", "gain"])
    shown = ablation.section(lost, table)
    assert shown is not None
    assert shown.blocks[-1].rows[-1][4:7] == ["–", "–", ""]


def test_the_best_member_that_the_ensemble_is_compared_with_is_no_variant() -> None:
    found = results()
    names = [*found.member_evidence, "ensemble"]
    scores = {"member": names, "accuracy": np.linspace(0.5, 1, len(names)), "low": 0.4, "high": 1.0}
    found.leaderboard = pd.DataFrame(scores).sort_values("accuracy", ascending=False)
    found.is_ensemble, found.members, found.greater_is_better = True, {}, True
    (note,) = notes._gain(found)
    assert "its best member b0-seed1" in note.text


def test_variants_are_marked_in_the_leaderboard(undrawn: None) -> None:
    found = results()
    names = [*found.member_evidence, "ensemble"]
    found.leaderboard = pd.DataFrame({"member": names, "accuracy": 0.5, "low": 0.4, "high": 0.6})
    found.named, found.whole_name, found.whole, found.is_ensemble = lambda scores: scores, "ensemble", "ensemble", True
    found.greater_is_better, found.steps, found.members = True, [], {}
    found.ensemble, found.metrics = {"weights": {"b0-seed0": 0.5, "b0-seed1": 0.5}}, {"oof": {}}
    board = scores.leaderboard(found, {name: {0: 0.5} for name in names})
    table = next(block for block in board.blocks if isinstance(block, Table))
    assert {row[1]: row[4] for row in table.rows} == {
        "b0-seed0": "0.500", "b0-seed1": "0.500", "b0-smooth-seed0 (variant)": "", "b0-smooth-seed1 (variant)": "",
        "b0-wide-seed0 (variant)": "", "b0-wide-seed1 (variant)": "", "ensemble": "",
    }  # fmt: skip
    assert "Variants of the ablation are marked: they do not vote" in board.intro
    found.settings = parse({**BASE, "models": [B0]}).model_dump()
    assert "marked" not in scores.leaderboard(found, {name: {0: 0.5} for name in names}).intro


def test_the_table_of_an_earlier_ablation_is_removed(tmp_path: Any) -> None:
    path = tmp_path / "ablation.csv"
    assert _write_table(path, pd.DataFrame({"switch": [""]})) == [str(path)]
    assert path.read_text() == 'switch\n""\n'
    assert _write_table(path, None) == []
    assert not path.exists()
