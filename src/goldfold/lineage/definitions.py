"""The top-level definitions of a Python file: a digest of each, and the names that it uses.

A digest covers statements, not comments, layout or docstrings. Imported names are resolved to ``module:name``, so that
`goldfold.lineage.source` can follow them from file to file.
"""

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

WHOLE = "*"
"""Name that means all definitions of a file."""
ALWAYS = "(on import)"
"""Name that means the statements that run on import, other than definitions and imports."""
DYNAMIC = "globals"
"""Function by which a file may look up any of its definitions by name."""
BUILT_IN = frozenset({"property", "staticmethod", "classmethod"})
"""Decorators built into Python."""
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef, *COMPREHENSIONS)
EMPTY = (ast.expr_context, ast.operator, ast.unaryop, ast.cmpop, ast.boolop)
"""Nodes without names."""
PLACE = re.compile(r"(goldfold(?:\.\w+)+):(\w+)")
"""A definition named in a string."""


@dataclass
class Definition:
    """Statements that define a name."""

    digest: str
    """sha256 of the statements."""
    uses: dict[str, str] = field(default_factory=dict)
    """Dotted name as written -> the ``module:name`` it refers to; names of the same file start with a dot."""
    imports: list[str] = field(default_factory=list)
    """Modules that the statements import."""


@dataclass
class Outline:
    """Definitions of a file by name, including `ALWAYS`, and names bound by its import statements."""

    definitions: dict[str, Definition]
    bound: dict[str, str]
    """Name -> imported ``module:name``; the name is empty for a module."""


def outline(text: bytes, package: str) -> Outline:
    """Outline of a file's text.

    Args:
        package: dotted name of the package that relative imports refer to.

    Raises:
        SyntaxError, ValueError: the text is not Python.
    """
    tree = ast.parse(text)
    found: dict[str, list[ast.stmt]] = {}
    always: list[ast.stmt] = []
    imports: list[ast.stmt] = []
    for statement in tree.body:
        names = _defined(statement)
        if _is_docstring(statement) or _is_type_checking(statement):
            continue
        if isinstance(statement, ast.Import | ast.ImportFrom):
            imports.append(statement)
        elif names:
            for name in names:
                found.setdefault(name, []).append(statement)
        else:
            always.append(statement)
    bound, modules = _imported(imports, package)
    nested = {name for statement in always for node in ast.walk(statement) for name in _defined(node)}
    local = {*found, *nested}
    definitions = {name: _definition(parts, bound, local, package) for name, parts in found.items()}
    always += [part for parts in found.values() for part in parts if any(_is_ours(d, bound) for d in _decorators(part))]
    definitions[ALWAYS] = _definition(always, bound, local, package)
    definitions[ALWAYS].imports += modules
    for name in nested - set(found):  # defined in a branch: part of `ALWAYS`
        definitions[name] = definitions[ALWAYS]
    return Outline(definitions, bound)


def _defined(node: ast.AST) -> list[str]:
    """Names that a statement defines, if it does nothing else."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.AnnAssign):
        return [node.target.id] if isinstance(node.target, ast.Name) else []
    if isinstance(node, ast.Assign):
        parts = [part for target in node.targets for part in _flat(target)]
        return [part.id for part in parts if isinstance(part, ast.Name)] if _all_names(parts) else []
    return []


def _flat(target: ast.expr) -> Iterator[ast.expr]:
    if isinstance(target, ast.Tuple | ast.List):
        for part in target.elts:
            yield from _flat(part)
    else:
        yield target


def _all_names(parts: Iterable[ast.expr]) -> bool:
    return all(isinstance(part, ast.Name) for part in parts)


def _decorators(statement: ast.stmt) -> list[ast.expr]:
    return list(getattr(statement, "decorator_list", []))


def _is_ours(decorator: ast.expr, bound: dict[str, str]) -> bool:
    """Return whether a decorator is from goldfold or the same file, and so may register the decorated object."""
    call = decorator.func if isinstance(decorator, ast.Call) else decorator
    root = (_chain(call) or "").split(".")[0]
    return root not in BUILT_IN and re.split("[.:]", bound.get(root, "goldfold"))[0] == "goldfold"


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _definition(parts: list[ast.stmt], bound: dict[str, str], local: set[str], package: str) -> Definition:
    nodes = [node for part in parts for node in _running(part)]
    own_bound, modules = _imported([n for n in nodes if isinstance(n, ast.Import | ast.ImportFrom)], package)
    bound = bound | own_bound
    uses: dict[str, str] = {}
    for chain in (chain for part in parts for chain in _chains(part)):
        root, _, rest = chain.partition(".")
        if chain.endswith("()"):
            uses[chain] = f".{WHOLE}"
        elif root in bound:
            uses[chain] = f"{bound[root]}.{rest}" if rest else bound[root]
        elif root in local:
            uses[chain] = f".{chain}"
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and PLACE.fullmatch(node.value):
            uses[node.value] = node.value
    text = "\n".join(_dump(part) for part in parts)
    return Definition(hashlib.sha256(text.encode()).hexdigest(), uses, modules)


def _children(node: ast.AST) -> list[ast.AST]:
    """Nodes directly below a node; a list is twice as fast as `ast.iter_child_nodes`."""
    found: list[ast.AST] = []
    for name in node._fields:
        value = getattr(node, name, None)
        if isinstance(value, ast.AST):
            found.append(value)
        elif isinstance(value, list):
            found += [part for part in value if isinstance(part, ast.AST)]
    return found


def _running(node: ast.AST) -> list[ast.AST]:
    """A node and all nodes below it, in the order of the text, except those under ``if TYPE_CHECKING``."""
    found: list[ast.AST] = []
    todo = [node]
    while todo:
        node = todo.pop()
        if not _is_type_checking(node):
            found.append(node)
            todo += reversed(_children(node))
    return found


def _imported(statements: Iterable[ast.AST], package: str) -> tuple[dict[str, str], list[str]]:
    """Names bound by import statements, with their dotted origin, and imported modules."""
    bound: dict[str, str] = {}
    modules: list[str] = []
    for node in statements:
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
            for alias in node.names:
                root = alias.name.split(".")[0]
                bound[alias.asname or root] = f"{alias.name if alias.asname else root}:"
        elif isinstance(node, ast.ImportFrom) and (above := _imported_from(node, package)):
            modules += [above, *(f"{above}.{alias.name}" for alias in node.names)]
            bound |= {alias.asname or alias.name: f"{above}:{alias.name}" for alias in node.names}
    return bound, modules


def _imported_from(node: ast.ImportFrom, package: str) -> str:
    """Dotted name after ``from``; empty if there are more dots than packages."""
    parts = package.split(".") if package else []
    if node.level > len(parts):
        return ""
    above = parts[: len(parts) + 1 - node.level] if node.level else []
    return ".".join([*above, *([node.module] if node.module else [])])


def _chains(node: ast.AST, local: frozenset[str] = frozenset()) -> list[str]:
    """Names with their attributes (such as ``optim.build``), without variables of enclosing functions."""
    if _is_type_checking(node):
        return []
    found: list[str] = []
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        local |= _variables(node)
    if isinstance(node, COMPREHENSIONS):
        local |= {part.id for each in node.generators for part in ast.walk(each.target) if isinstance(part, ast.Name)}
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == DYNAMIC:
        found.append(f"{node.func.id}()")
    if isinstance(node, ast.Name | ast.Attribute) and (chain := _chain(node)):
        if chain.split(".")[0] not in local and not (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)):
            found.append(chain)
        return found
    for child in _children(node):
        if not isinstance(child, EMPTY):
            found += _chains(child, local)
    return found


def _variables(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> frozenset[str]:
    """Arguments of a function and names that it assigns, without those that it also imports."""
    names = {node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)}
    outside: set[str] = set()
    body = function.body if isinstance(function.body, list) else [function.body]
    todo: list[ast.AST] = [*body]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            outside |= set(node.names)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            outside |= set(_imported([node], "")[0])
        if not isinstance(node, SCOPES):
            todo += _children(node)
    return frozenset(names - outside)


def _chain(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    above = _chain(node.value) if isinstance(node, ast.Attribute) else None
    return f"{above}.{node.attr}" if above and isinstance(node, ast.Attribute) else None


def statements(text: bytes) -> str:
    """Text of a file's statements without docstrings.

    Raises:
        SyntaxError, ValueError: it is not Python.
    """
    module = ast.parse(text)
    for node in ast.walk(module):
        _drop_docstrings(node)
    return ast.dump(module)


def _drop_docstrings(node: ast.AST) -> None:
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if isinstance(block, list):
            setattr(node, name, [part for part in block if not _is_docstring(part)])


def _dump(statement: ast.stmt) -> str:
    """Text of a statement without docstrings, and without the modules that goldfold's names are imported from."""
    todo: list[ast.AST] = [statement]
    while todo:
        node = todo.pop()
        _drop_docstrings(node)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "goldfold":
            node.module = "goldfold"
        todo += [child for child in _children(node) if not isinstance(child, ast.expr)]  # below which no statement is
    return ast.dump(statement)
