"""How evenly splitters share out the classes of images that have several: worst and mean deviation, sizes, seconds.

    python benchmarks/folds.py [--repeats 5]
    python benchmarks/folds.py --random     (beside the best of 10,000 random splits, of each measure its own)

Made-up images: classes of very different frequency that occur together by topic, groups of some four images, five folds.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from goldfold import components  # noqa: E402
from goldfold.catalog import SPLITTERS  # noqa: E402
from goldfold.splits.checks import deviations  # noqa: E402
from goldfold.splits.even import evened  # noqa: E402
from goldfold.splits.greedy import stratified_units  # noqa: E402

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


def units(kind: str, seed: int = 3) -> NDArray[np.float64]:
    """(units, columns) amounts of each class and, last, of images."""
    draw = np.random.default_rng(seed)
    if kind.startswith("labels"):
        n = 2000
        images = np.column_stack([draw.random((n, 20)) < draw.uniform(0.005, 0.02, 20), np.ones(n)])
        if kind == "labels":
            return images.astype(float)
        made = np.zeros((500, 21))
        np.add.at(made, draw.integers(0, 500, n), images)
        return made[made[:, -1] > 0]
    n, n_classes = {"few groups": (40, 3)}.get(kind, (500, 6))
    sizes = np.minimum(np.maximum(1, draw.lognormal(1.2, 1.2, n)).astype(int), 100)
    own = [draw.multinomial(size, draw.dirichlet([0.3] * n_classes)) for size in sizes]
    made = np.column_stack([np.array(own), sizes]).astype(float)
    return made[:, -1:] if kind == "sizes" else made


def beside_random() -> None:
    """Print, for each kind of units, measures of scikit-learn's rule, of the search and of the best random splits."""
    for kind in ("groups", "sizes", "few groups", "labels", "labels of groups"):
        amounts, draw = units(kind), np.random.default_rng(0)
        start = time.process_time()
        rule = stratified_units(amounts, N_FOLDS, 0)
        ours = evened(amounts, rule, N_FOLDS, 0)
        seconds = time.process_time() - start
        one = np.arange(len(amounts)) % N_FOLDS
        random = np.min([measures(amounts, draw.permutation(one)) for _ in range(10_000)], axis=0)
        cells = [f"{a:.3f} {b:.3f} {c:.3f}" for a, b, c in (measures(amounts, rule), measures(amounts, ours), random)]
        print(f"{kind:17} {len(amounts):5} units  worst, mean, sizes: {' | '.join(cells)}  {seconds:.2f} s", flush=True)


def measures(amounts: NDArray[np.float64], folds: NDArray[np.int64]) -> tuple[float, float, float]:
    """Worst and mean deviation from the even share, and how much larger the largest fold is than the smallest."""
    held = np.zeros((N_FOLDS, amounts.shape[1]))
    np.add.at(held, folds, amounts)
    off, sizes = np.abs(held / (amounts.sum(axis=0) / N_FOLDS) - 1), held[:, -1]
    return float(off.max()), float(off.mean()), float(sizes.max() / sizes.min() - 1)


def main() -> None:
    """Print a line a shape and splitter."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="seeds; a quarter of them for the largest shape")
    parser.add_argument("--random", action="store_true", help="compare with the best of 10,000 random splits")
    given = parser.parse_args()
    if given.random:
        beside_random()
        return
    repeats = given.repeats
    print(
        f"{'images':>6} {'classes':>7}  {'splitter':27} {'worst (lowest - highest)':>26} {'mean':>6} {'sizes':>6} {'s':>5}"
    )
    for n, n_classes in SHAPES:
        for name in NAMES:
            rows = []
            for seed in range(repeats if n < 10_000 else max(1, repeats // 4)):
                table, content = made_up(n, n_classes, seed)
                start = time.process_time()
                folds = components.load(name, SPLITTERS, "splitter")(table, content, N_FOLDS, seed)
                seconds = time.process_time() - start
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
