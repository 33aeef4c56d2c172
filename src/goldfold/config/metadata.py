"""Config of metadata columns."""

from typing import Annotated

from pydantic import model_validator

from goldfold.config.base import Section, Unique


class Metadata(Section):
    """Metadata columns: checked, kept with each case, and used by models with `metadata: true`."""

    numeric: Annotated[list[str], Unique] = []
    """Columns of numbers; an empty field is missing, text is an error."""
    categorical: Annotated[list[str], Unique] = []
    """Columns of names: each value is a level; a value that no training case has is unknown."""

    @model_validator(mode="after")
    def _one_kind_each(self) -> "Metadata":
        if both := sorted(set(self.numeric) & set(self.categorical)):
            raise ValueError(f"{both[0]!r} is listed as numeric and as categorical; keep one")
        return self

    @property
    def is_any(self) -> bool:
        """True if any column is named."""
        return bool(self.numeric or self.categorical)
