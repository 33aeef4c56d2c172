"""Instances from perfect masks: the merged basins of `instances` against usual ways of choosing the seeds of watershed.

    python benchmarks/instances.py [--labels FOLDER] [--every 1] [--images 60]

`--labels` is a folder of PNGs whose values number the objects; by default, overlapping discs of several sizes are made up. All
objects of an image are made one mask, which each way separates again, so that nothing but the separation can be wrong. Each way
has several settings; for a third of the images, the one with the best instance AP on the other two thirds is used. Printed are
the mean of the instance AP over images with its standard error, the AP at an IoU of 0.5, and the processor time per image for all
settings of the way.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from skimage.feature import peak_local_max
from skimage.morphology import h_maxima
from skimage.segmentation import watershed

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from goldfold.ensembling.instances import Setting, basins
from goldfold.metrics.instances import Crossing, of_numbers

AROUND = np.ones((3, 3))
N_FOLDS = 3
Seeds = Callable[[Any, Any], Any]
"""Distances and labels of regions -> numbered seeds."""


def peaks(least: int) -> Seeds:
    """Maxima at least so many pixels apart."""

    def seeds(distances: Any, regions: Any) -> Any:
        made = np.zeros(distances.shape, np.int32)
        places = peak_local_max(distances, min_distance=least, labels=regions, exclude_border=False)
        made[tuple(places.T)] = np.arange(1, len(places) + 1)
        return made

    return seeds


def shares(share: float) -> Seeds:
    """Regions of pixels whose distance reaches a share of the largest one in their region."""

    def seeds(distances: Any, regions: Any) -> Any:
        largest = np.zeros(regions.max() + 1, np.float32)
        np.maximum.at(largest, regions.ravel(), distances.ravel())
        return cv2.connectedComponents(((distances >= share * largest[regions]) & (regions > 0)).astype(np.uint8))[1]

    return seeds


def heights(least: float) -> Seeds:
    """Maxima that rise by so many pixels."""
    return lambda distances, regions: cv2.connectedComponents(
        ((h_maxima(distances, least) > 0) & (regions > 0)).astype(np.uint8)
    )[1]


WAYS: dict[str, list[Any]] = {
    "connected regions": [Setting()],
    "instances": [Setting(distance, neck) for distance in (0, 5, 10) for neck in (0, 0.6, 0.75, 0.85, 0.9, 0.95)],
    "maxima, least distance": [peaks(least) for least in (5, 7, 10, 15)],
    "share of the largest distance": [shares(share) for share in (0.4, 0.5, 0.6, 0.7, 0.8)],
    "maxima, least height": [heights(least) for least in (0.75, 1, 2)],
}


def numbers(truth: Any, settings: list[Any]) -> Any:
    """Matches of the mask of all objects, separated by each setting, with the objects."""
    mask = truth > 0
    true = np.unique(truth, return_inverse=True)[1].reshape(truth.shape) + (0 if (truth == 0).any() else 1)
    if isinstance(settings[0], Setting):
        parts = basins(mask)
        if parts is None:
            crossing = Crossing(np.zeros(0, np.int64), np.zeros(0, np.int64), 0, 0)
            return [crossing.numbers(np.zeros(0, np.int64)) for _ in settings]
        crossing = Crossing(parts.labels.ravel(), true[parts.window].ravel(), len(parts.areas), int(true.max()))
        return [crossing.numbers(parts.groups(setting)) for setting in settings]
    distances = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    regions = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[1]
    found = [watershed(-distances, seeds(distances, regions), AROUND, mask=mask) for seeds in settings]
    return [
        Crossing(one.ravel(), true.ravel(), int(one.max()), int(true.max())).numbers(np.arange(one.max()))
        for one in found
    ]


def drawn_discs(n: int, side: int = 256) -> Iterator[Any]:
    """Numbered discs, some of which overlap by up to a third of the smaller one."""
    for seed in range(n):
        draw, labels = np.random.default_rng(seed), np.zeros((side, side), np.uint16)
        for number in range(1, int(draw.integers(10, 60))):
            disc = np.zeros((side, side), np.uint8)
            cv2.circle(disc, draw.integers(0, side, 2).tolist(), int(draw.integers(4, 20)), 1, -1)
            if (labels[disc > 0] > 0).mean() < 0.33:
                labels[(disc > 0) & (labels == 0)] = number
        yield labels


def nested(values: Any) -> Any:
    """Values (images, settings, thresholds) of the setting that is best in the other folds."""
    folds = np.arange(len(values)) % N_FOLDS
    best = [values[folds != fold].mean(axis=(0, 2)).argmax() for fold in range(N_FOLDS)]
    return np.array([one[best[fold]] for one, fold in zip(values, folds, strict=True)])


def main() -> None:
    """Print one line per way."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--labels", type=Path)
    options.add_argument("--every", type=int, default=1)
    options.add_argument("--images", type=int, default=60)
    given = options.parse_args()
    if given.labels:
        files = sorted(given.labels.glob("*.png"))[:: given.every]
        images = [cv2.imread(str(file), cv2.IMREAD_UNCHANGED) for file in files]
    else:
        images = [*drawn_discs(given.images)]
    print(f"{len(images)} images, {sum(len(np.unique(one[one > 0])) for one in images):,} objects")
    for name, settings in WAYS.items():
        start = time.process_time()
        found = np.array([numbers(one, settings) for one in images])
        spent = (time.process_time() - start) / len(images)
        values = nested(
            np.stack([of_numbers(found[:, place, None]).by_image() for place in range(len(settings))], axis=1)
        )
        means = values.mean(axis=1)
        error = means.std(ddof=1) / np.sqrt(len(means))
        print(
            f"{name:30} AP {means.mean():.4f} +- {error:.4f}, at 0.5 {values[:, 0].mean():.4f}, {1000 * spent:.0f} ms"
        )


if __name__ == "__main__":
    main()
