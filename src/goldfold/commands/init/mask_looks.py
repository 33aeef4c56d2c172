"""Examine the values of masks: of a sample, or of all if any has colours or a palette."""

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image

from goldfold.base.regular import opened
from goldfold.base.words import count, noun
from goldfold.commands.init import mask_colours
from goldfold.commands.init.found import Doubt, Setting, some, spread
from goldfold.commands.init.mask_colours import Seen
from goldfold.images.limits import any_size
from goldfold.targets import colours
from goldfold.targets.mask_values import MOST_UNNAMED
from goldfold.targets.smears import Smears, find, listed, summed

N_MASKS = 60
IGNORE = 255
FEW_INDICES = 50
"""If all indices except 255 are smaller, 255 is taken for pixels to ignore."""
FEW_FILES = 200
"""Largest number of masks examined by one process."""
PLAIN = {"1", "L", "I", "I;16", "I;16B", "F"}
"""Pillow modes without colours or palette."""


@dataclass
class Looks:
    """Settings, counts and doubts from the masks."""

    settings: dict[str, Setting]
    fact: str
    classes: dict[str, int]
    """Class -> number of masks with it."""
    doubts: list[Doubt] = field(default_factory=list)
    n: int = 0
    """Masks that could be read."""
    colours: str = ""
    """Colours and their shares, if masks have colours."""


def look_at(root: Path, mask_of: Mapping[str, str]) -> Looks:
    """Examine values, sizes and flaws of a sample of masks, or of all if any may have colours.

    Args:
        mask_of: mask of each image, relative to ``root``.
    """
    images = sorted(mask_of)
    chosen = images if any(_may_have_colours(root / mask_of[image]) for image in images) else spread(images, N_MASKS)
    seen: list[Seen] = []
    broken, unlike = dict[str, str](), list[str]()
    for image, found in zip(chosen, _looked([str(root / mask_of[image]) for image in chosen]), strict=True):
        height, width, _, edges, palette, n_colours, reason = found
        if reason and not n_colours:
            broken[mask_of[image]] = reason
            continue
        counts = {int(value): tuple(of) for value, of in json.loads(edges).items()}
        seen.append(Seen(mask_of[image], counts, json.loads(palette) if palette else None, n_colours))
        if not _same_size(root / image, (width, height)):
            unlike.append(image)
    settings, doubts = mask_colours.settle(seen)
    odd = mask_colours.odd_ones(seen)
    broken |= dict.fromkeys((one.name for one in odd), "a colour image; name its colours in data.mask_values")
    kept = [one for one in seen if one not in odd]
    lossy = [name for name in mask_of.values() if name.lower().endswith((".jpg", ".jpeg"))]
    doubts = [*_flaws(len(chosen), broken, unlike), *doubts]
    looks = _judged(kept, lossy, doubts)
    return replace(looks, settings=settings | looks.settings, n=len(kept))


def _may_have_colours(path: Path) -> bool:
    """True if the header has colours or a palette; False if it cannot be read."""
    try:
        with any_size(), opened(path) as stream, Image.open(stream) as image:
            return image.mode not in PLAIN
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False


def _looked(paths: Sequence[str]) -> list[Any]:
    """Results of `goldfold.targets.mask_scan.look` for each mask."""
    if len(paths) <= FEW_FILES:
        return [_look(path) for path in paths]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(_look, paths, chunksize=16))


def _look(path: str) -> Any:
    from goldfold.targets.mask_scan import look

    try:
        return look(path)
    except OSError as error:
        return [0, 0, "{}", "{}", "", 0, str(error)]


def _flaws(n: int, broken: dict[str, str], unlike: list[str]) -> list[Doubt]:
    """Doubts about unreadable masks, and masks of another size than their images, which the first job would refuse."""
    doubts = []
    looked = f"{count(n, 'mask')} looked at"
    if broken:
        reason = next(iter(broken.values()))
        doubts.append(Doubt(f"{len(broken)} of {looked} cannot be used: {reason}. First: {some(broken)}.", stops=True))
    if unlike:
        are = noun(len(unlike), "is not of its", "are not of their")
        text = f"{len(unlike)} of {looked} {are} image's size. First: {some(unlike)}."
        doubts.append(Doubt(text, stops=True))
    return doubts


def _same_size(path: Path, size: tuple[int, int]) -> bool:
    """True if an image has this width and height, upright or rotated, or if its header cannot be read."""
    try:
        with any_size(), opened(path) as stream, Image.open(stream) as image:
            return image.size == size or (image.size == size[::-1] and bool(image.getexif()))
    except OSError:
        return True


def _judged(seen: list[Seen], lossy: list[str], doubts: list[Doubt]) -> Looks:
    """Choose the rule for pixel values."""
    contents = [set(one.counts) for one in seen]
    values = sorted(set().union(*contents) - {0}) if contents else []
    n = count(len(contents), "mask")
    if (smears := find(summed(one.counts for one in seen))) is not None:
        return _smeared(seen, smears, bool(lossy), doubts)
    if values and values[-1] >= colours.FIRST:
        return _of_colours(seen, doubts)
    if lossy and len(values) > 2:
        doubts.append(
            Doubt(
                f"masks are JPEG, and lossy compression smears values: {count(len(values), 'value')} in {n}, so `nonzero` takes "
                f"smears for foreground. Save them as PNG, e.g. by a threshold of 128."
            )
        )
        return _binary(contents, "smeared by JPEG", doubts)
    if not values:
        doubts.append(Doubt(f"all pixels of {n} looked at are 0: is this really the folder of the masks?"))
        return _binary(contents, "only 0", doubts)
    if len(values) == 1:
        return _binary(contents, f"0 and {values[0]}", doubts)
    if _are_numbers(contents):
        counts = sorted(len(content - {0}) for content in contents)
        fact = f"numbered objects, {counts[0]:,} to {counts[-1]:,} per mask in {n} looked at, the highest number {values[-1]:,}"
        doubts.append(
            Doubt(
                "the masks number objects; segmentation separates objects from background, but not objects that touch."
            )
        )
        return _binary(contents, fact, doubts)
    return _indices(contents, values, n, doubts)


def _smeared(seen: list[Seen], smears: Smears, is_jpeg: bool, doubts: list[Doubt]) -> Looks:
    """Take the clean values as classes, and map others to the nearest."""
    first = "masks are JPEG, and lossy compression smears values: they" if is_jpeg else "the masks"
    doubts.append(
        Doubt(
            f"{first} hold {smears.in_words}. data.unlisted_values: nearest maps each to the nearest of these; better, save "
            f"the masks losslessly with only these."
        )
    )
    own = [value for value in smears.clean if value]
    rule = dict(zip(_names(len(own)), own, strict=True))
    settings = {
        "mask_values": Setting(mask_colours.written(rule), "the values that fill regions; name them"),
        "unlisted_values": Setting("nearest", "the others are smears at the regions' edges"),
    }
    n_of = {name: sum(value in one.counts for one in seen) for name, value in rule.items()}
    fact = f"{listed(smears.clean)}, and {count(len(smears.values), 'value')} smeared at their edges"
    return Looks(settings, fact, n_of, doubts)


def _of_colours(seen: list[Seen], doubts: list[Doubt]) -> Looks:
    """Take one class per colour."""
    shares = mask_colours.shares(seen)
    own = [number for number in shares if number]
    rule = dict(zip(_names(len(own)), own, strict=True))
    doubts += mask_colours.doubts(seen, shares)
    settings = {"mask_values": Setting(mask_colours.written(rule), "all colours found; name them")}
    n_of = {name: sum(number in one.counts for one in seen) for name, number in rule.items()}
    fact = f"{count(len(shares), 'colour')} in {count(len(seen), 'mask')}"
    return Looks(settings, fact, n_of, doubts, colours=mask_colours.in_words(seen, shares))


def _names(n: int) -> list[str]:
    """Placeholder names, for the user to replace."""
    return ["foreground"] if n == 1 else [f"class_{place}" for place in range(1, n + 1)]


def _are_numbers(contents: list[set[int]]) -> bool:
    """True if values number the objects of masks: consecutive in most masks with varying maxima, or very many."""
    counted = [content - {0} for content in contents if content - {0}]
    without_gaps = sum(max(content) == len(content) for content in counted)
    ends = [max(content) for content in counted]
    many = len(set().union(*counted)) > MOST_UNNAMED
    return many or (without_gaps > 0.9 * len(counted) and max(ends) > 8 and len(set(ends)) > min(5, len(counted) // 2))


def _binary(contents: list[set[int]], fact: str, doubts: list[Doubt]) -> Looks:
    empty = sum(not content - {0} for content in contents)
    if empty and len(contents) > empty:
        fact += f"; {empty} of {len(contents)} {noun(empty, 'is', 'are')} empty"
    setting = {"mask_values": Setting("nonzero", "all values except 0 are the one class")}
    return Looks(setting, fact, {"foreground": len(contents) - empty}, doubts)


def _indices(contents: list[set[int]], values: list[int], n: str, doubts: list[Doubt]) -> Looks:
    """Take one class per value."""
    own = [value for value in values if value != IGNORE]
    ignores = IGNORE in values and max(own) < FEW_INDICES
    kept = own if ignores else values
    counts = Counter(value for content in contents for value in content)
    settings = {
        "mask_values": Setting("index", "one class per value; name them in data.classes, in the order 1, 2, ...")
    }
    if ignores:
        settings["ignore_value"] = Setting(IGNORE, "ignored: far from the other values, so not a class")
        doubts.append(
            Doubt(f"value {IGNORE} is taken for pixels to ignore; if it is a class, remove data.ignore_value.")
        )
    if kept != list(range(1, len(kept) + 1)):
        doubts.append(
            Doubt(f"values are not 1, 2, ...: {_listed(kept)}. Without data.classes, each value found is a class.")
        )
    rare = [str(value) for value in kept if counts[value] < 3]
    if rare:
        doubts.append(
            Doubt(
                f"{noun(len(rare), 'value')} {', '.join(rare)} {noun(len(rare), 'is', 'are')} in fewer than 3 of {n} looked at: "
                f"{noun(len(rare), 'a class', 'classes')} in few images."
            )
        )
    fact = f"values 0, {_listed(kept)}{f' and {IGNORE}' if ignores else ''} in {n} looked at"
    return Looks(settings, fact, {str(value): counts[value] for value in kept}, doubts)


def _listed(values: list[int]) -> str:
    return ", ".join(map(str, values[:12])) + (", ..." if len(values) > 12 else "")
