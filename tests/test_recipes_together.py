"""Soups, snapshots, students and cleaning rounds in one plan: who may depend on whom."""

from typing import Any

import pytest

from goldfold.base.errors import ConfigError
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
        said = rf"rounds\[1\]\.clean\.models: {name} is made from other models or learns from a teacher in round 0"
        with pytest.raises(ConfigError, match=said):
            planned(models, rounds=[{}, {"clean": {"models": [name]}}])


def test_a_cleaned_student_reads_labels_and_lessons_of_its_fold_alone() -> None:
    plan = planned([A, student("d", "a")], rounds=[{}, {"clean": {"folds": 2}, "teacher": {}}])
    above = plan.above(job_of("train", Run("d", 1, 1, 0)))
    assert {job.stage for job in above} == {"clean", "pseudo_label", "teach", "predict"}
    assert {job.fold for job in above} == {1}
