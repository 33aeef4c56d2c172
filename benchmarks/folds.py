"""How evenly splitters share out the classes of images that have several: worst and mean deviation, sizes, seconds.

    python benchmarks/folds.py [--repeats 5]

Made-up images: classes of very different frequency that occur together by topic, groups of some four images, five folds.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from goldfold.data.splits import SPLITTERS  # noqa: E402
from goldfold.data.splits.checks import deviations  # noqa: E402

SHAPES = ((500, 6), (2000, 20), (2000, 100), (20000, 20))
"""Images and classes."""
NAMES = ("stratified", "multilabel_stratified", "stratified_group", "multilabel_stratified_group")
N_FOLDS = 5


def made_up(n: int, n_classes: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Ids and groups of ``n`` images, and 1 in the column of each class that an image has; ten images a class at least."""
    draw = np.random.default_rng(seed)
    topics = np.exp(draw.normal(0, 1, (4, n_classes)))
    chance = np.clip(draw.beta(0.6, 6, n_classes) * topics[draw.integers(0, 4, n)], 0, 0.9)
    has = draw.random((n, n_classes)) < chance
    for column in range(n_classes):
        has[draw.permutation(n)[: max(0, 10 - int(has[:, column].sum()))], column] = True
    table = pd.DataFrame(
        {"id": [f"{number:05d}" for number in range(n)], "group": draw.integers(0, n // 4, n).astype(str)}
    )
    return table, pd.DataFrame(has.astype(int), columns=[f"c{number}" for number in range(n_classes)])


def main() -> None:
    """Print a line a shape and splitter."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="seeds; a quarter of them for the largest shape")
    repeats = parser.parse_args().repeats
    print(
        f"{'images':>6} {'classes':>7}  {'splitter':27} {'worst (lowest - highest)':>26} {'mean':>6} {'sizes':>6} {'s':>5}"
    )
    for n, n_classes in SHAPES:
        for name in NAMES:
            rows = []
            for seed in range(repeats if n < 10_000 else max(1, repeats // 4)):
                table, content = made_up(n, n_classes, seed)
                start = time.perf_counter()
                folds = SPLITTERS[name](table, content, N_FOLDS, seed)
                seconds = time.perf_counter() - start
                far, sizes = deviations(content, folds, N_FOLDS).abs().to_numpy(), np.bincount(folds)
                rows.append((far.max(), far.mean(), sizes.max() / sizes.min() - 1, seconds))
            worst, mean, size, seconds = np.mean(rows, axis=0)
            ends = f"{min(row[0] for row in rows):.2f} - {max(row[0] for row in rows):.2f}"
            print(
                f"{n:6} {n_classes:7}  {name:27} {worst:8.2f} ({ends}) {mean:14.3f} {size:6.3f} {seconds:5.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
