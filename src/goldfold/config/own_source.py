"""Config of a user-defined data source."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from goldfold.base.files import MADE
from goldfold.components import PLACE
from goldfold.config.base import UNSET, Unique, exponent
from goldfold.config.mask_sources import MaskBase
from goldfold.config.metadata import Metadata
from goldfold.config.plain import json_value

Place = Annotated[str, WithJsonSchema({"type": "string", "pattern": rf"^{PLACE.pattern}$"})]
Param = Annotated[Any, BeforeValidator(exponent), AfterValidator(json_value)]
Path = Annotated[str, Field(min_length=1)]


class Own(MaskBase):
    """Your own function that returns the tables (see [extending.md](extending.md#a-data-source-of-your-own)). The keys of
    masks apply to `brings: mask`."""

    source: Place
    """`package.module:function`."""
    brings: Literal["label", "labels", "value", "mask", "boxes", "points"]
    """Kind of target, which is also its column in the table `train` (and in `answers`)."""
    files: Annotated[list[Path], Unique]
    """Files and folders that the function reads. If one of them changes, the data are read again; images must be in one of
    them or in `writes`. `[]`: it reads no files, so that only its code, `params` and these keys count."""
    writes: Path | None = None
    """Folder that the function writes images to (unpacked, converted); its contents are not tracked."""
    tables: Annotated[list[Literal["test", "answers", "unlabeled"]], Unique] = []
    """Tables that the function returns besides `train`."""
    columns: Annotated[list[Literal["group", "fold", "order", "train_only"]], Unique] = []
    """Columns of `train` besides `id`, `path`, the target and `meta_<name>`."""
    metadata: Metadata | None = UNSET
    """Which columns `meta_<name>` are numbers and which are names, for models with `metadata: true`; `train` and `test` must
    have them."""
    params: dict[str, Param] = {}
    """Arguments of the function."""

    @property
    def target_kind(self) -> str:
        """Kind of target, as set by ``brings``."""
        return self.brings

    @property
    def target_settings(self) -> dict[str, Any]:
        """Settings of masks if ``brings`` is ``mask``, otherwise none."""
        return super().target_settings if self.brings == "mask" else {}

    @property
    def has_test(self) -> bool:
        """Return whether ``tables`` lists test images."""
        return "test" in self.tables

    @property
    def has_answers(self) -> bool:
        """Return whether ``tables`` lists answers."""
        return "answers" in self.tables

    @property
    def has_unlabeled(self) -> bool:
        """Return whether ``tables`` lists unlabeled images."""
        return "unlabeled" in self.tables

    @property
    def has_groups(self) -> bool:
        """Return whether ``columns`` lists groups."""
        return "group" in self.columns

    @property
    def has_metadata(self) -> bool:
        """Whether columns of metadata are named."""
        return self.metadata is not None and self.metadata.is_any

    @property
    def generated(self) -> list[str]:
        """Marker file in the folder that the function writes: if it is missing, the data are read again."""
        return [f"{self.writes}/{MADE}"] if self.writes else []

    def key_of(self, column: str) -> str | None:
        """Key that gives a column; None if the data have none."""
        return f"data.columns: [{column}]" if column in self.columns else None
