"""Bundles: what a run predicted is what its bundle predicts; what was changed is refused."""

import doctest
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file

import goldfold
from conftest import REPO, Tiny, picture, save_picture
from goldfold import cli, tasks
from goldfold.base.errors import DataError, GoldfoldError
from goldfold.base.files import sealed
from goldfold.bundles import form
from goldfold.bundles.export import export
from goldfold.bundles.finished import finished
from goldfold.bundles.loading import Bundle
from goldfold.cache.building import Frame
from goldfold.cache.decoded import DecodedImages, Reading
from goldfold.cache.images import CachedImages, build
from goldfold.catalog import TASKS
from goldfold.crop.find import with_rois
from goldfold.crop.fresh import finder
from goldfold.images.given import given
from goldfold.predictions.arrays import load as load_arrays
from tiny_results import fuse, record, write_results

TWO = {"net": 2.0, "second": 1.0, "mute": 0.0}


@pytest.fixture(scope="session")
def results_of(tiny_of: dict[str, Tiny], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Task -> folder of its finished results, made when it is first asked for; classification has three models."""
    made: dict[str, Path] = {}

    def get(task: str) -> Path:
        if task not in made:
            root = tmp_path_factory.mktemp(f"results_{task}") / task
            made[task] = write_results(tiny_of[task], root, TWO if task == "classification" else None)
        return made[task]

    return get


@pytest.fixture(scope="session")
def bundle_of(results_of: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Task -> folder of its bundle."""
    made: dict[str, Path] = {}

    def get(task: str) -> Path:
        if task not in made:
            made[task] = tmp_path_factory.mktemp(f"bundle_{task}") / "bundle"
            export(results_of(task), made[task])
        return made[task]

    return get


@pytest.fixture
def bundle(bundle_of: Callable[[str], Path], tmp_path: Path) -> Path:
    """A bundle of labels that may be changed."""
    return Path(shutil.copytree(bundle_of("classification"), tmp_path / "bundle"))


def test_paths(tiny: Tiny) -> list[str]:
    return list(pd.read_csv(tiny.folds / "test.csv", dtype=str)["path"])


test_paths.__test__ = False  # type: ignore[attr-defined]


# --- what the run predicted


@pytest.mark.parametrize("task", TASKS)
def test_a_bundle_predicts_what_the_run_predicted(
    task: str,
    tiny_of: dict[str, Tiny],
    results_of: Callable[[str], Path],
    bundle_of: Callable[[str], Path],
    in_tmp: Path,
) -> None:
    found = goldfold.load(bundle_of(task)).predict(test_paths(tiny_of[task]))
    wanted = load_arrays(results_of(task) / "ensemble/test.npz")
    assert set(wanted) == set(found.arrays)
    assert len(wanted["ids"]) >= 4
    assert found.bad == []
    for name, array in wanted.items():
        if array.dtype.kind == "U":
            assert found.arrays[name].tolist() == array.tolist()
        else:
            np.testing.assert_allclose(found.arrays[name], array, atol=1e-5)
    as_run = pd.read_csv(results_of(task) / "ensemble/test.csv", dtype={"id": str})
    assert list(found.table) == list(as_run)
    assert len(found.table) == len(as_run)
    assert not any(in_tmp.iterdir()), "prediction leaves nothing in the folder where it is started"


@pytest.mark.parametrize(
    ("task", "fusion"), [("classification", "fitted_average"), ("classification", None), ("multilabel", None)]
)
def test_a_bundle_applies_the_steps_as_they_were_fitted_in_the_run(
    task: str, fusion: str | None, tiny_of: dict[str, Tiny], results_of: Callable[[str], Path], in_tmp: Path
) -> None:
    results = Path(shutil.copytree(results_of(task), in_tmp / task))
    weights = TWO if task == "classification" else {"net": 1.0}
    steps: list[Any] = [{"thresholds": {"metric": "f1_macro"}}]
    steps += [{"prediction_sets": {"coverage": 0.6}}] if task == "classification" else []
    fuse(tiny_of[task], results, weights, fusion=fusion, postprocessing=steps)
    fitted = json.loads((results / "ensemble/fitted.json").read_text())["steps"]
    thresholds = list(fitted[1]["fitted"]["thresholds"].values())
    manifest = export(results, in_tmp / "bundle")
    assert [one.model_dump() for one in manifest.postprocessing] == fitted[1:]
    opened = goldfold.open_results(results)
    assert opened.optimistic is not None
    assert manifest.optimistic == opened.optimistic.value
    assert manifest.score.value == opened.score.value
    bundle = goldfold.load(in_tmp / "bundle")
    found, wanted = bundle.predict(test_paths(tiny_of[task])), load_arrays(results / "ensemble/test.npz")
    assert np.array_equal(found.arrays["thresholds"], wanted["thresholds"])
    assert np.array_equal(wanted["thresholds"], np.tile(thresholds, (len(wanted["ids"]), 1)))
    np.testing.assert_allclose(found.arrays["probabilities"], wanted["probabilities"], atol=1e-5)
    as_run = pd.read_csv(results / "ensemble/test.csv", dtype=str, keep_default_na=False)
    assert found.table["prediction"].tolist() == as_run["prediction"].tolist()
    assert ("set" in as_run) == (task == "classification")
    if "set" in as_run:
        assert found.table["set"].tolist() == as_run["set"].tolist()
    card = (in_tmp / "bundle" / form.CARD).read_text()
    assert "which is optimistic" in card
    assert f"Then: thresholds(metric=f1_macro), fitted to `{json.dumps(fitted[1]['fitted'])}`" in card
    if len(bundle.members) > 1:  # the ensemble's thresholds are not those of a member
        assert "thresholds" not in bundle.predict(test_paths(tiny_of[task])[:1], member="net-seed0").arrays


def test_a_bundle_cleans_masks_as_the_run_does(
    tiny_masks: Tiny, results_of: Callable[[str], Path], in_tmp: Path
) -> None:
    results = Path(shutil.copytree(results_of("segmentation"), in_tmp / "segmentation"))
    steps = ["thresholds", {"components": {"smallest": [5, 20], "holes": 30}}]
    fuse(tiny_masks, results, {"net": 1.0}, postprocessing=steps)
    fitted = json.loads((results / "ensemble/fitted.json").read_text())["steps"]
    manifest = export(results, in_tmp / "bundle")
    assert [one.model_dump() for one in manifest.postprocessing] == fitted[1:]
    found = goldfold.load(in_tmp / "bundle").predict(test_paths(tiny_masks))
    wanted = load_arrays(results / "ensemble/test.npz")
    assert np.array_equal(found.arrays["components"], wanted["components"])
    assert set(wanted["components"][..., 0].ravel().tolist()) <= {5, 20}
    output, submit = (facet(tiny_masks.task, tiny_masks.classes) for facet in (tasks.output, tasks.submit))
    ids, plain = wanted["ids"].tolist(), load_arrays(results_of("segmentation") / "ensemble/test.npz")
    masks, uncleaned = ([*output.masks(one, ids)] for one in (wanted, plain))
    assert all(np.array_equal(own, mask) for (_, own), mask in zip(found.masks(), masks, strict=True))
    assert any(not np.array_equal(own, mask) for own, mask in zip(masks, uncleaned, strict=True))
    assert found.table.astype(str).equals(pd.read_csv(results / "ensemble/test.csv", dtype=str))
    columns = submit.form(None, "", {"id_column": "id"}, "dice")
    assert submit.submission(wanted, columns).equals(submit.submission(found.arrays, columns))
    assert "components(smallest=[5, 20], holes=30), fitted to `{" in (in_tmp / "bundle" / form.CARD).read_text()
    fuse(
        tiny_masks,
        results,
        {"net": 1.0},
        postprocessing=[{"components": {"smallest": 20, "holes": 9, "largest": True}}],
    )
    export(results, in_tmp / "given")
    assert "components(smallest=20, holes=9, largest=True)." in (in_tmp / "given" / form.CARD).read_text()
    wanted = load_arrays(results / "ensemble/test.npz")
    again = goldfold.load(in_tmp / "given").predict(test_paths(tiny_masks)).masks()
    assert all(np.array_equal(own, mask) for (_, own), mask in zip(again, output.masks(wanted, ids), strict=True))


def test_a_bundle_separates_instances_as_the_run_does(
    tiny_masks: Tiny, results_of: Callable[[str], Path], in_tmp: Path
) -> None:
    results = Path(shutil.copytree(results_of("segmentation"), in_tmp / "segmentation"))
    fuse(tiny_masks, results, {"net": 1.0}, postprocessing=[{"instances": {"neck": [0.8, 0.9], "smallest": 2}}])
    export(results, in_tmp / "bundle")
    found = goldfold.load(in_tmp / "bundle").predict(test_paths(tiny_masks))
    wanted = load_arrays(results / "ensemble/test.npz")
    ids = wanted["ids"].tolist()
    labels = [*tasks.output(tiny_masks.task, tiny_masks.classes).instances(wanted, ids)]
    assert max(one.max() for one in labels) > 1
    found.save("out/predictions.csv")
    for (id, own), one in zip(found.instances(), labels, strict=True):
        assert np.array_equal(own, one)
        assert np.array_equal(cv2.imread(f"out/instances/{id}.png", cv2.IMREAD_UNCHANGED), one)
    assert "instances(neck=[0.8, 0.9], smallest=2), fitted to `{" in (in_tmp / "bundle" / form.CARD).read_text()


def test_masks_are_written_beside_the_table_at_the_size_of_the_images(
    tiny_masks: Tiny, results_of: Callable[[str], Path], bundle_of: Callable[[str], Path], in_tmp: Path
) -> None:
    found = goldfold.load(bundle_of("segmentation")).predict(test_paths(tiny_masks))
    found.save("out/predictions.csv")
    masks = dict(found.masks())
    assert len(masks) == 4
    for id, mask in masks.items():
        assert np.array_equal(cv2.imread(f"out/masks/{id}.png", cv2.IMREAD_UNCHANGED), mask)
        row = found.table.set_index("id").loc[id]
        assert [int((mask == 1 + number).sum()) for number in range(2)] == row[["pixels_dim", "pixels_lit"]].tolist()
    assert pd.read_csv("out/predictions.csv").equals(pd.read_csv(results_of("segmentation") / "ensemble/test.csv"))


def test_boxes_are_a_list_per_image_in_json(tiny_boxes: Tiny, bundle_of: Callable[[str], Path]) -> None:
    found = goldfold.load(bundle_of("detection")).predict(test_paths(tiny_boxes))
    records = json.loads(json.dumps(found.records()))
    assert [one["id"] for one in records] == ["te00", "te01", "te02", "te03"]
    assert sum(len(one["boxes"]) for one in records) == len(found.table) > 0
    assert set(records[0]["boxes"][0]) == {"prediction", "confidence", "x1", "y1", "x2", "y2"}


@pytest.mark.parametrize("task", TASKS)
def test_overlays_are_drawn_on_every_image(
    task: str, tiny_of: dict[str, Tiny], bundle_of: Callable[[str], Path], in_tmp: Path
) -> None:
    found = goldfold.load(bundle_of(task)).predict(test_paths(tiny_of[task])[:2])
    drawn = found.overlays("drawn")
    assert [path.name for path in drawn] == [f"{id}.png" for id in found.images["id"]]
    picture = cv2.imread(str(drawn[0]))
    plain = cv2.resize(cv2.imread(found.images["path"][0]), picture.shape[1::-1])
    assert picture.shape[1] >= 320
    assert (picture != plain).any()


def test_a_member_of_weight_0_is_left_out_and_one_alone_can_be_asked_for(
    tiny: Tiny, results_of: Callable[[str], Path], bundle_of: Callable[[str], Path]
) -> None:
    bundle = goldfold.load(bundle_of("classification"))
    assert bundle.members == ["net-seed0", "second-seed0"]
    assert [member.weight for member in bundle.manifest.members] == [2.0, 1.0]
    assert bundle.manifest.validation["left_out"] == ["mute"]
    assert len(list((bundle.folder / "weights").iterdir())) == 4
    found = bundle.predict(test_paths(tiny), member="second")
    folds = [results_of("classification") / f"predict/second/round0/fold{fold}/seed0/test.npz" for fold in range(2)]
    softmax = [_softmax(load_arrays(path)["logits"]) for path in folds]
    np.testing.assert_allclose(found.arrays["probabilities"], np.mean(softmax, axis=0), atol=1e-5)
    with pytest.raises(
        GoldfoldError, match=r"unknown member 'secnd-seed0': nearest is 'second-seed0'; allowed: net-seed0, "
    ):
        bundle.predict(test_paths(tiny), member="secnd-seed0")


def test_batch_normalisation_is_adapted_to_the_images_as_in_the_run(
    tiny: Tiny, results_of: Callable[[str], Path], bundle: Path, tmp_path: Path
) -> None:
    """Of 32 images and more: here the training images, which the stage predicts under the same setting."""
    logits = []
    for fold in range(2):
        weights = results_of("classification") / f"train/net/round0/fold{fold}/seed0/model.safetensors"
        tiny.predict(tmp_path / str(fold), weights, "train", batch_norm="adapted", batch_size=256)
        logits.append(load_arrays(tmp_path / str(fold) / "train.npz"))
    _edit(bundle, lambda written: written.update(batch_norm="adapted"))
    paths = list(pd.read_csv(tiny.folds / "train.csv", dtype=str)["path"])
    found = goldfold.load(bundle).predict(paths, member="net-seed0").arrays
    assert logits[0]["ids"].tolist() == found["ids"].tolist()
    wanted = np.mean([_softmax(one["logits"]) for one in logits], axis=0)
    np.testing.assert_allclose(found["probabilities"], wanted, atol=1e-5)


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(float))
    return powers / powers.sum(axis=1, keepdims=True)


# --- images as networks are shown them


@pytest.mark.parametrize("mode", ["squash", "pad", "crop"])
def test_decoded_images_are_those_of_the_cache(mode: str, in_tmp: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (30, 17, 3)).astype(np.uint16)
    images = {"rgb": picture(0, (20, 33)), "grey": picture(1, (9, 40), channels=1)[..., 0], "deep": deep}
    paths = [str(save_picture(in_tmp / f"{name}.png", image)) for name, image in images.items()]
    table = pd.DataFrame({"id": list(images), "path": paths, "sha256": "", "roi": ["3 2 20 19", "", "1 1 15 28"]})
    build(table, in_tmp / "cache", (12, 16), 3, mode)
    rois = [(3, 2, 20, 19), None, (1, 1, 15, 28)]
    frame = Frame((12, 16), mode)
    decoded = DecodedImages(
        table[["id", "path"]], Reading(3), [frame], in_tmp, lambda row, path, width, height: (rois[row], "")
    )
    ids = list(images)
    assert np.array_equal(decoded.at(frame).case_batch(ids)[0], CachedImages([in_tmp / "cache"]).case_batch(ids)[0])
    assert decoded.table["roi"].tolist() == table["roi"].tolist()


def test_the_part_of_a_new_image_is_found_as_in_training(in_tmp: Path) -> None:
    roi = {
        "method": "contour",
        "threshold": "otsu",
        "shows": "bright",
        "margin": 0.1,
        "least_share": 0.02,
        "most_share": 0.95,
    }
    lit = np.zeros((80, 60, 3), np.uint8)
    lit[20:60, 10:40] = 200
    paths = [str(save_picture(in_tmp / "lit.png", lit)), str(save_picture(in_tmp / "flat.png", lit * 0))]
    table = pd.DataFrame({"id": ["lit", "flat"], "path": paths, "width": 60, "height": 80})
    wanted = with_rois({"test": table}, roi, 1, table)["test"]
    find = finder(roi, table)
    found = [find(row, path, 60, 80) for row, path in enumerate(paths)]
    assert found[1] == (None, "nothing stands out")
    assert [" ".join(map(str, part or ())) for part, _ in found] == wanted["roi"].tolist()


def test_the_part_of_a_new_image_is_cut_out_by_boxes_that_are_given(in_tmp: Path) -> None:
    Path("boxes.csv").write_text("id,x1,y1,x2,y2\na,0.25,0.5,0.75,1\n")
    roi = {"method": "boxes", "margin": 0, "pick": "best", "least_score": 0.3, "labels": None, "unit": "shares"}
    find = finder(roi, pd.DataFrame({"id": ["a", "b"], "path": ["x/a.png", "x/b.png"]}), ["boxes.csv"])
    assert find(0, "x/a.png", 40, 20) == ((10, 10, 30, 20), "")
    assert find(1, "x/b.png", 40, 20) == (None, "no box is given")


def test_ids_are_the_shortest_names_that_differ(in_tmp: Path) -> None:
    for name in ("a/1.png", "a/sub/2.png", "b/1.png", "c/1.jpg", "["):
        save_picture(in_tmp / name, picture(0)) if name.endswith(("png", "jpg")) else None
    assert given(["a"])["id"].tolist() == ["1", "sub/2"]
    assert given(["a/1.png", "a/1.png"])["path"].tolist() == ["a/1.png"]
    assert given(["b/1.png", "c/1.jpg"])["id"].tolist() == ["1.png", "1.jpg"]
    assert given(["../" + in_tmp.name + "/a", "b"])["id"].tolist() == [
        f"{in_tmp.name}/a/1", f"{in_tmp.name}/a/sub/2", "b/1",
    ]  # fmt: skip
    assert given(["gone.png"])["id"].tolist() == ["gone"], "what is missing is named when it is read"


# --- bad input of predict


def test_bad_files_are_named_and_passed_over_with_status_1(
    bundle: Path, in_tmp: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_picture(in_tmp / "photos/a.png", picture(1))
    Path("photos/torn.png").write_bytes(Path("photos/a.png").read_bytes()[:-40])
    Path("photos/text.jpg").write_text("no image")
    said = ["predict", str(bundle), "photos", "gone.png"]
    assert cli.main([*said, "--out", "out/p.csv", "--overlays", "drawn"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines()[-4:] == [
        "goldfold: skipped 3 of 4 files:",
        "  photos/text.jpg: cannot be decoded as an image",
        "  photos/torn.png: file is truncated",
        "  gone.png: file is missing",
    ]
    assert pd.read_csv("out/p.csv")["id"].tolist() == ["a"]
    assert [path.name for path in Path("drawn").iterdir()] == ["a.png"]
    assert cli.main([*said, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [one["path"] for one in told["predictions"]] == ["photos/a.png"]
    assert told["passed_over"][2] == {"path": "gone.png", "reason": "file is missing"}
    assert cli.main(["predict", str(bundle), "photos/a.png", "--batch-size", "1", "--device", "cpu"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "id,prediction,confidence,p_cat,p_dog"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["empty"], "no images below empty"),
        (["photos/text.jpg"], "photos/text.jpg: cannot be decoded as an image."),
        (["photos", "--out", "photos"], "--out photos is a folder"),
        (["photos", "--out", "photos/text.jpg/x/p.csv"], "photos/text.jpg is a file"),
        (["photos", "--boxes", "b.csv"], "--boxes: these networks use whole images"),
        (["photos", "--member", "nets"], "unknown member 'nets': nearest is 'net-seed0'"),
    ],
)
def test_what_cannot_be_predicted_is_one_clear_error(
    words: list[str], error: str, bundle: Path, in_tmp: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("empty").mkdir()
    Path("photos").mkdir()
    Path("photos/text.jpg").write_text("no image")
    assert cli.main(["predict", str(bundle), *words]) == 2
    assert error in capsys.readouterr().err.splitlines()[-1]


def test_grey_and_alpha_become_rgb_and_other_channels_are_refused(bundle: Path, in_tmp: Path) -> None:
    import tifffile

    grey = picture(3, channels=1)
    rgb, alpha = grey.repeat(3, axis=2), np.dstack([grey.repeat(3, axis=2), 255 - grey])
    save_picture(in_tmp / "rgb.png", rgb)
    save_picture(in_tmp / "grey.png", grey[..., 0])
    save_picture(in_tmp / "alpha.png", alpha)
    tifffile.imwrite("bands.tif", np.zeros((5, 20, 20), np.uint8), photometric="minisblack", planarconfig="separate")
    found = goldfold.load(bundle).predict(["rgb.png", "grey.png", "alpha.png", "bands.tif"])
    values = found.table.set_index("id")[["p_cat", "p_dog"]]
    assert values.loc["grey"].tolist() == values.loc["rgb"].tolist() == values.loc["alpha"].tolist()
    assert found.bad == [("bands.tif", "has 5 channels, but the networks were trained on 3")]


# --- bad bundles


def _edit(bundle: Path, change: Callable[[dict[str, Any]], Any], seals: bool = True) -> None:
    """Change what a bundle says, with a digest that fits."""
    written = json.loads((bundle / form.NAME).read_text())
    change(written)
    (bundle / form.NAME).write_text(json.dumps(sealed(written) if seals else written))


def _other_weights(path: Path) -> None:
    """Other numbers of the same shapes."""
    save_file({name: np.asarray(values + 1) for name, values in load_file(path).items()}, path)


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "newer": (
        lambda b: _edit(b, lambda w: w.update(schema=7, goldfold="9.0")),
        "has schema version 7, written by goldfold 9",
    ),
    "by hand": (lambda b: _edit(b, lambda w: w.update(classes=["dog", "cat"]), seals=False), "its digest differs"),
    "weights": (
        lambda b: _other_weights(next((b / "weights").iterdir())),
        "its sha256 differs. It was edited or damaged",
    ),
    "missing": (lambda b: shutil.rmtree(b / "weights"), "safetensors is missing. Copy the whole folder"),
    "torn": (lambda b: (b / form.NAME).write_text("{"), "bundle.json cannot be read"),
    "list": (lambda b: (b / form.NAME).write_text("[]"), "has no schema version, so it is not a goldfold bundle"),
    "no bundle": (lambda b: (b / form.NAME).unlink(), "is not a bundle: it has no bundle.json"),
    "gone": (lambda b: shutil.rmtree(b), "is not a bundle: it is not a folder"),
    "unknown key": (lambda b: _edit(b, lambda w: w.update(extra=1)), "extra: Extra inputs are not permitted"),
    "outside": (
        lambda b: _edit(b, lambda w: w["members"][0].update(weights=["../../x.safetensors"])),
        "members.0.weights.0: String should match pattern",
    ),
    "pickle": (
        lambda b: _edit(b, lambda w: w["members"][0]["network"]["params"].update(checkpoint_path="x.pth")),
        "'checkpoint_path' may not be set in a bundle",
    ),
    "unknown view": (
        lambda b: _edit(b, lambda w: w.update(views=["hflop"])),
        "unknown view in .*'hflop': nearest is 'hflip'",
    ),
    "unknown setting": (lambda b: _edit(b, lambda w: w["task"].update(depth=3)), "unexpected keyword argument 'depth'"),
    "code": (lambda b: _edit(b, lambda w: w.update(views=[{"os:system": {"command": "touch hacked"}}])), "--trust os"),
    "code of a step": (
        lambda b: _edit(
            b, lambda w: w.update(fusion={"step": {"fitted_average": {"method": "os:system"}}, "fitted": None})
        ),
        "--trust os",
    ),
}


@pytest.mark.parametrize("flaw", BROKEN)
def test_a_bundle_that_is_not_as_it_was_exported_is_refused(flaw: str, bundle: Path, in_tmp: Path) -> None:
    change, error = BROKEN[flaw]
    change(bundle)
    with pytest.raises(GoldfoldError, match=error.replace("(", r"\(").replace("[", r"\[")):
        goldfold.load(bundle)
    assert not Path("hacked").exists()


def test_a_model_card_may_be_edited(bundle: Path) -> None:
    (bundle / form.CARD).write_text("mine")
    assert isinstance(goldfold.load(bundle), Bundle)


def test_a_network_of_one_s_own_is_imported_only_where_it_is_trusted(
    tiny: Tiny, in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (in_tmp / "own_net.py").write_text(
        "from torch import nn\n\n\n"
        "def build(n_classes, in_channels, image_size):\n"
        "    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(in_channels, n_classes))\n"
    )
    monkeypatch.syspath_prepend(str(in_tmp))
    results = write_results(tiny, in_tmp / "results/own", network="own_net:build", params={})
    manifest = export(results, in_tmp / "bundle")
    assert manifest.own_code == ["own_net:build"]
    assert "importable at prediction: own_net:build" in (in_tmp / "bundle/README.md").read_text()
    with pytest.raises(
        GoldfoldError, match=r"uses code that is neither goldfold's .*: own_net:build.* --trust own_net"
    ):
        goldfold.load("bundle")
    found = goldfold.load("bundle", trust=["own_net"]).predict(test_paths(tiny))
    wanted = load_arrays(results / "ensemble/test.npz")
    np.testing.assert_allclose(found.arrays["probabilities"], wanted["probabilities"], atol=1e-5)


# --- export


def test_a_bundle_holds_weights_json_and_a_card_alone_and_is_the_same_every_time(
    results_of: Callable[[str], Path], bundle_of: Callable[[str], Path], in_tmp: Path
) -> None:
    export(results_of("classification"), "again")
    first = bundle_of("classification")
    files = sorted(str(path.relative_to(first)) for path in first.rglob("*") if path.is_file())
    assert {Path(name).suffix for name in files} == {".json", ".md", ".safetensors"}
    assert len(files) == 6
    assert all((first / name).read_bytes() == Path("again", name).read_bytes() for name in files)
    card = (first / form.CARD).read_text()
    score = goldfold.open_results(results_of("classification")).score
    assert f"**accuracy {score.value:.4g}** (95 % interval {score.low:.4g} to {score.high:.4g})" in card
    assert "each of the 40 training images is predicted by networks that were not trained on it" in card
    assert "2 folds (stratified)" in card
    assert "| cat | 20 |" in card


def _again(results: Path) -> None:
    """One network was trained again since it predicted."""
    name = "train/net/round0/fold0/seed0"
    _other_weights(results / name / "model.safetensors")
    record(results, f"{name}/run.json", "train", {}, [], [f"{name}/model.safetensors"])


UNFINISHED: dict[str, tuple[Callable[[Path], object], str]] = {
    "no ensemble": (lambda r: (r / "ensemble/run.json").unlink(), "is not a finished run: ensemble/run.json is missing"),
    "no folder": (shutil.rmtree, "is not a folder"),
    "a run is missing": (
        lambda r: (r / "train/net/round0/fold1/seed0/run.json").unlink(), "train/net/round0/fold1/seed0/run.json is missing",
    ),
    "weights by hand": (
        lambda r: _other_weights(r / "train/net/round0/fold0/seed0/model.safetensors"), "is not what its job wrote",
    ),
    "trained again": (_again, "predict/net/round0/fold0/seed0/run.json was made from a version of train/net"),
    "scores by hand": (lambda r: (r / "metrics.json").write_text("{}"), "metrics.json is not what its job wrote"),
    "torn record": (lambda r: (r / "folds/run.json").write_text("{"), "folds/run.json cannot be read as a record"),
}  # fmt: skip


@pytest.mark.parametrize("flaw", UNFINISHED)
def test_results_that_are_unfinished_or_not_what_their_records_say_are_refused(
    flaw: str, results_of: Callable[[str], Path], in_tmp: Path
) -> None:
    results = Path(shutil.copytree(results_of("classification"), in_tmp / "classification"))
    change, error = UNFINISHED[flaw]
    change(results)
    with pytest.raises(DataError, match=error):
        export(results, in_tmp / "out")
    assert not (in_tmp / "out").exists()


def test_nothing_but_a_bundle_is_replaced(results_of: Callable[[str], Path], in_tmp: Path) -> None:
    Path("mine").mkdir()
    Path("mine/thesis.txt").write_text("years of work")
    with pytest.raises(GoldfoldError, match="mine exists and is not a bundle"):
        export(results_of("regression"), "mine", force=True)
    export(results_of("regression"), "out")
    with pytest.raises(GoldfoldError, match=r"out already contains a bundle\. Choose another folder, or add --force"):
        export(results_of("regression"), "out")
    export(results_of("regression"), "out", force=True)
    assert not [path for path in Path().iterdir() if path.name.startswith(".")]


def test_results_may_lie_elsewhere_than_where_they_were_made(results_of: Callable[[str], Path], in_tmp: Path) -> None:
    moved = Path(shutil.copytree(results_of("regression"), in_tmp / "elsewhere/renamed"))
    found = finished(moved)
    assert found.name == "regression"
    assert [(run.model, run.seed, run.fold) for run in found.runs()] == [("net", 0, 0), ("net", 0, 1)]


# --- the Python API


def test_open_results_gives_scores_and_tables(results_of: Callable[[str], Path]) -> None:
    results = goldfold.open_results(results_of("classification"))
    metrics = json.loads((results.folder / "metrics.json").read_text())
    assert (results.name, results.task, results.metric) == ("classification", "classification", "accuracy")
    assert results.score.as_dict() == metrics["oof"]["accuracy"]
    assert set(results.metrics) == set(metrics["oof"])
    assert list(results.members) == list(metrics["members"])
    assert results.leaderboard["member"].tolist()
    assert (len(results.oof), len(results.test)) == (40, 12)
    assert results.arrays("test")["probabilities"].shape == (12, 2)
    assert results.test_metrics == {}


def test_the_examples_of_the_page_run(results_of: Callable[[str], Path], bundle: Path, in_tmp: Path) -> None:
    shutil.copytree(results_of("classification"), in_tmp / "results/mine")
    for number in range(2):
        save_picture(in_tmp / f"photos/{number}.png", picture(number))
    Path("photos/notes.png").write_text("no image")
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    done = doctest.testfile(str(REPO / "docs/predict.md"), module_relative=False, optionflags=options)
    assert done.attempted >= 8
    assert done.failed == 0
