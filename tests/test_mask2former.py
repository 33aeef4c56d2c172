"""Mask2Former of transformers: its loss by matching, its maps, small random checkpoints, and a training."""

from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

import goldfold
from conftest import Tiny
from goldfold import models
from goldfold.base.errors import ConfigError
from goldfold.bundles.export import export
from goldfold.cases import Batch, Inputs
from goldfold.commands import preflight
from goldfold.config import parse, slices
from goldfold.models.mask_queries import PARTS, Queries, Weights
from goldfold.models.wrapping import Normalised
from goldfold.tasks.segmentation.learn import Learn
from tiny_results import write_results

every = pytest.mark.parametrize
SLIM: dict[str, Any] = {
    "width": 32, "queries": 8, "decoder_layers": 3, "encoder_layers": 1, "encoder_feedforward_dim": 32, "dim_feedforward": 32,
    "num_attention_heads": 4,
}  # fmt: skip


def network(n_classes: int = 3, channels: int = 3, **changes: Any) -> Normalised:
    torch.manual_seed(0)
    given = {"backbone": "test_resnet", "image_size": (64, 64), "n_classes": n_classes, "in_channels": channels, **SLIM}
    return Normalised(models.build("mask2former", **{**given, **changes}), channels)


def images(size: tuple[int, int] = (64, 64), channels: int = 3) -> torch.Tensor:
    return torch.randint(0, 256, (2, channels, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


# --- the loss

TARGET = torch.tensor([[[0, 0, 1, 1], [0, 0, 1, 255]], [[2, 2, 2, 2], [0, 0, 0, 0]]])


def queries(certainty: float, target: torch.Tensor = TARGET, stride: int = 1) -> Queries:
    """Query 3 - c stands for class c where an image has it; with a negative certainty all are wrong. Two layers."""
    generator = torch.Generator().manual_seed(0)
    classes = torch.randn(2, 4, 4, generator=generator) * 0.1
    masks = torch.randn(2, 4, 2, 4, generator=generator) * 0.1
    for image, one in enumerate(target):
        classes[image, :, 3] += certainty  # no object
        for label in range(3):
            here = one == label
            if here.any():
                classes[image, 3 - label, 3] -= 2 * certainty
                classes[image, 3 - label, label] += certainty
            masks[image, 3 - label] += certainty * (here * 2.0 - 1)
    return Queries((classes.requires_grad_(),) * 2, (masks.requires_grad_(),) * 2, stride, Weights())


def total(of: Queries, target: torch.Tensor = TARGET) -> torch.Tensor:
    return torch.stack([*of.losses(target).values()]).sum()


def test_certain_and_right_queries_cost_nothing_and_wrong_ones_much() -> None:
    assert list(queries(0).losses(TARGET)) == list(PARTS)
    assert all(value < 1e-3 for value in queries(20).losses(TARGET).values())
    assert queries(-20).losses(TARGET)["classes"] > 20, "masks of the other class fit"
    moved = queries(20).losses(TARGET.roll(1, dims=2))
    assert moved["masks"] > 20
    assert moved["dice"] > 0.5


def test_the_order_of_queries_does_not_matter() -> None:
    one = queries(1)
    order = torch.tensor([2, 0, 3, 1])
    other = Queries(tuple(x[:, order] for x in one.classes), tuple(x[:, order] for x in one.masks), 1, Weights())
    torch.testing.assert_close(total(other), total(one))


def test_ignored_pixels_get_no_gradient_and_do_not_count() -> None:
    of = queries(1)
    total(of).backward()
    gradient = of.masks[0].grad
    assert gradient is not None
    assert (gradient[0, :, 1, 3] == 0).all()
    assert (gradient[0, :, 0] != 0).any()
    changed = queries(1)
    with torch.no_grad():
        changed.masks[0][0, :, 1, 3] += 9
    torch.testing.assert_close(total(changed), total(queries(1)))


def test_images_in_which_all_is_ignored_give_nothing() -> None:
    nothing, of = torch.full_like(TARGET, 255), queries(1)
    total(of, nothing).backward()
    assert total(of, nothing) == 0
    assert of.classes[0].grad is not None
    assert (of.classes[0].grad == 0).all()
    half = TARGET.clone()
    half[0] = 255
    torch.testing.assert_close(total(of, half), total(of[torch.tensor([False, True])], half[1:]))


def test_masks_of_another_resolution_are_compared_with_shares_of_pixels() -> None:
    """One class on a quarter of the pixels of a cell of the masks: the least cross-entropy is that of this share."""
    target = torch.full((1, 4, 4), 255)
    target[0, :2, :2] = torch.tensor([[1, 0], [0, 0]])
    classes = torch.tensor([[[20.0, 0, 0], [0, 20, 0]]])

    def masks(logit: float) -> float:
        of = torch.zeros(1, 2, 2, 2)
        of[0, :, 0, 0] = torch.tensor([-logit, logit])
        return float(Queries((classes,), (of,), 2, Weights()).losses(target)["masks"])

    share = float(torch.logit(torch.tensor(0.25)))
    assert masks(share) < min(masks(share - 0.5), masks(share + 0.5))
    assert masks(share) == pytest.approx(5 * 0.5623, abs=1e-3)  # -0.25 ln 0.25 - 0.75 ln 0.75, weight 5


def test_images_of_another_weight_count_as_much_as_their_weight() -> None:
    of = queries(1)
    learn: Any = Learn.__new__(Learn)
    learn.spec = SimpleNamespace(overlaps=False)
    mean = learn.loss(loss="ce")
    both = mean(lambda _: of, Batch(["a", "b"], Inputs.of(images()), TARGET, torch.tensor([1.0, 0.25])))
    alone = [total(of[torch.tensor([row == 0, row == 1])], TARGET[row : row + 1]) for row in range(2)]
    torch.testing.assert_close(both.total, 0.5 * alone[0] + 0.125 * alone[1])
    assert set(both.parts) == set(PARTS)


# --- the network


@every(("n_classes", "channels", "size"), [(1, 1, (64, 64)), (3, 4, (50, 75))])
def test_maps_are_of_the_input_s_size_and_every_parameter_learns(
    n_classes: int, channels: int, size: tuple[int, int], tmp_path: Path
) -> None:
    model, batch = network(n_classes, channels, image_size=size), images(size, channels)
    total(model(batch), torch.ones(2, *size, dtype=torch.int64)).backward()
    assert not [name for name, value in model.named_parameters() if value.grad is None]
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, tmp_path / "w.safetensors")
    other = network(n_classes, channels, image_size=size, queries=8)
    other.load_state_dict(load_file(tmp_path / "w.safetensors"))
    with torch.inference_mode():
        logits = model.eval()(batch)
        assert logits.shape == (2, n_classes, *size)
        assert torch.equal(other.eval()(batch), logits)


def scene() -> tuple[torch.Tensor, torch.Tensor]:
    batch, target = images() // 4, torch.zeros(2, 64, 64, dtype=torch.int64)
    batch[0, :, 20:44, 8:32], target[0, 20:44, 8:32] = 250, 1
    batch[1, 1, 4:24, 30:60], target[1, 4:24, 30:60] = 200, 2
    return batch, target


@cache
def fitted() -> Normalised:
    model, (batch, target) = network(), scene()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(30):
        optimizer.zero_grad()
        total(model(batch), target).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
    return model.eval()


def test_it_finds_what_it_was_shown_where_it_is_also_in_bf16() -> None:
    model, (batch, target) = fitted(), scene()
    with torch.inference_mode():
        found = model(batch).argmax(1)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = model(batch)
    assert half.dtype == torch.float32
    for one in (found, half.argmax(1)):
        dice = [2 * ((one == c) & (target == c)).sum() / ((one == c).sum() + (target == c).sum()) for c in range(3)]
        assert min(dice) > 0.95


def test_a_training_on_the_cpu_gives_the_same_bytes_twice() -> None:
    def trained() -> dict[str, torch.Tensor]:
        model, (batch, target) = network(), scene()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        for _ in range(3):
            optimizer.zero_grad()
            total(model(batch), target).backward()
            optimizer.step()
        return model.state_dict()

    first, second = trained(), trained()
    assert len(first) > 50
    assert all(torch.equal(first[name], second[name]) for name in first)


# --- checkpoints


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    import transformers as t

    swin = t.SwinConfig(
        embed_dim=8, depths=[1] * 4, num_heads=[1, 1, 2, 2], window_size=4, image_size=64,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip
    sizes = {"feature_size": 32, "mask_feature_size": 32, "hidden_dim": 32, "num_queries": 6, "num_labels": 5}
    shape = {name: value for name, value in SLIM.items() if name not in ("width", "queries")}
    torch.manual_seed(0)
    model = t.Mask2FormerForUniversalSegmentation(t.Mask2FormerConfig(backbone_config=swin, **sizes, **shape))
    folder = tmp_path_factory.mktemp("checkpoint")
    model.save_pretrained(folder)
    return str(folder)


def test_maps_of_a_checkpoint_are_those_of_transformers(checkpoint: str) -> None:
    from transformers import Mask2FormerForUniversalSegmentation, Mask2FormerImageProcessorPil

    batch = torch.rand(2, 3, 64, 96)
    given = {"checkpoint": checkpoint, "pretrained": True, "n_classes": 5, "in_channels": 3, "image_size": (64, 96)}
    ours = models.build("mask2former", **given).eval()
    theirs = Mask2FormerForUniversalSegmentation.from_pretrained(checkpoint).eval()
    with torch.inference_mode():
        found, outputs = ours(batch), theirs(batch)
    wanted = torch.stack(Mask2FormerImageProcessorPil().post_process_semantic_segmentation(outputs, [(64, 96)] * 2))
    assert (found.argmax(1) == wanted).float().mean() > 0.99, "but for where theirs enlarges masks before their product"
    scores = torch.einsum(
        "bqc,bqhw->bchw", outputs.class_queries_logits.softmax(-1)[..., :-1], outputs.masks_queries_logits.sigmoid()
    )
    torch.testing.assert_close(found.exp().mean((2, 3)), scores.mean((2, 3)), atol=1e-3, rtol=0.01)
    assert ours.mean == pytest.approx((0.485, 0.456, 0.406))


def test_only_what_depends_on_the_classes_is_new(checkpoint: str) -> None:
    given = {"checkpoint": checkpoint, "in_channels": 3, "image_size": (64, 64)}
    own = models.build("mask2former", n_classes=5, pretrained=True, **given).state_dict()
    other = models.build("mask2former", n_classes=1, pretrained=True, **given)
    new = [name for name, value in other.state_dict().items() if not torch.equal(value, own[name])]
    assert new == ["segmentation_head.weight", "segmentation_head.bias"]
    again = models.build("mask2former", n_classes=1, **given)
    again.load_state_dict(other.state_dict())
    with pytest.raises(ConfigError, match=r"queries = 4: checkpoint .* has its own; remove it"):
        models.build("mask2former", n_classes=1, queries=4, **given)
    with pytest.raises(ConfigError, match=r"unknown parameter 'train_num_points'; .*no_object_weight"):
        models.build("mask2former", n_classes=1, train_num_points=4, **given)


# --- runs


def config(**changes: Any) -> Any:
    entry = {
        "name": "a",
        "network": "mask2former",
        "backbone": "test_resnet",
        "image_size_px": 50,
        "params": SLIM,
        **changes,
    }
    data = {"source": "masks", "train": "t", "masks": "m", "classes": ["cat", "dog"]}
    return parse({"name": "t", "task": "segmentation", "data": data, "models": [entry]})


def test_a_loss_in_the_config_is_refused_as_it_would_have_no_effect() -> None:
    with pytest.raises(
        ConfigError, match=r"train\.loss: network 'mask2former' has a loss of its own, whose weights are params"
    ):
        config(train={"loss": "dice"})


def test_it_is_tried_before_any_job_with_its_own_loss(capsys: pytest.CaptureFixture[str]) -> None:
    (wanted,) = slices.network_checks(config())
    preflight.check(wanted)
    assert capsys.readouterr().err == "", "every parameter gets a gradient"
    (wrong,) = slices.network_checks(config(params={**SLIM, "width": 40}))
    with pytest.raises(ConfigError, match=r"num_channels \(40\) must be divisible by num_groups"):
        preflight.check(wrong)


def test_it_is_trained_predicts_views_and_is_exported(tiny_of: dict[str, Tiny], tmp_path: Path) -> None:
    tiny = tiny_of["segmentation"]
    results = write_results(tiny, tmp_path / "results", network="mask2former", params=SLIM)
    history = pd.read_csv(next(results.glob("train/net/round0/fold0/seed0/history.csv")))
    parts = [f"train_loss_{name}" for name in PARTS]
    assert np.isfinite(history["val_loss"]).all()
    assert history["train_loss"].to_numpy() == pytest.approx(history[parts].sum(axis=1).to_numpy(), rel=1e-4)
    export(results, tmp_path / "bundle")
    paths = list(pd.read_csv(tiny.folds / "test.csv", dtype=str)["path"])
    found = goldfold.load(tmp_path / "bundle").predict(paths)
    assert found.table.drop(columns="path", errors="ignore").shape[0] == len(paths)
