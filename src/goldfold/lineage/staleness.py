"""Staleness: which jobs of a plan are out of date, and why; the logic behind a dry run, without Snakemake.

A job is out of date if its outputs do not match its record (`causes` lists the differences), or if an upstream job is out
of date. Snakemake reaches the same result from mtimes, which `goldfold.lineage.dates` and `goldfold.lineage.recipes` set
according to the same records.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goldfold import ledger, openings
from goldfold.base.files import read_json
from goldfold.lineage import contents, provenance, recipes, records
from goldfold.planning import heads
from goldfold.planning.plan import UPSTREAM, Job, Plan

LONGEST = 60
"""Most characters of a value in a cause."""
IsFresh = Callable[[Job], bool]
"""Whether a job's own outputs exist, are intact, and were made by the present recipe from the present inputs."""


class Standing:
    """State of the jobs of a plan, each checked once.

    Args:
        is_fresh: whether a job is up to date, its upstream jobs aside, see `goldfold.lineage.dates.is_fresh`.
        detector: state of the jobs of the detector by whose boxes images are cropped; None without one.
    """

    def __init__(self, plan: Plan, is_fresh: IsFresh, detector: "Standing | None" = None) -> None:
        self.plan, self.is_fresh, self.detector = plan, is_fresh, detector
        self._own: dict[Job, bool] = {}
        self._stale: dict[Job, bool] = {}

    def is_own(self, job: Job) -> bool:
        """Return whether a job is out of date, its upstream jobs aside."""
        if job not in self._own:
            self._own[job] = not self.is_fresh(job)
        return self._own[job]

    def is_stale(self, job: Job) -> bool:
        """Return whether a job or one of its upstream jobs is out of date."""
        if job not in self._stale:
            is_below = any(map(self.is_stale, self.plan.above(job))) or self._follows_detector(job)
            self._stale[job] = self.is_own(job) or is_below
        return self._stale[job]

    def _follows_detector(self, job: Job) -> bool:
        """Return whether a job reads files of a job of the detector that is out of date, or whose folds may change."""
        above = self.plan.above_of_detector(job)
        if self.detector is None or not above:
            return False
        return any(map(self.detector.is_stale, [*above, Job("folds")]))

    def wanted_sizes(self) -> list[str]:
        """Caches that stale jobs will need."""
        readers = [
            job
            for stage in ("predict", "embed", "teach", "inner_predict", "full_predict")
            for job in self.plan.jobs(stage)
        ]
        return sorted({heads.spec_of(self.plan, job) for job in readers if self.is_stale(job)})

    def other_sizes(self, piece: Job) -> list[str]:
        """Other sizes in which a cache shard is needed but missing."""
        others = (piece._replace(spec=spec) for spec in self.wanted_sizes() if spec != piece.spec)
        return [other.spec for other in others if self.is_own(other)]

    def whole_cache(self, images: Mapping[str, int]) -> dict[str, Any]:
        """Extent of the whole cache, as far as it is known in advance.

        Args:
            images: number of images by split.
        """
        return {
            "images": {split: images.get(split, 0) for split in self.plan.splits},
            "shards": self.plan.n_shards,
            "specs": sorted({*self.plan.specs.values()}),
            "wanted": self.wanted_sizes(),
        }

    def stale(self, targets: Iterable[Job] | None = None) -> list[Job]:
        """Jobs that would run, upstream first.

        If the lists of the folds are not made yet, all jobs that read them may run, since their content is not known.

        Args:
            targets: jobs whose results are requested; None for all.
        """
        asked = None if targets is None else self._needed(targets)
        made_first = [job for stage in UPSTREAM for job in self.plan.jobs(stage) if self.is_stale(job)]
        stages = [stage for stage in self.plan.stages() if stage not in (*UPSTREAM, "cache")]
        jobs = [job for stage in stages for job in self.plan.jobs(stage) if asked is None or job in asked]
        below = [job for job in jobs if made_first or self.is_stale(job)]
        return [*made_first, *self.caches(below), *below]

    def _needed(self, targets: Iterable[Job]) -> set[Job]:
        """Jobs with all their upstream jobs."""
        found, todo = set[Job](), list(targets)
        while todo:
            job = todo.pop()
            if job not in found:
                found.add(job)
                todo += self.plan.above(job)
        return found

    def caches(self, jobs: Iterable[Job]) -> list[Job]:
        """Cache shards that jobs read and that must be made first."""
        return sorted({piece for job in jobs for piece in self.plan.caches(job) if self.is_own(piece)})


@dataclass(frozen=True)
class Cause:
    """One change: its kind, name, old and new value.

    Kinds: setting, code, data (digest), named (data that the config names), input, output (digest), missing,
    unreadable (a record), version, forced, new.
    """

    kind: str
    name: str
    old: Any = None
    new: Any = None

    def __str__(self) -> str:
        if self.kind in ("new", "forced"):
            return self.name
        if self.kind == "missing":
            return f"{self.name} is missing"
        if self.kind == "unreadable":
            return f"{self.name} cannot be read as a record"
        if self.kind == "output":
            return f"{self.name} is not what its job wrote ({_short(self.old)[:8]} -> {_short(self.new)[:8]})"
        if self.kind == "named" and None in (self.old, self.new):
            return f"the config {'now' if self.old is None else 'no longer'} names {self.name}"
        if self.kind in ("code", "data", "named", "input"):
            change = "is new" if self.old is None else "is gone" if self.new is None else "changed"
            digests = f" ({self.old[:8]} -> {self.new[:8]})" if self.old and self.new else ""
            return f"{'code of ' if self.kind == 'code' else ''}{self.name} {change}{digests}"
        return f"{self.name}: {_change(self.old, self.new)}"


def causes(
    name: str, recipe: recipes.Recipe, inputs: Iterable[str], outputs: Iterable[str], made: Iterable[str] = ()
) -> Iterator[Cause]:
    """Reasons why the job that writes the record ``name`` would run, upstream jobs aside.

    Args:
        recipe: its present recipe.
        inputs: files that it would read.
        made: files written by jobs that run before it, whose content is not known yet.
    """
    outputs, made, record = list(outputs), {*made}, records.read(name)
    missing = [path for path in outputs if not os.path.lexists(path)]
    if record is None:
        yield _without_record(name, is_new=len(missing) == len(outputs))
        return
    yield from (Cause("missing", path) for path in missing)
    for path, (old, new) in contents.damage(record).items():
        if path not in missing:
            yield Cause("output", path, old, new) if new else Cause("missing", path)
    yield from _recipe_causes(record, recipe)
    if not all(record["inputs"].get(path) is None or path in made for path in inputs):
        yield from _input_causes(record, made)


def _without_record(name: str, is_new: bool) -> Cause:
    if os.path.lexists(name):
        return Cause("unreadable", name)
    return Cause("new", "never made before") if is_new and name not in _recorded(name) else Cause("missing", name)


def _input_causes(record: records.Record, made: set[str]) -> Iterator[Cause]:
    for path, old in record["inputs"].items():
        is_known = path not in made and not records.is_cache(path) and os.path.exists(path)
        if is_known and (new := contents.digest(path)) != old:
            yield Cause("input", path, old, new)


def _recorded(record: str) -> list[str]:
    """Records of the last finished run in the same folder of results."""
    try:
        return list(read_json(Path(*Path(record).parts[:2]) / "provenance.json")["records"])
    except (OSError, ValueError, TypeError, KeyError):
        return []


def _recipe_causes(record: records.Record, recipe: recipes.Recipe) -> Iterator[Cause]:
    for name, (old, new) in recipes.differences(record["recipe"]["settings"], recipe["settings"]).items():
        yield Cause("setting", name, old, new)
    for name, (old, new) in recipes.differences(record["recipe"]["data"], recipe["data"]).items():
        changed = list(_changed_images(record, name)) if record["rule"] == "manifest" and os.path.isdir(name) else []
        kind = "input" if name in (ledger.FILE, openings.FILE) else "named"  # no config names a ledger
        yield from changed or [Cause(kind, name, old, new)]
    if {**record["recipe"]["code"], "of": None} != {**recipe["code"], "of": None}:
        table = provenance.code_of(recipe)
        changes = recipes.differences({"code": record["code"]}, {"code": table})
        files = [Cause("code", name.removeprefix("code."), old, new) for name, (old, new) in changes.items()]
        yield from files or [Cause("code", "cache/building.py, which caches images,", "", "")]
    for name, old, new in records.version_changes(record, provenance.versions(provenance.SHAPING)):
        yield Cause("version", name, old, new)


def _changed_images(record: records.Record, folder: str) -> Iterator[Cause]:
    """Images below ``folder`` that differ from the manifest's tables."""
    import csv

    csv.field_size_limit(sys.maxsize)  # run lengths of a large image exceed the default field limit of 128 KiB
    known: dict[str, str] = {}
    for table in (path for path in record["outputs"] if path.endswith(".csv")):
        with open(table, encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                known |= _digests(row)
    inside = {path: old for path, old in known.items() if Path(path).is_relative_to(folder)}
    there = contents.memory().digests(path for path in inside if os.path.exists(path))
    for path, old in inside.items():
        new = there.get(path)
        if new != old:
            yield Cause("data", path, old, new)


def _digests(row: Mapping[str, str]) -> dict[str, str]:
    """Digest by path of the image, or of the images of a case, in a row of a manifest's table."""
    if row.get("images_sha256"):
        digests = zip(json.loads(row["images"]), json.loads(row["images_sha256"]), strict=True)
        return {path: digest for path, digest in digests if path is not None}
    return {row["path"]: row["sha256"]} if row.get("sha256") else {}


def _change(old: Any, new: Any) -> str:
    """Two values; of long ones the parts from shortly before their first difference on.

    >>> _change([*range(100), 1], [*range(100), 2])
    '...95, 96, 97, 98, 99, 1] -> ...95, 96, 97, 98, 99, 2]'
    """
    texts = [_text(old), _text(new)]
    pairs = zip(*texts, strict=False)
    same = next((place for place, (one, other) in enumerate(pairs) if one != other), min(map(len, texts)))
    if max(map(len, texts)) > LONGEST and same > LONGEST // 2:
        texts = [f"...{text[same - LONGEST // 3 :]}" for text in texts]
    return " -> ".join(map(_cut, texts))


def _short(value: Any) -> str:
    return _cut(_text(value))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _text(value: Any) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value)
