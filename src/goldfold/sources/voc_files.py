"""One XML file of Pascal VOC."""

import math
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from goldfold.base.errors import DataError
from goldfold.base.numbers import as_float
from goldfold.sources.reading import read_xml

SIDES = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True)
class Thing:
    """An object: its label, xmin, ymin, xmax, ymax as the file has them, and whether it is marked difficult."""

    label: str
    corners: list[float]
    is_difficult: bool


@dataclass(frozen=True)
class Annotation:
    """Objects of an image, and its width and height, if the file gives them."""

    objects: list[Thing]
    size: tuple[int, int] | None


def parse(path: Path) -> Annotation:
    """Parse the annotation in an XML file.

    Raises:
        DataError: it is not an annotation, or an object has no name or no box.
    """
    try:
        root = read_xml(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}. Restore the file, or remove it.") from error
    except ValueError as error:
        raise DataError(f"{path} is not XML: {error}. Restore the file, or remove it.") from error
    if root.tag != "annotation":
        raise DataError(
            f"{path} holds <{root.tag}>, not the <annotation> of Pascal VOC. Restore the file, or remove it."
        )
    objects = []
    for number, thing in enumerate(root.findall("object"), start=1):
        where = f"{path}: object {number}"
        name = (thing.findtext("name") or "").strip()
        if not name:
            raise DataError(f"{where} has no <name>. Correct the file.")
        mark = (thing.findtext("difficult") or "").strip().lower()
        objects.append(Thing(name, _corners(thing, f"{where} ({name})"), mark in ("1", "1.0", "true", "yes")))
    return Annotation(objects, size_of(root))


def size_of(root: ElementTree.Element) -> tuple[int, int] | None:
    """Width and height given in a file; None if there are none, or they are 0."""
    try:
        sides = [as_float(root.findtext(f"size/{side}") or "0") for side in ("width", "height")]
    except ValueError:
        return None
    return (int(sides[0]), int(sides[1])) if all(math.isfinite(side) and 1 <= side < 1e9 for side in sides) else None


def _corners(thing: ElementTree.Element, where: str) -> list[float]:
    """xmin, ymin, xmax, ymax; the manifest stage checks the values."""
    box = thing.find("bndbox")
    if box is None:
        raise DataError(f"{where} has no <bndbox>. Correct the file.")
    numbers = []
    for side in SIDES:
        text = box.findtext(side)
        try:
            numbers.append(as_float(text or ""))
        except ValueError as error:
            raise DataError(f"{where} has the <{side}> {text!r}, not a number. Correct the file.") from error
    return numbers
