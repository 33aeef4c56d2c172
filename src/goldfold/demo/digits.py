"""The 1,797 handwritten digits that ship inside scikit-learn, as images and tables."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

TEST_EVERY = 5
"""Every fifth image (of a fixed shuffle) is a test image."""
TRUE_OF: dict[str, tuple[int, ...]] = {"even": (0, 2, 4, 6, 8), "prime": (2, 3, 5, 7), "loop": (0, 6, 8, 9)}
"""Label -> digits that have it; 1 has none."""


def write(root: Path) -> None:
    """Write ``images``, ``train.csv``, ``test.csv``, ``test_answers.csv`` and ``sample_submission.csv`` below ``root``.

    The labels of the test images are only in ``test_answers.csv``. Output is deterministic, byte for byte.
    """
    images, digits = embedded()
    _write(root, images, pd.DataFrame({"label": digits}), "0")


def write_labels(root: Path) -> None:
    """Like `write`, with the labels of a digit in one cell, such as ``even loop``; empty for a 1."""
    images, digits = embedded()
    cells = [" ".join(name for name, of in TRUE_OF.items() if digit in of) for digit in digits]
    _write(root, images, pd.DataFrame({"labels": cells}), "even")


def write_ink(root: Path) -> None:
    """Like `write`, with the mean of the pixels, white ink on black, in per cent."""
    images, _ = embedded()
    _write(root, images, pd.DataFrame({"ink": (images.mean(axis=(1, 2)) / 2.55).round(3)}), "0.0")


def embedded() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (n, 8, 8), 0..255, and digits (n,)."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    return np.round(digits.images * (255 / 16)).astype(np.uint8), digits.target


def _write(root: Path, images: NDArray[np.uint8], targets: pd.DataFrame, example: str) -> None:
    """Write images and tables; the sample submission holds ``example`` in every row."""
    order = np.random.default_rng(0).permutation(len(images))
    rows = pd.DataFrame({"id": [f"digit_{index:04d}" for index in range(len(images))]}).join(targets)
    is_test = np.zeros(len(images), dtype=bool)
    is_test[order[::TEST_EVERY]] = True
    (root / "images").mkdir(parents=True)
    for name, image in zip(rows["id"], images, strict=True):
        (root / "images" / f"{name}.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())
    sample = rows.loc[is_test, ["id"]].assign(**dict.fromkeys(targets, example))
    for name, content in (
        ("train", rows[~is_test]),
        ("test", rows.loc[is_test, ["id"]]),
        ("test_answers", rows[is_test]),
        ("sample_submission", sample),
    ):
        (root / f"{name}.csv").write_bytes(content.to_csv(index=False).encode())
