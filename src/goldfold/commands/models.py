"""List networks with their parameters and input sizes, and measure their speed on this machine."""

import argparse
import fnmatch
import json
import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from goldfold.base.errors import DataError, nearest
from goldfold.base.words import aligned
from goldfold.catalog import NETWORKS
from goldfold.config.libraries import timm_backbones

MOST_COUNTED, MOST_MEASURED = 100, 40
"""Largest number of networks whose parameters are counted (a third of a second each), and whose speed is measured."""
PURPOSES = {"values": "labels, numbers", "maps": "masks", "boxes": "boxes", "backbone": "backbone"}
"""Purpose of a network, by its output in the catalog."""
OF_OTHERS = ("timm", "clip", "ultralytics")
"""Networks of a backbone or checkpoint by name, which have sizes and parameters of their own."""


@dataclass(frozen=True)
class Row:
    """A network; parameters and speed are None if they were not asked for, or the network is too large."""

    name: str
    purpose: str
    backbone: str | None
    height: int
    width: int
    parameters: int | None
    images_per_second: float | None


def add_options(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``goldfold models``."""
    parser.add_argument("--filter", default="", metavar="TEXT", help="names that contain this text: swin, swin*tiny")
    parser.add_argument(
        "--measure", action="store_true", help="measure images per second of prediction on this machine"
    )


def run(options: argparse.Namespace, rest: Sequence[str]) -> int:
    """Print a row per network."""
    listed = matching(options.filter)
    if options.measure and len(listed) > MOST_MEASURED:
        raise DataError(
            f"--measure: {len(listed)} networks match {options.filter!r}; at most {MOST_MEASURED} are measured at a time. "
            f"Narrow them with --filter."
        )
    from goldfold.models import speed

    logging.getLogger("timm").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    rows = [_row(name, kind, len(listed) <= MOST_COUNTED, options.measure) for name, kind in listed]
    machine = speed.machine() if options.measure else {}
    if options.json:
        print(
            json.dumps(
                {**({"machine": machine} if machine else {}), "networks": [asdict(row) for row in rows]}, indent=2
            )
        )
        return 0
    print("\n".join(_table(rows, options.measure)))
    for line in _notes(options.filter, rows, machine):
        print(line, file=sys.stderr)
    return 0


def matching(text: str) -> list[tuple[str, str]]:
    """Return (name, output) of the networks of goldfold, and (name, "backbone") of those of timm, that a text matches.

    Raises:
        DataError: there are none.
    """
    every = [(name, kind) for kind, entries in NETWORKS.items() for name in entries if name not in OF_OTHERS]
    every += [(name, "backbone") for name in sorted(timm_backbones())]
    wanted = _without_tag(text.lower(), [name for name, kind in every if kind == "backbone"])
    found = [one for one in every if fnmatch.fnmatchcase(one[0].lower(), f"*{wanted}*")]
    if not found:
        hint = nearest(text, [name for name, _ in every], n=3)
        raise DataError(
            f"--filter {text!r}: no network has such a name; {hint}`goldfold models` lists all {len(every)}"
        )
    return found


def _without_tag(text: str, backbones: Sequence[str]) -> str:
    """Return the name of a backbone without the tag of its weights, such as ``.lvd142m``; other texts as they are."""
    name, dot, _ = text.partition(".")
    return name if dot and name in backbones else text


def _row(name: str, kind: str, counts: bool, measures: bool) -> Row:
    from goldfold.models import speed

    size = speed.size_of(name, kind)
    own = None if kind == "backbone" else speed.backbone_of(NETWORKS[kind][name], name)
    of = ("timm", name, size) if kind == "backbone" else (name, own, size)
    n = speed.n_parameters(*of) if counts else None
    is_measured = measures and n is not None and n <= speed.MOST_PARAMETERS
    return Row(name, PURPOSES[kind], own, *size, n, speed.images_per_second(*of) if is_measured else None)


def _table(rows: Sequence[Row], measures: bool) -> Iterator[str]:
    cells = [
        [
            row.name,
            row.purpose + f" (on {row.backbone})" * (row.backbone is not None),
            f"{row.height}x{row.width}",
            "-" if row.parameters is None else f"{row.parameters:,}",
            *[f"{row.images_per_second:.3g}" if row.images_per_second else "-"] * measures,
        ]
        for row in rows
    ]
    return aligned([["name", "for", "input", "parameters", *["images/s"] * measures], *cells])


def _notes(text: str, rows: Sequence[Row], machine: dict[str, str | int]) -> Iterator[str]:
    from goldfold.models.speed import CHANNELS, N_CLASSES

    if len(rows) > MOST_COUNTED:
        yield f"{len(rows)} networks; parameters are counted for at most {MOST_COUNTED}: narrow them with --filter"
    else:
        yield f"parameters: with {CHANNELS} channels and {N_CLASSES} classes"
    if fnmatch.fnmatchcase("clip", f"*{text}*"):
        yield (
            "not listed, since its checkpoint decides on them: network: clip, the image tower of CLIP or SigLIP (see CLIP in "
            "docs/networks.md)"
        )
    if machine:
        yield (
            f"images/s: prediction on {machine['device']}, {machine['threads']} threads, batches of {machine['batch']} images, "
            f"{machine['precision']}, random weights, at the size of the column input"
        )
