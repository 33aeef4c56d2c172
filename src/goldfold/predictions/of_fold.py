"""Predictions that must be of one fold."""

from goldfold.base.errors import DataError
from goldfold.predictions.arrays import Arrays
from goldfold.predictions.finite import load


def load_of_fold(path: str, fold: int, rule: str) -> Arrays:
    """Read predictions that images of a fold are trained with.

    Args:
        rule: which models they must come from, for the error.

    Raises:
        DataError: they are of another fold, whose networks were trained on the images that this fold validates.
    """
    predictions = load(path)
    if int(predictions["fold"]) != fold:
        raise DataError(
            f"{path} holds predictions of fold {int(predictions['fold'])}; {rule}, or the labels of its validation images leak "
            f"into training."
        )
    return predictions
