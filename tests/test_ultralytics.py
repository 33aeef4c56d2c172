"""Detectors of ultralytics: settings, files and boxes without the library, and trainings where it is installed."""

import ast
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file

from conftest import Tiny
from goldfold import catalog
from goldfold.base.errors import ConfigError, TrainingError
from goldfold.config import chosen, dependencies, parse, slices
from goldfold.lineage import provenance
from goldfold.models import ultralytics_library, ultralytics_names
from goldfold.models.ultralytics_networks import Detector, as_batch
from goldfold.planning.plan import Job
from goldfold.planning.runs import WHOLE
from goldfold.training.of_ultralytics import files
from goldfold.training.of_ultralytics.arguments import arguments
from goldfold.training.spec import read

REPO = Path(__file__).parents[1]
SIDE = 32
needs_it = pytest.mark.skipif(
    importlib.util.find_spec("ultralytics") is None, reason="ultralytics (AGPL-3.0, an extra) is not installed"
)
every = pytest.mark.parametrize


def config_of(model: dict[str, Any] | None = None, /, **changes: Any) -> Any:
    """A config of the scenes with boxes and one model of ultralytics."""
    own = {
        "name": "y",
        "network": "ultralytics",
        "params": {"model": "yolo11n"},
        "image_size_px": SIDE,
        **(model or {}),
    }
    values = {
        "name": "t",
        "task": "detection",
        "data": {"source": "scenes_boxes"},
        "folds": {"splitter": "stratified_group"},
    }
    return parse({**values, "models": [own], **changes})


TWO = [
    {"name": name, "network": "ultralytics", "params": {"model": "yolo11n"}, "image_size_px": SIDE}
    for name in ("y", "z")
]


@pytest.fixture
def as_if_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("goldfold.config.ultralytics_checks.is_installed", lambda: True)


# --- without the library


def test_no_module_imports_it_when_it_is_imported() -> None:
    files = sorted((REPO / "src/goldfold").rglob("*.py"))
    assert len(files) > 400
    importing = [
        str(file.relative_to(REPO))
        for file in files
        for node in ast.parse(file.read_bytes()).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        and any(
            name.split(".")[0] == "ultralytics"
            for name in [getattr(node, "module", None) or "", *(a.name for a in node.names)]
        )
    ]
    assert importing == []


def test_without_it_a_config_is_refused_with_the_command_and_the_licence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("goldfold.config.ultralytics_checks.is_installed", lambda: False)
    with pytest.raises(ConfigError) as caught:
        config_of()
    said = str(caught.value)
    assert "models[0] (y).network = 'ultralytics'" in said
    assert "pip install 'goldfold[ultralytics]'. Its licence is AGPL-3.0" in said
    assert "goldfold itself (Apache-2.0) does not depend on it" in said


def test_a_job_without_it_ends_with_the_same_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ultralytics", None)
    with pytest.raises(ConfigError, match=r"pip install 'goldfold\[ultralytics\]'"):
        ultralytics_library.library()
    assert "YOLO_OFFLINE" not in os.environ


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "mixing of goldfold": ({"train": {"mix": ["mosaic"]}}, "which does not use it (params: mosaic, mixup, cutmix); remove it"),
    "augmentation of goldfold": ({"train": {"augment": "heavy"}}, "train.augment: ultralytics has its own trainer"),
    "a hook": ({"train": {"ema_decay": 0.9}}, "(it always averages the weights); remove it"),
    "weights of the loss": ({"train": {"loss_weights": {"box": 2}}}, "(params: box, cls, dfl)"),
    "another optimizer": ({"train": {"optimizer": "lamb"}}, "train.optimizer: ultralytics has sgd, adam, adamw"),
    "optimizer with parameters": ({"train": {"optimizer": {"sgd": {"momentum": 0.8}}}}, "momentum is one of params"),
    "another schedule": ({"train": {"schedule": "step"}}, "or linear with params: {cos_lr: false}"),
    "several GPUs": ({"gpus": 2}, "gpus = 2: ultralytics is trained on one GPU here"),
    "published weights": ({"pretrained": True}, "network 'ultralytics' has no published weights; give a path or false"),
    "a backbone": ({"backbone": "resnet18"}, "backbone = 'resnet18': network 'ultralytics' takes none; remove it"),
    "windows": ({"windows": True}, "windows: ultralytics is trained on whole images here; remove it"),
    "dropout": ({"dropout": 0.1}, "dropout: network 'ultralytics' has none; remove it"),
    "an unknown argument": ({"params": {"model": "yolo11n", "mosiac": 1.0}}, "not take 'mosiac'; nearest is 'mosaic'"),
    "no model": ({"params": {}}, "ultralytics needs 'model'"),
    "outlines": ({"params": {"model": "yolo11n", "copy_paste": 0.5}}, "ultralytics does not take 'copy_paste'"),
}  # fmt: skip


@every("name", REFUSED)
@pytest.mark.usefixtures("as_if_installed")
def test_what_its_trainer_does_not_do_is_refused(name: str) -> None:
    model, said = REFUSED[name]
    with pytest.raises(ConfigError) as caught:
        config_of(model)
    assert said in str(caught.value)


@every(
    ("changes", "said"),
    [
        ({"runtime": {"precision": "fp16"}}, "would download a model to try fp16; set runtime.precision: bf16 or fp32"),
        ({"batch_norm": "adapted"}, "batch_norm: adapted was not tried with it"),
        (
            {"models": [*TWO, {"name": "mean", "soup": ["y", "z"]}]},
            "soups of it were not tried; remove 'y' from 'mean'",
        ),
    ],
)
@pytest.mark.usefixtures("as_if_installed")
def test_what_does_not_fit_the_run_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_of(**changes)
    assert said in str(caught.value)


def spec_of(fold: int = 0, **model: Any) -> Any:
    return read(slices.learning(config_of(model), "y"), "squash", 3, {"round": 0, "fold": fold, "seed": 0})


@pytest.mark.usefixtures("as_if_installed")
def test_arguments_are_those_of_the_config_and_params_come_last(tmp_path: Path) -> None:
    train = {
        "epochs": 3,
        "batch_size": 4,
        "accumulate": 2,
        "lr": 0.02,
        "optimizer": "sgd",
        "flips": "both",
        "augment": "none",
    }
    found = arguments(spec_of(train=train), tmp_path, "cpu", "no", 0)
    wanted = {
        "model": "yolo11n.yaml", "imgsz": SIDE, "epochs": 3, "batch": 4, "nbs": 8, "lr0": 0.02, "optimizer": "SGD",
        "flipud": 0.5, "fliplr": 0.5, "amp": False, "patience": 0, "pretrained": False, "plots": False, "deterministic": True,
    }  # fmt: skip
    assert {key: found[key] for key in wanted} == wanted
    assert "score_threshold" not in found
    params = {
        "model": "yolo11n",
        "optimizer": "auto",
        "fliplr": 0.1,
        "mosaic": 0.0,
        "score_threshold": 0.2,
        "cos_lr": False,
    }
    own = arguments(spec_of(params=params, train={"flips": "none"}), tmp_path, "0", "bf16", 4)
    assert own["optimizer"] == "auto"
    assert (own["flipud"], own["fliplr"], own["mosaic"], own["cos_lr"], own["amp"]) == (0.0, 0.1, 0.0, False, "bf16")
    assert found["seed"] != arguments(spec_of(fold=1), tmp_path, "cpu", "no", 0)["seed"]


class Images:
    """Two images of noise, 16 x 32."""

    frame = (16, 32)

    def __init__(self, channels: int = 3) -> None:
        self.pixels = np.random.default_rng(0).integers(0, 256, (2, 1, *self.frame, channels), dtype=np.uint8)

    def case_batch(self, ids: list[str]) -> Any:
        rows = [int(id) for id in ids]
        return self.pixels[rows], np.ones((len(rows), 1), bool)


def target(boxes: list[list[float]], labels: list[int]) -> dict[str, Any]:
    return {"bboxes": np.array(boxes, dtype=float).reshape(-1, 4), "labels": np.array(labels)}


@every("channels", [1, 3])
def test_images_and_labels_of_a_fold_are_those_of_the_cache(tmp_path: Path, channels: int) -> None:
    import cv2

    images, targets = Images(channels), [target([[8, 4, 24, 12], [0, 0, 40, 16]], [1, 0]), target([], [])]
    files.write(tmp_path, ["0", "1"], images, targets, ["a cat", "dog"])
    assert (tmp_path / "labels/0000000.txt").read_text() == "1 0.5 0.5 0.5 0.5\n0 0.5 0.5 1 1\n"
    assert (tmp_path / "labels/0000001.txt").read_text() == ""
    assert yaml.safe_load((tmp_path / "data.yaml").read_text()) == {
        "path": str(tmp_path), "train": str(tmp_path / "images"), "val": str(tmp_path / "images"), "nc": 2,
        "names": {0: "a cat", 1: "dog"}, "channels": channels,
    }  # fmt: skip
    stored = cv2.imread(str(tmp_path / "images/0000000.png"), cv2.IMREAD_UNCHANGED).reshape(16, 32, channels)
    assert np.array_equal(stored[..., ::-1], images.pixels[0, 0])


def test_a_fold_without_boxes_cannot_be_trained_on(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no training image of this fold has a box"):
        files.write(tmp_path, ["0"], Images(), [target([], [])], ["a"])


class Made(torch.nn.Module):
    """Stands for a model of ultralytics: returns what it was given."""

    def __init__(self, output: torch.Tensor) -> None:
        super().__init__()
        self.output = output

    def forward(self, images: torch.Tensor) -> Any:
        return self.output, {}


def test_boxes_of_yolo_are_corners_best_first_one_per_object_and_clipped() -> None:
    # x, y, width, height and scores of two classes, of four places
    places = [
        [16, 16, 8, 8, 0.9, 0.3],
        [17, 16, 8, 8, 0.8, 0.1],
        [0, 0, 12, 12, 0.0, 0.7],
        [30, 30, 4, 4, 0.001, 0.002],
    ]
    detector = Detector(Made(torch.tensor(places).T[None]), is_rtdetr=False, score_threshold=0.25).eval()
    (found,) = detector(torch.zeros(1, 3, 32, 32))
    assert found["boxes"].tolist() == [[12, 12, 20, 20], [0, 0, 6, 6], [12, 12, 20, 20]]
    assert found["scores"].tolist() == pytest.approx([0.9, 0.7, 0.3])
    assert found["labels"].tolist() == [0, 1, 1]


def test_boxes_of_rt_detr_are_fractions_of_the_image_and_not_suppressed() -> None:
    queries = [[0.5, 0.5, 0.25, 0.5, 0.2], [0.5, 0.5, 0.25, 0.5, 0.9]]
    detector = Detector(Made(torch.tensor([queries])), is_rtdetr=True, max_boxes=5).eval()
    (found,) = detector(torch.zeros(1, 3, 32, 64))
    assert found["boxes"].tolist() == [[24, 8, 40, 24]] * 2
    assert found["scores"].tolist() == pytest.approx([0.9, 0.2])


def test_a_batch_for_its_loss_has_centres_in_fractions_and_the_number_of_the_image() -> None:
    boxes = {"boxes": torch.tensor([[0.0, 0, 32, 16]]), "labels": torch.tensor([2])}
    none = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.long)}
    made = as_batch(torch.zeros(2, 3, 32, 64), [none, boxes])
    assert made["batch_idx"].tolist() == [1]
    assert made["cls"].tolist() == [[2]]
    assert made["bboxes"].tolist() == [[0.25, 0.25, 0.5, 0.5]]


@pytest.mark.usefixtures("as_if_installed")
def test_its_trainings_alone_depend_on_its_script() -> None:
    config = config_of()
    of = dependencies.code(config, Job("train", "y"))["of"]
    assert of[0] == "train_ultralytics"
    assert dependencies.code(config, Job("predict", "y"))["of"][0] == "predict"
    assert "src/goldfold/training/of_ultralytics/trainer.py" in provenance.code_table(*of)
    fcos = parse({**config.model_dump(include={"name", "task"}), "data": {"source": "scenes_boxes"},
                  "folds": {"splitter": "stratified_group"}, "models": [{"name": "y", "network": "fcos", "backbone": "resnet18",
                  "image_size_px": SIDE}]})  # fmt: skip
    assert chosen.script(fcos, "train", "y") == "train"
    assert not any(
        "ultralytics" in file for file in provenance.code_table(*dependencies.code(fcos, Job("train", "y"))["of"])
    )
    assert {*catalog.OWN_TRAINER.values()} <= {file.stem for file in (REPO / "workflow/scripts").iterdir()}


def test_names_have_a_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = tmp_path / "ultralytics/cfg/models/x"
    models.mkdir(parents=True)
    (tmp_path / "ultralytics/__init__.py").write_text("raise ImportError('names are read without importing it')")
    for name in ("yolo11", "yolo11-seg", "yolov8-p2", "yoloe-11", "rtdetr-l", "yolov8-world"):
        (models / f"{name}.yaml").write_text("scales:\n  n: [0.5, 0.25, 1024]\n  s: [0.5, 0.5, 1024]\n")
    monkeypatch.setattr(ultralytics_names, "find_spec", lambda name: importlib.util.spec_from_file_location(
        name, tmp_path / "ultralytics/__init__.py", submodule_search_locations=[str(tmp_path / "ultralytics")]))  # fmt: skip
    ultralytics_names.known.cache_clear()
    try:
        assert ultralytics_names.known() == ("rtdetr-l", "yolo11n", "yolo11s", "yolov8n-p2", "yolov8s-p2")
        assert ultralytics_names.problem("yolo11").startswith("nearest are 'yolo11s', 'yolo11n'")
    finally:
        monkeypatch.undo()
        ultralytics_names.known.cache_clear()


# --- with the library

PARAMS = {"model": "yolo11n"}


def job(tiny: Tiny, folder: Path, train: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Arguments of a training on the tiny boxes."""
    entry = {
        "name": "net",
        "network": "ultralytics",
        "params": PARAMS,
        "image_size_px": SIDE,
        **changes.pop("entry", {}),
    }
    settings = {"epochs": 2, "batch_size": 4, "lr": 0.002, "warmup_epochs": 0, **(train or {})}
    config = parse({"name": "t", "task": "detection", "data": tiny.data, "models": [{**entry, "train": settings}]})
    return tiny.job(folder, model=slices.learning(config, "net"), **changes)


def trained(tiny: Tiny, folder: Path, *args: Any, **changes: Any) -> dict[str, Any]:
    """Train; return the facts."""
    from goldfold.stages import train_ultralytics

    return train_ultralytics.run(**job(tiny, folder, *args, **changes))


BLOCKED = """
import json, os, socket, subprocess, sys
def refuse(*args, **kwargs):
    raise AssertionError(f"network or process: {args}")
settings = json.loads(sys.argv[1])
from goldfold.stages import train_ultralytics
socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
subprocess.Popen.__init__ = os.system = refuse
facts = train_ultralytics.run(**settings)
print(json.dumps({"epochs": facts["epochs"], "scratch": os.listdir(settings["folder"])}))
"""


@needs_it
def test_a_training_uses_no_network_starts_no_process_and_writes_nothing_elsewhere(
    tiny_boxes: Tiny, tmp_path: Path
) -> None:
    home, folder = tmp_path / "home", tmp_path / "run"
    home.mkdir()
    settings = job(tiny_boxes, folder)
    folder.mkdir()
    environment = {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home / "config"), "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, json.dumps(settings, default=str)],
        env=environment,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["epochs"] == 2
    assert sorted(told["scratch"]) == ["best.safetensors", "history.csv", "model.safetensors"]
    assert [path for path in home.rglob("*") if path.is_file() and "matplotlib" not in str(path)] == []
    assert not [path for path in tmp_path.iterdir() if "ultralytics" in path.name], "its settings are removed"
    assert "Ultralytics" not in done.stdout


@needs_it
@every("name", ["yolov8n", "yolov9t", "yolo26n", "rtdetr-l"])
def test_detectors_are_trained_by_their_trainer_and_predict(tiny_boxes: Tiny, tmp_path: Path, name: str) -> None:
    entry = {"params": {"model": name, "score_threshold": 0.0}}
    facts = trained(tiny_boxes, tmp_path / "run", {"epochs": 1}, entry=entry)
    assert facts["parameters"] > 1e6
    history = pd.read_csv(tmp_path / "run/history.csv")
    assert {"epoch", "train_loss", "lr", "ap50"} <= {*history.columns}
    model = slices.network(config_of(entry), "y")
    tiny_boxes.predict(tmp_path / "predict", tmp_path / "run/model.safetensors", "test", model={**model, "name": "net"})
    found = np.load(tmp_path / "predict/test.npz")
    assert len(found["counts"]) == 4
    assert np.isfinite(found["boxes"]).all()


@needs_it
def test_a_training_on_all_rows_ends_where_those_of_the_folds_ended(tiny_boxes: Tiny, tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text("epoch,train_loss,ap50\n0,1.0,0.1\n1,0.9,0.2\n")
    place = {"round": 0, "fold": WHOLE, "seed": 0}
    facts = trained(tiny_boxes, tmp_path / "run", {"epochs": 3}, place=place, histories=[str(tmp_path / "history.csv")])
    assert facts["epochs"] == 2
    assert facts["stopped"]["by"] == "full_data"
    assert "ap50" not in pd.read_csv(tmp_path / "run/history.csv")
    assert not (tmp_path / "run/best.safetensors").exists()


class Killed(Exception):
    """Stands for a kill."""


@needs_it
def test_a_resumed_training_ends_with_the_same_bytes_whatever_the_workers(
    tiny_boxes: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = {"epochs": 3, "checkpoint": "best"}
    whole = trained(tiny_boxes, tmp_path / "whole", train)
    given = job(tiny_boxes, tmp_path / "cut", train)
    given["runtime"] = {**given["runtime"], "loader_workers": 2}
    from goldfold.stages import train_ultralytics

    class Bar:
        done, total = 0, 9

        def __init__(self, total: int, unit: str) -> None: ...

        def advance(self, n: int = 1, note: str = "") -> None:
            Bar.done += n
            if n and Bar.done == 4:  # within the second epoch of 2 steps each
                raise Killed

        def go_on_from(self, done: int) -> None:
            Bar.done = 100

        def close(self) -> None: ...

    with pytest.raises(Killed):
        train_ultralytics.run(progress=Bar, **given)
    assert (tmp_path / "cut/state.pt").exists()
    again = train_ultralytics.run(**given)
    assert again["resumed_at_step"] == [2]
    assert whole["resumed_at_step"] == []
    for name in ("model.safetensors", "last.safetensors", "history.csv"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes(), name


@needs_it
def test_a_checkpoint_of_ultralytics_is_a_start_without_running_its_code(tiny_boxes: Tiny, tmp_path: Path) -> None:
    ultralytics_library.library()
    from ultralytics.nn.tasks import DetectionModel

    given = DetectionModel("yolo11n.yaml", nc=80, verbose=False)
    torch.save({"model": given.half(), "train_args": {}}, tmp_path / "coco.pt")
    facts = trained(
        tiny_boxes, tmp_path / "run", {"epochs": 1, "lr": 1e-9}, entry={"pretrained": str(tmp_path / "coco.pt")}
    )
    assert facts["epochs"] == 1
    state = load_file(tmp_path / "run/model.safetensors")
    name = "model.0.conv.weight"
    assert torch.allclose(state[f"network.model.{name}"], given.state_dict()[name].float(), atol=1e-5)


@needs_it
@every(
    ("entry", "said"),
    [
        ({"params": {"model": "yolo11"}}, "model = 'yolo11': nearest are 'yolo11x'"),
        ({"params": {**PARAMS, "mosaic": 2.0}}, "mosaic"),
        ({"image_size_px": 40}, "ultralytics trains on squares whose side is a multiple of 32"),
        ({"image_size_px": [32, 64]}, "ultralytics trains on squares whose side is a multiple of 32"),
    ],
)
def test_a_network_that_cannot_be_built_is_refused_before_any_job(
    entry: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from goldfold.commands import preflight

    assert preflight.main(slices.network_checks(config_of(entry))) == 1
    assert said in capsys.readouterr().err
