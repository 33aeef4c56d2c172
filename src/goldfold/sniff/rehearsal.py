"""The verdict of ``goldfold check`` on a reading, on a sample where the set is large."""

import contextlib
import io
import os
import tempfile
from pathlib import Path

from goldfold.config import slices
from goldfold.config.load import parse
from goldfold.runtime.errors import GoldfoldError
from goldfold.sniff.choices import Values, plain
from goldfold.sniff.pictures import Pictures

MOST_MEGAPIXELS = 400
"""What is decoded at most: some seconds."""
FEWEST_ROWS, MOST_ROWS = 40, 1500
UNSEEN = "has no training image"
"""Part of the error that a sample may cause."""


def refusal(values: Values, looked: Pictures) -> str | None:
    """Why ``goldfold check`` would refuse a config, None where it would not."""
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


def n_rows(looked: Pictures) -> int | None:
    """Rows of each split that are checked; None: all of them."""
    height, width = looked.median
    able = int(MOST_MEGAPIXELS * 1e6 / max(height * width, 1))
    most = min(max(able, FEWEST_ROWS), MOST_ROWS)
    return None if looked.n_of <= most else most
