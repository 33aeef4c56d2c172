"""Names of other people's things, known without loading torch."""

import re
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from goldfold.runtime.errors import ConfigError


@dataclass(frozen=True)
class Network:
    """What the config must know of a network."""

    has_backbone: bool = False
    has_drop_path: bool = False
    has_published_weights: bool = False
    late_params: frozenset[str] = frozenset()
    """Keys of ``params`` that matter after training only: changing them retrains nothing."""


ON_TIMM = Network(has_backbone=True, has_drop_path=True, has_published_weights=True)
DETECTOR = replace(ON_TIMM, late_params=frozenset({"score_threshold", "nms_iou", "max_boxes"}))
NETWORKS: dict[str, Network] = {
    "timm": ON_TIMM,
    "small_resnet": Network(),
    "unet": ON_TIMM,
    "unetplusplus": ON_TIMM,
    "fpn": ON_TIMM,
    "linknet": ON_TIMM,
    "manet": ON_TIMM,
    "pan": ON_TIMM,
    "pspnet": ON_TIMM,
    "deeplabv3": ON_TIMM,
    "deeplabv3plus": ON_TIMM,
    "segformer": ON_TIMM,
    "upernet": ON_TIMM,
    "dpt": ON_TIMM,
    "fcos": DETECTOR,
    "retinanet": DETECTOR,
    "faster_rcnn": DETECTOR,
}
"""Held against goldfold.models.MODELS by a test."""
MODEL_NAME = re.compile(r"^@register_model\s*\n(?:@[^\n]*\n)*def (\w+)\(", re.MULTILINE)
OPTIMIZER_NAME = re.compile(r"(?:OptimInfo\(\s*(?:name=)?|register_alias\()'(\w+)'")
SECOND_ORDER = frozenset({"adahessian"})
"""Optimizers that need gradients of gradients, which the training loop does not make."""


@cache
def timm_backbones() -> frozenset[str]:
    """Names of the models that timm registers."""
    return frozenset(name for text in _timm_sources("models/*.py") for name in MODEL_NAME.findall(text))


@cache
def timm_optimizers() -> frozenset[str]:
    """Names of the optimizers that timm registers and the training loop can use."""
    texts = _timm_sources("optim/_optim_factory.py")
    return frozenset(name for text in texts for name in OPTIMIZER_NAME.findall(text)) - SECOND_ORDER


def _timm_sources(pattern: str) -> list[str]:
    """Texts of timm's own files: importing timm to ask it would import torch."""
    spec = find_spec("timm")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError("timm is not installed; install goldfold with its requirements")
    return [file.read_text(encoding="utf-8") for file in Path(spec.submodule_search_locations[0]).glob(pattern)]
