"""trained network and cache -> predictions of its validation fold, the test and the unlabeled images."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.torch import load_file

from goldfold import tasks
from goldfold.data.cache import CachedImages
from goldfold.engine.device import accelerator as build_accelerator
from goldfold.inference import views
from goldfold.inference.predict import predict
from goldfold.runtime.files import read_json
from goldfold.runtime.status import Progress
from goldfold.tasks.protocol import save


def run(
    folder: str,
    weights: str,
    fold_file: str,
    classes: str,
    caches: list[str],
    lists: dict[str, str],
    task: str,
    model: dict[str, Any],
    channels: int,
    tta: list[str],
    place: dict[str, int],
    runtime: dict[str, Any],
    batch_size: int = 256,
) -> None:
    """Write ``oof.npz`` (the validation images of the fold) and one file for each split of ``lists`` into ``folder``.

    Args:
        lists: split (test, unlabeled) -> CSV with a column id.
        tta: names of the views that are averaged.
        place: round, fold and seed; kept in the files, so that pseudo labels can be held to their fold.
    """
    chosen_task = tasks.build(task, read_json(classes))
    accelerator = build_accelerator(runtime["device"], runtime["precision"], runtime["torch_threads"])
    network = _network(chosen_task, model, channels)
    network.load_state_dict(load_file(weights))
    network.to(accelerator.device)
    images, chosen_views = CachedImages(caches), views.build(tta)
    table = pd.read_csv(fold_file, dtype=str, keep_default_na=False)
    ids_of = {"oof": list(table["id"][table["split"] == "val"])}
    ids_of |= {name: list(pd.read_csv(path, dtype=str, keep_default_na=False)["id"]) for name, path in lists.items()}
    progress = Progress(sum(map(len, ids_of.values())), "images")
    for name, ids in ids_of.items():
        with accelerator.autocast():
            parts = predict(network, lambda m, x: chosen_task.predict(m, x, chosen_views), images, ids,
                            batch_size, accelerator.device, progress.advance)  # fmt: skip
        save(Path(folder) / f"{name}.npz", chosen_task.pack(ids, parts) | {k: np.array(v) for k, v in place.items()})
    progress.close()


def _network(task: tasks.Task, model: dict[str, Any], channels: int) -> Any:
    """The network as it was trained, before its weights are loaded."""
    params = dict(model["params"])
    params |= {"backbone": model["backbone"]} if model["backbone"] else {}
    return task.model(model["network"], tuple(model["size"]), channels, **params)
