"""What the report says of the data: quarantine, copies, shift, groups, doubts."""

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import pandas as pd
import pytest

from conftest import picture
from goldfold.bundles import card
from goldfold.images import cases
from goldfold.report.quarantine import kind_of
from test_report import THREE, Build, build, holds, page_of, words

__all__ = ["build"]  # the fixture


def section(html: str, name: str) -> str:
    """One chapter of the page."""
    start = html.index(f'<section id="{name}"')
    return html[start : html.index("</section>", start)]


def repaint(folder: str, level: Callable[[int], int]) -> None:
    """Other pixels for the images of a made-up run, so that nothing but brightness differs."""
    for number, path in enumerate(sorted((Path(folder).parents[1] / "raw").iterdir())):
        cv2.imwrite(str(path), picture(number, (20, 20), level=level(number)))


def with_test(arguments: dict[str, Any], n: int = 15) -> dict[str, Any]:
    """The run with ``n`` test images that are brighter than the others."""
    root = Path(arguments["results"])
    rows = []
    for number in range(n):
        path = root.parents[1] / "raw" / f"zz{number:02d}.png"
        rows.append({"id": path.stem, "path": str(path), "sha256": path.stem, "width": 20, "height": 20})
        path.touch()
    pd.DataFrame(rows).to_csv(root / "folds" / "unlabeled.csv", index=False)
    repaint(arguments["results"], lambda number: 150 if number >= 36 else 100 + number % 7)
    return arguments


def test_a_shift_is_said_with_what_gives_it_away_and_can_be_switched_off(build: Build) -> None:
    arguments = with_test(build())
    html = page_of(arguments)
    said = words(section(html, "shift"))
    holds(said, "Training and unlabeled images can almost always be told apart (AUC", "Features that differ most:")
    holds(said, "mean grey level", "Training against test images There are too few readable images")
    holds(said, "no unlabeled image is more typical of the training images than 1 % of these")
    assert "data:image/png;base64," not in section(html, "shift")
    holds(words(section(html, "notes")), "Training and unlabeled images can be told apart")
    without = page_of(arguments | {"shift": False})
    assert 'id="shift"' not in without
    assert "told apart" not in without


def test_the_quarantine_is_counted_by_reason_and_shown(build: Build) -> None:
    arguments = build()
    folds = Path(arguments["results"]) / "folds"
    raw = folds.parents[2] / "raw" / "img00.png"
    rows = [f"train,lost{number},gone{number}.png,image,file is missing" for number in range(60)]
    rows += [f"train,nolabel,{raw},image,image has no label", "unlabeled,gone,x.png,image,file is missing"]
    rows += [f"train,boxed{number},y.png,box,box {number} (cell) has no area" for number in (1, 2)]
    rows = [f"{row},left out" for row in rows] + ["train,boxed1,y.png,box,box 3 (cell) reaches outside the image,cut"]
    (folds / "quarantine.csv").write_text("\n".join(["split,id,path,part,reason,outcome", *rows]))
    html = page_of(arguments)
    part = section(html, "quarantine")
    holds(words(part), "62 images and 2 boxes left out. 1 box cut.", "the first 50 of 65 are listed")
    by_reason = "file is missing 60 1 box has no area 2 0 box reaches outside the image 1 0 image has no label 1 0"
    holds(words(part), f"reason train unlabeled {by_reason}")
    assert part.count("<img ") == 1
    holds(part, "nolabel")
    holds(
        words(section(html, "data")), "62 images and 2 boxes left out.", "61 of 91 images of train are left out (67%)"
    )


def test_images_that_look_like_the_others_are_shown_with_how_much_so(build: Build) -> None:
    arguments = with_test(build())
    repaint(arguments["results"], lambda number: 100 + number % 7)
    part = section(page_of(arguments), "shift")
    shares = [int(share) for share in re.findall(r"more typical than (\d+) %", words(part))]
    assert part.count("data:image/png;base64,") == len(shares) > 12
    assert min(shares) >= 1
    holds(
        words(part),
        f"More typical than {shares[0]} %”: it rates this image as more typical of the unlabeled images than {shares[0]} %",
    )


@pytest.mark.parametrize(
    ("reasons", "kind"),
    [
        (["channel file 03a-bb_blue.* is missing", "channel file a b.png is missing"], "channel file is missing"),
        (["channel file r.png is of 8 x 9 pixels, g.png of 8 x 8 pixels"], "channel file is of another size"),
        (["channel file r.png file is empty", "channel file g.png file is empty"], "channel file is empty"),
        (["is a copy of test image t0", "is a copy of test image t 1"], "is a copy of a test image"),
        (["is a copy of training image 7"], "is a copy of a training image"),
        (["looks like training image 7", "looks like training image 8"], "looks like a training image"),
        (
            [f"its copies have {n} labels, see cluster {n} of duplicates.csv" for n in (2, 3)],
            "its copies have several labels",
        ),
        (["file is missing"], "file is missing"),
    ],
)
def test_reasons_are_counted_without_the_names_in_them(reasons: list[str], kind: str) -> None:
    assert {kind_of(reason) for reason in reasons} == {kind}


def test_copies_are_shown_in_pairs_with_what_is_wrong(build: Build) -> None:
    arguments = build()
    folds = Path(arguments["results"]) / "folds"
    lost = Path(arguments["results"]).parents[1] / "raw" / "img09.png"
    (folds / "quarantine.csv").write_text(
        f"split,id,path,part,reason\ntrain,dropped,{lost},image,is a copy of training image img02\n"
        "train,one,x.png,image,its copies have 2 labels\ntrain,two,x.png,image,its copies have 2 labels\n"
    )
    rows = [
        (0, "train", "img00", "near", 3), (0, "train", "img01", "near", 3),
        (1, "train", "img02", "exact", 0), (1, "train", "dropped", "exact", 0),
        (2, "train", "img05", "mirrored", 2), (2, "test", "test03", "mirrored", 2),
        (3, "train", "img06", "exact", 0), (3, "train", "img09", "exact", 0),
        (4, "train", "one", "exact", 0), (4, "train", "two", "exact", 0), (4, "train", "img10", "exact", 0),
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["cluster", "split", "id", "kind", "distance"])
    known = pd.read_csv(folds / "train.csv", dtype=str).set_index("id")["label"]
    labels = table["id"].map(known).where(table["split"] == "train").fillna("")
    labels = labels.where(~table["id"].isin(["one", "two"]), table["id"])
    table.assign(label=labels, nearest="", splits="", n_labels=1).to_csv(folds / "duplicates.csv", index=False)
    html = page_of(arguments)
    part = section(html, "copies")
    said = words(part)
    holds(said, "3 sets of identical files and 2 sets of images that look nearly the same")
    holds(part, "&lt;i&gt;&amp; ↔ cat", "Copies in train and another split", "dropped (train, left out)")
    holds(said, "all but one left out", "img05 (train, fold 1)", "test03 (test)")
    holds(said, "different labels, at most one of them in use")
    headings = [name for name in ("different labels", "train and another split", "different folds") if name in said]
    assert len(headings) == 3
    assert part.count("data:image/") == 4
    notes = words(section(html, "notes"))
    holds(notes, "Copies of an image with different labels 1 set", "Copies of an image in different folds 1 set")
    holds(words(section(html, "data")), "1 group of copies across train+test")


def test_no_copies_and_nothing_left_out_are_said(build: Build) -> None:
    html = page_of(build())
    assert 'id="copies"' not in html
    assert 'id="quarantine"' not in html
    said = words(section(html, "data"))
    holds(said, "No image was left out", "There are no duplicate images", "No other doubts about images")


@pytest.mark.parametrize("is_worse", [True, False])
def test_a_group_that_is_worse_than_others_with_its_classes_stands_first(build: Build, is_worse: bool) -> None:
    def grouped(train: pd.DataFrame) -> pd.DataFrame:
        return train.assign(group=["bad" if number < 30 else f"g{number // 30}" for number in range(len(train))])

    wrong = tuple(range(0, 30, 2)) if is_worse else ()
    html = page_of(build(n=120, wrong=wrong, change=grouped))
    part = words(section(html, "groups"))
    holds(part, "Intervals of groups with fewer than 50 images are too narrow.")
    first = part[part.index("difference") :].split()[1:3]
    if is_worse:
        assert first == ["bad", "30"]
        holds(part, "0.7667", "1.0000", "−0.2333")  # seven of the fifteen are sure enough to be wrong
        holds(part, "Of 1 interval, 1 does not contain")
    else:
        holds(part, "0 do not contain")


def test_small_groups_have_no_scores(build: Build) -> None:
    assert 'id="groups"' not in page_of(build(groups=True))


@pytest.mark.parametrize("is_added", [True, False])
def test_without_a_pseudo_label_no_round_is_said_to_have_improved(build: Build, is_added: bool) -> None:
    arguments = build(classes=THREE, seeds=(0,), rounds=1)
    root = Path(arguments["results"])
    if not is_added:
        for path in (root / "pseudo").rglob("*.csv"):
            path.write_text("id,label,confidence,source\n")
    path = root / "ensemble" / "rounds.csv"
    table = pd.read_csv(path)
    table.loc[table["round"] == 1, table.columns[2]] += 0.01
    table.to_csv(path, index=False)
    said = words(section(page_of(arguments), "pseudo"))
    assert ("improved" in said) == is_added
    assert ("so rounds differ only by the randomness of training" in said) != is_added
    assert said.count("with enough confidence to get") == (not is_added)


def of_cases(table: pd.DataFrame, n: int) -> pd.DataFrame:
    """The rows as cases of two views, of which ``n`` have an image."""
    texts = [[cases.to_text([of] * n + [None] * (2 - n)) for of in table[name]] for name in ("path", "sha256")]
    return table.assign(**dict(zip((cases.PATHS, cases.DIGESTS), texts, strict=True)))


def test_cases_of_several_images_are_called_cases(build: Build) -> None:
    arguments = build(change=lambda table: of_cases(table, 2))
    test = Path(arguments["results"]) / "folds" / "test.csv"
    of_cases(pd.read_csv(test, dtype=str), 1).to_csv(test, index=False)
    lost = [
        "train,gone,a.png,image,file is empty",
        "train,gone,b.png,image,file is empty",
        "train,img00,c.png,image,no file",
    ]
    test.with_name("quarantine.csv").write_text("\n".join(["split,id,path,part,reason", *lost]))
    said = words(page_of(arguments))
    top = said[: said.index("Leaderboard Out-of-fold")]
    holds(top, "Each of the 30 training cases was predicted", "these 30 cases", "accuracy, test cases")
    holds(top, "predictions for 6 test cases with known targets", "training cases 30", "test cases 6")
    holds(said, "30 training cases of 60 images and 6 test cases of 6 images", "36 cases", "Cases per class")
    holds(said, "1 case and 1 image of other cases in quarantine", "1 case and 1 image of other cases left out.")
    assert not re.search("(training|test) images? [0-9]|36 images|accuracy, test images", said)


@pytest.mark.parametrize(("columns", "row"), [(None, "image"), (object(), "case")])
def test_the_card_of_a_bundle_of_cases_calls_them_cases(columns: Any, row: str) -> None:
    how = {"images": 40, "groups": None, "n_folds": 2, "splitter": "stratified", "seeds": [0], "pseudo_label_rounds": 0}
    score = SimpleNamespace(metric="accuracy", value=0.8, low=0.7, high=0.9)
    shown = SimpleNamespace(cases=columns)
    bundle: Any = SimpleNamespace(
        score=score, validation=how, preprocessing=shown, optimistic=0.9, fusion=None, postprocessing=[]
    )
    text = "\n".join(card._score(bundle))
    holds(
        text,
        f"each of the 40 training {row}s is predicted",
        f"bootstrap over {row}s.",
        f"scored on the same {row}s they",
    )
    holds(
        text,
        f"The score applies to {row}s similar to the training {row}s",
        f"for each {row}, only the networks not trained on it",
    )
    how |= {"kind": "class", "unit": "images", "by_class": {"cat": 40}}
    holds("\n".join(card._classes(bundle)), f"40 {row}s.", f"| class | {row}s |")


def test_one_of_a_thing_is_said_as_one(build: Build) -> None:
    html = page_of(build(classes=THREE, seeds=(0,), rounds=1))
    tiles = words(html[html.index('<dl class="tiles"') : html.index("</dl>")])
    holds(tiles, "model 1", " seed 1", "pseudo-label round 1", "folds 3")
    assert "seeds" not in tiles


@pytest.mark.parametrize("source", ["digits", "folder"])
def test_the_drawing_of_the_stages_has_the_demo_data_only_where_they_are_used(build: Build, source: str) -> None:
    arguments = build()
    arguments["settings"]["data"]["source"] = source
    run = section(page_of(arguments), "run")
    assert ('class="dag-name">demo</text>' in run) == (source == "digits")
    assert run.count('class="dag-name"') == 9 + (source == "digits")
