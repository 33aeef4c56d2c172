"""Stage train for networks of ultralytics, by its own trainer: fold and cache -> one trained network."""

import hashlib
import json
import math
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from goldfold import tasks
from goldfold.base.files import read_json
from goldfold.base.fingerprint import sha256_of
from goldfold.base.status import Progress
from goldfold.cache.shrunk import at_size
from goldfold.engine.checkpoint import STATE, StateFile, sweep, weights_digest
from goldfold.engine.hooks import Hook
from goldfold.engine.hooks.best import Best
from goldfold.engine.hooks.lr_curve import LrCurve
from goldfold.engine.state import Training
from goldfold.engine.stopping import Keeper, signals_noted
from goldfold.lineage import provenance
from goldfold.training.failures import readable_errors
from goldfold.training.files import others_of, write
from goldfold.training.of_ultralytics import files
from goldfold.training.of_ultralytics.arguments import arguments
from goldfold.training.of_ultralytics.outcome import facts
from goldfold.training.of_ultralytics.trainer import Course, trainer
from goldfold.training.on_all_rows import last_epoch, no_scores
from goldfold.training.setup import FILES, Job, Setup, set_up
from goldfold.training.validation import with_notes

SCRATCH = "ultralytics"
"""Folder of its images, labels and arguments beside the weights; removed at the end."""
WORKERS = {"cpu": 0, "cuda": 4}
LIBRARIES = ("ultralytics", "torch", "torchvision", "numpy", "opencv-python-headless", "albumentations", "accelerate")


def run(folder: str, progress: Callable[[int, str], Any] = Progress, **given: Any) -> dict[str, Any]:
    """Train one member on one fold; write the files and return the facts that `goldfold.stages.train` does.

    A run that was killed resumes after its last complete epoch and ends with the same bytes.

    Args:
        progress: (total, unit) -> progress bar of the steps.
        given: fields of `goldfold.training.setup.Job`.

    Raises:
        GoldfoldError: the library is not installed, its loss is not finite, or memory or disk space is too small.
        Stopped: a signal asked the run to stop.
    """
    job, place = Job(**given), Path(folder)
    sweep(place, (STATE, "model.safetensors", "best.safetensors", "last.safetensors", "history.csv"))
    setup, scratch = set_up(job), place.absolute() / SCRATCH
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        with readable_errors(setup.spec, setup.accelerator), signals_noted() as asked:
            _write_data(job, setup, scratch)
            course, best, decided = _course(job, setup, place, asked, progress)
            with closing(course.bar):
                trainer(_arguments(job, setup, scratch), course).train()
                if course.at.stopped is not None:
                    course.bar.end_here()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    write(place, setup.spec, course.at, best, None, {})
    (place / STATE).unlink(missing_ok=True)
    return {
        "files": [f"{folder}/{name}" for name in others_of(setup.spec)],
        **decided,
        **facts(setup, course),
    }


def _course(
    job: Job, setup: Setup, folder: Path, asked: Any, progress: Callable[[int, str], Any]
) -> tuple[Course, Best, dict[str, Any]]:
    """Build what the trainer needs, from the saved state if there is one; also return the best epoch, and facts."""
    spec, metric = setup.spec, setup.metrics[0]
    endings, decided = last_epoch(job.histories, spec.train, metric)
    of_epoch = math.ceil(len(setup.cases.train) / spec.train.batch_size)
    steps = spec.train.epochs * of_epoch
    best, bar = Best(metric.name, metric.greater_is_better), progress(steps, "steps")
    hooks: dict[str, Hook] = {**endings, "best": best, "lr_curve": LrCurve(steps, of_epoch)}
    state_file = StateFile(folder / STATE, _made_from(job, setup))
    state = state_file.read()
    step = None if state is None else int(state["fit"]["step"])
    if step is not None:
        print(
            f"resuming after epoch {len(state['fit']['history'])} of {spec.train.epochs}, whose state was saved",
            flush=True,
        )
        bar.go_on_from(step)
    validate = no_scores if setup.validation is None else with_notes(setup.validation, metric.name, bar)
    keep = Keeper(state_file, 0, steps, asked, step)
    every = spec.train.validate_every
    at = Training(scored=setup.network)
    return Course(setup.network, spec.key, at, hooks, validate, every, bar, keep, asked, state), best, decided


def _arguments(job: Job, setup: Setup, scratch: Path) -> dict[str, Any]:
    accelerator, workers = setup.accelerator, job.runtime["loader_workers"]
    kind = accelerator.device.type
    n_workers = WORKERS[kind] if workers == "auto" else int(workers)
    return arguments(setup.spec, scratch, "cpu" if kind == "cpu" else "0", str(accelerator.mixed_precision), n_workers)


def _write_data(job: Job, setup: Setup, scratch: Path) -> None:
    """Write the training images of the fold, pseudo-labelled ones included, as the network sees them."""
    spec, rows, classes = setup.spec, setup.cases.train, read_json(job.classes)
    images: Any = at_size(setup.images, spec.size, spec.resize, rows)
    targets = tasks.target(job.task, classes).targets(rows, images, spec.resize)
    files.write(scratch, list(rows["id"]), images, targets, classes)


def _made_from(job: Job, setup: Setup) -> dict[str, str]:
    """Return digests of everything that determines the bytes of a run."""
    lists = [job.fold_file, job.classes, *(f"{cache}/ids.csv" for cache in job.caches), *job.histories]
    names = [path for path in (*lists, job.pseudo, job.start, job.model["pretrained"]) if isinstance(path, str)]
    settings = {name: value for name, value in asdict(job).items() if name not in (*FILES, "runtime", "code")}
    arithmetic = [setup.accelerator.device.type, setup.accelerator.mixed_precision, job.runtime["torch_threads"]]
    parts: dict[str, Any] = {
        "settings": [settings, arithmetic],
        "data": [sha256_of(path) for path in names],
        "code": job.code,
        "libraries": provenance.versions(LIBRARIES),
        "first weights": weights_digest(setup.network),
    }
    return {name: hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest() for name, part in parts.items()}
