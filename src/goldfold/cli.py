"""The command ``goldfold``."""

import argparse
import os
import sys

from goldfold.base.errors import GoldfoldError, as_error
from goldfold.commands import (
    augment,
    check,
    compare,
    export,
    holdout,
    init,
    models,
    predict,
    status,
    submitted,
    verify,
    why,
)

COMMANDS = {
    "init": (init, "inspect a folder of images and write a config for it, with reasons and doubts"),
    "check": (
        check,
        "check config, data and networks as a run does before its first job, and list what is doubtful",
    ),
    "augment": (augment, "draw augmented training samples of a config, or print a preset of augmentation to copy"),
    "models": (models, "list networks with parameters and input size; --measure: images per second on this machine"),
    "status": (status, "show all running jobs with their progress and remaining time"),
    "why": (why, "explain for each job that would run what changed (old -> new) and what it will cost; nothing is run"),
    "verify": (verify, "recompute all digests of results and list what differs"),
    "compare": (compare, "compare the scores of two finished runs on the same cases: gain, interval, verdict"),
    "submitted": (
        submitted,
        "record the public score of a submission beside its out-of-fold score, or list all recorded ones",
    ),
    "holdout": (
        holdout,
        "show whether the sealed holdout of a run was opened and how often; --open scores and counts it",
    ),
    "export": (export, "write the networks of a finished run, and all else that prediction needs, into one folder"),
    "predict": (predict, "predict new images with an exported bundle"),
}
"""Modules with ``add_options(parser)`` and ``run(options, rest)``, which returns the exit status."""
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
    except BrokenPipeError:  # the reader, such as head, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # otherwise Python's final flush would fail
        return 1
    except (GoldfoldError, SystemExit) as error:
        print(f"goldfold: {as_error(error)}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="goldfold", description="Set up, inspect and export goldfold runs.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (command, about) in COMMANDS.items():
        own = commands.add_parser(name, help=about, epilog=EPILOGS.get(name))
        command.add_options(own)
        own.add_argument("--json", action="store_true", help="print JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
