"""Config and data, looked at by the very code that runs first, before hours are spent on them."""

import contextlib
import io
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from goldfold.config import Config, load, slices
from goldfold.runtime.errors import GoldfoldError
from goldfold.runtime.files import read_json

SHOWN = 20
"""Classes and rows that are printed; JSON has them all."""
FEW_IMAGES = 10
RARE = 20
"""How many times more images the largest class may have than the smallest before it is worth a word."""
SUFFIXES = {"JPEG": {".jpg", ".jpeg", ".jpe", ".jfif"}, "TIFF": {".tif", ".tiff"}, "MPO": {".jpg", ".jpeg"}}


@dataclass
class Check:
    """What was found: ``error`` is why nothing could be run, None where all could."""

    config: str
    error: str | None = None
    task: str | None = None
    images: dict[str, int] = field(default_factory=dict)
    """Number of usable images by split."""
    classes: dict[str, dict[str, float]] = field(default_factory=dict)
    """How much of each class is in each fold: images, objects, or pixels."""
    folds: list[int] = field(default_factory=list)
    """Number of validation images of each fold."""
    left_out: list[dict[str, str]] = field(default_factory=list)
    """Rows of the quarantine: split, id, path, part, reason."""
    doubts: list[str] = field(default_factory=list)


def check(path: str | Path) -> Check:
    """Read the config, make manifest and folds in a folder that is thrown away, and say what came of it."""
    found = Check(str(path))
    try:
        config = load(path)
        found.task = config.task
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            _make(config, Path(folder), found)
    except GoldfoldError as error:
        found.error = str(error)
    return found


def _make(config: Config, folder: Path, found: Check) -> None:
    import pandas as pd

    from goldfold.stages import folds, manifest

    manifest.run(folder=str(folder / "manifest"), workers=os.cpu_count() or 1, **slices.manifest(config))
    tables = {
        name: pd.read_csv(folder / f"manifest/{name}.csv", dtype=str, keep_default_na=False)
        for name in (*config.tables, "quarantine")
    }
    found.left_out = tables.pop("quarantine").to_dict("records")
    found.images = {name: len(table) for name, table in tables.items()}
    found.doubts += _about_left_out(found)
    found.doubts += _about_files([path for table in tables.values() for path in table["path"]])
    folds.run(manifest=str(folder / "manifest"), folder=str(folder / "folds"), **slices.folds(config))
    summary = pd.read_csv(folder / "folds/summary.csv", index_col="fold")
    found.folds = summary.pop("(all)").astype(int).tolist()
    names = read_json(folder / "manifest/classes.json")
    found.classes = {name: {str(fold): float(n) for fold, n in summary[name].items()} for name in names}
    found.doubts += _about_classes(found)


def _about_left_out(found: Check) -> Iterator[str]:
    counts = Counter(row["split"] for row in found.left_out if row["part"] == "image")
    for split, number in counts.items():
        total = number + found.images.get(split, 0)
        if number > total / 100:
            yield f"{number} of {total} images of {split} are left out ({number / total:.0%}); see the reasons"


def _about_files(paths: list[str]) -> Iterator[str]:
    """What the look at every image, which is remembered, says of the files."""
    from goldfold.data.integrity import scan

    table = scan(paths, 1)
    known = table["kind"] != ""
    false = known & ~table.apply(
        lambda row: Path(row["path"]).suffix.lower() in SUFFIXES.get(row["kind"], {f".{row['kind'].lower()}"}), axis=1
    )
    if false.any():
        first = table[false].iloc[0]
        yield f"{int(false.sum())} files are not what their suffix says, first {first['path']}: {first['kind']}"
    deep = table["bits"] > 8
    if deep.any():
        yield (
            f"{int(deep.sum())} of {len(table)} images have more than 8 bits a channel, first {table[deep]['path'].iloc[0]}: "
            f"the upper 8 are used, so one whose values are small is nearly black"
        )
    kinds = Counter(table["channels"][known].tolist())
    if len(kinds) > 1:
        told = ", ".join(f"{n} with {channels}" for channels, n in sorted(kinds.items()))
        yield f"images differ in the number of channels: {told}; all are read with data.channels"


def _about_classes(found: Check) -> Iterator[str]:
    sums = {name: sum(parts.values()) for name, parts in found.classes.items()}
    few = {name: n for name, n in sums.items() if n < FEW_IMAGES}
    if few:
        name = min(few, key=lambda name: few[name])
        yield f"{len(few)} classes have fewer than {FEW_IMAGES} examples, the smallest {name!r} with {few[name]:.0f}"
    if len(sums) > 1 and max(sums.values()) > RARE * min(sums.values()):
        most, least = max(sums, key=lambda name: sums[name]), min(sums, key=lambda name: sums[name])
        yield (
            f"class {most!r} is {sums[most] / sums[least]:.0f} times as frequent as {least!r}: a metric that counts classes "
            f"alike (macro_f1) says more than one that counts images"
        )


def as_text(found: Check) -> str:
    """What was found in words."""
    if found.error is not None:
        return f"{found.config}: cannot be run\n{found.error}"
    images = ", ".join(f"{number:,} {split}" for split, number in found.images.items())
    lines = [f"{found.config}: can be run", f"task: {found.task}", f"images: {images}"]
    lines.append(f"folds: {len(found.folds)}, of {min(found.folds):,} to {max(found.folds):,} images")
    lines.append(f"classes: {len(found.classes)}")
    for name, parts in list(found.classes.items())[:SHOWN]:
        lines.append(f"  {name}: {sum(parts.values()):,.0f} ({', '.join(f'{n:,.0f}' for n in parts.values())} by fold)")
    lines += [f"  and {len(found.classes) - SHOWN} more"] * (len(found.classes) > SHOWN)
    lines.append(f"left out: {len(found.left_out)}")
    for row in found.left_out[:SHOWN]:
        lines.append(f"  {row['split']} {row['id']} ({row['path']}): {row['reason']}")
    lines += [f"  and {len(found.left_out) - SHOWN} more"] * (len(found.left_out) > SHOWN)
    lines.append("doubts:" if found.doubts else "doubts: none")
    return "\n".join([*lines, *(f"  {doubt}" for doubt in found.doubts)])


def as_json(found: Check) -> dict[str, Any]:
    """The same for machines."""
    return {"ok": found.error is None, **found.__dict__}
