"""Config of rounds: which models are trained, from which weights, with which settings, and by which teachers."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_serializer, model_validator

from goldfold.config.base import UNSET, Name, Number, Section, Unique
from goldfold.config.learning import Train
from goldfold.config.models import Model
from goldfold.config.pseudo_labels import (
    ByAccuracy,
    ByCounts,
    Labelling,
    Labels,
    PseudoLabels,
    Threshold,
    thresholds_at,
)
from goldfold.planning.row_lists import ALL

if TYPE_CHECKING:
    from goldfold.config.root import Config

SCRATCH, PREVIOUS = "scratch", "previous"
"""Values of `start` that are not the name of a model."""
BY_COUNTS, BY_ACCURACY = "adapt: {by: counts}", "adapt: {by: accuracy}"
"""Names of what `adapt` may be."""


def _some(value: Any) -> Any:
    if value == []:
        raise ValueError("names no model; name one, or remove the key")
    return value


def _list(value: Any) -> Any:
    if value is not None and (not isinstance(value, list) or not value):
        raise ValueError(
            "write a list with one entry per round, such as [{}, {teacher: {threshold: 0.9}}]; if all models are trained in "
            "each round, pseudo_labels: {rounds: 1} is its short form"
        )
    return value


def _entry(value: Any) -> Any:
    if not isinstance(value, dict | Round):
        raise ValueError("a round is a section; {} is one in which all models are trained on true labels")
    return value


Names = Annotated[list[Name], BeforeValidator(_some), Unique]


class Overrides(Train):
    """Training settings of one round. Keys set here override those of each model that is trained in the round, whether from
    its own `train` or from the top-level one."""

    @model_validator(mode="after")
    def _fits_together(self) -> "Overrides":
        """Skip the check here; it runs on the complete settings of each model."""
        return self

    @model_serializer(mode="wrap")
    def _written(self, handler: Any) -> dict[str, Any]:
        """Keys that the config sets, also to a default that is otherwise left out."""
        written = handler(self)
        return {
            key: written.get(key, getattr(self, key)) for key in type(self).model_fields if key in self.model_fields_set
        }


def _adapt(value: Any) -> Any:
    by = value.get("by", "counts") if isinstance(value, dict) else "counts"
    if by not in ("counts", "accuracy"):
        raise ValueError(f"by = {by!r}: allowed: 'counts', 'accuracy'")
    return value


def _is_by_accuracy(value: Any) -> str:
    by = value.get("by") if isinstance(value, dict) else getattr(value, "by", "")
    return BY_ACCURACY if by == "accuracy" else BY_COUNTS


Adapt = Annotated[
    Annotated[
        Annotated[ByCounts, Tag(BY_COUNTS)] | Annotated[ByAccuracy, Tag(BY_ACCURACY)], Discriminator(_is_by_accuracy)
    ]
    | None,
    BeforeValidator(_adapt),
]


class Teacher(Labelling):
    """Teacher of a round: the ensemble of each fold, with the config's own method and weights."""

    labels: Labels = "hard"
    """hard: the most probable class, mask or boxes, used like true targets; soft: the probabilities of the classes, of masks for
    each pixel, or `{soft: {power: 2, floor: 0.01}}`."""
    threshold: Threshold = 0.95
    """Smallest probability at which a label, a pixel's class or a box is used; `{start: 0.95, factor: 0.9, floor: 0.8}` decays
    from round to round."""
    adapt: Adapt = UNSET
    """Moves the threshold of each class by what is known of it: `{by: counts}`, or `{by: accuracy}` with inner trainings.
    Classification only."""
    sources: Annotated[list[Literal["test", "unlabeled"]], Field(min_length=1), Unique] = ["test", "unlabeled"]
    """Splits to label."""
    weight: Number = Field(1.0, gt=0, le=1)
    """Weight of a pseudo-labelled image in the loss; labelled images have 1."""
    round: int | None = Field(None, ge=0)
    """Round whose ensemble is the teacher; by default the previous one."""
    models: Names | None = None
    """Models of the teacher; by default all with a positive weight in the ensemble."""


class Clean(Section):
    """Cleaning of the training labels of a round: rows whose label is probably wrong are dropped or relabelled before training.
    For each fold they are found by inner cross-validation inside its training part, with the first seed alone, so that no
    label of a validation row has an influence. Validation rows and the scores keep all labels as given."""

    by: Literal["inner"] = "inner"
    """inner: predictions of inner trainings, each on the training rows of a fold without one inner part."""
    folds: int = Field(3, ge=2, le=20)
    """Inner parts per fold: each judging model is trained this many times more per fold."""
    action: Literal["drop", "relabel"] = "drop"
    """drop: do not train on these rows; relabel: train on them with the suggested class."""
    models: Names | None = None
    """Models that judge; by default all that their round trains and that have a positive weight in the ensemble."""
    round: int | None = Field(None, ge=0)
    """Earlier round whose training settings the judges have; it must be trained from scratch on given labels. By default the
    last such round."""


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        raise ValueError(f"write a section: {{by: {value}}}")
    if value is not None and not isinstance(value, dict | Clean):
        raise ValueError(
            "write a section: {} for the defaults, or {by: inner, action: drop}; without cleaning, remove the key"
        )
    return value


class Round(Section):
    """One round of training. The ensemble of a round uses the latest weights of every model up to that round, so a model that
    is not trained again still votes; the ensemble of the last round is the result."""

    models: Names | None = None
    """Models that are trained in this round; by default all. Heads on frozen backbones are fitted in the first round alone."""
    train: Overrides = Overrides()
    """Overrides of `train` for this round, including a model's own settings."""
    start: str = SCRATCH
    """Initial weights: `scratch` (as set by the model's `pretrained`); `previous`, the model's own weights of the latest
    earlier round that trained it; or the name of another model with the same network. Always of the same fold and seed."""
    teacher: Teacher | None = None
    """Teacher that labels test or unlabeled images for this round; by default the round is trained on true labels only."""
    clean: Annotated[Clean | None, BeforeValidator(_clean)] = UNSET
    """Training rows whose label is probably wrong are dropped or relabelled in this round."""


Rounds = Annotated[
    Annotated[list[Annotated[Round, BeforeValidator(_entry)]], Field(max_length=20)] | None, BeforeValidator(_list)
]


def of_short_form(short: PseudoLabels) -> list[Round]:
    """Rounds that `pseudo_labels` stands for: all models in every round, from the second on with a teacher."""
    teacher = Teacher(**{key: getattr(short, key) for key in type(short).model_fields if key != "rounds"})
    return [Round(), *(Round(teacher=teacher) for _ in range(short.rounds))]


def settled(config: "Config") -> list[Round]:
    """Rounds of a config with all defaults filled in: models that are trained, and models and round of each teacher.

    The config must have passed its checks.
    """
    names, heads = (
        sorted(model.name for model in config.models),
        {model.name for model in config.models if model.frozen},
    )
    written = of_short_form(config.pseudo_labels) if config.rounds is None else config.rounds
    thresholds = thresholds_at([None if one.teacher is None else one.teacher.threshold for one in written])
    found: list[Round] = []
    for number, one in enumerate(written):
        fresh = names if number == 0 else [name for name in names if name not in heads]
        models = [name for name in names if name in (fresh if one.models is None else one.models)]
        found.append(one.model_copy(update={"models": models}))
        if one.teacher is not None:
            before = number - 1 if one.teacher.round is None else one.teacher.round
            trained = {name for earlier in found[: before + 1] for name in earlier.models or ()}
            wanted = trained if one.teacher.models is None else trained & {*one.teacher.models}
            update = {
                "round": before,
                "models": [name for name in config.weighted if name in wanted],
                "sources": [source for source in one.teacher.sources if source in config.splits],
                "threshold": thresholds[number],
            }
            if isinstance(one.teacher.adapt, ByAccuracy):
                update["adapt"] = _settled_judges(config, one.teacher.adapt, found[:-1])
            found[-1] = found[-1].model_copy(update={"teacher": one.teacher.model_copy(update=update)})
        if one.clean is not None:
            found[-1] = found[-1].model_copy(update={"clean": settled_clean(config, one.clean, found[:-1])})
    return found


def settled_clean(config: "Config", clean: Clean, earlier: list[Round]) -> Clean:
    """``clean`` of a round with its defaults filled in: round and models of the judges."""
    judges = judging_round(config, earlier) if clean.round is None else clean.round
    trained = (earlier[judges].models if 0 <= judges < len(earlier) else None) or ()
    able = judges_of(config.models, earlier[judges]) if trained else []
    models = [name for name in config.weighted if name in trained and name in (clean.models or able)]
    return clean.model_copy(update={"round": judges, "models": models})


def _settled_judges(config: "Config", adapt: ByAccuracy, earlier: list[Round]) -> ByAccuracy:
    """``adapt`` of a teacher with round and models of its judges filled in: as for `clean`."""
    judges = settled_clean(config, clean_of(adapt), earlier)
    return adapt.model_copy(update={"round": judges.round, "models": judges.models})


def clean_of(adapt: ByAccuracy) -> Clean:
    """The inner trainings of thresholds moved by accuracy, written as those of a cleaning round."""
    return Clean(folds=adapt.folds, models=adapt.models, round=adapt.round)


def judges_of(models: Iterable[Model], one: Round) -> list[str]:
    """Names of the models that can judge labels with their settings of a round: trained on the given labels of all rows.

    A soup or a snapshot has no training of its own, the teacher of a student was trained on all rows of the fold, and inner
    trainings know no `rows`.
    """
    settings = {model.name: trained_model(model, one).train for model in models if not model.is_made}
    return [name for name, train in settings.items() if train.distill is None and train.rows == ALL]


def judging_round(config: "Config", earlier: list[Round]) -> int:
    """Number of the last round that is plain and trains a model with a weight that can judge, else of the last plain one."""
    weighted = set(config.weighted)
    able = [
        number
        for number, one in enumerate(earlier)
        if is_plain(one)
        and weighted & {*judges_of(config.models, one)} & {*(one.models or [model.name for model in config.models])}
    ]
    return able[-1] if able else last_plain(earlier)


def is_plain(one: Round) -> bool:
    """Return whether a round is trained from scratch on the given labels alone."""
    return one.start == SCRATCH and one.teacher is None and one.clean is None


def last_plain(rounds: list[Round]) -> int:
    """Number of the last round that `is_plain`; -1 for none."""
    return max((number for number, one in enumerate(rounds) if is_plain(one)), default=-1)


def trained_model(model: Model, one: Round) -> Model:
    """A model with its training settings in a round.

    Raises:
        ValidationError: the settings contradict each other.
    """
    changes = one.train.model_dump()
    if not changes or model.is_made or (one.models is not None and model.name not in one.models):
        return model
    return Model.model_validate({**model.model_dump(), "train": {**model.train.model_dump(), **changes}})
