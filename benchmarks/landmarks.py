"""Made-up landmarks for examples/landmarks: many classes of few images, some of one image, and images of no landmark.

python benchmarks/landmarks.py FOLDER [--classes 200] [--images 3] [--single 20] [--none 60] [--pixels 32]

A landmark is an arrangement of coloured blocks; each image shows it from another place, in other light, before another sky.
Writes images/, train.csv, test.csv, test_answers.csv and sample_submission.csv.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

NONE = "none"
"""Class of the images of no landmark."""
N_BLOCKS = 6


def landmark(draw: np.random.Generator) -> NDArray[np.float64]:
    """Blocks of a landmark (blocks, 7): left, top, width, height as shares of the picture, and colour."""
    corners, sizes = draw.uniform(0.1, 0.6, (N_BLOCKS, 2)), draw.uniform(0.1, 0.35, (N_BLOCKS, 2))
    return np.concatenate([corners, sizes, draw.uniform(30, 255, (N_BLOCKS, 3))], axis=1)


def photo(blocks: NDArray[np.float64], draw: np.random.Generator, pixels: int) -> NDArray[np.uint8]:
    """Picture (pixels, pixels, 3) of a landmark."""
    side = 4 * pixels
    image = np.full((side, side, 3), draw.uniform(60, 200, 3), dtype=np.float64)
    for left, top, width, height, *colour in blocks:
        x, y = int(left * side), int(top * side)
        image[y : y + int(height * side), x : x + int(width * side)] = colour
    centre = (side / 2, side / 2)
    turn = cv2.getRotationMatrix2D(centre, draw.uniform(-12, 12), draw.uniform(0.85, 1.2))
    turn[:, 2] += draw.uniform(-0.08, 0.08, 2) * side
    seen = cv2.warpAffine(image, turn, (side, side), borderMode=cv2.BORDER_REFLECT)
    seen = cv2.resize(seen, (pixels, pixels), interpolation=cv2.INTER_AREA)
    lit = seen * draw.uniform(0.7, 1.2) + draw.normal(0, 8, seen.shape)
    return np.clip(lit, 0, 255).astype(np.uint8)


def main() -> None:
    """Write the data set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    for name, default in (("classes", 200), ("images", 3), ("single", 20), ("none", 60), ("pixels", 32)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    draw, rows = np.random.default_rng(0), []
    for number in range(options.classes + options.single):
        blocks = landmark(draw)
        n = options.images if number < options.classes else 1
        rows += [(f"landmark{number:05d}", split, blocks) for split in ["train"] * n + ["test"]]
    rows += [(NONE, split, landmark(draw)) for split in ["train"] * options.none + ["test"] * options.none]
    table = pd.DataFrame([(f"p{place:06d}", label, split) for place, (label, split, _) in enumerate(rows)])
    table.columns = pd.Index(["id", "landmark_id", "split"])
    images = options.folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    for id, (_, _, blocks) in zip(table["id"], rows, strict=True):
        cv2.imwrite(str(images / f"{id}.png"), photo(blocks, draw, options.pixels))
    train, test = (table[table["split"] == split].drop(columns="split") for split in ("train", "test"))
    train.to_csv(options.folder / "train.csv", index=False)
    test[["id"]].to_csv(options.folder / "test.csv", index=False)
    test.to_csv(options.folder / "test_answers.csv", index=False)
    test[["id"]].assign(landmarks="").to_csv(options.folder / "sample_submission.csv", index=False)


if __name__ == "__main__":
    main()
