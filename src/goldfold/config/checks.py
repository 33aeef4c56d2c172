"""Checks that need more than one key of the config, or a look at the machine; each before any job runs."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from pydantic import TypeAdapter, ValidationError

from goldfold.base.errors import ConfigError, nearest, shown
from goldfold.catalog import AUGMENTATIONS, HOOKS, SCHEDULES, TASKS, UPDATES
from goldfold.components import Kind, name_of, parse, problems, summed
from goldfold.config import kinds
from goldfold.config.case_checks import check_cases
from goldfold.config.data import Submission
from goldfold.config.fold_checks import check_folds, no_file
from goldfold.config.learning import Model, Train
from goldfold.config.libraries import albumentations_transforms, timm_backbones, timm_optimizers
from goldfold.config.root import Config, Ensemble
from goldfold.config.round_checks import check_rounds
from goldfold.config.rounds import Round, trained_model
from goldfold.config.source_checks import check_source
from goldfold.config.step_checks import average_key, check_steps
from goldfold.signatures import read
from goldfold.tasks import facts
from goldfold.tasks.facts import Facts

TURNS = frozenset({"rot90", "rot270", "transpose", "antitranspose"})
"""Views that swap height and width."""


OF_TASKS = ("loss", "label_smoothing", "mixup_alpha", "cutmix_alpha", "mix_probability")
"""Keys of ``train`` that only some tasks use."""


SET = {
    "label": "one label an image: remove data.label_separator, label_columns and target_column",
    "labels": "set data.label_separator or data.label_columns",
    "value": "set data.target_column",
}
"""What a CSV must be told so that it brings a target."""


def check(config: Config) -> None:
    """Raise ConfigError with every problem found, a line each."""
    task = facts(config.task)
    problems = [
        f"models[{index}] ({model.name}).{problem}"
        for index, model in enumerate(config.models)
        for problem in (
            *_network(model, task), *_training(model), *_loss(model, config.task, task), *_images(model, config.tta)
        )
    ]  # fmt: skip
    problems += [*_task(config, task), *_members(config), *_weights(config), *_overrides(config, task)]
    problems += [
        *check_source(config),
        *_files(config),
        *_roi(config, task),
        *check_folds(config),
        *_copies(config),
        *check_cases(config, task),
        *check_rounds(config, task),
        *check_steps(config, task),
    ]
    if problems:
        raise ConfigError("\n".join(problems))


def _task(config: Config, task: Facts) -> Iterator[str]:
    """Names that belong to the task, and data that it can learn from."""
    brings = config.data.target_kind
    if brings != task.target:
        way = f"; {SET[task.target]}" if task.target in SET and config.data.source == "csv" else ""
        yield f"data.source = {config.data.source!r}: brings {brings}, but task {config.task!r} needs {task.target}{way}"
    target = str(task.target) if config.task in TASKS else ""
    for key, written, kind, entries in (
        ("metric", config.metric, kinds.METRICS.get(target, kinds.OPEN), task.metrics),
        (
            f"{average_key(config)}.method",
            None if config.fusion else config.average.method,
            kinds.METHODS.get(target, kinds.OPEN),
            task.methods,
        ),
        *((f"tta[{number}]", view, kinds.VIEW, task.views) for number, view in enumerate(config.tta)),
    ):
        if written is not None:
            yield from _component(key, written, kind, entries, config.task)
    yield from _unused(config, task)
    for key in ("iou_threshold", "skip_threshold"):
        if key not in task.ensemble_keys and getattr(config.average, key) != Ensemble.model_fields[key].default:
            yield f"{average_key(config)}.{key}: task {config.task!r} has no boxes to fuse; remove it"
    yield from _task_params(config, task)


def _component(key: str, written: Any, kind: Kind, entries: Mapping[str, str], task: str = "") -> Iterator[str]:
    """What is wrong with a key that names a component."""
    for problem in problems(written, kind, entries):
        of = f"allowed with {task}: " if task else "allowed: "
        yield f"{key} = {shown(written)}: {problem.replace('allowed: ', of, 1)}"


def _unused(config: Config, task: Facts) -> Iterator[str]:
    """Keys that only some tasks use are not accepted and ignored."""
    policy = config.data.on_bad_label
    if policy not in task.bad_label_policies:
        yield f"data.on_bad_label = {policy!r}: allowed with {config.task}: {', '.join(task.bad_label_policies)}"
    for key in ("format", "label_column"):
        if key not in task.submission_keys and getattr(config.submission, key) != Submission.model_fields[key].default:
            yield f"submission.{key}: task {config.task!r} does not use it; remove it"
    for index, model in enumerate(config.models):
        if model.resize not in task.resizes:
            allowed = ", ".join(task.resizes)
            yield f"models[{index}] ({model.name}).resize = {model.resize!r}: allowed with {config.task}: {allowed}"
    average = config.average
    if (
        average.method is not None
        and name_of(average.method) == "soft_nms"
        and average.iou_threshold != Ensemble.model_fields["iou_threshold"].default
    ):
        yield f"{average_key(config)}.iou_threshold: soft_nms of ensemble-boxes has none; remove it"


def _task_params(config: Config, task: Facts) -> Iterator[str]:
    allowed = [field.name for field in fields(task.settings)]
    for name in config.task_params:
        if name not in allowed:
            choices = ", ".join(allowed) or "nothing"
            yield f"task_params.{name}: unknown key; {nearest(name, allowed)}allowed with {config.task}: {choices}"
    known = {name: value for name, value in config.task_params.items() if name in allowed}
    try:
        TypeAdapter(task.settings).validate_json(json.dumps(known, default=str), strict=True)
    except ValidationError as error:
        for entry in error.errors():
            yield f"task_params.{'.'.join(map(str, entry['loc']))} = {shown(entry['input'])}: {entry['msg']}"


def _loss(model: Model, name: str, task: Facts) -> Iterator[str]:
    """Keys of the training that the task knows, set to what it knows."""
    settings, unset = model.train, Train()
    for key in OF_TASKS:
        if key not in task.loss_keys and getattr(settings, key) != getattr(unset, key):
            yield f"train.{key}: task {name!r} does not use it; remove it"
    for part, _ in summed(settings.loss) if settings.loss is not None and "loss" in task.loss_keys else []:
        kind = kinds.LOSSES.get(task.target, kinds.OPEN) if name in TASKS else kinds.OPEN
        yield from _component("train.loss", part, kind, task.losses, name)


def _network(model: Model, task: Facts) -> Iterator[str]:
    network = name_of(model.network)
    yield from _component("network", {network: model.params} if model.params else network, kinds.NETWORK, task.networks)
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
    yield from _component("train.optimizer", settings.optimizer, kinds.OPTIMIZER, timm_optimizers())
    yield from _component("train.schedule", settings.schedule, kinds.SCHEDULE, SCHEDULES)
    yield from _component("train.update", settings.update, kinds.UPDATE, UPDATES)
    for hook in settings.hooks:
        yield from _component("train.hooks", hook, kinds.HOOK, HOOKS)
    yield from _augmentations(settings.augment)
    if (settings.mixup_alpha or settings.cutmix_alpha) and settings.batch_size % 2:
        yield f"train.batch_size = {settings.batch_size}: must be even with mixup or cutmix"
    for key in ("mixup_alpha", "cutmix_alpha"):
        if model.branch is not None and getattr(settings, key):
            yield (
                f"train.{key} = {getattr(settings, key):g}: metadata of two cases cannot be mixed; set {key}: 0 for this model, "
                f"or metadata: false"
            )


def _augmentations(wanted: Any) -> Iterator[str]:
    """Presets, transforms of albumentations, and those within others."""
    for one in wanted if isinstance(wanted, list) else [wanted]:
        name, params = parse(one)
        if not isinstance(wanted, list) or name in AUGMENTATIONS or ":" in name:
            yield from _component("train.augment", one, kinds.AUGMENTATION, AUGMENTATIONS)
        else:
            yield from _component(
                "train.augment", one, kinds.TRANSFORM, {**AUGMENTATIONS, **albumentations_transforms()}
            )
            if isinstance(params.get("transforms"), list):
                yield from _augmentations(params["transforms"])


def _images(model: Model, views: Sequence[Any]) -> Iterator[str]:
    if isinstance(model.pretrained, str) and (reason := no_file(model.pretrained)):
        yield f"pretrained = {shown(model.pretrained)}: {reason}; give a path, true or false"
    size = model.image_size_px
    if size is None and model.backbone is None:
        yield "image_size_px: missing; only a timm backbone brings its own"
    if isinstance(size, int) and not 4 <= size <= 8192:
        yield f"image_size_px = {size}: must lie between 4 and 8192"
    turned = [name for view in views if (name := name_of(view)) in TURNS]
    if isinstance(size, list) and size[0] != size[1] and turned:
        yield f"image_size_px = {size}: tta view {turned[0]!r} swaps height and width; use square images or other views"


def _members(config: Config) -> Iterator[str]:
    names = [model.name for model in config.models]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"models: two members are named {name!r}; give each its own name"


def _weights(config: Config) -> Iterator[str]:
    names, weights, key = (
        [model.name for model in config.models],
        config.average.weights,
        f"{average_key(config)}.weights",
    )
    for name, weight in weights.items():
        if name not in names:
            yield f"{key}.{name}: no model of that name; {nearest(name, names)}allowed: {', '.join(names)}"
        elif weight < 0:
            yield f"{key}.{name} = {weight}: must not be negative"
    if all(weights.get(name, 1.0) == 0 for name in names):
        yield f"{key}: all are zero; give at least one model a positive weight"


def _overrides(config: Config, task: Facts) -> Iterator[str]:
    """Training settings that models have in one round alone; what is wrong with a model's own is said of the model."""
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
    """What is wrong with a model's settings in a round, and is not with those that it has elsewhere."""
    try:
        here = trained_model(model, one)
    except ValidationError as error:
        return [f"train: {str(entry['msg']).removeprefix('Value error, ')}" for entry in error.errors()]
    known = {*_training(model), *_loss(model, config.task, task)}
    return [problem for problem in (*_training(here), *_loss(here, config.task, task)) if problem not in known]


def _files(config: Config) -> Iterator[str]:
    """What the user names is there."""
    for key in ("test_answers", "groups", "extra_train", "extra_images"):
        path = getattr(config.data, key, None)
        if any(not os.path.exists(own) for own in config.data.owned(path)):
            yield f"data.{key} = {shown(path)}: no such file or folder; correct it, or remove it"
    for path in config.data.roi.files:
        if reason := no_file(path):
            yield f"data.roi.boxes = {shown(path)}: {reason}; run the detector first, or correct it"


def _roi(config: Config, task: Facts) -> Iterator[str]:
    """What is cut out moves with its task's targets, and is in the data."""
    method = config.data.roi.method
    if method != "none" and not task.follows_roi:
        yield (
            f"data.roi.method = {method!r}: task {config.task!r} does not move its targets with what is cut out "
            f"(follows_roi = True); use none"
        )
    if method == "column" and config.data.source != "csv":
        yield "data.roi.method = 'column': only source: csv has columns of its own; write a CSV and use method: boxes"


def _copies(config: Config) -> Iterator[str]:
    """Keys on copies that would do nothing, or nothing right."""
    data, ignored = config.data, config.data.duplicates == "ignore"
    fields = type(data).model_fields
    for key in ("duplicates_distance", "duplicates_mirrored", "duplicates_across", "on_two_labels"):
        value = getattr(data, key)
        if ignored and value != fields[key].default:
            yield f"data.{key} = {value!r}: near copies are not looked for with data.duplicates: ignore; remove one"
    if data.duplicates_mirrored and data.duplicates_distance is None:
        yield "data.duplicates_mirrored: needs data.duplicates_distance; without it only bytes are compared"
