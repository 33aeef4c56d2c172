"""A look at the values of a sample of masks."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from PIL import Image

from goldfold.data.limits import MOST_PIXELS, any_size
from goldfold.data.mask_values import MOST_UNNAMED
from goldfold.runtime.regular import opened
from goldfold.runtime.words import count, noun
from goldfold.sniff.found import Doubt, Setting, some, spread

N_MASKS = 60
IGNORE = 255
FEW_INDICES = 50
"""Where all indices but 255 are smaller, 255 is taken for what is to be ignored."""


@dataclass
class Looks:
    """What the sample says."""

    settings: dict[str, Setting]
    fact: str
    classes: dict[str, int]
    """Masks that hold each class."""
    doubts: list[Doubt] = field(default_factory=list)
    n: int = 0
    """Masks that could be read."""


def look_at(root: Path, mask_of: Mapping[str, str]) -> Looks:
    """Values, sizes and flaws of a sample of masks.

    Args:
        mask_of: mask of each image, relative to ``root``.
    """
    from goldfold.data.decode import Undecodable
    from goldfold.data.masks import decode_mask, values_in

    contents: list[set[int]] = []
    broken, unlike = dict[str, str](), list[str]()
    chosen = spread(sorted(mask_of), N_MASKS)
    for image in chosen:
        try:
            mask = decode_mask(root / mask_of[image], MOST_PIXELS)
            if mask.dtype.itemsize > 2:
                raise Undecodable("a colour picture; name its colours in data.mask_values")
        except (Undecodable, OSError) as error:
            broken[mask_of[image]] = str(error)
            continue
        contents.append(set(values_in(mask)))
        if not _same_size(root / image, (mask.shape[1], mask.shape[0])):
            unlike.append(image)
    lossy = [name for name in mask_of.values() if name.lower().endswith((".jpg", ".jpeg"))]
    return replace(_judged(contents, lossy, _flaws(len(chosen), broken, unlike)), n=len(contents))


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


def _judged(contents: list[set[int]], lossy: list[str], doubts: list[Doubt]) -> Looks:
    """The rule for pixel values."""
    values = sorted(set().union(*contents) - {0}) if contents else []
    n = count(len(contents), "mask")
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
