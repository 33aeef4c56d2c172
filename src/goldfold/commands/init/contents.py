"""Distinguish folders of photographs from folders of masks, by the values of their pixels."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from goldfold.base.regular import opened
from goldfold.commands.init.found import spread
from goldfold.commands.init.walk import Tree, base, join
from goldfold.commands.init.words import is_masks
from goldfold.images.files import without_suffix
from goldfold.images.limits import MOST_PIXELS

N_LOOKED, N_NAMES = 5, 200
"""Number of images and of names examined per folder."""
MOST_SIBLINGS, MOST_PARENTS = 8, 12
"""Largest number of sibling folders compared, and of parents for which this is done."""
LEAST_SHARED = 0.5
"""Smallest share of names in one folder that must begin like those of the other."""
MOST_VALUES, MOST_SMEARED = 32, 6
"""Number of values that fill a mask; for JPEG, which smears them, counted in eighths of each channel's range."""
FEW, MANY = 0.95, 0.6
"""Share of pixels with the most frequent values: minimum for a mask, maximum for a photograph."""
Look = tuple[tuple[int, int], float, int]
"""Size, share of pixels with the most frequent values, and the number of these values."""


@lru_cache(maxsize=4096)
def look(path: Path) -> Look | None:
    """Examine an image; None if it cannot be decoded."""
    try:
        with opened(path) as stream, Image.open(stream) as image:
            if image.width * image.height > MOST_PIXELS:
                return None
            is_jpeg, size, pixels = image.format in ("JPEG", "MPO"), image.size, np.asarray(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    if is_jpeg:
        pixels = pixels >> 5
    flat = pixels.reshape(pixels.shape[0] * pixels.shape[1], -1)
    if flat.shape[1] > 1:
        flat = flat[:, :3].astype(np.int64) @ np.array([65536, 256, 1][: min(flat.shape[1], 3)])
    counts = np.sort(np.unique(flat, return_counts=True)[1])[::-1][: MOST_SMEARED if is_jpeg else MOST_VALUES]
    return size, float(counts.sum() / flat.size), len(counts)


def named_masks(tree: Tree, folder: str) -> bool:
    """True if a folder is named like masks, and folders of its name do not hold photographs."""
    return is_masks(base(folder)) and base(folder).lower() not in _photographs(tree)


def hold_few_values(tree: Tree, folder: str) -> bool:
    """True if every image examined has few values, as masks do."""
    looks = _looks(tree, [folder])
    return bool(looks) and all(share >= FEW for _, share, _ in looks)


@lru_cache(maxsize=4)
def _photographs(tree: Tree) -> frozenset[str]:
    """Names of folders that are named like masks but hold photographs."""
    named: dict[str, list[str]] = {}
    for name in tree.folders:
        if name and is_masks(base(name)):
            named.setdefault(base(name).lower(), []).append(name)
    looks = {name: _looks(tree, spread(folders, N_LOOKED)) for name, folders in named.items()}
    return frozenset(name for name, of in looks.items() if of and all(share < MANY for _, share, _ in of))


def _looks(tree: Tree, folders: Sequence[str]) -> list[Look]:
    names = [name for folder in folders for name in spread(tree.images(folder), N_LOOKED)]
    return [found for name in spread(names, N_LOOKED) if (found := look(tree.root / name))]


def pair_of(tree: Tree, folder: str) -> tuple[str, str] | None:
    """The first of `pairs_of`."""
    return next(iter(pairs_of(tree, folder)), None)


def pairs_of(tree: Tree, folder: str) -> list[tuple[str, str]]:
    """Subfolders of images and of their masks, by the names in `names_of_pairs`."""
    children = {base(child).lower(): child for child in tree.children(folder)}
    return [(children[a], children[b]) for a, b in names_of_pairs(tree) if a in children and b in children]


@lru_cache(maxsize=4)
def names_of_pairs(tree: Tree) -> tuple[tuple[str, str], ...]:
    """Names, in lower case, of sibling folders that hold images and their masks."""
    parents = [name for name in tree.folders if 2 <= len(tree.children(name)) <= MOST_SIBLINGS]
    found = {
        (base(images).lower(), base(masks).lower()): None
        for name in spread(parents, MOST_PARENTS)
        for images in tree.children(name)
        for masks in tree.children(name)
        if images != masks and _are_pair(tree, images, masks)
    }
    return tuple(found)


def _are_pair(tree: Tree, images: str, masks: str) -> bool:
    """True if names match, and images of the second folder have few values while those of the first do not."""
    tried = spread(tree.images(masks), N_NAMES)
    of = _partners(_ids(tree, images), tried, f"{masks}/")
    if len(of) < 2 or len(of) < LEAST_SHARED * len(tried):
        return False
    return _hold_masks(tree, [(of[mask], mask) for mask in spread(sorted(of), N_LOOKED)])


def are_masks(tree: Tree, mask_of: dict[str, str]) -> bool:
    """True if the masks examined have the sizes of their images and few values, and the images do not."""
    return _hold_masks(tree, [(image, mask_of[image]) for image in spread(sorted(mask_of), N_LOOKED)])


def _hold_masks(tree: Tree, pairs: Sequence[tuple[str, str]]) -> bool:
    """True if the second of each pair is a mask of the first, by size and values."""
    looks = [(look(tree.root / image), look(tree.root / mask)) for image, mask in pairs]
    both = [(image, mask) for image, mask in looks if image is not None and mask is not None]
    return (
        len(both) > len(pairs) / 2
        and all(image[0] == mask[0] and mask[1] >= FEW for image, mask in both)
        and any(mask[2] > 1 for _, mask in both)
        and sum(image[1] < FEW for image, _ in both) > len(both) / 2
    )


@lru_cache(maxsize=2 * MOST_SIBLINGS)
def _ids(tree: Tree, folder: str) -> dict[str, str]:
    """Images by name without suffix, and by name without the common prefix and suffix."""
    stems = {without_suffix(name.removeprefix(f"{folder}/")): name for name in tree.images(folder)}
    fore, aft = ends_of(list(stems)) if len(stems) > 1 else ("", "")
    return {stem.removeprefix(fore).removesuffix(aft): name for stem, name in stems.items()} | stems


def _partners(ids: dict[str, str], masks: Sequence[str], start: str) -> dict[str, str]:
    """Image of each mask, by equal name or beginning, ignoring a common prefix."""
    stems = {name: without_suffix(name.removeprefix(start)) for name in masks}
    fore = ends_of(list(stems.values()))[0] if len(stems) > 1 else ""
    found = {}
    for name, stem in stems.items():
        tried = [begin for known in (stem, stem.removeprefix(fore)) for begin in begins(known)]
        if (image := next((ids[begin] for begin in tried if begin in ids), None)) is not None:
            found[name] = image
    return found


def begins(stem: str) -> list[str]:
    """A name, and its prefixes up to each character that is neither letter nor digit."""
    return [stem[:n] for n in range(len(stem), 0, -1) if n == len(stem) or not stem[n].isalnum()]


def side_by_side(tree: Tree, folders: Sequence[str]) -> tuple[str, str] | None:
    """Names, without suffix, of an image and its mask, if every folder holds files of the same names; else None."""
    stems = [{without_suffix(image): image for image in tree.folders[name].images} for name in folders]
    shared = set.intersection(*map(set, stems)) if stems else set()
    if not 2 <= len(shared) <= 4 or any(len(own) > 4 for own in stems):
        return None
    looked = list(zip(folders, stems, strict=True))[:N_LOOKED]
    both = ((a, b) for a in sorted(shared) for b in sorted(shared) if a != b)
    return next(
        (
            (a, b)
            for a, b in both
            if _hold_masks(tree, [(join(name, own[a]), join(name, own[b])) for name, own in looked])
        ),
        None,
    )


def ends_of(names: Sequence[str]) -> tuple[str, str]:
    """Common prefix and suffix of all names, without digits."""
    fore = _shared(names).rstrip("0123456789")
    aft = _shared([name.removeprefix(fore)[::-1] for name in names])[::-1].lstrip("0123456789")
    return fore, aft


def _shared(texts: Sequence[str]) -> str:
    """Common prefix of all texts."""
    first, last = min(texts), max(texts)
    return first[: next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))]
