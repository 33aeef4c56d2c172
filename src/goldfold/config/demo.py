"""Config of the demo data sets: ordinary sources whose files the stage `demo` writes."""

from pathlib import PurePath
from typing import Any, ClassVar, Literal

from goldfold.config.box_sources import Coco
from goldfold.config.mask_sources import MaskBase, Masks
from goldfold.config.sources import DataBase
from goldfold.config.table import Csv


class Demo(DataBase):
    """Base of all demo data sets."""

    written: ClassVar[tuple[str, ...]]
    """Files other than images and masks, relative to `directory`."""
    source: str
    directory: str
    """Folder that the files are written to."""

    @property
    def has_test(self) -> bool:
        """True: demo data always have test images."""
        return True

    @property
    def demo_files(self) -> list[str]:
        """Tables; they stand for the images that they list."""
        return [f"{self.directory}/{name}" for name in self.written]

    def owned(self, path: str | None) -> list[str]:
        """``path`` unless the stage `demo` writes it: such files depend on its code."""
        return [] if path is None or PurePath(path).is_relative_to(self.directory) else [path]

    def _shared(self) -> dict[str, Any]:
        """Settings shared with the ordinary source."""
        return {name: value for name, value in self if name not in ("source", "directory")}


class _Digits(Demo):
    """Base of all forms of the digits."""

    written: ClassVar[tuple[str, ...]] = ("train.csv", "test.csv", "test_answers.csv", "sample_submission.csv")
    columns: ClassVar[dict[str, Any]]
    """Column settings of the ordinary source."""
    test_answers: str | None = None
    """CSV of the test images' true targets, if known; used only for a score in the report."""

    @property
    def read_as(self) -> Csv:
        """The CSV source that reads the files."""
        root = self.directory
        return Csv.model_construct(
            source="csv",
            train=f"{root}/train.csv",
            images=f"{root}/images",
            test=f"{root}/test.csv",
            **self.columns,
            **self._shared(),
        )


class Digits(_Digits):
    """The 1,797 handwritten digits of scikit-learn, written as PNG and CSV; one fifth is the test set."""

    target: ClassVar[str] = "label"
    columns: ClassVar[dict[str, Any]] = {}
    source: Literal["digits"]
    directory: str = "data/digits"
    """Folder that the files are written to."""


class DigitsLabels(_Digits):
    """The same digits, each with the labels even, prime and loop that apply (a 1 has none). For `task: multilabel`."""

    target: ClassVar[str] = "labels"
    columns: ClassVar[dict[str, Any]] = {
        "label_column": "labels",
        "label_separator": " ",
        "empty_label": "no_class",
    }
    source: Literal["digits_labels"]
    directory: str = "data/digits_labels"
    """Folder that the files are written to."""


class DigitsInk(_Digits):
    """The same digits with the inked share of the image, in per cent. For `task: regression`."""

    target: ClassVar[str] = "value"
    columns: ClassVar[dict[str, Any]] = {"target_column": "ink"}
    source: Literal["digits_ink"]
    directory: str = "data/digits_ink"
    """Folder that the files are written to."""


class PlacedDigits(_Digits):
    """One handwritten digit somewhere on each of 1,125 photographs, with its name; one fifth is the test set."""

    target: ClassVar[str] = "label"
    columns: ClassVar[dict[str, Any]] = {}
    source: Literal["placed_digits"]
    directory: str = "data/placed_digits"
    """Folder that the files are written to."""


class _Scenes(Demo):
    """Base of both forms of the scenes."""

    written: ClassVar[tuple[str, ...]] = (
        "train.json",
        "test.json",
        "test_answers.json",
        "groups.csv",
        "sample_rle.csv",
        "sample_boxes.csv",
    )
    directory: str = "data/scenes"
    """Folder that the files are written to."""

    @property
    def has_answers(self) -> bool:
        """True: the targets of the test images are known."""
        return True

    @property
    def has_groups(self) -> bool:
        """True: scenes that share digits belong together."""
        return True


class ScenesMasks(_Scenes, MaskBase):
    """Handwritten digits on photographs, both bundled with scikit-learn, as images and masks; one fifth is the test set."""

    source: Literal["scenes_masks"]

    @property
    def read_as(self) -> Masks:
        """The masks source that reads the files."""
        root = self.directory
        return Masks.model_construct(
            source="masks",
            train=f"{root}/images",
            masks=f"{root}/masks",
            test=f"{root}/test_images",
            test_answers=f"{root}/test_masks",
            groups=f"{root}/groups.csv",
            **self._shared(),
        )


class ScenesBoxes(_Scenes):
    """Handwritten digits on photographs, both bundled with scikit-learn, as COCO JSON; one fifth is the test set."""

    target: ClassVar[str] = "boxes"
    source: Literal["scenes_boxes"]

    @property
    def read_as(self) -> Coco:
        """The COCO source that reads the files."""
        root = self.directory
        return Coco.model_construct(
            source="coco",
            train=f"{root}/train.json",
            images=f"{root}/images",
            test=f"{root}/test.json",
            test_images=f"{root}/test_images",
            test_answers=f"{root}/test_answers.json",
            groups=f"{root}/groups.csv",
            **self._shared(),
        )


class PlacedBoxes(Demo):
    """The images of `placed_digits`, as COCO JSON: the box of the digit in every fourth training image, and the test images."""

    target: ClassVar[str] = "boxes"
    written: ClassVar[tuple[str, ...]] = ("train.json", "test.json")
    source: Literal["placed_boxes"]
    directory: str = "data/placed_boxes"
    """Folder that the files are written to."""

    @property
    def read_as(self) -> Coco:
        """The COCO source that reads the files."""
        root = self.directory
        return Coco.model_construct(
            source="coco",
            train=f"{root}/train.json",
            images=f"{root}/images",
            test=f"{root}/test.json",
            **self._shared(),
        )
