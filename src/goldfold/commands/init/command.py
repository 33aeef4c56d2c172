"""Turn a folder into a config: propose readings, check the best, choose settings, collect doubts, write."""

import os
import re
from pathlib import Path

from goldfold.base.errors import DataError, GoldfoldError, shortened
from goldfold.base.files import atomic
from goldfold.base.gpu_slots import VISIBLE, devices_named, devices_of_machine
from goldfold.commands.init import groups, nearest, pictures, rehearsal, report
from goldfold.commands.init.choices import choose
from goldfold.commands.init.folder_doubts import all_doubts
from goldfold.commands.init.reading import Reading, propose
from goldfold.commands.init.report_text import printable
from goldfold.commands.init.samples import submission
from goldfold.commands.init.walk import refuse_no_folder, walk
from goldfold.commands.init.written import as_yaml
from goldfold.config import load
from goldfold.images.files import is_text

NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,59}"
MOST_CHECKED = 3
"""Number of readings passed to ``goldfold check``."""


def init(path: Path, out: Path, name: str | None, force: bool, as_json: bool) -> str:
    """Write a config for the data in ``path`` to ``out``; return the report.

    Raises:
        GoldfoldError: no layout is recognised, or ``out`` exists.
    """
    refuse_no_folder(path)
    if out.exists() and not force:
        raise GoldfoldError(f"{out} exists already. Name another file with --out, or overwrite it with --force.")
    if name is not None and not re.fullmatch(NAME, name):
        raise GoldfoldError(f"--name {name!r}: at most 60 letters, digits, _ and -, starting with a letter or digit.")
    tree = walk(path)
    tables, readings = propose(tree)
    if not readings:
        raise DataError(nearest.nothing(tree, nearest.misses(tree, tables)))
    for reading in readings[:MOST_CHECKED]:
        _complete(reading, name or _name(path))
    readings = sorted(readings[:MOST_CHECKED], key=lambda reading: reading.rank, reverse=True) + readings[MOST_CHECKED:]
    best = readings[0]
    misses = nearest.misses(tree, tables, best.unexplained)
    doubts = all_doubts(tree, best)
    _write(out, as_yaml(best.values, [*_head(path, out), *report.comments(readings, misses, doubts)]))
    if as_json:
        return report.as_json(str(path), readings, misses, doubts, str(out))
    return shortened(report.as_text(str(path), readings, misses, doubts, str(out)))


def _complete(reading: Reading, name: str) -> None:
    """Choose the config of a reading, and check it."""
    tree, layout, stack = reading.tree, reading.layout, reading.stack
    names = [stack.first[image] for image in layout.train] if stack else layout.train
    reading.looked = pictures.look(tree.root, names)
    groups.find(tree, layout, reading.tables)
    sample = submission(tree, layout, reading.tables)
    reading.forget()
    reading.values = choose(layout, reading.looked, name, _n_gpus(), sample)
    reading.refusal, reading.is_checked = rehearsal.refusal(reading.values, reading.looked), True
    if reading.refusal is not None:
        reading.is_mendable = rehearsal.is_mendable(reading.values, reading.looked, reading.refusal)


def _n_gpus() -> int:
    """Number of GPUs that jobs started here would see."""
    names = os.environ.get(VISIBLE)
    return len(devices_of_machine() if names is None else devices_named(names))


def _name(path: Path) -> str:
    """The folder's name, reduced to characters that the config allows."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", path.resolve().name).strip("_-")
    return name[:60] or "mine"


def _head(path: Path, out: Path) -> list[str]:
    schema = out.parent / "workflow/schemas/config.schema.json"
    line = ["yaml-language-server: $schema=workflow/schemas/config.schema.json"] if schema.is_file() else []
    shown = printable(" ".join(str(path).split()))
    return [
        *line,
        f"Written by goldfold init for {shown}. docs/config.md has every key; try: snakemake -n --configfile {out.name}",
    ]


def _write(out: Path, text: str) -> None:
    """Write the file, complete and valid, or nothing."""
    if not is_text(text):
        raise DataError("a folder's name is not UTF-8, so the config cannot hold it. Rename the folder.")
    with atomic(out) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        try:
            load(temporary)
        except GoldfoldError as error:
            raise AssertionError(f"goldfold init made a config that is not valid, which is a bug: {error}") from error
