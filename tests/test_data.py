import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from entries import AUGMENTATIONS
from goldfold.base.errors import DataError
from goldfold.cache.images import CachedImages, build, shard_of
from goldfold.images.decode import Undecodable, decode, resize
from goldfold.images.files import images_below
from goldfold.samples.transforms import FLIPS, Augment
from goldfold.sources import read
from goldfold.sources.reading import read_csv

pytestmark = pytest.mark.usefixtures("in_tmp")
GREY = np.full((6, 6, 3), 128, np.uint8)


def csv_source(text: str | bytes, names: list[str], write_picture: Any, **settings: Any) -> pd.DataFrame:
    """Training table of a csv source with these image files."""
    for name in names:
        write_picture(Path("images") / name, GREY)
    Path("train.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return read("csv", train="train.csv", images="images", **settings)["train"]


# --- image folders


def test_folder_gives_a_class_a_folder_and_ids_without_suffix(write_picture: Any) -> None:
    for name in ("cat/1.jpg", "cat/deep/2.png", "dog/1.PNG".replace("PNG", "png"), "dog/.hidden.png"):
        write_picture(Path("raw") / name, GREY)
    Path("raw/notes.txt").write_text("no image")
    table = read("folder", train="raw")["train"]
    assert table.to_dict("records") == [
        {"id": "cat/1", "path": "raw/cat/1.jpg", "label": "cat"},
        {"id": "cat/deep/2", "path": "raw/cat/deep/2.png", "label": "cat"},
        {"id": "dog/1", "path": "raw/dog/1.png", "label": "dog"},
    ]


@pytest.mark.parametrize("validation", ["val", "valid", "validation"])
def test_folder_pools_train_and_validation(validation: str, write_picture: Any) -> None:
    for part in ("train", validation):
        for label in ("cat", "dog"):
            write_picture(Path("raw") / part / label / "1.png", GREY)
    table = read("folder", train="raw")["train"]
    assert list(table["id"]) == ["train/cat/1", "train/dog/1", f"{validation}/cat/1", f"{validation}/dog/1"]
    assert list(table["label"]) == ["cat", "dog", "cat", "dog"]


def test_folder_does_not_learn_from_a_test_folder_beside_train_and_val(write_picture: Any) -> None:
    for name in ("train/cat/1.png", "train/dog/1.png", "test/cat/1.png"):
        write_picture(Path("raw") / name, GREY)
    assert list(read("folder", train="raw")["train"]["label"]) == ["cat", "dog"]


def test_folder_with_a_class_called_train_among_others_is_no_split(write_picture: Any) -> None:
    for name in ("train/1.png", "plane/1.png"):
        write_picture(Path("raw") / name, GREY)
    assert sorted(read("folder", train="raw")["train"]["label"]) == ["plane", "train"]


def test_folder_refuses_images_outside_the_class_folders(write_picture: Any) -> None:
    write_picture(Path("raw/cat/1.png"), GREY)
    write_picture(Path("raw/stray.png"), GREY)
    with pytest.raises(DataError, match=r"raw/stray\.png is outside the class folders\. Move it .* use source: csv"):
        read("folder", train="raw")


def test_a_folder_that_is_not_there_or_holds_no_image_is_named() -> None:
    with pytest.raises(DataError, match=r"data\.train: raw is not a folder\. Correct the path"):
        read("folder", train="raw")
    Path("raw").mkdir()
    with pytest.raises(DataError, match=r"data\.train: no images below raw\. Looked for files ending in \.bmp, \.dcm"):
        read("folder", train="raw")


def test_images_are_found_whatever_the_case_of_their_suffix(write_picture: Any) -> None:
    write_picture(Path("raw/a.jpg"), GREY).rename("raw/a.JPG")
    assert images_below("raw", "k") == ["a.JPG"]


# --- tables


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("id,label\na,x\nb,y\n", {}),
        ("id,label\na.png,x\nb.jpg,y\n", {}),
        ("id,file,label\n1,a.png,x\n2,b.jpg,y\n", {"image_column": "file"}),
        ("id,file,label\n1,a,x\n2,b,y\n", {"image_column": "file"}),
        ("image,class\na,x\nb,y\n", {"id_column": "image", "label_column": "class"}),
        ("label,id\nx,a\ny,b\n", {}),
        ("id,label\r\na,x\r\nb,y\r\n", {}),
        (b"\xef\xbb\xbfid,label\na,x\nb,y\n", {}),
        ("id , label\na , x\nb,\ty  \n", {}),
        ('"id","label"\n"a","x"\n"b","y"\n', {}),
    ],
    ids=[
        "bare ids",
        "with suffix",
        "image column",
        "image column without suffix",
        "named columns",
        "order of columns",
        "CRLF",
        "BOM",
        "blanks",
        "quoted",
    ],
)
def test_csv_finds_each_image(text: str | bytes, settings: dict[str, str], write_picture: Any) -> None:
    table = csv_source(text, ["a.png", "b.jpg"], write_picture, **settings)
    assert list(table["path"]) == ["images/a.png", "images/b.jpg"]
    assert list(table["label"]) == ["x", "y"]


def test_csv_takes_windows_separators_sub_folders_spaces_and_unicode(write_picture: Any) -> None:
    names = ["sub dir/übung 1.png", "sub dir/日本.png", "plain.png"]
    text = "id,label\nsub dir\\übung 1,x\nsub dir/日本.png,y\nplain,x\n"
    table = csv_source(text, names, write_picture)
    assert list(table["path"]) == [f"images/{name}" for name in names]
    assert all(Path(path).is_file() for path in table["path"])
    assert decode(table["path"].iloc[1], 3).shape == (6, 6, 3)


def test_csv_labels_stay_text_as_written(write_picture: Any) -> None:
    table = csv_source(
        "id,label\na,01\nb,1.0\nc,NA\nd,None\ne,null\nf,True\n", [f"{n}.png" for n in "abcdef"], write_picture
    )
    assert list(table["label"]) == ["01", "1.0", "NA", "None", "null", "True"]


def test_csv_ids_stay_text_and_dots_in_ids_are_no_suffix(write_picture: Any) -> None:
    table = csv_source("id,label\n007,x\n1.5,y\n", ["007.png", "1.5.png"], write_picture)
    assert list(table["id"]) == ["007", "1.5"]
    assert list(table["path"]) == ["images/007.png", "images/1.5.png"]


def test_csv_empty_label_is_missing_and_images_not_named_are_counted_and_left_out(
    write_picture: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    table = csv_source("id,label\na,x\nb,\n", ["a.png", "b.png", "c.png", "d.png"], write_picture)
    assert list(table["id"]) == ["a", "b"]
    assert list(table["label"].isna()) == [False, True]
    assert capsys.readouterr().out == (
        "2 images below images are in no table, first images/c.png: left out (data.unlabeled: images takes them as images "
        "without labels)\n"
    )


def test_csv_takes_what_no_table_names_as_unlabeled(write_picture: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b", "sub/c"):
        write_picture(Path(f"images/{name}.png"), GREY)
    Path("train.csv").write_text("id,label\na,x\n")
    Path("test.csv").write_text("id\nb\n")
    tables = read("csv", train="train.csv", images="images", test="test.csv", unlabeled="./images/")
    assert [list(tables[split]["id"]) for split in ("train", "test", "unlabeled")] == [["a"], ["b"], ["sub/c"]]
    assert capsys.readouterr().out == ""


def test_csv_row_without_image_keeps_its_row_for_the_message(write_picture: Any) -> None:
    table = csv_source("id,label\na,x\ngone,y\nlost.jpg,y\n", ["a.png"], write_picture)
    assert list(table["path"]) == ["images/a.png", "images/gone.*", "images/lost.jpg"]


def test_csv_group_and_fold_columns_are_carried_over(write_picture: Any) -> None:
    text = "id,label,who,part\na,x,p1,0\nb,y,p2,1\n"
    table = csv_source(text, ["a.png", "b.png"], write_picture, group_column="who", fold_column="part")
    assert table[["group", "fold"]].values.tolist() == [["p1", "0"], ["p2", "1"]]


@pytest.mark.parametrize(
    ("text", "settings", "said"),
    [
        (
            "id,lable\na,x\n",
            {},
            r"train\.csv has no column 'label': nearest is 'lable'; it has: id, lable\. Set data\.label_column",
        ),
        (
            "image_id,label\na,x\n",
            {},
            r"no column 'id': nearest is 'image_id'; it has: image_id, label\. Set data\.id_column: image_id\.",
        ),
        ("FileName,Class\na,x\n", {}, r"no column 'id': nearest is 'FileName'.* Set data\.id_column: FileName\.$"),
        (
            "a.png,x\nb.png,y\n",
            {},
            r"no column 'id': it has: a\.png, x\. .*; if the file has no header, name its columns in data\.columns",
        ),
        ("id,label\na,x\n", {"image_column": "file"}, r"no column 'file': it has: id, label\. Set data\.image_column"),
        ("id,label\na,x\n", {"group_column": "who"}, r"no column 'who': .*Set data\.group_column"),
        ("id,label,who\na,x,p\nb,y,\n", {"group_column": "who"}, r"column 'who' is empty in 1 rows, first 'b'\. Fill"),
        ("id,label\na,x\n,y\n", {}, r"column 'id' is empty in line 3\. Fill it in"),
        ("id,label\n", {}, r"data\.train: train\.csv has no rows"),
        ("", {}, r"data\.train: cannot read train\.csv as CSV"),
        (b"id,label\n\xff\xfe,x\n", {}, r"data\.train: cannot read train\.csv as CSV"),
    ],
)
def test_a_table_that_cannot_be_used_says_where_and_what_to_do(
    text: str | bytes, settings: dict[str, str], said: str, write_picture: Any
) -> None:
    with pytest.raises(DataError, match=said):
        csv_source(text, ["a.png", "b.png"], write_picture, **settings)


def test_a_table_that_is_not_there_is_named() -> None:
    with pytest.raises(DataError, match=r"data\.train: cannot read none\.csv as CSV: .*No such file"):
        read_csv("none.csv", "data.train")


def test_the_pool_of_unlabeled_images_is_searched_with_sub_folders(write_picture: Any) -> None:
    write_picture(Path("pool/deep/u.png"), GREY)
    write_picture(Path("images/a.png"), GREY)
    Path("train.csv").write_text("id,label\na,x\n")
    pool = read("csv", train="train.csv", images="images", unlabeled="pool")["unlabeled"]
    assert pool.to_dict("records") == [{"id": "deep/u", "path": "pool/deep/u.png"}]


def test_test_images_in_the_folder_of_the_training_images_are_not_taken_for_unlabelled(write_picture: Any) -> None:
    for name in ("a.png", "t.png"):
        write_picture(Path("images") / name, GREY)
    Path("train.csv").write_text("id,label\na,x\n")
    Path("test.csv").write_text("id\nt\n")
    tables = read("csv", train="train.csv", images="images", test="test.csv")
    assert list(tables["train"]["id"]) == ["a"]
    assert list(tables["test"]["path"]) == ["images/t.png"]


# --- decoding


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """A JPEG with an EXIF block that holds the orientation alone."""
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    block = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]


# where the bright top left quarter of the stored pixels goes, (height, width) of the result and its corner
UPRIGHT = {
    1: ((16, 32), "top left"),
    2: ((16, 32), "top right"),
    3: ((16, 32), "bottom right"),
    4: ((16, 32), "bottom left"),
    5: ((32, 16), "top left"),
    6: ((32, 16), "top right"),
    7: ((32, 16), "bottom right"),
    8: ((32, 16), "bottom left"),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("channels", [1, 3])
def test_exif_orientation_is_applied_once(orientation: int, channels: int) -> None:
    stored = np.zeros((16, 32, 3), np.uint8)
    stored[:8, :16] = 255
    jpeg = cv2.imencode(".jpg", stored, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    Path("x.jpg").write_bytes(with_orientation(jpeg, orientation))
    image = decode("x.jpg", channels)
    shape, corner = UPRIGHT[orientation]
    assert image.shape == (*shape, channels)
    half = shape[0] // 2, shape[1] // 2
    quarters = {
        "top left": image[: half[0], : half[1]],
        "top right": image[: half[0], half[1] :],
        "bottom left": image[half[0] :, : half[1]],
        "bottom right": image[half[0] :, half[1] :],
    }
    assert max(quarters, key=lambda name: quarters[name].mean()) == corner


def test_colours_come_as_red_green_blue(write_picture: Any) -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    image[..., 0] = 200
    write_picture(Path("red.png"), image)
    assert (decode("red.png", 3) == image).all()


def test_alpha_is_dropped() -> None:
    bgra = np.zeros((4, 4, 4), np.uint8)
    bgra[...] = (10, 20, 30, 0)
    Path("x.png").write_bytes(cv2.imencode(".png", bgra)[1].tobytes())
    assert (decode("x.png", 3) == np.array([30, 20, 10])).all()
    assert decode("x.png", 1).shape == (4, 4, 1)


def test_palette_images_are_decoded_to_their_colours() -> None:
    from PIL import Image

    image = np.zeros((4, 8, 3), np.uint8)
    image[:, :4] = (250, 0, 0)
    image[:, 4:] = (0, 0, 250)
    Image.fromarray(image).convert("P", palette=Image.Palette.ADAPTIVE).save("x.png")
    assert Image.open("x.png").mode == "P"
    assert np.abs(decode("x.png", 3).astype(int) - image).max() <= 4


@pytest.mark.parametrize("channels", [1, 3])
def test_16_bit_is_kept(channels: int) -> None:
    deep = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    Path("x.png").write_bytes(cv2.imencode(".png", deep)[1].tobytes())
    image = decode("x.png", channels)
    assert image.dtype == np.uint16
    assert (image == deep[..., None]).all()


def test_grey_files_read_as_colour_have_three_equal_channels_and_colour_read_as_grey_its_luma(
    write_picture: Any,
) -> None:
    write_picture(Path("grey.png"), np.arange(16, dtype=np.uint8).reshape(4, 4) * 10)
    colour = decode("grey.png", 3)
    assert (colour == np.repeat(np.arange(16).reshape(4, 4, 1) * 10, 3, axis=2)).all()
    write_picture(Path("green.png"), np.full((4, 4, 3), (0, 200, 0), np.uint8))
    assert np.abs(decode("green.png", 1).astype(int) - round(0.587 * 200)).max() <= 1


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".tif"])
def test_every_format_is_read(suffix: str, write_picture: Any, make_picture: Any) -> None:
    smooth = cv2.GaussianBlur(make_picture(0, (24, 32)), (0, 0), 4)
    write_picture(Path(f"x{suffix}"), smooth)
    image = decode(f"x{suffix}", 3)
    assert image.shape == (24, 32, 3)
    assert np.abs(image.astype(int) - smooth).mean() < 6


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_truncated_images_are_detected(suffix: str, kept: float, write_picture: Any, make_picture: Any) -> None:
    path = write_picture(Path(f"x{suffix}"), make_picture(0, (40, 40)))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(Undecodable):
        decode(path, 3)


def test_a_truncated_png_or_jpeg_says_so(write_picture: Any, make_picture: Any) -> None:
    for suffix in (".jpg", ".png"):
        path = write_picture(Path(f"x{suffix}"), make_picture(0, (40, 40)))
        path.write_bytes(path.read_bytes()[:-200])
        with pytest.raises(Undecodable, match="file is truncated"):
            decode(path, 3)


def test_a_truncated_jpeg_with_a_thumbnail_at_its_end_of_data_is_detected(
    write_picture: Any, make_picture: Any
) -> None:
    """A small embedded thumbnail ends with the end marker too; cut shortly after it, the tail holds that marker."""
    jpeg = write_picture(Path("x.jpg"), make_picture(0, (64, 64))).read_bytes()
    thumbnail = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    block = b"Exif\0\0" + thumbnail
    with_thumbnail = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]
    start_of_scan = with_thumbnail.rindex(b"\xff\xda")
    Path("x.jpg").write_bytes(with_thumbnail[: start_of_scan + 60])
    with pytest.raises(Undecodable):
        decode("x.jpg", 3)


@pytest.mark.parametrize("content", [b"", b"not an image", b"\xff\xd8\xff\xd9", b"GIF89a", b"\x89PNG\r\n\x1a\nIEND"])
def test_what_is_no_image_is_undecodable_with_a_reason(content: bytes) -> None:
    Path("x.png").write_bytes(content)
    with pytest.raises(Undecodable) as caught:
        decode("x.png", 3)
    assert str(caught.value)
    if not content:
        assert str(caught.value) == "file is empty"


def test_a_jpeg_with_bytes_after_its_end_is_sound(write_picture: Any) -> None:
    path = write_picture(Path("x.jpg"), GREY)
    path.write_bytes(path.read_bytes() + b"\0" * 200)
    assert decode(path, 3).shape == (6, 6, 3)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_sound_image_with_a_long_trailer_is_sound(suffix: str, write_picture: Any) -> None:
    """Cameras append more than a kilobyte (previews, maker notes, ICC) after the end marker."""
    path = write_picture(Path(f"x{suffix}"), GREY)
    path.write_bytes(path.read_bytes() + b"\0" * 5000)
    assert decode(path, 3).shape == (6, 6, 3)


# --- resizing


@pytest.mark.parametrize("mode", ["squash", "pad", "crop"])
@pytest.mark.parametrize("shape", [(20, 20), (10, 40), (40, 10), (7, 5), (300, 3), (1, 1)])
@pytest.mark.parametrize("size", [(16, 16), (8, 24)])
@pytest.mark.parametrize("channels", [1, 3])
def test_resize_gives_the_size_and_type_asked_for(
    mode: str, shape: tuple[int, int], size: tuple[int, int], channels: int
) -> None:
    resized = resize(np.full((*shape, channels), 77, np.uint8), size, mode)
    assert (resized.shape, resized.dtype) == ((*size, channels), np.uint8)
    assert resized.max() == 77
    assert mode == "pad" or resized.min() == 77


def test_pad_shows_all_of_the_image_in_the_middle_and_crop_fills_the_frame() -> None:
    image = np.zeros((10, 20, 1), np.uint8)
    image[:, :5], image[:, 5:15], image[:, 15:] = 60, 120, 180
    padded = resize(image, (20, 20), "pad")[..., 0]
    assert (padded[:5] == 0).all()
    assert (padded[15:] == 0).all()
    assert padded[10].tolist() == [60] * 5 + [120] * 10 + [180] * 5
    assert (resize(image, (10, 10), "crop") == 120).all()


def test_an_image_that_has_the_size_is_left_alone(make_picture: Any) -> None:
    image = make_picture(0, (12, 12))
    for mode in ("squash", "pad", "crop"):
        assert (resize(image, (12, 12), mode) == image).all()


# --- cache


def test_cache_gives_back_what_was_decoded_by_id_over_shards(write_picture: Any, make_picture: Any) -> None:
    images = {f"0{number}": make_picture(number, (8, 8)) for number in range(6)}
    paths = {id: str(write_picture(Path(f"raw/{id}.png"), image)) for id, image in images.items()}
    table = pd.DataFrame({"id": list(images), "path": list(paths.values()), "sha256": "s"})
    build(table.iloc[:4], Path("c/a"), (8, 8), 3, "squash")
    build(table.iloc[4:], Path("c/b"), (8, 8), 3, "squash")
    cached = CachedImages(["c/a", "c/b"])
    for id, image in images.items():
        assert (cached[id] == image).all()
    batch = cached.batch(["05", "00", "03"])
    assert batch.shape == (3, 8, 8, 3)
    assert (batch[0] == images["05"]).all()
    copy = cached["00"]
    copy[:] = 0
    assert (cached["00"] == images["00"]).all(), "a sample that is changed leaves the cache alone"


def test_an_empty_shard_is_a_cache_of_no_images(write_picture: Any) -> None:
    write_picture(Path("x.png"), GREY)
    table = pd.DataFrame({"id": ["x"], "path": ["x.png"], "sha256": ["s"]})
    build(table.iloc[:0], Path("empty"), (5, 6), 1, "squash")
    build(table, Path("full"), (5, 6), 1, "squash")
    assert np.load("empty/images.npy").shape == (0, 5, 6, 1)
    cached = CachedImages(["empty", "full"])
    assert list(cached.place) == ["x"]
    assert cached["x"].shape == (5, 6, 1)


def test_an_image_that_went_bad_after_the_manifest_is_named_and_no_cache_is_left(write_picture: Any) -> None:
    write_picture(Path("x.png"), GREY)
    Path("y.png").write_bytes(b"spoilt")
    table = pd.DataFrame({"id": ["x", "y"], "path": ["x.png", "y.png"], "sha256": ["s", "s"]})
    with pytest.raises(DataError, match=r"y\.png: .*\. It was readable when the manifest was made; run again"):
        build(table, Path("c"), (5, 5), 3, "squash")
    assert not Path("c").exists()
    Path("y.png").unlink()
    with pytest.raises(DataError, match=r"y\.png: .*No such file.*run again"):
        build(table, Path("c"), (5, 5), 3, "squash")


def test_a_new_image_moves_no_other_to_another_shard() -> None:
    before = {f"i{number}": shard_of(f"i{number}", 4) for number in range(50)}
    after = {f"i{number}": shard_of(f"i{number}", 4) for number in range(51)}
    assert all(after[id] == shard for id, shard in before.items())
    assert set(before.values()) == {0, 1, 2, 3}


# --- augmentation


@pytest.mark.parametrize("preset", AUGMENTATIONS)
@pytest.mark.parametrize("flips", FLIPS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(16, 16), (12, 20)])
def test_augment_never_changes_type_or_shape(
    preset: str, flips: str, channels: int, size: tuple[int, int], make_picture: Any
) -> None:
    augment = Augment(AUGMENTATIONS[preset], flips, size, channels)
    image = make_picture(0, size, channels)
    before = image.copy()
    for seed in range(12):
        changed = augment({"image": image, "label": 1}, seed)
        assert (changed["image"].shape, changed["image"].dtype) == ((*size, channels), np.uint8)
        assert changed["label"] == 1
    assert (image == before).all(), "the image given is left alone"


@pytest.mark.parametrize("preset", ["light", "medium", "heavy"])
def test_same_seed_same_pixels_in_any_order_and_in_another_object(preset: str, make_picture: Any) -> None:
    image = make_picture(0, (16, 16))
    first, second = (Augment(preset, "both", (16, 16), 3) for _ in range(2))
    there = {seed: first({"image": image}, seed)["image"] for seed in range(10)}
    back = {seed: second({"image": image}, seed)["image"] for seed in reversed(range(10))}
    assert all((there[seed] == back[seed]).all() for seed in range(10))
    assert len({there[seed].tobytes() for seed in range(10)}) >= 8


def test_flips_are_those_that_are_named(make_picture: Any) -> None:
    image = make_picture(0, (10, 10))

    def seen(flips: str, image: np.ndarray = image) -> set[bytes]:
        augment = Augment("none", flips, image.shape[:2], 3)
        return {augment({"image": image}, seed)["image"].tobytes() for seed in range(80)}

    assert seen("none") == {image.tobytes()}
    assert seen("horizontal") == {image.tobytes(), image[:, ::-1].tobytes()}
    assert len(seen("both")) == 8
    wide = make_picture(0, (6, 10))
    assert seen("both", wide) == {wide[::a, ::b].tobytes() for a in (1, -1) for b in (1, -1)}


@pytest.mark.parametrize("preset", ["light", "medium", "heavy"])
def test_nothing_is_turned_or_sheared_where_boxes_would_grow_loose(preset: str) -> None:
    import albumentations as A

    boxes = {"bbox_params": {"format": "pascal_voc", "label_fields": ["labels"]}}
    for params, turns in ((boxes, False), ({}, True)):
        steps = Augment(preset, "both", (16, 16), 3, params).compose.transforms
        affine = [step for step in steps if isinstance(step, A.Affine)]
        assert len(affine) == 1
        assert (affine[0].rotate != (0, 0)) is turns
        assert all(tuple(of) == (0, 0) for of in affine[0].shear.values()) or turns


def test_two_transforms_of_a_preset_do_not_share_their_draws() -> None:
    """Compose.set_random_seed gives each transform a generator of the same seed: their draws would be the same."""
    augment = Augment("medium", "horizontal", (16, 16), 3)
    augment({"image": np.zeros((16, 16, 3), np.uint8)}, 3)
    generators = {id(transform.random_generator) for transform in augment.compose.transforms}
    assert len(augment.compose.transforms) == 4
    assert len(generators) == 1, "one stream, drawn from in turn"


def test_flips_up_and_sideways_are_drawn_apart(make_picture: Any) -> None:
    image = make_picture(0, (6, 10))
    augment = Augment("none", "both", (6, 10), 3)
    counts = {"both": 0, "one": 0, "none": 0}
    for seed in range(200):
        out = augment({"image": image}, seed)["image"].tobytes()
        flipped = {image.tobytes(): "none", image[::-1, ::-1].tobytes(): "both"}.get(out, "one")
        counts[flipped] += 1
    # independent halves: 50, 100, 50; shared draws would never flip one alone
    assert counts["one"] == pytest.approx(100, abs=25)
    assert counts["both"] == pytest.approx(50, abs=20)
