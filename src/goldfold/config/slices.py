"""The smallest part of the config that each stage depends on, as plain builtins tracked by Snakemake."""

from collections.abc import Iterable
from typing import Any

from goldfold import catalog
from goldfold.components import Written, label, name_of, parse
from goldfold.config import columns, hooks, roi, views, windows
from goldfold.config.frozen import trials
from goldfold.config.full_data import for_ensemble
from goldfold.config.models import Model
from goldfold.config.quick import MOST_IMAGES
from goldfold.config.root import Config
from goldfold.config.trial_keys import written_keys
from goldfold.config.tried import after_prediction
from goldfold.planning import inner
from goldfold.planning.row_lists import chosen_rows
from goldfold.samples.presets.reading import expanded
from goldfold.targets.class_files import BITS
from goldfold.tasks import facts

POLICIES = ("on_bad_image", "on_missing_image", "on_missing_label", "on_bad_label")
COPIES = {
    "within": "duplicates",
    "distance": "duplicates_distance",
    "mirrored": "duplicates_mirrored",
    "across": "duplicates_across",
    "two_labels": "on_two_labels",
}
"""Setting of `goldfold.audit.copies.Policy` -> key of data sources."""
TASK_KEYS = ("mask_values", "ignore_value", "mask_palette", "unlisted_values", "label_separator", "pixel_centre")
"""Keys of data sources that reach the stages as settings of the task."""


def demo(config: Config) -> dict[str, Any]:
    """Settings that the files of a demo data set depend on; empty for user data."""
    return config.data.model_dump(include={"source", "directory"}) if config.data.demo_files else {}


NO_SIZES: Any = dict.fromkeys(("image_size_px", "cache_image_size_px", "resize", "interpolation"), True)
"""Keys of a model that determine its input size; recipes hold the sizes themselves."""


def manifest(config: Config) -> dict[str, Any]:
    """Settings that the manifest depends on besides raw data."""
    others = {
        "channels",
        "max_pixels",
        "scale_16bit",
        "shards",
        "classes",
        "metadata",
        "roi",
        *POLICIES,
        *COPIES.values(),
        *TASK_KEYS,
    }
    reader = config.data.read_as
    source = reader.model_dump(exclude=others - reader.reader_keys) | roi.reader_settings(config.data.roi)
    sample = config.submission.sample
    needs_metric = sample is not None or (config.metric is not None and name_of(config.metric) == "quadratic_kappa")
    metric = config.metric if needs_metric else None
    return {
        "source": source,
        "task": task(config),
        "metric": metric,
        "sample": sample,
        "submission": config.submission.model_dump(exclude={"sample"}),
        "classes": config.data.named_classes,
        "channels": config.data.channels,
        "max_pixels": config.data.max_pixels,
        "policies": config.data.model_dump(include=set(POLICIES)),
        **roi.settings(config.data.roi),
        "duplicates": {setting: getattr(config.data, key) for setting, key in COPIES.items()},
        **({"most_rows": MOST_IMAGES} if config.quick else {}),
    }


def folds(config: Config) -> dict[str, Any]:
    """Settings that the folds depend on besides the manifest."""
    return {
        "task": task(config),
        "splits": config.tables,
        "shards": config.data.shards,
        **config.folds.model_dump(),
        **({"holdout": config.holdout.model_dump()} if config.holdout else {}),
        **({"inner": parts} if (parts := inner.numbers_of_parts(config.grid)) else {}),
        **({"full": True} if config.full_data else {}),
        **({"rows": sorted({*chosen.values()})} if (chosen := chosen_rows(config)) else {}),
    }


def given(config: Config) -> dict[str, str]:
    """Keys that give a column of folds or of an order, for error messages; not part of a recipe."""
    keys = ((column, config.data.key_of(column)) for column in ("fold", "order"))
    return {column: key for column, key in keys if key}


def task(config: Config) -> dict[str, Any]:
    """Name of the task, and its settings that take effect before the ensemble."""
    late = facts(config.task).post_training_settings
    early = {key: value for key, value in config.task_params.items() if key not in late}
    return {"name": config.task, **early, **config.data.target_settings}


def late_task(config: Config) -> dict[str, Any]:
    """Name and all settings of the task."""
    return {**task(config), **config.task_params}


def fusing(config: Config) -> dict[str, Any]:
    """Settings of the average of members."""
    return {
        "method": config.average.method,
        **{key: getattr(config.average, key) for key in facts(config.task).ensemble_keys},
    }


def teaching(config: Config, teachers: Iterable[str]) -> dict[str, Any]:
    """How the predictions of a round's teachers are fused: as those of the ensemble, with the teachers' own weights.

    The weight of a sole teacher changes nothing.
    """
    names = set(teachers)
    of_teachers = {name: weight for name, weight in weights(config).items() if name in names and len(names) > 1}
    return {"weights": of_teachers, "settings": fusing(config)}


def weights(config: Config) -> dict[str, float]:
    """Weights of the models by name, without those that are 1, the default."""
    return {name: float(weight) for name, weight in config.average.weights.items() if weight != 1}


def steps(config: Config) -> dict[str, Any]:
    """Steps of the ensemble other than an average with given weights."""
    return {"fusion": config.fusion, "postprocessing": config.postprocessing}


def learning(config: Config, name: str, number: int = 0) -> dict[str, Any]:
    """Settings of a model that its training in a round depends on."""
    model = config.model(name, number)
    late = catalog.LATE_PARAMS.get(name_of(model.network), frozenset())
    params = {key: value for key, value in model.params.items() if key not in late}
    known = facts(config.task)
    settings = model.model_dump(exclude={**NO_SIZES, "metadata": True, "train": set(hooks.SHORT)})
    settings["train"] |= {"hooks": model.train.every_hook, "loss": model.train.loss or known.default_loss}
    if model.train.every_mix or model.train.distill or model.train.fixmatch:
        settings |= {"target": known.target}
    if model.train.every_mix:
        settings["train"] |= {"mix": model.train.every_mix}
    else:
        settings["train"]["mix_probability"] = (
            type(model.train).model_fields["mix_probability"].default
        )  # has no effect
    settings["train"]["augment"] = expanded(model.train.augment)
    settings["train"] |= _unlabeled(config, model)
    if model.train.generated is not None:  # how its images are made is a setting of the job that makes them
        settings["train"] |= {"generated": model.train.generated.model_dump(include={"share", "weight"})}
    named = {**columns.of_branch(config, model), **columns.auxiliary(config, model)}
    more = {**_size(config, model), **windows.of_training(model), **named}
    keys = [key for key in known.loss_keys if key in settings["train"]]  # an unset one may be left out
    return {**settings, "loss_keys": keys, "params": params, **more}


def _unlabeled(config: Config, model: Model) -> dict[str, Any]:
    """Settings of FixMatch: its views, and the splits that there are."""
    how = model.train.fixmatch
    if how is None:
        return {}
    views = {"weak": expanded(how.weak_view(model.train.augment)), "strong": expanded(how.strong)}
    return {"fixmatch": {**how.model_dump(), **views, "sources": how.splits(config.splits)}}


def watched(config: Config, name: str, number: int = 0, always: bool = False) -> dict[str, Any]:
    """Validation metrics during training: the one that selects the best epoch or ends the training, and others reported.

    If the last epoch is kept and nothing stops earlier, the config's metric has no effect on training, and changing it
    retrains nothing. A user-defined metric is then computed by the ensemble alone.

    Args:
        always: whether the config's metric has an effect in any case, as on the choice of a soup's ingredients.
    """
    task = facts(config.task)
    train = config.model(name, number).train
    is_lowered = _lowers_rate(config, train.schedule)
    is_watched = always or is_lowered or train.checkpoint == "best" or hooks.watched(train) == "metric"
    metric = config.metric if is_watched else task.reported[0]
    return {"metric": metric, "reported": [other for other in task.reported if other != metric]}


def _lowers_rate(config: Config, schedule: Written) -> bool:
    """Return whether a schedule plateau watches the config's metric, and training would not compute it otherwise."""
    name, params = parse(schedule)
    if name != "plateau" or config.metric is None or config.metric in facts(config.task).reported:
        return False
    return bool(params.get("monitor") == label(config.metric))


def network(config: Config, name: str) -> dict[str, Any]:
    """Settings of a model that its prediction depends on."""
    model = _model(config, name)
    keys = {"network", "backbone", "params", "head", "views", "max_images", "embedding", "neighbours"}
    described = model.model_dump(include=keys)
    return {**described, **_size(config, model), **windows.of_prediction(model), **columns.of_branch(config, model)}


def _size(config: Config, model: Model) -> dict[str, list[int]]:
    """Height and width of a network's input, and of the cached images if they are larger."""
    cached = config.cached_size(model)
    return {"size": list(model.size), **({} if cached == model.size else {"cache_size": list(cached)})}


def runtime(config: Config) -> dict[str, Any]:
    """Runtime settings that change the bytes of a model; the number of loader processes does not."""
    return config.runtime.model_dump(include={"device", "precision", "torch_threads"})


def work(config: Config) -> dict[str, Any]:
    """Runtime settings of a training job that do not change its result."""
    return config.runtime.model_dump(include={"loader_workers", "save_minutes"})


def gpus(config: Config, name: str | None = None) -> dict[str, int]:
    """GPUs that a job uses: those of the model for training, one for prediction; empty on the CPU."""
    if config.runtime.device == "cpu":
        return {}
    return {"count": _model(config, name).gpus if name else 1, "jobs_per_gpu": config.runtime.jobs_per_gpu}


def report(config: Config) -> dict[str, Any]:
    """Settings that the report depends on besides its inputs."""
    shown = {**config.report.model_dump(), "name": config.name, "task": late_task(config), "metric": config.metric}
    settings = config.model_dump(mode="json", by_alias=True, exclude={"strict_versions", "rounds"})
    rounds = {} if config.rounds is None else {"rounds": [one.model_dump(mode="json") for one in config.every_round]}
    return {**shown, "settings": settings | rounds, **for_ensemble(config)}


def resize(config: Config, name: str) -> str:
    """Resize mode of a model, with its interpolation."""
    return str(_model(config, name).resizing)


def network_checks(config: Config) -> list[dict[str, Any]]:
    """Settings for building each model once, before any job runs."""
    found, written = list[dict[str, Any]](), list[dict[str, str]]()
    every = [config.model(run.model, run.round) for run in config.grid.trained_runs()]
    learns = [(model.name, model.train.distill) for model in every]
    featured = {of for name, how in learns if how and how.features for of in (name, how.teacher)}
    for model in (model for model in config.models if not model.is_made):
        for number in (number for number, one in enumerate(config.every_round) if model.name in (one.models or ())):
            wanted = {
                **learning(config, model.name, number),
                "params": model.params,
                "channels": config.data.channels,
                "batch_norm": config.batch_norm,
                **after_prediction(config),
                **_start_size(config, model, number),
                **({"tta": config.tta} if views.needs_trial(config.tta) else {}),
                **({"shows_features": True} if model.name in featured else {}),
                **({"overlap": True} if config.data.target_settings.get("mask_values") == BITS else {}),
                **(
                    {"generated": how.model_dump()} if (how := config.model(model.name, number).train.generated) else {}
                ),
            }
            if wanted not in found:
                found.append(wanted)
                written.append(written_keys(config, model.name, number))
    return [{**one, "written": keys} for one, keys in zip(found, written, strict=True)] + trials(config)


def _start_size(config: Config, model: Model, number: int) -> dict[str, list[int]]:
    """Size of the network whose weights a model starts from in a round, if it is another one."""
    origin, _ = config.grid.rounds[number].starts.get(model.name, (model.name, 0))
    size = _model(config, origin).size
    return {} if size == model.size else {"start_size": list(size)}


def _model(config: Config, name: str) -> Any:
    return next(model for model in config.models if model.name == name)
