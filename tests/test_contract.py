"""One suite over every entry of every registry: a new entry is held to it without a line added here."""

import inspect
import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn import metrics as sk

from conftest import COCO, MASKS, write_scenes
from entries import AUGMENTATIONS, NETWORKS, VIEWS
from entries import LOSSES as ALL_LOSSES
from entries import METHODS as ALL_METHODS
from entries import METRICS as ALL_METRICS
from goldfold import catalog, components, losses, models, sources, tasks
from goldfold.base.errors import ConfigError
from goldfold.catalog import SCHEDULES, SOURCES, SPLITTERS, TASKS
from goldfold.ensembling import maps
from goldfold.inference import views
from goldfold.losses.classification import focal
from goldfold.metrics.classification import Labelled
from goldfold.metrics.segmentation import Overlap, count
from goldfold.optim import build_optimizer, build_schedule
from goldfold.samples.transforms import FLIPS, Augment
from goldfold.splits.splitting import UNKEPT, split
from test_bad_targets import write_voc
from whole_task import classification, whole

LOSSES, METRICS, MASK_METRICS = ALL_LOSSES["label"], ALL_METRICS["label"], ALL_METRICS["mask"]
COUNTED = [name for name in MASK_METRICS if name not in catalog.OF_MASKS]
METHODS, PIXELWISE = ALL_METHODS["label"], ALL_METHODS["mask"]

every = pytest.mark.parametrize


def test_the_suite_sees_every_registry() -> None:
    sizes = {
        "models": len(NETWORKS),
        "classifiers": len(CLASSIFIERS),
        "losses": len(LOSSES),
        "metrics": len(METRICS),
        "metrics of masks": len(MASK_METRICS),
        "schedules": len(SCHEDULES),
        "splitters": len(SPLITTERS),
        "methods": len(METHODS),
        "methods for boxes": len(ALL_METHODS["boxes"]),
        "views": len(VIEWS),
        "presets": len(AUGMENTATIONS),
        "sources": len(SOURCES),
        "tasks": len(TASKS),
    }
    least = dict(zip(sizes, (21, 6, 2, 6, 4, 5, 4, 4, 4, 14, 4, 8, 3), strict=True))
    assert all(sizes[name] >= least[name] for name in sizes), sizes
    assert {len(tasks.facts(name).metrics) > 0 for name in TASKS} == {True}


# --- networks

CLASSIFIERS = [name for name in catalog.NETWORKS["values"] if name != "clip"]
"""Networks for one label an image; those for masks and boxes are held to their own in test_networks, and clip, which needs a
checkpoint, in test_clip."""


def builder(name: str) -> Callable[..., torch.nn.Module]:
    """The function that makes a network."""
    return components.load(name, NETWORKS, "network")


@every("name", NETWORKS)
def test_each_network_takes_what_goldfold_says_of_data_and_task(name: str) -> None:
    assert {"n_classes", "in_channels", "image_size"} <= set(inspect.signature(builder(name)).parameters)


LESS: dict[str, dict[str, Any]] = {"timm": {"backbone": "test_resnet"}, "densenet7x7": {"layers": (1, 2)}}
"""Parameters without defaults; and fewer layers than by default, which take seconds (see `test_small_networks`)."""


def network(name: str, channels: int = 3, n_classes: int = 3, **params: Any) -> torch.nn.Module:
    """From its defaults, inside goldfold's wrapping, all weights drawn so that none blocks a gradient."""
    params = {**LESS.get(name, {}), **params}
    torch.manual_seed(0)
    task = classification([f"c{i}" for i in range(n_classes)])
    built = task.model(name, (32, 32), channels, **params)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return built


def batch_of_images(channels: int = 3, n: int = 4) -> torch.Tensor:
    return torch.randint(0, 256, (n, channels, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@every("name", CLASSIFIERS)
@every("channels", [1, 3])
@every("n_classes", [2, 5])
def test_network_gives_one_logit_a_class_for_uint8_images(name: str, channels: int, n_classes: int) -> None:
    logits = network(name, channels, n_classes)(batch_of_images(channels))
    assert logits.shape == (4, n_classes)
    assert logits.dtype == torch.float32
    assert torch.isfinite(logits).all()
    assert (logits[0] != logits[1]).any(), "the output depends on the image"


@every("name", CLASSIFIERS)
def test_every_parameter_of_a_network_gets_a_gradient(name: str) -> None:
    model = network(name)
    model(batch_of_images()).square().sum().backward()
    named = dict(model.named_parameters())
    assert len(named) > 10
    without = [key for key, value in named.items() if value.grad is None or not value.grad.abs().sum() > 0]
    assert without == []


@every("name", CLASSIFIERS)
def test_network_is_finite_in_bf16_and_near_its_fp32_output(name: str) -> None:
    model = network(name).eval()
    with torch.inference_mode():
        exact = model(batch_of_images())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = model(batch_of_images()).float()
    assert torch.isfinite(half).all()
    assert (half - exact).abs().max() < 0.1 * exact.abs().max() + 0.1


@every("name", CLASSIFIERS)
def test_network_saved_and_loaded_gives_the_same_output(name: str, tmp_path: Path) -> None:
    model = network(name)
    model(batch_of_images())  # moves the running statistics, which must travel too
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, tmp_path / "w.safetensors")
    other = network(name)
    assert not torch.equal(other.eval()(batch_of_images()), model.eval()(batch_of_images()))
    other.load_state_dict(load_file(tmp_path / "w.safetensors"))
    assert torch.equal(other(batch_of_images()), model(batch_of_images()))


@every("name", CLASSIFIERS)
def test_dropout_of_a_network_acts_in_training_only(name: str) -> None:
    model = network(name, dropout=0.5)
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.momentum = 0.0
    assert not torch.equal(model(batch_of_images()), model(batch_of_images()))
    model.eval()
    assert torch.equal(model(batch_of_images()), model(batch_of_images()))


@every("name", CLASSIFIERS)
def test_network_that_gets_an_unknown_parameter_says_which(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"network '{name}' does not take these parameters: .*no_such.*models\[\]"):
        network(name, no_such=1)


def test_own_network_is_found_by_module_and_function_and_named_where_it_is_not() -> None:
    assert models.build("torch.nn:Linear", in_features=2, out_features=3).out_features == 3
    with pytest.raises(ConfigError, match=r"network 'torch\.nn:Linnear': .*must be importable"):
        models.build("torch.nn:Linnear")
    with pytest.raises(ConfigError, match=r"network 'no_such_module:f': No module named 'no_such_module'"):
        models.build("no_such_module:f")


def test_normalisation_is_on_the_inside_with_the_network_s_own_mean_and_std() -> None:
    model = network("timm")
    inner = model.network
    assert tuple(model.mean.flatten().tolist()) == pytest.approx(inner.mean)
    images = batch_of_images()
    by_hand = (images.float() / 255 - torch.tensor(inner.mean).view(1, 3, 1, 1)) / torch.tensor(inner.std).view(
        1, 3, 1, 1
    )
    assert torch.allclose(inner.eval()(by_hand), model.eval()(images), atol=1e-5)


def test_small_resnet_refuses_images_it_cannot_halve() -> None:
    with pytest.raises(ConfigError, match=r"small_resnet needs images of at least 8 pixels, not \(4, 4\)"):
        models.build("small_resnet", n_classes=2, in_channels=1, image_size=(4, 4))


# --- losses


def logits_for(labels: torch.Tensor, n_classes: int, strength: float) -> torch.Tensor:
    return strength * (2 * torch.nn.functional.one_hot(labels, n_classes).float() - 1)


LABELS = torch.tensor([0, 1, 2, 2, 1, 0])
HARD = torch.nn.functional.one_hot(LABELS, 3).float()


def criterion(name: str) -> Callable[..., torch.Tensor]:
    """Loss of labels by name, a value per sample."""
    return lambda *given: losses.combined(catalog.LOSSES["label"], name, [2.0, 2.0, 2.0])(*given).total


LINEAR = [
    name for name in LOSSES if name not in ("bi_tempered", "class_balanced", "soft_auc", "symmetric_cross_entropy")
]
"""Losses that are linear in the target: not a divergence, weighted by the target, over pairs, or with its logarithm."""


@every("name", LOSSES)
def test_loss_gives_one_finite_non_negative_value_a_sample(name: str) -> None:
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)) * 20
    soft = torch.softmax(torch.randn(6, 3, generator=torch.Generator().manual_seed(1)), 1)
    for target in (HARD, soft):
        values = criterion(name)(logits, target)
        assert values.shape == (6,)
        assert torch.isfinite(values).all()
        assert (values >= 0).all()


@every("name", LOSSES)
def test_loss_falls_as_the_logits_become_more_right(name: str) -> None:
    means = [criterion(name)(logits_for(LABELS, 3, strength), HARD).mean().item() for strength in (-3, -1, 0, 1, 3)]
    assert means == sorted(means, reverse=True)
    assert len(set(means)) == 5
    assert criterion(name)(logits_for(LABELS, 3, 50.0), HARD).max() < 1e-6


@every("name", LINEAR)
def test_loss_with_soft_targets_is_the_mix_of_its_hard_ones(name: str) -> None:
    logits, loss = (
        torch.randn(6, 3, generator=torch.Generator().manual_seed(0)),
        criterion(name),
    )
    mixed = loss(logits, 0.3 * HARD + 0.7 * HARD.flip(0))
    assert torch.allclose(mixed, 0.3 * loss(logits, HARD) + 0.7 * loss(logits, HARD.flip(0)), atol=1e-6)


@every("name", LOSSES)
def test_loss_stays_finite_in_bf16_and_for_huge_logits_and_has_a_gradient(name: str) -> None:
    logits = (1e4 * torch.randn(6, 3, generator=torch.Generator().manual_seed(0))).requires_grad_()
    criterion(name)(logits, HARD).sum().backward()
    assert torch.isfinite(logits.grad).all()
    values = criterion(name)(torch.randn(6, 3).bfloat16(), HARD)
    assert values.dtype == torch.float32
    assert torch.isfinite(values).all()


def test_cross_entropy_is_torch_s_and_focal_without_focus_is_cross_entropy() -> None:
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.cross_entropy(logits, LABELS, reduction="none")
    assert torch.allclose(criterion("cross_entropy")(logits, HARD), expected, atol=1e-6)
    assert torch.allclose(focal(logits, HARD, gamma=0.0), expected, atol=1e-6)


def test_focal_equals_its_formula() -> None:
    # gamma 2, p = 0.25 by hand: (1 - 0.25)^2 * -ln(0.25) = 0.779790...
    logits = torch.log(torch.tensor([[0.25, 0.75]]))
    assert criterion("focal")(logits, torch.tensor([[1.0, 0.0]])).item() == pytest.approx(0.5625 * math.log(4))


# --- metrics


def cases(n_classes: int, seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities with ties, and labels of every class."""
    generator = np.random.default_rng(seed)
    raw = generator.integers(1, 5, (n, n_classes)).astype(float)
    return raw / raw.sum(axis=1, keepdims=True), np.arange(n) % n_classes


def value(name: str, probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The metric of all rows."""
    return METRICS[name].value(Labelled(probabilities, labels), np.arange(len(labels)))


@every("name", METRICS)
@every("n_classes", [2, 4])
def test_perfect_prediction_is_the_best_there_is(name: str, n_classes: int) -> None:
    metric, labels = METRICS[name], np.arange(24) % n_classes
    perfect = value(name, np.eye(n_classes)[labels], labels)
    best = 0.2 if name == "auc_above_tpr" else 1.0
    assert perfect == pytest.approx(best if metric.greater_is_better else 0.0, abs=1e-9)
    for seed in range(5):
        other = value(name, *cases(n_classes, seed))
        assert other < perfect if metric.greater_is_better else other > perfect


IN_PART = ("partial_auc", "auc_above_tpr")
"""Metrics of a part of the curve, which need not see every change."""


@every("name", [name for name in METRICS if name not in IN_PART])
@every("n_classes", [2, 4])
def test_metric_improves_when_a_wrong_prediction_is_put_right(name: str, n_classes: int) -> None:
    metric = METRICS[name]
    values, labels = cases(n_classes, seed=3)
    wrong = np.flatnonzero(values.argmax(axis=1) != labels)
    assert len(wrong) > 10
    for row in wrong[:5]:
        better = values.copy()
        better[row] = np.eye(n_classes)[labels[row]]
        gain = value(name, better, labels) - value(name, values, labels)
        assert gain > 0 if metric.greater_is_better else gain < 0


SKLEARN: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "accuracy": lambda y, p: sk.accuracy_score(y, p.argmax(1)),
    "balanced_accuracy": lambda y, p: sk.balanced_accuracy_score(y, p.argmax(1)),
    "f1_macro": lambda y, p: sk.f1_score(y, p.argmax(1), average="macro"),
    "f1_micro": lambda y, p: sk.f1_score(y, p.argmax(1), average="micro"),
    "log_loss": lambda y, p: sk.log_loss(y, p),
    "quadratic_kappa": lambda y, p: sk.cohen_kappa_score(y, p.argmax(1), weights="quadratic"),
    "roc_auc": lambda y, p: (
        sk.roc_auc_score(y, p[:, 1]) if p.shape[1] == 2 else sk.roc_auc_score(y, p, multi_class="ovr")
    ),
    "average_precision": lambda y, p: against_rest(sk.average_precision_score, y, p),
    "partial_auc": lambda y, p: against_rest(lambda true, s: sk.roc_auc_score(true, s, max_fpr=0.1), y, p),
    "auc_above_tpr": lambda y, p: against_rest(area_above, y, p),
    "pf1": lambda y, p: against_rest(lambda true, s: 2 * s[true].sum() / (s.sum() + true.sum()), y, p),
    "f1": lambda y, p: sk.f1_score(y, p.argmax(1), average="binary" if p.shape[1] == 2 else "macro"),
    "mcc": lambda y, p: sk.matthews_corrcoef(y, p.argmax(1)),
    "map_at_k": lambda y, p: np.mean([
        1 / rank if (rank := (row >= row[true]).sum()) <= 5 else 0 for row, true in zip(p, y, strict=True)
    ]),
    "gap": lambda y, p: sk.average_precision_score(y == p.argmax(1), p.max(1)) * (y == p.argmax(1)).mean(),
}  # fmt: skip


def against_rest(function: Callable[..., Any], y: np.ndarray, p: np.ndarray) -> float:
    return float(np.mean([function(y == c, p[:, c]) for c in ([1] if p.shape[1] == 2 else range(p.shape[1]))]))


def area_above(is_positive: np.ndarray, scores: np.ndarray) -> float:
    """Area between the ROC curve and a true positive rate of 0.8, by true positive rate."""
    fpr, tpr, _ = sk.roc_curve(is_positive, scores, drop_intermediate=False)
    above = tpr > 0.8
    width = 1 - np.append(np.interp(0.8, tpr, fpr), fpr[above])
    return float(np.trapezoid(width, np.append(0.8, tpr[above])))


@every("name", METRICS)
@every("n_classes", [2, 3, 5])
@every("seed", range(4))
def test_metric_agrees_with_scikit_learn(name: str, n_classes: int, seed: int) -> None:
    values, labels = cases(n_classes, seed)
    labels = np.random.default_rng(seed).permutation(labels)
    assert value(name, values, labels) == pytest.approx(SKLEARN[name](labels, values), abs=1e-12)


@every("name", METRICS)
def test_metric_of_labels_looks_at_the_most_probable_class_only(name: str) -> None:
    values, labels = cases(3, seed=0)
    values = values + 0.01 * np.arange(3)  # no ties
    values /= values.sum(axis=1, keepdims=True)
    sharper = values**2 / (values**2).sum(axis=1, keepdims=True)
    same = value(name, values, labels) == value(name, sharper, labels)
    assert same == (METRICS[name].of_labels or name == "map_at_k"), "ranks within an image stay"
    assert METRICS[name].name == name


@every("name", METRICS)
def test_metric_is_a_plain_number_where_a_resample_lacks_a_class(name: str) -> None:
    values, labels = cases(3, seed=0)
    keep = labels != 2
    assert isinstance(value(name, values[keep], labels[keep]), float)
    assert np.isfinite(value(name, values[keep], labels[keep]))


@every("name", METRICS)
def test_metric_of_some_rows_is_that_of_these_images_as_often_as_they_are_drawn(name: str) -> None:
    values, labels = cases(3, seed=0)
    rows = np.random.default_rng(0).integers(60, size=60)
    drawn = METRICS[name].value(Labelled(values, labels), rows)
    assert drawn == pytest.approx(value(name, values[rows], labels[rows]), abs=1e-12)
    assert len(Labelled(values, labels)) == 60


# --- metrics of masks, of images of a background and three classes, of which one is ignored in places


def masks(seed: int, n: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and true masks (n, 12, 10) of channels 0 to 3; 255 in the truth counts for nothing; one image is empty."""
    generator = np.random.default_rng(seed)
    true = np.where(generator.random((n, 12, 10)) < 0.1, 255, generator.integers(0, 4, (n, 12, 10)))
    found = np.where(generator.random(true.shape) < 0.6, true % 255, generator.integers(0, 4, true.shape))
    true[0], found[0], found[1] = 0, 0, 0
    return found, true


def overlap(found: np.ndarray, true: np.ndarray) -> Overlap:
    counts = [count(mask, of, 1, 3, 255) for mask, of in zip(found, true, strict=True)]
    return Overlap(*(np.array([image[part] for image in counts]) for part in range(3)))


def by_scikit_learn(name: str, found: np.ndarray, true: np.ndarray) -> float:
    """Mean over the classes that truth or prediction have, over the set or image by image."""
    ratio = sk.f1_score if name.startswith("dice") else sk.jaccard_score

    def of(pixels: np.ndarray, truth: np.ndarray) -> float:
        seen = truth != 255
        present = sorted({*np.unique(pixels[seen]), *np.unique(truth[seen])} - {0})
        return ratio(truth[seen], pixels[seen], labels=present, average="macro") if present else 1.0

    return float(np.mean([of(*pair) for pair in zip(found, true, strict=True)])) if "image" in name else of(found, true)


@every("name", COUNTED)
@every("seed", range(4))
def test_metric_of_masks_agrees_with_scikit_learn_pixel_by_pixel(name: str, seed: int) -> None:
    found, true = masks(seed)
    evidence = overlap(found, true)
    assert len(evidence) == 8
    assert MASK_METRICS[name].name == name
    got = MASK_METRICS[name].value(evidence, np.arange(8))
    assert got == pytest.approx(by_scikit_learn(name, found, true), abs=1e-12)
    rows = np.random.default_rng(seed).integers(8, size=8)
    drawn = MASK_METRICS[name].value(evidence, rows)
    assert drawn == pytest.approx(by_scikit_learn(name, found[rows], true[rows]), abs=1e-12)


@every("name", COUNTED)
def test_right_masks_have_the_best_score_and_a_wrong_pixel_costs(name: str) -> None:
    metric, (_, true) = MASK_METRICS[name], masks(0)
    right = np.where(true == 255, 2, true)
    assert metric.value(overlap(right, true), np.arange(8)) == 1
    assert metric.greater_is_better
    wrong = right.copy()
    wrong[3][true[3] == 1] = 2
    assert 0 < metric.value(overlap(wrong, true), np.arange(8)) < 1
    nothing = np.zeros_like(true)
    empty = overlap(nothing[:2], nothing[:2])
    assert metric.value(empty, np.arange(2)) == pytest.approx(1.0 if "image" in name else math.nan, nan_ok=True)


# --- schedules


def rates(name: str, steps: int, warmup: int, lr: float = 0.5, optimizer: Any = None) -> list[float]:
    optimizer = optimizer or torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    schedule, seen = build_schedule(name, optimizer, steps, warmup), []
    for update in range(steps):
        schedule.step(update)
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
    return seen


@every("name", SCHEDULES)
@every(("steps", "warmup"), [(100, 10), (100, 0), (7, 2), (2, 1), (1, 0)])
def test_schedule_is_never_negative_nor_above_its_peak(name: str, steps: int, warmup: int) -> None:
    seen = rates(name, steps, warmup)
    assert len(seen) == steps
    assert min(seen) >= 0
    assert max(seen) <= 0.5 * (1 + 1e-9)
    assert max(seen) > 0


@every("name", [name for name in SCHEDULES if name != "cyclic"])
def test_schedule_rises_through_warm_up_reaches_its_peak_and_ends_low(name: str) -> None:
    seen = rates(name, 100, 10)
    rising = seen[:10]
    assert all(later > earlier for earlier, later in pairwise(rising))
    assert max(seen) == pytest.approx(0.5, rel=0.01)
    if name in ("constant", "plateau"):  # the latter without a score
        assert seen[10:] == pytest.approx([0.5] * 90)
    else:
        assert seen[-1] < 0.05 * max(seen)
        after = seen[seen.index(max(seen)) :]
        assert all(later <= earlier * (1 + 1e-9) for earlier, later in pairwise(after))


@every("name", SCHEDULES)
def test_schedule_counts_optimizer_steps_so_that_twice_the_steps_is_the_same_curve(name: str) -> None:
    short, long = rates(name, 100, 10), rates(name, 200, 20)
    near = np.interp(np.linspace(0, 1, 40), np.linspace(0, 1, 200), long)
    assert np.interp(np.linspace(0, 1, 40), np.linspace(0, 1, 100), short) == pytest.approx(near, abs=0.06)


@every("name", SCHEDULES)
def test_schedule_works_with_an_optimizer_that_has_no_momentum(name: str) -> None:
    optimizer = torch.optim.Adadelta([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    assert max(rates(name, 50, 5, optimizer=optimizer)) == pytest.approx(0.5, rel=0.05)


@every("name", SCHEDULES)
def test_schedule_leaves_the_ratio_between_parameter_groups_alone(name: str) -> None:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (0.5, 0.05)]
    optimizer = torch.optim.AdamW(groups)
    schedule = build_schedule(name, optimizer, 50, 0)
    for update in range(30):
        schedule.step(update)
        first, second = (group["lr"] for group in optimizer.param_groups)
        assert first == pytest.approx(10 * second, rel=0.02)
        optimizer.step()


# --- splitters


def table_of(n: int = 60, seed: int = 0) -> pd.DataFrame:
    """Labels, groups of about three images that mix classes, and ready-made folds."""
    generator = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "id": [f"i{number:03d}" for number in generator.permutation(n)],
            "label": [str(number % 3) for number in range(n)],
            "group": [f"g{number // 3}" for number in generator.permutation(n)],
            "fold": [str(number % 4) for number in range(n)],
            "order": [str(number) for number in range(n)],
        }
    )


def table_for(splitter: str) -> pd.DataFrame:
    """Groups only where the splitter keeps them together: it is an error to hand them to another."""
    return table_of() if "group" in splitter else table_of().drop(columns="group")


def folds_of(splitter: str, seed: int = 0) -> np.ndarray:
    table = table_for(splitter)
    return split(table, classification(["0", "1", "2"]).content(table), splitter, 4, seed=seed)


@every("name", SPLITTERS)
def test_splitter_puts_every_image_into_one_of_the_folds(name: str) -> None:
    folds = folds_of(name)
    assert folds.shape == (60,)
    assert set(folds) == {0, 1, 2, 3} | ({-1} if name == "ordered" else set())


@every("name", SPLITTERS)
def test_splitter_depends_on_the_seed_alone(name: str) -> None:
    first = folds_of(name)
    assert (folds_of(name) == first).all()
    assert (folds_of(name, seed=1) == first).all() == (name in UNKEPT)


# --- ensembling


def stack_of(members: int = 3, images: int = 20, classes: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(classes), (members, images))


KEEPING = [name for name in METHODS if name != "vote"]
"""Methods by which one member stays what it is; a vote is a decision."""


@every("name", KEEPING)
def test_fusing_one_member_is_the_identity(name: str) -> None:
    stack = stack_of(members=1)
    assert METHODS[name](stack, [0.7]) == pytest.approx(stack[0], abs=1e-9)


@every("name", KEEPING)
def test_fusing_equal_members_is_the_identity(name: str) -> None:
    stack = np.repeat(stack_of(members=1), 3, axis=0)
    assert METHODS[name](stack, [1, 2, 3]) == pytest.approx(stack[0], abs=1e-9)


@every("name", METHODS)
def test_weights_of_members_have_no_scale(name: str) -> None:
    fuse, stack = METHODS[name], stack_of()
    assert fuse(stack, [10, 20, 30]) == pytest.approx(fuse(stack, [1, 2, 3]), abs=1e-12)


@every("name", METHODS)
def test_order_of_members_does_not_matter(name: str) -> None:
    fuse, stack = METHODS[name], stack_of()
    assert fuse(stack[[2, 0, 1]], [3, 1, 2]) == pytest.approx(fuse(stack, [1, 2, 3]), abs=1e-12)


@every("name", METHODS)
def test_a_member_of_weight_zero_is_not_heard(name: str) -> None:
    fuse, stack = METHODS[name], stack_of()
    assert fuse(stack, [1, 2, 0]) == pytest.approx(fuse(stack[:2], [1, 2]), abs=1e-12)


@every("name", METHODS)
def test_fused_values_are_finite_probabilities_whatever_the_certainty(name: str) -> None:
    stack = np.stack([np.eye(3)[[0, 1, 2, 0]], np.eye(3)[[1, 1, 2, 2]]])
    fused = METHODS[name](stack, [1, 1])
    assert fused.shape == (4, 3)
    assert np.isfinite(fused).all()
    assert (fused >= 0).all()
    assert (fused <= 1).all()


@every("name", PIXELWISE)
def test_maps_are_fused_as_the_rows_of_their_pixels(name: str) -> None:
    stack = stack_of(images=35)
    fused = METHODS[name](stack, [1, 2, 3])
    pictures = [part.T.reshape(4, 5, 7) for part in stack]
    within = 2 / 255 if name == "vote" else 1e-12  # votes are rounded as maps are stored
    assert maps.fused(pictures, [1, 2, 3], PIXELWISE[name]) == pytest.approx(fused.T.reshape(4, 5, 7), abs=within)
    assert set(PIXELWISE) < set(METHODS), "a rank over images cannot be taken pixel by pixel"


# --- views


@every("name", VIEWS)
@every("dtype", [torch.uint8, torch.float32])
def test_view_keeps_shape_range_and_the_images_apart(name: str, dtype: torch.dtype) -> None:
    images = batch_of_images(n=2).to(dtype)
    seen = VIEWS[name].forward(images)
    assert VIEWS[name].name == name
    assert seen.shape == images.shape
    assert seen.min() >= images.min() - 1e-3
    assert seen.max() <= images.max() + 1e-3
    assert torch.equal(seen[:1], VIEWS[name].forward(images[:1])), "each image is seen alone"
    assert torch.equal(seen.float(), images.float()) == (name == "identity")


# --- augmentation


@every("preset", AUGMENTATIONS)
@every("flips", FLIPS)
def test_preset_is_a_function_of_its_seed_and_keeps_shape_and_type(preset: str, flips: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    augment = Augment(AUGMENTATIONS[preset], flips, (24, 24), 3)
    first, again = augment({"image": image}, 5)["image"], augment({"image": image}, 5)["image"]
    assert (first.shape, first.dtype) == (image.shape, image.dtype)
    assert (first == again).all()
    differ = any((augment({"image": image}, seed)["image"] != first).any() for seed in range(6, 12))
    assert differ == ((preset, flips) != ("none", "none"))


# --- sources


TARGETS = {"label", "mask", "runs", "boxes", "shares", "labels", "value", "points"}
"""Run lengths become masks, and shares of the image's size boxes, once the images' sizes are known."""


@every("name", SOURCES)
def test_source_gives_tables_of_text_with_ids_paths_and_targets(name: str, in_tmp: Path, write_picture: Any) -> None:
    for label in ("a", "b"):
        write_picture(Path(f"labelled/{label}/one.png"), np.zeros((4, 4, 3), np.uint8))
    write_picture(Path("pool/x.png"), np.zeros((4, 4, 3), np.uint8))
    Path("t.csv").write_text("id,label\na/one,a\nb/one,b\n")
    Path("te.csv").write_text("id\nx\n")
    write_scenes(in_tmp)
    write_voc()
    own = ("source", "classes")
    settings: dict[str, dict[str, Any]] = {
        "folder": {"train": "labelled", "test": "pool", "unlabeled": "pool"},
        "csv": {"train": "t.csv", "images": "labelled", "test": "te.csv", "test_images": "pool", "unlabeled": "pool"},
        "masks": {key: value for key, value in MASKS.items() if key not in own} | {"unlabeled": "pool"},
        "coco": {key: value for key, value in COCO.items() if key not in own} | {"unlabeled": "pool"},
        "voc": {"annotations": "raw/xml", "images": "raw/images", "test": "te.txt"},
        "instances": {"train": "parts", "test": "whole"},
        "tiles": {"train": "tiles", "test": "pool"},
        "rle": {"train": "runs.csv", "images": "labelled", "test": "pool"},
        "yolo": {"train": "yolo", "names": "names.txt", "test": "pool"},
        "points": {"train": "points.csv", "images": "labelled", "test": "pool"},
    }
    Path("te.txt").write_text("im00\nim03\n")
    for place in ("parts/a/images/a", "parts/a/masks/1", "parts/b/images/b", "parts/b/masks/1", "whole/c/images/c"):
        write_picture(Path(f"{place}.png"), np.zeros((4, 4, 3), np.uint8))
    for place in ("a/images/1", "a/masks/1", "b/images/1", "b/masks/1"):
        write_picture(Path(f"tiles/{place}.png"), np.zeros((4, 4, 3), np.uint8))
    Path("runs.csv").write_text("id,rle\na/one,1 1\nb/one,2 1\n")
    Path("names.txt").write_text("cat\n")
    Path("points.csv").write_text("id,x,y\na/one,1,1\na/one,2,3\nb/one,2,1\n")
    for number in (1, 2):
        write_picture(Path(f"yolo/{number}.png"), np.zeros((4, 4, 3), np.uint8))
        Path(f"yolo/{number}.txt").write_text(f"0 0.5 0.5 0.{number} 0.2\n")
    assert set(settings) == set(SOURCES)
    tables = sources.read(name, **settings[name])
    assert {"train", "test"} <= set(tables) <= {"train", "test", "unlabeled", "answers", "categories", "sizes", "notes"}
    for split_name in {"train", "test", "unlabeled"} & set(tables):
        table = tables[split_name]
        assert len(table) > 0
        assert table["id"].is_unique
        assert all(Path(path).is_file() for path in table["path"])
    (target,) = TARGETS & set(tables["train"].columns)
    assert all(isinstance(found, str) for found in tables["train"][target])
    assert tables["train"][target].nunique() >= 2
    assert target not in tables["test"]
    if "answers" in tables:
        assert set(tables["answers"]["id"]) <= set(tables["test"]["id"])
        assert target in tables["answers"]


# --- unknown names


def fused(task: str, method: str) -> Any:
    """What a task says of a method."""
    kind = tasks.facts(task)
    return components.load(method, kind.methods, "ensemble method")


UNKNOWN: dict[str, tuple[Callable[[], Any], str, str, Any]] = {
    "models": (lambda: models.build("small_resnt"), "small_resnt", "small_resnet", NETWORKS),
    "losses": (
        lambda: losses.combined(catalog.LOSSES["label"], "cross_entrop"),
        "cross_entrop",
        "cross_entropy",
        LOSSES,
    ),
    "weighted losses": (lambda: losses.combined(catalog.LOSSES["label"], {"focl": 0.5}), "focl", "focal", LOSSES),
    "metrics": (lambda: classification("ab").metric("logloss"), "logloss", "log_loss", METRICS),
    "metrics of masks": (
        lambda: tasks.score({"name": "segmentation"}, ["a"]).metric("dic"),
        "dic",
        "dice",
        MASK_METRICS,
    ),
    "schedules": (lambda: build_schedule("cosin", None, 1, 0), "cosin", "cosine", SCHEDULES),
    "splitters": (lambda: split(table_of(), table_of(), "stratifed", 3, 0), "stratifed", "stratified", SPLITTERS),
    "methods": (lambda: fused("classification", "geometrc"), "geometrc", "geometric", METHODS),
    "methods for boxes": (lambda: fused("detection", "sft_nms"), "sft_nms", "soft_nms", ALL_METHODS["boxes"]),
    "views": (lambda: views.build(["hflipp"]), "hflipp", "hflip", catalog.VIEWS),
    "presets": (lambda: Augment("ligth", "none", (8, 8), 3), "ligth", "light", AUGMENTATIONS),
    "flips": (lambda: Augment("light", "horizontl", (8, 8), 3), "horizontl", "horizontal", FLIPS),
    "sources": (lambda: sources.read("foldr"), "foldr", "folder", SOURCES),
    "tasks": (lambda: whole({"name": "clasification"}, ["a"]), "clasification", "classification", TASKS),
}


@every("registry", UNKNOWN)
def test_unknown_name_is_told_with_the_nearest_and_all_choices(registry: str) -> None:
    ask, wrong, near, choices = UNKNOWN[registry]
    with pytest.raises(ConfigError) as caught:
        ask()
    assert f"{wrong!r}: nearest is {near!r}; allowed: {', '.join(sorted(choices))}" in str(caught.value)


def test_a_name_near_nothing_gets_no_hint_but_all_choices() -> None:
    with pytest.raises(ConfigError, match="unknown loss 'zzz': allowed: arcface, asymmetric, bce, "):
        losses.combined(catalog.LOSSES["label"], "zzz")


def test_optimizers_by_name_are_timm_s() -> None:
    model = torch.nn.Linear(2, 2)
    assert type(build_optimizer(model, "lamb", 0.1, 0.0)).__name__ == "Lamb"
    assert build_optimizer(model, "sgd", 0.1, 0.0).param_groups[0]["lr"] == 0.1
