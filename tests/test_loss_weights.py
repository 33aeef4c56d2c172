"""Weights of the parts of a detector's loss, and settings of its training that are tried before any job."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from goldfold import tasks
from goldfold.base.errors import ConfigError
from goldfold.commands import preflight
from goldfold.config import parse, slices
from goldfold.losses.parts import weighted
from goldfold.training.learner import loss_of
from goldfold.training.spec import read

TASK = {"name": "detection"}
PLACE = {"round": 0, "fold": 0, "seed": 0}
FCOS = {"network": "fcos", "backbone": "test_resnet", "params": {"width": 16, "head_convs": 1, "strides": [4, 8, 16]}}


def config_of(train: dict[str, Any], task: str = "detection", **model: Any) -> Any:
    data: dict[str, Any] = {"source": "folder", "train": "raw"}
    if task == "detection":
        data, model = {"source": "coco", "train": "a.json", "images": "raw"}, {**FCOS, **model}
    entry = {"name": "m", "image_size_px": 64, **model}
    return parse({"name": "t", "task": task, "data": data, "models": [entry], "train": {"epochs": 3, **train}})


class TwoParts(nn.Module):
    """A detector whose losses are multiples of two weights."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor([3.0, 5.0]))

    def forward(self, inputs: Any, targets: Any) -> dict[str, torch.Tensor]:
        return {"loss_box": self.weights[0], "classification": 2 * self.weights[1]}


def test_the_loss_is_the_weighted_sum_of_its_parts() -> None:
    batch = SimpleNamespace(inputs=SimpleNamespace(images=torch.zeros(1)), targets=[])
    for weights, total, gradient in ((None, 13.0, [1, 2]), ({"box": 4}, 22.0, [4, 2])):
        spec = read(slices.learning(config_of({"loss_weights": weights} if weights else {}), "m"), "squash", 3, PLACE)
        network = TwoParts()
        losses = loss_of(spec, tasks.learn(TASK, ["a"]))(network, batch)  # type: ignore[arg-type]
        losses.total.backward()
        assert losses.total.item() == total
        assert network.weights.grad.tolist() == gradient  # type: ignore[union-attr]
        parts = {name: part.item() for name, part in losses.parts.items()}
        assert parts == {"box": total - 10, "classification": 10}, "as weighted, so that they add up to the total"


def test_parts_that_are_not_there_are_refused_with_those_that_are() -> None:
    found = {"loss_vfl": torch.ones(()), "loss_bbox": torch.ones(())}
    with pytest.raises(
        ConfigError, match=r"'box': nearest is 'bbox'; the loss of this detector has 2 parts: vfl, bbox"
    ):
        weighted(found, {"box": 2})


def test_a_recipe_has_them_only_where_they_are_set() -> None:
    plain = slices.learning(config_of({}), "m")
    assert "loss_weights" not in plain["train"]
    assert plain["loss_keys"] == []
    assert slices.learning(config_of({"loss_weights": {"box": 2}}), "m")["loss_keys"] == ["loss_weights"]


@pytest.mark.parametrize(
    ("train", "task", "said"),
    [
        ({"loss_weights": {"box": 0}}, "detection", "loss_weights: box: 0 is no weight; give a number above 0"),
        ({"loss_weights": 2}, "detection", "write a factor by part of the loss, {bbox_regression: 2}, not 2"),
        (
            {"loss": {"ce": 1}},
            "detection",
            "does not use it; detectors have losses of their own, whose parts loss_weights",
        ),
        (
            {"loss_weights": {"dice": 2}},
            "classification",
            "it is for detectors; weigh parts in loss: {dice: 0.5, ce: 1}",
        ),
    ],
)
def test_weights_that_cannot_be_are_refused(train: dict[str, Any], task: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_of(train, task, **({"backbone": "resnet18"} if task != "detection" else {}))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("train", "model", "said"),
    [
        (
            {"loss_weights": {"bbox_regresion": 2}},
            {},
            "models (m): train.loss_weights: 'bbox_regresion': nearest is 'bbox_regression'; the loss of this detector has 3 "
            "parts: classification, bbox_regression, bbox_ctrness",
        ),
        (
            {"warmup": {"momentum": 0.8}, "optimizer": "adafactor"},
            {},
            "(m): train.warmup: momentum = 0.8: optimizer Adafactor",
        ),
        (
            {"sizes": {"multi_scale": [32, 64]}},
            {"network": "rt_detr_v2", "params": {"queries": 50, "decoder_layers": 1, "width": 32}},
            "train.sizes: 32x32 (height x width): network 'rt_detr_v2' on 'test_resnet' cannot be trained",
        ),
    ],
)
def test_settings_of_a_detector_are_tried_before_any_job(
    train: dict[str, Any], model: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert preflight.main(slices.network_checks(config_of(train, **model))) == 1
    assert said in capsys.readouterr().err


def test_all_settings_of_a_detector_work_together() -> None:
    together = {
        "loss_weights": {"bbox_regression": 2}, "warmup": {"momentum": 0.8, "bias_lr": 0.1}, "min_visible": 0.4,
        "sizes": {"multi_scale": [32, 48, 64]}, "mix": ["mixup", "mosaic"], "augment": ["light", {"Perspective": {}}],
    }  # fmt: skip
    assert preflight.main(slices.network_checks(config_of(together))) == 0
