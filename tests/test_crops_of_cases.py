"""Crops of the images of cases: two views of a breast, each cut out of its own scan."""

import contextlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import goldfold
from conftest import Tiny, prepare, save_picture
from goldfold.bundles.export import export
from goldfold.cache.images import CachedImages
from goldfold.images import cases
from goldfold.images.geometry import roi_of
from goldfold.predictions.arrays import load as load_arrays
from goldfold.stages import folds
from mammograms import mammogram
from tiny_results import record, write_results

VIEWS = {"id_column": "id", "view_columns": ["CC", "MLO"]}


@pytest.fixture(scope="module")
def breasts(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """12 training and 2 test cases of two scans, of which every fifth lacks one."""
    root, rows = tmp_path_factory.mktemp("breasts"), []
    with contextlib.chdir(root):
        for number in range(14):
            for view in range(2):
                save_picture(Path(f"img/{number}-{view}.png"), mammogram(2 * number + view, 120).image)
            rows.append(
                [f"k{number:02d}", f"{number}-0.png", None if number % 5 == 3 else f"{number}-1.png", number % 2]
            )
        every = pd.DataFrame(rows, columns=["id", "CC", "MLO", "label"])
        every[:12].to_csv("train.csv", index=False)
        every[12:].drop(columns="label").to_csv("test.csv", index=False)
        data = {"source": "csv", "train": "train.csv", "images": "img", "test": "test.csv", "duplicates": "ignore"}
        return prepare(Tiny(root, {**data, **VIEWS, "roi": {"method": "contour", "margin": 0.0}}), ["train", "test"])


def table(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def test_each_image_of_a_case_has_a_crop_of_its_own(breasts: Tiny) -> None:
    listed = table(breasts.folds / "shards/train-0.csv").set_index("id")
    assert len(listed) == 12 + 10
    assert listed.loc["k00#0", "roi"] != listed.loc["k00#1", "roi"]
    images = CachedImages(breasts.caches())
    with contextlib.chdir(breasts.root):
        for view in range(2):
            whole = mammogram(view, 120)
            x1, y1, x2, y2 = roi_of(listed.loc[f"k00#{view}", "roi"])
            left, top, right, bottom = whole.region
            assert abs(x1 - left) + abs(y1 - top) + abs(x2 - right) + abs(y2 - bottom) < 30
    assert images.roi("k00#1") == roi_of(listed.loc["k00#1", "roi"])
    manifest = table(breasts.root / "manifest/train.csv").set_index("id")
    crops = cases.from_text(manifest.loc["k03", cases.ROIS])
    assert crops == [listed.loc["k03#0", "roi"], None]


def test_a_crop_that_changes_reaches_the_folds_of_its_case_alone(breasts: Tiny, tmp_path: Path) -> None:
    manifest, lists = tmp_path / "manifest", []
    manifest.mkdir()
    for file in (breasts.root / "manifest").iterdir():
        (manifest / file.name).write_bytes(file.read_bytes())
    for changed in (False, True):
        found = table(manifest / "train.csv")
        if changed:
            found[cases.ROIS] = found[cases.ROIS].mask(found["id"] == "k00", cases.to_text(["0 0 9 9", "0 0 8 8"]))
            found.to_csv(manifest / "train.csv", index=False)
        folds.run(str(manifest), str(tmp_path / "folds"), breasts.task, ["train"], "stratified", 2, 0, 1)
        lists.append(table(tmp_path / "folds/fold0.csv"))
    differs = (lists[0] != lists[1]).any(axis=1)
    assert lists[0]["id"][differs].tolist() == ["k00"]


def test_a_bundle_cuts_the_images_of_new_cases_as_the_run_did(breasts: Tiny, tmp_path: Path) -> None:
    results = tmp_path / "results"
    write_results(breasts, results, views={"concat": {"hidden": 8}})
    source = {**dict.fromkeys(("case_column", "view_column", "image_column")), **VIEWS}
    roi = {
        "method": "contour",
        "threshold": "otsu",
        "shows": "bright",
        "margin": 0.0,
        "least_share": 0.02,
        "most_share": 0.95,
    }
    settings = {"roi": roi, "max_pixels": 200_000_000, "source": source}
    record(results, "manifest/run.json", "manifest", settings, [], ["manifest/classes.json"])
    export(results, tmp_path / "bundle")
    found = goldfold.load(tmp_path / "bundle").predict(breasts.root / "img", table=breasts.root / "test.csv")
    wanted = load_arrays(results / "ensemble/test.npz")
    assert found.arrays["ids"].tolist() == ["k12", "k13"]
    np.testing.assert_allclose(found.arrays["probabilities"], wanted["probabilities"], atol=1e-5)
