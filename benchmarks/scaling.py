"""How long a dry run and a run with nothing to do take for many training runs, how much memory, and which part is ours.

    python benchmarks/scaling.py [--runs 20 100 500 2000] [--repeats 3] [--out scaling.json]

Models, folds and seeds multiply to the number of training runs, of the embedded digits, without pseudo labels. The
finished state is made up: every file that the plan names holds one byte, beside the record that a job would write. What
Snakemake and goldfold look at (files, times, records) is the same as after a real run.
"""

import argparse
import functools
import hashlib
import os
import pstats
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from goldfold.base import scheduled  # noqa: E402
from goldfold.base.files import read_json, write_json  # noqa: E402
from goldfold.lineage import contents, provenance, records  # noqa: E402
from goldfold.planning.plan import STAGES  # noqa: E402

SHAPES = {20: (2, 5, 2), 100: (4, 5, 5), 500: (10, 5, 10), 2000: (20, 5, 20)}
"""Number of training runs -> models, folds, seeds."""
DIGEST = hashlib.sha256(b"1").hexdigest()


def config(models: int, folds: int, seeds: int) -> dict[str, Any]:
    """The embedded digits with so many members."""
    return {
        "name": "scale",
        "data": {"source": "digits"},
        "folds": {"n_folds": folds},
        "seeds": list(range(seeds)),
        "models": [{"name": f"m{number}", "network": "small_resnet", "image_size_px": 8} for number in range(models)],
    }


def command(*words: str) -> list[str]:
    """Snakemake in the current folder."""
    files = ["--snakefile", str(ROOT / "Snakefile"), "--workflow-profile", str(ROOT / "profiles/default")]
    return [sys.executable, "-m", "snakemake", *files, "--cores", "2", *words, "--configfile", "c.yaml"]


def measured(words: list[str], **environment: str) -> tuple[float, float]:
    """Seconds and peak MB of a process that must end well."""
    start = time.monotonic()
    process = subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ, **environment}
    )
    error = process.stderr.read() if process.stderr else b""
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(error.decode())
    return time.monotonic() - start, usage.ru_maxrss / 1024


def planned() -> list[dict[str, Any]]:
    """Jobs that would run."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan.json"
        measured(command("-n"), **{scheduled.VARIABLE: str(path)})
        return list(read_json(path))


def pretend() -> None:
    """Run manifest and folds, then make every other file of the plan, with records, as if all had run in turn."""
    measured(command("folds_made"))
    jobs = sorted(planned(), key=lambda job: STAGES.index(job["rule"]))
    versions, start, made = provenance.versions(), time.time(), {output for job in jobs for output in job["outputs"]}
    real = functools.cache(contents.digest)  # lists of the folds
    for job in jobs:
        outputs = [output for output in job["outputs"] if output != job["record"]]
        for output in outputs:
            Path(output).parent.mkdir(parents=True, exist_ok=True)
            Path(output).write_bytes(b"1")
        recipe = read_json(job["recipe"])
        record = {
            "rule": job["rule"], "wildcards": job["wildcards"], "recipe": recipe,
            "inputs": {p: DIGEST if p in made else real(p) for p in job["inputs"] if p != job["recipe"]},
            "outputs": dict.fromkeys(outputs, DIGEST), "files": {}, "logs": [], "code": provenance.code_of(recipe),
            "git": {}, "versions": versions, "hardware": {}, "started": start, "finished": time.time(), "seconds": 10.0,
        }  # fmt: skip
        write_json(job["record"], record)
        now = time.time()
        for output in [*outputs, job["record"]]:
            os.utime(output, (now, now))
    if left := planned():
        raise SystemExit(f"the made-up state is not a finished one: {len(left)} jobs would run")


def our_share() -> float:
    """Share of a no-op's time that is spent in goldfold's own functions and what they call, by a profile."""
    code = (
        "import cProfile, sys\nfrom snakemake.cli import main\n"
        f"profile = cProfile.Profile()\ntry:\n    profile.runcall(main, {command()[3:]!r})\n"
        "except SystemExit:\n    pass\nprofile.dump_stats('profile')"
    )
    measured([sys.executable, "-c", code])
    stats: Any = pstats.Stats("profile").stats  # type: ignore[attr-defined]
    ours = {name for name in stats if ("goldfold" in name[0] or "workflow/rules" in name[0]) and name[2] != "<module>"}
    from_outside = sum(
        cumulative for name in ours for caller, (_, _, _, cumulative) in stats[name][4].items() if caller not in ours
    )
    return float(from_outside / sum(entry[2] for entry in stats.values()))


def main() -> None:
    """Print the table; write it where --out says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows, out = [], options.out and options.out.resolve()
    print(f"{'runs':>6} {'jobs':>6} {'first dry run':>16} {'no-op':>22} {'memory':>9} {'of it goldfold':>15}")
    for runs in options.runs:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            Path("c.yaml").write_text(yaml.safe_dump(config(*SHAPES[runs])))
            fresh = [measured(command("-n"))[0] for _ in range(options.repeats)]
            pretend()
            noop = [measured(command()) for _ in range(options.repeats)]
            seconds, memory = [time for time, _ in noop], max(memory for _, memory in noop)
            jobs, share = len(records.read_all("results/scale")), our_share()
            os.chdir("/")
        rows.append({"runs": runs, "jobs": jobs, "dry_run": fresh, "no_op": seconds, "mb": memory, "ours": share})
        print(
            f"{runs:>6} {jobs:>6} {_spread(fresh):>16} {_spread(seconds):>22} {memory:>6.0f} MB {share:>14.0%}",
            flush=True,
        )
    if out:
        write_json(out, {"rows": rows, "versions": provenance.versions(), "hardware": provenance.hardware()})


def _spread(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.1f} s ({min(seconds):.1f}-{max(seconds):.1f})"


if __name__ == "__main__":
    main()
