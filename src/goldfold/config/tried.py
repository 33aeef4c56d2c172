"""Settings after prediction that are tried on made-up values before any job runs."""

from typing import Any

from goldfold.components import name_of, parse
from goldfold.config.root import Config
from goldfold.ensembling.sets import COVERAGE, KEEP_SCORES

WITH_CLASSES = ("classification", "ordinal", "multilabel", "detection", "points")
"""Tasks with as many outputs per image as there are classes."""


def after_prediction(config: Config) -> dict[str, Any]:
    """Return the metric, the average and the steps of the ensemble, see `goldfold.commands.ensemble_trial`."""
    return {
        "task": config.task,
        "n_classes": n_outputs(config),
        "metric": config.metric,
        "method": config.average.method,
        "steps": [step for step in config.written_steps if step != "average" and ":" not in name_of(step)],
    }


def coverages(config: Config) -> list[dict[str, Any]]:
    """Return the sets and intervals that the ensemble fits: checked with the folds, part of no recipe before the ensemble's."""
    found = [parse(step) for step in config.postprocessing if name_of(step) in KEEP_SCORES]
    return [
        {
            "step": name,
            "coverage": params.get("coverage", COVERAGE),
            "groups": params.get("groups", True),
            "by": params.get("by"),
        }
        for name, params in found
    ]


def n_outputs(config: Config) -> int | None:
    """Number of outputs of a network per image or pixel; None if the config does not determine it."""
    classes = config.data.named_classes
    of_classes = len(classes) if classes and config.task in WITH_CLASSES else None
    return 1 if config.task == "regression" else of_classes
