"""Checks of teachers of pseudo labels: none may have chosen anything on the validation fold."""

from collections.abc import Iterator

from goldfold.config.fold_choices import INSTEAD, choices_of
from goldfold.config.root import Config
from goldfold.planning.runs import Run


def check_choices(config: Config) -> Iterator[str]:
    """Problems of teachers that chose something by labels of their validation fold. The config must have passed other checks.

    A teacher counts with the networks that it starts from, is made from and was taught by. Models that judge labels (`clean`,
    `adapt: {by: accuracy}`) may choose: the rows that they validate are training rows of the fold.
    """
    for labels in config.grid.labels():
        if labels.fold == 0:  # the same for each fold
            for teacher in dict.fromkeys(Run(run.model, run.round, 0, config.seeds[0]) for run in labels.teachers):
                yield from dict.fromkeys(_chosen(config, labels.round, teacher))


def _chosen(config: Config, number: int, teacher: Run) -> Iterator[str]:
    """Problems of one teacher of a round."""
    key = "pseudo_labels" if config.rounds is None else f"rounds[{number}].teacher"
    for run in (*config.grid.ancestry(teacher), *config.grid.taught(teacher)):
        model = config.model(run.model, run.round)
        whose = f"{run.model} of round {run.round}"
        comes = "" if run == teacher else f"{teacher.model} of round {teacher.round}, which comes from "
        for choice in choices_of(model.model_dump(include={"soup", "train"})):
            yield (
                f"{key}: {comes}{whose} has {choice}, which chooses by labels of the images that each fold validates, so pseudo "
                f"labels would carry them into training. {_remedy(config, whose, INSTEAD[choice])}"
            )


def _remedy(config: Config, whose: str, instead: str) -> str:
    if config.rounds is None:
        return f"Use {instead}, or write rounds: [{{}}, {{teacher: {{}}, train: ...}}] with it in the last round alone"
    return f"For {whose} use {instead}, or name other teachers in teacher.models"
