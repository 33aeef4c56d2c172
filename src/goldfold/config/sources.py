"""What all data sources of the config share, and what those of masks do."""

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from goldfold.config.base import Section, Unique
from goldfold.data import colours

Policy = Literal["quarantine", "fail"]
RAW = (
    "train",
    "images",
    "masks",
    "annotations",
    "labels",
    "names",
    "test",
    "test_images",
    "test_answers",
    "unlabeled",
    "groups",
)
"""Keys of sources that name the user's files and folders."""


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


class DataBase(Section):
    """Settings that every source has."""

    target: ClassVar[str]
    """What it brings to learn from: ``label``, ``mask`` or ``boxes``."""
    classes: Annotated[list[str], Field(min_length=1), Unique] | None = None
    """Names of the classes in their order (grades from the lowest; negative before positive); without it, numbers by
    value, then names by alphabet."""
    channels: Literal[1, 3] = 3
    """1 reads images as grey, 3 as colour."""
    on_bad_image: Policy = "quarantine"
    """What to do with an image that cannot be read."""
    on_missing_image: Policy = "fail"
    """What to do with a row whose image is not there."""
    on_missing_label: Policy | None = None
    """What to do with a training image that has no label, mask or annotation; by default masks fail, others quarantine."""
    on_bad_label: Literal["fail", "quarantine", "drop"] = "fail"
    """What to do where a mask or a box is flawed; `drop` leaves out the box alone, and cuts one that reaches outside."""
    shards: int = Field(4, ge=1, le=999)
    """The cache is kept in this many pieces a split; one new image rebuilds one piece."""

    @property
    def target_settings(self) -> dict[str, Any]:
        """What the task must know of targets as this source has them."""
        return {}

    @property
    def has_answers(self) -> bool:
        """Whether the truth of the test images is known."""
        return getattr(self, "test_answers", None) is not None

    @property
    def has_test(self) -> bool:
        """Whether there are test images to predict."""
        return getattr(self, "test", None) is not None

    @property
    def has_unlabeled(self) -> bool:
        """Whether there are images without labels to learn from."""
        return getattr(self, "unlabeled", None) is not None

    def owned(self, path: str | None) -> list[str]:
        """``path`` where it is the user's file, nothing where it is not given or is generated."""
        return [] if path is None else [path]

    @property
    def generated(self) -> list[str]:
        """A file that stands for all those that the source writes by itself; empty where the data are the user's."""
        return []

    def raw_paths(self) -> list[str]:
        """Files and folders whose contents the manifest depends on."""
        values = [getattr(self, key, None) for key in RAW]
        flat = [path for value in values for path in (value if isinstance(value, list) else [value])]
        return [path for path in flat if path is not None for path in self.owned(path)]


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
