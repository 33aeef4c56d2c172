"""Section on distribution shift: whether test and unlabeled images look like training images."""

from collections.abc import Sequence

import pandas as pd

from goldfold.audit.adversarial import FEWEST, Auc
from goldfold.audit.shift import Feature, Shift, between
from goldfold.base.words import count
from goldfold.drawing.blocks import Block, Cell, Gallery, Note, Section, Table, Text
from goldfold.drawing.pictures import picture
from goldfold.drawing.words import interval, listed, percent
from goldfold.images import cases
from goldfold.report.copies import Cluster
from goldfold.report.results import Results

STRENGTH = {0.6: "barely", 0.75: "to some degree", 0.9: "well", 1.01: "almost always"}
"""AUC below which each word describes how well images can be told apart."""
CLEAR = 0.7
"""AUC that counts as a clear difference: an interval that contains both 0.5 and this is inconclusive."""
MIN_IMPORTANCE = 0.01
MIN_TYPICAL = 0.005
"""Smallest share of the other set (1 % when rounded) that an image must be more typical than to be shown."""
EVIDENCE_AUC = 0.55
"""AUC of a single feature at or above which it is evidence."""
CLEAR_EVIDENCE_AUC, MIN_DIFFERENCE = 0.75, 0.01
"""AUC of a single feature at or above which any difference of its medians is evidence, and, below that AUC, the smallest
difference that is, as a share of the larger median."""
MOST_FEATURES = 10
MOST_NAMED = 3

Shifts = dict[str, Shift | None]
"""Finding for each split that was compared with the training images; None with too few images."""


def find(results: Results, clusters: list[Cluster], most: int, workers: int) -> Shifts:
    """Compare training images with test and unlabeled images, at most ``most`` of each.

    Args:
        clusters: sets of copies, which are kept together: a classifier would recognise a copy.
    """
    copies = {(copy.split, copy.id): min(own.ids) for own in clusters for copy in own.copies}
    tables = {split: _with_units(table, split, copies) for split, table in results.tables.items() if "path" in table}
    others = [split for split in ("test", "unlabeled") if split in tables and "train" in tables]
    return {
        split: between(tables["train"], tables[split], most, workers, results.settings["data"]["scale_16bit"])
        if min(len(tables["train"]), len(tables[split])) >= FEWEST
        else None
        for split in others
    }


def _with_units(table: pd.DataFrame, split: str, copies: dict[tuple[str, str], str]) -> pd.DataFrame:
    """One row per image, with its ``unit``: images of one group, else of copies, else of one case stay together."""
    if "group" in table:
        return cases.named(table.assign(unit="group " + table["group"]))
    units = [f"copy {copies[split, id]}" if (split, id) in copies else f"{split} {id}" for id in table["id"]]
    return cases.named(table.assign(unit=units))


def section(results: Results, found: Shifts) -> Section | None:
    """AUC, features that differ, and typical images, for each split; None without other images."""
    if not found:
        return None
    intro = (
        "A classifier was trained to tell training images from the others by brightness, colour, detail, size and similar "
        "features, and tested on images that it had not seen. The area under its ROC curve (AUC) is 0.5 if the images cannot "
        "be told apart, and 1 if they always can. The larger the difference, the less the out-of-fold score says about the "
        "other images."
    )
    blocks: list[Block] = []
    for split, shift in found.items():
        blocks += _of_split(results, split, shift)
    return Section("shift", "Training images against the others", intro, blocks, short="Shift")


def notes(found: Shifts) -> list[Note]:
    """Notes for splits whose images can be told apart from training images."""
    return [
        Note(
            "warn" if shift.auc.low >= 0.6 else "info",
            f"Training and {split} images can be told apart",
            f"{verdict(split, shift)} "
            + (
                "The score on them may differ from the out-of-fold score by more than its interval."
                if split == "test"
                else "Pseudo labels are made for images unlike those that the models were trained on."
            ),
        )
        for split, shift in found.items()
        if shift is not None and shift.is_seen
    ]


def verdict(split: str, shift: Shift) -> str:
    """Describe whether they can be told apart, and by which features."""
    auc = f"AUC {shift.auc.value:.3f}, 95 % interval {_interval(shift.auc)}"
    if not shift.is_seen:
        if not is_inconclusive(shift.auc):
            return f"Training and {split} images cannot be told apart ({auc}, which contains 0.5)."
        return (
            f"There are too few images to tell whether training and {split} images differ ({auc}, which contains both 0.5, no "
            f"difference, and {CLEAR}, a clear one). The smaller set has {count(min(shift.images), 'image')}; more images, or "
            f"more groups if images have groups, narrow the interval: with about 70 it is about 0.2 wide."
        )
    how = next(word for below, word in STRENGTH.items() if shift.auc.value < below)
    return f"Training and {split} images can {how} be told apart ({auc}). {_differences(split, shift)}"


def is_inconclusive(auc: Auc) -> bool:
    """Test whether the interval is inconclusive: it contains both no difference and a clear one."""
    return auc.low <= 0.5 and auc.high >= CLEAR


def _differences(split: str, shift: Shift) -> str:
    kinds = [kind for kind, drop in shift.drops.items() if drop >= MIN_IMPORTANCE][:MOST_NAMED]
    best = [most_discriminative(shift.features, kind) for kind in kinds or [row.kind for row in shift.features[:1]]]
    named = [f"{row.kind} ({evidence(row, split)})" for row in best]
    return f"Features that differ most: {listed(named)}. {_pixels(shift.of_pixels)}"


def most_discriminative(features: Sequence[Feature], kind: str) -> Feature:
    """Most discriminative feature of a kind whose medians differ when rounded, else the most discriminative one."""
    of_kind = [row for row in features if row.kind == kind]
    return next((row for row in of_kind if row.alone >= EVIDENCE_AUC and _differs(row)), of_kind[0])


def evidence(row: Feature, split: str) -> str:
    """Describe a feature by its medians if they differ, else by its AUC if that is high enough."""
    if row.alone >= EVIDENCE_AUC and _differs(row):
        return f"{row.name}: median {_number(row.first)} in training, {_number(row.second)} in {split} images"
    if row.alone >= EVIDENCE_AUC:
        almost = "equal" if _number(row.first) == _number(row.second) else "almost equal"
        return f"{row.name}: AUC {row.alone:.3f} alone, with {almost} medians"
    return "no single feature, but several in combination"


def _differs(row: Feature) -> bool:
    """Test whether the medians differ when rounded, and by enough to be evidence: 8.67 and 8.66 do not."""
    apart = abs(row.first - row.second)
    is_far = row.alone >= CLEAR_EVIDENCE_AUC or apart >= MIN_DIFFERENCE * max(abs(row.first), abs(row.second))
    return _number(row.first) != _number(row.second) and is_far


def _pixels(auc: Auc) -> str:
    if auc.low > 0.5:
        return f"With pixels alone, without image sizes and file properties, the AUC is {auc.value:.3f} ({_interval(auc)})."
    if is_inconclusive(auc):
        return f"There are too few images to tell whether pixels alone differ (AUC {auc.value:.3f}, {_interval(auc)})."
    return (
        f"By pixels alone they cannot be told apart (AUC {auc.value:.3f}, {_interval(auc)}): the difference is in image sizes "
        f"and file properties, of which a network sees little once images are resized."
    )


def _of_split(results: Results, split: str, shift: Shift | None) -> Sequence[Block]:
    heading = f"Training against {split} images"
    if shift is None:
        return [Text(f"There are too few readable images to compare (at least {FEWEST} of each are needed).", heading)]
    looked = f"{count(shift.images[0], 'training image')} and {count(shift.images[1], f'{split} image')} were compared."
    blocks: list[Block] = [Text(f"{verdict(split, shift)} {looked}", heading)]
    if shift.is_seen or is_inconclusive(shift.auc):
        blocks += [_kinds(shift), _features(split, shift.features)]
    images = {split: cases.named(table) for split, table in results.tables.items()}
    paths = {split: dict(zip(table["id"], table["path"], strict=True)) for split, table in images.items()}
    for own, other, ids in (("train", split, shift.like_second), (split, "train", shift.like_first)):
        blocks.append(_most_like(paths[own], own, other, [(id, share) for id, share in ids if share >= MIN_TYPICAL]))
    return blocks


def _most_like(paths: dict[str, str], own: str, other: str, ids: list[tuple[str, float]]) -> Block:
    """Gallery of images of one set that look like the other's, each with the share of the other set that is less typical."""
    heading = f"{_named(own).capitalize()} most like {_named(other)}"
    if not ids:
        least = percent(2 * MIN_TYPICAL, 0)
        return Text(
            f"None: according to the classifier, no {_one(own)} is more typical of the {_named(other)} than {least} of these.",
            heading,
        )
    shown = [picture(paths.get(id), f"more typical than {percent(share, 0)}", [id]) for id, share in ids]
    first = percent(ids[0][1], 0)
    caption = (
        f"The {_named(own)} that the classifier is most likely to take for {_named(other)}. “More typical than {first}”: it "
        f"rates this image as more typical of the {_named(other)} than {first} of the {_named(other)} themselves."
    )
    return Gallery(shown, caption, heading)


def _kinds(shift: Shift) -> Table:
    most = max(*shift.drops.values(), 1e-9)
    rows: list[list[str | Cell]] = [
        [kind, Cell(f"{max(drop, 0.0):.3f}", max(drop, 0.0) / most)] for kind, drop in shift.drops.items()
    ]
    caption = "Loss of AUC when this kind of feature is shuffled among the images (permutation importance)."
    return Table(["kind of feature", "loss of AUC"], rows, text_columns=["kind of feature"], caption=caption)


def _features(split: str, features: list[Feature]) -> Block:
    """Table of the features that are discriminative alone."""
    shown = [row for row in features if row.alone >= EVIDENCE_AUC][:MOST_FEATURES]
    if not shown:
        return Text(f"No single feature tells them apart (AUC below {EVIDENCE_AUC:g}), only several in combination.")
    rows = [[row.name, f"{row.alone:.3f}", _number(row.first), _number(row.second), row.kind] for row in shown]
    columns = ["feature", "AUC alone", "median, train", f"median, {split}", "kind"]
    caption = (
        f"The {count(len(rows), 'feature')} with the highest AUC alone. Grey levels and colours range from 0 to 255."
    )
    return Table(columns, rows, text_columns=["feature", "kind"], caption=caption)


def _one(split: str) -> str:
    return _named(split).removesuffix("s")


def _named(split: str) -> str:
    return "training images" if split == "train" else f"{split} images"


def _interval(auc: Auc) -> str:
    return interval(auc.low, auc.high, 3)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
