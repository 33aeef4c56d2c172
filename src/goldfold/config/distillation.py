"""Config of distillation: the teacher of a model, and how the model learns from it."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from goldfold.config.base import UNSET, Number, Section


class Distill(Section):
    """Distillation: besides its targets, the model learns from the predictions that a teacher of the same fold makes of the
    training images. Tasks: classification, multilabel, regression."""

    teacher: str
    """Name of another model (its latest weights up to this round), of the model itself (its weights of an earlier round), or
    `ensemble`: all models with a weight that do not themselves learn from an ensemble in this round."""
    weight: Number = Field(0.5, gt=0, le=1)
    """Weight of the teacher in the loss: (1 - weight) x the model's own loss + weight x the loss against the teacher."""
    temperature: Annotated[Number, Field(gt=0)] | None = UNSET
    """Temperature that softens both predictions, by default 2; not for regression."""
    features: Annotated[Number, Field(gt=0)] | None = UNSET
    """Weight of a further loss: the similarities of the pooled features of a batch's images, by student and teacher (Tung and
    Mori 2019). Not with `teacher: ensemble`, pseudo labels or `compile`."""


def _section(value: Any) -> Any:
    if isinstance(value, str):
        raise ValueError(f"write a section: {{teacher: {value}}}")
    if value is not None and not isinstance(value, dict | Distill):
        raise ValueError("write a section with the name of a teacher: {teacher: ...}")
    return value


Written = Annotated[Distill | None, BeforeValidator(_section)]
