"""Times of the jobs of a run, from Snakemake's benchmark files."""

from pathlib import Path

import pandas as pd

from goldfold.planning.full import FullData, every_run
from goldfold.planning.grid import Grid
from goldfold.planning.inner import jobs
from goldfold.planning.jobs import OF_FULL, OF_RUNS

JUDGING = ("inner_train", "inner_predict")
"""Stages of inner trainings."""


def read(root: Path, plan: Grid, full: FullData) -> pd.DataFrame:
    """Times of the jobs, without the report's own, which would make each report differ from the one before.

    Returns:
        One row per job: stage, model (empty for stages without one), seconds, mb.
    """
    inner = [job.name.split()[1] for stage in JUDGING for job in jobs(plan, stage)]
    ours, rows = {run.folder for run in [*plan.runs(), *every_run(plan, full)]} | {*inner}, []
    for path in sorted(root.rglob("*.tsv")):
        place = path.relative_to(root).with_suffix("")
        stage, is_run = place.parts[0], place.parts[0] in (*OF_RUNS, *OF_FULL, *JUDGING)
        if stage != "report" and (not is_run or place.relative_to(stage).as_posix() in ours):
            line = pd.read_csv(path, sep="\t", na_values="-").iloc[0]
            name, model = {"pseudo": "pseudo_label"}.get(stage, stage), place.parts[1] if is_run else ""
            rows.append({"stage": name, "model": model, "seconds": line["s"], "mb": line.get("max_rss")})
    return pd.DataFrame(rows, columns=["stage", "model", "seconds", "mb"])
