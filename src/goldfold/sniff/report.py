"""What was found, in words and for machines."""

import json
from collections.abc import Sequence
from typing import Any

from goldfold.sniff import pictures as looks
from goldfold.sniff.choices import Values, plain
from goldfold.sniff.found import Doubt, Layout, by_count
from goldfold.sniff.pictures import Pictures

MOST_CLASSES = 20


def as_text(path: str, layout: Layout, pictures: Pictures, values: Values, doubts: Sequence[Doubt], out: str) -> str:
    """The report."""
    chosen = plain(values)
    rows = {
        "layout": f"{layout.title} (source: {layout.source})",
        "images": ", ".join(f"{n:,} {split}" for split, n in layout.splits.items()),
        "classes": _classes(layout),
        "sizes": f"{looks.sizes(pictures)} ({len(pictures.sample):,} of {pictures.n_of:,} looked at)",
        "format": looks.kinds(pictures) or "unknown",
        **layout.facts,
    }
    width = max(map(len, rows))
    lines = [path, *(f"  {key:<{width}}  {text}" for key, text in rows.items()), ""]
    for title, stops in (("To put right before a run", True), ("Doubts", False)):
        texts = [doubt.text for doubt in doubts if doubt.stops == stops]
        if texts:
            lines += [f"{title}:", *(f"  - {text}" for text in texts), ""]
    size = chosen["models"][0]["image_size_px"]
    shown = f"{size[0]} x {size[1]}" if isinstance(size, list) else f"{size} x {size}"
    folds = chosen["folds"]
    lines += [
        f"Wrote {out}: {chosen['task']}, {chosen['metric']}, {folds['n_folds']} folds ({folds['splitter']}), "
        f"{chosen['models'][0]['name']} at {shown} px, {chosen['train']['epochs']} epochs.",
        f"Next: goldfold check --config {out}, which reads every image; then snakemake -n --configfile {out}.",
    ]
    return printable("\n".join(lines))


def as_json(
    path: str, layout: Layout, pictures: Pictures, values: Values, doubts: Sequence[Doubt], out: str, others: list[str]
) -> str:
    """The same for machines, with all classes and the config's values."""
    height, width = pictures.median
    found: dict[str, Any] = {
        "path": path,
        "source": layout.source,
        "layout": layout.title,
        "other_sources": others,
        "images": layout.splits,
        "classes": dict(by_count(layout.classes)),
        "classes_count": layout.unit,
        "groups": layout.n_groups,
        "looked_at": len(pictures.sample),
        "sizes": looks.sizes(pictures),
        "median_width": width,
        "median_height": height,
        "formats": looks.kinds(pictures),
        "facts": layout.facts,
        "doubts": [{"text": doubt.text, "stops": doubt.stops} for doubt in doubts],
        "config": out,
        "values": plain(values),
    }
    return printable(json.dumps(found, indent=2, ensure_ascii=False))


def printable(text: str) -> str:
    """Names that are no UTF-8 with their bytes written out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _classes(layout: Layout) -> str:
    counts = by_count(layout.classes)
    if not counts:
        return "none"
    shown = ", ".join(f"{name} {n:,}" for name, n in counts[:MOST_CLASSES])
    unit = "" if layout.unit == "images" else f" ({layout.unit})"
    return f"{len(counts):,}: {shown}{', ...' if len(counts) > MOST_CLASSES else ''}{unit}"
