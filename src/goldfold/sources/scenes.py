"""Digits on photographs, all from inside scikit-learn, written out so that a user's path is taken."""

from pathlib import Path

import pandas as pd

from goldfold.demo import scenes
from goldfold.sources import coco, masks


def read_masks(directory: str = "data/scenes") -> dict[str, pd.DataFrame]:
    """Write the scenes below ``directory`` and read them as images with masks (values 1 to 10 are the digits 0 to 9)."""
    scenes.write(Path(directory))
    return masks.read(
        train=f"{directory}/images",
        masks=f"{directory}/masks",
        test=f"{directory}/test_images",
        test_answers=f"{directory}/test_masks",
        groups=f"{directory}/groups.csv",
    )


def read_boxes(directory: str = "data/scenes") -> dict[str, pd.DataFrame]:
    """Write the scenes below ``directory`` and read them as images with boxes."""
    scenes.write(Path(directory))
    return coco.read(
        train=f"{directory}/train.json",
        images=f"{directory}/images",
        test=f"{directory}/test.json",
        test_images=f"{directory}/test_images",
        test_answers=f"{directory}/test_answers.json",
        groups=f"{directory}/groups.csv",
    )
