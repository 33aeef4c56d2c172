"""Pixel values of masks: those of classes, ignored ones, and flaws."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from goldfold.base.errors import DataError
from goldfold.targets import class_files, colours, run_masks
from goldfold.targets.class_files import BITS, MOST_BITS
from goldfold.targets.smears import Edges, Smears

Contents = Mapping[int, int]
"""Number of pixels by value."""
Ignored = int | Sequence[int] | None
"""One or several ignored values."""
MOST = 254
"""Most classes besides the background and ignored pixels."""
MOST_NAMED = 8
"""Most values that an error lists."""
GREY_PALETTE = "; its palette is read by colour, data.mask_palette: index reads the numbers of entries"
MOST_UNNAMED = 32
"""Most values that become classes without being named: more are probably numbers of objects."""


def values_of(classes: Sequence[str], rule: str | Mapping[str, int]) -> list[int]:
    """Pixel value of each class.

    Args:
        rule: ``index``: 1 for the first class, 2 for the second, ...; ``names``: classes are named by their values;
            ``nonzero``: any value but 0 is the one class, written as 255; ``bits``: 1, 2, 4, ..., whose sums are sets of classes
            that overlap; or value by name.
    """
    if isinstance(rule, Mapping):
        return [int(rule[name]) for name in classes]
    if rule == "nonzero":
        return [255]
    if rule == BITS:
        return [1 << place for place in range(len(classes))]
    return [int(name) for name in classes] if rule == "names" else list(range(1, len(classes) + 1))


def ignored(value: Ignored) -> list[int]:
    """Ignored values as a list."""
    return [] if value is None else [value] if isinstance(value, int) else list(value)


def classes_of(
    contents: Sequence[Contents],
    named: Sequence[str] | None,
    rule: str | Mapping[str, int],
    ignore: Ignored,
    smears: Smears | None = None,
) -> list[str]:
    """Names of the classes.

    Raises:
        DataError: names and rule contradict each other, unnamed values are smeared, or all masks are empty.
    """
    if isinstance(rule, Mapping):
        if named is not None and set(named) != set(rule):
            odd = min(set(named) ^ set(rule))
            raise DataError(f"data.classes and data.mask_values do not name the same classes, e.g. {odd!r}.")
        return _limited(sorted(named or rule, key=lambda name: rule[name] != 0))  # 0 comes first, like a background
    if rule == "nonzero":
        if named is not None and len(named) != 1:
            raise DataError("data.mask_values: nonzero has one class; data.classes must name one.")
        return list(named or ["foreground"])
    if rule == BITS and len(named or ()) > MOST_BITS:
        raise DataError(
            f"data.classes: {len(named or ())} classes; at most {MOST_BITS} are possible if they may overlap."
        )
    if named is not None:
        names = list(named)
    else:
        found = {value for content in contents for value in content} - {0, *ignored(ignore)}
        if smears is not None:
            raise DataError(f"data.masks: the masks hold {smears.in_words}. {clean_by(smears)}")
        names = [str(value) for value in sorted(found)]
        if len(names) > MOST_UNNAMED:
            raise DataError(
                f"data.masks: the masks hold {len(names)} different values. If they number objects, set data.mask_values: "
                f"nonzero; if they are classes, name them in data.classes."
            )
    if not names:
        raise DataError("data.masks: every pixel of every mask is 0, so there is nothing to train on.")
    return _limited(names)


def sound_of(contents: Sequence[Contents], flaws: Sequence[str], must_name: bool) -> list[Contents]:
    """The contents of masks without a flaw.

    Args:
        must_name: whether the classes are derived from them.

    Raises:
        DataError: they are, and no sound mask has another value than 0.
    """
    sound = [content for content, flaw in zip(contents, flaws, strict=True) if not flaw]
    first = next((flaw for flaw in flaws if flaw), "" if any(sound) else "no image has one")
    if must_name and first and not any(value for content in sound for value in content):
        raise DataError(f"data.masks: no mask with a class can be used, first: {first}. Correct them.")
    return sound


def _limited(names: list[str]) -> list[str]:
    if len(names) > MOST:
        raise DataError(
            f"data.masks: {len(names)} different values. If they number objects, set data.mask_values: nonzero; "
            f"at most {MOST} classes are possible."
        )
    return names


def known(
    classes: Sequence[str], rule: str | Mapping[str, int], ignore: Ignored, contents: Sequence[Contents] = ()
) -> set[int] | None:
    """Values that a mask may have; None for any. Of ``bits``, only the sets that are in some of the masks are listed."""
    if rule == BITS:
        return {0, *ignored(ignore), *(value for one in contents for value in one if value < 1 << len(classes))}
    return None if rule == "nonzero" else {0, *values_of(classes, rule), *ignored(ignore)}


def clean_by(smears: Smears) -> str:
    """Advice for smeared masks."""
    names = [value for value in smears.clean if value]
    written = [f'"{value}"' if isinstance(value, str) else value for value in colours.all_written(names)]
    rule = ", ".join(f"class_{place}: {value}" for place, value in enumerate(written[:MOST_NAMED], 1))
    more = ", ..." if len(names) > MOST_NAMED else ""
    return (
        f"Save the masks with only these values, lossless and resized with nearest; or set data.mask_values: "
        f"{{{rule}{more}}} and data.unlisted_values: nearest."
    )


def flaw(
    found: Mapping[str, Any],
    content: Contents,
    size: tuple[int, int],
    allowed: set[int] | None,
    smears: Smears | None = None,
    smears_may: bool = False,
    colours_may: bool = False,
) -> str:
    """Flaw of a mask; empty if it is sound.

    Args:
        found: result of its scan.
        size: height and width of its image.
        smears: smears found over all masks.
        smears_may: whether values that are not ``allowed`` are accepted.
        colours_may: whether a palette's colours are values even if none is named.
    """
    is_merged = class_files.is_text(found["mask"])
    called = "its mask" if run_masks.is_text(found["mask"]) or is_merged else f"its mask {found['mask']}"
    if found["reason"] and not (smears_may and found["n_colours"]):
        edges = f"; {_edges_of(smears)}" if found["n_colours"] and smears is not None else ""
        return f"{called}: {found['reason']}{edges}"
    if (int(found["height"]), int(found["width"])) != size:
        return f"{called} has {int(found['width'])} x {int(found['height'])} pixels, the image {size[1]} x {size[0]}"
    are_named = any(value >= colours.FIRST for value in allowed or ()) or (colours_may and bool(found["palette"]))
    if max(content) >= colours.FIRST and not are_named and not is_merged:
        return (
            f"{called}: a colour image, its channels differ; name the colours in data.mask_values, or "
            f"make it single-channel" + (f"; {_edges_of(smears)}" if smears is not None else "")
        )
    odd = sorted(set(content) - allowed) if allowed is not None and not smears_may else []
    if odd:
        values = ", ".join(map(colours.written, odd[:5])) + (", ..." if len(odd) > 5 else "")
        text = f"{called} has the value{'s'[: len(odd) > 1]} {values}, no class (see data.mask_values)"
        if smears is not None and set(odd) & set(smears.values):
            return f"{text}; {_edges_of(smears)}"
        return text + GREY_PALETTE * bool(found.get("palette"))
    return ""


def _edges_of(smears: Smears) -> str:
    return f"the masks hold {smears.in_words} (see data.unlisted_values)"


def depth(content: Contents) -> int:
    """Bits per value of a mask in an array."""
    highest = max(content, default=0)
    return 8 if highest < 1 << 8 else 16 if highest < colours.FIRST else 32


def parsed(text: Any) -> dict[int, int]:
    """Number of pixels by value from its JSON; empty for an image without a mask."""
    return {int(value): int(n) for value, n in json.loads(text).items()} if isinstance(text, str) and text else {}


def parsed_edges(text: Any) -> Edges:
    """`goldfold.targets.smears.Edges` from its JSON; empty for an image without a mask."""
    return {int(value): tuple(counts) for value, counts in json.loads(text).items()} if isinstance(text, str) else {}
