"""Which of goldfold's files a file reaches, and a digest of what they do, whatever their comments and layout."""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def closure(script: Path, unreached: tuple[str, ...] = ()) -> set[Path]:
    """Files of goldfold that ``script`` imports, directly or not, itself included."""
    seen, todo = set(), [script]
    while todo:
        file = todo.pop()
        if file in seen:
            continue
        seen.add(file)
        for name in _imports(file):
            if not any(name == skipped or name.startswith(f"{skipped}.") for skipped in unreached):
                todo.extend(files_of(name))
    return seen


@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


@cache
def code_digest(file: Path) -> str:
    """sha256 of a file's statements, whatever its comments and layout; of other files than Python's, of the bytes."""
    text = ast.dump(_tree(file)).encode() if file.suffix == ".py" else file.read_bytes()
    return hashlib.sha256(text).hexdigest()


@cache
def _imports(file: Path) -> tuple[str, ...]:
    """Dotted names of goldfold's modules that a file imports anywhere, functions included."""
    names: list[str] = []
    for node in _run(_tree(file)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(name for name in names if name.split(".")[0] == "goldfold")


def _run(node: ast.AST) -> Iterator[ast.AST]:
    """All that is below ``node`` but what stands under ``if TYPE_CHECKING``, which never runs."""
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING"):
            yield child
            yield from _run(child)


def files_of(name: str) -> list[Path]:
    """Files that importing ``name`` runs: its own and those of the packages above it."""
    parts = name.split(".")[1:]
    folders = [PACKAGE.joinpath(*parts[:depth], "__init__.py") for depth in range(1, len(parts) + 1)]
    module = PACKAGE.joinpath(*parts).with_suffix(".py") if parts else PACKAGE / "__init__.py"
    return [file for file in (*folders, module) if file.is_file()]
