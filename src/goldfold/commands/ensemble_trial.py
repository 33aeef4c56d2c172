"""Try the metric and the steps of the ensemble on made-up predictions before any job runs."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from goldfold.commands.augmentation_trial import failed
from goldfold.components import name_of
from goldfold.ensembling.members import of_members
from goldfold.ensembling.steps import FittedStep, build
from goldfold.ensembling.with_metadata import without
from goldfold.targets.label_sets import to_text
from goldfold.tasks import facts
from goldfold.tasks.steps import ForSteps

N_CASES = 24
"""Made-up cases."""
TASKS = ("classification", "ordinal", "multilabel")
"""Tasks whose predictions are made up."""


def check_ensemble(model: Mapping[str, Any], n_classes: int) -> None:
    """Score made-up predictions, fuse them, and build the steps of the ensemble.

    Args:
        model: an entry of `goldfold.config.slices.network_checks`, with ``metric``, ``method`` and ``steps``.

    Raises:
        ConfigError: a metric, a method or a step fails.
    """
    name = model["task"]
    if name not in TASKS:
        return
    classes = [f"class {number}" for number in range(max(2, n_classes))]
    task = ForSteps({"name": name}, classes)
    members, truth = _made_up(name, classes)
    rows: Any = np.arange(N_CASES)
    if model.get("metric") is not None:
        try:
            task.metric(model["metric"]).value(task.evidence(members[0], truth), rows)
        except Exception as error:
            raise failed("metric", model["metric"], error) from error
    if model.get("method") is not None:
        try:
            of_members(task, members, [1.0, 2.0], {"method": model["method"]}, 1)
        except Exception as error:
            raise failed("ensemble.method", model["method"], error) from error
    for step in model.get("steps") or ():
        try:
            (made,) = build(task, [without(step)], 1)  # made-up cases have no metadata
            if isinstance(made, FittedStep) and name_of(step) in task.fusions:
                metric = task.metric(model.get("metric") or next(iter(facts(name).metrics)))
                made.fit(dict(zip("ab", members, strict=True)), truth, rows % 3, metric)
        except Exception as error:
            raise failed("ensemble", step, error) from error


def _made_up(name: str, classes: list[str]) -> tuple[list[Any], Any]:
    """Predictions of two members, and the truth of these cases."""
    import pandas as pd

    draw = np.random.default_rng(0)
    ids = np.array([f"case{number:02d}" for number in range(N_CASES)])
    members = [
        {
            "ids": ids,
            "classes": np.array(classes),
            "logits": draw.normal(size=(N_CASES, len(classes))).astype(np.float32),
        }
        for _ in range(2)
    ]
    places = np.arange(N_CASES) % len(classes)
    label = [classes[place] for place in places]
    cells = [to_text([one]) for one in label] if name == "multilabel" else label
    return members, pd.DataFrame({"id": ids, "labels" if name == "multilabel" else "label": cells})
