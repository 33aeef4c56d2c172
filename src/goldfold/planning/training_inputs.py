"""Inputs of trainings that depend on their settings: by which columns cases are sampled, and unlabelled images."""

from typing import TYPE_CHECKING, Any

from goldfold.planning.outputs import CLASS, GROUP

if TYPE_CHECKING:
    from goldfold.config import Config


def inputs_of(config: "Config") -> dict[str, Any]:
    """Fields of `goldfold.planning.plan.Plan`: models whose training cases are sampled by a metadata column, and by group, in
    any round; splits of unlabelled images by model and round."""
    trained = dict.fromkeys((run.model, run.round) for run in config.grid.trained_runs())
    by = {(run[0], config.model(*run).train.sampled_by) for run in trained}
    methods = {run: config.model(*run).train.fixmatch for run in trained}
    return {
        "by_metadata": tuple(sorted({model for model, column in by if column not in (None, CLASS, GROUP)})),
        "by_group": tuple(sorted({model for model, column in by if column == GROUP})),
        "unlabeled": {run: how.splits(config.splits) for run, how in methods.items() if how is not None},
    }
