"""How fast the cache is built, against a bare OpenCV loop over the same files, and how fast batches are read from it.

    python benchmarks/cache.py [--images FOLDER] [--n 400] [--size 224] [--repeats 5]

Without a folder, it makes JPEGs of noise and shapes, 640 x 480. All loops run in one process on one core, in turn. Ratios
are of wall time and of processor time; the latter is the steadier one where others use the machine.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from goldfold.cache.building import Contents, Frame, build_piece  # noqa: E402
from goldfold.cache.images import CachedImages  # noqa: E402
from goldfold.images.files import images_below  # noqa: E402

BATCH_SIZE, SMALL_PX = 64, 64


def made_up(folder: Path, n: int) -> None:
    """JPEGs of the size that cameras of phones and microscopes give after a first reduction."""
    generator = np.random.default_rng(0)
    for number in range(n):
        image = cv2.resize(generator.integers(0, 255, (24, 32, 3), np.uint8), (640, 480), interpolation=cv2.INTER_CUBIC)
        cv2.circle(image, (int(generator.integers(640)), int(generator.integers(480))), 80, (20, 200, 90), -1)
        cv2.imwrite(str(folder / f"{number}.jpg"), image)


def bare(paths: list[str], size: int) -> None:
    """Decode and resize, and no more, into one array."""
    stack = np.empty((len(paths), size, size, 3), np.uint8)
    for row, path in enumerate(paths):
        image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR_RGB)
        stack[row] = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)


def cached(paths: list[str], sizes: list[int], folder: Path, store: str = "arrays") -> None:
    """Build the cache at each of ``sizes``, of one decode."""
    table = pd.DataFrame({"id": paths, "path": paths, "sha256": ""})
    job, (first, *others) = Contents(table, 3, store), [Frame((size, size), "squash") for size in sizes]
    for number, frame in enumerate([first, *others]):
        build_piece(job, frame, folder / frame.name, folder / "work", [] if number else others)


def seconds(do: Callable[[], None]) -> tuple[float, float]:
    """Wall and processor seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    do()
    return time.perf_counter() - wall, time.process_time() - cpu


def read(folder: Path, repeats: int, batches: int = 10) -> list[tuple[float, float]]:
    """Images a second of wall and of processor time, in batches of ids drawn at random."""
    images = CachedImages([folder])
    ids = list(images.place)
    generator, rates = np.random.default_rng(0), []
    for _ in range(repeats):
        drawn = [list(generator.choice(ids, BATCH_SIZE)) for _ in range(batches)]
        taken = seconds(lambda drawn=drawn: [images.batch(batch) for batch in drawn] and None)
        rates.append((batches * BATCH_SIZE / taken[0], batches * BATCH_SIZE / taken[1]))
    return rates


def compared(paths: list[str], size: int, folder: Path, repeats: int) -> dict[str, list[tuple[float, float]]]:
    """Wall and processor seconds of each way, in turn; what is written is removed between, out of the time."""
    smaller = size * 4 // 7
    ways: dict[str, Callable[[], None]] = {
        "bare": lambda: bare(paths, size),
        "arrays": lambda: cached(paths, [size], folder),
        "png": lambda: cached(paths, [size], folder, "png"),
        "two sizes, one decode": lambda: cached(paths, [size, smaller], folder),
        "two sizes, one by one": lambda: [cached(paths, [one], folder) for one in (size, smaller)] and None,
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    bare(paths, size)  # the files are in memory from here on
    for _ in range(repeats):
        for name, do in ways.items():
            taken[name].append(seconds(do))
            shutil.rmtree(folder, ignore_errors=True)
    return taken


def spread(values: list[float], form: str) -> str:
    """Median, smallest and largest."""
    return f"{statistics.median(values):{form}}  ({min(values):{form}} to {max(values):{form}})"


def main() -> None:
    """Print all."""
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
        n, size = len(paths), options.size
        print(f"{n} images to {size} px, n = {options.repeats}, load {os.getloadavg()[0]:.1f}")
        taken = compared(paths, size, folder / "cache", options.repeats)
        for way, times in taken.items():
            print(f"{way:<22} {spread([n / wall for wall, _ in times], ',.0f')} images/s")
        pairs = [("arrays", "bare"), ("png", "bare"), ("two sizes, one decode", "two sizes, one by one")]
        for way, other in pairs:
            for part, clock in enumerate(("wall", "processor")):
                ratios = [b[part] / a[part] for a, b in zip(taken[way], taken[other], strict=True)]
                print(f"speed of {way} / {other}, {clock}: {spread(ratios, '.2f')}")
        for px in (SMALL_PX, size):
            for store in ("arrays", "png"):
                frame = folder / store / f"{px}x{px}-squash"
                cached(paths, [px], folder / store, store)
                share = (frame / "images.npy").stat().st_size / (n * px * px * 3)
                rates = zip(*read(frame, options.repeats), strict=True)
                for clock, of in zip(("wall", "processor"), rates, strict=True):
                    print(f"read {px} px, {store}, {clock}: {spread(list(of), ',.0f')} images/s")
                print(f"{px} px, {store}: {share:.2f} of the bytes of arrays")


if __name__ == "__main__":
    main()
