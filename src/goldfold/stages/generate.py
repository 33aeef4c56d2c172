"""Stage generate: training images of a fold -> further images for its trainings."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold import catalog, components, tasks
from goldfold.base.errors import TrainingError
from goldfold.base.files import read_json
from goldfold.cache.images import CachedImages
from goldfold.engine.device import accelerator as build_accelerator
from goldfold.generating.files import write
from goldfold.generating.protocol import Given, Made, problem
from goldfold.images.depth import DEFAULT, Rule
from goldfold.tables import read_table
from goldfold.tasks import facts


def run(
    folder: str,
    fold_file: str,
    classes: str,
    caches: list[str],
    task: dict[str, Any],
    generator: components.Written,
    per_image: int,
    place: dict[str, Any],
    runtime: dict[str, Any],
    scale_16bit: Rule = DEFAULT,
    is_trial: bool = False,
) -> dict[str, Any]:
    """Write ``images.npy`` and ``ids.csv`` into ``folder``; return the facts.

    The generator sees the training images of the fold and their classes alone: neither its validation images, nor test,
    unlabelled or pseudo-labelled ones.

    Args:
        fold_file: CSV of id, split and target.
        caches: folders of the cached training images.
        place: model, round and fold, which determine all random draws.
        is_trial: whether one step of the generator's training is enough, as in a quick look.

    Raises:
        TrainingError: a user-defined generator makes something else than images.
    """
    rows = read_table(fold_file)
    rows = rows[rows["split"] == "train"].reset_index(drop=True)
    accelerator = build_accelerator(runtime["device"], runtime["precision"], runtime["torch_threads"])
    images = CachedImages(caches, scale_16bit)
    given = Given(
        images.batch(list(rows["id"])),
        _classes(task, read_json(classes), rows),
        per_image,
        (place["model"], place["round"], place["fold"], "generate"),
        str(accelerator.device),
        is_trial=is_trial,
    )
    made: Made = components.load(generator, catalog.GENERATORS[facts(task["name"]).target], "generator")(given)
    if wrong := problem(made, given):
        raise TrainingError(f"train.generated.generator {components.label(generator)}: {wrong}.")
    write(Path(folder), made, rows["id"].to_numpy(str))
    print(f"{len(made.images):,} images made from {len(rows):,} training images", flush=True)
    return {"generated": {"images": len(made.images), "from": len(rows), **made.facts}}


def _classes(task: dict[str, Any], names: list[str], rows: pd.DataFrame) -> NDArray[np.int64] | None:
    """Number of the class of each row; None for targets other than one label."""
    if facts(task["name"]).target != "label":
        return None
    return tasks.target(task, names).content(rows).to_numpy().argmax(axis=1)
