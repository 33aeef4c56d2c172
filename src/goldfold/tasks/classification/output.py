"""Predictions for one label per image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold import catalog, components
from goldfold.base.many import are_many
from goldfold.targets import soft_labels
from goldfold.tasks import logits as of_logits
from goldfold.tasks.classification.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.predictions.arrays import Arrays


class Output:
    """Predictions of a member have ``logits`` float32 (n, classes), those of an ensemble ``probabilities`` (n, classes)."""

    def __init__(self, spec: Spec) -> None:
        self.classes = spec.classes

    def join(self, parts: Sequence[Arrays]) -> Arrays:
        """Concatenate the parts, ordered by id."""
        return of_logits.joined(parts, self.classes)

    def fuse(
        self,
        members: Sequence[Arrays],
        weights: Sequence[float],
        workers: int = 1,
        method: components.Written = "probability",
    ) -> Arrays:
        """Align members on id and fuse their probabilities by ``method``, giving ``probabilities`` (n, classes)."""
        from goldfold.ensembling.average import is_by_image, is_by_member

        average = components.load(method, catalog.ENSEMBLES["label"], "ensemble method")
        how = is_by_image(average), is_by_member(average)
        return of_logits.fused(members, weights, self.classes, of_logits.softmax, average, *how)

    def pseudo_labels(
        self, predictions: Arrays, threshold: float, soft: Mapping[str, float] | None = None
    ) -> pd.DataFrame:
        """Return the most probable class of each image with a probability of at least ``threshold``.

        Args:
            soft: ``power`` and ``floor`` of soft labels, which are in a further column ``shares``; None for hard ones.
        """
        import pandas as pd

        values = probabilities(predictions)
        confidence = values.max(axis=1)
        labels = np.array(self.classes, dtype=object)[values.argmax(axis=1)]
        table = pd.DataFrame({"id": predictions["ids"], "label": labels, "confidence": confidence})
        chosen = table[confidence >= threshold]
        if soft is not None:
            rows = soft_labels.sharpened(values[confidence >= threshold], **soft)
            chosen = chosen.assign(**{soft_labels.COLUMN: [soft_labels.to_text(row, self.classes) for row in rows]})
        return chosen.sort_values("id").reset_index(drop=True)


class Tables:
    """Predictions as a table."""

    def __init__(self, spec: Spec) -> None:
        self.classes = spec.classes

    def table(self, predictions: Arrays) -> pd.DataFrame:
        """Return id, predicted class, its probability, the set of classes if there are sets, and each class's probability.

        Those of more than `MOST_LISTED` classes are in the .npz alone.
        """
        import pandas as pd

        from goldfold.metrics.classification import chosen as decided

        values = probabilities(predictions)
        chosen = decided(values, thresholds(predictions))
        if are_many(len(self.classes)):
            frame = pd.DataFrame(index=range(len(values)))
        else:
            frame = pd.DataFrame(values.round(6), columns=[f"p_{name}" for name in self.classes])
        frame.insert(0, "id", predictions["ids"])
        frame.insert(1, "prediction", np.array(self.classes, dtype=object)[chosen])
        frame.insert(2, "confidence", values[np.arange(len(values)), chosen].round(6))
        if "sets" in predictions:
            names = np.array(self.classes, dtype=object)
            frame.insert(3, "set", ["|".join(names[row]) for row in predictions["sets"]])
        return frame


def probabilities(predictions: Arrays, ids: Sequence[str] | None = None) -> NDArray[np.float64]:
    """Return probabilities (n, classes), in the order of ``ids`` if given.

    Raises:
        DataError: an id has no prediction.
    """
    return of_logits.probabilities(predictions, of_logits.softmax, ids)


def chosen_classes(predictions: Arrays) -> NDArray[np.integer[Any]]:
    """Return the index of the predicted class of each image."""
    from goldfold.metrics.classification import chosen

    return chosen(probabilities(predictions), thresholds(predictions))


def thresholds(predictions: Arrays, ids: Sequence[str] | None = None) -> NDArray[np.float64] | None:
    """Return the decision threshold of each image (n,), or (n, classes - 1) for ordered classes; None without thresholds."""
    from goldfold.predictions.arrays import thresholds_of

    found = thresholds_of(predictions, ids)
    return found[:, 0] if found is not None and found.shape[1] == 1 else found
