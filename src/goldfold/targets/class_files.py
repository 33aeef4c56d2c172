"""Masks with one file per class, described by a text that is used instead of a path."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

PREFIX = "files:"
CLASS = "{class}"
"""Placeholder of a class's name in paths and suffixes."""
BITS = "bits"
"""Value of ``mask_values`` of classes that may overlap."""
MOST_BITS = 31
"""Most classes that may overlap: a mask has at most 32 bits, and one marks ignored pixels."""


@dataclass(frozen=True)
class ClassFiles:
    """The files of a mask."""

    files: Mapping[str, str]
    """Path by number of the class, ``"1"`` for the first."""
    n_classes: int
    overlap: bool = False
    """Whether a pixel may be of several classes; the value of the mask then has one bit per class."""
    ignored: Sequence[int] = ()
    """Pixel values of a file that mark a pixel as unknown for all classes."""
    lacking: str = ""
    """A class that has no file although it needs one."""

    @property
    def unknown(self) -> int:
        """Value of ignored pixels of the merged mask, see `value_of_unknown`."""
        return value_of_unknown(self.n_classes, self.overlap)

    def to_text(self) -> str:
        """Return the text, without settings that have their default."""
        plain = {key: value for key, value in asdict(self).items() if value}
        return PREFIX + json.dumps(plain, ensure_ascii=False)


def value_of_unknown(n_classes: int, overlap: bool) -> int:
    """Return the bit, or the number, after those of all classes."""
    return 1 << n_classes if overlap else n_classes + 1


def is_text(mask: str) -> bool:
    """Return whether a mask is such a text rather than a path."""
    return mask.startswith(PREFIX)


def parsed(text: str) -> ClassFiles:
    """Return the files of a text."""
    return ClassFiles(**json.loads(text.removeprefix(PREFIX)))


def files_of(text: str) -> list[str]:
    """Files of a mask, in the order of the classes."""
    return list(parsed(text).files.values())


def expanded(texts: Iterable[str], classes: Sequence[str]) -> list[str]:
    """Paths with each class in turn in the place of ``{class}``; others as they are.

    >>> expanded(["masks/{class}"], ["cat", "dog"])
    ['masks/cat', 'masks/dog']
    """
    return [
        own for text in texts for own in ([text.replace(CLASS, name) for name in classes] if CLASS in text else [text])
    ]
