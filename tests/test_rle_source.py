"""Masks as run lengths in a CSV: rows, classes, ways to count, what is wrong with them, and the way to the cache."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from conftest import MASKS, NETS, SHAPES, save_picture, write_scenes
from goldfold.base.errors import ConfigError, DataError
from goldfold.cache.images import CachedImages, build
from goldfold.config import parse, slices
from goldfold.images.decode import Undecodable
from goldfold.sources import read
from goldfold.stages import folds, manifest
from goldfold.targets import rle, run_masks
from goldfold.targets.mask_scan import scan
from goldfold.targets.masks import decode_mask

pytestmark = pytest.mark.usefixtures("in_tmp")
IMAGE = np.full((2, 3, 3), 90, np.uint8)


def tables(text: str, *names: str, **settings: Any) -> dict[str, pd.DataFrame]:
    """Of images of 2 x 3 pixels below raw/."""
    for name in names or ("a.png", "b.png"):
        save_picture(Path("raw") / name, IMAGE)
    Path("t.csv").write_text(text)
    return read("rle", train="t.csv", images="raw", **settings)


def masks_of(table: pd.DataFrame) -> dict[str, list[list[int]] | None]:
    """Masks of images of 2 x 3 pixels by id."""
    return {
        row.id: decode_mask(run_masks.to_text(row.runs, 2, 3)).tolist() if isinstance(row.runs, str) else None
        for row in table.itertuples()
    }


NOTHING = [[0, 0, 0], [0, 0, 0]]


def test_rows_of_an_image_are_laid_over_one_another_and_an_empty_one_is_a_negative() -> None:
    text = "id,rle\na,1 1 3 1\na.x,-1\nb.png,\na,3 2\nsub/c,nan\n"
    found = tables(text, "a.png", "b.png", "a.x.png", "sub/c.jpg", "none.png")["train"]
    assert dict(zip(found["id"], found["path"], strict=True)) == {
        "a": "raw/a.png", "a.x": "raw/a.x.png", "b.png": "raw/b.png", "sub/c": "raw/sub/c.jpg", "none": "raw/none.png",
    }  # fmt: skip
    assert masks_of(found) == {
        "a": [[1, 1, 0], [0, 1, 0]], "a.x": NOTHING, "b.png": NOTHING, "sub/c": NOTHING, "none": None,
    }  # fmt: skip
    assert masks_of(tables(text, unlisted="empty")["train"])["none"] == NOTHING


def test_a_row_a_class() -> None:
    text = "image,kind,code\na.png,cat,1 1\na.png,dog,6 1\na.png,dog,2 1\nb.png,cat,\nb.png,,\n"
    names = {"id_column": "image", "rle_column": "code", "class_column": "kind", "classes": ["dog", "cat"]}
    assert masks_of(tables(text, **names)["train"]) == {"a.png": [[2, 0, 0], [1, 0, 1]], "b.png": NOTHING}


@pytest.mark.parametrize(
    ("settings", "code"),
    [({}, "2 1 5 1"), ({"first_pixel": 0}, "1 1 4 1"), ({"row_major": True}, "3 2"),
     ({"row_major": True, "first_pixel": 0}, "2 2")],
)  # fmt: skip
def test_ways_to_count(settings: dict[str, Any], code: str) -> None:
    wanted = [[0, 0, 1], [1, 0, 0]]
    assert masks_of(tables(f"id,rle\na,{code}\n", "a.png", **settings)["train"]) == {"a": wanted}


@given(arrays(bool, st.tuples(st.integers(1, 6), st.integers(1, 6))))
def test_a_mask_is_the_same_however_it_is_counted(mask: np.ndarray) -> None:
    rows = rle.encode(mask.T)
    from_zero = " ".join(str(int(word) - (place % 2 == 0)) for place, word in enumerate(rows.split()))
    assert np.array_equal(rle.decode(from_zero, *mask.shape, row_major=True, first_pixel=0), mask)


@pytest.mark.parametrize(
    ("settings", "code", "message"),
    [
        (
            {},
            "6 2",
            r"^run lengths: run 1 of 1, '6 2', reaches beyond the 2 x 3 pixels of the image\. Runs count column by column",
        ),
        (
            {"first_pixel": 0},
            "5 2",
            r"'5 2', reaches beyond the 2 x 3 pixels of the image\. .* column from 0, in order",
        ),
        ({"row_major": True}, "0 1", r"'0 1', starts before 1, the first pixel\. Runs count row by row from 1"),
        ({}, "1 2 3", r"3 numbers, but each start needs a length"),
        ({}, "x 1", r"'x' is not a whole number"),
    ],
)
def test_run_lengths_that_are_wrong_are_flaws_of_their_image(settings: Any, code: str, message: str) -> None:
    found = tables(f"id,rle\na,{code}\n", "a.png", **settings)["train"]
    with pytest.raises(Undecodable, match=message):
        masks_of(found)


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("id,code\na,\n", {}, r"^t\.csv has no column 'rle': .*it has: id, code\. Set data\.rle_column\."),
        ("x,rle\na,\n", {}, r"no column 'id'.*Set data\.id_column"),
        ("id,rle\na,\n", {"class_column": "c", "classes": ["x"]}, r"no column 'c'.*Set data\.class_column"),
        ("id,rle\na,1 1\n,1 1\n", {}, r"^t\.csv: column 'id' is empty in row 2\. Fill it in\."),
        (
            "id,c,rle\na,x,\na,y,1 1\n",
            {"class_column": "c", "classes": ["x", "z"]},
            r"^t\.csv: row 2 has the class 'y'; data\.classes has x, z\. Correct one of them\.",
        ),
        (
            "id,rle\na,1 1\na.png,2 1\n",
            {},
            r"^t\.csv: ids 'a' and 'a\.png' are both raw/a\.png\. Write its id in one way\.",
        ),
        ("id,rle\n../a,1 1\n", {}, r"^t\.csv: '\.\./a' leads out of the folder of the data\."),
        ("id,rle\na,\n", {"test_answers": "t.csv"}, r"^data\.test_answers is set, but there are no test images"),
        (
            "id,rle\na,\n",
            {"test": "raw", "test_answers": "t.csv"},
            r"^data\.test_answers: 1 of 2 test images are not in t\.csv, first 'b'\. Add them, or remove data\.test_answ",
        ),
        (
            "id,rle\na,\ntypo,1 1\n",
            {"test": "raw", "test_answers": "t.csv", "unlisted": "empty"},
            r"^data\.test_answers: t\.csv: 1 ids in it are not among the test images, first 'typo'\. Correct them",
        ),
    ],
)
def test_tables_that_cannot_be_used_are_refused(text: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        tables(text, **settings)


def test_a_row_without_its_image_and_test_images_among_the_others() -> None:
    Path("truth.csv").write_text("id,rle\nt.png,1 6\n")
    found = tables("id,rle\na,\ngone,1 1\n", "a.png", "test/t.png", test="raw/test", test_answers="truth.csv")
    assert list(found["train"]["path"]) == ["raw/a.png", "raw/gone.*"]
    assert found["test"].to_dict("records") == [{"id": "t", "path": "raw/test/t.png"}]
    assert masks_of(found["answers"]) == {"t": [[1, 1, 1], [1, 1, 1]]}


# --- through the stages

RLE = {"source": "rle", "train": "t.csv", "images": "raw/images", "class_column": "kind", "classes": SHAPES}


def config_of(data: dict[str, Any]) -> Any:
    values = {"name": "t", "task": "segmentation", "data": data, "folds": {"n_folds": 2}}
    return parse({**values, "models": [{"name": "net", **NETS["segmentation"]}]})


def made(data: dict[str, Any]) -> pd.DataFrame:
    """The training table with folds."""
    config = config_of(data)
    manifest.run(folder="out", workers=1, **slices.manifest(config))
    folds.run("out", "folds", slices.task(config), config.tables, shards=2, **config.folds.model_dump())
    return pd.read_csv("folds/train.csv", dtype=str, keep_default_na=False)


@pytest.fixture
def coded(in_tmp: Path) -> dict[tuple[str, str], str]:
    """The small scenes, and t.csv with their masks as run lengths; these by (image, class)."""
    write_scenes(in_tmp)
    codes = {
        (path.stem, name): rle.encode(decode_mask(path) == 1 + number)
        for path in sorted(Path("raw/masks").iterdir())
        for number, name in enumerate(SHAPES)
    }
    return write_codes(codes)


def write_codes(codes: dict[tuple[str, str], str]) -> dict[tuple[str, str], str]:
    rows = "".join(f"{id}.png,{name},{code}\n" for (id, name), code in codes.items())
    Path("t.csv").write_text(f"id,kind,rle\n{rows}")
    return codes


def test_run_lengths_are_learnt_from_as_mask_files_are(coded: Any) -> None:
    first = made(RLE)
    for piece in range(2):
        shard = pd.read_csv(f"folds/shards/train-{piece}.csv", dtype=str, keep_default_na=False)
        build(shard, Path(f"cache/{piece}"), (48, 64), 3, "squash")
    summary = Path("folds/summary.csv").read_text()
    cached = CachedImages(["cache/0", "cache/1"])
    second = made(MASKS)
    assert [id.removesuffix(".png") for id in first["id"]] == list(second["id"])
    assert list(first["mask_values"]) == list(second["mask_values"])
    assert len(summary.splitlines()) == len(Path("folds/summary.csv").read_text().splitlines()) == 3
    for id, path in zip(first["id"], second["mask"], strict=True):
        assert np.array_equal(cached.mask(id), decode_mask(path)), id


def test_a_changed_row_changes_the_record_of_its_image_alone(coded: dict[tuple[str, str], str]) -> None:
    before = made(RLE).set_index("id")
    shards = {piece: Path(f"folds/shards/train-{piece}.csv").read_bytes() for piece in range(2)}
    write_codes({**coded, ("im02", "dim"): "1 5"})
    after = made(RLE).set_index("id")
    assert list(before.index[before["mask_sha256"] != after["mask_sha256"]]) == ["im02.png"]
    assert sum(Path(f"folds/shards/train-{piece}.csv").read_bytes() != shards[piece] for piece in range(2)) == 1
    write_codes(dict(reversed(coded.items())))
    other_order = made(RLE).set_index("id").loc[before.index]
    assert list(other_order["mask_sha256"]) == list(before["mask_sha256"])


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("1 4000", r"'im01\.png': its mask: run lengths: run 1 of 1, '1 4000', reaches beyond the 48 x 64 pixels"),
        (
            "1 3072",
            r"'im01\.png': its mask: \d+ pixels are of two classes, number 1 and 2 of data\.classes\. Correct it",
        ),
    ],
)
def test_flaws_follow_the_policy_and_the_text_is_not_poured_out(coded: Any, code: str, message: str) -> None:
    write_codes({**coded, ("im01", "dim"): code})
    with pytest.raises(DataError, match=message):
        made(RLE)
    assert len(made({**RLE, "on_bad_label": "quarantine"})) == 11


def test_an_image_without_a_row_is_missing_its_mask_unless_the_config_says_otherwise(coded: Any) -> None:
    write_codes({key: code for key, code in coded.items() if key[0] != "im03"})
    with pytest.raises(DataError, match=r"'im03': image has no mask\. .*set data\.on_missing_label: quarantine"):
        made(RLE)
    assert len(made({**RLE, "unlisted": "empty"})) == 12


def test_one_class_needs_no_name(coded: Any) -> None:
    one = {key: value for key, value in RLE.items() if key not in ("class_column", "classes")}
    train = made(one)
    assert len(train) == 12
    assert list(pd.read_csv("folds/summary.csv").columns) == ["fold", "foreground", "(all)", "(deviation)"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": None}, r"data: class_column needs the names of the classes, in order: set classes"),
        ({"class_column": None}, r"data: several classes need class_column, the column with the class"),
        ({"first_pixel": 2}, r"data\.first_pixel = 2: must be at most 1"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config_of({**RLE, **changes})


def test_run_lengths_longer_than_a_path_may_be_are_scanned() -> None:
    runs = " ".join(f"{start} 1" for start in range(1, 10_001, 2))
    text = run_masks.to_text(run_masks.runs_of({1: [runs]}, row_major=False, first_pixel=1), 100, 100)
    assert len(text) > 2**14
    found = scan([text], 1).iloc[0]
    assert (found["values"], found["reason"]) == ('{"0":5000,"1":5000}', "")
