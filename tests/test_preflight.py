"""What is tried before any job runs: a pass through every network, its optimizer and schedule."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from goldfold import catalog
from goldfold.base.errors import cause
from goldfold.commands import component_trial, preflight, update_trial
from goldfold.config import parse, slices
from goldfold.config.libraries import timm_optimizers
from goldfold.models import trial
from goldfold.tasks import facts

every = pytest.mark.parametrize
TRAIN = {
    "optimizer": "adamw", "lr": 1e-3, "weight_decay": 0.05, "schedule": "cosine", "update": "plain", "hooks": [],
    "loss": "cross_entropy", "augment": "none", "flips": "none",
}  # fmt: skip


def entry(**changes: Any) -> dict[str, Any]:
    model = {"name": "m", "network": "timm", "backbone": "test_resnet", "params": {}, "dropout": 0.0, "drop_path": 0.0}
    return {
        **model,
        "task": "classification",
        "pretrained": False,
        "size": [32, 32],
        "channels": 3,
        "batch_norm": "trained",
        **changes,
    }


def said(capsys: pytest.CaptureFixture[str], **changes: Any) -> str:
    """The one line of a model that cannot be used."""
    assert preflight.main([entry(**changes)]) == 1
    line, *more = capsys.readouterr().err.splitlines()
    assert more == []
    assert line.startswith("goldfold: models (m): ")
    assert not line.endswith((": .", "()."))
    return line


# --- sizes

UNFIT: dict[str, tuple[dict[str, Any], list[str]]] = {
    "position bias of one size": (
        {"backbone": "efficientformer_l1", "size": [128, 128]},
        ["'efficientformer_l1' cannot be trained at 128x128 (height x width)", "Sizes that work: 224x224"],
    ),
    "square only, refused by an assertion without text": (
        {"backbone": "mvitv2_tiny", "size": [64, 96]},
        ["feat_size[0] == feat_size[1]", "images of 64 x 96 pixels", "Sizes that work: 224x224 (height x width) or"],
    ),
    "parts of patches": (
        {"backbone": "test_vit", "size": [60, 90]},
        ["Input height (60) should be divisible by patch size (16)", "Sizes that work: 160x160", "64x96"],
    ),
}


@every("case", UNFIT)
def test_a_size_that_a_network_cannot_work_at_is_named_with_those_that_do(
    case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    changes, words = UNFIT[case]
    line = said(capsys, **changes)
    assert "image_size_px" in line
    assert [word for word in words if word not in line] == []


GOOD: dict[str, dict[str, Any]] = {
    "one channel": {"channels": 1, "size": [16, 24]},
    "four channels": {"channels": 4},
    "whole patches": {"backbone": "test_vit", "size": [64, 96]},
    "small_resnet at its smallest": {"network": "small_resnet", "backbone": None, "size": [8, 8]},
    "pooling to one pixel": {"network": "deeplabv3", "size": [64, 64], "task": "segmentation"},
    "no whole strides": {"network": "fcos", "size": [60, 100], "params": {"width": 16}, "task": "detection"},
    "proposals": {"network": "faster_rcnn", "size": [64, 64], "params": {"width": 16}, "task": "detection"},
    "a number": {"task": "regression", "n_classes": 1},
    "with its training": {"train": TRAIN},
}


@every("case", GOOD)
def test_what_can_be_run_passes(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert preflight.main([entry(**GOOD[case])]) == 0, capsys.readouterr().err
    assert capsys.readouterr().err == ""


def test_candidates_begin_with_the_networks_own_size_and_leave_out_the_one_that_fails() -> None:
    found = trial._candidates((100, 150), (224, 224))
    assert found[0] == (224, 224)
    assert (96, 144) in found
    assert (100, 150) not in found
    assert len(found) == len(set(found)) <= 6


# --- networks of the user's own

OWN = """
import sys
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, n, channels, shape=None, fails=None):
        super().__init__()
        self.conv, self.n, self.shape, self.fails = nn.Conv2d(channels, n, 3, padding=1), n, shape, fails
    def forward(self, images):
        if self.fails == self.training:
            raise KeyError("stage")
        return self.answer(self.conv(images))
    def answer(self, maps):
        return maps.mean((2, 3))

def good(n_classes, in_channels, image_size): return Net(n_classes, in_channels)
def fixed(n_classes, in_channels, image_size): return Net(10, in_channels)
class Maps(Net):
    def answer(self, maps): return maps
def maps(n_classes, in_channels, image_size): return Maps(n_classes, in_channels)
class Pair(Net):
    def answer(self, maps): return maps.mean((2, 3)), maps
def pair(n_classes, in_channels, image_size): return Pair(n_classes, in_channels)
class Values(Net):
    def answer(self, maps): return maps.mean((2, 3)) * float(maps.sum())  # needs real numbers
def values(n_classes, in_channels, image_size): return Values(n_classes, in_channels)
class Frozen(Net):
    def answer(self, maps): return maps.mean((2, 3)).detach()
def frozen(n_classes, in_channels, image_size): return Frozen(n_classes, in_channels)
class Normed(Net):
    def __init__(self, n, channels):
        super().__init__(n, channels)
        self.norm = nn.BatchNorm1d(n)
    def answer(self, maps): return self.norm(maps.mean((0, 2, 3))[None])
def normed(n_classes, in_channels, image_size): return Normed(n_classes, in_channels)
class Coloured(Net):
    mean = (0.5, 0.5)
def coloured(n_classes, in_channels, image_size): return Coloured(n_classes, in_channels)
def training_fails(n_classes, in_channels, image_size): return Net(n_classes, in_channels, fails=True)
def predicting_fails(n_classes, in_channels, image_size): return Net(n_classes, in_channels, fails=False)
class Odd(torch.autograd.Function):
    @staticmethod
    def forward(context, values): return values * 1
    @staticmethod
    def backward(context, gradient): raise KeyError("saved")
class NoGradient(Net):
    def answer(self, maps): return Odd.apply(maps.mean((2, 3)))
def no_gradient(n_classes, in_channels, image_size): return NoGradient(n_classes, in_channels)
class Overwritten(Net):
    def answer(self, maps):
        found = maps.mean((2, 3)).sigmoid()
        found *= 2
        return found
def overwritten(n_classes, in_channels, image_size): return Overwritten(n_classes, in_channels)
class Unused(Net):
    def __init__(self, n, channels):
        super().__init__(n, channels)
        self.other = nn.Linear(3, 4)
def unused(n_classes, in_channels, image_size): return Unused(n_classes, in_channels)
def leaves(n_classes, in_channels, image_size): sys.exit(0)
class LeavesLater(Net):
    def answer(self, maps): quit("bye")
def leaves_later(n_classes, in_channels, image_size): return LeavesLater(n_classes, in_channels)
def no_module(n_classes, in_channels, image_size): return {"a": 1}
def silent(n_classes, in_channels, image_size): assert in_channels == 7
def missing(n_classes, in_channels, image_size): return {}["width"]
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a module with networks."""
    name = f"own_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, name, raising=False)
    return name


@every(
    ("function", "task", "words"),
    [
        ("fixed", "classification", "it returns (2, 10), where (images, n_classes) = (2, 2) is needed"),
        ("maps", "multilabel", "it returns (2, 2, 32, 32), where (images, n_classes) = (2, 2) is needed"),
        ("good", "segmentation", "it returns (2, 2), where (images, n_classes, height, width) = (2, 2, 32, 32)"),
        ("pair", "regression", "it returns a tuple, not a tensor (images, n_classes)"),
        ("good", "detection", "cannot be trained at 32x32 (height x width)"),
        ("frozen", "classification", "its output depends on no trainable parameter"),
        ("no_gradient", "classification", "cannot be trained: its gradient cannot be computed: KeyError: 'saved'"),
        ("overwritten", "multilabel", "gradient cannot be computed: one of the variables needed for gradient computation"),
        ("normed", "classification", "Expected more than 1 value per channel when training"),
        ("coloured", "classification", "broadcastable to [2, 3, 32, 32]"),
        ("training_fails", "classification", "cannot be trained at 32x32 (height x width), 2 images of 3 channels: KeyError"),
        ("predicting_fails", "classification", "cannot be used to predict at 32x32 (height x width), 1 image of"),
        ("no_module", "classification", "it is of type dict, not a torch.nn.Module"),
        ("silent", "classification", ".py, line "),
        ("missing", "classification", "does not take these parameters: KeyError: 'width'"),
    ],
)  # fmt: skip
def test_an_own_network_that_gives_something_else_is_told(
    function: str, task: str, words: str, own: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = said(capsys, network=f"{own}:{function}", backbone=None, task=task)
    assert words in line
    assert f"{own}:{function}" in line


@every(("function", "code"), [("leaves", "0"), ("leaves_later", "'bye'")])
def test_an_own_network_that_ends_the_process_is_named(
    function: str, code: str, own: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = said(capsys, network=f"{own}:{function}", backbone=None)
    assert f"ended the process instead of raising an error, with {code} (" in line
    assert f"{own}.py, line" in line


def test_parameters_without_a_gradient_are_noted(own: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert preflight.main([entry(network=f"{own}:unused", backbone=None)]) == 0
    said = (
        "goldfold: models (m): note: 2 of 4 parameters get no gradient and keep their initial values, "
        "first 'network.other.weight'"
    )
    assert capsys.readouterr().err.strip() == said


def test_a_large_detector_is_run_at_a_small_size_of_the_same_remainders(monkeypatch: pytest.MonkeyPatch) -> None:
    assert trial._smaller((1024, 2048)) == (1024, 2048)
    height, width = trial._smaller((3000, 4010))
    assert (height % 128, width % 128, height * width * 2 <= trial.FEWER_PIXELS) == (3000 % 128, 4010 % 128, True)
    assert min(trial._smaller((20, 10**6))) == 20
    monkeypatch.setattr(trial, "FEWER_PIXELS", 2**15)
    sizes: list[tuple[str, trial.Size]] = []

    def make(size: trial.Size) -> nn.Module:
        sizes.append((str(torch.empty(0).device), size))
        return nn.Identity()

    with pytest.raises(trial._Failed, match="trained at 128x128"):
        trial._passed(make, trial.Wanted((4096, 4096), 3, 2, "boxes"))
    assert sizes == [("meta", (4096, 4096)), ("cpu", (128, 128))]


@every(
    ("function", "task"),
    [("good", "classification"), ("values", "multilabel"), ("maps", "segmentation"), ("pair", "m:T")],
)
def test_an_own_network_that_gives_what_the_task_needs_passes(
    function: str, task: str, own: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert preflight.main([entry(network=f"{own}:{function}", backbone=None, task=task)]) == 0, capsys.readouterr().err


def test_an_own_network_of_fixed_classes_passes_where_the_config_names_as_many(own: str) -> None:
    models_of = [{"name": "m", "network": f"{own}:fixed", "image_size_px": 32}]
    config = {"name": "x", "data": {"source": "folder", "train": ".", "classes": [f"c{n}" for n in range(10)]}}
    assert preflight.main(slices.network_checks(parse({**config, "models": models_of}))) == 0


# --- optimizers


@every("name", ["fusedadam", "fusedsgd", "bnbadam", "bnblion8bit"])
@pytest.mark.skipif(torch.cuda.is_available(), reason="there they may be built")
def test_an_optimizer_that_cannot_be_built_here_is_told_with_one_that_can(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = said(capsys, train={**TRAIN, "optimizer": name})
    plain = name.removeprefix("fused").removeprefix("bnb").removesuffix("8bit")
    assert f"train.optimizer = {name!r} cannot be built here: CUDA required" in line
    assert f"Use {plain}, " in line
    assert plain in timm_optimizers()


def test_an_optimizer_that_can_be_built_and_takes_no_step_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    line = said(capsys, train={**TRAIN, "optimizer": "adahessian"})
    assert "'adahessian' cannot be built here: it needs second derivatives, which training does not compute" in line
    line = said(capsys, train={**TRAIN, "optimizer": "test_preflight:stepless"})
    assert "'test_preflight:stepless' cannot be built here: no closure is given" in line


def stepless(groups: Any, lr: float, weight_decay: float) -> torch.optim.Optimizer:
    class Stepless(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:  # type: ignore[override]
            raise TypeError("no closure is given")

    return Stepless(groups, lr=lr, weight_decay=weight_decay)


def test_batches_of_one_image_are_tried_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    line = said(capsys, backbone="resnet10t", train={**TRAIN, "batch_size": 1})
    assert "1 image of 3 channels: Expected more than 1 value per channel" in line
    assert "(train.batch_size: 2)" in line


@torch.compiler.set_stance("force_eager")  # kron compiles its sums, for 20 s
def test_every_other_optimizer_and_schedule_can_be_used() -> None:
    network = nn.Conv2d(1, 2, 3)
    tried = [name for name in timm_optimizers() if not name.startswith(("fused", "bnb", "adahessian"))]
    assert len(tried) > 80
    for name in tried:
        update_trial.check_optimizer(network, {**TRAIN, "optimizer": name})
    for schedule in catalog.SCHEDULES:
        update_trial.check_optimizer(network, {**TRAIN, "schedule": schedule})


def test_the_hooks_of_the_catalog_can_be_made_of_a_network_that_was_tried() -> None:
    assert not preflight.check(entry(train={**TRAIN, "hooks": [{"clip": {"norm": 1.0}}, {"ema": {"decay": 0.9}}]}))


@pytest.mark.parametrize(
    ("train", "text"),
    [
        (
            {"freeze": [[0, {"first": 9}]]},
            "train.freeze: first: 9: the backbone has 4 stages; give at most 4.",
        ),
        (
            {"schedule": {"cosine": {"min_lr": 0.1}}},
            "min_lr = 0.1: must lie between 0 and the peak of the rate, 0.001.",
        ),
        (
            {"update": {"sam": {"rho": 0}}},
            "train.update = {'sam': {'rho': 0}} cannot be used: rho = 0: must be a number above",
        ),
        (
            {"hooks": [{"agc": {"exclude": ["fc"]}}]},
            "'agc' cannot be built: exclude: no parameter begins with 'fc'; the last",
        ),
    ],
)
def test_rates_schedules_and_rules_that_cannot_be_are_named_before_any_job(
    train: dict[str, Any], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert text in said(capsys, network="small_resnet", backbone=None, size=[8, 8], train={**TRAIN, **train})


def test_a_hook_that_cannot_be_made_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    line = said(capsys, train={**TRAIN, "hooks": [{"clip": {"norm": 1.0}}, {"ema": {"decay": 3}}]})
    assert "train.hooks: 'ema' cannot be built: decay = 3: must lie between 0 and 1" in line


# --- causes


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:
        return caught


@every(
    ("error", "text"),
    [
        (ValueError("too wide.\n\nTraceback"), "too wide"),
        (KeyError("a"), "KeyError: 'a'"),
        (AssertionError("32 != 16"), "32 != 16"),
        (RuntimeError("\n  first\nsecond"), "first"),
        (StopIteration(), "StopIteration"),
        (RuntimeError("Error(s) in loading:\n\tsize mismatch for a.\n\tb"), "Error(s) in loading: size mismatch for a"),
        (RuntimeError("Error(s) in loading:"), "Error(s) in loading"),
    ],
)
def test_the_cause_of_an_error_is_one_line_that_says_something(error: Exception, text: str) -> None:
    assert cause(error) == text


def test_an_error_without_text_has_the_place_that_raised_it() -> None:
    assert cause(raised(AssertionError())).startswith("AssertionError in test_preflight.py, line ")
    assert cause(raised(AssertionError())).endswith("raise error")


OWN_PARTS = """
def raises(logits, target):
    raise ValueError("no such luck")

def number(logits, target):
    return 3.0

metric = object()
"""


@every(
    ("train", "metric", "words"),
    [
        (
            {"loss": {"focal": {"gamma": "x"}}},
            None,
            "train.loss = {'focal': {'gamma': 'x'}}: gamma = 'x': must be a number of at least 0",
        ),
        (
            {"loss": "own_parts:raises"},
            None,
            "train.loss = 'own_parts:raises' fails on made-up values: ValueError: no such luck",
        ),
        ({"loss": "own_parts:number"}, None, "train.loss = 'own_parts:number' fails on made-up values"),
        (
            {"augment": ["light", {"Blur": {"p": 3}}]},
            None,
            "augmentation Blur: p: Input should be less than or equal to 1",
        ),
        ({}, "own_parts:metric", "metric = 'own_parts:metric': is object, not a function"),
    ],
)
def test_a_loss_augmentation_or_metric_that_fails_is_named(
    train: dict[str, Any], metric: str | None, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (tmp_path / "own_parts.py").write_text(OWN_PARTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert words in said(capsys, train={**TRAIN, "batch_size": 2, **train}, metric=metric)


def test_a_problem_of_the_whole_config_is_named_once(capsys: pytest.CaptureFixture[str]) -> None:
    written = {"": "models (m)", "metric": "metric", "ensemble": "ensemble"}
    one = entry(train={**TRAIN, "batch_size": 2}, metric={"map_at_k": {"k": 0}}, written=written)
    assert preflight.main([one, {**one, "name": "n"}]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "goldfold: metric = {'map_at_k': {'k': 0}}: map_at_k: k = 0: must be at least 1"
    ]


@every("task", ["classification", "multilabel", "regression", "segmentation"])
def test_every_loss_of_a_task_can_be_computed_on_made_up_values(task: str) -> None:
    for loss in catalog.LOSSES[facts(task).target]:
        for n_classes in (1, 3) if task == "segmentation" else (3,):
            component_trial.check_components(
                {"task": task, "train": {**TRAIN, "loss": loss}, "size": [16, 24], "channels": 4}, n_classes
            )
