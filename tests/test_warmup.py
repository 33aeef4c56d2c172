"""Warm-up of momentum and of the rate of biases."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from torch import nn

from goldfold.base.errors import ConfigError
from goldfold.config import parse, slices
from goldfold.engine.hooks.warmup import Warmup
from goldfold.engine.state import base_lr
from goldfold.optim import build_optimizer, build_schedule

LR, STEPS, WARM = 0.01, 40, 10


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


def trajectory(optimizer: str, scale: float = 1.0, **settings: float) -> list[dict[str, Any]]:
    """Rate of biases, of the others and momentum of each step."""
    model = network()
    scales = {} if scale == 1 else {"lr_scale": {"backbone": scale, "head": scale}}
    if scales:
        model.get_classifier = lambda: model[-1]  # type: ignore[assignment]
    built = build_optimizer(model, optimizer, LR, 0.05, biases="bias_lr" in settings, **scales)  # type: ignore[arg-type]
    schedule = build_schedule({"cosine": {"warmup_start": 0.0}}, built, STEPS, WARM)
    hook, rows = Warmup(built, WARM, LR, **settings), []
    biases = {id(value) for name, value in model.named_parameters() if name.endswith("bias")}
    for update in range(STEPS):
        schedule.step(update)
        hook.before_step(SimpleNamespace(n_updates=update))  # type: ignore[arg-type]
        rates: dict[bool, set[float]] = {False: set(), True: set()}
        for group in built.param_groups:
            for value in group["params"]:
                rates[id(value) in biases].add(group["lr"])
        (group, *others) = built.param_groups
        momentum = [one.get("momentum", one.get("betas", (None,))[0]) for one in (group, *others)]
        rows.append({
            "biases": rates[True], "others": rates[False], "momentum": set(momentum), "base": base_lr(built),
        })  # fmt: skip
    return rows


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_momentum_and_the_rate_of_biases_are_those_of_yolo_in_each_step(optimizer: str) -> None:
    """YOLOv5 interpolates both with numpy over the updates of the warm-up, towards the rate of the schedule without it."""
    rows, plain = trajectory(optimizer, momentum=0.5, bias_lr=0.1), trajectory(optimizer, momentum=0.5)
    for update, (row, without) in enumerate(zip(rows, plain, strict=True)):
        assert row["others"] == without["others"] == without["biases"], "of the schedule"
        (rate,) = row["others"]
        (bias,), (momentum,) = row["biases"], row["momentum"]
        expected = np.interp(update, [0, WARM], [0.1, LR]) if update < WARM else rate
        assert bias == pytest.approx(expected, rel=1e-9)
        assert momentum == pytest.approx(np.interp(update, [0, WARM], [0.5, 0.9]), rel=1e-9)
        assert row["base"] == rate, "the rate of the history is not that of biases"
    assert rows[WARM]["momentum"] == {0.9}, "exactly that of the optimizer"
    assert rows[WARM - 1]["biases"] != rows[WARM - 1]["others"]


def test_factors_of_the_rate_apply_to_biases_too() -> None:
    scaled, plain = trajectory("sgd", 0.5, bias_lr=0.1), trajectory("sgd", bias_lr=0.1)
    for row, whole in zip(scaled, plain, strict=True):
        assert [2 * rate for rate in row["biases"]] == pytest.approx([*whole["biases"]])


def test_parameters_named_bias_are_groups_of_their_own_with_the_decay_that_they_had() -> None:
    model = network()
    groups = build_optimizer(model, "sgd", LR, 0.05, biases=True).param_groups
    names = {id(value): name for name, value in model.named_parameters()}
    found = [(group["is_bias"], group["weight_decay"], {names[id(one)] for one in group["params"]}) for group in groups]
    assert found == [
        (False, 0.0, {"1.weight"}), (True, 0.0, {"0.bias", "1.bias", "3.bias"}), (False, 0.05, {"0.weight", "3.weight"}),
    ]  # fmt: skip
    assert all("is_bias" not in group for group in build_optimizer(model, "sgd", LR, 0.05).param_groups)


def test_without_momentum_it_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"warmup: momentum = 0\.8: optimizer Adafactor has no momentum; remove it"):
        trajectory("adafactor", momentum=0.8)


def test_a_step_after_the_warm_up_changes_nothing() -> None:
    assert [row["biases"] for row in trajectory("sgd", bias_lr=0.1)[WARM:]] == [
        row["biases"] for row in trajectory("sgd", momentum=0.9)[WARM:]
    ]


# --- config


def config_of(train: dict[str, Any]) -> Any:
    model = {"name": "m", "backbone": "resnet18", "image_size_px": 32}
    data = {"source": "folder", "train": "raw"}
    return parse({"name": "t", "data": data, "models": [model], "train": {"epochs": 10, **train}})


@pytest.mark.parametrize(
    ("train", "said"),
    [
        ({"warmup": {}}, "warmup: has no effect; set momentum, bias_lr or both, or remove it"),
        ({"warmup": {"momentum": 0.8}, "warmup_epochs": 0}, "warmup_epochs is 0; set it, or remove warmup"),
        (
            {"warmup": {"momentum": 0.8}, "schedule": "one_cycle"},
            "schedule one_cycle rises by itself and has no warm-up",
        ),
        ({"warmup": {"momentum": 1.0}}, "train.warmup.momentum = 1.0"),
        ({"warmup": {"bias_lr": 0}}, "train.warmup.bias_lr = 0"),
        ({"warmup": {"bias": 0.1}}, "train.warmup.bias"),
    ],
)
def test_settings_without_effect_are_refused(train: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_of(train)
    assert said in str(caught.value)


def test_a_recipe_has_it_only_where_it_is_set() -> None:
    assert "warmup" not in slices.learning(config_of({}), "m")["train"]
    assert slices.learning(config_of({"warmup": {"momentum": 0.8}}), "m")["train"]["warmup"] == {"momentum": 0.8}


def test_a_quick_run_has_no_warm_up() -> None:
    values = {
        "name": "t", "data": {"source": "folder", "train": "raw"}, "train": {"warmup": {"momentum": 0.8}},
        "models": [{"name": "m", "backbone": "resnet18", "image_size_px": 32, "train": {"warmup": {"bias_lr": 0.1}}}],
    }  # fmt: skip
    from goldfold.config.quick import shortened

    assert parse(shortened(values)).models[0].train.warmup is None
