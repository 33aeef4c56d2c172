"""Batch normalisation by the statistics of the images that are predicted."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from conftest import Tiny
from goldfold.commands import preflight
from goldfold.models import batch_norm
from goldfold.models.batch_norm import Adapter
from test_engine import entry


class Net(nn.Module):
    """Images, normalised first: a change of their light is all in the statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.pool = nn.BatchNorm2d(3), nn.AdaptiveAvgPool2d(1)
        self.late, self.head = nn.BatchNorm1d(3), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.late(self.pool(self.norm(x).relu()).flatten(1)))


def trained(images: Tensor) -> Net:
    """A network with the statistics of these images."""
    torch.manual_seed(0)
    net = Net()
    assert Adapter(net, net).adapt(range(len(images)), lambda ids: images[list(ids)], 50)
    return net


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(200, 3, 8, 8, generator=torch.Generator().manual_seed(1)) ** 2


def test_light_of_another_lamp_is_taken_out(images: Tensor) -> None:
    net = trained(images)
    with torch.inference_mode():
        as_trained = net(images)
        darker = images * 0.4 + 0.3
        assert (net(darker) - as_trained).abs().max() > 0.5
    assert Adapter(net, net).adapt(range(200), lambda ids: darker[list(ids)], 50)
    with torch.inference_mode():
        torch.testing.assert_close(net(darker), as_trained, atol=1e-2, rtol=0)
    assert not any(layer.training for layer in net.modules())
    assert {layer.momentum for layer in batch_norm.layers(net)} == {0.1}


def test_few_images_are_predicted_by_the_statistics_of_training(images: Tensor) -> None:
    net = trained(images)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    adapter = Adapter(net, net)
    assert adapter.adapt(range(100), lambda ids: images[list(ids)] + 5, 50)
    assert not torch.equal(net.norm.running_mean, before["norm.running_mean"])
    assert not adapter.adapt(range(batch_norm.FEWEST - 1), lambda ids: images[list(ids)] + 5, 50)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize("n", [32, 33, 64, 65, 129])
@pytest.mark.parametrize("most", [1, 7, 64, 500])
def test_no_image_is_a_batch_of_its_own(images: Tensor, n: int, most: int) -> None:
    sizes: list[int] = []

    def batches(ids: Any) -> Tensor:
        sizes.append(len(ids))
        return images[list(ids)]

    net = trained(images)
    assert Adapter(net, net).adapt(range(n), batches, most)  # one image alone would end in an error of torch's
    assert sum(sizes) == n
    assert min(sizes) >= 2
    assert max(sizes) <= max(most, 3)
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("name", ["classification", "segmentation", "detection"])
def test_each_part_is_predicted_by_its_own_statistics(
    name: str,
    tiny_of: dict[str, Tiny],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(batch_norm, "FEWEST", 5)  # four test images of masks and boxes are too few
    tiny, out = tiny_of[name], tmp_path / "run"
    tiny.train(out, model=tiny.model({"epochs": 1, "warmup_epochs": 0}))
    for folder in ("trained", "adapted", "again"):
        how = "trained" if folder == "trained" else "adapted"
        tiny.predict(tmp_path / folder, out / "model.safetensors", "test", batch_norm=how, tta=["identity"])
    oof = [(tmp_path / folder / "oof.npz").read_bytes() for folder in ("trained", "adapted", "again")]
    assert oof[0] != oof[1] == oof[2]
    test = [np.load(tmp_path / folder / "test.npz") for folder in ("trained", "adapted")]
    same = all((test[0][key] == test[1][key]).all() for key in test[0])
    assert same == (name != "classification")
    n = len(np.load(tmp_path / "adapted" / "oof.npz")["ids"])
    said = capsys.readouterr().out
    assert f"oof: batch normalisation uses the statistics of the {n} images" in said
    whose = "the 12 images" if name == "classification" else "training"
    assert f"test: batch normalisation uses the statistics of {whose}" in said


def test_a_config_that_adapts_nothing_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    without, other = (entry(name, backbone="test_convnext", batch_norm="adapted") for name in ("a", "b"))
    assert preflight.main([without, other]) == 1
    assert "batch_norm: adapted has no effect, since no model has batch normalisation (a, b)" in capsys.readouterr().err
    assert preflight.main([without, entry("c", batch_norm="adapted")]) == 0
    assert preflight.main([entry("d", backbone="test_convnext")]) == 0
