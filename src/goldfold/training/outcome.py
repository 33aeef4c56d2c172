"""Facts of a finished run for its record."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from goldfold.base.counter import counter

if TYPE_CHECKING:
    from goldfold.engine.hooks.best import Best
    from goldfold.engine.loop import Learner
    from goldfold.engine.state import Training
    from goldfold.training.samples import Cases
    from goldfold.training.spec import Spec


def facts(
    spec: Spec, cases: Cases, n_cases: int, learner: Learner, result: Training, best: Best, not_compiled: str | None
) -> dict[str, Any]:
    """Collect facts of a run for its record.

    Args:
        n_cases: cases of an epoch.
        not_compiled: why torch.compile had no effect, if the config wants it.
    """
    gradient, accelerator = learner.gradient, learner.gradient.accelerator
    n_epochs, of_hooks = len(result.history), {name: hook.facts() for name, hook in learner.hooks.items()}
    return {
        "member": {"model": spec.name, **spec.place},
        "seed": counter(*spec.key),
        "n_train": len(cases.train),
        "n_val": len(cases.held_out),
        "n_pseudo": len(cases.train) - int((cases.train["split"] == "train").sum()),
        "parameters": sum(parameter.numel() for parameter in gradient.network.parameters()),
        "epochs": n_epochs,
        **({"stopped": result.stopped} if n_epochs < spec.train.epochs else {}),
        "best_epoch": n_epochs - 1 if best.epoch is None else best.epoch,
        "final": {name: value for name, value in result.history[-1].items() if math.isfinite(value)},
        "device": accelerator.device.type,
        "precision": accelerator.mixed_precision,
        **({"compiled": not_compiled is None} if spec.train.compile else {}),
        **({"not_compiled": not_compiled} if not_compiled else {}),
        "gpus": accelerator.num_processes,
        "batch_size": min(n_cases, spec.train.batch_size * accelerator.num_processes),
        "micro_batch_size": min(gradient.micro_batch_size, spec.train.batch_size),
        "skipped_steps": result.step - result.n_updates,
        "resumed_at_step": result.resumed_at_step,
        **{name: found for name, found in of_hooks.items() if found},
    }
