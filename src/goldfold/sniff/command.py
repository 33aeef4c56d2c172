"""From a folder to a config: look, choose, say what is doubtful, write."""

import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from goldfold.config import load
from goldfold.data.files import UNREAD, is_text, without_suffix
from goldfold.runtime.errors import DataError, GoldfoldError, shortened
from goldfold.runtime.files import atomic
from goldfold.runtime.gpu_slots import VISIBLE, devices_named, devices_of_machine
from goldfold.runtime.words import count, noun
from goldfold.sniff import (
    class_doubts,
    coco,
    folders,
    groups,
    instances,
    labels,
    masks,
    pictures,
    report,
    rle,
    stacks,
    voc,
    yolo,
)
from goldfold.sniff.choices import choose
from goldfold.sniff.found import Doubt, Layout, by_count, some
from goldfold.sniff.samples import submission
from goldfold.sniff.tables import Table, tables_of
from goldfold.sniff.walk import Tree, base, refuse_no_folder, walk
from goldfold.sniff.written import as_yaml

Sniffer = Callable[[Tree, list[Table]], Layout | None]
SNIFFERS: dict[str, Sniffer] = {
    "coco": coco.sniff,
    "voc": voc.sniff,
    "yolo": yolo.sniff,
    "instances": instances.sniff,
    "rle": rle.sniff,
    "masks": masks.sniff,
    "csv": labels.sniff,
    "folder": folders.sniff,
}
LOOKED_FOR = (
    "class folders (<class>/*.jpg, also in train/, val/, test/); a CSV with a column of the images' names and one of labels; "
    "images/ and masks/ of the same names; <id>/images/ and <id>/masks/; a CSV of run lengths; COCO's JSON; Pascal VOC's "
    "Annotations/*.xml; YOLO's labels/*.txt"
)
NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,59}"
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar")


def init(path: Path, out: Path, name: str | None, force: bool, as_json: bool) -> str:
    """Write a config for the data in ``path`` to ``out``; return what there is to say.

    Raises:
        GoldfoldError: no layout is known, or ``out`` is there already.
    """
    refuse_no_folder(path)
    if out.exists() and not force:
        raise GoldfoldError(f"{out} is there already. Name another file with --out, or overwrite it with --force.")
    if name is not None and not re.fullmatch(NAME, name):
        raise GoldfoldError(f"--name {name!r}: at most 60 letters, digits, _ and -, a letter or digit first.")
    tree = walk(path)
    stack = stacks.stacked(tree)
    tables, found = _layouts(stack.tree) if stack else _layouts(tree)
    if stack and found and found[0].source in stacks.SOURCES:
        tree = stack.tree
        stacks.told(found[0], stack)
    elif stack:
        stack, (tables, found) = None, _layouts(tree)
    if not found:
        raise DataError(_nothing(tree, tables))
    layout, others = found[0], found[1:]
    looked = pictures.look(tree.root, [stack.first[name] for name in layout.train] if stack else layout.train)
    groups.find(tree, layout, tables)
    sample = submission(tree, layout, tables)
    doubts = _doubts(tree, layout, others, looked)
    values = choose(layout, looked, name or _name(path), _n_gpus(), sample)
    _write(out, as_yaml(values, _head(path, out)))
    if as_json:
        return report.as_json(str(path), layout, looked, values, doubts, str(out), [other.source for other in others])
    return shortened(report.as_text(str(path), layout, looked, values, doubts, str(out)))


def _layouts(tree: Tree) -> tuple[list[Table], list[Layout]]:
    """Tables of a folder, and what it can be read as, the likeliest first."""
    tables = tables_of(tree)
    found = (layout for sniff in SNIFFERS.values() if (layout := sniff(tree, tables)) is not None)
    return tables, sorted(found, key=lambda layout: -layout.likelihood)


def _doubts(tree: Tree, layout: Layout, others: list[Layout], looked: pictures.Pictures) -> list[Doubt]:
    """All doubts, those of the layout first, each once."""
    doubts = [
        Doubt(
            f"the folder could also be read as {other.title} (source: {other.source}, {count(len(other.train), 'image')})."
        )
        for other in others
    ]
    doubts += [*layout.doubts, *class_doubts.doubts(layout), *pictures.doubts(looked), *_splits(layout), *_names(tree)]
    return list(dict.fromkeys(doubts))


def _splits(layout: Layout) -> list[Doubt]:
    """Test images that are not there, or called like training images."""
    if "test" not in layout.splits:
        return [Doubt("no test images: there will be a score by cross-validation, and no submission.")]
    both = {without_suffix(base(name)) for name in layout.train} & {without_suffix(base(name)) for name in layout.test}
    if not both:
        return []
    first = some(sorted(both)[:1])
    return [
        Doubt(f"{count(len(both), 'name')} of training and test images alike, e.g. {first}: are they the same images?")
    ]


def _names(tree: Tree) -> list[Doubt]:
    """Folders that could not be read, and names that a table cannot hold."""
    doubts = [Doubt(f"folder {name} cannot be read and is left out.") for name in tree.unreadable]
    odd = [name for name in tree.images() if not name.isascii() and not is_text(name)]
    if odd:
        n, them = count(len(odd), "name of an image is", "names of images are"), noun(len(odd), "it", "them")
        text = f"{n} not UTF-8, e.g. {odd[0]!r}, and tables cannot hold {them}. Rename {them}."
        doubts.append(Doubt(text, stops=True))
    if tree.special:
        n, them = (
            count(len(tree.special), "name"),
            noun(len(tree.special), "is not a regular file", "are not regular files"),
        )
        doubts.append(Doubt(f"{n} {them} but a pipe, a socket or a device, passed over: {some(tree.special)}."))
    unread = tree.files(*UNREAD)
    if unread:
        n = count(len(unread), "picture")
        text = f"{n} in a format that goldfold does not read, passed over: {some(unread)}. Convert them."
        doubts.append(Doubt(text))
    return doubts


def _n_gpus() -> int:
    """GPUs that jobs started from here would see."""
    names = os.environ.get(VISIBLE)
    return len(devices_of_machine() if names is None else devices_named(names))


def _name(path: Path) -> str:
    """The folder's name as the config allows it."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", path.resolve().name).strip("_-")
    return name[:60] or "mine"


def _head(path: Path, out: Path) -> list[str]:
    schema = out.parent / "workflow/schemas/config.schema.json"
    line = ["yaml-language-server: $schema=workflow/schemas/config.schema.json"] if schema.is_file() else []
    shown = report.printable(" ".join(str(path).split()))
    return [
        *line,
        f"Written by goldfold init for {shown}. docs/config.md has every key; try: snakemake -n --configfile {out.name}",
    ]


def _write(out: Path, text: str) -> None:
    """The file, whole and valid, or nothing."""
    if not is_text(text):
        raise DataError("a folder's name is not UTF-8, and the config cannot hold it. Rename the folder.")
    with atomic(out) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        try:
            load(temporary)
        except GoldfoldError as error:
            raise AssertionError(f"goldfold init made a config that is not valid, which is a bug: {error}") from error


def _nothing(tree: Tree, tables: list[Table]) -> str:
    """What was looked for, and what is there."""
    suffixes: Counter[str] = Counter()
    for folder in tree.folders.values():
        suffixes.update(Path(name).suffix.lower() or "(no suffix)" for name in [*folder.images, *folder.others])
    seen = ", ".join(f"{n:,} {suffix}" for suffix, n in by_count(suffixes)[:8]) or "no files"
    tops = ", ".join(f"{name}/" for name in tree.folders[""].folders[:10]) or "none"
    listed = "; ".join(f"{table.name} ({', '.join(table.columns[:8])})" for table in tables[:3])
    named = f" Tables that name images, but no labels: {listed}." if tables else ""
    packed = any(suffix in ARCHIVES for suffix in suffixes)
    hint = " Unpack the archives first." if packed else " Write the config by hand: config.yaml and examples/ show how."
    return report.printable(
        f"{tree.root}: no layout that goldfold knows. Looked for {LOOKED_FOR}. Seen: {seen}; folders: {tops}.{named}{hint}"
    )
