"""Examples for cases of several images, checked on generated data of the same shape."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conftest import picture, save_picture
from goldfold.commands.check import check
from goldfold.config import load
from mammograms import mammogram

ROOT = Path(__file__).parent.parent


def breasts() -> tuple[int, int]:
    """60 breasts of 30 patients, of which a tenth has cancer and a sixth lacks a scan; return cases and images."""
    rows = []
    for number in range(60):
        scans = {view: f"{number}/{view}.png" for view in ("CC", "MLO")}
        if number % 6 == 5:
            del scans["CC"]
        for file in scans.values():
            save_picture(Path("data/breast/images") / file, mammogram(len(rows) * 2 + file.count("M"), 64).image)
        rows.append(
            {
                "id": f"{number // 2}_{'LR'[number % 2]}",
                **scans,
                "patient_id": number // 2,
                "cancer": int(number % 10 == 3),
            }
        )
    table = pd.DataFrame(rows)
    table.to_csv("data/breast/train.csv", index=False)
    return len(table), int(table[["CC", "MLO"]].notna().to_numpy().sum())


def sequences() -> tuple[int, int]:
    """60 sequences of 1 to 11 frames at 12 places: three species, half of the sequences of one; return cases and images."""
    rows, generator = [], np.random.default_rng(0)
    for number in range(60):
        species = "deer" if number % 2 else ("fox", "lynx", "fox")[number // 2 % 3]
        for frame in range(int(generator.integers(1, 12))):
            save_picture(Path(f"data/wildlife/images/{number}/{frame}.jpg"), picture(1000 * number + frame, level=80))
            rows.append([f"s{number}", frame, f"{number}/{frame}.jpg", species, f"place{number % 12}"])
    columns = ["sequence", "frame", "file", "species", "location"]
    pd.DataFrame(rows, columns=columns).sample(frac=1, random_state=1).to_csv("data/wildlife/train.csv", index=False)
    return 60, len(rows)


@pytest.mark.parametrize(("name", "make"), [("breast", breasts), ("wildlife", sequences)])
def test_an_example_reads_data_of_its_shape(name: str, make: Callable[[], tuple[int, int]], in_tmp: Path) -> None:
    Path("data", name).mkdir(parents=True)
    cases, images = make()
    found = check(ROOT / f"examples/{name}/config.yaml")
    assert found.error is None
    assert (found.cases, found.images) == ({"train": cases}, {"train": images})
    assert all(model.views != "mean" for model in load(ROOT / f"examples/{name}/config.yaml").models)
