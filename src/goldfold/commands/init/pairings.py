"""Detect images and masks by their contents, and pair them by patterns of their names, also in one folder per image."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from goldfold.base.words import count
from goldfold.commands.init.contents import are_masks, begins, ends_of, look, pairs_of, side_by_side
from goldfold.commands.init.found import Layout, Setting, some, spread
from goldfold.commands.init.mask_looks import look_at
from goldfold.commands.init.tables import Table
from goldfold.commands.init.walk import Tree, base, common, join, parent
from goldfold.commands.init.words import MASK_END, split_in, split_of, split_of_path
from goldfold.images.files import without_suffix

LIKELIHOOD = 0.78
"""Below that of source masks, which is simpler if it can pair the names."""
N_TRIED, LEAST = 60, 0.5
NUMBERED = re.compile(r"(\D*)(\d.*)")
"""A word, possibly empty, and the rest of a name from its first digit."""
HERE = "."
Key = tuple[str, str]
"""Folders in between, and name without suffix."""
KINDS = ("label", "mask", "seg", "class")
"""Words that indicate which of several kinds of masks holds the classes, the most certain first."""


@dataclass
class Pairs:
    """Images and masks below a root, and the patterns of their names."""

    root: str
    parts: tuple[str, str]
    """Names of the folders of images and masks, ``.`` for the tile's own."""
    patterns: tuple[str, str]
    of: dict[str, str]
    """Mask of each image that has one."""
    lacking: list[str]
    other_kinds: list[str] = field(default_factory=list)
    """Patterns of masks that are not used."""


def sniff(tree: Tree, tables: list[Table]) -> Iterator[Layout]:
    """Yield layouts for source tiles."""
    both = (
        (name, pair) for name in tree.folders for pair in pairs_of(tree, name) if len({*map(_split, pair)} - {""}) < 2
    )
    found = [pairs for name, pair in both if (pairs := _apart(tree, name, pair)) is not None]
    yield from (layout for pairs in found if (layout := _layout(tree, pairs)).train)
    if not found and (cases := _cases(tree)) is not None:
        yield _layout(tree, cases)
    elif not found and (pairs := _mixed(tree)) is not None:
        yield _layout(tree, pairs)


def _split(folder: str) -> str:
    """Split indicated by a folder's name: images of one split do not pair with masks of another."""
    return split_of(base(folder)) or split_in(base(folder))


def _apart(tree: Tree, root: str, both: tuple[str, str]) -> Pairs | None:
    """``images/<inner>/1_photo.png`` and ``masks/<inner>/1_outline.png``; None if source masks can pair the names."""
    images, masks = ({name: _key(name, folder) for name in tree.images(folder)} for folder in both)
    stems = [stem for _, stem in images.values()]
    known = list(images.values()), list(masks.values())
    found = max((_patterns(*known, ends) for ends in (ends_of(stems), ("", ""))), key=len)
    if not found:
        return None
    (fore, aft), *kinds = found
    at = {key: name for name, key in masks.items()}
    pre, post = kinds[0]
    if pre == fore and post.startswith(aft) and (post == aft or MASK_END.match(f"x{post.removeprefix(aft)}")):
        return None
    of, lacking = {}, []
    for name, (inner, stem) in images.items():
        id = stem.removeprefix(fore).removesuffix(aft)
        mask = at.get((inner, f"{pre}{id}{post}"))
        if mask is None:
            lacking.append(name)
        else:
            of[name] = mask
    patterns = f"{fore}{{id}}{aft}", f"{pre}{{id}}{post}"
    return Pairs(root, (base(both[0]), base(both[1])), patterns, of, lacking, [f"{a}{{id}}{b}" for a, b in kinds[1:]])


def _key(name: str, folder: str) -> tuple[str, str]:
    """Folders between ``folder`` and a file, and the file's name without suffix."""
    inner = without_suffix(name.removeprefix(f"{folder}/"))
    return parent(inner), base(inner)


def _patterns(images: Sequence[Key], masks: Sequence[Key], ends: tuple[str, str]) -> list[tuple[str, str]]:
    """Prefix and suffix around the ids of images, and of each kind of masks, the likeliest kind first."""
    inside: dict[str, list[str]] = {}
    for inner, stem in masks:
        inside.setdefault(inner, []).append(stem)
    kinds: Counter[tuple[str, str]] = Counter()
    known = [key for key in images if key[0] in inside]
    tried = [known[place * len(known) // N_TRIED] for place in range(N_TRIED)] if len(known) > N_TRIED else known
    for inner, stem in tried:
        id = stem.removeprefix(ends[0]).removesuffix(ends[1])
        kinds.update({_around(mask, id) for mask in inside[inner] if id and id in mask})
    sure = [kind for kind, n in kinds.items() if n > LEAST * len(tried)]
    return [ends, *sorted(sure, key=_rank)] if sure else []


def _around(mask: str, id: str) -> tuple[str, str]:
    before, _, after = mask.partition(id)
    return before, after


def _rank(kind: tuple[str, str]) -> tuple[int, int, str]:
    """Sort key for kinds of masks."""
    text = "".join(kind).lower()
    return next((n for n, word in enumerate(KINDS) if word in text), len(KINDS)), len(text), text


def _cases(tree: Tree) -> Pairs | None:
    """``<case>/image.png`` and ``<case>/mask.png``."""
    names: dict[tuple[str, str], list[str]] = {}
    for name in tree.folders:
        children = [child for child in tree.children(name) if tree.folders[child].images]
        if len(children) > 1 and not tree.folders[name].images and (both := side_by_side(tree, children)) is not None:
            names.setdefault(both, []).extend(children)
    if not names:
        return None
    (image, mask), cases = max(names.items(), key=lambda entry: len(entry[1]))
    of = {}
    for case in cases:
        own = {without_suffix(file): join(case, file) for file in tree.folders[case].images}
        of[own[image]] = own[mask]
    return Pairs(common(f"{case}/x" for case in map(parent, cases)), (HERE, HERE), (image, mask), of, [])


def _mixed(tree: Tree) -> Pairs | None:
    """Folders that `mixed` recognises by the same words; those with most images."""
    found: dict[tuple[str, str], list[Pairs]] = {}
    for pairs in filter(None, (mixed(tree, name) for name in tree.folders)):
        found.setdefault(pairs.patterns, []).append(pairs)
    if not found:
        return None
    alike = max(found.values(), key=lambda own: sum(len(pairs.of) for pairs in own))
    of = {image: mask for pairs in alike for image, mask in pairs.of.items()}
    lacking = [name for pairs in alike for name in pairs.lacking]
    return replace(alike[0], root=common([*of, *lacking]), of=of, lacking=lacking)


def mixed(tree: Tree, folder: str) -> Pairs | None:
    """``img_1.jpg`` and ``msk_1.png`` in one folder: two words, one possibly empty, before the same numbers."""
    named: dict[str, dict[str, str]] = {}
    for file in tree.folders[folder].images:
        match = NUMBERED.fullmatch(without_suffix(file))
        if match is None or len({*named, match[1]}) > 2:
            return None
        named.setdefault(match[1], {})[match[2]] = join(folder, file)
    for image, mask in (tuple(named), tuple(named)[::-1]) if len(named) == 2 else ():
        of = {name: named[mask][id] for id, name in named[image].items() if id in named[mask]}
        if len(of) > LEAST * len(named[image]) and len(of) == len(named[mask]) > 1 and are_masks(tree, of):
            lacking = [name for name in named[image].values() if name not in of]
            return Pairs(folder, (HERE, HERE), (f"{image}{{id}}", f"{mask}{{id}}"), of, lacking)
    return None


def _layout(tree: Tree, pairs: Pairs) -> Layout:
    is_test = {name: split_of_path(parent(name)) == "test" for name in (*pairs.of, *pairs.lacking)}
    of = {image: mask for image, mask in pairs.of.items() if not is_test[image]}
    lacking = [name for name in pairs.lacking if not is_test[name]]
    looks = look_at(tree.root, of)
    is_mixed = pairs.parts == (HERE, HERE) and "{id}" in pairs.patterns[0]
    what = (
        f"images and masks {'in one folder' if len({*map(parent, pairs.of)}) == 1 else 'side by side'}"
        if is_mixed
        else "a folder per image"
        if pairs.parts == (HERE, HERE)
        else f"images in {pairs.parts[0]}/, masks in {pairs.parts[1]}/"
    )
    layout = Layout(
        source="tiles", task="segmentation", title=f"{what}, named {pairs.patterns[0]} and {pairs.patterns[1]}",
        likelihood=LIKELIHOOD, folder=pairs.root, classes=looks.classes, unit=f"of {count(looks.n, 'mask')} looked at",
        data={"train": Setting(tree.path(pairs.root), f"{count(len(of) + len(lacking), 'image')}")},
        train=sorted([*of, *lacking]), splits={"train": len(of) + len(lacking)},
    )  # fmt: skip
    keys = ("image_folder", "mask_folder", "image_pattern", "mask_pattern")
    why = ("folder of images", "folder of masks", "names without suffix", "names of their masks")
    layout.data |= {
        key: Setting(value, own) for key, value, own in zip(keys, (*pairs.parts, *pairs.patterns), why, strict=True)
    }
    _group(layout, pairs, [*of, *lacking])
    layout.data |= looks.settings
    layout.facts["masks"] = looks.fact
    if looks.colours:
        layout.facts["colours"] = looks.colours
    layout.doubts += looks.doubts
    layout.roles = dict.fromkeys(pairs.of.values(), "mask") | dict(_others(tree, pairs))
    if lacking:
        layout.data["on_missing_label"] = Setting("quarantine", f"{count(len(lacking), 'image')} without a mask")
        layout.doubt(f"{count(len(lacking), 'image')} without a mask, left out: {some(lacking)}.")
    if pairs.other_kinds:
        layout.doubt(
            f"masks named {pairs.patterns[1]!r} are read, not those named {some(pairs.other_kinds)}: see data.mask_pattern."
        )
    return _with_test(tree, pairs, layout, [name for name, is_one in is_test.items() if is_one])


def _others(tree: Tree, pairs: Pairs) -> Iterator[tuple[str, str]]:
    """Yield unused files in the folder of masks that are named like an image: masks of other kinds, outlines."""
    ids = {key for image in pairs.of for key in begins(base(without_suffix(image)))}
    ids &= {key for mask in pairs.of.values() for key in begins(base(without_suffix(mask)))}
    folder = join(pairs.root, pairs.parts[1])
    for inner in tree.below(folder) if folder in tree.folders else ():
        for role, names in (("mask", tree.folders[inner].images), ("labels", tree.folders[inner].others)):
            yield from ((join(inner, name), role) for name in names if ids & set(begins(without_suffix(name))))


def _group(layout: Layout, pairs: Pairs, images: Sequence[str]) -> None:
    """Take the folders in between as groups, unless they only divide a split, or there is one per image."""
    start = sum(part != HERE for part in join(pairs.root, pairs.parts[0]).split("/"))
    is_case = pairs.parts == (HERE, HERE) and "{id}" not in pairs.patterns[0]
    inner = {tuple(part for part in name.split("/")[start:-1] if not split_of(part)) for name in images}
    if is_case or len(inner) < 2:
        layout.data["group_level"] = Setting(0, "no images belong together by their folders")
        return
    layout.n_groups = len(inner)
    layout.facts["groups"] = f"{count(len(inner), 'group')}, the folders of images"


def _with_test(tree: Tree, pairs: Pairs, layout: Layout, test: Sequence[str]) -> Layout:
    """Add test images to the layout, and their masks if these hold more than one value."""
    if not test:
        return layout
    folders = _root_of_test(test[0])
    layout.data["test"] = Setting(tree.path(folders), "images to predict")
    layout.test, layout.splits["test"] = sorted(test), len(test)
    masks = [pairs.of[name] for name in test if name in pairs.of]
    looks = [found for mask in spread(masks, N_TRIED) if (found := look(tree.root / mask)) is not None]
    if len(masks) == len(test) and any(n_values > 1 for _, _, n_values in looks):
        layout.data["test_answers"] = Setting(
            tree.path(_root_of_test(masks[0])), "their masks, only for a score in the report"
        )
    return layout


def _root_of_test(name: str) -> str:
    """Path of a file up to the folder named like test."""
    parts = name.split("/")
    last = max(place for place, part in enumerate(parts[:-1]) if split_of(part) == "test")
    return "/".join(parts[: last + 1])
