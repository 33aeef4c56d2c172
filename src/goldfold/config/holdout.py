"""Config of the sealed holdout, and its checks."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from goldfold.base.errors import shown
from goldfold.base.regular import MISSING, fault
from goldfold.config.base import UNSET, Number, Section

if TYPE_CHECKING:
    from goldfold.config.root import Config


class Holdout(Section):
    """Labelled cases that are set aside before folds are made: drawn by `share`, or listed in `file`. No training, fit or score
    of a run uses their labels; `goldfold holdout --open` scores the ensemble's predictions of them, and counts each time."""

    share: Annotated[Number, Field(gt=0, le=0.5)] | None = UNSET
    """Share of the training cases, 0.1 being a tenth, drawn as the folds are: even shares of each class, groups and copies kept
    together. For ordered splits the last cases in the order."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = UNSET
    """Seed of the draw; by default 0."""
    file: str | None = UNSET
    """CSV of the cases of the holdout, by their ids in `manifest/train.csv`; or of more cases, with `column`. It may be the
    table of the training images."""
    id_column: str = Field("id", exclude_if=lambda name: name == "id")
    """Column of `file` with the ids."""
    column: str | None = UNSET
    """Column of `file` that marks the cases of the holdout: by 1 or 0 (true or false, yes or no), or by `value`."""
    value: str | None = UNSET
    """Content of `column` in rows of the holdout, such as `holdout`."""

    @model_validator(mode="after")
    def _one_way(self) -> "Holdout":
        if (self.share is None) == (self.file is None):
            raise ValueError(
                "needs share, which draws cases, or file, which lists them" + ", not both" * bool(self.file)
            )
        if self.file is None and any((self.column, self.value, self.id_column != "id")):
            raise ValueError("id_column, column and value belong to file; name it, or remove them")
        if self.file is not None and self.seed is not None:
            raise ValueError("seed belongs to share; remove it")
        if self.value is not None and self.column is None:
            raise ValueError("value needs column, in which it is searched")
        return self


def check_holdout(config: "Config") -> Iterator[str]:
    """Problems of the sealed holdout, one line each."""
    how = config.holdout
    if how is None:
        return
    if how.file is not None and (reason := fault(how.file)):
        why = "no such file" if reason == MISSING else reason
        yield f"holdout.file = {shown(how.file)}: {why}; correct it, or remove it"
    if how.share is not None and config.folds.sticky:
        yield (
            "holdout.share: with folds.sticky, new images would draw another holdout; copy the ids of folds/holdout.csv of the "
            "first run into a file, and name it as holdout.file"
        )
    if config.external:
        yield (
            "holdout: members of other tools have no predictions of the holdout, and may be trained on it; remove external or "
            "holdout"
        )
