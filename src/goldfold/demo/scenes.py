"""Handwritten digits pasted onto photographs, both from scikit-learn: a data set with masks and boxes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

TRAIN_COHORTS, TEST_COHORTS = 12, 3
"""Numbers of cohorts that the 1,797 digits are divided into; a scene shows only digits of its own cohort."""
DIGITS = (3, 5)
"""Smallest and largest number of digits in a scene."""
SIDES_PX = (18, 34)
"""Shortest and longest side of a digit's 8 x 8 pixels in a scene."""
FULL_INK = 12
"""Intensity, of 16, at which a digit's ink is opaque: thin strokes are grey in scikit-learn's table."""
COVERED = 0.25
"""Largest share of the smaller of two boxes that may overlap; their IoU is then at most 1/7."""
INKED = 128
"""Alpha, of 255, at or above which a pixel belongs to a digit."""
CONTRAST = 75.0
"""Luma, of 255, by which the ink differs from nine tenths of the pixels around it, if such a colour is found."""
LUMA = np.array([0.299, 0.587, 0.114])
CLASSES = 10


@dataclass(frozen=True)
class Scene:
    """A scene with its digits."""

    id: str
    cohort: int
    image: Pixels
    """(side, side, 3), RGB."""
    mask: Pixels
    """(side, side): 0 is background, 1 to 10 are the digits 0 to 9; a later digit is on top."""
    labels: list[int]
    boxes: list[tuple[int, int, int, int]]
    """x1, y1, x2, y2 of each digit, tight around all of its pixels, including hidden ones."""
    digits: list[int]
    """Row of each digit in scikit-learn's table."""


def write(root: Path, n_train: int = 480, n_test: int = 120, side_px: int = 96, seed: int = 0) -> None:
    """Write images, masks, COCO files, groups and sample submissions below ``root``; deterministic, byte for byte.

    ``images``, ``masks`` and ``train.json`` are for training; ``test_images`` and ``test.json`` (images only) for the
    test set, ``test_masks`` and ``test_answers.json`` its answers.
    """
    train: list[Scene] = []
    test: list[Scene] = []
    for scene in scenes(n_train, n_test, side_px, seed):
        is_test = scene.cohort >= TRAIN_COHORTS
        (test if is_test else train).append(scene)
        for folder, pixels in (("images", scene.image[..., ::-1]), ("masks", scene.mask)):
            write_png(root / f"{'test_' if is_test else ''}{folder}" / f"{scene.id}.png", pixels)
    files = {"train": _coco(train), "test": {"images": _coco(test)["images"]}, "test_answers": _coco(test)}
    for name, content in files.items():
        (root / f"{name}.json").write_text(json.dumps(content, separators=(",", ":")) + "\n")
    for name, table in _tables(train, test).items():
        (root / f"{name}.csv").write_bytes(table.to_csv(index=False).encode())


def scenes(n_train: int, n_test: int, side_px: int, seed: int, digits: tuple[int, int] = DIGITS) -> Iterator[Scene]:
    """Yield scenes ``scene_0000``, ``scene_0001``, ...; training scenes come first.

    The digits are divided into cohorts and each scene shows digits of one, so that folds by cohort, and the test set,
    share no digit.

    Args:
        digits: smallest and largest number of digits in a scene.
    """
    from sklearn.datasets import load_digits, load_sample_image

    table = load_digits()
    strokes = np.round(table.images * (255 / FULL_INK)).clip(0, 255).astype(np.uint8)  # (n, 8, 8), 0..16 -> 0..255
    strokes = np.pad(strokes, ((0, 0), (1, 1), (1, 1)))  # many digits touch the border and would look cut off
    photographs = [np.asarray(load_sample_image(name)) for name in ("china.jpg", "flower.jpg")]
    decks = [_deck(rows, (seed, cohort)) for cohort, rows in enumerate(cohorts(table.target, seed))]
    for number in range(n_train + n_test):
        is_test = number >= n_train
        cohort = TRAIN_COHORTS + (number - n_train) % TEST_COHORTS if is_test else number % TRAIN_COHORTS
        generator = np.random.default_rng((seed, CLASSES, number))
        rows = [next(decks[cohort]) for _ in range(generator.integers(digits[0], digits[1] + 1))]
        canvas = _crop(photographs[generator.integers(len(photographs))], side_px, generator)
        labels = [int(table.target[row]) for row in rows]
        alphas = _arranged([strokes[row] for row in rows], side_px, generator)
        yield _painted(f"scene_{number:04d}", cohort, canvas, labels, alphas, rows, generator)


def cohorts(classes: NDArray[np.int64], seed: int) -> list[list[int]]:
    """Rows of each cohort: every row is in one cohort, and every class is spread evenly over them."""
    shuffled = np.random.default_rng(seed).permutation(len(classes))
    dealt = shuffled[np.argsort(classes[shuffled], kind="stable")]
    n = TRAIN_COHORTS + TEST_COHORTS
    return [dealt[cohort::n].tolist() for cohort in range(n)]


def _deck(rows: list[int], key: tuple[int, ...]) -> Iterator[int]:
    """Yield the rows in random order, shuffled again each time all are used."""
    generator = np.random.default_rng(key)
    while True:
        yield from generator.permutation(rows).tolist()


def _crop(photograph: Pixels, side_px: int, generator: np.random.Generator) -> Pixels:
    """A random square of a photograph, or its mirror image."""
    top, left = (generator.integers(length - side_px + 1) for length in photograph.shape[:2])
    crop = photograph[top : top + side_px, left : left + side_px]
    return crop[:, ::-1].copy() if generator.integers(2) else crop.copy()


def _arranged(strokes: list[Pixels], side_px: int, generator: np.random.Generator) -> list[Pixels]:
    """Alpha (side, side) of each digit, at a size and position where it hides little of the others."""
    while True:
        alphas: list[Pixels] = []
        for stroke in strokes:
            tries = (_placed(stroke, side_px, generator) for _ in range(50))
            fits = (alpha for alpha in tries if _is_clear(_box(alpha), [_box(other) for other in alphas]))
            if (alpha := next(fits, None)) is None:
                break
            alphas.append(alpha)
        if len(alphas) == len(strokes):
            return alphas


def _placed(stroke: Pixels, side_px: int, generator: np.random.Generator) -> Pixels:
    side, aspect = generator.uniform(*SIDES_PX), generator.uniform(0.85, 1.15)
    lengths = np.clip([side * aspect, side / aspect], *SIDES_PX)
    width, height = (round(length * len(stroke) / (len(stroke) - 2)) for length in lengths)  # including the padding
    top, left = (generator.integers(side_px - length + 1) for length in (height, width))
    alpha = np.zeros((side_px, side_px), dtype=np.uint8)
    alpha[top : top + height, left : left + width] = cv2.resize(stroke, (width, height), interpolation=cv2.INTER_CUBIC)
    return alpha


def _box(alpha: Pixels) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2 around the inked pixels."""
    inked = alpha >= INKED
    x, y = np.flatnonzero(inked.any(axis=0)), np.flatnonzero(inked.any(axis=1))
    return int(x[0]), int(y[0]), int(x[-1]) + 1, int(y[-1]) + 1


def _is_clear(box: tuple[int, int, int, int], others: list[tuple[int, int, int, int]]) -> bool:
    for other in others:
        width, height = (min(box[i + 2], other[i + 2]) - max(box[i], other[i]) for i in (0, 1))
        if max(width, 0) * max(height, 0) > COVERED * min(_area(box), _area(other)):
            return False
    return True


def _area(box: tuple[int, int, int, int]) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _painted(
    id: str,
    cohort: int,
    canvas: Pixels,
    labels: list[int],
    alphas: list[Pixels],
    digits: list[int],
    generator: np.random.Generator,
) -> Scene:
    mask = np.zeros(canvas.shape[:2], dtype=np.uint8)
    for label, alpha in zip(labels, alphas, strict=True):
        x1, y1, x2, y2 = _box(alpha)
        ink = _ink(canvas[y1:y2, x1:x2], generator)
        weight = alpha[..., None].astype(np.int64)
        canvas = ((canvas * (255 - weight) + ink * weight + 127) // 255).astype(np.uint8)
        mask[alpha >= INKED] = label + 1
    return Scene(id, cohort, canvas, mask, labels, [_box(alpha) for alpha in alphas], digits)


def _ink(around: Pixels, generator: np.random.Generator) -> NDArray[np.int64]:
    """Colour with contrast to the pixels around: the first of 60 that suffices, else the one with the most."""
    colours = generator.integers(0, 256, (60, 3))
    apart = np.abs((colours @ LUMA)[:, None] - (around.reshape(-1, 3) @ LUMA)[None])  # (colours, pixels)
    contrast = np.quantile(apart, 0.1, axis=1)
    return colours[int(np.argmax(contrast >= CONTRAST)) if (contrast >= CONTRAST).any() else int(np.argmax(contrast))]


def _coco(parts: list[Scene]) -> dict[str, list[dict[str, Any]]]:
    images, annotations = [], []
    for scene in parts:
        number = int(scene.id.removeprefix("scene_"))
        height, width = scene.mask.shape
        images.append({"id": number, "file_name": f"{scene.id}.png", "width": width, "height": height})
        for order, (label, box) in enumerate(zip(scene.labels, scene.boxes, strict=True)):
            x1, y1, x2, y2 = box
            annotations.append(
                {
                    "id": number * CLASSES + order,
                    "image_id": number,
                    "category_id": label + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": _area(box),
                    "iscrowd": 0,
                }
            )
    categories = [{"id": label + 1, "name": str(label)} for label in range(CLASSES)]
    return {"images": images, "annotations": annotations, "categories": categories}


def _tables(train: list[Scene], test: list[Scene]) -> dict[str, pd.DataFrame]:
    """Tables of groups, and of sample submissions without any object."""
    groups = [(scene.id, f"cohort_{scene.cohort:02d}") for scene in train + test]
    cells = [(scene.id, str(label), "") for scene in test for label in range(CLASSES)]
    return {
        "groups": pd.DataFrame(groups, columns=["id", "group"]),
        "sample_rle": pd.DataFrame(cells, columns=["id", "class", "rle"]),
        "sample_boxes": pd.DataFrame([(scene.id, "") for scene in test], columns=["id", "PredictionString"]),
    }


def write_png(path: Path, pixels: Pixels) -> None:
    """Write an image in OpenCV's order of channels; equal pixels give equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
