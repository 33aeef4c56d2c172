"""Predictions that must be of one fold."""

from goldfold.base.errors import DataError
from goldfold.predictions.arrays import Arrays, load


def load_of_fold(path: str, fold: int, what: str) -> Arrays:
    """Read predictions that images of a fold are trained with.

    Args:
        what: plural noun for their use, for the error.

    Raises:
        DataError: they are of another fold, whose networks were trained on the images that this fold validates.
    """
    predictions = load(path)
    if int(predictions["fold"]) != fold:
        raise DataError(
            f"{path} holds predictions of fold {int(predictions['fold'])}; {what} for fold {fold} must come "
            f"from its own models, or the labels of its validation images leak into training."
        )
    return predictions
