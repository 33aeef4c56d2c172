"""Signatures of functions and classes, read from their source files without importing them."""

import ast
import importlib.util
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

from goldfold.base.errors import ConfigError, nearest
from goldfold.lineage.source import PACKAGE, located

MOST_STEPS = 8
"""Longest chain of names bound to other names that is followed; beyond it a signature is taken as unknown."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a function."""

    name: str
    default: str | None = None
    """Source text of the default, a constant of the module by its value; None if the parameter is required."""
    annotation: str = ""
    """Source text of its type; empty if it has none."""

    @property
    def is_required(self) -> bool:
        """Return whether the parameter has no default."""
        return self.default is None


@dataclass(frozen=True)
class Signature:
    """Parameters of a function in order, keyword-only ones last."""

    parameters: tuple[Parameter, ...] = ()
    most_positional: int = 0
    """Largest number of positional arguments."""
    takes_any: bool = False
    """Whether it accepts further keyword arguments."""
    about: str = ""
    """First line of its docstring."""


ANYTHING = Signature(most_positional=sys.maxsize, takes_any=True)
"""Signature of what is not written in Python, or cannot be followed."""


@cache
def read(place: str) -> Signature:
    """Signature of ``module:name``: a function, a class, or a name bound to one (``partial(f, ...)``).

    Raises:
        ConfigError: there is no such module, it is not valid Python, or it has nothing of this name that can be called.
    """
    module, _, name = place.partition(":")
    file = _file(module)
    if file is not None:
        _refuse_invalid(module, file)
    return _of(file, name, module, MOST_STEPS)


def default(where: str, name: str) -> Any:
    """Return the default of a parameter of the definition at ``module:name``.

    >>> default("goldfold.optim.schedules:step", "n_drops")
    2
    """
    text = next(one.default for one in read(where).parameters if one.name == name)
    return ast.literal_eval(str(text))


def _refuse_invalid(module: str, file: Path) -> None:
    if _tree(file) is not None:
        return
    try:
        ast.parse(file.read_bytes())
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise ConfigError(
            f"module {module!r} ({file.name}{line}) is not valid Python: {getattr(error, 'msg', error)}"
        ) from error


@cache
def _file(module: str) -> Path | None:
    """File of a module, found as Python would find it, without import; None if it is not written in Python."""
    parts = module.split(".")
    if parts[0] == "goldfold":
        base = PACKAGE.joinpath(*parts[1:])
        found = [file for file in (base / "__init__.py", base.with_suffix(".py")) if file.is_file()]
    else:
        found = [file for name, file in located(module).items() if name == module]
    if found:
        return found[0]
    try:
        spec = importlib.util.find_spec(parts[0])
    except (ImportError, ValueError):
        spec = None
    if spec is not None and _is_not_python(spec, parts):
        return None
    given = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    places = dict.fromkeys(os.path.abspath(folder) for folder in [os.getcwd(), *given])
    looked = ", ".join(place for place in places if place != str(PACKAGE.parent))
    raise ConfigError(
        f"there is no module {module!r}; looked for in {looked} and the installed packages. Add its folder to PYTHONPATH"
    )


def _is_not_python(spec: ModuleSpec, parts: list[str]) -> bool:
    """Whether a package that holds a module is built in or compiled, or is a folder that holds a compiled one."""
    if spec.origin is None and spec.submodule_search_locations is not None:
        return len(parts) > 1 and PathFinder.find_spec(".".join(parts[:2]), spec.submodule_search_locations) is not None
    return spec.origin is None or not spec.origin.endswith(".py")


@cache
def _tree(file: Path) -> ast.Module | None:
    try:
        return ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return None


def _of(file: Path | None, name: str, module: str, steps: int) -> Signature:
    tree = _tree(file) if file is not None else None
    if file is None or tree is None or not steps:
        return ANYTHING
    found, imported = _bindings(tree)
    if name in found:
        node = found[name]
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            return _of_function(node, {**_constants(imported), **found})
        if isinstance(node, ast.ClassDef):
            return _of_class(node, {**_constants(imported), **found}, file, module, steps)
        if isinstance(node, ast.Constant | ast.List | ast.Dict | ast.Set | ast.Tuple):
            raise ConfigError(
                f"{name!r} of module {module!r} ({file.name}) is {ast.unparse(node)[:40]}, which cannot be called"
            )
        return _of_value(node, file, module, steps)
    if name in imported:
        above, original = imported[name]
        above = _absolute(above, module, file)
        try:
            return _of(_file(above), original, above, steps - 1)
        except ConfigError:
            return ANYTHING
    if "*" in imported or "__getattr__" in found:
        return ANYTHING
    public = [each for each in found if not each.startswith("_")]
    raise ConfigError(
        f"module {module!r} ({file.name}) has no {name!r}; {nearest(name, public)}it has {_listed(public)}"
    )


def _listed(names: list[str]) -> str:
    return ", ".join(names[:20]) + ", ..." * (len(names) > 20) if names else "nothing"


@cache
def _bindings(tree: ast.Module) -> tuple[dict[str, ast.AST], dict[str, tuple[str, str]]]:
    """Definitions of a module by name, and names that it imports: (module, with leading dots; name there)."""
    found: dict[str, ast.AST] = {}
    imported: dict[str, tuple[str, str]] = {}
    for node in _statements(tree.body):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign):
            pairs = [(target, node.value) for target in node.targets]
            for target, value in [*pairs]:
                if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                    pairs += zip(target.elts, value.elts, strict=False)
            found |= {target.id: value for target, value in pairs if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            found[node.target.id] = node.value
        elif isinstance(node, ast.ImportFrom):
            above = "." * node.level + (node.module or "")
            imported |= {alias.asname or alias.name: (above, alias.name) for alias in node.names}
    return found, imported


def _constants(imported: Mapping[str, tuple[str, str]]) -> dict[str, ast.AST]:
    """Values of the constants that a module imports from other modules of goldfold, by name."""
    found: dict[str, ast.AST] = {}
    for name, (module, original) in imported.items():
        tree = (
            _tree(file) if original.isupper() and module.startswith("goldfold.") and (file := _file(module)) else None
        )
        if tree is not None and (value := _bindings(tree)[0].get(original)) is not None:
            found[name] = value
    return found


def _statements(body: Iterable[ast.stmt]) -> Iterable[ast.stmt]:
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With):
            yield from _statements([*node.body, *getattr(node, "orelse", []), *getattr(node, "finalbody", [])])
            for handler in getattr(node, "handlers", []):
                yield from _statements(handler.body)


def _absolute(above: str, module: str, file: Path) -> str:
    dots = len(above) - len(above.lstrip("."))
    if not dots:
        return above
    parts = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
    return ".".join([*parts[: len(parts) + 1 - dots], *filter(None, [above.lstrip(".")])])


Bindings = Mapping[str, ast.AST]


def _default(value: ast.expr | None, found: Bindings) -> str | None:
    """Source text of a default; a name that the module binds to a literal is replaced by the literal."""
    if value is None:
        return None
    bound = found.get(value.id) if isinstance(value, ast.Name) else None
    is_literal = bound is not None and not any(isinstance(part, ast.Name | ast.Call) for part in ast.walk(bound))
    return ast.unparse(bound if bound is not None and is_literal else value)


def _text(annotation: ast.expr | None) -> str:
    """Source text of an annotation, also of one that is quoted."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return annotation.value
    return ast.unparse(annotation) if annotation is not None else ""


def _of_function(node: ast.FunctionDef | ast.AsyncFunctionDef, found: Bindings, skipped: int = 0) -> Signature:
    given = node.args
    positional = [*given.posonlyargs, *given.args]
    defaults: list[ast.expr | None] = [*[None] * (len(positional) - len(given.defaults)), *given.defaults]
    pairs = [*zip(positional, defaults, strict=True)][skipped:]
    by_name = [*zip(given.kwonlyargs, given.kw_defaults, strict=True)]
    parts = [Parameter(arg.arg, _default(value, found), _text(arg.annotation)) for arg, value in (*pairs, *by_name)]
    most = sys.maxsize if given.vararg else len(pairs)
    about = (ast.get_docstring(node) or "").partition("\n")[0]
    return Signature(tuple(parts), most, given.kwarg is not None, about)


def _of_class(node: ast.ClassDef, found: Bindings, file: Path, module: str, steps: int) -> Signature:
    about = (ast.get_docstring(node) or "").partition("\n")[0]
    for part in node.body:
        if isinstance(part, ast.FunctionDef) and part.name == "__init__":
            return replace(_of_function(part, found, skipped=1), about=about)
    if any("dataclass" in ast.unparse(each) for each in node.decorator_list):
        fields = [part for part in node.body if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)]
        parts = [
            Parameter(part.target.id, _default(part.value, found), _text(part.annotation))
            for part in fields
            if isinstance(part.target, ast.Name) and "ClassVar" not in ast.unparse(part.annotation)
        ]
        return Signature(tuple(parts), len(parts), False, about)
    for base in node.bases:
        if isinstance(base, ast.Name):
            try:
                return replace(_of(file, base.id, module, steps - 1), about=about)
            except ConfigError:
                break
    return ANYTHING if node.bases else Signature(about=about)


def _of_value(node: ast.AST, file: Path, module: str, steps: int) -> Signature:
    """Signature of a name bound to another, or to a call whose first argument is a function: ``partial(f, ...)``."""
    if isinstance(node, ast.Name):
        return _of(file, node.id, module, steps - 1)
    if not isinstance(node, ast.Call) or not node.args:
        return ANYTHING
    inner = _of_value(node.args[0], file, module, steps - 1)
    if ast.unparse(node.func).rpartition(".")[2] != "partial" or inner is ANYTHING:
        return inner
    taken = {key.arg for key in node.keywords}
    parts = [part for part in inner.parameters[len(node.args) - 1 :] if part.name not in taken]
    return replace(inner, parameters=tuple(parts), most_positional=max(0, inner.most_positional - len(node.args) + 1))
