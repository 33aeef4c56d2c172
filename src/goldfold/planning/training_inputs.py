"""Inputs of jobs that depend on the settings of their models: columns by which cases are sampled, metadata, unlabelled images,
members of other tools, models that are trained on all rows, and embeddings of frozen backbones."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from goldfold.planning.outputs import CLASS, GROUP
from goldfold.planning.row_lists import chosen_rows

if TYPE_CHECKING:
    from goldfold.config import Config


def inputs_of(config: "Config") -> dict[str, Any]:
    """Fields of `goldfold.planning.plan.Plan`.

    Models whose training cases are sampled by a metadata column, or learn one, and those sampled by group, in any round;
    splits of unlabelled images by model and round; models and steps that take metadata; splits that get pseudo labels;
    external members; trainings that use some of the training rows; models that are trained on all rows.
    """
    trained = dict.fromkeys((run.model, run.round) for run in config.grid.trained_runs())
    by = {(run[0], config.model(*run).train.sampled_by) for run in trained}
    learning = {model for model, number in trained if config.model(model, number).train.auxiliary is not None}
    methods = {run: config.model(*run).train.fixmatch for run in trained}
    labelled = {split for stage in config.grid.rounds for split in stage.sources}
    return {
        "by_metadata": tuple(sorted({*_sampled_by_column(by), *learning})),
        "by_group": tuple(sorted({model for model, column in by if column == GROUP})),
        "unlabeled": {run: how.splits(config.splits) for run, how in methods.items() if how is not None},
        "has_metadata": config.data.has_metadata,
        "with_metadata": tuple(model.name for model in config.models if model.branch is not None),
        "stacks_metadata": config.stacks_metadata,
        "sources": tuple(split for split in config.splits if split in labelled),
        "external": tuple(one.name for one in config.externals),
        "generating": tuple(run for run in trained if config.model(*run).train.generated is not None),
        "rows": chosen_rows(config),
        "full": config.on_all_rows,
        "embeddings": config.embeddings,
        "stacked": tuple(sorted({*config.stacked_embeddings.values()})),
    }


def _sampled_by_column(by: Iterable[tuple[str, str | None]]) -> set[str]:
    return {model for model, column in by if column not in (None, CLASS, GROUP)}
