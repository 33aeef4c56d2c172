"""A look at the values of masks: of a sample, or of all where any has colours or a palette."""

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
"""Where all indices but 255 are smaller, 255 is taken for what is to be ignored."""
FEW_FILES = 200
"""So many masks are looked at by one process."""
PLAIN = {"1", "L", "I", "I;16", "I;16B", "F"}
"""Modes of pictures that have neither colours nor a palette."""


@dataclass
class Looks:
    """What the masks say."""

    settings: dict[str, Setting]
    fact: str
    classes: dict[str, int]
    """Masks that hold each class."""
    doubts: list[Doubt] = field(default_factory=list)
    n: int = 0
    """Masks that could be read."""
    colours: str = ""
    """Colours and their shares, where masks have some."""


def look_at(root: Path, mask_of: Mapping[str, str]) -> Looks:
    """Values, sizes and flaws of a sample of masks, of all where any may have colours.

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
    broken |= dict.fromkeys((one.name for one in odd), "a colour picture; name its colours in data.mask_values")
    kept = [one for one in seen if one not in odd]
    lossy = [name for name in mask_of.values() if name.lower().endswith((".jpg", ".jpeg"))]
    doubts = [*_flaws(len(chosen), broken, unlike), *doubts]
    looks = _judged(kept, lossy, doubts)
    return replace(looks, settings=settings | looks.settings, n=len(kept))


def _may_have_colours(path: Path) -> bool:
    """Whether the header says so; false where it cannot be read."""
    try:
        with any_size(), opened(path) as stream, Image.open(stream) as image:
            return image.mode not in PLAIN
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False


def _looked(paths: Sequence[str]) -> list[Any]:
    """What `goldfold.targets.mask_scan.look` gives for each."""
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
    """What the first job would refuse: masks that cannot be read, and images whose masks have another size."""
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
    """Whether an image has this width and height, upright or turned; true where its header cannot be read."""
    try:
        with any_size(), opened(path) as stream, Image.open(stream) as image:
            return image.size == size or (image.size == size[::-1] and bool(image.getexif()))
    except OSError:
        return True


def _judged(seen: list[Seen], lossy: list[str], doubts: list[Doubt]) -> Looks:
    """The rule for pixel values."""
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
                f"masks are JPEG, whose compression smears values: {count(len(values), 'value')} in {n}, so `nonzero` takes "
                f"smears for foreground. Save them as PNG, e.g. by a threshold of 128."
            )
        )
        return _binary(contents, "smeared by JPEG", doubts)
    if not values:
        doubts.append(Doubt(f"all pixels of {n} looked at are 0: is this the folder of the masks?"))
        return _binary(contents, "0 alone", doubts)
    if len(values) == 1:
        return _binary(contents, f"0 and {values[0]}", doubts)
    if _are_numbers(contents):
        counts = sorted(len(content - {0}) for content in contents)
        told = f"numbered objects, {counts[0]:,} to {counts[-1]:,} a mask in {n} looked at, the highest number {values[-1]:,}"
        doubts.append(
            Doubt(
                "the masks number objects; segmentation here tells object from background, it does not part objects that touch."
            )
        )
        return _binary(contents, told, doubts)
    return _indices(contents, values, n, doubts)


def _smeared(seen: list[Seen], smears: Smears, is_jpeg: bool, doubts: list[Doubt]) -> Looks:
    """Clean values are the classes, and others the nearest of them."""
    first = "masks are JPEG, whose compression smears values: they" if is_jpeg else "the masks"
    doubts.append(
        Doubt(
            f"{first} hold {smears.in_words}. data.unlisted_values: nearest takes each for the nearest of these; better, save "
            f"the masks with these alone, without loss."
        )
    )
    own = [value for value in smears.clean if value]
    rule = dict(zip(_names(len(own)), own, strict=True))
    settings = {
        "mask_values": Setting(mask_colours.written(rule), "the values that fill regions; name them"),
        "unlisted_values": Setting("nearest", "the others are smears at the regions' edges"),
    }
    n_of = {name: sum(value in one.counts for one in seen) for name, value in rule.items()}
    told = f"{listed(smears.clean)}, and {count(len(smears.values), 'value')} smeared at their edges"
    return Looks(settings, told, n_of, doubts)


def _of_colours(seen: list[Seen], doubts: list[Doubt]) -> Looks:
    """A colour a class."""
    shares = mask_colours.shares(seen)
    own = [number for number in shares if number]
    rule = dict(zip(_names(len(own)), own, strict=True))
    doubts += mask_colours.doubts(seen, shares)
    settings = {"mask_values": Setting(mask_colours.written(rule), "all colours that were found; name them")}
    n_of = {name: sum(number in one.counts for one in seen) for name, number in rule.items()}
    told = f"{count(len(shares), 'colour')} in {count(len(seen), 'mask')}"
    return Looks(settings, told, n_of, doubts, colours=mask_colours.in_words(seen, shares))


def _names(n: int) -> list[str]:
    """Names to be replaced by the user's."""
    return ["foreground"] if n == 1 else [f"class_{place}" for place in range(1, n + 1)]


def _are_numbers(contents: list[set[int]]) -> bool:
    """Whether values number the objects of a mask: without gaps in most, and to very different ends, or very many."""
    counted = [content - {0} for content in contents if content - {0}]
    without_gaps = sum(max(content) == len(content) for content in counted)
    ends = [max(content) for content in counted]
    many = len(set().union(*counted)) > MOST_UNNAMED
    return many or (without_gaps > 0.9 * len(counted) and max(ends) > 8 and len(set(ends)) > min(5, len(counted) // 2))


def _binary(contents: list[set[int]], told: str, doubts: list[Doubt]) -> Looks:
    empty = sum(not content - {0} for content in contents)
    if empty and len(contents) > empty:
        told += f"; {empty} of {len(contents)} {noun(empty, 'is', 'are')} empty"
    setting = {"mask_values": Setting("nonzero", "all but 0 is the one class")}
    return Looks(setting, told, {"foreground": len(contents) - empty}, doubts)


def _indices(contents: list[set[int]], values: list[int], n: str, doubts: list[Doubt]) -> Looks:
    """A value a class."""
    own = [value for value in values if value != IGNORE]
    ignores = IGNORE in values and max(own) < FEW_INDICES
    kept = own if ignores else values
    counts = Counter(value for content in contents for value in content)
    settings = {"mask_values": Setting("index", "a value a class; name them as data.classes, in the order 1, 2, ...")}
    if ignores:
        settings["ignore_value"] = Setting(IGNORE, "counts for nothing: far from the other values, so no class")
        doubts.append(
            Doubt(f"value {IGNORE} is taken for pixels to ignore; if it is a class, remove data.ignore_value.")
        )
    if kept != list(range(1, len(kept) + 1)):
        doubts.append(
            Doubt(f"values are not 1, 2, ...: {_listed(kept)}. Without data.classes each value found is a class.")
        )
    rare = [str(value) for value in kept if counts[value] < 3]
    if rare:
        doubts.append(
            Doubt(
                f"{noun(len(rare), 'value')} {', '.join(rare)} {noun(len(rare), 'is', 'are')} in fewer than 3 of {n} looked at: "
                f"{noun(len(rare), 'a class', 'classes')} that few images have."
            )
        )
    told = f"values 0, {_listed(kept)}{f' and {IGNORE}' if ignores else ''} in {n} looked at"
    return Looks(settings, told, {str(value): counts[value] for value in kept}, doubts)


def _listed(values: list[int]) -> str:
    return ", ".join(map(str, values[:12])) + (", ..." if len(values) > 12 else "")
