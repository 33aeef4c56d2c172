"""Try optimizer, schedule, update rule and hooks of a model before any job runs."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from goldfold import catalog, components, optim
from goldfold.base.errors import ConfigError, cause
from goldfold.components import load, name_of
from goldfold.config.libraries import without_library
from goldfold.engine.hooks.warmup import Warmup, has_bias_rate

STEPS, WARMUP_STEPS = 500, 50
"""Steps of the trial schedule."""


def check_optimizer(network: Any, train: Mapping[str, Any]) -> None:
    """Build the optimizer of a network and its schedule.

    Raises:
        ConfigError: one of them cannot be built or used on this machine.
    """
    name, scales = train["optimizer"], (train.get("layer_decay"), train.get("lr_scale"), train.get("freeze") or ())
    try:
        biases = has_bias_rate(train.get("warmup"))
        optimizer = optim.build_optimizer(network, name, train["lr"], train["weight_decay"], *scales, biases=biases)
        if warmup := train.get("warmup"):
            Warmup(optimizer, WARMUP_STEPS, train["lr"], **warmup)
        _step(train, "plain")
    except ConfigError as error:
        raise ConfigError(f"train.{error}.") from error
    except Exception as error:
        raise ConfigError(
            f"train.optimizer = {name!r} cannot be built here: {cause(error)}. {without_library(name_of(name))}"
        ) from error
    try:
        schedule = optim.build_schedule(train["schedule"], optimizer, STEPS, WARMUP_STEPS)
        for step in range(STEPS):
            schedule.step(step)
    except ConfigError as error:
        raise ConfigError(f"train.schedule = {train['schedule']!r}: {error}.") from error
    except Exception as error:
        raise ConfigError(
            f"train.schedule = {train['schedule']!r} cannot be used with optimizer {name!r}: {cause(error)}. Choose another."
        ) from error


def _step(train: Mapping[str, Any], rule: components.Written) -> None:
    """Take a step on a small network: some optimizers can be built but fail in training.

    Raises:
        Exception: the step fails; the type depends on optimizer and update rule.
    """
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    optimizer = optim.build_optimizer(network, train["optimizer"], train["lr"], train["weight_decay"])
    if getattr(optimizer, "is_second_order", False):
        raise ValueError("it needs second derivatives, which training does not compute")

    def gradient() -> dict[str, float]:
        optimizer.zero_grad()
        torch.autograd.backward(network(torch.ones(2, 3, 3, 3)).square().mean())
        return {}

    load(rule, catalog.UPDATES, "update rule")(network, gradient, optimizer.step)


def check_hooks(network: Any, train: Mapping[str, Any]) -> None:
    """Try the update rule, and build each hook on a network with uninitialised weights.

    Raises:
        ConfigError: one cannot be used.
    """
    rule = train["update"]
    load(rule, catalog.UPDATES, "update rule")
    try:
        if name_of(rule) in catalog.UPDATES:  # a user-defined one may need its own network
            _step(train, rule)
    except Exception as error:
        raise ConfigError(f"train.update = {rule!r} cannot be used: {cause(error)}") from error
    for written in train["hooks"]:
        try:
            load(written, catalog.HOOKS, "hook")(network.to_empty(device="cpu"))
        except Exception as error:
            raise ConfigError(f"train.hooks: {name_of(written)!r} cannot be built: {cause(error)}") from error
