"""How often a crop by contour holds the whole region of a made-up mammogram, how much it keeps, and how fast it is found.

    python benchmarks/roi.py [--n 200] [--height 1200] [--margin 0.05] [--uneven 0]

One process on one core. Regions have dim rims, labels and bright borders lie beside them, half of the images have 16 bits
of which they use 10 to 16. ``--uneven 0.1`` lays a ramp of a tenth of the range over each image. The time is for finding
the region of a decoded image, without reading its file.
"""

import argparse
import statistics
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from goldfold.crop.contour import region  # noqa: E402
from goldfold.crop.fit import fitted  # noqa: E402
from mammograms import mammogram  # noqa: E402


def with_ramp(image: Any, share: float) -> Any:
    """The image with light that grows from the left to the right by a share of its brightest level."""
    ramp = np.linspace(0, share * image.max(), image.shape[1])
    return (image + ramp).clip(0, np.iinfo(image.dtype).max).astype(image.dtype)


def main() -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--height", type=int, default=1200)
    parser.add_argument("--margin", type=float, default=0.05)
    parser.add_argument("--uneven", type=float, default=0.0)
    options = parser.parse_args()
    outcomes, kept, beyond, seconds, first_cut = Counter[str](), [], [], [], ""
    for seed in range(options.n):
        made = mammogram(seed, options.height)
        height, width = made.image.shape
        image = with_ramp(made.image, options.uneven)
        start = time.perf_counter()
        found = region(image)
        seconds.append(time.perf_counter() - start)
        if isinstance(found, str):
            outcomes[found] += 1
            continue
        x1, y1, x2, y2 = found.box
        roi, _ = fitted((x1 * width, y1 * height, x2 * width, y2 * height), width, height, options.margin)
        assert roi is not None
        true = made.region
        is_whole = roi[0] <= true[0] and roi[1] <= true[1] and roi[2] >= true[2] and roi[3] >= true[3]
        outcomes["holds the region" if is_whole else "cuts the region"] += 1
        first_cut = first_cut or ("" if is_whole else f"first cut: seed {seed}, {made.kind}")
        area = (roi[2] - roi[0]) * (roi[3] - roi[1])
        kept.append(area / (width * height))
        beyond.append(area / ((true[2] - true[0]) * (true[3] - true[1])))
    for outcome, number in outcomes.most_common():
        print(f"{number} of {options.n}: {outcome}")
    print(first_cut or "none is cut")
    print(f"share of the pixels kept: mean {statistics.mean(kept):.2f}, {min(kept):.2f} to {max(kept):.2f}")
    print(
        f"pixels kept, times those of the region's own box: mean {statistics.mean(beyond):.2f}, at most {max(beyond):.2f}"
    )
    print(f"seconds an image: median {statistics.median(seconds):.4f}, at most {max(seconds):.4f}")


if __name__ == "__main__":
    main()
