"""What statistics of the predicted images are worth where these are lit otherwise: digits, after ``make demo``.

    python benchmarks/batch_norm.py [--config config.yaml]

Every model of the last round predicts the validation images of its fold, as they are and changed, one view, by the
statistics of training and by those of the images themselves. Accuracy: mean over the runs (lowest to highest).
"""

import argparse
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from goldfold import tasks  # noqa: E402
from goldfold.base.files import read_json  # noqa: E402
from goldfold.cache.images import CachedImages  # noqa: E402
from goldfold.cases import Inputs  # noqa: E402
from goldfold.config import load, slices  # noqa: E402
from goldfold.inference import views  # noqa: E402
from goldfold.models.batch_norm import Adapter  # noqa: E402
from goldfold.planning.plan import plan_of  # noqa: E402

CHANGES: dict[str, Callable[[Any], Any]] = {
    "as they are": lambda x: x,
    "contrast 0.6": lambda x: x * 0.6,
    "contrast 0.3": lambda x: x * 0.3,
    "brighter by 60": lambda x: x + 60.0,
    "contrast 0.5, brighter by 100": lambda x: x * 0.5 + 100,
    "noise of 40": lambda x: x + 40 * np.random.default_rng(0).standard_normal(x.shape),
    "half of them contrast 0.3": lambda x: x * np.where(np.arange(len(x)) % 2, 0.3, 1.0)[:, None, None, None],
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", default=str(ROOT / "config.yaml"))
    config = load(parser.parse_args().config)
    results, plan = Path(config.results), plan_of(config)
    task = tasks.build(slices.task(config), read_json(str(results / "folds/classes.json")))
    found: dict[tuple[str, str], list[float]] = {}
    for run in plan.grid.runs([plan.grid.last]):
        how = slices.network(config, run.model)
        params = how["params"] | ({"backbone": how["backbone"]} if how["backbone"] else {})
        network = task.model(how["network"], tuple(how["size"]), config.data.channels, **params)
        network.load_state_dict(load_file(f"{plan.folder('train', run)}/model.safetensors"))
        table = pd.read_csv(results / f"folds/fold{run.fold}.csv", dtype=str)
        table = table[table["split"] == "val"]
        spec = plan.specs[run.model]
        cached = CachedImages([str(folder) for folder in sorted((results / "cache" / spec).glob("train-*"))])
        images = cached.batch(list(table["id"])).astype(float)
        seen = {name: (change(images), table["label"]) for name, change in CHANGES.items()}
        few = table["label"].isin(task.classes[:2]).to_numpy()
        seen["as they are, two classes alone"] = (images[few], table["label"][few])
        for name, (pixels, labels) in seen.items():
            changed = torch.from_numpy(pixels.clip(0, 255).round().astype(np.uint8)).permute(0, 3, 1, 2)
            for statistics_of, score in scores(task, network, Inputs.of(changed), list(labels)).items():
                found.setdefault((name, statistics_of), []).append(score)
    for (name, of), values in found.items():
        print(
            f"{name:32} {of:8} {statistics.mean(values):.4f} ({min(values):.4f} to {max(values):.4f}), n = {len(values)}"
        )


def scores(task: Any, network: Any, images: Inputs, labels: list[str]) -> dict[str, float]:
    """Accuracy by either statistics."""
    view = views.build(["identity"])
    adapter, found = Adapter(network, lambda x: task.predict(network, x, view)), {}
    for of in ("trained", "adapted"):
        rows = range(len(images)) if of == "adapted" else []
        adapter.adapt(rows, lambda ids: images.rows(list(ids)), 64)
        network.eval()
        with torch.inference_mode():
            part = task.predict(network, images, view)
        best = np.asarray(part["logits"]).argmax(axis=1)
        found[of] = float(np.mean([task.classes[row] == label for row, label in zip(best, labels, strict=True)]))
    adapter.adapt([], lambda ids: images, 64)
    return found


if __name__ == "__main__":
    main()
