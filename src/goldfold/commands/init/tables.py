"""Tables in the folder of the data: rows, and the column that names images."""

from dataclasses import dataclass, field

from goldfold.commands.init.found import Doubt
from goldfold.commands.init.walk import base
from goldfold.commands.init.words import is_sample, split_in, split_of, split_of_path


@dataclass
class Match:
    """A column whose values are names of images."""

    column: str
    folder: str
    """Folder that the names are relative to, itself relative to the root."""
    images: dict[int, str]
    """Row -> its image, relative to the root."""
    missing: list[str]
    """Names without an image."""


@dataclass
class Table:
    """A file of rows; values are strings without surrounding blanks."""

    name: str
    columns: list[str]
    rows: list[list[str]]
    delimiter: str = ","
    encoding: str = "utf-8"
    has_bom: bool = False
    match: Match | None = None
    odd: int = 0
    """Rows with more or fewer values than there are columns."""
    twice: list[str] = field(default_factory=list)
    """Column names that occur more than once."""
    has_header: bool = True
    files: list[str] = field(default_factory=list)
    """Files that are pooled, if several."""
    separator: str = ""
    """Separator of several labels in a JSON."""
    doubts: list[Doubt] = field(default_factory=list)

    def values(self, column: str) -> list[str]:
        """Values of a column."""
        place = self.columns.index(column)
        return [row[place] for row in self.rows]

    @property
    def is_test(self) -> bool:
        """True if its name, or that of its images' folder, indicates test images."""
        word = split_in(base(self.name)) or split_of(without_ending(self.name))
        return self.is_sample or word == "test" or (not word and self._is_of("test"))

    @property
    def is_sample(self) -> bool:
        """True if it is named like a sample submission."""
        return is_sample(base(self.name))

    def _is_of(self, split: str) -> bool:
        return self.match is not None and split_of_path(self.match.folder) == split


def without_ending(name: str) -> str:
    """Name of a file without folder and suffix."""
    return base(name).rpartition(".")[0]
