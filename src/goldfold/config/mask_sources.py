"""Config of data sources that bring masks."""

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


class MaskBase(DataBase):
    """Settings of masks: which pixel value is which class."""

    target: ClassVar[str] = "mask"
    mask_values: Literal["index", "nonzero"] | dict[str, PixelValue] = "index"
    """Which pixel value is which class: `index`: 1 is the first of `classes`, 2 the second, 0 the background (without
    `classes`, each value found is a class of that name); `nonzero`: all but 0 is the one class (255, numbered objects);
    or {name: value}, where 0 may be a class of its own, and a value a colour too, [r, g, b] or "#rrggbb" (in quotes)."""
    ignore_value: Ignored | None = None
    """Pixel value that counts for nothing, neither in training nor in scores; a value, a colour, or a list of them. Beside
    classes that are numbers, a list of three different numbers is three values; else it is a colour."""
    mask_palette: Literal["auto", "index", "colour"] = "auto"
    """What the value of a pixel is in a file with a palette: its `index`, or its `colour`. With `auto` it is the colour where
    all palettes are grey or `mask_values` names colours; else the index, where all files share one palette, or an error."""
    unlisted_values: Literal["flaw", "nearest"] = "flaw"
    """What a value is that `mask_values` does not name: a flaw of its mask (`on_bad_label`), or the `nearest` of those that
    it names, of 0 and of `ignore_value`: for masks smeared by JPEG compression or interpolation. A value that fills regions
    of its own stays a flaw."""

    @model_validator(mode="after")
    def _something_to_learn(self) -> "MaskBase":
        if isinstance(self.mask_values, dict) and not any(map(number, self.mask_values.values())):
            raise ValueError("mask_values names no value but 0, so every pixel would be of one class; name another")
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
            raise ValueError("ignore_value names 0, so one class would have nothing to be told from; remove 0")
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
            raise ValueError("a value above 255 and a colour do not go together: no picture holds both")
        return rule

    @field_validator("ignore_value")
    @classmethod
    def _ignores_no_class(cls, value: Any, info: ValidationInfo) -> Any:
        rule = info.data.get("mask_values")
        ignored = set(map(number, ignored_values(value, rule)))
        for name, own in values_by_class(rule, info.data.get("classes")).items():
            if number(own) in ignored:
                raise ValueError(f"is the value of class {name!r}; what is ignored must be no class")
        return value

    @property
    def _ignored_numbers(self) -> list[int]:
        return list(map(number, ignored_values(self.ignore_value, self.mask_values)))

    @property
    def target_settings(self) -> dict[str, Any]:
        """The rule for pixel values; classes that are found are named as their values."""
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
    """A folder of images and one of masks of the same names: one channel, a value a class."""

    source: Literal["masks"]
    train: str | Annotated[list[str], Field(min_length=1), Unique]
    """Folder of training images, searched with all sub-folders, or a list of several, such as those of a fixed split,
    which are one training set."""
    masks: str | Annotated[list[str], Field(min_length=1)]
    """Folder of their masks; where `train` is a list, a list of as many."""
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

    @model_validator(mode="after")
    def _masks_of_each(self) -> "Masks":
        n_images, n_masks = ("one" if isinstance(own, str) else len(own) for own in (self.train, self.masks))
        if n_images != n_masks:
            raise ValueError(
                f"train has {n_images} and masks {n_masks} folders: name a folder of masks for each of images"
            )
        return self


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
    """How an image is called, without suffix; `{id}_sat` where the mask of `1_sat.jpg` is `1_mask.png`, `image` where each
    folder has one image of that name."""
    mask_pattern: str = "{id}"
    """The same of its mask, which may have another suffix: `{id}_mask`."""
    group_level: Annotated[int, Field(ge=0)] | None = None
    """How many folders of a tile's path name the group, which is never split over folds; without it all of them, so that
    the group is the tile; 0: there are no groups."""
    test: str | None = None
    """Folder of the tiles of test images, or of the images alone; may lie below `train`, and is not trained on."""
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
    unlisted: Literal["missing", "empty", "left_out"] = "missing"
    """What an image without a row is: one whose mask is missing (`on_missing_label`), one without an object, or one that is
    left out on purpose, which `unlabeled` may take."""
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
