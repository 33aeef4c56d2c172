"""Checks of runs on all labelled rows."""

from collections.abc import Iterator

from goldfold.base.errors import nearest
from goldfold.components import name_of
from goldfold.config.full_data import FullDataSection, default_models
from goldfold.config.pseudo_labels import ByAccuracy
from goldfold.config.root import Config
from goldfold.planning.full import every_run

OUT = "leave it out of full_data.models"


def check_full_data(config: Config) -> Iterator[str]:
    """Problems of `full_data`: models that cannot be trained on all rows, and settings that need a validation fold.

    The config must have passed its other checks.
    """
    if config.full_data is False:
        return
    if not config.data.has_test:
        yield "full_data: there are no test images, which its networks are to predict; name them in data, or remove full_data"
        return
    found = [*_models(config)]
    yield from found
    runs = [] if found else every_run(config.grid, config.on_all_rows)
    yield from dict.fromkeys(problem for run in runs for problem in _training(config, run.model, run.round))


def _models(config: Config) -> Iterator[str]:
    """Names that are no trained models of the ensemble."""
    able = default_models(config)
    if not able:
        yield "full_data: no model with a weight is trained; give one a weight in ensemble.weights, or remove full_data"
    wanted = config.full_data.models if isinstance(config.full_data, FullDataSection) else None
    what = {
        "soup": "a soup", "snapshot": "a snapshot", "neighbours": "made of neighbours", "frozen": "a head on a frozen backbone",
    }  # fmt: skip
    made = {model.name: how for model in config.models for key, how in what.items() if getattr(model, key)}
    for name in wanted or ():
        allowed = f"allowed: {', '.join(able)}"
        if name in made:
            yield f"full_data.models: {name!r} is {made[name]}, which is not trained; {allowed}"
        elif any(name == one.name for one in config.external):
            yield f"full_data.models: {name!r} is another tool's; give its test predictions in external.test; {allowed}"
        elif name not in {model.name for model in config.models}:
            yield f"full_data.models: no model is named {name!r}; {nearest(name, able)}{allowed}"
        elif name not in able:
            yield f"full_data.models: {name!r} has weight 0 in the ensemble, so nothing would use its networks; {allowed}"


def _training(config: Config, name: str, number: int) -> Iterator[str]:
    """Settings of a training that a run on all rows cannot have."""
    if name in config.origins:
        yield (
            f"full_data: round {number} makes {name} from the weights of others, so it has no network of all rows, but a model "
            f"starts from it; {OUT}"
        )
        return
    key = f"full_data: {name}" + (f" in round {number}" if config.rounds else "")
    train, of_round = config.model(name, number).train, config.every_round[number]
    if name_of(train.schedule) == "plateau":
        yield f"{key} has the schedule plateau, which needs validation scores; use another schedule (cosine), or {OUT}"
    if train.distill is not None:
        yield f"{key} learns from a teacher (train.distill), which has no network of all rows; remove distill, or {OUT}"
    if train.generated is not None:
        yield f"{key} is trained on generated images, which are made by fold; remove train.generated, or {OUT}"
    if of_round.clean is not None:
        yield f"{key} is trained on cleaned labels, which are cleaned by fold; remove clean from the round, or {OUT}"
    if of_round.teacher is not None and isinstance(of_round.teacher.adapt, ByAccuracy):
        yield (
            f"{key} has pseudo labels whose thresholds are moved by accuracy, which is measured by fold; set adapt: {{by: "
            f"counts}}, or {OUT}"
        )
