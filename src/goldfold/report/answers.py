"""Note on a test score that lies outside the out-of-fold interval, with what may be the cause."""

from collections.abc import Iterator

import numpy as np

from goldfold.base.words import count
from goldfold.drawing.blocks import Note
from goldfold.drawing.words import interval, listed, percent, score, shortened
from goldfold.metrics import Score
from goldfold.report.copies import Cluster
from goldfold.report.results import Results
from goldfold.report.shift import Shifts, is_open

LARGE_SHARE = 0.1
"""Difference of a class's share of training and test images that may move a score."""


def note(results: Results, clusters: list[Cluster], shifts: Shifts) -> Note | None:
    """None where there is no test score, no interval, or the score lies inside it."""
    test, entry = results.test_score, results.metrics["oof"][results.metric]
    low, high = entry.get("low"), entry.get("high")
    if test is None or interval(low, high) == "–" or not np.isfinite(test.value) or low <= test.value <= high:
        return None
    is_better = (test.value > high) == results.greater_is_better
    text = (
        f"On {count(_n_test(results), 'test image')} {results.metric} is {score(test.value)} ({interval(test.low, test.high)}), "
        f"out of fold {score(entry['value'])} ({interval(low, high)}). {_chance(test, low, high)}"
    )
    found = list(causes(results, clusters, shifts, is_better))
    text += f" Likely causes: {' '.join(found)}" if found else " No cause was found in the images, groups or classes."
    kind = "better" if is_better else "worse"
    return Note("warn", f"The test score is {kind} than the out-of-fold interval says", text)


def _n_test(results: Results) -> int:
    return 0 if results.answers is None else len(results.answers)


def _chance(test: Score, low: float, high: float) -> str:
    if not (np.isfinite(test.low) and np.isfinite(test.high)):
        return "The test score has no interval."
    if test.low <= high and low <= test.high:
        return "The two intervals overlap, so a part of the difference may be chance."
    return "The two intervals do not overlap: chance alone is an unlikely cause."


def causes(results: Results, clusters: list[Cluster], shifts: Shifts, is_better: bool) -> Iterator[str]:
    """What was found that can move a test score away from the out-of-fold score, one sentence each."""
    yield from _shift(shifts)
    yield from _groups(results, is_better)
    yield from _classes(results)
    if is_better:
        n = sum(own.cross_splits for own in clusters)
        if n:
            yield f"{count(n, 'set')} of copies lie in training and test (section Copies)."
        n_folds = results.settings["folds"]["n_folds"]
        yield (
            f"Each test image is predicted by the models of all {n_folds} folds, a training image by those of one, which "
            f"lifts the test score a little."
        )
    elif n := sum(own.cross_folds for own in clusters):
        yield f"{count(n, 'set')} of copies lie in several folds, which flatters the out-of-fold score (section Copies)."


def _shift(shifts: Shifts) -> Iterator[str]:
    """Whether the images look different; that they do not is worth a word too."""
    if "test" not in shifts:
        yield "Whether test images look like training images was not examined (report.shift)."
        return
    shift = shifts["test"]
    if shift is None or is_open(shift.auc):
        yield "There are too few images to say whether test images look like training images."
        return
    auc = f"AUC {shift.auc.value:.3f}, {interval(shift.auc.low, shift.auc.high, 3)}"
    if shift.is_seen:
        yield f"Test images look different: a classifier tells them from training images ({auc}, section Shift)."
    else:
        yield f"Test images do not look different from training images ({auc}), so shift of light, size or file is no cause."


def _groups(results: Results, is_better: bool) -> Iterator[str]:
    """Whether the folds ask of a model what the test images ask."""
    found = results.test_groups
    if found is None:
        if not is_better and "group" not in results.tables["train"]:
            yield (
                "The data name no groups: where several images show one patient, place or object, folds part them, and the "
                "out-of-fold score is too good (data.group_column, data.groups)."
            )
        return
    known = found["groups"] - found["new"]
    if is_better and known:
        share = 1 - found["new_images"] / found["images"]
        yield f"{known} of {count(found['groups'], 'group')} of test images are in training too ({share:.0%} of the images)."
    elif not is_better and found["new"]:
        yield f"{found['new']} of {count(found['groups'], 'group')} of test images are not in training" + (
            f", while {count(found['shared'], 'validation image')} share a group with what their fold is trained on."
            if found["shared"]
            else ", as those of validation images are not in what their fold is trained on: these groups may be harder."
        )


def _classes(results: Results) -> Iterator[str]:
    """Classes that are far more, or less, frequent in the test images."""
    if results.answers is None:
        return
    train, test = (results.target.content(table).sum() for table in (results.truth, results.answers))
    if not train.sum() or not test.sum():
        return
    shares = train / train.sum(), test / test.sum()
    far = (shares[1] - shares[0]).abs().sort_values(ascending=False, kind="stable")
    named = [
        f"“{shortened(str(name), 30)}” is {percent(shares[0][name])} of the training and {percent(shares[1][name])} of the test "
        f"{results.facts.unit}"
        for name in far[far >= LARGE_SHARE].index
    ]
    if named:
        yield f"Classes have other shares: {listed(named, 3)}."
