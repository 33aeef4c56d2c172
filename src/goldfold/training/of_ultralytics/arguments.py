"""Arguments of ultralytics' trainer from the settings of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from goldfold.base.counter import counter
from goldfold.components import parse
from goldfold.models.ultralytics_networks import NO_ARGUMENTS
from goldfold.training.of_ultralytics.optimizers import OPTIMIZERS

if TYPE_CHECKING:
    from goldfold.training.spec import Spec

FLIPS = {"none": (0.0, 0.0), "horizontal": (0.0, 0.5), "both": (0.5, 0.5)}
"""`train.flips` -> probabilities ``flipud`` and ``fliplr``."""
PRECISIONS = {"no": False, "bf16": "bf16"}
"""Precision of accelerate -> ``amp``. fp16 is left out: its trainer would download a model to try it."""


def arguments(spec: Spec, scratch: Path, device: str, precision: str, workers: int) -> dict[str, Any]:
    """Return the arguments of the trainer; those of ``params`` take precedence.

    Args:
        scratch: folder of ``data.yaml``, in which it writes.
        device: ``cpu``, or the number of a GPU.
        precision: of accelerate: ``no`` or ``bf16``.
        workers: processes that load images.
    """
    train, params = spec.train, dict(spec.model["params"])
    up, across = FLIPS[train.flips]
    own = {key: value for key, value in params.items() if key not in NO_ARGUMENTS and value is not None}
    return {
        "task": "detect",
        "mode": "train",
        "model": f"{params['model']}.yaml",
        "data": str(scratch / "data.yaml"),
        "save_dir": str(scratch / "run"),
        "exist_ok": True,
        "imgsz": spec.size[0],
        "epochs": train.epochs,
        "batch": train.batch_size,
        "nbs": train.batch_size * train.accumulate,
        "optimizer": OPTIMIZERS.get(parse(train.optimizer)[0], "AdamW"),
        "lr0": train.lr,
        "weight_decay": train.weight_decay,
        "warmup_epochs": train.warmup_epochs,
        "cos_lr": True,
        "flipud": up,
        "fliplr": across,
        "seed": counter(*spec.key, "ultralytics") % 2**31,
        "deterministic": True,
        "device": device,
        "amp": PRECISIONS[precision],
        "workers": workers,
        "cache": "disk",
        "pretrained": False,
        "patience": 0,
        "plots": False,
        "verbose": False,
        **own,
    }
