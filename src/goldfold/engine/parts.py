"""Parts of a network by parameter name: backbone, head, and the layers that give the output."""

from collections.abc import Iterable, Iterator
from typing import Any

from torch import nn

BACKBONES = ("network.encoder.", "network.model.backbone.body.")
"""Prefixes of the backbone in a segmentation network of smp and in a detector."""
OUTPUTS = (
    "segmentation_head", "cls_logits", "bbox_reg", "bbox_pred", "bbox_ctrness", "cls_score", "class_embed", "bbox_embed",
)  # fmt: skip
"""Names of the layers of these networks that give the output."""
FUSION, VIEWS = "fusion.", "views."
"""Prefixes of a head for cases, with the metadata branch that it may have, and of the layers over the images of a case, see
`goldfold.models.case_head`."""
AUXILIARY = "auxiliary."
"""Prefix of the heads of auxiliary targets, which are trained and not kept."""
AFTER = (FUSION, VIEWS, AUXILIARY, "link.")
"""Prefixes of what follows the network of the images: these three, and the link of ordered classes."""


def backbone(network: nn.Module) -> set[str]:
    """Return the names of the backbone's parameters: all but the classifier, or smp's encoder, or the body of a detector.

    Empty if it cannot be distinguished from the head.
    """
    names = [name for name, _ in network.named_parameters()]
    for prefix in BACKBONES:
        if any(name.startswith(prefix) for name in names):
            return {name for name in names if name.startswith(prefix)}
    classifier = set(_classifier(network))
    head = classifier | {name for name in names if name.startswith(AFTER)}
    return set(names) - head if head else set()


def output_layers(network: nn.Module) -> set[str]:
    """Return the names of the parameters of the last layers, whose outputs are the network's; empty if not known."""
    names = [name for name, _ in network.named_parameters()]
    last = {name for name in names if name.startswith(f"{FUSION}head.") or set(name.split(".")) & set(OUTPUTS)}
    return last or set(_classifier(network))


def _classifier(network: nn.Module) -> Iterator[str]:
    """Yield the names of the parameters of the classifiers that timm or ``get_classifier`` names."""
    for place, module in network.named_modules():
        for layer in _layers(module):
            prefix = f"{place}.{layer}." if place else f"{layer}."
            yield from (name for name, _ in network.named_parameters() if name.startswith(prefix))


def _layers(module: nn.Module) -> Iterable[str]:
    """Return the names of a network's classifier within it: of timm's configuration, or of what `get_classifier` returns; and of
    the parts of an own head, see `goldfold.models.heads`."""
    return dict.fromkeys([*_named(module), *getattr(module, "head_parts", ())])


def _named(module: nn.Module) -> Iterable[str]:
    settings: Any = getattr(module, "pretrained_cfg", None)
    listed = settings.get("classifier") if isinstance(settings, dict) else None
    if listed:
        return (listed,) if isinstance(listed, str) else listed
    found: Any = getattr(module, "get_classifier", None)
    layer = found() if callable(found) else None
    return [name for name, part in module.named_modules() if part is layer and name]
