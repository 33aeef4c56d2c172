"""Config of data sources that bring masks."""

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from goldfold.config.sources import DataBase
from goldfold.data import colours

COLOUR = re.compile("#[0-9a-fA-F]{6}")


def _pixel_value(value: Any) -> Any:
    parts = value if isinstance(value, list) and len(value) == 3 else [value]
    largest = 255 if len(parts) == 3 else 2**16 - 1
    are_levels = all(type(part) is int and 0 <= part <= largest for part in parts)
    if not are_levels and not (isinstance(value, str) and COLOUR.fullmatch(value)):
        raise ValueError('must be a whole number from 0 to 65535, or a colour, [r, g, b] or "#rrggbb" (in quotes)')
    return value


PixelValue = Annotated[int | str | list[int], BeforeValidator(_pixel_value)]
"""Value of a mask's pixel, or its colour."""


def _number(value: int | str | list[int]) -> int:
    """The number that a pixel value or colour has inside goldfold."""
    if isinstance(value, int):
        return value
    return colours.number_of(*(bytes.fromhex(value[1:]) if isinstance(value, str) else value))


class MaskBase(DataBase):
    """Settings of masks: which pixel value is which class."""

    target: ClassVar[str] = "mask"
    mask_values: Literal["index", "nonzero"] | dict[str, PixelValue] = "index"
    """Which pixel value is which class: `index`: 1 is the first of `classes`, 2 the second, 0 the background (without
    `classes`, each value found is a class of that name); `nonzero`: all but 0 is the one class (255, numbered objects);
    or {name: value}, where 0 may be a class of its own, and a value a colour too, [r, g, b] or "#rrggbb" (in quotes)."""
    ignore_value: PixelValue | None = None
    """Pixel value that counts for nothing, neither in training nor in scores."""

    @model_validator(mode="after")
    def _something_to_learn(self) -> "MaskBase":
        if isinstance(self.mask_values, dict) and not any(map(_number, self.mask_values.values())):
            raise ValueError("mask_values names no value but 0, so every pixel would be of one class; name another")
        return self

    @field_validator("mask_values")
    @classmethod
    def _values_differ(cls, rule: Any) -> Any:
        names = list(rule) if isinstance(rule, dict) else []
        for number, name in enumerate(names):
            for other in names[:number]:
                if _number(rule[other]) == _number(rule[name]):
                    raise ValueError(f"classes {other!r} and {name!r} have the same value {rule[name]}")
        numbers = [_number(rule[name]) for name in names]
        if any(255 < number < colours.FIRST for number in numbers) and max(numbers) >= colours.FIRST:
            raise ValueError("a value above 255 and a colour do not go together: no picture holds both")
        return rule

    @field_validator("ignore_value")
    @classmethod
    def _ignores_no_class(cls, value: Any, info: ValidationInfo) -> Any:
        rule, classes = info.data.get("mask_values"), info.data.get("classes") or []
        values = rule if isinstance(rule, dict) else {name: 1 + n for n, name in enumerate(classes) if rule == "index"}
        for name, own in values.items():
            if value is not None and _number(own) == _number(value):
                raise ValueError(f"is the value of class {name!r}; what is ignored must be no class")
        return value

    @property
    def target_settings(self) -> dict[str, Any]:
        """The rule for pixel values; classes that are found are named as their values."""
        rule: Any = "names" if self.mask_values == "index" and self.classes is None else self.mask_values
        if isinstance(rule, dict):
            rule = {name: _number(value) for name, value in rule.items()}
        return {"mask_values": rule, "ignore_value": None if self.ignore_value is None else _number(self.ignore_value)}


class Masks(MaskBase):
    """A folder of images and one of masks of the same names: one channel, a value a class."""

    source: Literal["masks"]
    train: str
    """Folder of training images, searched with all sub-folders."""
    masks: str
    """Folder of their masks."""
    mask_suffix: str = ""
    """What the name of a mask has after its image's, e.g. `_mask`."""
    test: str | None = None
    """Folder of test images."""
    test_answers: str | None = None
    """Folder of the test images' true masks, where known; used for nothing but a score in the report."""
    unlabeled: str | None = None
    """Folder of images without masks."""
    groups: str | None = None
    """CSV (id, group) that says which images belong together; a group is never split over folds."""


class Tiles(MaskBase):
    """Folders of tiles, sites or patients, each with a folder of images and one of masks: `Tile 1/images/*.jpg`."""

    source: Literal["tiles"]
    train: str
    """Folder of the tiles, at any depth; `train/` and `val/` in it are pooled, and `test/` beside them is left out."""
    image_folder: str = "images"
    """Name of the folder of images in a tile, in upper or lower case; `.` where they lie in the tile's own folder."""
    mask_folder: str = "masks"
    """The same of the masks."""
    image_pattern: str = "{id}"
    """How an image is called, without suffix; `{id}_sat` where the mask of `1_sat.jpg` is `1_mask.png`."""
    mask_pattern: str = "{id}"
    """The same of its mask, which may have another suffix: `{id}_mask`."""
    group_level: Annotated[int, Field(ge=0)] | None = None
    """How many folders of a tile's path name the group, which is never split over folds; without it all of them, so that
    the group is the tile; 0: there are no groups."""
    test: str | None = None
    """Folder of the tiles of test images, or of the images alone; may lie below `train`, and is not learnt from."""
    test_answers: str | None = None
    """The same with the test images' true masks, where known; used for nothing but a score in the report."""
    unlabeled: str | None = None
    """Folder of tiles, or of images, without masks."""
    groups: str | None = None
    """CSV (id, group) that says which images belong together, in place of the tiles."""

    @property
    def has_groups(self) -> bool:
        """The tiles are the groups."""
        return self.groups is not None or self.group_level != 0

    @field_validator("image_pattern", "mask_pattern")
    @classmethod
    def _pattern_names_id(cls, pattern: str) -> str:
        if pattern.count("{id}") != 1 or "/" in pattern:
            raise ValueError("must have {id} once, and no '/'")
        return pattern

    @field_validator("image_folder", "mask_folder")
    @classmethod
    def _is_one_folder(cls, folder: str) -> str:
        if not folder or "/" in folder or folder == "..":
            raise ValueError("must be the name of one folder, or '.'")
        return folder

    @model_validator(mode="after")
    def _images_are_no_masks(self) -> "Tiles":
        alike = self.image_folder.casefold() == self.mask_folder.casefold()
        if alike and self.image_pattern == self.mask_pattern:
            raise ValueError(
                "images and masks lie in one folder and are called alike; set mask_pattern to how masks are called, e.g. "
                '"{id}_mask"'
            )
        if self.groups is not None and self.group_level is not None:
            raise ValueError("group_level and groups both say which images belong together; remove one")
        return self


class Instances(DataBase):
    """A folder an image: `<id>/images/<name>.png`, and `<id>/masks/*.png`, a file an object, which become one mask."""

    target: ClassVar[str] = "mask"
    source: Literal["instances"]
    train: str
    """Folder of the folders of training images."""
    test: str | None = None
    """Folder of the folders of test images."""
    test_answers: str | None = None
    """The same with the test images' true masks, where known; used for nothing but a score in the report."""
    unlabeled: str | None = None
    """Folder of the folders of images without masks."""
    groups: str | None = None
    """CSV (id, group) that says which images belong together; a group is never split over folds."""

    @property
    def target_settings(self) -> dict[str, Any]:
        """All that is not 0 in any file is the one class."""
        return {"mask_values": "nonzero", "ignore_value": None}


class Rle(DataBase):
    """Masks as run lengths in a CSV: a row an image, or an image and class; several rows are laid over one another."""

    target: ClassVar[str] = "mask"
    handed: ClassVar[frozenset[str]] = frozenset({"classes"})
    source: Literal["rle"]
    train: str
    """CSV of ids and run lengths; an empty field, -1 or nan is an image without an object."""
    images: str
    """Folder that the ids are relative to, with or without suffix."""
    id_column: str = "id"
    rle_column: str = "rle"
    class_column: str | None = None
    """Column with the class, one of `classes`; without it there is one class."""
    row_major: bool = False
    """Whether pixels are counted along the rows; mostly they are counted down the columns."""
    first_pixel: Annotated[int, Field(ge=0, le=1)] = 1
    """Number of the first pixel."""
    unlisted: Literal["missing", "empty"] = "missing"
    """What an image without a row is: one whose mask is missing (`on_missing_label`), or one without an object."""
    test: str | None = None
    """Folder of test images."""
    test_answers: str | None = None
    """CSV of the test images' true run lengths, where known; used for nothing but a score in the report."""
    unlabeled: str | None = None
    """Folder of images without masks."""
    groups: str | None = None
    """CSV (id, group) that says which images belong together; a group is never split over folds."""

    @model_validator(mode="after")
    def _classes_are_named(self) -> "Rle":
        if self.class_column is not None and self.classes is None:
            raise ValueError("class_column needs the names of the classes, in their order: set classes")
        if self.class_column is None and len(self.classes or "1") > 1:
            raise ValueError("several classes need class_column, the column that tells them apart")
        return self

    @property
    def target_settings(self) -> dict[str, Any]:
        """The reader numbers the classes in their order."""
        return {"mask_values": "nonzero" if self.class_column is None else "index", "ignore_value": None}
