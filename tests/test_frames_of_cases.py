"""Cases of views or frames in a run: order, a limited number, views left out, training, weights, bundles, refusals."""

import contextlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import goldfold
from conftest import Tiny, picture, prepare, save_picture
from goldfold import sources
from goldfold.base.errors import ConfigError, DataError
from goldfold.bundles import form
from goldfold.bundles.export import export
from goldfold.cache.images import CachedImages
from goldfold.catalog import AGGREGATIONS
from goldfold.commands import preflight
from goldfold.config import load, slices
from goldfold.config.chosen import places
from goldfold.config.root import Config
from goldfold.images import cases
from goldfold.images.limited import chosen
from goldfold.planning.grid import Grid
from goldfold.predictions.arrays import load as load_arrays
from goldfold.report import view_weights
from goldfold.samples.dataset import TrainingSet, kept
from goldfold.samples.transforms import Augment
from test_resume import run_until
from tiny_results import record, write_results

# --- order of frames


def read(text: str, in_tmp: Path, **keys: Any) -> list[list[str | None]]:
    """Images of each case of a table with the columns case, frame, image and label."""
    Path("t.csv").write_text(f"case,frame,image,label\n{text}")
    tables = sources.read(
        "csv", train="t.csv", images="img", case_column="case", image_column="image", frame_column="frame", **keys
    )
    return [[name and Path(name).stem for name in cases.from_text(one)] for one in tables["train"]["images"]]


@pytest.mark.parametrize(
    "places",
    [("2", "10", "9"), ("-1.5", "1e1", "0"), ("2024-01-02", "2024-02-01", "2024-01-15"), ("im2.png", "im10.png", "im09.png")],
)  # fmt: skip
def test_frames_are_in_the_order_of_their_column(places: tuple[str, str, str], in_tmp: Path) -> None:
    for number in range(5):
        save_picture(Path(f"img/{number}.png"), picture(number, level=90))
    first, last, middle = places
    text = f"x,{last},0.png,cat\nx,{first},1.png,cat\ny,{last},2.png,dog\nx,{middle},3.png,cat\n"
    assert read(text, in_tmp) == [["1", "3", "0"], ["2", None, None]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x,1,0.png,cat\nx,1.0,1.png,cat\n",
         r"case 'x' has two images at '1\.0' of 'frame', in line 2 and line 3\. Correct one, or remove data\.frame_column"),
        ("x,1,0.png,cat\nx,,1.png,cat\n", r"column 'frame' is empty in line 3\. Give the place of each image in its case\."),
    ],
)  # fmt: skip
def test_frames_without_an_order_are_refused(text: str, said: str, in_tmp: Path) -> None:
    for number in range(2):
        save_picture(Path(f"img/{number}.png"), picture(number, level=90))
    with pytest.raises(DataError, match=said):
        read(text, in_tmp)


# --- some of many frames, and views left out


@given(st.lists(st.booleans(), min_size=1, max_size=40).filter(any), st.integers(1, 12), st.integers(0, 2**40))
def test_chosen_frames_are_in_order_and_spread_over_the_case(there: list[bool], most: int, seed: int) -> None:
    own = [str(number) if one else None for number, one in enumerate(there)]
    n_there = sum(there)
    for draw in (None, seed):
        found = chosen(own, most, draw)
        numbers = [int(one) for one in found if one is not None]
        assert len(found) == min(most, len(own)), "all cases of a batch have as many places"
        assert numbers == sorted(set(numbers))
        assert len(numbers) == min(most, n_there)
        ranks = [sum(there[:number]) for number in numbers]
        assert all(
            abs(rank - (part + 0.5) * n_there / len(numbers)) < n_there / len(numbers) + 1
            for part, rank in enumerate(ranks)
        )
    assert chosen(own, None) == own


@given(st.lists(st.booleans(), min_size=1, max_size=6).filter(any), st.floats(0, 0.99), st.integers(0, 2**40))
def test_views_are_left_out_but_never_all(there: list[bool], drop: float, seed: int) -> None:
    present = np.array(there)
    left = kept(present, drop, seed)
    assert left.any()
    assert not (left & ~present).any()


def test_each_view_is_left_out_as_often_as_wanted() -> None:
    left = np.mean([kept(np.ones(4, bool), 0.3, seed) for seed in range(2000)], axis=0)
    assert left == pytest.approx([0.7] * 4, abs=0.04)


# --- a run


@pytest.fixture(scope="module")
def of_frames(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """16 training and 3 test cases of 1 to 5 frames, of classes by brightness."""
    root, rows = tmp_path_factory.mktemp("frames"), []
    with contextlib.chdir(root):
        for number in range(19):
            for frame in range(1 + number % 5):
                name = f"{number}-{frame}.png"
                save_picture(Path(f"img/{name}"), picture(10 * number + frame, level=60 + 90 * (number % 2)))
                rows.append([f"k{number:02d}", f"f{8 + frame}", name, "dl"[number % 2]])
        every = pd.DataFrame(rows, columns=["case", "frame", "image", "label"])
        is_test = every["case"] >= "k16"
        every[~is_test].to_csv("train.csv", index=False)
        every[is_test].drop(columns="label").to_csv("test.csv", index=False)
        columns = {"case_column": "case", "frame_column": "frame", "image_column": "image"}
        data = {"source": "csv", "train": "train.csv", "images": "img", "test": "test.csv", "duplicates": "ignore"}
        return prepare(Tiny(root, {**data, **columns}), ["train", "test"])


def test_training_draws_frames_and_prediction_takes_the_same(of_frames: Tiny) -> None:
    images = CachedImages(of_frames.caches(), max_images=2)
    assert images.n_views == 2
    every = CachedImages(of_frames.caches()).views("k04")
    assert len(every) == 5
    fixed = images.views("k04")
    assert [next(n for n, one in enumerate(every) if np.array_equal(one, image)) for image in fixed] == [1, 3]
    pixels, present = images.case_batch(["k04", "k05"])
    assert np.array_equal(pixels[0], fixed)
    assert present.tolist() == [[True, True], [True, False]]
    augment = Augment("none", "none", images.frame, 3)
    samples = TrainingSet(
        ["k04", "k05"], [{"label": 0}, {"label": 1}], [1.0, 1.0], images, augment, ("k",), drop_view=0.5
    )
    drawn, left = set(), set()
    for epoch in range(40):
        sample = samples[(epoch, 0)]
        places = [next(n for n, one in enumerate(every) if np.array_equal(one, image)) for image in sample["images"]]
        assert places[0] < places[1]
        drawn.add(tuple(places))
        left.add(tuple(sample["present"].tolist()))
        assert samples[(epoch, 1)]["present"].tolist() == [True, False], "a case keeps its only image"
    assert {place for both in drawn for place in both} == set(range(5))
    assert left == {(True, True), (True, False), (False, True)}
    again = TrainingSet(["k04"], [{"label": 0}], [1.0], images, augment, ("k",), drop_view=0.5)[(7, 0)]
    assert all(np.array_equal(again[name], samples[(7, 0)][name]) for name in ("images", "present"))


SHORT = {"epochs": 1, "warmup_epochs": 0, "drop_view": 0.2}
LSTM: dict[str, Any] = {"views": {"lstm": {"hidden": 6, "dropout": 0.1}}, "max_images": 3}


@pytest.fixture(scope="module")
def results(of_frames: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Finished results of a recurrent network."""
    folder = tmp_path_factory.mktemp("results") / "frames"
    write_results(of_frames, folder, **LSTM)
    source = {key: of_frames.data[key] for key in ("case_column", "frame_column", "image_column")}
    settings = {"roi": None, "max_pixels": 200_000_000, "source": {**source, "id_column": "id"}}
    record(folder, "manifest/run.json", "manifest", settings, [], ["manifest/classes.json"])
    return folder


def test_predictions_have_the_weight_of_each_image(results: Path) -> None:
    for name, n in (("oof", 8), ("test", 3)):
        found = load_arrays(results / f"predict/net/round0/fold0/seed0/{name}.npz")
        weights = found["view_weights"]
        assert weights.shape == (n, 3)
        assert weights.sum(axis=1) == pytest.approx(np.ones(n))
        number = [1 + int(id[1:]) % 5 for id in found["ids"]]
        assert [(row > 0).sum() for row in weights] == [min(one, 3) for one in number]


def test_a_bundle_of_sequences_predicts_as_the_run_did(of_frames: Tiny, results: Path, tmp_path: Path) -> None:
    export(results, tmp_path / "bundle")
    read = form.read(tmp_path / "bundle")
    assert (read.schema_version, read.members[0].network.views, read.members[0].network.max_images) == (
        5, LSTM["views"], 3
    )  # fmt: skip
    found = goldfold.load(tmp_path / "bundle").predict(of_frames.root / "img", table=of_frames.root / "test.csv")
    wanted = load_arrays(results / "ensemble/test.npz")
    assert found.arrays["ids"].tolist() == ["k16", "k17", "k18"]
    np.testing.assert_allclose(found.arrays["probabilities"], wanted["probabilities"], atol=1e-5)
    assert "joined by lstm(hidden=6, dropout=0.1)" in (tmp_path / "bundle/README.md").read_text()
    with pytest.raises(DataError, match=r"--table FILE \(CSV with one row per image: case, frame, image\)\."):
        goldfold.load(tmp_path / "bundle").predict(of_frames.root / "img")


def test_labels_of_validation_cases_change_no_byte_of_a_recurrent_network(of_frames: Tiny, tmp_path: Path) -> None:
    fold = pd.read_csv(of_frames.fold_file(), dtype=str, keep_default_na=False)
    others = fold.assign(label=fold["label"].where(fold["split"] == "train", fold["label"].map({"d": "l", "l": "d"})))
    others.to_csv(tmp_path / "others.csv", index=False)
    made = []
    for name, file in (("one", of_frames.fold_file()), ("other", str(tmp_path / "others.csv"))):
        of_frames.train(tmp_path / name, fold_file=file, model=of_frames.model(SHORT, **LSTM))
        made.append((tmp_path / name / "model.safetensors").read_bytes())
    assert made[0] == made[1]


def test_views_are_left_out_in_training(of_frames: Tiny, tmp_path: Path) -> None:
    made = set()
    for drop in (0.0, 0.6):
        of_frames.train(tmp_path / str(drop), model=of_frames.model({**SHORT, "drop_view": drop}, views="attention"))
        made.add((tmp_path / str(drop) / "model.safetensors").read_bytes())
    assert len(made) == 2


def test_a_recurrent_network_that_is_killed_ends_with_the_same_bytes(of_frames: Tiny, tmp_path: Path) -> None:
    model = of_frames.model({**SHORT, "epochs": 3, "batch_size": 4, "ema_decay": 0.9, "mixup_alpha": 0.2}, **LSTM)
    of_frames.train(tmp_path / "whole", model=model)
    run_until(4, of_frames, tmp_path / "killed", model=model)
    assert of_frames.train(tmp_path / "killed", model=model)["resumed_at_step"] == [3]
    made = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "killed")]
    assert made[0] == made[1]


def found_results(results: Path, **changes: Any) -> Any:
    """What the section on weights reads of results."""
    train = pd.read_csv(results / "folds/train.csv", dtype=str, keep_default_na=False)
    members = {
        "net-seed0": {fold: load_arrays(results / f"predict/net/round0/fold{fold}/seed0/oof.npz") for fold in range(2)}
    }
    settings = {"models": [{"name": "net", "max_images": 3}]}
    grid = Grid(("net",), (), 2, (0,))
    return SimpleNamespace(
        **{"members": members, "tables": {"train": train}, "settings": settings, "grid": grid, **changes}
    )


def test_the_report_shows_the_weights_of_images(results: Path, of_frames: Tiny) -> None:
    found = found_results(results)
    table = view_weights.table(found)
    assert table["id"].nunique() == 16
    assert table.groupby("id")["weight"].sum().to_numpy() == pytest.approx(np.ones(16), abs=2e-4)
    of_one = table[table["id"] == "k04"]
    assert [Path(path).stem for path in of_one["path"]] == ["4-0", "4-2", "4-4"]
    with contextlib.chdir(of_frames.root):
        section = view_weights.section(found, table, 4)
    (gallery,) = section.blocks
    assert len(gallery.pictures) == 4
    assert all(one.uri for one in gallery.pictures)
    named = found.tables["train"].assign(view_names=cases.to_text(["AP", "L", "O", "x", "y"]))
    found = found_results(results, tables={"train": named}, settings={"models": [{"name": "net"}]})
    assert found.members["net-seed0"][0].keys() >= {"view_weights"}
    short = {
        fold: {**arrays, "view_weights": np.eye(5)[np.zeros(8, int)]}
        for fold, arrays in found.members["net-seed0"].items()
    }
    found.members = {"net-seed0": short}
    table = view_weights.table(found)
    with contextlib.chdir(of_frames.root):
        by_view, gallery = view_weights.section(found, table, 4).blocks
    assert [(row[1], row[3].text) for row in by_view.rows] == [
        ("AP", "1.000"), ("L", "0.000"), ("O", "0.000"), ("x", "0.000"), ("y", "0.000")
    ]  # fmt: skip
    assert gallery.pictures[0].lines[0].startswith("AP 1.00, L 0.00")
    plain = {fold: {"ids": arrays["ids"]} for fold, arrays in short.items()}
    assert view_weights.table(found_results(results, members={"net-seed0": plain})) is None


# --- configs

FRAMES = {"case_column": "case", "frame_column": "frame", "image_column": "image"}
VIEWS = {"view_columns": ["CC", "MLO"]}


def config(data: dict[str, Any], model: dict[str, Any], train: dict[str, Any] | None = None) -> Any:
    Path("img").mkdir(exist_ok=True)
    Path("t.csv").write_text("id,case,frame,image,label,CC,MLO\n")
    source = {"source": "csv", "train": "t.csv", "images": "img", **data}
    network = {"name": "net", "network": "small_resnet", "image_size_px": 16, **model}
    values = {"name": "t", "data": source, "models": [network], "train": train or {}}
    Path("c.yaml").write_text(json.dumps(values))
    return load("c.yaml")


@pytest.mark.parametrize(
    ("data", "model", "said"),
    [
        ({}, {"views": "attention"},
         r"models\[0\] \(net\)\.views = 'attention': cases have one image each; set data\.case_column or data\.view_columns"),
        ({}, {"max_images": 4}, r"max_images = 4: cases have one image each; set data\.case_column"),
        ({}, {"train": {"drop_view": 0.1}}, r"train\.drop_view = 0\.1: cases have one image each; remove it"),
        (FRAMES, {"views": "attenton"}, r"views = 'attenton': nearest is 'attention'; allowed: mean, attention, concat, lstm"),
        (FRAMES, {"views": {"lstm": {"hiden": 3}}}, r"lstm does not take 'hiden'; nearest is 'hidden'; its parameters: hidden, "),
        (FRAMES, {"views": "cosine"}, r"views = 'cosine': is a schedule; "),
        (VIEWS, {"views": {"concat": {"n_views": 4}}},
         r"data\.view_columns has 2 views; set views: \{concat: \{n_views: 2\}\}"),
        ({"view_columns": ["f2", "f10"]}, {"views": "lstm"},
         r"data\.view_columns are taken in alphabetical order, in which 'f10' comes before 'f2'; name them with as many digits"),
        (VIEWS, {"max_images": 1}, r"max_images = 1: each case has the images of data\.view_columns; name fewer there, or"),
        ({"case_column": "case", "view_column": "frame", "image_column": "image"}, {"max_images": 2},
         r"max_images = 2: chosen images keep no name of a view; set data\.frame_column instead of data\.view_column"),
        ({"frame_column": "frame"}, {},
         r"frame_column numbers the images of a case, which are in order: set case_column too, or remove it"),
        ({**FRAMES, "view_column": "image"}, {},
         r"frame_column numbers the images of a case, and view_column names them: keep one of the two, or remove it"),
    ],
)  # fmt: skip
def test_settings_of_views_that_do_not_fit_are_refused(
    data: dict[str, Any], model: dict[str, Any], said: str, in_tmp: Path
) -> None:
    with pytest.raises(ConfigError, match=said):
        config(data, model)


@pytest.mark.parametrize("views", [name for name in AGGREGATIONS if name != "mean"])
def test_networks_are_tried_before_any_job(views: str, in_tmp: Path) -> None:
    (wanted,) = slices.network_checks(config(FRAMES, {"views": views, "params": {"widths": [4, 8]}}))
    assert preflight.check(wanted) is False
    (wrong,) = slices.network_checks(config(FRAMES, {"views": {"lstm": {"hidden": 0}}}))
    with pytest.raises(ConfigError, match="views: hidden = 0 must be a whole number of at least 1"):
        preflight.check(wrong)
    (headless,) = slices.network_checks(config(FRAMES, {"views": views, "network": "test_frames_of_cases:headless"}))
    with pytest.raises(
        ConfigError, match=r"views: the head of network 'of this model' cannot be removed\. Use timm or"
    ):
        preflight.check(headless)


def headless(n_classes: int, in_channels: int, image_size: tuple[int, int]) -> nn.Module:
    """Network whose head is not known."""
    return nn.Sequential(nn.Flatten(), nn.Linear(in_channels * image_size[0] * image_size[1], n_classes))


def test_a_round_cannot_start_from_weights_of_another_aggregation(in_tmp: Path) -> None:
    config(FRAMES, {})
    values = json.loads(Path("c.yaml").read_text())
    one = values["models"][0]
    values["models"] = [{**one, "name": "a", "views": "lstm"}, {**one, "name": "b"}]
    values["rounds"] = [{}, {"models": ["b"], "start": "a"}]
    Path("c.yaml").write_text(json.dumps(values))
    with pytest.raises(
        ConfigError, match=r"b cannot use its weights: views is 'lstm' there and 'mean' here; name a model"
    ):
        load("c.yaml")


def test_a_config_without_the_new_keys_has_the_same_recipes(in_tmp: Path) -> None:
    plain, mean = config(FRAMES, {}), config(FRAMES, {"views": "mean", "train": {"drop_view": 0.0}})
    other = config(FRAMES, {"views": "lstm", "max_images": 8, "train": {"drop_view": 0.1}})
    for of in (slices.learning, slices.network):
        assert of(plain, "net") == of(mean, "net")
        assert of(other, "net").items() >= {"views": "lstm", "max_images": 8}.items()
        assert not {"views", "max_images", "drop_view"} & {*of(plain, "net"), *of(plain, "net").get("train", {})}
    assert slices.learning(other, "net")["train"]["drop_view"] == 0.1
    assert "goldfold.models.aggregation:lstm" in chosen_of(other)
    assert chosen_of(plain) == chosen_of(mean) == [one for one in chosen_of(other) if "aggregation" not in one]
    assert "frame_column" not in slices.manifest(config({"case_column": "case", "image_column": "image"}, {}))["source"]


def chosen_of(config: Config) -> list[str]:
    """Components of the training."""
    return places(config, "train", "net")
