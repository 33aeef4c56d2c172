"""Stage predict: trained network and cache -> predictions of its validation fold, test and unlabeled images."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
from safetensors.torch import load_file

from goldfold import tasks
from goldfold.base.files import read_json
from goldfold.base.status import Progress
from goldfold.cache.images import CachedImages
from goldfold.cache.shrunk import at_size
from goldfold.engine.device import accelerator as build_accelerator
from goldfold.images.depth import DEFAULT, Rule
from goldfold.inference import views
from goldfold.inference.predictor import encoder_beside, trained
from goldfold.metadata.columns import joined
from goldfold.predictions.arrays import save
from goldfold.tables import read_table


def run(
    folder: str,
    weights: str,
    fold_file: str,
    classes: str,
    caches: list[str],
    lists: dict[str, str],
    task: dict[str, Any],
    model: dict[str, Any],
    resize: str,
    channels: int,
    tta: list[str],
    place: dict[str, int],
    runtime: dict[str, Any],
    batch_size: int = 256,
    scale_16bit: Rule = DEFAULT,
    batch_norm: Literal["trained", "adapted"] = "trained",
    metadata: Sequence[str] = (),
) -> None:
    """Write ``oof.npz`` (validation images of the fold) and one file per split of ``lists`` into ``folder``.

    Args:
        lists: split (test, unlabeled) -> CSV of its images.
        resize: how images were put into the frame of the cache.
        tta: names of the views to average.
        scale_16bit: rule that converts cached 16-bit images to 8 bits, as in training.
        batch_norm: whether batch normalisation uses the statistics of training, or of the images of each file.
        metadata: CSVs of id and metadata columns of all cases, where the network takes metadata.
        place: round, fold and seed; stored in the files, so that pseudo labels can be checked to be of their fold.
    """
    accelerator = build_accelerator(runtime["device"], runtime["precision"], runtime["torch_threads"])
    encoder = encoder_beside(weights, model)
    predictor = trained(
        tasks.infer(task, read_json(classes)), model, load_file(weights), channels, accelerator.device, batch_norm == "adapted",
        encoder, resize=resize, views=views.build(tta), autocast=accelerator.autocast,
    )  # fmt: skip
    table = read_table(fold_file)
    tables = {"oof": table[table["split"] == "val"].reset_index(drop=True)}
    tables |= {name: read_table(path) for name, path in lists.items()}
    images = at_size(CachedImages(caches, scale_16bit), model["size"], resize, *tables.values())
    progress = Progress(sum(map(len, tables.values())), "images")
    for name, rows in tables.items():
        if encoder is not None:
            rows = joined(rows, metadata, encoder.columns)
            print(*(f"{name}: {line}\n" for line in encoder.unseen(rows)), sep="", end="", flush=True)
        if batch_norm == "adapted":
            is_adapted = predictor.adapt(images, rows, batch_size)
            whose = f"the {len(rows)} images" if is_adapted else "training"
            print(f"{name}: batch normalisation uses the statistics of {whose}", flush=True)
        entries = predictor.entries(rows, images, batch_size, progress.advance)
        save(Path(folder) / f"{name}.npz", chain(entries, ((key, np.array(value)) for key, value in place.items())))
    progress.close()
