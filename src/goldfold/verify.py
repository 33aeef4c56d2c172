"""Whether the files of a folder of results are still those that its jobs wrote, and fit together."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from goldfold.runtime import records
from goldfold.runtime.errors import DataError


@dataclass(frozen=True)
class Finding:
    """A file that is not what a record says: ``problem`` is ``changed``, ``missing`` or ``stale``."""

    path: str
    problem: str
    expected: str
    found: str | None
    record: str

    def __str__(self) -> str:
        if self.problem == "missing":
            return f"missing  {self.path}  (of {self.record})"
        if self.problem == "stale":
            return f"stale    {self.record} was made from {self.path} as {self.expected[:12]}; it is {str(self.found)[:12]} now"
        return f"changed  {self.path}  {self.expected[:12]} -> {str(self.found)[:12]}  (of {self.record})"


def verify(results: str | Path) -> tuple[int, list[Finding]]:
    """Number of files looked at, and what is wrong: every digest that the records hold is computed anew.

    The cache may be deleted at any time and is looked at only where it is there.

    Raises:
        DataError: there is no record below ``results``.
    """
    known = records.read_all(results)
    if not known:
        raise DataError(f"{results}: no run.json below it. Name a folder such as results/digits.")
    digests: dict[str, str | None] = {}
    for record in known.values():
        for path in (*record["outputs"], *record["files"], *record["inputs"]):
            if path not in digests:
                digests[path] = records.digest(path) if os.path.exists(path) else None
    return sum(digest is not None for digest in digests.values()), list(_findings(known, digests))


def _findings(known: dict[str, records.Record], digests: dict[str, str | None]) -> Iterator[Finding]:
    for name, record in known.items():
        for path, expected in {**record["outputs"], **record["files"]}.items():
            found = digests[path]
            if found is None and record["rule"] != "cache":
                yield Finding(path, "missing", expected, None, name)
            elif found not in (None, expected):
                yield Finding(path, "changed", expected, found, name)
        for path, expected in record["inputs"].items():
            if digests[path] not in (None, expected):
                yield Finding(path, "stale", expected, digests[path], name)
