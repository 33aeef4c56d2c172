"""Config of the demo data sets: short forms of ordinary sources, of files that the stage `demo` writes."""

from pathlib import PurePath
from typing import Any, ClassVar, Literal

from goldfold.config.box_sources import Coco
from goldfold.config.mask_sources import MaskBase, Masks
from goldfold.config.sources import DataBase
from goldfold.config.table import Csv


class Demo(DataBase):
    """What all demo data sets share."""

    written: ClassVar[tuple[str, ...]]
    """Files besides images and masks, below `directory`."""
    source: str
    directory: str
    """Where the files are written."""

    @property
    def has_test(self) -> bool:
        """Demo data always have test images."""
        return True

    @property
    def demo_files(self) -> list[str]:
        """Tables, which stand for the images that they name."""
        return [f"{self.directory}/{name}" for name in self.written]

    def owned(self, path: str | None) -> list[str]:
        """As for every source, but for what the stage `demo` writes: that depends on its code."""
        return [] if path is None or PurePath(path).is_relative_to(self.directory) else [path]

    def _shared(self) -> dict[str, Any]:
        """Settings that the ordinary source has too."""
        return {name: value for name, value in self if name not in ("source", "directory")}


class _Digits(Demo):
    """What all forms of the embedded digits share."""

    written: ClassVar[tuple[str, ...]] = ("train.csv", "test.csv", "test_answers.csv", "sample_submission.csv")
    columns: ClassVar[dict[str, Any]]
    """What the ordinary source is told of the columns."""
    test_answers: str | None = None
    """CSV of the test images' true targets, where known; used for nothing but a score in the report."""

    @property
    def read_as(self) -> Csv:
        """A table of images."""
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
    """The 1,797 handwritten digits of scikit-learn, written out as PNG and CSV; a fifth is the test set."""

    target: ClassVar[str] = "label"
    columns: ClassVar[dict[str, Any]] = {}
    source: Literal["digits"]
    directory: str = "data/digits"
    """Where the files are written."""


class DigitsLabels(_Digits):
    """The same digits with what is true of each as labels: even, prime, loop; of a 1, none. For `task: multilabel`."""

    target: ClassVar[str] = "labels"
    columns: ClassVar[dict[str, Any]] = {
        "label_column": "labels",
        "label_separator": " ",
        "empty_label": "no_class",
    }
    source: Literal["digits_labels"]
    directory: str = "data/digits_labels"
    """Where the files are written."""


class DigitsInk(_Digits):
    """The same digits with the share of the paper that is inked, in per cent. For `task: regression`."""

    target: ClassVar[str] = "value"
    columns: ClassVar[dict[str, Any]] = {"target_column": "ink"}
    source: Literal["digits_ink"]
    directory: str = "data/digits_ink"
    """Where the files are written."""


class _Scenes(Demo):
    """What both forms of the embedded scenes share."""

    written: ClassVar[tuple[str, ...]] = (
        "train.json",
        "test.json",
        "test_answers.json",
        "groups.csv",
        "sample_rle.csv",
        "sample_boxes.csv",
    )
    directory: str = "data/scenes"
    """Where the files are written."""

    @property
    def has_answers(self) -> bool:
        """The truth is embedded too."""
        return True

    @property
    def has_groups(self) -> bool:
        """Scenes that share digits belong together."""
        return True


class ScenesMasks(_Scenes, MaskBase):
    """Handwritten digits on photographs, both from inside scikit-learn, as images and masks; a fifth is the test set."""

    source: Literal["scenes_masks"]

    @property
    def read_as(self) -> Masks:
        """A folder of images and one of masks."""
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
    """Handwritten digits on photographs, both from inside scikit-learn, in COCO's JSON; a fifth is the test set."""

    target: ClassVar[str] = "boxes"
    source: Literal["scenes_boxes"]

    @property
    def read_as(self) -> Coco:
        """COCO's JSON."""
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
