"""Config of heads on frozen backbones: embeddings are made once, and heads are fitted to them over all folds and seeds."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field

from goldfold.components import name_of
from goldfold.config.base import Section, Unique
from goldfold.config.views import View, needs_trial, settled
from goldfold.config.written import Head
from goldfold.ensembling.with_metadata import embeddings_of

if TYPE_CHECKING:
    from goldfold.config.models import Model
    from goldfold.config.root import Config

REFUSED = (
    "train",
    "gpus",
    "dropout",
    "drop_path",
    "metadata",
    "soup",
    "head",
    "views",
    "windows",
    "max_images",
    "embedding",
    "neighbours",
)
"""Keys of a model that a head on a frozen backbone cannot have."""
ZERO_SHOT, CLIP = "zero_shot", "clip"
"""Head that compares images with texts, and the network that has both."""
MEAN = "mean"
"""Value of a model's `views` that needs no layers."""
DESCRIBED = {"network", "backbone", "params", "pretrained", "partly_pretrained", "mean", "std"}
"""Keys of a model that its embeddings depend on, besides sizes and views."""
OF_A_FOLD = re.compile(r"/fold\d+/")
"""Part of the path of weights that goldfold trained on one fold."""
LONGEST = 40
"""Most characters of a backbone's name in the name of its embeddings."""


class Frozen(Section):
    """A head on a frozen backbone: the network is not trained, its last layer is replaced by a head that is fitted to the
    embeddings of the images, by fold and seed, in the first round. Classification, ordinal, multilabel and regression."""

    head: Head
    """`logistic` (classes), `ridge` (numbers), `mlp`, `knn`, `boosted`, or your own as `package.module:function`. Its strength is
    chosen within the training rows of each fold."""
    views: Annotated[list[View], Field(min_length=1), Unique] = ["identity"]
    """Views of each image; the embedding of a case is the mean over its views and images. `tta` has no effect on heads."""


def _section(value: Any) -> Any:
    if value is not None and not isinstance(value, dict | Frozen):
        raise ValueError("write a section: {head: logistic}")
    return value


Written = Annotated[Frozen | None, BeforeValidator(_section)]


def refuse_keys(values: Any) -> None:
    """Raise ValueError if a model with a head on a frozen backbone has keys of training.

    Args:
        values: a model as read from YAML.
    """
    is_frozen = isinstance(values, dict) and values.get("frozen") is not None
    if more := [key for key in REFUSED if is_frozen and values.get(key) not in (None, False, MEAN)]:
        raise ValueError(
            f"{', '.join(more)}: a frozen backbone is not trained, and its head takes embeddings of images alone, "
            f"averaged over the images of a case; remove "
            f"{'it' if len(more) == 1 else 'them'}, or remove frozen"
        )


def embedding_settings(config: "Config", model: "Model") -> dict[str, Any]:
    """Everything that the embeddings of a model depend on besides data, runtime and code."""
    if model.frozen is None:
        raise ValueError(f"{model.name} has no frozen backbone")
    cached = config.cached_size(model)
    described = model.model_dump(include=DESCRIBED)
    return {
        "model": {
            **described,
            "size": list(model.size),
            **({} if cached == model.size else {"cache_size": list(cached)}),
        },
        "resize": model.resizing,
        "views": settled(model.frozen.views),
    }


def doubts(config: "Config") -> list[str]:
    """Heads on backbones with random weights, or with those of a training by fold."""
    names = [model.name for model in config.models if model.frozen and not model.pretrained]
    return [
        f"models ({name}): pretrained: false: the frozen backbone has random weights, so its embeddings say little about the "
        f"images; set pretrained to true, or to the path of a weight file"
        for name in names
    ] + [
        f"models ({model.name}).pretrained = {model.pretrained!r}: the frozen backbone was trained on the labels of one fold; if "
        f"images of this run were among its training images, its embeddings know labels that are validated here, and the scores "
        f"are too good"
        for model in config.models
        if model.frozen and isinstance(model.pretrained, str) and OF_A_FOLD.search(model.pretrained)
    ]


def trials(config: "Config") -> list[dict[str, Any]]:
    """Settings for building each frozen backbone once, before any job runs."""
    names = config.embeddings
    models = {names[model.name]: model for model in reversed(config.models) if model.frozen}
    with_texts = {names[one.name] for one in config.models if one.frozen and name_of(one.frozen.head) == ZERO_SHOT}
    return [
        {
            **(settings := embedding_settings(config, model))["model"],
            "name": model.name,
            "channels": config.data.channels,
            "batch_norm": "trained",
            "task": config.task,
            **({"tta": settings["views"]} if needs_trial(settings["views"]) else {}),
            "frozen": True,
            **({"takes_texts": True} if name in with_texts else {}),
        }
        for name, model in models.items()
    ]


def embeddings(config: "Config") -> dict[str, str]:
    """Name of the embeddings of each model with a head; models with the same backbone, images and views share them."""
    return {model.name: _name(config, model) for model in config.models if model.frozen is not None}


def stacked(config: "Config") -> dict[str, str]:
    """See `goldfold.config.root.Config.stacked_embeddings`; models that are listed and have none are left to later checks."""
    taken = [value for step in config.written_steps if (value := embeddings_of(step))]
    known = embeddings(config) if taken else {}
    if any(value is True for value in taken):
        return {model: own for model, own in known.items() if model == _first(known, own)}
    names = [name for value in taken if isinstance(value, list) for name in value]
    return {name: known[name] for name in names if name in known}


def _first(known: Mapping[str, str], embedding: str) -> str:
    return next(model for model, own in known.items() if own == embedding)


def _name(config: "Config", model: "Model") -> str:
    settings = json.dumps(embedding_settings(config, model), sort_keys=True)
    digest = hashlib.sha256(settings.encode()).hexdigest()[:8]
    network = model.backbone or str(model.network)
    height, width = model.size
    return f"{re.sub(r'[^A-Za-z0-9_]+', '-', network).strip('-')[:LONGEST]}-{height}x{width}-{digest}"
