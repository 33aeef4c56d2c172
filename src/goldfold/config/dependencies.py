"""Recipes: everything a job depends on besides its input files (settings, digests of user files, code)."""

from collections.abc import Callable
from os.path import exists
from typing import Any

from goldfold import components, ledger, openings
from goldfold.base.given import required
from goldfold.config import chosen, frozen_recipes, full_data, slices, stacked, views
from goldfold.config.detector import detection, member_of
from goldfold.config.pseudo_labels import ByAccuracy, recipe_of
from goldfold.config.root import Config
from goldfold.config.rounds import Clean, Teacher
from goldfold.lineage import provenance
from goldfold.lineage.contents import fingerprint
from goldfold.lineage.recipes import Recipe
from goldfold.planning.lessons import ENSEMBLE
from goldfold.planning.plan import Job
from goldfold.planning.row_lists import ALL


def recipe(config: Config, job: Job) -> Recipe:
    """Recipe of a job, as plain builtins."""
    return {
        "settings": SETTINGS[job.stage](config, job),
        "data": DATA[job.stage](config, job) if job.stage in DATA else {},
        "code": code(config, job),
    }


def code(config: Config, job: Job) -> dict[str, Any]:
    """Code that a job runs; components that the config does not use are left out."""
    of = [
        chosen.script(config, job.work, job.model),
        *chosen.places(config, job.work, job.model or frozen_recipes.first_of(config, job), job.round),
    ]
    found = {"of": of, "digest": provenance.source_digest(*of)}
    # cached images are an input of training
    has_images = job.embedding or (job.model and job.work != "heads")
    return {**found, "cache": provenance.source_digest("cache")} if has_images else found


def _cache(config: Config, job: Job) -> dict[str, Any]:
    return {"channels": config.data.channels}


def _of_run(config: Config, job: Job) -> dict[str, Any]:
    """Settings shared by training and prediction of a run: image preparation, runtime and place in the grid."""
    return {
        "task": slices.task(config),
        "resize": slices.resize(config, job.model),
        "channels": config.data.channels,
        "scale_16bit": config.data.scale_16bit,
        "place": job.place,
        "runtime": slices.runtime(config),
    }


def _train(config: Config, job: Job) -> dict[str, Any]:
    start, teacher = config.grid.start(job.run), config.every_round[job.round].teacher
    # a teacher's weight is above 0, so that training with and without one differs
    untaught = 0.0 if job.round else 1.0
    return {
        **_of_run(config, job),
        **slices.watched(config, job.model, job.round),
        "model": slices.learning(config, job.model, job.round),
        "pseudo_weight": teacher.weight if teacher else untaught,
        **({"start": start.parent.folder} if start else {}),
        **_distilled(config, job),
        **({"clean": True} if config.every_round[job.round].clean else {}),  # so that training with and without differs
    }


def _inner_train(config: Config, job: Job) -> dict[str, Any]:
    """Settings of an inner training, which has no generated images: these are made for the training rows of a whole fold."""
    found = _train(config, job)
    found["model"]["train"].pop("generated", None)
    return found


def _generate(config: Config, job: Job) -> dict[str, Any]:
    how = required(config.model(job.model, job.round).train.generated, f"{job.name}: no train.generated")
    return {
        "task": slices.task(config),
        "generator": how.generator,
        "per_image": how.per_image,
        "place": {"model": job.model, "round": job.round, "fold": job.fold},
        "scale_16bit": config.data.scale_16bit,
        "runtime": slices.runtime(config),
        **({"is_trial": True} if config.quick else {}),
    }


def _full_train(config: Config, job: Job) -> dict[str, Any]:
    return full_data.without_validation(_train(config, job))


def _derive(config: Config, job: Job) -> dict[str, Any]:
    """Settings of a soup or a snapshot: those of the first training whose weights it is made from, under its own name."""
    first = next(run for run in config.grid.ancestry(job.run) if run.model not in config.grid.origins)
    own = next(model for model in config.models if model.name == job.model)
    soup, votes = own.soup, {"neighbours": own.neighbours.model_dump()} if own.neighbours else {}
    return {
        **_of_run(config, job),
        **slices.watched(config, first.model, first.round, always=soup is not None and soup.select == "greedy"),
        "model": {**slices.learning(config, first.model, first.round), "name": job.model, **votes},
        "of": [run.folder for run in config.grid.sources(job.run)],
        "snapshot": config.grid.origins[job.model].snapshot,
        "select": soup.select if soup else None,
    }


def _distilled(config: Config, job: Job) -> dict[str, Any]:
    """Teachers of a student, and how they are fused if they are an ensemble."""
    lesson, wanted = config.grid.lesson(job.run), config.model(job.model, job.round).train.distill
    if lesson is None or wanted is None:
        return {}
    fusion = slices.teaching(config, {run.model for run in lesson.teachers})
    named = {"teachers": [run.folder for run in lesson.teachers]}
    return {"distilled": {**named, **({"fusion": fusion} if wanted.teacher == ENSEMBLE else {})}}


def _predict(config: Config, job: Job) -> dict[str, Any]:
    return {
        **_of_run(config, job),
        "model": slices.network(config, job.model),
        "tta": views.settled(config.tta),
        "batch_norm": config.batch_norm,
        "batch_size": config.runtime.predict_batch_size,
    }


def _pseudo_label(config: Config, job: Job) -> dict[str, Any]:
    teacher = _teacher(config, job.round)
    return {
        "task": slices.task(config),
        "threshold": teacher.threshold,
        **recipe_of(teacher),
        **slices.teaching(config, teacher.models or ()),
    }


def _clean(config: Config, job: Job) -> dict[str, Any]:
    clean = _cleaning(config, job.round)
    return {"task": slices.task(config), "action": clean.action, **slices.teaching(config, clean.models or ())}


def _cleaning(config: Config, number: int) -> Clean:
    return required(config.every_round[number].clean, f"round {number} has no clean")


def _judging(config: Config, job: Job) -> dict[str, Any]:
    """Settings that name the predictions that training rows are judged by."""
    clean = _cleaning(config, job.round)
    return {**clean.model_dump(include={"models", "round", "folds"}), "seed": config.seeds[0]}


def _ensemble(config: Config, job: Job) -> dict[str, Any]:
    return {
        "task": slices.late_task(config),
        "metric": config.metric,
        "models": sorted(model.name for model in config.models),
        "seeds": config.seeds,
        "n_folds": config.folds.n_folds,
        "rounds": _trained(config),
        **({"soups": once} if (once := _with_one_seed(config)) else {}),
        **({"external": external} if (external := [one.name for one in config.externals]) else {}),
        "has_test": config.data.has_test,
        **({"has_holdout": True} if config.holdout else {}),
        "weights": slices.weights(config),
        "settings": slices.fusing(config),
        **slices.steps(config),
        **({"metadata": columns} if (columns := stacked.columns(config)) else {}),
        **({"embeddings": taken} if (taken := config.stacked_embeddings) else {}),
        **full_data.for_ensemble(config),
    }


def _with_one_seed(config: Config) -> list[str]:
    """Models with one run per fold, and not one per seed."""
    return [model.name for model in config.models if model.is_made and config.origins[model.name].has_one_seed]


def _external(config: Config, job: Job) -> dict[str, Any]:
    one = next(one for one in config.externals if one.name == job.external)
    files = {part: path for part, path in (("oof", one.oof), ("test", one.test)) if path is not None}
    return {"task": slices.task(config), "name": one.name, "files": files, "fold": one.fold}


def _teacher(config: Config, number: int) -> Teacher:
    return required(config.every_round[number].teacher, f"round {number} has no teacher")


def _teaching(config: Config, job: Job) -> dict[str, Any]:
    """Settings that name the predictions that pseudo labels are made from."""
    teacher, grid = _teacher(config, job.round), config.grid
    latest = {name: grid.latest(name, int(teacher.round or 0)) for name in teacher.models or ()}
    of = {name: number for name, number in latest.items() if number != job.round - 1}
    named = {"models": teacher.models, "seeds": config.seeds, "sources": teacher.sources}
    judging = {"judging": teacher.adapt.model_dump(exclude={"floor"})} if isinstance(teacher.adapt, ByAccuracy) else {}
    return {**named, **({"rounds": of} if of else {}), **judging}


def _trained(config: Config) -> int | list[list[str] | None]:
    """Models that are trained in each round; the number of rounds if each trains all models."""
    models = [one.models for one in config.every_round]
    return len(models) if all(len(names or ()) == len(config.models) for names in models) else models


def _submit(config: Config, job: Job) -> dict[str, Any]:
    return {
        "task": slices.late_task(config),
        "metric": config.metric,
        "sample": config.submission.sample,
        "settings": config.submission.model_dump(exclude={"sample"}),
    }


def _match(config: Config, job: Job) -> dict[str, Any]:
    roi = detection(config)
    return {"same_names": roi.same_names, "labels": roi.labels}


def _crop(config: Config, job: Job) -> dict[str, Any]:
    roi, detector = detection(config), required(config.detector, "no detector")
    return {
        "tables": config.tables,
        "detector": detector.results,
        "member": member_of(detector, roi.member).name if roi.member else None,
        "roi": roi.model_dump(include={"pick", "least_score", "labels", "margin"}),
        "device": config.runtime.device,
    }


SETTINGS: dict[str, Callable[[Config, Job], dict[str, Any]]] = {
    "demo": lambda config, job: slices.demo(config),
    "manifest": lambda config, job: slices.manifest(config),
    "match": _match,
    "crop": _crop,
    "folds": lambda config, job: slices.folds(config),
    "cache": _cache,
    "embed": frozen_recipes.embed,
    "heads": frozen_recipes.heads,
    "heads_once": frozen_recipes.heads,
    "train": _train,
    "derive": _derive,
    "predict": _predict,
    "teach": _predict,
    "generate": _generate,
    "inner_train": _inner_train,
    "inner_predict": _predict,
    "clean": _clean,
    "pseudo_label": _pseudo_label,
    "full_label": _pseudo_label,
    "full_train": _full_train,
    "full_predict": _predict,
    "external": _external,
    "ensemble": _ensemble,
    "submit": _submit,
    "report": lambda config, job: slices.report(config),
}
"""Settings of each stage, as its ``run`` takes them."""


def _pretrained(config: Config, job: Job) -> dict[str, str]:
    """Digest of a local weights file: other weights under the same name are other data."""
    if config.grid.start(job.run):  # it starts from weights of this run
        return {}
    return _weights_file(config, job.model)


def _weights_file(config: Config, name: str) -> dict[str, str]:
    model = next(model for model in config.models if model.name == name)
    folder = str(model.params.get("checkpoint", ""))
    found = {"pretrained": fingerprint([model.pretrained])} if isinstance(model.pretrained, str) else {}
    return found | ({"checkpoint": fingerprint([folder])} if exists(folder) else {})


def _listed(config: Config) -> list[str]:
    """User files that say where cases belong."""
    return config.data.owned(config.folds.file) + config.data.owned(config.holdout.file if config.holdout else None)


def _ledgers(config: Config) -> dict[str, str]:
    """Digests of the ledgers that the report shows."""
    public = ledger.fingerprint(components.label(config.metric or ""))
    return {**public, **(openings.fingerprint() if config.holdout else {})}


def _deciding(config: Config, job: Job) -> dict[str, Any]:
    """Settings that name the trainings whose epochs decide those of a training on all rows."""
    is_frozen = (job.model, job.round) in config.on_all_rows.frozen
    return {"epochs of": {"seeds": config.seeds, "n_folds": config.folds.n_folds}} if is_frozen else {}


def _source_rows(config: Config, job: Job) -> dict[str, str]:
    """The setting that names the list of the cases from whose images others are generated."""
    rows = config.model(job.model, job.round).train.rows
    return {} if rows == ALL else {"rows": rows}


DATA: dict[str, Callable[[Config, Job], dict[str, Any]]] = {
    "manifest": lambda config, job: {path: fingerprint([path]) for path in raw(config)},
    "folds": lambda config, job: {path: fingerprint([path]) for path in _listed(config)},
    "embed": lambda config, job: _weights_file(config, frozen_recipes.first_of(config, job)),
    "heads_once": lambda config, job: (
        _weights_file(config, job.model) if frozen_recipes.texts(config, job.model) else {}
    ),
    "train": _pretrained,
    "generate": _source_rows,
    "inner_train": _pretrained,
    "clean": _judging,
    "pseudo_label": _teaching,
    "full_label": lambda config, job: {**_teaching(config, job), "n_folds": config.folds.n_folds},
    "full_train": lambda config, job: {**_pretrained(config, job), **_deciding(config, job)},
    "external": lambda config, job: {path: fingerprint([path]) for path in _external(config, job)["files"].values()},
    "submit": lambda config, job: {"sample": fingerprint(config.data.owned(config.submission.sample))},
    "report": lambda config, job: _ledgers(config),
}
"""User files that each stage reads, with their digests, and other settings that name its inputs."""


def raw(config: Config) -> list[str]:
    """User files and folders that the manifest is made from."""
    return config.data.raw_paths() + config.data.owned(config.submission.sample)
