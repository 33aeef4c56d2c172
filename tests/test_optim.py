"""Optimizers, SAM, clipping and schedules against closed forms, torch and timm."""

import copy
import io
import itertools
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st
from timm.optim import create_optimizer_v2
from timm.optim._optim_factory import default_registry
from timm.scheduler import CosineLRScheduler, MultiStepLRScheduler, PolyLRScheduler, StepLRScheduler
from timm.utils.agc import adaptive_clip_grad
from torch import nn
from torch.optim import lr_scheduler

from goldfold.base.errors import ConfigError
from goldfold.catalog import SCHEDULES
from goldfold.config import parse, slices
from goldfold.config.learning import Train
from goldfold.config.libraries import timm_optimizers
from goldfold.config.optimisation import schedule_problem
from goldfold.config.schedule_checks import check_monitor
from goldfold.engine.hooks import Hook
from goldfold.engine.hooks.agc import Agc
from goldfold.engine.hooks.clip import Clip, ClipValue
from goldfold.engine.hooks.lr_curve import LrCurve
from goldfold.engine.parts import backbone, output_layers
from goldfold.engine.sam import sam
from goldfold.engine.state import Training, base_lr, weights_of
from goldfold.engine.updates import plain
from goldfold.losses import Losses
from goldfold.models import build
from goldfold.models.case_head import case_head
from goldfold.models.fusion import Branch
from goldfold.models.wrapping import Normalised
from goldfold.optim import build_optimizer, build_schedule, check_length
from goldfold.optim.plateau import Plateau
from goldfold.signatures import read
from goldfold.tasks import facts
from test_engine import Given, Samples, distance, network, run_fit, stateful
from test_hooks import scaled

# --- parameter groups


def whole(backbone: str = "test_vit", n_classes: int = 3) -> nn.Module:
    with torch.device("meta"):
        return Normalised(timm.create_model(backbone, num_classes=n_classes), 3)


def placed(optimizer: torch.optim.Optimizer) -> dict[int, tuple[float, float]]:
    """Weight decay and scale of each parameter."""
    groups = optimizer.param_groups
    return {id(one): (group["weight_decay"], group.get("lr_scale", 1.0)) for group in groups for one in group["params"]}


@pytest.mark.parametrize("layer_decay", [None, 0.7])
@pytest.mark.parametrize("name", ["test_vit", "test_convnext", "test_resnet"])
def test_groups_are_those_that_timm_makes_of_the_network_within(name: str, layer_decay: float | None) -> None:
    model = whole(name)
    by_timm = create_optimizer_v2(model.network, opt="adamw", lr=0.1, weight_decay=0.3, layer_decay=layer_decay)
    ours = build_optimizer(model, "adamw", 0.1, 0.3, layer_decay)
    assert placed(ours) == placed(by_timm)
    assert len(set(placed(ours).values())) == (2 if layer_decay is None else len(by_timm.param_groups))


def test_what_a_network_exempts_from_weight_decay_does_not_decay() -> None:
    model = whole()
    decay = placed(build_optimizer(model, "adamw", 0.1, 0.3))
    found = {name: decay[id(value)][0] for name, value in model.named_parameters()}
    assert (found["network.pos_embed"], found["network.cls_token"], found["network.norm.weight"]) == (0, 0, 0)
    assert found["network.blocks.0.attn.qkv.weight"] == 0.3


def scales(model: nn.Module, **settings: Any) -> dict[str, float]:
    found = placed(build_optimizer(model, "adamw", 0.1, 0.3, **settings))
    return {name: found[id(value)][1] for name, value in model.named_parameters()}


def test_head_and_backbone_have_their_own_rates_and_layers_multiply_them() -> None:
    found = scales(whole(), lr_scale={"head": 10, "backbone": 0.5})
    assert {name for name, scale in found.items() if scale == 10} == {"network.head.weight", "network.head.bias"}
    assert set(found.values()) == {10, 0.5}
    both = scales(whole(), lr_scale={"head": 10}, layer_decay=0.5)
    assert both["network.head.weight"] == 10
    assert both["network.patch_embed.proj.weight"] == pytest.approx(0.5 ** (len(whole().network.blocks) + 1))


def test_a_backbone_of_factor_zero_keeps_its_weights_but_for_the_norms() -> None:
    model = build("small_resnet", n_classes=3, in_channels=3, image_size=(8, 8))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = build_optimizer(model, "adamw", 0.1, 0.3, lr_scale={"backbone": 0.0, "norm": 1.0, "head": 1.0})
    schedule = build_schedule("constant", optimizer, 4, 0)
    for update in range(3):
        schedule.step(update)
        model(torch.randn(4, 3, 8, 8)).square().sum().backward()
        optimizer.step()
    assert base_lr(optimizer) == pytest.approx(0.1)
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    norms = {
        f"{place}.{name}"
        for place, layer in model.named_modules()
        if isinstance(layer, torch.nn.BatchNorm2d)
        for name in layer.state_dict()
    }
    assert moved == norms | {name for name in before if name.startswith("head.3.")}
    assert len(norms) > 10


@pytest.mark.parametrize("how", ["clip", "sam", "agc"])
def test_gradients_of_frozen_parameters_change_neither_a_norm_nor_a_step(how: str) -> None:
    """The head moves as if it were the whole network, by a loss whose gradient is largest in the backbone."""

    def moved(lr_scale: dict[str, float] | None, size: float) -> torch.Tensor:
        torch.manual_seed(0)
        model = build("small_resnet", n_classes=3, in_channels=3, image_size=(8, 8))
        build_optimizer(model, "sgd", 0.1, 0.0, lr_scale=lr_scale)
        head, optimizer = model.head[3], torch.optim.SGD([*model.head[3].parameters()], lr=0.1)
        before = head.weight.detach().clone()

        def gradient() -> dict[str, float]:
            model.zero_grad()
            (size * model.stem[0].weight.square().sum() + head.weight.pow(3).sum()).backward()
            return {}

        def step() -> None:
            for hook in {"clip": [Clip(model, 1e-3)], "agc": [Agc(model, exclude=[])]}.get(how, []):
                hook.before_step(Training(model))
            optimizer.step()

        (sam if how == "sam" else plain)(model, gradient, step)
        return head.weight.detach() - before

    frozen = {"backbone": 0.0, "norm": 0.0, "head": 1.0}
    assert torch.equal(moved(frozen, 100.0), moved(frozen, 1.0))
    assert (how == "agc") == torch.equal(moved(None, 100.0), moved(None, 1.0)), "units of agc have their own norms"


PARTS: dict[str, tuple[Callable[[], nn.Module], str, str]] = {
    "small_resnet": (lambda: build("small_resnet", n_classes=3, in_channels=3, image_size=(8, 8)), "stem.0", "head.3"),
    "unet": (
        lambda: build("unet", backbone="test_resnet", n_classes=3, in_channels=3, image_size=(64, 64)),
        "encoder.model.conv1.0", "segmentation_head.0",
    ),
    "fcos": (
        lambda: build("fcos", backbone="test_resnet", n_classes=3, in_channels=3, image_size=(64, 64)),
        "model.backbone.body.conv1.0", "model.head.regression_head.bbox_ctrness",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PARTS)
def test_backbone_and_last_layer_of_each_kind_of_network_are_known(name: str) -> None:
    make, of_backbone, last = PARTS[name]
    model = Normalised(make(), 3)
    assert f"network.{of_backbone}.weight" in backbone(model)
    assert f"network.{last}.bias" in output_layers(model)
    assert not backbone(model) & output_layers(model)


def test_the_head_of_a_network_with_metadata_is_its_branch_and_the_last_layer_that_of_both() -> None:
    with torch.device("meta"):
        inner = timm.create_model("test_resnet", num_classes=3)
        model = Normalised(inner, 3, *case_head(inner, "it", 3, Branch(1, (2,), 8, 0.0)))
    names = {name for name, _ in model.named_parameters()}
    assert names - backbone(model) == {name for name in names if name.startswith("fusion.")}
    assert output_layers(model) == {"fusion.head.weight", "fusion.head.bias"}


def test_scales_of_a_network_that_does_not_say_its_parts_are_refused() -> None:
    for settings, text in (
        ({"lr_scale": {"head": 10}}, "lr_scale: it is not known where the head .* get_classifier"),
        ({"layer_decay": 0.7}, r"layer_decay = 0\.7: the network does not say which layers it has"),
    ):
        with pytest.raises(ConfigError, match=text):
            build_optimizer(network(), "adamw", 0.1, 0.3, **settings)


def test_no_parameter_that_an_optimizer_takes_is_left_out_on_the_way() -> None:
    """timm leaves out ``eps``, ``betas`` and ``momentum`` where it thinks that a class does not take them."""
    checked = 0
    for name, place in timm_optimizers().items():
        if not place.startswith(("apex", "bitsandbytes")):
            info, takes = default_registry.get_optimizer_info(name), {part.name for part in read(place).parameters}
            checked += len(takes & {"eps", "betas", "momentum"})
            assert ("eps" in takes) <= info.has_eps, name
            assert ("betas" in takes) <= info.has_betas, name
            assert ("momentum" in takes) <= info.has_momentum, name
    assert checked > 100
    assert (
        build_optimizer(nn.Linear(2, 2), {"lookahead_sgd": {"momentum": 0.3}}, 0.1, 0.0).param_groups[0]["momentum"]
        == 0.3
    )


# --- schedules


Rates = list[float]


def optimizer_of(lr: float = 0.3) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.zeros(1)], lr=lr)


def rates(wanted: Any, steps: int, warmup: int = 0, lr: float = 0.3) -> Rates:
    optimizer = optimizer_of(lr)
    schedule, found = build_schedule(wanted, optimizer, steps, warmup), []
    for update in range(steps):
        schedule.step(update)
        found.append(optimizer.param_groups[0]["lr"])
    return found


def by_timm(make: Callable[..., Any], steps: int, **settings: Any) -> Rates:
    optimizer = optimizer_of()
    scheduler, found = make(optimizer, t_in_epochs=False, **settings), []
    for update in range(steps):
        scheduler.step_update(update)
        found.append(optimizer.param_groups[0]["lr"])
    return found


def by_torch(make: Callable[..., Any], steps: int, **settings: Any) -> Rates:
    optimizer = optimizer_of()
    scheduler, found = make(optimizer, **settings), []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(found) < steps:
            scheduler.step()
    return found


WARM = {"warmup_t": 5, "warmup_lr_init": 0.3 * 0.2, "warmup_prefix": True}
REFERENCES: dict[str, tuple[Any, int, Callable[[], Rates]]] = {
    "cosine": (
        {"cosine": {"min_lr": 0.01, "warmup_start": 0.2}}, 5,
        lambda: by_timm(CosineLRScheduler, 75, t_initial=70, lr_min=0.01, **WARM),
    ),
    "restarts of timm": (
        {"cosine": {"cycles": 3, "cycle_mult": 2, "cycle_decay": 0.5, "warmup_start": 0.2}}, 5,
        lambda: by_timm(CosineLRScheduler, 75, t_initial=10, cycle_mul=2, cycle_decay=0.5, cycle_limit=3, **WARM),
    ),
    "restarts of torch": (
        {"cosine": {"cycles": 4, "min_lr": 0.01}}, 0,
        lambda: by_torch(lr_scheduler.CosineAnnealingWarmRestarts, 80, T_0=20, eta_min=0.01),
    ),
    "longer restarts of torch": (
        {"cosine": {"cycles": 3, "cycle_mult": 2}}, 0,
        lambda: by_torch(lr_scheduler.CosineAnnealingWarmRestarts, 70, T_0=10, T_mult=2),
    ),
    "poly": (
        {"poly": {"power": 0.9, "min_lr": 0.01, "warmup_start": 0.2}}, 5,
        lambda: by_timm(PolyLRScheduler, 75, t_initial=70, power=0.9, lr_min=0.01, **WARM),
    ),
    "poly of torch": (
        {"poly": {"power": 2.0}}, 0, lambda: by_torch(lr_scheduler.PolynomialLR, 75, total_iters=75, power=2.0),
    ),
    "step": (
        {"step": {"n_drops": 2, "factor": 0.2, "warmup_start": 0.2}}, 5,
        lambda: by_timm(StepLRScheduler, 75, decay_t=25, decay_rate=0.2, **WARM),
    ),
    "multistep of torch": (
        {"multistep": {"milestones": [0.5, 0.8], "factor": 0.2}}, 0,
        lambda: by_torch(lr_scheduler.MultiStepLR, 80, milestones=[40, 64], gamma=0.2),
    ),
    "multistep of timm": (
        {"multistep": {"milestones": [0.5, 0.8], "factor": 0.2, "warmup_start": 0.2}}, 5,
        lambda: by_timm(MultiStepLRScheduler, 80, decay_t=[41, 65], decay_rate=0.2, **{**WARM, "warmup_prefix": False}),
    ),
    "constant": (
        {"constant": {"warmup_start": 0.2}}, 5,
        lambda: by_torch(lr_scheduler.LinearLR, 80, start_factor=0.2, total_iters=5),
    ),
    "one_cycle": (
        {"one_cycle": {"rise": 0.2, "div_factor": 10, "final_div_factor": 100}}, 5,
        lambda: by_torch(
            lr_scheduler.OneCycleLR, 80, max_lr=0.3, total_steps=80, pct_start=0.2, div_factor=10, final_div_factor=100,
            cycle_momentum=False,
        ),
    ),
    "cyclic": (
        {"cyclic": {"cycles": 4, "rise": 0.25}}, 5,
        lambda: by_torch(
            lr_scheduler.CyclicLR, 80, base_lr=0.03, max_lr=0.3, step_size_up=5, step_size_down=15, cycle_momentum=False
        ),
    ),
    "triangular2": (
        {"cyclic": {"cycles": 4, "cycle_decay": 0.5, "div_factor": 5}}, 0,
        lambda: by_torch(
            lr_scheduler.CyclicLR, 80, base_lr=0.06, max_lr=0.3, step_size_up=10, mode="triangular2",
            cycle_momentum=False,
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFERENCES)
def test_a_schedule_has_the_rates_of_the_library_at_each_step(name: str) -> None:
    wanted, warmup, reference = REFERENCES[name]
    expected = reference()
    assert rates(wanted, len(expected), warmup) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("rise", [0, 0.25, 0.3, 1])
@pytest.mark.parametrize("steps", [2, 3, 5, 10, 99, 1000])
def test_one_cycle_has_the_rates_of_torch_for_as_many_steps(steps: int, rise: float) -> None:
    expected = by_torch(
        lr_scheduler.OneCycleLR, steps, max_lr=0.3, total_steps=steps, pct_start=float(rise), cycle_momentum=False
    )
    assert rates({"one_cycle": {"rise": rise}}, steps) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_one_cycle_takes_a_run_of_one_step_and_a_rise_of_a_single_step() -> None:
    assert 0 < rates("one_cycle", 1)[0] <= 0.3
    found = rates({"one_cycle": {"rise": 0.25}}, 4)
    assert found[0] == pytest.approx(0.3), "where torch divides 0 by 0"
    assert found[-1] == pytest.approx(0.3 / 25 / 1e4)


def test_defaults_of_schedules_begin_the_warm_up_at_a_hundredth_of_the_rate_to_the_last_digit() -> None:
    for name in ("cosine", "poly", "step", "multistep", "constant", "plateau"):
        assert rates(name, 50, 10, lr=0.003)[0] == 0.003 / 100, name
        assert rates({name: {"warmup_start": 0}}, 50, 10)[0] == 0, name


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"cosine": {"min_lr": 0.5}}, r"min_lr = 0\.5: must lie between 0 and the peak of the rate, 0\.3"),
        ({"cosine": {"min_lr": 0.1, "cycles": 3, "cycle_decay": 0.5}}, r"between 0 and the peak of the rate, 0\.075"),
        ({"cosine": {"cycles": 2.5}}, r"cycles = 2\.5: must be a whole number of at least 1"),
        ({"cosine": {"warmup_start": 2}}, "warmup_start = 2: must be a number between 0 and 1"),
        ({"poly": {"min_lr": -1}}, "min_lr = -1: must lie between"),
        ({"multistep": {"milestones": [30, 60]}}, "milestones = 30: must be a number between 0 and 1"),
        ({"multistep": {"milestones": [0.8, 0.5]}}, "must be shares of the run in ascending order"),
        ({"cyclic": {"rise": 1}}, r"rise = 1: must be a number between 0\.01 and 0\.99"),
        ({"plateau": {"factor": 1}}, "factor = 1: must be"),
        ({"plateau": {"patience": -1}}, "patience = -1: must be a whole number of at least 0"),
    ],
)
def test_parameters_of_schedules_that_cannot_be_are_refused(wanted: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        rates(wanted, 50, 10)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_keep_the_ratios_of_scaled_rates_in_warm_up_and_with_a_least_rate(name: str) -> None:
    takes = {part.name for part in read(SCHEDULES[name]).parameters}
    wanted, model = {name: {"min_lr": 0.01} if "min_lr" in takes else {}}, whole()
    optimizer = build_optimizer(model, "sgd", 0.3, 0.05, layer_decay=0.5, lr_scale={"head": 10})
    schedule, plain = build_schedule(wanted, optimizer, 50, 10), rates(wanted, 50, 10)
    for update in range(50):
        schedule.step(update)
        assert [group["lr"] / group["lr_scale"] for group in optimizer.param_groups] == pytest.approx(
            [plain[update]] * len(optimizer.param_groups)
        )
        assert base_lr(optimizer) == pytest.approx(plain[update])


# --- plateau


def watching(**directions: bool) -> Any:
    """Context of a training with these scores, each with whether a larger value is better."""
    return SimpleNamespace(directions=directions)


def scored(model: nn.Module, values: list[float], **settings: Any) -> Rates:
    """Rates at the ends of the epochs of a training with these scores."""
    optimizer, coming = torch.optim.SGD(model.parameters(), lr=0.3), iter(values)
    every = settings.pop("validate_every", 1)
    schedule = Plateau(optimizer, 2 * len(values), settings.pop("warmup_steps", 0), monitor="score", **settings)
    schedule.before_training(watching(score=False))
    result, _, _ = run_fit(
        Given(16, 8), model, lambda model, pause: {"score": next(coming)}, optimizer=optimizer,
        epochs=every * len(values), validate_every=every, schedule=schedule, hooks={"schedule": schedule},
    )  # fmt: skip
    return [row["lr"] for row in result.history]


SCORES = [1.0, 0.8, 0.9, 0.8, 0.85, 0.7, 0.71, 0.72, 0.73, 0.74]


def test_plateau_has_the_rates_of_torch() -> None:
    reference = optimizer_of()
    reducer, expected = lr_scheduler.ReduceLROnPlateau(reference, factor=0.5, patience=1, min_lr=0.1), []
    for score in SCORES:
        expected.append(reference.param_groups[0]["lr"])
        reducer.step(score)
    found = scored(network(), SCORES, factor=0.5, patience=1, min_lr=0.1)
    assert found == expected
    assert len(set(found)) == 3
    rare = scored(network(), SCORES, factor=0.5, patience=1, min_lr=0.1, validate_every=2)
    assert rare[::2] == expected, "patience counts validations"
    assert rare[1::2] == expected


def test_plateau_does_not_count_the_warm_up_nor_scores_that_are_no_numbers() -> None:
    early = [0.1, math.nan, 0.8, math.nan, 0.7, math.nan, 0.6, 0.5]
    found = scored(network(), early, patience=0, warmup_steps=4)
    assert found[2:] == [0.3] * 6, "the low score of the first epoch, in the warm-up, would have dropped the rate"


def test_plateau_says_what_it_watches_and_when_it_drops(capsys: pytest.CaptureFixture[str]) -> None:
    scored(network(), [1.0, 2.0, 3.0, 4.0], patience=1, factor=0.5)
    assert capsys.readouterr().out.splitlines() == [
        "schedule plateau: watches score (lower is better)",
        "schedule plateau: score stopped improving by epoch 3, lr x 0.5",
    ]
    higher = Plateau(optimizer_of(), 10, 0, monitor="accuracy", patience=0)
    higher.before_training(watching(val_loss=False, accuracy=True))
    for score in (0.5, 0.6, 0.7):
        higher.after_epoch(Training(network()), {"accuracy": score})
    assert higher.rates == [0.3]
    with pytest.raises(ConfigError, match="unknown monitor of the schedule plateau 'f1': allowed: accuracy, val_loss"):
        Plateau(optimizer_of(), 10, 0, monitor="f1").before_training(watching(val_loss=False, accuracy=True))


# --- SAM


def quadratic(a: torch.Tensor, noise: list[float] | None = None) -> Any:
    """Loss w' diag(a) w / 2 of the first layer of a network, whose gradient is a w."""

    def loss(model: nn.Module, batch: Samples) -> Losses:
        weights = torch.cat([value.flatten() for value in model.parameters()])
        drawn = torch.rand(1).item() + np.random.rand()
        if noise is not None:
            noise.append(drawn)
        return Losses((a * weights.square()).sum() / 2)

    return loss


class Weights(nn.Module):
    """Several parameters, so that a norm per tensor differs from that of all."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.tensor([3.0, -1.0]))
        self.second = nn.Parameter(torch.tensor([[2.0]]))
        self.bias = nn.Parameter(torch.tensor([0.5]))


A = torch.tensor([1.0, 2.0, 0.5, 4.0])
W = torch.tensor([3.0, -1.0, 2.0, 0.5])


def flat(model: nn.Module) -> torch.Tensor:
    return torch.cat([value.detach().flatten() for value in model.parameters()])


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("adaptive", [False, True])
def test_sam_takes_the_step_of_its_closed_form(adaptive: bool, accumulate: int) -> None:
    size = torch.tensor([3.01, 1.01, 2.01, 1.0]) if adaptive else torch.ones(4)  # |w| + eta, biases as they are
    climb = 0.4 * size**2 * (A * W) / (size * A * W).norm()
    model, drawn = Weights(), list[float]()

    def rule(*given: Any) -> Any:
        return sam(*given, rho=0.4, adaptive=adaptive)

    result, _, _ = run_fit(
        Given(8 * accumulate, 8), model, loss=quadratic(A, drawn), update=rule, accumulate=accumulate
    )
    assert torch.allclose(flat(model), W - 0.1 * A * (W + climb), atol=1e-6)
    assert result.history[0]["train_loss"] == pytest.approx((A * W**2).sum().item() / 2), "at the weights themselves"
    assert drawn[:accumulate] == drawn[accumulate:], "both passes draw the same"


def test_sam_steps_from_the_very_weights_that_it_left() -> None:
    """w + e - e differs from w in the last digit."""
    start, model, seen = stateful(), stateful(), list[Any]()

    class Note(Hook):
        def before_step(self, training: Training) -> None:
            seen.append([value.detach().clone() for value in model.parameters()])

    run_fit(Given(8, 8), model, update=lambda *given: sam(*given, rho=3.0), hooks={"note": Note()})
    for value, kept in zip(start.parameters(), seen[0], strict=True):
        assert torch.equal(value, kept)


def test_sam_moves_the_statistics_of_batch_norm_as_one_pass_does() -> None:
    plain, twice = stateful(), stateful()
    run_fit(Given(8, 8), plain)
    run_fit(Given(8, 8), twice, update=lambda *given: sam(*given, rho=0.5))
    for name, value in plain.named_buffers():
        assert torch.equal(value, dict(twice.named_buffers())[name]), name
    assert int(twice[1].num_batches_tracked) == 1
    assert distance(plain, twice) > 1e-4


def test_sam_without_a_gradient_stays_where_it_is() -> None:
    model = Weights()
    run_fit(Given(8, 8), model, loss=quadratic(torch.zeros(4)), update=sam)
    assert torch.equal(flat(model), W)
    with pytest.raises(ConfigError, match="rho = 0: must be a number above 0"):
        run_fit(Given(8, 8), model, loss=quadratic(A), update=lambda *given: sam(*given, rho=0))


# --- SAM with the scaler of fp16


def test_sam_is_the_same_with_scaled_losses_and_its_step_is_counted_once_for_the_scale() -> None:
    plain, with_scaler = network(), network()
    run_fit(Given(24, 8), plain, update=sam)
    settings = scaled(with_scaler, 2.0**10)
    settings["accelerator"].scaler.set_growth_interval(3)
    run_fit(Given(24, 8), with_scaler, **settings, update=sam)
    assert distance(plain, with_scaler) < 1e-6
    assert settings["accelerator"].scaler.get_scale() == 2.0**11, "three steps, not six passes"


@pytest.mark.parametrize("which", [0, 1])
def test_an_overflow_in_either_pass_skips_the_step_and_lowers_the_scale(which: int) -> None:
    model, passes, steps = network(), list[int](), list[tuple[float, torch.Tensor]]()

    def overflow(grad: torch.Tensor) -> torch.Tensor:
        passes.append(len(passes))
        return grad * float("inf") if passes[-1] == 2 + which else grad  # in the second step

    model[0].weight.register_hook(overflow)
    settings, diary = scaled(model, 64.0), list[int]()

    class Diary(Hook):
        def after_step(self, training: Training) -> None:
            diary.append(training.step)

    def pause(step: int, state: Any) -> None:
        steps.append((settings["accelerator"].scaler.get_scale(), model[0].weight.detach().clone()))

    result, _, schedule = run_fit(Given(24, 8), model, **settings, update=sam, pause=pause, hooks={"diary": Diary()})
    assert [scale for scale, _ in steps] == [64.0, 32.0, 32.0]
    assert torch.equal(steps[0][1], steps[1][1])
    assert not torch.equal(steps[1][1], steps[2][1])
    assert (result.step, result.n_updates, schedule.asked, diary) == (3, 2, [0, 1, 1], [1, 3])
    assert len(passes) == 5 + which, "after an overflow in the first pass there is no second"
    assert torch.isfinite(flat(model)).all()


# --- clipping


def test_values_of_the_gradient_are_clipped() -> None:
    model = Weights()
    run_fit(Given(8, 8), model, loss=quadratic(A), hooks={"clip_value": ClipValue(model, 1.5)})
    assert torch.allclose(flat(model), W - 0.1 * (A * W).clamp(-1.5, 1.5))


class Shapes(nn.Module):
    """A parameter of each shape; ``head`` is the last layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.conv, self.grouped = nn.Linear(3, 4), nn.Conv2d(3, 4, 2), nn.Conv2d(4, 4, 2, groups=4)
        self.up, self.volume, self.line = nn.ConvTranspose2d(3, 4, 2), nn.Conv3d(2, 3, 2), nn.Conv1d(2, 3, 2)
        self.norm, self.scalar = nn.BatchNorm2d(4), nn.Parameter(torch.tensor(0.7))
        self.tokens, self.zeros = nn.Parameter(torch.randn(1, 5, 3)), nn.Parameter(torch.zeros(2, 3))
        self.frozen = nn.Parameter(torch.randn(2, 2), requires_grad=False)
        self.head = nn.Linear(4, 2)

    def get_classifier(self) -> nn.Module:
        return self.head


def by_the_paper(weight: torch.Tensor, grad: torch.Tensor, unit: int | None) -> torch.Tensor:
    """Equation 3, unit by unit, of dimension ``unit``; None: the whole is one unit."""
    if unit is not None:
        pairs = zip(weight.unbind(unit), grad.unbind(unit), strict=True)
        return torch.stack([by_the_paper(one, other, None) for one, other in pairs], unit)
    most = 0.01 * max(weight.norm().item(), 1e-3)
    return grad * most / grad.norm() if grad.norm() > most else grad


def test_adaptive_clipping_is_that_of_the_paper_for_units_of_every_shape() -> None:
    model = Shapes()
    generator = torch.Generator().manual_seed(1)
    given = {}
    for name, value in model.named_parameters():
        if value.requires_grad:  # some units beyond the limit, others not
            sizes = 10 ** (torch.linspace(-5, 1, value.shape[0]) if value.ndim else torch.tensor(1.0))
            value.grad = torch.randn(value.shape, generator=generator) * sizes.reshape(
                sizes.shape + (1,) * (value.ndim - 1)
            )
            given[name] = value.grad.clone()
    Agc(model).before_step(Training(model))
    clipped = 0
    for name, value in model.named_parameters():
        if name in given:
            unit = None if value.ndim < 2 or name == "tokens" else 1 if name == "up.weight" else 0
            expected = given[name] if name.startswith("head") else by_the_paper(value.detach(), given[name], unit)
            assert torch.allclose(value.grad, expected, rtol=1e-5, atol=1e-9), name
            clipped += not torch.equal(value.grad, given[name])
    assert clipped > 12
    assert model.frozen.grad is None


def test_adaptive_clipping_of_a_timm_network_is_timm_s_but_for_its_head() -> None:
    model = Normalised(timm.create_model("test_resnet", num_classes=3), 3)
    for value in model.parameters():
        value.grad = torch.randn_like(value)
    other = copy.deepcopy(model)
    for value, twin in zip(model.parameters(), other.parameters(), strict=True):
        twin.grad = value.grad.clone()
    head = {"network.fc.weight", "network.fc.bias"}
    adaptive_clip_grad([value for name, value in other.named_parameters() if name not in head], 0.02)
    Agc(model, factor=0.02).before_step(Training(model))
    for (name, value), twin in zip(model.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(value.grad, twin.grad), name


def test_adaptive_clipping_needs_to_know_the_last_layer() -> None:
    with pytest.raises(
        ConfigError, match=r"the last layer of this network, .* is not known\. Name it, e\.g\. exclude:"
    ):
        Agc(network())
    assert len(Agc(network(), exclude=["2."]).parameters) == 2
    assert len(Agc(network(), exclude=[]).parameters) == 4
    with pytest.raises(ConfigError, match=r"exclude: no parameter begins with 'fc'; the last is '2\.bias'"):
        Agc(network(), exclude=["fc"])
    with pytest.raises(ConfigError, match="factor = 0: must be above 0"):
        Agc(network(), factor=0, exclude=[])


# --- all of it, resumed


def fitted(schedule: Any, resume: Any = None, pause: Any = lambda step, state: None) -> list[torch.Tensor]:
    """Weights and learning rates of a fit by SAM, with clipping, scaled rates and a schedule that may have a state."""
    model, n = stateful(), 12
    groups = [{"params": [value], "lr_scale": 0.5**number} for number, value in enumerate(model.parameters())]
    optimizer = torch.optim.AdamW(groups, lr=0.05)
    made, curve = build_schedule(schedule, optimizer, n, 2), LrCurve(n, 3)
    reacting = {"schedule": made} if isinstance(made, Hook) else {}
    run_fit(
        Given(24, 4), model, lambda model, pause: {"val_loss": -model[0].weight.sum().item()}, resume, pause, epochs=4,
        accumulate=2, optimizer=optimizer, schedule=made, update=sam,
        hooks={"agc": Agc(model, 0.5, exclude=["3."]), **reacting, "curve": curve},
    )  # fmt: skip
    return [*weights_of(model).values(), torch.tensor(curve.points)]


@pytest.mark.parametrize("schedule", [{"cosine": {"cycles": 3}}, {"plateau": {"patience": 0, "threshold": 0.9}}])
def test_a_fit_by_sam_with_clipping_and_a_schedule_goes_on_from_any_step_with_the_same_bytes(schedule: Any) -> None:
    states: list[bytes] = []

    def keep(step: int, state: Any) -> None:
        stream = io.BytesIO()
        torch.save(state(), stream)
        states.append(stream.getvalue())

    expected = fitted(schedule, pause=keep)
    assert len({lr for _, lr in expected[-1].tolist()}) > 3, "the rate changes"
    for step in (1, 7):
        resume = torch.load(io.BytesIO(states[step]), weights_only=True)
        for value, again in zip(expected, fitted(schedule, resume), strict=True):
            assert torch.equal(value, again), step


# --- the learning rate within the epochs


def test_the_curve_keeps_few_evenly_spaced_rates_and_the_last() -> None:
    curve, training = LrCurve(1000, 100), Training(network())
    for update in range(1000):
        training.n_updates, training.lr = update + 1, update / 1000
        curve.after_step(training)
    assert len(curve.points) == 112
    assert curve.points[:2] == [[0.0, 0.0], [0.09, 0.009]]
    assert curve.points[-1] == [9.99, 0.999]


# --- from a config


def config(train: dict[str, Any], **more: Any) -> Any:
    model = {"name": "a", "network": "small_resnet", "image_size_px": 8}
    return parse({"name": "t", "data": {"source": "digits"}, "models": [model], "train": train, **more})


@pytest.mark.parametrize(
    ("train", "said"),
    [
        (
            {"optimizer": {"sgd": {"betas": [0.9, 0.9]}}},
            "sgd does not take 'betas'; its parameters: momentum, dampening,",
        ),
        ({"optimizer": {"lookahead_radam": {"momentum": 1}}}, "radam does not take 'momentum'"),
        ({"layer_decay": 1.5}, "layer_decay = 1.5: must be at most 1"),
        (
            {"lr_scale": {}},
            "lr_scale: all factors are 1, which has no effect; set backbone, norm or head, or remove it",
        ),
        (
            {"epochs": 30, "warmup_epochs": 10, "schedule": "step"},
            "schedule: step with n_drops 2 drops the rate every 10 epochs after the warm-up, so with warmup_epochs 10 the last "
            "drop comes after the 30 epochs. Set a shorter warm-up, or use multistep",
        ),
        ({"lr_scale": {"hed": 10}}, "lr_scale.hed: unknown key; nearest is 'head'"),
        ({"clip_norm": 1.0, "hooks": ["agc"]}, "hooks: 'clip' (clip_norm) and 'agc' both clip the gradient. Keep one"),
        (
            {"hooks": [{"clip_value": {"value": 1}}, "agc"]},
            "hooks: 'clip_value' and 'agc' both clip the gradient. Keep one",
        ),
        (
            {"update": "sam", "on_oom": "shrink"},
            "update: sam needs two equal passes over a batch, which on_oom: shrink",
        ),
        (
            {"update": {"sam": {"ro": 0.1}}},
            "sam does not take 'ro'; nearest is 'rho'; its parameters: rho, adaptive, eta",
        ),
        ({"warmup_epochs": 30}, "warmup_epochs 30 must be less than epochs 30"),
        ({"warmup_epochs": 31, "schedule": "constant"}, "warmup_epochs 31 must be at most epochs 30"),
        (
            {"epochs": 8, "schedule": {"plateau": {"patience": 6}}},
            "plateau with patience 6 never lowers the rate: it needs 8 validations before the last epoch, and epochs 8 with "
            "warmup_epochs 1 and validate_every 1 have 7",
        ),
        ({"schedule": {"plateau": {"patience": 1}}, "epochs": 8, "validate_every": 3}, "and validate_every 3 have 2"),
        (
            {"schedule": {"plateau": {"monitor": "f1"}}},
            "plateau watches 'f1', which training with task 'classification' does not compute; set "
            "monitor to one of val_loss, accuracy,",
        ),
    ],
)
def test_settings_of_updates_that_do_not_fit_are_refused(train: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        config(train)
    assert said in str(error.value)


def test_settings_of_updates_that_fit_are_taken() -> None:
    train = {"optimizer": {"lookahead_radam": {"betas": [0.9, 0.99]}}, "lr_scale": {"head": 10}, "layer_decay": 0.8}
    train |= {"epochs": 8, "schedule": {"plateau": {"patience": 5, "monitor": "log_loss"}}, "hooks": ["agc"]}
    made = config(train).models[0].train
    assert made.model_dump()["lr_scale"] == {"backbone": 1.0, "head": 10.0}
    assert {"lr_scale", "layer_decay"} & set(config({}).models[0].train.model_dump()) == set(), (
        "no part of other recipes"
    )
    assert config(train, quick=True).models[0].train.schedule == "constant", "in the one epoch of a quick run"


def test_a_detector_has_no_validation_loss_to_watch() -> None:
    train = Train(schedule={"plateau": {}})
    (problem,) = check_monitor(train, "detection", facts("detection"), None)
    assert "plateau watches 'val_loss'" in problem
    assert "set monitor to one of ap, " in problem
    assert (
        list(check_monitor(Train(schedule={"plateau": {"monitor": "ap"}}), "detection", facts("detection"), None)) == []
    )


def test_plateau_may_watch_the_config_s_metric_which_training_then_computes() -> None:
    own = "goldfold.metrics.classification:f1_macro"
    for monitor, metric in (("f1_macro", own), ("val_loss", "accuracy"), ("accuracy", "accuracy")):
        train = {"epochs": 30, "schedule": {"plateau": {"monitor": monitor}}}
        made = config(train, metric=own)
        assert slices.watched(made, "a")["metric"] == metric
    train = {"epochs": 30, "schedule": {"plateau": {"monitor": "log_loss"}}}
    assert slices.watched(config(train, metric="log_loss"), "a") == slices.watched(config(train), "a"), (
        "computed anyway"
    )


@pytest.mark.parametrize(
    ("schedule", "steps", "warmup", "said"),
    [
        (
            {"cosine": {"cycles": 5}},
            10,
            6,
            "cosine with cycles 5 needs at least 5 steps after the warm-up, but this run has 4.",
        ),
        ({"cyclic": {"cycles": 11}}, 10, 6, "cyclic with cycles 11 needs at least 11 steps, but this run has 10."),
        ("step", 10, 8, "step with n_drops 2 needs at least 3 steps after the warm-up, but this run has 2."),
        (
            {"multistep": {"milestones": [0.5, 0.96]}},
            10,
            0,
            "the milestone 0.96 is at the end of the 10 steps of this run",
        ),
    ],
)
def test_a_schedule_with_more_parts_than_steps_is_refused(schedule: Any, steps: int, warmup: int, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_length(schedule, steps, warmup)
    assert said in str(caught.value)
    check_length(schedule, 20 * steps, warmup)


@given(st.integers(1, 300), st.integers(0, 6), st.floats(0, 0.5))
def test_the_schedule_step_drops_the_rate_n_drops_times_at_even_distances(
    steps: int, n_drops: int, warm: float
) -> None:
    warmup = int(warm * steps)
    if steps - warmup <= n_drops:
        return  # refused, see check_length
    found = rates({"step": {"n_drops": n_drops}}, steps, warmup)[warmup:]
    drops = [number for number in range(1, len(found)) if found[number] != found[number - 1]]
    assert len(drops) == n_drops
    assert found[0] == 0.3
    assert found[-1] == pytest.approx(0.3 * 0.1**n_drops)
    every = steps // (n_drops + 1)
    if n_drops * every < len(found):
        assert drops == [number * every for number in range(1, n_drops + 1)], "where timm's and torch's StepLR drop"
    else:
        assert len(set(np.diff([0, *drops]))) == 1, "earlier, after a warm-up that leaves too little of the run"


def test_a_warm_up_that_would_move_the_last_drop_beyond_the_run_is_refused() -> None:
    """torch's StepLR, begun after the warm-up, and the rule of the config agree on which runs would lose the last drop."""
    for epochs, warmup, n_drops in itertools.product((10, 30), range(10), (1, 2, 3)):
        scheduler = lr_scheduler.StepLR(optimizer_of(), 12 * epochs // (n_drops + 1))
        seen = set()
        for _ in range(12 * (epochs - warmup)):
            seen.add(round(scheduler.get_last_lr()[0], 9))
            scheduler.optimizer.step()
            scheduler.step()
        problem = schedule_problem({"step": {"n_drops": n_drops}}, epochs, warmup, 1)
        assert (len(seen) >= n_drops + 1) == (not problem), (epochs, warmup, n_drops)
