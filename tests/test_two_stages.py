"""Two stages in one run: images cropped by the boxes of a detector that the same run trains."""

import contextlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import goldfold
from conftest import COCO, NETS, RUNTIME, save_picture, scene, write_scenes
from goldfold.base.errors import ConfigError, DataError
from goldfold.bundles.export import export
from goldfold.commands import reasons
from goldfold.commands.check import check
from goldfold.commands.checked import as_json
from goldfold.commands.checked import as_text as check_text
from goldfold.config import load, parse
from goldfold.config.members import refuse_unversioned_detector
from goldfold.crop import detector
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
    own = {"train": train, "test": listed(t="4", a2="1"), "unlabeled": listed(v="7")}
    given = {"train": listed(p="1", q="2", r="9"), "test": listed(s="4"), "unlabeled": listed(u="3", w="7")}
    found = detector.matched(given, own).set_index("id")
    assert found["part"].to_dict() == {"p": "oof", "q": "unscored", "r": "new", "s": "test", "u": "oof", "w": "new"}
    assert found["own_id"].to_dict() == {"p": "a", "q": "b", "r": "", "s": "t", "u": "c", "w": ""}
    whole = found.reset_index()
    assert detector.whose(whole, "train") == ["networks of the other folds", "no network", "all networks"]
    assert detector.whose(whole, "test") == ["all networks"]


def test_a_name_of_a_training_image_with_other_content_is_refused_unless_it_is_said_to_be_another_image() -> None:
    own = {"train": listed(a="1").assign(fold="0"), "test": listed(t="4")}
    with pytest.raises(
        DataError, match=r"1 image has the name of a training image .* first 'a' \(x/a.png.*same_names: ignore"
    ):
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
    with pytest.raises(
        DataError, match=r"data.roi.labels: 'litt' is no class of the detector; nearest is 'lit'; there are: dim, lit"
    ):
        detector.refuse_unknown_labels(["litt"], ["dim", "lit"])


# --- config and plan


def classifier(**roi: Any) -> dict[str, Any]:
    return {**CLASSIFIER, "data": {**CLASSIFIER["data"], "roi": {**CLASSIFIER["data"]["roi"], **roi}}}


PLAIN: dict[str, Any] = {**CLASSIFIER, "name": "other", "task": "classification"}
PLAIN["data"] = {**CLASSIFIER["data"], "roi": {"method": "none"}}
NESTED = {"method": "detector", "config": "tiny.yaml"}


@pytest.mark.parametrize(
    ("of_detector", "roi", "said"),
    [
        ({}, {"config": "none.yaml"}, r"data.roi.config = 'none.yaml': .*; name the config file of the detector"),
        (
            {},
            {"from": "nett"},
            r"data.roi.from = 'nett': .* no such member; nearest is 'net'; allowed: net, net-seed0",
        ),
        ({}, {"member": "net"}, "data.roi.member: unknown key; .*allowed: config, from, labels"),
        ({"name": "named"}, {}, "has the name 'named' of this config; give each its own results"),
        ({"metric": "ap500"}, {}, r"^detector.yaml: 1 problem\n +metric = 'ap500'"),
        ({"data": {**COCO, "roi": NESTED}}, {}, r"its own images are cropped by a detector \('tiny.yaml'\)"),
        ({"data": {**COCO, "roi": {"method": "boxes", "boxes": "raw/test.csv"}}}, {}, "cropped by method 'boxes'"),
        ({"data": {**COCO, "channels": 1}}, {}, "its images have data.channels: 1, those of this config 3"),
        (PLAIN, {}, "its task is 'classification'; a detector has task: detection"),
    ],
)
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
    by_group = {"splitter": "stratified_group", "n_folds": 2}
    own = {**DETECTOR, "data": {"source": "scenes_boxes"}, "folds": by_group}
    (in_tmp / "detector.yaml").write_text(yaml.safe_dump(own))
    data = {"source": "scenes_masks", "roi": CLASSIFIER["data"]["roi"]}
    whole = {
        "name": "m",
        "task": "segmentation",
        "data": data,
        "folds": by_group,
        "models": [{"name": "net", **NETS["segmentation"]}],
    }
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
        found = {
            f"found {one.stage}"
            for stage in plan.detector.stages()
            for one in plan.detector.jobs(stage)
            if own.is_stale(one)
        }
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


def test_dvc_is_told_which_results_of_the_detector_it_must_keep(in_tmp: Path) -> None:
    write_data(in_tmp)
    pipeline: dict[str, Any] = {"stages": {"folds": {"outs": [{"results/${name}/folds": {"persist": True}}]}}}
    with pytest.raises(
        ConfigError, match=r"below stages: folds: outs:\n      - results/found/manifest: {persist: true}"
    ) as told:
        refuse_unversioned_detector(pipeline, classifier())
    lines = re.findall(r"- (results/found/\S+): ", str(told.value))
    assert {"results/found/ensemble", "results/found/train", "results/found/metrics.json"} <= {*lines}
    assert not [line for line in lines if "cache" in line]
    pipeline["stages"]["folds"]["outs"] += [{line: {"persist": True}} for line in lines]
    refuse_unversioned_detector(pipeline, classifier())
    refuse_unversioned_detector({}, {"data": {"roi": {"method": "contour"}}})


def test_check_looks_at_both_stages_and_says_whose_boxes_there_will_be(in_tmp: Path) -> None:
    write_data(in_tmp)
    found = check("tiny.yaml")
    assert found.error is None
    assert found.boxes == {
        "train": {"networks of the other folds": 12, "all networks": N_OTHERS}, "test": {"all networks": 4},
    }  # fmt: skip
    text = check_text(found)
    assert (
        "boxes of train images, known after the detector is trained: 12 by networks of the other folds, 4 by all"
        in text
    )
    assert "\ndetector:\nfound: can be run\ntask: detection\n" in text
    assert as_json(found)["detector"]["ok"]
    save_picture(in_tmp / "raw/images/im00.png", scene(300, ("lit",)).image)
    shutil.copytree(in_tmp / "raw/images", in_tmp / "raw/other")
    save_picture(in_tmp / "raw/other/im01.png", scene(301, ("lit",)).image)
    moved = {**CLASSIFIER, "data": {**CLASSIFIER["data"], "images": "raw/other"}}
    (in_tmp / "tiny.yaml").write_text(yaml.safe_dump(moved))
    assert "first 'im01' (raw/other/im01.png; the detector's 'im01')" in str(check("tiny.yaml").error)


def test_rules_of_a_detector_have_its_stages_in_records_and_reasons() -> None:
    rules = ["folds", "detector_report", "detector_train", "crop"]
    assert sorted(rules, key=reasons._place) == ["detector_train", "detector_report", "crop", "folds"]
    assert reasons._in_words("detector_ensemble", is_detector=False) == "ensemble of the detector"
    assert reasons._in_words("detector_ensemble", is_detector=True) == "ensemble"


def executed(run: Any) -> set[str]:
    """Names of the rules whose jobs a run executed."""
    assert run.returncode == 0, run.stdout + run.stderr
    return set(re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):", run.stdout + run.stderr, re.MULTILINE))


@pytest.mark.slow
def test_a_run_in_two_stages_and_its_bundle(tmp_path: Path) -> None:
    write_data(tmp_path, **{"from": "net"})
    result = snakemake(tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    order = re.findall(r"^(?:local)?rule (\w+):", result.stdout + result.stderr, re.MULTILINE)
    assert order.index("match") < order.index("detector_train") < order.index("crop") < order.index("train")
    record = json.loads((tmp_path / "results/found/train/net/round0/fold0/seed0/run.json").read_text())
    assert record["rule"] == "train"
    train = read_table(tmp_path / "results/named/folds/train.csv").set_index("id")
    oof = pd.read_csv(tmp_path / "results/found/ensemble/oof.csv")  # of one network: those of the member
    best = oof.sort_values("confidence", ascending=False, kind="stable").groupby("id").first()
    for id in [id for id in train.index if id.startswith("im")]:
        assert train["roi_by"][id] == "networks of the other folds"
        x1, y1, x2, y2 = map(int, train["roi"][id].split())
        assert x1 <= best["x1"][id] <= best["x2"][id] <= x2 + 0.01
        assert y1 <= best["y1"][id] <= best["y2"][id] <= y2 + 0.01
    assert {*train["roi_by"][[f"ot{number:02d}" for number in range(N_OTHERS)]]} == {"all networks"}
    page = (tmp_path / "results/named/report/report.html").read_text()
    assert "found by a detector that this run trained (detector.yaml, its net)" in page
    assert jobs_of(snakemake(tmp_path, "-n")) == {}
    assert jobs_of(snakemake(tmp_path, "-n", config="detector.yaml")) == {}, "as if it were run alone"
    with contextlib.chdir(tmp_path):
        export("results/named", "bundle")
        found = goldfold.load("bundle").predict("raw/test").table.set_index("id")
        whole = pd.read_csv("results/named/ensemble/test.csv").set_index("id")
        assert np.allclose(found["p_cat"], whole["p_cat"], atol=1e-5)
        path = Path("bundle/detector/bundle.json")
        path.write_text(path.read_text().replace("0.1", "0.2", 1))
        with pytest.raises(DataError, match=r"detector/bundle.json has changed since"):
            goldfold.load("bundle")
    write_configs(tmp_path)
    after = jobs_of(snakemake(tmp_path, "-n"))
    assert {"crop", "folds"} <= {*after}
    assert not [name for name in after if name.startswith("detector_")]
    again = executed(snakemake(tmp_path))
    assert {"crop", "folds", "report"} <= again
    assert {"train", "predict", "cache"}.isdisjoint(again), "the member is the ensemble: no crop changed"
    write_configs(tmp_path, least_score=1.0)
    assert {"crop", "folds", "train", "predict", "ensemble"} <= executed(snakemake(tmp_path)), "in the same run"
    assert read_table(tmp_path / "results/named/folds/train.csv")["roi"].tolist() == [""] * 16
    assert jobs_of(snakemake(tmp_path, "-n")) == {}
    write_configs(tmp_path, {"train": {**TRAIN, "lr": 0.002}})
    after = jobs_of(snakemake(tmp_path, "-n"))
    assert (after["detector_train"], after["detector_predict"], after["crop"]) == (2, 2, 1)
    assert {"manifest", "match", "detector_folds"}.isdisjoint(after)
