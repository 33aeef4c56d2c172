"""Comparison of folds and test set: whether both ask for predictions on unseen groups."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.base.words import count


def compare_groups(
    train: "pd.Series[str]", test: "pd.Series[str]", folds: NDArray[np.int64], trained: NDArray[np.bool_]
) -> dict[str, int]:
    """Overlap of groups between test and training images, and between validation and training parts of folds.

    Args:
        train, test: group of each image.
        folds: validation fold of each training image, -1 for none.
        trained: (folds, training images) mask, see `goldfold.splits.training`.

    Returns:
        ``groups`` and ``images`` of the test set, ``new`` groups and ``new_images`` among them that are not in training,
        and ``shared``: validation images whose group is in the training part of their fold.
    """
    is_new = ~test.isin(set(train))
    values = train.to_numpy(dtype=str)
    shared = sum(int(np.isin(values[folds == number], values[part]).sum()) for number, part in enumerate(trained))
    return {
        "groups": int(test.nunique()),
        "images": len(test),
        "new": int(test[is_new].nunique()),
        "new_images": int(is_new.sum()),
        "shared": shared,
    }


def sizes_of(table: pd.DataFrame) -> dict[str, Any]:
    """``number`` of groups of a table's images, images of the ``smallest`` and ``largest``, and the latter's ``name``.

    Empty without groups.
    """
    if "group" not in table or table.empty:
        return {}
    sizes = table["group"].value_counts()
    return {
        "number": len(sizes), "smallest": int(sizes.min()), "largest": int(sizes.max()), "name": str(sizes.idxmax()),
    }  # fmt: skip


def in_range(sizes: Sequence[int]) -> str:
    """Range of numbers of images.

    >>> in_range([3, 5, 4]), in_range([4, 4])
    ('3 to 5 images', '4 images each')
    """
    least, most = min(sizes), max(sizes)
    return f"{least:,} to {count(most, 'image')}" if least < most else f"{count(most, 'image')} each"


def groups_in_words(sizes: dict[str, Any]) -> str:
    """``351, of 1 to 646 images, the largest 'a'``."""
    ends = sizes["smallest"], sizes["largest"]
    return f"{sizes['number']:,}, of {in_range(ends)}" + f", the largest {sizes['name']!r}" * (ends[0] < ends[1])


def in_words(found: dict[str, int]) -> str:
    """Meaning of out-of-fold scores for the test images, from the result of `compare_groups`."""
    all_new = found["new"] == found["groups"]
    if all_new and found["shared"]:
        return (
            f"all {found['groups']} groups of the test images are new, but {found['shared']} validation images have a group "
            f"that their fold is trained on: the score is too optimistic for such test images; use splitter: stratified_group"
        )
    if all_new:
        return f"all {found['groups']} groups of the test images are new, like those of the validation images"
    share = 1 - found["new_images"] / found["images"]
    return (
        f"{found['groups'] - found['new']} of {found['groups']} groups of the test images are in training too ({share:.0%} of "
        f"the test images), while folds are scored on unseen groups: the test score may be better than the out-of-fold score"
    )
