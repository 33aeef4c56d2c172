"""Files of data that would hang, fill memory or end in a traceback: one reason each, and the rest is read."""

import bz2
import gzip
import io
import json
import lzma
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from conftest import save_picture
from goldfold import sources
from goldfold.audit.integrity import scan
from goldfold.base.errors import DataError
from goldfold.base.regular import MOST_BYTES, fault, opened, read_bytes, read_text
from goldfold.commands.init.coco import _read as sniffed_coco
from goldfold.commands.init.foreign import files as foreign_files
from goldfold.commands.init.pictures import look as looked_at
from goldfold.commands.init.walk import walk
from goldfold.config import parse, slices
from goldfold.images import headers
from goldfold.images.decode import Undecodable, decode
from goldfold.images.limits import MOST_PIXELS, at_most, content_of
from goldfold.lineage.contents import fingerprint
from goldfold.sources import unpacking
from goldfold.sources.reading import read_csv, read_json, read_xml
from goldfold.targets.mask_scan import scan as scan_masks
from goldfold.targets.masks import decode_mask

pytestmark = pytest.mark.usefixtures("in_tmp")
MANY = r"has 32,000 x 32,000 pixels, more than data\.max_pixels \(200,000,000\); make it smaller, or raise the limit"


def picture(path: str) -> None:
    save_picture(Path(path), np.arange(48, dtype=np.uint8).reshape(4, 4, 3))


def special(path: str, kind: str) -> None:
    """What has a file's name and is none."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    if kind == "a named pipe":
        os.mkfifo(path)
    elif kind == "a device":
        Path(path).symlink_to("/dev/zero")
    elif kind == "a folder":
        Path(path).mkdir()


KINDS = ("a named pipe", "a device", "a folder")


def png(width: int, height: int, bits: int = 8) -> bytes:
    """Head of a PNG of one colour; what follows it would be decoded to all its pixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head)) + bytes(40)


def bmp(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, width, height, 1, 24, 1, 0, 0, 0, 0, 0)


def resized(kind: str, width: int, height: int) -> bytes:
    """A picture of 8 x 8 pixels whose header was made to say more."""
    stream = io.BytesIO()
    Image.new("RGB" if kind != "GIF" else "P", (8, 8)).save(stream, format=kind)
    content = bytearray(stream.getvalue())
    if kind == "GIF":
        content[6:10] = struct.pack("<HH", width, height)
    if kind == "JPEG":
        place = content.index(b"\xff\xc0") + 5
        content[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(content)


def tiff(following: list[int], width: int = 4, height: int = 4, big: bool = False, order: str = "<") -> bytes:
    """A TIFF with a directory for each of ``following``: the number of the next, or -1 after the last."""
    number, n_bytes = ("Q", 8) if big else ("I", 4)
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 0, 277: 1, 278: height, 279: 16}
    size = (8 if big else 2) + len(tags) * (20 if big else 12) + n_bytes
    start = 16 if big else 8
    tags[273] = start + size * len(following)
    mark = {"<": b"II", ">": b"MM"}[order]
    head = struct.pack(order + "HHHQ", 43, 8, 0, start) if big else struct.pack(order + "HI", 42, start)
    parts = [mark, head]
    for place in following:
        parts.append(struct.pack(order + ("Q" if big else "H"), len(tags)))
        parts += [
            struct.pack(order + "HH" + number * 2, tag, 16 if big else 4, 1, value) for tag, value in tags.items()
        ]
        parts.append(struct.pack(order + number, 0 if place < 0 else start + size * place))
    return b"".join([*parts, bytes(range(16))])


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("following", [[0], [1, 0], [1, 2, 1]])
def test_a_chain_of_directories_that_leads_back_into_itself_ends(following: list[int], order: str, big: bool) -> None:
    Path("a.tif").write_bytes(tiff(following, big=big, order=order))
    for read in (headers.of, decode_mask, lambda path: decode(path, 1)):
        with pytest.raises(Undecodable, match=r"^cannot be decoded: its directories form a ring$"):
            read("a.tif")
    Path("b.tif").write_bytes(tiff([-1], big=big, order=order))
    assert decode("b.tif", 1).ravel().tolist() == list(range(16))


def test_a_chain_of_directories_that_is_very_long_or_leads_out_of_the_file_is_refused() -> None:
    Path("a.tif").write_bytes(tiff([*range(1, 5000), -1]))
    with pytest.raises(Undecodable, match="more than 4096 directories"):
        headers.of("a.tif")
    Path("a.tif").write_bytes(tiff([9]))
    with pytest.raises(Undecodable, match="a directory lies outside the file"):
        headers.of("a.tif")


def test_directories_that_share_their_bytes_are_not_read_one_by_one() -> None:
    """4,000 of them, of 65,535 entries each, fit into 800 kB."""
    n, entries = 40, 65535
    after = 8 + 2 + entries * 12
    content = bytearray(after + 4 * n + 16)
    content[:8] = struct.pack("<2sHI", b"II", 42, 8)
    for number in range(n):
        struct.pack_into("<H", content, 8 + 4 * number, entries)
        struct.pack_into("<I", content, after + 4 * number, 8 + 4 * (number + 1))
    Path("a.tif").write_bytes(content)
    for read in (headers.of, decode_mask):
        with pytest.raises(Undecodable, match="its directories overlap"):
            read("a.tif")


@pytest.mark.parametrize(
    "content",
    [
        png(32000, 32000), png(32000, 32000, 1), bmp(32000, 32000), bmp(32000, -32000), resized("GIF", 32000, 32000),
        resized("JPEG", 32000, 32000), tiff([-1], 32000, 32000), png(32000, 32000)[:33],
    ],
)  # fmt: skip
def test_pixels_are_limited_by_the_header_before_anything_is_decoded(content: bytes) -> None:
    Path("a/a.png").parent.mkdir()
    Path("a/a.png").write_bytes(content)
    with pytest.raises(Undecodable, match=f"^{MANY}$"):
        headers.of("a/a.png", most_pixels=MOST_PIXELS)
    assert re.fullmatch(MANY, scan(["a/a.png"], 1)["reason"][0])
    assert re.search(
        f"^({MANY}|cannot be decoded|file is truncated)", looked_at(Path("a"), ["a.png"]).sample[0].problem
    )
    assert scan_masks(["a/a.png"], 1)["reason"][0] != ""


def test_an_icon_is_refused_before_pillow_decodes_what_is_in_it() -> None:
    stream = io.BytesIO()
    Image.new("L", (256, 256)).save(stream, format="ICO")
    Path("a.png").write_bytes(stream.getvalue())
    with pytest.raises(Undecodable, match="is an icon"):
        content_of("a.png")


def test_a_tile_or_many_channels_count_as_pixels_too() -> None:
    wide = tiff([-1]).replace(struct.pack("<HHII", 278, 4, 1, 4), struct.pack("<HHII", 322, 4, 1, 2**31))
    Path("a.tif").write_bytes(wide)
    with pytest.raises(Undecodable, match="has 2,147,483,648 x 4 pixels"):
        headers.of("a.tif", most_pixels=MOST_PIXELS)
    Path("b.tif").write_bytes(tiff([*range(1, 40), -1], 8000, 8000))
    with pytest.raises(Undecodable, match=r"has 8,000 x 8,000 pixels of 40 channels, more than data\.max_pixels"):
        headers.of("b.tif", most_pixels=MOST_PIXELS)


@pytest.mark.parametrize(("kind", "pack"), [("zlib", zlib.compress), ("lzma", lzma.compress)])
def test_a_strip_that_unpacks_to_more_than_its_pixels_is_refused(kind: str, pack: Callable[[bytes], bytes]) -> None:
    pages = np.arange(32, dtype=np.uint8).reshape(2, 4, 4)
    tifffile.imwrite("a.tif", pages, compression="zlib", photometric="minisblack")
    content, packed = replaced_strip(Path("a.tif").read_bytes(), pack(pages.tobytes()[:16]), kind), pack(bytes(10**6))
    Path("a.tif").write_bytes(content)
    assert (decode("a.tif", 2) == np.moveaxis(pages, 0, 2)).all()
    Path("a.tif").write_bytes(replaced_strip(content, packed, kind))
    with pytest.raises(Undecodable, match="decompresses to more than its pixels"):
        decode("a.tif", 2)
    Path("a.tif").write_bytes(replaced_strip(content, b"", "zstd"))
    with pytest.raises(Undecodable, match="is compressed by ZSTD, which is not read"):
        decode("a.tif", 2)


def replaced_strip(content: bytes, packed: bytes, kind: str) -> bytes:
    """A TIFF of two pages with another strip in its first page, packed by another method."""
    method = {"zlib": 8, "lzma": 34925, "zstd": 50000}[kind]
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        changed, tags = bytearray(content + packed), file.pages[0].tags
        values = {"StripOffsets": len(content), "StripByteCounts": len(packed), "Compression": method}
        for name, value in values.items():
            struct.pack_into({3: "<H", 4: "<I"}[int(tags[name].dtype)], changed, tags[name].valueoffset, value)
    return bytes(changed)


def zipped(content: bytes, *others: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("t.csv", *others):
            archive.writestr(name, content)
    return stream.getvalue()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zip": zipped,
}  # fmt: skip


@pytest.mark.parametrize("suffix", PACKERS)
def test_packed_tables_are_unpacked_within_bounds(suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path, pack = Path(f"t.csv.{suffix}"), PACKERS[suffix]
    path.write_bytes(pack(b"id,label\na,1\n"))
    assert read_csv(path, "data.train").to_dict("records") == [{"id": "a", "label": "1"}]
    monkeypatch.setattr(unpacking, "ALWAYS_BYTES", 10**6)
    path.write_bytes(pack(b"id,label\n" + b"a,1\n" * 10**6))
    with pytest.raises(DataError, match=r"^data\.train: cannot read t\.csv\..* as CSV: it unpacks to more than 1 MB"):
        read_csv(path, "data.train")
    path.write_bytes(pack(b"id,label\na,1\n")[:-9])
    with pytest.raises(DataError, match="as CSV: it cannot be unpacked: "):
        read_csv(path, "data.train")


def test_archives_of_one_table_are_read_and_others_named() -> None:
    Path("t.csv.zip").write_bytes(zipped(b"id\na\n", "__MACOSX/._t.csv", "empty/"))
    assert read_csv("t.csv.zip", "k")["id"].tolist() == ["a"]
    Path("t.csv.zip").write_bytes(zipped(b"id\na\n", "u.csv"))
    with pytest.raises(DataError, match="it is an archive of 2 files, and one is needed; unpack it"):
        read_csv("t.csv.zip", "k")
    Path("t.csv.zst").write_bytes(b"x")
    with pytest.raises(DataError, match=r"goldfold does not unpack files ending in \.zst; unpack it"):
        read_csv("t.csv.zst", "k")


def test_the_config_says_how_many_pixels_and_pillow_has_no_limit_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    picture("a.png")
    assert scan(["a.png"], 1, most_pixels=16)["reason"][0] == ""
    assert scan(["a.png"], 1, most_pixels=15)["reason"][0].startswith(
        "has 4 x 4 pixels, more than data.max_pixels (15)"
    )
    save_picture(Path("m.png"), np.zeros((5, 5), np.uint8))
    assert decode_mask("m.png").shape == (5, 5)
    with pytest.raises(Undecodable, match="has 5 x 5 pixels"):
        decode_mask("m.png", 24)
    assert at_most(100) == MOST_PIXELS
    assert 10**9 <= at_most(10**9) <= 2 * 10**9
    data = {"source": "folder", "train": "x", "max_pixels": 7}
    config = parse(
        {"name": "t", "data": data, "models": [{"name": "a", "network": "small_resnet", "image_size_px": 8}]}
    )
    assert slices.manifest(config)["max_pixels"] == 7


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_regular_file_is_named_so_and_never_opened(kind: str) -> None:
    special("x/a.png", kind)
    picture("x/b.png")
    said = f"not a regular file ({kind})"
    assert fault("x/a.png") == said
    assert scan(["x/a.png", "x/b.png"], 1)["reason"].tolist() == [f"file is {said}", ""]
    if kind != "a folder":
        assert scan_masks(["x/a.png"], 1)["reason"][0] == f"file is {said}"
        Path("empty").mkdir()
        assert scan_masks(["empty"], 1)["reason"][0] == "the folder holds no image"
        tree = walk("x")
        assert (tree.images(), tree.special) == (["b.png"], ["a.png"])
    for read in (opened, read_bytes, read_text):
        with pytest.raises(OSError, match=re.escape(said)):
            read("x/a.png")
    with pytest.raises(DataError, match=f"^data.train: cannot read x/a.png as CSV: {re.escape(said)}$"):
        read_csv("x/a.png", "data.train")
    with pytest.raises(DataError, match=re.escape(said)):
        read_json("x/a.png", "data.train", "")
    assert fingerprint(["x"]) != ""


def test_links_to_nothing_or_to_themselves_long_names_and_nul_are_told_apart() -> None:
    Path("nothing").symlink_to("nowhere")
    Path("itself").symlink_to("itself")
    assert [fault(name) for name in ("nothing", "itself", "z" * 300, "a\0b")] == [
        "missing", "not readable (Too many levels of symbolic links)", "not readable (File name too long)",
        "not readable (embedded null byte)",
    ]  # fmt: skip
    assert scan(["z" * 300], 1)["reason"].tolist() == ["file is not readable (File name too long)"]
    assert fingerprint(["z" * 5000]) == fingerprint(["z" * 5000])
    picture("x/a.png")
    Path("x/b.png").symlink_to("b.png")
    assert walk("x").images() == ["a.png", "b.png"]


def test_files_that_are_too_large_are_neither_read_nor_hashed() -> None:
    Path("x").mkdir()
    with open("x/a.png", "wb") as stream:
        stream.truncate(50 * MOST_BYTES)
    said = "larger than 4,000 MB, the most that is read"
    assert scan(["x/a.png"], 1)["reason"][0] == f"file is {said}"
    assert fingerprint(["x"]) != ""
    for read in (read_text, lambda path: read_csv(path, "k")):
        with pytest.raises((OSError, DataError), match=said):
            read("x/a.png")
    Path("t.csv").write_bytes(b"id,label\na,b\0\n")
    with pytest.raises(DataError, match="it holds NUL bytes"):
        read_csv("t.csv", "data.train")


@pytest.mark.parametrize("encoding", ["klingon", "utf-32", "base64", "undefined"])
def test_an_xml_of_an_unknown_encoding_is_not_xml(encoding: str) -> None:
    Path("a.xml").write_text(f'<?xml version="1.0" encoding="{encoding}"?><annotation/>')
    with pytest.raises(ValueError, match=r"."):
        read_xml("a.xml")
    with pytest.raises(DataError, match=r"^ann/a\.xml is not XML: "):
        read_voc(Path("a.xml").read_bytes())


def test_entities_that_multiply_are_not_expanded() -> None:
    lines = "".join(f'<!ENTITY {b} "{f"&{a};" * 20}">' for a, b in zip("abcdefg", "bcdefgh", strict=True))
    Path("a.xml").write_text(f'<!DOCTYPE x [<!ENTITY a "{"ha" * 50}">{lines}]><annotation>&h;</annotation>')
    with pytest.raises(ValueError, match="amplification"):
        read_xml("a.xml")


def read_voc(content: bytes) -> dict[str, Any]:
    Path("ann").mkdir(exist_ok=True)
    Path("ann/a.xml").write_bytes(content)
    picture("img/a.png")
    return sources.read("voc", annotations="ann", images="img")


def read_coco(change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    content = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 2, 2]}],
        "categories": [{"id": 1, "name": "x"}],
    }
    change(content)
    Path("c.json").write_text(
        json.dumps(content).replace('"HUGE"', "1" + "0" * 5000).replace('"LARGE"', "1" + "0" * 400)
    )
    picture("img/a.png")
    return sources.read("coco", train="c.json", images="img")


@pytest.mark.parametrize("word", ["HUGE", "LARGE"])
def test_numbers_beyond_all_bounds_are_infinite(word: str) -> None:
    table = read_coco(lambda content: content["annotations"][0].update(bbox=[0, 0, word, 2]))["train"]
    assert table["boxes"].tolist() == ['[["x",0,0,Infinity,2]]']
    with pytest.raises(DataError, match="has the image_id inf, which is not in 'images'"):
        read_coco(lambda content: content["annotations"][0].update(image_id=word))
    read_coco(lambda content: content["images"][0].update(width=word, height=2))
    assert sniffed_coco(walk("."), "c.json") is not None


@pytest.mark.parametrize(
    ("name", "said"), [("\ud800", "half a surrogate pair"), ("a\0", "a NUL character"), ("a\rb", "a carriage return")]
)
def test_text_that_no_table_can_hold_is_refused(name: str, said: str) -> None:
    with pytest.raises(DataError, match=f"^categories: name .* has {said}"):
        read_coco(lambda content: content["categories"][0].update(name=name))


def test_deep_json_is_refused_by_every_reader() -> None:
    Path("c.json").write_text('{"images": ' + "[" * 100_000)
    with pytest.raises(DataError, match=r"c\.json is not JSON"):
        read_json("c.json", "data.train", "")
    assert sniffed_coco(walk("."), "c.json") is None


def read_yolo(label: str, names: str = "names: [x]\n") -> dict[str, Any]:
    picture("img/a.png")
    Path("img/a.txt").write_text(label)
    Path("n.yaml").write_text(names)
    return sources.read("yolo", train="img", names="n.yaml")


def test_a_class_of_thousands_of_digits_is_no_class() -> None:
    with pytest.raises(DataError, match=r"line 1 has the class 1+ \.\.\. 1+, and n\.yaml names 0 x\. Correct"):
        read_yolo("1" * 5000 + " 0.5 0.5 0.5 0.5\n")


@pytest.mark.parametrize("number", ["0.5_0", "\uff10.5", "0x1", "\u0661"])
def test_numbers_of_boxes_are_written_in_plain_digits(number: str) -> None:
    with pytest.raises(DataError, match=r"line 1 has .*, not a number"):
        read_yolo(f"0 0.5 0.5 {number} 0.5\n")
    box = f"<xmin>{number}</xmin><ymin>0</ymin><xmax>2</xmax><ymax>2</ymax>"
    Path("ann").mkdir()
    Path("ann/a.xml").write_text(f"<annotation><object><name>x</name><bndbox>{box}</bndbox></object></annotation>")
    with pytest.raises(DataError, match=r"the <xmin> .*, not a number"):
        sources.read("voc", annotations="ann", images="img")


@pytest.mark.parametrize("id", ["\u00b2", "\u0661", "9" * 5000])
def test_an_id_of_digits_that_are_no_number_stays_text(id: str) -> None:
    picture("img/a.png")
    note = {"image_id": id, "category_id": 1, "bbox": [0, 0, 1, 1]}
    content = {
        "images": [{"id": id, "file_name": "a.png"}],
        "categories": [{"id": 1, "name": "x"}],
        "annotations": [note],
    }
    Path("a.json").write_text(json.dumps(content))
    assert sources.read("coco", train="a.json", images="img")["train"]["coco_id"].tolist() == [id]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("names: &a [*a]\n", "line 1: alias 'a' is used inside the value that it refers to"),
        ("names: " + "[" * 3000, "line 1: nested deeper than 50 levels"),
        ('names: ["\\ud800"]\n', "categories: name '.ud800' has half a surrogate pair"),
        ("names: {" + "1" * 900 + ": x}\n", "not a class number"),
        ("a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
            f"{b}: &{b} [*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a}]\n" for a, b in zip("abcde", "bcdef", strict=True)
        ) + "nc: *f\nnames: [x]\n", "more than 200,000 values"),
    ],
)  # fmt: skip
def test_names_of_classes_are_read_within_bounds(names: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_yolo("0 0.5 0.5 0.5 0.5\n", names)


def test_a_label_or_an_annotation_that_is_no_regular_file_is_named() -> None:
    picture("img/a.png")
    special("img/a.txt", "a named pipe")
    Path("n.yaml").write_text("names: [x]\n")
    with pytest.raises(DataError, match=r"^img/a\.txt: cannot be read: not a regular file \(a named pipe\)"):
        sources.read("yolo", train="img", names="n.yaml")
    special("ann/a.xml", "a named pipe")
    with pytest.raises(DataError, match=r"^ann/a\.xml cannot be read: not a regular file \(a named pipe\)"):
        sources.read("voc", annotations="ann", images="img")


@pytest.mark.parametrize("head", ['{"images":', '{"train":', ""])
def test_a_json_that_is_nested_without_end_is_nothing_that_init_knows(head: str) -> None:
    Path("x").mkdir()
    Path("x/a.json").write_text(head + "[" * 100_000)
    assert list(foreign_files(walk("x"))) == []
