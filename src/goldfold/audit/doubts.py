"""What may be wrong with data that can be run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goldfold.base.words import count, noun
from goldfold.images.files import SUFFIXES as SUFFIXES_OF_IMAGES
from goldfold.images.files import UNREAD, files_below
from goldfold.submission.formulas import formulas

if TYPE_CHECKING:
    import pandas as pd

FEW_IMAGES = 10
BINARY, MOST_OPENED = 2, 100
"""Values of clean masks of one class; masks that are opened to see their format."""
NONZERO = (
    "data.mask_values: nonzero takes smears for foreground; save them with the clean values alone, or name these and set "
    "data.unlisted_values: nearest (source: masks)"
)
NO_BOXES = "[]"
"""What `goldfold.targets.boxes.to_text` writes of none."""
MOST_COPIES, MOST_COPIED = 10, 0.03
"""Number and share of the training images from which on a group of near copies is worth a word."""
RARE = 20
"""How many times more images the largest class may have than the smallest before it is worth a word."""
SUFFIXES = {
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif"},
    "TIFF": {".tif", ".tiff"},
    "MPO": {".jpg", ".jpeg"},
    "DICOM": {".dcm", ".dicom"},
}
WITHIN = {
    "group": "each group is kept in one fold, unless a column says the folds",
    "drop": "the first by id of each is kept",
    "ignore": "where they lie in two folds, the score is too good; set data.duplicates: group",
}
ACROSS = {
    "report": "the score on such test images measures memorisation (data.duplicates_across: drop_train leaves the "
    "training images out)",
    "drop_train": "the training images are left out",
}
POOL = (("train+unlabeled", "the unlabeled images are left out, else a model would train on its validation images"),)
LABELS = {"keep": "one of them may be wrong (data.on_two_labels)", "quarantine": "they are left out"}


def about_left_out(left_out: list[dict[str, str]], images: dict[str, int]) -> Iterator[str]:
    """Splits of which more than a hundredth cannot be used."""
    counts = Counter(row["split"] for row in left_out if row["part"] == "image")
    for split, number in counts.items():
        total = number + images.get(split, 0)
        if number > total / 100:
            are = noun(number, "is", "are")
            yield f"{number:,} of {count(total, 'image')} of {split} {are} left out ({number / total:.0%}); see the reasons"


def about_emptied(left_out: Iterable[Mapping[str, str]], train: pd.DataFrame) -> Iterator[str]:
    """Training images that became negatives because all their boxes were left out; ``left_out`` are rows of the quarantine."""
    if "boxes" not in train:
        return
    lost = {row["id"] for row in left_out if (row["split"], row["part"]) == ("train", "box")}
    ids = [id for id, text in zip(train["id"], train["boxes"], strict=True) if id in lost and text == NO_BOXES]
    if ids:
        have, they = ("has", "it is") if len(ids) == 1 else ("have", "they are")
        without = noun(len(ids), "an image", "images")
        yield (
            f"{count(len(ids), 'image')} {have} no box left after flawed ones were dropped, first {ids[0]!r}: {they} learnt "
            f"from as {without} without objects"
        )


def about_masks(train: pd.DataFrame, task: Mapping[str, Any]) -> Iterator[str]:
    """Masks that are smeared where any value is sound, and black that is the background of colours unasked.

    Args:
        train: the manifest's table.
        task: settings of the task, see `goldfold.config.slices.task`.
    """
    if "mask" not in train:
        return
    from goldfold.targets import smears
    from goldfold.targets.mask_table import edges_of, first_jpeg

    rule, names = task["mask_values"], [name for name in train["mask"] if isinstance(name, str) and name]
    edges = edges_of(names)
    found = smears.find(edges)
    if found is not None and rule == "nonzero":
        yield f"the masks hold {found.in_words}; {NONZERO}"
    elif found is not None and task.get("unlisted_values") == "nearest":
        yield f"the masks hold {found.in_words}; each is taken for the nearest value of data.mask_values"
    elif rule == "nonzero" and len(edges) > BINARY and (jpeg := first_jpeg(names[:MOST_OPENED])):
        n = count(len(edges), "value")
        yield f"masks are JPEG, first {jpeg}, and hold {n}, as its compression makes of two; {NONZERO}"
    elif rule != "nonzero" and (mixed := smears.mixed(edges)):
        lie = f"the value{'s'[: len(mixed) > 1]} {smears.listed(mixed)} often {noun(len(mixed), 'lies', 'lie')}"
        yield (
            f"masks: {lie} between a lower and a higher value, as interpolation leaves numbers of classes (a class of "
            f"outlines does too): where the masks were resized, resize them to the nearest value"
        )
    yield from _about_black(train, rule, task["ignore_value"])


def _about_black(train: pd.DataFrame, rule: Any, ignore: Any) -> Iterator[str]:
    """Black in masks of colours where the config does not say what it is."""
    from goldfold.targets import colours
    from goldfold.targets.mask_values import ignored, parsed

    named = set(rule.values()) if isinstance(rule, dict) else set()
    if not any(value >= colours.FIRST for value in named) or 0 in named | set(ignored(ignore)):
        return
    contents = [parsed(text) for text in train["mask_values"]]
    n_black, n = sum(content.get(0, 0) for content in contents), sum(sum(content.values()) for content in contents)
    if n_black:
        masks = count(sum(0 in content for content in contents), "mask")
        yield (
            f"black, {n_black / n:.2%} of the pixels, in {masks}, is no class of data.mask_values, so it is the background; "
            f'if it is what nobody labelled, set data.ignore_value: "#000000", and if it is a class, name it'
        )


def about_repeated(train: pd.DataFrame) -> Iterator[str]:
    """Boxes that a training image has twice, with one label or with two."""
    if "boxes" not in train:
        return
    from goldfold.targets.boxes import from_text, repeated

    same, two = Counter[str](), Counter[str]()
    for id, text in zip(train["id"], train["boxes"], strict=True):
        labels, corners = from_text(text)
        same[id] = sum(first is not None for first in repeated(labels, corners))
        two[id] = sum(first is not None for first in repeated([""] * len(labels), corners)) - same[id]
    same, two = +same, +two
    if same:
        n, are = count(same.total(), "box", "boxes"), noun(same.total(), "is", "are")
        yield (
            f"{n} of {count(len(same), 'training image')} {are} listed twice, first in {next(iter(same))!r}: each model is "
            f"scored as if it missed one of the two; data.on_bad_label: drop leaves the second out"
        )
    if two:
        n, are = count(two.total(), "box", "boxes"), noun(two.total(), "is", "are")
        yield f"{n} of {count(len(two), 'training image')} {are} listed with two classes, first in {next(iter(two))!r}"


def about_rare_boxes(train: pd.DataFrame, classes: list[str], n_folds: int) -> Iterator[str]:
    """Classes with boxes in fewer training images than there are folds, and what to write to leave them out."""
    if "boxes" not in train:
        return
    from goldfold.targets.boxes import from_text

    images = Counter(label for text in train["boxes"] for label in set(from_text(text)[0]))
    rare = [name for name in classes if images[name] < n_folds]
    if rare:
        n = count(len(rare), "class has", "classes have")
        yield (
            f"{n} boxes in fewer images than the {n_folds} folds, first {rare[0]!r} in {count(images[rare[0]], 'image')}: some "
            f"folds are scored on {noun(len(rare), 'it', 'them')} unlearnt, or not at all" + leaving_out(rare, classes)
        )


def leaving_out(rare: list[str], classes: list[str]) -> str:
    """What to write into the config so that boxes of some classes are left out; empty where none would stay."""
    import yaml

    left = [name for name in classes if name not in rare]
    listed = yaml.safe_dump(left, default_flow_style=True, allow_unicode=True, width=math.inf).strip()
    them = noun(len(rare), "it", "them")
    return f". To leave {them} out, write under data: classes: {listed} and on_bad_label: drop" if left else ""


def about_unread(folders: Iterable[str]) -> Iterator[str]:
    """Pictures below these folders of the data that are passed over, since goldfold does not read their format."""
    unread = sorted({f"{folder}/{name}" for folder in folders for name in files_below(Path(folder), UNREAD)})
    if unread:
        n = count(len(unread), "picture is", "pictures are")
        yield f"{n} of a format that goldfold does not read, first {unread[0]}: convert {noun(len(unread), 'it', 'them')}"


def about_unlisted(folders: Iterable[str], listed: Iterable[str]) -> Iterator[str]:
    """Images below folders of which tables name a part; ``listed`` are the paths that the splits and the quarantine have."""
    from goldfold.sources.unlisted import absolute, in_words

    known = {file for path in listed for file in absolute(path)}
    for folder in dict.fromkeys(folders):
        names = [f"{folder}/{name}" for name in files_below(Path(folder), SUFFIXES_OF_IMAGES)]
        if rest := [name for name in names if known.isdisjoint(absolute(name))]:
            yield in_words(len(rest), folder, rest[0])


def about_files(paths: list[str], scale_16bit: Any = "percentile", max_pixels: int = 200_000_000) -> Iterator[str]:
    """What the look at every image, which is remembered, says of the files, where 16 bits are scaled by this rule."""
    from goldfold.audit.integrity import scan
    from goldfold.images.stacks import files_of

    table = scan(paths, 1, most_pixels=max_pixels)
    known = table["kind"] != ""
    false = known & ~table.apply(
        lambda row: (
            Path(files_of(row["path"])[0]).suffix.lower() in SUFFIXES.get(row["kind"], {f".{row['kind'].lower()}"})
        ),
        axis=1,
    )
    if false.any():
        first = table[false].iloc[0]
        n = count(int(false.sum()), "file is not what its suffix says", "files are not what their suffix says")
        yield f"{n}, first {first['path']}: {first['kind']}"
    deep = table[table["bits"] > 8]
    if len(deep):
        largest, first = int(deep["largest"].max()), files_of(deep["path"].iloc[0])[0]
        yield (
            f"{len(deep):,} of {count(len(table), 'image')} {noun(len(deep), 'has', 'have')} more than 8 bits a channel, first "
            f"{first}, with values up to {largest:,}: {_about_scale(scale_16bit, largest)}"
        )
    kinds = Counter(table["channels"][known].tolist())
    if len(kinds) > 1:
        told = ", ".join(f"{n} with {channels}" for channels, n in sorted(kinds.items()))
        yield f"images differ in the number of channels: {told}; all are read with data.channels"


def _about_scale(rule: str | list[int], largest: int) -> str:
    """What data.scale_16bit does to images with values of up to ``largest``."""
    bits = max(8, largest.bit_length())
    better = f"data.scale_16bit: [0, {2**bits - 1}]"
    if isinstance(rule, list):
        return (
            f"data.scale_16bit cuts off what lies above {rule[1]:,}" * (largest > rule[1])
            or "data.scale_16bit fits them"
        )
    if rule == "full_range":
        return f"set {better}, or they are nearly black" if bits < 15 else "data.scale_16bit: full_range fits them"
    return f"each is stretched by itself (data.scale_16bit: {rule}); where brightness tells classes apart, set {better}"


def about_crops(found: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Splits of which more than a twentieth finds no part to cut out, and boxes that are cut off."""
    for split, of in found.items():
        n_whole = sum(of["whole"].values())
        if n_whole > of["images"] / 20:
            reason = max(of["whole"], key=lambda name: of["whole"][name])
            yield (
                f"{n_whole:,} of {count(of['images'], 'image')} of {split} {noun(n_whole, 'is', 'are')} taken whole "
                f"({n_whole / of['images']:.0%}), most often because: {reason}; a network sees two kinds of pictures then"
            )
        if of["boxes_lost"]:
            n, lie = count(of["boxes_lost"], "box", "boxes"), noun(of["boxes_lost"], "lies", "lie")
            yield f"{n} of {split} {lie} outside what is cut out: no model can find {noun(of['boxes_lost'], 'it', 'them')}"


def about_classes(classes: dict[str, dict[str, float]]) -> Iterator[str]:
    """Classes of which there is little, by how much of each is in each fold."""
    sums = {name: sum(parts.values()) for name, parts in classes.items()}
    unscored = [name for name, n in sums.items() if not n]
    if unscored:
        n = count(len(unscored), "class is", "classes are")
        yield (
            f"{n} validated by no fold, first {unscored[0]!r}: learnt and predicted, and no score says anything of "
            f"{noun(len(unscored), 'it', 'them')} (folds.rare_classes: train_only)"
        )
    alone = [name for name, parts in classes.items() if sum(n > 0 for n in parts.values()) == 1 < len(parts)]
    if alone:
        n = count(len(alone), "class is", "classes are")
        yield (
            f"{n} validated by one fold alone, first {alone[0]!r}, whose models never saw "
            f"{noun(len(alone), 'it', 'them')} unless train_only images have {noun(len(alone), 'it', 'them')}: scored as missed"
        )
    sums = {name: n for name, n in sums.items() if n}
    few = {name: n for name, n in sums.items() if n < FEW_IMAGES}
    if few:
        name = min(few, key=lambda name: few[name])
        n = count(len(few), "class has", "classes have")
        yield f"{n} fewer than {FEW_IMAGES} examples, the smallest {name!r} with {few[name]:.0f}"
    if len(sums) > 1 and max(sums.values()) > RARE * min(sums.values()):
        most, least = max(sums, key=lambda name: sums[name]), min(sums, key=lambda name: sums[name])
        yield (
            f"class {most!r} is {sums[most] / sums[least]:.0f} times as frequent as {least!r}: a metric that counts classes "
            f"alike (f1_macro) says more than one that counts images"
        )


def about_groups(found: dict[str, int] | None) -> Iterator[str]:
    """Whether the folds ask of a model what the test images ask; see `goldfold.splits.groups`."""
    from goldfold.splits.groups import in_words

    if found is not None and (found["shared"] or found["new"] < found["groups"]):
        yield in_words(found)


def about_copies(rows: list[dict[str, Any]], policy: dict[str, Any], n_train: int = 0) -> Iterator[str]:
    """Copies within and across the splits, and those with two labels, and what becomes of them.

    Args:
        rows: as `goldfold.audit.duplicates.find` gives them. Training images that the policy leaves out for another reason
            than the one told are not counted.
        policy: ``within``, ``across`` and ``two_labels``, as in `goldfold.audit.copies.Policy`.
        n_train: number of training images; 0 where it is not known.
    """
    by_cluster: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        by_cluster.setdefault(row["cluster"], []).append(row)
    sets = list(by_cluster.values())
    agreed = [own for own in sets if policy["two_labels"] != "quarantine" or own[0]["n_labels"] < 2]
    dropped = [own for own in agreed if policy["across"] == "drop_train" and _of(own, "test")]
    within = [own for own in agreed if own not in dropped and len(_of(own, "train")) > 1]
    if within:
        groups = f"{count(len(within), 'group')} of training images that are copies of each other"
        sizes = [len(_of(own, "train")) for own in within]
        largest = f"; the largest has {count(max(sizes), 'image')}" * (max(sizes) > 2)
        yield f"{groups}, {_first_of(within[0], _of(within[0], 'train')[:2])}: {WITHIN[policy['within']]}{largest}"
        yield from _about_scene(within[sizes.index(max(sizes))], n_train)
    for of, splits, why in ((agreed, "train+test", ACROSS[policy["across"]]), *((sets, *pool) for pool in POOL)):
        one, other = splits.split("+")
        across = [own for own in of if _of(own, one) and _of(own, other)]
        if across:
            named = [_of(across[0], one)[0], _of(across[0], other)[0]]
            yield f"{count(len(across), 'group')} of copies across {splits}, {_first_of(across[0], named)}: {why}"
    two = [own for own in sets if own[0]["n_labels"] > 1]
    if two:
        names = ", ".join(
            f"{row['id']!r} is {row['label']!r}" for row in two[0] if row["label"] and row["label"] == row["label"]
        )
        groups = f"{count(len(two), 'group')} of copies with more than one label"
        yield f"{groups}, first: {names}; {LABELS[policy['two_labels']]}"


def _about_scene(rows: list[dict[str, Any]], n_train: int) -> Iterator[str]:
    """A group of near copies that holds more of the training images than copies do."""
    own = _of(rows, "train")
    if n_train and len(own) > max(MOST_COPIES, MOST_COPIED * n_train) and any(row["kind"] != "exact" for row in own):
        yield (
            f"{len(own):,} of {n_train:,} training images ({len(own) / n_train:.0%}) are one group of near copies, such as "
            f"frames of a film or of a fixed camera, and share a fold; if they are different images, set "
            f"data.duplicates_distance: null, so that only copies byte for byte count"
        )


def _of(rows: list[dict[str, Any]], split: str) -> list[dict[str, Any]]:
    return [row for row in rows if row["split"] == split]


def _first_of(rows: list[dict[str, Any]], named: list[dict[str, Any]]) -> str:
    """Two images of a set of copies."""
    kinds = "the same bytes" if {row["kind"] for row in rows} == {"exact"} else "nearly the same picture"
    return f"first {named[0]['id']!r} and {named[1]['id']!r} ({kinds})"


def about_parted(n_groups: int) -> Iterator[str]:
    """Copies that the user's folds, or an order, part."""
    if n_groups:
        groups = f"{count(n_groups, 'group')} of copies over several folds"
        yield f"{groups}: a fold does not learn from copies of what it is scored on"


def about_formulas(cells: Iterable[str]) -> Iterator[str]:
    """Ids and names of classes that go into the submission and that a spreadsheet program would evaluate."""
    if found := formulas(cells):
        begin = noun(len(found), "begins", "begin")
        yield (
            f"{count(len(found), 'name')} of the submission (ids of test images, classes) {begin} like a formula, first "
            f"{found[0][:60]!r}: the file keeps them as they are, as competitions compare ids; do not open it in a spreadsheet "
            f"program, which would evaluate them"
        )
