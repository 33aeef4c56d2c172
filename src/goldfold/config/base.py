"""Base class and field types of the sections of the config."""

import re
from collections import Counter
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.fields import FieldInfo

SHOWN = 20
"""Most values that an error lists."""
EXPONENT = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+")


class Section(BaseModel):
    """A strict section of the config: unknown keys and wrong types are errors; nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def keys_of(section: type[BaseModel]) -> dict[str, FieldInfo]:
    """Fields of a section by their keys as written: the attribute of a key that is a word of Python has another name."""
    return {field.alias or name: field for name, field in section.model_fields.items()}


def exponent(value: Any) -> Any:
    """Convert ``1e-3`` to a number: YAML 1.1 reads it as text because it has no dot."""
    return float(value) if isinstance(value, str) and EXPONENT.fullmatch(value) else value


def _unique(values: list[Any]) -> list[Any]:
    texts = Counter(value if isinstance(value, str) else str(value) for value in values)
    repeated = sorted(text for text, number in texts.items() if number > 1)
    if repeated:
        more = ", ..." if len(repeated) > SHOWN else ""
        raise ValueError(f"named more than once: {', '.join(repeated[:SHOWN])}{more}")
    return values


Number = Annotated[float, BeforeValidator(exponent), Field(allow_inf_nan=False)]
Unique = AfterValidator(_unique)
UNSET: Any = Field(None, exclude_if=lambda value: value is None)
"""Default of a key that is left out of recipes, records and reports if it is not set."""
ImageSize = int | Annotated[list[Annotated[int, Field(ge=4, le=8192)]], Field(min_length=2, max_length=2)]


def height_and_width(size: "ImageSize") -> tuple[int, int]:
    """Height and width in pixels; one number stands for both."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"
LONGEST_NAME = 60
Name = Annotated[str, Field(pattern=NAME, max_length=LONGEST_NAME)]
"""A name that becomes part of file names."""
