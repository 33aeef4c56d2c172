"""The report page, of small made-up results."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from goldfold.metrics import METRICS
from goldfold.report.drawing import inline
from goldfold.report.words import change, duration, interval, listed, percent, score, shortened
from goldfold.runtime.errors import DataError
from goldfold.stages.report import run
from goldfold.tasks.classification import Classification

THREE = ["<i>&", "cat", "Hündin 犬"]
Build = Callable[..., dict[str, Any]]


def probabilities(labels: np.ndarray, n_classes: int, wrong: list[int], seed: int) -> np.ndarray:
    """Sure of the label, but for the rows ``wrong``, which are sure of the next class, the first one most."""
    values = np.random.default_rng(seed).uniform(0.01, 0.05, (len(labels), n_classes))
    values[np.arange(len(labels)), labels] = 2.0
    for place, row in enumerate(wrong):
        values[row, labels[row]] = 0.1
        values[row, (labels[row] + 1) % n_classes] = 8.0 / 2**place
    return values / values.sum(axis=1, keepdims=True)


def settings_of(models: list[str], seeds: list[int], rounds: int, metric: str, checkpoint: str) -> dict[str, Any]:
    train = {"epochs": 4, "lr": 0.001, "checkpoint": checkpoint}
    return {
        "metric": metric,
        "seeds": seeds,
        "folds": {"splitter": "stratified", "n_folds": 3, "seed": 0},
        "models": [
            {
                "name": name,
                "backbone": "tiny",
                "network": "timm",
                "image_size_px": 16,
                "resize": "squash",
                "train": train,
            }
            for name in models
        ],
        "pseudo_labels": {"rounds": rounds, "threshold": 0.9},
    }


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def images(root: Path, prefix: str, n: int, labels: np.ndarray | None, classes: list[str]) -> pd.DataFrame:
    rows = []
    for number in range(n):
        path = root / "raw" / f"{prefix}{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng([number, len(prefix)]).integers(0, 255, (12 + number % 3, 14, 3), dtype=np.uint8)
        cv2.imwrite(str(path), pixels)
        row = {
            "id": f"{prefix}{number:02d}",
            "path": str(path),
            "sha256": f"{prefix}{number}",
            "width": 14,
            "height": 12 + number % 3,
        }
        rows.append(
            row | ({} if labels is None else {"label": classes[labels[number]], "fold": number // len(classes) % 3})
        )
    return pd.DataFrame(rows)


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Writes a finished run, and gives the arguments of the report stage."""

    def make(
        classes: list[str] = THREE, n: int = 30, wrong: tuple[int, ...] = (4, 10), metric: str = "accuracy",
        models: tuple[str, ...] = ("only",), seeds: tuple[int, ...] = (0,), rounds: int = 0,
        has_test: bool = True, groups: bool = False, checkpoint: str = "last",
        change: Callable[[pd.DataFrame], pd.DataFrame] = lambda table: table,
    ) -> dict[str, Any]:  # fmt: skip
        root, labels = tmp_path / "results" / "tiny", np.arange(n) % len(classes)
        train = images(tmp_path, "img", n, labels, classes)
        if groups:
            train["group"] = [f"g{number // 5}" for number in range(n)]
        train = change(train)
        write(root / "folds" / "train.csv", train.to_csv(index=False))
        write(root / "folds" / "classes.json", json.dumps(classes))
        write(root / "folds" / "quarantine.csv", "split,id,path,reason\n")
        summary = pd.crosstab(train["fold"], train["label"]).assign(all=train["fold"].value_counts())
        write(root / "folds" / "summary.csv", summary.to_csv())
        test = images(tmp_path, "test", 6, None, classes)
        if has_test:
            write(root / "folds" / "test.csv", test.to_csv(index=False))
        task, settings = Classification(classes), settings_of(list(models), list(seeds), rounds, metric, checkpoint)
        write_predictions(root, task, settings, train, test if has_test else None, labels, list(wrong))
        answers = tmp_path / "answers.csv"
        answers.write_text(
            pd.DataFrame({"id": test["id"], "label": [classes[k % len(classes)] for k in range(6)]}).to_csv(index=False)
        )
        return {
            "results": str(root), "out": str(root / "report" / "report.html"), "title": None, "gallery": 8,
            "name": "tiny", "task": "classification", "metric": metric,
            "answers": str(answers) if has_test else None, "settings": settings,
        }  # fmt: skip

    return make


def write_predictions(
    root: Path, task: Classification, settings: dict[str, Any], train: pd.DataFrame, test: pd.DataFrame | None,
    labels: np.ndarray, wrong: list[int],
) -> None:  # fmt: skip
    metric, rows = settings["metric"], []
    whole = {
        "ids": train["id"].to_numpy(dtype=str),
        "classes": np.array(task.classes),
        "probabilities": probabilities(labels, len(task.classes), wrong, 0),
    }
    members = [(model["name"], seed) for model in settings["models"] for seed in settings["seeds"]]
    for number in range(settings["pseudo_labels"]["rounds"] + 1):
        for place, (model, seed) in enumerate(members):
            values = np.log(probabilities(labels, len(task.classes), [*wrong, place], place + 1))
            for fold in range(3):
                write_run(root, train, values, (model, number, fold, seed), task.classes, metric)
            arrays = {"ids": whole["ids"], "classes": whole["classes"], "logits": values}
            rows.append([f"{model}-seed{seed}", number, *task.score(arrays, train, metric, 50).as_dict().values()])
        rows.append(["ensemble", number, *task.score(whole, train, metric, 50).as_dict().values()])
        if number:
            for fold in range(3):
                pseudo = pd.DataFrame(
                    {"id": ["test00"], "label": task.classes[:1], "confidence": [0.97], "source": ["test"]}
                )
                write(root / "pseudo" / f"round{number}" / f"fold{fold}.csv", pseudo.to_csv(index=False))
    scores = pd.DataFrame(rows, columns=["member", "round", metric, "low", "high"])
    write(root / "ensemble" / "rounds.csv", scores.to_csv(index=False))
    last = scores[scores["round"] == scores["round"].max()]
    write(
        root / "leaderboard.csv",
        last.sort_values(metric, ascending=not METRICS[metric].greater_is_better).to_csv(index=False),
    )
    weights = {f"{model}-seed{seed}": 1 / len(members) for model, seed in members}
    write(root / "ensemble" / "weights.json", json.dumps({"method": "probability", "weights": weights}))
    oof = {
        metric: task.score(whole, train, metric, 50).as_dict(),
        "roc_auc": {"value": None, "low": None, "high": None},
    }
    write(root / "metrics.json", json.dumps({"task": "classification", "metric": metric, "oof": oof, "members": {}}))
    np.savez(root / "ensemble" / "oof.npz", **whole)
    if test is not None:
        values = probabilities(np.arange(len(test)) % len(task.classes), len(task.classes), [], 9)
        np.savez(
            root / "ensemble" / "test.npz",
            ids=test["id"].to_numpy(dtype=str),
            classes=whole["classes"],
            probabilities=values,
        )


def write_run(
    root: Path,
    train: pd.DataFrame,
    values: np.ndarray,
    place: tuple[str, int, int, int],
    classes: list[str],
    metric: str,
) -> None:
    model, number, fold, seed = place
    where = Path(model) / f"round{number}" / f"fold{fold}" / f"seed{seed}"
    record = {
        "parameters": 1000,
        "versions": {"python": "3.11", "torch": "2"},
        "git": {"commit": "abcdef0123456789", "dirty": False},
        "hardware": {"processor": "Made-up CPU", "cores": 2, "gpu": None},
        "runtime": {"device": "cpu", "precision": "no"},
    }
    write(root / "train" / where / "run.json", json.dumps(record))
    history = pd.DataFrame(
        {"epoch": range(4), "train_loss": [2.0, 1.0, 0.6, 0.5 + fold / 10], "lr": 0.1, metric: [0.1, 0.6, 0.7, 0.8]}
    )
    write(root / "train" / where / "history.csv", history.to_csv(index=False))
    write(root / "benchmarks" / "train" / where.with_suffix(".tsv"), f"s\th:m:s\tmax_rss\n{20 + fold}\t0:00:20\t-\n")
    (root / "predict" / where).mkdir(parents=True, exist_ok=True)
    mine = (train["fold"] == fold).to_numpy()
    ids = train["id"].to_numpy(dtype=str)[mine]
    place_of = {"round": number, "fold": fold, "seed": seed}
    np.savez(root / "predict" / where / "oof.npz", ids=ids, classes=np.array(classes), logits=values[mine], **place_of)


def page_of(arguments: dict[str, Any]) -> str:
    run(**arguments)
    return Path(arguments["out"]).read_text(encoding="utf-8")


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))


def holds(text: str, *parts: str) -> None:
    for part in parts:
        assert part in text, part


def test_page_stands_alone_and_says_what_it_must(build: Build) -> None:
    arguments = build(models=("first", "second"), seeds=(0, 1), rounds=1)
    html = page_of(arguments)
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", html)
    assert "http://" not in html
    assert "https://" not in html
    assert "<script src" not in html
    assert "@import" not in html
    assert "url(http" not in html
    names = re.findall(r'<section id="([^"]*)"', html)
    assert names == [
        "notes",
        "leaderboard",
        "pseudo",
        "curves",
        "confusion",
        "classes",
        "calibration",
        "errors",
        "ensemble",
        "data",
        "run",
    ]
    holds(words(html), "0.9333", "of the 30 training images")
    assert "used for this number and for nothing else" in words(html)
    holds(html, "first-seed1", "Made-up CPU", "abcdef012345")
    drawn = {path.name for path in (Path(arguments["out"]).parent / "figures").iterdir()}
    assert {
        "leaderboard.png",
        "confusion.png",
        "reliability.png",
        "learning_curves_first.png",
        "agreement.png",
    } <= drawn


def test_names_of_the_user_are_escaped(build: Build) -> None:
    html = page_of(build())
    assert "<i>&" not in html
    holds(html, escape(THREE[0]), THREE[2])


def test_same_bytes_twice_and_old_figures_go(build: Build) -> None:
    arguments = build()
    folder = Path(arguments["out"]).parent
    first = page_of(arguments), {path.name: path.read_bytes() for path in (folder / "figures").iterdir()}
    (folder / "figures" / "learning_curves_removed.png").write_bytes(b"old")
    assert first == (page_of(arguments), {path.name: path.read_bytes() for path in (folder / "figures").iterdir()})


def test_errors_are_shown_most_confident_first(build: Build) -> None:
    html = page_of(build(wrong=(10, 4, 7)))
    gallery = html[html.index("Most confident errors") : html.index("Least confident images")]
    assert re.findall(r"<span>(img\d+)</span>", gallery) == ["img10", "img04", "img07"]
    assert gallery.count("data:image/png;base64,") == 3
    holds(gallery, "cat → Hündin 犬")


def test_no_errors(build: Build) -> None:
    text = words(page_of(build(wrong=())))
    holds(text, "There are no errors among the out-of-fold predictions", "No errors: no class was ever taken")


def test_binary_without_test_one_model_one_seed_no_rounds(build: Build) -> None:
    html = page_of(build(classes=["no", "yes"], has_test=False))
    text = words(html)
    assert 'id="pseudo"' not in html
    assert "test images" not in text
    assert "There is one member, so there is nothing to compare" in text
    holds(text, "One seed")
    assert "not in this run" in text  # submit and pseudo_label in the drawing of the DAG


def test_metric_where_smaller_is_better(build: Build) -> None:
    text = words(page_of(build(metric="log_loss")))
    holds(text, "smaller is better", "log_loss")


def test_groups_are_named_as_what_is_resampled(build: Build) -> None:
    text = words(page_of(build(groups=True)))
    holds(text, "Drawing 6 groups anew", "Whole groups are drawn", "6 groups, none of which")


def test_two_hundred_classes(build: Build) -> None:
    html = page_of(build(classes=[f"class {number:03d}" for number in range(200)], n=600))
    assert "With 200 classes the whole matrix cannot be read" in words(html)
    assert len(html) < 3e6
    holds(words(html), "class 004 ↔ class 005")


def test_a_missing_image_leaves_an_empty_place(build: Build) -> None:
    arguments = build()
    for path in Path(arguments["results"]).parents[1].glob("raw/img04.png"):
        path.unlink()
    assert "image cannot be read" in page_of(arguments)


def test_missing_interval_is_said(build: Build) -> None:
    arguments = build()
    path = Path(arguments["results"]) / "metrics.json"
    metrics = json.loads(path.read_text())
    metrics["oof"]["accuracy"] |= {"low": None, "high": None}
    path.write_text(json.dumps(metrics))
    text = words(page_of(arguments))
    holds(text, "The score has no interval", "No interval could be computed")


def test_identical_images_are_counted(build: Build) -> None:
    def twins(train: pd.DataFrame) -> pd.DataFrame:
        train.loc[[0, 4], "sha256"] = "same"  # other class, other fold
        train.loc[1, "sha256"] = "test0"  # a test image's
        return train

    text = words(page_of(build(change=twins)))
    holds(text, "Identical images with different labels", "Identical images in different folds")
    holds(text, "Identical images in training and test", "img00 and img04")


def test_notes_on_checkpoint_small_classes_and_quarantine(build: Build) -> None:
    arguments = build(checkpoint="best")
    quarantine = Path(arguments["results"]) / "folds" / "quarantine.csv"
    quarantine.write_text("split,id,path,reason\ntrain,bad<1>,raw/bad.png,file is empty\n")
    html = page_of(arguments)
    holds(html, "The epoch was chosen on the validation fold", "3 very small classes")
    holds(html, "1 image in quarantine", "bad&lt;1&gt;", "file is empty (1)")


def test_answers_that_do_not_fit_are_refused(build: Build, tmp_path: Path) -> None:
    arguments = build()
    arguments["answers"] = str(tmp_path / "other.csv")
    Path(arguments["answers"]).write_text("id,label\nnobody,cat\n")
    with pytest.raises(DataError, match="names none of the 6 test images by id"):
        run(**arguments)
    Path(arguments["answers"]).write_text("id,label\ntest00,cow\n")
    with pytest.raises(DataError, match="has the label 'cow', which is not a class"):
        run(**arguments)


def test_torch_is_not_loaded(build: Build, tmp_path: Path) -> None:
    arguments = build()
    code = f"""
import json, sys
from goldfold.stages.report import run
assert not {{"torch", "matplotlib"}} & set(sys.modules), "imported at the top"
run(**json.loads({json.dumps(arguments)!r}))
assert "torch" not in sys.modules and "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


def test_words() -> None:
    assert (score(0.5), score(None), score(float("nan"))) == ("0.5000", "–", "–")
    assert (interval(0.1, 0.2), interval(None, 0.2)) == ("0.1000 to 0.2000", "–")
    assert (change(-0.5), change(0.5)) == ("−0.5000", "+0.5000")
    assert (percent(0.123), duration(0.44), duration(61), duration(7300)) == ("12.3 %", "0.4 s", "61 s", "2 h 1 min")
    assert (listed(["a"]), listed(["a", "b"]), listed(list("abcd"), 2)) == ("a", "a and b", "a, b and 2 more")
    assert shortened("a" * 10 + "b" * 10, 10) == "aaaaaa…bbb"


def test_drawings_take_the_colours_of_the_page() -> None:
    svg = '<?xml version="1.0"?>\n<svg xmlns="http://x" viewBox="0 0 1 1"><g id="a" style="fill: #2f6c9f"/></svg>'
    assert inline(svg) == '<svg viewBox="0 0 1 1"><g style="fill: var(--blue)"/></svg>'
