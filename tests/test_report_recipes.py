"""What the report says of training recipes: students, restarts, snapshots, inner trainings."""

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from goldfold.config import parse, slices
from goldfold.planning.full import NOTHING, FullData
from goldfold.planning.grid import grid_of
from goldfold.report import dag, headline, runinfo, training
from goldfold.report.results import Run
from goldfold.report.written import written

Made = Any


def run_of(history: dict[str, Any], record: dict[str, Any] | None = None) -> Run:
    return Run("m", 0, 0, 0, record or {}, pd.DataFrame(history))


def results_of(runs: list[Run], train: dict[str, Any], **more: Any) -> Made:
    values = {
        "settings": {"models": [{"name": "m", "train": train}]}, "models": ["m"], "runs": runs, "metric": "accuracy",
        "watched_metric": "accuracy", "greater_is_better": True, "taught": [],
    }  # fmt: skip
    return SimpleNamespace(**values | more)


@pytest.mark.parametrize("weight", [0.25, 0.5, 1.0])
def test_a_students_loss_on_its_labels_is_drawn_without_the_part_of_its_teacher(weight: float) -> None:
    own, teacher, features = np.array([2.0, 1.0]), np.array([5.0, 4.0]), np.array([0.3, 0.2])
    history = {
        "epoch": [0, 1], "train_loss": (1 - weight) * own + weight * teacher + features, "val_loss": [2.1, 1.1],
        "train_loss_own": (1 - weight) * own, "train_loss_distill": weight * teacher, "train_loss_features": features,
    }  # fmt: skip
    run = run_of(history)
    results = results_of([run], {"distill": {"teacher": "t", "weight": weight}})
    found = training.on_labels(results, run)["train_loss"]
    about = training._about_losses(results)
    assert training.STUDENT_LOSS in about
    assert (training.TAUGHT_ALONE in about) == (weight == 1)
    assert found.isna().all() if weight == 1 else np.allclose(found, own)
    assert training.table(results)["train_loss"].equals(found), "curves.csv has what is drawn"
    plain = run_of({"epoch": [0], "train_loss": [2.0]})
    assert training.on_labels(results, plain) is plain.history
    assert training._about_losses(results_of([plain], {})) == ""
    assert "weight" in training._about_losses(results_of([plain], {}, taught=[1]))


@pytest.mark.parametrize(
    ("rates", "is_said"),
    [([1.0, 2.0, 1.5, 1.0, 0.5, 0.1], True), ([1.0, 0.1, 1.0, 0.1, 1.0, 0.1], False), ([1.0] * 6, True)],
)
def test_more_epochs_are_not_advised_where_the_learning_rate_restarts(rates: list[float], is_said: bool) -> None:
    history = {"epoch": range(6), "train_loss": 1.0, "accuracy": [0.1, 0.3, 0.5, 0.6, 0.7, 0.8], "lr": rates}
    curve = {"lr_curve": [[place, rate] for place, rate in enumerate(rates)]}
    for run in (run_of(history), run_of(history, curve)):
        assert bool([*training.still_rising(results_of([run, run], {}))]) == is_said


NET = {"network": "small_resnet", "image_size_px": 16}
CYCLES = {"schedule": {"cosine": {"cycles": 2}}, "snapshots": 2}
RUN = {
    "name": "x", "data": {"source": "digits", "channels": 1}, "folds": {"n_folds": 3}, "seeds": [0, 1],
    "models": [
        {"name": "plain", **NET, "train": CYCLES},
        {"name": "student", **NET, "train": {"distill": {"teacher": "plain"}}},
        {"name": "soup", "soup": ["plain", "student"]},
    ],
    "rounds": [{}, {"models": ["student"], "clean": {"by": "inner", "folds": 2, "models": ["plain"]}}],
    "ablate": {"mixup": {"train": {"mixup_alpha": 0.2}}},
    "ensemble": {"weights": {"soup": 2}},
}  # fmt: skip


def test_the_complete_config_is_one_that_a_user_could_write() -> None:
    config = parse(RUN)
    settings = slices.report(config)["settings"]
    text = yaml.safe_dump(written(settings), sort_keys=False)
    assert "snapshot:" not in text
    assert "plain-mixup" not in text
    again = parse(yaml.safe_load(text))
    assert slices.report(again) == slices.report(config)
    short = slices.report(parse({**RUN, "rounds": None, "pseudo_labels": {"rounds": 1}}))["settings"]
    assert slices.report(parse(written(short)))["settings"] == short


@pytest.mark.parametrize(
    "more",
    [
        {"quick": True},
        {"ensemble": [{"average": {"weights": {"soup": 2}}}, "temperature"]},
        {"train": {"class_weights": {"plain-mixup": 2.0}}, "data": {"source": "csv", "train": "t.csv", "images": "i"}},
    ],
    ids=["quick run", "steps", "class named like a variant"],
)
def test_the_complete_config_means_the_same(more: dict[str, Any], recwarn: pytest.WarningsRecorder) -> None:
    settings = slices.report(parse({**RUN, **more}))["settings"]
    again = parse(yaml.safe_load(yaml.safe_dump(written(settings))))
    assert slices.report(again)["settings"] == settings
    assert not [one for one in recwarn if "Pydantic" in str(one.message)]


def test_inner_trainings_count_as_training_runs_and_all_stages_of_a_run_are_drawn() -> None:
    settings = slices.report(parse(RUN))["settings"]
    table = pd.DataFrame({"id": ["a"]})
    results: Made = SimpleNamespace(
        grid=grid_of(settings), settings=settings, tables={"train": table}, ensemble={"weights": {"a": 1.0}}, test=None,
        taught=[], models=["plain", "student", "soup"], full=NOTHING,
    )  # fmt: skip
    trained = 4 * 3 * 2 + 2 * 3 * 2  # plain, student and their variants, then the student and its variant
    assert runinfo.n_inner_trainings(results) == 3 * 2
    assert runinfo.n_training_runs(results) == trained + 6
    assert headline._trainings(results) == ("training runs, 6 of them inner", str(trained + 6))
    details = runinfo._details(results)
    assert details["train"] == f"{trained} jobs"
    stages = {"inner_train": "6 jobs", "inner_predict": "6 jobs", "clean": "3 jobs", "teach": "6 jobs"}
    assert stages.items() <= details.items()
    drawn = dag.draw(details, "").svg
    assert all(f">{name}</text>" in drawn for name in details)
    assert ">pseudo_label</text>" not in drawn
    results.full = FullData({"plain": 0}, (5, 6))
    assert headline._trainings(results)[0] == "training runs, 6 of them inner, 2 of them on all rows"
    details = runinfo._details(results)
    assert {"full_train": "2 jobs", "full_predict": "2 jobs"}.items() <= details.items()
    assert all(f">{name}</text>" in dag.draw(details, "").svg for name in details)


@pytest.mark.parametrize(
    "more",
    [(), ("pseudo_label",), ("clean",), ("teach",), ("clean", "teach", "pseudo_label"), ("full_train", "full_predict")],
)
@pytest.mark.parametrize("derive", [(), ("derive",)])
def test_no_stage_is_drawn_over_another(more: tuple[str, ...], derive: tuple[str, ...]) -> None:
    inner = ("inner_train", "inner_predict") if "clean" in more else ()
    details = dict.fromkeys((*dag.LINE_OF_STAGES, "report", "demo", *more, *inner), "1 job")
    if not derive:
        del details["derive"]
    line = [name for name in dag.LINE_OF_STAGES if name in details]
    places = sorted(dag._places(line, details).values(), key=lambda place: (place[1], place[0]))
    apart = [b[0] - a[0] for a, b in pairwise(places) if a[1] == b[1]]
    assert min(apart) >= dag.NODE_WIDTH + 10
