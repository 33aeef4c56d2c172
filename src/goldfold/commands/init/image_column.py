"""Find the column of a table that names images, and the folder that the names are relative to."""

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from goldfold.base.words import count
from goldfold.commands.init.found import Doubt, spread
from goldfold.commands.init.tables import Match, Table
from goldfold.commands.init.walk import Tree, base, common, parent
from goldfold.commands.init.words import split_in, split_of_path
from goldfold.images.files import SUFFIXES as IMAGE_SUFFIXES
from goldfold.images.files import without_suffix
from goldfold.sources.index_column import is_index

N_TRIED, N_MATCHED = 60, 2000
"""Number of values tried to find the column, and then to find the folder."""
ENOUGH = 0.5
"""Share of the tried values that must name images."""


def column_of_images(table: Table, tree: Tree) -> int | None:
    """Position of the column whose values mostly name images, preferring one that does not only number the rows."""
    shares, columns = [], list(zip(*table.rows, strict=True))
    for values in columns:
        tried = spread([value for value in values if value], N_TRIED)
        hits = sum(bool(candidates(value, tree)) for value in tried)
        shares.append(hits / len(tried) if tried else 0.0)
    kinds = [len(set(values)) for values in columns]
    named = zip(table.columns, columns, kinds, strict=True)
    sure = [n_kinds > len(table.rows) / 2 and not is_index(name, list(values)) for name, values, n_kinds in named]
    best = max(range(len(shares)), key=lambda n: (shares[n] >= ENOUGH, sure[n], kinds[n], shares[n]))
    is_number = not sure[best] and any(kinds[n] > kinds[best] and are_images(columns[n]) for n in range(len(kinds)))
    return best if shares[best] >= ENOUGH and not is_number else None


def are_images(values: Sequence[str]) -> bool:
    """True if most values end like names of images."""
    tried = spread([value for value in values if value], N_TRIED)
    return sum(f".{value.rpartition('.')[2].lower()}" in IMAGE_SUFFIXES for value in tried) > ENOUGH * len(tried)


def candidates(value: str, tree: Tree) -> list[tuple[str, str]]:
    """(folder that the name is relative to, image) for every image that ``value`` may name."""
    wanted = str(PurePosixPath(value.replace("\\", "/")))  # without ./, as the reader does
    stem = without_suffix(wanted)
    found = []
    for image in tree.stems.get(base(stem), []) + (tree.stems.get(base(wanted), []) if stem != wanted else []):
        for name, of in ((wanted, image), (wanted, without_suffix(image))):
            if of == name or of.endswith(f"/{name}"):
                found.append((of[: len(of) - len(name)].rstrip("/"), image))
                break
    return found


def placed(table: Table, column: str, tree: Tree) -> Match | None:
    """Match a column's names to images, relative to the folder that most of them are in."""
    values = table.values(column)
    folders = Counter(folder for value in spread(values, N_MATCHED) for folder, _ in set(candidates(value, tree)))
    split = split_in(base(table.name))
    best = max(
        sorted(folders),
        key=lambda name: (
            folders[name], bool(split) and split_of_path(name) == split, name == parent(table.name), -len(name)
        ),
    )  # fmt: skip
    images: dict[int, str] = {}
    missing = []
    for row, value in enumerate(values):
        image = next((image for folder, image in candidates(value, tree) if folder == best), None) if value else None
        if image is None:
            missing.append(value)
        else:
            images[row] = image
    others = [value for value in missing if candidates(value, tree)]
    if others and (scattered := _scattered(column, values, tree)) is not None:
        return scattered
    if others:
        rest = Counter(folder for value in spread(others, N_MATCHED) for folder, _ in set(candidates(value, tree)))
        where = tree.path(rest.most_common(1)[0][0])
        table.doubts.append(
            Doubt(
                f"images of {tree.path(table.name)} are in several folders: {count(len(others), 'row')} not in "
                f"{tree.path(best)} but e.g. in {where}. Move them into one.",
                stops=True,
            )
        )
    return Match(column, best, images, missing) if len(images) + len(others) >= ENOUGH * len(values) else None


def _scattered(column: str, values: list[str], tree: Tree) -> Match | None:
    """Match names without folders to images in several folders; None unless each name is unique to one image."""
    images: dict[int, str] = {}
    for row, value in enumerate(values):
        found = {image for _, image in candidates(value, tree)} if value else set()
        if len(PurePosixPath(value.replace("\\", "/")).parts) > 1 or len(found) > 1:
            return None
        if found:
            images[row] = next(iter(found))
    missing = [value for row, value in enumerate(values) if row not in images]
    return Match(column, common(images.values()), images, missing)
