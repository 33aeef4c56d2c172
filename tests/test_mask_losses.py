"""Losses of masks with their parameters, class weights, deep supervision, and soft or banded pseudo masks."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional

from entries import LOSSES as ALL_LOSSES
from goldfold.base.errors import ConfigError
from goldfold.cases import Batch, Inputs
from goldfold.config import parse
from goldfold.losses.overlap import dice, lovasz, tversky
from goldfold.losses.segmentation import focal, ohem_ce, topk_ce
from goldfold.models import build
from goldfold.models.deep import Deep
from goldfold.samples.window_targets import WindowMasks
from goldfold.targets.mask_coding import Coding
from goldfold.targets.soft_masks import decided, from_text, of_shares, resized, sharpened, to_text
from test_config import BASE, OF_TASK
from test_frames import blank_images
from whole_task import whole

LOSSES = ALL_LOSSES["mask"]
NAMES = ["organ", "lesion"]
SETS = {"name": "segmentation", "mask_values": "bits"}


def drawn(channels: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (2, channels, 6, 5), and indices with a row to ignore."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(0, max(channels, 2), (2, 6, 5), generator=generator)
    target[:, 2] = 255
    return torch.randn(2, channels, 6, 5, generator=generator), target


def shares_of(target: torch.Tensor, channels: int) -> torch.Tensor:
    known = target != 255
    shares = functional.one_hot(target * known, max(channels, 2)).permute(0, 3, 1, 2).float()
    return torch.where(known[:, None], shares[:, 1:] if channels == 1 else shares, torch.tensor(-1.0))


# --- losses


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("channels", [1, 4])
def test_certain_shares_cost_what_indices_cost(name: str, channels: int) -> None:
    logits, target = drawn(channels)
    assert LOSSES[name](logits, shares_of(target, channels)) == pytest.approx(
        LOSSES[name](logits, target).item(), abs=1e-6
    )


@pytest.mark.parametrize("name", LOSSES)
def test_classes_that_overlap_cost_the_mean_of_each_class_alone(name: str) -> None:
    pairs = [drawn(1, seed) for seed in range(3)]
    logits, shares = (
        torch.cat(parts, dim=1) for parts in zip(*((own, shares_of(of, 1)) for own, of in pairs), strict=True)
    )
    value = LOSSES[name](logits.requires_grad_(), shares, overlap=True)
    value.backward()
    if name in ("topk_ce", "ohem_ce"):  # the hardest of all pixels
        assert value >= LOSSES["ce"](logits, shares, overlap=True) - 1e-6
    else:
        assert value.item() == pytest.approx(np.mean([LOSSES[name](own, of).item() for own, of in pairs]), abs=1e-6)
    assert (logits.grad[:, :, 2] == 0).all(), "ignored"
    assert (logits.grad[:, :, 3] != 0).any()
    assert LOSSES[name](logits, torch.full_like(shares, -1.0), overlap=True) == 0


@pytest.mark.parametrize("name", ["ce", "bce", "dice", "jaccard", "tversky"])
def test_the_loss_of_a_soft_target_is_smallest_where_the_network_predicts_it(name: str) -> None:
    target = torch.tensor([0.2, 0.7]).view(1, 2, 1, 1).expand(1, 2, 4, 4)
    right = torch.logit(target)
    value = LOSSES[name](right, target, overlap=True)
    for step in (-0.4, 0.4):
        assert LOSSES[name](right + step, target, overlap=True) > value - 1e-6


def test_weights_of_classes_are_those_of_torch() -> None:
    logits, target = drawn(4)
    weights = torch.tensor([0.1, 1.0, 2.0, 0.9])
    expected = functional.cross_entropy(logits, target, weights, ignore_index=255)
    assert LOSSES["ce"](logits, target, class_weight=weights) == pytest.approx(expected.item(), abs=1e-6)
    assert LOSSES["ce"](logits, shares_of(target, 4), class_weight=weights) == pytest.approx(expected.item(), abs=1e-6)
    one, of = drawn(1)
    values = functional.binary_cross_entropy_with_logits(one[:, 0], (of == 1).float(), reduction="none")
    factors = torch.where(of == 1, 3.0, 0.5) * (of != 255)
    expected = (values * factors).sum() / factors.sum()
    assert LOSSES["ce"](one, of, class_weight=torch.tensor([0.5, 3.0])) == pytest.approx(expected.item(), abs=1e-6)


def test_parameters_of_losses_do_what_they_say() -> None:
    logits, target = drawn(4)
    values = functional.cross_entropy(logits, target, ignore_index=255, reduction="none")[target != 255]
    assert topk_ce(logits, target, share=0.25) == pytest.approx(values.topk(13).values.mean().item(), abs=1e-6)
    hard = values[values > -np.log(0.4)]
    assert ohem_ce(logits, target, threshold=0.4, least=0.01) == pytest.approx(hard.mean().item(), abs=1e-6)
    assert ohem_ce(logits + 99 * shares_of(target, 4).clamp(min=0), target, least=1.0) == pytest.approx(0, abs=1e-4)
    smooth = functional.cross_entropy(logits, target, ignore_index=255, label_smoothing=0.2)
    assert LOSSES["ce"](logits, target, label_smoothing=0.2) == pytest.approx(smooth.item(), abs=1e-6)
    each = [dice(logits[n : n + 1], target[n : n + 1]).item() for n in range(2)]
    assert dice(logits, target, per_image=True) == pytest.approx(np.mean(each), abs=1e-6)
    nothing = torch.full_like(target[:1], 255)
    mixed = torch.cat([target[:1], nothing])
    for loss in (dice, lovasz):
        assert loss(logits, mixed, per_image=True) == pytest.approx(loss(logits[:1], target[:1]).item(), abs=1e-6)
    without = dice(logits, torch.where(target == 255, 255, target.clamp(max=1)), background=False)
    known = target != 255
    p, is_one = logits.softmax(dim=1)[:, 1][known], (target.clamp(max=1) == 1)[known]
    assert without == pytest.approx(1 - 2 * p[is_one].sum().item() / (p.sum() + is_one.sum()).item(), abs=1e-6)
    assert tversky(logits[:, :1], target.clamp(max=1), gamma=2.0) < tversky(logits[:, :1], target.clamp(max=1))
    one, of = drawn(1)
    both = focal(one, of, alpha=0.5), focal(one, of)
    assert both[0] == pytest.approx(both[1].item() / 2, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "params", "channels", "said"),
    [
        (
            "focal",
            {"alpha": 0.3},
            4,
            "alpha is for one class, or for classes that may overlap; set train.class_weights",
        ),
        ("bce", {"positive_weight": [1, 2]}, 1, "positive_weight has 2 values"),
        ("bce", {"positive_weight": 0}, 1, "positive_weight = 0: must be a number above 0"),
        ("topk_ce", {"share": 0}, 1, "share = 0: must be a number above 0 and at most 1"),
        ("ohem_ce", {"threshold": 2}, 1, "threshold = 2: must be a number above 0 and at most 1"),
        ("tversky", {"gamma": 0}, 1, "gamma = 0: must be a number above 0"),
        ("ce", {"label_smoothing": 1}, 1, "label_smoothing = 1"),
        ("lovasz", {"classes": "some"}, 4, "'some'"),
    ],
)
def test_parameters_out_of_range_are_refused(name: str, params: dict[str, Any], channels: int, said: str) -> None:
    with pytest.raises(ConfigError, match=said.replace("(", r"\(")):
        LOSSES[name](*drawn(channels), **params)


# --- targets and weights of a training


def batch_of(masks: list[np.ndarray], task: Any) -> Batch:
    samples = [
        {
            "id": str(n),
            "weight": 1.0,
            "images": np.zeros((1, *mask.shape[:2], 3), np.uint8),
            "present": np.ones(1, bool),
            "mask": mask,
        }
        for n, mask in enumerate(masks)
    ]
    return task.collate(samples)


def test_a_batch_of_sets_costs_what_its_classes_cost() -> None:
    from goldfold.targets.mask_bits import planes

    task = whole(SETS, NAMES)
    sets = np.array([[0, 1, 2, 3], [255, 3, 0, 1]], np.uint8)
    batch = batch_of([planes(sets), planes(sets.T.copy().T)], task)
    assert batch.targets.shape == (2, 2, 2, 4)
    assert set(batch.targets.unique().tolist()) == {0, 254, 255}
    logits = torch.randn(2, 2, 2, 4, generator=torch.Generator().manual_seed(1))
    found = task.loss(loss={"bce": 1.0, "dice": 1.0})(lambda inputs: logits, batch)
    expected = 0.0
    for n in range(2):
        target = torch.from_numpy(np.where(sets == 255, 255, sets >> n & 1).astype(np.int64)).expand(2, 2, 4)
        expected += sum(LOSSES[name](logits[:, n : n + 1], target).item() for name in ("bce", "dice")) / 2
    assert found.total.item() == pytest.approx(expected, abs=1e-6)


def test_class_weights_of_masks_come_from_the_pixels_of_the_training_rows() -> None:
    task = whole({"name": "segmentation"}, ["a", "b"])
    masks = [{"mask": np.array([[0, 0, 0, 1], [0, 2, 255, 255]], np.uint8)}, {"mask": np.zeros((2, 4), np.uint8)}]
    assert task.amounts(masks).tolist() == [12, 1, 1]
    batch = batch_of([one["mask"] for one in masks], task)
    logits = torch.randn(2, 3, 2, 4, generator=torch.Generator().manual_seed(1))
    found = task.loss(loss="ce", class_weights="inverse_frequency", counts=[12.0, 1.0, 1.0])(
        lambda inputs: logits, batch
    )
    weights = torch.tensor([1 / 12, 1, 1]) * 3 / (2 + 1 / 12)
    expected = functional.cross_entropy(logits, batch.targets, weights, ignore_index=255)
    assert found.total.item() == pytest.approx(expected.item(), abs=1e-6)
    given = task.loss(loss="ce", class_weights={"b": 4.0}, counts=None)(lambda inputs: logits, batch)
    expected = functional.cross_entropy(logits, batch.targets, torch.tensor([0.5, 0.5, 2.0]), ignore_index=255)
    assert given.total.item() == pytest.approx(expected.item(), abs=1e-6)
    sets = whole(SETS, NAMES)
    assert sets.amounts([{"mask": np.array([[[0], [1], [3], [255]]], np.uint8)}]).tolist() == [2, 1]


# --- deep supervision


@pytest.mark.parametrize("network", ["unet", "unetplusplus", "manet"])
def test_stages_of_a_decoder_have_outputs_in_training_alone(network: str) -> None:
    params = {"encoder_depth": 3, "decoder_channels": [16, 8, 8]}
    how = {"backbone": "resnet10t", "n_classes": 2, "in_channels": 3, "image_size": (32, 32)}
    model = build(network, **how, **params, deep_supervision=True)
    images = torch.randn(2, 3, 32, 32)
    outputs = model.train()(images)
    assert isinstance(outputs, Deep)
    assert [tuple(one.shape[-2:]) for one in outputs.logits] == [(32, 32), (16, 16), (8, 8)]
    assert outputs.weights == pytest.approx([4 / 7, 2 / 7, 1 / 7])
    task = whole(SETS, NAMES)
    batch = Batch(("a", "b"), Inputs.of(images), torch.zeros(2, 2, 32, 32, dtype=torch.uint8), torch.ones(2))
    found = task.loss(loss="ce")(lambda inputs: outputs, batch)
    shares = torch.zeros(2, 2, 32, 32)
    expected = sum(weight * LOSSES["ce"](one, shares, overlap=True) for one, weight in outputs.depths((32, 32)))
    assert found.total.item() == pytest.approx(expected.item(), abs=1e-6)
    found.total.backward()
    assert all(part.grad is not None for part in model.parameters())
    logits = model.eval()(images)
    assert logits.shape == (2, 2, 32, 32)
    plain = build(network, **how, **params).eval()
    plain.load_state_dict({key: value for key, value in model.state_dict().items() if not key.startswith("deep_heads")})
    assert torch.equal(plain(images), logits)


@pytest.mark.parametrize(
    ("network", "wanted", "said"),
    [
        ("fpn", True, "network 'fpn' has no decoder for it; use unet, unetplusplus, manet"),
        ("unet", [0.5, 0.25, 0.1], "the decoder has 2 stages before its output, and there are 3 weights"),
        ("unet", [2.0], "weights above 0 and at most 1"),
        ("unet", "yes", "weights above 0 and at most 1"),
    ],
)
def test_deep_supervision_that_cannot_be_is_refused(network: str, wanted: Any, said: str) -> None:
    params = {} if network == "fpn" else {"encoder_depth": 3, "decoder_channels": [16, 8, 8]}
    with pytest.raises(ConfigError, match=said):
        build(
            network,
            backbone="resnet10t",
            n_classes=1,
            in_channels=3,
            image_size=(64, 64),
            deep_supervision=wanted,
            **params,
        )


# --- pseudo masks


def predicted(task: Any, shares: Any, size: tuple[int, int] = (2, 3)) -> dict[str, Any]:
    """Maps of images x, y, ... of a size, from shares (images, maps, height, width)."""
    ids = list("xyzw"[: len(shares)])
    entries = {"ids": np.array(ids), "classes": np.array(task.classes), "sizes": np.array([size] * len(ids), np.int32)}
    return entries | {f"maps/{row}": np.round(np.asarray(one) * 255).astype(np.uint8) for row, one in enumerate(shares)}


def targets_of(task: Any, pseudo: pd.DataFrame, folder: Path, size: tuple[int, int] = (2, 3)) -> list[np.ndarray]:
    pseudo.to_csv(folder / "pseudo.csv", index=False)
    rows = pd.read_csv(folder / "pseudo.csv", dtype=str, keep_default_na=False)
    images = blank_images(folder / "cache", list(rows["id"]), [size] * len(rows), size, "squash")
    return [fields["mask"] for fields in task.targets(rows, images, "squash")]


def test_pixels_within_the_band_are_ignored_and_the_others_are_decided(tmp_path: Path) -> None:
    shares = [[[[0.1, 0.29, 0.31], [0.69, 0.71, 1.0]]], [[[0.5, 0.5, 0.5], [0.5, 0.5, 0.9]]]]
    task = whole({"name": "segmentation"}, ["cell"])
    found = task.pseudo_labels(predicted(task, shares), 0.95, ignore_band=[0.3, 0.7])
    assert found["id"].tolist() == ["x"], "most of y is undecided"
    assert found["sure"].tolist() == pytest.approx([4 / 6], abs=1e-5)
    assert targets_of(task, found, tmp_path)[0].tolist() == [[0, 0, 255], [255, 1, 1]]
    lax = task.pseudo_labels(predicted(task, shares), 0.95, ignore_band=[0.3, 0.7], least_decided=0.1)
    assert lax["id"].tolist() == ["x", "y"]
    several = whole({"name": "segmentation"}, NAMES)
    pair = [[[[0.1, 0.2, 0.5], [0.0, 0.8, 0.0]], [[0.1, 0.75, 0.3], [0.9, 0.1, 0.0]]]]
    made = several.pseudo_labels(predicted(several, pair), 0.95, ignore_band=[0.3, 0.7])
    assert targets_of(several, made, tmp_path)[0].tolist() == [[0, 2, 255], [2, 1, 0]]


def test_a_pixel_is_ignored_for_all_classes_where_one_is_undecided(tmp_path: Path) -> None:
    task = whole(SETS, NAMES)
    pair = [[[[0.1, 0.9, 0.5], [0.0, 0.8, 0.2]], [[0.1, 0.9, 0.9], [0.9, 0.6, 0.1]]]]
    found = task.pseudo_labels(predicted(task, pair), 0.95, ignore_band=[0.3, 0.7])
    assert targets_of(task, found, tmp_path)[0][..., 0].tolist() == [[0, 3, 255], [2, 255, 0]]
    by_threshold = task.pseudo_labels(predicted(task, pair), 0.7)
    assert by_threshold["sure"].tolist() == pytest.approx([4 / 6], abs=1e-5)
    assert by_threshold["confidence"].tolist() == pytest.approx([0.875], abs=0.01)


@pytest.mark.parametrize("spec", [{"name": "segmentation"}, SETS])
def test_soft_masks_are_the_probabilities_of_the_teacher(spec: dict[str, Any], tmp_path: Path) -> None:
    task = whole(spec, NAMES)
    shares = np.random.default_rng(0).dirichlet([0.5] * 3, (2, 4, 6)).transpose(0, 3, 1, 2)[:, 1:]
    made = predicted(task, shares, (4, 6))
    found = task.pseudo_labels(made, 0.0, soft={"power": 1.0, "floor": 0.0})
    assert "rle" not in found
    masks = targets_of(task, found, tmp_path, (4, 6))
    assert masks[0].shape == (4, 6, 2)
    batch = batch_of(masks, task)
    logits = torch.zeros(2, 2 if spec is SETS else 3, 4, 6)
    seen: list[torch.Tensor] = []
    task.loss(loss="ce")(lambda inputs: seen.append(logits) or logits, batch)
    levels = torch.from_numpy(masks[0].transpose(2, 0, 1)).float() / 254
    assert levels.numpy() == pytest.approx(shares[0], abs=0.005)
    banded = task.pseudo_labels(made, 0.0, soft={"power": 1.0, "floor": 0.0}, ignore_band=[0.4, 0.6], least_decided=0.0)
    ignored = (targets_of(task, banded, tmp_path, (4, 6))[0] == 255).all(axis=2)
    stored = made["maps/0"] / 255
    inside = (stored > 0.4) & (stored < 0.6)
    assert np.array_equal(
        ignored, inside.any(axis=0) if spec is SETS else (stored.max(axis=0) > 0.4) & (stored.max(axis=0) < 0.6)
    )
    assert 0 < ignored.mean() < 1
    assert task.presence([{"mask": masks[0]}]).shape == (1, 2)


def test_true_masks_in_a_training_with_soft_ones_stay_certain(tmp_path: Path) -> None:
    task = whole({"name": "segmentation"}, NAMES)
    soft = to_text(of_shares(np.full((2, 2, 3), 0.25), np.ones((2, 3), bool)))
    hard = task.coding.to_text(np.array([[0, 1, 2], [255, 0, 1]], np.uint8))
    table = pd.DataFrame({"id": ["x", "y"], "width": "3", "height": "2", "rle": [hard, ""], "soft": ["", soft]})
    images = blank_images(tmp_path, ["x", "y"], [(2, 3)] * 2, (2, 3), "squash")
    first, second = (fields["mask"] for fields in task.targets(table, images, "squash"))
    assert first.transpose(2, 0, 1).tolist() == [[[0, 254, 0], [255, 0, 254]], [[0, 0, 254], [255, 0, 0]]]
    assert set(second.ravel().tolist()) == {64}
    batch = batch_of([first, second], task)
    logits = torch.randn(2, 3, 2, 3, generator=torch.Generator().manual_seed(0))
    found = task.loss(loss="ce")(lambda inputs: logits, batch).total
    target = torch.tensor([[0, 1, 2], [255, 0, 1]])
    certain = functional.cross_entropy(logits[:1], target[None], ignore_index=255, reduction="sum")
    uncertain = -(torch.tensor([126, 64, 64.0]).view(3, 1, 1) / 254 * logits[1].log_softmax(dim=0)).sum()
    assert found.item() == pytest.approx(((certain + uncertain) / 11).item(), abs=1e-5)


def test_soft_masks_are_resized_between_their_decided_pixels() -> None:
    levels = of_shares(np.array([[[0.2, 0.2, 1.0, 1.0]] * 4]), np.array([[True, True, True, False]] * 4))
    assert np.array_equal(from_text(to_text(levels)), levels)
    twice = resized(levels, (8, 8))
    assert twice[0, 0, :3].tolist() == [51, 51, 51]
    assert (twice[0, :, 7] == 255).all()
    assert (twice[0, :, 5] == 254).all(), "an ignored neighbour counts for nothing"
    assert sharpened(np.array([0.5, 0.3, 0.2]), 1, 0.25).tolist() == pytest.approx([0.625, 0.375, 0])


@pytest.mark.parametrize(
    ("teacher", "said"),
    [
        ({"ignore_band": [0.7, 0.3]}, "write two limits from 0 to 1, the lower one first"),
        ({"ignore_band": [0.6, 0.9]}, "must contain 0.5"),
        ({"ignore_band": [0.3, 0.7], "threshold": 0.9}, "threshold: ignore_band has the limits instead"),
        ({"least_decided": 2}, "least_decided = 2: must be at most 1"),
        ({"top_k": 5}, "top_k: task 'segmentation' chooses parts of images"),
    ],
)
def test_pseudo_masks_that_cannot_be_are_refused(teacher: dict[str, Any], said: str) -> None:
    data = {**OF_TASK["segmentation"]["data"], "unlabeled": "u"}
    settings = {**BASE, "task": "segmentation", **OF_TASK["segmentation"], "data": data}
    parse(
        {**settings, "rounds": [{}, {"teacher": {"labels": "soft", "ignore_band": [0.3, 0.7], "least_decided": 0.2}}]}
    )
    with pytest.raises(ConfigError, match=said):
        parse({**settings, "rounds": [{}, {"teacher": teacher}]})


def test_bands_are_for_masks_alone() -> None:
    settings = {**BASE, "rounds": [{}, {"teacher": {"ignore_band": [0.3, 0.7]}}]}
    with pytest.raises(ConfigError, match="ignore_band: task 'classification' has no masks"):
        parse(settings)


def test_windows_are_placed_around_the_right_classes_of_soft_masks_without_background() -> None:
    """The first of the classes is not stored: it has what the others leave."""
    coding: Any = Coding(NAMES, {"organ": 0, "lesion": 1}, 255)
    levels = np.array([[[0, 254, 150, 100, 255]]], np.uint8)
    assert decided(levels, coding)[:, 0].tolist() == [
        [True, False, False, True, False],
        [False, True, True, False, False],
    ]
    masks: Any = SimpleNamespace(coding=coding, ids=["a"], part=lambda row, box: levels.transpose(1, 2, 0))
    images: Any = SimpleNamespace(size=lambda id: (1, 5))
    columns = [places[:, 1].tolist() for places in WindowMasks(masks, images).places(0)]
    assert columns == [[0, 3], [1, 2]]
