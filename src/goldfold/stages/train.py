"""fold, cache and pseudo labels -> one trained network."""

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from accelerate import Accelerator
from safetensors.torch import save_file

from goldfold import optim, tasks
from goldfold.data.cache import CachedImages
from goldfold.data.dataset import Loader, TrainingSet
from goldfold.data.predictions import in_order
from goldfold.data.transforms import Augment
from goldfold.engine.device import accelerator as build_accelerator
from goldfold.engine.loop import Fit, fit
from goldfold.engine.seeding import seeded
from goldfold.inference import views
from goldfold.inference.predict import predict
from goldfold.models.wrapping import load_weights
from goldfold.runtime import provenance
from goldfold.runtime.counter import counter
from goldfold.runtime.files import atomic, read_json, write_json, write_text
from goldfold.runtime.fingerprint import sha256_of
from goldfold.runtime.status import Progress
from goldfold.tasks import Task

VALIDATION_BATCH_SIZE = 64
WORKERS = {"cpu": 0, "cuda": 4}


def run(
    folder: str,
    fold_file: str,
    classes: str,
    caches: list[str],
    pseudo: str | None,
    task: dict[str, Any],
    metric: str,
    model: dict[str, Any],
    resize: str,
    channels: int,
    place: dict[str, int],
    pseudo_weight: float,
    runtime: dict[str, Any],
) -> None:
    """Train one member on one fold and write ``model.safetensors``, ``history.csv`` and ``run.json`` into ``folder``.

    The epoch that was not chosen is kept beside it as ``best.safetensors`` or ``last.safetensors``.

    Args:
        fold_file: CSV of id, split and target.
        caches: folders of cached images of all splits that are learnt from.
        pseudo: CSV of id and target, weighted ``pseudo_weight`` each; None in round 0.
        model: one entry of the config's ``models``; ``resize`` is how its images were put into the cache.
        place: round, fold and seed, which with the model's name decide everything random.
        runtime: device, precision, torch_threads and loader_workers.

    Raises:
        GoldfoldError: the network cannot be built, or its loss is not finite.
    """
    start, started_at = time.monotonic(), time.strftime("%Y-%m-%dT%H:%M:%S%z")
    settings, key = model["train"], (model["name"], place["seed"], place["round"], place["fold"])
    chosen_task = tasks.build(task, read_json(classes))
    accelerator = build_accelerator(runtime["device"], runtime["precision"], runtime["torch_threads"])
    table = pd.read_csv(fold_file, dtype=str, keep_default_na=False)
    images = CachedImages(caches)
    network = _network(chosen_task, model, channels, key)
    rows = _rows(table, pseudo, pseudo_weight)
    samples = _samples(chosen_task, rows, images, model, resize, channels, key)
    loader = Loader(samples, settings["batch_size"], chosen_task.collate, _workers(runtime, accelerator))
    held_out = table[table["split"] == "val"].reset_index(drop=True)
    validate = _validation(chosen_task, held_out, images, resize, metric, accelerator)
    result = _fit(network, chosen_task, loader, validate, settings, metric, key, accelerator)
    _write(Path(folder), result, settings["checkpoint"])
    used = [fold_file, classes, *(f"{cache}/ids.csv" for cache in caches), *([pseudo] if pseudo else [])]
    record = {
        "member": {"model": model["name"], **place},
        "config": {
            "task": task,
            "metric": metric,
            "model": model,
            "resize": resize,
            "channels": channels,
            "pseudo_weight": pseudo_weight,
        },
        "runtime": {**runtime, "device": str(accelerator.device), "precision": accelerator.mixed_precision},
        "seed": counter(*key),
        "n_train": len(rows),
        "n_val": len(held_out),
        "n_pseudo": len(rows) - int((table["split"] == "train").sum()),
        **_outcome(network, result),
        **_provenance(Path(folder), used, task["name"], model["network"]),
        "started": started_at,
        "seconds": round(time.monotonic() - start, 2),
    }
    write_json(Path(folder) / "run.json", record)


def _outcome(network: torch.nn.Module, result: Fit) -> dict[str, Any]:
    return {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "best_epoch": result.best_epoch,
        "final": result.history[-1],
    }


def _provenance(folder: Path, used: list[str], task: str, network: str) -> dict[str, Any]:
    """What the model was made from, and on what."""
    return {
        "inputs": {path: sha256_of(path) for path in used},
        "outputs": {"model.safetensors": sha256_of(folder / "model.safetensors")},
        "code": provenance.source_digest("train", task, network),
        "git": provenance.git_state(),
        "versions": provenance.versions(),
        "hardware": provenance.hardware(),
    }


def _network(task: Task, model: dict[str, Any], channels: int, key: tuple[int | str, ...]) -> torch.nn.Module:
    """The network with its first weights: drawn from ``key``, or loaded."""
    params = dict(model["params"])
    params |= {"backbone": model["backbone"]} if model["backbone"] else {}
    params |= {name: model[name] for name in ("dropout", "drop_path") if model[name]}
    params |= {"pretrained": True} if model["pretrained"] is True else {}
    with seeded(*key, "weights"):
        network = task.model(model["network"], tuple(model["size"]), channels, **params)
    if isinstance(model["pretrained"], str):
        left = load_weights(network.network, model["pretrained"])  # type: ignore[arg-type]
        print(f"loaded {model['pretrained']}; new: {', '.join(left) or 'nothing'}", flush=True)
    return network


def _rows(table: pd.DataFrame, pseudo: str | None, pseudo_weight: float) -> pd.DataFrame:
    """The fold's training images with their targets and weights, pseudo-labelled ones after the labelled."""
    rows = table[table["split"] == "train"].assign(weight=1.0)
    if pseudo is None:
        return rows.reset_index(drop=True)
    extra = pd.read_csv(pseudo, dtype=str, keep_default_na=False).assign(weight=pseudo_weight)
    return pd.concat([rows, extra], ignore_index=True).fillna("")


def _samples(
    task: Task,
    rows: pd.DataFrame,
    images: CachedImages,
    model: dict[str, Any],
    resize: str,
    channels: int,
    key: tuple[int | str, ...],
) -> TrainingSet:
    settings = model["train"]
    augment = Augment(settings["augment"], settings["flips"], tuple(model["size"]), channels, task.compose_params)
    targets = task.targets(rows, images, resize)
    return TrainingSet(list(rows["id"]), targets, list(rows["weight"]), images, augment, key)


def _validation(
    task: Task, rows: pd.DataFrame, images: CachedImages, resize: str, metric: str, accelerator: Accelerator
) -> Any:
    """Function: model -> {metric: its value on the validation images, at the network's resolution}."""
    identity, chosen = views.build(["identity"]), task.metric(metric)
    targets = task.targets(rows, images, resize)

    def validate(model: torch.nn.Module) -> dict[str, float]:
        with accelerator.autocast():
            parts = predict(model, lambda m, x: task.predict(m, x, identity), images, list(rows["id"]),
                            VALIDATION_BATCH_SIZE, accelerator.device)  # fmt: skip
            evidence = task.evidence(in_order(task.pack(rows, parts, images.frame, resize)), rows, targets)
        return {metric: chosen.value(evidence, np.arange(len(rows)))}

    return validate


def _fit(
    network: torch.nn.Module,
    task: Task,
    loader: Loader[Any],
    validate: Any,
    settings: dict[str, Any],
    metric: str,
    key: tuple[int | str, ...],
    accelerator: Accelerator,
) -> Fit:
    """Hand task, optimizer, schedule and batches to the engine."""
    optimizer = optim.build_optimizer(network, settings["optimizer"], settings["lr"], settings["weight_decay"])
    steps_per_epoch = math.ceil(len(loader) / settings["accumulate"])
    warmup = round(settings["warmup_epochs"] * steps_per_epoch)
    schedule = optim.build_schedule(settings["schedule"], optimizer, settings["epochs"] * steps_per_epoch, warmup)
    network.to(accelerator.device)
    ema = optim.average(network, settings["ema_decay"])
    prepared, prepared_optimizer = accelerator.prepare(network, optimizer)
    progress = Progress(settings["epochs"] * steps_per_epoch, "steps")

    def validate_and_tell(model: torch.nn.Module) -> dict[str, float]:
        scores = validate(model)
        text = ", ".join(f"{name} {value:.4f}" for name, value in scores.items())
        print(f"step {progress.done}/{progress.total}: {text}", flush=True)
        progress.advance(0, note=text)
        return scores

    try:
        return fit(
            prepared, task.loss(**{name: settings[name] for name in task.learns_with}), prepared_optimizer, schedule, loader,
            validate_and_tell, accelerator=accelerator, epochs=settings["epochs"],
            validate_every=settings["validate_every"], key=key, monitor=metric,
            greater_is_better=task.metric(metric).greater_is_better, accumulate=settings["accumulate"],
            clip_norm=settings["clip_norm"], ema=ema, on_step=lambda step, loss: progress.advance(),
        )  # fmt: skip
    finally:
        progress.close()


def _workers(runtime: dict[str, Any], accelerator: Accelerator) -> int:
    wanted = runtime["loader_workers"]
    return WORKERS.get(accelerator.device.type, 0) if wanted == "auto" else int(wanted)


def _write(folder: Path, result: Fit, checkpoint: str) -> None:
    other = "best" if checkpoint == "last" else "last"
    for name, weights in (("model", getattr(result, checkpoint)), (other, getattr(result, other))):
        with atomic(folder / f"{name}.safetensors") as temporary:
            save_file(weights, temporary)
    write_text(folder / "history.csv", pd.DataFrame(result.history).to_csv(index=False))
