"""Finished results of a tiny experiment, made by the stages themselves, with the records that jobs leave beside them."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from conftest import PLACE, Tiny
from goldfold import tasks
from goldfold.base.files import sealed, write_json
from goldfold.lineage import contents
from goldfold.stages import ensemble


def record(results: Path, name: str, rule: str, settings: dict[str, Any], inputs: Sequence[str], outputs: Sequence[str],
           files: Sequence[str] = ()) -> None:  # fmt: skip
    """The record of a job; files are named below the results."""

    def digests(names: Sequence[str]) -> dict[str, str]:
        return {f"results/{results.name}/{one}": contents.digest(results / one) for one in names}

    made = {
        "rule": rule, "wildcards": {}, "recipe": {"settings": settings, "data": {}, "code": {}}, "logs": [], "git": {},
        "versions": {"goldfold": "0.1.0", "torch": "2"}, "hardware": {}, "code": {}, "started": 1.0, "finished": 2.0,
        "seconds": 1.0, "inputs": digests(inputs), "outputs": digests(outputs), "files": digests(files),
    }  # fmt: skip
    write_json(results / name, sealed(made))


def fusing(task: str) -> dict[str, Any]:
    """How members are fused, as the config hands it to the stage."""
    values = {"iou_threshold": 0.55, "skip_threshold": 0.0}
    return {
        "method": next(iter(tasks.facts(task).methods)),
        **{key: values[key] for key in tasks.facts(task).ensemble_keys},
    }


def write_results(tiny: Tiny, results: Path, weights: dict[str, float] | None = None, **changes: Any) -> Path:
    """Train, predict and fuse models named in ``weights`` on both folds, one epoch each.

    Args:
        changes: of the entry of ``models``.
    """
    weights = weights or {"net": 1.0}
    for name in ("manifest", "folds"):
        shutil.copytree(tiny.root / name, results / name)
    for seed, name in enumerate(weights):
        for fold in range(tiny.n_folds):
            _run(tiny, results, name, fold, {**PLACE, "fold": fold}, seed, changes)
    fuse(tiny, results, weights)
    source = {"roi": None, "max_pixels": 200_000_000, "source": {}}
    record(results, "manifest/run.json", "manifest", source, [], ["manifest/classes.json"])
    lists = ["folds/classes.json", "folds/train.csv", "folds/test.csv"]
    record(results, "folds/run.json", "folds", {"splitter": "stratified"}, [], [], lists)
    return results


def _run(
    tiny: Tiny, results: Path, name: str, fold: int, place: dict[str, int], seed: int, changes: dict[str, Any]
) -> None:
    where = f"{name}/round0/fold{fold}/seed0"
    model = tiny.model({"epochs": 1, "warmup_epochs": 0}, name="net", **changes)
    trained, predicted = results / "train" / where, results / "predict" / where
    tiny.train(trained, model=model, fold_file=tiny.fold_file(fold), place={**place, "seed": seed})
    weights, outputs = f"train/{where}/model.safetensors", [f"predict/{where}/{part}.npz" for part in ("oof", "test")]
    record(results, f"train/{where}/run.json", "train", {}, [], [weights])
    given = tiny.predict(predicted, results / weights, "test", model=model, fold_file=tiny.fold_file(fold), place=place)
    keys = ("task", "model", "resize", "channels", "tta", "place", "runtime")
    settings = {key: given[key] for key in keys} | {
        "batch_size": 256,
        "scale_16bit": "percentile",
        "batch_norm": "trained",
    }
    record(results, f"predict/{where}/run.json", "predict", settings, [weights], outputs)


def run_ensemble(results: Path, settings: dict[str, Any]) -> None:
    """Run the stage ensemble with the settings of its recipe."""
    ensemble.run(
        predictions=str(results / "predict"), train=str(results / "folds/train.csv"),
        classes=str(results / "folds/classes.json"), folder=str(results / "ensemble"),
        leaderboard=str(results / "leaderboard.csv"), metrics=str(results / "metrics.json"), workers=1, **settings,
    )  # fmt: skip


def fuse(tiny: Tiny, results: Path, weights: dict[str, float], **steps: Any) -> None:
    """Run the stage ensemble, as its job does.

    Args:
        steps: ``fusion`` and ``postprocessing``.
    """
    settings = {
        "task": tiny.task, "metric": tiny.metric, "models": sorted(weights), "seeds": [0], "n_folds": tiny.n_folds,
        "rounds": 1, "has_test": True, "weights": {name: one for name, one in weights.items() if one != 1},
        "settings": fusing(tiny.task["name"]), "fusion": None, "postprocessing": [], **steps,
    }  # fmt: skip
    run_ensemble(results, settings)
    inputs = [str(path.relative_to(results)) for path in sorted(results.glob("*predict/**/*.npz"))]
    outputs = ["metrics.json", "leaderboard.csv", *(f"ensemble/{name}" for name in
               ("oof.npz", "oof.csv", "test.npz", "test.csv", "weights.json", "fitted.json"))]  # fmt: skip
    record(results, "ensemble/run.json", "ensemble", settings, inputs, outputs)
