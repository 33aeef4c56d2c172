"""Names of models, optimizers and transforms of other libraries, read from their source: importing timm loads torch."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from goldfold.base.errors import ConfigError

MODEL_NAME = re.compile(r"^@register_model\s*\n(?:@[^\n]*\n)*def (\w+)\(", re.MULTILINE)
CLASS_NAME = re.compile(r"^class (\w+)\(", re.MULTILINE)
EXPORTS = re.compile(r"^__all__ = (\[.*?\])", re.MULTILINE | re.DOTALL)
FACTORY = "optim/_optim_factory.py"
SECOND_ORDER = frozenset({"adahessian"})
"""Optimizers that need second-order gradients, which the training loop does not compute."""
OTHER_OPTIMIZER = "Choose another, e.g. adamw."
COMPOSITIONS = frozenset({"OneOf", "SomeOf", "RandomOrder", "Sequential", "OneOrOther"})
"""Classes of albumentations that hold transforms."""


@cache
def timm_backbones() -> frozenset[str]:
    """Names of the models that timm registers."""
    texts = (file.read_text(encoding="utf-8") for file in _sources("timm", "models/*.py"))
    return frozenset(name for text in texts for name in MODEL_NAME.findall(text))


@cache
def timm_optimizers() -> dict[str, str]:
    """Optimizers that timm registers and the training loop supports: name -> ``module:class``."""
    found, aliases = {}, {}
    for file in _sources("timm", FACTORY):
        tree = ast.parse(file.read_bytes())
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            name = ast.unparse(call.func).rpartition(".")[2]
            if name == "OptimInfo":
                values = dict(zip(("name", "opt_class"), call.args, strict=False))
                values |= {key.arg: key.value for key in call.keywords if key.arg in ("name", "opt_class")}
                found[str(ast.literal_eval(values["name"]))] = _class_place(values["opt_class"])
            elif name == "register_alias" and all(isinstance(arg, ast.Constant) for arg in call.args):
                alias, target = (str(ast.literal_eval(arg)) for arg in call.args)
                aliases[alias] = target
    found |= {alias: found[target] for alias, target in aliases.items() if target in found}
    return {name: place for name, place in sorted(found.items()) if name not in SECOND_ORDER}


def without_library(optimizer: str) -> str:
    """Advice on an optimizer of timm that needs neither a GPU nor another library."""
    for prefix, library in (("fused", "NVIDIA's apex"), ("bnb", "bitsandbytes")):
        if optimizer.startswith(prefix):
            plain = optimizer.removeprefix(prefix).removesuffix("8bit")
            same = f"Use {plain}, the same method in torch or timm." if plain in timm_optimizers() else OTHER_OPTIMIZER
            return f"It needs a GPU and {library}. {same}"
    return OTHER_OPTIMIZER


def _class_place(node: ast.expr) -> str:
    """``module:name`` of a class in timm's factory: an imported name, an attribute such as torch's, or text."""
    if isinstance(node, ast.Name):
        return f"timm.optim._optim_factory:{node.id}"
    module, _, name = (str(node.value) if isinstance(node, ast.Constant) else ast.unparse(node)).rpartition(".")
    return f"{module}:{name}"


@cache
def albumentations_transforms() -> dict[str, str]:
    """Transforms and compositions of albumentations: class name -> ``module:class``."""
    found: dict[str, str] = {}
    for module, file in _modules("albumentations"):
        if module.startswith("albumentations.augmentations") or module == "albumentations.core.composition":
            text = file.read_text(encoding="utf-8")
            public = COMPOSITIONS if module.endswith("composition") else set(_exported(text))
            found |= {name: f"{module}:{name}" for name in CLASS_NAME.findall(text) if name in public}
    return dict(sorted(found.items()))


def _exported(text: str) -> list[str]:
    """Names in a module's ``__all__``."""
    listed = EXPORTS.search(text)
    return [] if listed is None else [str(name) for name in ast.literal_eval(listed[1])]


def _modules(package: str) -> Iterator[tuple[str, Path]]:
    for file in _sources(package, "**/*.py"):
        root = next(folder for folder in file.parents if folder.name == package)
        parts = file.relative_to(root.parent).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), file


def _sources(package: str, pattern: str) -> list[Path]:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(f"{package} is not installed; install goldfold with its requirements")
    return sorted(Path(spec.submodule_search_locations[0]).glob(pattern))
