"""Decide which levels of nested folders are classes, and which are groups."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from goldfold.commands.init.found import some
from goldfold.commands.init.walk import Tree
from goldfold.commands.init.words import IMAGES, is_masks, plain, split_of

OF_DIGITS = 0.6
"""Share of innermost folders with a digit in their names at or above which they are taken for patients, films, ..."""
FEWEST_GROUPS = 10
"""With fewer such folders, they are views rather than patients."""


@dataclass(frozen=True)
class Level:
    """Level of the folders that are classes, and level of groups."""

    value: int | str
    why: str
    group: int | None = None


def folders_of(image: str, root: str) -> list[str]:
    """Folders of an image below a root."""
    return (image.removeprefix(f"{root}/") if root else image).split("/")[:-1]


def levels(tree: Tree, root: str, classes: list[str]) -> list[Level]:
    """Levels that the classes may be at, the likeliest first."""
    inner = [folder for name in classes for folder in tree.below(name) if tree.folders[folder].images]
    paths = [folders_of(f"{folder}/x", root) for folder in inner]
    nested = [path for path in paths if len(path) > 1]
    if not nested:
        return [Level("leaf", "one sub-folder per class")]
    tops, names = sorted({path[0] for path in paths}), [path[-1] for path in nested]
    first = f"the first folders are the classes ({some(tops)})"
    if (recurring := _recurring(paths)) is not None:
        return [recurring, Level("leaf", _leaves(paths, tops)), Level(1, f"{first}, not the innermost")]
    if all(split_of(name) or plain(name) in IMAGES for name in names):
        return [Level(1, f"{first}; their subfolders divide the images")]
    if _is_mixed(tree, inner):
        return [Level(1, f"{first}, since some hold images and folders of images")]
    leaf, above = Level("leaf", _leaves(paths, tops)), Level(1, f"{first}, not the innermost")
    numbered = _numbered(paths)
    if numbered is not None:
        level, group = numbered
        classes_of = sorted({"/".join(path[:level]) for path in paths})
        why = f"the folders at level {level} are the classes ({some(classes_of)}); subfolders such as {'/'.join(paths[0])!r}"
        return [Level(level, f"{why}, are taken for patients, films, ...", group), leaf]
    return [leaf, above] if len(tops) > 1 else [leaf]


def _leaves(paths: Sequence[Sequence[str]], tops: Sequence[str]) -> str:
    """Reason for the innermost folders as classes, with the alternative if their names recur in each first folder."""
    why = f"the innermost folders are the classes ({some('/'.join(path) for path in paths)}), not the first ({some(tops)})"
    names = [sorted(path[-1] for path in paths if path[0] == top) for top in tops]
    if len(tops) < 2 or any(own != names[0] for own in names):
        return why
    return (
        f"{why}; names recur in each of these: data.class_level: -1 makes one class per name, and if the first folders hold "
        f"versions of the same images, set data.train to one of them"
    )


def _recurring(paths: Sequence[Sequence[str]]) -> Level | None:
    """Names of the innermost folders as classes, if they are few and recur in numbered folders: ``8863/0``."""
    above = {tuple(path[:-1]) for path in paths}
    found = Counter(path[-1] for path in paths)
    is_split = any(split_of(name) or plain(name) in IMAGES or is_masks(name) for name in found)
    if is_split or any(len(path) < 2 for path in paths) or not 2 <= len(found) < len(above):
        return None
    if min(found.values()) < len(above) / 2 or not _have_digits([path[0] for path in above]):
        return None
    depths = {len(path) for path in paths}
    group = 1 if len(depths) == 1 and len({path[0] for path in paths}) >= FEWEST_GROUPS else None
    return Level(
        -1, f"the innermost folders are the classes by their names ({some(sorted(found))}), which recur", group
    )


def _numbered(paths: Sequence[Sequence[str]]) -> tuple[int, int | None] | None:
    """Levels of classes and of groups, if the folders below the classes are numbered; else None."""
    depth = len(paths[0])
    if any(len(path) != depth for path in paths):
        return None
    level = depth
    while level > 1 and _have_digits([path[level - 1] for path in {tuple(path[:level]) for path in paths}]):
        level -= 1
    if level == depth:
        return None
    n_groups = len({tuple(path[: level + 1]) for path in paths})
    return level, level + 1 if n_groups >= FEWEST_GROUPS else None


def _have_digits(names: Sequence[str]) -> bool:
    return sum(any(map(str.isdigit, name)) for name in names) >= OF_DIGITS * len(names)


def _is_mixed(tree: Tree, folders: list[str]) -> bool:
    """True if a folder of images has subfolders of images."""
    return any(tree.children(folder) for folder in folders)
