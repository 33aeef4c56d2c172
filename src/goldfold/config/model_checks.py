"""Checks of models and their training settings, including overrides in rounds."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from goldfold.base.errors import nearest, shown
from goldfold.catalog import HOOKS, SCHEDULES, TASKS, UPDATES
from goldfold.components import Kind, name_of, problems, summed
from goldfold.config import augmentation, kinds
from goldfold.config.fold_checks import no_file
from goldfold.config.learning import Model, Train
from goldfold.config.libraries import timm_backbones, timm_optimizers
from goldfold.config.root import Config
from goldfold.config.rounds import Round, trained_model
from goldfold.signatures import read
from goldfold.tasks.facts import Facts

TURNS = frozenset({"rot90", "rot270", "transpose", "antitranspose"})
"""Views that swap height and width."""


OF_TASKS = ("loss", "label_smoothing", "mixup_alpha", "cutmix_alpha", "mix_probability")
"""Keys of ``train`` that only some tasks use."""


def check_model(model: Model, name: str, task: Facts, views: Sequence[Any]) -> Iterator[str]:
    """Problems of a model: its network, its training, its loss and its images.

    Args:
        name: name of the task.
        views: test-time views.
    """
    yield from _network(model, task)
    yield from _training(model)
    yield from _loss(model, name, task)
    yield from _images(model, views)


def check_overrides(config: Config, task: Facts) -> Iterator[str]:
    """Problems of training settings in rounds, without problems that the model has in its own settings."""
    for number, one in enumerate(config.rounds or []):
        trained = [model for model in config.models if one.models is None or model.name in one.models]
        found: dict[str, list[str]] = {}
        for model in trained:
            for problem in _overridden(config, task, model, one):
                found.setdefault(problem, []).append(model.name)
        for problem, names in found.items():
            of = f" (as settings of {', '.join(names)})" if len(names) < len(trained) else ""
            yield f"rounds[{number}].{problem}{of}"


def _overridden(config: Config, task: Facts, model: Model, one: Round) -> list[str]:
    """Problems of a model's settings in a round that its own settings do not have."""
    try:
        here = trained_model(model, one)
    except ValidationError as error:
        return [f"train: {str(entry['msg']).removeprefix('Value error, ')}" for entry in error.errors()]
    known = {*_training(model), *_loss(model, config.task, task)}
    return [problem for problem in (*_training(here), *_loss(here, config.task, task)) if problem not in known]


def component_problems(key: str, written: Any, kind: Kind, entries: Mapping[str, str], task: str = "") -> Iterator[str]:
    """Problems of a key that names a component."""
    for problem in problems(written, kind, entries):
        of = f"allowed with {task}: " if task else "allowed: "
        yield f"{key} = {shown(written)}: {problem.replace('allowed: ', of, 1)}"


def _loss(model: Model, name: str, task: Facts) -> Iterator[str]:
    """Problems of training keys that the task does not use, and of the loss."""
    settings, unset = model.train, Train()
    for key in OF_TASKS:
        if key not in task.loss_keys and getattr(settings, key) != getattr(unset, key):
            yield f"train.{key}: task {name!r} does not use it; remove it"
    for part, _ in summed(settings.loss) if settings.loss is not None and "loss" in task.loss_keys else []:
        kind = kinds.LOSSES.get(task.target, kinds.OPEN) if name in TASKS else kinds.OPEN
        yield from component_problems("train.loss", part, kind, task.losses, name)


def _network(model: Model, task: Facts) -> Iterator[str]:
    network = name_of(model.network)
    yield from component_problems(
        "network", {network: model.params} if model.params else network, kinds.NETWORK, task.networks
    )
    if network not in task.networks:
        return
    takes = {parameter.name for parameter in read(task.networks[network]).parameters}
    if "backbone" in takes:
        yield from _backbone(network, model.backbone)
    elif model.backbone is not None:
        yield f"backbone = {model.backbone!r}: network {network!r} takes none; remove it"
    if model.drop_path and "drop_path" not in takes:
        yield f"drop_path = {model.drop_path:g}: network {network!r} has none; remove it"
    if model.pretrained is True and "pretrained" not in takes:
        yield f"pretrained = true: network {network!r} has no published weights; give a path or false"


def _backbone(network: str, backbone: str | None) -> Iterator[str]:
    if backbone is None:
        yield f"backbone: network {network!r} needs one, e.g. backbone: resnet18"
    elif backbone.split(".")[0] not in timm_backbones() and not backbone.startswith(("hf-hub:", "local-dir:")):
        hint = nearest(backbone.split(".")[0], timm_backbones())
        yield f"backbone = {backbone!r}: {hint}timm knows {len(timm_backbones())}: timm.list_models('*')"


def _training(model: Model) -> Iterator[str]:
    settings = model.train
    yield from component_problems("train.optimizer", settings.optimizer, kinds.OPTIMIZER, timm_optimizers())
    yield from component_problems("train.schedule", settings.schedule, kinds.SCHEDULE, SCHEDULES)
    yield from component_problems("train.update", settings.update, kinds.UPDATE, UPDATES)
    for hook in settings.hooks:
        yield from component_problems("train.hooks", hook, kinds.HOOK, HOOKS)
    yield from (f"train.augment = {problem}" for problem in augmentation.every_problem(settings.augment))
    if (settings.mixup_alpha or settings.cutmix_alpha) and settings.batch_size % 2:
        yield f"train.batch_size = {settings.batch_size}: must be even with mixup or cutmix"
    for key in ("mixup_alpha", "cutmix_alpha"):
        if model.branch is not None and getattr(settings, key):
            yield (
                f"train.{key} = {getattr(settings, key):g}: metadata of two cases cannot be mixed; set {key}: 0 for this model, "
                f"or metadata: false"
            )


def _images(model: Model, views: Sequence[Any]) -> Iterator[str]:
    if isinstance(model.pretrained, str) and (reason := no_file(model.pretrained)):
        yield f"pretrained = {shown(model.pretrained)}: {reason}; give a path, true or false"
    size = model.image_size_px
    if size is None and model.backbone is None:
        yield "image_size_px: missing; only a timm backbone has a default size"
    if isinstance(size, int) and not 4 <= size <= 8192:
        yield f"image_size_px = {size}: must be between 4 and 8192"
    turned = [name for view in views if (name := name_of(view)) in TURNS]
    if isinstance(size, list) and size[0] != size[1] and turned:
        yield f"image_size_px = {size}: tta view {turned[0]!r} swaps height and width; use square images or other views"
