"""Whether the folds ask of a model what the test images ask: to do with groups it has not seen."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.base.words import count


def compare_groups(
    train: "pd.Series[str]", test: "pd.Series[str]", folds: NDArray[np.int64], learnt: NDArray[np.bool_]
) -> dict[str, int]:
    """How groups of the test images stand to those of training, and those of validation images to what is learnt.

    Args:
        train, test: group of each image.
        folds: validation fold of each training image, -1 where it has none.
        learnt: (folds, training images), see `goldfold.splits.training`.

    Returns:
        ``groups`` and ``images`` of the test set, ``new`` groups and ``new_images`` among them that training does not
        have, and ``shared``: validation images whose group their own fold learns from.
    """
    is_new = ~test.isin(set(train))
    values = train.to_numpy(dtype=str)
    shared = sum(int(np.isin(values[folds == number], values[part]).sum()) for number, part in enumerate(learnt))
    return {
        "groups": int(test.nunique()),
        "images": len(test),
        "new": int(test[is_new].nunique()),
        "new_images": int(is_new.sum()),
        "shared": shared,
    }


def sizes_of(table: pd.DataFrame) -> dict[str, Any]:
    """``number`` of groups of a table's images, images of the ``smallest`` and ``largest``, and the latter's ``name``.

    Empty where there are no groups.
    """
    if "group" not in table or table.empty:
        return {}
    sizes = table["group"].value_counts()
    return {
        "number": len(sizes), "smallest": int(sizes.min()), "largest": int(sizes.max()), "name": str(sizes.idxmax()),
    }  # fmt: skip


def in_range(sizes: Sequence[int]) -> str:
    """Least and largest of numbers of images.

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
    """What a score of the folds says of the test images, by what `compare_groups` found."""
    all_new = found["new"] == found["groups"]
    if all_new and found["shared"]:
        return (
            f"all {found['groups']} groups of the test images are new, but {found['shared']} validation images have a group "
            f"that their fold learns from: the score is too good for such test images; use splitter: stratified_group"
        )
    if all_new:
        return f"all {found['groups']} groups of the test images are new, as those of the validation images are"
    share = 1 - found["new_images"] / found["images"]
    return (
        f"{found['groups'] - found['new']} of {found['groups']} groups of the test images are in training too ({share:.0%} of "
        f"the test images), while folds are scored on groups they have not seen: the test score may be better than theirs"
    )
