"""Windows of large images: cached at their own size, trained on in parts, predicted in windows."""

import contextlib
import shutil
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from conftest import MASKS, NETS, SCENE_PX, SHAPES, Tiny, write_scenes
from goldfold import tasks
from goldfold.base.errors import ConfigError
from goldfold.bundles.export import export
from goldfold.bundles.loading import load as load_bundle
from goldfold.cache import tiles
from goldfold.cache.building import Contents, Frame, build_piece
from goldfold.cache.stores import WRITERS
from goldfold.cache.tiled import TiledImages
from goldfold.cases import Inputs
from goldfold.config import parse, slices
from goldfold.config.checks import check
from goldfold.images.decode import decode, resize
from goldfold.images.depth import to_8_bits
from goldfold.images.geometry import place
from goldfold.inference import windows as inference
from goldfold.inference.predictor import Predictor
from goldfold.inference.windows import Grid, Windows, blended, starts
from goldfold.planning.plan import plan_of
from goldfold.predictions import maps
from goldfold.predictions.arrays import in_order, load
from goldfold.samples.samplers import TrainingCases, shuffled
from goldfold.samples.window_targets import WindowMasks
from goldfold.samples.windows import Crops, Repeated, per_image
from goldfold.stages import cache as stage
from goldfold.targets.mask_coding import IGNORE
from goldfold.targets.masks import decode_mask, resize_mask, write_mask
from goldfold.training import windows as training
from goldfold.training.spec import read
from jobs import bytes_of
from test_resume import run_until
from test_workflow import jobs_of, snakemake

WINDOW = (32, 32)
SIZES = ((40, 300), (128, 128), (20, 25), (257, 129))
NATIVE = Frame.of("native")


# --- prediction


sides = st.integers(1, 90)


@settings(max_examples=60, deadline=None)
@given(sides, sides, st.integers(1, 40), st.integers(1, 40), st.sampled_from([0.0, 0.25, 0.5, 0.9]), st.integers(0, 9))
def test_every_pixel_is_covered_and_the_identity_gives_the_image_back(
    height: int, width: int, high: int, wide: int, overlap: float, seed: int
) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (2, height, width), np.uint8)

    grid = Grid.of((height, width), (high, wide), overlap)

    def identity() -> Iterator[np.ndarray]:
        for corner in grid:
            box = grid.box(corner)
            part = tiles.padded(
                lambda box: image.transpose(1, 2, 0)[box[0] : box[2], box[1] : box[3]], (height, width), box
            )
            yield part.transpose(2, 0, 1)

    assert np.array_equal(blended(grid, identity()), image)
    assert list(grid) == [grid[number] for number in range(len(grid))]
    seen = np.zeros((height, width), bool)
    for top, left in grid:
        assert height <= high or 0 <= top <= height - high
        seen[max(top, 0) : top + high, max(left, 0) : left + wide] = True
    assert seen.all()


def test_the_last_window_ends_with_the_image_and_a_stride_is_no_longer_than_a_window() -> None:
    for side, overlap in ((65, 0.0), (100, 0.5), (33, 0.99), (97, 0.3)):
        found = starts(side, 32, overlap)
        assert (found[0], found[-1]) == (0, side - 32)
        assert all(0 < after - before <= 32 for before, after in pairwise(found))


def test_windows_are_averaged_by_their_gaussian_weights() -> None:
    """By definition, all in memory."""
    size, window, overlap = (50, 70), (20, 30), 0.4
    generator, grid = np.random.default_rng(0), Grid.of(size, window, overlap)
    maps = generator.integers(0, 256, (len(grid), 1, *window), np.uint8)
    total, weight = np.zeros(size), np.zeros(size)
    y, x = ((np.arange(side) - (side - 1) / 2) / (side / 8) for side in window)
    gauss = np.exp(-0.5 * (y[:, None] ** 2 + x[None] ** 2))
    for (top, left), one in zip(grid, maps, strict=True):
        total[top : top + 20, left : left + 30] += gauss * one[0]
        weight[top : top + 20, left : left + 30] += gauss
    found = blended(grid, iter(maps))
    assert np.abs(found[0] - total / weight).max() <= 0.5 + 1e-3


def peak_of(height: int) -> int:
    """Bytes at the highest point, without those of the map of the whole image."""
    grid = Grid.of((height, 64), (64, 64), 0.5)
    tracemalloc.start()
    blended(grid, (np.zeros((1, 64, 64), np.uint8) for _ in grid))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak - height * 64


def test_more_windows_take_no_more_memory() -> None:
    few, many = peak_of(64 * 8), peak_of(64 * 80)
    assert many - few < 144 * 500, "of 144 windows more, of 16 kB each as float, only the places are kept"


class Channels(nn.Module):
    """A network whose probability of the one class is the first channel of the image."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[tuple[int, ...]] = []

    def forward(self, inputs: Inputs) -> Tensor:
        self.sizes.append(tuple(inputs.images.shape))
        return torch.logit(inputs.single[:, :1].float() / 255)


def test_the_predictor_gives_images_of_any_size_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "MOST_PIXELS", 4 * 32 * 32)
    table, images = written(tmp_path)
    network, infer = Channels(), tasks.infer({"name": "segmentation"}, ["a"])
    seen: list[int] = []
    predictor = Predictor(network, infer, "native", torch.device("cpu"), windows=Windows(0.5))
    entries = in_order(predictor.entries(table, TiledImages([images], WINDOW), 64, seen.append))
    for row, path in enumerate(table["path"]):
        assert np.array_equal(entries[f"maps/{row}"][0], decode(path, 3)[..., 0])
    assert sum(seen) == len(table)
    assert {size[2:] for size in network.sizes} == {(3, *WINDOW)}
    assert max(size[0] for size in network.sizes) == 4, "windows at a time, whatever the batch size of whole images"


# --- cache


def written(root: Path, store: str = "arrays", frame: Frame = NATIVE) -> tuple[pd.DataFrame, str]:
    """A table of images of `SIZES` with masks, and the folder of their cache."""
    import cv2

    generator, rows = np.random.default_rng(0), []
    for number, (height, width) in enumerate(SIZES):
        cv2.imwrite(f"{root}/i{number}.png", generator.integers(0, 255, (height, width, 3), np.uint8))
        mask = np.zeros((height, width), np.uint8)
        mask[height // 2 : height // 2 + 4, :4] = 1 if number % 2 else 2
        write_mask(f"{root}/m{number}.png", mask)
        path, of_mask = f"{root}/i{number}.png", f"{root}/m{number}.png"
        size = {"height": str(height), "width": str(width)}
        rows.append(
            {"id": f"{number}", "path": path, "sha256": f"{number}", "mask": of_mask, "mask_depth": "8", **size}
        )
    table = pd.DataFrame(rows)
    build_piece(Contents(table, 3, store=store), frame, root / "cache", root / "work")
    return table, str(root / "cache")


@pytest.mark.parametrize("store", WRITERS)
@pytest.mark.parametrize("spec", ["native", "native-0.5"])
def test_parts_of_cached_images_are_those_of_the_files(store: str, spec: str, tmp_path: Path) -> None:
    table, folder = written(tmp_path, store, Frame.of(spec))
    images, generator = TiledImages([folder], WINDOW), np.random.default_rng(1)
    for row in table.itertuples():
        whole = resize(decode(row.path, 3), (0, 0), spec)
        mask = resize_mask(decode_mask(row.mask), (0, 0), spec)
        height, width = images.size(row.id)
        assert (height, width) == whole.shape[:2] == place(decode(row.path, 3).shape[:2], (0, 0), spec).inner
        assert np.array_equal(images.mask(row.id), mask)
        for _ in range(20):
            top, left = generator.integers(-10, height), generator.integers(-10, width)
            box = (int(top), int(left), int(top) + 60, int(left) + 90)
            padded = np.pad(whole, ((99, 99), (99, 99), (0, 0)))[top + 99 : top + 159, left + 99 : left + 189]
            assert np.array_equal(images.part(row.id, box), padded)


@pytest.mark.parametrize("store", WRITERS)
def test_a_killed_build_of_tiles_goes_on(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from goldfold.cache import building

    table, folder = written(tmp_path, store)
    whole = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    shutil.rmtree(folder)
    contents, decoded = Contents(table, 3, store=store), list[str]()

    def kill(path: str, channels: int) -> Any:
        decoded.append(path)
        if len(decoded) == 3:
            raise KeyboardInterrupt
        return decode(path, channels)

    monkeypatch.setattr(building, "decode", kill)
    with contextlib.suppress(KeyboardInterrupt):
        build_piece(contents, NATIVE, Path(folder), tmp_path / "work", [Frame.of("16x16-squash")], save_seconds=0)
    facts = build_piece(contents, NATIVE, Path(folder), tmp_path / "work")
    assert facts == {"decoded": 2, "taken_over": 2}
    assert {path.name: path.read_bytes() for path in Path(folder).iterdir()} == whole


def test_16_bits_are_converted_by_the_whole_image(tmp_path: Path) -> None:
    import cv2

    ramp = np.linspace(1000, 5000, 300 * 40).astype(np.uint16).reshape(40, 300)
    cv2.imwrite(str(tmp_path / "deep.png"), ramp)
    table = pd.DataFrame([{"id": "deep", "path": str(tmp_path / "deep.png"), "sha256": "1"}])
    build_piece(Contents(table, 1), NATIVE, tmp_path / "cache", tmp_path / "work")
    images = TiledImages([tmp_path / "cache"], WINDOW, "min_max")
    whole = images.part("deep", (0, 0, 40, 300))
    assert np.array_equal(whole, to_8_bits(decode(tmp_path / "deep.png", 1), "min_max"))
    assert np.array_equal(images.part("deep", (3, 150, 13, 170)), whole[3:13, 150:170])


# --- training samples


def crops_of(root: Path, positive: float = 0.5) -> Crops:
    table, folder = written(root)
    images = TiledImages([folder], WINDOW)
    return Crops(images, masks_of(table, images), positive)


def masks_of(table: pd.DataFrame, images: TiledImages) -> WindowMasks:
    return WindowMasks(tasks.target({"name": "segmentation"}, SHAPES).targets(table, images, "native"), images)


@pytest.mark.parametrize("positive", [0.0, 0.5, 1.0])
def test_windows_see_classes_as_often_as_asked(positive: float, tmp_path: Path) -> None:
    crops, n = crops_of(tmp_path, positive), 200
    seen = [bool(((mask := crops(3, seed)[1]["mask"]) > 0).any() and (mask != IGNORE).all()) for seed in range(n)]
    anywhere = np.mean([bool((crops_of_none(crops)(3, seed)[1]["mask"] > 0).any()) for seed in range(n)])
    assert np.mean(seen) == pytest.approx(positive + (1 - positive) * anywhere, abs=0.1)
    assert anywhere < 0.35, "else the test says nothing"


def crops_of_none(crops: Crops) -> Crops:
    return Crops(crops.images, crops.targets, 0.0)


def test_windows_are_those_of_image_and_mask_and_stay_within_the_image(tmp_path: Path) -> None:
    crops = crops_of(tmp_path)
    for row, (height, width) in enumerate(SIZES):
        for seed in range(40):
            box = crops.box(row, seed)
            for start, side, window in zip(box[:2], (height, width), WINDOW, strict=True):
                assert min(0, side - window) <= start <= max(0, side - window)
            image, fields = crops(row, seed)
            assert np.array_equal(image.image, crops.images.part(str(row), box))
            assert np.array_equal(fields["mask"], crops.targets.part(row, box)["mask"])
            assert ((fields["mask"] == IGNORE).any()) == (height < WINDOW[0] or width < WINDOW[1])


def test_pixels_of_rare_classes_are_found_evenly(tmp_path: Path) -> None:
    (tmp_path / "big").mkdir()
    mask = np.zeros((3000, 40), np.uint8)
    mask[:, :30], mask[2999, 39] = 1, 2
    write_mask(tmp_path / "big/m.png", mask)
    write_mask(tmp_path / "big/i.png", mask)
    table = pd.DataFrame([{
        "id": "x", "path": f"{tmp_path}/big/i.png", "sha256": "", "mask": f"{tmp_path}/big/m.png", "mask_depth": "8",
        "height": "3000", "width": "40",
    }])  # fmt: skip
    build_piece(Contents(table, 1), NATIVE, tmp_path / "big/cache", tmp_path / "big/work")
    images = TiledImages([tmp_path / "big/cache"], WINDOW)
    crops = Crops(images, masks_of(table, images), 1.0)
    common, rare = crops.targets.places(0)
    assert rare.tolist() == [[2999, 39, 3000, 40]]
    assert len(common) == 256
    assert (mask[tuple(common[:, :2].T)] == 1).all()
    assert abs(common[:, 0].mean() - 1500) < 200
    drawn = [crops(0, seed)[1]["mask"] for seed in range(100)]
    assert 0.35 < np.mean([(one == 2).any() for one in drawn]) < 0.75, "classes equally often"


def test_epochs_have_several_windows_of_each_image() -> None:
    assert per_image([(6000, 6000), (32, 33), (5, 5)], (512, 512), "auto").tolist() == [138, 1, 1]
    assert per_image([(99999, 99999)], (64, 64), "auto").tolist() == [256]
    assert per_image([(9, 9), (99, 99)], (8, 8), 3).tolist() == [3, 3]
    sampler = Repeated(shuffled, np.array([1, 3, 2]))
    rows = sampler(TrainingCases(3, lambda by: np.zeros(3)), 2, np.random.default_rng(0))
    assert sorted(rows.tolist()) == [0, 1, 1, 1, 2, 2]


def test_images_smaller_than_the_window_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, folder = written(tmp_path)
    images, how = TiledImages([folder], WINDOW), {"windows": {"positive_crop": 0.5, "per_image": 1}}
    spec: Any = SimpleNamespace(model=how)
    assert training.repeated(spec, shuffled, images, ["1", "3"]) is not shuffled
    assert capsys.readouterr().out == ""
    training.repeated(spec, shuffled, images, ["0", "1", "2"])
    assert (
        "windows: 1 of 3 training images are smaller than the window, 32x32, and are padded." in capsys.readouterr().out
    )


# --- training and prediction by the stages


WINDOWED = {"windows": {"per_image": 2, "overlap": 0.5}, "image_size_px": list(WINDOW)}
ALL_KINDS = {"epochs": 3, "augment": "medium", "flips": "both", "mix": ["copy_paste"], "ema_decay": 0.9}
FILES = ("model.safetensors", "best.safetensors", "history.csv")


@pytest.fixture(scope="module")
def native(tiny_masks: Tiny) -> dict[str, str]:
    """Cache of the scenes at their own size, by split."""
    folders = {split: str(tiny_masks.root / f"native/{split}-0") for split in ("train", "test")}
    for split, folder in folders.items():
        with contextlib.chdir(tiny_masks.root):
            stage.run(str(tiny_masks.folds / f"shards/{split}-0.csv"), folder, [128, 128], 3, "native")
    return folders


def settings_of(tiny: Tiny, native: dict[str, str], **train: Any) -> dict[str, Any]:
    return {"model": tiny.model({**ALL_KINDS, **train}, **WINDOWED), "resize": "native", "caches": [native["train"]]}


def test_a_training_that_is_stopped_anywhere_ends_with_the_same_bytes(
    tiny_masks: Tiny, native: dict[str, str], tmp_path: Path
) -> None:
    how = settings_of(tiny_masks, native)
    assert tiny_masks.train(tmp_path / "whole", **how)["n_train"] == 6
    history = pd.read_csv(tmp_path / "whole/history.csv")
    assert np.isfinite(history[["dice", "val_loss"]]).all(axis=None)
    for step in (2, 5):
        run_until(step, tiny_masks, tmp_path / f"{step}", **how)
        facts = tiny_masks.train(tmp_path / f"{step}", **how)
        assert facts["resumed_at_step"] == [step - 1]
        assert bytes_of(tmp_path / f"{step}") == bytes_of(tmp_path / "whole")


def test_masks_of_validation_images_change_no_weights(tiny_masks: Tiny, native: dict[str, str], tmp_path: Path) -> None:
    how = settings_of(tiny_masks, native)
    tiny_masks.train(tmp_path / "true", **how)
    other = Path(shutil.copytree(native["train"], tmp_path / "cache"))
    images, table = TiledImages([other], WINDOW), pd.read_csv(tiny_masks.fold_file())
    masks = np.load(other / "masks.npy")
    held_out = list(table["id"][table["split"] == "val"])
    for id in held_out:
        masks[images.places[id].first] = 2 - masks[images.places[id].first]
    np.save(other / "masks.npy", masks)
    tiny_masks.train(tmp_path / "other", **{**how, "caches": [str(other)]})
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("true", "other")]
    assert weights[0] == weights[1]
    scores = [(tmp_path / name / "history.csv").read_bytes() for name in ("true", "other")]
    assert scores[0] != scores[1], "the masks were read"


def test_predictions_have_the_size_of_the_images_and_do_not_depend_on_how_many_are_predicted_at_a_time(
    tiny_masks: Tiny, native: dict[str, str], tmp_path: Path
) -> None:
    how = settings_of(tiny_masks, native, epochs=1, warmup_epochs=0)
    tiny_masks.train(tmp_path / "train", **how)
    model = {**how["model"], "windows": {"overlap": 0.5}}
    settings = {"model": model, "resize": "native", "caches": [*native.values()]}
    for name, size in (("many", 256), ("few", 2)):
        weights = tmp_path / "train/model.safetensors"
        tiny_masks.predict(tmp_path / name, weights, "test", **settings, batch_size=size)
    many, few = (load(tmp_path / f"{name}/test.npz") for name in ("many", "few"))
    assert list(many["ids"]) == [f"te{number:02d}" for number in range(4)]
    for row in range(4):
        assert many[f"maps/{row}"].shape == (2, *SCENE_PX)
        assert np.abs(many[f"maps/{row}"].astype(int) - few[f"maps/{row}"]).max() <= 1
        assert many[f"maps/{row}"].std() > 0


def test_pseudo_labels_are_trained_on_in_windows(tiny_masks: Tiny, native: dict[str, str]) -> None:
    how = settings_of(tiny_masks, native)
    images = TiledImages([native["test"]], WINDOW)
    target = tasks.target(tiny_masks.task, tiny_masks.classes)
    mask = np.zeros(SCENE_PX, np.uint8)
    mask[10:30, 20:50], mask[40:, :] = 1, IGNORE
    text = target.coding.to_text(mask)
    size = {"height": str(SCENE_PX[0]), "width": str(SCENE_PX[1])}
    rows = pd.DataFrame([{"id": "te01", "rle": text, "weight": 0.5, "split": "", **size}])
    masks = target.targets(rows, images, "native")
    for seed in range(10):
        crops = Crops(images, WindowMasks(masks, images), 1.0)
        top, left, bottom, right = crops.box(0, seed)
        assert np.array_equal(crops(0, seed)[1]["mask"], mask[top:bottom, left:right])
        assert (crops(0, seed)[1]["mask"] == 1).any()
    spec = read(how["model"], "native", 3, {"round": 0, "fold": 0, "seed": 0})
    assert spec.model["windows"] == {"positive_crop": 0.5, "per_image": 2}


# --- config


def config_of_model(name: str) -> dict[str, Any]:
    return {"name": name, **NETS["segmentation"], "windows": True}


def config_of(windows: Any = True, task: str = "segmentation", more: Any = None, **model: Any) -> Any:
    data = {"segmentation": MASKS, "classification": {"source": "folder", "train": "raw"}}[task]
    net = {"name": "m", **NETS[task], "windows": windows, **model}
    return parse({"name": "t", "task": task, "data": data, "models": [net], **(more or {})})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"windows": {"overlap": 0.96}}, "windows.overlap = 0.96: windows would hardly move; write 0"),
        ({"windows": {"overlap": -0.5}}, "the stride would be larger than the window, and leave gaps"),
        ({"windows": {"positive_crop": 1.5}}, "windows.positive_crop = 1.5: must be at most 1"),
        ({"windows": {"per_image": 0}}, "windows.per_image = 0"),
        ({"windows": {"scale": 0}}, "windows.scale = 0: must be at least 0.01"),
        ({"task": "classification"}, "windows: task 'classification' needs whole images; remove it (predicted in parts: segmen"),
        ({"resize": "pad"}, "windows: images keep their shape, so resize: pad has no effect; remove it"),
        ({"interpolation": "bicubic"}, "windows: scale averages areas, so interpolation: bicubic has no effect; remove it"),
        ({"cache_image_size_px": 64}, "images are cached at their own size, so cache_image_size_px has no effect; remove it"),
        ({"more": {"batch_norm": "adapted"}}, "windows: batch_norm: adapted takes its statistics of whole images"),
        ({"train": {"epochs": 4, "sizes": [[0, [16, 32]], [2, [32, 64]]]}}, "train.sizes: does not work with windows (a window"),
    ],
)  # fmt: skip
def test_windows_that_cannot_work_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        check(config_of(**settings))
    assert said in str(error.value)


def test_settings_of_windows_stand_where_they_have_an_effect() -> None:
    """Training does not depend on the overlap, prediction not on the crops, and other models know nothing of windows."""
    config = config_of({"scale": 0.5})
    assert slices.learning(config, "m")["windows"] == {"positive_crop": 0.5, "per_image": "auto"}
    assert slices.network(config, "m")["windows"] == {"overlap": 0.5}
    assert slices.resize(config, "m") == "native-0.5"
    assert plan_of(config).specs == {"m": "native-0.5"}
    assert plan_of(config_of(more={"cache": {"image_size_px": 128}})).specs == {"m": "native"}
    two = config_of(more={"models": [config_of_model("a"), config_of_model("b"), {"name": "s", "soup": ["a", "b"]}]})
    assert plan_of(two).specs == dict.fromkeys("abs", "native")
    assert slices.network(two, "s")["windows"] == {"overlap": 0.5}
    for plain in (config_of(False), config_of(None)):
        assert "windows" not in {**slices.learning(plain, "m"), **slices.network(plain, "m")}
        assert plan_of(plain).specs == {"m": "32x64-squash"}


def test_a_run_and_its_bundle_agree_and_another_overlap_trains_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_scenes(tmp_path, 8, 2)
    net = {"name": "net", **NETS["segmentation"], **WINDOWED}
    config: dict[str, Any] = {
        "name": "t", "task": "segmentation", "data": {**MASKS, "shards": 1}, "models": [net], "folds": {"n_folds": 2},
        "train": {"epochs": 1, "batch_size": 4, "warmup_epochs": 0, "flips": "none"}, "report": {"gallery": 2},
    }  # fmt: skip
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(config))
    done = snakemake(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    monkeypatch.chdir(tmp_path)
    assert {path.name for path in Path("results/t/cache").iterdir()} >= {"native"}
    export("results/t", "bundle")
    load_bundle("bundle").predict(["raw/test"]).save("out/p.csv")
    for path in sorted(Path("results/t/masks").glob("*.png")):
        assert np.array_equal(decode_mask(path), decode_mask(f"out/masks/{path.name}"))
    config["models"][0]["windows"] = {**WINDOWED["windows"], "overlap": 0.25}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(config))
    jobs = jobs_of(snakemake(tmp_path, "-n"))
    assert {"predict", "ensemble"} <= {*jobs}
    assert not {"cache", "train"} & {*jobs}


@pytest.mark.parametrize("n_classes", [1, 2])
def test_large_maps_are_fused_and_decided_in_strips_as_in_one(n_classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    names, generator = ["a", "b"][:n_classes], np.random.default_rng(0)
    shares = generator.dirichlet(np.ones(n_classes + 1), (3, 37, 50)).transpose(0, 3, 1, 2)[:, 1:]
    members: list[Any] = [
        {
            "ids": np.array(["x"]), "classes": np.array(names), "sizes": np.array([[37, 50]], np.int32),
            "maps/0": np.round(one * 255).astype(np.uint8),
        }
        for one in shares
    ]  # fmt: skip
    output = tasks.output({"name": "segmentation"}, names)
    found = []
    for pixels in (2**20, 120):
        monkeypatch.setattr(maps, "STRIP_PIXELS", pixels)
        fused = output.fuse(members, [1.0, 2.0, 1.0], method="geometric")
        found.append((fused["maps/0"], next(output.masks(fused, ["x"]))))
    assert len(maps.strips((37, 50))) == 19
    for whole, in_strips in zip(*found, strict=True):
        assert np.array_equal(whole, in_strips)
        assert len(np.unique(whole)) > 1
