"""Hooks, update rules, parts of losses and the loss of validation images."""

import copy
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from accelerate import Accelerator
from pydantic import ValidationError

from conftest import PLACE, Tiny
from goldfold import components
from goldfold.base.errors import ConfigError, TrainingError
from goldfold.cache.images import CachedImages
from goldfold.cases import Inputs
from goldfold.config import chosen, kinds, parse, slices
from goldfold.config.learning import Train
from goldfold.engine.hooks import Hook
from goldfold.engine.hooks.clip import Clip
from goldfold.engine.hooks.ema import Ema
from goldfold.engine.state import Training
from goldfold.losses import Losses, summed
from goldfold.training.learner import hooks_of, loss_of, network_of
from goldfold.training.spec import Spec, read
from goldfold.training.spec import Train as Typed
from goldfold.training.validation import CachedOutput, Validation
from test_engine import Given, Samples, distance, network, run_fit, squared
from whole_task import whole

# --- hooks


class Diary(Hook):
    """Notes what it is called for; the notes are its state."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def before_epoch(self, training: Training) -> None:
        self.notes.append(f"epoch {len(training.history)}")

    def before_step(self, training: Training) -> None:
        self.notes.append(f"gradient {training.step}")

    def after_step(self, training: Training) -> None:
        self.notes.append(f"step {training.step}")

    def after_epoch(self, training: Training, scores: Mapping[str, float]) -> None:
        self.notes.append(f"row {len(training.history)} {dict(scores)}")

    def state_dict(self) -> dict[str, Any]:
        return {"notes": list(self.notes)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.notes = state_dict["notes"]


WHOLE = [
    "epoch 0", "gradient 0", "step 1", "gradient 1", "step 2", "row 1 {}",
    "epoch 1", "gradient 2", "step 3", "gradient 3", "step 4", "row 2 {'score': 0.0}",
]  # fmt: skip


def test_a_hook_is_called_around_each_step_and_epoch() -> None:
    diary = Diary()
    run_fit(Given(16, 8), epochs=2, validate_every=2, hooks={"diary": diary})
    assert diary.notes == WHOLE


def test_the_state_of_a_hook_is_saved_with_the_rest_and_its_epoch_begins_again() -> None:
    states: list[Any] = []
    run_fit(Given(16, 8), epochs=2, validate_every=2, hooks={"diary": Diary()},
            pause=lambda step, state: states.append(copy.deepcopy(state())))  # fmt: skip
    diary = Diary()
    run_fit(Given(16, 8), epochs=2, validate_every=2, hooks={"diary": diary}, resume=states[2])
    assert diary.notes == [*WHOLE[:9], "epoch 1", *WHOLE[9:]]


def test_a_hook_that_does_nothing_needs_no_line() -> None:
    _, with_hook, _ = run_fit(Given(16, 8), hooks={"none": Hook()})
    assert distance(with_hook, run_fit(Given(16, 8))[1]) == 0


# --- update rules


def sharpness_aware(network: Any, gradient: Callable[[], Any], step: Callable[[], None], rho: float = 0.5) -> Any:
    """SAM (Foret et al. 2021) in a few lines: the gradient of the worst point nearby moves the weights."""
    losses = gradient()
    gradients = [parameter.grad.clone() for parameter in network.parameters()]
    norm = torch.stack([one.norm() for one in gradients]).norm()
    climbs = [rho * one / norm for one in gradients]
    with torch.no_grad():
        for parameter, climb in zip(network.parameters(), climbs, strict=True):
            parameter.add_(climb)
    gradient()
    with torch.no_grad():
        for parameter, climb in zip(network.parameters(), climbs, strict=True):
            parameter.sub_(climb)
    step()
    return losses


def test_a_rule_of_two_gradients_a_step_fits() -> None:
    batches, start = Given(8, 8), network()
    result, moved, _ = run_fit(batches, update=sharpness_aware)
    loss = squared(start, batches.parts[0]).total
    first = torch.autograd.grad(loss, list(start.parameters()))
    norm = torch.cat([one.flatten() for one in first]).norm()
    nearby = copy.deepcopy(start)
    with torch.no_grad():
        for parameter, one in zip(nearby.parameters(), first, strict=True):
            parameter += 0.5 * one / norm
    second = torch.autograd.grad(squared(nearby, batches.parts[0]).total, list(nearby.parameters()))
    for before, after, one in zip(start.parameters(), moved.parameters(), second, strict=True):
        assert torch.allclose(after, before - 0.1 * one, atol=1e-6)
    assert result.history[0]["train_loss"] == pytest.approx(loss.item()), "of the weights before the step"
    assert distance(moved, run_fit(batches)[1]) > 1e-3


def test_both_gradients_of_a_step_draw_the_same_and_only_the_last_is_clipped() -> None:
    drawn: list[tuple[float, float]] = []

    def noisy(model: Any, batch: Samples) -> Losses:
        drawn.append((torch.rand(1).item(), np.random.rand()))
        return squared(model, batch)

    start, model = network(), network()
    run_fit(Given(16, 8), model, loss=noisy, update=sharpness_aware, hooks={"clip": Clip(model, 0.01)})
    assert drawn[0] == drawn[1] != drawn[2] == drawn[3]
    norm = sum((one - other).square().sum() for one, other in zip(model.parameters(), start.parameters(), strict=True))
    assert 0.1 * 0.01 < norm.sqrt().item() <= 2 * 0.1 * 0.01 * 1.001, "two clipped steps"


# --- fp16


def scaled(model: torch.nn.Module, scale: float = 4.0) -> dict[str, Any]:
    """Accelerator with the scaler of fp16 on the CPU, and an optimizer that it prepared."""
    accelerator = Accelerator(cpu=True)
    accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    return {
        "accelerator": accelerator,
        "optimizer": accelerator.prepare_optimizer(torch.optim.SGD(model.parameters(), lr=0.1)),
    }


def test_a_step_that_the_scaler_skips_moves_neither_schedule_nor_ema() -> None:
    model, steps, averages = network(), list[int](), list[torch.Tensor]()
    model[0].weight.register_hook(lambda grad: grad * float("inf") if len(steps) == 1 else grad)
    ema, diary = Ema(model, 0.9), Diary()

    def pause(step: int, state: Any) -> None:
        steps.append(step)
        averages.append(ema.average.module[0].weight.clone())

    result, _, schedule = run_fit(Given(32, 8), model, **scaled(model), pause=pause, hooks={"ema": ema, "diary": diary})
    assert steps == [1, 2, 3, 4]
    assert schedule.asked == [0, 1, 1, 2]
    assert (result.step, result.n_updates) == (4, 3)
    assert [note for note in diary.notes if note.startswith("step")] == ["step 1", "step 3", "step 4"]
    assert torch.equal(averages[0], averages[1])
    assert not torch.equal(averages[1], averages[2])
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())


def test_the_gradient_is_unscaled_before_it_is_clipped() -> None:
    start, model = network(), network()
    run_fit(Given(8, 8), model, **scaled(model, 2.0**10), hooks={"clip": Clip(model, 0.5)})
    norm = sum((one - other).square().sum() for one, other in zip(model.parameters(), start.parameters(), strict=True))
    assert norm.sqrt().item() == pytest.approx(0.1 * 0.5, rel=1e-3)


def test_a_second_gradient_in_a_step_is_refused_under_fp16() -> None:
    model = network()
    with pytest.raises(TrainingError, match=r"computes the gradient twice.*Set runtime\.precision: bf16"):
        run_fit(Given(8, 8), model, **scaled(model), update=sharpness_aware)


# --- parts of a loss


def halves(model: Any, batch: Samples) -> Losses:
    total = squared(model, batch).total
    return Losses(total, {"a": total.detach() * 0.25, "b": total.detach() * 0.75})


def test_parts_of_a_loss_are_in_the_history_and_add_up_over_pieces_and_windows() -> None:
    whole = run_fit(Given(16, 16), loss=halves)[0].history[0]
    split = run_fit(Given(16, 8), loss=halves, accumulate=2)[0].history[0]
    assert list(whole) == ["epoch", "train_loss", "train_loss_a", "train_loss_b", "lr", "score"]
    for row in (whole, split):
        assert row["train_loss_a"] == pytest.approx(0.25 * whole["train_loss"], rel=1e-6)
        assert row["train_loss_b"] == pytest.approx(0.75 * whole["train_loss"], rel=1e-6)


def test_parts_that_change_from_batch_to_batch_are_an_error() -> None:
    def changing(model: Any, batch: Samples) -> Losses:
        return halves(model, batch) if batch.ids[0] == "i0" else squared(model, batch)

    with pytest.raises(
        TrainingError, match="parts of the loss were train_loss_a, train_loss_b, but are none for another"
    ):
        run_fit(Given(16, 8), loss=changing)


def test_a_loss_that_is_a_tensor_alone_is_an_error() -> None:
    with pytest.raises(TrainingError, match=r"loss returns a tensor; return goldfold\.losses\.Losses\(total="):
        run_fit(Given(16, 8), loss=lambda model, batch: squared(model, batch).total)


def test_losses_of_groups_are_added_with_their_parts() -> None:
    one = Losses(torch.tensor(3.0), {"a": torch.tensor(1.0), "b": torch.tensor(2.0)})
    made = summed([one, one.map(lambda value: 10 * value)])
    assert (made.total.item(), made.parts["a"].item(), made.parts["b"].item()) == (33.0, 11.0, 22.0)


@pytest.mark.parametrize(
    ("task", "loss", "columns"),
    [
        ("classification", {"cross_entropy": 0.5, "focal": {"gamma": 3}}, ["cross_entropy", "focal(gamma=3)"]),
        ("segmentation", {"dice": 0.5, "ce": 0.5}, ["dice", "ce"]),
        ("detection", None, ["classification", "bbox_regression", "bbox_ctrness"]),
    ],
)
def test_the_history_of_a_run_names_the_parts_of_its_loss(
    task: str, loss: Any, columns: list[str], tiny_of: dict[str, Tiny], tmp_path: Path
) -> None:
    tiny = tiny_of[task]
    tiny.train(tmp_path, model=tiny.model({"epochs": 1, "warmup_epochs": 0, "loss": loss}))
    history = pd.read_csv(tmp_path / "history.csv")
    names = [f"train_loss_{name}" for name in columns]
    assert list(history) == [
        "epoch", "train_loss", *names, "lr", *["val_loss"] * (task != "detection"), tiny.metric,
    ]  # fmt: skip
    assert history[names].sum(axis=1).tolist() == pytest.approx(history["train_loss"].tolist(), rel=1e-5)


# --- loss of the validation images


def validation_of(tiny: Tiny, train: dict[str, Any]) -> tuple[Validation, torch.nn.Module, Spec]:
    """Validation of the first fold, and a network with its first weights."""
    spec, task = read(tiny.model(train), "squash", 3, PLACE), whole(tiny.task, tiny.classes)
    table = pd.read_csv(tiny.fold_file(), dtype=str, keep_default_na=False)
    rows = table[table["split"] == "val"].reset_index(drop=True)
    loss, metrics = loss_of(spec, task), [task.metric(tiny.metric)]
    images = CachedImages(tiny.caches())
    return (
        Validation(spec, task, task, task, task, rows, images, metrics, loss, Accelerator(cpu=True)),
        network_of(spec, task),
        spec,
    )


@pytest.mark.parametrize("name", ["classification", "multilabel", "regression", "segmentation"])
def test_the_validation_loss_is_the_training_loss_of_images_as_they_are(name: str, tiny_of: dict[str, Tiny]) -> None:
    tiny = tiny_of[name]
    mixing = {"mixup_alpha": 1.0, "label_smoothing": 0.1} if name == "classification" else {}
    validation, model, spec = validation_of(tiny, {"batch_size": 4, **mixing})
    passes: list[int] = []
    model.register_forward_hook(lambda module, given, output: passes.append(len(given[0])))
    before = copy.deepcopy(model.state_dict())
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    scores = validation(model.train(), lambda: None)
    assert passes == [len(validation.rows)], "one pass for predictions and loss"
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items()), "batch norm among them"
    assert random.getstate() == states[0]
    assert np.random.get_state()[1].tolist() == states[1]
    assert torch.equal(torch.get_rng_state(), states[2])
    n, plain = (
        len(validation.rows),
        loss_of(replace(spec, train=replace(spec.train, mixup_alpha=0.0)), validation.learn),
    )
    batches = [validation.batch(start, min(start + 4, n)) for start in range(0, n, 4)]
    with torch.no_grad():
        expected = [plain(model.eval(), batch).total.item() * len(batch.ids) for batch in batches]
    assert list(scores) == ["val_loss", tiny.metric]
    assert scores["val_loss"] == pytest.approx(sum(expected) / n, rel=1e-5)


def test_a_detector_has_no_validation_loss(tiny_boxes: Tiny) -> None:
    """Its own losses need training mode, in which batch norm would learn from the validation images."""
    validation, model, _ = validation_of(tiny_boxes, {})
    assert list(validation(model, lambda: None)) == [tiny_boxes.metric]


def test_a_network_is_asked_again_for_other_images_or_outputs_that_are_no_tensor() -> None:
    class Network(torch.nn.Module):
        asked, size = 0, 3

        def forward(self, inputs: Inputs) -> Any:
            self.asked += 1
            return inputs.images.float().sum(dim=(1, 2)) if inputs.images.shape[2] == 2 else {"a": inputs}

    for channels, expected in ((2, 2), (3, 3)):
        inner = Network()
        network, images = CachedOutput(inner), torch.arange(4 * channels, dtype=torch.uint8).reshape(4, channels)
        first = network(Inputs.of(images))
        network.rows = slice(1, 3)
        again, other = network(Inputs.of(images[1:3].float())), network(Inputs.of(images[:2]))
        if channels == 2:
            assert torch.equal(again, first[1:3])
            assert torch.equal(other, images[:2].float().sum(dim=1))
        assert (inner.asked, network.size, network.training) == (expected, 3, False)


# --- from a config


def config(**train: Any) -> Any:
    model = {"name": "a", "network": "small_resnet", "image_size_px": 8}
    return parse(
        {"name": "t", "task": "classification", "data": {"source": "digits"}, "models": [model], "train": train}
    )


OWN = """
from goldfold.engine.hooks import Hook

class Halve(Hook):
    def __init__(self, network, factor=0.5):
        self.network, self.factor = network, factor

    def before_step(self, training):
        for parameter in self.network.parameters():
            parameter.grad *= self.factor

def twice(network, gradient, step, rho=1.0):
    gradient()
    losses = gradient()
    step()
    return losses
"""


@pytest.fixture
def own(in_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module ``own_hooks`` of the user's."""
    (in_tmp / "own_hooks.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(in_tmp))


def test_short_keys_stand_for_hooks_and_a_run_depends_on_those_it_has() -> None:
    short = config(clip_norm=1.0, ema_decay=0.9)
    long = config(hooks=[{"clip": {"norm": 1.0}}, {"ema": {"decay": 0.9}}])
    assert slices.learning(short, "a") == slices.learning(long, "a")
    settings = slices.learning(short, "a")["train"]
    assert settings["hooks"] == [{"clip": {"norm": 1.0}}, {"ema": {"decay": 0.9}}]
    needed = {one.name for one in fields(Typed) if one.default is MISSING}
    assert needed <= set(settings) <= set(Typed.__annotations__)
    made = hooks_of(settings["hooks"], network())
    assert [(name, type(hook)) for name, hook in made.items()] == [("clip", Clip), ("ema", Ema)]
    hooks = {"goldfold.engine.hooks.clip:Clip", "goldfold.engine.hooks.ema:Ema"}
    assert hooks <= set(chosen.places(short, "train", "a"))
    assert not hooks & set(chosen.places(config(), "train", "a"))


def test_a_hook_and_an_update_rule_of_one_s_own_are_named_in_the_config(own: None) -> None:
    made = config(hooks=[{"own_hooks:Halve": {"factor": 0.1}}], update={"own_hooks:twice": {"rho": 2}})
    assert {"own_hooks:Halve", "own_hooks:twice"} <= set(chosen.places(made, "train", "a"))
    settings, model = slices.learning(made, "a")["train"], network()
    hooks = hooks_of(settings["hooks"], model)
    rule = components.load(settings["update"], {}, "update rule")
    _, moved, _ = run_fit(Given(8, 8), model, hooks=hooks, update=rule)
    whole, start = run_fit(Given(8, 8))[1], network()
    assert distance(moved, start) == pytest.approx(0.1 * distance(whole, start), rel=1e-4)


@pytest.mark.parametrize(
    ("train", "said"),
    [
        ({"hooks": ["emma"]}, "train.hooks = 'emma': nearest is 'ema'; allowed: clip, ema, package.module:function"),
        ({"hooks": [{"ema": {"dekay": 0.9}}]}, "ema does not take 'dekay'; nearest is 'decay'; its parameters: decay"),
        ({"hooks": ["clip"]}, "clip needs 'norm'; write {clip: {norm: ...}}"),
        (
            {"hooks": [{"ema": {"decay": 0.9}}], "ema_decay": 0.99},
            "'ema' is listed twice; ema_decay is its short form. Keep one",
        ),
        ({"update": "plane"}, "train.update = 'plane': nearest is 'plain'; allowed: plain, package.module:function"),
        (
            {"update": "own_hooks:Halve"},
            "takes 2 arguments, but an update rule is called with (network, gradient, step)",
        ),
    ],
)
def test_hooks_and_rules_that_do_not_fit_are_refused(train: dict[str, Any], said: str, own: None) -> None:
    with pytest.raises(ConfigError) as error:
        config(**train)
    assert said in str(error.value)


def test_short_keys_keep_their_bounds() -> None:
    for key, value in (("ema_decay", 1.0), ("clip_norm", 0.0)):
        with pytest.raises(ValidationError):
            Train(**{key: value})
    for hook, text in (
        (lambda: Ema(network(), 1.0), "decay = 1: must lie"),
        (lambda: Clip(network(), 0), "norm = 0: must"),
    ):
        with pytest.raises(ConfigError, match=text):
            hook()


def test_kinds_name_what_goldfold_hands_over() -> None:
    assert (kinds.HOOK.given, kinds.UPDATE.given) == (("network",), ("network", "gradient", "step"))


def test_the_hook_and_the_rule_of_the_docs_run(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (repo / "docs/extending.md").read_text().partition("# Hooks and update rules")[2]
    python, settings = re.findall(r"```(?:python|yaml)\n(.*?)```", page, re.DOTALL)[:2]
    (tmp_path / "steps.py").write_text(python)
    monkeypatch.syspath_prepend(str(tmp_path))
    settings = settings.replace("network.stem", '"0"')
    made, model = slices.learning(config(**yaml.safe_load(settings)["train"]), "a")["train"], network()
    rule, hooks = components.load(made["update"], {}, "update rule"), hooks_of(made["hooks"], model)
    _, moved, _ = run_fit(Given(8, 8), model, update=rule, hooks=hooks)
    change = [
        (one - other).norm().item() for one, other in zip(moved.parameters(), network().parameters(), strict=True)
    ]
    assert change[:2] == [0, 0], "the first layer is frozen in the first epoch"
    assert np.linalg.norm(change) == pytest.approx(0.1 * 0.5, rel=1e-4)
