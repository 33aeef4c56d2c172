"""Near duplicates: time of the look-up, cost of a signature, recall on planted copies and pairs among the originals.

    python benchmarks/duplicates.py [--images FOLDER] [--planted 300]

Pairs among the originals are false alarms or real near duplicates: look at them.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from goldfold.audit.duplicates import MIN_CORRELATION, _near  # noqa: E402
from goldfold.audit.hamming import near_pairs  # noqa: E402
from goldfold.audit.perceptual import signature  # noqa: E402
from goldfold.images.decode import decode  # noqa: E402
from goldfold.images.files import images_below  # noqa: E402

DISTANCES = (2, 4, 6, 8, 10)
Change = Callable[[np.ndarray], np.ndarray]


def scaled(share: float) -> Change:
    """Resize by this share."""
    how = cv2.INTER_AREA if share < 1 else cv2.INTER_CUBIC
    return lambda image: cv2.resize(image, None, fx=share, fy=share, interpolation=how)


def jpeg(quality: int) -> Change:
    """Encode as JPEG and decode."""
    return lambda image: cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1)


def crop(image: np.ndarray) -> np.ndarray:
    """Cut off 1 % at each side."""
    top, left = (max(1, round(side / 100)) for side in image.shape[:2])
    return np.ascontiguousarray(image[top:-top, left:-left])


CHANGES: dict[str, Change] = {
    "50 %": scaled(0.5), "75 %": scaled(0.75), "200 %": scaled(2), "jpeg 95": jpeg(95), "jpeg 75": jpeg(75),
    "jpeg 50": jpeg(50), "brighter": lambda image: cv2.convertScaleAbs(image, alpha=1.1, beta=5),
    "mirrored": lambda image: np.ascontiguousarray(image[:, ::-1]), "crop 2 %": crop,
}  # fmt: skip


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Best of some times."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def brute(hashes: np.ndarray, distance: int) -> int:
    """Number of pairs by comparing all with all."""
    return sum(int((np.bitwise_count(hashes[i + 1 :] ^ hash) <= distance).sum()) for i, hash in enumerate(hashes))


def look_up() -> None:
    """Times of the look-up against brute force."""
    generator = np.random.default_rng(0)
    for n in (10_000, 100_000):
        hashes = generator.integers(0, 2**64, n, dtype=np.uint64)
        hashes[: n // 100] = hashes[-(n // 100) :] ^ np.uint64(0b1011)
        for distance in DISTANCES:
            print(
                f"{n:>7} hashes, distance {distance:>2}: {seconds(lambda h=hashes, d=distance: near_pairs(h, d), 1):.2f} s"
            )
        if n == 10_000:
            print(f"{n:>7} hashes, brute force: {seconds(lambda h=hashes: brute(h, 10), 1):.2f} s")
    image = cv2.resize(generator.integers(0, 256, (24, 32, 3), dtype=np.uint8), (512, 384))
    print(f"signature of 512 x 384: {seconds(lambda: [signature(image) for _ in range(100)]) * 10:.2f} ms")


def recall(folder: Path, n_planted: int) -> None:
    """Table of recall by kind of change and distance, with thumbnails compared; pairs among the originals."""
    names = images_below(folder, "images")
    planted = set(np.random.default_rng(0).choice(len(names), min(n_planted, len(names)), replace=False).tolist())
    rows, copies = [], []
    for number, name in enumerate(names):
        image = decode(folder / name, 3)
        rows.append(signature(image)._asdict())
        if number in planted:
            copies += [(number, kind, signature(change(image))._asdict()) for kind, change in CHANGES.items()]
    n = len(rows)
    table = pd.DataFrame(rows + [copy for _, _, copy in copies])
    for what, threshold in (("hash alone", -1.0), ("thumbnails too", MIN_CORRELATION)):
        result = {}
        for distance in DISTANCES:
            pairs = np.concatenate([pairs for pairs, _, _ in _near(table, distance, threshold)])
            found = {(int(i), int(j)) for i, j in np.sort(pairs, axis=1)}
            hits = pd.Series([(source, n + place) in found for place, (source, _, _) in enumerate(copies)])
            result[distance] = hits.groupby([kind for _, kind, _ in copies]).mean()
            result[distance]["pairs of originals"] = sum(j < n for _, j in found)
        print(f"\n{folder.name}, {n} images, {what}")
        print(pd.DataFrame(result).round(3).to_string())


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--planted", type=int, default=300)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    if options.images:
        recall(options.images, options.planted)
    else:
        look_up()


if __name__ == "__main__":
    main()
