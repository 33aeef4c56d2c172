"""Each format that docs/data.md names: what is read of it, exactly."""

import io
import re
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from goldfold.audit import integrity
from goldfold.base.errors import DataError
from goldfold.images import headers, tiffs
from goldfold.images.decode import Undecodable, decode, native, resize

pytestmark = pytest.mark.usefixtures("in_tmp")

HEIGHT, WIDTH = 12, 20


def ramp(bands: int, dtype: Any = np.uint8, top: int = 255) -> NDArray[Any]:
    """(HEIGHT, WIDTH, bands), smooth, no two bands alike."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    planes = [((y * (band + 1) + x * 2) * (top / (HEIGHT * bands + WIDTH * 2))) for band in range(bands)]
    return np.stack(planes, axis=2).astype(dtype)


RGB, GREY = ramp(3), ramp(1)[..., 0]
DEEP, DEEP_RGB, RGBA = ramp(1, np.uint16, 60000)[..., 0], ramp(3, np.uint16, 60000), ramp(4)
INDEXED = Image.fromarray(RGB).convert("P", palette=Image.Palette.ADAPTIVE)
LUMA = cv2.cvtColor(RGB, cv2.COLOR_RGB2GRAY)


def pillow(kind: str, pixels: Any = None, mode: str | None = None, **options: Any) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(RGB if pixels is None else pixels)
    stream = io.BytesIO()
    (image if mode is None else image.convert(mode)).save(stream, kind, **options)
    return stream.getvalue()


def tiff(pixels: NDArray[Any], **options: Any) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, **options)
    return stream.getvalue()


def animation(kind: str) -> bytes:
    frames = [Image.fromarray(RGB), Image.fromarray(255 - RGB)]
    stream = io.BytesIO()
    frames[0].save(stream, kind, save_all=True, append_images=frames[1:], lossless=True)
    return stream.getvalue()


def png16(pixels: NDArray[Any]) -> bytes:
    places = [2, 1, 0, 3][: pixels.shape[2]] if pixels.ndim == 3 else None
    return bytes(cv2.imencode(".png", pixels if places is None else pixels[..., places])[1].tobytes())


PLANES = {"photometric": "minisblack", "planarconfig": "contig"}
READ: dict[str, tuple[bytes, int, Any, int]] = {
    # content, data.channels, expected pixels, largest difference that a lossy format may make
    "jpg": (pillow("JPEG", quality=98, subsampling=0), 3, RGB, 12),
    "jpg, grey": (pillow("JPEG", GREY, quality=98), 3, np.stack([GREY] * 3, axis=2), 6),
    "jpg, CMYK": (pillow("JPEG", mode="CMYK", quality=98, subsampling=0), 3, RGB, 24),
    "png": (pillow("PNG"), 3, RGB, 0),
    "png as grey": (pillow("PNG"), 1, LUMA, 1),
    "png, grey": (pillow("PNG", GREY), 1, GREY, 0),
    "png, 1 bit": (pillow("PNG", GREY > 99), 1, (GREY > 99) * 255, 0),
    "png, palette": (pillow("PNG", INDEXED), 3, INDEXED.convert("RGB"), 0),
    "png, 16 bit": (png16(DEEP), 1, DEEP, 0),
    "png, 16 bit RGB": (png16(DEEP_RGB), 3, DEEP_RGB, 0),
    "png, 16 bit RGBA": (png16(ramp(4, np.uint16, 60000)), 4, ramp(4, np.uint16, 60000), 0),
    "png, RGBA": (pillow("PNG", RGBA), 3, RGBA[..., :3], 0),
    "png, RGBA as 4": (pillow("PNG", RGBA), 4, RGBA, 0),
    "png, grey with alpha": (pillow("PNG", RGBA[..., 2:], None), 1, RGBA[..., 2], 0),
    "png, grey with alpha as 2": (pillow("PNG", RGBA[..., 2:], None), 2, RGBA[..., 2:], 0),
    "webp": (pillow("WEBP", lossless=True), 3, RGB, 0),
    "webp, RGBA as 4": (pillow("WEBP", RGBA, lossless=True, exact=True), 4, RGBA, 0),
    "webp, animation": (animation("WEBP"), 3, RGB, 8),
    "bmp": (pillow("BMP"), 3, RGB, 0),
    "bmp, 1 bit": (pillow("BMP", GREY > 99), 1, (GREY > 99) * 255, 0),
    "gif": (pillow("GIF", GREY), 1, GREY, 1),
    "gif, animation": (animation("GIF"), 3, RGB, 60),
    "tif": (tiff(RGB, photometric="rgb"), 3, RGB, 0),
    "tif as grey": (tiff(RGB, photometric="rgb"), 1, LUMA, 1),
    "tif, LZW": (pillow("TIFF", compression="tiff_lzw"), 3, RGB, 0),
    "tif, deflate": (tiff(DEEP, compression="zlib"), 1, DEEP, 0),
    "tif, LZW, 16 bit": (pillow("TIFF", DEEP, compression="tiff_lzw"), 1, DEEP, 0),
    "tif, 16 bit RGB": (tiff(DEEP_RGB, photometric="rgb"), 3, DEEP_RGB, 0),
    "tif, 16 bit RGB, tiles": (tiff(DEEP_RGB, photometric="rgb", tile=(16, 16)), 3, DEEP_RGB, 0),
    "tif, 16 bit RGB, planes": (
        tiff(np.moveaxis(DEEP_RGB, 2, 0), photometric="rgb", planarconfig="separate"), 3, DEEP_RGB, 0,
    ),
    "tif, RGB, planes": (tiff(np.moveaxis(RGB, 2, 0), photometric="rgb", planarconfig="separate"), 3, RGB, 0),
    "tif, 1 bit": (pillow("TIFF", GREY > 99, compression="group4"), 1, (GREY > 99) * 255, 0),
    "tif, palette": (pillow("TIFF", INDEXED), 3, INDEXED.convert("RGB"), 0),
    "tif, CMYK": (pillow("TIFF", mode="CMYK"), 3, RGB, 24),
    "tif, white is 0": (tiff(GREY, photometric="miniswhite"), 1, 255 - GREY, 0),
    "tif, white is 0, 16 bit": (tiff(DEEP, photometric="miniswhite"), 1, 65535 - DEEP, 0),
    "tif, RGBA": (tiff(RGBA, photometric="rgb", extrasamples=["unassalpha"]), 3, RGBA[..., :3], 0),
    "tif, RGBA, LZW": (pillow("TIFF", RGBA, compression="tiff_lzw"), 3, RGBA[..., :3], 0),
    "tif, RGBA as grey": (tiff(RGBA, photometric="rgb"), 1, cv2.cvtColor(RGBA[..., :3], cv2.COLOR_RGB2GRAY), 0),
    "tif, RGB and infrared": (tiff(RGBA, photometric="rgb", extrasamples=["unspecified"]), 4, RGBA, 0),
    "tif, 2 bands": (tiff(ramp(2), **PLANES), 2, ramp(2), 0),
    "tif, 4 bands": (tiff(RGBA, **PLANES), 4, RGBA, 0),
    "tif, 5 bands": (tiff(ramp(5), **PLANES), 5, ramp(5), 0),
    "tif, 7 bands, 16 bit": (tiff(ramp(7, np.uint16, 60000), **PLANES), 7, ramp(7, np.uint16, 60000), 0),
    "tif, 4 planes": (
        tiff(np.moveaxis(RGBA, 2, 0), photometric="minisblack", planarconfig="separate"), 4, RGBA, 0,
    ),
    "tif, 4 pages": (tiff(np.moveaxis(RGBA, 2, 0), photometric="minisblack"), 4, RGBA, 0),
    "tif, 4 pages, 16 bit, ImageJ": (
        tiff(np.moveaxis(ramp(4, np.uint16, 4000), 2, 0), imagej=True, metadata={"axes": "CYX"}), 4,
        ramp(4, np.uint16, 4000), 0,
    ),
    "tif, BigTIFF": (tiff(DEEP, bigtiff=True), 1, DEEP, 0),
    "tif, big-endian": (tiff(DEEP, byteorder=">"), 1, DEEP, 0),
    "tif, signed": (tiff((DEEP // 2).astype(np.int16)), 1, DEEP // 2, 0),
    "tif, 32 bit": (tiff(DEEP.astype(np.uint32)), 3, np.stack([DEEP] * 3, axis=2), 0),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_a_format_is_read_exactly(name: str) -> None:
    content, channels, expected, tolerance = READ[name]
    path = f"x.{name.split(',')[0].split()[0]}"
    Path(path).write_bytes(content)
    image, wanted = decode(path, channels), np.asarray(expected).reshape(HEIGHT, WIDTH, -1)
    assert image.shape == (HEIGHT, WIDTH, channels)
    assert image.dtype == (np.uint16 if wanted.dtype == np.uint16 else np.uint8)
    assert np.abs(image.astype(int) - wanted).max() <= tolerance
    assert headers.is_deep(path) == (image.dtype == np.uint16), "the cache makes room by the head of a file"
    seen = dict(zip(integrity.COLUMNS, integrity.look(path), strict=True))
    assert (seen["reason"], seen["height"], seen["width"]) == ("", HEIGHT, WIDTH)
    assert channels in seen["accepts"]
    assert (seen["bits"] > 8) == (seen["largest"] > 255) == (image.dtype == np.uint16)
    assert native(path).shape[:2] == (HEIGHT, WIDTH)


REFUSED: dict[str, tuple[bytes, int, str]] = {
    "tif, floating-point": (tiff(DEEP.astype(np.float32)), 1, "pixels are floating-point numbers; save them as 8-bit"),
    "tif, negative": (tiff(-DEEP.astype(np.int32)), 1, "has values from -[0-9]+ to 0; only 0 to 65535 can be read"),
    "tif, 12 pages": (
        tiff(np.zeros((12, 8, 8), np.uint8), photometric="minisblack"),
        3,
        "has 12 channels, .* is 3",
    ),
    "tif, pages of colours": (tiff(np.zeros((2, 8, 8, 3), np.uint8), photometric="rgb"), 3, "has 2 colour pages"),
    "tif, 5 bands as 3": (tiff(ramp(5), **PLANES), 3, r"has 5 channels, but data\.channels is 3"),
    "tif, 2 bands as 1": (tiff(ramp(2), **PLANES), 1, "has 2 channels"),
    "tif, truncated": (tiff(np.zeros((64, 64), np.uint16))[:4000], 1, "file is truncated"),
    "tif, its head alone": (tiff(GREY)[:20], 1, "cannot be decoded"),
    "png, RGB as 4": (pillow("PNG"), 4, r"has 3 channels, but data\.channels is 4"),
    "jpg, grey as 2": (pillow("JPEG", GREY), 2, "has 1 channel, "),
    "jpg, CMYK as 4": (pillow("JPEG", mode="CMYK"), 4, "has 3 channels"),
    "dcm, a text": (b"hello" * 60, 1, "is not DICOM, or has no image"),
}


def test_what_is_not_read_says_why() -> None:
    paths = {name: f"{number}.{name.split(',')[0]}" for number, name in enumerate(REFUSED)}
    for name, (content, channels, said) in REFUSED.items():
        Path(paths[name]).write_bytes(content)
        with pytest.raises(Undecodable, match=said):
            decode(paths[name], channels)
    for channels in {channels for _, channels, _ in REFUSED.values()}:
        own = [name for name in REFUSED if REFUSED[name][1] == channels]
        reasons = integrity.scan([paths[name] for name in own], 1, channels).set_index("path")["reason"]
        for name in own:
            assert re.search(REFUSED[name][2], reasons[paths[name]]), name


def test_pages_of_different_sizes_are_refused_and_smaller_copies_are_passed_over() -> None:
    for subfile, reason in ((0, "has 2 pages of different sizes"), (1, "")):
        with tifffile.TiffWriter("x.tif") as writer:
            writer.write(GREY)
            writer.write(GREY[::2, ::2], subfiletype=subfile)
        assert integrity.scan(["x.tif"], 1, 1)["reason"].iloc[0].startswith(reason)
        if not reason:
            assert (decode("x.tif", 1)[..., 0] == GREY).all()


def turned(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """What Pillow makes of it, by way of a PNG."""
    from PIL import ImageOps

    exif = Image.Exif()
    exif[tiffs.ORIENTATION] = orientation
    stream = io.BytesIO(pillow("PNG", pixels, exif=exif))
    return np.asarray(ImageOps.exif_transpose(Image.open(stream)))


TURNED: dict[str, tuple[str, dict[str, Any], NDArray[Any], int, int]] = {
    "jpg": ("JPEG", {"quality": 98, "subsampling": 0}, RGB, 3, 12),
    "png": ("PNG", {}, RGB, 3, 0),
    "png, RGBA": ("PNG", {}, RGBA, 4, 0),
    "png, 16 bit": ("PNG", {}, DEEP, 1, 0),
    "webp": ("WEBP", {"lossless": True}, RGB, 3, 0),
    "webp, RGBA": ("WEBP", {"lossless": True, "exact": True}, RGBA, 4, 0),
    "tif": ("TIFF", {}, RGB, 3, 0),
    "tif, LZW, 16 bit": ("TIFF", {"compression": "tiff_lzw"}, DEEP, 1, 0),
    "tif, RGBA": ("TIFF", {}, RGBA, 4, 0),
}


@pytest.mark.parametrize("name", TURNED)
def test_an_image_is_turned_upright_once(name: str) -> None:
    kind, options, pixels, channels, tolerance = TURNED[name]
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[tiffs.ORIENTATION] = orientation
        Path("x").write_bytes(pillow(kind, pixels, exif=exif, **options))
        image, wanted = decode("x", channels), turned(pixels, orientation)
        assert image.shape[:2] == wanted.shape[:2], orientation
        assert np.abs(image.astype(int) - wanted.reshape(image.shape)).max() <= tolerance, orientation


def test_five_bands_are_turned_and_resized_as_each_by_itself() -> None:
    Path("x.tif").write_bytes(tiff(ramp(5), extratags=[(tiffs.ORIENTATION, "H", 1, 6, True)], **PLANES))
    image = decode("x.tif", 5)
    assert image.shape == (WIDTH, HEIGHT, 5)
    assert (image == np.rot90(ramp(5), -1)).all()
    for dtype, size in ((np.uint8, (8, 8)), (np.uint16, (31, 40))):
        deep = ramp(6, dtype, 250)
        parts = [resize(np.ascontiguousarray(deep[..., band : band + 1]), size, "pad") for band in range(6)]
        whole = resize(deep, size, "pad")
        assert whole.dtype == dtype
        assert np.abs(whole.astype(int) - np.concatenate(parts, axis=2)).max() <= 1


# --- DICOM


def dicom(pixels: NDArray[Any], **tags: Any) -> bytes:
    pydicom = pytest.importorskip("pydicom")
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    dataset = FileDataset("x.dcm", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.Rows, dataset.Columns = pixels.shape[-2:] if pixels.ndim < 3 or pixels.shape[-1] != 3 else pixels.shape[:2]
    dataset.SamplesPerPixel = 3 if pixels.shape[-1] == 3 else 1
    dataset.PhotometricInterpretation = "RGB" if pixels.shape[-1] == 3 else "MONOCHROME2"
    if dataset.SamplesPerPixel == 3:
        dataset.PlanarConfiguration = 0
    bits = 8 * pixels.dtype.itemsize
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.tobytes()
    for name, value in tags.items():
        setattr(dataset, name, value)
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


VALUES = np.array([[0, 1000], [2000, 4095]], np.uint16)
TWELVE = {"BitsStored": 12, "HighBit": 11}
SEEN = {
    "12 bits, no window": (VALUES, TWELVE, [0, 1000 / 4095, 2000 / 4095, 1]),
    "MONOCHROME1": (VALUES, {**TWELVE, "PhotometricInterpretation": "MONOCHROME1"}, [1, 1 - 1000 / 4095, 2095 / 4095, 0]),
    # C.11.2.1.2: (x - (c - 0.5)) / (w - 1) + 0.5
    "window": (VALUES, {**TWELVE, "WindowCenter": 1500, "WindowWidth": 2001}, [0, 500.5 / 2000, 0.5 + 500.5 / 2000, 1]),
    "first of two windows": (
        VALUES, {**TWELVE, "WindowCenter": [1500, 9], "WindowWidth": [2001, 9]}, [0, 500.5 / 2000, 0.5 + 500.5 / 2000, 1],
    ),
    "exact window": (
        VALUES, {**TWELVE, "WindowCenter": 1500, "WindowWidth": 2000, "VOILUTFunction": "LINEAR_EXACT"}, [0, 0.25, 0.75, 1],
    ),
    "sigmoid": (
        VALUES, {**TWELVE, "WindowCenter": 1000, "WindowWidth": 4000, "VOILUTFunction": "SIGMOID"},
        [1 / (1 + np.e), 0.5, 1 / (1 + np.exp(-1)), 1 / (1 + np.exp(-3.095))],
    ),
    "slope and intercept, then the window": (
        VALUES, {**TWELVE, "RescaleSlope": 2, "RescaleIntercept": -1000, "WindowCenter": 1000, "WindowWidth": 4000,
                 "VOILUTFunction": "LINEAR_EXACT"}, [0, 0.5, 1, 1],
    ),
    "signed": (
        np.array([[-1024, 0], [1000, 3071]], np.int16),
        {"WindowCenter": 0, "WindowWidth": 2000, "VOILUTFunction": "LINEAR_EXACT"}, [0, 0.5, 1, 1],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SEEN)
def test_dicom_is_seen_as_its_header_says(name: str) -> None:
    pixels, tags, shares = SEEN[name]
    Path("x.dcm").write_bytes(dicom(pixels, **tags))
    image = decode("x.dcm", 1)
    assert (image.shape, image.dtype) == ((2, 2, 1), np.uint16)
    assert np.abs(image.ravel() / 65535 - shares).max() < 2e-5
    assert headers.is_deep("x.dcm")
    seen = dict(zip(integrity.COLUMNS, integrity.look("x.dcm"), strict=True))
    assert (seen["kind"], seen["bits"], seen["channels"], seen["reason"]) == ("DICOM", 16, 1, "")


def test_dicom_of_8_bits_and_of_colours_has_8() -> None:
    Path("grey.dcm").write_bytes(dicom(GREY))
    assert (decode("grey.dcm", 1)[..., 0] == GREY).all()
    Path("colour").write_bytes(dicom(RGB))
    assert (decode("colour", 3) == RGB).all(), "known by its mark, whatever its name"
    assert decode("colour", 1).shape == (HEIGHT, WIDTH, 1)
    assert not headers.is_deep("colour")


def test_dicom_of_several_frames_is_refused() -> None:
    Path("x.dcm").write_bytes(dicom(np.zeros((3, 4, 5), np.uint16), NumberOfFrames=3))
    with pytest.raises(Undecodable, match="has 3 frames; save each as a separate file"):
        decode("x.dcm", 1)


def test_without_pydicom_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("x.dcm").write_bytes(dicom(VALUES))
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(DataError, match=r"need pydicom: pip install 'goldfold\[dicom\]', or convert them"):
        integrity.scan(["x.dcm"], 1, 1)


def test_the_table_of_the_docs_names_the_formats_that_are_tested(repo: Path) -> None:
    text = (repo / "docs/data.md").read_text().split("### Formats")[1].split("\n\n")[1]
    told = {line.split("|")[1].strip() for line in text.splitlines()[2:]}
    tested = {re.split("[ ,]", name)[0] for name in READ}
    assert len(told) == 7
    assert told == tested | {"dcm"}
