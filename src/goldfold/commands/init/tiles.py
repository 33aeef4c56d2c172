"""Detect tiles, sites or patients: each a folder with a folder of images and one of masks."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from goldfold.base.words import count, noun
from goldfold.commands.init.choices import N_FOLDS
from goldfold.commands.init.contents import ends_of, named_masks, pair_of
from goldfold.commands.init.found import Layout, Setting, some
from goldfold.commands.init.mask_looks import look_at
from goldfold.commands.init.tables import Table
from goldfold.commands.init.walk import Tree, base, common, join, parent
from goldfold.commands.init.words import IMAGES, MASK_END, plain, split_of, split_of_path
from goldfold.images.files import without_suffix

LIKELIHOOD, OF_FEW = 0.9, 0.75
"""Likelihood of tiles; lower for few folders of images and masks without repeated names, which may be classes or parts."""
LEAST_TILES = 2
FEWEST_GROUPS = 3
"""Smallest number of tiles, after pooling train/ and val/, for folds by tile."""
LEAST_PAIRED = 0.3
"""Smallest share of masks that must have an image."""
HERE = "."
Patterns = tuple[str, str]
"""Patterns of the names of images and of masks."""


@dataclass(frozen=True)
class Tile:
    """A folder with images and their masks."""

    name: str
    images: tuple[str, ...]
    masks: tuple[str, ...]
    parts: tuple[str, str]
    """Names of the folders of images and masks in it, ``.`` for itself."""


def sniff(tree: Tree, tables: list[Table]) -> Iterator[Layout]:
    """Detect ``<tile>/images/*`` and ``<tile>/masks/*``, or both directly in the tile's folder."""
    for tiles in (list(_with_folders(tree)), list(_mixed(tree))):
        training = [tile for tile in tiles if split_of_path(tile.name) != "test"]
        if not training or all(split_of(base(tile.name)) for tile in training):
            continue
        with_masks = [tile for tile in training if tile.masks]
        if len(with_masks) < LEAST_TILES or (patterns := _patterns(with_masks[0])) is None:
            continue
        layout = _layout(tree, training, [tile for tile in tiles if tile not in training], patterns)
        if layout is not None:
            if training[0].parts == (HERE, HERE) and len(training) < N_FOLDS and _are_named_once(training):
                layout.likelihood = OF_FEW
            yield layout


def _are_named_once(tiles: Sequence[Tile]) -> bool:
    """True if no name of an image repeats across tiles."""
    names = [base(image) for tile in tiles for image in tile.images]
    return len(set(names)) == len(names)


def _with_folders(tree: Tree) -> Iterator[Tile]:
    """Yield folders with a folder of images and one of masks, of the most frequent names."""
    found = []
    for name in tree.folders:
        children = tree.children(name)
        masks = [child for child in children if named_masks(tree, child)]
        images = [child for child in children if plain(base(child)) in IMAGES and child not in masks]
        if not (len(masks) == len(images) == 1) and (pair := pair_of(tree, name)) is not None:
            images, masks = [pair[0]], [pair[1]]
        if len(masks) == 1 and len(images) == 1 and not tree.children(images[0]) and not tree.children(masks[0]):
            parts = (base(images[0]), base(masks[0]))
            found.append(Tile(name, tuple(tree.images(images[0])), tuple(tree.images(masks[0])), parts))
    if sum(len(tile.images) > 1 for tile in found) * 2 <= len(found) and len(found) > 1:
        return  # a folder per image: source instances
    usual = Counter((tile.parts[0].lower(), tile.parts[1].lower()) for tile in found).most_common(1)
    kept = [tile for tile in found if (tile.parts[0].lower(), tile.parts[1].lower()) == usual[0][0]] if usual else []
    yield from kept
    yield from _without_masks(tree, kept)


def _without_masks(tree: Tree, found: Sequence[Tile]) -> Iterator[Tile]:
    """Yield sibling tiles with images but no masks, which the source counts as missing."""
    known = {tile.name for tile in found}
    for name in sorted({child for tile in found if tile.name for child in tree.children(parent(tile.name))} - known):
        parts = found[0].parts
        children = {base(child).lower(): child for child in tree.children(name)}
        images = name if parts == (HERE, HERE) else children.get(parts[0].lower())
        own = tuple(join(images, image) for image in tree.folders[images].images) if images else ()
        if own and not split_of_path(name) and (parts == (HERE, HERE) or parts[1].lower() not in children):
            yield Tile(name, own, (), parts)


def _mixed(tree: Tree) -> Iterator[Tile]:
    """Yield folders with both images and masks, distinguished by the ends of their names."""
    found = list(_mixed_with_masks(tree))
    yield from found
    yield from _without_masks(tree, found)


def _mixed_with_masks(tree: Tree) -> Iterator[Tile]:
    """Yield the folders that have both."""
    for name, folder in tree.folders.items():
        stems = {without_suffix(image): image for image in folder.images}
        masks = [image for stem, image in stems.items() if (end := MASK_END.match(stem)) and end.group(1) in stems]
        if masks and len(masks) >= LEAST_PAIRED * len(stems):
            images = [image for image in folder.images if image not in masks]
            yield Tile(
                name, tuple(join(name, image) for image in images), tuple(join(name, mask) for mask in masks), (HERE, HERE)
            )  # fmt: skip


def _patterns(tile: Tile) -> Patterns | None:
    """Patterns that give images and masks of a tile the same ids; None if there are none."""
    images, masks = ([without_suffix(base(name)) for name in names] for names in (tile.images, tile.masks))
    if tile.parts == (HERE, HERE):
        ends = Counter(match.group(2) for stem in masks if (match := MASK_END.match(stem)))
        return "{id}", f"{{id}}{ends.most_common(1)[0][0]}"
    if len(set(images) & set(masks)) >= LEAST_PAIRED * len(masks):
        return "{id}", "{id}"
    ends = Counter(match.group(2) for stem in masks if (match := MASK_END.match(stem)) and match.group(1) in images)
    if sum(ends.values()) >= LEAST_PAIRED * len(masks):
        return "{id}", f"{{id}}{ends.most_common(1)[0][0]}"
    return by_affixes(images, masks)


def by_affixes(images: Sequence[str], masks: Sequence[str]) -> Patterns | None:
    """Patterns of names with a common prefix and suffix: ``image_1``, ``mask_1``."""
    if len(images) < 2 or len(masks) < 2:
        return None
    (fore_i, aft_i), (fore_m, aft_m) = ends_of(images), ends_of(masks)
    own = {name.removeprefix(fore_i).removesuffix(aft_i) for name in images}
    theirs = {name.removeprefix(fore_m).removesuffix(aft_m) for name in masks}
    if len(own & theirs) < LEAST_PAIRED * len(masks):
        return None
    return f"{fore_i}{{id}}{aft_i}", f"{fore_m}{{id}}{aft_m}"


def _ids(names: Sequence[str], pattern: str) -> dict[str, str]:
    """Id -> name."""
    fore, aft = pattern.split("{id}")
    stems = ((without_suffix(base(name)), name) for name in names)
    return {
        stem.removeprefix(fore).removesuffix(aft): name
        for stem, name in stems
        if stem.startswith(fore) and stem.endswith(aft)
    }


def _layout(tree: Tree, training: list[Tile], tests: list[Tile], patterns: Patterns) -> Layout | None:
    mask_of: dict[str, str] = {}
    lacking, strays = [], []
    for tile in training:
        own, masks = _ids(tile.images, patterns[0]), _ids(tile.masks, patterns[1])
        mask_of |= {own[id]: masks[id] for id in own if id in masks}
        lacking += [own[id] for id in own if id not in masks]
        strays += [masks[id] for id in masks if id not in own]
    if not mask_of:
        return None
    root = common(f"{tile.name}/x" if tile.name else "x" for tile in training)
    parts, n_images = training[0].parts, count(len(mask_of) + len(lacking), "image")
    looks = look_at(tree.root, mask_of)
    where = "side by side" if parts == (HERE, HERE) else f"in {parts[0]}/ and {parts[1]}/"
    layout = Layout(
        source="tiles", task="segmentation", title=f"{count(len(training), 'tile')}, images and masks {where} of each",
        likelihood=LIKELIHOOD, folder=root, classes=looks.classes, unit=f"of {count(looks.n, 'mask')} looked at",
        data={"train": Setting(tree.path(root), f"{count(len(training), 'tile')}, {n_images}")},
        train=sorted([*mask_of, *lacking]), splits={"train": len(mask_of) + len(lacking)},
    )  # fmt: skip
    layout.roles = dict.fromkeys(mask_of.values(), "mask")
    _name_parts(layout, parts, patterns)
    layout.data |= looks.settings
    layout.facts["masks"] = looks.fact
    if looks.colours:
        layout.facts["colours"] = looks.colours
    layout.doubts += looks.doubts
    _group(layout, [tile for tile in training if any(image in mask_of for image in tile.images)])
    _doubt_pairs(layout, lacking, strays, [tile.name for tile in training if not tile.masks])
    return _with_pools(tree, layout, tests, patterns, root)


def _name_parts(layout: Layout, parts: tuple[str, str], patterns: Patterns) -> None:
    """Set the keys that differ from the source's defaults."""
    for key, value, usual in (("image_folder", parts[0], "images"), ("mask_folder", parts[1], "masks")):
        if value.lower() != usual:
            layout.data[key] = Setting(value, "folder in each tile")
    for key, value in (("image_pattern", patterns[0]), ("mask_pattern", patterns[1])):
        if value != "{id}":
            layout.data[key] = Setting(value, "names without suffix")


def _group(layout: Layout, training: Sequence[Tile]) -> None:
    """Use tiles with a mask as groups."""
    sites = {"/".join(part for part in tile.name.split("/") if not split_of(part)) for tile in training}
    if len(sites) < FEWEST_GROUPS:
        layout.data["group_level"] = Setting(0, f"{count(len(sites), 'tile')}: too few for folds")
        layout.doubt(
            f"{count(len(sites), 'tile')} ({some(sorted(sites))}) are too few for folds, so their images are split over "
            f"folds: if these overlap or look alike, the score is optimistic. Remove data.group_level to keep each in one fold."
        )
        return
    layout.n_groups = len(sites)
    largest = max(training, key=lambda tile: len(tile.images))
    size = f"the largest has {count(len(largest.images), 'image')} ({largest.name or '.'})"
    layout.facts["groups"] = f"{count(len(training), 'group')}, the tiles; {size}"
    if any("/" in tile.name.removeprefix(f"{layout.folder}/") for tile in training):
        layout.doubt(
            "tiles are in parent folders: if tiles of a parent belong together, data.group_level: 1 keeps them in one fold."
        )


def _doubt_pairs(layout: Layout, lacking: Sequence[str], strays: Sequence[str], without: Sequence[str]) -> None:
    if without:
        layout.doubt(f"{count(len(without), 'tile')} without any mask: {some(without)}.")
    if lacking:
        layout.data["on_missing_label"] = Setting("quarantine", f"{count(len(lacking), 'image')} without a mask")
        are = noun(len(lacking), "it is", "they are")
        layout.doubt(f"{count(len(lacking), 'image')} without a mask, first {lacking[0]!r}: {are} left out.")
    if strays:
        layout.doubt(
            f"{count(len(strays), 'mask')} without an image: {some(strays)}. Add the images, or remove the masks.",
            stops=True,
        )


def _with_pools(tree: Tree, layout: Layout, tests: list[Tile], patterns: Patterns, root: str) -> Layout:
    """Add test and unlabeled images to the layout."""
    folders = {split_of(base(name)): name for name in reversed(list(tree.folders)) if name and tree.n_images[name]}
    if tests:
        folder = common(f"{tile.name}/x" for tile in tests)
        folder = folder if split_of_path(folder) == "test" else parent(tests[0].name)
        layout.test = sorted(image for tile in tests for image in tile.images)
        layout.data["test"] = Setting(tree.path(folder), "tiles to predict")
        layout.data["test_answers"] = Setting(tree.path(folder), "their masks, only for a score in the report")
        layout.roles |= dict.fromkeys((mask for tile in tests for mask in tile.masks), "mask")
    elif "test" in folders:
        layout.data["test"] = Setting(tree.path(folders["test"]), "images to predict")
        layout.test = tree.images(folders["test"])
    if layout.test:
        layout.splits["test"] = len(layout.test)
    if "unlabeled" in folders:
        layout.data["unlabeled"] = Setting(tree.path(folders["unlabeled"]), "images without masks, for pseudo labels")
        layout.splits["unlabeled"] = tree.n_images[folders["unlabeled"]]
    return layout
