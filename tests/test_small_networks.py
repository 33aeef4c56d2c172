"""Networks for small images: what each is made of, how far its outputs see, and where its resolution falls."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from goldfold import catalog, models
from goldfold.base.errors import ConfigError
from goldfold.commands import preflight
from goldfold.models.densenet7x7 import DenseLayer
from goldfold.models.dilated_group_conv import Bottleneck
from goldfold.models.inception_fsd import Inception
from test_preflight import entry

every = pytest.mark.parametrize
SMALL = [name for name in catalog.NETWORKS["values"] if name not in ("timm", "clip")]
NARROW: dict[str, dict[str, Any]] = {
    "small_resnet": {"widths": (4, 8)},
    "densenet7x7": {"layers": (1, 2), "growth": 4},
    "dual_branch": {"widths": (4, 8), "features": 8},
    "inception_fsd": {"widths": (8, 8, 8, 8), "hidden": (8, 8)},
    "dilated_group_conv": {"widths": (8, 16), "groups": 2},
}


def made(name: str, size: tuple[int, int] = (32, 32), channels: int = 1, **params: Any) -> Any:
    torch.manual_seed(0)
    return models.build(name, n_classes=10, in_channels=channels, image_size=size, **params)


def on_meta(name: str, size: tuple[int, int] = (32, 32), **params: Any) -> Any:
    with torch.device("meta"):
        return made(name, size, 3, **params)


def shapes(model: nn.Module, kind: type[nn.Module], size: tuple[int, int] = (32, 32)) -> list[tuple[int, ...]]:
    """Shapes (channels, height, width) of the outputs of all modules of a kind, in order of use."""
    found: list[tuple[int, ...]] = []
    for part in model.modules():
        if isinstance(part, kind):
            part.register_forward_hook(lambda _, __, output: found.append(tuple(output.shape[1:])))
    with torch.device("meta"):
        model.eval()(torch.zeros(2, 3, *size))
    return found


def seen(body: nn.Module, size: int) -> int:
    """Side of the square of pixels that the output in the middle depends on.

    All weights are 1 and values positive, so that no gradient vanishes by chance.
    """
    body.eval()
    with torch.no_grad():
        for parameter in body.parameters():
            parameter.fill_(1.0)
    images = torch.rand(1, 1, size, size, dtype=torch.float64, requires_grad=True)
    output = body.double()(images)
    output[0, :, output.shape[2] // 2, output.shape[3] // 2].sum().backward()
    assert images.grad is not None
    rows = (images.grad[0, 0] != 0).any(dim=1).nonzero()
    return int(rows.max() - rows.min()) + 1


def convolutions(model: nn.Module, kernel: int = 7) -> Iterator[nn.Conv2d]:
    yield from (
        part for part in model.modules() if isinstance(part, nn.Conv2d) and part.kernel_size == (kernel, kernel)
    )


def test_there_are_five() -> None:
    assert {*SMALL} == {*NARROW}
    assert len(SMALL) == 5


# Convolutions, weights and biases of norms (2 a channel) and of the linear layers, counted by hand from the rows' numbers:
# densenet7x7: stem 3*32*49; dense layers 784 * (144 + 480 + 1872 + 1488) + 2 * (the same channels); transitions 80*40, 136*68,
#   260*130 and their norms 2 * (80 + 136 + 260); last norm 2 * 258; last layer 258 * 10 + 10.
DENSE = 4704 + 784 * 3984 + 2 * 3984 + 3200 + 9248 + 33800 + 2 * 476 + 516 + 2590
# small_resnet: stem 3*32*49 + 64; a block from a to b channels: 49 (a b + b b) + 4 b, and with a shortcut a b + 2 b.
RESNET = (
    4704
    + 64
    + 49 * 2048
    + 128
    + sum(49 * (a * b + b * b) + a * b + 6 * b for a, b in ((32, 64), (64, 128), (128, 256)))
)
# dual_branch: the same blocks of 32, 64, 128 channels; local 3*32*9 + 64, then 9 * 4 a b + 2 b + 9 b b + 2 b;
#   fusion 256 * 256 + 512.
DUAL = 4704 + 64 + 49 * 2048 + 128 + sum(49 * (a * b + b * b) + a * b + 6 * b for a, b in ((32, 64), (64, 128)))
DUAL += 864 + 64 + sum(36 * a * b + 9 * b * b + 4 * b for a, b in ((32, 64), (64, 128))) + 256 * 256 + 512
# inception_fsd: stem 3*64*9 + 128; a module from a to 4 q channels: 4 a q + 27 q q, and norms of 7 q channels;
#   16*256 + 4*256 + 256 features.
MODULES = ((64, 16), (64, 32), (128, 48), (192, 64), (256, 64), (256, 64))
INCEPTION = 1728 + 128 + sum(4 * a * q + 27 * q * q + 14 * q for a, q in MODULES) + 5376 * 512 + 512 + 512 * 256 + 256
# dilated_group_conv: stem 3*64*49 + 128; a bottleneck of w: 2 w (w/2) + 49 (w/2)^2 / 8 + norms 2 (w/2 + w/2 + w);
#   strided 9 a b + 2 b; 64 places of 256 channels, each with a bias.
DILATED = 9408 + 128 + 3 * sum(w * w + 49 * (w // 2) ** 2 // 8 + 4 * w for w in (64, 128, 256))
DILATED += 9 * 64 * 128 + 256 + 9 * 128 * 256 + 512 + 64 * 256 + 256
COUNTS = {
    "densenet7x7": DENSE,
    "small_resnet": RESNET + 2570,
    "dual_branch": DUAL + 2570,
    "inception_fsd": INCEPTION + 2570,
    "dilated_group_conv": DILATED + 2570,
}


@every("name", SMALL)
def test_the_full_size_has_as_many_parameters_as_its_numbers_give(name: str) -> None:
    assert sum(value.numel() for value in on_meta(name).parameters()) == COUNTS[name]


@every("name", SMALL)
def test_a_step_of_the_full_size_lowers_the_loss(name: str) -> None:
    model = made(name, (16, 16)).train()
    images, labels = torch.randn(4, 1, 16, 16), torch.arange(4)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    for part in model.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    losses = []
    for _ in range(2):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[1] < losses[0]


# --- densenet7x7


def test_densenet_has_dense_blocks_of_7x7_at_one_resolution() -> None:
    model = on_meta("densenet7x7")
    outputs = shapes(model, DenseLayer)
    starts, layers = (32, 40, 68, 130), (3, 6, 12, 8)
    expected = [
        (start + 16 * (n + 1), 32, 32) for start, count in zip(starts, layers, strict=True) for n in range(count)
    ]
    assert outputs == expected
    kernels = [*convolutions(model)]
    assert len(kernels) == 1 + sum(layers)
    assert {(conv.padding, conv.stride) for conv in kernels} == {((3, 3), (1, 1))}
    others = [part for part in model.modules() if isinstance(part, nn.Conv2d) and part not in kernels]
    assert [(conv.kernel_size, conv.in_channels, conv.out_channels) for conv in others] == [
        ((1, 1), 80, 40), ((1, 1), 136, 68), ((1, 1), 260, 130),
    ]  # fmt: skip
    assert [part for part in model.modules() if isinstance(part, nn.ReLU) and part.inplace] == []
    assert [part.p for part in model.modules() if isinstance(part, nn.Dropout) and part.p] == [0.2] * sum(layers)
    order = [
        type(part).__name__ for part in next(part for part in model.modules() if isinstance(part, DenseLayer)).body
    ]
    assert order == ["BatchNorm2d", "ReLU", "Conv2d", "Dropout"]


def test_a_dense_layer_passes_its_input_on_unchanged() -> None:
    layer, maps = DenseLayer(5, 3, 0.0), torch.randn(2, 5, 9, 9)
    output = layer(maps)
    assert torch.equal(output[:, :5], maps)
    assert output.shape == (2, 8, 9, 9)


def test_each_layer_of_7x7_sees_6_pixels_further() -> None:
    for layers in ((1,), (1, 1), (2, 1)):
        body = made("densenet7x7", layers=layers, growth=2, layer_dropout=0.0).body
        assert seen(body, 64) == 7 + 6 * sum(layers)


# --- small_resnet


def test_small_resnet_has_blocks_of_7x7_and_halves_the_resolution_as_channels_double() -> None:
    from goldfold.models.blocks import Residual

    model = on_meta("small_resnet")
    assert shapes(model, Residual) == [(32, 32, 32), (64, 16, 16), (128, 8, 8), (256, 4, 4)]
    assert len([*convolutions(model)]) == 1 + 2 * 4
    assert len([*convolutions(on_meta("small_resnet", kernel_size_px=3))]) == 1
    body = made("small_resnet", widths=(2, 2))
    assert seen(nn.Sequential(body.stem, body.stages[0]), 64) == 7 + 2 * 6
    # the second stage: 7x7 with stride 2, then 7x7 at half the resolution, which sees 12 pixels further
    assert seen(nn.Sequential(body.stem, body.stages), 64) == 7 + 2 * 6 + 6 + 12


# --- dual_branch


def test_dual_branch_has_a_wide_and_a_lossless_branch_in_one_feature_space() -> None:
    from goldfold.models.blocks import Residual, SpaceToDepthConv

    model = on_meta("dual_branch")
    assert shapes(model, Residual) == [(32, 32, 32), (64, 16, 16), (128, 8, 8)]
    model = on_meta("dual_branch")
    assert shapes(model, SpaceToDepthConv) == [(64, 16, 16), (128, 8, 8)]
    wide, local = (on_meta("dual_branch").body.get_submodule(name) for name in ("wide", "local"))
    assert len([*convolutions(wide)]) == 1 + 2 * 3
    assert {conv.stride for conv in local.modules() if isinstance(conv, nn.Conv2d)} == {(1, 1)}
    assert [type(part).__name__ for part in local.modules() if "Pool" in type(part).__name__] == []
    fuse = model.body.fuse[0]
    assert (fuse.in_channels, fuse.out_channels, fuse.kernel_size) == (256, 256, (1, 1))


def test_both_branches_reach_the_features_and_the_wide_one_sees_further() -> None:
    body = made("dual_branch", widths=(2, 2), features=3).body
    images = torch.randn(2, 1, 16, 16)
    for part in (body.wide, body.local):
        body.eval()
        before = body(images)
        with torch.no_grad():
            next(part.parameters()).mul_(-3.0)
        assert not torch.allclose(body(images), before)
    body = made("dual_branch", widths=(2, 2), features=3).body
    assert seen(body.wide, 64) == 7 + 12 + 6 + 12
    # 3x3; squares of 2 x 2 pixels, of which 3x3 see 2 more on each side; 3x3 at half the resolution
    assert seen(made("dual_branch", widths=(2, 2), features=3).body.local, 64) == 2 + 2 + 4 + 4


# --- inception_fsd


@every("size", [(32, 32), (28, 28), (24, 48)])
def test_inception_has_features_of_4x4_2x2_and_1x1_cells(size: tuple[int, int]) -> None:
    model = on_meta("inception_fsd", size)
    grids = [(64, *size), (128, *(side // 2 for side in size)), (192, *(side // 4 for side in size))]
    assert shapes(model, Inception, size) == [*grids, (256, 4, 4), (256, 2, 2), (256, 1, 1)]
    with torch.device("meta"):
        assert model.body.concatenated(torch.zeros(2, 3, *size)).shape == (2, 256 * (16 + 4 + 1))
    layers = [(part.in_features, part.out_features) for part in model.modules() if isinstance(part, nn.Linear)]
    assert layers == [(5376, 512), (512, 256), (256, 10)]
    assert [part.p for part in model.modules() if isinstance(part, nn.Dropout) and part.p] == [0.4, 0.4]


def test_an_inception_module_has_four_branches_of_which_one_sees_5x5() -> None:
    module = Inception(1, 8)
    *convolved, pooled = Inception(1, 8).branches
    assert [seen(branch, 15) for branch in convolved] == [1, 3, 5]
    assert (pooled[0].kernel_size, pooled[0].stride) == (3, 1)
    assert module(torch.randn(2, 1, 8, 8)).shape == (2, 8, 8, 8)
    assert {conv.kernel_size[0] for conv in module.modules() if isinstance(conv, nn.Conv2d)} == {1, 3}


# --- dilated_group_conv


def test_dilated_group_conv_has_stages_at_32_16_and_8_px_without_pooling() -> None:
    model = on_meta("dilated_group_conv")
    assert shapes(model, Bottleneck) == [(64, 32, 32)] * 3 + [(128, 16, 16)] * 3 + [(256, 8, 8)] * 3
    grouped = [conv for conv in convolutions(model) if conv.groups == 8]
    assert [conv.dilation for conv in grouped] == [(1, 1), (2, 2), (4, 4)] * 3
    strided = [conv for conv in model.modules() if isinstance(conv, nn.Conv2d) and conv.stride == (2, 2)]
    assert [(conv.in_channels, conv.out_channels) for conv in strided] == [(64, 128), (128, 256)]
    assert [type(part).__name__ for part in model.modules() if "Pool" in type(part).__name__] == []
    narrow = {conv.in_channels for conv in grouped}
    assert narrow == {32, 64, 128}, "bottlenecks of half the channels"


@every("dilation", [1, 2, 4])
def test_a_dilated_7x7_sees_7_13_or_25_pixels(dilation: int) -> None:
    block = nn.Sequential(nn.Conv2d(1, 4, 1), Bottleneck(4, 2, dilation))
    assert seen(block, 40) == 1 + 6 * dilation


def test_its_last_map_is_weighed_by_channel_and_place() -> None:
    model = made("dilated_group_conv", (20, 13), **NARROW["dilated_group_conv"])
    assert model.body[-1].weight.shape == (16, 1, 10, 7)
    assert model.eval()(torch.randn(2, 1, 20, 13)).shape == (2, 10)


# --- parameters, sizes


@every(
    ("name", "params", "said"),
    [
        (
            "small_resnet",
            {"widths": []},
            r"small_resnet needs widths and blocks of at least 1, not widths \[\], blocks 1",
        ),
        (
            "small_resnet",
            {"kernel_size_px": 4},
            r"small_resnet needs an odd kernel_size_px, not 4\. Correct models\[\]\.params",
        ),
        (
            "densenet7x7",
            {"layers": [3, 0]},
            r"densenet7x7 needs layers and growth of at least 1, not layers \[3, 0\], growth 16",
        ),
        ("densenet7x7", {"compression": 0}, r"densenet7x7 needs a compression above 0 and at most 1, not 0"),
        ("densenet7x7", {"layer_dropout": 1}, r"densenet7x7 needs a layer_dropout from 0 to below 1, not 1"),
        ("dual_branch", {"features": 0}, r"dual_branch needs widths, blocks and features of at least 1"),
        ("inception_fsd", {"widths": [8, 8, 8]}, r"inception_fsd needs four or more widths that are multiples of 4"),
        ("inception_fsd", {"hidden": []}, r"inception_fsd needs blocks and hidden units of at least 1"),
        ("dilated_group_conv", {"widths": [60]}, r"needs widths that are multiples of 16 \(2 x groups\), not \[60\]"),
        ("dilated_group_conv", {"dilations": [0]}, r"dilated_group_conv needs dilations of at least 1, not \[0\]"),
    ],
)
def test_parameters_that_cannot_be_are_refused(name: str, params: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        on_meta(name, **params)


TOO_SMALL: dict[str, tuple[tuple[int, int], str, str]] = {
    "small_resnet": ((7, 7), "small_resnet needs images of at least 8 pixels, not (7, 7).", "14x14 (height x width)"),
    "dual_branch": (
        (30, 28),
        "of at least 4 pixels whose sides are multiples of 4, not (30, 28).",
        "28x28 (height x width)",
    ),
    "inception_fsd": (
        (12, 12),
        "inception_fsd needs images of at least 16 pixels, not (12, 12).",
        "16x16 (height x width)",
    ),
    "dilated_group_conv": ((3, 9), "needs images of at least 4 pixels, not (3, 9).", "14x14 (height x width)"),
}


@every("name", TOO_SMALL)
def test_a_size_that_one_cannot_take_is_refused_before_any_job_with_those_it_can(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    size, said, works = TOO_SMALL[name]
    assert preflight.main([entry(network=name, backbone=None, size=list(size))]) == 1
    line = capsys.readouterr().err
    assert said in line
    assert f"Sizes that work: {works}" in line


@every("name", SMALL)
@every("size", [(32, 32), (16, 24)])
def test_each_passes_the_trial_at_a_square_and_at_another_size(
    name: str, size: tuple[int, int], capsys: pytest.CaptureFixture[str]
) -> None:
    one = entry(network=name, backbone=None, size=list(size), params=NARROW[name])
    assert preflight.main([one]) == 0, capsys.readouterr().err


@every("name", SMALL)
def test_every_head_fits_all_that_pool(name: str) -> None:
    pools = name not in ("inception_fsd", "dilated_group_conv")
    settings = {"hidden": [6], **({"pooling": "gem"} if pools else {})}
    model = made(name, (16, 16), head_settings=settings, **NARROW[name])
    output: Tensor = model(torch.randn(3, 1, 16, 16))
    assert output.shape == (3, 10)
    output.square().sum().backward()
    without = [key for key, value in model.named_parameters() if value.grad is None]
    assert without == []
    if not pools:
        with pytest.raises(ConfigError, match="0 global poolings over a map"):
            made(name, (16, 16), head_settings={"pooling": "gem"}, **NARROW[name])


@every("name", ["small_resnet", "dual_branch", "dilated_group_conv"])
def test_drop_path_rises_with_depth(name: str) -> None:
    rates = [
        part.drop_prob for part in made(name, drop_path=0.3, **NARROW[name]).modules() if hasattr(part, "drop_prob")
    ]
    assert len(rates) >= 2
    assert rates == sorted(rates)
    assert rates[-1] == pytest.approx(0.3)
    assert [part for part in made(name, **NARROW[name]).modules() if hasattr(part, "drop_prob")] == []
