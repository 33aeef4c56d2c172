"""Checks of rounds: trained models, initial weights and teachers."""

from collections.abc import Iterator

from goldfold.base.errors import nearest
from goldfold.config.clean_checks import check_clean
from goldfold.config.models import Model
from goldfold.config.root import Config
from goldfold.config.rounds import PREVIOUS, SCRATCH, Round, Teacher, settled
from goldfold.config.teacher_checks import check_adapt, check_labelling
from goldfold.inference.parameters import n_views
from goldfold.tasks import labels
from goldfold.tasks.facts import Facts

SAME = ("network", "backbone", "params", "head", "views")
"""Keys of a model that determine the shapes of its weights, besides its metadata and embedding."""


def check_rounds(config: Config, task: Facts) -> Iterator[str]:
    """Problems of the rounds, or of their short form `pseudo_labels`."""
    if config.rounds is None:
        yield from _short_form(config, task)
        return
    if found := list(_needs_earlier(config.rounds[0])):  # what follows from a missing round would mislead
        yield from found
        return
    found = [*_names(config), *(line for number in range(len(config.rounds)) for line in _round(config, number))]
    found += [*check_clean(config, task), *check_adapt(config, task)]
    yield from found
    for number, one in enumerate([] if found else settled(config)):
        if one.teacher is not None:
            yield from _labels(config, task, one.teacher, f"rounds[{number}].teacher", "remove teacher")
            yield from check_labelling(config, task, number, f"rounds[{number}].teacher")


def _needs_earlier(first: Round) -> Iterator[str]:
    """Keys of the first round that need a round before it."""
    given = {
        f"start = {first.start!r}": first.start != SCRATCH and "nothing is trained before the first round",
        "teacher": first.teacher is not None and "the first round has no earlier round as teacher",
        "clean": first.clean is not None and "the first round has no earlier round whose models could judge its labels",
    }
    for key, problem in given.items():
        if problem:
            yield f"rounds[0].{key}: {problem}; put a round before it (rounds: [{{}}, ...]), or remove {key.split()[0]}"


def _short_form(config: Config, task: Facts) -> Iterator[str]:
    if not config.pseudo_labels.rounds and config.pseudo_labels.weight != 1 and not task.weighs_samples:
        yield _no_weights(config, "pseudo_labels", config.pseudo_labels.weight)
    teacher = settled(config)[-1].teacher
    if teacher is not None:
        if not teacher.models:
            yield (
                "pseudo_labels.rounds: all models have weight 0 in the ensemble, and members of other tools teach nothing; give "
                "a model a weight, or set rounds: 0"
            )
        yield from _labels(config, task, teacher, "pseudo_labels", "set rounds: 0")
    for number in range(1, config.pseudo_labels.rounds + 1):
        yield from check_labelling(config, task, number, "pseudo_labels")


def _labels(config: Config, task: Facts, teacher: Teacher, key: str, instead: str) -> Iterator[str]:
    """Problems of labelling images: tasks that cannot, and no images to label.

    Args:
        teacher: with all defaults filled in.
        key: section of the config that defines it.
        instead: what to do if there can be no teacher.
    """
    where = f"{key}.rounds" if key == "pseudo_labels" else key
    if teacher.weight != 1 and not task.weighs_samples:
        yield _no_weights(config, key, teacher.weight)
    if not labels(config.task):
        yield f"{where}: task {config.task!r} has no pseudo_labels; define it, or {instead}"
    if not teacher.sources:
        yield f"{where}: there are no test or unlabeled images to label; name some or {instead}"
    opinions = sum(len(config.grid.seeds_of(name)) for name in teacher.models or ()) * sum(map(n_views, config.tta))
    if task.labels_by_agreement and opinions < 2:
        yield (
            f"{where}: task {config.task!r} labels images on which models, seeds and views agree, but there is only "
            f"one of each; add a seed, a model or a view to tta, or {instead}"
        )


def _no_weights(config: Config, key: str, weight: float) -> str:
    return f"{key}.weight = {weight:g}: task {config.task!r} has no sample weights; set 1"


def _names(config: Config) -> Iterator[str]:
    """Problems of keys that contradict rounds, and of models that no round trains."""
    rounds = config.rounds or []
    if "pseudo_labels" in config.model_fields_set:
        yield "pseudo_labels: is a short form of rounds, and both are set; add a teacher to rounds, and remove pseudo_labels"
    for index, model in enumerate(config.models):
        if model.name in (PREVIOUS, SCRATCH):
            yield f"models[{index}].name = {model.name!r}: is reserved in rounds[].start; give another name"
        if not any(_trains(one, model.name) for one in rounds):
            yield f"models[{index}] ({model.name}): no round trains it; add it to the models of a round, or remove it"


def _trains(one: Round, name: str) -> bool:
    return one.models is None or name in one.models


def _round(config: Config, number: int) -> Iterator[str]:
    one, key = (config.rounds or [])[number], f"rounds[{number}]"
    yield from _unknown(config, f"{key}.models", one.models or [])
    if one.start != SCRATCH:
        yield from _start(config, number)
    if one.teacher is not None:
        yield from _teacher(config, number, one.teacher)
    yield from _only_made(config, one, key)


def _only_made(config: Config, one: Round, key: str) -> Iterator[str]:
    """Problems of a round that makes soups and snapshots alone, and so trains nothing."""
    made = {model.name for model in config.models if model.is_made}
    given = {
        "teacher": one.teacher,
        "clean": one.clean,
        "train": one.train.model_fields_set,
        "start": one.start != SCRATCH,
    }
    for name in [name for name, value in given.items() if value and one.models and made >= {*one.models}]:
        yield f"{key}.{name}: the round trains nothing, its models are made from others; remove it, or list a trained model"


def _unknown(config: Config, key: str, names: list[str]) -> Iterator[str]:
    known = [model.name for model in config.models]
    for name in names:
        if name not in known:
            yield f"{key}: no model is named {name!r}; {nearest(name, known)}allowed: {', '.join(known)}"


def _latest(config: Config, name: str, number: int) -> int | None:
    """The last round up to ``number`` that trains a model."""
    found = [place for place, one in enumerate((config.rounds or [])[: number + 1]) if _trains(one, name)]
    return found[-1] if found else None


def _start(config: Config, number: int) -> Iterator[str]:
    """Problems of the initial weights: they must be of an earlier round, and of the same shapes."""
    one = (config.rounds or [])[number]
    key, by_name = f"rounds[{number}].start = {one.start!r}", {model.name: model for model in config.models}
    trained = {name: model for name, model in by_name.items() if _trains(one, name) and not model.is_made}
    if one.start != PREVIOUS and one.start not in by_name:
        choices = [SCRATCH, PREVIOUS, *by_name]
        yield f"{key}: no model has this name; {nearest(one.start, choices)}allowed: {', '.join(choices)}"
    elif one.start != PREVIOUS and by_name[one.start].soup is not None:
        yield f"{key}: a soup has one network per fold, not one per seed; start from one of its ingredients"
    elif one.start != PREVIOUS and by_name[one.start].frozen is not None:
        yield f"{key}: a head on a frozen backbone has no weights of its own; start from a trained model"
    elif one.start == PREVIOUS:
        for name in trained:
            if _latest(config, name, number - 1) is None:
                yield f"{key}: no earlier round trains {name}; train it earlier, or give it a round with start: {SCRATCH}"
    elif _latest(config, one.start, number - 1) is None:
        yield f"{key}: no earlier round trains it, and a round starts from earlier ones only; train it earlier"
    else:
        for name, model in trained.items():
            if other := difference(model, by_name[one.start]):
                yield f"{key}: {name} cannot use its weights: {other}; name a model with the same network"


def _branch(model: Model) -> dict[str, float] | bool:
    """Metadata of a model as a config writes it."""
    return False if model.branch is None else model.branch.model_dump()


def difference(model: Model, origin: Model) -> str:
    """First key by which the weights of two models differ in shape; weights of another input size are tried before any job,
    see `goldfold.commands.start_trial`."""
    for key, mine, its in (
        *((key, getattr(model, key), getattr(origin, key)) for key in SAME),
        ("metadata", _branch(model), _branch(origin)),
        (
            "embedding",
            model.embedding and model.embedding.model_dump(),
            origin.embedding and origin.embedding.model_dump(),
        ),
    ):
        if mine != its:
            return f"{key} is {its!r} there and {mine!r} here"
    return ""


def _teacher(config: Config, number: int, teacher: Teacher) -> Iterator[str]:
    """Problems of the models of a teacher: they must be of earlier rounds, with a weight."""
    key = f"rounds[{number}].teacher"
    if teacher.round is not None and teacher.round >= number:
        earlier = "round 0" if number == 1 else f"rounds 0 to {number - 1}"
        yield f"{key}.round = {teacher.round}: the teacher must be an earlier round, here {earlier}"
        return
    yield from _unknown(config, f"{key}.models", teacher.models or [])
    last = number - 1 if teacher.round is None else teacher.round
    trained = [model.name for model in config.models if _latest(config, model.name, last) is not None]
    for name in teacher.models or []:
        if name in trained and name not in config.weighted:
            yield f"{key}.models: {name} has weight 0 in the ensemble, so it cannot be a teacher; give it a weight, or remove it"
        elif name not in trained and name in {model.name for model in config.models}:
            yield f"{key}.models: no round up to {last} trains {name}; name a later round, or other models"
    if teacher.models is None and not {*trained} & {*config.weighted}:
        yield f"{key}: of the models trained up to round {last} none has a weight in the ensemble; give one a weight"
