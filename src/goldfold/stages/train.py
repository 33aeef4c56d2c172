"""Stage train: fold, cache and pseudo labels -> one trained network."""

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from safetensors.torch import save_file
from torch import Tensor, nn

from goldfold import components, tasks
from goldfold.base.errors import TrainingError
from goldfold.base.files import read_json
from goldfold.base.fingerprint import sha256_of
from goldfold.base.status import Progress
from goldfold.cache.images import CachedImages
from goldfold.engine.checkpoint import STATE, StateFile, sweep, weights_digest, write_all
from goldfold.engine.device import accelerator as build_accelerator
from goldfold.engine.device import backend, total
from goldfold.engine.group import run_together
from goldfold.engine.hooks.best import Best
from goldfold.engine.hooks.lr_curve import LrCurve
from goldfold.engine.loop import Batches, Course, Learner, Pause, Validate, fit
from goldfold.engine.state import State, Training, weights_of
from goldfold.engine.stopping import Keeper, signals_noted
from goldfold.images.depth import DEFAULT, Rule
from goldfold.lineage import provenance
from goldfold.metadata.columns import joined
from goldfold.metadata.encoder import Encoder
from goldfold.metrics import Metric
from goldfold.tables import read_table
from goldfold.tasks.optional import has_validation_loss
from goldfold.training.compiling import compiled, uncompiled
from goldfold.training.context import TrainingImages, start_hooks
from goldfold.training.failures import readable_errors
from goldfold.training.learner import course_of, learner_of, loss_of, network_of, steps_per_epoch
from goldfold.training.outcome import facts
from goldfold.training.samples import Cases, check_batches, counts_of, encoder_of, loader, rows_of
from goldfold.training.spec import Spec, Train, read
from goldfold.training.validation import VAL_LOSS, Validation

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
    metadata: Sequence[str] = (),
    groups: Sequence[str] = (),
    start: str | None = None,
    clean: str | None = None,
    code: str = "",
    progress: Callable[[int, str], Any] = Progress,
) -> dict[str, Any]:
    """Train one member on one fold: write ``model.safetensors`` and ``history.csv`` into ``folder``; return the facts.

    The epoch that was not chosen is kept as ``best.safetensors`` or ``last.safetensors``. If the run is killed, the next one
    resumes from ``state.pt`` and ends with the same bytes.

    Args:
        fold_file: CSV of id, split and target.
        caches: folders of cached images of all splits that are used in training.
        pseudo: CSV of id and target, each weighted by ``pseudo_weight``; None in a round without a teacher.
        model: entry of the config's ``models``; ``resize`` is how its images were put into the frame of the cache.
        place: round, fold and seed, which with the model's name determine all random draws.
        runtime: device, precision, torch_threads, loader_workers and save_minutes.
        metric: score of the validation images that selects the best epoch.
        reported: further metrics for the history.
        metadata: CSVs of id and metadata columns of all cases, where the network takes metadata or they are sampled by it.
        groups: CSVs of id and group of the training cases, where they are sampled by group.
        start: weights of an earlier round, of the same fold and seed, to start from; None for the model's own start.
        clean: CSV of training rows to drop or relabel, see `goldfold.stages.clean`; None to train on all as given.
        code: digest of the code that the run depends on; a state saved by other code is not resumed.
        scale_16bit: rule that converts cached 16-bit images to 8 bits, see `goldfold.images.depth.to_8_bits`.
        progress: (total, unit) -> progress bar of the steps.

    Raises:
        GoldfoldError: the network cannot be built, its loss is not finite, or memory or disk space is too small.
        Stopped: a signal asked the run to stop.
    """
    arguments = {name: value for name, value in locals().items() if name != "progress"}
    if not torch.distributed.is_initialized():
        sweep(Path(folder), (STATE, *OUTPUTS))
        if model["gpus"] > 1:
            how = backend(runtime["device"], model["gpus"])
            return dict(run_together("goldfold.stages.train:run", arguments, model["gpus"], how, progress))
    spec, names = read(model, resize, channels, place), read_json(classes)
    accelerator = build_accelerator(runtime["device"], runtime["precision"], runtime["torch_threads"])
    cases, images = _cases(spec, fold_file, pseudo, pseudo_weight, metadata, clean), CachedImages(caches, scale_16bit)
    target, learn = tasks.target(task, names), tasks.learn(task, names)
    infer, scores = tasks.infer(task, names), tasks.score(task, names)
    network = network_of(spec, infer, start, cases.encoder)
    loss = loss_of(spec, learn, counts_of(target, learn, cases.train))
    metrics = [scores.metric(one) for one in (metric, *reported)]
    workers, lists = runtime["loader_workers"], [*metadata, *groups]
    batches = loader(spec, target, learn, cases.train, images, workers, accelerator, cases.encoder, lists)
    n_cases = len(batches.sampler.order)
    check_batches(spec, network, n_cases)
    validation = Validation(
        spec, target, learn, infer, scores, cases.held_out, images, metrics, loss, accelerator, cases.encoder
    )
    best = Best(metrics[0].name, metrics[0].greater_is_better)
    of_epoch = steps_per_epoch(spec.train, len(batches))
    steps = spec.train.epochs * of_epoch
    curve = LrCurve(steps, of_epoch)
    with readable_errors(spec, accelerator), closing(progress(steps, "steps")) as bar:
        hooks, watched = {"best": best, "lr curve": curve}, _directions(learn, metrics)
        learner = learner_of(spec.train, network, loss, len(batches), accelerator, hooks, watched)
        start_hooks(
            learner, spec, len(batches), metrics[0], learn,
            TrainingImages(spec, infer, cases.train, images, accelerator, cases.encoder),
        )  # fmt: skip
        not_compiled = _compiled(spec, learner, batches, cases, images)
        is_compiled = spec.train.compile and not_compiled is None
        state_file = StateFile(Path(folder) / STATE, _made_from(arguments, network, accelerator, is_compiled))
        validate = uncompiled(validation) if is_compiled else validation
        noting, minutes = _noting(validate, metrics[0].name, bar), runtime.get("save_minutes", SAVE_MINUTES)
        result = _fitted(learner, batches, noting, course_of(spec), state_file, minutes, bar)
    if accelerator.is_main_process:
        _write(Path(folder), spec.train, result, best, cases.encoder)
    spare = f"{folder}/{spec.train.other_checkpoint}.safetensors"
    return {
        "files": [spare],
        **facts(spec, cases, n_cases, learner, result, best, not_compiled),
        "lr_curve": curve.points,
    }


def _compiled(spec: Spec, learner: Learner, batches: Batches, cases: Cases, images: CachedImages) -> str | None:
    """Compile the network, if the config says so; return why it is not compiled, if that failed."""
    if not spec.train.compile:
        return None
    why = compiled(learner.gradient, batches, bool(images.lacking(cases.train["id"])))
    print(
        "train.compile: the network is compiled for training" if why is None else f"train.compile has no effect: {why}",
        flush=True,
    )
    return why


def _cases(
    spec: Spec, fold_file: str, pseudo: str | None, pseudo_weight: float, metadata: Sequence[str], clean: str | None
) -> Cases:
    """Read the cases of a fold; see `run` for the files."""
    table = read_table(fold_file)
    train, held_out = (
        rows_of(table, pseudo, pseudo_weight, clean),
        table[table["split"] == "val"].reset_index(drop=True),
    )
    if spec.metadata is not None:
        train, held_out = (joined(rows, metadata, spec.metadata) for rows in (train, held_out))
    return Cases(train, held_out, encoder_of(spec, train))


def _made_from(
    arguments: dict[str, Any], network: torch.nn.Module, accelerator: Accelerator, is_compiled: bool
) -> dict[str, str]:
    """Digests of everything that determines the bytes of a run."""
    model, runtime, pseudo = arguments["model"], arguments["runtime"], arguments["pseudo"]
    train = {name: value for name, value in model["train"].items() if name != "on_oom"}
    settings = {
        **{
            name: arguments[name]
            for name in ("task", "metric", "reported", "resize", "channels", "place", "pseudo_weight", "scale_16bit")
        },
        "model": {**model, "train": train, "pretrained": bool(model["pretrained"])},
        "arithmetic": [
            accelerator.device.type,
            accelerator.mixed_precision,
            runtime["torch_threads"],
            *["compiled"] * is_compiled,
        ],
    }
    files = [arguments["fold_file"], arguments["classes"], *(f"{cache}/ids.csv" for cache in arguments["caches"])]
    files += [*arguments["metadata"], *arguments["groups"]]
    files += [file for file in (pseudo, arguments["clean"], model["pretrained"]) if isinstance(file, str)]
    parts = {
        "settings": settings,
        "data": [sha256_of(file) for file in files],
        "code": arguments["code"],
        "libraries": provenance.versions(LIBRARIES),
        "first weights": weights_digest(network),
    }
    return {name: hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest() for name, part in parts.items()}


def _directions(learn: Any, metrics: Sequence[Metric]) -> dict[str, bool]:
    """Scores of the validation by name, each with whether a larger value is better."""
    loss = {VAL_LOSS: False} if has_validation_loss(learn) else {}
    return {**loss, **{metric.name: metric.greater_is_better for metric in metrics}}


def _noting(validate: Validate, monitor: str, bar: Any) -> Validate:
    """Wrap validation to print the score with the step count."""

    def validate_and_note(network: nn.Module, pause: Pause) -> Any:
        scores = validate(network, pause)
        text = f"{monitor} {scores[monitor]:.4f}"
        print(f"step {bar.done}/{bar.total}: {text}", flush=True)
        bar.advance(0, note=text)
        return scores

    return validate_and_note


def _fitted(
    learner: Learner,
    batches: Batches,
    validate: Validate,
    course: Course,
    state_file: StateFile,
    save_minutes: float,
    bar: Any,
) -> Training:
    """Run the engine from the saved state, if any; only the first process validates and saves."""
    state = _saved(state_file, learner.gradient.accelerator)
    start = None if state is None else state["fit"]["step"]
    with signals_noted() as asked:
        if start is not None:
            print(f"resuming at step {start} of {bar.total}, whose state was saved", flush=True)
            bar.go_on_from(start)
        keep = Keeper(state_file, 60 * save_minutes, bar.total, asked, start)
        is_first = learner.gradient.accelerator.is_main_process

        def pause(step: int, state: Callable[[], State]) -> None:
            if step > bar.done:
                bar.advance(step - bar.done)
            if is_first:
                keep(step, state)

        result = fit(learner, batches, _shared(validate, learner.gradient.accelerator), course, state, pause)
    if len(result.history) < course.epochs:
        print(
            f"stopped after {len(result.history)} of {course.epochs} epochs: {(result.stopped or {}).get('why')}",
            flush=True,
        )
        bar.end_here()
    return result


def _shared(validate: Validate, accelerator: Accelerator) -> Validate:
    """Validate in the first process only, and give the scores to all: hooks and schedules act on them in each."""

    def scores(network: nn.Module, pause: Pause) -> dict[str, float]:
        found = [dict(validate(network, pause)) if accelerator.is_main_process else {}]
        return found[0] if accelerator.num_processes == 1 else broadcast_object_list(found)[0]

    return scores


def _saved(state_file: StateFile, accelerator: Accelerator) -> dict[str, Any] | None:
    """Return the saved state, the same for all processes; None to start from the first step."""
    state: dict[str, Any] | None = state_file.read()
    step = state["fit"]["step"] if state is not None else 0
    if total(accelerator, step) != step * accelerator.num_processes:
        raise TrainingError(f"{state_file.path} was read by only some of the processes. Run again.")
    return state


def _write(folder: Path, train: Train, result: Training, best: Best, encoder: Encoder | None) -> None:
    """Write the weights of the last and of the best epoch, with the encoder in their headers, and the history."""
    last = weights_of(result.scored)
    kept: dict[str, dict[str, Tensor]] = {"last": last, "best": best.weights or last}
    rows: list[dict[str, Any]] = [dict(row) for row in result.history]
    if result.stopped and len(rows) < train.epochs:
        rows[-1]["stopped"] = f"{result.stopped['by']}: {result.stopped['why']}"
    history = pd.DataFrame(rows).to_csv(index=False)
    header = None if encoder is None else encoder.to_header()
    writers = {
        "model.safetensors": partial(save_file, kept[train.checkpoint], metadata=header),
        f"{train.other_checkpoint}.safetensors": partial(save_file, kept[train.other_checkpoint], metadata=header),
        "history.csv": partial(Path.write_text, data=history, encoding="utf-8", newline="\n"),
    }
    write_all(folder, writers)
