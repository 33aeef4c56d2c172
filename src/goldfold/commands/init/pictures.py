"""Examine the headers of a sample of images."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from goldfold.base.regular import opened
from goldfold.base.words import count, noun
from goldfold.commands.init.found import Doubt, some, spread
from goldfold.images.limits import MOST_PIXELS, any_size, refuse_size
from goldfold.images.pixels import Undecodable

N_LOOKED, N_DECODED, DECODED_PX = 200, 40, 4_000_000
"""Number of images whose headers are read; of these, number whose colours are examined, and the largest size for that."""
ONE = {"have": "has", "are": "is"}
LARGE_PX = 25_000_000
ORIENTATION = 0x0112
KINDS = {
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif"},
    "MPO": {".jpg", ".jpeg", ".jpe", ".jfif"},
    "PNG": {".png"},
    "BMP": {".bmp"},
    "DIB": {".bmp"},
    "GIF": {".gif"},
    "TIFF": {".tif", ".tiff"},
    "WEBP": {".webp"},
    "DICOM": {".dcm", ".dicom"},
}
BITS = {"1": 1, "I": 32, "F": 32}
CHANNELS = {"1": 1, "L": 1, "I": 1, "F": 1, "LA": 2, "P": 3, "RGBA": 4, "PA": 4, "RGBX": 4, "CMYK": 4}


@dataclass(frozen=True)
class Picture:
    """Properties of an image from its header."""

    name: str
    width: int = 0
    height: int = 0
    channels: int = 0
    bits: int = 8
    mode: str = ""
    kind: str = ""
    is_turned: bool = False
    """True if its EXIF entry rotates it."""
    is_grey: bool | None = None
    """True for one channel, or equal channels; None if the pixels were not examined."""
    problem: str = ""


@dataclass
class Pictures:
    """A sample of images."""

    sample: list[Picture]
    n_of: int
    """Number of images that the sample represents."""

    @property
    def sound(self) -> list[Picture]:
        """Images that could be read."""
        return [picture for picture in self.sample if not picture.problem]

    @property
    def median(self) -> tuple[int, int]:
        """Median height and width; 0 if no image could be read."""
        if not self.sound:
            return 0, 0
        return int(np.median([p.height for p in self.sound])), int(np.median([p.width for p in self.sound]))

    @property
    def all_grey(self) -> bool:
        """True if every image examined has one channel."""
        return bool(self.sound) and all(picture.channels <= 2 for picture in self.sound)


def look(root: Path, names: Sequence[str]) -> Pictures:
    """Read the headers of a sample of ``names`` below ``root``."""
    chosen = spread(names, N_LOOKED)
    decoded = set(spread(chosen, N_DECODED))
    with any_size():
        return Pictures([_picture(root, name, name in decoded) for name in chosen], len(names))


def _picture(root: Path, name: str, decodes: bool) -> Picture:
    path = root / name
    try:
        with opened(path) as stream, Image.open(stream) as image:
            mode, kind, (width, height) = image.mode, image.format or "", image.size
            turned = kind in ("JPEG", "MPO", "TIFF", "WEBP") and image.getexif().get(ORIENTATION, 1) not in (0, 1)
            bits = _bits(path, mode, kind)
            channels = CHANNELS.get(mode, 1 if mode.startswith("I;16") else 3)
            if turned and image.getexif()[ORIENTATION] >= 5:
                width, height = height, width
            looks = decodes and width * height <= DECODED_PX
            grey = (channels <= 2 or _is_grey(image)) if looks else None
        refuse_size(width, height, MOST_PIXELS)
        return Picture(name, width, height, channels, bits, mode, kind, turned, grey)
    except Undecodable as error:
        return Picture(name, problem=str(error))
    except Exception:  # Pillow raises exceptions of any type; OpenCV, which reads the images later, decides
        return _by_opencv(path, name)


def _bits(path: Path, mode: str, kind: str) -> int:
    """Bits per channel; Pillow shows 16-bit colour as 8."""
    if kind == "PNG":
        with open(path, "rb") as stream:
            return stream.read(25)[24]
    return 16 if mode.startswith("I;16") else BITS.get(mode, 8)


def _is_grey(image: Image.Image) -> bool:
    image.draft("RGB", (64, 64))
    pixels = np.asarray(image.convert("RGB"))
    return bool((pixels == pixels[..., :1]).all())


def _by_opencv(path: Path, name: str) -> Picture:
    from goldfold.images import headers
    from goldfold.images.decode import native

    try:
        header = headers.of(path, most_pixels=MOST_PIXELS)
        height, width = native(path).shape[:2]
    except Undecodable as error:
        return Picture(name, problem=str(error))
    except OSError as error:
        return Picture(name, problem=error.strerror or str(error))
    bits = 16 if header.bits > 8 else 8
    return Picture(name, width, height, header.bands or 3, bits, "", header.kind, False, header.bands == 1 or None)


def sizes(pictures: Pictures) -> str:
    """Smallest, median and largest size, as text."""
    sound = sorted(pictures.sound, key=lambda picture: picture.width * picture.height)
    if not sound:
        return "unknown"
    small, middle, large = (f"{p.width} x {p.height}" for p in (sound[0], sound[len(sound) // 2], sound[-1]))
    if len({(picture.width, picture.height) for picture in sound}) == 1:
        return f"all {small}"
    return f"{small} to {large}, median {middle}"


def kinds(pictures: Pictures) -> str:
    """Formats, channels and bits, with counts if there are several."""
    found = Counter(
        f"{p.kind or 'other'} {_colour(p)}{f' {p.bits} bit' if p.bits != 8 else ''}" for p in pictures.sound
    )
    return ", ".join(kind if len(found) == 1 else f"{kind} ({n})" for kind, n in found.most_common(6))


def _colour(picture: Picture) -> str:
    if picture.mode == "CMYK":
        return "CMYK"
    return {1: "grey", 2: "grey with alpha", 4: "RGBA"}.get(picture.channels, "RGB")


def doubts(pictures: Pictures) -> list[Doubt]:
    """Doubts about the images examined."""
    sound, n = pictures.sound, len(pictures.sample)
    found: list[Doubt] = []

    def note(matching: list[Picture], text: str, stops: bool = False) -> None:
        if matching:
            names = some(picture.name for picture in matching)
            verb, _, rest = text.partition(" ")
            clause = f"{ONE.get(verb, verb) if len(matching) == 1 else verb} {rest}"
            found.append(Doubt(f"{len(matching)} of {count(n, 'image')} looked at {clause} First: {names}.", stops))

    bad = [picture for picture in pictures.sample if picture.problem]
    reason = f" ({bad[0].problem})" if bad else ""
    note(bad, f"cannot be read{reason}: such training images go to quarantine, such test images stop the run.")
    note([p for p in sound if _wrong_suffix(p)], "have the suffix of another format, but are read.")
    note(
        [p for p in sound if p.bits == 16],
        "have 16 bits per channel, which are kept; data.scale_16bit sets how they are scaled to 8 for networks.",
    )
    note(
        [p for p in sound if p.bits == 32],
        "have 32 bits per channel: integers from 0 to 65535 are read, others go to quarantine.",
    )
    note([p for p in sound if p.mode == "CMYK"], "are CMYK, read as RGB, with colours that may be slightly wrong.")
    note(
        [p for p in sound if p.is_turned],
        "are rotated by an EXIF entry, which goldfold applies; masks or boxes must fit the upright image.",
    )
    note(
        [p for p in sound if p.width * p.height > LARGE_PX],
        "have over 25 million pixels; reading them is slow.",
    )
    looked = [picture for picture in sound if picture.is_grey is not None]
    grey = [picture for picture in looked if picture.is_grey]
    if grey and len(grey) < len(looked):
        found.append(
            Doubt(
                f"{len(grey)} of {count(len(looked), 'image')} whose pixels were looked at {noun(len(grey), 'is', 'are')} grey, "
                f"the others coloured: the network may learn the source instead of the class."
            )
        )
    note(
        [p for p in sound if p.channels == 4 and p.mode != "CMYK"],
        "have an alpha channel; it is dropped, unless data.channels is 4.",
    )
    return found + _shapes(sound)


def _shapes(sound: list[Picture]) -> list[Doubt]:
    ratios = sorted(picture.width / picture.height for picture in sound if picture.height)
    if not ratios or ratios[-1] / ratios[0] < 1.34:
        return []
    return [
        Doubt(
            f"widths are {ratios[0]:.2g} to {ratios[-1]:.2g} times the heights: `resize: squash` distorts the odd ones; "
            f"`pad` keeps their shape."
        )
    ]


def _wrong_suffix(picture: Picture) -> bool:
    known = KINDS.get(picture.kind)
    return known is not None and os.path.splitext(picture.name)[1].lower() not in known
