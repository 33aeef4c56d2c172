"""Examples for competitions whose data cannot be had here: each reads, and runs on, generated data of the same shape."""

import sys
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from conftest import REPO, picture, save_picture
from goldfold.base.files import read_json
from goldfold.commands.check import check
from goldfold.config import load
from mammograms import mammogram
from test_benchmarks import benchmark
from test_workflow import snakemake

Counts = tuple[dict[str, int], dict[str, int]]
"""Cases and images by split."""


def breast() -> Counts:
    """60 breasts of 30 patients, of which a tenth has cancer and a sixth lacks a scan."""
    rows = []
    for number in range(60):
        scans = {view: f"{number}/{view}.png" for view in ("CC", "MLO")}
        if number % 6 == 5:
            del scans["CC"]
        for file in scans.values():
            save_picture(Path("data/breast/images") / file, mammogram(len(rows) * 2 + file.count("M"), 64).image)
        side, cancer = "LR"[number % 2], int(number % 10 == 3)
        rows.append({"id": f"{number // 2}_{side}", **scans, "patient_id": number // 2, "cancer": cancer})
    table = pd.DataFrame(rows)
    table.to_csv("data/breast/train.csv", index=False)
    return {"train": len(table)}, {"train": int(table[["CC", "MLO"]].notna().to_numpy().sum())}


def wildlife() -> Counts:
    """60 sequences of 1 to 11 frames at 12 places: three species, half of the sequences of one."""
    rows, generator = [], np.random.default_rng(0)
    for number in range(60):
        species = "deer" if number % 2 else ("fox", "lynx", "fox")[number // 2 % 3]
        for frame in range(int(generator.integers(1, 12))):
            save_picture(Path(f"data/wildlife/images/{number}/{frame}.jpg"), picture(1000 * number + frame, level=80))
            rows.append([f"s{number}", frame, f"{number}/{frame}.jpg", species, f"place{number % 12}"])
    columns = ["sequence", "frame", "file", "species", "location"]
    pd.DataFrame(rows, columns=columns).sample(frac=1, random_state=1).to_csv("data/wildlife/train.csv", index=False)
    return {"train": 60}, {"train": len(rows)}


def melanoma() -> Counts:
    """60 lesions of 20 patients and 12 more, a tenth malignant; some without age or place; diagnoses of training images alone."""
    rows = []
    for number in range(72):
        save_picture(Path(f"data/melanoma/images/ISIC_{number:02d}.jpg"), picture(number, level=60 + number % 10 * 15))
        target = int(number % 10 == 7)
        rows.append({
            "image_name": f"ISIC_{number:02d}", "patient_id": f"IP_{number // 3}", "sex": ("male", "female")[number % 2],
            "age_approx": None if number % 9 == 8 else 30 + number % 5 * 10,
            "anatom_site_general_challenge": None if number % 7 == 6 else ("torso", "head/neck")[number % 2],
            "diagnosis": "melanoma" if target else ("nevus", "unknown", "seborrheic keratosis")[number % 3], "target": target,
        })  # fmt: skip
    table = pd.DataFrame(rows)
    table[:60].to_csv("data/melanoma/train.csv", index=False)
    table[60:].drop(columns=["diagnosis", "target"]).to_csv("data/melanoma/test.csv", index=False)
    return {"train": 60, "test": 12}, {"train": 60, "test": 12}


def protein_atlas() -> Counts:
    """60 cells in four files each, with one or two of five parts, of which one is rare; 8 more."""
    names = [f"c{number:02d}" for number in range(68)]
    for number, stain in product(range(68), ("red", "green", "blue", "yellow")):
        save_picture(
            Path(f"data/atlas/images/{names[number]}_{stain}.png"), picture(number, level=70 + 9 * len(stain))[..., 0]
        )
    targets = [
        "16 0" if number % 4 == 0 else "27" if number % 20 == 7 else str((0, 7, 25)[number % 3]) for number in range(60)
    ]
    pd.DataFrame({"Id": names[:60], "Target": targets}).to_csv("data/atlas/train.csv", index=False)
    pd.DataFrame({"Id": names[60:], "Predicted": "0"}).to_csv("data/atlas/sample_submission.csv", index=False)
    return {"train": 60, "test": 8}, {"train": 60, "test": 8}


def cassava() -> Counts:
    """60 leaves of five classes, most of class 3, and 8 more."""
    labels = [3 if number % 5 < 3 else number % 4 if number % 4 != 3 else 4 for number in range(60)]
    for number in range(68):
        place = f"train_images/{number}.jpg" if number < 60 else f"test_images/{number}.jpg"
        save_picture(
            Path("data/cassava") / place, picture(number, level=60 + 30 * (labels[number] if number < 60 else 1))
        )
    pd.DataFrame({"image_id": [f"{number}.jpg" for number in range(60)], "label": labels}).to_csv(
        "data/cassava/train.csv", index=False
    )
    test = {"image_id": [f"{number}.jpg" for number in range(60, 68)], "label": 4}
    pd.DataFrame(test).to_csv("data/cassava/sample_submission.csv", index=False)
    return {"train": 60, "test": 8}, {"train": 60, "test": 8}


def mushrooms() -> Counts:
    """60 pictures of 32 x 32 pixels of three kinds, and 9 more."""
    for number in range(69):
        kind = ("amanita", "boletus", "russula")[number % 3]
        folder = f"train/{kind}" if number < 60 else "test"
        save_picture(
            Path(f"data/mushrooms/{folder}/m{number}.png"), picture(number, level=60 + 60 * (number % 3), size=(32, 32))
        )
    return {"train": 60, "test": 9}, {"train": 60, "test": 9}


def landmarks() -> Counts:
    """Eight landmarks of three images, two of one, and images that show none, as `benchmarks/landmarks.py` makes them."""
    words = ["landmarks.py", "data/landmarks", "--classes", "8", "--single", "2", "--none", "5"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", words)
        benchmark("landmarks").main()
    n = {"train": 8 * 3 + 2 + 5, "test": 8 + 2 + 5, "answers": 8 + 2 + 5}
    return n, n


MAKE: dict[str, Callable[[], Counts]] = {
    "breast": breast, "wildlife": wildlife, "melanoma": melanoma, "protein_atlas": protein_atlas, "cassava": cassava,
    "mushrooms": mushrooms, "landmarks": landmarks,
}  # fmt: skip
FOLDERS = {"protein_atlas": "atlas"}
SMALL: dict[str, Any] = {"small_resnet": {"widths": [4, 8]}, "densenet7x7": {"layers": [1, 1], "growth": 4}}
"""Parameters of networks that have no backbone."""
every_example = pytest.mark.parametrize("name", MAKE)


@every_example
def test_an_example_reads_data_of_its_shape(name: str, in_tmp: Path) -> None:
    Path("data", FOLDERS.get(name, name)).mkdir(parents=True)
    cases, images = MAKE[name]()
    found = check(REPO / f"examples/{name}/config.yaml")
    assert found.error is None
    assert (found.cases or found.images, found.images) == (cases, images)


def shrunk(values: Mapping[str, Any]) -> dict[str, Any]:
    """An example with two small networks in place of its own, that are not pretrained; all else stays."""
    models = [
        model
        if "neighbours" in model
        else {key: value for key, value in model.items() if key != "pretrained"}
        | {"image_size_px": 32}
        | ({"backbone": "test_resnet"} if "backbone" in model else {"params": SMALL[model["network"]]})
        for model in values["models"]
        if "backbone" in model or model.get("network", "small_resnet") in SMALL
    ]
    return {**values, "models": models[:2], "runtime": {"torch_threads": 1}}


@pytest.mark.slow
@every_example
def test_an_example_runs(name: str, in_tmp: Path, code: Path) -> None:
    """Whole, as a quick run (`--config quick=true`)."""
    Path("data", FOLDERS.get(name, name)).mkdir(parents=True)
    MAKE[name]()
    values = yaml.safe_load((REPO / f"examples/{name}/config.yaml").read_text())
    (in_tmp / "example.yaml").write_text(yaml.safe_dump(shrunk(values)))
    made = snakemake(in_tmp, "--config", "quick=true", config="example.yaml", code=code)
    assert made.returncode == 0, made.stdout + made.stderr
    results = in_tmp / f"results/{name}-quick"
    assert (results / "report/report.html").stat().st_size > 10_000
    assert values["metric"] in read_json(results / "metrics.json")["oof"]
    assert (results / "submission.csv").exists() == load(in_tmp / "example.yaml").data.has_test
