"""The commands ``goldfold export`` and ``goldfold predict``."""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from goldfold.base.errors import GoldfoldError, cause
from goldfold.base.files import refuse_unwritable
from goldfold.base.status import Progress
from goldfold.base.words import count
from goldfold.bundles.loading import Bundle, load
from goldfold.components import name_of

PASSED_OVER = 1
"""Exit status where some files could not be predicted."""
ELSEWHERE = "Make it writable, or name another place."


def add_options(exported: argparse.ArgumentParser, predicted: argparse.ArgumentParser) -> None:
    """Arguments of both commands."""
    exported.add_argument("results", type=Path, help="folder of a finished run, such as results/mine")
    exported.add_argument("-o", "--out", type=Path, required=True, help="folder of the bundle to write")
    exported.add_argument("--force", action="store_true", help="replace an earlier bundle")
    predicted.add_argument("bundle", type=Path, help="folder that goldfold export wrote")
    predicted.add_argument("images", nargs="+", metavar="IMAGES", help="image files, or folders with all below them")
    predicted.add_argument("--out", type=Path, help="CSV to write; masks are written into masks/ beside it")
    predicted.add_argument("--overlays", type=Path, metavar="DIR", help="draw predictions on the images, as PNGs")
    predicted.add_argument("--member", metavar="NAME", help="one member alone in place of the ensemble")
    predicted.add_argument("--batch-size", type=_positive, metavar="N", help="images at once (as in the run)")
    predicted.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    predicted.add_argument(
        "--boxes",
        action="append",
        default=[],
        metavar="FILE",
        help="parts to cut out, where data.roi was given by boxes",
    )
    predicted.add_argument(
        "--trust", action="append", default=[], metavar="MODULE", help="module of your own that the bundle may import"
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def export(options: argparse.Namespace) -> int:
    """Write a bundle and print what it holds."""
    from goldfold.bundles.export import export as write

    with _files_explained():
        manifest = write(options.results, options.out, options.force)
        size = sum(path.stat().st_size for path in options.out.rglob("*") if path.is_file())
    if options.json:
        print(json.dumps(manifest.model_dump(by_alias=True, mode="json"), indent=2))
        return 0
    score, n = manifest.score, sum(len(member.weights) for member in manifest.members)
    interval = (
        "" if score.value is None else f", {score.metric} {score.value:.4g} ({score.low:.4g} to {score.high:.4g})"
    )
    if manifest.optimistic is not None:
        interval += (
            f"; {manifest.optimistic:.4g} where its steps are fitted on the images that are scored, which is optimistic"
        )
    members = count(len(manifest.members), "member")
    print(f"{options.out}: {members}, {count(n, 'network')}, {size / 1e6:,.1f} MB{interval}")
    if manifest.own_code:
        modules = " ".join(f"--trust {name.partition(':')[0]}" for name in manifest.own_code)
        print(
            f"It uses code of your own, which must be importable where it predicts: {', '.join(manifest.own_code)}; {modules}"
        )
    return 0


def predict(options: argparse.Namespace) -> int:
    """Predict, write and print; files that cannot be predicted are named last."""
    for folder in (options.out and options.out.parent, options.overlays):
        if folder is not None:
            refuse_unwritable(folder, ELSEWHERE)
    if options.out is not None and options.out.is_dir():
        raise GoldfoldError(f"--out {options.out} is a folder. Name a file such as {options.out / 'predictions.csv'}.")
    if options.trust:
        sys.path.append(os.getcwd())
    with _files_explained(), redirect_stdout(sys.stderr):  # stdout is for predictions alone
        bundle = load(options.bundle, options.trust)
        _say_what_hangs_together(bundle)
        found = bundle.predict(
            options.images,
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
        print(f"{options.out}: {count(len(found.images), 'image')}{masks}", file=sys.stderr)
    if drawn:
        print(f"{options.overlays}: {count(len(drawn), 'drawing')}", file=sys.stderr)
    if passed_over:
        n, total = len(passed_over), len(passed_over) + len(found.images)
        print(f"goldfold: passed over {n:,} of {count(total, 'file')}:", file=sys.stderr)
        print(*(f"  {one['path']}: {one['reason']}" for one in passed_over), sep="\n", file=sys.stderr)
    return PASSED_OVER if passed_over else 0


def _say_what_hangs_together(bundle: Bundle) -> None:
    """Predictions that depend on which images are predicted together."""
    manifest = bundle.manifest
    if len(manifest.members) > 1 and "method" in manifest.ensemble and name_of(manifest.ensemble["method"]) == "rank":
        print("note: the ensemble averages ranks, so a prediction depends on the images that are predicted with it.")
    if manifest.batch_norm == "adapted":
        print(
            "note: batch normalisation uses the statistics of the images that are predicted together, where there are enough."
        )


@contextmanager
def _files_explained() -> Iterator[None]:
    """A disk that is full or a file that cannot be written is one line."""
    try:
        yield
    except OSError as error:
        raise GoldfoldError(f"{error.filename or 'a file'}: {error.strerror or cause(error)}. {ELSEWHERE}") from error
