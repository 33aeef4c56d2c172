"""Cases of several images: from tables to manifest, folds, cache, training, and new cases."""

import contextlib
import json
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

import goldfold
from conftest import FORM, POLICIES, Tiny, picture, prepare, save_picture
from goldfold import cli, sources, tasks
from goldfold.audit.duplicates import of_cases
from goldfold.base.errors import ConfigError, DataError
from goldfold.bundles import form, listing
from goldfold.bundles.export import cases_of, export
from goldfold.cache.building import Frame
from goldfold.cache.decoded import DecodedImages, Reading
from goldfold.cache.images import CachedImages
from goldfold.commands.check import check
from goldfold.config import load, parse
from goldfold.images import cases
from goldfold.inference.loading import Loader
from goldfold.inference.predictor import trained
from goldfold.lineage import staleness
from goldfold.predictions.arrays import load as load_arrays
from goldfold.report import doubts
from goldfold.samples.dataset import TrainingSet
from goldfold.samples.transforms import Augment
from goldfold.sources.casing import Casing
from goldfold.sources.table import read_alone
from goldfold.stages import folds, manifest
from tiny_results import record, write_results

LONG = """case,view,image,label
b,front,1.png,cat
a,front,2.png,dog
b,back,3.png,cat
c,back,4.png,dog
"""
WIDE = """case,front,back,label
b,1.png,3.png,cat
a,2.png,,dog
c,,4.png,dog
"""
BY_ROW = {"case_column": "case", "view_column": "view", "image_column": "image"}
BY_COLUMN = {"id_column": "case", "view_columns": ["front", "back"]}


def write(images: int = 9) -> None:
    """Distinct pictures ``img/<n>.png``."""
    for number in range(images):
        save_picture(Path(f"img/{number}.png"), picture(number, level=90))


def read(text: str, test: str | None = None, **keys: Any) -> dict[str, pd.DataFrame]:
    Path("t.csv").write_text(text)
    if test is not None:
        Path("test.csv").write_text(test)
        keys["test"] = "test.csv"
    return sources.read("csv", train="t.csv", images="img", **keys)


# --- tables


def test_a_row_per_image_and_a_row_per_case_say_the_same(in_tmp: Path) -> None:
    write()
    test = ("case,view,image\nx,front,5.png\n", "case,front,back\nx,5.png,\n")
    long, wide = read(LONG, test[0], **BY_ROW), read(WIDE, test[1], **BY_COLUMN)
    for split in ("train", "test"):
        pd.testing.assert_frame_equal(long[split], wide[split], check_like=True)
    train = long["train"]
    assert train[["id", "label", "path"]].to_numpy().tolist() == [
        ["b", "cat", "img/3.png"], ["a", "dog", "img/2.png"], ["c", "dog", "img/4.png"]
    ]  # fmt: skip
    views = [cases.from_text(text) for text in train["images"]]
    assert views == [["img/3.png", "img/1.png"], [None, "img/2.png"], ["img/4.png", None]], "back before front"


def test_images_without_names_of_views_are_numbered(in_tmp: Path) -> None:
    write()
    tables = read(LONG, "case,image\nx,5.png\nx,6.png\nx,7.png\n", case_column="case", image_column="image")
    assert [cases.from_text(text) for text in tables["train"]["images"]] == [
        ["img/1.png", "img/3.png"], ["img/2.png", None], ["img/4.png", None]
    ]  # fmt: skip
    assert cases.from_text(tables["test"]["images"].iloc[0]) == ["img/5.png", "img/6.png", "img/7.png"]


def test_answers_may_have_a_row_per_case_or_per_image(in_tmp: Path) -> None:
    write()
    Path("answers.csv").write_text("case,label\nx,cat\nx,cat\ny,dog\n")
    tables = read(LONG, "case,view,image\nx,front,5.png\n", test_answers="answers.csv", **BY_ROW)
    assert tables["answers"].to_numpy().tolist() == [["x", "cat"], ["y", "dog"]]


def test_answers_may_have_the_form_of_the_training_table(in_tmp: Path) -> None:
    write()
    Path("answers.csv").write_text("id,case,label\n5,x,cat\n6,x,cat\n7,y,dog\n")
    train = "id,case,label\n1,b,cat\n3,b,cat\n2,a,dog\n"
    tables = read(train, "id,case\n5,x\n6,x\n7,y\n", test_answers="answers.csv", case_column="case")
    assert tables["test"]["id"].tolist() == ["x", "y"]
    assert tables["answers"].to_numpy().tolist() == [["x", "cat"], ["y", "dog"]]


@pytest.mark.parametrize(
    ("text", "keys", "said"),
    [
        (LONG.replace("b,back,3.png,cat", "b,back,3.png,dog"), BY_ROW,
         r"t\.csv: the rows of case 'b' differ in label: 'cat' and 'dog' \(1 such case\)\. A case has one value"),
        (LONG.replace("b,back", "b,front"), BY_ROW,
         r"t\.csv: case 'b' has two images of view 'front', in line 2 and line 4\. Keep one, name their views apart, or remove"),
        (LONG.replace("b,back,3", "b,back,1"), BY_ROW,
         r"t\.csv: case 'b' has the image img/1\.png twice, in line 2 and line 4, so it would count twice\. Correct one of"),
        (LONG + "a,front,2,dog\n", {**BY_ROW, "view_column": None},
         r"t\.csv: case 'a' has the image img/2\.png twice, in line 3 and line 6, so it would count twice\. Correct one of"),
        (WIDE.replace("1.png,3.png", "1.png,1"), BY_COLUMN,
         r"t\.csv: case 'b' has the image img/1\.png twice, in the columns back and front of line 2, so it would count twice\."),
        (LONG.replace("c,back", "c,"), BY_ROW, r"column 'view' is empty in line 5\. Name the view of each image\."),
        (LONG.replace("c,back", ",back"), BY_ROW, r"column 'case' is empty in line 5\. Fill it in\."),
        (LONG, {**BY_ROW, "view_column": "side"}, r"has no column 'side': .*Set data\.view_column"),
        (WIDE + "b,5.png,6.png,cat\n", BY_COLUMN,
         r"case 'b' has 2 rows\. With data\.view_columns give each case one row; for a table with a row per image set"),
        (WIDE.replace("c,,4.png", "c,,"), BY_COLUMN,
         r"1 case without any image, first 'c': the columns back, front are empty\. Name at least one"),
        (WIDE, {**BY_COLUMN, "view_columns": ["front", "side"]}, r"has no column 'side': .*Set data\.view_columns"),
    ],
)  # fmt: skip
def test_tables_of_cases_that_say_two_things_are_refused(
    text: str, keys: dict[str, Any], said: str, in_tmp: Path
) -> None:
    write()
    with pytest.raises(DataError, match=said):
        read(text, **keys)


def test_a_view_that_no_training_case_has_is_refused(in_tmp: Path) -> None:
    write()
    with pytest.raises(
        DataError,
        match=r"test: no training case has the view 'left'; these have 'back', 'front'\. Correct data\.view_column",
    ):
        read(LONG, "case,view,image\nx,left,5.png\n", **BY_ROW)
    with pytest.raises(
        DataError,
        match=r"test: no training case has the view 'front'; these have 'back'\. Remove it from data\.view_columns, or leave",
    ):
        read("case,front,back,label\na,,2.png,dog\n", "case,front,back\nx,5.png,6.png\n", **BY_COLUMN)


# --- config


def config(**changes: Any) -> Any:
    data = {"source": "csv", "train": "t.csv", "images": "img", **BY_ROW, **changes.pop("data", {})}
    models = [{"name": "net", "network": "small_resnet", "image_size_px": 16}]
    return {"name": "t", "data": data, "models": models, **changes}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": {"view_columns": ["a", "b"]}}, "case_column is for a row per image, view_columns for a row per case"),
        ({"data": {"case_column": None}}, "view_column names the images of a case: set case_column too, or remove it"),
        ({"data": {"unlabeled": "pool"}}, "case_column and unlabeled do not go together; remove one"),
    ],
)
def test_keys_of_cases_that_do_not_go_together_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse(config(**changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": {"duplicates": "drop"}}, r"data\.duplicates = 'drop': cases that share an image are not copies"),
        ({"data": {"roi": {"method": "column", "columns": ["box"]}}},
         r"data\.roi\.method = 'column': gives a box per row, and a row is a case of several images; use contour or none"),
        ({"task": "keypoint_task:Keypoints"}, r"data\.case_column: task 'keypoint_task:Keypoints' takes cases of one image each"),
        ({"task": "segmentation"}, r"data\.case_column: task 'segmentation' takes cases of one image each; remove it"),
    ],
)  # fmt: skip
def test_what_cases_of_several_images_cannot_have_is_an_error_of_the_config(
    changes: dict[str, Any], said: str, in_tmp: Path
) -> None:
    write()
    Path("t.csv").write_text(LONG)
    Path("c.yaml").write_text(json.dumps(config(**changes)))
    with pytest.raises(ConfigError, match=said):
        load("c.yaml")


# --- manifest, folds, cache


def make(text: str, test: str | None = None, **policies: str) -> Path:
    """The manifest's folder."""
    keys = BY_COLUMN if text.startswith("case,front") else BY_ROW
    Path("t.csv").write_text(text)
    if test is not None:
        Path("test.csv").write_text(test)
        keys = {**keys, "test": "test.csv", "test_answers": "answers.csv" if Path("answers.csv").exists() else None}
    source = {"source": "csv", "train": "t.csv", "images": "img", **keys}
    task = {"name": "classification"}
    manifest.run("m", source, task, {**POLICIES, **policies}, None, None, None, FORM, 1)
    return Path("m")


def table(path: str) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def test_an_image_that_cannot_be_read_is_left_out_and_its_case_stays(in_tmp: Path) -> None:
    write()
    Path("img/1.png").write_bytes(b"nonsense")
    Path("img/2.png").write_bytes(b"nonsense")
    Path("img/5.png").write_bytes(b"nonsense")
    test = "case,view,image\nx,front,5.png\nx,back,6.png\n"
    make(LONG, test, on_bad_image="quarantine")
    train = table("m/train.csv")
    assert train[["id", "path"]].to_numpy().tolist() == [["b", "img/3.png"], ["c", "img/4.png"]]
    assert [cases.from_text(text) for text in train["images"]] == [["img/3.png", None], ["img/4.png", None]]
    lost = table("m/quarantine.csv")
    assert lost[["split", "id", "path"]].to_numpy().tolist() == [
        ["train", "b", "img/1.png"], ["train", "a", "img/2.png"], ["test", "x", "img/5.png"]
    ]  # fmt: skip
    assert table("m/test.csv")["path"].tolist() == ["img/6.png"]
    with pytest.raises(
        DataError, match=r"train: 2 of 4 images cannot be used, first 'b' \(img/1\.png: .*on_bad_image: quar"
    ):
        make(LONG, test)
    Path("img/6.png").write_bytes(b"nonsense")
    with pytest.raises(
        DataError, match=r"test: 2 of 2 images cannot be used, first 'x' \(img/6\.png: .*\)\. Restore the files\."
    ):
        make(LONG, test, on_bad_image="quarantine")


def test_the_digest_of_a_case_is_of_all_its_images_and_of_their_views(in_tmp: Path) -> None:
    write()
    digests = [table(f"{make(LONG)}/train.csv")["sha256"]]
    save_picture(Path("img/3.png"), picture(77, level=90))
    digests.append(table(f"{make(LONG)}/train.csv")["sha256"])
    digests.append(table(f"{make(LONG.replace('a,front', 'a,back'))}/train.csv")["sha256"])
    assert [(old != new).tolist() for old, new in pairwise(digests)] == [
        [True, False, False], [False, True, False]
    ]  # fmt: skip


def test_the_report_looks_at_the_files_of_all_images_of_cases(in_tmp: Path) -> None:
    write()
    tables = {"train": table(f"{make(LONG)}/train.csv"), "answers": pd.DataFrame({"id": ["x"]})}
    assert doubts.paths_of(SimpleNamespace(tables=tables)) == ["img/3.png", "img/1.png", "img/2.png", "img/4.png"]


def test_of_a_case_the_image_that_changed_is_named(in_tmp: Path) -> None:
    write()
    Path("answers.csv").write_text("case,label\nx,cat\n")
    make(LONG, "case,view,image\nx,front,5.png\nx,back,6.png\n")
    record = {"outputs": dict.fromkeys((f"m/{split}.csv" for split in ("train", "test", "answers")), "")}
    assert list(staleness._changed_images(record, "img")) == []
    save_picture(Path("img/1.png"), picture(77, level=90))
    assert [cause.name for cause in staleness._changed_images(record, "img")] == ["img/1.png"]


MANY = "case,front,back,label\n" + "".join(f"k{n},{2 * n}.png,{2 * n + 1}.png,{'cd'[n % 2]}\n" for n in range(8))


def test_lists_of_the_folds_have_a_row_per_case_and_those_of_the_cache_a_row_per_image(in_tmp: Path) -> None:
    write(16)
    make(MANY.replace("k3,6.png,7.png", "k3,6.png,"))
    facts = folds.run("m", "f", {"name": "classification"}, ["train"], "stratified", 2, 0, 2)
    assert facts["images"] == {"train": 15}
    assert table("f/fold0.csv").columns.tolist() == ["id", "split", "sha256", "label"]
    assert table("f/fold0.csv")["id"].tolist() == [f"k{n}" for n in range(8)]
    shards = pd.concat([table(f"f/shards/train-{piece}.csv") for piece in range(2)]).sort_values("id")
    assert shards.columns.tolist() == ["id", "path", "sha256", "case", "view"]
    assert shards["id"].tolist() == [f"k{n}#{view}" for n in range(8) for view in "01" if (n, view) != (3, "0")]
    assert shards["path"].tolist()[:2] == ["img/1.png", "img/0.png"], "back before front"
    assert shards["sha256"].is_unique


def test_cases_that_share_an_image_are_never_parted(in_tmp: Path) -> None:
    """k0 and k2 share one, k2 and k4 another: all three are one group; k1's own two are alike, which ties nothing."""
    write(16)
    for twin, of in (("4", "1"), ("8", "5"), ("3", "2")):
        Path(f"img/{twin}.png").write_bytes(Path(f"img/{of}.png").read_bytes())
    make(MANY)
    found = table("m/duplicates.csv")
    assert found[["cluster", "id", "kind", "nearest"]].to_numpy().tolist() == [
        ["0", "k0", "exact", "train:k2"], ["0", "k2", "exact", "train:k0"], ["0", "k4", "exact", "train:k2"]
    ]  # fmt: skip
    assert table("m/train.csv").set_index("id")["copies"].to_dict() == {
        f"k{n}": "k0" if n in (0, 2, 4) else "" for n in range(8)
    }
    folds.run("m", "f", {"name": "classification"}, ["train"], "stratified", 2, 0, 1)
    numbers = table("f/train.csv").set_index("id")["fold"]
    assert numbers[["k0", "k2", "k4"]].nunique() == 1


def test_the_nearest_of_a_case_is_another_case() -> None:
    found = pd.DataFrame(
        {
            "cluster": 0, "split": ["train", "train", "test"], "id": ["a#0", "a#1", "b#0"], "label": ["x", "x", None],
            "kind": "near", "distance": [1, 1, 5], "nearest": ["train:a#1", "train:a#0", "train:a#1"],
            "splits": "train+test", "n_labels": 1, "path": ["0", "1", "2"],
        }
    )  # fmt: skip
    images = found[["split", "id"]].assign(case=["a", "a", "b"])
    made = of_cases(found, images)
    assert made[["id", "nearest", "splits"]].to_numpy().tolist() == [
        ["a", "test:b", "train+test"], ["b", "train:a", "train+test"]
    ]  # fmt: skip
    assert of_cases(found, images.drop(columns="case")) is found


# --- samples, training, new cases


@pytest.fixture(scope="module")
def of_cases_of_two(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """16 training and 3 test cases of two views, of which every fifth lacks one."""
    root = tmp_path_factory.mktemp("cases")
    with contextlib.chdir(root):
        for number in range(40):
            save_picture(Path(f"img/{number}.png"), picture(number, level=60 + 90 * (number // 2 % 2)))
        rows = [
            [f"k{n:02d}", f"{2 * n}.png", None if n % 5 == 2 else f"{2 * n + 1}.png", "dl"[n % 2]] for n in range(19)
        ]
        every = pd.DataFrame(rows, columns=["case", "front", "back", "label"])
        every[:16].to_csv("train.csv", index=False)
        every[16:].drop(columns="label").to_csv("test.csv", index=False)
        data = {"source": "csv", "train": "train.csv", "images": "img", "test": "test.csv", "duplicates": "ignore"}
        return prepare(Tiny(root, {**data, **BY_COLUMN}), ["train", "test"])


def test_each_image_of_a_case_is_augmented_by_draws_of_its_own(of_cases_of_two: Tiny) -> None:
    images = CachedImages(of_cases_of_two.caches())
    assert images.n_views == 2
    augment = Augment("none", "horizontal", images.frame, 3)
    samples = TrainingSet(["k00", "k02"], [{"label": 0}, {"label": 1}], [1.0, 0.5], images, augment, ("k",))
    flipped = set()
    for epoch in range(12):
        whole, lacking = samples[(epoch, 0)], samples[(epoch, 1)]
        assert (whole["label"], whole["id"], whole["present"].tolist()) == (0, "k00", [True, True])
        plain = images.views("k00")
        flipped.add(tuple(not np.array_equal(seen, own) for seen, own in zip(whole["images"], plain, strict=True)))
        assert lacking["present"].tolist() == [False, True]
        assert lacking["images"].shape == (2, *images.frame, 3)
        assert not lacking["images"][0].any()
    assert len(flipped) == 4
    assert images.lacking(["k00", "k01"]) is None
    assert images.lacking(["k00", "k02"]) == "k02"


def test_cases_are_trained_on_and_predicted_by_the_mean_over_their_images(
    of_cases_of_two: Tiny, tmp_path: Path
) -> None:
    tiny = of_cases_of_two
    model = tiny.model({"epochs": 1, "warmup_epochs": 0, "mixup_alpha": 0.2})
    facts = tiny.train(tmp_path, model=model)
    assert (facts["n_train"], facts["n_val"]) == (8, 8)
    settings = tiny.predict(tmp_path, tmp_path / "model.safetensors", "test", tta=["identity"])
    made = load_arrays(tmp_path / "test.npz")
    assert made["ids"].tolist() == ["k16", "k17", "k18"]

    infer = tasks.infer(tiny.task, tiny.classes)
    network = trained(
        infer, settings["model"], load_file(tmp_path / "model.safetensors"), 3, torch.device("cpu"), resize="squash"
    ).network.eval()
    inputs = Loader(CachedImages(tiny.caches("test")), torch.device("cpu"))(["k16", "k17", "k18"])
    assert inputs.present.tolist() == [[True, True], [False, True], [True, True]]
    with torch.inference_mode():
        alone = network(inputs.images[:, 1])
        both = (network(inputs.images[:, 0]) + alone) / 2
    torch.testing.assert_close(torch.from_numpy(made["logits"])[1], alone[1])
    torch.testing.assert_close(torch.from_numpy(made["logits"])[[0, 2]], both[[0, 2]])


def test_cutmix_of_cases_that_lack_a_view_is_refused(of_cases_of_two: Tiny, tmp_path: Path) -> None:
    model = of_cases_of_two.model({"epochs": 1, "warmup_epochs": 0, "cutmix_alpha": 1.0})
    with pytest.raises(ConfigError, match=r"train: cutmix: case 'k\d\d' lacks one of its views, so there is nothing"):
        of_cases_of_two.train(tmp_path, model=model)


def test_check_refuses_it_too(of_cases_of_two: Tiny) -> None:
    values = config(
        data={**dict.fromkeys(BY_ROW), **of_cases_of_two.data}, train={"cutmix_alpha": 1.0}, folds={"n_folds": 2}
    )
    path = of_cases_of_two.root / "c.yaml"
    path.write_text(json.dumps(values))
    with contextlib.chdir(of_cases_of_two.root):
        found = check(path)
        path.write_text(json.dumps({**values, "train": {}}))
        sound = check(path)
    assert found.error == (
        "models (net), round 0: train: cutmix: case 'k02' lacks one of its views, so there is nothing to paste or to paste "
        "into. Use mixup instead."
    )
    assert (sound.error, sound.cases, sound.images) == (None, {"train": 16, "test": 3}, {"train": 13 + 16, "test": 5})


def test_new_cases_are_decoded_as_the_cache_holds_them(of_cases_of_two: Tiny, tmp_path: Path) -> None:
    tiny, how = of_cases_of_two, Casing(columns=["front", "back"])
    with contextlib.chdir(tiny.root):
        table = read_alone("test.csv", "img", "case", None, how)
        frame = CachedImages(tiny.caches("test")).frame
        images = DecodedImages(cases.named(table), Reading(3), [Frame(frame, "squash")], tmp_path)
    assert images.bad == []
    assert images.table["id"].tolist() == ["k16", "k17", "k18"]
    pixels, present = images.at(Frame(frame, "squash")).case_batch(["k18", "k17"])
    expected = CachedImages(tiny.caches("test")).case_batch(["k18", "k17"])
    assert np.array_equal(pixels, expected[0])
    assert present.tolist() == expected[1].tolist() == [[True, True], [False, True]]


def test_a_new_case_is_predicted_from_the_images_that_can_be_read(of_cases_of_two: Tiny, in_tmp: Path) -> None:
    write(4)
    Path("img/1.png").write_bytes(b"nonsense")
    Path("img/2.png").write_bytes(b"nonsense")
    Path("new.csv").write_text("case,view,image\nx,front,0.png\nx,back,1.png\ny,front,2.png\n")
    table = read_alone("new.csv", "img", "id", "image", Casing(case="case", view="view"))
    images = DecodedImages(cases.named(table), Reading(3), [Frame((8, 8), "squash")], in_tmp)
    assert images.table[["id", "path"]].to_numpy().tolist() == [["x", "img/0.png"]]
    assert [path for path, _ in images.bad] == ["img/1.png", "img/2.png"]
    assert images.at(Frame((8, 8), "squash")).case_batch(["x"])[1].tolist() == [[False, True]]


def test_tables_of_new_cases_are_read_as_those_of_training(in_tmp: Path) -> None:
    write()
    Path("new.json").write_text(json.dumps([{"case": "x", "view": "front", "image": "5.png"}]))
    Path("new.txt").write_text("5.png x front\n6.png x back\n7.png y back\n")
    how, header = Casing(case="case", view="view"), ["image", "case", "view", "label"]
    written = form.Cases(id_column="id", image_column="image", case_column="case", view_column="view")
    assert listing.read_cases(written, "new.json", "img")["images"].tolist() == ['["img/5.png"]']
    found = listing.read_cases(written.model_copy(update={"columns": header}), "new.txt", "img")
    assert found[["id", "images"]].to_numpy().tolist() == [
        ["x", '["img/6.png", "img/5.png"]'], ["y", '["img/7.png", null]']
    ]  # fmt: skip
    assert read_alone("new.txt", "img", "id", "image", how, header).equals(found)
    source = {**written.model_dump(), "columns": header, "label_column": "label"}
    assert cases_of(source, None) == written.model_copy(update={"columns": header}), (
        "a bundle keeps the names of columns"
    )


def test_a_view_of_a_new_case_that_no_training_case_has_is_refused(in_tmp: Path) -> None:
    write()
    train = table(f"{make(LONG)}/train.csv")
    source = {"id_column": "id", **BY_ROW}
    written = cases_of(source, cases.view_names(train))
    assert written is not None
    assert written.views == ["back", "front"]
    Path("new.csv").write_text("case,view,image\nx,front,5.png\n")
    assert listing.read_cases(written, "new.csv", "img")["images"].tolist() == ['[null, "img/5.png"]']
    Path("new.csv").write_text("case,view,image\nx,Front,5.png\n")
    with pytest.raises(
        DataError,
        match=r"new\.csv: no training case has the view 'Front'; these have 'back', 'front'\. Correct data\.view_col",
    ):
        listing.read_cases(written, "new.csv", "img")
    assert cases.view_names(train.drop(columns="view_names")) is None, "a bundle of results that do not say them"


def test_a_bundle_predicts_new_cases_as_the_run_did(of_cases_of_two: Tiny, tmp_path: Path) -> None:
    tiny, results = of_cases_of_two, tmp_path / "cases"
    write_results(tiny, results)
    source = {**dict.fromkeys(("case_column", "view_column", "image_column")), **BY_COLUMN}
    settings = {"roi": None, "max_pixels": 200_000_000, "source": source}
    record(results, "manifest/run.json", "manifest", settings, [], ["manifest/classes.json"])
    export(results, tmp_path / "bundle")
    bundle = goldfold.load(tmp_path / "bundle")
    found = bundle.predict(tiny.root / "img", table=tiny.root / "test.csv")
    wanted = load_arrays(results / "ensemble/test.npz")
    assert found.arrays["ids"].tolist() == wanted["ids"].tolist() == ["k16", "k17", "k18"]
    assert form.read(tmp_path / "bundle").preprocessing.cases.views == ["back", "front"]
    np.testing.assert_allclose(found.arrays["probabilities"], wanted["probabilities"], atol=1e-5)
    command = ["predict", "bundle", str(tiny.root / "img"), "--table", str(tiny.root / "test.csv"), "--out", "p.csv"]
    with contextlib.chdir(tmp_path):
        assert cli.main(command) == 0
        assert pd.read_csv("p.csv")["id"].tolist() == ["k16", "k17", "k18"]
    with pytest.raises(DataError, match=r"--table FILE \(CSV with one row per case: case, back, front\)\."):
        bundle.predict(tiny.root / "img")
    with pytest.raises(DataError, match="with --table, pass one folder, the one its paths are relative to"):
        bundle.predict(["a.png", "b.png"], table=tiny.root / "test.csv")
