"""Checks that need more than one key of the config, or a look at the machine; each before any job runs."""

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from goldfold.config.learning import Model
from goldfold.config.root import Config
from goldfold.runtime.errors import ConfigError, nearest

NETWORKS = {"timm": True, "small_resnet": False}
"""Network -> whether it takes a backbone; held against goldfold.models.MODELS by a test."""
MODEL_NAME = re.compile(r"^@register_model\s*\n(?:@[^\n]*\n)*def (\w+)\(", re.MULTILINE)
OPTIMIZER_NAME = re.compile(r"OptimInfo\(\s*name='(\w+)'")


def _timm_sources(pattern: str) -> list[str]:
    """Texts of timm's own files: importing timm to ask it would import torch."""
    spec = find_spec("timm")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError("timm is not installed; install goldfold with its requirements")
    return [file.read_text(encoding="utf-8") for file in Path(spec.submodule_search_locations[0]).glob(pattern)]


@cache
def timm_backbones() -> frozenset[str]:
    """Names of the models that timm registers."""
    return frozenset(name for text in _timm_sources("models/*.py") for name in MODEL_NAME.findall(text))


@cache
def timm_optimizers() -> frozenset[str]:
    """Names of the optimizers that timm registers."""
    return frozenset(name for text in _timm_sources("optim/_optim_factory.py") for name in OPTIMIZER_NAME.findall(text))


def check(config: Config) -> None:
    """Raise ConfigError with every problem found, a line each."""
    problems = [problem for model in enumerate(config.models) for problem in _model_problems(*model)]
    names = [model.name for model in config.models]
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.append(f"models: two members are named {name!r}; give each its own name")
    for name, weight in config.ensemble.weights.items():
        if name not in names:
            problems.append(f"ensemble.weights.{name}: no model of that name; {nearest(name, names)}allowed: {names}")
        elif weight < 0:
            problems.append(f"ensemble.weights.{name} = {weight}: must not be negative")
    if config.ensemble.weights and not any(config.ensemble.weights.get(name, 1.0) > 0 for name in names):
        problems.append("ensemble.weights: all are zero; give at least one model a positive weight")
    problems += _pseudo_problems(config) + _split_problems(config)
    if problems:
        raise ConfigError("\n".join(problems))


def _model_problems(index: int, model: Model) -> list[str]:
    where, problems = f"models[{index}] ({model.name})", []
    if ":" not in model.network:
        if model.network not in NETWORKS:
            hint = nearest(model.network, NETWORKS)
            problems.append(
                f"{where}.network = {model.network!r}: {hint}allowed: {sorted(NETWORKS)}, package.module:function"
            )
        elif NETWORKS[model.network] and model.backbone is None:
            problems.append(f"{where}.backbone: network {model.network!r} needs one, e.g. backbone: resnet18")
        elif not NETWORKS[model.network] and model.backbone is not None:
            problems.append(f"{where}.backbone = {model.backbone!r}: network {model.network!r} takes none; remove it")
    elif not re.fullmatch(r"[\w.]+:\w+", model.network):
        problems.append(f"{where}.network = {model.network!r}: write your own as package.module:function")
    if model.network == "timm" and model.backbone is not None:
        problems += _backbone_problems(where, model.backbone)
    optimizer = model.train.optimizer
    if optimizer not in timm_optimizers():
        hint = nearest(optimizer, timm_optimizers())
        problems.append(
            f"{where}.train.optimizer = {optimizer!r}: {hint}allowed: {', '.join(sorted(timm_optimizers()))}"
        )
    if (model.train.mixup_alpha or model.train.cutmix_alpha) and model.train.batch_size % 2:
        problems.append(f"{where}.train.batch_size = {model.train.batch_size}: must be even with mixup or cutmix")
    if isinstance(model.pretrained, str) and not Path(model.pretrained).is_file():
        problems.append(f"{where}.pretrained = {model.pretrained!r}: no such file; give a path, true or false")
    if model.network == "small_resnet" and model.pretrained is True:
        problems.append(f"{where}.pretrained = true: small_resnet has no published weights; give a path or false")
    if model.image_size_px is None and model.backbone is None:
        problems.append(f"{where}.image_size_px: missing; only a timm backbone brings its own")
    if isinstance(model.image_size_px, int) and not 4 <= model.image_size_px <= 8192:
        problems.append(f"{where}.image_size_px = {model.image_size_px}: must lie between 4 and 8192")
    return problems


def _backbone_problems(where: str, backbone: str) -> list[str]:
    name, known = backbone.split(".")[0], timm_backbones()
    if name in known or backbone.startswith(("hf-hub:", "hf_hub:", "local-dir:")):
        return []
    return [f"{where}.backbone = {backbone!r}: {nearest(name, known)}timm knows {len(known)}: timm.list_models('*')"]


def _pseudo_problems(config: Config) -> list[str]:
    if config.pseudo_labels.rounds and not config.pseudo_sources:
        return ["pseudo_labels.rounds: there are no test or unlabeled images to label; name some or set rounds: 0"]
    return []


def _split_problems(config: Config) -> list[str]:
    splitter, problems = config.folds.splitter, []
    for key, splitters in (("group_column", ("group", "stratified_group")), ("fold_column", ("predefined",))):
        if splitter in splitters and getattr(config.data, key, None) is None:
            problems.append(f"folds.splitter = {splitter!r}: needs data.{key} (source csv)")
    if splitter == "stratified" and getattr(config.data, "group_column", None):
        problems.append("data.group_column is set but folds.splitter is 'stratified', which would split groups over "
                        "folds: use stratified_group or group, or remove group_column")  # fmt: skip
    return problems
