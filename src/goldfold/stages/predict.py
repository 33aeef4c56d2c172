"""trained network and cache -> predictions of its validation fold, the test and the unlabeled images."""

from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from safetensors.torch import load_file
from torch import Tensor

from goldfold import tasks
from goldfold.data.cache import CachedImages
from goldfold.data.depth import DEFAULT, Rule
from goldfold.data.predictions import save
from goldfold.engine.device import accelerator as build_accelerator
from goldfold.inference import views
from goldfold.inference.predict import load, predict
from goldfold.models.batch_norm import Adapter
from goldfold.runtime.files import read_json
from goldfold.runtime.status import Progress


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
) -> None:
    """Write ``oof.npz`` (the validation images of the fold) and one file for each split of ``lists`` into ``folder``.

    Args:
        lists: split (test, unlabeled) -> CSV of its images.
        resize: how images were put into the cache.
        tta: names of the views that are averaged.
        scale_16bit: how cached images of 16 bits become 8, as in training.
        batch_norm: whether batch normalisation uses statistics of training, or of the images of each file.
        place: round, fold and seed; kept in the files, so that pseudo labels can be held to their fold.
    """
    chosen_task = tasks.build(task, read_json(classes))
    accelerator = build_accelerator(runtime["device"], runtime["precision"], runtime["torch_threads"])
    network = _network(chosen_task, model, channels)
    network.load_state_dict(load_file(weights))
    network.to(accelerator.device)
    images, chosen_views = CachedImages(caches, scale_16bit), views.build(tta)
    table = pd.read_csv(fold_file, dtype=str, keep_default_na=False)
    tables = {"oof": table[table["split"] == "val"].reset_index(drop=True)}
    tables |= {name: pd.read_csv(path, dtype=str, keep_default_na=False) for name, path in lists.items()}
    progress = Progress(sum(map(len, tables.values())), "images")
    one_view = views.build(["identity"])
    adapter = Adapter(network, lambda x: chosen_task.predict(network, x, one_view)) if batch_norm == "adapted" else None
    for name, rows in tables.items():
        with accelerator.autocast():
            if adapter is not None:
                _adapt(adapter, name, list(rows["id"]), lambda ids: load(images, ids, accelerator.device), batch_size)
            parts = predict(network, lambda m, x: chosen_task.predict(m, x, chosen_views), images, list(rows["id"]),
                            batch_size, accelerator.device, progress.advance)  # fmt: skip
            entries = chosen_task.pack(rows, parts, images.frame, resize)
            save(Path(folder) / f"{name}.npz", chain(entries, ((key, np.array(value)) for key, value in place.items())))
    progress.close()


def _adapt(
    adapter: Adapter, name: str, ids: list[str], batches: Callable[[Sequence[str]], Tensor], batch_size: int
) -> None:
    """Tell whose statistics the predictions of a part are made with."""
    whose = f"the {len(ids)} images" if adapter.adapt(ids, batches, batch_size) else "training"
    print(f"{name}: batch normalisation by the statistics of {whose}", flush=True)


def _network(task: tasks.Task, model: dict[str, Any], channels: int) -> Any:
    """The network as it was trained, before its weights are loaded."""
    params = dict(model["params"])
    params |= {"backbone": model["backbone"]} if model["backbone"] else {}
    return task.model(model["network"], tuple(model["size"]), channels, **params)
