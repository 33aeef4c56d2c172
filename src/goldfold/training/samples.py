"""Training samples of a fold and their batches."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from goldfold import catalog, components
from goldfold.base.errors import ConfigError
from goldfold.metadata.columns import PREFIX
from goldfold.metadata.encoder import Encoder
from goldfold.models.norm_layers import layers
from goldfold.planning.outputs import CLASS, GROUP
from goldfold.samples.dataset import Loader, More, TrainingSet
from goldfold.samples.samplers import EpochOrder, TrainingCases
from goldfold.tables import read_table
from goldfold.targets.class_weights import by_name
from goldfold.tasks.optional import classes_of, takes_counts
from goldfold.training import windows
from goldfold.training.changes import augment_of, mixing_of
from goldfold.training.generated import sampled

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from accelerate import Accelerator
    from numpy.typing import NDArray
    from torch import nn

    from goldfold.tasks.protocol import Learn, Target
    from goldfold.training.spec import Spec

WORKERS = {"cpu": 0, "cuda": 4}


@dataclass(frozen=True)
class Cases:
    """Cases of a fold, with metadata where the network takes it."""

    train: pd.DataFrame
    """With targets and weights; pseudo-labelled ones have no ``split``."""
    held_out: pd.DataFrame
    encoder: Encoder | None
    """Encodes the metadata."""


def rows_of(table: pd.DataFrame, pseudo: str | None, pseudo_weight: float, clean: str | None = None) -> pd.DataFrame:
    """Return the training images of a fold with targets and weights, labelled first, then pseudo-labelled.

    Args:
        clean: CSV of `goldfold.stages.clean`, whose rows are dropped or relabelled.
    """
    rows = table[table["split"] == "train"].assign(weight=1.0)
    if clean is not None:
        rows = cleaned(rows, read_table(clean))
    if pseudo is None:
        return rows.reset_index(drop=True)
    extra = read_table(pseudo).assign(weight=pseudo_weight)
    return pd.concat([rows, extra], ignore_index=True).fillna("")


def every_training_case(metadata: str, held_out: Iterable[str]) -> pd.DataFrame:
    """Return id and split of all training cases of a fold, also of those that `train.rows` leaves out.

    Args:
        metadata: CSV of the metadata of all cases of the fold.
        held_out: ids of its validation cases.
    """
    ids = read_table(metadata)["id"]
    return pd.DataFrame({"id": ids[~ids.isin(set(held_out))]}).assign(split="train").reset_index(drop=True)


def cleaned(rows: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """Drop or relabel the training rows that ``found`` names with the action ``drop`` or ``relabel``."""
    dropped = set(found["id"][found["action"] == "drop"])
    relabelled = found[found["action"] == "relabel"].set_index("id")["suggested"]
    rows = rows[~rows["id"].isin(dropped)]
    return rows.assign(label=rows["id"].map(relabelled).fillna(rows["label"])) if len(relabelled) else rows


def check_batches(spec: Spec, network: nn.Module, n_rows: int) -> None:
    """Say if there are fewer training images than a batch has.

    Raises:
        ConfigError: a single image would be a batch, of which batch normalisation has no statistics.
    """
    wanted = spec.train.batch_size * spec.model["gpus"]
    if n_rows == 1 and layers(network):
        raise ConfigError(
            f"models ({spec.name}): batch normalisation needs batches of at least two images, but there is one training image. "
            f"Use more training images, or a network without batch normalisation."
        )
    if n_rows < wanted:
        print(
            f"train.batch_size asks for {wanted} images per batch, but there are {n_rows} training images: each batch has these "
            f"{n_rows}. Set a smaller batch_size, with a learning rate for it.",
            flush=True,
        )


def encoder_of(spec: Spec, rows: pd.DataFrame) -> Encoder | None:
    """Encoder of the metadata that the network takes, by the labelled training cases of the fold alone.

    Args:
        rows: training cases with their metadata columns; pseudo-labelled ones have no ``split``.
    """
    if spec.metadata is None:
        return None
    encoder = Encoder.fit(rows[rows["split"] == "train"], spec.metadata)
    for name in encoder.useless:
        print(f"metadata {name!r}: one value in all training cases of this fold, so it is not used", flush=True)
    return encoder


def counts_of(spec: Spec, target: Target, learn: Learn, rows: pd.DataFrame, images: Any) -> list[float] | None:
    """Count the labelled training cases of each class in the fold; None if the task's loss takes no counts.

    Of masks, the pixels of each channel in the network's frame are counted, if class weights are computed from them.

    Args:
        rows: training cases; pseudo-labelled ones have no ``split`` and are not counted.
        images: those that `goldfold.cache.tiled.opened` opens.
    """
    if not takes_counts(learn):
        return None
    if (amounts := getattr(target, "amounts", None)) is not None:
        if spec.train.class_weights is None or by_name(spec.train.class_weights):
            return None
        return list(map(float, amounts(target.targets(rows[rows["split"] == "train"], images, spec.resize))))
    return [float(number) for number in target.content(rows[rows["split"] == "train"]).sum()]


def loader(
    spec: Spec,
    target: Target,
    learn: Learn,
    rows: pd.DataFrame,
    images: Any,
    workers: int | str,
    accelerator: Accelerator,
    encoder: Encoder | None = None,
    lists: Sequence[str] = (),
    more: More | None = None,
) -> Loader:
    """Build the loader of augmented and mixed batches for this process.

    Args:
        images: those that `goldfold.cache.tiled.opened` opens.
        encoder: encoder of the metadata columns of ``rows``, if the network takes them.
        lists: CSVs of id and columns of the cases, for a sampler by column.
        more: makes further fields of a sample.
    """
    process, processes = accelerator.process_index, accelerator.num_processes
    n, what = windows.samples_of(spec, images, rows["id"])
    if processes > 1 and n < 2 * processes:
        raise ConfigError(
            f"models[].gpus = {processes}: there are only {n} {what}, where each process needs two. Set gpus: 1."
        )
    augment = augment_of(spec, learn, images.frame)
    targets = target.targets(rows, images, spec.resize)
    metadata = None if encoder is None else encoder.encode(rows)
    values = cache(partial(_values, target, rows, targets, lists))
    crops = windows.crops_of(spec, target, rows["id"], images, targets)
    order = _order(spec, TrainingCases(len(rows), values), processes, rows, images)
    mixing = mixing_of(spec, learn, images.lacking(rows["id"]), order)
    samples = TrainingSet(
        list(rows["id"]), targets, list(rows["weight"]), images, augment, spec.key, metadata, mixing, more,
        spec.train.drop_view, crops,
    )  # fmt: skip
    number = WORKERS.get(accelerator.device.type, 0) if workers == "auto" else int(workers)
    return Loader(samples, spec.train.batch_size, learn.collate, number, process, processes, order)


def _order(spec: Spec, cases: TrainingCases, processes: int, rows: pd.DataFrame, images: Any) -> EpochOrder:
    own = components.load(spec.train.sampler, catalog.SAMPLERS, "sampler")
    sampler = windows.repeated(spec, sampled(own, rows, spec.train.generated), images, rows["id"])
    return EpochOrder(sampler, cases, spec.train.batch_size * processes, spec.key)


def _values(
    target: Target, rows: pd.DataFrame, targets: Sequence[dict[str, Any]], lists: Sequence[str], by: str
) -> NDArray[Any]:
    """Class or column of each training case; empty where a case, such as a pseudo-labelled one, has no value."""
    if by == CLASS:
        return classes_of(target, rows, targets)
    column = by if by == GROUP else f"{PREFIX}{by}"
    tables = [read_table(path) for path in lists]
    found = [table[["id", column]] for table in tables if column in table]
    if not found:
        raise ConfigError(f"train.sampler: by = {by!r}: the data have no such column of the training cases")
    known = pd.concat(found).drop_duplicates("id").set_index("id")[column]
    return known.reindex(rows["id"]).fillna("").to_numpy(str)
