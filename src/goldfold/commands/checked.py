"""Result of ``goldfold check``, as text and as JSON."""

from dataclasses import dataclass, field
from typing import Any

from goldfold.base.errors import shortened
from goldfold.base.words import count
from goldfold.images.files import tools_in_words
from goldfold.tasks import facts

SHOWN_DEVIATION = 0.0005
"""Least deviation that a tenth of a percent shows."""
SHOWN = 20
"""Classes and rows that are printed; JSON lists all."""


@dataclass
class Check:
    """Result of a check; ``error`` is the reason why the config cannot be run, None if it can."""

    config: str
    error: str | None = None
    task: str | None = None
    images: dict[str, int] = field(default_factory=dict)
    """Usable images by split."""
    cases: dict[str, int] = field(default_factory=dict)
    """Cases by split, if a case may have several images."""
    holdout: int = 0
    """Training cases that are set aside, and not in the counts of folds and classes."""
    classes: dict[str, dict[str, float]] = field(default_factory=dict)
    """Class -> fold -> amount that the fold validates: images, objects or pixels."""
    folds: list[int] = field(default_factory=list)
    """Number of validation images of each fold."""
    not_validated: int = 0
    """Training images that no fold validates."""
    deviation: float = 0.0
    """Largest relative deviation of a class from its even share per fold; 0.1 is a tenth."""
    furthest: dict[str, Any] = field(default_factory=dict)
    """The class with this deviation: ``class``, ``fold``, signed ``deviation``, the ``amount`` of it that the fold validates,
    and the ``even`` amount."""
    left_out: list[dict[str, str]] = field(default_factory=list)
    """Rows of the quarantine: split, id, path, part (image, box, ...), reason, outcome (``left out``, or ``cut``: the sound
    remainder of the part is trained on)."""
    groups: dict[str, Any] = field(default_factory=dict)
    """``number`` of groups of training images, sizes of the ``smallest`` and the ``largest``, and the latter's ``name``; empty
    without groups."""
    copies: list[dict[str, Any]] = field(default_factory=list)
    """Rows of images that have a copy; see `goldfold.audit.duplicates.find`."""
    crops: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Counts of cropped images by split, see `goldfold.crop.counts`; empty if all are taken whole."""
    boxes: dict[str, dict[str, int]] = field(default_factory=dict)
    """Images by split and by the networks of the detector whose boxes they will be cropped by; empty without a detector."""
    detector: "Check | None" = None
    """Result for the detector by whose boxes images are cropped."""
    passed_over: dict[str, int] = field(default_factory=dict)
    """Files and folders of other tools below the data folders, by name."""
    doubts: list[str] = field(default_factory=list)


def as_text(found: Check) -> str:
    """Result as text."""
    from goldfold.audit import quarantine
    from goldfold.crop import counts as roi
    from goldfold.splits.groups import groups_in_words, in_range

    if found.error is not None:
        return f"{found.config}: cannot be run\n{found.error}"
    images = ", ".join(f"{number:,} {split}" for split, number in found.images.items())
    lines = [f"{found.config}: can be run", f"task: {found.task}", f"images: {images}"]
    if found.cases:
        lines.append(f"cases: {', '.join(f'{number:,} {split}' for split, number in found.cases.items())}")
    lines += [f"holdout: {found.holdout:,} of the training cases are set aside"] * (found.holdout > 0)
    lines.append(f"folds: {len(found.folds)}, of {in_range(found.folds)}")
    lines += roi.as_text(found.crops)
    for split, by_whose in found.boxes.items():
        known = ", ".join(f"{n:,} by {by}" for by, n in by_whose.items())
        lines.append(f"boxes of {split} images, known after the detector is trained: {known}")
    lines += [f"never validated: {count(found.not_validated, 'training image')}"] * (found.not_validated > 0)
    lines += _evenness(found)
    if found.groups:
        lines.append(f"groups: {groups_in_words(found.groups)}")
    lines.append(f"classes: {len(found.classes)}")
    for name, parts in list(found.classes.items())[:SHOWN]:
        lines.append(f"  {name}: {sum(parts.values()):,.0f} ({', '.join(f'{n:,.0f}' for n in parts.values())} by fold)")
    lines += [f"  and {len(found.classes) - SHOWN} more"] * (len(found.classes) > SHOWN)
    numbers = [count(quarantine.n_images(found.left_out), "image"), quarantine.parts_in_words(found.left_out)]
    lines.append(f"left out: {'; '.join(filter(None, numbers))}")
    for row in found.left_out[:SHOWN]:
        lines.append(f"  {row['split']} {row['id']} ({row['path']}): {quarantine.reason_of(row)}")
    lines += [f"  and {len(found.left_out) - SHOWN} more"] * (len(found.left_out) > SHOWN)
    lines += [tools_in_words(found.passed_over)] if found.passed_over else []
    lines.append("doubts:" if found.doubts else "doubts: none")
    lines += [f"  {doubt}" for doubt in found.doubts]
    of_detector = ["", "detector:", as_text(found.detector)] if found.detector else []
    return "\n".join([*map(shortened, lines), *of_detector])


def _evenness(found: Check) -> list[str]:
    """How far classes are from an even share of each fold."""
    far = found.furthest
    if found.deviation < SHOWN_DEVIATION:
        return ["every class has its even share of each fold"]
    unit = facts(str(found.task)).unit.removesuffix("s" * (far["amount"] == 1))
    return [
        f"furthest from its even share: class {far['class']!r} in fold {far['fold']}, {far['deviation']:+.1%}",
        f"  it validates {far['amount']:,.0f} {unit} of it; {far['even']:,.1f} would be even",
    ]


def as_json(found: Check) -> dict[str, Any]:
    """Result as JSON values."""
    own = {"detector": as_json(found.detector)} if found.detector else {}
    return {"ok": found.error is None, **found.__dict__, **own}
