"""Show all running jobs, their progress and their remaining time."""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

from goldfold.base import run_lock, status


def add_options(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``goldfold status``."""
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of all experiments")
    parser.add_argument("--watch", type=float, metavar="SECONDS", help="show again every SECONDS until interrupted")


def run(options: argparse.Namespace, rest: Sequence[str]) -> int:
    """Show the jobs once, or until interrupted."""
    while True:
        print(_jobs(options.results, options.json), flush=True)
        if options.watch is None:
            return 0
        try:
            time.sleep(options.watch)
        except KeyboardInterrupt:
            return 0


def _jobs(results: Path, as_json: bool) -> str:
    entries = status.listing(results)
    if as_json:
        return json.dumps(entries)
    lines = [status.describe(entry) for entry in entries] or [*map(_waiting, run_lock.holders(results))]
    return "\n".join(lines) or f"no jobs are running below {results}/"


def _waiting(run: dict[str, str]) -> str:
    since = f"process {run.get('pid', '?')} on {run.get('host', '?')}, since {run.get('since', '?')}"
    return f"{run['experiment']}  a run is starting, or between two jobs ({since})"
