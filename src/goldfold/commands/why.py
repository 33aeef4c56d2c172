"""Explain why each job would run: what changed, old -> new, and its cost; nothing is run."""

import argparse
import json
from collections.abc import Iterator, Sequence
from typing import Any

from goldfold.base.errors import GoldfoldError
from goldfold.base.words import count, noun
from goldfold.commands.reasons import Job, jobs, make_folds

MANY = 6
"""Longest list that is printed in full."""


def as_json(found: Sequence[Job]) -> str:
    """Jobs and totals as JSON."""
    listed = [
        {
            "rule": job.rule,
            **({"detector": True} if job.is_detector else {}),
            "wildcards": job.wildcards,
            "causes": [cause.__dict__ for cause in job.causes],
            "after": job.after,
            "seconds": job.seconds,
            "certain": job.is_certain,
        }
        for job in found
    ]
    sure = [job for job in found if job.is_certain]
    possible = {"trainings": trainings(found), "seconds": seconds(found)}
    whole = {"trainings": trainings(sure), "seconds": seconds(sure), "possible": possible, "jobs": listed}
    return json.dumps(whole, indent=2)


def trainings(found: Sequence[Job]) -> int:
    """Number of training runs."""
    return sum(job.rule in ("train", "inner_train", "full_train") for job in found)


def seconds(found: Sequence[Job]) -> float | None:
    """Total seconds of all jobs in sequence; None if the duration of any is unknown."""
    times = [job.seconds for job in found]
    return None if None in times else round(sum(time for time in times if time), 1)


def as_text(found: Sequence[Job]) -> str:
    """Jobs as text, grouped by stage, model, round and cause."""
    if not found:
        return "Nothing would run: every result is up to date with the current config, code and data."
    sure, unsure = ([job for job in found if job.is_certain is certain] for certain in (True, False))
    lines = [_summary(sure), *_grouped(sure)]
    if unsure:
        lines += ["", _unknown(unsure)]
    return "\n".join(lines)


def _grouped(found: Sequence[Job]) -> Iterator[str]:
    groups: dict[tuple[Any, ...], list[Job]] = {}
    for job in found:
        causes = tuple(map(str, job.causes))
        key = (
            job.is_detector,
            job.rule,
            job.wildcards.get("model"),
            job.wildcards.get("round"),
            causes,
            tuple(job.after),
        )
        groups.setdefault(key, []).append(job)
    for members in groups.values():
        yield from ("", _heading(members), *(f"  {line}" for line in _reasons(members[0])))


def _summary(found: Sequence[Job]) -> str:
    return f"{count(len(found), 'job')} would run, {_trainings(found)} of them trainings: {_cost(found)}."


def _unknown(found: Sequence[Job]) -> str:
    most = f"at most {count(len(found), 'job')}, {_trainings(found)} of them trainings"
    return (
        f"The jobs after the folds are not known before these are made: none, or {most} ({_cost(found)}). "
        "--look makes the folds first."
    )


def _trainings(found: Sequence[Job]) -> str:
    return str(trainings(found) or "none")


def _cost(found: Sequence[Job]) -> str:
    time = seconds(found)
    if time is None:
        return "their duration is not known yet"
    return f"about {_clock(time)} in sequence, by their last durations"


def _heading(members: Sequence[Job]) -> str:
    first, names = members[0], [name for name in ("model", "round") if name in members[0].wildcards]
    places = [
        " ".join(_place(key, value) for key, value in job.wildcards.items() if key not in names) for job in members
    ]
    listed = ", ".join(places[:MANY]) + (f" and {len(places) - MANY} more" if len(places) > MANY else "")
    own = ["detector:"] if first.is_detector else []
    title = " ".join([*own, first.rule, *(f"{name} {first.wildcards[name]}" for name in names)])
    return f"{title}: {listed}" if any(places) else title


def _place(key: str, value: str) -> str:
    return f"{key}{value}" if value.isdigit() else value


def _reasons(job: Job) -> list[str]:
    lines = [str(cause) for cause in job.causes[:MANY]]
    if len(job.causes) > MANY:
        lines.append(f"and {len(job.causes) - MANY} more changes")
    if job.after:
        lines.append(f"uses output of {', '.join(job.after)}, which {noun(len(job.after), 'runs', 'run')} first")
    return lines or ["its files are older than its inputs"]


def _clock(time: float) -> str:
    minutes, rest = divmod(round(time), 60)
    return (
        f"{minutes // 60} h {minutes % 60} min"
        if minutes >= 60
        else f"{minutes} min {rest} s"
        if minutes
        else f"{rest} s"
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``goldfold why``."""
    parser.add_argument("--look", action="store_true", help="make manifest and folds first, for an exact answer")


def run(options: argparse.Namespace, rest: Sequence[str]) -> int:
    """Print the jobs that would run, and why.

    Raises:
        GoldfoldError: a file is given to ``--config``, which takes ``key=value``.
    """
    if "--config" in rest and "=" not in "".join(rest[rest.index("--config") + 1 :][:1]):
        raise GoldfoldError("--config takes settings, as in --config name=mine; a file is given by --configfile")
    found = jobs(list(rest))
    folds = [job for job in found if job.rule == "folds"]
    if options.look and folds:
        make_folds(list(rest), any(job.is_detector for job in folds))
        found = jobs(list(rest))
    print(as_json(found) if options.json else as_text(found))
    return 0
