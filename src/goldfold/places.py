"""The runs that files of the results belong to, by their paths."""

import re
from pathlib import Path

from goldfold.grid import RUN, Run

RUN_FOLDER = re.compile(r"(?P<model>[^/]+)/round(?P<round>\d+)/fold(?P<fold>\d+)/seed(?P<seed>\d+)$")


def run_of(path: str | Path) -> Run:
    """The run that a file belongs to.

    >>> run_of("results/x/predict/unet/round0/fold1/seed0/test.npz")
    Run(model='unet', round=0, fold=1, seed=0)
    """
    found = RUN_FOLDER.search(Path(path).parent.as_posix())
    if found is None:
        raise ValueError(f"{path} is not in the folder of a run: .../{RUN}/<file>")
    return Run(found["model"], int(found["round"]), int(found["fold"]), int(found["seed"]))


def stage_folder(path: str | Path) -> str:
    """The folder of the stage that wrote a file.

    >>> stage_folder("results/x/predict/unet/round0/fold1/seed0/test.npz")
    'results/x/predict'
    """
    return Path(path).parent.as_posix().removesuffix(f"/{run_of(path).folder}")
