"""Two stages in one run: images cropped by the boxes of a detector that the same run trains."""

import contextlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import goldfold
from conftest import COCO, NETS, RUNTIME, coco_of, save_picture, scene, write_scenes
from goldfold.base.errors import ConfigError, DataError
from goldfold.config import load, parse
from goldfold.crop import boxes, detector
from goldfold.crop.counts import as_text, counts
from goldfold.lineage.staleness import Standing
from goldfold.planning.plan import Job, plan_of
from goldfold.tables import read_table
from test_workflow import jobs_of, snakemake

TRAIN = {"epochs": 1, "batch_size": 4, "warmup_epochs": 0}
NO_COPIES = {"duplicates": "ignore", "shards": 1}
DETECTOR: dict[str, Any] = {
    "name": "found", "task": "detection", "data": {**COCO, **NO_COPIES}, "folds": {"splitter": "stratified", "n_folds": 2},
    "train": TRAIN, "models": [{"name": "net", **NETS["detection"]}], "runtime": RUNTIME,
}  # fmt: skip
CLASSIFIER: dict[str, Any] = {
    "name": "named",
    "data": {
        "source": "csv", "train": "raw/train.csv", "images": "raw/images", "test": "raw/test.csv", "test_images": "raw/test",
        **NO_COPIES, "roi": {"method": "detector", "config": "detector.yaml", "least_score": 0.01},
    },
    "folds": {"splitter": "stratified", "n_folds": 2}, "train": {**TRAIN, "batch_size": 8},
    "models": [{"name": "net", "backbone": "test_resnet", "image_size_px": 32}], "runtime": RUNTIME,
}  # fmt: skip
N_OTHERS = 4
"""Training images of the classifier that the detector does not have."""


def write_data(root: Path, **roi: Any) -> None:
    """Data and configs of both stages below ``root``."""
    made = write_scenes(root)
    others = {f"ot{number:02d}": scene(200 + number, ("lit",)) for number in range(N_OTHERS)}
    for name, one in others.items():
        save_picture(root / f"raw/images/{name}.png", one.image)
    names = [*(name for name in made if name.startswith("im")), *others]
    pd.DataFrame({"id": names, "label": [("cat", "dog")[n % 2] for n in range(len(names))]}).to_csv(
        root / "raw/train.csv", index=False
    )
    pd.DataFrame({"id": [name for name in made if name.startswith("te")]}).to_csv(root / "raw/test.csv", index=False)
    write_configs(root, **roi)


def write_configs(root: Path, of_detector: dict[str, Any] | None = None, **roi: Any) -> None:
    data = {**CLASSIFIER["data"], "roi": {**CLASSIFIER["data"]["roi"], **roi}}
    (root / "tiny.yaml").write_text(yaml.safe_dump({**CLASSIFIER, "data": data}))
    (root / "detector.yaml").write_text(yaml.safe_dump({**DETECTOR, **(of_detector or {})}))


# --- whose boxes


def listed(**images: str) -> pd.DataFrame:
    """Table of images by id, with the digests of their content."""
    return pd.DataFrame({"id": [*images], "path": [f"x/{id}.png" for id in images], "sha256": [*images.values()]})


def test_images_are_matched_by_content_and_seen_ones_get_out_of_fold_boxes() -> None:
    train = listed(a="1", b="2", c="3").assign(fold=["0", "-1", "1"])
    own = {"train": train, "test": listed(t="4", a2="1")}
    given = {"train": listed(p="1", q="2", r="9"), "test": listed(s="4"), "unlabeled": listed(u="3")}
    found = detector.matched(given, own).set_index("id")
    assert found["part"].to_dict() == {"p": "oof", "q": "unscored", "r": "new", "s": "test", "u": "oof"}
    assert found["own_id"].to_dict() == {"p": "a", "q": "b", "r": "", "s": "t", "u": "c"}
    whole = found.reset_index()
    assert detector.whose(whole, "train") == ["networks of the other folds", "no network", "all networks"]
    assert detector.whose(whole, "test") == ["all networks"]


def test_a_name_of_a_training_image_with_other_content_is_refused_unless_it_is_said_to_be_another_image() -> None:
    own = {"train": listed(a="1").assign(fold="0"), "test": listed(t="4")}
    with pytest.raises(DataError, match=r"1 image has the name of a training image .* first 'a' \(x/a.png.*same_names: ignore"):
        detector.matched({"train": listed(a="5", b="6")}, own)
    renamed = listed(z="5").assign(path="y/a.jpg")
    with pytest.raises(DataError, match=r"first 'z' \(y/a.jpg; the detector's 'a'\)"):
        detector.matched({"test": renamed}, own)
    assert detector.matched({"train": listed(a="5")}, own, may_share_names=True)["part"].tolist() == ["new"]
    assert detector.matched({"train": listed(t="5")}, own)["part"].tolist() == ["new"], "no box of a test image is seen"


def boxes_at(**x1: float) -> pd.DataFrame:
    """One box per id, which begins at ``x1``."""
    rows = [(id, "lit", 0.9, start, 0.0, start + 8, 8.0) for id, start in x1.items()]
    return pd.DataFrame(rows, columns=detector.COLUMNS)


def test_each_image_is_cropped_by_the_boxes_of_its_part_alone() -> None:
    images = pd.DataFrame(
        [("train", "p", "p.png", "oof", "a"), ("train", "q", "q.png", "unscored", "b"), ("test", "r", "r.png", "new", ""),
         ("train", "s", "s.png", "oof", "c")], columns=detector.MATCHED,
    )  # fmt: skip
    tables = {"oof": boxes_at(a=10, b=20), "test": boxes_at(a=30), "new": boxes_at(**{"r.png": 40, "p.png": 50})}
    roi = {"pick": "best", "least_score": 0.3, "labels": None}
    found = detector.found_in(images, tables, roi)
    assert found["train"] == [((10, 0, 18, 8), ""), (None, detector.SEEN), (None, detector.NOTHING)]
    assert found["test"] == [((40, 0, 48, 8), "")]
    assert detector.found_in(images, tables, {**roi, "least_score": 0.95})["test"] == [(None, detector.UNSURE)]
    assert detector.found_in(images, tables, {**roi, "labels": ["dim"]})["test"] == [(None, detector.NOTHING)]
    twice = {**tables, "new": pd.concat([boxes_at(**{"r.png": 2}), boxes_at(**{"r.png": 40}).assign(score=0.5)])}
    assert detector.found_in(images, twice, roi)["test"][0][0] == (2, 0, 10, 8)
    assert detector.found_in(images, twice, {**roi, "pick": "union"})["test"][0][0] == (2, 0, 48, 8)


def test_whose_boxes_they_are_is_counted() -> None:
    table = pd.DataFrame({"id": ["a", "b"], "width": 10, "height": 10, "roi": ["0 0 5 5", ""]})
    table = table.assign(roi_fallback=["", detector.NOTHING], roi_by=["all networks", "all networks"])
    line = next(as_text(counts({"test": table})))
    assert line.endswith("whole: the detector finds nothing 1; by all networks 2")


def test_a_group_in_several_folds_of_the_detector_is_said_to_leak() -> None:
    images = pd.DataFrame(
        [("train", "p", "", "oof", "a"), ("train", "q", "", "oof", "b"), ("train", "r", "", "oof", "c"),
         ("train", "s", "", "new", "")], columns=detector.MATCHED,
    )  # fmt: skip
    groups, folds = {"p": "g", "q": "g", "r": "h", "s": "h"}, {"a": 0, "b": 1, "c": 0}
    assert detector.spread_groups(images, groups, folds) == ["g"]
    assert detector.spread_groups(images, groups, {**folds, "b": 0}) == []
    assert "1 group of training images is in several folds of the detector ('g')" in detector.spread_in_words(["g"])


def test_a_class_that_the_detector_does_not_know_is_refused() -> None:
    detector.refuse_unknown_labels(["lit"], ["dim", "lit"])
    with pytest.raises(DataError, match=r"data.roi.labels: 'litt' is no class of the detector; did you mean 'lit'\?"):
        detector.refuse_unknown_labels(["litt"], ["dim", "lit"])


# --- config and plan


def classifier(**roi: Any) -> dict[str, Any]:
    return {**CLASSIFIER, "data": {**CLASSIFIER["data"], "roi": {**CLASSIFIER["data"]["roi"], **roi}}}


@pytest.mark.parametrize(
    ("of_detector", "roi", "said"),
    [
        ({}, {"config": "none.yaml"}, r"data.roi.config = 'none.yaml': .*; name the config file of the detector"),
        ({}, {"member": "nett"}, r"data.roi.member = 'nett': the detector has no such member; did you mean 'net'\?"),
        ({"name": "named"}, {}, "has the name 'named' of this config; give each its own results"),
        ({"ensemble": {"weights": {"net": 0}}}, {"member": "net"}, "all are zero"),
        ({"metric": "ap500"}, {}, r"detector.yaml: 1 problem\n +metric = 'ap500'"),
        ({"data": {**COCO, "roi": {"method": "detector", "config": "tiny.yaml"}}}, {}, "cropped by a detector itself|its own images are cropped by a detector"),
        ({"data": {**COCO, "roi": {"method": "boxes", "boxes": "raw/test.csv"}}}, {}, "cropped by method 'boxes'"),
        ({"data": {**COCO, "channels": 1}}, {}, "its images have data.channels: 1, those of this config 3"),
        (CLASSIFIER | {"data": {**CLASSIFIER["data"], "roi": {"method": "none"}}, "name": "other"}, {}, "its task is 'classification'"),
    ],
)  # fmt: skip
def test_detectors_that_cannot_be_used_are_refused_before_any_job(
    of_detector: dict[str, Any], roi: dict[str, Any], said: str, in_tmp: Path
) -> None:
    write_data(in_tmp)
    (in_tmp / "detector.yaml").write_text(yaml.safe_dump({**DETECTOR, **of_detector}))
    with pytest.raises(ConfigError, match=said):
        parse(classifier(**roi))


def test_a_config_that_names_itself_as_its_detector_is_refused(in_tmp: Path) -> None:
    write_data(in_tmp, config="tiny.yaml")
    with pytest.raises(ConfigError, match=r"data.roi.config = 'tiny.yaml': its own images are cropped by a detector"):
        load("tiny.yaml")


def test_two_demo_data_sets_in_one_folder_are_refused(in_tmp: Path) -> None:
    own = {**DETECTOR, "data": {"source": "scenes_boxes"}}
    (in_tmp / "detector.yaml").write_text(yaml.safe_dump(own))
    data = {"source": "scenes_masks", "roi": CLASSIFIER["data"]["roi"]}
    whole = {"name": "m", "task": "segmentation", "data": data, "models": [{"name": "net", **NETS["segmentation"]}]}
    with pytest.raises(ConfigError, match=r"both configs write data/scenes/groups.csv; set another data.directory"):
        parse(whole)


def test_a_quick_run_trains_a_quick_detector(in_tmp: Path) -> None:
    write_data(in_tmp)
    found = parse({**classifier(), "quick": True})
    assert found.detector is not None
    assert (found.results, found.detector.results) == ("results/named-quick", "results/found-quick")


def test_what_follows_a_change_of_the_detector_or_of_the_classifier(in_tmp: Path) -> None:
    """The rerun matrix: on the left the job that is out of date, on the right the stages that follow."""
    write_data(in_tmp)
    plan = plan_of(parse(classifier()))
    assert plan.detector is not None
    assert [stage for stage in plan.stages() if stage in ("match", "crop")] == ["match", "crop"]

    def stale(of: str, job: Job) -> set[str]:
        def is_fresh(name: str, one: Job) -> bool:
            return (name, one) != (of, job)

        assert plan.detector is not None
        own = Standing(plan.detector, lambda one: is_fresh("found", one))
        whole = Standing(plan, lambda one: is_fresh("named", one), own)
        found = {f"found {one.stage}" for stage in plan.detector.stages() for one in plan.detector.jobs(stage) if own.is_stale(one)}
        return found | {one.stage for stage in plan.stages() for one in plan.jobs(stage) if whole.is_stale(one)}

    after = {"found predict", "found ensemble", "found submit", "found report", "crop", "folds"}
    assert stale("found", plan.detector.jobs("train")[0]) == {"found train", *after}
    assert stale("found", plan.detector.jobs("predict")[0]) == after
    assert stale("found", Job("report")) == {"found report"}
    assert stale("found", Job("manifest")) == {"found manifest", "found folds", "match", "crop", "folds"}
    assert stale("named", Job("manifest")) == {"manifest", "match", "crop", "folds"}
    assert stale("named", plan.jobs("train")[0]) == {"train", "predict", "ensemble", "submit", "report"}
    assert stale("named", Job("crop")) == {"crop", "folds"}


def test_a_run_in_one_stage_has_none_of_these_jobs(in_tmp: Path) -> None:
    write_data(in_tmp)
    plan = plan_of(parse(classifier(method="none") | {"data": {**CLASSIFIER["data"], "roi": {"method": "none"}}}))
    assert {"match", "crop"}.isdisjoint(plan.stages())
    assert plan.above(Job("folds")) == [Job("manifest")]
    assert plan.boxes == []
