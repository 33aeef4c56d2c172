"""Checks of the config that involve several keys or the file system; all run before any job."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import fields

from pydantic import TypeAdapter, ValidationError

from goldfold.base.errors import ConfigError, nearest, shown
from goldfold.catalog import TASKS
from goldfold.components import name_of
from goldfold.config import freezing, instance_checks, kinds
from goldfold.config.ablation_checks import check_ablation
from goldfold.config.case_checks import check_cases
from goldfold.config.choice_checks import check_choices
from goldfold.config.component_checks import component_problems
from goldfold.config.data import Submission
from goldfold.config.distill_checks import check_teachers
from goldfold.config.external import check_external
from goldfold.config.fold_checks import check_folds, no_file
from goldfold.config.frozen_checks import check_frozen
from goldfold.config.full_checks import check_full_data
from goldfold.config.holdout import check_holdout
from goldfold.config.model_checks import check_model, check_overrides
from goldfold.config.retrieval_checks import check_neighbours
from goldfold.config.root import Config, Ensemble
from goldfold.config.round_checks import check_rounds
from goldfold.config.soup_checks import check_soups
from goldfold.config.source_checks import check_source
from goldfold.config.step_checks import average_key, check_steps
from goldfold.config.views import view_problems
from goldfold.config.wording import in_words
from goldfold.planning.lessons import ENSEMBLE
from goldfold.tasks import facts
from goldfold.tasks.facts import Facts

MOST_WEIGHT = 1_000_000
"""Largest weight of a member in an average: sums of far larger ones overflow."""
CLEANS = re.compile(r"rounds\[\d+\]\.clean\b")
"""Beginning of the problems of cleaning."""
SET = {
    "label": "for one label per image, remove data.label_separator, label_columns and target_column",
    "labels": "set data.label_separator or data.label_columns",
    "value": "set data.target_column",
}
"""Settings that make a CSV source give a kind of target."""


def check(config: Config) -> None:
    """Raise ConfigError with every problem found, one per line."""
    task = facts(config.task)
    problems = [
        *_models(config, task),
        *_task(config, task),
        *_members(config),
        *_weights(config),
        *check_overrides(config, task),
        *check_source(config),
        *_files(config),
        *_roi(config, task),
        *_runtime(config),
        *check_folds(config),
        *check_holdout(config),
        *_copies(config),
        *check_cases(config, task),
        *check_rounds(config, task),
        *check_soups(config),
        *check_frozen(config, task),
        *check_neighbours(config),
        *check_ablation(config),
        *check_steps(config, task),
        *check_external(config),
    ]
    if all(CLEANS.match(problem) for problem in problems):  # teachers are known, whatever is wrong with the cleaning
        problems += check_teachers(_without_cleaning(config) if problems else config)
    problems = problems or [*freezing.problems(config), *check_full_data(config), *check_choices(config)]
    if problems:
        raise ConfigError("\n".join(problems))


def _without_cleaning(config: Config) -> Config:
    rounds = [one.model_copy(update={"clean": None}) for one in config.rounds or []]
    return config.model_copy(update={"rounds": rounds})


def _models(config: Config, task: Facts) -> Iterator[str]:
    """Problems of the trained models; one in the training settings of all of several models is reported once."""
    trained = [(index, model) for index, model in enumerate(config.models) if not model.is_made]
    found = [list(check_model(model, config, task)) for _, model in trained]
    first, others = found[0] if found else [], found[1:]
    shared = [problem for problem in first if problem.startswith("train.") and all(problem in one for one in others)]
    shared = shared if others else []
    yield from shared
    for (index, model), problems in zip(trained, found, strict=True):
        yield from (f"models[{index}] ({model.name}).{problem}" for problem in problems if problem not in shared)


def _task(config: Config, task: Facts) -> Iterator[str]:
    """Problems of components of the task, and of data that do not fit it."""
    brings = config.data.target_kind
    if brings not in (task.target, *task.converts):
        way = f"; {SET[task.target]}" if task.target in SET and config.data.source == "csv" else ""
        needs = " or ".join((task.target, *task.converts))
        yield f"data.source = {config.data.source!r}: brings {brings}, but task {config.task!r} needs {needs}{way}"
    target = str(task.target) if config.task in TASKS else ""
    for key, written, kind, entries in (
        ("metric", config.metric, kinds.METRICS.get(target, kinds.OPEN), task.metrics),
        (
            f"{average_key(config)}.method",
            None if config.fusion else config.average.method,
            kinds.METHODS.get(target, kinds.OPEN),
            task.methods,
        ),
    ):
        if written is not None:
            yield from component_problems(key, written, kind, entries, config.task)
    for number, view in enumerate(config.tta):
        yield from view_problems(f"tta[{number}]", view, task, config.task)
    yield from _unused(config, task)
    for key in ("iou_threshold", "skip_threshold"):
        if key not in task.ensemble_keys and getattr(config.average, key) != Ensemble.model_fields[key].default:
            yield f"{average_key(config)}.{key}: task {config.task!r} has no boxes to fuse; remove it"
    yield from _task_params(config, task)


def _unused(config: Config, task: Facts) -> Iterator[str]:
    """Problems of keys that this task does not use; they are refused rather than ignored."""
    policy = config.data.on_bad_label
    if policy not in task.bad_label_policies:
        yield f"data.on_bad_label = {policy!r}: allowed with {config.task}: {', '.join(task.bad_label_policies)}"
    for key in ("format", "label_column"):
        if key not in task.submission_keys and getattr(config.submission, key) != Submission.model_fields[key].default:
            yield f"submission.{key}: task {config.task!r} does not use it; remove it"
    yield from instance_checks.problems(config, task)
    for index, model in enumerate(config.models):
        if model.resize not in task.resizes and (model.frozen or not model.is_made):
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
            yield f"task_params.{'.'.join(map(str, entry['loc']))} = {shown(entry['input'])}: {in_words(entry)}"


def _members(config: Config) -> Iterator[str]:
    names = [model.name for model in config.models]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"models: two members are named {name!r}; give each its own name"
    if ENSEMBLE in names:
        yield f"models[{names.index(ENSEMBLE)}].name = {ENSEMBLE!r}: is the name of the ensemble; give the model another name"


def _weights(config: Config) -> Iterator[str]:
    names, weights, key = (
        [*(model.name for model in config.models), *(one.name for one in config.external)],
        config.average.weights,
        f"{average_key(config)}.weights",
    )
    for name, weight in weights.items():
        if name not in names:
            yield f"{key}.{name}: no model of that name; {nearest(name, names)}allowed: {', '.join(names)}"
        elif not 0 <= weight <= MOST_WEIGHT:
            yield f"{key}.{name} = {weight:g}: must be from 0 to {MOST_WEIGHT:,}; only the ratio of weights matters"
    if all(weights.get(name, 1.0) == 0 for name in names):
        yield f"{key}: all are zero; give at least one model a positive weight"


def _files(config: Config) -> Iterator[str]:
    """Problems of user files that do not exist."""
    for key in ("test_answers", "groups", "extra_train", "extra_images"):
        path = getattr(config.data, key, None)
        if any(not os.path.exists(own) for own in config.data.owned(path)):
            yield f"data.{key} = {shown(path)}: no such file or folder; correct it, or remove it"
    for path in config.data.roi.files:
        if reason := no_file(path):
            yield f"data.roi.boxes = {shown(path)}: {reason}; run the detector first, or correct it"


def _runtime(config: Config) -> Iterator[str]:
    """A precision that the CPU does not have; with `auto` the device is known only where the job runs."""
    if config.runtime.device == "cpu" and config.runtime.precision == "fp16":
        yield "runtime.precision = 'fp16': needs a GPU, and runtime.device is cpu; set precision: auto"


def _roi(config: Config, task: Facts) -> Iterator[str]:
    """Problems of the region of interest: tasks that cannot crop their targets, sources without columns."""
    method = config.data.roi.method
    if method != "none" and not task.follows_roi:
        yield (
            f"data.roi.method = {method!r}: task {config.task!r} does not crop its targets with the images "
            f"(follows_roi = True); use none"
        )
    if method == "column" and config.data.source != "csv":
        yield "data.roi.method = 'column': only source: csv has columns; write a CSV and use method: boxes"


def _copies(config: Config) -> Iterator[str]:
    """Problems of keys of duplicates that would have no effect, or a wrong one."""
    data, ignored = config.data, config.data.duplicates == "ignore"
    fields = type(data).model_fields
    for key in ("duplicates_distance", "duplicates_mirrored", "duplicates_across", "on_two_labels"):
        value = getattr(data, key)
        if ignored and value != fields[key].default:
            yield f"data.{key} = {value!r}: near copies are not searched with data.duplicates: ignore; remove one"
    if data.duplicates_mirrored and data.duplicates_distance is None:
        yield "data.duplicates_mirrored: needs data.duplicates_distance; without it only bytes are compared"
