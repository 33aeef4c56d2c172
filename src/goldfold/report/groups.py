"""Section on scores by group: by patient, site, or whatever the groups stand for."""

import numpy as np

from goldfold.metrics import Score
from goldfold.metrics.bootstrap import bootstrap
from goldfold.report.blocks import Section, Table
from goldfold.report.results import Results
from goldfold.report.words import change, count, interval, score

FEWEST_IMAGES = 20
MOST_GROUPS = 30
MOST_RESAMPLES, MOST_DRAWN_ROWS = 300, 500_000


def section(results: Results) -> Section | None:
    """Out-of-fold score of each large group, the worst first; no section where fewer than two are large enough."""
    if "group" not in results.truth:
        return None
    sizes = results.truth["group"].value_counts(sort=False).sort_values(ascending=False, kind="stable")
    large = sizes[sizes >= FEWEST_IMAGES]
    if len(large) < 2:
        return None
    found = {str(name): _score(results, str(name)) for name in large.index[:MOST_GROUPS]}
    whole = float(results.metrics["oof"][results.metric]["value"] or float("nan"))
    worst_first = sorted(found, key=lambda name: (1 if results.greater_is_better else -1) * found[name].value)
    rows = [
        [name, f"{sizes[name]:,}", score(own.value), interval(own.low, own.high), change(own.value - whole)]
        for name in worst_first
        for own in [found[name]]
    ]
    columns = ["group", "images", results.metric, "95 % interval", "against all images"]
    n_apart = sum(own.low > whole or own.high < whole for own in found.values())
    intro = (
        f"The ensemble's out-of-fold {results.metric} on the images of one group at a time{_chosen(len(sizes), len(large))}. "
        f"The intervals of {n_apart} of {count(len(found), 'group')} do not hold the score of all images ({score(whole)}); "
        f"if groups did not differ, about one in twenty would not. They say how sure the score of this group's images is; "
        f"of a group that is not here they say nothing."
    )
    return Section("groups", "Scores by group", intro, [Table(columns, rows, text_columns=["group"])])


def _score(results: Results, name: str) -> Score:
    own = np.flatnonzero((results.truth["group"] == name).to_numpy())
    n_resamples = min(MOST_RESAMPLES, max(100, MOST_DRAWN_ROWS // len(own)))
    return bootstrap(
        lambda rows: results.chosen_metric.value(results.evidence, own[rows]), len(own), n_resamples=n_resamples
    )


def _chosen(n_groups: int, n_large: int) -> str:
    parts = []
    if n_large > MOST_GROUPS:
        parts.append(f"the {MOST_GROUPS} largest of {n_groups:,}")
    elif n_large < n_groups:
        parts.append(f"the {n_large} of {n_groups:,} with at least {FEWEST_IMAGES} images")
    return f", {parts[0]}" if parts else ""
