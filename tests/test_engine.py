import copy
import io
import json
import math
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from conftest import PLACE, RUNTIME, Tiny
from goldfold.base.errors import ConfigError, TrainingError
from goldfold.base.fingerprint import sha256_of
from goldfold.cases import Batch, Inputs
from goldfold.catalog import SCHEDULES
from goldfold.engine import device, seeding
from goldfold.engine.device import accelerator as build_accelerator
from goldfold.engine.gradient import Gradient
from goldfold.engine.hooks.best import Best
from goldfold.engine.hooks.clip import Clip
from goldfold.engine.hooks.ema import Ema
from goldfold.engine.loop import Course, Learner, fit
from goldfold.engine.memory import pieces
from goldfold.engine.seeding import seeded
from goldfold.engine.state import Training, weights_of
from goldfold.losses import Losses
from goldfold.models.wrapping import Normalised
from goldfold.optim import build_optimizer, build_schedule
from goldfold.training.failures import readable_errors
from goldfold.training.spec import read
from whole_task import classification, whole

# --- the loop


@dataclass
class Samples:
    """A batch of numbers to fit."""

    ids: list[str]
    x: torch.Tensor
    y: torch.Tensor

    def to(self, device: torch.device) -> "Samples":
        return self

    def rows(self, rows: list[int]) -> "Samples":
        return Samples([self.ids[row] for row in rows], self.x[rows], self.y[rows])


class Flat(torch.nn.Module):
    """All pixels of each case."""

    def forward(self, inputs: Any) -> torch.Tensor:
        return inputs.images.float().flatten(1)


class Given:
    """The same batches in every epoch."""

    def __init__(self, n: int, batch_size: int, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        x, y = torch.randn((n, 5), generator=generator), torch.randn((n, 1), generator=generator)
        self.parts = [
            Samples([f"i{row}" for row in range(start, min(start + batch_size, n))], x[start:stop], y[start:stop])
            for start, stop in ((start, start + batch_size) for start in range(0, n, batch_size))
        ]

    def __len__(self) -> int:
        return len(self.parts)

    def epoch(self, number: int, start: int = 0) -> Iterator[Samples]:
        return iter(self.parts[start:])


class Fixed:
    """Leaves the learning rate alone and remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def step(self, update: int) -> None:
        self.asked.append(update)


def squared(model: torch.nn.Module, batch: Samples) -> Losses:
    return Losses((model(batch.x) - batch.y).square().mean())


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 1))


def run_fit(
    batches: Any,
    model: torch.nn.Module | None = None,
    validate: Any = lambda model, pause: {"score": 0.0},
    resume: Any = None,
    pause: Any = lambda step, state: None,
    **settings: Any,
) -> tuple[Any, torch.nn.Module, Fixed]:
    """Train with plain SGD, lr 0.1; the training, the network and the schedule."""
    chosen, schedule = network() if model is None else model, settings.pop("schedule", None) or Fixed()
    course = {
        name: settings.pop(name) for name in ("epochs", "key", "accumulate", "validate_every") if name in settings
    }
    optimizer = settings.pop("optimizer", None) or torch.optim.SGD(chosen.parameters(), lr=0.1)
    accelerator, loss = settings.pop("accelerator", None) or Accelerator(cpu=True), settings.pop("loss", squared)
    gradient = Gradient(chosen, loss, optimizer, accelerator, settings.pop("least_micro_batch", None))
    learner = Learner(gradient, optimizer, schedule, **settings)
    result = fit(learner, batches, validate, Course(**{"epochs": 1, "key": ("k",), **course}), resume, pause)
    return result, chosen, schedule


def distance(first: torch.nn.Module, second: torch.nn.Module) -> float:
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    return max((one - other).abs().max().item() for one, other in pairs)


def test_two_batches_of_8_are_one_step_of_16() -> None:
    accumulated, whole = run_fit(Given(16, 8), accumulate=2), run_fit(Given(16, 16))
    assert distance(accumulated[1], whole[1]) < 1e-6
    assert distance(accumulated[1], network()) > 1e-3
    assert accumulated[0].history[0]["train_loss"] == pytest.approx(whole[0].history[0]["train_loss"], rel=1e-6)


def test_batches_of_unequal_size_weigh_by_their_samples() -> None:
    assert distance(run_fit(Given(11, 8), accumulate=2)[1], run_fit(Given(11, 11))[1]) < 1e-6


def test_a_last_window_that_is_not_full_is_stepped_too() -> None:
    _, model, schedule = run_fit(Given(24, 8), accumulate=2)
    assert schedule.asked == [0, 1]
    first, second = Given(24, 8), Given(24, 8)
    first.parts, second.parts = first.parts[:2], second.parts[2:]
    _, by_hand, _ = run_fit(second, model=run_fit(first, accumulate=2)[1])
    assert distance(model, by_hand) < 1e-6


@pytest.mark.parametrize(
    ("name", "targets"),
    [
        ("classification", torch.arange(21) % 2),
        ("multilabel", (torch.arange(42).reshape(21, 2) % 3 == 0).float()),
        ("regression", torch.linspace(-1, 2, 21)),
    ],
)
def test_weighted_batches_of_unequal_size_have_the_gradient_of_their_window(name: str, targets: torch.Tensor) -> None:
    """Batches of 8, 5, 3 and 5 in windows of three: the steps are those of batches of 16 and 5, weights among them."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (21, 3, 2, 2), dtype=torch.uint8, generator=generator)
    cases = Batch([f"i{row}" for row in range(21)], Inputs.of(images), targets, torch.rand(21, generator=generator))
    loss = whole({"name": name}, ["a", "b"] if name != "regression" else ["target"]).loss()

    def trained(sizes: list[int], accumulate: int) -> torch.nn.Module:
        torch.manual_seed(0)
        model, batches = torch.nn.Sequential(Flat(), torch.nn.Linear(12, 1 if name == "regression" else 2)), Given(1, 1)
        model[1].weight.data /= 255
        ends = np.cumsum([0, *sizes])
        batches.parts = [cases.rows(range(start, end)) for start, end in pairwise(ends)]
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-5)
        return run_fit(batches, model, loss=loss, accumulate=accumulate, optimizer=optimizer)[1]

    accumulated, at_once = trained([8, 5, 3, 5], 3), trained([16, 5], 1)
    assert distance(accumulated, at_once) < 1e-7
    assert distance(accumulated, trained([5, 8, 3, 5], 1)) > 1e-6


def test_without_accumulation_each_batch_is_a_step_counted_through_the_epochs() -> None:
    steps: list[int] = []
    _, _, schedule = run_fit(Given(24, 8), epochs=3, pause=lambda step, state: steps.append(step))
    assert schedule.asked == list(range(9))
    assert steps == list(range(1, 10))


def test_clipping_limits_the_step() -> None:
    start, free, model = network(), run_fit(Given(8, 8))[1], network()
    _, clipped, _ = run_fit(Given(8, 8), model, hooks={"clip": Clip(model, 0.01)})
    pairs = zip(clipped.parameters(), start.parameters(), strict=True)
    norm = math.sqrt(sum((one - other).square().sum().item() for one, other in pairs))
    assert norm == pytest.approx(0.1 * 0.01, rel=1e-3)
    assert distance(free, start) > 10 * distance(clipped, start)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_names_step_lr_and_ids(value: float) -> None:
    batches = Given(24, 8)
    batches.parts[1].y[:] = value
    said = rf"the loss is {value} at step 1, lr 0\.1, ids i8, i9, .*i15\. Lower train\.lr, set train\.clip_norm: 1\.0"
    with pytest.raises(TrainingError, match=said):
        run_fit(batches)


def test_history_has_a_row_an_epoch_and_best_is_the_first_of_the_highest() -> None:
    scores = iter([0.1, 0.5, 0.5, 0.2])
    seen: list[dict[str, torch.Tensor]] = []

    def validate(model: torch.nn.Module, pause: Any) -> dict[str, float]:
        seen.append(copy.deepcopy(model.state_dict()))
        return {"score": next(scores)}

    best = Best("score", greater_is_better=True)
    result, model, _ = run_fit(Given(16, 8), epochs=4, validate=validate, hooks={"best": best})
    assert [row["epoch"] for row in result.history] == [0, 1, 2, 3]
    assert [row["score"] for row in result.history] == [0.1, 0.5, 0.5, 0.2]
    assert best.epoch == 1
    for name, value in model.state_dict().items():
        assert torch.equal(best.weights[name], seen[1][name])
        assert torch.equal(weights_of(result.scored)[name], value)
        assert not torch.equal(best.weights[name], value)


def best_of(scores: list[float], greater_is_better: bool = True, **settings: Any) -> Best:
    """The best epoch of a training whose validated epochs have these scores."""
    best, coming = Best("score", greater_is_better), iter(scores)
    run_fit(
        Given(8, 8), validate=lambda m, pause: {"score": next(coming)}, hooks={"best": best},
        **{"epochs": len(scores), **settings},
    )  # fmt: skip
    assert next(coming, None) is None
    return best


def test_best_of_a_metric_to_be_lowered_is_the_lowest() -> None:
    assert best_of([0.3, 0.1, 0.2], greater_is_better=False).epoch == 1


def test_a_score_that_is_not_a_number_is_never_the_best() -> None:
    assert best_of([float("nan"), 0.4, 0.3]).epoch == 1


def test_where_no_score_is_a_number_there_is_no_best_epoch() -> None:
    best = best_of([float("nan")] * 2)
    assert (best.epoch, best.weights) == (None, {})


def test_epochs_that_are_not_validated_have_no_score_and_the_last_always_has_one() -> None:
    scores = iter([0.2, 0.9, 0.4])
    result, _, _ = run_fit(Given(8, 8), epochs=5, validate_every=2, validate=lambda m, pause: {"score": next(scores)})
    assert [row.get("score") for row in result.history] == [None, 0.2, None, 0.9, 0.4]
    assert all(np.isfinite(row["train_loss"]) for row in result.history)
    assert next(scores, None) is None
    assert best_of([0.2, 0.9, 0.4], epochs=5, validate_every=2).epoch == 3
    late, _, _ = run_fit(Given(8, 8), epochs=2, validate_every=9, validate=lambda m, pause: {"score": 0.5})
    assert [row.get("score") for row in late.history] == [None, 0.5]


def test_ema_averages_weights_and_buffers_and_is_what_is_validated_and_kept() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.BatchNorm1d(7), torch.nn.Linear(7, 1))
    start, validated = copy.deepcopy(model.state_dict()), []
    ema = Ema(model, 0.9)
    result, _, _ = run_fit(
        Given(32, 8), model=model, epochs=3, hooks={"ema": ema},
        validate=lambda m, pause: validated.append(m) or {"score": 0.0},
    )  # fmt: skip
    assert all(seen is ema.average.module for seen in validated)
    last = weights_of(result.scored)
    for name in ("0.weight", "1.weight", "1.running_mean", "1.running_var", "2.bias"):
        kept, raw = last[name], model.state_dict()[name]
        assert not torch.equal(kept, raw), name
        assert not torch.equal(kept, start[name]), name
        assert torch.equal(kept, ema.average.module.state_dict()[name]), name
    way = (last["1.running_mean"] - start["1.running_mean"]).abs().sum()
    assert 0 < way < 1.5 * (model.state_dict()["1.running_mean"] - start["1.running_mean"]).abs().sum()


def test_a_step_of_ema_follows_its_formula() -> None:
    model = torch.nn.Linear(2, 2)
    ema = Ema(model, 0.5)
    before = model.weight.detach().clone()
    with torch.no_grad():
        model.weight.add_(1.0)
    ema.after_step(Training(model, n_updates=10_000))  # long past the warm-up of the decay
    assert torch.allclose(ema.average.module.weight, before + 0.5, atol=1e-2)


def test_within_seeded_draws_depend_on_the_parts_alone_and_outside_nothing_changes() -> None:
    def draws() -> tuple[float, ...]:
        return torch.rand(1).item(), np.random.rand(), __import__("random").random()

    torch.manual_seed(7)
    np.random.seed(7)
    __import__("random").seed(7)
    untouched = draws()
    torch.manual_seed(7)
    np.random.seed(7)
    __import__("random").seed(7)
    with seeded("a", 1):
        first = draws()
    assert draws() == untouched
    with seeded("a", 1):
        assert draws() == first
    with seeded("a", 2):
        assert all(one != other for one, other in zip(draws(), first, strict=True))


def test_random_draws_in_the_loss_are_a_function_of_key_epoch_and_step() -> None:
    def noisy(drawn: list[float]) -> Any:
        def loss(model: torch.nn.Module, batch: Samples) -> Losses:
            drawn.append(torch.rand(1).item())
            return squared(model, batch)

        return loss

    def of(key: str) -> list[float]:
        drawn: list[float] = []
        run_fit(Given(24, 8), epochs=2, key=(key,), loss=noisy(drawn))
        return drawn

    assert of("a") == of("a")
    assert len(set(of("a"))) == 6
    assert set(of("a")) & set(of("b")) == set()


def test_norms_and_biases_get_no_weight_decay() -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Linear(4, 2))
    optimizer = build_optimizer(model, "adamw", lr=0.1, weight_decay=0.3)
    decay = {id(value): group["weight_decay"] for group in optimizer.param_groups for value in group["params"]}
    found = {name: decay[id(value)] for name, value in model.named_parameters()}
    assert found == {
        "0.weight": 0.3,
        "0.bias": 0.0,
        "1.weight": 0.0,
        "1.bias": 0.0,
        "2.weight": 0.3,
        "2.bias": 0.0,
    }


def test_a_device_or_precision_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"runtime\.device: cuda, but torch sees no GPU\. Set device: auto or cpu"):
        build_accelerator("cuda", "auto", 1)
    with pytest.raises(ConfigError, match=r"runtime\.precision: fp16 needs a GPU\. Set precision: auto"):
        build_accelerator("auto", "fp16", 1)
    chosen = build_accelerator("auto", "auto", 1)
    assert (chosen.device.type, chosen.mixed_precision) == ("cpu", "no")


# --- a fit that is resumed


def stateful() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.BatchNorm1d(8), torch.nn.Tanh(), torch.nn.Linear(8, 1))


@pytest.mark.parametrize(
    "optimizer", ["adamw", "sgd", "lamb", "lion", "nadamw", "adafactorbv", "lookahead_radam", "muon", "adopt", "kron"]
)
def test_a_fit_goes_on_from_any_of_its_states_with_the_same_bytes(optimizer: str, tmp_path: Path) -> None:
    """Kron draws by itself, and keeps a generator."""
    made: list[tuple[int, bytes]] = []

    def run(resume: Any = None, **settings: Any) -> dict[str, torch.Tensor]:
        model = stateful()
        hooks = {"ema": Ema(model, 0.9), "best": Best("score", greater_is_better=True)}
        with torch.compiler.set_stance("force_eager"):
            result, _, _ = run_fit(
                Given(24, 4), model, lambda model, pause: {"score": model[0].weight.sum().item()}, resume,
                optimizer=build_optimizer(model, optimizer, 0.01, 0.05), epochs=3, accumulate=2, hooks=hooks, **settings,
            )  # fmt: skip
        return {**weights_of(result.scored), **{f"best {name}": value for name, value in hooks["best"].weights.items()}}

    def keep(step: int, state: Any) -> None:
        stream = io.BytesIO()
        torch.save(state(), stream)
        made.append((step, stream.getvalue()))

    whole = run(pause=keep)
    assert [step for step, _ in made] == list(range(1, 10))
    for step, content in made[::2]:
        torch.manual_seed(step)  # the state of the process must not matter
        again = run(torch.load(io.BytesIO(content), weights_only=True))
        assert all(torch.equal(again[name], value) for name, value in whole.items()), step


def test_the_scale_of_fp16_gradients_is_part_of_the_state() -> None:
    def run(**settings: Any) -> list[Any]:
        accelerator, model, states = Accelerator(cpu=True), stateful(), []
        accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=3)
        optimizer = accelerator.prepare_optimizer(torch.optim.SGD(model.parameters(), lr=0.1))
        run_fit(
            Given(32, 4), model, optimizer=optimizer, accelerator=accelerator,
            pause=lambda step, state: states.append(copy.deepcopy(state())), **settings,
        )  # fmt: skip
        return states

    whole = run()
    assert [state["scaler"]["scale"] for state in whole] == [4.0, 4.0, 8.0, 8.0, 8.0, 16.0, 16.0, 16.0]
    assert [state["scaler"] for state in run(resume=whole[1])] == [state["scaler"] for state in whole[2:]]


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_gives_the_rate_of_any_step_without_those_before(name: str) -> None:
    def rates(steps: list[int]) -> list[float]:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
        schedule, found = build_schedule(name, optimizer, 20, 3), []
        for step in steps:
            schedule.step(step)
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
        return found

    whole = rates(list(range(20)))
    with warnings.catch_warnings(action="error"):
        for start in (0, 1, 2, 7, 19):
            assert rates(list(range(start, 20))) == whole[start:]


# --- memory


class Narrow(torch.nn.Module):
    """A network on a device that holds ``most`` samples; the statistics of its first layer are touched before it is full."""

    def __init__(self, most: int, inner: torch.nn.Module) -> None:
        super().__init__()
        self.most, self.inner, self.tries = most, inner, 0
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.tries += 1
        self.seen += len(x)
        if len(x) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return self.inner(x)


@pytest.mark.parametrize(("most", "found"), [(8, sys.maxsize), (7, 4), (4, 4), (3, 2), (1, 1)])
def test_a_batch_that_does_not_fit_is_computed_in_pieces_with_the_same_gradient(
    most: int, found: int, capsys: pytest.CaptureFixture[str]
) -> None:
    model, states = Narrow(most, network()), list[Any]()
    result, _, _ = run_fit(
        Given(32, 8), model, epochs=2, least_micro_batch=1, pause=lambda step, state: states.append(state())
    )
    whole, plain, _ = run_fit(Given(32, 8), epochs=2)
    assert distance(model.inner, plain) < 1e-6
    assert [row["train_loss"] for row in result.history] == pytest.approx([row["train_loss"] for row in whole.history])
    assert states[-1]["gradient"]["micro_batch_size"] == found
    assert int(model.seen) == 64, "what a failed try left in buffers is undone"
    size, failed = min(found, 8), [size for size in (8, 4, 2) if size > most]
    assert model.tries == 64 // size + len(failed), "the size is kept for all later steps"
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"step 0 ran out of memory; from now on at most {size // 2} images are computed at once" for size in failed
    ]


def test_without_leave_to_split_memory_ends_the_run() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        run_fit(Given(32, 8), model=Narrow(7, network()))
    with pytest.raises(torch.OutOfMemoryError):
        run_fit(Given(32, 8), model=Narrow(1, network()), least_micro_batch=2)


def test_a_window_of_several_batches_is_split_batch_by_batch() -> None:
    model = Narrow(3, network())
    run_fit(Given(22, 8), model=model, accumulate=3, least_micro_batch=1)
    assert distance(model.inner, run_fit(Given(22, 22))[1]) < 1e-6


def test_the_smaller_size_is_kept_by_a_run_that_is_resumed() -> None:
    states: list[Any] = []
    run_fit(Given(32, 8), model=Narrow(4, network()), least_micro_batch=1,
            pause=lambda step, state: states.append(copy.deepcopy(state())))  # fmt: skip
    model = Narrow(4, network())
    result, _, _ = run_fit(Given(32, 8), model=model, least_micro_batch=1, resume=states[1])
    assert (model.tries, result.resumed_at_step) == (4, [2]), "two steps of two pieces, and no try of the whole"


def test_memory_that_runs_out_late_repeats_that_step_with_its_own_draws() -> None:
    """Dropout is drawn anew for pieces, numpy's draws are those of the batch."""

    def of(most: int) -> tuple[list[float], list[float]]:
        model, torch_draws, numpy_draws = Narrow(most, network()), [], []

        def loss(network: torch.nn.Module, batch: Samples) -> Losses:
            numpy_draws.append(np.random.rand())
            torch_draws.append(torch.rand(1).item())
            if len(numpy_draws) == 3:
                model.most = min(most, 4)
            return squared(network, batch)

        run_fit(Given(32, 8), model=model, loss=loss, least_micro_batch=1)
        return numpy_draws, torch_draws

    numpy_draws, torch_draws = of(9)
    assert numpy_draws[2] == numpy_draws[3] == numpy_draws[4], "the try, and its two pieces"
    assert len(set(numpy_draws)) == 4
    assert torch_draws[2] == torch_draws[3]
    assert len(set(torch_draws)) == 4 + 2, "each piece has its own"


@pytest.mark.parametrize("n", range(1, 14))
def test_pieces_hold_each_sample_once_in_order_and_none_alone(n: int) -> None:
    batch = Given(n, n).parts[0]
    for size in range(1, n + 2):
        parts = pieces(batch, size)
        rows = [[int(id[1:]) for id in part.ids] for part in parts]
        assert [row for part in rows for row in part] == list(range(n))
        for part, own in zip(parts, rows, strict=True):
            assert torch.equal(part.x, batch.x[own])
            assert torch.equal(part.y, batch.y[own])
            if size > 1:
                assert len(own) <= (size if n % 2 == 0 else max(size, 3))
                assert len(own) > 1 or n == 1
            assert size > 1 or len(own) == 1


@pytest.mark.parametrize("task", ["classification", "segmentation", "detection"])
def test_batches_of_every_task_can_be_split(task: str, tiny_of: dict[str, Tiny]) -> None:
    from goldfold.cache.images import CachedImages
    from goldfold.samples.dataset import sample

    tiny = tiny_of[task]
    chosen, images = whole(tiny.task, tiny.classes), CachedImages(tiny.caches())
    rows = pd.read_csv(tiny.fold_file(), dtype=str, keep_default_na=False).head(6)
    targets = chosen.targets(rows, images, "squash")
    samples = [sample(images, id, target) for id, target in zip(rows["id"], targets, strict=True)]
    parts = pieces(chosen.collate(samples), 2)
    assert [part.ids for part in parts] == [rows["id"][row : row + 2].tolist() for row in (0, 2, 4)]
    for part in parts:
        same = chosen.collate([next(sample for sample in samples if sample["id"] == id) for id in part.ids])
        for name, value in vars(same).items():
            assert str(getattr(part, name)) == str(value), name


# --- the training stage

RANDOM = {
    "mixup_alpha": 0.4, "cutmix_alpha": 1.0, "mix": ["mosaic"], "sampler": "weighted", "augment": "medium", "flips": "both",
    "ema_decay": 0.9,
}  # fmt: skip


def digests(folder: Path) -> tuple[str, str]:
    return sha256_of(folder / "model.safetensors"), sha256_of(folder / "history.csv")


@pytest.fixture(scope="module")
def trained(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A run with everything random on: sampler, augmentation, flips, mixing, dropout."""
    folder = tmp_path_factory.mktemp("trained")
    return folder, tiny.train(folder, model=tiny.model(RANDOM, dropout=0.3))


@pytest.mark.parametrize("workers", [0, 2])
def test_two_runs_are_byte_identical_whatever_the_number_of_workers(
    workers: int, tiny: Tiny, tmp_path: Path, trained: tuple[Path, dict[str, Any]]
) -> None:
    torch.manual_seed(workers + 5)  # the state of the process must not matter
    tiny.train(tmp_path, model=tiny.model(RANDOM, dropout=0.3), runtime={**RUNTIME, "loader_workers": workers})
    assert digests(tmp_path) == digests(trained[0])


@pytest.mark.parametrize("task", ["classification", "segmentation", "detection"])
def test_fresh_tensors_are_not_filled_and_no_byte_depends_on_it(
    task: str, tiny_of: dict[str, Tiny], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = {"epochs": 1, "warmup_epochs": 0}
    tiny_of[task].train(tmp_path / "plain", model=tiny_of[task].model(one))
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.utils.deterministic.fill_uninitialized_memory is False

    def filling(threads: int) -> None:
        seeding.deterministic(threads)
        torch.utils.deterministic.fill_uninitialized_memory = True

    monkeypatch.setattr(device, "deterministic", filling)
    tiny_of[task].train(tmp_path / "filled", model=tiny_of[task].model(one))
    assert torch.utils.deterministic.fill_uninitialized_memory is True, "as torch has it"
    assert torch.isnan(torch.empty(3)).all()
    assert digests(tmp_path / "plain") == digests(tmp_path / "filled")


@pytest.mark.parametrize("place", [{"seed": 1}, {"round": 1}])
def test_another_seed_or_round_gives_other_weights(
    place: dict[str, int], tiny: Tiny, tmp_path: Path, trained: tuple[Path, dict[str, Any]]
) -> None:
    tiny.train(tmp_path, model=tiny.model(RANDOM, dropout=0.3), place={**PLACE, **place})
    assert digests(tmp_path)[0] != digests(trained[0])[0]


def test_the_facts_say_what_the_run_was(trained: tuple[Path, dict[str, Any]]) -> None:
    folder, facts = trained
    assert facts["member"] == {"model": "net", **PLACE}
    assert (facts["n_train"], facts["n_val"], facts["n_pseudo"]) == (20, 20, 0)
    assert (facts["device"], facts["precision"], facts["gpus"]) == ("cpu", "no", 1)
    assert (facts["micro_batch_size"], facts["resumed_at_step"]) == (8, [])
    assert facts["parameters"] > 100
    json.dumps(facts)
    history = pd.read_csv(folder / "history.csv")
    assert list(history.columns) == ["epoch", "train_loss", "lr", "val_loss", "accuracy"]
    assert list(history["epoch"]) == [0, 1]
    assert facts["final"] == pytest.approx(history.iloc[-1].to_dict())
    files = {"model.safetensors", "best.safetensors", "history.csv"}
    assert {path.name for path in folder.iterdir()} == files, "no state is left behind"


def test_the_network_learns_what_is_easy(tiny: Tiny, tmp_path: Path) -> None:
    record = tiny.train(tmp_path, model=tiny.model({"epochs": 12, "lr": 0.02, "augment": "none"}))
    assert record["final"]["accuracy"] >= 0.9


def test_last_and_best_checkpoints_lie_side_by_side_under_the_name_of_the_other(tiny: Tiny, tmp_path: Path) -> None:
    records, files = {}, {}
    for checkpoint in ("last", "best"):
        folder = tmp_path / checkpoint
        records[checkpoint] = tiny.train(folder, model=tiny.model({"checkpoint": checkpoint, "epochs": 4}))
        files[checkpoint] = {path.name: sha256_of(path) for path in folder.glob("*.safetensors")}
    assert set(files["last"]) == {"model.safetensors", "best.safetensors"}
    assert set(files["best"]) == {"model.safetensors", "last.safetensors"}
    assert files["last"]["model.safetensors"] == files["best"]["last.safetensors"]
    assert files["best"]["model.safetensors"] == files["last"]["best.safetensors"]
    history = pd.read_csv(tmp_path / "last/history.csv")
    assert records["last"]["best_epoch"] == history["accuracy"].idxmax()


def test_a_run_may_look_at_its_validation_fold_now_and_then(tiny: Tiny, tmp_path: Path) -> None:
    made = {}
    for every in (1, 3):
        folder = tmp_path / str(every)
        tiny.train(folder, model=tiny.model({"epochs": 4, "validate_every": every}))
        made[every] = sha256_of(folder / "model.safetensors"), pd.read_csv(folder / "history.csv")
    assert made[1][0] == made[3][0], "looking changes nothing"
    assert list(made[3][1]["accuracy"].isna()) == [True, True, False, False]
    assert list(made[3][1]["accuracy"][2:]) == list(made[1][1]["accuracy"][2:])


def test_a_metric_that_cannot_be_had_on_a_fold_does_not_end_the_run(tiny: Tiny, tmp_path: Path) -> None:
    """A validation fold of one class (predefined folds may be so) has no ROC curve."""
    table = pd.read_csv(tiny.fold_file(), dtype=str)
    table = table[(table["split"] == "train") | (table["label"] == "cat")]
    table.to_csv(tmp_path / "fold0.csv", index=False)
    for checkpoint in ("last", "best"):
        folder, model = tmp_path / checkpoint, tiny.model({"checkpoint": checkpoint})
        record = tiny.train(folder, fold_file=str(tmp_path / "fold0.csv"), metric="roc_auc", model=model)
        assert "roc_auc" not in record["final"], "JSON has no NaN"
        assert len(load_file(folder / "model.safetensors")) > 10


def test_pseudo_labelled_images_are_learnt_from_with_their_weight(tiny: Tiny, tmp_path: Path) -> None:
    pseudo = tmp_path / "pseudo.csv"
    pseudo.write_text(
        "id,label,confidence,source\n" + "".join(f"te{n:02d},{tiny.classes[n % 2]},0.99,test\n" for n in range(12))
    )
    shared = {"caches": tiny.caches("train", "test"), "place": {**PLACE, "round": 1}}
    made = {}
    for weight in (1.0, 0.25):
        folder = tmp_path / str(weight)
        record = tiny.train(folder, pseudo=str(pseudo), pseudo_weight=weight, **shared)
        assert (record["n_train"], record["n_pseudo"]) == (32, 12)
        made[weight] = digests(folder)[0]
    assert made[1.0] != made[0.25]
    assert tiny.train(tmp_path / "without", **shared)["n_pseudo"] == 0
    assert digests(tmp_path / "without")[0] not in made.values()


def test_the_weight_of_an_image_scales_its_share_of_the_loss() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(Flat(), torch.nn.Linear(12, 2))
    images, labels = torch.randint(0, 256, (4, 3, 2, 2), dtype=torch.uint8), torch.tensor([0, 1, 0, 1])

    def mean(weights: list[float], **settings: float) -> float:
        batch = Batch(list("abcd"), Inputs.of(images), labels, torch.tensor(weights))
        return classification(["a", "b"]).loss(**settings)(model, batch).total.item()

    each = torch.nn.functional.cross_entropy(model(Inputs.of(images)), labels, reduction="none")
    assert mean([1, 1, 1, 1]) == pytest.approx(each.mean().item(), rel=1e-5)
    assert mean([1, 0.5, 0, 1]) == pytest.approx((each * torch.tensor([1, 0.5, 0, 1])).mean().item(), rel=1e-5)
    smoothed = torch.nn.functional.cross_entropy(model(Inputs.of(images)), labels, label_smoothing=0.1)
    assert mean([1, 1, 1, 1], label_smoothing=0.1) == pytest.approx(smoothed.item(), rel=1e-5)


def test_networks_and_their_images_are_channels_last() -> None:
    seen: list[torch.Tensor] = []
    conv = torch.nn.Conv2d(3, 4, 3)
    conv.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    Normalised(conv, 3)(Inputs.of(torch.zeros(2, 3, 8, 8, dtype=torch.uint8)))
    assert all(one.is_contiguous(memory_format=torch.channels_last) for one in (conv.weight, seen[0]))
    assert not seen[0].is_contiguous()


# --- the training stage, short of memory


def hold(most: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Make the device hold ``most`` images in training; sizes of the batches that were tried."""

    from goldfold.tasks.classification.learn import Learn

    original, sizes = Learn.loss, list[int]()

    def loss(self: Any, **settings: Any) -> Any:
        mean = original(self, **settings)

        def limited(model: torch.nn.Module, batch: Any) -> Losses:
            if not model.training:
                return mean(model, batch)
            sizes.append(len(batch.ids))
            if len(batch.ids) > most:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
            return mean(model, batch)

        return limited

    monkeypatch.setattr(Learn, "loss", loss)
    return sizes


VIT = {"network": "timm", "backbone": "test_vit", "params": {"patch_size": 4}}
"""A network without batch norm."""


def test_out_of_memory_names_what_to_change(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hold(4, monkeypatch)
    with pytest.raises(TrainingError) as error:
        tiny.train(tmp_path, model=tiny.model())
    assert str(error.value) == (
        "models (net): out of memory on cpu with train.batch_size 8 and images of 12 x 12 pixels. Set train.batch_size: 4 "
        "with train.accumulate: 2, or train.on_oom: shrink, or a smaller image_size_px or network."
    )


def test_out_of_memory_with_sam_does_not_advise_what_is_refused_with_it(tiny: Tiny) -> None:
    spec = read(tiny.model({"update": "sam"}), "squash", 3, PLACE)
    with pytest.raises(TrainingError) as error, readable_errors(spec, Accelerator(cpu=True)):
        raise torch.OutOfMemoryError
    assert "shrink" not in str(error.value)


def test_a_batch_of_one_image_without_statistics_is_explained(tiny: Tiny) -> None:
    norm = torch.nn.BatchNorm2d(3)
    with (
        pytest.raises(
            TrainingError, match=r"models \(net\): batch normalisation needs.*12 x 12 pixels.*, gpus: 1 or anoth"
        ),
        readable_errors(read({**tiny.model(), "gpus": 2}, "squash", 3, PLACE), build_accelerator("cpu", "fp32", 1)),
    ):
        norm(torch.zeros(1, 3, 1, 1))


def test_shrink_trains_on_with_smaller_pieces(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"on_oom": "shrink", "mixup_alpha": 0.4, "cutmix_alpha": 1.0, "augment": "medium", "optimizer": "sgd"}
    facts = tiny.train(tmp_path / "whole", model=tiny.model(settings, **VIT))
    assert facts["micro_batch_size"] == 8
    sizes = hold(4, monkeypatch)
    split = tiny.train(tmp_path / "split", model=tiny.model(settings, **VIT))
    assert split["micro_batch_size"] == 4
    assert sizes == [8, *[4] * 8]
    assert capsys.readouterr().out.count("step 0 ran out of memory; from now on at most 4 images") == 1
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "split"))
    assert all(torch.allclose(one[name], other[name], atol=1e-4) for name in one)
    assert split["final"]["train_loss"] == pytest.approx(facts["final"]["train_loss"], rel=1e-4)


@pytest.mark.parametrize(("network", "least"), [({}, 2), (VIT, 1)])
def test_the_smallest_piece_is_one_image_or_two_where_one_has_no_statistics(
    network: dict[str, Any], least: int, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = hold(0, monkeypatch)
    with pytest.raises(TrainingError) as error:
        tiny.train(tmp_path, model=tiny.model({"on_oom": "shrink", "mixup_alpha": 0.4}, **network))
    assert sizes == [8, 4, 2, 1][: 3 + (least == 1)]
    assert "12 x 12 pixels, even in the smallest pieces. Set a smaller image_size_px or network." in str(error.value)


def test_memory_that_runs_out_in_the_optimizer_is_told_and_not_tried_again(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def step(self: Any, closure: Any = None) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    with pytest.raises(TrainingError, match=r"models \(net\): out of memory on cpu"):
        tiny.train(tmp_path, model=tiny.model({"on_oom": "shrink"}))


def test_validation_that_does_not_fit_is_done_with_fewer_images_at_once(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:

    expected = tiny.train(tmp_path / "whole")["final"]
    from goldfold.tasks.classification.infer import Infer

    original = Infer.predict

    def predict(self: Any, model: torch.nn.Module, images: torch.Tensor, views: Any) -> Any:
        if len(images) > 16:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return original(self, model, images, views)

    monkeypatch.setattr(Infer, "predict", predict)
    assert tiny.train(tmp_path / "split")["final"] == pytest.approx(expected)
    told = [line for line in capsys.readouterr().out.splitlines() if "ran out of memory" in line]
    assert told == [
        "validation ran out of memory; from now on at most 32 images are computed at once",
        "validation ran out of memory; from now on at most 16 images are computed at once",
    ]


# --- pretrained weights


def test_a_run_starts_from_its_local_weights(
    tiny: Tiny, tmp_path: Path, trained: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    frozen = {"epochs": 1, "warmup_epochs": 0, "lr": 1e-12, "weight_decay": 0, "optimizer": "sgd", "augment": "none"}
    weights = trained[0] / "model.safetensors"
    tiny.train(tmp_path, model=tiny.model(frozen, pretrained=str(weights)))
    assert f"loaded {weights}; new: nothing" in capsys.readouterr().out
    made, given = load_file(tmp_path / "model.safetensors"), load_file(weights)
    name = "network.stem.0.weight"
    assert torch.allclose(made[name], given[name], atol=1e-6)
    other = tiny.train(tmp_path / "scratch", model=tiny.model(frozen))
    assert other["parameters"] > 100
    assert not torch.allclose(load_file(tmp_path / "scratch/model.safetensors")[name], given[name], atol=1e-2)


def test_published_weights_that_are_not_to_be_had_give_one_error_with_both_ways_out(tmp_path: Path) -> None:
    code = (
        "from goldfold import models\n"
        "from goldfold.base.errors import ConfigError\n"
        "try:\n"
        "    models.build('timm', backbone='resnet10t', n_classes=2, in_channels=3, image_size=(32, 32), pretrained=True)\n"
        "except ConfigError as error:\n"
        "    print('ERROR', error)\n"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "TORCH_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment)
    lines = [line for line in done.stdout.splitlines() if line.startswith("ERROR")]
    assert len(lines) == 1, done.stdout + done.stderr
    for words in (
        "pretrained: true, but the weights of 'resnet10t' are neither in the local cache nor can they be downloaded",
        "run once with internet access",
        "HF_HOME",
        "pretrained: path/to/weights",
    ):
        assert words in lines[0]
    assert "Traceback" not in done.stderr


def entry(name: str, **changes: Any) -> dict[str, Any]:
    model = {"name": name, "network": "timm", "backbone": "test_resnet", "params": {}, "dropout": 0.0, "drop_path": 0.0}
    return {**model, "pretrained": False, "size": [32, 32], "channels": 3, "batch_norm": "trained", **changes}


def test_preflight_tells_each_network_whose_weights_cannot_be_had(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from goldfold.commands import preflight

    def fetch(backbone: str) -> None:
        if backbone != "resnet10t":
            raise OSError("no network")

    monkeypatch.setattr(preflight, "fetch", fetch)
    good = entry("good", backbone="resnet10t", pretrained=True)
    assert preflight.main([good, entry("scratch")]) == 0
    assert capsys.readouterr().err == ""
    assert preflight.main([entry("bad", pretrained=True), good, entry("worse", pretrained=True)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("(")[1].split(")")[0] for line in lines] == ["bad", "worse"]
    assert all("no network" in line for line in lines)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"params": {"no_such": 1}}, "no_such"),
        ({"params": {"n_classes": 3}}, "n_classes"),
        ({"backbone": "resnet18.a9_in1k"}, "a9_in1k"),
        ({"network": "small_resnet", "backbone": None, "params": {"widths": []}}, "widths"),
        ({"network": "small_resnet", "backbone": None, "params": {"widths": [4] * 9}}, "at least 256 pixels"),
        ({"network": "no.such.module:build", "backbone": None}, "no.such.module:build"),
    ],
    ids=["unknown parameter", "parameter of our own", "unknown tag", "no stage", "too deep", "own network"],
)
def test_preflight_finds_a_network_that_cannot_be_built(
    changes: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from goldfold.commands import preflight

    assert preflight.main([entry("odd", **changes)]) == 1
    message = capsys.readouterr().err
    assert message.startswith("goldfold: models (odd): ")
    assert said in message
    assert "Traceback" not in message
