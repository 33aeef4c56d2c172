"""Facts of a finished training by ultralytics for its record."""

from __future__ import annotations

import math
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from goldfold.base.counter import counter

if TYPE_CHECKING:
    from goldfold.training.of_ultralytics.trainer import Course
    from goldfold.training.setup import Setup


def facts(setup: Setup, course: Course) -> dict[str, Any]:
    """Collect the facts that `goldfold.training.outcome.facts` does, and the version of the library."""
    spec, cases, at = setup.spec, setup.cases, course.at
    n_epochs, n_train, best = len(at.history), len(cases.train), course.hooks["best"]
    chosen = getattr(best, "epoch", None)
    return {
        "member": {"model": spec.name, **spec.place},
        "seed": counter(*spec.key),
        "n_train": n_train,
        "n_val": len(cases.held_out),
        "n_pseudo": n_train - int((cases.train["split"] == "train").sum()),
        "parameters": sum(parameter.numel() for parameter in setup.network.parameters()),
        "epochs": n_epochs,
        **({"stopped": at.stopped} if n_epochs < spec.train.epochs else {}),
        "best_epoch": n_epochs - 1 if chosen is None else chosen,
        "final": {name: value for name, value in at.history[-1].items() if math.isfinite(value)},
        "device": setup.accelerator.device.type,
        "precision": setup.accelerator.mixed_precision,
        "gpus": 1,
        "batch_size": min(n_train, spec.train.batch_size),
        "micro_batch_size": min(n_train, spec.train.batch_size),
        "skipped_steps": 0,
        "resumed_at_step": at.resumed_at_step,
        "ultralytics": version("ultralytics"),
        **{name: found for name, hook in course.hooks.items() if (found := hook.facts())},
    }
