"""Stage train: fold, cache and pseudo labels -> one trained network."""

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import nn

from goldfold.base.errors import TrainingError
from goldfold.base.fingerprint import sha256_of
from goldfold.base.status import Progress
from goldfold.engine.checkpoint import STATE, StateFile, sweep, weights_digest
from goldfold.engine.device import backend, total
from goldfold.engine.group import run_together
from goldfold.engine.hooks import Hook
from goldfold.engine.hooks.best import Best
from goldfold.engine.hooks.lr_curve import LrCurve
from goldfold.engine.loop import Learner, Pause, Validate, fit
from goldfold.engine.state import State, Training
from goldfold.engine.stopping import Keeper, signals_noted
from goldfold.generating.files import IMAGE_FILES
from goldfold.lineage import provenance
from goldfold.planning.origins import snapshot_file
from goldfold.training.compiling import compiled, uncompiled
from goldfold.training.context import TrainingImages, start_hooks
from goldfold.training.failures import readable_errors
from goldfold.training.files import others_of, write
from goldfold.training.learner import course_of, learner_of, snapshots_of
from goldfold.training.on_all_rows import last_epoch, no_scores
from goldfold.training.outcome import facts
from goldfold.training.setup import FILES, Job, Setup, set_up
from goldfold.training.validation import with_notes

SAVE_MINUTES = 5.0
OUTPUTS = ("model.safetensors", "best.safetensors", "last.safetensors", "history.csv")
LIBRARIES = ("torch", "torchvision", "timm", "segmentation-models-pytorch", "numpy", "albumentations", "accelerate")


def run(folder: str, progress: Callable[[int, str], Any] = Progress, **arguments: Any) -> dict[str, Any]:
    """Train one member on one fold: write ``model.safetensors`` and ``history.csv`` into ``folder``; return the facts.

    The epoch that was not chosen is kept as ``best.safetensors`` or ``last.safetensors``. If the run is killed, the next one
    resumes from ``state.pt`` and ends with the same bytes.

    Args:
        progress: (total, unit) -> progress bar of the steps.
        arguments: fields of `goldfold.training.setup.Job`.

    Raises:
        GoldfoldError: the network cannot be built, its loss is not finite, or memory or disk space is too small.
        Stopped: a signal asked the run to stop.
    """
    job = Job(**arguments)
    if not torch.distributed.is_initialized():
        names = map(snapshot_file, range(1, job.model["train"].get("snapshots") or 1))
        sweep(Path(folder), (STATE, *OUTPUTS, *names))
        if (n := job.model["gpus"]) > 1:
            how = backend(job.runtime["device"], n)
            return dict(run_together("goldfold.stages.train:run", {"folder": folder, **arguments}, n, how, progress))
    setup = set_up(job)
    spec, steps = setup.spec, setup.spec.train.epochs * setup.steps_per_epoch
    best = Best(setup.metrics[0].name, setup.metrics[0].greater_is_better)
    curve, snapshots = LrCurve(steps, setup.steps_per_epoch), snapshots_of(spec.train, setup.steps_per_epoch)
    kept_too = {"snapshots": snapshots} if snapshots else {}
    ending, decided = last_epoch(job.histories, spec.train, setup.metrics[0])
    more: dict[str, Hook] = {**ending, **setup.hooks, "best": best, "lr_curve": curve, **kept_too}
    with readable_errors(spec, setup.accelerator), closing(progress(steps, "steps")) as bar:
        learner = _learner(setup, more)
        not_compiled = _compiled(setup, learner)
        result = _fitted(job, setup, learner, Path(folder), spec.train.compile and not_compiled is None, bar)
    kept = snapshots.files() if snapshots else {}
    if setup.accelerator.is_main_process:
        write(Path(folder), spec, result, best, setup.cases.encoder, kept)
    return {
        "files": [f"{folder}/{name}" for name in (*others_of(spec), *kept)],
        **decided,
        **facts(spec, setup.cases, setup.n_cases, learner, result, best, not_compiled),
    }


def _learner(setup: Setup, more: Mapping[str, Hook]) -> Learner:
    """Build the learner of a job, and give its hooks their context.

    Args:
        more: hooks that are called after those of the config.
    """
    spec, n_batches = setup.spec, len(setup.batches)
    learner = learner_of(spec.train, setup.network, setup.loss, n_batches, setup.accelerator, more)
    rows, encoder = setup.cases.train, setup.cases.encoder
    images = TrainingImages(spec, setup.infer, rows, setup.images, setup.accelerator, encoder)
    start_hooks(learner, spec, n_batches, setup.metrics, setup.learn, images)
    return learner


def _compiled(setup: Setup, learner: Learner) -> str | None:
    """Compile the network, if the config says so; return why it is not compiled, if that failed."""
    if not setup.spec.train.compile:
        return None
    why = compiled(learner.gradient, setup.batches.of_each_size(), bool(setup.images.lacking(setup.cases.train["id"])))
    print(
        "train.compile: the network is compiled for training" if why is None else f"train.compile has no effect: {why}",
        flush=True,
    )
    return why


def _made_from(job: Job, setup: Setup, is_compiled: bool) -> dict[str, str]:
    """Digests of everything that determines the bytes of a run."""
    settings, at, pretrained = asdict(job), setup.accelerator, job.model["pretrained"]
    for name in (*FILES, "runtime", "code"):
        del settings[name]
    train = {name: value for name, value in job.model["train"].items() if name != "on_oom"}
    arithmetic = [at.device.type, at.mixed_precision, job.runtime["torch_threads"], *["compiled"] * is_compiled]
    files = [
        job.fold_file,
        job.classes,
        *(f"{cache}/ids.csv" for cache in job.caches),
        *job.metadata,
        *job.groups,
        *job.lessons,
        *job.unlabeled,
        *job.histories,
        *((f"{job.generated}/{name}" for name in IMAGE_FILES) if job.generated else ()),
    ]
    files += [file for file in (job.pseudo, job.clean, pretrained) if isinstance(file, str)]
    parts = {
        "settings": {
            **settings,
            "model": {**job.model, "train": train, "pretrained": bool(pretrained)},
            "arithmetic": arithmetic,
        },
        "data": [sha256_of(file) for file in files],
        "code": job.code,
        "libraries": provenance.versions(LIBRARIES),
        "first weights": weights_digest(setup.network),
    }
    return {name: hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest() for name, part in parts.items()}


def _fitted(job: Job, setup: Setup, learner: Learner, folder: Path, is_compiled: bool, bar: Any) -> Training:
    """Run the engine from the saved state, if any; only the first process validates and saves."""
    accelerator, course = setup.accelerator, course_of(setup.spec)
    state_file = StateFile(folder / STATE, _made_from(job, setup, is_compiled))
    noting: Validate = no_scores
    if setup.validation is not None:
        validate = uncompiled(setup.validation) if is_compiled else setup.validation
        noting = with_notes(validate, setup.metrics[0].name, bar)
    state = _saved(state_file, accelerator)
    start = None if state is None else state["fit"]["step"]
    with signals_noted() as asked:
        if start is not None:
            print(f"resuming at step {start} of {bar.total}, whose state was saved", flush=True)
            bar.go_on_from(start)
        keep = Keeper(state_file, 60 * job.runtime.get("save_minutes", SAVE_MINUTES), bar.total, asked, start)

        def pause(step: int, state: Callable[[], State]) -> None:
            if step > bar.done:
                bar.advance(step - bar.done)
            if accelerator.is_main_process:
                keep(step, state)

        result = fit(learner, setup.batches, _shared(noting, accelerator), course, state, pause)
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
