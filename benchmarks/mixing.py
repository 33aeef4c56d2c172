"""What mixing of training samples costs the loader: images per second of processor time, in one process.

    python benchmarks/mixing.py [--size 160] [--images 256] [--repeats 7]

Random images in memory, augmented by `medium`; each way of mixing is used for every sample. The ways take turns in each
repeat. Median over the repeats (lowest to highest); processor time does not depend on what else the machine does.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from goldfold.samples.dataset import TrainingSet  # noqa: E402
from goldfold.samples.mixing import Mixing, values  # noqa: E402
from goldfold.samples.samplers import in_random_order  # noqa: E402
from goldfold.samples.transforms import Augment  # noqa: E402

WAYS: dict[str, tuple[list[Any], float]] = {
    "none": ([], 0.0),
    "mixup": ([values.mixup], 1.0),
    "cutmix": ([values.cutmix], 1.0),
    "mosaic": ([values.mosaic], 1.0),
    "mixup, cutmix and mosaic, half of the samples": ([values.mixup, values.cutmix, values.mosaic], 0.5),
}


class Images:
    """Images of one view by id, as `goldfold.cache.images.CachedImages` gives them."""

    def __init__(self, n: int, size: int) -> None:
        self.all = np.random.default_rng(0).integers(256, size=(n, size, size, 3), dtype=np.uint8)

    def views(self, id: str) -> list[Any]:
        """A copy of the image."""
        return [self.all[int(id)].copy()]


def samples(n: int, size: int, mixes: list[Any], probability: float) -> TrainingSet:
    """Training samples of ten classes."""
    order = in_random_order(n, ("benchmark",))
    mixing = Mixing(mixes, probability, order) if mixes else None
    rows = np.eye(10, dtype=np.float32)
    targets = [{"label": rows[number % 10]} for number in range(n)]
    augment, images = Augment("medium", "horizontal", (size, size), 3), Images(n, size)
    return TrainingSet([str(number) for number in range(n)], targets, [1.0] * n, images, augment, ("k",), None, mixing)  # type: ignore[arg-type]


def main() -> None:
    """Print a line per way of mixing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    for name, default in (("size", 160), ("images", 256), ("repeats", 7)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    sets = {name: samples(options.images, options.size, *way) for name, way in WAYS.items()}
    rates: dict[str, list[float]] = {name: [] for name in sets}
    for epoch in range(options.repeats + 1):
        for name, made in sets.items():
            start = time.process_time()
            for row in range(options.images):
                made[epoch, row]
            if epoch:  # the first only warms up
                rates[name].append(options.images / (time.process_time() - start))
    for name, found in rates.items():
        print(f"{name}: {statistics.median(found):.0f} images/s ({min(found):.0f} to {max(found):.0f})")


if __name__ == "__main__":
    import cv2

    cv2.setNumThreads(1)
    main()
