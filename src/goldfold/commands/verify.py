"""Check that the files of a results folder are those that its jobs wrote, and are consistent."""

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
LEFTOVER = "  [leftover: no job of the current config]"


@dataclass(frozen=True)
class Finding:
    """A file that does not match its record: ``problem`` is ``changed``, ``missing`` or ``stale``.

    If ``expected`` is a record, ``path`` is a missing record, or a file without one. A leftover belongs to a job that the
    last finished run did not request, such as a model that was removed from the config.
    """

    path: str
    problem: str
    expected: str
    found: str | None
    record: str
    leftover: bool = False

    def __str__(self) -> str:
        return self._in_words() + LEFTOVER * self.leftover

    def _in_words(self) -> str:
        if self.expected == READABLE:
            return f"changed  {self.path}  cannot be read as a record: empty, torn or edited"
        if self.expected == RECORD:
            what = "this record is missing" if self.path.endswith(records.SUFFIX) else "it has no record"
            return f"missing  {self.path}  {what}"
        if self.problem == "missing":
            return f"missing  {self.path}  (of {self.record})"
        if self.problem == "stale":
            return f"stale    {self.record} was made from {self.path} as {self.expected[:12]}; it is {str(self.found)[:12]} now"
        return f"changed  {self.path}  {self.expected[:12]} -> {str(self.found)[:12]}  (of {self.record})"


def verify(results: str | Path) -> tuple[int, list[Finding]]:
    """Compute every digest in the records again; return the number of files checked, and the findings.

    The cache and the epochs of a member that were not chosen may be deleted at any time; they are checked only if they
    exist.

    Raises:
        DataError: there is no record below ``results``, or the records are of another location.
    """
    paths = records.paths(results)
    if not paths:
        raise DataError(f"{results}: no run.json below it. Name a folder such as results/digits.")
    known = {path: record for path in paths if (record := records.read(path)) is not None}
    _refuse_other_location(known, results)
    digests: dict[str, str | None] = {}
    for record in known.values():
        for path in (*record["outputs"], *record["files"], *record["inputs"]):
            if path not in digests:
                digests[path] = _digest(path)
    torn = [Finding(path, "changed", READABLE, _digest(path), path) for path in paths if path not in known]
    overview = Path(results, OVERVIEW)
    if overview.exists() and _requested(overview) is None:
        torn.append(Finding(os.fspath(overview), "changed", READABLE, None, os.fspath(overview)))
    gone = _missing_records(results, paths, known)
    findings = [*torn, *gone, *_findings(known, digests)]
    return sum(digest is not None for digest in digests.values()), list(_marked(findings))


def _digest(path: str) -> str | None:
    """Current digest of a path; None if it is missing or unreadable."""
    return contents.digest(path) if contents.stamp(path) else None


def _refuse_other_location(known: dict[str, records.Record], results: str | Path) -> None:
    """Refuse records whose paths all point elsewhere: all files would be missing, or those of another run compared."""
    made = (record for record in known.values() if record["rule"] != "demo")  # whose files are among the data
    outputs = [path for record in made for path in record["outputs"]]
    if outputs and not any(_is_below(path, results) for path in outputs):
        raise DataError(
            f"{results}: its records are of files elsewhere, such as {outputs[0]}, searched in {os.getcwd()}. Paths in "
            "records are relative to the folder where snakemake was started: run goldfold verify there, with the "
            "results in their original location."
        )


def _is_below(path: str, results: str | Path) -> bool:
    """True if a path leads below the results, as written or with all links followed."""
    return Path(os.path.abspath(path)).is_relative_to(os.path.abspath(results)) or Path(_place(path)).is_relative_to(
        os.path.realpath(results)
    )


def _place(path: str) -> str:
    """Absolute path with folders resolved, but not the file itself, which may be a link into DVC's cache."""
    folder, name = os.path.split(path)
    return os.path.join(os.path.realpath(folder), name)


def _missing_records(results: str | Path, there: Iterable[str], known: dict[str, records.Record]) -> Iterator[Finding]:
    """Missing records of the last finished run; if none has finished, inputs without a record."""
    here, overview = {_place(path) for path in there}, _requested(Path(results, OVERVIEW))
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
    """True for an epoch of a member that was not chosen."""
    return path not in contents.written(record)


def _marked(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Mark findings of jobs that are no longer requested as leftovers."""
    requested = functools.cache(_requested)
    for finding in findings:
        record = Path(_place(finding.record))
        overview = next((file for folder in record.parents if (file := folder / OVERVIEW).is_file()), None)
        names = None if overview is None else requested(overview)
        is_known = names is None or os.fspath(record) in names
        # A newer record is of a run that has not finished, or was killed.
        is_old = overview is not None and record.exists() and record.stat().st_mtime <= overview.stat().st_mtime
        yield replace(finding, leftover=is_old and not is_known)


def _requested(overview: Path) -> frozenset[str] | None:
    """Records of the jobs of the last finished run; None if the file cannot be read."""
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
        total = f"{count} files, {len(findings)} findings" + (f", {leftovers} of them leftovers" if leftovers else "")
        print("\n".join([*map(str, findings), total]))
    return 0 if all(finding.leftover for finding in findings) else 1
