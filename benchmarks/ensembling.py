"""Time and peak memory of ensemble steps, against plain numpy, scipy and scikit-learn that load everything.

    python benchmarks/ensembling.py [--cases 1000000] [--members 30] [--classes 10] [--only rank geometric] [--folder DIR]

Both are first compared on few cases: probabilities that differ by more than `TOLERANCES` end the benchmark. Members are random
logits around a random truth, written once as predictions of a run (`.npz`, float32). Each figure is of a process of its own,
which reads the files, fits if the step is fitted, and combines the members: seconds, processor seconds, and the peak of its
resident memory (`resource.getrusage`), of which about 0.2 GB are Python and the libraries. goldfold and the plain version run
in turn. `nested` is goldfold's with a fit per fold besides, as the stage `ensemble` does for the score of a fitted step; for
other steps it is the same as `ours`. `largest difference` is that of the probabilities of `ours` and `plain`. Both fit on the
same 50,000 of more cases.
"""

import argparse
import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

LABEL, LABELS = "classification", "multilabel"
STEPS: dict[str, Any] = {
    "probability": {"average": {"method": "probability"}},
    "rank": {"average": {"method": "rank"}},
    "geometric": {"average": {"method": "geometric"}},
    "power": {"average": {"method": {"power": {"exponent": 2.0}}}},
    "vote": {"average": {"method": "vote"}},
    "fitted_average": {"fitted_average": {"method": "probability", "metric": "log_loss"}},
    "hill_climbing": {"hill_climbing": {"steps": 10, "metric": "log_loss"}},
    "simplex": "simplex",
    "stacking": "stacking",
    "boosted_stacking": "boosted_stacking",
    "multilabel_rank": {"average": {"method": "rank"}},
}
TASKS = {"multilabel_rank": LABELS}
"""Task of a step, if not classification."""
TOLERANCES = {
    "rank": 1e-3,
    "multilabel_rank": 1e-3,
    "fitted_average": 1e-5,
    "hill_climbing": 1e-5,
    "simplex": 1e-3,
    "stacking": 1e-3,
}
TOLERANCES |= {"boosted_stacking": 1e-3}
"""Largest difference of a probability, if more than rounding: near ties of mean ranks fall either way, solvers stop where their
gain is small, weights are rounded to six digits, and trees compare float32."""
ROUNDING = 1e-9
FEW = (60_000, 4, 3)
"""Cases, members and classes on which both are first compared: more cases than steps are fitted on."""
FOLDS = 5
"""Folds of the nested version."""
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


def ours(folder: Path, name: str, is_nested: bool = False) -> Any:
    """Combine the members with goldfold's step; return probabilities (cases, classes).

    Args:
        is_nested: fit once per fold and on all cases, as the stage does for its score.
    """
    import pandas as pd

    from goldfold.ensembling import nested, steps
    from goldfold.predictions.arrays import load, picked, sharing_ids
    from goldfold.tasks.steps import ForSteps

    members = sharing_ids((path.stem, load(path)) for path in sorted(folder.glob("m*.npz")))
    first = next(iter(members.values()))
    classes = [str(one) for one in first["classes"]]
    task = ForSteps({"name": TASKS.get(name, LABEL)}, classes)
    (step,) = steps.build(task, [STEPS[name]], 1)
    fitted = None
    if isinstance(step, steps.FittedStep):
        labels = np.array(classes)[np.load(folder / "truth.npy")]
        metric = task.metric("log_loss")
        truth = pd.DataFrame({"id": first["ids"].astype(object), "label": labels.astype(object)})
        if is_nested:
            return nested.nested([step], members, truth, np.arange(len(truth)) % FOLDS, metric, picked).predictions[
                "probabilities"
            ]
        (fitted,) = nested.fit([step], members, truth, np.zeros(len(truth), np.int64), metric, picked)
    return next(iter(step.apply(members, fitted).values()))["probabilities"]


def plain(folder: Path, name: str) -> Any:
    """Combine the members by numpy and scipy, with all members in one stack."""
    from scipy.special import expit, softmax

    truth, files = np.load(folder / "truth.npy"), sorted(folder.glob("m*.npz"))
    stack = np.empty((len(files), *np.load(files[0])["logits"].shape))
    for place, path in enumerate(files):
        logits = np.load(path)["logits"].astype(np.float64)
        stack[place] = expit(logits) if TASKS.get(name) == LABELS else softmax(logits, axis=1)
    return PLAIN[name](stack, truth)


def _fitted_on(n: int) -> Any:
    """Rows that a step is fitted on."""
    from goldfold.ensembling.nested import MOST_FITTED

    return np.sort(np.random.default_rng(0).permutation(n)[:MOST_FITTED]) if n > MOST_FITTED else np.arange(n)


def _rank(stack: Any, truth: Any) -> Any:
    from scipy.stats import rankdata

    levels = np.sort(stack.mean(axis=0), axis=0)
    ranks = sum(rankdata(member, axis=0) for member in stack) / stack.shape[0] / stack.shape[1]
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


def _fitted_average(stack: Any, truth: Any) -> Any:
    rows = _fitted_on(len(truth))
    of_true = stack[:, rows, truth[rows]].T
    weights = np.full(len(stack), 1 / len(stack))
    reached = -np.log(of_true @ weights).mean()
    for change in (0.3, 0.1, 0.03):
        for _ in range(3):
            before = reached
            for place, sign in itertools.product(range(len(stack)), (1, -1)):
                tried = weights.copy()
                tried[place] = max(0.0, tried[place] + sign * change)
                if tried.any() and (loss := -np.log(of_true @ (tried / tried.sum())).mean()) < reached - 1e-9:
                    weights, reached = tried / tried.sum(), loss
            if reached == before:
                break
    return np.average(stack, axis=0, weights=weights)


def _hill_climbing(stack: Any, truth: Any) -> Any:
    rows = _fitted_on(len(truth))
    of_true = stack[:, rows, truth[rows]]
    best, reached, total, counts = np.zeros(len(stack)), np.inf, 0.0, np.zeros(len(stack))
    for step in range(1, 11):
        losses = [-np.log((total + member) / step).mean() for member in of_true]
        chosen = int(np.argmin(losses))
        total, counts[chosen] = total + of_true[chosen], counts[chosen] + 1
        if losses[chosen] < reached - 1e-12:
            best, reached = counts.copy(), losses[chosen]
    return np.average(stack, axis=0, weights=best)


def _simplex(stack: Any, truth: Any) -> Any:
    from scipy.optimize import minimize

    rows = _fitted_on(len(truth))
    of_true = stack[:, rows, truth[rows]].T

    def loss(weights: Any) -> tuple[float, Any]:
        mean = of_true @ weights
        return -np.log(mean).mean(), -(of_true.T @ (1 / mean)) / len(mean)

    n = len(stack)
    sums = {"type": "eq", "fun": lambda weights: weights.sum() - 1}
    found = minimize(
        loss, np.full(n, 1 / n), jac=True, bounds=[(1e-9, 1)] * n, constraints=[sums], method="SLSQP", tol=1e-10
    )
    return np.average(stack, axis=0, weights=found.x)


def _columns(stack: Any) -> Any:
    """Centred log-probabilities (cases, members x classes)."""
    columns = np.clip(stack, 1e-6, 1 - 1e-6, out=stack)
    columns = np.log(columns, out=columns)
    columns -= columns.mean(axis=2, keepdims=True)
    return columns.transpose(1, 0, 2).reshape(stack.shape[1], -1)


def _stacking(stack: Any, truth: Any) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows, columns = _fitted_on(len(truth)), _columns(stack)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=5000))
    return model.fit(columns[rows], truth[rows]).predict_proba(columns)


def _boosted_stacking(stack: Any, truth: Any) -> Any:
    from sklearn.ensemble import GradientBoostingClassifier

    rows, columns = _fitted_on(len(truth)), _columns(stack).astype(np.float32)
    settings = {"n_estimators": 50, "max_depth": 3, "learning_rate": 0.1, "subsample": 0.8, "max_features": "sqrt"}
    model = GradientBoostingClassifier(init="zero", **settings, min_samples_leaf=20, random_state=0)
    return model.fit(columns[rows], truth[rows]).predict_proba(columns)


PLAIN: dict[str, Callable[[Any, Any], Any]] = {
    "probability": lambda stack, truth: stack.mean(axis=0),
    "rank": _rank,
    "geometric": _geometric,
    "power": _power,
    "vote": _vote,
    "fitted_average": _fitted_average,
    "hill_climbing": _hill_climbing,
    "simplex": _simplex,
    "stacking": _stacking,
    "boosted_stacking": _boosted_stacking,
    "multilabel_rank": _rank,
}
CODES = {"ours": ours, "nested": partial(ours, is_nested=True), "plain": plain}
CHECK = "check"


def alone(folder: Path, name: str, code: str) -> None:
    """Run one step in this process and write what it took."""
    if code == CHECK:
        return refuse_other_results(name)
    start, before = time.perf_counter(), time.process_time()
    found = CODES[code](folder, name)
    taken = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - before}
    taken["gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    np.save(folder / f"{name}-{code}.npy", found[::SAMPLE])
    (folder / f"{name}-{code}.json").write_text(json.dumps(taken))
    return None


def started(folder: Path, name: str, code: str) -> bool:
    """Start `alone` in a process of its own, whose peak of memory is not that of this one; return whether it succeeded."""
    words = ["--folder", str(folder), "--alone", name, code]
    return subprocess.run([sys.executable, __file__, *words]).returncode == 0


def measured(folder: Path, name: str, code: str) -> dict[str, float] | None:
    """Run one step in a process of its own; None if it fails, such as for lack of memory."""
    if not started(folder, name, code):
        return None
    found: dict[str, float] = json.loads((folder / f"{name}-{code}.json").read_text())
    return found


def refuse_other_results(name: str) -> None:
    """End the benchmark if both versions of a step give other probabilities for few cases."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), *FEW)
        apart = np.abs(ours(Path(folder), name) - plain(Path(folder), name)).max()
    if not apart <= TOLERANCES.get(name, ROUNDING):
        sys.exit(f"{name}: goldfold and the plain version differ by {apart:.1e}")
    print(f"{name}: {FEW[0]:,} cases x {FEW[1]} members x {FEW[2]} classes: largest difference {apart:.1e}", flush=True)


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
    apart = f", largest difference {np.abs(values[0] - values[-1]).max():.1e}" if len(values) == len(CODES) else ""
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
            if len(given.codes) == len(CODES) and not started(folder, name, CHECK):
                sys.exit(1)
            print(row(folder, name, given.codes), flush=True)
    return None


if __name__ == "__main__":
    main()
