"""Labels without images, in all folds or in some: what they do to a mean F1 over labels."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from goldfold.base.words import count, noun
from goldfold.drawing.blocks import Note
from goldfold.drawing.words import listed, score
from goldfold.metrics import counts
from goldfold.report.results import Results

RULE = "F1 is 0, whatever is predicted, as in scikit-learn (zero_division=0)"


def notes(results: Results) -> Iterator[Note]:
    """Explain the F1 of labels that no image has, for several labels per image."""
    metric, truth = results.chosen_metric, getattr(results.evidence, "truth", None)
    if truth is None or metric.of_counts is not counts.f1 or not metric.is_mean_over_classes:
        return
    folds = results.truth["fold"].astype(int).to_numpy()
    is_there = np.array([(truth[folds == fold] == 1).any(axis=0) for fold in np.unique(folds)])
    nowhere = _named(results, ~is_there.any(axis=0))
    if nowhere:
        most = score(1 - len(nowhere) / truth.shape[1])
        text = f"No {results.row} has {listed(nowhere)}. There {RULE}, so that {results.metric} cannot be above {most}."
        yield Note("warn", f"{count(len(nowhere), 'label')} without {results.row}s", text)
    in_some = _named(results, is_there.any(axis=0) & ~is_there.all(axis=0))
    if in_some:
        text = (
            f"{listed(in_some)} {noun(len(in_some), 'is', 'are')} missing in some folds. There {RULE}. The same holds for "
            f"resamples without a label, so that intervals reach too low. All folds together have all these labels."
        )
        yield Note("info", f"In some folds, {results.metric} is too low for want of labels", text)


def _named(results: Results, chosen: Any) -> list[str]:
    """Return the names of the chosen of all labels (labels,)."""
    return [name for name, is_chosen in zip(results.classes, chosen.tolist(), strict=True) if is_chosen]
