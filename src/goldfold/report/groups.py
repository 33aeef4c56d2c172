"""Section on scores by group, such as patient or site."""

import numpy as np

from goldfold.base.words import count, noun
from goldfold.drawing.blocks import Section, Table
from goldfold.drawing.words import change, interval, score
from goldfold.metrics import Score
from goldfold.metrics.bootstrap import bootstrap
from goldfold.metrics.limits import FEWEST
from goldfold.report.results import Results

FEWEST_IMAGES = 20
MOST_GROUPS = 12
MOST_RESAMPLES, FEWEST_RESAMPLES, MOST_DRAWN_ROWS = 200, 100, 200_000
DRAWS = 30
"""Random samples of images of other groups that a group is compared with."""


def section(results: Results) -> Section | None:
    """Out-of-fold score of each large group, worst first; None with fewer than two large groups."""
    if "group" not in results.truth:
        return None
    sizes = results.truth["group"].value_counts(sort=False).sort_values(ascending=False, kind="stable")
    large = sizes[sizes >= FEWEST_IMAGES]
    if len(large) < 2:
        return None
    names = [str(name) for name in large.index[:MOST_GROUPS]]
    found = {name: (_score(results, name), _of_others(results, name)) for name in names}
    direction = 1 if results.greater_is_better else -1
    worst_first = sorted(names, key=lambda name: direction * (found[name][0].value - found[name][1]))
    rows = [
        [
            name,
            f"{sizes[name]:,}",
            score(own.value),
            interval(own.low, own.high),
            score(others),
            change(own.value - others),
        ]
        for name in worst_first
        for own, others in [found[name]]
    ]
    columns = ["group", f"{results.row}s", results.metric, "95 % interval", "other groups", "difference"]
    wide = [
        (own, others) for own, others in found.values() if own.low < own.high
    ]  # the interval has no width if all predictions are right, or all wrong
    n_apart = sum(own.low > others or own.high < others for own, others in wide)
    intro = (
        f"The {results.whole}'s out-of-fold {results.metric} per group{_chosen(len(sizes), len(large), results.row)}, compared "
        f"with as many {results.row}s of other groups with the same classes. Of {count(len(wide), 'interval')}, {n_apart} "
        f"{noun(n_apart, 'does', 'do')} not contain the score of the other groups; if groups did not differ, about one in "
        f"twenty would not. This says nothing about groups that are not in the table."
    )
    if min(sizes[name] for name in names) < FEWEST:
        intro += f" Intervals of groups with fewer than {FEWEST} {results.row}s are too narrow."
    return Section("groups", "Scores by group", intro, [Table(columns, rows, text_columns=["group"])])


def _score(results: Results, name: str) -> Score:
    own = np.flatnonzero((results.truth["group"] == name).to_numpy())
    n_resamples = min(MOST_RESAMPLES, max(FEWEST_RESAMPLES, MOST_DRAWN_ROWS // len(own)))
    return bootstrap(
        lambda rows: results.chosen_metric.value(results.evidence, own[rows]), len(own), n_resamples=n_resamples
    )


def _of_others(results: Results, name: str) -> float:
    """Mean score over samples of images of other groups, with the same classes as the group's own images.

    Otherwise a mean over classes (f1_macro) would include classes that the group lacks.
    """
    is_own = (results.truth["group"] == name).to_numpy()
    holds = (results.target.content(results.truth) > 0).to_numpy()
    alike: dict[bytes, list[int]] = {}
    for row in np.flatnonzero(~is_own):
        alike.setdefault(holds[row].tobytes(), []).append(int(row))
    pools = [alike.get(holds[row].tobytes(), [int(row)]) for row in np.flatnonzero(is_own)]
    generator = np.random.default_rng(0)
    drawn = [np.array([pool[generator.integers(len(pool))] for pool in pools]) for _ in range(DRAWS)]
    values = np.array([results.chosen_metric.value(results.evidence, rows) for rows in drawn])
    return float(values[np.isfinite(values)].mean()) if np.isfinite(values).any() else float("nan")


def _chosen(n_groups: int, n_large: int, row: str) -> str:
    parts = []
    if n_large > MOST_GROUPS:
        parts.append(f"the {MOST_GROUPS} largest of {n_groups:,}")
    elif n_large < n_groups:
        parts.append(f"the {n_large} of {n_groups:,} with at least {FEWEST_IMAGES} {row}s")
    return f", {parts[0]}" if parts else ""
