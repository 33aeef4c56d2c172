"""Doubts about the classes of labels or boxes."""

from collections.abc import Iterator, Mapping
from unicodedata import normalize

from goldfold.base.words import count, noun
from goldfold.commands.init.choices import IMBALANCED, N_FOLDS, metric
from goldfold.commands.init.found import MANY, Doubt, Layout, by_count, some
from goldfold.commands.init.words import NO_LABELS, plain
from goldfold.commands.init.written import inline
from goldfold.targets.classes import one_number

MOST_GRADES = 7
"""Largest number of classes that may be grades."""


def doubts(layout: Layout) -> Iterator[Doubt]:
    """Small classes, imbalance, and labels that may be the same, or mean no label."""
    yield from _small(layout)
    if layout.task in ("segmentation", "regression"):
        return
    yield from _imbalanced(layout)
    yield from _alike(layout)
    yield from _numbers(layout)
    names = sorted(layout.classes)
    none = [name for name in names if plain(name) in NO_LABELS and (name.isalpha() or not name.isalnum())]
    if none:
        counts = ", ".join(f"{name!r} ({layout.classes[name]:,})" for name in none)
        yield Doubt(
            f"labels {counts} may mean that there is no label. Empty them, and these images are left out, or move the images "
            f"into a folder for data.unlabeled."
        )
    if layout.task == "classification" and len(names) == 1:
        yield Doubt(f"all labels are {names[0]!r}: classification needs two classes.", stops=True)
    if layout.task == "classification" and layout.train and len(names) > 0.5 * len(layout.train):
        n = count(len(layout.train), "image")
        yield Doubt(f"{count(len(names), 'class', 'classes')} for {n}: is this really the label?")


def _alike(layout: Layout) -> Iterator[Doubt]:
    by_plain: dict[str, list[str]] = {}
    for name in sorted(layout.classes):
        by_plain.setdefault("".join(name.lower().split()), []).append(name)
    for alike in by_plain.values():
        if len(alike) > 1:
            yield Doubt(f"labels {some(alike)} differ only in case or blanks: if they are one class, write them alike.")
    of_letters: dict[str, str] = {}
    for name in sorted(layout.classes):
        if (first := of_letters.setdefault(normalize("NFC", name), name)) != name:
            yield Doubt(
                f"labels {first!a} and {name!a} look the same, but encode an accented letter differently: write them alike, or "
                f"name both in data.classes if they are two classes.",
                stops=True,
            )


def _numbers(layout: Layout) -> Iterator[Doubt]:
    """Labels that are numbers: grades, or with leading zeros."""
    names = sorted(name for name in layout.classes if name.isascii() and name.isdigit())
    if layout.task == "classification" and 3 <= len(names) == len(layout.classes) <= MOST_GRADES:
        yield Doubt(
            f"labels are the numbers {', '.join(names)}: names or grades? For grades, where near misses count less, "
            f"metric: quadratic_kappa."
        )
    zeros = [name for name in names if len(name) > 1 and name.startswith("0")]
    for first, second in one_number(layout.classes):
        if not {first, second} <= set(names):
            yield Doubt(
                f"labels {first!r} and {second!r} are the same number: write them alike, or name both in data.classes if they "
                f"are two classes.",
                stops=True,
            )
    if zeros:
        alike = [name for name in zeros if (name.lstrip("0") or "0") in layout.classes]
        yield Doubt(f"labels such as {zeros[0]!r} are numbers with leading zeros: kept as text, zeros included.")
        if alike:
            yield Doubt(
                f"there are {some(alike)} and the same number without zeros: write them alike, or name both in "
                f"data.classes if they are two classes.",
                stops=True,
            )


def _small(layout: Layout) -> Iterator[Doubt]:
    """Classes with fewer images than folds."""
    counts = layout.images_of
    if not layout.limits_folds:
        yield from _rare(counts)
        return
    if small := [name for name, n in by_count(counts)[::-1] if 0 < n < N_FOLDS]:
        single = sum(counts[name] == 1 for name in small)
        unseen = (
            f", {single:,} of them with 1 image, which {noun(single, 'is', 'are')} scored as missed" if single else ""
        )
        yield Doubt(
            f"{count(len(small), 'class', 'classes')} with fewer than {N_FOLDS} images ({some(small)}){unseen}: their scores "
            f"are unreliable. folds.rare_classes: spread allows folds without one; train_only trains on "
            f"{noun(len(small), 'it', 'them')} without scoring; or add images, merge or remove the class."
        )


def _rare(counts: Mapping[str, int]) -> Iterator[Doubt]:
    """Classes with boxes in fewer images than folds, with the settings that leave them out."""
    rare = [name for name, n in by_count(counts)[::-1] if n < N_FOLDS]
    kept = sorted(set(counts) - set(rare))
    if rare:
        way = f"to leave {noun(len(rare), 'it', 'them')} out, paste below data: `classes: {inline(kept)}`, `on_bad_label: drop`"
        numbers = ", ".join(f"{name} {counts[name]}" for name in rare[:MANY])
        yield Doubt(
            f"{count(len(rare), 'class', 'classes')} in fewer than {N_FOLDS} images ({numbers}): their scores are unreliable"
            f"{f'; {way}' if kept else ''}."
        )


def _imbalanced(layout: Layout) -> Iterator[Doubt]:
    amounts = by_count(layout.classes)
    if not amounts:
        return
    (most, n_most), (least, n_least) = amounts[0], amounts[-1]
    if n_least and n_most >= IMBALANCED * n_least:
        chosen = f": {metric(layout).value} is chosen instead of accuracy" if layout.task == "classification" else ""
        yield Doubt(f"classes are imbalanced, {n_most:,} {most!r} against {n_least:,} {least!r}{chosen}.")
