"""Config of pseudo labels: their form, and which images get one."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from goldfold.config.base import UNSET, Name, Number, Section, Unique, exponent

NUMBER, DECAY = "threshold: a number", "threshold: {start, factor, floor}"
"""Names of what `threshold` may be."""
TEXT, SECTION = "labels: hard or soft", "labels: {soft: ...}"
"""Names of what `labels` may be."""


class Soft(Section):
    """Soft labels: rows of class probabilities instead of one class."""

    power: Number = Field(1.0, gt=0)
    """Sharpening: the teacher's probabilities to this power, scaled to sum to one; above 1 sharper, below 1 softer."""
    floor: Number = Field(0.0, ge=0, lt=1)
    """Probabilities below this one become 0 after sharpening, the others are scaled to sum to one; the largest one stays."""


class SoftLabels(Section):
    """Soft labels with parameters."""

    soft: Soft
    """Sharpening and floor."""


class Decay(Section):
    """Threshold that decays from round to round: start x factor^k, but at least `floor`, in the round with k taught rounds
    before it."""

    start: Number = Field(ge=0, le=1)
    """Threshold of the first round with a teacher."""
    factor: Number = Field(0.9, gt=0, lt=1)
    """Factor per further round with a teacher."""
    floor: Number = Field(0.0, ge=0, le=1)
    """Smallest threshold."""

    @model_validator(mode="after")
    def _decays(self) -> "Decay":
        if self.floor > self.start:
            raise ValueError(
                f"floor = {self.floor:g} is above start = {self.start:g}, so the threshold would never decay; write a number"
            )
        return self

    def at(self, number: int) -> float:
        """Return the threshold of the round with ``number`` taught rounds before it.

        >>> Decay(start=0.9, factor=0.5, floor=0.3).at(1)
        0.45
        """
        return round(max(self.floor, self.start * self.factor**number), 6)


class ByCounts(Section):
    """Thresholds moved by the number of confident predictions per class (FlexMatch, Zhang et al. 2021): a class of which the
    teacher is rarely confident gets a lower threshold. Needs no labels."""

    by: Literal["counts"] = "counts"
    """counts: confident predictions of unlabelled images per class."""
    floor: Number = Field(0.5, ge=0, le=1)
    """Smallest threshold of a class."""


class ByAccuracy(Section):
    """Thresholds moved by accuracy per class: a class that is rarely recognised gets a lower threshold. For each fold it is
    measured by inner cross-validation inside its training part, with the first seed alone, so that no label of a validation
    row has an influence; rounds with `clean` share the inner trainings."""

    by: Literal["accuracy"]
    """accuracy: share of the training rows of each class that inner trainings recognise."""
    floor: Number = Field(0.5, ge=0, le=1)
    """Smallest threshold of a class."""
    folds: int = Field(3, ge=2, le=20)
    """Inner parts per fold: each judging model is trained this many times more per fold."""
    models: Annotated[list[Name], Field(min_length=1), Unique] | None = None
    """Models that judge; by default all that their round trains and that have a positive weight in the ensemble."""
    round: int | None = Field(None, ge=0)
    """Earlier round whose training settings the judges have; it must be trained from scratch on given labels. By default the
    last such round."""


def _top_k(value: Any) -> Any:
    value = exponent(value)
    is_whole = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if value is None or is_whole or (isinstance(value, float) and 0 < value < 1):
        return value
    raise ValueError("write a number of images, such as 50, or a share of them between 0 and 1, such as 0.1")


Threshold = Annotated[
    Annotated[Annotated[Number, Field(ge=0, le=1)], Tag(NUMBER)] | Annotated[Decay, Tag(DECAY)],
    Discriminator(lambda value: DECAY if isinstance(value, dict | Decay) else NUMBER),
]
Labels = Annotated[
    Annotated[Literal["hard", "soft"], Tag(TEXT)] | Annotated[SoftLabels, Tag(SECTION)],
    Discriminator(lambda value: SECTION if isinstance(value, dict | SoftLabels) else TEXT),
]


def _band(value: Any) -> Any:
    numbers = [exponent(one) for one in value] if isinstance(value, list | tuple) else []
    are_numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in numbers)
    if value is not None and not (len(numbers) == 2 and are_numbers and 0 <= numbers[0] <= numbers[1] <= 1):
        raise ValueError("write two limits from 0 to 1, the lower one first, such as [0.3, 0.7]")
    if numbers and (numbers[1] < 0.5 or numbers[0] > 0.5):
        raise ValueError(f"[{numbers[0]:g}, {numbers[1]:g}] must contain 0.5, where a teacher is undecided")
    return None if value is None else numbers


Band = Annotated[list[float], BeforeValidator(_band)]
TopK = Annotated[int | float | None, BeforeValidator(_top_k)]


class Labelling(Section):
    """Keys that choose the images that get a pseudo label."""

    class_thresholds: dict[str, Annotated[Number, Field(ge=0, le=1)]] | None = UNSET
    """Thresholds by class, `{cat: 0.9}`, for images that are predicted as this class; `threshold` for the others. Classification
    only."""
    top_k: TopK = UNSET
    """At most this many images per predicted class, the most confident of those that reach their threshold; a number below 1
    is the share of the images predicted as the class. Several labels, numbers: of all images."""
    ignore_band: Band | None = UNSET
    """Limits of the teacher's probability of a class, instead of `threshold`: pixels between them are ignored, `[0.3, 0.7]`; from
    the upper one on they are of the class, up to the lower one of the background. Masks only."""
    least_decided: Annotated[Number, Field(ge=0, le=1)] | None = UNSET
    """Smallest share of the pixels of an image that are not ignored, by default 0.5; other images get no label. Masks only."""


class PseudoLabels(Labelling):
    """Rounds of pseudo labels: round r is also trained on confident predictions of round r-1 of the same fold. Short form of
    `rounds` in which all models are trained in each round, with the previous round as teacher."""

    rounds: int = Field(0, ge=0, le=10)
    """Rounds of pseudo labels after the first round; 0 is none."""
    labels: Labels = Field("hard", exclude_if=lambda value: value == "hard")
    """hard: the most probable class, mask or boxes, used like true targets; soft: the probabilities of the classes, of masks for
    each pixel, or `{soft: {power: 2, floor: 0.01}}`."""
    threshold: Threshold = 0.95
    """Smallest probability at which a label, a pixel's class or a box is used; `{start: 0.95, factor: 0.9, floor: 0.8}` decays
    from round to round."""
    adapt: ByCounts | None = UNSET
    """Moves the threshold of each class by what the teacher knows about it: `{by: counts}`. Classification only."""
    sources: Annotated[list[Literal["test", "unlabeled"]], Field(min_length=1), Unique] = ["test", "unlabeled"]
    """Splits to label."""
    weight: Number = Field(1.0, gt=0, le=1)
    """Weight of a pseudo-labelled image in the loss; labelled images have 1."""


def soft_of(labels: Any) -> Soft | None:
    """Parameters of soft labels; None for hard ones.

    >>> soft_of("soft")
    Soft(power=1.0, floor=0.0)
    """
    return labels.soft if isinstance(labels, SoftLabels) else Soft() if labels == "soft" else None


def thresholds_at(wanted: Sequence[float | Decay | None]) -> list[float | None]:
    """Thresholds of rounds as numbers; None for a round without a teacher."""
    found: list[float | None] = []
    for one in wanted:
        taught = sum(earlier is not None for earlier in found)
        found.append(one.at(taught) if isinstance(one, Decay) else one)
    return found


def recipe_of(teacher: Any) -> dict[str, Any]:
    """Settings of the stage pseudo_label besides its threshold; empty for hard labels by one threshold."""
    soft, adapt = soft_of(teacher.labels), teacher.adapt
    found = {
        "soft": soft and soft.model_dump(),
        "class_thresholds": teacher.class_thresholds,
        "adapt": adapt and adapt.model_dump(include={"by", "floor"}),
        "top_k": teacher.top_k,
        "ignore_band": teacher.ignore_band,
        "least_decided": teacher.least_decided,
    }
    return {key: value for key, value in found.items() if value is not None}
