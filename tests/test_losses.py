"""Properties of every loss in the catalog, and their values against references."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from timm.loss import AsymmetricLossMultiLabel, BinaryCrossEntropy
from torch import Tensor
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss

from goldfold import catalog, losses
from goldfold.base.errors import ConfigError
from goldfold.losses import class_weights
from goldfold.losses import classification as label
from goldfold.losses import multilabel as labels
from goldfold.losses import regression as value
from goldfold.losses.bi_tempered import bi_tempered, log_tempered_softmax

MORE: list[tuple[str, Any]] = [
    *((target, {"focal": {"gamma": 0.5}}) for target in ("label", "labels", "mask")),
    *(("label", {"class_balanced": {"over": over}}) for over in ("sigmoid", "focal")),
    ("labels", {"class_balanced": {"over": "focal", "gamma": 0.5}}),
    *((target, {"asymmetric": {"gamma_neg": 0.5, "clip": 0}}) for target in ("label", "labels")),
    *(("label", {"bi_tempered": {"t1": t1, "t2": t2}}) for t1, t2 in ((0, 1), (1, 1), (1, 1.0001), (0.5, 4))),
    ("label", {"focal": {"alpha": [0.5, 2, 0]}}),
]
"""Parameters for which values or gradients might not be finite, and forms that the defaults do not reach."""
EVERY = [*((target, name) for target, names in catalog.LOSSES.items() for name in names), *MORE]
every_loss = pytest.mark.parametrize(("target", "wanted"), EVERY, ids=str)
N, CLASSES, SIDE, COUNTS = 6, 3, 3, [40.0, 5.0, 1.0]


def loss_of(target: str, wanted: Any) -> Callable[..., Tensor]:
    counts = COUNTS if target in ("label", "order", "labels") else None
    return lambda *given: losses.combined(catalog.LOSSES[target], wanted, counts)(*given).total


def outputs(target: str, seed: int, channels: int = CLASSES) -> Tensor:
    """Outputs of a network, float64."""
    maps = (N, channels, SIDE, SIDE)
    shape = {"value": (N,), "mask": maps, "points": maps}.get(target, (N, CLASSES))
    return 3 * torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def targets(target: str, channels: int = CLASSES) -> Iterator[tuple[Tensor, ...]]:
    """Further arguments of a loss: with hard targets, and with soft ones where there are any."""
    drawn = torch.Generator().manual_seed(9)
    if target == "value":
        yield (torch.randn(N, generator=drawn),)
    if target == "mask":
        mask = torch.randint(0, max(channels, 2), (N, SIDE, SIDE), generator=drawn)
        yield (torch.where(torch.rand(mask.shape, generator=drawn) < 0.2, 255, mask),)
    if target == "points":
        is_peak = torch.rand((N, channels, SIDE, SIDE), generator=drawn) < 0.2
        heights = torch.rand(is_peak.shape, generator=drawn)
        yield torch.where(is_peak, 1.0, heights), is_peak
        yield 0.9 * heights, torch.zeros_like(is_peak)
    if target in ("label", "order"):
        hard = torch.eye(CLASSES)[[0, 1, 2, 2, 1, 0]]
        yield (hard,)
        yield (0.7 * hard + 0.3 * hard.flip(1),)
    if target == "labels":
        positive_weight, hard = torch.tensor([1.0, 2.0, 0.5]), torch.tensor([[1.0, 0, 1], [0, 0, 0], [0, 1, 1]] * 2)
        yield hard, positive_weight
        yield 0.9 * hard + 0.05, positive_weight


def arguments(target: str, seed: int = 0) -> Iterator[tuple[Tensor, ...]]:
    for channels in (1, CLASSES) if target == "mask" else (CLASSES,):
        for others in targets(target, channels):
            yield outputs(target, seed, channels), *others


def test_every_target_with_losses_is_swept() -> None:
    swept = {target: names for target, names in catalog.LOSSES.items() if names}
    assert len(EVERY) >= 25 + len(MORE)
    assert all(len(list(arguments(target))) in (1, 2) for target, names in swept.items())


@every_loss
@settings(max_examples=8, deadline=None, derandomize=True)
@given(data=st.data())
def test_values_and_gradients_are_finite_for_logits_of_100(target: str, wanted: Any, data: Any) -> None:
    sizes = st.sampled_from([-100.0, -20.0, 0.0, 1.0, 20.0, 100.0])
    dtype = data.draw(st.sampled_from([torch.float32, torch.bfloat16]))
    for given_outputs, *others in arguments(target):
        n = min(given_outputs.numel(), 18)
        drawn = torch.tensor(data.draw(st.lists(sizes, min_size=n, max_size=n)))
        logits = drawn.repeat(given_outputs.numel() // n + 1)[: given_outputs.numel()].reshape(given_outputs.shape)
        logits = logits.to(dtype).requires_grad_()
        made = loss_of(target, wanted)(logits, *others)
        assert made.dtype == torch.float32
        assert made.shape == (() if target == "mask" else (N,))
        made.sum().backward()
        assert made.isfinite().all()
        assert logits.grad is not None
        assert logits.grad.isfinite().all()


@every_loss
def test_the_gradient_is_that_of_the_value(target: str, wanted: Any) -> None:
    if wanted == "lovasz":
        pytest.skip("smp's Lovasz loss takes no float64")
    for made, *others in arguments(target):
        loss = partial(_with_others, loss_of(target, wanted), others)
        assert torch.autograd.gradcheck(loss, made.requires_grad_(), fast_mode=target == "mask")


def _with_others(loss: Callable[..., Tensor], others: Sequence[Tensor], made: Tensor) -> Tensor:
    return loss(made, *others)


@every_loss
def test_the_mean_over_a_batch_does_not_depend_on_its_order(target: str, wanted: Any) -> None:
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    for made, *others in arguments(target):
        one, other = (
            loss_of(target, wanted)(made[rows], *(part[rows] if len(part) == N else part for part in others)).mean()
            for rows in (torch.arange(N), order)
        )
        assert one.item() == pytest.approx(other.item(), rel=1e-6)


@pytest.mark.parametrize("name", catalog.LOSSES["mask"])
@pytest.mark.parametrize("channels", [1, CLASSES])
def test_ignored_pixels_of_masks_get_no_gradient_and_none_left_is_no_loss(name: str, channels: int) -> None:
    logits = outputs("mask", 0, channels).float().requires_grad_()
    (mask,) = next(targets("mask", channels))
    loss_of("mask", name)(logits, mask).backward()
    assert logits.grad is not None
    assert logits.grad.movedim(1, -1)[mask == 255].abs().max() == 0
    assert logits.grad.abs().max() > 0
    assert loss_of("mask", name)(logits, torch.full_like(mask, 255)).item() == 0


# --- classification and several labels, against references

LOGITS = outputs("label", 1)
(HARD,), (SOFT,) = targets("label")
SETS = next(targets("labels"))[0].double()
ONES = torch.ones(CLASSES)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 3.5])
@pytest.mark.parametrize("alpha", [None, 0.25, 0.9])
def test_focal_of_labels_is_torchvision_s(gamma: float, alpha: float | None) -> None:
    found = labels.focal(LOGITS, SETS, ONES, gamma=gamma, alpha=alpha)
    expected = sigmoid_focal_loss(LOGITS, SETS, alpha=-1 if alpha is None else alpha, gamma=gamma)
    assert torch.allclose(found, expected.mean(dim=1), atol=1e-12)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_of_two_classes_is_torchvision_s_of_the_difference_of_their_logits(gamma: float) -> None:
    two, positive = LOGITS[:, :2], torch.tensor([0.0, 1, 1, 0, 1, 0], dtype=torch.float64)
    rows = torch.stack([1 - positive, positive], dim=1)
    expected = sigmoid_focal_loss(two[:, 1] - two[:, 0], positive, alpha=0.25, gamma=gamma)
    assert torch.allclose(label.focal(two, rows, gamma=gamma, alpha=[0.75, 0.25]), expected, atol=1e-12)


def test_bce_is_timm_s_over_one_hot_rows() -> None:
    expected = BinaryCrossEntropy(smoothing=0.0)(LOGITS, HARD.argmax(dim=1))
    assert label.bce(LOGITS, HARD).mean().item() == pytest.approx(expected.item(), rel=1e-12)


@pytest.mark.parametrize("params", [{}, {"gamma_neg": 2.0, "gamma_pos": 0.0, "clip": 0.0}, {"clip": 0.2}])
def test_asymmetric_is_timm_s(params: dict[str, float]) -> None:
    reference = AsymmetricLossMultiLabel(**{"gamma_neg": 4, "gamma_pos": 1, "clip": 0.05, "eps": 1e-30, **params})
    expected = reference(LOGITS, SETS)
    assert labels.asymmetric(LOGITS, SETS, ONES, **params).mean().item() * CLASSES == pytest.approx(expected.item())
    of_label = label.asymmetric(LOGITS, HARD, **params).mean().item() * CLASSES
    assert of_label == pytest.approx(reference(LOGITS, HARD).item())


ACTIVATIONS = torch.tensor([[-0.5, 0.1, 2.0], [0.1, 1.5, -5.0], [4.0, -3.0, -6.0]], dtype=torch.float64)


def rows(*values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


# tensorflow/loss_test.py of google/bi-tempered-loss (commit 4d12cb2): test_loss_value, test_label_smoothing of 0.1 (which
# keeps 0.9 for the label itself), test_dynamic_temperatures
PUBLISHED = [
    (
        ACTIVATIONS,
        rows([0.2, 0.3, 0.5], [0.6, 0.3, 0.1], [0.2, 0.8, 0.0]),
        0.5,
        1.5,
        [0.02301914, 0.18972909, 0.93874922],
    ),
    (ACTIVATIONS, 0.85 * torch.eye(3).double() + 0.05, 0.5, 1.5, [0.76652711, 0.08627685, 1.35443510]),
    (ACTIVATIONS[:1], rows([0.2, 0.5, 0.3]), 0.9, 1.1, [0.45677936]),
    (ACTIVATIONS[:1], rows([0.2, 0.5, 0.3]), 0.8, 1.2, [0.34298314]),
    (ACTIVATIONS[:1], rows([0.2, 0.5, 0.3]), 0.7, 1.3, [0.26295574]),
]


@pytest.mark.parametrize(("logits", "target", "t1", "t2", "expected"), PUBLISHED)
def test_bi_tempered_equals_the_published_values(
    logits: Tensor, target: Tensor, t1: float, t2: float, expected: list[float]
) -> None:
    assert bi_tempered(logits, target, t1, t2).tolist() == pytest.approx(expected, abs=1e-7)


def test_bi_tempered_with_temperatures_of_one_is_cross_entropy_less_the_entropy_of_the_target() -> None:
    assert torch.allclose(bi_tempered(LOGITS, HARD, 1.0, 1.0), label.cross_entropy(LOGITS, HARD), atol=1e-12)
    entropy = -torch.xlogy(SOFT, SOFT).sum(dim=1)
    assert torch.allclose(bi_tempered(LOGITS, SOFT, 1.0, 1.0), label.cross_entropy(LOGITS, SOFT) - entropy, atol=1e-6)


@pytest.mark.parametrize("t", [1.0, 1.05, 1.5, 2.0, 4.0, 8.0])
@pytest.mark.parametrize(("classes", "scale"), [(2, 100.0), (1000, 1.0), (1000, 0.0), (2000, 10.0)])
def test_the_tempered_softmax_sums_to_one_and_ignores_a_shift(t: float, classes: int, scale: float) -> None:
    logits = scale * torch.randn(8, classes, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = log_tempered_softmax(logits, t)
    assert found.exp().sum(dim=1).tolist() == pytest.approx([1.0] * 8, abs=1e-10)
    assert torch.allclose(log_tempered_softmax(logits + 7, t), found, atol=1e-8)


def test_the_loss_of_an_outlier_is_bounded_by_t1() -> None:
    far = torch.tensor([[1e6, 0.0]])
    assert bi_tempered(far, torch.tensor([[0.0, 1.0]]), t1=0.8, t2=1.0).item() == pytest.approx(5.0 - 1 / 1.2 + 1 / 1.2)


def test_symmetric_cross_entropy_by_hand() -> None:
    # p = (1/4, 3/4), hard target (1, 0): cross-entropy ln 4; reverse -(1/4 ln 1 + 3/4 x (-4)) = 3
    logits, hard = torch.log(torch.tensor([[0.25, 0.75]])), torch.tensor([[1.0, 0.0]])
    found = label.symmetric_cross_entropy(logits, hard, alpha=0.5, beta=2.0, log_zero=-4.0)
    assert found.item() == pytest.approx(0.5 * 1.3862944 + 2 * 3)
    # soft target (1/2, 1/2), above exp(-4): cross-entropies in both directions
    soft = torch.tensor([[0.5, 0.5]])
    expected = -0.5 * (torch.log(torch.tensor(0.25)) + torch.log(torch.tensor(0.75))) - torch.log(torch.tensor(0.5))
    assert label.symmetric_cross_entropy(logits, soft, alpha=1.0).item() == pytest.approx(expected.item())


def test_soft_auc_is_the_logistic_loss_of_each_pair_and_does_without_pairs() -> None:
    scores, hard = torch.tensor([[2.0], [0.5], [1.0], [-1.0]], dtype=torch.float64), rows([1], [1], [0], [0])
    pairs = [functional.softplus(scores[low, 0] - scores[high, 0]).item() for high in (0, 1) for low in (2, 3)]
    each = labels.soft_auc(scores, hard, torch.ones(1))
    assert each.mean().item() == pytest.approx(sum(pairs) / 4)
    assert each[0].item() == pytest.approx(sum(pairs[:2]) / 2), "a sample's part is that of its own pairs"
    alone = labels.soft_auc(scores.requires_grad_(), torch.ones_like(hard), torch.ones(1))
    assert alone.tolist() == [0.0] * 4
    alone.sum().backward()
    assert scores.grad is not None
    assert scores.grad.abs().max() == 0
    better = labels.soft_auc(10 * hard, hard, torch.ones(1)).mean()
    assert better < 1e-4 < labels.soft_auc(-10 * hard, hard, torch.ones(1)).mean()


def test_class_balanced_over_each_loss_is_it_times_the_weight_of_the_class() -> None:
    counts, weights = torch.tensor(COUNTS), class_weights.balanced(torch.tensor(COUNTS), 0.99).double()
    of_row = weights[HARD.argmax(dim=1)]
    softmax = label.class_balanced(LOGITS, HARD, counts, beta=0.99)
    assert torch.allclose(
        softmax, functional.cross_entropy(LOGITS, HARD.argmax(1), weights, reduction="none"), atol=1e-6
    )
    sigmoid = label.class_balanced(LOGITS, HARD, counts, beta=0.99, over="sigmoid")
    assert torch.allclose(sigmoid, of_row * label.bce(LOGITS, HARD), atol=1e-6)
    focal = label.class_balanced(LOGITS, HARD, counts, beta=0.99, over="focal", gamma=1.0)
    expected = sigmoid_focal_loss(LOGITS, HARD.double(), alpha=-1, gamma=1.0).mean(dim=1)
    assert torch.allclose(focal, of_row * expected, atol=1e-6)
    of_sets = labels.class_balanced(LOGITS, SETS, ONES, counts, beta=0.99)
    each = functional.binary_cross_entropy_with_logits(LOGITS, SETS, reduction="none")
    assert torch.allclose(of_sets, (weights * each).mean(dim=1), atol=1e-6)


# --- numbers


def test_losses_of_numbers_by_hand() -> None:
    made, goal = torch.tensor([0.0, 3.0]), torch.tensor([1.0, 0.0])
    assert value.huber(made, goal, delta=2.0).tolist() == [0.5, 2.0 * (3 - 1)]
    assert value.log_cosh(made, goal).tolist() == pytest.approx(torch.tensor([1.0, 3.0]).cosh().log().tolist())
    assert value.quantile(made, goal, quantile=0.9).tolist() == pytest.approx([0.9, 0.3])


# --- parameters out of range


@pytest.mark.parametrize(
    ("target", "wanted", "message"),
    [
        ("label", {"focal": {"gamma": -1}}, "gamma = -1: must be a number of at least 0"),
        ("label", {"focal": {"gamma": "high"}}, "gamma = 'high': must be a number of at least 0"),
        ("label", {"focal": {"alpha": [1, 2]}}, r"alpha = \[1, 2\]: must be a list of 3 numbers, one per class"),
        ("label", {"focal": {"alpha": [1, 2, -1]}}, r"alpha\[2\] = -1: must be a number of at least 0"),
        ("labels", {"focal": {"alpha": 1.5}}, "alpha = 1.5: must be a number from 0 to 1"),
        ("label", {"class_balanced": {"beta": 1}}, "beta = 1: must be a number of at least 0 and below 1"),
        (
            "label",
            {"class_balanced": {"over": "sigmoidd"}},
            "unknown over 'sigmoidd': nearest is 'sigmoid'; allowed: focal, ",
        ),
        ("labels", {"class_balanced": {"over": "softmax"}}, "unknown over 'softmax': .*allowed: focal, sigmoid"),
        ("label", {"bi_tempered": {"t2": 0.9}}, "t2 = 0.9: must be a number of at least 1"),
        ("label", {"bi_tempered": {"t1": 1.1}}, "t1 = 1.1: must be a number from 0 to 1"),
        ("label", {"symmetric_cross_entropy": {"log_zero": 0}}, "log_zero = 0: must be a number below 0"),
        ("labels", {"asymmetric": {"clip": 1.0}}, "clip = 1.0: must be a number of at least 0 and below 1"),
        ("value", {"quantile": {"quantile": 1.0}}, "quantile = 1.0: must be a number above 0 and below 1"),
        ("mask", {"tversky": {"alpha": True}}, "alpha = True: must be a number of at least 0"),
    ],
)
def test_a_parameter_out_of_range_is_refused(target: str, wanted: Any, message: str) -> None:
    loss = losses.combined(catalog.LOSSES[target], wanted, COUNTS)
    with pytest.raises(ConfigError, match=message):
        loss(*next(arguments(target)))
