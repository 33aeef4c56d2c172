"""Predict new images with an exported bundle."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

from goldfold.base.errors import GoldfoldError
from goldfold.base.files import refuse_unwritable
from goldfold.base.status import Progress
from goldfold.base.words import count
from goldfold.bundles.loading import Bundle, load
from goldfold.commands.disk import ELSEWHERE, readable_errors
from goldfold.components import name_of

PASSED_OVER = 1
"""Exit status where some files could not be predicted."""
EPILOG = "Exit status: 0 all images are predicted; 1 some were skipped and are listed; 2 none could be predicted."


def add_options(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``goldfold predict``."""
    parser.add_argument("bundle", type=Path, help="folder that goldfold export wrote")
    parser.add_argument("images", nargs="+", metavar="IMAGES", help="image files, or folders with all below them")
    parser.add_argument(
        "--table",
        type=Path,
        metavar="FILE",
        help="CSV of cases, where these have several images or metadata; IMAGES is the folder of the images",
    )
    parser.add_argument("--out", type=Path, help="CSV to write; masks are written into masks/ next to it")
    parser.add_argument("--overlays", type=Path, metavar="DIR", help="draw predictions on the images, as PNGs")
    parser.add_argument("--member", metavar="NAME", help="use only this member, not the ensemble")
    parser.add_argument("--batch-size", type=_positive, metavar="N", help="images per batch (as in the run)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument(
        "--boxes",
        action="append",
        default=[],
        metavar="FILE",
        help="boxes to crop to, if data.roi used boxes",
    )
    parser.add_argument(
        "--trust", action="append", default=[], metavar="MODULE", help="user-defined module that the bundle may import"
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def run(options: argparse.Namespace, rest: Sequence[str]) -> int:
    """Predict, write and print; files that cannot be predicted are listed last."""
    for folder in (options.out and options.out.parent, options.overlays):
        if folder is not None:
            refuse_unwritable(folder, ELSEWHERE)
    if options.out is not None and options.out.is_dir():
        raise GoldfoldError(f"--out {options.out} is a folder. Name a file such as {options.out / 'predictions.csv'}.")
    if options.trust:
        sys.path.append(os.getcwd())
    with readable_errors(), redirect_stdout(sys.stderr):  # stdout is only for predictions
        bundle = load(options.bundle, options.trust)
        _note_dependence(bundle)
        found = bundle.predict(
            options.images,
            table=options.table,
            member=options.member,
            batch_size=options.batch_size,
            device=options.device,
            boxes=options.boxes,
            progress=Progress,
        )
        if options.out is not None:
            found.save(options.out)
        drawn = found.overlays(options.overlays) if options.overlays is not None else []
    passed_over = [{"path": path, "reason": reason} for path, reason in found.bad]
    if options.json:
        print(json.dumps({"predictions": found.records(), "passed_over": passed_over}, indent=2))
    elif options.out is None:
        print(found.table.to_csv(index=False), end="")
    if options.out is not None:
        masks = f", masks in {options.out.parent / 'masks'}" * found.has_masks
        print(
            f"{options.out}: {count(len(found.images), 'case' if options.table else 'image')}{masks}", file=sys.stderr
        )
    if drawn:
        print(f"{options.overlays}: {count(len(drawn), 'drawing')}", file=sys.stderr)
    if passed_over:
        n, total = len(passed_over), len(passed_over) + len(found.images)
        of = f"{n:,} of {count(total, 'file')}" if options.table is None else count(n, "file")
        print(f"goldfold: skipped {of}:", file=sys.stderr)
        print(*(f"  {one['path']}: {one['reason']}" for one in passed_over), sep="\n", file=sys.stderr)
    return PASSED_OVER if passed_over else 0


def _note_dependence(bundle: Bundle) -> None:
    """Print notes if a prediction depends on the images predicted together with it."""
    manifest = bundle.manifest
    if len(manifest.members) > 1 and "method" in manifest.ensemble and name_of(manifest.ensemble["method"]) == "rank":
        print("note: the ensemble averages ranks, so a prediction depends on the images predicted together with it.")
    if manifest.batch_norm == "adapted":
        print("note: batch normalisation uses the statistics of the images predicted together, if there are enough.")
