"""Generated images in a training: their rows, and their share of each epoch."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from goldfold.generating.files import SOURCE
from goldfold.samples.samplers import Rows, Sampler, TrainingCases, cycled
from goldfold.tables import read_table

SPLIT = "generated"
"""Value of ``split`` of generated images."""


def with_generated(rows: pd.DataFrame, folder: str, weight: float) -> pd.DataFrame:
    """Add generated images, each with the target of its source; those whose source is not trained on are left out.

    Args:
        rows: training rows of the fold.
        folder: see `goldfold.generating.files`.
    """
    made, known = read_table(Path(folder) / "ids.csv"), rows[rows["split"] == "train"].set_index("id")
    made = made[made[SOURCE].isin(known.index)]
    more = known.loc[made[SOURCE]].assign(id=made["id"].to_numpy(), split=SPLIT, weight=weight)
    return pd.concat([rows, more.reset_index(drop=True)], ignore_index=True).fillna("")


class WithGenerated:
    """Sampler of epochs with a share of generated images between the other samples, whose order stays.

    Generated images come once each, in random order, before any comes again in an epoch.
    """

    def __init__(self, sampler: Sampler, n_generated: int, share: float) -> None:
        """``sampler`` draws the other samples; generated images are the last ``n_generated`` cases."""
        self.sampler, self.n_generated, self.share = sampler, n_generated, share

    def __call__(self, cases: TrainingCases, batch_size: int, generator: np.random.Generator) -> Rows:
        """Return the rows of an epoch."""
        n_own = cases.n - self.n_generated
        own = np.asarray(
            self.sampler(replace(cases, n=n_own, values=lambda by: cases.values(by)[:n_own]), batch_size, generator)
        )
        n = max(round(len(own) * self.share / (1 - self.share)), 1)
        made = cycled(np.arange(n_own, cases.n), n, generator)
        rows = np.empty(len(own) + n, np.int64)
        is_made = np.zeros(len(rows), bool)
        is_made[generator.choice(len(rows), n, replace=False)] = True
        rows[is_made], rows[~is_made] = made, own
        return rows


def sampled(sampler: Sampler, rows: pd.DataFrame, how: Mapping[str, Any] | None) -> Sampler:
    """Return the sampler of the rows of a training, with generated images if there are any."""
    n = int((rows["split"] == SPLIT).sum()) if how is not None else 0
    return WithGenerated(sampler, n, how["share"]) if how is not None and n else sampler
