"""Notes and warnings on how to read the score."""

from collections.abc import Iterator

import numpy as np

from goldfold.base.words import count
from goldfold.drawing.blocks import Note
from goldfold.drawing.words import change, interval, listed, score, shortened
from goldfold.report import (
    ablation,
    absent,
    answers,
    chance,
    choices,
    endings,
    fits,
    limits,
    overfitted,
    quarantine,
    shift,
    training,
    unscored,
)
from goldfold.report.comparison import Comparison
from goldfold.report.copies import Cluster
from goldfold.report.results import Results

SMALL_CLASS = 20
SCORES_OF_CLASSES = {"f1": "F1", "dice": "Dice", "ap50": "AP50"}
"""Columns of a task's scores by class that are 0 for a class of which nothing was found, with their display names."""


def collect(
    results: Results, clusters: list[Cluster], shifts: shift.Shifts, compared: Comparison | None = None
) -> list[Note]:
    """All notes, warnings first; a test score outside the out-of-fold interval comes before all others."""
    found = [
        *_quick(results), *(() if results.settings.get("quick") else chance.notes(results)), *_gain(results, compared),
        *fits.notes(results), *overfitted.notes(results), *choices.notes(results),
        *endings.notes(results), *limits.notes(results), *absent.notes(results),
        *unscored.notes(results), *_copies(clusters), *shift.notes(shifts),
        *_left_out(results), *_parts_left_out(results), *_never_found(results), *_small(results), *_unsure(results),
        *training.still_rising(results), *_one_seed(results), *_metric_of_rows(results, compared),
    ]  # fmt: skip
    first = answers.note(results, clusters, shifts)
    rest = sorted(found, key=lambda note: ("warn", "info", "good").index(note.level))
    return [first, *rest] if first else rest


def _gain(results: Results, compared: Comparison | None = None) -> Iterator[Note]:
    """Compare the ensemble with its best member."""
    members = results.leaderboard[~results.leaderboard["member"].isin(["ensemble", *ablation.members(results)])]
    whole = results.leaderboard[results.leaderboard["member"] == "ensemble"].iloc[0]
    if len(members) < 2 or not results.is_ensemble:
        return
    best = members.iloc[0]
    gain = whole[results.metric] - best[results.metric]
    words = f"The ensemble scores {score(whole[results.metric])}, its best member {best['member']} {score(best[results.metric])}"
    if compared is None or not np.isfinite(compared.low):
        overlap = whole["low"] <= best["high"] and best["low"] <= whole["high"]
        verdict = "overlap, so the gain may be noise" if overlap else "do not overlap"
        yield Note("info", "Ensemble and best member", f"{words}. Their intervals {verdict}.")
        return
    low, high, n = compared.low, compared.high, compared.n_resamples
    found = f"the difference is {change(gain)}, with a 95 % interval of {change(low)} to {change(high)} "
    found += f"(both scored on the same {n} resamples)"
    if low <= 0 <= high:
        title = "The difference between the ensemble and its best member is within noise"
        luck = f"by about {score(compared.by_chance)}" if np.isfinite(compared.by_chance) else "slightly"
        yield Note("info", title, f"{words}; {found}. The interval contains 0, so the two cannot be distinguished. The best "
                   f"member was selected by this same score, which inflates its score {luck}.")  # fmt: skip
    elif (gain > 0) == results.greater_is_better:
        yield Note("good", "The ensemble is better than its best member", f"{words}; {found}.")
    else:
        todo = overfitted.advice(results) or " Check the weights."
        yield Note("warn", "The ensemble is worse than its best member", f"{words}; {found}.{todo}")


def _copies(clusters: list[Cluster]) -> Iterator[Note]:
    """Warn of copies that affect the score."""
    for title, found, why in (
        (
            "Copies of an image with different labels",
            [own for own in clusters if own.disagree_in_use],
            "If they show the same thing, at least one label is wrong, and no model can predict all of them.",
        ),
        (
            "Copies of an image in different folds",
            [own for own in clusters if own.cross_folds],
            "Models are scored on images that they were trained on, which inflates the out-of-fold score. Give the copies "
            "a common group, or remove all but one.",
        ),
        (
            "Copies of an image in training and test or unlabeled data",
            [own for own in clusters if own.cross_splits],
            "A score on the test images would be inflated.",
        ),
    ):
        if found:
            example = f"First: {listed([copy.id for copy in found[0].in_use], 3)}."
            yield Note("warn", title, f"{count(len(found), 'set')} (listed under Copies). {why} {example}")


def _left_out(results: Results) -> Iterator[Note]:
    lost = results.left_out
    if len(lost):
        kinds = lost["reason"].map(quarantine.kind_of).value_counts()
        named = listed([f"{reason} ({number:,})" for reason, number in kinds.items()], 4)
        text = f"{named}. They were not used, and the score says nothing about such images."
        level = "info" if set(lost["split"]) == {"unlabeled"} else "warn"
        yield Note(level, f"{listed(quarantine.lost(results))} in quarantine", text)


def _parts_left_out(results: Results) -> Iterator[Note]:
    n_parts = len(results.quarantine) - len(results.left_out)
    if n_parts:
        text = "Listed with reasons under Quarantine. Their images were used without them, or with the valid part of the box."
        yield Note("info", f"{count(n_parts, 'box', 'boxes')} in quarantine", text)


def _never_found(results: Results) -> Iterator[Note]:
    """Warn of classes whose score is 0, which a mean over the classes hides."""
    table = results.scores.by_class(results.evidence)
    key = next((name for name in SCORES_OF_CLASSES if name in table), None)
    if key is None:
        return
    there = (results.target.content(results.truth) > 0).sum().reindex(table.index).fillna(0)
    lost = [str(name) for name in table.index if there[name] > 0 and not table[key].fillna(0)[name] > 0]
    if lost:
        named = listed([f"{shortened(name, 40)} ({int(there[name]):,})" for name in lost])
        text = (
            f"{SCORES_OF_CLASSES[key]} is 0 for {named} (number of {results.row}s in parentheses): none was found out of fold. "
            f"More {results.row}s of the class, more epochs or a larger weight in the loss may help. A mean over the classes "
            f"gives it the same weight as any other."
        )
        yield Note("warn", f"{count(len(lost), 'class', 'classes')} never found", text)


def _small(results: Results) -> Iterator[Note]:
    counts = (results.target.content(results.truth) > 0).sum().sort_values(kind="stable")
    small = counts[counts < SMALL_CLASS]
    if len(small):
        named = listed([f"{name} ({number})" for name, number in small.items()])
        text = f"{named}: fewer than {SMALL_CLASS} {results.row}s each. Their scores below are unreliable."
        yield Note("warn", f"{count(len(small), 'very small class', 'very small classes')}", text)


def _unsure(results: Results) -> Iterator[Note]:
    entry = results.metrics["oof"][results.metric]
    if entry["value"] is None or not np.isfinite(entry["value"]):
        text = (
            f"{results.metric} is not defined for the out-of-fold predictions; roc_auc, for example, needs two classes. Check "
            f"the class counts per fold (section Data), or choose another metric."
        )
        yield Note("warn", "The score could not be computed", text)
    elif interval(entry.get("low"), entry.get("high")) == "–":
        text = (
            f"No resample could be scored, so it is unknown how much the score would change with other {results.row}s."
        )
        yield Note("warn", "The score has no interval", text)


def _quick(results: Results) -> Iterator[Note]:
    if results.settings.get("quick"):
        text = (
            "It shows that the config works: few images, one epoch, one seed and two folds. The scores and all that follows from "
            "them say nothing about the models. Run it without quick=true for scores that count."
        )
        yield Note("warn", "This was a quick run", text)


def _one_seed(results: Results) -> Iterator[Note]:
    if len(results.settings["seeds"]) == 1:
        text = (
            f"The interval covers the choice of {results.row}s, not the randomness of training: each model was trained with "
            f"one seed per fold. With seeds: [0, 1, 2] the spread between seeds is shown too."
        )
        yield Note("info", "One seed", text)


def _metric_of_rows(results: Results, compared: Comparison | None) -> Iterator[Note]:
    n_members = len(results.leaderboard) - 1 if compared is None else compared.n_members
    if n_members > 5:
        luck = compared is not None and np.isfinite(compared.by_chance)
        by = f", by {score(compared.by_chance)} if all are equally good" if compared and luck else ""
        text = (
            f"The best of {n_members} members looks better than it is{by}, because it was selected by the score that is "
            f"shown. The {results.whole}'s score was not selected in this way."
        )
        yield Note("info", "Many members were compared", text)
