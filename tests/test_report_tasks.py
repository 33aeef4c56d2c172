"""The report's pages for masks and boxes, of small made-up results."""

import json
import re
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldfold.drawing import box_errors, overlays
from goldfold.drawing.pictures import worst_typical_best
from goldfold.metrics.detection import best_threshold
from goldfold.predictions.arrays import Arrays
from goldfold.stages.report import run
from goldfold.tasks.detection import show as detection_pages
from goldfold.tasks.detection import show_confusion, show_worst
from goldfold.tasks.detection.outcome import Image, images_of
from goldfold.tasks.detection.spec import Spec
from goldfold.tasks.segmentation import show as segmentation_pages
from goldfold.tasks.segmentation import show_images as mask_pictures
from goldfold.tasks.segmentation.outcome import compared
from made_results import settings_of, write_results
from whole_task import whole

SIDE = 24
HOSTILE = ["<script>alert(1)</script>", "a & 'b'", "犬"]
TWELVE = [f"class {number}" for number in range(12)]


def image_file(folder: Path, name: str, seed: int) -> str:
    path = folder / "images" / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = np.linspace(40, 200, SIDE, dtype=np.uint8)[:, None].repeat(SIDE + 4, axis=1)
    cv2.imwrite(str(path), np.stack([grey, grey, np.full_like(grey, seed * 5)], axis=2))
    return str(path)


def squares(classes: Sequence[str], number: int) -> list[tuple[int, int, int, int]]:
    """One or two squares (class, left, top, side) of an image; none in every seventh."""
    if number % 7 == 6:
        return []
    first = (number % len(classes), number % 5, 2, 6 + number % 4)
    return [first, ((number + 1) % len(classes), 12, 12, 8)][: 1 + number % 2]


def masks(folder: Path, classes: list[str], n: int, **settings: Any) -> tuple[Any, pd.DataFrame, Any]:
    """Task, training table and predictor; predictions are the truth moved, further for later members and images."""
    task, rows, true = whole({"name": "segmentation", **settings}, classes), [], {}
    for number in range(n):
        mask = np.zeros((SIDE, SIDE + 4), dtype=np.uint8)
        for of, left, top, side in squares(classes, number):
            mask[top : top + side, left : left + side] = of + 1
        if settings.get("ignore_value"):
            mask[-2:] = settings["ignore_value"]
        id, path = f"im{number:02d}", folder / "masks" / f"im{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), mask)
        values = {int(value): int((mask == value).sum()) for value in np.unique(mask)}
        rows.append(
            {"id": id, "path": image_file(folder, id, number), "sha256": id, "width": SIDE + 4, "height": SIDE,
             "mask": str(path), "mask_sha256": f"m{number}", "mask_values": json.dumps(values), "fold": number % 3}
        )  # fmt: skip
        true[id] = task.true_mask(str(path))

    def predict(seed: int, ids: Sequence[str]) -> Arrays:
        moved = [np.roll(true[id], (seed + int(id[2:])) % 5, axis=1) for id in ids]
        maps = {
            f"maps/{row}": np.stack([(mask == of + 1) * np.uint8(240) for of in range(len(classes))])
            for row, mask in enumerate(moved)
        }
        sizes = np.array([mask.shape for mask in moved], dtype=np.int32)
        return {"ids": np.array(ids), "classes": np.array(classes), "sizes": sizes, **maps}

    return task, pd.DataFrame(rows), predict


def boxes(folder: Path, classes: list[str], n: int) -> tuple[Any, pd.DataFrame, Any]:
    """The same of boxes; each is found, moved or misnamed by turns, and a false one is beside it."""
    task, rows = whole({"name": "detection"}, classes), []
    true: dict[str, list[tuple[int, int, int, int]]] = {}
    for number in range(n):
        id = f"im{number:02d}"
        true[id] = squares(classes, number)
        text = [[classes[of], x, y, x + side, y + side] for of, x, y, side in true[id]]
        rows.append(
            {"id": id, "path": image_file(folder, id, number), "sha256": id, "width": SIDE + 4, "height": SIDE,
             "boxes": json.dumps(text), "fold": number % 3}
        )  # fmt: skip

    def of_image(seed: int, id: str) -> list[tuple[list[float], float, int]]:
        found: list[tuple[list[float], float, int]] = [([20, 1, 26, 5], 0.35, 0)]
        for place, (of, x, y, side) in enumerate(true[id]):
            kind = (seed + int(id[2:]) + place) % 4
            shift, label = (4.0, of) if kind == 1 else (0.5, (of + 1) % len(classes)) if kind == 2 else (0.5, of)
            found.append(([x + shift, y, x + shift + side, y + side], 0.9 - 0.01 * int(id[2:]), label))
        return found

    def predict(seed: int, ids: Sequence[str]) -> Arrays:
        images = [of_image(seed, id) for id in ids]
        flat = [box for image in images for box in image]
        return {
            "ids": np.array(ids),
            "classes": np.array(classes),
            "sizes": np.array([[SIDE, SIDE + 4]] * len(ids), dtype=np.int32),
            "counts": np.array([len(image) for image in images], dtype=np.int32),
            "boxes": np.array([box for box, _, _ in flat], dtype=np.float32).reshape(-1, 4),
            "scores": np.array([score for _, score, _ in flat], dtype=np.float32),
            "labels": np.array([label for _, _, label in flat], dtype=np.int32),
        }

    return task, pd.DataFrame(rows), predict


MAKERS: dict[str, tuple[Callable[..., tuple[Any, pd.DataFrame, Any]], str, str]] = {
    "segmentation": (masks, "dice", "probability"),
    "detection": (boxes, "ap50", "wbf"),
}
Build = Callable[..., dict[str, Any]]


@pytest.fixture
def build(in_tmp: Path, undrawn: None) -> Build:
    """Writes a finished run of a task, and gives the arguments of the report stage."""
    tmp_path = in_tmp

    def make(
        name: str, classes: list[str], n: int = 15, models: Sequence[str] = ("only",), gallery: int = 6,
        change: Callable[[pd.DataFrame], pd.DataFrame] = lambda table: table, rounds: int = 0, **task_settings: Any,
    ) -> dict[str, Any]:  # fmt: skip
        maker, metric, method = MAKERS[name]
        task, train, predict = maker(tmp_path, classes, n, **task_settings)
        settings, root = settings_of(metric, models, rounds=rounds, method=method), tmp_path / "results"
        test = train.head(6).drop(columns="fold")  # their truth is then known
        pseudo = task.pseudo_labels(predict(0, list(test["id"])), 0.5).assign(source="test")
        write_results(root, task, name, settings, change(train), predict, test, test, pseudo)
        return {
            "results": str(root), "out": str(root / "report" / "report.html"), "title": None, "gallery": gallery,
            "name": "tiny", "task": {"name": name, **task_settings}, "metric": metric, "settings": settings,
        }  # fmt: skip

    return make


def page_of(arguments: dict[str, Any]) -> str:
    run(**arguments)
    return Path(arguments["out"]).read_text(encoding="utf-8")


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))


def sections(html: str) -> list[str]:
    return re.findall(r'<section id="([^"]*)"', html)


def section(html: str, name: str) -> str:
    return html[html.index(f'<section id="{name}"') :].split("</section>")[0]


def test_masks_of_several_classes(build: Build) -> None:
    html = page_of(build("segmentation", ["cat", "dog"], models=("first", "second")))
    assert sections(html) == [
        "notes", "leaderboard", "pairs", "curves", "classes", "confusion", "images", "ensemble", "data", "copies", "shift",
        "run",
    ]  # fmt: skip
    images = section(html, "images")
    assert images.count("data:image/jpeg;base64,") == 6 + 3 + 1
    assert [images.index(heading) for heading in ("Worst", "Typical", "Best")] == sorted(
        images.index(heading) for heading in ("Worst", "Typical", "Best")
    )
    assert images.count('class="legend"') == 3
    assert "2 images have no pixel of any class" in words(images)
    assert "(background) → dog" in words(section(html, "confusion"))
    assert "(mean of the classes)" in section(html, "classes")
    assert "Scored per image (dice, 13 images)" in words(section(html, "ensemble"))
    assert "Number of pixels per class" in section(html, "data")
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", html)


def test_masks_of_one_class_have_no_confusion(build: Build) -> None:
    html = page_of(build("segmentation", ["nucleus"], mask_values="nonzero"))
    assert "confusion" not in sections(html)
    assert "(mean of the classes)" not in html
    assert all(name in section(html, "images") for name in ("found", "missed", "false"))
    assert "1 class;" in words(section(html, "data"))


def test_boxes(build: Build) -> None:
    html = page_of(build("detection", ["cat", "dog"], models=("first", "second")))
    assert sections(html) == [
        "notes", "leaderboard", "pairs", "curves", "classes", "precision", "errors", "worst", "images", "ensemble", "data",
        "copies", "shift", "run",
    ]  # fmt: skip
    assert section(html, "images").count("data:image/jpeg;base64,") == 6 + 3 + 1
    assert "missed objects and" in words(section(html, "worst"))
    assert "cat → dog" in words(section(html, "errors"))
    assert "weighted boxes fusion" in section(html, "ensemble")
    assert "Scored per image (ap50, " in words(section(html, "ensemble"))


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("classes", [["only"], HOSTILE, TWELVE], ids=["one", "hostile", "twelve"])
@pytest.mark.drawn
def test_any_classes(build: Build, name: str, classes: list[str]) -> None:
    html = page_of(build(name, classes, n=26))
    assert "<script>alert" not in html
    assert all(escape(name, quote=False).replace("'", "&#39;") in html for name in classes)
    assert len(html) < 3e6


@pytest.mark.parametrize("name", MAKERS)
def test_pseudo_labels_and_a_known_test_set(build: Build, name: str) -> None:
    html = page_of(build(name, ["a", "b"], rounds=1))
    text = words(section(html, "pseudo"))
    assert re.search(r"round 1 fold 2 test [56] ", text)
    assert ("Shares of objects" in text) == (name == "detection")
    assert "6 test images with known targets" in words(html)


@pytest.mark.drawn
@pytest.mark.parametrize("name", MAKERS)
def test_same_bytes_twice(build: Build, name: str) -> None:
    arguments = build(name, ["a", "b"])
    assert page_of(arguments) == page_of(arguments)


@pytest.mark.parametrize("name", MAKERS)
def test_no_gallery_and_missing_images(build: Build, name: str) -> None:
    arguments = build(name, ["a", "b"], gallery=0)
    for path in Path(arguments["results"]).parent.glob("images/*.png"):
        path.unlink()
    html = page_of(arguments)
    assert "Worst images" not in html
    assert "image cannot be read" in html
    assert "image cannot be read" in page_of(arguments | {"gallery": 4})


@pytest.mark.parametrize("name", MAKERS)
def test_identical_images_with_different_targets(build: Build, name: str) -> None:
    def twins(train: pd.DataFrame) -> pd.DataFrame:
        train.loc[[0, 3], "sha256"] = "same"
        return train

    html = page_of(build(name, ["a", "b"], change=twins))
    assert "Copies of an image with different labels 1 set" in words(section(html, "notes"))
    what = {"segmentation": "mask", "detection": "boxes"}[name]
    assert f"{what} 1 ↔ {what} 2" in section(html, "copies")


def test_boxes_in_quarantine(build: Build) -> None:
    arguments = build("detection", ["a", "b"])
    path = Path(arguments["results"]) / "folds" / "quarantine.csv"
    train = pd.read_csv(path.parent / "train.csv", dtype=str)
    train.loc[1, "boxes"] = "[]"
    train.to_csv(path.parent / "train.csv", index=False)
    first = f"train,{train['id'][1]},x.png,box,box 1 (a) has no area"
    path.write_text(f"split,id,path,part,reason\n{first}\ntrain,b,y.png,image,empty\n")
    text = words(page_of(arguments))
    assert "1 image has no box left after flawed ones were dropped" in text
    assert "1 image in quarantine" in text
    assert "1 box in quarantine" in text
    assert "1 image and 1 box left out" in text


# --- masks


class Watched(Mapping[str, Any]):
    """Predictions that count how many maps are asked for, and how many are in memory at once."""

    def __init__(self, arrays: Arrays) -> None:
        self.arrays, self.asked, self.held, self.most = arrays, 0, 0, 0

    def __getitem__(self, key: str) -> Any:
        if "/" not in key:
            return self.arrays[key]
        array = self.arrays[key].copy()
        self.asked, self.held = self.asked + 1, self.held + 1
        self.most = max(self.most, self.held)
        weakref.finalize(array, self._drop)
        return array

    def _drop(self) -> None:
        self.held -= 1

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)


@pytest.mark.parametrize("classes", [["one"], ["a", "b", "c"]], ids=["one class", "three"])
def test_maps_are_read_one_at_a_time(tmp_path: Path, classes: list[str]) -> None:
    task, truth, predict = masks(tmp_path, classes, 20)
    watched = Watched(predict(0, list(truth["id"])))
    segmentation_pages.pages(task, watched, truth, 4)
    assert watched.asked == 20 + (4 + 2 + 1)
    assert watched.most <= 2


def test_pixels_of_the_page_are_those_of_the_score(tmp_path: Path) -> None:
    task, truth, predict = masks(tmp_path, ["a", "b", "c"], 9, ignore_value=255)
    predictions = predict(0, list(truth["id"]))
    outcome, evidence = compared(task, predictions, truth), task.evidence(predictions, truth)
    for name in ("both", "predicted", "true"):
        np.testing.assert_array_equal(getattr(outcome.overlap, name), getattr(evidence, name))
    assert outcome.pixels.sum() == outcome.counted.sum() == 9 * (SIDE - 2) * (SIDE + 4)
    np.testing.assert_array_equal(np.diag(outcome.pixels)[1:], evidence.both.sum(axis=0))


def test_what_a_mask_picture_shows(tmp_path: Path) -> None:
    task, _, _ = masks(tmp_path, ["one"], 1)
    true, given = np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.uint8)
    true[0], given[:, 0] = 1, 1  # shared, missed / false, nothing
    drawn = mask_pictures._compared(task, np.zeros((2, 2, 3), np.uint8), true, given)
    corners = drawn[[0, 0, -1, -1], [0, -1, 0, -1]].astype(float)
    shares = np.array([[0.4], [0.9], [0.9], [0.0]])
    wanted = shares * np.array([overlays.FOUND, overlays.MISSED, overlays.FALSE, (0, 0, 0)])
    np.testing.assert_allclose(corners, wanted, atol=1)
    assert len(drawn) == overlays.SIDE_PX


def test_a_training_mask_is_drawn(tmp_path: Path) -> None:
    task, truth, _ = masks(tmp_path, ["a", "b"], 2)
    drawn = task.draw_target(truth.iloc[1].to_dict())
    for index in (0, 1):  # the outlines of both
        assert (drawn == overlays.colour_of(index)).all(axis=2).any()
    assert task.draw_target({**truth.iloc[1].to_dict(), "path": str(tmp_path / "gone.png")}) is None


# --- boxes

SQUARE = [0.0, 0.0, 10.0, 10.0]


@pytest.mark.parametrize(
    ("objects", "classes", "found", "labels", "kinds", "missed"),
    [
        ([SQUARE], [0], [SQUARE], [0], ["found"], 0),
        ([SQUARE], [0], [SQUARE, SQUARE], [0, 0], ["found", "duplicate"], 0),
        ([SQUARE], [0], [SQUARE], [1], ["wrong class"], 1),
        ([SQUARE], [0], [[6, 0, 16, 10]], [0], ["misplaced"], 1),
        ([SQUARE], [0], [[6, 0, 16, 10]], [1], ["background"], 1),
        ([SQUARE], [0], [[20, 20, 30, 30]], [0], ["background"], 1),
        ([], [], [SQUARE], [0], ["background"], 0),
        ([SQUARE], [0], [], [], [], 1),
        ([], [], [], [], [], 0),
        ([SQUARE, [1, 0, 11, 10]], [0, 0], [SQUARE, SQUARE], [0, 0], ["found", "found"], 0),
    ],
)
def test_kinds_of_boxes(
    objects: list[Any], classes: list[int], found: list[Any], labels: list[int], kinds: list[str], missed: int
) -> None:
    corners = [np.array(part, dtype=float).reshape(-1, 4) for part in (objects, found)]
    checked = box_errors.check(corners[0], np.array(classes, int), corners[1], np.array(labels, int))
    assert [box_errors.KINDS[kind] for kind in checked.kind] == kinds
    assert checked.is_missed.sum() == missed
    assert checked.n_errors == missed + sum(kind != "found" for kind in kinds)


@pytest.mark.parametrize("seed", range(5))
def test_boxes_found_are_those_that_the_metric_counts(tmp_path: Path, seed: int) -> None:
    task, truth, predict = boxes(tmp_path, ["a", "b", "c"], 20)
    predictions = dict(predict(seed, list(truth["id"])))
    generator = np.random.default_rng(seed)
    predictions["scores"] = generator.permutation(len(predictions["scores"])).astype(np.float32) / 100
    predictions["boxes"] = predictions["boxes"] + generator.normal(0, 0.7, predictions["boxes"].shape)
    predictions["boxes"][:, 2:] = np.maximum(predictions["boxes"][:, 2:], predictions["boxes"][:, :2] + 1)
    evidence = task.evidence(predictions, truth)
    threshold = best_threshold(evidence)
    images = images_of(task, predictions, truth, threshold)
    found = sum(int((image.checked.kind == box_errors.FOUND).sum()) for image in images)
    assert found == int(evidence.hit[evidence.score >= threshold].sum())
    counts = detection_pages._counts(images, 3)
    assert (counts[:, 0] == counts[:, 1] + counts[:, 2]).all()
    assert counts[:, 3].sum() == counts[:, 1].sum() + counts[:, 4:].sum()
    assert counts[:, 0].sum() == sum(len(json.loads(text)) for text in truth["boxes"])
    confused = show_confusion.counted(images, 3)
    assert (confused[:3].sum(axis=1) == counts[:, 0]).all(), "a row has the objects of its class"
    assert (confused[:, :3].sum(axis=0) == counts[:, 3]).all(), "a column has the boxes of its class"
    assert np.array_equal(confused.diagonal()[:3], counts[:, 1])


def image_of(objects: Any, classes: list[int], found: Any, labels: list[int]) -> Image:
    """An image whose boxes have the scores 0.9, 0.8, ..."""
    corners = [np.array(part, dtype=float).reshape(-1, 4) for part in (objects, found)]
    scores = 0.9 - 0.1 * np.arange(len(labels))
    return Image("a", "", corners[0], np.array(classes, int), corners[1], scores, np.array(labels, int))


def test_objects_are_confused_with_the_class_of_the_first_box_or_with_the_background() -> None:
    far = [40.0, 40.0, 50.0, 50.0]
    image = image_of([SQUARE, far], [0, 1], [SQUARE, SQUARE, [80, 80, 90, 90]], [1, 1, 0])
    assert show_confusion.counted([image], 2).tolist() == [[0, 1, 0], [0, 0, 1], [1, 1, 0]]
    found = image_of([SQUARE], [0], [SQUARE, SQUARE], [0, 1])
    assert show_confusion.counted([found], 2).tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 0]], "found, so not confused"


def test_objects_and_boxes_are_counted_by_their_size() -> None:
    sides = [4, 6, 8, 10, 12, 14, 16, 18, 20, 90]
    objects = [[0, 100 * row, side, 100 * row + side] for row, side in enumerate(sides)]
    found = [*objects[2:], [300, 300, 302, 302]]
    _, table = show_confusion.by_size([image_of(objects, [0] * 10, found, [0] * 9)])
    assert [list(row[:3]) + list(row[4:6]) for row in table.rows] == [  # type: ignore[union-attr]
        ["below 7.6", "2", "0", "1", "1"], ["7.6 to 11", "2", "2", "2", "0"], ["11 to 15", "2", "2", "2", "0"],
        ["15 to 18", "1", "1", "1", "0"], ["18 and more", "3", "3", "3", "0"],
    ]  # fmt: skip
    assert show_confusion.size_edges(np.array([5.0, 5, 5])) == [], "one size is one group"
    assert show_confusion.by_size([image_of([], [], [SQUARE], [0])]) == []


def test_the_worst_errors_are_the_largest_missed_objects_and_the_surest_false_boxes(tmp_path: Path) -> None:
    objects = [SQUARE, [20, 20, 50, 60], [60, 60, 64, 64]]
    image = image_of(objects, [0, 1, 0], [[60, 0, 70, 10], SQUARE, [0, 80, 8, 88]], [0, 1, 0])
    assert [row for _, row in show_worst.largest_missed([image])] == [1, 0, 2]
    assert [row for _, row in show_worst.surest_false([image])] == [0, 1, 2]
    cv2.imwrite(str(tmp_path / "a.png"), np.full((100, 100, 3), 128, np.uint8))
    (section,) = show_worst.worst_errors(Spec(["cat", "dog"]), [replace(image, path=str(tmp_path / "a.png"))], 2)
    missed, false = section.blocks
    assert [one.title for one in missed.pictures] == ["dog", "cat"]  # type: ignore[union-attr]
    assert missed.caption == "2 of 3, the largest first."  # type: ignore[union-attr]
    assert [(one.title, one.lines[0]) for one in false.pictures] == [  # type: ignore[union-attr]
        ("cat 0.90", "background"), ("dog 0.80", "is cat"),
    ]  # fmt: skip
    assert all(one.uri for block in (missed, false) for one in block.pictures)  # type: ignore[union-attr]
    assert show_worst.worst_errors(Spec(["cat", "dog"]), [image], 0) == []


def test_nothing_predicted(tmp_path: Path) -> None:
    task, truth, predict = boxes(tmp_path, ["a", "b"], 6)
    nothing = {**predict(0, list(truth["id"])), "counts": np.zeros(6, dtype=np.int32)}
    nothing |= {"boxes": np.empty((0, 4)), "scores": np.empty(0), "labels": np.empty(0, dtype=np.int32)}
    made = {one.id: one for one in task.pages(nothing, truth, 4)}
    assert set(made) == {"classes", "precision", "errors", "worst", "images"}
    assert "0 false boxes" in made["worst"].intro
    assert "No score threshold is best" in made["errors"].intro
    assert "0 of 0 boxes are false" in made["errors"].intro


def test_no_object_at_all(tmp_path: Path) -> None:
    task, truth, predict = boxes(tmp_path, ["a", "b"], 6)
    made = {one.id: one for one in task.pages(predict(0, list(truth["id"])), truth.assign(boxes="[]"), 4)}
    assert "no curve" in made["precision"].intro


# --- drawing


def test_small_images_are_enlarged_pixel_by_pixel() -> None:
    image = np.random.default_rng(0).integers(0, 255, (5, 96, 3), dtype=np.uint8)
    np.testing.assert_array_equal(overlays.enlarged(image, 480)[::5, ::5], image)
    assert overlays.enlarged(np.zeros((1000, 250, 3), np.uint8), 480).shape == (480, 120, 3)
    assert overlays.enlarged(np.zeros((1, 1, 3), np.uint8), 480).shape == (480, 480, 3)


def test_large_images_are_shrunk_with_their_masks_unmixed() -> None:
    image, mask = np.zeros((300, 200, 3), np.uint8), np.zeros((300, 200), np.uint8)
    mask[:150] = 7
    small, (shrunk, other) = overlays.reduced(image, [mask, mask[::2, ::2]], 60)
    assert small.shape[:2] == shrunk.shape == other.shape == (60, 40)
    assert set(np.unique(shrunk)) == {0, 7}


def test_boxes_are_drawn_in_their_colours_and_on_the_picture() -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    parts = [
        overlays.Box([-5, -5, 20, 20], overlays.FOUND, "found 0.9"),
        overlays.Box([40, 10, 70, 60], overlays.MISSED, "a name that is long", is_dashed=True),
        overlays.Box([30, 30, 30, 30], overlays.FALSE),
    ]
    drawn = overlays.boxed(image, parts)
    for part in parts:
        assert (drawn == part.colour).all(axis=2).any()


@given(n=st.integers(0, 60), most=st.integers(0, 30))
def test_galleries_show_no_image_twice(n: int, most: int) -> None:
    order = np.random.default_rng(n).permutation(n)
    worst, typical, best = worst_typical_best(order, most)
    shown = [*worst, *typical, *best]
    assert len(shown) == len(set(shown))
    assert list(worst) == list(order[: len(worst)])
    assert list(best) == list(order[::-1][: len(best)])
    assert len(worst) == min(most, (n + 1) // 2)
    assert (len(typical), len(best)) == (most // 2, most // 4) or n < 2 * most
