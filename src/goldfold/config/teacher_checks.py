"""Checks of pseudo labels: their form and selection, by what the task and the losses of a round can take."""

from collections.abc import Iterator

from goldfold.catalog import OWN_LOSS
from goldfold.components import label, name_of, place, summed
from goldfold.config.clean_checks import check_judges
from goldfold.config.loss_checks import is_hard
from goldfold.config.pseudo_labels import ByAccuracy, Decay, soft_of
from goldfold.config.root import Config
from goldfold.config.rounds import Teacher, clean_of, settled
from goldfold.targets.class_weights import unknown
from goldfold.tasks.facts import Facts

WITHOUT = {
    "soft": "labels: soft: task {task!r} has no soft labels; remove it",
    "class_thresholds": "class_thresholds: task {task!r} has not one class per image; set threshold alone",
    "adapt": "adapt: task {task!r} has not one class per image; remove it",
    "ignore_band": "ignore_band: task {task!r} has no masks; set threshold alone",
    "least_decided": "least_decided: task {task!r} has no masks; remove it",
    "top_k": "top_k: task {task!r} chooses parts of images, not whole ones; set threshold alone",
}
"""What is said of a key that a task does not take."""


def check_adapt(config: Config, task: Facts) -> Iterator[str]:
    """Problems of the inner trainings by which accuracy moves thresholds."""
    for number, one in enumerate(config.rounds or []):
        adapt = one.teacher.adapt if one.teacher is not None else None
        if isinstance(adapt, ByAccuracy) and "adapt" in task.pseudo_label_keys:
            yield from check_judges(config, number, clean_of(adapt), f"rounds[{number}].teacher.adapt")


def check_labelling(config: Config, task: Facts, number: int, key: str) -> Iterator[str]:
    """Problems of the form and the selection of the pseudo labels of a round.

    Args:
        key: section of the config that defines them.
    """
    teacher = settled(config)[number].teacher
    if teacher is None:
        return
    soft = soft_of(teacher.labels)
    wanted = {
        "soft": soft, "class_thresholds": teacher.class_thresholds, "adapt": teacher.adapt, "top_k": teacher.top_k,
        "ignore_band": teacher.ignore_band, "least_decided": teacher.least_decided,
    }  # fmt: skip
    refused = [name for name, value in wanted.items() if value is not None and name not in task.pseudo_label_keys]
    for name in refused:
        yield f"{key}.{WITHOUT[name].format(task=config.task)}"
    if refused:
        return
    classes = config.data.named_classes
    for problem in unknown(teacher.class_thresholds or {}, classes) if classes else []:
        yield f"{key}.class_thresholds: {problem}"
    yield from _floor(teacher, key)
    if teacher.ignore_band is not None and _sets_threshold(config, number):
        yield f"{key}.threshold: ignore_band has the limits instead; remove one of the two"
    if soft is not None and task.target == "mask":
        yield from _soft_masks(config, number, key)
    if soft is not None:
        yield from _hard_losses(config, task, number, key)


def _floor(teacher: Teacher, key: str) -> Iterator[str]:
    given = {"threshold": teacher.threshold, **(teacher.class_thresholds or {})}
    for name, value in given.items() if teacher.adapt is not None else []:
        if not isinstance(value, Decay) and teacher.adapt is not None and value < teacher.adapt.floor:
            where = "threshold" if name == "threshold" else f"class_thresholds.{name}"
            yield (
                f"{key}.adapt.floor = {teacher.adapt.floor:g}: is above {where} = {value:g}, so nothing could be moved; set a "
                f"smaller floor"
            )


def _hard_losses(config: Config, task: Facts, number: int, key: str) -> Iterator[str]:
    """Problems of losses of the round's models that take no soft targets."""
    for name in settled(config)[number].models or []:
        wanted = config.model(name, number).train.loss or task.default_loss
        for part, _ in summed(wanted) if wanted is not None else []:
            if is_hard(place(name_of(part), task.losses, "loss")):
                yield (
                    f"{key}.labels: soft: models ({name}) has the loss {label(part)}, which takes hard targets; set labels: "
                    f"hard, or another loss"
                )


def _sets_threshold(config: Config, number: int) -> bool:
    """Return whether the config sets the threshold of the teacher of a round."""
    rounds = config.rounds
    given = config.pseudo_labels if rounds is None else rounds[number].teacher
    return given is not None and "threshold" in given.model_fields_set


def _soft_masks(config: Config, number: int, key: str) -> Iterator[str]:
    """Problems of models of the round that cannot learn soft masks."""
    for name in settled(config)[number].models or []:
        model = config.model(name, number)
        if name_of(model.network) in OWN_LOSS:
            yield (
                f"{key}.labels: soft: models ({name}) has the network {name_of(model.network)}, whose own loss takes hard masks; "
                f"set labels: hard, or another network"
            )
        if "copy_paste" in map(name_of, model.train.every_mix):
            yield f"{key}.labels: soft: model {name} has mix: copy_paste, but soft masks have no objects; remove one of the two"
