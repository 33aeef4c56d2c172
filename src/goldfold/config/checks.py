"""Checks that need more than one key of the config, or a look at the machine; each before any job runs."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from goldfold.config.learning import Model
from goldfold.config.names import NETWORKS, timm_backbones, timm_optimizers
from goldfold.config.root import Config
from goldfold.runtime.errors import ConfigError, nearest

TURNS = frozenset({"rot90", "rot270", "transpose", "antitranspose"})
"""Views that swap height and width."""


def check(config: Config) -> None:
    """Raise ConfigError with every problem found, a line each."""
    problems = [
        f"models[{index}] ({model.name}).{problem}"
        for index, model in enumerate(config.models)
        for problem in (*_network(model), *_training(model), *_images(model, config.tta))
    ]
    problems += [*_members(config), *_weights(config), *_pseudo_labels(config), *_answers(config), *_folds(config)]
    if problems:
        raise ConfigError("\n".join(problems))


def _network(model: Model) -> Iterator[str]:
    if ":" in model.network:
        if not re.fullmatch(r"[\w.]+:\w+", model.network):
            yield f"network = {model.network!r}: write your own as package.module:function"
        return
    facts = NETWORKS.get(model.network)
    if facts is None:
        hint = nearest(model.network, NETWORKS)
        yield f"network = {model.network!r}: {hint}allowed: {', '.join(sorted(NETWORKS))}, package.module:function"
        return
    if facts.has_backbone:
        yield from _backbone(model.network, model.backbone)
    elif model.backbone is not None:
        yield f"backbone = {model.backbone!r}: network {model.network!r} takes none; remove it"
    if model.drop_path and not facts.has_drop_path:
        yield f"drop_path = {model.drop_path:g}: network {model.network!r} has none; remove it"
    if model.pretrained is True and not facts.has_published_weights:
        yield f"pretrained = true: network {model.network!r} has no published weights; give a path or false"


def _backbone(network: str, backbone: str | None) -> Iterator[str]:
    if backbone is None:
        yield f"backbone: network {network!r} needs one, e.g. backbone: resnet18"
    elif backbone.split(".")[0] not in timm_backbones() and not backbone.startswith(("hf-hub:", "local-dir:")):
        hint = nearest(backbone.split(".")[0], timm_backbones())
        yield f"backbone = {backbone!r}: {hint}timm knows {len(timm_backbones())}: timm.list_models('*')"


def _training(model: Model) -> Iterator[str]:
    settings = model.train
    if settings.optimizer not in timm_optimizers():
        hint = nearest(settings.optimizer, timm_optimizers())
        yield f"train.optimizer = {settings.optimizer!r}: {hint}allowed: {', '.join(sorted(timm_optimizers()))}"
    if (settings.mixup_alpha or settings.cutmix_alpha) and settings.batch_size % 2:
        yield f"train.batch_size = {settings.batch_size}: must be even with mixup or cutmix"


def _images(model: Model, views: Sequence[str]) -> Iterator[str]:
    if isinstance(model.pretrained, str) and not Path(model.pretrained).is_file():
        yield f"pretrained = {model.pretrained!r}: no such file; give a path, true or false"
    size = model.image_size_px
    if size is None and model.backbone is None:
        yield "image_size_px: missing; only a timm backbone brings its own"
    if isinstance(size, int) and not 4 <= size <= 8192:
        yield f"image_size_px = {size}: must lie between 4 and 8192"
    turned = [view for view in views if view in TURNS]
    if isinstance(size, list) and size[0] != size[1] and turned:
        yield f"image_size_px = {size}: tta view {turned[0]!r} swaps height and width; use square images or other views"


def _members(config: Config) -> Iterator[str]:
    names = [model.name for model in config.models]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"models: two members are named {name!r}; give each its own name"


def _weights(config: Config) -> Iterator[str]:
    names, weights = [model.name for model in config.models], config.ensemble.weights
    for name, weight in weights.items():
        if name not in names:
            yield f"ensemble.weights.{name}: no model of that name; {nearest(name, names)}allowed: {', '.join(names)}"
        elif weight < 0:
            yield f"ensemble.weights.{name} = {weight}: must not be negative"
    if all(weights.get(name, 1.0) == 0 for name in names):
        yield "ensemble.weights: all are zero; give at least one model a positive weight"


def _pseudo_labels(config: Config) -> Iterator[str]:
    if config.pseudo_labels.rounds and not config.pseudo_sources:
        yield "pseudo_labels.rounds: there are no test or unlabeled images to label; name some or set rounds: 0"


def _answers(config: Config) -> Iterator[str]:
    for path in config.data.owned(config.data.test_answers):
        if not Path(path).is_file():
            yield f"data.test_answers = {path!r}: no such file; give a CSV of id and label, or remove it"


def _folds(config: Config) -> Iterator[str]:
    splitter = config.folds.splitter
    if splitter != "predefined" and getattr(config.data, "fold_column", None):
        yield f"data.fold_column is set but folds.splitter is {splitter!r}: use predefined, or remove fold_column"
    for key, splitters in (("group_column", ("group", "stratified_group")), ("fold_column", ("predefined",))):
        if splitter in splitters and getattr(config.data, key, None) is None:
            yield f"folds.splitter = {splitter!r}: needs data.{key} (source csv)"
    if splitter == "stratified" and getattr(config.data, "group_column", None):
        yield (
            "data.group_column is set but folds.splitter is 'stratified', which would split groups over folds: use "
            "stratified_group or group, or remove group_column"
        )
