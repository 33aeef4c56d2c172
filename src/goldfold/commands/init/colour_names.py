"""Names for the colours of masks, from a legend file: ``classes.json``, ``class_dict.csv``, ``label_colors.txt``."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from goldfold.base.words import count
from goldfold.commands.init.found import Doubt, Layout, Setting
from goldfold.commands.init.roles import LIST
from goldfold.commands.init.walk import Tree, base
from goldfold.commands.init.words import NO_LABELS, plain
from goldfold.targets.colours import as_colour, number_of

SUFFIXES = (".json", ".csv", ".tsv", ".txt", ".yaml", ".yml")
WORDS = ("class", "label", "colo", "legend", "palette", "categor", "map", "codes")
LARGEST = 1_000_000
HEX = re.compile(r"#?([0-9a-fA-F]{6})")
UNNAMED = "name them in data.mask_values"
"""End of the doubt that colours have no names."""


def apply(tree: Tree, layout: Layout) -> Layout:
    """Name the classes of colours after a legend, if there is one."""
    rule = layout.data["mask_values"].value if "mask_values" in layout.data else None
    if not isinstance(rule, dict) or not any(str(value).startswith("#") for value in rule.values()):
        return layout
    for file in _candidates(tree):
        names = _legend((tree.root / file).read_text(encoding="utf-8-sig", errors="replace"), file)
        known = {name: names[value] for name, value in rule.items() if value in names}
        if len(known) * 2 > len(rule) and len(set(known.values())) == len(known):
            _rename(layout, rule, known, tree.path(file))
            layout.roles[file] = LIST
            break
    return layout


def _candidates(tree: Tree) -> Iterator[str]:
    called = [name for name in tree.files(*SUFFIXES) if any(word in base(name).lower() for word in WORDS)]
    small = [name for name in called if (tree.root / name).stat().st_size <= LARGEST]
    yield from sorted(small, key=lambda name: (name.count("/"), len(name), name))[:20]


def _rename(layout: Layout, rule: Mapping[str, str], known: Mapping[str, str], where: str) -> None:
    """Replace numbers by names."""
    own = {name: known.get(name, name) for name in rule}
    layout.data["mask_values"] = Setting({own[name]: value for name, value in rule.items()}, f"names of {where}")
    layout.classes = {own.get(name, name): n for name, n in layout.classes.items()}
    layout.in_images = {own.get(name, name): n for name, n in layout.in_images.items()}
    if len(known) == len(rule):
        layout.doubts = [doubt for doubt in layout.doubts if UNNAMED not in doubt.text]
    else:
        rest = len(rule) - len(known)
        layout.doubts.append(Doubt(f"{where} has no name for {count(rest, 'colour')}: see data.mask_values."))
    for name, value in layout.data["mask_values"].value.items():
        if plain(name) in NO_LABELS or plain(name) in ("void", "background"):
            layout.doubt(
                f"class {name!r} may mark unlabelled pixels: then remove it from data.mask_values, and write "
                f'`ignore_value: "{value}"` below data.'
            )


def _legend(text: str, file: str) -> dict[str, str]:
    """Colour -> name."""
    if file.lower().endswith(".json"):
        try:
            return dict(_of_json(json.loads(text)))
        except (ValueError, RecursionError):
            return {}
    return dict(filter(None, map(_of_line, text.splitlines())))


def _of_json(content: Any) -> Iterator[tuple[str, str]]:
    """Yield (colour, name) of records with both, and of mappings in either direction."""
    if isinstance(content, list):
        for part in content:
            yield from _of_json(part)
    if not isinstance(content, dict):
        return
    found = [colour for value in content.values() if (colour := _colour(value)) is not None]
    texts = [str(content[key]) for key in ("name", "title", "label", "class", "category", "readable") if key in content]
    if len(found) == 1 and texts:
        yield found[0], texts[0]
        return
    for key, value in content.items():
        if (colour := _colour(value)) is not None:
            yield colour, key
        elif (colour := _colour(key)) is not None and isinstance(value, str):
            yield colour, value
        else:
            yield from _of_json(value)


def _colour(value: Any) -> str | None:
    """``#rrggbb`` of a colour in any notation; None for anything else."""
    if isinstance(value, str) and (match := HEX.fullmatch(value.strip())):
        return f"#{match.group(1).lower()}"
    levels = value if isinstance(value, list) and len(value) in (3, 4) else []
    if len(levels) >= 3 and all(isinstance(level, int) and 0 <= level <= 255 for level in levels):
        return as_colour(number_of(*levels[:3]))
    return None


def _of_line(line: str) -> tuple[str, str] | None:
    """(colour, name) of a line with three levels, or a colour in hexadecimal, and a name."""
    if match := re.search(r"(?<!\d)(\d{1,3})[\s,;]+(\d{1,3})[\s,;]+(\d{1,3})(?!\d)", line):
        colour = _colour([int(level) for level in match.groups()])
    elif match := re.search(r"#([0-9a-fA-F]{6})\b", line):
        colour = f"#{match.group(1).lower()}"
    else:
        return None
    rest = line[: match.start()] + line[match.end() :]
    words = [word for part in re.split(r"[,;\t:]", rest) if (word := part.strip().strip("\"'")) and not word.isdigit()]
    return (colour, words[0]) if colour is not None and words else None
