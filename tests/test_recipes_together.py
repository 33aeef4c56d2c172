"""Soups, snapshots, students and cleaning rounds in one plan: who may depend on whom."""

from typing import Any

import pytest

from goldfold.base.errors import ConfigError
from goldfold.commands.ensemble_trial import check_ensemble
from goldfold.config import parse
from goldfold.planning.jobs import job_of
from goldfold.planning.plan import Plan, plan_of
from goldfold.planning.runs import Run

CYCLES: dict[str, Any] = {"epochs": 4, "warmup_epochs": 0, "schedule": {"cosine": {"cycles": 2}}, "snapshots": 2}
NET = {"network": "small_resnet", "image_size_px": 12}
A, B = {"name": "a", **NET}, {"name": "b", **NET}
C = {"name": "c", **NET, "train": CYCLES}


def student(name: str, teacher: str, **train: Any) -> dict[str, Any]:
    return {"name": name, **NET, "train": {**train, "distill": {"teacher": teacher}}}


def planned(models: list[dict[str, Any]], **changes: Any) -> Plan:
    data = {"source": "csv", "train": "train.csv", "images": "images", "test": "test.csv", "classes": ["x", "y"]}
    config = {"name": "t", "data": data, "folds": {"n_folds": 2}, "seeds": [0, 3], "models": models, **changes}
    return plan_of(parse(config))


def teachers_of(plan: Plan, model: str, number: int = 0) -> set[tuple[str, int, int]]:
    lesson = plan.grid.lesson(Run(model, number, 0, 0))
    return {(run.model, run.round, run.seed) for run in lesson.teachers} if lesson else set()


def test_a_soup_and_a_snapshot_can_teach() -> None:
    plan = planned([A, B, C, {"name": "soup", "soup": ["a", "b"]}, student("d", "soup"), student("e", "c-snapshot1")])
    assert teachers_of(plan, "d") == {("soup", 0, 0)}, "a soup has one run per fold"
    assert teachers_of(plan, "e") == {("c-snapshot1", 0, 0), ("c-snapshot1", 0, 3)}
    teach = job_of("teach", Run("soup", 0, 1, 0))
    assert plan.above(teach) == [teach._replace(stage="derive")]
    assert plan.above(teach._replace(model="c-snapshot1")) == [teach._replace(stage="derive", model="c-snapshot1")]


def test_no_snapshot_and_no_soup_of_a_student_of_the_ensemble_teaches_it_in_the_same_round() -> None:
    models = [A, student("c", "ensemble", **CYCLES), {"name": "soup", "soup": ["a", "c"]}]
    plan = planned(models)
    assert teachers_of(plan, "c") == {("a", 0, 0), ("a", 0, 3)}
    later = planned(models, rounds=[{"train": {"distill": None}}, {}])
    assert {(name, number) for name, number, _ in teachers_of(later, "c", 1)} == {
        ("a", 1), ("c", 0), ("c-snapshot1", 0), ("soup", 0),
    }  # fmt: skip
    assert plan.grid.lesson(Run("c-snapshot1", 0, 0, 0)) is None, "a snapshot learns from nobody itself"


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ([A, student("c", "soup"), {"name": "soup", "soup": ["a", "c"]}], "c from soup, soup made from c"),
        ([student("c", "c-snapshot1", **CYCLES)], "c from c-snapshot1, c-snapshot1 made from c"),
        (
            [A, student("b", "soup"), student("d", "b"), {"name": "soup", "soup": ["a", "d"]}],
            "b from soup, soup made from d, d from b",
        ),
    ],
)
def test_students_of_what_is_made_of_them_are_refused(models: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(ConfigError, match=rf"in round 0 models learn in a circle: {said}; remove one of them"):
        planned(models)


def test_labels_are_judged_by_models_that_are_trained_on_them_alone() -> None:
    models = [A, B, {"name": "soup", "soup": ["a", "b"]}, student("d", "a")]
    rounds: list[dict[str, Any]] = [{}, {"clean": {"folds": 2}}]
    plan = planned(models, rounds=rounds)
    assert {job.model for job in plan.jobs("inner_train")} == {"a", "b"}
    for name in ("soup", "d"):
        said = rf"rounds\[1\]\.clean\.models: {name} is made from other models, learns from a teacher or has train\.rows in"
        with pytest.raises(ConfigError, match=said):
            planned(models, rounds=[{}, {"clean": {"models": [name]}}])


def test_a_cleaned_student_reads_labels_and_lessons_of_its_fold_alone() -> None:
    plan = planned([A, student("d", "a")], rounds=[{}, {"clean": {"folds": 2}, "teacher": {}}])
    above = plan.above(job_of("train", Run("d", 1, 1, 0)))
    assert {job.stage for job in above} == {"clean", "pseudo_label", "teach", "predict"}
    assert {job.fold for job in above} == {1}


# --- from the review


def test_a_soup_of_models_of_their_backbone_s_own_size() -> None:
    sized = [{"name": name, "backbone": "resnet18"} for name in ("a", "b")]
    assert planned([*sized, {"name": "soup", "soup": ["a", "b"]}]).specs["soup"] == "224x224-squash"
    other = {"name": "b", "backbone": "resnet18", "image_size_px": 64}
    with pytest.raises(ConfigError, match="b cannot be averaged with a: image_size_px is None there and 64 here"):
        planned([sized[0], other, {"name": "soup", "soup": ["a", "b"]}])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ablate": {"x": {"soup": ["a", "b"]}}}, r"ablate\.x\.soup: it makes a member from trained models"),
        ({"ablate": {"x": {"dropout": 0.1}}, "rounds": [{}, {"start": "a"}]}, r"rounds\[1\]\.start = 'a': with ablate"),
        (
            {
                "ablate": {"x": {"dropout": 0.1}},
                "rounds": [{}, {"models": ["a"], "train": {"distill": {"teacher": "a"}}}],
            },
            r"rounds\[1\]\.train\.distill\.teacher = 'a': with ablate",
        ),
        (
            {"rounds": [{}, {"models": ["soup"], "clean": {}, "start": "previous"}]},
            r"rounds\[1\]\.clean: the round trains nothing.*\n.*rounds\[1\]\.start: the round trains nothing",
        ),
    ],
)
def test_what_would_compare_or_do_nothing_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        planned([A, B, {"name": "soup", "soup": ["a", "b"]}], **changes)


def test_snapshots_of_a_model_with_a_long_name_are_refused_in_words() -> None:
    with pytest.raises(
        ConfigError, match=r"would be 'c+-snapshot1', of more than 60 characters; give the model a shorter name"
    ):
        planned([{**C, "name": "c" * 55}])


def test_judges_are_of_the_last_round_that_has_some() -> None:
    soup = {"name": "soup", "soup": ["a", "b"]}
    plan = planned([A, B, soup], rounds=[{"models": ["a", "b"]}, {"models": ["soup"]}, {"models": ["a"], "clean": {}}])
    assert {job.round for job in plan.jobs("inner_train")} == {0}
    quick = planned([A, B], rounds=[{}, {"clean": {"folds": 9}}], quick=True)
    assert {job.part for job in quick.jobs("inner_train")} == {"0of2", "1of2"}


@pytest.mark.parametrize(
    ("task", "settings", "said"),
    [
        ("classification", {"steps": [{"stacking": {"penalty": 0}}]}, "stacking: penalty = 0: must be above 0"),
        ("classification", {"steps": [{"stacking": {"penalty": "x"}}]}, "fails on made-up values: TypeError"),
        ("classification", {"steps": [{"hill_climbing": {"bags": 1.5}}]}, "bags = 1.5: must be a whole number from 1"),
        ("classification", {"steps": [{"boosted_stacking": {"trees": 2.5}}]}, "fails on made-up values"),
        (
            "classification",
            {"steps": [{"hill_climbing": {"metric": {"map_at_k": {"k": 0}}}}]},
            "k = 0: must be at least 1",
        ),
        (
            "classification",
            {"steps": [{"fitted_average": {"method": {"power": {"exponent": 0}}}}]},
            "exponent = 0: must",
        ),
        (
            "classification",
            {"method": {"power": {"exponent": 0}}},
            r"ensemble\.method = .*exponent = 0: must be above 0",
        ),
        ("classification", {"method": {"power": {"exponent": 500}}}, "exponent = 500: must be above 0 and at most 100"),
        ("classification", {"metric": {"map_at_k": {"k": "5"}}}, r"metric = .*fails on made-up values"),
        ("classification", {"metric": {"map_at_k": {"k": 0}}}, "map_at_k: k = 0: must be at least 1"),
        ("classification", {"metric": {"partial_auc": {"max_fpr": 1}}}, "max_fpr = 1: must be above 0 and below 1"),
        ("multilabel", {"metric": {"gap": {"k": 0}}}, "gap: k = 0: must be at least 1"),
        (
            "regression",
            {"steps": [{"hill_climbing": {"steps": 0}}]},
            "steps = 0: must be a whole number from 1 to 1,000",
        ),
        ("regression", {"metric": "math:hypot"}, "metric = 'math:hypot' fails on made-up values: TypeError"),
        (
            "segmentation",
            {"method": {"power": {"exponent": -1}}},
            r"ensemble\.method = .*exponent = -1: must be above 0",
        ),
        ("segmentation", {"metric": "math:hypot"}, "metric = 'math:hypot' fails on made-up values: TypeError"),
        ("detection", {"method": {"wbf": {"conf_type": "mean"}}}, "wbf: conf_type = 'mean': must be avg, max, box_and"),
        ("detection", {"method": {"soft_nms": {"sigma": 0}}}, "soft_nms: sigma = 0: must be above 0"),
        ("detection", {"method": {"soft_nms": {"threshold": 2}}}, "soft_nms: threshold = 2: must be from 0 to 1"),
        (
            "detection",
            {"metric": {"ap": {"matches": "iou60"}}},
            "metric = .*fails on made-up values: KeyError: 'iou60'",
        ),
    ],
)
def test_parameters_after_training_are_tried_before(task: str, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_ensemble({"task": task, **settings}, 3)


def counted(*arguments: Any) -> float:
    return float(len(arguments))


def test_settings_after_training_that_work_pass_for_labels_and_sets_of_labels() -> None:
    steps = ["hill_climbing", "simplex", "stacking", "boosted_stacking", "temperature", {"fitted_average": {}}]
    for task in ("classification", "multilabel", "regression"):
        of_task = [step for step in steps if step != "temperature" or task != "regression"]
        check_ensemble({"task": task, "steps": of_task, "method": "rank" if task != "regression" else "mean"}, 3)
    for task, method in (("segmentation", {"power": {"exponent": 3}}), ("detection", {"wbf": {"conf_type": "max"}})):
        check_ensemble({"task": task, "method": method}, 3)
    for task in ("classification", "multilabel", "regression", "segmentation", "detection"):
        check_ensemble({"task": task, "metric": "test_recipes_together:counted"}, 3)
