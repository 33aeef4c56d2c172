"""Checks of models and their training settings, including overrides in rounds."""

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from goldfold.base.errors import nearest, shown
from goldfold.catalog import HOOKS, OWN_LOSS, SCHEDULES, UPDATES
from goldfold.components import name_of
from goldfold.config import augmentation, hooks, kinds, mask_checks
from goldfold.config.aggregation_checks import aggregation_problems, dropping_problems
from goldfold.config.auxiliary_checks import auxiliary_problems
from goldfold.config.component_checks import component_problems
from goldfold.config.distill_checks import distill_problems
from goldfold.config.fixmatch_checks import fixmatch_problems
from goldfold.config.fold_checks import no_file
from goldfold.config.generated_checks import generated_problems
from goldfold.config.head_checks import head_problems
from goldfold.config.learning import Train
from goldfold.config.libraries import timm_backbones
from goldfold.config.loss_checks import check_loss
from goldfold.config.models import Model
from goldfold.config.retrieval_checks import embedding_problems
from goldfold.config.root import Config
from goldfold.config.rounds import Round, trained_model
from goldfold.config.row_checks import row_problems
from goldfold.config.sample_checks import sample_problems
from goldfold.config.schedule_checks import check_monitor, check_optimizer
from goldfold.config.ultralytics_checks import ultralytics_problems, ultralytics_training_problems
from goldfold.config.views import swapping
from goldfold.config.window_checks import window_problems, window_training_problems
from goldfold.config.wording import in_words
from goldfold.samples.sizes import sizes_of
from goldfold.signatures import read
from goldfold.tasks.facts import Facts

MOST_COMPILED = 8
"""Number of input sizes beyond which torch no longer compiles (``torch._dynamo.config.recompile_limit``)."""


def check_model(model: Model, config: Config, task: Facts) -> Iterator[str]:
    """Problems of a model: its network, its training, its loss and its images."""
    yield from network_problems(model, task)
    yield from head_problems(model, task, config.data.channels)
    yield from aggregation_problems(model, config, task)
    yield from window_problems(model, config, task)
    yield from ultralytics_problems(model, config)
    yield from _learning(model, config, task)
    yield from image_problems(model, config.tta)


def check_overrides(config: Config, task: Facts) -> Iterator[str]:
    """Problems of training settings in rounds, without problems that the model has in its own settings."""
    for number, one in enumerate(config.rounds or []):
        models = [model for model in config.models if not model.is_made]
        trained = [model for model in models if one.models is None or model.name in one.models]
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
        return [f"train: {in_words(dict(entry))}" for entry in error.errors()]
    known = {*_learning(model, config, task)}
    return [problem for problem in _learning(here, config, task) if problem not in known]


def _learning(model: Model, config: Config, task: Facts) -> Iterator[str]:
    """Problems of the training settings of a model."""
    yield from _training(model)
    yield from row_problems(model, config.data)
    yield from sample_problems(model, config, task)
    yield from dropping_problems(model, config)
    yield from check_loss(model.train, config.task, task, config.data.named_classes)
    yield from embedding_problems(model, config.task)
    yield from check_monitor(model.train, config.task, task, config.metric)
    yield from distill_problems(model.train, config.task, task)
    yield from fixmatch_problems(model, config)
    yield from generated_problems(model, config, task)
    yield from auxiliary_problems(model, config, task)
    yield from window_training_problems(model)
    yield from ultralytics_training_problems(model)
    yield from _of_detectors(model.train, task)
    yield from mask_checks.problems(model, config, task)
    if name_of(model.network) in OWN_LOSS and model.train.loss is not None:
        yield f"train.loss: network {name_of(model.network)!r} has a loss of its own, whose weights are params; remove train.loss"


def _of_detectors(settings: Train, task: Facts) -> Iterator[str]:
    """Settings that detectors cannot have, or that only they use."""
    if settings.min_visible != type(settings)().min_visible and task.target != "boxes":
        yield f"train.min_visible = {settings.min_visible:g}: is a share of a box, and this task has no boxes; remove it"
    if settings.compile and task.target == "boxes":
        yield "train.compile = true: shapes within a detector depend on the images, so each batch would be compiled; remove it"
    if hooks.watched(settings) == "loss" and task.target == "boxes":
        yield "train.early_stopping: watch: loss: detectors have no validation loss; set watch: metric"


def network_problems(model: Model, task: Facts) -> Iterator[str]:
    """Problems of the network of a model, and of its arguments."""
    network = name_of(model.network)
    yield from component_problems(
        "network", {network: model.params} if model.params else network, kinds.NETWORK, task.networks
    )
    if network not in task.networks:
        return
    takes = {parameter.name for parameter in read(task.networks[network]).parameters}
    yield from _interpolation(model)
    if {"backbone", "checkpoint"} <= takes and "checkpoint" in model.params:
        yield from _checkpoint(network, model)
    elif "backbone" in takes:
        yield from _backbone(network, model.backbone, " or params: {checkpoint: NAME}" * ("checkpoint" in takes))
    elif model.backbone is not None:
        yield f"backbone = {model.backbone!r}: network {network!r} takes none; remove it"
    if model.drop_path and "drop_path" not in takes:
        yield f"drop_path = {model.drop_path:g}: network {network!r} has none; remove it"
    if model.pretrained is True and "pretrained" not in takes:
        yield f"pretrained = true: network {network!r} has no published weights; give a path or false"


def _interpolation(model: Model) -> Iterator[str]:
    if model.interpolation == "own" and model.backbone is None:
        yield "interpolation = 'own': is that of a backbone of timm, which this model has none of; name one, e.g. bicubic"


def _checkpoint(network: str, model: Model) -> Iterator[str]:
    if model.backbone is not None:
        yield f"backbone = {model.backbone!r}: network {network!r} has that of params.checkpoint; remove one of the two"
    if model.pretrained is False:
        yield (
            f"pretrained = false: network {network!r} would train random weights behind the frozen batch normalisation of the "
            f"checkpoint; set pretrained: true, or name a backbone instead of a checkpoint"
        )


def _backbone(network: str, backbone: str | None, others: str) -> Iterator[str]:
    if backbone is None:
        yield f"backbone: network {network!r} needs one, e.g. backbone: resnet18{others}"
    elif backbone.split(".")[0] not in timm_backbones() and not backbone.startswith(("hf-hub:", "local-dir:")):
        hint = nearest(backbone.split(".")[0], timm_backbones(), n=3)
        yield f"backbone = {backbone!r}: {hint}timm knows {len(timm_backbones())}: goldfold models --filter NAME"


def _training(model: Model) -> Iterator[str]:
    settings = model.train
    yield from check_optimizer(settings.optimizer)
    yield from component_problems("train.schedule", settings.schedule, kinds.SCHEDULE, SCHEDULES)
    yield from component_problems("train.update", settings.update, kinds.UPDATE, UPDATES)
    for hook in settings.every_hook:
        key = "hooks" if hook in settings.hooks else name_of(hook)
        yield from component_problems(f"train.{key}", hook, kinds.HOOK, HOOKS)
    if settings.compile and model.gpus > 1:
        yield f"train.compile = true: works with gpus: 1 only, not {model.gpus}; remove it, or set gpus: 1"
    if settings.compile and settings.on_oom == "shrink":
        yield "train.compile = true: a network is compiled for one size of batch; set on_oom: fail, and a batch_size that fits"
    if settings.compile and len(set(sizes_of(settings.sizes))) > MOST_COMPILED:
        yield f"train.compile = true: torch compiles a network for at most {MOST_COMPILED} sizes; list no more in train.sizes"
    yield from (f"train.augment = {problem}" for problem in augmentation.every_problem(settings.augment))


def image_problems(model: Model, views: Sequence[Any], key: str = "tta") -> Iterator[str]:
    """Problems of the weights and the image size of a model, and of the views of ``key`` that turn images."""
    if isinstance(model.pretrained, str) and (reason := no_file(model.pretrained)):
        yield f"pretrained = {shown(model.pretrained)}: {reason}; give a path, true or false"
    size = model.image_size_px
    if size is None and model.backbone is None:
        yield "image_size_px: missing; only a timm backbone has a default size"
    if isinstance(size, int) and not 4 <= size <= 8192:
        yield f"image_size_px = {size}: must be between 4 and 8192"
    turned = swapping(views)
    if isinstance(size, list) and size[0] != size[1] and turned:
        yield f"image_size_px = {size}: {key} view {turned[0]!r} swaps height and width; use square images or other views"
