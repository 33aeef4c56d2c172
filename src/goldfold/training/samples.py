"""Training samples of a fold and their batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from goldfold.base.errors import ConfigError
from goldfold.images.cases import refuse_cutmix
from goldfold.metadata.encoder import Encoder
from goldfold.samples.dataset import Loader, TrainingSet
from goldfold.training.preview import augment_of

if TYPE_CHECKING:
    from accelerate import Accelerator

    from goldfold.cache.images import CachedImages
    from goldfold.tasks.protocol import Learn, Target
    from goldfold.training.spec import Spec

WORKERS = {"cpu": 0, "cuda": 4}


def rows_of(table: pd.DataFrame, pseudo: str | None, pseudo_weight: float) -> pd.DataFrame:
    """Return the training images of a fold with targets and weights, labelled first, then pseudo-labelled."""
    rows = table[table["split"] == "train"].assign(weight=1.0)
    if pseudo is None:
        return rows.reset_index(drop=True)
    extra = pd.read_csv(pseudo, dtype=str, keep_default_na=False).assign(weight=pseudo_weight)
    return pd.concat([rows, extra], ignore_index=True).fillna("")


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


def loader(
    spec: Spec,
    target: Target,
    learn: Learn,
    rows: pd.DataFrame,
    images: CachedImages,
    workers: int | str,
    accelerator: Accelerator,
    encoder: Encoder | None = None,
) -> Loader:
    """Build the loader of augmented batches for this process.

    Args:
        encoder: encoder of the metadata columns of ``rows``, if the network takes them.
    """
    process, processes = accelerator.process_index, accelerator.num_processes
    if len(rows) < processes:
        raise ConfigError(f"models[].gpus = {processes}: there are only {len(rows)} training images. Set gpus: 1.")
    augment = augment_of(spec, learn, images.frame)
    targets = target.targets(rows, images, spec.resize)
    refuse_cutmix(spec.train.cutmix_alpha, images.lacking(rows["id"]) if spec.train.cutmix_alpha else None)
    metadata = None if encoder is None else encoder.encode(rows)
    samples = TrainingSet(list(rows["id"]), targets, list(rows["weight"]), images, augment, spec.key, metadata)
    number = WORKERS.get(accelerator.device.type, 0) if workers == "auto" else int(workers)
    return Loader(samples, spec.train.batch_size, learn.collate, number, process, processes)
