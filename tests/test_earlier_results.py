"""Results that an earlier goldfold wrote (tests/data) are read, exported and predicted with by this one."""

import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import goldfold
from conftest import REPO
from goldfold import cli
from goldfold.base.files import read_json
from goldfold.lineage import records
from goldfold.predictions.arrays import load as load_arrays
from made_run import would_run
from test_reruns import EVERY_RUN, caches, runs
from test_workflow import N_TEST, N_TRAIN, write_config, write_images

RESULTS = Path("results/tiny")


@pytest.fixture
def earlier(in_tmp: Path) -> Path:
    """The raw data, the config and the results of the earlier run, in the working folder."""
    write_images(in_tmp)
    write_config(in_tmp)
    with tarfile.open(REPO / "tests/data/results-of-2026-11.tar.xz") as archive:
        archive.extractall(in_tmp / "results", filter="data")
    return in_tmp


def test_scores_and_predictions_of_earlier_results_are_read(earlier: Path) -> None:
    results = goldfold.open_results(RESULTS)
    written = read_json(RESULTS / "metrics.json")["oof"]["accuracy"]
    assert (results.score.value, results.score.low, results.score.high) == tuple(written.values())
    assert len(results.oof) == N_TRAIN
    assert results.test is not None
    assert len(results.test) == N_TEST


def test_an_earlier_ensemble_is_exported_and_predicts_what_it_predicted(earlier: Path) -> None:
    assert cli.main(["export", str(RESULTS), "-o", "bundle"]) == 0
    paths = [Path(f"raw/images/{id}.png") for id in pd.read_csv("raw/test.csv", dtype=str)["id"]]
    found, wanted = goldfold.load("bundle").predict(paths), load_arrays(RESULTS / "ensemble/test.npz")
    assert found.arrays["ids"].tolist() == wanted["ids"].tolist()
    np.testing.assert_allclose(found.arrays["probabilities"], wanted["probabilities"], atol=1e-5)


def test_records_of_earlier_jobs_say_what_must_be_made_again(earlier: Path) -> None:
    """What changed since is code of trainings among others: what it reaches is made again, and no record is unreadable."""
    found = sorted(RESULTS.rglob("*run.json"))
    assert len(found) > 20
    assert all(records.read(path) is not None for path in found)
    stale = would_run(earlier)
    assert runs("train", rounds=[0]) <= stale <= EVERY_RUN | caches(EVERY_RUN) | {"manifest", "folds"}
