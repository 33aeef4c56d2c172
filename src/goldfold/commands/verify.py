"""Whether the files of a folder of results are still those that its jobs wrote, and fit together."""

import argparse
import functools
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from goldfold.base.errors import DataError
from goldfold.base.files import read_json
from goldfold.lineage import contents, records

OVERVIEW = "provenance.json"
READABLE = "a record that can be read"
RECORD = "a record"
LEFTOVER = "  [leftover: no job of the present config]"


@dataclass(frozen=True)
class Finding:
    """A file that is not what a record says: ``problem`` is ``changed``, ``missing`` or ``stale``.

    With ``expected`` a record, ``path`` is one that is gone, or a file that none has. A leftover is of a job that the last
    finished run did not ask for, such as a model that was taken out of the config.
    """

    path: str
    problem: str
    expected: str
    found: str | None
    record: str
    leftover: bool = False

    def __str__(self) -> str:
        return self._told() + LEFTOVER * self.leftover

    def _told(self) -> str:
        if self.expected == READABLE:
            return f"changed  {self.path}  cannot be read as a record: empty, torn or edited"
        if self.expected == RECORD:
            what = "this record is gone" if self.path.endswith(records.SUFFIX) else "no record says how it was made"
            return f"missing  {self.path}  {what}"
        if self.problem == "missing":
            return f"missing  {self.path}  (of {self.record})"
        if self.problem == "stale":
            return f"stale    {self.record} was made from {self.path} as {self.expected[:12]}; it is {str(self.found)[:12]} now"
        return f"changed  {self.path}  {self.expected[:12]} -> {str(self.found)[:12]}  (of {self.record})"


def verify(results: str | Path) -> tuple[int, list[Finding]]:
    """Number of files looked at, and what is wrong: every digest that the records hold is computed anew.

    The cache and the epoch of a member that was not chosen may be deleted at any time, and are looked at only where
    they are there.

    Raises:
        DataError: there is no record below ``results``, or the records are of another place.
    """
    paths = records.paths(results)
    if not paths:
        raise DataError(f"{results}: no run.json below it. Name a folder such as results/digits.")
    known = {path: record for path in paths if (record := records.read(path)) is not None}
    _refuse_another_place(known, results)
    digests: dict[str, str | None] = {}
    for record in known.values():
        for path in (*record["outputs"], *record["files"], *record["inputs"]):
            if path not in digests:
                digests[path] = _digest(path)
    torn = [Finding(path, "changed", READABLE, _digest(path), path) for path in paths if path not in known]
    overview = Path(results, OVERVIEW)
    if overview.exists() and _asked_for(overview) is None:
        torn.append(Finding(os.fspath(overview), "changed", READABLE, None, os.fspath(overview)))
    gone = _gone(results, paths, known)
    findings = [*torn, *gone, *_findings(known, digests)]
    return sum(digest is not None for digest in digests.values()), list(_marked(findings))


def _digest(path: str) -> str | None:
    """Digest of what is at a path now; None where nothing is that can be read."""
    return contents.digest(path) if contents.stamp(path) else None


def _refuse_another_place(known: dict[str, records.Record], results: str | Path) -> None:
    """Paths in records that all point elsewhere would make all of them missing, or compare the files of another run."""
    made = (record for record in known.values() if record["rule"] != "demo")  # whose files lie with the data
    outputs = [path for record in made for path in record["outputs"]]
    if outputs and not any(_is_below(path, results) for path in outputs):
        raise DataError(
            f"{results}: its records are of files elsewhere, such as {outputs[0]}, looked for in {os.getcwd()}. Paths in "
            "records are relative to the folder where snakemake was started: run goldfold verify there, with the "
            "results where they were made."
        )


def _is_below(path: str, results: str | Path) -> bool:
    """Whether a path leads below the results, as it is written, or with all links followed."""
    return Path(os.path.abspath(path)).is_relative_to(os.path.abspath(results)) or Path(_place(path)).is_relative_to(
        os.path.realpath(results)
    )


def _place(path: str) -> str:
    """Absolute path, folders resolved but not the file itself, which may be a link into DVC's cache."""
    folder, name = os.path.split(path)
    return os.path.join(os.path.realpath(folder), name)


def _gone(results: str | Path, there: Iterable[str], known: dict[str, records.Record]) -> Iterator[Finding]:
    """Records of the last finished run that are no longer there; where none was finished, inputs that no record has."""
    here, overview = {_place(path) for path in there}, _asked_for(Path(results, OVERVIEW))
    if overview is not None:
        gone = sorted(os.path.relpath(name) for name in overview - here)
        yield from (Finding(name, "missing", RECORD, None, name) for name in gone if not records.is_cache(name))
        return
    made = {_place(path) for record in known.values() for path in contents.written(record)} | here
    read = dict.fromkeys(path for record in known.values() for path in record["inputs"])
    inside = f"{os.path.realpath(results)}{os.sep}"
    for path in read:
        if _place(path).startswith(inside) and _place(path) not in made and not records.is_cache(path):
            yield Finding(path, "missing", RECORD, None, path)


def _findings(known: dict[str, records.Record], digests: dict[str, str | None]) -> Iterator[Finding]:
    for name, record in known.items():
        for path, expected in {**record["outputs"], **record["files"]}.items():
            found, may_go = digests[path], record["rule"] == "cache" or _is_spare(path, record)
            if found is None and not may_go:
                yield Finding(path, "missing", expected, None, name)
            elif found not in (None, expected):
                yield Finding(path, "changed", expected, found, name)
        for path, expected in record["inputs"].items():
            if digests[path] not in (None, expected):
                yield Finding(path, "stale", expected, digests[path], name)


def _is_spare(path: str, record: records.Record) -> bool:
    """Whether a file holds the epoch of a member that was not chosen."""
    return record["rule"] == "train" and path in record["files"]


def _marked(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Findings, those of jobs that are no longer asked for marked as leftovers."""
    asked_for = functools.cache(_asked_for)
    for finding in findings:
        record = Path(_place(finding.record))
        overview = next((file for folder in record.parents if (file := folder / OVERVIEW).is_file()), None)
        names = None if overview is None else asked_for(overview)
        is_known = names is None or os.fspath(record) in names
        # A job that was made since then is of a run that has yet to finish, or was ended.
        is_old = overview is not None and record.exists() and record.stat().st_mtime <= overview.stat().st_mtime
        yield replace(finding, leftover=is_old and not is_known)


def _asked_for(overview: Path) -> frozenset[str] | None:
    """Records of the jobs of the last run that was finished; None where that does not say."""
    try:
        names = read_json(overview)["records"]
        return frozenset(_place(name) for name in names)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def add_options(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``goldfold verify``."""
    parser.add_argument("results", type=Path, nargs="+", help="such as results/digits")


def run(options: argparse.Namespace, rest: Sequence[str]) -> int:
    """Print what differs."""
    looked = [verify(folder) for folder in options.results]
    findings = [finding for _, of_folder in looked for finding in of_folder]
    count = sum(number for number, _ in looked)
    if options.json:
        print(json.dumps({"files": count, "findings": [finding.__dict__ for finding in findings]}, indent=2))
    else:
        leftovers = sum(finding.leftover for finding in findings)
        told = f"{count} files, {len(findings)} findings" + (f", {leftovers} of them leftovers" if leftovers else "")
        print("\n".join([*map(str, findings), told]))
    return 0 if all(finding.leftover for finding in findings) else 1
