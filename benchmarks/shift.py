"""Adversarial validation: how often a random split's interval holds 0.5, what planted brightness gives, and real splits.

python benchmarks/shift.py --images FOLDER [--most 1000] [--splits 100]
python benchmarks/shift.py --images FOLDER --listed FILE    # images that FILE names (first column) against the others
"""

import argparse
import re
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from goldfold.audit import shift  # noqa: E402
from goldfold.audit.adversarial import BOTH_WAYS, compare  # noqa: E402
from goldfold.audit.shift_features import FEATURES, look, of_pixels  # noqa: E402
from goldfold.base.fingerprint import sha256_of  # noqa: E402
from goldfold.images.decode import decode  # noqa: E402
from goldfold.images.files import images_below  # noqa: E402
from goldfold.report.shift import verdict  # noqa: E402

BRIGHTER = (2, 5, 10, 20)
SHARE = 0.3
"""Of the images that become the second set."""


def holds(auc: "shift.Auc", width: float) -> bool:
    """Whether the interval, its width on the logit scale times this, holds one half."""
    odds = [np.log(value / (1 - value)) for value in (auc.value, auc.low, auc.high)]
    return bool(odds[0] + width * (odds[1] - odds[0]) <= 0 <= odds[0] + width * (odds[2] - odds[0]))


def random_splits(features: np.ndarray, splits: int) -> list["shift.Auc"]:
    """AUC of random splits of the same images."""
    found = []
    for seed in range(splits):
        is_second = np.random.default_rng(seed).permutation(len(features)) < SHARE * len(features)
        found.append(compare(features, is_second, [], range(len(features)), seed))
    return [told.auc for told in found if told is not None]


def brightened(path: str, by: int) -> list[float]:
    """Features of the pixels of an image that is brighter by so many grey levels."""
    return of_pixels(np.clip(decode(path, 3).astype(np.int16) + by, 0, 255).astype(np.uint8))


def planted(paths: list[str], features: np.ndarray, by: int, pool: ProcessPoolExecutor) -> "shift.Auc":
    """AUC where the second set of a random split is brighter."""
    is_second = np.random.default_rng(0).permutation(len(paths)) < SHARE * len(paths)
    changed, rows = features.copy(), np.flatnonzero(is_second)
    new = list(pool.map(partial(brightened, by=by), [paths[row] for row in rows], chunksize=16))
    changed[rows, : len(new[0])] = new
    told = compare(changed, is_second, [], range(len(paths)))
    assert told is not None
    return told.auc


def table(paths: list[str]) -> pd.DataFrame:
    """The images as the report has them."""
    return pd.DataFrame({"id": paths, "path": paths, "sha256": [sha256_of(path) for path in paths]})


def against_listed(paths: list[str], listed: Path, most: int) -> None:
    """What the report would say of those that are listed and the others."""
    names = {Path(re.split(r"[,\s]", line.strip())[0]).stem for line in listed.read_text().splitlines() if line.strip()}
    sides = [[path for path in paths if (Path(path).stem in names) == side] for side in (False, True)]
    with tempfile.TemporaryDirectory() as folder:
        shift.FOLDER = Path(folder)  # measured, not remembered
        found = shift.between(*(table(side) for side in sides), most=most, workers=2)
    print(f"{len(sides[0])} others as training, {len(sides[1])} listed as test images")
    print("too few images" if found is None else verdict("test", found))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", required=True, type=Path)
    parser.add_argument("--listed", type=Path)
    parser.add_argument("--most", type=int, default=1000)
    parser.add_argument("--splits", type=int, default=100)
    asked = parser.parse_args()
    paths = [str(asked.images / name) for name in images_below(str(asked.images), "--images")]
    if asked.listed:
        against_listed(paths, asked.listed, asked.most)
        return
    paths = sorted(paths, key=lambda path: sha256(path.encode()).digest())[: asked.most]
    with ProcessPoolExecutor(2) as pool:
        start = time.process_time()
        seen = [look(path) for path in paths[:50]]
        print(
            f"{len(paths)} images; features: {1000 * (time.process_time() - start) / len(seen):.1f} ms of CPU an image"
        )
        features = np.array(list(pool.map(look, paths, chunksize=16)))
        assert features.shape[1] == len(FEATURES)
        start = time.process_time()
        found = random_splits(features, asked.splits)
        spent = (time.process_time() - start) / len(found)
        mean, sd = np.mean([auc.value for auc in found]), np.std([auc.value for auc in found])
        kept, plain = (np.mean([holds(auc, width) for auc in found]) for width in (1.0, BOTH_WAYS**-0.5))
        print(f"{len(found)} random splits: AUC {mean:.3f} (sd {sd:.3f}), {spent:.2f} s of CPU each")
        print(f"intervals that hold 0.5: {kept:.2f}; by DeLong alone {plain:.2f}")
        for by in BRIGHTER:
            auc = planted(paths, features, by, pool)
            print(
                f"second set brighter by {by} of 255: AUC {auc.value:.3f} ({auc.low:.3f} to {auc.high:.3f})", flush=True
            )


if __name__ == "__main__":
    main()
