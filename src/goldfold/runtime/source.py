"""Which files of goldfold's and of the user's a file reaches, and digests of what they do, whatever their layout."""

import ast
import hashlib
import sys
import sysconfig
from collections.abc import Iterable, Iterator
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
        for name in filter(_is_goldfold, _imports(file)):
            if not any(name == skipped or name.startswith(f"{skipped}.") for skipped in unreached):
                todo.extend(files_of(name))
    return seen


@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_bytes())


@cache
def code_digest(file: Path) -> str:
    """sha256 of a file's statements, whatever its comments and layout; of what is no Python, of the bytes."""
    try:
        text = ast.dump(_tree(file)).encode() if file.suffix == ".py" else file.read_bytes()
    except (SyntaxError, ValueError):  # what imports it says so, with the place
        text = file.read_bytes()
    return hashlib.sha256(text).hexdigest()


@cache
def _imports(file: Path, package: str = "") -> tuple[str, ...]:
    """Dotted names of what a file of ``package`` imports anywhere, functions included."""
    names: list[str] = []
    try:
        tree = _tree(file)
    except (SyntaxError, ValueError):
        return ()
    for node in _run(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and (above := _imported_from(node, package)):
            names += [above, *(f"{above}.{alias.name}" for alias in node.names)]
    return tuple(names)


def _is_goldfold(name: str) -> bool:
    return name.split(".")[0] == "goldfold"


def _imported_from(node: ast.ImportFrom, package: str) -> str:
    """Dotted name behind ``from``; empty where there are more dots than packages."""
    parts = package.split(".") if package else []
    if node.level > len(parts):
        return ""
    above = parts[: len(parts) + 1 - node.level] if node.level else []
    return ".".join([*above, *([node.module] if node.module else [])])


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


def own_files(module: str) -> dict[str, Path]:
    """The user's files that importing ``module`` runs, by dotted name: itself first, then its packages and helpers.

    They are found as Python would find them, but not imported. What lies below the working folder or the one in which
    ``module`` was found is the user's; what was installed is not. Nothing where there is no such module.
    """
    first = _located(module).get(module)
    if first is None:
        return {}
    is_package = first.name == "__init__.py"
    roots = (Path.cwd(), first.parents[module.count(".") + is_package])
    seen, todo = {module: first}, [module]
    while todo:
        name = todo.pop()
        package = name if seen[name].name == "__init__.py" else name.rpartition(".")[0]
        for imported in (name, *_imports(seen[name], package)):
            for found, file in _located(imported).items():
                if found not in seen and _is_own(found, file, roots):
                    seen[found] = file
                    todo.append(found)
    return {module: first} | dict(sorted(seen.items()))


def _is_own(name: str, file: Path, roots: Iterable[Path]) -> bool:
    """Whether a module is the user's: neither goldfold's, nor Python's, nor installed."""
    installed = {"site-packages", "dist-packages"} & set(file.parts)
    standard = file.is_relative_to(Path(sysconfig.get_path("stdlib")).resolve())
    return not (installed or standard or _is_goldfold(name)) and any(file.is_relative_to(root) for root in roots)


def _located(name: str) -> dict[str, Path]:
    """Files that importing a module runs, by dotted name: those of the packages above it, then its own."""
    found: dict[str, Path] = {}
    folders, parts = [Path(folder or ".").resolve() for folder in sys.path], name.split(".") if name else []
    for depth, part in enumerate(parts, 1):
        file, folders = _step(folders, part)
        found |= {".".join(parts[:depth]): file} if file else {}
    return found


def _step(folders: list[Path], part: str) -> tuple[Path | None, list[Path]]:
    """File of a module in the first of ``folders`` that has it, and where to look for what is below it."""
    for folder in folders:
        if (file := folder / part / "__init__.py").is_file():
            return file, [folder / part]
        if (file := folder / f"{part}.py").is_file():
            return file, []
    return None, [folder / part for folder in folders if (folder / part).is_dir()]
