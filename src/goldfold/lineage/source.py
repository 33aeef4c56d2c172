"""Code of goldfold and of user-defined modules that a job reaches, by definition, and its digests.

A digest depends on the content of definitions, not on their files: moving a function, or adding one that no job uses,
changes no digest. See docs/decisions/003-what-code-a-job-depends-on.md.
"""

import atexit
import hashlib
import json
import os
import sys
import sysconfig
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from goldfold.base.files import read_json, write_text
from goldfold.lineage import definitions
from goldfold.lineage.definitions import ALWAYS, WHOLE, Definition, Outline

PACKAGE = Path(__file__).resolve().parents[1]
MEMORY = Path(".goldfold/outlines.json")
Unit = tuple[Path, str]
"""A file, and a definition in it."""


def reach(roots: Iterable[Unit], unreached: tuple[str, ...] = ()) -> dict[Unit, str]:
    """Digests of all definitions of goldfold that ``roots`` reach directly or indirectly, including themselves.

    A digest covers a definition and, for each name that it uses, the definition that the name refers to.

    Args:
        unreached: modules and packages that are not followed, and whose definitions are left out.
    """
    found: dict[Unit, str] = {}
    todo = [unit for root in roots for unit in _expanded(root)]
    while todo:
        unit = todo.pop()
        if unit in found or _is_left_out(unit[0], unreached):
            continue
        file, definition = unit[0], _outline(unit[0]).definitions[unit[1]]
        meaning = []
        for written, place in sorted(definition.uses.items()):
            targets = _targets(file, place)
            todo += targets
            counts = len(targets) == 1 and not _is_left_out(targets[0][0], unreached)
            meant = [_outline(where).definitions[name].digest for where, name in targets] if counts else []
            meaning.append(
                f"{written} {meant[0] if meant else WHOLE if _is_goldfold(place) or place[0] == '.' else place}"
            )
        todo += [(imported, ALWAYS) for name in definition.imports for imported in _imported_files(name)]
        todo += [(file, ALWAYS)]
        found[unit] = hashlib.sha256("\n".join([definition.digest, *meaning]).encode()).hexdigest()
    return found


def digest(reached: dict[Unit, str]) -> str:
    """One digest of all reached definitions, regardless of their files."""
    return hashlib.sha256("".join(sorted(set(reached.values()))).encode()).hexdigest()


def by_file(reached: dict[Unit, str]) -> dict[Path, str]:
    """Digest of the reached definitions per file; files without any are left out."""
    parts: dict[Path, list[str]] = {}
    for (file, name), found in reached.items():
        if name != ALWAYS or _outline(file).definitions[ALWAYS].digest != EMPTY:
            parts.setdefault(file, []).append(found)
    return {file: hashlib.sha256("".join(sorted(found)).encode()).hexdigest() for file, found in sorted(parts.items())}


def whole(file: Path) -> Unit:
    """The unit of a whole file."""
    return file, WHOLE


EMPTY = hashlib.sha256(b"").hexdigest()


def targets(place: str) -> list[Unit]:
    """Definitions of goldfold that ``module:name`` refers to; without a name, all of the module."""
    return _targets(PACKAGE, place)


def _expanded(unit: Unit) -> list[Unit]:
    """Definitions of a unit: those of a whole file, or of the module that a name was imported from."""
    file, name = unit
    known = _outline(file)
    if name == WHOLE:
        imported = (unit for place in known.bound.values() for unit in _targets(file, place))
        return [*((file, each) for each in known.definitions), *imported]
    if name in known.definitions:
        return [unit]
    return _targets(file, known.bound[name]) if name in known.bound else [(file, ALWAYS)]


@cache
def _targets(file: Path, place: str) -> list[Unit]:
    """Definitions that a name used in ``file`` refers to; empty if it is not from goldfold."""
    if place.startswith("."):
        return _expanded((file, place[1:].split(".")[0]))
    module, _, names = place.partition(":")
    found = _module_file(module) if _is_goldfold(module) else None
    if found is None:
        return []
    for name in filter(None, names.split(".")):
        known, module = _outline(found), f"{module}.{name}"
        is_named = name in known.definitions or known.bound.get(name, f"{module}:") not in (
            f"{module}:",
            _as_name(module),
        )
        below = None if is_named else _module_file(module)  # a name in a package may shadow one of its modules
        if below is None:
            return _expanded((found, name))
        found = below
    return _expanded((found, WHOLE))


def _as_name(module: str) -> str:
    """A module as a name in its parent package."""
    above, _, name = module.rpartition(".")
    return f"{above}:{name}"


@cache
def _is_left_out(file: Path, unreached: tuple[str, ...]) -> bool:
    name = _dotted(file)
    return any(name == skipped or name.startswith(f"{skipped}.") for skipped in unreached)


@cache
def _dotted(file: Path) -> str:
    """Dotted name of a file of goldfold; empty for other files."""
    if not file.is_relative_to(PACKAGE):
        return ""
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def _module_file(dotted: str) -> Path | None:
    parts = dotted.split(".")[1:]
    for file in (PACKAGE.joinpath(*parts, "__init__.py"), PACKAGE.joinpath(*parts).with_suffix(".py")):
        if parts and file.is_file():
            return file
    return PACKAGE / "__init__.py" if not parts else None


@cache
def _imported_files(name: str) -> list[Path]:
    """Files of goldfold that importing ``name`` runs: its own and those of its parent packages."""
    if not _is_goldfold(name):
        return []
    parts = name.split(".")
    found = (_module_file(".".join(parts[:depth])) for depth in range(1, len(parts) + 1))
    return [file for file in found if file]


@cache
def _outline(file: Path) -> Outline:
    """Outline of a file, remembered by size and times; a file that is not Python counts as code that runs on import."""
    return _memory().get(file)


class _Outlines:
    """Outlines of files by path, each valid as long as size and times of the file stay the same."""

    def __init__(self) -> None:
        self.version = f"{sys.version} {code_digest(Path(definitions.__file__))}"
        try:
            stored = read_json(MEMORY)
            self.known: dict[str, list[Any]] = dict(stored["files"]) if stored["version"] == self.version else {}
        except (OSError, ValueError, KeyError, TypeError):
            self.known = {}
        self.is_new = False

    def get(self, file: Path) -> Outline:
        stat = os.stat(file)
        stamp = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
        entry = self.known.get(str(file))
        if entry is None or entry[0] != stamp:
            entry = self.known[str(file)] = [stamp, _read(file)]
            if not self.is_new:
                self.is_new = True
                atexit.register(self.save, Path.cwd())
        if isinstance(entry[1], dict):
            parts = {name: Definition(**values) for name, values in entry[1]["definitions"].items()}
            entry[1] = Outline(parts, entry[1]["bound"])
        return entry[1]

    def save(self, folder: Path) -> None:
        """Write the outlines if there are new ones and the folder has a goldfold cache directory."""
        if self.is_new and (folder / MEMORY).parent.is_dir():
            with suppress(OSError):  # a full disk must not end the run
                write_text(folder / MEMORY, json.dumps({"version": self.version, "files": self.known}, default=vars))
                self.is_new = False


_memory = cache(_Outlines)


def save() -> None:
    """Write the outlines that this process has made, so that the jobs it starts need not make them again."""
    _memory().save(Path.cwd())


def _read(file: Path) -> Outline:
    text = file.read_bytes()
    dotted = _dotted(file)
    package = dotted if file.name == "__init__.py" else dotted.rpartition(".")[0]
    try:
        return definitions.outline(text, package)
    except (SyntaxError, ValueError):  # reported on import, with the line
        return Outline({ALWAYS: Definition(hashlib.sha256(text).hexdigest())}, {})


@cache
def code_digest(file: Path) -> str:
    """sha256 of a file's statements, without comments, layout and docstrings; of the bytes if it is not Python."""
    try:
        text = definitions.statements(file.read_bytes()).encode() if file.suffix == ".py" else file.read_bytes()
    except (SyntaxError, ValueError):  # reported on import, with the line
        text = file.read_bytes()
    return hashlib.sha256(text).hexdigest()


@cache
def _imports(file: Path, package: str = "") -> tuple[str, ...]:
    """Dotted names that a file of ``package`` imports anywhere, including inside functions."""
    try:
        known = definitions.outline(file.read_bytes(), package)
    except (SyntaxError, ValueError):
        return ()
    return tuple(dict.fromkeys(name for part in known.definitions.values() for name in part.imports))


def _is_goldfold(name: str) -> bool:
    return name.replace(":", ".").split(".")[0] == "goldfold"


def own_files(module: str) -> dict[str, Path]:
    """User files that importing ``module`` runs, by dotted name: itself first, then its packages and helpers.

    They are found as Python would find them, but not imported. Files below the working directory or the folder in which
    ``module`` was found are user files; installed ones are not. Empty if there is no such module.
    """
    first = located(module).get(module)
    if first is None:
        return {}
    is_package = first.name == "__init__.py"
    roots = (Path.cwd(), first.parents[module.count(".") + is_package])
    seen, todo = {module: first}, [module]
    while todo:
        name = todo.pop()
        package = name if seen[name].name == "__init__.py" else name.rpartition(".")[0]
        for imported in (name, *_imports(seen[name], package)):
            for found, file in located(imported).items():
                if found not in seen and _is_own(found, file, roots):
                    seen[found] = file
                    todo.append(found)
    return {module: first} | dict(sorted(seen.items()))


def _is_own(name: str, file: Path, roots: Iterable[Path]) -> bool:
    """Return whether a module is the user's: not from goldfold, not from the standard library, and not installed."""
    installed = {"site-packages", "dist-packages"} & set(file.parts)
    standard = file.is_relative_to(Path(sysconfig.get_path("stdlib")).resolve())
    return not (installed or standard or _is_goldfold(name)) and any(file.is_relative_to(root) for root in roots)


def located(name: str) -> dict[str, Path]:
    """Files that importing a module runs, by dotted name: those of its parent packages, then its own."""
    found: dict[str, Path] = {}
    folders, parts = [Path(folder or ".").resolve() for folder in sys.path], name.split(".") if name else []
    for depth, part in enumerate(parts, 1):
        file, folders = _step(folders, part)
        found |= {".".join(parts[:depth]): file} if file else {}
    return found


def _step(folders: list[Path], part: str) -> tuple[Path | None, list[Path]]:
    """File of a module in the first of ``folders`` that has it, and the folders of its submodules."""
    for folder in folders:
        if os.path.isfile(file := folder / part / "__init__.py"):  # pathlib raises if a name is too long
            return file, [folder / part]
        if os.path.isfile(file := folder / f"{part}.py"):
            return file, []
    return None, [folder / part for folder in folders if os.path.isdir(folder / part)]
