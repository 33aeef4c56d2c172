"""How fast the cache is built, against a bare OpenCV loop over the same files, and how fast batches are read from it.

    python benchmarks/cache.py [--images FOLDER] [--n 400] [--size 224] [--repeats 5]

Without a folder, it makes JPEGs of noise and shapes, 640 x 480. Both loops run in one process on one core, in turn.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from goldfold.data.cache import CachedImages, build  # noqa: E402
from goldfold.data.files import images_below  # noqa: E402

BATCH_SIZE, SMALL_PX = 64, 64


def made_up(folder: Path, n: int) -> None:
    """JPEGs of the size that cameras of phones and microscopes give after a first reduction."""
    generator = np.random.default_rng(0)
    for number in range(n):
        image = cv2.resize(generator.integers(0, 255, (24, 32, 3), np.uint8), (640, 480), interpolation=cv2.INTER_CUBIC)
        cv2.circle(image, (int(generator.integers(640)), int(generator.integers(480))), 80, (20, 200, 90), -1)
        cv2.imwrite(str(folder / f"{number}.jpg"), image)


def bare(paths: list[str], size: int) -> float:
    """Seconds to decode and resize, and no more, into one array."""
    start = time.perf_counter()
    stack = np.empty((len(paths), size, size, 3), np.uint8)
    for row, path in enumerate(paths):
        image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR_RGB)
        stack[row] = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    return time.perf_counter() - start


def cached(paths: list[str], size: int, folder: Path) -> float:
    """Seconds of `goldfold.data.cache.build`."""
    table = pd.DataFrame({"id": paths, "path": paths, "sha256": ""})
    start = time.perf_counter()
    build(table, folder, (size, size), 3, "squash")
    return time.perf_counter() - start


def read(folder: Path, repeats: int) -> list[float]:
    """Images a second, in batches of ids drawn at random."""
    images = CachedImages([folder])
    ids = list(images.place)
    generator, rates = np.random.default_rng(0), []
    for _ in range(repeats):
        batches = [list(generator.choice(ids, BATCH_SIZE)) for _ in range(100)]
        start = time.perf_counter()
        for batch in batches:
            images.batch(batch)
        rates.append(100 * BATCH_SIZE / (time.perf_counter() - start))
    return rates


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--n", type=int, default=400)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        root = options.images or folder / "raw"
        if options.images is None:
            root.mkdir()
            made_up(root, options.n)
        paths = [str(root / path) for path in images_below(root, "--images")[: options.n]]
        bare(paths, options.size)  # the files are in memory from here on
        ratios, ours = [], []
        for _ in range(options.repeats):
            theirs = bare(paths, options.size)
            ours.append(cached(paths, options.size, folder / "cache"))
            ratios.append(theirs / ours[-1])
        cached(paths, SMALL_PX, folder / "small")
        rates = read(folder / "small", options.repeats)
    n = len(paths)
    print(f"{n} images to {options.size} px, n = {options.repeats}")
    print(f"build    {n / statistics.median(ours):>9,.0f} images/s")
    print(f"of bare  {statistics.median(ratios):>9.0%}  ({min(ratios):.0%} to {max(ratios):.0%})")
    print(
        f"read     {statistics.median(rates):>9,.0f} images/s of {SMALL_PX} px  ({min(rates):,.0f} to {max(rates):,.0f})"
    )


if __name__ == "__main__":
    main()
