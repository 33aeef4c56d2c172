"""The report page, of small made-up results."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from goldfold import ledger
from goldfold.drawing.axes import inline
from goldfold.drawing.words import change, duration, interval, listed, percent, score, shortened
from goldfold.predictions.arrays import Arrays
from goldfold.report.folds import drawing
from goldfold.splits.checks import shares
from goldfold.stages.report import run
from made_results import settings_of, write_results
from test_ledger import LOOK
from whole_task import classification

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
def build(in_tmp: Path, undrawn: None) -> Build:
    """Writes a finished run, and gives the arguments of the report stage."""
    tmp_path = in_tmp

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
        test = images(tmp_path, "test", 6, None, classes)
        answers = test.assign(label=[classes[number % len(classes)] for number in range(6)])
        settings = settings_of(metric, models, seeds, rounds, checkpoint)
        task, truth = classification(classes), {id: number % len(classes) for number, id in enumerate(train["id"])}

        def predict(seed: int, ids: Sequence[str]) -> Arrays:
            of = np.array([truth.get(id, int(id[-2:]) % len(classes)) for id in ids])
            rows = list(train["id"])
            odd = [ids.index(rows[row]) for row in [*wrong, *([seed - 1] if seed else [])] if rows[row] in ids]
            values = probabilities(of, len(classes), odd, seed)
            name = "logits" if seed else "probabilities"
            return {"ids": np.array(ids), "classes": np.array(classes), name: np.log(values) if seed else values}

        pseudo = pd.DataFrame({"id": ["test00"], "label": classes[:1], "confidence": [0.97], "source": ["test"]})
        known = (test, answers) if has_test else (None, None)
        write_results(root, task, "classification", settings, train, predict, *known, pseudo)
        return {
            "results": str(root), "out": str(root / "report" / "report.html"), "title": None, "gallery": 8,
            "name": "tiny", "task": {"name": "classification"}, "metric": metric, "settings": settings,
        }  # fmt: skip

    return make


def page_of(arguments: dict[str, Any]) -> str:
    run(**arguments)
    return Path(arguments["out"]).read_text(encoding="utf-8")


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))


def holds(text: str, *parts: str) -> None:
    for part in parts:
        assert part in text, part


def test_a_title_of_one_s_own_stands_over_the_page(build: Build) -> None:
    html = page_of({**build(), "title": "Mine & yours"})
    assert "<title>Mine &amp; yours" in html
    assert "<h1>Mine &amp; yours</h1>" in html


@pytest.mark.drawn
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
        "pairs",
        "pseudo",
        "curves",
        "confusion",
        "classes",
        "calibration",
        "errors",
        "label-issues",
        "ensemble",
        "data",
        "shift",
        "run",
    ]
    holds(words(html), "0.9333", "of the 30 training images")
    assert "These targets are used for this score only" in words(html)
    holds(
        html, "first-seed1", "Made-up CPU", "abcdef012345", "fedcba9876543210", "2001-09-09 01:46:40 UTC", "cpu, fp32"
    )
    drawn = {path.name for path in (Path(arguments["out"]).parent / "figures").iterdir()}
    assert {
        "leaderboard.png",
        "confusion.png",
        "reliability.png",
        "learning_curves_first.png",
        "agreement.png",
        "pairs.png",
    } <= drawn
    pairs = pd.read_csv(Path(arguments["out"]).with_name("pairs.csv"))
    assert len(pairs) == 6, "four members"
    assert set(pairs["verdict"]) <= {"better", "unclear", "noise"}


@pytest.mark.drawn
def test_names_of_the_user_are_escaped(build: Build) -> None:
    html = page_of(build())
    assert "<i>&" not in html
    holds(html, escape(THREE[0]), THREE[2])


@pytest.mark.drawn
def test_same_bytes_twice_and_old_figures_go(build: Build) -> None:
    arguments = build()
    folder = Path(arguments["out"]).parent
    folder.mkdir(parents=True)
    (folder / "pairs.csv").write_text("of a run with several members")
    first = page_of(arguments), {path.name: path.read_bytes() for path in (folder / "figures").iterdir()}
    (folder / "figures" / "learning_curves_removed.png").write_bytes(b"old")
    recorded = run(**arguments)["files"]
    drawn = [str(folder / "figures" / name) for name in first[1]]
    assert not (folder / "pairs.csv").exists()
    assert sorted(recorded) == sorted([*drawn, str(folder / "label_issues.csv")])
    assert first == (page_of(arguments), {path.name: path.read_bytes() for path in (folder / "figures").iterdir()})


def test_errors_are_shown_most_confident_first(build: Build) -> None:
    html = page_of(build(wrong=(10, 4, 7)))
    gallery = html[html.index("Most confident errors") : html.index("Least confident images")]
    assert re.findall(r"<span>(img\d+)</span>", gallery) == ["img10", "img04", "img07"]
    assert gallery.count("data:image/png;base64,") == 3
    holds(gallery, "cat → Hündin 犬")


def test_no_errors(build: Build) -> None:
    text = words(page_of(build(wrong=())))
    holds(
        text, "There are no errors among the out-of-fold predictions", "No errors: no class was confused with another"
    )


def test_binary_without_test_one_model_one_seed_no_rounds(build: Build) -> None:
    html = page_of(build(classes=["no", "yes"], has_test=False))
    text = words(html)
    assert 'id="pseudo"' not in html
    assert "test images" not in text
    assert "There is only one member, so there is nothing to compare" in text
    holds(text, "One seed")
    assert "not in this run" in text  # submit and pseudo_label in the drawing of the DAG


def test_looks_at_the_public_score_are_in_the_page(build: Build) -> None:
    arguments = build()
    assert "Public scores" not in page_of(arguments)
    ids = [f"test{number:02d}" for number in range(6)]
    ledger.add(replace(LOOK, metric="accuracy", test_set=ledger.test_set(ids)))
    holds(words(page_of(arguments)), "Public scores", "1 look at the public score of 6 test images", "within noise")


def test_metric_where_smaller_is_better(build: Build) -> None:
    text = words(page_of(build(metric="log_loss")))
    holds(text, "smaller is better", "log_loss")


def test_groups_are_named_as_what_is_resampled(build: Build) -> None:
    text = words(page_of(build(groups=True)))
    holds(text, "bootstrap over these 6 groups", "Whole groups are resampled", "6 groups, none of which")


@pytest.mark.drawn
def test_two_hundred_classes(build: Build) -> None:
    html = page_of(build(classes=[f"class {number:03d}" for number in range(200)], n=600))
    assert "With 200 classes the full matrix would be unreadable" in words(html)
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
    metrics["oof"]["accuracy"] |= {"value": None}
    path.write_text(json.dumps(metrics))
    text = words(page_of(arguments))
    holds(text, "The score could not be computed", "accuracy is not defined for the out-of-fold predictions")
    assert "The score has no interval" not in text


def test_identical_images_are_counted(build: Build) -> None:
    def twins(train: pd.DataFrame) -> pd.DataFrame:
        train.loc[[0, 4], "sha256"] = "same"  # other class, other fold
        train.loc[1, "sha256"] = "test0"  # a test image's
        return train

    text = words(page_of(build(change=twins)))
    holds(text, "Copies of an image with different labels", "Copies of an image in different folds")
    holds(text, "Copies of an image in training and test", "img00 and img04")


def test_images_that_no_fold_validates_are_told_and_not_scored(build: Build) -> None:
    def some(train: pd.DataFrame) -> pd.DataFrame:
        train.loc[[0, 7], "fold"] = -1
        train.loc[[0, 5], "sha256"] = "same"
        return train

    arguments = build(change=some, groups=True)
    told = {"groups": 2, "images": 6, "new": 1, "new_images": 3, "shared": 0}
    (Path(arguments["results"]) / "folds" / "test_groups.json").write_text(json.dumps(told))
    text = words(page_of(arguments))
    holds(text, "Each of the 28 validated of 30 training images was predicted", "2 training images are never validated")
    holds(text, "class not validated fold 0 fold 1 fold 2", "1 of 2 groups of the test images are in training too (50%")
    assert "Identical images in different folds" not in text, "a copy that is not learnt from where it would leak"
    assert "fold -1" not in text


@pytest.mark.parametrize(("n_classes", "n_folds", "n_named"), [(2, 5, 2), (200, 3, 40), (6, 40, 6)])
def test_the_map_of_folds_names_each_class_or_those_furthest_from_even(
    n_classes: int, n_folds: int, n_named: int
) -> None:
    amounts = np.full((n_folds, n_classes), 10)
    amounts[0, -1], amounts[1, -1] = 20, 0
    far = shares(pd.DataFrame(amounts, columns=[f"class{k}" for k in range(n_classes)]))
    assert far.iloc[:2, -1].tolist() == pytest.approx([1.0, -1.0])
    figure = drawing(far)
    named = re.findall(r">(class\d+)<", figure.svg)
    assert len(named) == n_named
    assert (named[0] == f"class{n_classes - 1}") == (n_classes > 40), "the furthest comes first where not all are drawn"
    assert ("+100%" in figure.svg) == (n_folds <= 12)
    assert ("40 of 200 classes with the largest deviation" in figure.caption) == (n_classes == 200)
    assert figure.svg.count("var(--rose)") >= 1
    assert figure.width_px <= 860


def test_notes_on_checkpoint_small_classes_and_quarantine(build: Build) -> None:
    arguments = build(checkpoint="best")
    quarantine = Path(arguments["results"]) / "folds" / "quarantine.csv"
    quarantine.write_text("split,id,path,part,reason\ntrain,bad<1>,raw/bad.png,image,file is empty\n")
    html = page_of(arguments)
    holds(html, "The epoch was chosen on the validation fold", "3 very small classes")
    holds(html, "1 image in quarantine", "bad&lt;1&gt;", "file is empty (1)")


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
