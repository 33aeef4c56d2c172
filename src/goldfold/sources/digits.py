"""The 1,797 handwritten digits that ship inside scikit-learn, written out so that a user's path is taken."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.base.files import write_if_changed
from goldfold.sources import table

TEST_EVERY = 5
"""Every fifth image (of a fixed shuffle) is a test image."""


TRUE_OF: dict[str, tuple[int, ...]] = {"even": (0, 2, 4, 6, 8), "prime": (2, 3, 5, 7), "loop": (0, 6, 8, 9)}
"""What is true of which digits; of a 1, nothing is."""


def read(directory: str = "data/digits", test_answers: str | None = None) -> dict[str, pd.DataFrame]:
    """Write images, ``train.csv``, ``test.csv`` and ``sample_submission.csv`` below ``directory``, and read them.

    The labels of the test images go to ``test_answers.csv`` and are read by nothing but the report's score. The same
    bytes are written every time; a file that is already right is left alone.
    """
    images, digits = embedded()
    write(Path(directory), images, pd.DataFrame({"label": digits}), "0")
    return _read(directory, test_answers)


def read_labels(directory: str = "data/digits_labels", test_answers: str | None = None) -> dict[str, pd.DataFrame]:
    """As `read`, with all that is true of a digit in one cell, such as ``even loop``; empty for a 1."""
    images, digits = embedded()
    cells = [" ".join(name for name, of in TRUE_OF.items() if digit in of) for digit in digits]
    write(Path(directory), images, pd.DataFrame({"labels": cells}), "even")
    return _read(directory, test_answers, label_column="labels", label_separator=" ", empty_label="no_class")


def read_ink(directory: str = "data/digits_ink", test_answers: str | None = None) -> dict[str, pd.DataFrame]:
    """As `read`, with the mean of the pixels, white ink on black, in per cent."""
    images, _ = embedded()
    ink = (images.mean(axis=(1, 2)) / 2.55).round(3)
    write(Path(directory), images, pd.DataFrame({"ink": ink}), "0.0")
    return _read(directory, test_answers, target_column="ink")


def _read(directory: str, test_answers: str | None, **columns: Any) -> dict[str, pd.DataFrame]:
    return table.read(
        train=f"{directory}/train.csv",
        images=f"{directory}/images",
        test=f"{directory}/test.csv",
        test_answers=test_answers,
        **columns,
    )


def embedded() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (n, 8, 8) of 0..255, and the digits (n,)."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    return np.round(digits.images * (255 / 16)).astype(np.uint8), digits.target


def write(root: Path, images: NDArray[np.uint8], targets: pd.DataFrame, example: str) -> None:
    """Write the data set below ``root``; the sample submission holds ``example`` in every row."""
    import cv2

    order = np.random.default_rng(0).permutation(len(images))
    rows = pd.DataFrame({"id": [f"digit_{index:04d}" for index in range(len(images))]}).join(targets)
    is_test = np.zeros(len(images), dtype=bool)
    is_test[order[::TEST_EVERY]] = True
    (root / "images").mkdir(parents=True, exist_ok=True)
    for name, image in zip(rows["id"], images, strict=True):
        encoded = cv2.imencode(".png", image)[1].tobytes()
        path = root / "images" / f"{name}.png"
        if not path.exists() or path.read_bytes() != encoded:
            path.write_bytes(encoded)
    sample = rows.loc[is_test, ["id"]].assign(**dict.fromkeys(targets, example))
    for name, content in (
        ("train", rows[~is_test]),
        ("test", rows.loc[is_test, ["id"]]),
        ("test_answers", rows[is_test]),
        ("sample_submission", sample),
    ):
        write_if_changed(root / f"{name}.csv", content.to_csv(index=False))
