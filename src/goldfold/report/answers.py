"""Note on a test score outside the out-of-fold interval, with its likely causes."""

from collections.abc import Iterator

import numpy as np

from goldfold.base.words import count, noun
from goldfold.drawing.blocks import Note
from goldfold.drawing.words import interval, listed, percent, score, shortened
from goldfold.metrics import Score
from goldfold.report.copies import Cluster
from goldfold.report.results import Results
from goldfold.report.shift import Shifts, is_inconclusive

LARGE_SHARE = 0.1
"""Difference between a class's shares of training and test images from which it may move the score."""


def note(results: Results, clusters: list[Cluster], shifts: Shifts) -> Note | None:
    """Warn of such a score; None without a test score or an interval, or if the score lies inside it."""
    test, entry = results.test_score, results.metrics["oof"][results.metric]
    low, high = entry.get("low"), entry.get("high")
    if test is None or interval(low, high) == "–" or not np.isfinite(test.value) or low <= test.value <= high:
        return None
    is_better = (test.value > high) == results.greater_is_better
    text = (
        f"{results.metric} is {score(test.value)} ({interval(test.low, test.high)}) on "
        f"{count(_n_test(results), f'test {results.row}')} and {score(entry['value'])} ({interval(low, high)}) out of fold. "
        f"{_chance(test, low, high)}"
    )
    found = list(causes(results, clusters, shifts, is_better))
    text += f" Likely causes: {' '.join(found)}" if found else " No cause was found in the images, groups or classes."
    kind = "better" if is_better else "worse"
    return Note("warn", f"The test score is {kind} than the out-of-fold interval predicts", text)


def _n_test(results: Results) -> int:
    return 0 if results.answers is None else len(results.answers)


def _chance(test: Score, low: float, high: float) -> str:
    if not (np.isfinite(test.low) and np.isfinite(test.high)):
        return "The test score has no interval."
    if test.low <= high and low <= test.high:
        return "The two intervals overlap, so part of the difference may be chance."
    return "The two intervals do not overlap, so chance alone is an unlikely cause."


def causes(results: Results, clusters: list[Cluster], shifts: Shifts, is_better: bool) -> Iterator[str]:
    """Findings that can move the test score away from the out-of-fold score, one sentence each."""
    yield from _shift(shifts)
    yield from _groups(results, is_better)
    yield from _classes(results)
    if is_better:
        n = sum(own.cross_splits for own in clusters)
        if n:
            yield f"{count(n, 'set')} of copies {noun(n, 'is', 'are')} in both training and test data (section Copies)."
        n_folds = results.settings["folds"]["n_folds"]
        yield (
            f"Each test {results.row} is predicted by the models of all {n_folds} folds, each training {results.row} by "
            f"those of one fold; this raises the test score slightly."
        )
    elif n := sum(own.cross_folds for own in clusters):
        yield (
            f"{count(n, 'set')} of copies {noun(n, 'is', 'are')} spread over several folds, which inflates the out-of-fold "
            f"score (section Copies)."
        )


def _shift(shifts: Shifts) -> Iterator[str]:
    """State whether the images look different; that they do not is reported too."""
    if "test" not in shifts:
        yield "Test and training images were not compared (report.shift)."
        return
    shift = shifts["test"]
    if shift is None or is_inconclusive(shift.auc):
        yield "There are too few images to tell whether test images look like training images."
        return
    auc = f"AUC {shift.auc.value:.3f}, {interval(shift.auc.low, shift.auc.high, 3)}"
    if shift.is_seen:
        yield f"Test images look different: a classifier can tell them from training images ({auc}, section Shift)."
    else:
        yield f"Test images look like training images ({auc}), so a shift in lighting, size or file type is not the cause."


def _groups(results: Results, is_better: bool) -> Iterator[str]:
    """Compare the groups that test images share with training to those that validation images share with training."""
    found = results.test_groups
    if found is None:
        if not is_better and "group" not in results.tables["train"]:
            yield (
                "The data have no groups: if several images show the same patient, place or object, they are split over folds "
                "and the out-of-fold score is too high (data.group_column, data.groups)."
            )
        return
    known = found["groups"] - found["new"]
    if is_better and known:
        share = 1 - found["new_images"] / found["images"]
        yield f"{known} of {count(found['groups'], 'group')} of test images also occur in training ({share:.0%} of the images)."
    elif not is_better and found["new"]:
        yield f"{found['new']} of {count(found['groups'], 'group')} of test images do not occur in training" + (
            f", while {count(found['shared'], 'validation image')} share a group with the training images of their fold."
            if found["shared"]
            else ". This holds for validation images and their fold too, so these groups may be harder."
        )


def _classes(results: Results) -> Iterator[str]:
    """Name classes that are much more, or much less, frequent in the test images."""
    if results.answers is None:
        return
    train, test = (results.target.content(table).sum() for table in (results.truth, results.answers))
    if not train.sum() or not test.sum():
        return
    shares = train / train.sum(), test / test.sum()
    far = (shares[1] - shares[0]).abs().sort_values(ascending=False, kind="stable")
    named = [
        f"“{shortened(str(name), 30)}” is {percent(shares[0][name])} of the training and {percent(shares[1][name])} of the test "
        f"{results.unit}"
        for name in far[far >= LARGE_SHARE].index
    ]
    if named:
        yield f"Class frequencies differ: {listed(named, 3)}."
