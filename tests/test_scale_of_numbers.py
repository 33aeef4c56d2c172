"""The scale on which networks learn numbers: of the fold's training targets, and kept with the weights."""

import copy
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from goldfold import tasks
from goldfold.tasks.regression.scale import keep, of_network, scale_of
from goldfold.training.soup import Mean

TASK, BINS = {"name": "regression"}, ["0 to 10", "10 to 20"]


@given(st.lists(st.integers(-(10**12), 10**12).map(lambda n: n / 7), min_size=1, max_size=30), st.randoms())
def test_a_scale_survives_the_weights_and_does_not_depend_on_the_order(values: list[float], draw: Any) -> None:
    scale = scale_of(np.array(values))
    assert scale[1] > 0
    assert abs(scale[0] - np.median(values)) <= 1e-12 * abs(np.median(values)) + 1e-30
    network = torch.nn.Linear(1, 1)
    keep(network, scale)
    assert of_network(network) == scale
    assert of_network(copy.deepcopy(network).to(torch.float32)) == scale
    draw.shuffle(values)
    assert scale_of(np.array(values)) == scale


def test_a_spread_is_never_0() -> None:
    assert scale_of(np.array([5.0, 5.0])) == (5.0, 1.0)
    assert scale_of(np.array([0.0] * 99 + [10.0]))[1] == pytest.approx(0.995, abs=1e-3), "the standard deviation"


def test_a_mean_of_networks_of_a_fold_has_their_scale() -> None:
    network, scale = torch.nn.Linear(1, 1), scale_of(np.array([1e9 + 1 / 3, 1e9 + 0.1, 1e9 + 7]))
    keep(network, scale)
    mean = Mean()
    for _ in range(3):
        mean = mean.with_(network.state_dict())
    network.load_state_dict(mean.weights)
    assert of_network(network) == scale


def test_predictions_are_on_the_scale_of_the_network_and_not_of_the_bins() -> None:
    learn, infer, output = (part(TASK, BINS) for part in (tasks.learn, tasks.infer, tasks.output))
    network = infer.model("small_resnet", (12, 12), 3, widths=(4, 8)).eval()
    old = {name: value for name, value in network.state_dict().items() if name != "target_scale"}
    rows = pd.DataFrame({"value": ["100", "200", "300"]})
    learn.fit(rows, network)  # type: ignore[attr-defined]
    assert learn.scale == of_network(network) == (200.0, 80.0)  # type: ignore[attr-defined]
    inputs = torch.zeros(2, 3, 12, 12, dtype=torch.uint8)
    with torch.inference_mode():
        raw = float(network(inputs)[0, 0])
        views: Any = [type("View", (), {"forward": staticmethod(lambda images: images)})]
        batch = type("Batch", (), {"map": lambda self, forward: forward(inputs)})()
        found = infer.predict(network, batch, views)
    assert found["values"] == pytest.approx(200 + 80 * raw)
    made: Any = dict(infer.pack(pd.DataFrame({"id": ["x", "y"]}), [found], (0, 0), ""))
    made["spreads"] = np.array([8.0, 40.0])
    assert output.pseudo_labels(made, 0.0)["confidence"].tolist() == pytest.approx([0.9, 0.5])  # type: ignore[attr-defined]
    other = infer.model("small_resnet", (12, 12), 3, widths=(4, 8))
    other.load_state_dict(old)
    assert of_network(other) == (10.0, 8.0), "weights of earlier versions: that of the bins"


def test_samplers_take_bins_of_the_training_rows() -> None:
    values = np.concatenate([np.linspace(0, 1, 30), np.linspace(100, 101, 30)])
    target: Any = tasks.target(TASK, BINS)
    found = target.presence([{"value": value} for value in values])
    assert found.sum(axis=0).tolist() == [10] * 6, "all rows would be in two of the bins of all targets"
