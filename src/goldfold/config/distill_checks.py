"""Checks of distillation: tasks that can learn from a teacher, and teachers that are trained before their students."""

from collections.abc import Iterator

from goldfold.base.errors import nearest
from goldfold.catalog import DISTILLATIONS
from goldfold.config.learning import Train
from goldfold.config.of_tasks import unless_known
from goldfold.config.root import Config
from goldfold.planning.lessons import ENSEMBLE, Lessons, Place
from goldfold.tasks.facts import Facts


def distill_problems(settings: Train, name: str, task: Facts) -> Iterator[str]:
    """Problems of `train.distill` with the task.

    Args:
        name: name of the task.
    """
    if settings.distill is None:
        return
    if said := unless_known("train.distill", name, DISTILLATIONS, "cannot learn from a teacher yet", "can"):
        yield said
    elif task.target == "value" and settings.distill.temperature is not None:
        yield (
            f"train.distill.temperature = {settings.distill.temperature:g}: a number has no temperature, the loss is the squared "
            f"error to the teacher's; remove it"
        )
    if settings.distill.features is not None:
        if settings.distill.teacher == ENSEMBLE:
            yield "train.distill.features: an ensemble has no features; name one model as teacher, or remove features"
        if settings.compile:
            yield "train.distill.features: the features of a compiled network are not seen; remove features, or compile"


def check_teachers(config: Config) -> Iterator[str]:
    """Problems of who learns from whom. The config must have passed its other checks."""
    lessons = config.lessons
    found = [problem for student in lessons.wanted for problem in _teacher(config, lessons, student)]
    yield from dict.fromkeys(found)
    for name, number in lessons.wanted:
        distill = config.model(name, number).train.distill
        if distill is not None and distill.features is not None and config.every_round[number].teacher is not None:
            yield (
                f"{_key(config, (name, number)).removesuffix('teacher')}features: round {number} also trains on pseudo labels, "
                f"and teachers have no features of these images; remove features, or the pseudo labels of this round"
            )
    for chain in lessons.circles():
        steps = ", ".join(
            f"{name} from {lessons.wanted[name, number]}"
            if (name, number) in lessons.wanted
            else f"{name} made from {of}"
            for (name, number), (of, _) in zip(chain, [*chain[1:], chain[0]], strict=True)
        )
        yield f"{_key(config, chain[0])}: in round {chain[0][1]} models learn in a circle: {steps}; remove one of them"


def _teacher(config: Config, lessons: Lessons, student: Place) -> Iterator[str]:
    name, number = student
    wanted, names = lessons.wanted[student], [model.name for model in config.models]
    key = f"{_key(config, student)} = {wanted!r}"
    if wanted != ENSEMBLE and wanted not in names:
        choices = [*names, ENSEMBLE]
        yield f"{key}: no model is named {wanted!r}; {nearest(wanted, choices)}allowed: {', '.join(choices)}"
    elif lessons.teachers(student):
        return
    elif wanted == name:
        yield (
            f"{key}: no round before round {number} trains {name}, and a model learns from itself only in a later round; name "
            f"another teacher, set distill for the students alone, or set it in a later round "
            f"(rounds: [{{}}, {{train: {{distill: {{teacher: {name}}}}}}}])"
        )
    elif wanted == ENSEMBLE:
        yield (
            f"{key}: up to round {number} there is no other model with a weight that does not learn from an ensemble itself; "
            f"name a model, or set distill for some of the models alone"
        )
    else:
        yield f"{key}: no round up to round {number} trains {wanted}; train it earlier, or name another model"


def _key(config: Config, student: Place) -> str:
    """The key that sets the teacher of a student, of its round or its own."""
    name, number = student
    index = next(index for index, model in enumerate(config.models) if model.name == name)
    of_round = config.rounds is not None and config.rounds[number].train.distill is not None
    return f"rounds[{number}].train.distill.teacher" if of_round else f"models[{index}] ({name}).train.distill.teacher"
