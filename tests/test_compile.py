"""Training with torch.compile, and without it where that fails. No test runs the compiler itself, which takes seconds."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from conftest import RUNTIME, Tiny
from goldfold.base.errors import ConfigError
from goldfold.cache.images import CachedImages
from goldfold.config import model_checks
from goldfold.config.learning import Train
from goldfold.config.models import Model
from goldfold.tasks import facts
from goldfold.training import compiling
from jobs import bytes_of
from test_hooks import config
from test_resume import run_until

TRAIN: dict[str, Any] = {"epochs": 3, "batch_size": 8, "warmup_epochs": 0}


@pytest.fixture
def shapes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shapes of the images of each graph that is compiled; the graphs are run as they are."""
    found: list[tuple[int, ...]] = []

    def compiler(graph: Any, given: list[Any]) -> Any:
        found.extend(tuple(one.shape) for one in given if isinstance(one, torch.Tensor) and one.dim() == 4 and one.shape[1] == 3
                     and not isinstance(one, torch.nn.Parameter))  # fmt: skip
        return graph.forward

    monkeypatch.setattr(compiling, "BACKEND", compiler)
    return found


def test_a_compiled_network_is_trained_saved_and_resumed_under_its_own_names(
    tiny: Tiny, tmp_path: Path, shapes: list[tuple[int, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    model = tiny.model({**TRAIN, "ema_decay": 0.9, "compile": True})
    facts = tiny.train(tmp_path / "whole", model=model)
    assert facts["compiled"] is True
    assert shapes
    assert "not_compiled" not in facts
    assert "train.compile: the network is compiled for training" in capsys.readouterr().out
    plain = tiny.train(tmp_path / "plain", model=tiny.model({**TRAIN, "ema_decay": 0.9}))
    assert "compiled" not in plain
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "plain"))
    assert one.keys() == other.keys()
    assert all(torch.allclose(one[name], other[name], atol=1e-5) for name in one)
    run_until(4, tiny, tmp_path / "killed", model=model)
    assert tiny.train(tmp_path / "killed", model=model)["resumed_at_step"] == [3]
    assert bytes_of(tmp_path / "killed") == bytes_of(tmp_path / "whole")


def test_where_compiling_fails_the_run_says_why_once_and_has_the_bytes_of_one_without_it(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(graph: Any, given: Any) -> Any:
        raise RuntimeError("no C++ compiler found")

    monkeypatch.setattr(compiling, "BACKEND", broken)
    facts = tiny.train(tmp_path / "failed", model=tiny.model({**TRAIN, "compile": True}))
    assert facts["compiled"] is False
    assert "no C++ compiler found" in facts["not_compiled"]
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "compile" in line] == [f"train.compile has no effect: {facts['not_compiled']}"]
    tiny.train(tmp_path / "plain", model=tiny.model(TRAIN))
    assert bytes_of(tmp_path / "failed") == bytes_of(tmp_path / "plain")


def test_every_size_of_training_is_tried_before_the_first_step(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    height, width = CachedImages(tiny.caches()).frame

    def broken_for_small(graph: Any, given: list[Any]) -> Any:
        if any(one.shape[-2:] == (height // 2, width // 2) for one in given if isinstance(one, torch.Tensor)):
            raise RuntimeError("no code for small images")
        return graph.forward

    monkeypatch.setattr(compiling, "BACKEND", broken_for_small)
    sizes = [[0, [height, width]], [2, [height // 2, width // 2]]]
    facts = tiny.train(tmp_path, model=tiny.model({**TRAIN, "sizes": sizes, "compile": True}))
    assert "no code for small images" in facts["not_compiled"]


def test_validation_is_not_compiled(tiny: Tiny, tmp_path: Path, shapes: list[tuple[int, ...]]) -> None:
    tiny.train(tmp_path, model=tiny.model({**TRAIN, "epochs": 1, "compile": True}))
    assert {shape[0] for shape in shapes} == {8}, "only batches of training, not the 20 images of a validation"


def test_cases_that_lack_images_are_not_compiled(
    tiny: Tiny, tmp_path: Path, shapes: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CachedImages, "lacking", lambda self, ids: "a")
    facts = tiny.train(tmp_path, model=tiny.model({**TRAIN, "epochs": 1, "compile": True}), runtime=RUNTIME)
    assert facts["not_compiled"].startswith("some cases lack images")
    assert shapes == []


@pytest.mark.parametrize(
    ("model", "train", "said"),
    [
        ({"gpus": 2}, {}, "train.compile = true: works with gpus: 1 only, not 2"),
        (
            {},
            {"on_oom": "shrink"},
            "train.compile = true: a network is compiled for one size of batch; set on_oom: fail",
        ),
    ],
)
def test_what_does_not_go_with_compiling_is_refused(model: dict[str, Any], train: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        config(model, compile=True, **train)
    assert said in str(error.value)


def test_detectors_are_not_compiled() -> None:
    model = Model(name="a", network="fcos", train=Train(compile=True))
    (said,) = model_checks._of_detectors(model.train, facts("detection"))
    assert said.startswith("train.compile = true: shapes within a detector depend on the images")
