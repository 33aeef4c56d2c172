"""Predictions for sets of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold import catalog, components
from goldfold.targets import soft_labels
from goldfold.tasks import logits as of_logits
from goldfold.tasks.multilabel.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.predictions.arrays import Arrays


class Output:
    """Predictions of a member have ``logits`` float32 (n, classes), those of an ensemble ``probabilities`` (n, classes)."""

    def __init__(self, spec: Spec) -> None:
        self.spec, self.classes = spec, spec.classes

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
        """Align members on id and fuse each class separately by ``method``, giving ``probabilities`` (n, classes)."""
        from goldfold.ensembling.average import is_by_image, is_by_member

        chosen = components.load(method, catalog.ENSEMBLES["labels"], "ensemble method")
        if is_by_member(chosen):  # looks at each column alone, so it needs no column of no
            return of_logits.fused(members, weights, self.classes, of_logits.sigmoid, chosen, by_member=True)

        def each_class(stack: NDArray[Any], shares: Sequence[float]) -> NDArray[Any]:
            pairs = np.stack([1 - stack, stack], axis=-1)  # (members, images, classes, no and yes)
            values = [chosen(pairs[:, :, place], shares)[:, 1] for place in range(stack.shape[2])]
            return np.stack(values, axis=1)

        return of_logits.fused(members, weights, self.classes, of_logits.sigmoid, each_class, is_by_image(chosen))

    def pseudo_labels(
        self, predictions: Arrays, threshold: float, soft: Mapping[str, float] | None = None
    ) -> pd.DataFrame:
        """Return the labels of images with a confident decision for every class: the probability of yes or of no is at
        least ``threshold``. A class is a label at or above one half.

        Args:
            soft: ``power`` and ``floor`` of soft labels, applied to the yes and no of each class; the probabilities of yes are
                in a further column ``shares``. None for hard labels.
        """
        import pandas as pd

        from goldfold.targets.label_sets import to_text

        values = probabilities(predictions)
        confidence = np.maximum(values, 1 - values).min(axis=1)
        labels = [to_text(self.spec.named(row)) for row in values >= 0.5]
        table = pd.DataFrame({"id": predictions["ids"], "labels": labels, "confidence": confidence})
        chosen = table[confidence >= threshold]
        if soft is not None:
            rows = _sharpened(values[confidence >= threshold], **soft)
            chosen = chosen.assign(
                **{soft_labels.COLUMN: [soft_labels.to_text(row, self.spec.classes) for row in rows]}
            )
        return chosen.sort_values("id").reset_index(drop=True)


def _sharpened(values: NDArray[np.float64], power: float, floor: float) -> NDArray[np.float64]:
    """Sharpen the yes and no of each class, see `goldfold.targets.soft_labels.sharpened`."""
    pairs = np.stack([values, 1 - values], axis=-1).reshape(-1, 2)
    return soft_labels.sharpened(pairs, power, floor)[:, 0].reshape(values.shape)


class Tables:
    """Predictions as a table."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def table(self, predictions: Arrays) -> pd.DataFrame:
        """Return id, labels, the probability of the least confident decision, and one column per class."""
        import pandas as pd

        from goldfold.targets.label_sets import to_text

        values = probabilities(predictions)
        frame = pd.DataFrame(values.round(6), columns=[f"p_{name}" for name in self.spec.classes])
        frame.insert(0, "id", predictions["ids"])
        frame.insert(
            1, "prediction", [to_text(self.spec.named(row)) for row in values >= thresholds(self.spec, predictions)]
        )
        frame.insert(2, "confidence", np.maximum(values, 1 - values).min(axis=1).round(6))
        return frame


def probabilities(predictions: Arrays, ids: Sequence[str] | None = None) -> NDArray[np.float64]:
    """Return probabilities (n, classes), in the order of ``ids`` if given.

    Raises:
        DataError: an id has no prediction.
    """
    return of_logits.probabilities(predictions, of_logits.sigmoid, ids)


def thresholds(spec: Spec, predictions: Arrays, ids: Sequence[str] | None = None) -> float | NDArray[np.float64]:
    """Return the fitted thresholds (n, classes), or that of the config."""
    from goldfold.predictions.arrays import thresholds_of

    found = thresholds_of(predictions, ids)
    return spec.threshold if found is None else found
