"""Run ``goldfold check`` on a reading, with a sample if the data set is large."""

import contextlib
import io
import os
import re
import tempfile
from pathlib import Path

from goldfold.base.errors import GoldfoldError
from goldfold.commands.init.choices import Values, plain
from goldfold.commands.init.pictures import Pictures
from goldfold.config import slices
from goldfold.config.load import parse

MOST_MEGAPIXELS = 400
"""Largest amount decoded, which takes some seconds."""
FEWEST_ROWS, MOST_ROWS = 40, 1500
UNSEEN = "has no training image"
"""Part of the error that a sample may cause."""
POLICY = re.compile(r"\b[Ss]et data\.(\w+): (\w+)(?![\w/])")
"""Pattern of a setting that an error proposes."""
SHARE = re.compile(r"([\d,]+) of ([\d,]+) ")
"""Pattern of the number of unusable images; if it is all of them, leaving them out does not help."""
MOST_POLICIES = 3


def refusal(values: Values, looked: Pictures) -> str | None:
    """Error of ``goldfold check`` for a config; None if it would be accepted."""
    rows = n_rows(looked)
    try:
        config = parse(plain(values), "the config")
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            from goldfold.stages import folds, manifest

            made = f"{folder}/manifest"
            manifest.run(folder=made, workers=os.cpu_count() or 1, most_rows=rows, **slices.manifest(config))
            if rows is None:
                folds.run(manifest=made, folder=str(Path(folder) / "folds"), **slices.folds(config))
    except GoldfoldError as error:
        return None if rows is not None and UNSEEN in str(error) else str(error)
    return None


def policy(error: str) -> tuple[str, str] | None:
    """Key of ``data`` and value that an error proposes; None if it proposes none."""
    text = " ".join(error.split())
    share = SHARE.search(text)
    found = None if share and share.group(1) == share.group(2) else POLICY.search(text)
    return (found[1], found[2]) if found else None


def is_mendable(values: Values, looked: Pictures, error: str) -> bool:
    """True if the config is accepted after adding the settings that its errors propose, one by one."""
    for _ in range(MOST_POLICIES):
        if (found := policy(error)) is None or found[0] in values["data"]:
            return False
        values = {**values, "data": {**values["data"], found[0]: found[1]}}
        if (refused := refusal(values, looked)) is None:
            return True
        error = refused
    return False


def n_rows(looked: Pictures) -> int | None:
    """Number of rows of each split that are checked; None for all."""
    height, width = looked.median
    able = int(MOST_MEGAPIXELS * 1e6 / max(height * width, 1))
    most = min(max(able, FEWEST_ROWS), MOST_ROWS)
    return None if looked.n_of <= most else most
