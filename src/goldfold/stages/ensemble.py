"""predictions of all members -> one prediction, its honest score, and the scores of its parts."""

from pathlib import Path
from typing import Any

import pandas as pd

from goldfold import ensembling, tasks
from goldfold.metrics import METRICS
from goldfold.metrics import build as build_metric
from goldfold.runtime.errors import DataError
from goldfold.runtime.files import read_json, write_json, write_text
from goldfold.tasks import Task
from goldfold.tasks.protocol import Arrays, load, save


def run(
    predictions: str,
    train: str,
    classes: str,
    folder: str,
    leaderboard: str,
    metrics: str,
    task: str,
    metric: str,
    models: list[str],
    seeds: list[int],
    n_folds: int,
    rounds: int,
    has_test: bool,
    method: str,
    weights: dict[str, float],
) -> None:
    """Write ``oof.*``, ``test.*``, ``weights.json`` and ``rounds.csv`` into ``folder``, and the two score files.

    A member is a model with a seed: its out-of-fold prediction is of every training image exactly once, its test
    prediction the mean over its folds. The ensemble is made of the members of the last round.

    Args:
        predictions: folder of <model>/round<r>/fold<k>/seed<s>/{oof,test}.npz.
        train: CSV of id, the target and, where there are groups, group.
        weights: weight of a model by name, 1 where not named.

    Raises:
        DataError: out-of-fold predictions do not cover the training images exactly once.
    """
    chosen_task = tasks.build(task, read_json(classes))
    truth = pd.read_csv(train, dtype=str, keep_default_na=False)
    members = [(model, seed) for model in models for seed in seeds]
    by_round = [
        {
            f"{model}-seed{seed}": _oof(chosen_task, Path(predictions), model, number, seed, n_folds, truth)
            for model, seed in members
        }
        for number in range(rounds)
    ]
    shares = _shares([weights.get(model, 1.0) for model, _ in members])
    fuse = ensembling.build(chosen_task.prediction_kind, method)
    oof = chosen_task.fuse(list(by_round[-1].values()), fuse, shares)
    _keep(chosen_task, Path(folder), "oof", oof, truth)
    if has_test:
        tests = [_test(chosen_task, Path(predictions), model, rounds - 1, seed, n_folds) for model, seed in members]
        _keep(chosen_task, Path(folder), "test", chosen_task.fuse(tests, fuse, shares))
    else:  # of an earlier run that had test images
        for stale in (*Path(folder).glob("test.*"), Path(leaderboard).parent / "submission.csv"):
            stale.unlink(missing_ok=True)
    write_json(
        Path(folder) / "weights.json", {"method": method, "weights": dict(zip(by_round[-1], shares, strict=True))}
    )
    rows = [
        _row(chosen_task, name, number, part, truth, metric)
        for number, parts in enumerate(by_round)
        for name, part in parts.items()
    ]
    for number, parts in enumerate(by_round):
        whole = oof if number == rounds - 1 else chosen_task.fuse(list(parts.values()), fuse, shares)
        rows.append(_row(chosen_task, "ensemble", number, whole, truth, metric))
    scores = pd.DataFrame(rows)
    write_text(Path(folder) / "rounds.csv", scores.to_csv(index=False))
    last = scores[scores["round"] == rounds - 1]
    best_first = last.sort_values(metric, ascending=not build_metric(metric).greater_is_better, kind="stable")
    write_text(leaderboard, best_first.to_csv(index=False))
    extra = [name for name in METRICS if name != metric]
    whole_scores = {name: chosen_task.score(oof, truth, name).as_dict() for name in [metric, *extra]}
    member_scores = {
        row["member"]: {metric: {"value": row[metric], "low": row["low"], "high": row["high"]}}
        for row in last.to_dict("records")
        if row["member"] != "ensemble"
    }
    write_json(metrics, {"task": task, "metric": metric, "oof": whole_scores, "members": member_scores})
    print(best_first.to_string(index=False), flush=True)


def _oof(task: Task, root: Path, model: str, number: int, seed: int, n_folds: int, truth: pd.DataFrame) -> Arrays:
    """Out-of-fold predictions of one member, each training image once."""
    joined = task.join([load(_path(root, model, number, fold, seed) / "oof.npz") for fold in range(n_folds)])
    odd = set(joined["ids"].tolist()) ^ set(truth["id"])
    if odd:
        raise DataError(
            f"{model} seed {seed} round {number}: out-of-fold predictions and training images differ, e.g. {min(odd)!r}"
        )
    return joined


def _test(task: Task, root: Path, model: str, number: int, seed: int, n_folds: int) -> Arrays:
    """Mean over the folds' models of one member."""
    parts = [load(_path(root, model, number, fold, seed) / "test.npz") for fold in range(n_folds)]
    return task.fuse(parts, ensembling.build(task.prediction_kind, "probability"), [1.0] * n_folds)


def _path(root: Path, model: str, number: int, fold: int, seed: int) -> Path:
    return root / model / f"round{number}" / f"fold{fold}" / f"seed{seed}"


def _keep(task: Task, folder: Path, name: str, predictions: Arrays, truth: pd.DataFrame | None = None) -> None:
    """As .npz for the next stage and as .csv for people, beside the truth where it is known."""
    save(folder / f"{name}.npz", predictions)
    table = task.table(predictions)
    if truth is not None:
        table = table.merge(truth.drop(columns=["path", "sha256", "width", "height"], errors="ignore"), on="id")
    write_text(folder / f"{name}.csv", table.to_csv(index=False))


def _row(task: Task, name: str, number: int, predictions: Arrays, truth: pd.DataFrame, metric: str) -> dict[str, Any]:
    score = task.score(predictions, truth, metric)
    return {"member": name, "round": number, metric: score.value, "low": score.low, "high": score.high}


def _shares(weights: list[float]) -> list[float]:
    return [weight / sum(weights) for weight in weights]
