"""The command ``goldfold``."""

import argparse
import os
import sys

from goldfold.base.errors import GoldfoldError, as_error
from goldfold.commands import check, export, init, predict, status, verify, why

COMMANDS = {
    "init": (init, "look at a folder of images and write a config for it, with reasons and doubts"),
    "check": (check, "say whether config and data can be run, and what is doubtful"),
    "status": (status, "show all running jobs, how far they are and how long they will take"),
    "why": (why, "say for each job that would run what changed, old -> new, and what it will cost; nothing is run"),
    "verify": (verify, "compute all digests of results again and name what differs"),
    "export": (export, "write the networks of a finished run, with all that prediction needs, as one folder"),
    "predict": (predict, "predict new images with an exported bundle"),
}
"""Each with ``add_options(parser)`` and ``run(options, rest)``, which returns the exit status."""
EPILOGS = {
    "why": "All other arguments are Snakemake's: goldfold why results/mine/metrics.json --configfile mine.yaml",
    "predict": predict.EPILOG,
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    options, rest = _parser().parse_known_args(arguments)
    if rest and options.command != "why":
        _parser().error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        command, _ = COMMANDS[options.command]
        code = command.run(options, rest)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # whoever reads has enough, such as head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python's own last flush would fail
        return 1
    except (GoldfoldError, SystemExit) as error:
        print(f"goldfold: {as_error(error)}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="goldfold", description="Look after a goldfold run.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (command, about) in COMMANDS.items():
        own = commands.add_parser(name, help=about, epilog=EPILOGS.get(name))
        command.add_options(own)
        own.add_argument("--json", action="store_true", help="for machines")
    return parser


if __name__ == "__main__":
    sys.exit(main())
