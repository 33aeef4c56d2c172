"""Time and memory of a CSV of very many rows, from the file to the folds.

    python benchmarks/table.py [--rows 1000000] [--images 1000] [--test]

The rows name a few small images again and again (so every row has copies), or with --images as many as there are rows one
each; --test adds a sample submission of as many ids.
"""

import argparse
import contextlib
import io
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from goldfold.config import slices  # noqa: E402
from goldfold.config.load import parse  # noqa: E402
from goldfold.sources import read  # noqa: E402
from goldfold.stages import folds, manifest  # noqa: E402


def write(n_rows: int, n_images: int) -> None:
    """Images, train.csv, test.csv and sample.csv in the working directory."""
    Path("images").mkdir()
    generator = np.random.default_rng(0)
    for number in range(n_images):
        cv2.imwrite(f"images/{number:07d}.png", generator.integers(0, 255, (12, 16, 3), np.uint8))
    for name, letter in (("train", "r"), ("test", "t")):
        with open(f"{name}.csv", "w") as stream:
            stream.write("id,file,label\n")
            for row in range(n_rows):
                stream.write(f"{letter}{row:07d},{row % n_images:07d}.png,c{row % n_images % 10}\n")
    Path("sample.csv").write_text("id,label\n" + "".join(f"t{row:07d},c0\n" for row in range(n_rows)))


@contextlib.contextmanager
def measured(what: str) -> Iterator[None]:
    """Print what the work within took, on the clock and of the processors; the peak is that of the process so far."""
    start, worked = time.perf_counter(), sum(os.times()[:4])
    with contextlib.redirect_stdout(io.StringIO()):
        yield
    seconds, worked = time.perf_counter() - start, sum(os.times()[:4]) - worked
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{what}: {seconds:.1f} s, {worked:.1f} s of processor time, peak {peak_gb:.2f} GB", flush=True)


def main() -> None:
    """Print a line a step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--test", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        write(options.rows, options.images)
        data = {"source": "csv", "train": "train.csv", "images": "images", "image_column": "file"}
        values = {"name": "big", "models": [{"name": "a", "network": "small_resnet", "image_size_px": 16}]}
        if options.test:
            data["test"] = "test.csv"
            values["submission"] = {"sample": "sample.csv"}
        config = parse({**values, "data": data})
        settings = slices.manifest(config)
        with measured("read"):
            read(**settings["source"])
        with measured("manifest"):
            manifest.run(folder="manifest", workers=os.cpu_count() or 1, **settings)
        with measured("folds"):
            folds.run(manifest="manifest", folder="folds", **slices.folds(config))
        os.chdir("/")


if __name__ == "__main__":
    main()
