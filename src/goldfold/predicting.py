"""Predictions of a trained member for tables of cases, as files; shared by the stages predict and teach."""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from safetensors.torch import load_file

from goldfold import tasks
from goldfold.base.files import read_json
from goldfold.base.status import Progress
from goldfold.cache.shrunk import at_size
from goldfold.cache.tiled import opened
from goldfold.engine.device import accelerator as build_accelerator
from goldfold.images.depth import DEFAULT, Rule
from goldfold.inference import views
from goldfold.inference.predictor import Predictor, encoder_beside, trained
from goldfold.metadata.columns import joined
from goldfold.predictions.arrays import save


def unchanged(predictor: Predictor) -> Predictor:
    """Return the predictor as it is."""
    return predictor


def predict(
    folder: str,
    tables: Mapping[str, pd.DataFrame],
    weights: str,
    classes: str,
    caches: list[str],
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
    observed: Callable[[Predictor], Predictor] = unchanged,
) -> None:
    """Write ``<name>.npz`` for each of the tables into ``folder``.

    Args:
        tables: rows of the cases by name.
        weights: file of the member's weights.
        resize: how images were put into the frame of the cache.
        tta: names of the views to average.
        scale_16bit: rule that converts cached 16-bit images to 8 bits, as in training.
        batch_norm: whether batch normalisation uses the statistics of training, or of the images of each file.
        metadata: CSVs of id and metadata columns of all cases, where the network takes metadata.
        place: round, fold and seed; stored in the files, so that their readers can check the fold.
        observed: changes what the predictor returns, such as `goldfold.inference.features.with_features`.
    """
    accelerator = build_accelerator(runtime["device"], runtime["precision"], runtime["torch_threads"])
    encoder = encoder_beside(weights, model)
    predictor = observed(trained(
        tasks.infer(task, read_json(classes)), model, load_file(weights), channels, accelerator.device, batch_norm == "adapted",
        encoder, resize=resize, views=views.build(tta), autocast=accelerator.autocast,
    ))  # fmt: skip
    images = at_size(
        opened(caches, model["size"], resize, scale_16bit, model.get("max_images")),
        model["size"],
        resize,
        *tables.values(),
    )
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
