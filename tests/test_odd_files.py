"""Files and folders that are seldom thought of, from the folder to the cache."""

import io
from pathlib import Path
from typing import Any
from unicodedata import normalize

import cv2
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from conftest import save_picture
from goldfold.audit.integrity import scan
from goldfold.base.errors import DataError
from goldfold.cache.images import CachedImages, build
from goldfold.config import parse, slices
from goldfold.images.decode import decode, resize
from goldfold.stages import cache, folds, manifest

pytestmark = pytest.mark.usefixtures("in_tmp")
MODELS = [{"name": "a", "network": "small_resnet", "image_size_px": 8}]
LONG = "/".join(["d" * 60] * 4) + "/" + "e" * 60
"""Of 304 characters, as a path below a folder."""
NAMES = (
    "it's", "a,b", 'say "hi"', "sp ace", "a;b", "new\nline", "#h", "%20", "{x}", "*?", '["x"]', "-dash", "a.b.c",
    "日本", "😀", "$HOME", "~", normalize("NFC", "é"), normalize("NFD", "ü"), LONG,
)  # fmt: skip


def scene(seed: int) -> NDArray[np.uint8]:
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (48, 40), interpolation=cv2.INTER_CUBIC), np.uint8)


def made(data: dict[str, Any], **changes: Any) -> dict[str, pd.DataFrame]:
    """Tables of the folds, after manifest and folds."""
    config = parse({"name": "t", "data": data, "folds": {"n_folds": 2}, "models": MODELS, **changes})
    manifest.run(folder="manifest", workers=1, **slices.manifest(config))
    folds.run(manifest="manifest", folder="folds", **slices.folds(config))
    return {path.stem: pd.read_csv(path, dtype=str, keep_default_na=False) for path in Path("folds").glob("*.csv")}


def put(root: str, number: int, suffix: str = ".png") -> NDArray[np.uint8]:
    image = np.random.default_rng(number).integers(0, 255, (8, 8, 3), np.uint8)
    save_picture(Path(f"{root}{suffix}"), image)
    return image


@pytest.mark.parametrize("source", ["folder", "csv"])
def test_odd_names_come_through_to_the_cache(source: str) -> None:
    assert len(LONG) == 304
    label = {name: "ab"[number % 2] for number, name in enumerate(NAMES)}
    put("raw/a/extra", 99), put("raw/b/extra", 98)
    if source == "folder":
        ids = {name: f"{label[name]}/{name}" for name in NAMES}
        data: dict[str, Any] = {"source": "folder", "train": "raw", "shards": 1}
    else:
        other = {"é": normalize("NFD", "é"), normalize("NFD", "ü"): "ü"}  # the table and the files write them otherwise
        ids = {name: other.get(name, name) for name in NAMES}
        rows = pd.DataFrame({"id": list(ids.values()), "label": [label[name] for name in NAMES]})
        rows.to_csv("train.csv", index=False, encoding="utf-8-sig", lineterminator="\r\n")
        data = {"source": "csv", "train": "train.csv", "images": "pictures", "shards": 1}
    root = {name: f"raw/{ids[name]}" if source == "folder" else f"pictures/{name}" for name in NAMES}
    images = {ids[name]: put(root[name], number) for number, name in enumerate(NAMES)}
    tables = made(data)
    assert set(tables["train"]["id"]) >= set(images)
    for number in range(2):
        assert set(tables[f"fold{number}"]["id"]) == set(tables["train"]["id"])
    cache.run("folds/shards/train-0.csv", "cache/8x8-squash/train-0", [8, 8], 3, "squash")
    cached = CachedImages(["cache/8x8-squash/train-0"])
    assert len(images) == len(NAMES)
    for id, image in images.items():
        assert (cached[id] == image).all(), id


def written(kind: str, mode: str = "RGB", **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((6, 8, 3), 200, np.uint8)).convert(mode, dither=Image.Dither.NONE).save(
        stream, kind, **options
    )
    return stream.getvalue()


ODD = {
    "png.jpg": (written("PNG"), 0, ""),
    "gif.jpg": (written("GIF"), 0, ""),
    "jpg.png": (written("JPEG"), 2, ""),
    "tif.jpg": (written("TIFF"), 0, ""),
    "webp.png": (written("WEBP", lossless=True), 0, ""),
    "inks.jpg": (written("JPEG", "CMYK"), 4, ""),
    "bits.png": (written("PNG", "1"), 55, ""),
    "page.jpg": (b"<html>404</html>", 0, "cannot be decoded as an image"),
    "none.jpg": (b"", 0, "file is empty"),
    "cut.jpg": (written("JPEG")[:-9], 0, "file is truncated"),
    "cut.png": (written("PNG")[:-9], 0, "file is truncated"),
    "cut_gif.jpg": (written("GIF")[:20], 0, "cannot be decoded as an image"),
}  # fmt: skip


def test_what_a_file_is_counts_and_not_what_it_is_called() -> None:
    for name, (content, _, _) in ODD.items():
        Path(name).write_bytes(content)
    found = scan(list(ODD), 1, 3).set_index("path")
    assert found["reason"].to_dict() == {name: reason for name, (_, _, reason) in ODD.items()}
    for name, (_, tolerance, reason) in ODD.items():
        if not reason:
            image = decode(name, 3)
            assert image.shape == (6, 8, 3)
            assert np.abs(image.astype(int) - 200).max() <= tolerance, name


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_an_image_of_65_000_pixels_in_a_row(suffix: str) -> None:
    wide = np.tile(np.repeat(np.array([40, 200], np.uint8), 32_500), (8, 1))
    Image.fromarray(wide).save(f"wide{suffix}", quality=95)
    assert decode(f"wide{suffix}", 1).shape == (8, 65_000, 1)
    build(pd.DataFrame({"id": ["w"], "path": [f"wide{suffix}"], "sha256": ["s"]}), Path("c"), (8, 16), 1, "squash")
    assert np.abs(CachedImages(["c"])["w"][..., 0].astype(int) - np.repeat([40, 200], 8)).max() <= 3
    for mode in ("pad", "crop"):
        assert resize(decode(f"wide{suffix}", 1), (8, 16), mode).shape == (8, 16, 1)


def test_one_image_and_a_class_folder_of_one() -> None:
    data = {"source": "folder", "train": "raw"}
    put("raw/a/0", 0)
    with pytest.raises(DataError, match=r"train: all 1 images have one class, 'a'\. At least two are needed"):
        made(data)
    for number in range(1, 6):
        put(f"raw/b/{number}", number)
    with pytest.raises(DataError, match=r"class 'a' has 1 image, fewer than folds\.n_folds: 2 \(1 such class\)"):
        made(data)


# --- what is seldom used together


def sides(tables: dict[str, pd.DataFrame], column: str) -> list[set[str]]:
    """For each fold, the values of ``column`` of the training table that both sides have."""
    value = tables["train"].set_index("id")[column]
    parts = [tables[f"fold{number}"].groupby("split")["id"].agg(set) for number in range(2)]
    return [set(value[list(part["train"])]) & set(value[list(part["val"])]) - {""} for part in parts]


@pytest.mark.parametrize("bits", [8, 16])
def test_near_copies_are_found_among_stacks_whatever_their_bits(bits: int) -> None:
    for number in range(10):
        for channel, name in enumerate(("red", "green", "blue", "far")):
            plane = scene(number % 8)[..., channel % 3].astype(np.uint16)
            plane = cv2.resize(plane, (60, 50)) if number >= 8 else plane
            save_picture(
                Path(f"raw/{'ab'[number % 2]}/{number}_{name}.png"),
                plane * 16 if bits == 16 else plane.astype(np.uint8),
            )
    tables = made({"source": "folder", "train": "raw", "stack": ["red", "green", "blue", "far"]})
    copies = tables["train"].set_index("id")["copies"]
    assert copies[copies != ""].to_dict() == {"a/0": "a/0", "a/8": "a/0", "b/1": "b/1", "b/9": "b/1"}
    assert sides(tables, "copies") == [set(), set()]


def test_external_images_with_copies_metadata_a_pool_and_groups() -> None:
    for number in range(12):
        save_picture(Path(f"images/{number}.png"), scene(number))
    for name, seed in {"0": 100, "1": 3, "2": 101}.items():  # 1 is a copy of training image 3
        save_picture(Path(f"more/{name}.png"), scene(seed))
    for name, seed in {"p0": 100, "p1": 200, "p2": 5}.items():  # copies of an external and of a training image
        save_picture(Path(f"pool/{name}.png"), cv2.resize(scene(seed), (60, 50)))
    rows = "".join(f"{number},{'ab'[number % 2]},{number},g{number // 2}\n" for number in range(12))
    Path("train.csv").write_text("id,label,age,who\n" + rows)
    Path("more.csv").write_text("id,label,who\n0,a,g0\n1,b,x\n2,a,y\n")
    data = {
        "source": "csv", "train": "train.csv", "images": "images", "extra_train": "more.csv", "extra_images": "more",
        "unlabeled": "pool", "group_column": "who", "metadata": {"numeric": ["age"]},
    }  # fmt: skip
    tables = made(data, folds={"n_folds": 2, "splitter": "stratified_group"})
    train = tables["train"].set_index("id")
    known = pd.concat(tables[f"fold{number}-metadata"] for number in range(2)).drop_duplicates().set_index("id")
    assert known.loc[["3", "extra/0", "extra/1"], "meta_age"].tolist() == ["3", "", ""]
    assert (train["fold"] == "-1").to_dict() == {id: id.startswith("extra/") for id in train.index}
    assert sides(tables, "group") == sides(tables, "copies") == [set(), set()]
    assert [len(tables[f"fold{number}"]) for number in range(2)] == [
        15 - sum(train.loc[id, "fold"] == str(number) for id in ("0", "3")) for number in range(2)
    ], "a fold that validates g0, or image 3, does not learn from external image 0, or 1"
    assert tables["unlabeled"]["id"].tolist() == ["p1"]
    assert tables["quarantine"]["reason"].tolist() == [
        "looks like training image extra/0", "looks like training image 5"
    ]  # fmt: skip


def test_several_labels_with_groups_and_copies_with_other_labels() -> None:
    draw = np.random.default_rng(0)
    for number in range(30):
        save_picture(Path(f"images/{number}.png"), scene(number % 26))
    labels = [" ".join(name for name in "xyz" if draw.random() < 0.5) or "x" for _ in range(30)]
    labels[26] = " ".join(reversed(labels[0].split()))
    labels[27] = "x" if labels[1] != "x" else "y"
    rows = "".join(f"{number},{label},g{number // 2}\n" for number, label in enumerate(labels))
    Path("train.csv").write_text("id,label,who\n" + rows)
    data = {
        "source": "csv", "train": "train.csv", "images": "images", "label_separator": " ", "group_column": "who",
    }  # fmt: skip
    tables = made(data, task="multilabel", folds={"n_folds": 2, "splitter": "multilabel_stratified_group"})
    assert sides(tables, "group") == sides(tables, "copies") == [set(), set()]
    told = tables["duplicates"].set_index("id")["n_labels"]
    assert (told["26"], told["27"]) == ("1", "2")
