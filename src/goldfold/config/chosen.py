"""The entries of the catalog that each stage runs, as ``module:name``: jobs depend on their code."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from goldfold import catalog
from goldfold.components import name_of, parse, place, summed
from goldfold.config.learning import Train
from goldfold.config.models import MEAN
from goldfold.config.root import Config
from goldfold.ensembling.steps import entries
from goldfold.inference.parameters import AUGMENT
from goldfold.planning.lessons import ENSEMBLE
from goldfold.samples.presets.reading import names
from goldfold.targets.class_weights import by_name
from goldfold.tasks import facts

WITHOUT_TASK = ("demo", "match", "crop", "cache", "embed")
"""Stages that do not depend on the task."""


def places(config: Config, stage: str, model: str = "", number: int = 0) -> list[str]:
    """``module:name`` of all components that the jobs of a stage load, sorted.

    Args:
        model: name of the model, for stages that run per member.
        number: number of the round.
    """
    task = facts(config.task)
    own = [catalog.TASKS.get(config.task, config.task)]
    metrics = _of([config.metric, *task.reported], task.metrics)
    methods = _of([next(iter(task.methods)), config.average.method], task.methods)
    chosen = {
        "demo": _of([config.data.source], catalog.DEMOS) if stage == "demo" else [],
        "manifest": _of([config.data.read_as.source], catalog.SOURCES),
        "folds": _of([config.folds.splitter], catalog.SPLITTERS),
        "train": _training(config, model, number) if stage == "train" else [],
        "derive": [*_network(config, model), *metrics, catalog.VIEWS["identity"]] if stage == "derive" else [],
        **dict.fromkeys(("predict", "teach"), _predicting(config, model) if stage in ("predict", "teach") else []),
        "embed": _embedding(config, model) if stage == "embed" else [],
        "heads": _head(config, model) if stage == "heads" else [],
        "generate": _generator(config, model, number) if stage == "generate" else [],
        "clean": methods,
        "pseudo_label": methods,
        "ensemble": [*methods, *metrics, *_steps(config)],
        "report": metrics,
    }
    return sorted({*([] if stage in WITHOUT_TASK else own), *chosen.get(stage, [])})


def script(config: Config, stage: str, model: str) -> str:
    """Name of the script that does the work of a stage for a model: that of the stage, unless another library trains it."""
    networks = [name_of(one.network) for one in config.models if one.name == model]
    return next(
        (catalog.OWN_TRAINER[name] for name in networks if name in catalog.OWN_TRAINER and stage == "train"), stage
    )


def _of(written: Iterable[Any], entries: Mapping[str, str]) -> list[str]:
    return [place(name_of(one), entries, "component") for one in written if one is not None]


def _steps(config: Config) -> list[str]:
    """Steps of the ensemble, and metrics that they optimise."""
    task, wanted = facts(config.task), [config.fusion or "average", *config.postprocessing]
    metrics = [parse(step)[1].get("metric") for step in wanted if ":" not in name_of(step)]
    return [*_of(wanted, entries(task)), *_of(metrics, task.metrics)]


def _predicting(config: Config, model: str) -> list[str]:
    return [*_network(config, model), *_views(config, config.tta)]


def _views(config: Config, views: Sequence[Any]) -> list[str]:
    augmented = [params.get("augment", AUGMENT) for name, params in map(parse, views) if name == "random"]
    return [
        *_of(views, facts(config.task).views),
        *(place for wanted in augmented for place in _augmentations(wanted)),
    ]


def _embedding(config: Config, model: str) -> list[str]:
    frozen = next(one.frozen for one in config.models if one.name == model)
    return [*_network(config, model), *_views(config, frozen.views if frozen else ())]


def _head(config: Config, model: str) -> list[str]:
    frozen = next(one.frozen for one in config.models if one.name == model)
    return _of([frozen.head] if frozen else [], catalog.HEADS[facts(config.task).target])


def _network(config: Config, model: str) -> list[str]:
    """Network, the pooling of its own head, the layers over the images of a case, embedding and neighbours."""
    wanted = next(one for one in config.models if one.name == model)
    pooling = None if wanted.head is None else wanted.head.pooling
    views = [] if wanted.views == MEAN else _of([wanted.views], catalog.AGGREGATIONS)
    heads = [catalog.EMBEDDED] * bool(wanted.embedding) + [catalog.NEIGHBOURS] * bool(wanted.neighbours)
    return [*_of([wanted.network], facts(config.task).networks), *_of([pooling], catalog.POOLINGS), *views, *heads]


def _training(config: Config, model: str, number: int) -> list[str]:
    """Network, losses, class weights, user-defined optimizer, schedule, update rule, hooks, sampler, mixes, augmentations,
    metrics, validation view."""
    task, settings = facts(config.task), config.model(model, number).train
    wanted = settings.loss or task.default_loss
    losses = [part for part, _ in summed(wanted)] if wanted and "loss" in task.loss_keys else []
    return [
        *_network(config, model),
        *_of(losses, task.losses),
        *_of([] if by_name(settings.class_weights) else [settings.class_weights], catalog.CLASS_WEIGHTS),
        *(name for name in [name_of(settings.optimizer)] if ":" in name),
        *_of([settings.schedule], catalog.SCHEDULES),
        *_of([settings.update], catalog.UPDATES),
        *_of(settings.every_hook, catalog.HOOKS),
        *_of([settings.sampler], catalog.SAMPLERS),
        *_of(settings.every_mix, task.mixes),
        *_augmentations(settings.augment),
        *_distillation(config, settings),
        *_fixmatch(config, settings),
        *([] if settings.auxiliary is None else [catalog.AUXILIARY]),
        *_of([config.metric, *task.reported], task.metrics),
        catalog.VIEWS["identity"],
    ]


def _distillation(config: Config, settings: Train) -> list[str]:
    """Loss against a teacher, and fusion of its predictions by the task."""
    if settings.distill is None:
        return []
    task, is_ensemble = facts(config.task), settings.distill.teacher == ENSEMBLE
    methods = [next(iter(task.methods)), *[config.average.method] * is_ensemble]
    output = f"{catalog.TASKS[config.task]}.{catalog.FACETS['output']}"
    return [catalog.STUDENT, catalog.DISTILLATIONS[task.target], output, *_of(methods, task.methods)]


def _fixmatch(config: Config, settings: Train) -> list[str]:
    """Training on unlabelled images, and the augmentations of their views."""
    if settings.fixmatch is None:
        return []
    method = catalog.FIXMATCH[facts(config.task).target]
    return [
        method,
        *_augmentations(settings.fixmatch.weak_view(settings.augment)),
        *_augmentations(settings.fixmatch.strong),
    ]


def _generator(config: Config, model: str, number: int) -> list[str]:
    how = config.model(model, number).train.generated
    return [] if how is None else _of([how.generator], catalog.GENERATORS[facts(config.task).target])


def _augmentations(wanted: Any) -> list[str]:
    """Steps of goldfold and user-defined ones; those of presets are part of the recipe, see `slices.learning`."""
    entries = catalog.AUGMENTATIONS
    return [entries.get(name, name) for name in names(wanted) if name in entries or ":" in name]
