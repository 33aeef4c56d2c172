"""Contact sheets: their pixels are those of training, targets are drawn, and the command says what is wrong."""

import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from conftest import Tiny
from goldfold import tasks
from goldfold.cache.images import CachedImages
from goldfold.catalog import PRESETS
from goldfold.cli import main
from goldfold.commands import preflight
from goldfold.drawing import contact
from goldfold.drawing.sheets import Legend, drawn
from goldfold.report import augmentation
from goldfold.samples.dataset import TrainingSet
from goldfold.samples.presets.reading import file_of
from goldfold.tasks.optional import compose_params
from goldfold.training import preview
from goldfold.training.changes import augment_of, mixing_of
from goldfold.training.spec import Spec, read

PLACE = {"round": 0, "fold": 1, "seed": 3}


def spec_of(tiny: Tiny, augment: Any = "light", **more: Any) -> Spec:
    return read(tiny.model({"augment": augment, "flips": "horizontal", **more}), "squash", 3, PLACE)


def table_of(tiny: Tiny) -> pd.DataFrame:
    return pd.read_csv(tiny.root / "manifest/train.csv", dtype=str, keep_default_na=False)


@pytest.mark.parametrize("kind", ["tiny", "tiny_masks", "tiny_boxes"])
def test_pixels_and_targets_are_those_of_training(kind: str, request: pytest.FixtureRequest) -> None:
    tiny: Tiny = request.getfixturevalue(kind)
    spec, table = spec_of(tiny), table_of(tiny).iloc[[1, 5]].reset_index(drop=True)
    target, learn = tasks.target(tiny.task, tiny.classes), tasks.learn(tiny.task, tiny.classes)
    found = preview.previews(spec, tiny.task, tiny.classes, table, 2)
    images = CachedImages(tiny.caches())
    augment = augment_of(spec, learn, images.frame)
    samples = TrainingSet(
        list(table["id"]), target.targets(table, images, "squash"), [1.0, 1.0], images, augment, spec.key
    )
    field = {"tiny": "label", "tiny_masks": "mask", "tiny_boxes": "bboxes"}[kind]
    for row, one in enumerate(found):
        assert (one.original["image"] == images[one.id]).all()
        for epoch, fields in enumerate(one.augmented):
            trained = samples[(epoch, row)]
            assert (fields["image"] == trained["images"][0]).all()
            np.testing.assert_array_equal(fields[field], trained[field])
    assert bool(compose_params(learn)) == (kind == "tiny_boxes")


def test_mixed_samples_are_shown_mixed_as_in_training(tiny: Tiny) -> None:
    spec, table = spec_of(tiny, mix=["cutmix"]), table_of(tiny).drop_duplicates("label").head(2).reset_index(drop=True)
    learn, images = tasks.learn(tiny.task, tiny.classes), CachedImages(tiny.caches())
    targets = tasks.target(tiny.task, tiny.classes).targets(table, images, "squash")
    augment, mixing = augment_of(spec, learn, images.frame), mixing_of(spec, learn, None, lambda epoch: np.arange(2))
    samples = TrainingSet(list(table["id"]), targets, [1.0, 1.0], images, augment, spec.key, mixing=mixing)
    shares = []
    for row, one in enumerate(preview.previews(spec, tiny.task, tiny.classes, table, 4)):
        for epoch, fields in enumerate(one.augmented):
            trained = samples[(epoch, row)]
            assert (fields["image"] == trained["images"][0]).all()
            np.testing.assert_array_equal(fields["label"], trained["label"])
            shares.append(fields["label"].max())
    assert min(shares) < 1, "cut"


def test_cases_are_of_different_classes_and_spread_over_each() -> None:
    table = pd.DataFrame({"id": [str(number) for number in range(100)]})
    tens = pd.DataFrame({name: (np.arange(100) // 10 == place).astype(int) for place, name in enumerate("abcdefghij")})
    chosen = contact.spread(table, tens, 5)["id"].astype(int)
    assert len(set(chosen // 10)) == 5
    assert list(chosen) == sorted(chosen)
    one = contact.spread(table, pd.DataFrame({"a": np.ones(100)}), 4)["id"].astype(int)
    assert np.diff(one).min() > 15
    few = contact.spread(table[:2], pd.DataFrame({"a": [1, 1], "b": [1, 0], "empty": [0, 0]}), 5)
    assert sorted(few["id"]) == ["0", "1"], "no row twice"


def test_masks_and_boxes_are_drawn_in_the_colours_of_their_classes() -> None:
    legend = Legend(("a", "b"), ((255, 0, 0), (0, 0, 255)), first=1)
    black, mask = np.zeros((10, 10, 1), np.uint8), np.zeros((10, 10), np.uint8)
    mask[2:5, 2:5], mask[6:9, 6:9] = 1, 2
    seen = drawn({"image": black, "mask": mask}, legend, 100)
    assert seen.shape == (100, 100, 3)
    assert seen[30, 30, 0] > 0 == seen[30, 30, 2]
    assert seen[75, 75, 2] > 0 == seen[75, 75, 0]
    assert (seen[55, 20] == 0).all()
    boxes = drawn({"image": black, "bboxes": [[2, 2, 8, 8]], "labels": [1]}, legend, 100)
    assert tuple(boxes[20, 50]) == (0, 0, 255)
    assert (boxes[50, 50] == 0).all()


@pytest.fixture
def config(tiny: Tiny, in_tmp: Path) -> Path:
    model = {"name": "net", "network": "small_resnet", "image_size_px": 16}
    path = Path("mine.yaml")
    path.write_text(yaml.safe_dump({"name": "t", "data": tiny.data, "models": [model], "train": {"augment": "medium"}}))
    return path


def test_the_command_draws_a_sheet_from_the_config_alone(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["augment", str(config), "-o", "sheet.png", "--rows", "3", "--columns", "2", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["file"], said["model"], len(said["cases"])) == ("sheet.png", "net", 3)
    with Image.open("sheet.png") as sheet:
        assert sheet.size == (124 + 3 * (176 + 6), 48 + 3 * (176 + 6))
    assert not Path("results").exists()
    before = Path("sheet.png").read_bytes()
    assert main(["augment", "--config", str(config), "-o", "sheet.png", "--rows", "3", "--columns", "2"]) == 0
    assert Path("sheet.png").read_bytes() == before
    assert main(["augment", str(config), "--use", "heavy", "-o", "sheet.png", "--rows", "3", "--columns", "2"]) == 0
    assert Path("sheet.png").read_bytes() != before


def test_a_round_that_does_not_train_the_model_is_refused(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = yaml.safe_load(config.read_text())
    other = {**values["models"][0], "name": "other"}
    rounds = [{}, {"models": ["other"]}]
    config.write_text(yaml.safe_dump({**values, "models": [*values["models"], other], "rounds": rounds}))
    assert main(["augment", str(config), "-o", "sheet.png", "--model", "net", "--round", "1"]) == 2
    assert "--round 1: does not train model 'net'; rounds that do: 0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model", "nett"], "unknown model 'nett': nearest is 'net'"),
        (["--round", "1"], "--round 1: the config has rounds 0 to 0"),
        (["-o", "sheet.gif"], "-o sheet.gif: name a file that ends in .png"),
        (["--config", "other.yaml"], "the config is named twice"),
        (["--use", "Rotate"], "--use 'Rotate': a transform of albumentations goes into a list: [Rotate]"),
        (["--use", "no.yaml"], "--use no.yaml: No such file or directory"),
        (["--preset", "medicl"], "unknown augmentation preset 'medicl': nearest is 'medical'"),
    ],
)
def test_the_command_says_what_is_wrong(
    options: list[str], said: str, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["augment", str(config), *options]) == 2
    assert said in capsys.readouterr().err


OWN_STEPS = """
import albumentations as A

def floats(size, channels, turns):
    return [A.ToFloat()]

def cut(size, channels, turns):
    return [A.CenterCrop(8, 8)]

def grey(size, channels, turns):
    return [A.Lambda(image=lambda image, **_: image[..., :1], p=1)]

def large_only(size, channels, turns):
    def fail(image, **_):
        raise KeyError("no mean")
    return [A.Lambda(image=fail, p=1)]
"""


def in_this_process(asked: list[dict[str, Any]], **_: Any) -> subprocess.CompletedProcess[str]:
    """Stands for `goldfold.trials.run`, which takes seconds."""
    with contextlib.redirect_stderr(io.StringIO()) as said:
        status = preflight.main(asked)
    return subprocess.CompletedProcess([], status, stderr=said.getvalue())


@pytest.mark.parametrize(
    ("augment", "said"),
    [
        (
            ["ToFloat"],
            "train.augment = ['ToFloat']: ToFloat returns float32; images must stay uint8, which networks normalise",
        ),
        (["own_steps:floats"], "ToFloat returns float32; images must stay uint8"),
        (
            ["own_steps:cut"],
            "returns 8 x 8 x 3, but the network takes 16 x 16 x 3. End with a transform",
        ),
        (["own_steps:grey"], "Lambda returns 1 channels; the images have 3. Remove it"),
        (["own_steps:large_only"], "fails on made-up values: KeyError: 'no mean'"),
    ],
)
def test_pipelines_that_return_something_else_are_refused_as_before_a_run(
    augment: list[str], said: str, config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("own_steps.py").write_text(OWN_STEPS)
    monkeypatch.syspath_prepend(str(Path.cwd()))
    monkeypatch.delitem(sys.modules, "own_steps", raising=False)
    values = yaml.safe_load(config.read_text())
    config.write_text(yaml.safe_dump({**values, "train": {"augment": augment}}))
    assert main(["augment", str(config)]) == 2
    assert said in capsys.readouterr().err
    monkeypatch.setattr("goldfold.trials.run", in_this_process)
    assert main(["check", "--config", str(config)]) == 1
    assert (printed := capsys.readouterr().out).startswith("mine.yaml: cannot be run\nmodels (net): train.augment = ")
    assert said in printed
    assert not Path("augment.png").exists()


@pytest.mark.parametrize("name", PRESETS)
def test_the_command_prints_a_preset_as_it_is(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["augment", "--preset", name]) == 0
    assert capsys.readouterr().out == file_of(name).read_text()


def test_the_report_has_a_sheet_of_each_augmentation(tiny_boxes: Tiny) -> None:
    def run_of(name: str, augment: Any) -> Any:
        model = {**tiny_boxes.model({"augment": augment}), "name": name}
        settings = {"model": model, "resize": "squash", "channels": 3, "place": PLACE}
        return SimpleNamespace(model=name, round=0, record={"recipe": {"settings": settings}})

    runs = [run_of("a", "light"), run_of("b", "light"), run_of("c", [{"Blur": {"p": 1.0}}])]
    models = [{"name": name, "train": {"augment": "light"}} for name in "abc"]
    results: Any = SimpleNamespace(
        models=["a", "b", "c"], runs=runs, tables={"train": table_of(tiny_boxes)}, classes=tiny_boxes.classes,
        task=tiny_boxes.task, target=tasks.target(tiny_boxes.task, tiny_boxes.classes),
        settings={"data": {"scale_16bit": "minmax"}, "models": models},
    )  # fmt: skip
    found = augmentation.section(results)
    assert found is not None
    first, second = (block for block in found.blocks)
    assert [getattr(block, "heading", None) for block in found.blocks] == ["a and b", "c"]
    sizes = [len(block.pictures[0].uri) for block in found.blocks]  # type: ignore[union-attr]
    assert 5_000 < max(sizes) < 300_000
    assert first != second
    results.tables = {"train": table_of(tiny_boxes).drop(columns="sha256")}
    assert augmentation.section(results) is None
