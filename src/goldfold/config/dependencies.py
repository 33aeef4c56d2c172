"""All that a job depends on besides its input files: settings, digests of the user's files, code. Its recipe is made of it."""

from collections.abc import Callable
from typing import Any

from goldfold.config import chosen, slices
from goldfold.config.root import Config
from goldfold.lineage import provenance
from goldfold.lineage.contents import fingerprint
from goldfold.lineage.recipes import Recipe
from goldfold.plan import Job


def recipe(config: Config, job: Job) -> Recipe:
    """What a job is made from besides its input files, as plain builtins."""
    return {
        "settings": SETTINGS[job.stage](config, job),
        "data": DATA[job.stage](config, job) if job.stage in DATA else {},
        "code": code(config, job),
    }


def code(config: Config, job: Job) -> dict[str, Any]:
    """Code that a job runs: components that the config does not name do not count."""
    of = [job.stage, *chosen.places(config, job.stage, job.model)]
    found = {"of": of, "digest": provenance.source_digest(*of)}
    # cached images are part of what a network learns from
    return {**found, "cache": provenance.source_digest("cache")} if job.model else found


def _cache(config: Config, job: Job) -> dict[str, Any]:
    return {"channels": config.data.channels}


def _of_run(config: Config, job: Job) -> dict[str, Any]:
    """What a run is trained and predicted with alike: how it is shown images, and where it stands in the grid."""
    return {
        "task": slices.task(config),
        "resize": slices.resize(config, job.model),
        "channels": config.data.channels,
        "scale_16bit": config.data.scale_16bit,
        "place": job.place,
        "runtime": slices.runtime(config),
    }


def _train(config: Config, job: Job) -> dict[str, Any]:
    return {
        **_of_run(config, job),
        **slices.watched(config, job.model),
        "model": slices.learning(config, job.model),
        "pseudo_weight": config.pseudo_labels.weight if job.round else 1.0,
    }


def _predict(config: Config, job: Job) -> dict[str, Any]:
    return {
        **_of_run(config, job),
        "model": slices.network(config, job.model),
        "tta": config.tta,
        "batch_norm": config.batch_norm,
        "batch_size": config.runtime.predict_batch_size,
    }


def _pseudo_label(config: Config, job: Job) -> dict[str, Any]:
    return {
        "task": slices.task(config),
        "threshold": config.pseudo_labels.threshold,
        **slices.teaching(config),
    }


def _ensemble(config: Config, job: Job) -> dict[str, Any]:
    return {
        "task": slices.late_task(config),
        "metric": config.metric,
        "models": sorted(model.name for model in config.models),
        "seeds": config.seeds,
        "n_folds": config.folds.n_folds,
        "rounds": len(config.rounds),
        "has_test": config.data.has_test,
        "weights": slices.weights(config),
        "settings": slices.fusing(config),
        **slices.steps(config),
    }


def _submit(config: Config, job: Job) -> dict[str, Any]:
    return {
        "task": slices.late_task(config),
        "metric": config.metric,
        "sample": config.submission.sample,
        "settings": config.submission.model_dump(exclude={"sample"}),
    }


SETTINGS: dict[str, Callable[[Config, Job], dict[str, Any]]] = {
    "demo": lambda config, job: slices.demo(config),
    "manifest": lambda config, job: slices.manifest(config),
    "folds": lambda config, job: slices.folds(config),
    "cache": _cache,
    "train": _train,
    "predict": _predict,
    "pseudo_label": _pseudo_label,
    "ensemble": _ensemble,
    "submit": _submit,
    "report": lambda config, job: slices.report(config),
}
"""Settings of each stage, as its ``run`` takes them."""


def _pretrained(config: Config, job: Job) -> dict[str, str]:
    """Digest of a local weights file: other weights under the same name are other data."""
    path = next(model.pretrained for model in config.models if model.name == job.model)
    return {"pretrained": fingerprint([path])} if isinstance(path, str) else {}


DATA: dict[str, Callable[[Config, Job], dict[str, Any]]] = {
    "manifest": lambda config, job: {path: fingerprint([path]) for path in raw(config)},
    "folds": lambda config, job: {path: fingerprint([path]) for path in config.data.owned(config.folds.file)},
    "train": _pretrained,
    "pseudo_label": lambda config, job: {
        "models": config.teachers,
        "seeds": config.seeds,
        "sources": config.pseudo_sources,
    },
    "submit": lambda config, job: {"sample": fingerprint(config.data.owned(config.submission.sample))},
}
"""Files of the user's that each stage reads, with their digests, and what else names its inputs."""


def raw(config: Config) -> list[str]:
    """Files and folders of the user's that the manifest is made from."""
    return config.data.raw_paths() + config.data.owned(config.submission.sample)
