"""Averages of the weights: EMA and SWA."""

import copy
import io
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from timm.utils import ModelEmaV3
from torch.optim.swa_utils import SWALR, update_bn

from goldfold.base.errors import ConfigError
from goldfold.config.learning import Train
from goldfold.engine.hooks import Context, Hook
from goldfold.engine.hooks.agc import Agc
from goldfold.engine.hooks.ema import Ema
from goldfold.engine.hooks.max_hours import MaxHours
from goldfold.engine.hooks.swa import Swa
from goldfold.engine.state import Training, weights_of
from test_engine import Given, distance, network, run_fit, stateful
from test_hooks import scaled

# --- EMA


def moved(model: torch.nn.Module, step: int) -> None:
    """Change weights and buffers as a step would."""
    generator = torch.Generator().manual_seed(step)
    with torch.no_grad():
        for value in [*model.parameters(), *model.buffers()]:
            value.add_(torch.randn(value.shape, generator=generator) if value.is_floating_point() else 1)


@pytest.mark.parametrize(
    ("ours", "timms"),
    [
        ({}, {"use_warmup": True, "warmup_power": 0.75}),
        ({"warmup": False}, {}),
        (
            {"warmup_gamma": 2.0, "warmup_power": 0.5, "min_decay": 0.4, "start_step": 3},
            {"use_warmup": True, "warmup_gamma": 2.0, "warmup_power": 0.5, "min_decay": 0.4, "update_after_step": 3},
        ),
        ({"buffers": "copy"}, {"use_warmup": True, "warmup_power": 0.75, "exclude_buffers": True}),
    ],
)
def test_ema_is_timm_s_with_the_same_parameters(ours: dict[str, Any], timms: dict[str, Any]) -> None:
    model = stateful()
    ema, reference = Ema(model, 0.9, **ours), ModelEmaV3(model, decay=0.9, **timms)
    for step in range(1, 13):
        moved(model, step)
        ema.after_step(Training(model, n_updates=step))
        reference.update(model, step=step)
        for name, value in reference.module.state_dict().items():
            assert torch.equal(ema.average.module.state_dict()[name], value), (step, name)


def test_an_average_of_every_third_step_reaches_as_far_back() -> None:
    model = network()
    ema = Ema(model, 0.9, warmup=False, every_steps=3)
    expected, seen = copy.deepcopy(model), list[torch.Tensor]()
    for step in range(1, 10):
        moved(model, step)
        ema.after_step(Training(model, n_updates=step))
        if step % 3 == 0:
            with torch.no_grad():
                kept = 0.9**3 if step > 3 else 0.0
                for average, value in zip(expected.parameters(), model.parameters(), strict=True):
                    average.copy_(kept * average + (1 - kept) * value)
        seen.append(ema.average.module[0].weight.clone())
        assert torch.allclose(seen[-1], expected[0].weight, atol=1e-6)
    assert torch.equal(seen[4], seen[3]), "between two updates nothing moves"


# --- SWA


class Ends(Hook):
    """Keeps the weights at the end of each epoch, and the learning rates of each step."""

    def __init__(self, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self.model, self.optimizer = model, optimizer
        self.weights: list[dict[str, torch.Tensor]] = []
        self.rates: list[list[float]] = []

    def before_step(self, training: Training) -> None:
        self.rates.append([group["lr"] for group in self.optimizer.param_groups])

    def after_steps(self, training: Training, is_validated: bool) -> None:
        self.weights.append(weights_of(self.model))


def inputs(batches: Given) -> Any:
    return lambda: iter([batch.x for batch in batches.parts])


def context_of(optimizer: torch.optim.Optimizer, epochs: int, batches: Given) -> Context:
    return Context(
        epochs,
        len(batches),
        optimizer,
        "score",
        {"score": True},
        None,
        inputs(batches),
        lambda network, values: network(values),
    )


def run_swa(model: torch.nn.Module, epochs: int, batches: Given | None = None, **params: Any) -> tuple[Any, Swa, Ends]:
    """Train with SWA, and the rates 0.1 and 0.01 of two groups of parameters."""
    given = batches or Given(24, 8)
    first, *others = model.parameters()
    optimizer = torch.optim.SGD([{"params": others, "lr": 0.1}, {"params": [first], "lr": 0.01}])
    swa, ends = Swa(model, **params), Ends(model, optimizer)
    swa.before_training(context_of(optimizer, epochs, given))
    result, _, _ = run_fit(given, model, epochs=epochs, optimizer=optimizer, hooks={"swa": swa, "ends": ends})
    return result, swa, ends


def mean(states: list[dict[str, torch.Tensor]], name: str) -> torch.Tensor:
    return torch.stack([state[name] for state in states]).mean(dim=0)


@pytest.mark.parametrize(("params", "epochs"), [({}, [6, 7]), ({"start": 0.4, "every_epochs": 2}, [3, 5, 7])])
def test_swa_is_the_mean_of_the_weights_at_the_ends_of_the_last_epochs(
    params: dict[str, Any], epochs: list[int]
) -> None:
    model = network()
    result, swa, ends = run_swa(model, 8, **params)
    assert swa.facts() == {"averaged": len(epochs)}
    kept = weights_of(result.scored)
    assert list(kept) == list(model.state_dict())
    for name, value in kept.items():
        assert torch.allclose(value, mean([ends.weights[epoch] for epoch in epochs], name), atol=1e-6)
    assert distance(result.scored, model) > 1e-4


def test_until_it_begins_the_network_itself_is_validated() -> None:
    model, seen = network(), []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    swa = Swa(model, start=0.5)
    swa.before_training(context_of(optimizer, 4, Given(8, 8)))
    run_fit(Given(8, 8), model, lambda scored, pause: seen.append(scored) or {"score": 0.0},
            epochs=4, optimizer=optimizer, hooks={"swa": swa})  # fmt: skip
    assert [one is swa.average.module for one in seen] == [False, False, True, True]


@pytest.mark.parametrize(("anneal", "torch_s"), [("cosine", "cos"), ("linear", "linear")])
def test_the_rate_of_swa_is_that_of_torch_in_each_group(anneal: str, torch_s: Any) -> None:
    _, _, ends = run_swa(network(), 4, start=0.25, lr=0.05, anneal=anneal, anneal_epochs=2)
    reference = torch.optim.SGD([{"params": [torch.zeros(1)], "lr": 0.1}, {"params": [torch.zeros(1)], "lr": 0.01}])
    schedule = SWALR(reference, [0.05, 0.005], anneal_epochs=6, anneal_strategy=torch_s)  # type: ignore[arg-type]
    assert ends.rates[:3] == [[0.1, 0.01]] * 3, "three steps of the first epoch"
    for step, rates in enumerate(ends.rates[3:]):
        assert rates == pytest.approx([group["lr"] for group in reference.param_groups]), step
        reference.step()
        schedule.step()
    assert ends.rates[-1] == pytest.approx([0.05, 0.005])


def test_the_rate_of_swa_is_that_of_parameters_without_a_factor() -> None:
    model = network()
    first, *others = model.parameters()
    groups = [{"params": others, "lr": 0.01, "lr_scale": 1.0}, {"params": [first], "lr": 0.1, "lr_scale": 10.0}]
    optimizer = torch.optim.SGD(groups)
    swa, given = Swa(model, start=0.25, lr=0.005, anneal_epochs=0), Given(24, 8)
    swa.before_training(context_of(optimizer, 4, given))
    run_fit(given, model, epochs=4, optimizer=optimizer, hooks={"swa": swa})
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.005, 0.05])


def test_without_a_rate_of_its_own_the_schedule_s_is_kept() -> None:
    assert run_swa(network(), 4, start=0.25)[2].rates == [[0.1, 0.01]] * 12


def with_dropout() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Dropout(0.5), torch.nn.Linear(5, 6), torch.nn.BatchNorm1d(6), torch.nn.Linear(6, 1)
    )


def test_statistics_of_the_average_are_those_of_torch_s_update_bn_without_dropout() -> None:
    batches, model = Given(24, 8), with_dropout()
    result, _, ends = run_swa(model, 4, batches)
    plain = torch.nn.Sequential(*list(with_dropout())[1:])
    plain.load_state_dict({f"{int(name[0]) - 1}{name[1:]}": mean(ends.weights[3:], name) for name in ends.weights[3]
                           if "num" not in name}, strict=False)  # fmt: skip
    update_bn(inputs(batches)(), plain)
    found, layer = weights_of(result.scored), plain[1]
    assert torch.allclose(found["2.running_mean"], layer.running_mean, atol=1e-6)
    assert torch.allclose(found["2.running_var"], layer.running_var, atol=1e-6)
    assert not torch.allclose(found["2.running_var"], model[2].running_var, atol=1e-3)
    assert not any(module.training for module in result.scored.modules())
    assert all(one.momentum == 0.1 for one in result.scored.modules() if isinstance(one, torch.nn.BatchNorm1d))


def test_a_step_that_the_scaler_skips_moves_neither_rate_nor_average_of_swa() -> None:
    model, steps = network(), list[int]()
    model[0].weight.register_hook(lambda grad: grad * float("inf") if len(steps) in (2, 4) else grad)
    parts = scaled(model)
    swa, ends, averaged = Swa(model, start=0.1, lr=0.05, anneal_epochs=3), Ends(model, parts["optimizer"]), list[int]()
    swa.before_training(context_of(parts["optimizer"], 10, Given(8, 8)))

    def pause(step: int, state: Any) -> None:
        steps.append(step)
        averaged.append(swa.n_averaged)

    run_fit(Given(8, 8), model, epochs=10, pause=pause, hooks={"swa": swa, "ends": ends}, **parts)
    rates = [rate[0] for rate in ends.rates]
    assert rates[:2] == [0.1, 0.1], "an epoch of the schedule, and the first step of SWA"
    assert rates[2] == rates[3], "after a step that was skipped"
    assert rates[4] == rates[5] < rates[3]
    assert rates[6] == pytest.approx(0.05)
    assert averaged == [0, 0, 1, 1, 2, 2, 3, 4, 5, 6], "epochs without an update give the average nothing"


def test_a_fit_with_swa_goes_on_from_any_of_its_states_with_the_same_bytes() -> None:
    made: list[bytes] = []

    def run(resume: Any = None, keep: bool = False) -> dict[str, torch.Tensor]:
        model = stateful()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        swa = Swa(model, start=0.3, lr=0.03)
        swa.before_training(context_of(optimizer, 4, Given(16, 8)))

        def pause(step: int, make: Any) -> None:
            if keep:
                stream = io.BytesIO()
                torch.save(make(), stream)
                made.append(stream.getvalue())

        def validate(scored: torch.nn.Module, pause: Any) -> dict[str, float]:
            pause()
            return {"score": float(scored[1].running_mean.sum())}

        result, _, _ = run_fit(
            Given(16, 8), model, validate, resume, pause, epochs=4, optimizer=optimizer, hooks={"swa": swa}
        )
        return {**weights_of(result.scored), "scores": torch.tensor([row["score"] for row in result.history])}

    whole = run(keep=True)
    assert len(made) == 4 * 3, "a state after each of two steps, and one in each validation"
    for number, content in enumerate(made):
        again = run(torch.load(io.BytesIO(content), weights_only=True))
        assert all(torch.equal(again[name], value) for name, value in whole.items()), number


# --- what a config may say


@pytest.mark.parametrize(
    ("train", "said"),
    [
        ({"swa": {"start": 20}, "epochs": 30}, r"start = 20 is a share of the epochs.*e\.g\. start: 0\.67"),
        ({"swa": {"start": 1.0}}, r"SWA would begin after the last one\. Set a share below 1"),
        ({"hooks": [{"swa": {"start": 0.99}}]}, r"1 network of 30 epochs is averaged, which is no average"),
        ({"swa": {"every_epochs": 20}}, r"with start = 0\.75 and every_epochs = 20, 1 network"),
        ({"swa": {}, "ema_decay": 0.9}, "ema and swa are two averages"),
        ({"swa": {}, "early_stopping": {}}, "early_stopping would end the training before swa"),
        ({"swa": {}, "hooks": ["swa"]}, "'swa' is listed twice; swa is its short form"),
        ({"swa": 0.75}, r"write its parameters as \{name: value\}"),
    ],
)
def test_averages_that_cannot_be_are_refused(train: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Train(**train)


def test_a_quick_run_of_one_epoch_keeps_its_average() -> None:
    assert Train(epochs=1, warmup_epochs=0, swa={}).every_hook == ["swa"]


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda model: Swa(model, start=1.5), "start = 1.5: must be a share"),
        (lambda model: Swa(model, lr=0.0), "lr = 0: must be above 0"),
        (lambda model: Swa(model, anneal="step"), "anneal = 'step': must be cosine or linear"),
        (lambda model: Swa(model, every_epochs=0), "every_epochs = 0: must be a whole number"),
        (lambda model: Ema(model, 0.9, min_decay=0.95), "min_decay = 0.95: must lie between 0 and decay = 0.9"),
        (lambda model: Ema(model, 0.9, every_steps=0), "every_steps = 0: must be a whole number"),
        (lambda model: Ema(model, 0.9, buffers="none"), "buffers = 'none': must be average or copy"),
        (lambda model: Ema(model, 0.9, warmup_power=0), "warmup_power = 0: must be above 0"),
    ],
)
def test_parameters_of_averages_have_bounds(build: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        build(network())


@pytest.mark.parametrize(
    ("hook", "params", "said"),
    [
        (Swa, {"start": "x"}, "start = 'x': must be a number"),
        (Swa, {"lr": "high"}, "lr = 'high': must be a number"),
        (Swa, {"anneal": ["cosine"]}, "anneal = ['cosine']: must be cosine or linear"),
        (Ema, {"decay": "x"}, "decay = 'x': must be a number"),
        (Ema, {"decay": 0.9, "warmup_gamma": None}, "warmup_gamma = None: must be a number"),
        (Agc, {"factor": "x"}, "factor = 'x': must be a number"),
        (MaxHours, {"hours": "1h"}, "hours = '1h': must be a number"),
    ],
)
def test_parameters_of_hooks_that_are_no_numbers_are_refused_in_words(hook: Any, params: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        hook(network(), **params)
    assert str(caught.value) == said


def test_an_average_that_would_begin_after_the_last_step_is_refused() -> None:
    for start_step, every_steps in ((0, 20), (19, 1)):
        ema = Ema(network(), 0.9, start_step=start_step, every_steps=every_steps)
        with pytest.raises(
            ConfigError, match=r"nothing is averaged in the 20 steps of this run. Set smaller ones, or more"
        ):
            ema.before_training(SimpleNamespace(epochs=2, steps_per_epoch=10))
        ema.before_training(SimpleNamespace(epochs=1, steps_per_epoch=10))
        ema.before_training(SimpleNamespace(epochs=3, steps_per_epoch=10))
