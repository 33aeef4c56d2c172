"""Checks of FixMatch: tasks, data and settings of training that it works with."""

from collections.abc import Iterator

from goldfold.catalog import FIXMATCH
from goldfold.components import name_of
from goldfold.config import augmentation
from goldfold.config.fixmatch import FixMatch
from goldfold.config.learning import Train
from goldfold.config.models import Model
from goldfold.config.of_tasks import unless_known
from goldfold.config.root import Config
from goldfold.samples.presets.reading import expanded


def fixmatch_problems(model: Model, config: Config) -> Iterator[str]:
    """Problems of `train.fixmatch` of a model."""
    how = model.train.fixmatch
    if how is None:
        return
    if said := unless_known("train.fixmatch", config.task, FIXMATCH, "has no FixMatch yet", "have"):
        yield said
        return
    if not how.splits(config.splits):
        yield (
            f"train.fixmatch.sources: there are no {' or '.join(how.sources)} images; set data.unlabeled or data.test, or "
            f"remove fixmatch"
        )
    if model.branch is not None:
        yield "train.fixmatch: unlabelled images have no metadata; set metadata: false for this model, or remove fixmatch"
    yield from _views(how, model.train)
    yield from _training(how, model.train)


def _views(how: FixMatch, train: Train) -> Iterator[str]:
    """Problems of the weak and the strong view, each alone and together."""
    wanted = {"weak": how.weak, "strong": how.strong}
    found = [
        f"train.fixmatch.{key} = {problem}"
        for key, view in wanted.items()
        for problem in (augmentation.every_problem(view) if view is not None else ())
    ]
    yield from found
    if found or any(augmentation.every_problem(train.augment)):
        return
    if how.renew_epochs is None and expanded(how.strong) == expanded(how.weak_view(train.augment)):
        other = "train.augment, which the weak view has" if how.weak is None else "train.fixmatch.weak"
        yield f"train.fixmatch.strong: is the same as {other}; a network learns nothing from agreeing with itself. Set another"


def _training(how: FixMatch, train: Train) -> Iterator[str]:
    """Problems with other settings of training."""
    if how.ema_teacher and "ema" not in map(name_of, train.every_hook):
        yield "train.fixmatch.ema_teacher = true: there are no averaged weights; set train.ema_decay: 0.999, or remove it"
    if how.renew_epochs is not None:
        yield from _renewal(how, how.renew_epochs, train)
    elif name_of(train.update) == "sam" and not how.ema_teacher:
        yield (
            "train.fixmatch: sam computes each gradient at moved weights, which would predict other labels; set ema_teacher: "
            "true, whose labels stay the same, or update: plain"
        )
    if train.distill is not None:
        yield "train.fixmatch: cannot be combined with distill; remove one of the two, or use them in different rounds"
    if train.compile:
        yield "train.compile = true: cannot be combined with fixmatch, whose batches have several sizes; remove one of the two"


def _renewal(how: FixMatch, every: int, train: Train) -> Iterator[str]:
    """Problems of labels that are kept for several epochs."""
    if every >= train.epochs and train.epochs > 1:
        yield (
            f"train.fixmatch.renew_epochs = {every}: the images are labelled for the first time before epoch {every}, but there "
            f"are only {train.epochs} epochs; set fewer, or more epochs"
        )
    without = "with renew_epochs, images are labelled without augmentation by the network that is validated"
    if how.weak is not None:
        yield f"train.fixmatch.weak: {without}, so it has no effect; remove it"
    if how.ema_teacher:
        yield f"train.fixmatch.ema_teacher: {without}, so it has no effect; remove it (ema_decay alone averages the weights)"
