"""fold, cache and pseudo labels -> one trained network."""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from accelerate import Accelerator
from safetensors.torch import save_file

from goldfold import components, optim, tasks
from goldfold.base.counter import counter
from goldfold.base.errors import ConfigError, TrainingError
from goldfold.base.files import read_json
from goldfold.base.fingerprint import sha256_of
from goldfold.base.status import Progress
from goldfold.cache.images import CachedImages
from goldfold.engine.checkpoint import STATE, StateFile, sweep, weights_digest, write_all
from goldfold.engine.device import accelerator as build_accelerator
from goldfold.engine.device import backend, total
from goldfold.engine.group import run_together
from goldfold.engine.loop import Fit, Pause, fit
from goldfold.engine.memory import as_memory_allows
from goldfold.engine.seeding import seeded
from goldfold.engine.stopping import Keeper, signals_noted
from goldfold.images.depth import DEFAULT, Rule
from goldfold.inference.predictor import Predictor, build
from goldfold.lineage import provenance
from goldfold.metrics import Metric
from goldfold.predictions.arrays import in_order
from goldfold.samples.dataset import Loader, TrainingSet
from goldfold.samples.transforms import Augment
from goldfold.tasks.optional import compose_params
from goldfold.tasks.protocol import Infer, Learn, Score, Target

VALIDATION_BATCH_SIZE = 64
WORKERS = {"cpu": 0, "cuda": 4}
SAVE_MINUTES = 5.0
OUTPUTS = ("model.safetensors", "best.safetensors", "last.safetensors", "history.csv")
LIBRARIES = ("torch", "torchvision", "timm", "segmentation-models-pytorch", "numpy", "albumentations", "accelerate")


def run(
    folder: str,
    fold_file: str,
    classes: str,
    caches: list[str],
    pseudo: str | None,
    task: dict[str, Any],
    metric: components.Written,
    model: dict[str, Any],
    resize: str,
    channels: int,
    place: dict[str, int],
    pseudo_weight: float,
    runtime: dict[str, Any],
    scale_16bit: Rule = DEFAULT,
    reported: Sequence[components.Written] = (),
    code: str = "",
    progress: Callable[[int, str], Any] = Progress,
) -> dict[str, Any]:
    """Train one member on one fold: write ``model.safetensors`` and ``history.csv`` into ``folder``; return the facts.

    The epoch that was not chosen is kept beside it as ``best.safetensors`` or ``last.safetensors``. ``state.pt`` is
    what the run that is started next goes on from, where this one is killed, and ends with the same bytes.

    Args:
        fold_file: CSV of id, split and target.
        caches: folders of cached images of all splits that are learnt from.
        pseudo: CSV of id and target, weighted ``pseudo_weight`` each; None in round 0.
        model: one entry of the config's ``models``; ``resize`` is how its images were put into the cache.
        place: round, fold and seed, which with the model's name decide everything random.
        runtime: device, precision, torch_threads, loader_workers and save_minutes.
        metric: of the validation images; the best epoch goes by it.
        reported: more metrics for the history.
        code: digest of the code that the run depends on: a state that other code saved is not gone on from.
        scale_16bit: how cached images of 16 bits become 8, see `goldfold.images.depth.to_8_bits`.
        progress: (total, unit) -> counts the steps.

    Raises:
        GoldfoldError: the network cannot be built, its loss is not finite, or memory or disk do not suffice.
        Stopped: a signal asked for the end.
    """
    arguments = {name: value for name, value in locals().items() if name != "progress"}
    if not torch.distributed.is_initialized():
        sweep(Path(folder), (STATE, *OUTPUTS))
        if model["gpus"] > 1:
            how = backend(runtime["device"], model["gpus"])
            return dict(run_together("goldfold.stages.train:run", arguments, model["gpus"], how, progress))
    settings, key = model["train"], (model["name"], place["seed"], place["round"], place["fold"])
    names = read_json(classes)
    infer, learn, target = tasks.infer(task, names), tasks.learn(task, names), tasks.target(task, names)
    scores = tasks.score(task, names)
    accelerator = build_accelerator(runtime["device"], runtime["precision"], runtime["torch_threads"])
    table = pd.read_csv(fold_file, dtype=str, keep_default_na=False)
    images = CachedImages(caches, scale_16bit)
    network = _network(infer, model, channels, key)
    rows = _rows(table, pseudo, pseudo_weight)
    augment = Augment(settings["augment"], settings["flips"], tuple(model["size"]), channels, compose_params(learn))
    samples = TrainingSet(
        list(rows["id"]), target.targets(rows, images, resize), list(rows["weight"]), images, augment, key
    )
    loader = _loader(samples, settings["batch_size"], learn, runtime["loader_workers"], accelerator)
    held_out = table[table["split"] == "val"].reset_index(drop=True)
    validate = _validation(infer, scores, target, held_out, images, resize, [metric, *reported], accelerator)
    state_file = StateFile(Path(folder) / STATE, _made_from(arguments, network, accelerator))
    minutes = runtime.get("save_minutes", SAVE_MINUTES)
    with _errors_explained(model, accelerator):
        result = _fit(
            network, learn.loss(**{name: settings[name] for name in model["loss_keys"]}), loader, validate, settings,
            scores.metric(metric), key, accelerator, state_file, 60 * minutes, progress
        )  # fmt: skip
    if accelerator.is_main_process:
        _write(Path(folder), result, settings["checkpoint"])
    spare = f"{folder}/{_other(settings['checkpoint'])}.safetensors"
    return {"files": [spare]} | _facts(model, place, table, rows, network, result, accelerator)


def _facts(
    model: dict[str, Any],
    place: dict[str, int],
    table: pd.DataFrame,
    rows: pd.DataFrame,
    network: torch.nn.Module,
    result: Fit,
    accelerator: Accelerator,
) -> dict[str, Any]:
    """What is worth knowing of a run beside its files."""
    return {
        "member": {"model": model["name"], **place},
        "seed": counter(model["name"], place["seed"], place["round"], place["fold"]),
        "n_train": len(rows),
        "n_val": int((table["split"] == "val").sum()),
        "n_pseudo": len(rows) - int((table["split"] == "train").sum()),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "best_epoch": result.best_epoch,
        "final": {name: value for name, value in result.history[-1].items() if math.isfinite(value)},
        "device": accelerator.device.type,
        "precision": accelerator.mixed_precision,
        "gpus": accelerator.num_processes,
        "micro_batch_size": min(result.micro_batch_size, model["train"]["batch_size"]),
        "resumed_at_step": result.resumed_at_step,
    }


def _made_from(arguments: dict[str, Any], network: torch.nn.Module, accelerator: Accelerator) -> dict[str, str]:
    """Digests of all that decides the bytes of a run."""
    model, runtime, pseudo = arguments["model"], arguments["runtime"], arguments["pseudo"]
    train = {name: value for name, value in model["train"].items() if name != "on_oom"}
    settings = {
        **{
            name: arguments[name]
            for name in ("task", "metric", "reported", "resize", "channels", "place", "pseudo_weight", "scale_16bit")
        },
        "model": {**model, "train": train, "pretrained": bool(model["pretrained"])},
        "arithmetic": [accelerator.device.type, accelerator.mixed_precision, runtime["torch_threads"]],
    }
    files = [arguments["fold_file"], arguments["classes"], *(f"{cache}/ids.csv" for cache in arguments["caches"])]
    files += [file for file in (pseudo, model["pretrained"]) if isinstance(file, str)]
    parts = {
        "settings": settings,
        "data": [sha256_of(file) for file in files],
        "code": arguments["code"],
        "libraries": provenance.versions(LIBRARIES),
        "first weights": weights_digest(network),
    }
    return {name: hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest() for name, part in parts.items()}


@contextmanager
def _errors_explained(model: dict[str, Any], accelerator: Accelerator) -> Iterator[None]:
    """Say what to change where the device's memory does not suffice, or a batch of one image has no statistics."""
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise TrainingError(
            f"models ({model['name']}): batch normalisation needs more than one value per channel, but a batch holds one "
            f"image, of which {model['size'][0]} x {model['size'][1]} pixels leave one cell. Give more training images, a "
            f"larger image_size_px{', gpus: 1' * (model['gpus'] > 1)} or another network."
        ) from error
    except torch.OutOfMemoryError as error:
        train, (height, width) = model["train"], model["size"]
        n, half = train["batch_size"], train["batch_size"] // 2
        shrinks = train["on_oom"] == "shrink"
        ways = [f"train.batch_size: {half} with train.accumulate: {2 * train['accumulate']}"] * (
            half > 1 and not shrinks
        )
        ways += ["train.on_oom: shrink"] * (model["gpus"] == 1 and not shrinks) + ["a smaller image_size_px or network"]
        raise TrainingError(
            f"models ({model['name']}): out of memory on {accelerator.device} with train.batch_size {n} and images of "
            f"{height} x {width} pixels{', even in the smallest pieces' * shrinks}. Set {', or '.join(ways)}."
        ) from error


def _network(infer: Infer, model: dict[str, Any], channels: int, key: tuple[int | str, ...]) -> torch.nn.Module:
    """The network with its first weights: drawn from ``key``, or loaded."""
    with seeded(*key, "weights"):
        network = build(infer, model, channels, starts=True)
    if isinstance(model["pretrained"], str):
        from goldfold.models.pretrained import summary

        print(summary(model["pretrained"], network.network), flush=True)  # type: ignore[arg-type]
    return network


def _rows(table: pd.DataFrame, pseudo: str | None, pseudo_weight: float) -> pd.DataFrame:
    """The fold's training images with their targets and weights, pseudo-labelled ones after the labelled."""
    rows = table[table["split"] == "train"].assign(weight=1.0)
    if pseudo is None:
        return rows.reset_index(drop=True)
    extra = pd.read_csv(pseudo, dtype=str, keep_default_na=False).assign(weight=pseudo_weight)
    return pd.concat([rows, extra], ignore_index=True).fillna("")


def _loader(
    samples: TrainingSet, batch_size: int, learn: Learn, workers: int | str, accelerator: Accelerator
) -> Loader[Any]:
    process, processes = accelerator.process_index, accelerator.num_processes
    if len(samples) < processes:
        raise ConfigError(f"models[].gpus = {processes}: there are only {len(samples)} training images. Set gpus: 1.")
    number = WORKERS.get(accelerator.device.type, 0) if workers == "auto" else int(workers)
    return Loader(samples, batch_size, learn.collate, number, process, processes)


def _validation(
    infer: Infer,
    scores: Score,
    target: Target,
    rows: pd.DataFrame,
    images: CachedImages,
    resize: str,
    wanted: Sequence[components.Written],
    accelerator: Accelerator,
) -> Callable[[torch.nn.Module, Pause], dict[str, float]]:
    """Function: model -> {metric: its value on the validation images, at the network's resolution}."""
    metrics = [scores.metric(one) for one in wanted]
    targets, size = target.targets(rows, images, resize), VALIDATION_BATCH_SIZE

    def validate(model: torch.nn.Module, pause: Pause) -> dict[str, float]:
        nonlocal size

        predictor = Predictor(model, infer, resize, accelerator.device, autocast=accelerator.autocast)

        def work(size: int) -> Any:
            entries = predictor.entries(rows, images, size, on_batch=lambda n: pause())
            return scores.evidence(in_order(entries), rows, targets)

        evidence, size = as_memory_allows(work, size, 1, "validation")
        everything = np.arange(len(rows))
        return {metric.name: float(metric.value(evidence, everything)) for metric in metrics}

    return validate


def _fit(
    network: torch.nn.Module,
    loss: Callable[[torch.nn.Module, Any], torch.Tensor],
    loader: Loader[Any],
    validate: Callable[[torch.nn.Module, Pause], dict[str, float]],
    settings: dict[str, Any],
    monitor: Metric,
    key: tuple[int | str, ...],
    accelerator: Accelerator,
    state_file: StateFile,
    save_seconds: float,
    progress: Callable[[int, str], Any],
) -> Fit:
    """Hand loss, optimizer, schedule and batches to the engine; the first process alone averages, validates and saves."""
    if accelerator.num_processes > 1 and accelerator.device.type == "cuda":
        from timm.layers import convert_sync_batchnorm

        network = convert_sync_batchnorm(network)
    optimizer = optim.build_optimizer(network, settings["optimizer"], settings["lr"], settings["weight_decay"])
    steps_per_epoch = math.ceil(len(loader) / settings["accumulate"])
    steps, warmup = settings["epochs"] * steps_per_epoch, round(settings["warmup_epochs"] * steps_per_epoch)
    schedule = optim.build_schedule(settings["schedule"], optimizer, steps, warmup)
    network.to(accelerator.device)
    is_first = accelerator.is_main_process
    ema = optim.average(network, settings["ema_decay"]) if is_first else None
    prepared, prepared_optimizer = accelerator.prepare(network, optimizer)
    state, bar = _saved(state_file, accelerator), progress(steps, "steps")
    start = None if state is None else state["fit"]["step"]

    def validate_and_tell(model: torch.nn.Module, pause: Pause) -> dict[str, float]:
        scores = validate(model, pause)
        text = f"{monitor.name} {scores[monitor.name]:.4f}"
        print(f"step {bar.done}/{bar.total}: {text}", flush=True)
        bar.advance(0, note=text)
        return scores

    with signals_noted() as asked, closing(bar):
        if start is not None:
            print(f"goes on from step {start} of {steps}, whose state was saved", flush=True)
            bar.go_on_from(start)
        return fit(
            prepared, loss, prepared_optimizer, schedule, loader,
            validate_and_tell if is_first else lambda model, pause: {}, accelerator=accelerator,
            epochs=settings["epochs"], validate_every=settings["validate_every"], key=key, monitor=monitor.name,
            greater_is_better=monitor.greater_is_better, accumulate=settings["accumulate"],
            clip_norm=settings["clip_norm"], ema=ema, least_micro_batch=_least_micro_batch(network, settings), resume=state,
            pause=Keeper(state_file, save_seconds, steps, asked, start) if is_first else lambda step, state: None,
            on_step=lambda step, loss: bar.advance(),
        )  # fmt: skip


def _saved(state_file: StateFile, accelerator: Accelerator) -> dict[str, Any] | None:
    """The state to go on from, the same for all processes."""
    state: dict[str, Any] | None = state_file.read()
    step = state["fit"]["step"] if state is not None else 0
    if total(accelerator, step) != step * accelerator.num_processes:
        raise TrainingError(f"{state_file.path} was read by some of the processes only. Run again.")
    return state


def _least_micro_batch(network: torch.nn.Module, settings: dict[str, Any]) -> int | None:
    """Batch norm has no statistics of one sample, and mixup needs two."""
    if settings["on_oom"] == "fail":
        return None
    has_batch_norm = any(isinstance(module, torch.nn.modules.batchnorm._BatchNorm) for module in network.modules())
    return 2 if has_batch_norm or settings["mixup_alpha"] or settings["cutmix_alpha"] else 1


def _other(checkpoint: str) -> str:
    """The epoch that was not chosen."""
    return "best" if checkpoint == "last" else "last"


def _write(folder: Path, result: Fit, checkpoint: str) -> None:
    other = _other(checkpoint)
    history = pd.DataFrame(result.history).to_csv(index=False)
    writers = {
        "model.safetensors": partial(save_file, getattr(result, checkpoint)),
        f"{other}.safetensors": partial(save_file, getattr(result, other)),
        "history.csv": partial(Path.write_text, data=history, encoding="utf-8", newline="\n"),
    }
    write_all(folder, writers)
