"""Quick run of a config: the whole DAG on a few images for one epoch (`--config quick=true`)."""

from typing import Any

MOST_IMAGES = 64
"""Images per split, taken evenly over all."""
BATCH_SIZE = 16
N_FOLDS = 2
GIVEN = ("predefined", "ordered", "ordered_blocks")
"""Splitters for which the data determine the number of folds or their sizes."""
SUFFIX = "-quick"
"""End of the name of a quick run."""
ONE_EPOCH = {"epochs": 1, "warmup_epochs": 0}
NEED_EPOCHS = ("sizes", "warmup")
"""Settings that name later epochs, or need a warm-up."""


def shortened(values: dict[str, Any]) -> dict[str, Any]:
    """The config that is run instead of ``values``, in its own results folder; invalid values are left to later checks.

    One seed, two folds if the config sets their number, one epoch (or one per snapshot) with batches of at most 16 images, at
    most one round of pseudo labels, no holdout, no comparison of splits, and no sample submission, since it lists more images
    than are predicted.
    """
    if not all(
        isinstance(values.get(key) or {}, dict) for key in ("train", "folds", "pseudo_labels", "report", "submission")
    ):
        return values
    folds, labels = _section(values, "folds"), _section(values, "pseudo_labels")
    splitter = folds.get("splitter")
    name = next(iter(splitter)) if isinstance(splitter, dict) and splitter else splitter
    n_folds = {} if name in GIVEN or folds.get("file") else {"n_folds": N_FOLDS}
    rounds = {"rounds": min(1, labels["rounds"])} if isinstance(labels.get("rounds"), int) else {}
    more: dict[str, Any] = {"pseudo_labels": {**labels, **rounds}} if "pseudo_labels" in values else {}
    if isinstance(values.get("rounds"), list):
        more["rounds"] = [_clean(_model(one)) for one in values["rounds"]]
    more |= {"seeds": values["seeds"][:1]} if isinstance(values.get("seeds"), list) else {}
    models = values.get("models")
    more |= {"models": [_model(model) for model in models]} if isinstance(models, list) else {}
    return {
        **{key: value for key, value in values.items() if key != "holdout"}, **more,
        "name": f"{values['name']}{SUFFIX}" if isinstance(values.get("name"), str) else values.get("name"),
        "folds": {"rare_classes": "spread", **folds, **n_folds, "tolerance": None},
        "train": _trained(_section(values, "train")),
        "report": {**_section(values, "report"), "shift": False},
        "submission": {**_section(values, "submission"), "sample": None},
    }  # fmt: skip


def _section(values: dict[str, Any], key: str) -> dict[str, Any]:
    return dict(values.get(key) or {})


def _trained(settings: dict[str, Any]) -> dict[str, Any]:
    size = settings.get("batch_size", BATCH_SIZE)
    settings = {key: value for key, value in settings.items() if key not in NEED_EPOCHS}
    return {
        **_without_classes(_with_short_schedule(_frozen_at_first(settings))),
        **ONE_EPOCH,
        **_cycles(settings),
        "batch_size": min(size, BATCH_SIZE) if isinstance(size, int) else size,
    }


def _clean(one: Any) -> Any:
    """A round whose labels are judged by as few inner trainings as there can be."""
    if not isinstance(one, dict) or not isinstance(one.get("clean"), dict):
        return one
    return {**one, "clean": {**one["clean"], "folds": N_FOLDS}}


def _model(model: Any) -> Any:
    """A model or a round without training settings that would override those of the quick run."""
    if not isinstance(model, dict) or not isinstance(model.get("train"), dict):
        return model
    own = {key: value for key, value in model["train"].items() if key not in (*ONE_EPOCH, *NEED_EPOCHS, "batch_size")}
    return {**model, "train": {**_without_classes(_with_short_schedule(_frozen_at_first(own))), **_cycles(own)}}


def _cycles(settings: dict[str, Any]) -> dict[str, Any]:
    """An epoch for each cycle that ends with a snapshot."""
    n = settings.get("snapshots")
    return {"epochs": n} if isinstance(n, int) else {}


def _frozen_at_first(settings: dict[str, Any]) -> dict[str, Any]:
    """Training settings that freeze what is frozen in the first epoch."""
    freeze = settings.get("freeze")
    return {**settings, "freeze": freeze[:1]} if isinstance(freeze, list) else settings


def _without_classes(settings: dict[str, Any]) -> dict[str, Any]:
    """Training settings without weights of named classes, which the few images may lack."""
    weights = settings.get("class_weights")
    is_named = isinstance(weights, dict) and all(isinstance(value, int | float) for value in weights.values())
    return {key: value for key, value in settings.items() if not (is_named and key == "class_weights")}


def _with_short_schedule(settings: dict[str, Any]) -> dict[str, Any]:
    """Training settings with a constant rate instead of the schedule plateau, which needs several epochs, and with cycles of
    equal length, since the first of several growing ones would be shorter than an update."""
    schedule = settings.get("schedule")
    name = next(iter(schedule), None) if isinstance(schedule, dict) else schedule
    if name == "plateau":
        return {**settings, "schedule": "constant"}
    if isinstance(schedule, dict) and isinstance(params := schedule.get("cosine"), dict):
        equal = {key: value for key, value in params.items() if key != "cycle_mult"}
        return {**settings, "schedule": {**schedule, "cosine": equal}}
    return settings
