"""Detect images and masks of the same names."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from goldfold.base.words import count, noun
from goldfold.commands.init import contents
from goldfold.commands.init.found import Layout, Setting, some, spread
from goldfold.commands.init.mask_looks import Looks, look_at
from goldfold.commands.init.tables import Table
from goldfold.commands.init.walk import Tree, base, common, join, parent
from goldfold.commands.init.words import IMAGES, MASK_END, plain, split_in, split_of, split_of_path
from goldfold.images.files import without_suffix

LIKELIHOOD, UNLIKELY = 0.8, 0.2
N_TRIED = 200
LEAST = 0.3
"""Smallest share of masks that must have an image."""
FURTHER = re.compile(r"(.+)[-_. ]\d+")
"""Name of a second or third mask, such as ``a_mask_1``, after that of the first."""


@dataclass
class Pair:
    """A folder of images, a folder of masks, and the suffix of the masks' names."""

    images: str
    masks: str
    suffix: str
    of: dict[str, str]
    """Mask of each image that has one, relative to the root."""
    lacking: list[str]
    strays: list[str]
    """Masks without an image."""

    @property
    def split(self) -> str:
        """Split indicated by the folders' names."""
        return next(filter(None, (of(name) for of in (split_of_path, _word) for name in (self.masks, self.images))), "")


def _word(folder: str) -> str:
    """Split indicated by a word of a folder's name: ``ISIC_Part1_Test_Data``."""
    return split_in(base(folder))


def sniff(tree: Tree, tables: list[Table]) -> Layout | None:
    """Detect a folder of images and a folder of masks, or both in one folder."""
    pairs = list(_pairs(tree)) or list(_mixed(tree))
    training = [pair for pair in pairs if pair.split != "test"]
    if not training:
        return None
    pair = max(training, key=lambda pair: (pair.split == "train", len(pair.of)))
    parts = {split_of(base(name)): base(name) for name in tree.children(pair.images)}
    test = next((other for other in pairs if other.split == "test"), None)
    if pair.images != pair.masks and {"train", "test"} <= set(parts):
        inner = [
            _pair(tree, join(pair.images, parts[key]), join(pair.masks, parts[key]), pair.suffix)
            for key in ("train", "test")
        ]
        pair, test = inner[0] or pair, inner[1]
    joined = [pair, *_validation(tree, pair, training, parts)]
    whole = _pooled(joined)
    layout = _layout(tree, whole, look_at(tree.root, whole.of))
    if len(joined) > 1:
        why = "one training set: folds replace the split"
        layout.data["train"] = Setting([tree.path(own.images) for own in joined], why)
        layout.data["masks"] = Setting([tree.path(own.masks) for own in joined], "masks of the same names")
        layout.folder = common(layout.train)
    return _with_pools(tree, layout, pair, test, parts)


def _validation(tree: Tree, pair: Pair, training: list[Pair], parts: dict[str, str]) -> Iterator[Pair]:
    """Yield further folders of training and validation images with the same naming of masks."""
    if {"train", "val"} <= set(parts) and pair.images != pair.masks and split_of(base(pair.images)) == "train":
        images, masks = (join(parent(folder), parts["val"]) for folder in (pair.images, pair.masks))
        training = list(filter(None, [_pair(tree, images, masks, pair.suffix)]))
    seen = set(pair.of)
    for other in training:
        if other.split in ("train", "val") and other.suffix == pair.suffix and seen.isdisjoint(other.of):
            seen |= set(other.of)
            yield other


def _pooled(joined: list[Pair]) -> Pair:
    """Join the images of several folders."""
    first = joined[0]
    of = {image: mask for own in joined for image, mask in own.of.items()}
    lacking = [name for own in joined for name in own.lacking]
    return Pair(first.images, first.masks, first.suffix, of, lacking, [name for own in joined for name in own.strays])


def _layout(tree: Tree, pair: Pair, looks: Looks) -> Layout:
    train = sorted([*pair.of, *pair.lacking])
    where = "in the images' own folder" if pair.images == pair.masks else f"in {tree.path(pair.masks)}"
    likelihood = LIKELIHOOD if looks.n else UNLIKELY
    layout = Layout(
        source="masks", task="segmentation", title=f"images and masks of the same names, {where}",
        likelihood=likelihood, train=train, splits={"train": len(train)},
        folder=pair.images, unit=f"of {count(looks.n, 'mask')} looked at",
        data={"train": Setting(tree.path(pair.images), "images"),
              "masks": Setting(tree.path(pair.masks), "masks of the same names")},
        classes=looks.classes,
    )  # fmt: skip
    if looks.n == len(pair.of):
        layout.in_images = looks.classes
    if pair.suffix:
        layout.data["mask_suffix"] = Setting(pair.suffix, "suffix of a mask's name after its image's")
    layout.data |= looks.settings
    layout.facts["masks"] = looks.fact
    if looks.colours:
        layout.facts["colours"] = looks.colours
    layout.doubts += looks.doubts
    if pair.lacking:
        layout.data["on_missing_label"] = Setting("quarantine", f"{count(len(pair.lacking), 'image')} without a mask")
        layout.doubt(
            f"{count(len(pair.lacking), 'image')} without a mask, first {pair.lacking[0]!r}: "
            f"{noun(len(pair.lacking), 'it is', 'they are')} left out."
        )
    ended = {without_suffix(mask): mask for mask in pair.of.values()}
    further = [name for name in pair.lacking if (of := FURTHER.match(without_suffix(name))) and of.group(1) in ended]
    if further:
        layout.doubt(
            f"{count(len(further), 'further mask')} of images that have one ({some(further)}): not read, so what "
            f"{noun(len(further), 'it shows', 'they show')} is background. "
            f"Merge them into the first mask of the image."
        )
    if pair.strays:
        layout.doubt(
            f"{count(len(pair.strays), 'mask')} without an image: {some(pair.strays)}. Add the images, or remove the masks.",
            stops=True,
        )
    for stem, n in Counter(map(without_suffix, train)).items():
        if n > 1:
            layout.doubt(
                f"{count(n, 'image')} are named {stem!r} with different suffixes. Rename all but one.", stops=True
            )
            break
    return layout


def _pairs(tree: Tree) -> Iterator[Pair]:
    """Yield folders named like masks, each with the folder that holds most of its images."""
    known = {both[1]: both[0] for name in tree.folders if (both := contents.pair_of(tree, name)) is not None}
    called = [
        name
        for name in tree.folders
        if name
        and tree.n_images[name]
        and (name in known or contents.named_masks(tree, name))
        and not _holds_both(tree, name)
    ]
    outer = [name for name in called if not any(name.startswith(f"{other}/") for other in called)]
    for masks in dict.fromkeys(inner for name in outer for inner in (name, tree.inmost(name))):
        beside = [child for child in tree.children(parent(masks)) if child not in outer]
        beside += (
            [child for child in tree.children(parent(parent(masks))) if child not in outer]
            if masks not in outer
            else []
        )
        near = [*beside, *(inner for child in beside for inner in tree.children(child)), parent(masks)]
        near = [known[masks]] if masks in known else near
        found = [pair for images in near if (pair := _pair(tree, images, masks)) is not None]
        if found:
            yield max(found, key=lambda pair: _preference(tree, pair))


def _holds_both(tree: Tree, folder: str) -> bool:
    """True if a folder, such as ``Kvasir-SEG``, contains folders of images and of masks."""
    return (
        any(plain(base(child)) in IMAGES for child in tree.children(folder))
        or contents.pair_of(tree, folder) is not None
    )


def _preference(tree: Tree, pair: Pair) -> tuple[bool, int, bool, int]:
    """Sort key for the folder of images; one of masks is the last choice."""
    of_masks = contents.hold_few_values(tree, pair.images)
    return not of_masks, len(pair.of), plain(base(pair.images)) in IMAGES, -len(pair.lacking)


def _pair(tree: Tree, images: str, masks: str, suffix: str | None = None) -> Pair | None:
    """Match images and masks of two folders by name."""
    if images not in tree.folders or masks not in tree.folders:
        return None
    within = f"{masks}/"
    ids = {_id(name, images): name for name in tree.images(images) if not name.startswith(within) or images == masks}
    listed = tree.images(masks)
    found = _suffix([_id(name, masks) for name in spread(listed, N_TRIED)], ids) if suffix is None else suffix
    if found is None:
        return None
    return _matched(images, masks, found, ids, listed)


def _matched(images: str, masks: str, suffix: str, ids: dict[str, str], listed: list[str]) -> Pair | None:
    of: dict[str, str] = {}
    strays = []
    for name in listed:
        stem = _id(name, masks)
        if not stem.endswith(suffix):
            continue
        image = ids.get(stem.removesuffix(suffix))
        if image is None:
            strays.append(name)
        else:
            of[image] = name
    if len(of) < LEAST * (len(of) + len(strays)) or not of:
        return None
    return Pair(images, masks, suffix, of, sorted(set(ids.values()) - set(of)), strays)


def _suffix(stems: list[str], ids: dict[str, str]) -> str | None:
    """Most frequent suffix of masks' names after their images'; None if few have an image."""
    ends: Counter[str] = Counter()
    for stem in stems:
        if stem in ids:
            ends[""] += 1
        elif (match := MASK_END.match(stem)) and match.group(1) in ids:
            ends[match.group(2)] += 1
    if not ends or ends.most_common(1)[0][1] < LEAST * len(stems):
        return None
    return ends.most_common(1)[0][0]


def _id(name: str, folder: str) -> str:
    return without_suffix(name.removeprefix(f"{folder}/") if folder else name)


def _mixed(tree: Tree) -> Iterator[Pair]:
    """Yield images and masks in one folder, distinguished by the ends of their names."""
    by_stem = {without_suffix(name): name for name in tree.images()}
    found = {
        name: match.group(2)
        for stem, name in by_stem.items()
        if (match := MASK_END.match(base(stem))) and join(parent(stem), match.group(1)) in by_stem
    }
    if len(found) < LEAST * len(by_stem):
        return
    by_split: dict[str, list[str]] = {}
    for name in found:
        by_split.setdefault(split_of_path(parent(name)), []).append(name)
    for names in by_split.values():
        suffix = Counter(found[name] for name in names).most_common(1)[0][0]
        folder = tree.inmost(common(names))
        ids = {_id(name, folder): name for name in tree.images(folder) if not without_suffix(name).endswith(suffix)}
        if (pair := _matched(folder, folder, suffix, ids, tree.images(folder))) is not None:
            yield pair


def _with_pools(tree: Tree, layout: Layout, pair: Pair, test: Pair | None, parts: dict[str, str]) -> Layout:
    """Add test and unlabeled images to the layout."""
    folders = {_pool(name): name for name in reversed(list(tree.folders)) if _is_pool(tree, name, pair)}
    inside = [key for key in ("test", "unlabeled") if key in parts and join(pair.images, parts[key]) in tree.folders]
    folder = test.images if test is not None else folders.get("test")
    if folder is not None:
        layout.data["test"] = Setting(tree.path(folder), "images to predict")
        layout.test = sorted([*test.of, *test.lacking]) if test is not None else tree.images(folder)
        layout.splits["test"] = len(layout.test)
        if test is not None and not test.lacking and not test.strays and test.suffix == pair.suffix:
            layout.data["test_answers"] = Setting(
                tree.path(test.masks), "the test images' masks, only for a score in the report"
            )
    if "unlabeled" in folders:
        layout.data["unlabeled"] = Setting(tree.path(folders["unlabeled"]), "images without masks, for pseudo labels")
        layout.splits["unlabeled"] = tree.n_images[folders["unlabeled"]]
    for key in inside:
        text = f"{tree.path(join(pair.images, parts[key]))} is among the training images. Move it out."
        layout.doubt(text, stops=False)
    return layout


def _pool(folder: str) -> str:
    """Split indicated by a folder's name."""
    return split_of(base(folder)) or _word(folder)


def _is_pool(tree: Tree, name: str, pair: Pair) -> bool:
    """True if a folder is named like test or unlabeled, and holds no training image."""
    if not name or not tree.n_images[name] or _pool(name) not in ("test", "unlabeled"):
        return False
    return not any(image.startswith(f"{name}/") for image in pair.of) and not contents.named_masks(tree, name)
