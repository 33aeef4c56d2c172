"""What the workflow costs beside the work: gaps between jobs, a run with nothing to do, the start of one job.

    python benchmarks/overhead.py [--config config.yaml] [--repeats 5]

Runs the config (the embedded digits) in an empty folder, then
- wall: from start to end; inside: when at least one job's own code ran (by the records); between: the rest
- no-op: the same command again, with nothing to do
- start: from Snakemake's starting a training job to its first step; of it, importing torch, in a process of its own
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from goldfold.config import load  # noqa: E402
from goldfold.lineage import records  # noqa: E402


def timed(command: list[str], folder: Path) -> float:
    """Seconds of a process that must end well."""
    start = time.monotonic()
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(run.stdout + run.stderr)
    return time.monotonic() - start


def covered(spans: list[tuple[float, float]]) -> float:
    """Length of the union of intervals."""
    total, end = 0.0, float("-inf")
    for first, last in sorted(spans):
        total += max(0.0, last - max(first, end))
        end = max(end, last)
    return total


def first_steps(command: Callable[..., list[str]], folder: Path, known: dict[str, Any], repeats: int) -> list[float]:
    """Seconds from Snakemake's mark that a training job begins to the job's first step, for one run made again."""
    name = next(name for name, record in known.items() if record["rule"] == "train")
    times = []
    for _ in range(repeats):
        (folder / name).unlink()
        begun: list[float] = []
        done = threading.Event()
        watcher = threading.Thread(target=_watch, args=(folder / ".snakemake/incomplete", begun, done))
        watcher.start()
        timed(command(name), folder)
        done.set()
        watcher.join()
        again = records.read(folder / name)
        times.append(again["first_step_at"] - begun[0] if again and begun else float("nan"))
    return times


def _watch(marks: Path, begun: list[float], done: threading.Event) -> None:
    """Note when Snakemake marks a job's outputs as begun."""
    while not done.is_set() and not begun:
        if marks.exists() and any(marks.iterdir()):
            begun.append(time.time())
        time.sleep(0.005)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=ROOT / "config.yaml")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    config = options.config.resolve()

    def command(*words: str) -> list[str]:
        files = ["--snakefile", str(ROOT / "Snakefile"), "--workflow-profile", str(ROOT / "profiles/default")]
        return [sys.executable, "-m", "snakemake", *files, *words, "--cores", "2", "--resources", "gpu=2",
                "--configfile", str(config)]  # fmt: skip

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wall = timed(command(), folder)
        results = folder / load(config).results
        known = {
            str(Path(path).relative_to(folder)): record for path, record in records.read_all(results).items()
        }  # fmt: skip
        inside = covered([(record["started"], record["finished"]) for record in known.values()])
        work = sum(record["seconds"] for record in known.values())
        no_op = [timed(command(), folder) for _ in range(options.repeats)]
        torch = [timed([sys.executable, "-c", "import torch"], folder) for _ in range(options.repeats)]
        starts = first_steps(command, folder, known, options.repeats)
    print(f"jobs                        {len(known):>8}")
    print(f"wall                        {wall:>8.1f} s")
    print(f"inside jobs, summed         {work:>8.1f} s")
    between = wall - inside
    print(f"at least one job inside     {inside:>8.1f} s")
    print(f"between jobs                {between:>8.1f} s  ({between / wall:.0%}, {between / len(known):.2f} s a job)")
    for what, values in (("no-op", no_op), ("start of a training job", starts), ("of it, import torch", torch)):
        spread = f"({min(values):.1f} to {max(values):.1f}, n = {len(values)})"
        print(f"{what:<27} {statistics.median(values):>8.1f} s  {spread}")


if __name__ == "__main__":
    main()
