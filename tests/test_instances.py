"""A folder an image with a file an object: layouts, the union, and what is wrong with a part."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conftest import NETS, save_picture
from goldfold.base.errors import DataError
from goldfold.config import parse, slices
from goldfold.images.decode import Undecodable
from goldfold.sources import read
from goldfold.stages import manifest
from goldfold.targets.mask_scan import scan
from goldfold.targets.masks import decode_mask

pytestmark = pytest.mark.usefixtures("in_tmp")
IMAGE = np.full((4, 6, 3), 90, np.uint8)


def part(row: int, value: int = 255, size: tuple[int, int] = (4, 6)) -> np.ndarray:
    """An object that covers a row."""
    mask = np.zeros(size, np.uint8)
    mask[row] = value
    return mask


def put(root: str, id: str, *rows: int) -> None:
    """An image with an object a row."""
    save_picture(Path(f"{root}/{id}/images/{Path(id).name}.png"), IMAGE)
    for row in rows:
        save_picture(Path(f"{root}/{id}/masks/{row}.png"), part(row))


def test_masks_are_the_folder_beside_the_image_s() -> None:
    put("raw", "aa", 0, 2)
    put("raw", "deep/bb")
    put("new", "cc")
    put("truth", "cc", 1)
    save_picture(Path("raw/gone/masks/1.png"), part(1))
    Path("groups.csv").write_text("id,group\naa,g\ndeep/bb,g\ngone,h\n")
    found = read("instances", train="raw", test="new", test_answers="truth", unlabeled="new", groups="groups.csv")
    train = found["train"].astype(object).where(found["train"].notna(), None)
    assert train.to_dict("records") == [
        {"id": "aa", "path": "raw/aa/images/aa.png", "mask": "raw/aa/masks", "group": "g"},
        {"id": "deep/bb", "path": "raw/deep/bb/images/bb.png", "mask": None, "group": "g"},
        {"id": "gone", "path": "raw/gone/images/*", "mask": "raw/gone/masks", "group": "h"},
    ]
    assert found["test"].to_dict("records") == [{"id": "cc", "path": "new/cc/images/cc.png"}]
    assert found["answers"].to_dict("records") == [{"id": "cc", "mask": "truth/cc/masks"}]
    assert list(found["unlabeled"]["id"]) == ["cc"]


@pytest.mark.parametrize(
    ("stray", "settings", "message"),
    [
        (
            "raw/x.png",
            {},
            r"^data\.train: raw/x\.png is neither in <id>/images/ nor in <id>/masks/\. Move it, or use",
        ),
        ("raw/images/x.png", {}, r"raw/images/x\.png is neither"),
        ("raw/aa/masks/old/x.png", {}, r"raw/aa/masks/old/x\.png is neither"),
        ("new/aa/images/x.png", {"test_answers": "raw"}, r"^data\.test_answers is set, but there are no test images"),
        (
            "new/zz/images/x.png",
            {"test": "new", "test_answers": "raw"},
            r"^data\.test_answers: 1 of 1 test images have no mask, first 'zz'\. Add them, or remove",
        ),
    ],
)
def test_folders_that_are_laid_out_otherwise_are_refused(stray: str, settings: dict[str, str], message: str) -> None:
    put("raw", "aa", 0)
    save_picture(Path(stray), IMAGE)
    with pytest.raises(DataError, match=message):
        read("instances", train="raw", **settings)


def test_parts_are_laid_over_one_another() -> None:
    put("raw", "aa", 0, 2)
    save_picture(Path("raw/aa/masks/3.png"), part(0, value=1) + part(3, value=7))
    assert decode_mask("raw/aa/masks")[:, 0].tolist() == [255, 0, 255, 255]


def test_a_part_that_cannot_be_used_is_named() -> None:
    put("raw", "aa", 0)
    save_picture(Path("raw/aa/masks/9.png"), part(0, size=(6, 4)))
    with pytest.raises(Undecodable, match=r"^9\.png has another size than the files before it$"):
        decode_mask("raw/aa/masks")
    Path("raw/aa/masks/9.png").write_bytes(b"")
    with pytest.raises(Undecodable, match=r"^9\.png file is empty$"):
        decode_mask("raw/aa/masks")
    Path("none").mkdir()
    with pytest.raises(Undecodable, match=r"^the folder holds no image$"):
        decode_mask("none")


def test_the_digest_of_a_folder_is_that_of_its_files_wherever_it_lies() -> None:
    def digests() -> list[str]:
        return list(scan(["a/x/masks", "b/y/masks", "b/z/masks"], workers=1)["sha256"])

    put("a", "x", 0, 2)
    put("b", "y", 0, 2)
    put("b", "z", 0, 1)
    first, same, other = digests()
    assert first == same != other
    Path("b/y/masks/0.png").rename("b/y/masks/9.png")
    assert digests() == [first, same, other], "names count for nothing: copies of an image have the same objects"
    save_picture(Path("a/x/masks/2.png"), part(3))
    assert digests() == [digests()[0], same, other]
    assert digests()[0] != first
    Path("b/y/masks/2.png").unlink()
    assert digests()[1] not in (first, same, other)


def made(**settings: Any) -> dict[str, Any]:
    data = {"source": "instances", "train": "raw", **settings}
    models = [{"name": "net", **NETS["segmentation"]}]
    manifest.run(
        folder="out",
        workers=1,
        **slices.manifest(parse({"name": "t", "task": "segmentation", "data": data, "models": models})),
    )
    found = {path.stem: pd.read_csv(path, dtype=str, keep_default_na=False) for path in Path("out").glob("*.csv")}
    return found | {"classes": json.loads(Path("out/classes.json").read_text())}


def test_through_the_manifest() -> None:
    put("raw", "aa", 0, 2)
    put("raw", "bb", 1)
    found = made()
    assert found["classes"] == ["foreground"]
    assert list(found["train"]["mask_values"]) == ['{"0": 12, "255": 12}', '{"0": 18, "255": 6}']
    assert made(classes=["nucleus"])["classes"] == ["nucleus"]
    save_picture(Path("raw/bb/masks/1.png"), part(1, size=(6, 4)))
    with pytest.raises(DataError, match=r"'bb': its mask raw/bb/masks has 4 x 6 pixels, the image 6 x 4\. Correct it"):
        made()
    Path("raw/bb/masks/1.png").unlink()
    with pytest.raises(DataError, match=r"'bb': image has no mask\. .*set data\.on_missing_label: quarantine"):
        made()
    found = made(on_missing_label="quarantine")
    assert found["quarantine"][["id", "reason"]].to_numpy().tolist() == [["bb", "image has no mask"]]
