"""Network, optimizer, schedule, update rule and hooks of a run, for the engine."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file
from torch import nn

from goldfold import catalog, components, optim
from goldfold.base.errors import ConfigError, cause
from goldfold.engine.gradient import Gradient
from goldfold.engine.hooks import Hook
from goldfold.engine.hooks.freezing import Freezing
from goldfold.engine.hooks.snapshots import Snapshots
from goldfold.engine.hooks.warmup import Warmup, has_bias_rate
from goldfold.engine.loop import Course, Learner
from goldfold.engine.seeding import seeded
from goldfold.inference.predictor import build
from goldfold.optim.cycles import cycle_ends
from goldfold.optim.freezing import frozen_parts, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from accelerate import Accelerator

    from goldfold.engine.gradient import Loss
    from goldfold.metadata.encoder import Encoder
    from goldfold.tasks.protocol import Infer, Learn
    from goldfold.training.spec import Spec, Train


def network_of(spec: Spec, infer: Infer, start: str | None = None, encoder: Encoder | None = None) -> nn.Module:
    """Build the network with its initial weights: drawn with the spec's key, pretrained, or loaded.

    Args:
        start: weight file of the same network from an earlier round.
        encoder: encoder of the metadata, if the network takes it.
    """
    with seeded(*spec.key, "weights"):
        network = build(infer, spec.model, spec.channels, starts=start is None, encoder=encoder)
    if start is not None:
        network = _started(network, spec, infer, start, encoder)
    elif isinstance(spec.model["pretrained"], str):
        from goldfold.models.pretrained import summary

        print(summary(spec.model["pretrained"], network.network), flush=True)  # type: ignore[arg-type]
    return network


def _started(network: nn.Module, spec: Spec, infer: Infer, start: str, encoder: Encoder | None) -> nn.Module:
    """Load all weights of an earlier round into a network, adapted where they were trained at another size."""
    state, own = load_file(start), network.state_dict()
    odd = [name for name, value in own.items() if name in state and state[name].shape != value.shape]
    try:
        if odd:
            network, adapted = _adapted(spec, infer, start, encoder)
            state |= {name: adapted[name] for name in odd if name in adapted}
        network.load_state_dict(state)
    except (RuntimeError, ConfigError) as error:
        raise ConfigError(
            f"{start} does not fit the network that starts from it: {cause(error)}. In rounds, set start: scratch, or name "
            f"a model with the same network."
        ) from error
    print(f"starts from {start}{', adapted to the size: ' * bool(odd)}{', '.join(odd)}", flush=True)
    return network


def _adapted(
    spec: Spec, infer: Infer, start: str, encoder: Encoder | None
) -> tuple[nn.Module, dict[str, torch.Tensor]]:
    """Build the network from weights of another size, as from a local file; return it, and what it took from them."""
    model = {**spec.model, "pretrained": start, "partly_pretrained": False}
    with seeded(*spec.key, "weights"):
        network = build(infer, model, spec.channels, starts=True, encoder=encoder)
    new = {f"network.{name}" for name in getattr(network.network, "new", ())}
    return network, {
        name: value for name, value in network.state_dict().items() if name.startswith("network.") and name not in new
    }


def loss_of(spec: Spec, learn: Learn, counts: Sequence[float] | None = None) -> Loss:
    """Build the task's loss with its settings.

    Args:
        counts: number of labelled training cases of each class in the fold, where the loss takes it.
    """
    more = {} if counts is None else {"counts": counts}
    return learn.loss(**{name: getattr(spec.train, name) for name in spec.model["loss_keys"]}, **more)


def course_of(spec: Spec) -> Course:
    """Return the epochs, seed and intervals of a run."""
    train = spec.train
    return Course(train.epochs, spec.key, train.accumulate, train.validate_every)


def steps_per_epoch(train: Train, n_batches: int) -> int:
    """Return the number of steps in an epoch of ``n_batches``."""
    return math.ceil(n_batches / train.accumulate)


def learner_of(
    train: Train,
    network: nn.Module,
    loss: Loss,
    n_batches: int,
    accelerator: Accelerator,
    more: Mapping[str, Hook],
) -> Learner:
    """Build the learner of a network, on its device.

    Args:
        n_batches: batches per epoch.
        more: further hooks, called after those of the config.
    """
    if accelerator.num_processes > 1 and accelerator.device.type == "cuda":
        from timm.layers import convert_sync_batchnorm

        network = convert_sync_batchnorm(network)
    how = train.lr, train.weight_decay, train.layer_decay, train.lr_scale, train.freeze
    optimizer = optim.build_optimizer(network, train.optimizer, *how, biases=has_bias_rate(train.warmup))
    of_epoch = steps_per_epoch(train, n_batches)
    steps, warmup = train.epochs * of_epoch, round(train.warmup_epochs * of_epoch)
    if train.epochs > 1:  # a quick run has one epoch, which may be too short
        optim.check_length(train.schedule, steps, warmup)
    schedule = optim.build_schedule(train.schedule, optimizer, steps, warmup)
    network.to(accelerator.device)
    reacting = {"schedule": schedule} if isinstance(schedule, Hook) else {}
    freezing = _freezing(train, network, optimizer)
    warming = {"warmup": Warmup(optimizer, warmup, train.lr, **train.warmup)} if train.warmup else {}
    hooks = {**freezing, **warming, **hooks_of(train.hooks, network), **reacting, **more}
    update = components.load(train.update, catalog.UPDATES, "update rule")
    model, optimizer = accelerator.prepare(network, optimizer)
    gradient = Gradient(model, loss, optimizer, accelerator, _least_micro_batch(network, train))
    return Learner(gradient, optimizer, schedule, update, hooks)


def _freezing(train: Train, network: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Hook]:
    """Build the hook that freezes parts of a network, if some are frozen; log its parts if they have rates of their own."""
    describe = partial(table, network, optimizer.param_groups, train.lr)
    if train.freeze:
        return {"freeze": Freezing(network, optimizer, frozen_parts(network, train.freeze), describe)}
    if train.layer_decay is not None or train.lr_scale:
        print("parts of the network:", *describe(), sep="\n", flush=True)
    return {}


def snapshots_of(train: Train, of_epoch: int) -> Snapshots | None:
    """Build the hook that keeps the weights at the ends of the schedule's cycles; None if these are not kept.

    Args:
        of_epoch: steps per epoch.
    """
    if train.snapshots is None:
        return None
    schedule = components.parse(train.schedule)
    wanted = {schedule[0]: {"cycles": train.snapshots, **schedule[1]}}
    return Snapshots(cycle_ends(wanted, train.epochs * of_epoch, round(train.warmup_epochs * of_epoch)))


def hooks_of(wanted: Sequence[components.Written], network: nn.Module) -> dict[str, Hook]:
    """Build the hooks of a config, by name."""
    return {components.name_of(one): components.load(one, catalog.HOOKS, "hook")(network) for one in wanted}


def _least_micro_batch(network: nn.Module, train: Train) -> int | None:
    """Return the fewest samples per piece: two for batch norm, else one; None: never split a batch."""
    if train.on_oom == "fail":
        return None
    has_batch_norm = any(isinstance(module, torch.nn.modules.batchnorm._BatchNorm) for module in network.modules())
    return 2 if has_batch_norm else 1
