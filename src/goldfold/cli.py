"""The command ``goldfold``."""

import argparse
import json
import sys
import time
from pathlib import Path

from goldfold.runtime import status


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="goldfold", description="Look after a goldfold run.")
    commands = parser.add_subparsers(dest="command", required=True)
    shown = commands.add_parser("status", help="show all running jobs, how far they are and how long they will take")
    shown.add_argument("--results", type=Path, default=Path("results"), help="folder of all experiments")
    shown.add_argument("--watch", type=float, metavar="SECONDS", help="show anew every SECONDS until interrupted")
    shown.add_argument("--json", action="store_true", help="for machines")
    options = parser.parse_args(arguments)
    while True:
        print(_status(options.results, options.json), flush=True)
        if options.watch is None:
            return 0
        try:
            time.sleep(options.watch)
        except KeyboardInterrupt:
            return 0


def _status(results: Path, as_json: bool) -> str:
    entries = status.listing(results)
    if as_json:
        return json.dumps(entries)
    return "\n".join(status.describe(entry) for entry in entries) or f"no jobs are running below {results}/"


if __name__ == "__main__":
    sys.exit(main())
