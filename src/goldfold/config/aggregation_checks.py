"""Checks of how the images of a case become one output, and of which images a network gets."""

from collections.abc import Iterator

from goldfold.base.errors import shown
from goldfold.base.natural import natural
from goldfold.catalog import AGGREGATIONS
from goldfold.components import parse
from goldfold.config import kinds
from goldfold.config.component_checks import component_problems
from goldfold.config.models import MEAN, Model
from goldfold.config.root import Config
from goldfold.signatures import default
from goldfold.tasks.facts import Facts

OVER_TIME = ("lstm", "transformer")
"""Aggregations for which the order of the images counts."""


def aggregation_problems(model: Model, config: Config, task: Facts) -> Iterator[str]:
    """Problems of a model's `views` and `max_images`."""
    yield from component_problems("views", model.views, kinds.AGGREGATION, AGGREGATIONS)
    if not config.data.has_cases:
        yield from _needless(model)
        return
    if model.views != MEAN and not task.takes_cases:
        yield f"views = {shown(model.views)}: networks of task {config.task!r} take one image each; remove it"
    yield from _columns(model, getattr(config.data, "view_columns", None))
    if model.max_images is not None and not getattr(config.data, "case_column", None):
        yield f"max_images = {model.max_images}: each case has the images of data.view_columns; name fewer there, or remove it"
    if model.max_images is not None and getattr(config.data, "view_column", None):
        yield (
            f"max_images = {model.max_images}: chosen images keep no name of a view; set data.frame_column instead of "
            f"data.view_column, or remove it"
        )


def dropping_problems(model: Model, config: Config) -> Iterator[str]:
    """Problems of `train.drop_view`."""
    if model.train.drop_view and not config.data.has_cases:
        yield f"train.drop_view = {model.train.drop_view:g}: cases have one image each; remove it"


def _needless(model: Model) -> Iterator[str]:
    """Settings that need cases of several images, of which there are none."""
    given = {"views": None if model.views == MEAN else model.views, "max_images": model.max_images}
    for key in [key for key, value in given.items() if value is not None]:
        yield (
            f"{key} = {shown(given[key])}: cases have one image each; set data.case_column or data.view_columns (source: csv), "
            f"or remove it"
        )


def _columns(model: Model, columns: list[str] | None) -> Iterator[str]:
    """Views of a table with a row per case that are other, or in another order, than the aggregation takes them."""
    name, params = parse(model.views)
    if name == "concat":
        n_views = params.get("n_views", default(AGGREGATIONS[name], "n_views"))
        if columns and n_views != len(columns):
            yield (
                f"views = {shown(model.views)}: data.view_columns has {len(columns)} views; set views: {{concat: {{n_views: "
                f"{len(columns)}}}}}"
            )
    if name in OVER_TIME and columns and (order := sorted(columns)) != sorted(columns, key=natural):
        wrong = next(pair for pair in zip(order, sorted(columns, key=natural), strict=True) if pair[0] != pair[1])
        yield (
            f"views = {shown(model.views)}: data.view_columns are taken in alphabetical order, in which {wrong[0]!r} comes "
            f"before {wrong[1]!r}; name them with as many digits each (f01, f02, ..., f10)"
        )
