"""Time and peak memory of ensemble steps, against plain numpy and scipy that load everything.

    python benchmarks/ensembling.py [--cases 1000000] [--members 30] [--classes 10] [--only rank geometric] [--folder DIR]

Members are random logits around a random truth, written once as predictions of a run (`.npz`, float32). Each figure is of a
process of its own, which reads the files, fits if the step is fitted, and combines the members: seconds, processor seconds,
and the peak of its resident memory (`resource.getrusage`), of which about 0.2 GB are Python and the libraries. `largest
difference` is that of the probabilities of both. Fits of more than 50,000 cases use 50,000 of them, plain ones all.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

STEPS: dict[str, Any] = {
    "probability": {"average": {"method": "probability"}},
    "rank": {"average": {"method": "rank"}},
    "geometric": {"average": {"method": "geometric"}},
    "power": {"average": {"method": {"power": {"exponent": 2.0}}}},
    "vote": {"average": {"method": "vote"}},
    "hill_climbing": {"hill_climbing": {"steps": 10, "metric": "log_loss"}},
    "simplex": "simplex",
    "stacking": "stacking",
}
SAMPLE = 997
"""Every so manieth row is compared."""


def write(folder: Path, cases: int, members: int, classes: int) -> None:
    """Write the truth and the members."""
    from goldfold.predictions.arrays import save

    drawn = np.random.default_rng(0)
    truth = drawn.integers(classes, size=cases)
    ids = np.array([f"c{number:07d}" for number in range(cases)])
    np.save(folder / "truth.npy", truth)
    for member in range(members):
        logits = drawn.standard_normal((cases, classes), dtype=np.float32)
        logits[np.arange(cases), truth] += 0.5 + member / members
        entries = {"ids": ids, "classes": np.array([f"k{number}" for number in range(classes)]), "logits": logits}
        save(folder / f"m{member:02d}.npz", entries.items())


def ours(folder: Path, name: str) -> Any:
    """Combine the members with goldfold's step; return probabilities (cases, classes)."""
    import pandas as pd

    from goldfold.ensembling import nested, steps
    from goldfold.predictions.arrays import load, sharing_ids
    from goldfold.tasks.steps import ForSteps

    members = sharing_ids((path.stem, load(path)) for path in sorted(folder.glob("m*.npz")))
    first = next(iter(members.values()))
    classes = [str(one) for one in first["classes"]]
    task = ForSteps({"name": "classification"}, classes)
    (step,) = steps.build(task, [STEPS[name]], 1)
    fitted = None
    if isinstance(step, steps.FittedStep):
        labels = np.array(classes)[np.load(folder / "truth.npy")]
        truth = pd.DataFrame({"id": first["ids"].astype(object), "label": labels.astype(object)})
        (fitted,) = nested.fit([step], members, truth, np.zeros(len(truth), np.int64), task.metric("log_loss"))
    return next(iter(step.apply(members, fitted).values()))["probabilities"]


def plain(folder: Path, name: str) -> Any:
    """Combine the members by numpy and scipy, with all members in one stack."""
    from scipy.special import softmax

    files = sorted(folder.glob("m*.npz"))
    stack = np.stack([softmax(np.load(path)["logits"].astype(np.float64), axis=1) for path in files])
    return PLAIN[name](stack, np.load(folder / "truth.npy"))


def _rank(stack: Any, truth: Any) -> Any:
    from scipy.stats import rankdata

    levels, ranks = np.sort(stack.mean(axis=0), axis=0), rankdata(stack, axis=1).mean(axis=0) / stack.shape[1]
    places = rankdata(ranks, axis=0) - 1
    columns = [np.interp(places[:, k], np.arange(len(levels)), levels[:, k]) for k in range(levels.shape[1])]
    return np.stack(columns, axis=1)


def _geometric(stack: Any, truth: Any) -> Any:
    from scipy.special import softmax

    return softmax(np.log(stack).mean(axis=0), axis=1)


def _power(stack: Any, truth: Any) -> Any:
    mean = np.sqrt((stack**2).mean(axis=0))
    return mean / mean.sum(axis=1, keepdims=True)


def _vote(stack: Any, truth: Any) -> Any:
    votes = (stack.argmax(axis=2)[..., None] == np.arange(stack.shape[2])).mean(axis=0)
    return (1 - 1e-6) * votes + 1e-6 * stack.mean(axis=0)


def _hill_climbing(stack: Any, truth: Any) -> Any:
    rows, best, reached, total, counts = np.arange(len(truth)), np.zeros(len(stack)), np.inf, 0.0, np.zeros(len(stack))
    for step in range(1, 11):
        losses = [-np.log((total + member)[rows, truth] / step).mean() for member in stack]
        chosen = int(np.argmin(losses))
        total, counts[chosen] = total + stack[chosen], counts[chosen] + 1
        if losses[chosen] < reached - 1e-12:
            best, reached = counts.copy(), losses[chosen]
    return np.average(stack, axis=0, weights=best)


def _simplex(stack: Any, truth: Any) -> Any:
    from scipy.optimize import minimize

    of_true = stack[:, np.arange(len(truth)), truth].T

    def loss(weights: Any) -> tuple[float, Any]:
        mean = of_true @ weights
        return -np.log(mean).mean(), -(of_true.T @ (1 / mean)) / len(mean)

    n = len(stack)
    sums = {"type": "eq", "fun": lambda weights: weights.sum() - 1}
    found = minimize(loss, np.full(n, 1 / n), jac=True, bounds=[(1e-9, 1)] * n, constraints=[sums], method="SLSQP")
    return np.average(stack, axis=0, weights=found.x)


def _stacking(stack: Any, truth: Any) -> Any:
    from sklearn.linear_model import LogisticRegression

    columns = np.log(np.clip(stack, 1e-6, 1)).transpose(1, 0, 2)
    columns = (columns - columns.mean(axis=2, keepdims=True)).reshape(len(truth), -1)
    return LogisticRegression(C=0.1, max_iter=1000).fit(columns, truth).predict_proba(columns)


PLAIN: dict[str, Callable[[Any, Any], Any]] = {
    "probability": lambda stack, truth: stack.mean(axis=0),
    "rank": _rank,
    "geometric": _geometric,
    "power": _power,
    "vote": _vote,
    "hill_climbing": _hill_climbing,
    "simplex": _simplex,
    "stacking": _stacking,
}
CODES = {"ours": ours, "plain": plain}


def alone(folder: Path, name: str, code: str) -> None:
    """Run one step in this process and write what it took."""
    start, before = time.perf_counter(), time.process_time()
    found = CODES[code](folder, name)
    taken = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - before}
    taken["gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    np.save(folder / f"{name}-{code}.npy", found[::SAMPLE])
    (folder / f"{name}-{code}.json").write_text(json.dumps(taken))


def measured(folder: Path, name: str, code: str) -> dict[str, float] | None:
    """Run one step in a process of its own; None if it fails, such as for lack of memory."""
    words = ["--folder", str(folder), "--alone", name, code]
    if subprocess.run([sys.executable, __file__, *words]).returncode:
        return None
    found: dict[str, float] = json.loads((folder / f"{name}-{code}.json").read_text())
    return found


def row(folder: Path, name: str, codes: list[str]) -> str:
    """Measure a step; return a line."""
    texts, values = [], []
    for code in codes:
        found = measured(folder, name, code)
        if found is None:
            texts.append(f"{code} failed")
            continue
        texts.append(f"{code} {found['seconds']:.1f} s ({found['cpu']:.1f} s of processor time), {found['gb']:.2f} GB")
        values.append(np.load(folder / f"{name}-{code}.npy"))
    apart = f", largest difference {np.abs(values[0] - values[1]).max():.1e}" if len(values) == 2 else ""
    return f"{name}: {'; '.join(texts)}{apart}"


def main() -> None:
    """Print a line per step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    for name, default in (("cases", 1_000_000), ("members", 30), ("classes", 10)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--only", nargs="*", default=list(STEPS), choices=list(STEPS))
    parser.add_argument("--codes", nargs="*", default=list(CODES), choices=list(CODES))
    parser.add_argument("--folder", type=Path, help="folder of the members, kept; by default a temporary one")
    parser.add_argument("--alone", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.alone:
        return alone(given.folder, *given.alone)
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "truth.npy").exists():
            write(folder, given.cases, given.members, given.classes)
        for name in given.only:
            print(row(folder, name, given.codes), flush=True)
    return None


if __name__ == "__main__":
    main()
