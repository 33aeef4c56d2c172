"""A finished run, made up: all that the report reads, written in a moment."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from goldfold.audit.copies import Policy, settle
from goldfold.metrics import resampling, score
from goldfold.predictions import resampled
from goldfold.predictions.arrays import Arrays, save
from goldfold.splits.scored import scored
from whole_task import Whole

N_FOLDS = 3
N_RESAMPLES = 30
Predict = Callable[[int, Sequence[str]], Arrays]
"""(seed, ids) -> predictions; seed 0 is the ensemble, 1, 2, ... its members."""


def settings_of(
    metric: str,
    models: Sequence[str] = ("only",),
    seeds: Sequence[int] = (0,),
    rounds: int = 0,
    checkpoint: str = "last",
    method: str = "probability",
) -> dict[str, Any]:
    train = {"epochs": 4, "lr": 0.001, "checkpoint": checkpoint}
    model = {"backbone": "tiny", "network": "timm", "image_size_px": 16, "resize": "squash", "train": train}
    return {
        "metric": metric,
        "data": {
            "channels": 3,
            "scale_16bit": "percentile",
            "max_pixels": 200_000_000,
            "duplicates": "group",
            "duplicates_across": "report",
            "on_two_labels": "keep",
        },
        "seeds": list(seeds),
        "folds": {"splitter": "stratified", "n_folds": N_FOLDS, "seed": 0},
        "models": [{"name": name, **model} for name in models],
        "pseudo_labels": {"rounds": rounds, "threshold": 0.9},
        "ensemble": {"method": method},
    }


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def write_results(
    root: Path,
    task: Whole,
    name: str,
    settings: dict[str, Any],
    train: pd.DataFrame,
    predict: Predict,
    test: pd.DataFrame | None = None,
    answers: pd.DataFrame | None = None,
    pseudo: pd.DataFrame | None = None,
) -> None:
    """All files of a run of the task ``name``; ``train`` has folds."""
    for split, table in {"train": train, "test": test, "answers": answers}.items():
        if table is not None:
            write(root / "folds" / f"{split}.csv", table.to_csv(index=False))
    images = {split: table for split, table in {"train": train, "test": test}.items() if table is not None}
    _, same = settle(images, pd.DataFrame(), [], Policy(within="ignore"))
    write(root / "folds" / "duplicates.csv", same.to_csv(index=False))
    write(root / "folds" / "classes.json", json.dumps(task.classes))
    write(root / "folds" / "quarantine.csv", "split,id,path,part,reason\n")
    by_fold = train["fold"].astype(int)
    summary = task.content(train).groupby(by_fold).sum().assign(**{"(all)": by_fold.value_counts()})
    write(root / "folds" / "summary.csv", summary.rename_axis("fold").to_csv())
    train = scored(train)
    save(root / "ensemble" / "oof.npz", predict(0, list(train["id"])).items())
    if test is not None:
        save(root / "ensemble" / "test.npz", predict(0, list(test["id"])).items())
    members = [(model["name"], seed) for model in settings["models"] for seed in settings["seeds"]]
    for number in range(settings["pseudo_labels"]["rounds"] + 1):
        for fold in range(N_FOLDS):
            ids = list(train["id"][train["fold"].astype(int) == fold])
            for place, (model, seed) in enumerate(members, start=1):
                write_run(root, (model, number, fold, seed), settings["metric"])
                where = root / "predict" / model / f"round{number}" / f"fold{fold}" / f"seed{seed}" / "oof.npz"
                save(where, predict(place, ids).items())
            if number and pseudo is not None:
                write(root / "pseudo" / f"round{number}" / f"fold{fold}.csv", pseudo.to_csv(index=False))
    write_scores(root, task, name, settings, train, predict, members)


def write_scores(
    root: Path, task: Whole, name: str, settings: dict[str, Any], train: pd.DataFrame, predict: Predict,
    members: list[tuple[str, int]],
) -> None:  # fmt: skip
    metric, ids = settings["metric"], list(train["id"])

    def entry(metric: str, seed: int) -> dict[str, float]:
        evidence = task.evidence(predict(seed, ids), train)
        return score(task.metric(metric), evidence, n_resamples=N_RESAMPLES).as_dict()

    def drawn(seed: int) -> Any:
        return resampling.drawn(task.metric(metric), task.evidence(predict(seed, ids), train), None, N_RESAMPLES)

    names = [*(f"{model}-seed{seed}" for model, seed in members), "ensemble"]
    scored = [entry(metric, (place + 1) % len(names)) for place in range(len(names))]
    resampled.write(root / "ensemble", {name: drawn((place + 1) % len(names)) for place, name in enumerate(names)})
    rows = [
        {"member": member, "round": number, metric: found["value"], "low": found["low"], "high": found["high"]}
        for number in range(settings["pseudo_labels"]["rounds"] + 1)
        for member, found in zip(names, scored, strict=True)
    ]
    table = pd.DataFrame(rows)
    write(root / "ensemble" / "rounds.csv", table.to_csv(index=False))
    last = table[table["round"] == table["round"].max()]
    best_first = last.sort_values(metric, ascending=not task.metric(metric).greater_is_better)
    write(root / "leaderboard.csv", best_first.to_csv(index=False))
    weights = {"method": settings["ensemble"]["method"], "weights": {name: 1 / len(members) for name in names[:-1]}}
    write(root / "ensemble" / "weights.json", json.dumps(weights))
    oof = {metric: scored[-1], "another": {"value": None, "low": None, "high": None}}
    write(root / "metrics.json", json.dumps({"task": name, "metric": metric, "oof": oof, "members": {}}))


def write_run(root: Path, place: tuple[str, int, int, int], metric: str) -> None:
    model, number, fold, seed = place
    where = Path(model) / f"round{number}" / f"fold{fold}" / f"seed{seed}"
    record = {
        "parameters": 1000,
        "versions": {"python": "3.11", "torch": "2"},
        "git": {"commit": "abcdef0123456789", "dirty": False},
        "hardware": {"processor": "Made-up CPU", "cores": 2, "gpu": None},
        "device": "cpu",
        "precision": "no",
        "started": 1e9,
        "code": {"src/goldfold/stages/train.py": "0123456789abcdef"},
        "recipe": {
            "settings": {"runtime": {"torch_threads": 1}, "model": {"size": [32, 48]}},
            "code": {"digest": "fedcba9876543210"},
        },
    }
    write(root / "train" / where / "run.json", json.dumps(record))
    history = pd.DataFrame(
        {"epoch": range(4), "train_loss": [2.0, 1.0, 0.6, 0.5 + fold / 10], "lr": 0.1, metric: [0.1, 0.6, 0.7, 0.8]}
    )
    write(root / "train" / where / "history.csv", history.to_csv(index=False))
    write(root / "benchmarks" / "train" / where.with_suffix(".tsv"), f"s\th:m:s\tmax_rss\n{20 + fold}\t0:00:20\t-\n")
