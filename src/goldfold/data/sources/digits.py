"""The 1,797 handwritten digits that ship inside scikit-learn, written out so that a user's path is taken."""

from pathlib import Path

import numpy as np
import pandas as pd

from goldfold.data.sources import table
from goldfold.runtime.files import write_if_changed

TEST_EVERY = 5
"""Every fifth image (of a fixed shuffle) is a test image."""


def read(directory: str = "data/digits", test_answers: str | None = None) -> dict[str, pd.DataFrame]:
    """Write images, ``train.csv``, ``test.csv`` and ``sample_submission.csv`` below ``directory``, and read them.

    The labels of the test images go to ``test_answers.csv`` and are read by nothing but the report's score. The same
    bytes are written every time; a file that is already right is left alone.
    """
    write(Path(directory))
    return table.read(
        train=f"{directory}/train.csv",
        images=f"{directory}/images",
        test=f"{directory}/test.csv",
        test_answers=test_answers,
    )


def write(root: Path) -> None:
    """Write the data set below ``root``."""
    import cv2
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.round(digits.images * (255 / 16)).astype(np.uint8)  # (n, 8, 8), 0..16 -> 0..255
    order = np.random.default_rng(0).permutation(len(pixels))
    rows = pd.DataFrame({"id": [f"digit_{index:04d}" for index in range(len(pixels))], "label": digits.target})
    is_test = np.zeros(len(pixels), dtype=bool)
    is_test[order[::TEST_EVERY]] = True
    (root / "images").mkdir(parents=True, exist_ok=True)
    for name, image in zip(rows["id"], pixels, strict=True):
        encoded = cv2.imencode(".png", image)[1].tobytes()
        path = root / "images" / f"{name}.png"
        if not path.exists() or path.read_bytes() != encoded:
            path.write_bytes(encoded)
    sample = rows[is_test].assign(label=0)
    for name, content in (
        ("train", rows[~is_test]),
        ("test", rows.loc[is_test, ["id"]]),
        ("test_answers", rows[is_test]),
        ("sample_submission", sample),
    ):
        write_if_changed(root / f"{name}.csv", content.to_csv(index=False))
