"""Checks of cleaning rounds: the task, and the round and models of the judges."""

from collections.abc import Iterator

from goldfold.base.errors import nearest
from goldfold.config.root import Config
from goldfold.config.rounds import Clean, is_plain, judges_of, judging_round
from goldfold.tasks.facts import Facts


def check_clean(config: Config, task: Facts) -> Iterator[str]:
    """Problems of `clean` in any round."""
    for number, one in enumerate(config.rounds or []):
        if one.clean is not None:
            yield from _clean(config, task, number, one.clean)


def _clean(config: Config, task: Facts, number: int, clean: Clean) -> Iterator[str]:
    key = f"rounds[{number}].clean"
    if not task.cleans:
        yield f"{key}: task {config.task!r} has no cleaning of labels, which needs one class per image; remove clean"
    else:
        yield from check_judges(config, number, clean, key)


def check_judges(config: Config, number: int, clean: Clean, key: str) -> Iterator[str]:
    """Problems of the round and the models of the inner trainings of a round after the first.

    Args:
        key: section of the config that asks for them.
    """
    rounds = config.rounds or []
    if clean.round is not None and clean.round >= number:
        earlier = "round 0" if number == 1 else f"rounds 0 to {number - 1}"
        yield f"{key}.round = {clean.round}: the judges must be of an earlier round, here {earlier}"
    elif clean.round is not None and not is_plain(rounds[clean.round]):
        yield (
            f"{key}.round = {clean.round}: has a start, a teacher or a clean of its own, so its models know more than the "
            f"rows that an inner training may see; name a round that is trained from scratch on the given labels"
        )
    elif (judges := judging_round(config, rounds[:number]) if clean.round is None else clean.round) < 0:
        yield f"{key}: no earlier round is trained from scratch on the given labels; put one before it"
    else:
        yield from _models(config, key, judges, clean)


def _models(config: Config, key: str, judges: int, clean: Clean) -> Iterator[str]:
    known, of_round = [model.name for model in config.models], (config.rounds or [])[judges].models
    trained = known if of_round is None else of_round
    able = judges_of(config.models, (config.rounds or [])[judges])
    for name in clean.models or []:
        if name not in known:
            yield f"{key}.models: no model is named {name!r}; {nearest(name, known)}allowed: {', '.join(known)}"
        elif name not in trained:
            yield f"{key}.models: round {judges} does not train {name}; name another round, or models that it trains"
        elif name not in able:
            yield (
                f"{key}.models: {name} is made from other models, learns from a teacher or has train.rows in round {judges}, and "
                f"inner trainings can do none of these; name a model that is trained on the given labels of all rows"
            )
        elif name not in config.weighted:
            yield f"{key}.models: {name} has weight 0 in the ensemble, so it cannot judge; give it a weight, or remove it"
    if clean.models is None and not {*trained} & {*config.weighted} & {*able}:
        yield (
            f"{key}: of the models that round {judges} trains on the given labels of all rows none has a weight in the ensemble; "
            f"give one a weight, or put a round before it that trains one so"
        )
