"""Report of ``goldfold init``, as text and JSON."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from goldfold.base.words import count
from goldfold.commands.init import pictures as looks
from goldfold.commands.init.choices import plain
from goldfold.commands.init.found import Doubt, Layout, by_count
from goldfold.commands.init.nearest import Miss
from goldfold.commands.init.reading import Reading
from goldfold.commands.init.report_text import printable
from goldfold.commands.init.roles import DOCUMENTATION, IMAGE, LABELS, LIST, MASK
from goldfold.commands.init.walk import base, parent

MOST_CLASSES = 20
MOST_DOUBTS = 8
MOST_PLACES = 4
"""Largest number of folders of unexplained files that are named."""
FEW_IN_FOLDER = 2
"""Largest number of unexplained files per folder that are named individually."""
NOUNS = {IMAGE: ("image", "images"), LABELS: ("file of labels", "files of labels"), MASK: ("mask", "masks"),
         LIST: ("list", "lists"), DOCUMENTATION: ("document", "documents")}  # fmt: skip


def as_text(path: str, readings: Sequence[Reading], misses: Sequence[Miss], doubts: Sequence[Doubt], out: str) -> str:
    """Report of at most one screen."""
    best = readings[0]
    layout, chosen = best.layout, plain(best.values)
    assert best.looked is not None
    rows = {
        "layout": f"{layout.title} (source: {layout.source})",
        "images": ", ".join(f"{n:,} {split}" for split, n in layout.splits.items()),
        "classes": _classes(layout),
        "sizes": f"{looks.sizes(best.looked)} ({len(best.looked.sample):,} of {best.looked.n_of:,} looked at)",
        "format": looks.kinds(best.looked) or "unknown",
        **layout.facts,
        **accounts(readings, misses),
    }
    width = max(map(len, rows))
    lines = [path, *(f"  {key:<{width}}  {text}" for key, text in rows.items()), ""]
    lines += _listed(doubts, out)
    lines += [
        f"Wrote {out}: {_summary(chosen)}.",
        f"Next: goldfold check --config {out}, which tries images and networks; then snakemake -n --configfile {out}.",
    ]
    return printable("\n".join(lines))


def accounts(readings: Sequence[Reading], misses: Sequence[Miss]) -> dict[str, str]:
    """Files that the best reading explains, files that it does not, the runner-up, and the nearest layouts."""
    best, *others = readings
    rows = {"explains": _explained(best)}
    if best.unexplained:
        rows["unexplained"] = f"{count(len(best.unexplained), 'file')}: {grouped(best.unexplained)}"
    if others:
        rows["runner-up"] = _runner_up(others[0])
    for number, miss in enumerate(misses[:2]):
        rows[f"nearest layout{f' {number + 1}' if number else ''}"] = str(miss)
    return rows


def comments(readings: Sequence[Reading], misses: Sequence[Miss], doubts: Sequence[Doubt]) -> list[str]:
    """The same as comments for the config, with the problems to correct before a run."""
    lines = [f"{key}: {text}" for key, text in accounts(readings, misses).items()]
    lines += [f"to correct before a run: {doubt.text}" for doubt in doubts if doubt.stops]
    lines += [f"doubt: {doubt.text}" for doubt in doubts if not doubt.stops]
    return [printable(" ".join(line.split())) for line in lines]


def as_json(path: str, readings: Sequence[Reading], misses: Sequence[Miss], doubts: Sequence[Doubt], out: str) -> str:
    """Report as JSON, with all classes and the config's values."""
    best, *others = readings
    layout, looked = best.layout, best.looked
    assert looked is not None
    height, width = looked.median
    found: dict[str, Any] = {
        "path": path,
        "source": layout.source,
        "layout": layout.title,
        "other_sources": [other.layout.source for other in others],
        "readings": [_reading(reading) for reading in readings],
        "unexplained": best.unexplained,
        "nearest": [miss.__dict__ for miss in misses],
        "images": layout.splits,
        "classes": dict(by_count(layout.classes)),
        "classes_count": layout.unit,
        "groups": layout.n_groups,
        "looked_at": len(looked.sample),
        "sizes": looks.sizes(looked),
        "median_width": width,
        "median_height": height,
        "formats": looks.kinds(looked),
        "facts": layout.facts,
        "doubts": [{"text": doubt.text, "stops": doubt.stops} for doubt in doubts],
        "config": out,
        "values": plain(best.values),
    }
    return printable(json.dumps(found, indent=2, ensure_ascii=False))


def grouped(names: Iterable[str]) -> str:
    """Files by folder, the fullest first; few files of a folder by name."""
    folders: dict[str, list[str]] = {}
    for name in names:
        folders.setdefault(parent(name), []).append(name)
    ordered = sorted(folders.items(), key=lambda entry: -len(entry[1]))
    parts = []
    for folder, held in ordered[:MOST_PLACES]:
        kinds = sorted({base(name).rpartition(".")[2] for name in held})
        kind = f" .{kinds[0]}" if len(kinds) == 1 and "." in base(held[0]) else ""
        parts.append(
            ", ".join(held) if len(held) <= FEW_IN_FOLDER else f"{folder or '.'}/ ({len(held):,}{kind or ' files'})"
        )
    more = len(ordered) - MOST_PLACES
    return ", ".join(parts) + (f", and {count(more, 'more folder')}" if more > 0 else "")


def _reading(reading: Reading) -> dict[str, Any]:
    return {
        "source": reading.layout.source,
        "layout": reading.layout.title,
        "score": round(reading.score, 4),
        "share": round(reading.share, 4),
        "checked": reading.is_checked,
        "refusal": reading.refusal,
        "explains": dict(Counter(reading.roles.values())),
        "unexplained": len(reading.unexplained),
    }


def _explained(reading: Reading) -> str:
    counts = Counter(reading.roles.values())
    parts = [count(counts[role], *nouns) for role, nouns in NOUNS.items() if counts[role]]
    n = sum(counts.values())
    return f"{n:,} of {count(n + len(reading.unexplained), 'file')}: {', '.join(parts)}"


def _runner_up(reading: Reading) -> str:
    layout = reading.layout
    verdict = ""
    if reading.is_checked:
        verdict = "; check accepts it" if reading.refusal is None else f"; check refuses it: {_short(reading.refusal)}"
    images = count(len(layout.train), "image")
    return f"{layout.title} (source: {layout.source}, {images}), explains {reading.share:.0%}{verdict}"


def _short(text: str) -> str:
    """The first sentence of an error."""
    text = " ".join(text.split())
    return text if len(text) <= 160 else f"{text[:160].rsplit(' ', 1)[0]} ..."


def _summary(chosen: dict[str, Any]) -> str:
    size = chosen["models"][0]["image_size_px"]
    shown = f"{size[0]} x {size[1]}" if isinstance(size, list) else f"{size} x {size}"
    folds = chosen["folds"]
    return (
        f"{chosen['task']}, {chosen['metric']}, {folds['n_folds']} folds ({folds['splitter']}), "
        f"{chosen['models'][0]['name']} at {shown} px, {chosen['train']['epochs']} epochs"
    )


def _listed(doubts: Sequence[Doubt], out: str) -> list[str]:
    """Problems to correct, and doubts, the first few of each."""
    lines: list[str] = []
    for title, stops in (("To correct before a run", True), ("Doubts", False)):
        texts = [doubt.text for doubt in doubts if doubt.stops == stops]
        if texts:
            more = len(texts) - MOST_DOUBTS
            cut = [f"  - and {more:,} more, at the top of {out}"] if more > 0 else []
            lines += [f"{title}:", *(f"  - {text}" for text in texts[:MOST_DOUBTS]), *cut, ""]
    return lines


def _classes(layout: Layout) -> str:
    counts = by_count(layout.classes)
    if not counts:
        return "none"
    shown = ", ".join(f"{name} {n:,}" for name, n in counts[:MOST_CLASSES])
    unit = "" if layout.unit == "images" else f" ({layout.unit})"
    return f"{len(counts):,}: {shown}{', ...' if len(counts) > MOST_CLASSES else ''}{unit}"
