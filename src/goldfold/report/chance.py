"""Whether the score is better than that of one prediction for all images, which looks at none."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from goldfold.drawing.blocks import Note
from goldfold.drawing.words import score
from goldfold.metrics import Evidence
from goldfold.report.results import Results


def notes(results: Results) -> Iterator[Note]:
    """Warn of a score whose interval reaches that of a constant prediction."""
    entry, same = results.metrics["oof"][results.metric], constant(results.evidence)
    if same is None or entry.get("low") is None or entry.get("high") is None:
        return
    value = results.chosen_metric.value(same, np.arange(len(same)))
    reaches = entry["low"] <= value if results.greater_is_better else entry["high"] >= value
    if not np.isfinite(value) or not reaches:
        return
    what = "The mean of the numbers" if hasattr(same, "predicted") else "The shares of the classes"
    yield Note(
        "warn",
        "The score is no better than without images",
        f"{what} of the validated {results.row}s, predicted for each of them, score {score(value)}: within the interval of the "
        f"score, or better. The models have learnt nothing that {results.metric} can show: look at learning curves, labels and "
        f"a few augmented {results.row}s (goldfold augment).",
    )


def constant(evidence: Evidence) -> Any:
    """Evidence of the same prediction for all images; None for masks, boxes and user-defined tasks of other kinds.

    Decisions are those without thresholds, which were fitted to other predictions.
    """
    # told apart by their fields, as in goldfold.report.label_issues
    of: Any = evidence
    has = {field.name for field in fields(of)} if is_dataclass(of) else set()
    if has == {"predicted", "truth"}:
        return replace(of, predicted=np.full(len(of), of.truth.mean()))
    if has == {"probabilities", "labels", "thresholds"}:
        shares = np.bincount(of.labels, minlength=of.probabilities.shape[1]) / len(of)
        return replace(of, probabilities=np.tile(shares, (len(of), 1)), thresholds=None)
    if has == {"probabilities", "truth", "threshold"}:
        return replace(of, probabilities=np.tile(of.truth.mean(axis=0), (len(of), 1)), threshold=0.5)
    return None
