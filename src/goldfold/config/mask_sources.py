"""Config of data sources with masks."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from goldfold.config.base import Unique
from goldfold.config.pixel_values import (
    Ignored,
    PixelValue,
    ignored_values,
    is_colour,
    number,
    numbers_of,
    values_by_class,
)
from goldfold.config.sources import DataBase
from goldfold.targets import colours
from goldfold.targets.class_files import CLASS, MOST_BITS, expanded, value_of_unknown


class MaskBase(DataBase):
    """Settings of masks: pixel values of the classes, and how they are read."""

    target: ClassVar[str] = "mask"
    mask_values: Literal["index", "nonzero", "bits"] | dict[str, PixelValue] = "index"
    """Pixel values of the classes: `index`: 1 is the first of `classes`, 2 the second, 0 the background (without `classes`,
    each value found is a class of that name); `nonzero`: all values but 0 are the one class (255, numbered objects); `bits`:
    classes that may overlap, 1 for the first of `classes`, 2 for the second, 4 for the third, and their sums for pixels of
    several; or {name: value}, where 0 may be a class too, and a value may be a colour, [r, g, b] or "#rrggbb" (in quotes)."""
    ignore_value: Ignored | None = None
    """Pixel value that is ignored in training and in scores: a value, a colour, or a list of these. With classes that are
    numbers, a list of three different numbers is three values; otherwise it is a colour."""
    mask_palette: Literal["auto", "index", "colour"] = "auto"
    """Value of a pixel in a file with a palette: its `index` or its `colour`. `auto`: the colour if all palettes are grey or
    `mask_values` names colours; otherwise the index if all files share one palette, or an error."""
    unlisted_values: Literal["flaw", "nearest"] = "flaw"
    """Treatment of values that `mask_values` does not name: as a flaw of the mask (`on_bad_label`), or as the `nearest`
    named value, 0 or `ignore_value`, for masks smeared by JPEG compression or interpolation. A value that fills regions of
    its own remains a flaw."""

    @model_validator(mode="after")
    def _something_to_learn(self) -> "MaskBase":
        if isinstance(self.mask_values, dict) and not any(map(number, self.mask_values.values())):
            raise ValueError("mask_values names no value but 0, so every pixel would be of one class; name another")
        return self

    @model_validator(mode="after")
    def _bits_are_named(self) -> "MaskBase":
        if self.mask_values == "bits" and self.classes is None:
            raise ValueError("mask_values: bits needs the names of the classes, from the lowest bit: set classes")
        if self.mask_values == "bits" and len(self.classes or ()) == 1:
            raise ValueError("mask_values: bits is for several classes; set nonzero")
        if self.mask_values == "bits" and len(self.classes or ()) > 16:
            raise ValueError(f"mask_values: bits has {len(self.classes or ())} classes, but files have at most 16 bits")
        taken = [value for value in self._ignored_numbers if 0 < value < 1 << len(self.classes or ())]
        if self.mask_values == "bits" and taken:
            raise ValueError(f"ignore_value = {taken[0]} is a sum of the bits of classes; an ignored value must not be")
        return self

    @model_validator(mode="after")
    def _readings_agree(self) -> "MaskBase":
        named = self.mask_values.values() if isinstance(self.mask_values, dict) else []
        if self.mask_palette == "index" and any(map(is_colour, named)):
            raise ValueError("mask_palette: index reads no colours, but mask_values names some; use colour, or numbers")
        names_values = isinstance(self.mask_values, dict) or (self.mask_values == "index" and self.classes is not None)
        if self.unlisted_values == "nearest" and not names_values:
            raise ValueError("unlisted_values: nearest needs the clean values, mask_values: {name: value}")
        n_classes = 1 if self.mask_values == "nonzero" else len(values_by_class(self.mask_values, self.classes))
        if 0 in self._ignored_numbers and n_classes == 1:
            raise ValueError("ignore_value names 0, so the one class would have no background; remove 0")
        return self

    @field_validator("mask_values")
    @classmethod
    def _values_differ(cls, rule: Any) -> Any:
        names = list(rule) if isinstance(rule, dict) else []
        for place, name in enumerate(names):
            for other in names[:place]:
                if number(rule[other]) == number(rule[name]):
                    raise ValueError(f"classes {other!r} and {name!r} have the same value {rule[name]}")
        numbers = [number(rule[name]) for name in names]
        if any(255 < value < colours.FIRST for value in numbers) and max(numbers) >= colours.FIRST:
            raise ValueError("a value above 255 and a colour do not go together: no image holds both")
        return rule

    @field_validator("ignore_value")
    @classmethod
    def _ignores_no_class(cls, value: Any, info: ValidationInfo) -> Any:
        rule = info.data.get("mask_values")
        ignored = set(map(number, ignored_values(value, rule)))
        for name, own in values_by_class(rule, info.data.get("classes")).items():
            if number(own) in ignored:
                raise ValueError(f"is the value of class {name!r}; an ignored value must not be a class")
        return value

    @property
    def _ignored_numbers(self) -> list[int]:
        return list(map(number, ignored_values(self.ignore_value, self.mask_values)))

    @property
    def target_settings(self) -> dict[str, Any]:
        """Settings of pixel values for the task; without class names, classes are named by their values."""
        named = list(self.mask_values.values()) if isinstance(self.mask_values, dict) else []
        names_none = self.mask_values == "index" and self.classes is None
        rule: Any = "names" if names_none else numbers_of(self.mask_values)
        ignored = self._ignored_numbers
        if rule == "nonzero":
            named += ignored_values(self.ignore_value, rule)
        palette = "colour" if any(map(is_colour, named)) else "auto"
        palette = palette if self.mask_palette == "auto" else self.mask_palette
        settings = {"mask_values": rule, "ignore_value": ignored[0] if len(ignored) == 1 else ignored or None}
        rest = {"mask_palette": (palette, "auto"), "unlisted_values": (self.unlisted_values, "flaw")}
        return settings | {key: value for key, (value, default) in rest.items() if value != default}


class Masks(MaskBase):
    """A folder of images and a folder of masks with the same names: one channel, one value per class."""

    source: Literal["masks"]
    train: str | Annotated[list[str], Field(min_length=1), Unique]
    """Folder of training images, searched with all sub-folders, or a list of several, such as those of a fixed split, which
    are pooled."""
    masks: str | Annotated[list[str], Field(min_length=1)]
    """Folder of their masks; if `train` is a list, a list of the same length. With one file per class, `{class}` stands for its
    name: `masks/{class}`."""
    mask_suffix: str = ""
    """Suffix of a mask's name after its image's name, e.g. `_mask`, or `_{class}` with one file per class."""
    overlap: bool = Field(False, exclude_if=lambda value: value is False)
    """Whether a pixel may be of several classes, which then have one file each: see `{class}` in `masks`."""
    absent_class: Literal["flaw", "empty"] = Field("flaw", exclude_if=lambda value: value == "flaw")
    """Treatment of an image that has files of some classes and lacks that of another: as a flaw of its mask (`on_bad_label`), or
    as `empty`, without this class."""
    test: str | None = None
    """Folder of test images."""
    test_answers: str | None = None
    """Folder of the test images' true masks, if known; used only for a score in the report."""
    unlabeled: str | None = None
    """Folder of images without masks."""
    groups: str | None = None
    """CSV (id, group) of images that belong together; a group is never split over folds."""

    @model_validator(mode="after")
    def _masks_of_each(self) -> "Masks":
        n_images, n_masks = ("one" if isinstance(own, str) else len(own) for own in (self.train, self.masks))
        if n_images != n_masks:
            raise ValueError(
                f"train has {n_images} and masks {n_masks} folders: name one folder of masks per folder of images"
            )
        return self

    @property
    def by_class(self) -> bool:
        """Return whether classes have one file each."""
        return CLASS in self.mask_suffix or any(
            CLASS in folder for folder in ([self.masks] if isinstance(self.masks, str) else self.masks)
        )

    @property
    def reader_keys(self) -> frozenset[str]:
        """Keys shared by all sources that are passed to the reader too, if it merges files of classes."""
        return frozenset({"classes", "ignore_value"}) if self.by_class else frozenset()

    @model_validator(mode="after")
    def _files_of_classes(self) -> "Masks":
        if not self.by_class:
            if self.overlap:
                raise ValueError(
                    "overlap needs one file per class: write {class} in masks or mask_suffix; for one file whose values are sums "
                    "of 1, 2, 4, ..., set mask_values: bits instead"
                )
            if self.absent_class != "flaw":
                raise ValueError("absent_class needs one file per class: write {class} in masks or mask_suffix")
            return self
        if self.classes is None:
            raise ValueError("{class} stands for the names of the classes: set classes")
        if self.mask_values != "index" or self.unlisted_values != "flaw" or self.mask_palette != "auto":
            raise ValueError(
                "with one file per class every value but 0 is the class; remove mask_values, mask_palette and unlisted_values"
            )
        if any(map(is_colour, ignored_values(self.ignore_value, "index"))):
            raise ValueError("ignore_value: with one file per class, write a number from 1 to 255, or a list of these")
        if self.overlap and len(self.classes) == 1:
            raise ValueError("overlap is for several classes; remove it")
        if self.overlap and len(self.classes) > MOST_BITS:
            raise ValueError(f"overlap: {len(self.classes)} classes; at most {MOST_BITS} are possible")
        return self

    @property
    def target_settings(self) -> dict[str, Any]:
        """Settings by which the merged files are read; see `goldfold.targets.class_files`."""
        if not self.by_class:
            return super().target_settings
        unknown = value_of_unknown(len(self.classes or ()), self.overlap) if self._ignored_numbers else None
        return {"mask_values": "bits" if self.overlap else "index", "ignore_value": unknown}

    def owned(self, path: str | None) -> list[str]:
        """``path``, or that of each class; empty if it is not set."""
        return expanded(super().owned(path), self.classes or [])


class Tiles(MaskBase):
    """Folders of tiles, sites or patients, each with a folder of images and a folder of masks: `Tile 1/images/*.jpg`."""

    source: Literal["tiles"]
    train: str
    """Folder of the tiles, at any depth; `train/` and `val/` in it are pooled, and `test/` next to them is left out."""
    image_folder: str = "images"
    """Name of the folder of images in a tile, in upper or lower case; `.` if they are in the tile's own folder."""
    mask_folder: str = "masks"
    """Name of the folder of masks in a tile, likewise."""
    image_pattern: str = "{id}"
    """Pattern of an image's name, without suffix: `{id}_sat` if the mask of `1_sat.jpg` is `1_mask.png`, `image` if each
    folder has one image of that name."""
    mask_pattern: str = "{id}"
    """Pattern of the name of its mask, which may have another suffix: `{id}_mask`."""
    group_level: Annotated[int, Field(ge=0)] | None = None
    """Number of leading folders of a tile's path that name the group, which is never split over folds; by default all, so
    that each tile is a group; 0: no groups."""
    test: str | None = None
    """Folder of the tiles of test images, or of only the images; it may be below `train`, and is not trained on."""
    test_answers: str | None = None
    """Folder of tiles with the test images' true masks, if known; used only for a score in the report."""
    unlabeled: str | None = None
    """Folder of tiles, or of images, without masks."""
    groups: str | None = None
    """CSV (id, group) of images that belong together, instead of the tiles."""

    @property
    def has_groups(self) -> bool:
        """Return whether tiles or a table give groups."""
        return self.groups is not None or self.group_level != 0

    @field_validator("image_pattern", "mask_pattern")
    @classmethod
    def _pattern_names_id(cls, pattern: str) -> str:
        if pattern.count("{id}") > 1 or "/" in pattern or not pattern:
            raise ValueError("must have {id} at most once, and no '/'")
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
                "images and masks are in one folder and have the same names; set mask_pattern to the names of masks, e.g. "
                '"{id}_mask"'
            )
        if self.groups is not None and self.group_level is not None:
            raise ValueError("group_level and groups both define groups; remove one")
        return self


class Instances(DataBase):
    """One folder per image: `<id>/images/<name>.png`, and `<id>/masks/*.png`, one file per object, merged into one mask."""

    target: ClassVar[str] = "mask"
    source: Literal["instances"]
    train: str
    """Folder of the folders of training images."""
    test: str | None = None
    """Folder of the folders of test images."""
    test_answers: str | None = None
    """Folder of folders with the test images' true masks, if known; used only for a score in the report."""
    unlabeled: str | None = None
    """Folder of the folders of images without masks."""
    groups: str | None = None
    """CSV (id, group) of images that belong together; a group is never split over folds."""

    @property
    def target_settings(self) -> dict[str, Any]:
        """Settings by which pixels that are not 0 in any file are the one class."""
        return {"mask_values": "nonzero", "ignore_value": None}
