"""Read DICOM files by pydicom, an optional dependency: one frame, windowed as its header says."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import DataError
from goldfold.images.pixels import Header, Image, Undecodable

SUFFIXES = frozenset({".dcm", ".dicom"})
MARK = slice(128, 132)
PACKED = b"1.2.840.10008.1.2.1.99"
"""Transfer syntax of files that are compressed as a whole."""
HEAD = 65536
OTHERS = (b"\x89PNG", b"\xff\xd8\xff")


def is_dicom(path: str | Path, content: bytes) -> bool:
    """True for DICOM, by its preamble or its suffix: old files have no preamble."""
    return content[MARK] == b"DICM" or (Path(path).suffix.lower() in SUFFIXES and not content.startswith(OTHERS))


def header(content: bytes) -> Header:
    """Header of a DICOM file.

    Raises:
        Undecodable: it is not DICOM, or has several frames.
        DataError: pydicom is not installed.
    """
    dataset = _opened(content, pixels=False)
    colours = int(dataset.get("SamplesPerPixel", 1)) == 3 or dataset.get("PhotometricInterpretation") == "PALETTE COLOR"
    deep = not colours and int(dataset.get("BitsStored", 8)) > 8
    return Header("DICOM", 3 if colours else 1, 16 if deep else 8, (1, 3))


def size(content: bytes) -> tuple[int, int, int]:
    """Width, height and channels.

    Raises:
        Undecodable, DataError: see `header`.
    """
    dataset = _opened(content, pixels=False)
    return int(dataset.get("Columns") or 0), int(dataset.Rows or 0), int(dataset.get("SamplesPerPixel") or 1)


def read(content: bytes) -> Image:
    """Pixels (height, width, 1 or 3): 16 bits if more than 8 are stored, else 8.

    Grey values are rescaled by slope and intercept; the header's window (the first of several) or look-up table, or
    without either the range of the stored bits, is mapped to 0 to 65535. MONOCHROME1 is inverted, so that larger is
    brighter.

    Raises:
        Undecodable: it has no image or several frames, or a compression that the installed pydicom cannot read.
        DataError: pydicom is not installed.
    """
    dataset = _opened(content, pixels=True)
    try:
        pixels = np.asarray(dataset.pixel_array)
        if pixels.ndim == 3:
            return _colours(pixels)
        if dataset.PhotometricInterpretation == "PALETTE COLOR":
            from pydicom.pixels import apply_color_lut

            return _colours(apply_color_lut(pixels, dataset))
        shares = _shares(pixels, dataset)
    except Undecodable:
        raise
    except Exception as error:  # pydicom and its decoders raise exceptions of any type
        raise Undecodable(f"cannot be decoded as DICOM: {' '.join(str(error).split())}") from error
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        shares = 1 - shares
    kind: type[np.unsignedinteger[Any]] = np.uint16 if int(dataset.BitsStored) > 8 else np.uint8
    grey: Image = np.round(shares * np.iinfo(kind).max).astype(kind)[..., None]
    return grey


def _opened(content: bytes, pixels: bool) -> Any:
    try:
        import pydicom
    except ImportError as error:
        raise DataError(
            "there are DICOM files, which need pydicom: pip install 'goldfold[dicom]', or convert them to 16-bit PNG."
        ) from error
    try:
        if PACKED in content[:HEAD]:  # pydicom would decompress it at once, without a size limit
            raise Undecodable(
                "is compressed as a whole (deflated transfer syntax); save it with another transfer syntax"
            )
        dataset = pydicom.dcmread(io.BytesIO(content), force=True, stop_before_pixels=not pixels)
    except Undecodable:
        raise
    except Exception as error:
        raise Undecodable(f"cannot be decoded as DICOM: {error}") from error
    if "Rows" not in dataset or (pixels and "PixelData" not in dataset):
        raise Undecodable("is not DICOM, or has no image")
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames > 1:
        raise Undecodable(f"has {frames} frames; save each as a separate file")
    return dataset


def _colours(pixels: NDArray[Any]) -> Image:
    return pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)


def _shares(pixels: NDArray[Any], dataset: Any) -> NDArray[np.float64]:
    """Grey values from 0 (black) to 1 (white)."""
    from pydicom.pixels import apply_modality_lut, apply_voi

    values = apply_modality_lut(pixels, dataset)
    if "WindowCenter" in dataset and "WindowWidth" in dataset:
        centre, width = float(_first(dataset.WindowCenter)), float(_first(dataset.WindowWidth))
        return _windowed(values.astype(np.float64), centre, width, str(dataset.get("VOILUTFunction") or "LINEAR"))
    if dataset.get("VOILUTSequence"):
        table = dataset.VOILUTSequence[0]
        return np.asarray(apply_voi(values, dataset) / (2.0 ** int(table.LUTDescriptor[2]) - 1)).clip(0, 1)
    ends = apply_modality_lut(_extremes(dataset), dataset)
    low, high = float(ends.min()), float(ends.max())
    return (values.astype(np.float64) - low) / ((high - low) or 1.0)


def _first(value: Any) -> Any:
    return value[0] if hasattr(value, "__len__") and not isinstance(value, str) else value


def _extremes(dataset: Any) -> NDArray[np.int64]:
    """Smallest and largest number that the stored bits can represent."""
    levels = 2 ** int(dataset.BitsStored)
    return np.array([-levels // 2, levels // 2 - 1] if dataset.PixelRepresentation else [0, levels - 1])


def _windowed(values: NDArray[np.float64], centre: float, width: float, function: str) -> NDArray[np.float64]:
    """Apply a window (DICOM PS3.3, C.11.2.1); values 0 to 1."""
    if function == "SIGMOID":
        return np.asarray(1 / (1 + np.exp(-4 * (values - centre) / width)))
    if function == "LINEAR_EXACT":
        return np.asarray(((values - centre) / width + 0.5).clip(0, 1))
    if width <= 1:
        return (values > centre - 0.5).astype(np.float64)
    return np.asarray(((values - (centre - 0.5)) / (width - 1) + 0.5).clip(0, 1))
