"""The demo data sets: what is written, how it is put in place, and that ordinary sources read it."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from goldfold import catalog, sources
from goldfold.base import scheduled
from goldfold.base.errors import ConfigError, GoldfoldError
from goldfold.base.files import read_json
from goldfold.base.fingerprint import sha256_of
from goldfold.config import Config, parse, slices
from goldfold.config.dependencies import recipe
from goldfold.demo import scenes
from goldfold.images.decode import decode
from goldfold.lineage.staleness import Standing
from goldfold.planning.plan import Job, plan_of
from goldfold.stages import demo
from goldfold.targets.boxes import flaws, from_text
from goldfold.targets.label_sets import from_text as labels_in
from goldfold.targets.masks import decode_mask, values_in
from test_workflow import command

pytestmark = pytest.mark.usefixtures("in_tmp")

Tables = dict[str, pd.DataFrame]
TASKS = {
    "digits": "classification",
    "digits_labels": "multilabel",
    "digits_ink": "regression",
    "scenes_masks": "segmentation",
    "scenes_boxes": "detection",
    "placed_digits": "classification",
    "placed_boxes": "detection",
}


def config(source: str, **data: Any) -> Config:
    network = {"segmentation": "unet", "detection": "fcos"}.get(TASKS[source], "timm")
    model = {"name": "a", "network": network, "backbone": "resnet18", "image_size_px": 64}
    folds = {"folds": {"splitter": "stratified_group"}} if "scenes" in source else {}
    data = {"source": source, "shards": 1, **data}
    return parse({"name": "t", "task": TASKS[source], "data": data, "models": [model], **folds})


def made(source: str, directory: Path) -> Tables:
    """Tables of a demo data set, as the stages write and read it."""
    demo.run(**slices.demo(config(source, directory=str(directory))))
    return read(source, directory)


def read(source: str, directory: Path) -> Tables:
    return sources.read(**slices.manifest(config(source, directory=str(directory)))["source"])


def files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


# --- digits


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tables]:
    root = tmp_path_factory.mktemp("digits")
    return root, made("digits", root)


def test_digits_are_1797_png_of_which_a_fifth_is_the_test_set(digits: tuple[Path, Tables]) -> None:
    root, tables = digits
    assert len(list((root / "images").glob("*.png"))) == 1797
    assert (len(tables["train"]), len(tables["test"])) == (1437, 360)
    assert len(set(tables["train"]["id"]) & set(tables["test"]["id"])) == 0
    assert sorted(tables["train"]["label"].unique()) == list("0123456789")


def test_digits_test_labels_are_in_the_answers_alone(digits: tuple[Path, Tables]) -> None:
    root, tables = digits
    answers = pd.read_csv(root / "test_answers.csv", dtype=str)
    assert set(answers["id"]) == set(tables["test"]["id"])
    assert "label" not in tables["test"]
    assert list(pd.read_csv(root / "test.csv").columns) == ["id"]
    assert tables["train"]["label"].notna().all()
    sample = pd.read_csv(root / "sample_submission.csv", dtype=str)
    assert set(sample["id"]) == set(answers["id"])
    assert set(sample["label"]) == {"0"}


def test_digits_show_what_scikit_learn_has(digits: tuple[Path, Tables]) -> None:
    from sklearn.datasets import load_digits

    image = decode(digits[0] / "images" / "digit_0007.png", 1)[..., 0]
    assert np.abs(image / 255 * 16 - load_digits().images[7]).max() < 0.05


def test_digits_have_labels_and_numbers_of_the_same_images(digits: tuple[Path, Tables], tmp_path: Path) -> None:
    tables = made("digits_labels", tmp_path / "labels")
    assert {name: len(table) for name, table in tables.items()} == {"train": 1437, "test": 360}
    label = digits[1]["train"].set_index("id")["label"]
    labels = tables["train"].set_index("id")["labels"]
    assert set(labels[label == "2"]) == {'["even","prime"]'}
    assert set(labels[label == "1"]) == {"[]"}
    assert {name for text in labels for name in labels_in(text)} == {"even", "prime", "loop"}
    ink = made("digits_ink", tmp_path / "ink")["train"]["value"].astype(float)
    assert 10 < ink.min() < ink.max() < 60
    sample = (tmp_path / "ink/sample_submission.csv").read_text().split("\n")[:2]
    assert re.fullmatch(r"id,ink\ndigit_\d{4},0\.0", "\n".join(sample))


# --- scenes


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tables, Tables]:
    """Folder, tables of masks, tables of boxes."""
    root = tmp_path_factory.mktemp("scenes")
    return root, made("scenes_masks", root), read("scenes_boxes", root)


def test_scenes_are_600_of_which_a_fifth_is_the_test_set(both: tuple[Path, Tables, Tables]) -> None:
    root, with_masks, with_boxes = both
    for tables in (with_masks, with_boxes):
        assert {split: len(tables[split]) for split in ("train", "test", "answers")} == {
            "train": 480, "test": 120, "answers": 120,
        }  # fmt: skip
        assert tables["train"]["group"].nunique() == scenes.TRAIN_COHORTS
        assert list(tables["test"]["id"]) == list(tables["answers"]["id"])
        assert all(Path(path).is_file() for split in ("train", "test") for path in tables[split]["path"])
    assert set(json.loads((root / "test.json").read_text())) == {"images"}
    assert {"mask", "boxes", "group"} & {*with_masks["test"], *with_boxes["test"]} == set()
    cells = pd.read_csv(root / "sample_rle.csv", dtype=str, keep_default_na=False)
    assert (len(cells), set(cells["rle"]), set(cells["class"])) == (1200, {""}, set("0123456789"))
    assert list(pd.read_csv(root / "sample_boxes.csv")["id"]) == list(with_boxes["test"]["id"])


def test_masks_and_boxes_of_the_scenes_agree(both: tuple[Path, Tables, Tables]) -> None:
    _, with_masks, with_boxes = both
    counts: dict[str, int] = dict.fromkeys("0123456789", 0)
    for split in ("train", "answers"):
        for path, text in zip(with_masks[split]["mask"], with_boxes[split]["boxes"], strict=True):
            mask, (labels, boxes) = decode_mask(path), from_text(text)
            assert scenes.DIGITS[0] <= len(labels) <= scenes.DIGITS[1]
            assert flaws(boxes, 96, 96) == [None] * len(boxes)
            assert set(values_in(mask)) == {0, *(int(label) + 1 for label in labels)}
            covered = np.zeros_like(mask)
            for label, (x1, y1, x2, y2) in zip(labels, boxes.astype(int), strict=True):
                inside = mask[y1:y2, x1:x2] == int(label) + 1
                assert inside.mean() > 0.1, "most of a digit is seen"
                covered[y1:y2, x1:x2][inside] = 1
                counts[label] += 1
            assert np.array_equal(covered > 0, mask > 0), "a box holds all pixels of its digit"
    assert min(counts.values()) > 0.85 * max(counts.values())


def test_no_digit_is_in_two_cohorts_and_boxes_overlap_a_little(make_small: Callable[[], list[scenes.Scene]]) -> None:
    cohort_of: dict[int, int] = {}
    for scene in make_small():
        for digit in scene.digits:
            assert cohort_of.setdefault(digit, scene.cohort) == scene.cohort
        for number, box in enumerate(scene.boxes):
            for other in scene.boxes[:number]:
                width, height = (min(box[i + 2], other[i + 2]) - max(box[i], other[i]) for i in (0, 1))
                common = max(width, 0) * max(height, 0)
                areas = [(each[2] - each[0]) * (each[3] - each[1]) for each in (box, other)]
                assert common / (sum(areas) - common) <= 0.15
    assert set(cohort_of.values()) == set(range(scenes.TRAIN_COHORTS + scenes.TEST_COHORTS))


@pytest.fixture
def make_small() -> Callable[[], list[scenes.Scene]]:
    return lambda: list(scenes.scenes(n_train=96, n_test=24, side_px=96, seed=1))


def test_every_digit_is_dealt_to_one_cohort() -> None:
    from sklearn.datasets import load_digits

    parts = scenes.cohorts(load_digits().target, seed=3)
    assert sorted(row for part in parts for row in part) == list(range(1797))
    assert {len(part) for part in parts} <= {119, 120}


def test_scenes_are_the_same_bytes_twice_and_others_by_another_seed() -> None:
    for folder, seed in (("one", 0), ("two", 0), ("other", 1)):
        scenes.write(Path(folder), n_train=12, n_test=3, seed=seed)
    files = files_below(Path("one"))
    assert len(files) == 2 * 15 + 6
    assert [sha256_of(path) for path in files] == [sha256_of("two" / path.relative_to("one")) for path in files]
    assert sha256_of("other/images/scene_0000.png") != sha256_of("one/images/scene_0000.png")


# --- the stage


def test_files_are_the_same_bytes_twice_and_those_that_are_right_are_left_alone(
    digits: tuple[Path, Tables], tmp_path: Path
) -> None:
    root, _ = digits
    files = files_below(root)
    assert len(files) == 1797 + 4
    times = {path: path.stat().st_mtime_ns for path in files}
    files[0].write_bytes(b"spoilt")
    (root / "notes.txt").write_text("mine")
    demo.run("digits", str(root))
    changed = [path for path in files if path.stat().st_mtime_ns != times[path]]
    assert changed == files[:1]
    assert files_below(root) == sorted([*files, root / "notes.txt"])
    (root / "notes.txt").unlink()
    demo.run("digits", str(tmp_path / "again"))
    assert [sha256_of(path) for path in files] == [sha256_of(tmp_path / "again" / p.relative_to(root)) for p in files]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A demo data set of two files, of which the second fails while ``fail`` is there."""
    monkeypatch.setitem(catalog.DEMOS, "small", "test_demo:write_small")


def write_small(root: Path) -> None:
    (root / "images").mkdir()
    (root / "images/1.png").write_text("image")
    if Path("fail").exists():
        raise OSError(28, "No space left on device")
    (root / "train.csv").write_text("id\n1\n")


@pytest.mark.usefixtures("small")
def test_a_writing_that_is_interrupted_leaves_what_was_there(in_tmp: Path) -> None:
    Path("fail").touch()
    Path("data/images").mkdir(parents=True)
    Path("data/images/1.png").write_text("old")
    (Path("data") / demo.UNFINISHED / "images").mkdir(parents=True)  # of a job that was killed
    with pytest.raises(GoldfoldError, match=r"cannot write below data: No space left on device\. Make it writable, or"):
        demo.run("small", "data")
    assert {path.name: path.read_text() for path in files_below(Path("data"))} == {"1.png": "old"}
    Path("fail").unlink()
    demo.run("small", "data")
    assert {path.name: path.read_text() for path in files_below(Path("data"))} == {
        "1.png": "image",
        "train.csv": "id\n1\n",
    }
    assert not (Path("data") / demo.UNFINISHED).exists()


def test_a_folder_that_is_a_file_is_named_before_any_job(in_tmp: Path) -> None:
    Path("raw").touch()
    with pytest.raises(
        ConfigError, match=r"data\.directory = 'raw/x': raw is a file, and the data set is written below"
    ):
        config("digits", directory="raw/x")


# --- config and plan


@pytest.mark.parametrize("source", catalog.DEMOS)
def test_an_ordinary_source_reads_the_files_of_a_demo(source: str, in_tmp: Path) -> None:
    settings = config(source, directory="d", outside_links="follow", shards=3)
    reader = slices.manifest(settings)["source"]
    assert reader["source"] == {"scenes_masks": "masks", "scenes_boxes": "coco", "placed_boxes": "coco"}.get(
        source, "csv"
    )
    assert reader["outside_links"] == "follow"
    assert {*settings.data.demo_files} >= {reader["groups"] if "scenes" in source else reader["test"]}
    plan = plan_of(settings)
    assert plan.outputs(Job("demo")) == [*settings.data.demo_files, "results/t/demo/run.json"]
    assert set(plan.outputs(Job("demo"))).isdisjoint(plan.outputs(Job("manifest")))
    assert plan.stages()[:3] == ["demo", "manifest", "folds"]
    assert recipe(settings, Job("demo"))["settings"] == {"source": source, "directory": "d"}
    assert recipe(settings, Job("manifest"))["data"] == {}
    fresh = Standing(plan, lambda job: job.stage != "demo")
    assert fresh.stale()[:3] == [Job("demo"), Job("manifest"), Job("folds")]


def test_a_user_s_own_data_have_no_stage_demo() -> None:
    plan = plan_of(parse({"name": "t", "data": {"source": "csv", "train": "t.csv", "images": "i"}, "models": [
        {"name": "a", "network": "small_resnet", "image_size_px": 8}
    ]}))  # fmt: skip
    assert (plan.stages()[0], plan.jobs("demo"), plan.made_data) == ("manifest", [], [])


def test_snakemake_makes_demo_data_before_the_manifest(in_tmp: Path, code: Path) -> None:
    values = yaml.safe_load((code / "config.yaml").read_text())
    Path("tiny.yaml").write_text(yaml.safe_dump(values))
    started = command(in_tmp, "-n", "results/digits/folds/run.json", code=code)
    started["env"] |= {scheduled.VARIABLE: str(in_tmp / "scheduled.json")}
    done = subprocess.run(**started, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = {entry["rule"]: entry for entry in read_json("scheduled.json")}
    plan = plan_of(parse(values))
    assert {*jobs} == {"demo", "manifest", "folds"}
    for stage in jobs:
        assert jobs[stage]["outputs"] == sorted(plan.outputs(Job(stage)))
    assert {*jobs["manifest"]["inputs"]} - {jobs["manifest"]["recipe"]} == {*plan.demo}
