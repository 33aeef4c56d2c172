"""What v views cost, as a multiple of v forward passes of the network.

    python benchmarks/tta.py [--only D4 ten_crop] [--backbone resnet18] [--size 64] [--batch 32] [--repeats 5] [--threads 1]

Random images and weights. Two figures per list of views, both relative to v times one forward pass over the same batch in
memory: `views` is the prediction of a batch on the device (views, network, mean), `whole` also reads the batch from a cache
at the network's size, or for `from larger` at twice that size, from which crops and scales are cut. They take turns in each
repeat with forward passes before and after them, and a ratio is of times of the same repeat. Median over the repeats (lowest
to highest). On the CPU in processor time, which does not depend on what else the machine does, except for its caches.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

import pandas as pd  # noqa: E402

from goldfold import tasks  # noqa: E402
from goldfold.cache.shrunk import Shrunk  # noqa: E402
from goldfold.inference import views  # noqa: E402
from goldfold.inference.predictor import Predictor, build  # noqa: E402

CLASSES = [f"class{number}" for number in range(10)]
D4 = ["identity", "hflip", "vflip", "rot90", "rot180", "rot270", "transpose", "antitranspose"]
LISTS: dict[str, tuple[list[Any], int]] = {
    "one view": (["identity"], 1),
    "D4": (D4, 1),
    "ten_crop": (["ten_crop"], 1),
    "ten_crop from larger": (["ten_crop"], 2),
    "random light, n = 8": (["random"], 1),
}
"""Views, and size of the cached images as a multiple of the network's input."""
PASSES = 3
"""Forward passes before, between and after the predictions of a repeat."""


class Stored:
    """Random images of one view by id, as `goldfold.cache.images.CachedImages` gives them."""

    def __init__(self, n: int, size: int) -> None:
        self.all = np.random.default_rng(0).integers(256, size=(n, 1, size, size, 3), dtype=np.uint8)
        self.frame = size, size

    def case_batch(self, ids: Sequence[str]) -> tuple[Any, Any]:
        """Copies of the images."""
        return self.all[[int(id) for id in ids]], np.ones((len(ids), 1), bool)


def seconds(work: Callable[[], Any]) -> float:
    """Processor time that ``work`` takes; with a GPU, time."""
    clock = time.perf_counter if torch.cuda.is_available() else time.process_time
    start = clock()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return clock() - start


class Case:
    """One list of views for one batch."""

    def __init__(self, network: Any, task: Any, wanted: list[Any], stored: Any, n: int, device: torch.device) -> None:
        self.predictor = Predictor(network, task, "squash", device, views.build(wanted))
        self.stored, self.table = stored, pd.DataFrame({"id": [str(number) for number in range(n)]})
        self.n_views = len(self.predictor.views)
        ids, loader = list(self.table["id"]), self.predictor.loader(self.table, stored)
        self.inputs, larger = loader.with_larger(ids)
        flat = None if larger is None else larger.flatten(0, 1)
        batch = views.Batch(ids, 1, self.inputs.images.shape[-2:], 3, flat)
        self.bound = [view.of(batch) for view in self.predictor.views]

    def plain(self) -> None:
        """One forward pass."""
        with torch.inference_mode():
            self.predictor.network(self.inputs).cpu()

    def views(self) -> None:
        """Prediction of the batch in memory."""
        with torch.inference_mode():
            self.predictor.task.predict(self.predictor.network, self.inputs, self.bound)

    def whole(self) -> None:
        """Prediction from the cache."""
        list(self.predictor.entries(self.table, self.stored, len(self.table)))


def measured(case: Case, repeats: int) -> dict[str, list[float]]:
    """Seconds of a forward pass, and ratios, by kind; the first repeat warms up and is dropped."""
    found: dict[str, list[float]] = {"plain": [], "views": [], "whole": []}
    for _ in range(repeats + 1):
        plain = [seconds(case.plain) for _ in range(PASSES)]
        of_views = seconds(case.views)
        plain += [seconds(case.plain) for _ in range(PASSES)]
        of_whole = seconds(case.whole)
        plain += [seconds(case.plain) for _ in range(PASSES)]
        one = statistics.fmean(plain)
        for key, value in (("plain", one), ("views", of_views / one), ("whole", of_whole / one)):
            found[key].append(value if key == "plain" else value / case.n_views)
    return {key: values[1:] for key, values in found.items()}


def text(values: list[float]) -> str:
    """Median (lowest to highest)."""
    return f"{statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def main() -> None:
    """Print a line per list of views."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    for name, default in (("size", 64), ("batch", 32), ("repeats", 5), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", nargs="*", default=list(LISTS), choices=list(LISTS))
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    device, task = torch.device(given.device), tasks.infer({"name": "classification"}, CLASSES)
    spec = {"network": "timm", "backbone": given.backbone, "size": [given.size] * 2, "params": {}}
    network = build(task, spec, 3).to(device).eval()
    for name in given.only:
        wanted, multiple = LISTS[name]
        stored: Any = Stored(given.batch, given.size * multiple)
        stored = stored if multiple == 1 else Shrunk(stored, (given.size, given.size), "squash", [])
        case = Case(network, task, wanted, stored, given.batch, device)
        found = measured(case, given.repeats)
        plain = 1000 * statistics.median(found["plain"])
        ratios = f"views {text(found['views'])}, whole {text(found['whole'])}"
        print(f"{name}: {case.n_views} views, forward pass {plain:.0f} ms; {ratios}", flush=True)


if __name__ == "__main__":
    main()
