"""The command ``goldfold``."""

import argparse
import json
import os
import sys
import time
from pathlib import Path

from goldfold.base import run_lock, status
from goldfold.base.errors import GoldfoldError, as_error
from goldfold.bundles import command
from goldfold.commands import check, verify, why, why_text


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    options, rest = _parser().parse_known_args(arguments)
    if rest and options.command != "why":
        _parser().error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        commands = {
            "check": _check,
            "export": lambda options, rest: command.export(options),
            "init": _init,
            "predict": lambda options, rest: command.predict(options),
            "status": _status,
            "verify": _verify,
            "why": _why,
        }
        code = commands[options.command](options, rest)
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
    started = commands.add_parser(
        "init", help="look at a folder of images and write a config for it, with reasons and doubts"
    )
    started.add_argument("path", type=Path, help="folder of the data as downloaded, unpacked")
    started.add_argument("--out", type=Path, default=Path("config.yaml"), help="file to write (config.yaml)")
    started.add_argument("--name", help="name of the experiment; without it, the folder's")
    started.add_argument("--force", action="store_true", help="overwrite the file")
    shown = commands.add_parser("status", help="show all running jobs, how far they are and how long they will take")
    shown.add_argument("--results", type=Path, default=Path("results"), help="folder of all experiments")
    shown.add_argument("--watch", type=float, metavar="SECONDS", help="show anew every SECONDS until interrupted")
    explained = commands.add_parser(
        "why",
        help="say for each job that would run what changed, old -> new, and what it will cost; nothing is run",
        epilog="All other arguments are Snakemake's: goldfold why results/mine/metrics.json --configfile mine.yaml",
    )
    explained.add_argument("--look", action="store_true", help="make manifest and folds first, so as to know exactly")
    looked_at = commands.add_parser("check", help="say whether config and data can be run, and what is doubtful")
    looked_at.add_argument("--config", type=Path, default=Path("config.yaml"), help="config.yaml where none is named")
    checked = commands.add_parser("verify", help="compute all digests of results anew and name what differs")
    checked.add_argument("results", type=Path, nargs="+", help="such as results/digits")
    exported = commands.add_parser(
        "export", help="write the networks of a finished run, with all that prediction needs, as one folder"
    )
    predicted = commands.add_parser(
        "predict",
        help="predict new images with an exported bundle",
        epilog="Exit status: 0 all images are predicted; 1 some were passed over and are named; 2 none could be predicted.",
    )
    command.add_options(exported, predicted)
    for one in (started, shown, explained, looked_at, checked, exported, predicted):
        one.add_argument("--json", action="store_true", help="for machines")
    return parser


def _init(options: argparse.Namespace, rest: list[str]) -> int:
    from goldfold.commands.init.command import init  # pandas and Pillow, which no other command needs

    print(init(options.path, options.out, options.name, options.force, options.json))
    return 0


def _why(options: argparse.Namespace, rest: list[str]) -> int:
    found = why.jobs(rest)
    folds = next((job for job in found if job.rule == "folds"), None)
    if options.look and folds is not None:
        why.make_folds(rest)
        found = why.jobs(rest)
    print(why_text.as_json(found) if options.json else why_text.as_text(found))
    return 0


def _check(options: argparse.Namespace, rest: list[str]) -> int:
    found = check.check(options.config)
    print(json.dumps(check.as_json(found), indent=2) if options.json else check.as_text(found))
    return 0 if found.error is None else 1


def _verify(options: argparse.Namespace, rest: list[str]) -> int:
    looked = [verify.verify(folder) for folder in options.results]
    findings = [finding for _, of_folder in looked for finding in of_folder]
    count = sum(number for number, _ in looked)
    if options.json:
        print(json.dumps({"files": count, "findings": [finding.__dict__ for finding in findings]}, indent=2))
    else:
        leftovers = sum(finding.leftover for finding in findings)
        told = f"{count} files, {len(findings)} findings" + (f", {leftovers} of them leftovers" if leftovers else "")
        print("\n".join([*map(str, findings), told]))
    return 0 if all(finding.leftover for finding in findings) else 1


def _status(options: argparse.Namespace, rest: list[str]) -> int:
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


if __name__ == "__main__":
    sys.exit(main())
