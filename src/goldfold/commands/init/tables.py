"""Tables beside the images: rows, and the column that names images."""

from dataclasses import dataclass, field

from goldfold.commands.init.found import Doubt
from goldfold.commands.init.walk import base
from goldfold.commands.init.words import is_sample, split_in, split_of, split_of_path


@dataclass
class Match:
    """The column whose values are names of images."""

    column: str
    folder: str
    """Where the names start from, relative to the root."""
    images: dict[int, str]
    """Image of each row that has one, relative to the root."""
    missing: list[str]
    """Names without an image."""


@dataclass
class Table:
    """A file of rows; every value is text without blanks around it."""

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
    """Names that an earlier column has too."""
    has_header: bool = True
    files: list[str] = field(default_factory=list)
    """Files that are pooled, where they are several."""
    separator: str = ""
    """What several labels of a JSON are parted by."""
    doubts: list[Doubt] = field(default_factory=list)

    def values(self, column: str) -> list[str]:
        """A column."""
        place = self.columns.index(column)
        return [row[place] for row in self.rows]

    @property
    def is_test(self) -> bool:
        """Whether its own name, or that of the folder of its images, says that it is of test images."""
        word = split_in(base(self.name)) or split_of(without_ending(self.name))
        return self.is_sample or word == "test" or (not word and self._is_of("test"))

    @property
    def is_sample(self) -> bool:
        """Whether it is called a sample submission."""
        return is_sample(base(self.name))

    def _is_of(self, split: str) -> bool:
        return self.match is not None and split_of_path(self.match.folder) == split


def without_ending(name: str) -> str:
    """Name of a file without folder and suffix."""
    return base(name).rpartition(".")[0]
