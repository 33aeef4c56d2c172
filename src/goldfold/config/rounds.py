"""Config of rounds: which models are trained again, from which weights, with which settings, and what they are taught."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_serializer, model_validator

from goldfold.config.base import Name, Number, Section, Unique
from goldfold.config.learning import Model, PseudoLabels, Train

if TYPE_CHECKING:
    from goldfold.config.root import Config

SCRATCH, PREVIOUS = "scratch", "previous"
"""Values of `start` that are not the name of a model."""


def _some(value: Any) -> Any:
    if value == []:
        raise ValueError("names no model; name one, or remove the key")
    return value


def _list(value: Any) -> Any:
    if value is not None and (not isinstance(value, list) or not value):
        raise ValueError(
            "write a list with one entry per round, such as [{}, {teacher: {threshold: 0.9}}]; where all models are trained in "
            "each round, pseudo_labels: {rounds: 1} is short for it"
        )
    return value


def _entry(value: Any) -> Any:
    if not isinstance(value, dict | Round):
        raise ValueError("a round is a section; {} is one in which all models are trained on true labels")
    return value


Names = Annotated[list[Name], BeforeValidator(_some), Unique]


class Overrides(Train):
    """Training settings of one round. The keys that are written here replace those of each model that is trained in the
    round, whether a model has them from its own `train` or from the top-level one."""

    @model_validator(mode="after")
    def _each_hook_once(self) -> "Overrides":
        """Leave checks of several keys to the settings of each model, of which these are a part."""
        return self

    @model_validator(mode="after")
    def _warmup_fits(self) -> "Overrides":
        """Leave the same to each model."""
        return self

    @model_serializer(mode="wrap")
    def _written(self, handler: Any) -> dict[str, Any]:
        """Keys that the config names."""
        return {key: value for key, value in handler(self).items() if key in self.model_fields_set}


class Teacher(Section):
    """Who labels images for a round: the ensemble of each fold, by the config's own method and weights."""

    labels: Literal["hard"] = "hard"
    """hard: the most probable class, mask or boxes, as if it were the true one."""
    threshold: Number = Field(0.95, ge=0, le=1)
    """Least probability of a label, of a pixel's class, or of a box, for it to be taken."""
    sources: Annotated[list[Literal["test", "unlabeled"]], Field(min_length=1), Unique] = ["test", "unlabeled"]
    """Which images to label."""
    weight: Number = Field(1.0, gt=0, le=1)
    """Weight of a pseudo-labelled image in the loss; a labelled one has 1."""
    round: int | None = Field(None, ge=0)
    """The round whose ensemble teaches; without it, the one before."""
    models: Names | None = None
    """Models that teach; without it, all that have a weight in the ensemble."""


class Round(Section):
    """One round of training. The ensemble of a round is made of the latest weights of every model up to it, so that a model
    which is not trained again goes on voting; that of the last round is the result."""

    models: Names | None = None
    """Models that are trained in this round; without it, all."""
    train: Overrides = Overrides()
    """Overrides of `train` for this round: they replace a model's own settings too."""
    start: str = SCRATCH
    """First weights: `scratch` (as the model's `pretrained` says); `previous`, the model's own of the latest earlier round in
    which it was trained; or the name of another model with the same network. Always of the same fold and seed."""
    teacher: Teacher | None = None
    """Who labels test or unlabeled images that this round is trained on besides; without it, the round is trained on true
    labels alone."""


Rounds = Annotated[
    Annotated[list[Annotated[Round, BeforeValidator(_entry)]], Field(max_length=20)] | None, BeforeValidator(_list)
]


def of_short_form(short: PseudoLabels) -> list[Round]:
    """The list that `pseudo_labels` is short for: all models in every round, each but the first taught by the one before."""
    teacher = Teacher(threshold=short.threshold, sources=short.sources, weight=short.weight)
    return [Round(), *(Round(teacher=teacher) for _ in range(short.rounds))]


def settled(config: "Config") -> list[Round]:
    """Rounds of a config with nothing left open: who is trained, and which models of which round teach.

    Of a config that `problems` finds no fault with.
    """
    names = sorted(model.name for model in config.models)
    written = of_short_form(config.pseudo_labels) if config.rounds is None else config.rounds
    found: list[Round] = []
    for number, one in enumerate(written):
        models = [name for name in names if one.models is None or name in one.models]
        found.append(one.model_copy(update={"models": models}))
        if one.teacher is not None:
            before = number - 1 if one.teacher.round is None else one.teacher.round
            trained = {name for earlier in found[: before + 1] for name in earlier.models or ()}
            wanted = trained if one.teacher.models is None else trained & {*one.teacher.models}
            update = {
                "round": before,
                "models": [name for name in config.weighted if name in wanted],
                "sources": [source for source in one.teacher.sources if source in config.splits],
            }
            found[-1] = found[-1].model_copy(update={"teacher": one.teacher.model_copy(update=update)})
    return found


def trained_model(model: Model, one: Round) -> Model:
    """A model with the training settings that it has in a round.

    Raises:
        ValidationError: they do not go together.
    """
    changes = one.train.model_dump()
    if not changes or (one.models is not None and model.name not in one.models):
        return model
    return Model.model_validate({**model.model_dump(), "train": {**model.train.model_dump(), **changes}})
