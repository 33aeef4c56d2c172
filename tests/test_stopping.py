"""Trainings that end early: early stopping, a time budget, and what is said of it."""

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch

from goldfold.base import status
from goldfold.base.errors import ConfigError
from goldfold.config import model_checks, slices
from goldfold.config.learning import Train
from goldfold.config.models import Model
from goldfold.engine import loop
from goldfold.engine.hooks import Context, max_hours
from goldfold.engine.hooks.early_stopping import EarlyStopping
from goldfold.engine.hooks.max_hours import MaxHours
from goldfold.engine.loop import _agree
from goldfold.engine.state import Training
from goldfold.planning.runs import Run as Place
from goldfold.report import endings
from goldfold.tasks import facts
from goldfold.training.samples import check_batches
from test_engine import Given, network, run_fit
from test_hooks import config

NAN = float("nan")


def context(greater_is_better: bool = True, loss: str | None = "val_loss", epochs: int = 9) -> Context:
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    directions = {"score": greater_is_better, **({} if loss is None else {loss: False})}
    return Context(epochs, 1, optimizer, "score", directions, loss, lambda: iter([]), lambda network, inputs: None)


def epochs_of(scores: list[float], greater_is_better: bool = True, validate_every: int = 1, **params: Any) -> Any:
    """Train with these scores of the epochs that are validated."""
    coming, hook = iter(scores), EarlyStopping(network(), **params)
    hook.before_training(context(greater_is_better))

    def validate(model: torch.nn.Module, pause: Any) -> dict[str, float]:
        value = next(coming)
        return {"score": value, "val_loss": -value}

    return run_fit(
        Given(8, 8), validate=validate, epochs=len(scores) * validate_every, hooks={"stop": hook},
        validate_every=validate_every,
    )[0]  # fmt: skip


@pytest.mark.parametrize(
    ("scores", "params", "n"),
    [
        ([1, 2, 3, 4, 5, 6], {"patience": 1}, 6),
        ([1, 2, 1, 1, 9, 9], {"patience": 2}, 4),
        ([1, 2, 1, 3, 2, 2, 9], {"patience": 2}, 6),
        ([1, 1, 1, 1], {"patience": 2}, 3),
        ([1, 1.06, 1.12, 1.18, 1.24, 1.3], {"patience": 2, "min_delta": 0.1}, 6),
        ([1, 1.05, 1.1, 1.1, 1.2], {"patience": 2, "min_delta": 0.1}, 3),
        ([9, 9, 1, 1, 1, 1, 1], {"patience": 3, "warmup": 2}, 6),
        ([9, 9, 1, 2, 3, 4, 5], {"patience": 3, "warmup": 2}, 7),
        ([NAN, NAN, NAN, 1], {"patience": 3}, 3),
        ([NAN, 1, NAN, 2, NAN, NAN], {"patience": 2}, 6),
        ([1, 2, 3, 4], {"patience": 1, "watch": "loss"}, 4),
        ([1, 2, 1, 4], {"patience": 1, "watch": "loss"}, 3),
    ],
)
def test_a_training_stops_when_its_last_gain_is_patience_epochs_ago(
    scores: list[float], params: dict[str, Any], n: int
) -> None:
    result = epochs_of(scores, **params)
    assert len(result.history) == n
    if n < len(scores):
        assert (result.stopped["by"], result.stopped["on_validation"]) == ("early_stopping", True)


def test_a_metric_to_be_lowered_is_watched_downwards_and_the_reason_is_said() -> None:
    result = epochs_of([3, 1, 2, 1.5, 0.1], greater_is_better=False, patience=2)
    assert len(result.history) == 4
    assert result.stopped["why"] == "score has not improved over 1.0000 in 2 epochs"


def test_patience_counts_epochs_whether_they_are_validated_or_not() -> None:
    """Epochs 1, 3, 5 and 7 are validated; the best is 1, and 5 is the first that is 3 behind it."""
    result = epochs_of([2, 1, 1, 1], patience=3, validate_every=2)
    assert [row.get("score") for row in result.history] == [None, 2, None, 1, None, 1]


def test_a_run_killed_after_the_decision_decides_the_same_and_adds_no_epoch() -> None:
    states: list[Any] = []

    def run(scores: list[float], resume: Any = None) -> tuple[Any, torch.nn.Module]:
        hook, coming = EarlyStopping(network(), patience=1), iter(scores)
        hook.before_training(context())
        result, model, _ = run_fit(
            Given(16, 8), None, lambda scored, pause: pause() or {"score": next(coming)}, resume,
            lambda step, state: states.append(copy.deepcopy(state())), epochs=9, hooks={"stop": hook},
        )  # fmt: skip
        return result, model

    whole, model = run([2.0, 1.0])
    in_validation, ended = states[-1], copy.deepcopy(states[-1])
    result, resumed = run([1.0], in_validation)
    assert (len(result.history), result.stopped) == (2, whole.stopped)
    assert all(torch.equal(one, other) for one, other in zip(resumed.parameters(), model.parameters(), strict=True))
    ended["fit"] |= {"stopped": whole.stopped, "losses": [], "history": whole.history}
    assert len(run([], ended)[0].history) == 2


@pytest.mark.parametrize(
    ("decides", "is_main", "total", "found"),
    [(True, True, 1.0, True), (False, False, 1.0, True), (True, False, 0.0, False), (False, True, 0.0, False)],
)
def test_the_first_process_decides_for_all(
    decides: bool, is_main: bool, total: float, found: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float] = []
    monkeypatch.setattr(loop, "total", lambda accelerator, value: given.append(value) or total)
    at = Training(network())
    if decides:
        at.stop("mine", "enough")
    _agree(at, SimpleNamespace(num_processes=2, is_main_process=is_main))
    assert (at.stopped is not None) == found
    assert given == [float(decides and is_main)]


def test_the_loss_is_watched_only_where_there_is_one() -> None:
    model = Model(name="a", network="fcos", train=Train(early_stopping={"watch": "loss"}))
    said = "train.early_stopping: watch: loss: detectors have no validation loss; set watch: metric"
    assert said in model_checks._of_detectors(model.train, facts("detection"))
    hook = EarlyStopping(network(), watch="loss")
    with pytest.raises(
        ConfigError, match=r"early_stopping: watch: loss, but this task has no validation loss\. Set watch"
    ):
        hook.before_training(context(loss=None))


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"patience": 0}, "patience = 0: must be a whole number of epochs, at least 1"),
        ({"warmup": 1.5}, "warmup = 1.5: must be a whole number of epochs, at least 0"),
        ({"min_delta": -1}, "min_delta = -1: must be a number of at least 0"),
        ({"watch": "acc"}, "watch = 'acc': must be metric or loss"),
    ],
)
def test_parameters_of_early_stopping_have_bounds(params: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        EarlyStopping(network(), **params)


# --- time


class Clock:
    """Seconds that a test sets."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(max_hours, "time", made)
    return made


def timed(clock: Clock, seconds_per_step: float, resume: Any = None, until: int = 99, **settings: Any) -> Any:
    """Train for an hour and a half at most, or until a step; the training and its states."""
    hook, states = MaxHours(network(), 1.5), list[Any]()
    hook.before_training(context())

    def pause(step: int, state: Any) -> None:
        clock.now += seconds_per_step
        states.append(copy.deepcopy(state()))
        if step == until:
            raise InterruptedError

    try:
        result = run_fit(Given(16, 8), pause=pause, hooks={"max_hours": hook}, epochs=9, resume=resume, **settings)[0]
    except InterruptedError:
        result = None
    return result, states


def test_a_training_ends_with_the_epoch_in_which_its_time_is_up_and_validates_it(clock: Clock) -> None:
    result, _ = timed(clock, 1800, validate_every=9)
    assert [row.get("score") for row in result.history] == [None, 0.0]
    assert result.stopped == {"by": "max_hours", "why": "its 1.5 hours were up", "on_validation": False}
    assert len(timed(clock, 60)[0].history) == 9


def test_time_that_is_up_in_a_validation_ends_the_training_there(clock: Clock) -> None:
    def slow(model: torch.nn.Module, pause: Any) -> dict[str, float]:
        clock.now += 5400
        return {"score": 0.0}

    assert len(timed(clock, 1, validate=slow)[0].history) == 1


def test_time_that_is_up_after_the_last_step_of_an_epoch_without_validation_ends_the_next_epoch(clock: Clock) -> None:
    hook = MaxHours(network(), 1)
    hook.before_training(context())
    clock.now += 3600
    training = Training(network())
    hook.after_epoch(training, {})
    assert training.stopped is None
    hook.after_epoch(training, {"score": 0.0})
    assert training.stopped is not None


def test_the_clock_counts_over_resumes_and_not_the_time_between(clock: Clock) -> None:
    _, states = timed(clock, 1700, until=2)
    clock.now += 1e6
    result, _ = timed(clock, 1700, resume=states[-1])
    assert len(result.history) == 2, "the fourth step begins after 3 x 1700 s, and its epoch ends after 4 x 1700"
    assert result.step == 4


def test_a_run_killed_in_the_epoch_in_which_its_time_is_up_completes_it(clock: Clock) -> None:
    _, states = timed(clock, 5400, until=2)
    assert states[-1]["fit"]["stopped"]["by"] == "max_hours"
    assert [row["score"] for row in timed(clock, 1, resume=states[-1])[0].history] == [0.0]


def test_hours_are_above_0() -> None:
    with pytest.raises(ConfigError, match="hours = 0: must be above 0"):
        MaxHours(network(), 0)


# --- configs and batches


def test_short_forms_stand_for_hooks_and_the_metric_counts_where_it_is_watched() -> None:
    train = Train(early_stopping={"patience": 3}, max_hours=8.5, clip_norm=1.0, hooks=["mine:Own"])
    assert train.every_hook == [
        {"clip": {"norm": 1.0}}, {"early_stopping": {"patience": 3}}, {"max_hours": {"hours": 8.5}}, "mine:Own",
    ]  # fmt: skip
    made = {name: config(**params) for name, params in {
        "off": {}, "metric": {"early_stopping": {}}, "loss": {"hooks": [{"early_stopping": {"watch": "loss"}}]},
    }.items()}  # fmt: skip
    found = {
        name: slices.watched(one.model_copy(update={"metric": "log_loss"}), "a")["metric"] for name, one in made.items()
    }
    assert found == {"off": "accuracy", "metric": "log_loss", "loss": "accuracy"}
    keys = slices.learning(made["off"], "a")["train"]
    assert not {"early_stopping", "max_hours", "swa", "compile", "ema_decay"} & set(keys), "off is not in the recipe"


@pytest.mark.parametrize(
    ("train", "is_fine"),
    [
        ({"epochs": 8, "early_stopping": {"patience": 5, "warmup": 3}}, False),
        ({"epochs": 9, "early_stopping": {"patience": 5, "warmup": 3}}, True),
        ({"epochs": 9, "early_stopping": {"patience": 5, "warmup": 3}, "validate_every": 5}, False),
        ({"epochs": 11, "early_stopping": {"patience": 5, "warmup": 3}, "validate_every": 5}, True),
        ({"epochs": 5, "hooks": ["early_stopping"]}, False),
        ({"epochs": 1, "warmup_epochs": 0, "early_stopping": {}}, True),
    ],
)
def test_early_stopping_that_cannot_act_is_refused(train: dict[str, Any], is_fine: bool) -> None:
    if is_fine:
        config(**train)
        return
    with pytest.raises(
        ConfigError, match=r"early_stopping: with patience 5, warmup \d and validate_every \d it cannot stop the"
    ):
        config(**train)


def test_a_round_may_switch_off_what_a_model_has_on() -> None:
    base = config(early_stopping={}, compile=True).model_dump()
    base["rounds"] = [{}, {"train": {"early_stopping": None, "compile": False}}]
    del base["pseudo_labels"]
    from goldfold.config.root import Config

    made = Config.model_validate(base)
    assert [made.model("a", number).train.every_hook for number in (0, 1)] == [["early_stopping"], []]
    assert [made.model("a", number).train.compile for number in (0, 1)] == [True, False]


def spec(batch_size: int = 8, gpus: int = 1) -> Any:
    return SimpleNamespace(name="net", train=SimpleNamespace(batch_size=batch_size), model={"gpus": gpus})


def test_fewer_images_than_a_batch_are_said_and_one_alone_is_refused_with_batch_norm(
    capsys: pytest.CaptureFixture[str],
) -> None:
    check_batches(spec(), network(), 8)
    assert capsys.readouterr().out == ""
    check_batches(spec(gpus=2), network(), 8)
    assert (
        "asks for 16 images per batch, but there are 8 training images: each batch has these 8."
        in capsys.readouterr().out
    )
    check_batches(spec(), network(), 1)
    with pytest.raises(ConfigError, match=r"models \(net\): batch normalisation needs batches of at least two images"):
        check_batches(spec(), torch.nn.Sequential(torch.nn.BatchNorm2d(2)), 1)


# --- what is said of it


def test_progress_that_ends_early_is_complete(tmp_path: Path) -> None:
    with status.running(tmp_path, "train"):
        bar = status.Progress(100, "steps")
        bar.advance(40)
        bar.end_here()
        entry = next(entry for _, entry in status._alive(tmp_path))
        bar.close()
    assert (bar.done, bar.total, entry["done"], entry["total"]) == (40, 40, 40, 40)


def runs_of(*records: dict[str, Any]) -> Any:
    """Runs of one model, one per fold, whose final networks are their own."""
    made = [
        SimpleNamespace(
            model="net", round=0, fold=fold, seed=0, record=record, history=pd.DataFrame(index=range(7 + fold))
        )
        for fold, record in enumerate(records)
    ]
    places = [Place("net", 0, fold, 0) for fold in range(len(made))]
    grid = SimpleNamespace(final_runs=lambda: places, ancestry=lambda run: [run], taught=lambda run: [])
    settings = {"models": [{"name": "net", "train": {"epochs": 30}}]}
    return SimpleNamespace(runs=made, grid=grid, settings=settings, row="image")


def test_the_report_says_how_trainings_ended() -> None:
    early = {"stopped": {"by": "early_stopping", "why": "accuracy has not improved", "on_validation": True}}
    found = list(endings.notes(runs_of(early, {}, early)))
    assert [(note.level, note.title) for note in found] == [
        ("warn", "The last epoch was chosen on the validation fold")
    ]
    assert found[0].text.startswith(
        "early_stopping ended 2 training runs after 7 to 9 of 30 epochs: net, round 0, fold 0, seed 0 (accuracy has not improved)"
    )
    assert "inflates the out-of-fold score a little, whatever checkpoint says" in found[0].text
    late = {
        "stopped": {"by": "max_hours", "why": "its 8 hours were up", "on_validation": False},
        "swa": {"averaged": 0},
    }
    titles = [note.title for note in endings.notes(runs_of(late))]
    assert titles == ["Trainings ended early", "SWA averaged nothing"]
    small = {"batch_size": 20, "gpus": 1, "recipe": {"settings": {"model": {"train": {"batch_size": 64}}}}}
    found = list(endings.notes(runs_of(small, {"not_compiled": "no compiler", "compiled": False})))
    assert [note.title for note in found] == ["Batches are smaller than configured", "train.compile had no effect"]
    assert "trained uncompiled: no compiler." in found[1].text
    assert list(endings.notes(runs_of({}, {}))) == []
