"""Write the networks of a finished run, with everything that prediction needs, into one folder."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from goldfold.base.words import count
from goldfold.commands.disk import readable_errors


def add_options(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``goldfold export``."""
    parser.add_argument("results", type=Path, help="folder of a finished run, such as results/mine")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder of the bundle to write")
    parser.add_argument("--force", action="store_true", help="replace an earlier bundle")


def run(options: argparse.Namespace, rest: Sequence[str]) -> int:
    """Write a bundle and print a summary."""
    from goldfold.bundles.export import export as write

    with readable_errors():
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
            f"; {manifest.optimistic:.4g} with its steps fitted on the images that are scored, which is optimistic"
        )
    members = count(len(manifest.members), "member")
    print(f"{options.out}: {members}, {count(n, 'network')}, {size / 1e6:,.1f} MB{interval}")
    if manifest.own_code:
        modules = " ".join(f"--trust {name.partition(':')[0]}" for name in manifest.own_code)
        print(
            f"It uses user-defined code, which must be importable for prediction: {', '.join(manifest.own_code)}; {modules}"
        )
    return 0
