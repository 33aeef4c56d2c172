"""Predict new images with a bundle: the work of the stages predict and ensemble, without a run."""

import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors.torch import load_file

from goldfold import tasks
from goldfold.base.errors import ConfigError, DataError, cause
from goldfold.base.status import Progress
from goldfold.bundles import form
from goldfold.bundles.fitted_layers import with_head
from goldfold.bundles.listing import files_of
from goldfold.bundles.predictions import Predictions
from goldfold.cache.building import Frame
from goldfold.cache.decoded import DecodedImages, Reading
from goldfold.cache.shrunk import SIZES, at_size
from goldfold.crop import fresh
from goldfold.crop.counts import as_text, counts
from goldfold.engine.memory import as_memory_allows
from goldfold.ensembling.members import of_folds
from goldfold.ensembling.nested import applied
from goldfold.ensembling.steps import average, build
from goldfold.images.cases import CASE
from goldfold.inference import views
from goldfold.inference.predictor import Predictor, encoder_beside, trained
from goldfold.lineage.provenance import versions
from goldfold.metadata.columns import Columns
from goldfold.metadata.of_cases import OfCases
from goldfold.predictions.arrays import Arrays, save
from goldfold.predictions.finite import load
from goldfold.tasks.steps import ForSteps

MOST_WORKERS = 8


def predict(
    folder: Path,
    manifest: form.Manifest,
    members: Sequence[form.Member],
    paths: Sequence[str | Path],
    table: str | Path | None,
    batch_size: int | None,
    device: str,
    boxes: Sequence[str],
    progress: Callable[[int, str], Any] | None,
    detect: Callable[[list[str]], pd.DataFrame] | None = None,
) -> Predictions:
    """See `goldfold.bundles.loading.Bundle.predict`.

    Args:
        detect: boxes that the bundle's detector finds in images by their paths, see `goldfold.bundles.loading.Bundle.boxes`.
    """
    how = manifest.preprocessing
    takes_metadata = _stacks(manifest, members) or any(member.network.metadata for member in members)
    files = files_of(how, paths, table, takes_metadata)
    _refuse_no_boxes(how, boxes)
    found = detect(files["path"].tolist()) if detect else None
    finder = None if how.roi is None else fresh.finder(how.roi, files, boxes, found)
    return predict_files(folder, manifest, members, files, finder, batch_size, device, progress)


def _stacks(manifest: form.Manifest, members: Sequence[form.Member]) -> bool:
    """Return whether a step after these networks takes metadata: only the whole ensemble has steps."""
    return len(members) == len(manifest.members) and manifest.stacks_metadata


def predict_files(
    folder: Path,
    manifest: form.Manifest,
    members: Sequence[form.Member],
    files: pd.DataFrame,
    finder: fresh.Finder | None,
    batch_size: int | None,
    device: str,
    progress: Callable[[int, str], Any] | None,
) -> Predictions:
    """Predict the images of a table: id and path of each image, its case and its metadata, see `files_of`."""
    where, autocast = computing(device, manifest.precision)
    how, stacks = manifest.preprocessing, _stacks(manifest, members)
    n_networks = sum(len(member.weights) for member in members)
    n_cases = files[CASE].nunique() if CASE in files else len(files)
    bar = (progress or partial(Progress, seconds_between_lines=math.inf))(len(files) + n_networks * n_cases, "images")
    kept, pixels = scratch(), scratch()
    with pixels:
        frames = {Frame(*member.network.frame) for member in members}
        reading = Reading(how.channels, how.scale_16bit, how.max_pixels)
        images = DecodedImages(files, reading, frames, Path(pixels.name), finder, lambda: bar.advance(1))
        _refuse_none(images)
        predictor_of = partial(_predictor, folder, manifest, where, autocast)
        size, threads = batch_size or manifest.batch_size, manifest.torch_threads
        seen = images.table if {*tasks.facts(manifest.task["name"]).columns} >= SIZES else images.table[["id"]]
        parts = _of_members(predictor_of, members, images, seen, Path(kept.name), size, threads, bar)
        arrays = fused(manifest, members, list(parts), images.table if stacks else None)
    bar.close()
    return Predictions(manifest.task, manifest.classes, arrays, images.table, images.bad, how, manifest.draw_from, kept)


def computing(device: str, precision: str) -> tuple[torch.device, Callable[[], AbstractContextManager[Any]]]:
    """Return the device and its autocast context, with the precision of training; always fp32 on the CPU.

    Raises:
        ConfigError: ``cuda`` without a GPU.
    """
    has_gpu = torch.cuda.is_available()
    if device == "cuda" and not has_gpu:
        raise ConfigError("--device cuda, but torch sees no GPU. Use auto or cpu.")
    if device == "cpu" or not has_gpu:
        return torch.device("cpu"), nullcontext
    types = {"auto": torch.bfloat16, "bf16": torch.bfloat16, "fp16": torch.float16}
    if precision not in types:
        return torch.device("cuda"), nullcontext
    return torch.device("cuda"), partial(torch.autocast, "cuda", dtype=types[precision])


def _refuse_no_boxes(how: form.Preprocessing, boxes: Sequence[str]) -> None:
    needs = how.roi is not None and how.roi["method"] in fresh.BY_BOXES
    if needs and not boxes:
        raise DataError(
            "these networks were trained on a region of each image given as a box. Pass the boxes of these images: "
            "--boxes FILE (CSV with id, x1, y1, x2, y2, such as the predictions of a detection bundle, or COCO results)."
        )
    if boxes and not needs:
        raise DataError("--boxes: these networks use whole images, or find the region themselves. Remove --boxes.")


def _refuse_none(images: DecodedImages) -> None:
    if len(images.table):
        if "roi" in images.table:
            print(*as_text(counts({"given": images.table})), sep="\n", file=sys.stderr)
        return
    path, reason = images.bad[0]
    n = len(images.bad)
    raise DataError(
        f"none of the {n} files can be predicted, first {path}: {reason}." if n > 1 else f"{path}: {reason}."
    )


def _predictor(
    folder: Path,
    manifest: form.Manifest,
    device: torch.device,
    autocast: Callable[[], AbstractContextManager[Any]],
    member: form.Member,
    weights: str,
) -> Predictor:
    """Build the predictor of one network of a member."""
    try:
        return trained(
            with_head(tasks.infer(manifest.task, manifest.classes), member.network.frozen_head, len(manifest.classes)),
            member.network.model_dump(),
            load_file(folder / weights),
            manifest.preprocessing.channels,
            device,
            manifest.batch_norm == "adapted",
            encoder_beside(folder / weights, member.network.model_dump()),
            resize=member.network.resize,
            views=views.build(manifest.views),
            autocast=autocast,
        )
    except RuntimeError as error:  # missing or unexpected weights
        raise DataError(
            f"{folder}: the weights of {member.name} do not fit the network as built here: {cause(error)}. "
            f"{_other_versions(manifest)}"
        ) from error


def _other_versions(manifest: form.Manifest) -> str:
    """Name the libraries whose versions differ from those of training, and what to do."""
    here = versions()
    other = [
        f"{name} {was} (here {here.get(name)})" for name, was in manifest.versions.items() if here.get(name) != was
    ]
    return f"It was trained with {', '.join(other)}: install these." if other else "Export it again."


def _of_members(
    predictor_of: Callable[[form.Member, str], Predictor],
    members: Sequence[form.Member],
    images: DecodedImages,
    seen: pd.DataFrame,
    kept: Path,
    batch_size: int,
    threads: int,
    bar: Any,
) -> Iterator[list[Arrays]]:
    """Yield the predictions of each member's networks, saved one after the other in files in ``kept``.

    Args:
        seen: table of the images with the columns that the jobs of a run have.
    """
    numbers, size = count(), batch_size
    for member in members:
        network, parts = member.network, list[Arrays]()
        framed: Any = at_size(images.at(Frame(*network.frame), network.max_images), network.size, network.resize, seen)
        for weights in member.weights:
            predictor, path = predictor_of(member, weights), kept / f"{next(numbers)}.npz"
            if not parts:
                _report_unseen(member.name, predictor, images.table)
            with _threads(threads):
                predictor.adapt(framed, images.table, size)

            def work(n: int, predictor: Predictor = predictor, path: Path = path, framed: Any = framed) -> None:
                save(path, predictor.entries(images.table, framed, n, bar.advance))

            _, size = as_memory_allows(work, size, 1, "prediction")
            parts.append(load(path, f"member {member.name!r} of the bundle"))
        yield parts


def _report_unseen(member: str, predictor: Predictor, table: pd.DataFrame) -> None:
    """Print which metadata no training case has."""
    for line in predictor.encoder.unseen(table) if predictor.encoder else []:
        print(f"{member}: {line}", file=sys.stderr)


@contextmanager
def _threads(n: int) -> Iterator[None]:
    """Set the number of torch threads within the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def fused(
    manifest: form.Manifest,
    members: Sequence[form.Member],
    predictions: Sequence[Sequence[Arrays]],
    table: pd.DataFrame | None = None,
) -> Arrays:
    """Fuse the predictions of all networks as the stage ensemble does: folds of a member, then members, then steps.

    Steps are fitted to the whole ensemble, so they are not applied to a subset of the members.

    Args:
        predictions: per member, the predictions of its folds.
        table: id and metadata columns of the cases, where a step takes them.
    """
    how = None if table is None else manifest.preprocessing.metadata
    known = OfCases(table, Columns.of(how.model_dump())) if table is not None and how else None
    task = ForSteps(manifest.task, manifest.classes, known)
    workers = min(MOST_WORKERS, len(os.sched_getaffinity(0)))
    means = [of_folds(task, parts, manifest.ensemble, workers) for parts in predictions]
    is_whole = len(members) == len(manifest.members)
    weights = {member.name: member.weight for member in members}
    plain = form.Fitted(step=average(manifest.ensemble, weights))
    steps = [manifest.fusion or plain, *manifest.postprocessing] if is_whole else [plain]
    built = build(task, [one.step for one in steps], workers)
    return applied(built, dict(zip(weights, means, strict=True)), [one.fitted for one in steps])


def scratch() -> tempfile.TemporaryDirectory[str]:
    """Make a temporary folder, deleted with the object that holds it."""
    return tempfile.TemporaryDirectory(prefix="goldfold-")
