"""Blocks of a page as plain values, without HTML."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar


@dataclass(frozen=True)
class Cell:
    """A table cell with a bar behind its text; ``bar`` is the bar's length, 0..1."""

    text: str
    bar: float


@dataclass(frozen=True)
class Table:
    """Rows of text; columns named in ``text_columns`` are left-aligned, all others are numbers."""

    kind: ClassVar[str] = "table"
    columns: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    text_columns: Sequence[str] = ()
    caption: str = ""
    mark: int | None = None
    """Row to highlight."""


@dataclass(frozen=True)
class Figure:
    """A picture drawn for the page: ``svg`` goes into the page, ``png``, if any, into a separate file."""

    kind: ClassVar[str] = "figure"
    name: str
    svg: str
    png: bytes
    width_px: int
    caption: str = ""
    description: str = ""
    """What the figure shows, for readers who cannot see it."""


@dataclass(frozen=True)
class Picture:
    """A small image; ``uri`` is a data URI, empty if the image file cannot be read."""

    uri: str
    title: str
    lines: Sequence[str] = ()
    is_tiny: bool = False
    """True if it has fewer pixels than its place on the page, so that they are shown as squares."""


@dataclass(frozen=True)
class Gallery:
    """Small images side by side."""

    kind: ClassVar[str] = "gallery"
    pictures: Sequence[Picture]
    caption: str = ""
    heading: str = ""
    is_compact: bool = False
    """True for many small pictures, six or twelve per row, instead of few large ones."""
    column_px: int = 0
    """Smallest width of a picture that needs more than a thumbnail's, and keeps its own shape."""
    legend: Sequence[tuple[str, str]] = ()
    """Names and their colours (``#rrggbb``) in the pictures."""


@dataclass(frozen=True)
class Facts:
    """Names with values, as tiles."""

    kind: ClassVar[str] = "facts"
    items: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Text:
    """A paragraph, after an optional small heading."""

    kind: ClassVar[str] = "text"
    text: str
    heading: str = ""


@dataclass(frozen=True)
class Lines:
    """Sentences below each other, after an optional small heading and introduction."""

    kind: ClassVar[str] = "lines"
    items: Sequence[str]
    heading: str = ""
    text: str = ""


@dataclass(frozen=True)
class Note:
    """A highlighted note; ``level`` is ``warn``, ``info`` or ``good``."""

    kind: ClassVar[str] = "note"
    level: str
    title: str
    text: str


@dataclass(frozen=True)
class Code:
    """Verbatim text, collapsed under ``title``."""

    kind: ClassVar[str] = "code"
    title: str
    text: str


Block = Table | Figure | Gallery | Facts | Text | Lines | Note | Code


@dataclass
class Section:
    """A chapter of the page. ``id`` is its anchor, ``short`` its name in the table of contents."""

    id: str
    title: str
    intro: str = ""
    blocks: list[Block] = field(default_factory=list)
    short: str = ""
