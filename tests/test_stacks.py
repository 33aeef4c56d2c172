"""Depth, channels and stacks: from files to what a network is shown."""

import contextlib
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from conftest import Tiny, prepare
from entries import AUGMENTATIONS
from goldfold.audit import integrity, perceptual
from goldfold.base.errors import DataError
from goldfold.cache.images import CachedImages, build
from goldfold.cli import main
from goldfold.config import parse, slices
from goldfold.images import depth
from goldfold.images.decode import Undecodable, decode
from goldfold.images.looking import of_files
from goldfold.images.stacks import files_of, gathered, joined
from goldfold.images.viewing import as_colours, shown, shown_as
from goldfold.samples.transforms import Augment
from goldfold.sources import read
from goldfold.stages import manifest

RGBY = ["red", "green", "blue", "yellow"]


def write(path: str | Path, pixels: NDArray[Any]) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels[..., ::-1] if pixels.ndim == 3 else pixels)
    return str(path)


def noise(seed: int, shape: tuple[int, ...] = (8, 8), top: int = 255, dtype: Any = np.uint8) -> NDArray[Any]:
    return np.random.default_rng(seed).integers(0, top + 1, shape).astype(dtype)


# --- 16 bits to 8


def test_each_rule_does_what_it_says() -> None:
    image = np.arange(2000, 4000, dtype=np.uint16).reshape(40, 50, 1)
    image[0, 0], image[39, 49] = 0, 65535  # two pixels of 2,000: a thousandth
    assert depth.to_8_bits(image, "full_range").ravel()[[0, 1, 1000, 1999]].tolist() == [0, 8, 12, 255]
    assert depth.to_8_bits(image, "min_max").ravel()[[0, 1000, 1999]].tolist() == [0, 12, 255]
    seen = depth.to_8_bits(image, "percentile").ravel()
    assert seen[[0, 1, 2, 1997, 1998, 1999]].tolist() == [0, 0, 0, 255, 255, 255]
    assert abs(int(seen[1000]) - 127) <= 1
    assert depth.to_8_bits(image, [2000, 4040]).ravel()[[0, 8, 1028, 1999]].tolist() == [0, 1, 128, 255]


def test_twelve_bits_are_not_black_by_default_and_exact_by_their_range() -> None:
    image = noise(0, (64, 64, 1), 4095, np.uint16)
    assert depth.to_8_bits(image).std() > 70
    assert depth.to_8_bits(image, "full_range").max() == 16
    assert np.abs(depth.to_8_bits(image, [0, 4095]) - image / 4095 * 255).max() <= 0.51


def test_a_few_bright_spots_on_black_and_an_even_picture_stay_finite() -> None:
    spots = np.zeros((100, 100, 1), np.uint16)
    spots[3, 3] = 5000
    assert depth.to_8_bits(spots)[3, 3] == 255
    even = np.full((4, 4, 1), 5000, np.uint16)
    for rule in depth.RULES:
        assert (depth.to_8_bits(even, rule) == round(5000 / 257)).all()


def test_three_channels_are_scaled_alike_and_others_each_by_itself() -> None:
    image = np.stack([noise(n, (20, 20), 1000 * (n + 1), np.uint16) for n in range(4)], axis=2)
    assert depth.to_8_bits(image, "min_max").max(axis=(0, 1)).tolist() == [255] * 4
    colours = depth.to_8_bits(image[..., :3], "min_max").max(axis=(0, 1))
    assert colours[0] < 90
    assert colours[2] == 255


@given(st.integers(0, 2**32 - 1), st.sampled_from(depth.RULES), st.sampled_from([1, 3, 4]))
def test_an_image_of_8_bits_is_the_same_among_images_of_16(seed: int, rule: str, channels: int) -> None:
    image = noise(seed, (5, 6, channels))
    assert (depth.to_8_bits(depth.as_type(image, np.dtype(np.uint16)), rule) == image).all()


@pytest.mark.usefixtures("in_tmp")
def test_a_shard_has_16_bits_where_an_image_has_and_what_is_read_does_not_depend_on_the_shard() -> None:
    small, deep = noise(0), noise(1, top=4095, dtype=np.uint16)
    paths = {"a": write("a.png", small), "b": write("b.png", deep), "c": write("c.png", noise(2))}
    table = pd.DataFrame({"id": list(paths), "path": list(paths.values()), "sha256": "s"})
    for folder, rows in (("mixed", table[:2]), ("alone", table[:1]), ("small", table[2:])):
        build(rows, Path(folder), (8, 8), 1, "squash")
    kinds = [np.load(f"{folder}/images.npy").dtype for folder in ("mixed", "alone", "small")]
    assert kinds == [np.uint16, np.uint8, np.uint8]
    assert (np.load("mixed/images.npy")[1, ..., 0] == deep).all(), "all 16 bits are kept"
    for rule in ("percentile", "full_range", [0, 4095]):
        mixed = CachedImages(["mixed", "small"], rule)
        assert (mixed["a"] == CachedImages(["alone"], rule)["a"]).all()
        assert (mixed["a"][..., 0] == small).all()
        assert (mixed["b"] == depth.to_8_bits(decode("b.png", 1), rule)).all()
        assert mixed.batch(["a", "b", "c"]).dtype == np.uint8
    assert (CachedImages(["mixed"], "full_range")["b"] != CachedImages(["mixed"])["b"]).any()


# --- stacks


def test_files_are_gathered_by_any_pattern() -> None:
    names = ["x/1_red.png", "x/1_green.tif", "2_red.png", "note.png", "x_infrared.png", "3_green.png"]
    assert gathered(names, ["red", "green"], "{id}_{channel}") == {
        "x/1": ["x/1_red.png", "x/1_green.tif"],
        "2": ["2_red.png", "2_green.*"],
        "3": ["3_red.*", "3_green.png"],
    }
    folders = ["red/cat/1.png", "green/cat/1.png", "red/2.png"]
    assert gathered(folders, ["red", "green"], "{channel}/{id}") == {
        "cat/1": ["red/cat/1.png", "green/cat/1.png"],
        "2": ["red/2.png", "green/2.*"],
    }
    assert list(gathered(["ainfrared.png"], ["red", "infrared"], "{id}{channel}")) == ["a"]
    with pytest.raises(DataError, match=r"1_red\.png and 1_red\.tif are both the channel 'red' of '1'\. Remove one"):
        gathered(["1_red.png", "1_red.tif"], ["red"], "{id}_{channel}")


def cells(root: str, ids: list[str]) -> None:
    for number, id in enumerate(ids):
        for band, channel in enumerate(RGBY):
            write(f"{root}/{id}_{channel}.png", noise(10 * number + band))


@pytest.mark.usefixtures("in_tmp")
def test_a_stack_is_its_files_in_the_order_of_the_config_at_one_depth() -> None:
    planes = [noise(n) for n in range(3)]
    files = [write(f"{n}.png", plane) for n, plane in enumerate(planes)]
    assert (decode(joined(files), 3) == np.stack(planes, axis=2)).all()
    assert (decode(joined(files[::-1]), 3) == np.stack(planes[::-1], axis=2)).all()
    colours = [write(f"{n}c.png", noise(n, (8, 8, 3))) for n in range(2)]
    assert (decode(joined(colours), 6) == np.concatenate([noise(n, (8, 8, 3)) for n in range(2)], axis=2)).all()
    deep = write("deep.png", noise(5, top=60000, dtype=np.uint16))
    mixed = decode(joined([files[0], deep]), 2)
    assert mixed.dtype == np.uint16
    assert (mixed[..., 0] == planes[0].astype(np.uint16) * 257).all()
    assert (depth.to_8_bits(mixed)[..., 0] == planes[0]).all(), "the channel of 8 bits is as it was"
    assert depth.widest([joined([files[0], deep])]) == np.uint16
    with pytest.raises(Undecodable, match="2 files cannot share 3 channels evenly"):
        decode(joined(colours), 3)


@pytest.mark.usefixtures("in_tmp")
def test_the_largest_value_is_that_of_channels_with_more_than_8_bits() -> None:
    files = [write("a.png", noise(0)), write("b.png", noise(1, top=4000, dtype=np.uint16))]
    seen = integrity.scan([joined(files), *files], 1, None).set_index("path")
    deepest = int(noise(1, top=4000, dtype=np.uint16).max())
    assert seen["largest"][[joined(files), *files]].tolist() == [deepest, 0, deepest]
    assert seen["bits"][[joined(files), *files]].tolist() == [16, 8, 16]


@pytest.mark.usefixtures("in_tmp")
def test_a_channel_that_is_missing_spoilt_or_of_another_size_is_a_bad_image() -> None:
    cells("raw", ["a", "b", "c", "d"])
    Path("raw/b_green.png").unlink()
    write("raw/c_blue.png", noise(0, (4, 8)))
    Path("raw/d_red.png").write_bytes(b"")
    paths = {id: joined([f"raw/{id}_{channel}.png" for channel in RGBY]) for id in "abcde"}
    found = integrity.scan(paths.values(), 1, 4).set_index("path")
    assert {id: found["reason"][path] for id, path in paths.items()} == {
        "a": "",
        "b": "channel file b_green.png is missing",
        "c": "channel file c_blue.png has 8 x 4 pixels, c_red.png has 8 x 8 pixels",
        "d": "channel file d_red.png file is empty",
        "e": "file is missing",
    }
    assert found.loc[paths["a"], ["channels", "bits", "kind"]].tolist() == [4, 8, "PNG"]


@pytest.mark.usefixtures("in_tmp")
def test_the_digest_of_a_stack_covers_all_its_files() -> None:
    cells("raw", ["a"])
    path = joined([f"raw/a_{channel}.png" for channel in RGBY])
    seen = {of_files([path])[path], of_files([joined(files_of(path)[::-1])]).popitem()[1]}
    for channel in RGBY:
        write(f"raw/a_{channel}.png", noise(99))
        seen.add(of_files([path])[path])
    Path("raw/a_blue.png").unlink()
    seen.add(of_files([path])[path])
    assert len(seen) == 7
    assert of_files([joined(["raw/no.png", "raw/none.png"])]) == {}


@pytest.mark.usefixtures("in_tmp")
def test_a_folder_of_stacks(capsys: pytest.CaptureFixture[str]) -> None:
    cells("raw", ["cat/1", "dog/a_1"])
    write("raw/cat/notes.png", noise(0))
    cells("test", ["7"])
    tables = read("folder", train="raw", test="test", stack=RGBY)
    assert tables["train"][["id", "label"]].to_numpy().tolist() == [["cat/1", "cat"], ["dog/a_1", "dog"]]
    assert files_of(tables["train"]["path"][0]) == [f"raw/cat/1_{channel}.png" for channel in RGBY]
    assert list(tables["test"]["id"]) == ["7"]
    assert "data.train: left out 1 files below raw that match no channel" in capsys.readouterr().out
    with pytest.raises(
        DataError, match=r"data\.train: none of the 9 images below raw matches a channel .* e\.g\. \{id\}_near"
    ):
        read("folder", train="raw", stack=["near", "far"])


@pytest.mark.usefixtures("in_tmp")
def test_a_table_of_stacks() -> None:
    cells("raw", ["1", "2", "3"])
    Path("train.csv").write_text("id,label\n1,x\n2.png,y\n9,x\n")
    table = read("csv", train="train.csv", images="raw", stack=RGBY)["train"]
    assert table["id"].tolist() == ["1", "2.png", "9"]
    assert [files_of(path)[3] for path in table["path"]] == [
        "raw/1_yellow.png", "raw/2_yellow.png", "raw/9_yellow.*"
    ]  # fmt: skip


@pytest.mark.usefixtures("in_tmp")
def test_a_table_with_several_image_columns() -> None:
    for name in ("a", "b", "c"):
        write(f"raw/{name}.png", noise(ord(name), (8, 8, 3)))
    Path("train.csv").write_text("id,left,right,label\n1,a,b,x\n2,b,,y\n")
    table = read("csv", train="train.csv", images="raw", image_columns=["left", "right"])["train"]
    assert len(table) == 2, "nobody knows which images belong together"
    assert decode(table["path"][0], 6).shape == (8, 8, 6)
    assert integrity.scan(table["path"], 1, 6)["reason"].str.contains(r"column 'right' is empty").tolist() == [
        False,
        True,
    ]
    with pytest.raises(DataError, match=r"has no column 'up'.*Set data\.image_columns"):
        read("csv", train="train.csv", images="raw", image_columns=["left", "up"])


def test_the_config_knows_the_number_of_channels() -> None:
    def channels(**data: Any) -> int:
        model = {"name": "a", "network": "small_resnet", "image_size_px": 32}
        values = {"source": "csv", "train": "t", "images": "i", **data}
        return parse({"name": "t", "data": values, "models": [model]}).data.channels

    assert channels(stack=RGBY) == 4
    assert channels(stack=RGBY, channels=12) == 12
    assert channels(image_columns=["a", "b"]) == 6
    assert channels() == 3


# --- goldfold init


def found_by_init(capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], str]:
    """The config's ``data``, and what is said."""
    main(["init", ".", "--out", "c.yaml"])
    return yaml.safe_load(Path("c.yaml").read_text())["data"], capsys.readouterr().out


@pytest.mark.usefixtures("in_tmp")
def test_init_recognises_stacks_beside_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    cells("raw", [f"im{number:02d}" for number in range(12)])
    Path("raw/im03_blue.png").unlink()
    rows = "".join(f"im{number:02d},{'xy'[number % 2]}\n" for number in range(12))
    Path("train.csv").write_text(f"id,label\n{rows}")
    data, said = found_by_init(capsys)
    assert (data["source"], data["stack"], data["id_column"]) == ("csv", RGBY, "id")
    assert "channels" not in data
    assert "1 image of 12 without all of them, first 'raw/im03'" in said
    assert "4, in separate files: red, green, blue, yellow" in said


@pytest.mark.usefixtures("in_tmp")
@pytest.mark.parametrize("channels", [["w1", "w2"], ["left", "right"], ["red"]])
def test_init_recognises_stacks_in_class_folders_by_what_people_call_channels(
    channels: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(12):
        for channel in channels:
            write(f"{'ab'[number % 2]}/{number}_{channel}.png", noise(number))
    data, said = found_by_init(capsys)
    assert data["source"] == "folder"
    assert data.get("stack") == (channels if channels[0] == "w1" else None)
    assert (f"{12 * len(channels)} train" in said) == ("stack" not in data)


@pytest.mark.usefixtures("in_tmp")
def test_images_without_the_channels_that_are_asked_for_end_the_job_with_the_reason() -> None:
    for number in range(4):
        write(f"raw/{'ab'[number % 2]}/{number}.png", noise(number, (8, 8, 3)))
    model = {"name": "n", "network": "small_resnet", "image_size_px": 32}
    config = parse({"name": "t", "data": {"source": "folder", "train": "raw", "channels": 4}, "models": [model]})
    with pytest.raises(DataError, match=r"4 in quarantine, the first: has 3 channels, but data\.channels is 4"):
        manifest.run(folder="m", workers=1, **slices.manifest(config))


# --- how they are seen


def test_colours_of_any_number_of_channels() -> None:
    image = noise(0, (4, 5, 5))
    assert (as_colours(image) == image[..., :3]).all()
    assert (as_colours(image[..., :1]) == image[..., :1]).all()
    assert (as_colours(image[..., :2])[..., 2] == 0).all()


@pytest.mark.usefixtures("in_tmp")
def test_pictures_are_shown_as_the_networks_see_them() -> None:
    write("deep.png", noise(0, top=4095, dtype=np.uint16))
    with shown_as(1, [0, 4095]):
        assert (shown("deep.png") == depth.to_8_bits(decode("deep.png", 1), [0, 4095])).all()
    assert (shown("deep.png") == depth.to_8_bits(decode("deep.png", 3))).all()
    cells("raw", ["a"])
    assert shown(joined([f"raw/a_{channel}.png" for channel in RGBY])).shape == (8, 8, 3)


def look_hash(path: str) -> int:
    return int(integrity.look(path)[integrity.COLUMNS.index("hash")])


@pytest.mark.usefixtures("in_tmp")
def test_copies_of_stacks_and_of_dark_12_bit_images_are_known() -> None:
    picture = cv2.GaussianBlur(noise(3, (64, 64)), (0, 0), 6)
    picture = cv2.normalize(picture, None, 0, 255, cv2.NORM_MINMAX)
    write("plain.png", picture)
    write("dark.png", picture.astype(np.uint16) * 16 + 5)
    plain, dark = look_hash("plain.png"), look_hash("dark.png")
    assert plain != perceptual.FLAT
    assert (plain ^ dark).bit_count() <= 2
    stack = joined([write(f"s_{channel}.png", picture) for channel in RGBY])
    assert (look_hash(stack) ^ plain).bit_count() <= 2


@pytest.mark.parametrize("channels", [2, 4, 5])
@pytest.mark.parametrize("preset", AUGMENTATIONS)
def test_any_number_of_channels_is_augmented(preset: str, channels: int) -> None:
    augment = Augment(AUGMENTATIONS[preset], "both", (24, 24), channels)
    image = noise(0, (24, 24, channels))
    for seed in range(5):
        changed = augment({"image": image}, seed)["image"]
        assert (changed.shape, changed.dtype) == (image.shape, np.uint8)


# --- end to end


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """Stained cells in four files each, two of them of 12 bits in 16; the classes differ in the yellow one alone."""
    root = tmp_path_factory.mktemp("atlas")
    with contextlib.chdir(root):
        rows = []
        for number in range(24):
            for band, channel in enumerate(RGBY):
                plane = noise(100 * number + band, (24, 24), 1500, np.uint16)
                if channel == "yellow" and number % 2:
                    plane[6:18, 6:18] += 2500
                kept = plane if channel in ("blue", "yellow") else (plane // 16).astype(np.uint8)
                write(f"raw/im{number:02d}_{channel}.png", kept)
            rows.append({"id": f"im{number:02d}", "label": ["dim", "lit"][number % 2]})
        pd.DataFrame(rows[:20]).to_csv("train.csv", index=False)
        pd.DataFrame(rows[20:])[["id"]].to_csv("test.csv", index=False)
        Path("raw/im03_green.png").unlink()
        data = {
            "source": "csv", "train": str(root / "train.csv"), "images": str(root / "raw"), "stack": RGBY,
            "test": str(root / "test.csv"), "scale_16bit": [0, 4095],
        }  # fmt: skip
        return prepare(Tiny(root, data), ["train", "test"])


def test_stacks_of_four_files_are_learnt_from_and_predicted(atlas: Tiny, tmp_path: Path) -> None:
    quarantine = pd.read_csv(atlas.root / "manifest/quarantine.csv")
    assert quarantine[["id", "reason"]].to_numpy().tolist() == [["im03", "channel file im03_green.* is missing"]]
    assert json.loads(quarantine["path"][0])[1].endswith("im03_green.*")
    assert np.load(atlas.root / "cache/train-0/images.npy").dtype == np.uint16
    how = {"channels": 4, "scale_16bit": [0, 4095]}
    train = {"epochs": 15, "augment": "none", "flips": "both"}
    facts = atlas.train(tmp_path / "a", model=atlas.model(train), **how)
    assert facts["final"]["accuracy"] >= 0.9
    atlas.predict(tmp_path / "a", tmp_path / "a/model.safetensors", "test", model=atlas.model(train), **how)
    with np.load(tmp_path / "a/test.npz") as test:
        assert (sorted(test["ids"]), test["logits"].shape) == ([f"im{n}" for n in range(20, 24)], (4, 2))


def test_the_rule_reaches_training_and_not_the_cache(atlas: Tiny) -> None:
    config = parse(
        {"name": "t", "data": atlas.data, "models": [{"name": "n", "network": "small_resnet", "image_size_px": 32}]}
    )
    assert "scale_16bit" not in json.dumps(slices.manifest(config))
    assert slices.manifest(config)["channels"] == 4


@pytest.mark.usefixtures("in_tmp")
def test_a_channel_file_that_is_a_link_to_outside_is_refused() -> None:
    cells("raw", ["cat/1", "dog/2"])
    write("secret.png", noise(9))
    Path("raw/dog/2_blue.png").unlink()
    Path("raw/dog/2_blue.png").symlink_to("../../secret.png")
    with pytest.raises(DataError, match=r"raw/dog/2_blue\.png leads to .*secret\.png.* \(1 such files\)"):
        read("folder", train="raw", stack=RGBY)
    assert len(read("folder", train="raw", stack=RGBY, outside_links="follow")["train"]) == 2
