"""Building blocks, and heads put into networks of any family: pooling, hidden layers, statistics of pixels."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from goldfold import catalog, models, tasks
from goldfold.base.errors import ConfigError
from goldfold.bundles import form
from goldfold.bundles.networks import Network
from goldfold.cases import Inputs
from goldfold.config import chosen, parse, slices
from goldfold.engine.parts import backbone
from goldfold.inference.predictor import build
from goldfold.models import pretrained
from goldfold.models.blocks import GeM, SpaceToDepthConv
from goldfold.models.features import Heard
from goldfold.models.fusion import Branch
from goldfold.optim.groups import parameter_groups
from goldfold.tasks.logits import network

every = pytest.mark.parametrize
HEAD: dict[str, Any] = {"pooling": "gem", "hidden": [6, 5], "dropout": 0.3}
TINY_SWIN = {"embed_dim": 8, "depths": (1, 1), "num_heads": (1, 2), "window_size": 4}
POOLED: dict[str, tuple[str, dict[str, Any]]] = {
    "flat": ("test_resnet", {}),
    "a layer after the pooling": ("mobilenetv3_small_050", {}),
    "a norm after the pooling": ("test_convnext", {}),
    "channels last": ("swin_tiny_patch4_window7_224", TINY_SWIN),
    "a convolution as last layer": ("resnetv2_50", {"layers": (1, 1), "stem_chs": 8}),
}


class Mean(nn.Module):
    """A pooling of one's own."""

    def __init__(self, power: int = 1) -> None:
        super().__init__()
        self.power = power

    def forward(self, maps: Tensor) -> Tensor:
        return maps.pow(self.power).mean((2, 3))


def made(name: str = "test_resnet", size: tuple[int, int] = (64, 96), **params: Any) -> Any:
    torch.manual_seed(0)
    return models.build("timm", backbone=name, n_classes=3, in_channels=3, image_size=size, **params)


def images(n: int = 2, size: tuple[int, int] = (64, 96)) -> Tensor:
    return torch.randn(n, 3, *size, generator=torch.Generator().manual_seed(1))


# --- blocks


def test_space_to_depth_loses_nothing_and_is_torch_s_pixel_unshuffle() -> None:
    block = SpaceToDepthConv(2, 5)
    maps = torch.arange(2 * 2 * 4 * 6, dtype=torch.float32).view(2, 2, 4, 6)
    deep = block.rearrange(maps)
    assert deep.shape == (2, 8, 2, 3)
    assert torch.equal(deep, nn.functional.pixel_unshuffle(maps, 2))
    assert torch.equal(nn.functional.pixel_shuffle(deep, 2), maps)
    assert deep[0, :4, 0, 0].tolist() == [0, 1, 6, 7], "the four pixels of a square, row by row"
    assert block(maps).shape == (2, 5, 2, 3)


def test_gem_is_the_mean_at_1_tends_to_the_maximum_and_grows_with_p() -> None:
    maps = torch.rand(3, 4, 5, 7, generator=torch.Generator().manual_seed(0)) + 0.01
    assert torch.allclose(GeM(p=1.0)(maps), maps.mean((2, 3)), atol=1e-6)
    assert torch.allclose(GeM(p=2.0)(maps), maps.square().mean((2, 3)).sqrt(), atol=1e-6)
    assert torch.allclose(GeM(p=2000.0)(maps), maps.amax((2, 3)), rtol=3e-3)
    values = torch.stack([GeM(p=p)(maps) for p in (0.5, 1.0, 3.0, 10.0, 100.0)])
    assert (values.diff(dim=0) > 0).all()


def test_gem_has_the_gradient_of_its_formula_for_maps_and_p() -> None:
    maps = (torch.rand(1, 2, 3, 3, generator=torch.Generator().manual_seed(0)) + 0.1).requires_grad_()
    block = GeM(p=3.0)
    block(maps).sum().backward()
    exact, p = maps.detach().double().requires_grad_(), torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    exact.pow(p).mean((2, 3)).pow(1 / p).sum().backward()
    assert block.p.grad is not None
    assert block.p.grad.item() == pytest.approx(p.grad.item(), rel=1e-4)
    assert block.p.grad.item() != 0
    assert torch.allclose(maps.grad, exact.grad.float(), rtol=1e-4)


@every("dtype", [torch.float16, torch.bfloat16])
@every("scale", [1e-3, 1.0, 3e4])
def test_gem_is_finite_in_half_precision(dtype: torch.dtype, scale: float) -> None:
    maps = (scale * torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))).to(dtype)
    for p in (1.0, 3.0, 60.0):
        halves, exact = GeM(p=p), GeM(p=p)(maps.float())
        given = maps.clone().requires_grad_()
        found = halves(given)
        assert found.dtype == dtype
        assert torch.allclose(found.float(), exact, rtol=0.01)
        found.float().mean().backward()
        assert torch.isfinite(given.grad).all()
        assert torch.isfinite(halves.p.grad).all()


def test_gem_of_maps_without_positive_values_is_finite() -> None:
    block, maps = GeM(), torch.full((1, 2, 3, 3), -4.0, requires_grad=True)
    block(maps).sum().backward()
    assert torch.isfinite(block.p.grad).all()
    with pytest.raises(ValueError, match=r"gem needs p of at least 0\.1 and eps above 0, not p = 0"):
        GeM(p=0.0)


# --- heads of networks


@every("case", POOLED)
def test_a_pooling_of_ones_own_stands_where_that_of_the_network_did(case: str) -> None:
    name, params = POOLED[case]
    own, before = made(name, head_settings={"pooling": "test_heads:Mean"}, **params).eval(), made(name, **params).eval()
    assert torch.allclose(own(images()), before(images()), atol=1e-5)
    twice = made(name, head_settings={"pooling": {"test_heads:Mean": {"power": 2}}}, **params).eval()
    assert not torch.allclose(twice(images()), before(images()), atol=1e-3)


@every("case", POOLED)
@every("has_metadata", [False, True])
def test_every_parameter_of_a_head_gets_a_gradient_and_features_are_what_it_takes(
    case: str, has_metadata: bool
) -> None:
    name, params = POOLED[case]
    torch.manual_seed(0)
    branch = Branch(1, (2,), 4, 0.0) if has_metadata else None
    model = network("timm", 3, (64, 96), 3, branch, backbone=name, head_settings=HEAD, **params)
    cases = Inputs(255 * torch.rand(4, 1, 3, 64, 96), torch.ones(4, 1, dtype=torch.bool), torch.ones(4, 3))
    with Heard(model) as heard:
        outputs = model(cases)
    assert outputs.shape == (4, 3)
    outputs.square().sum().backward()
    named = dict(model.named_parameters())
    of_head = [
        key for key in named if key.endswith("pooling.p") or ".head." in f".{key}" or "fc" in key or "class" in key
    ]
    assert len(of_head) >= 7, "p, and weights and biases of three layers"
    assert [key for key in of_head if named[key].grad is None] == []
    p = next(value for key, value in named.items() if key.endswith("pooling.p"))
    assert p.grad.abs() > 0
    layers = [part for part in model.modules() if isinstance(part, nn.Linear) and part.out_features in (3, 5, 6)][-3:]
    assert [layer.out_features for layer in layers] == [6, 5, 3]
    assert heard.features(cases).shape == (4, layers[0].in_features)
    assert [part.p for part in model.modules() if isinstance(part, nn.Dropout) and part.p == 0.3] == [0.3, 0.3]


def test_rates_and_decay_know_the_head() -> None:
    model = network("timm", 3, (64, 96), 3, backbone="test_resnet", head_settings=HEAD)
    own = {name for name, _ in model.named_parameters()} - backbone(model)
    assert own == {
        "network.global_pool.pooling.p",
        *(f"network.fc.{n}.{kind}" for n in (1, 4, 7) for kind in ("weight", "bias")),
    }
    groups = parameter_groups(model, 0.1, lr_scale={"head": 10})
    p = model.network.global_pool.pooling.p
    assert [group["weight_decay"] for group in groups if any(one is p for one in group["params"])] == [0.0]


def test_only_the_head_is_new_with_weights_of_a_file(tmp_path: Path) -> None:
    def saved(model: nn.Module) -> str:
        save_file({name: value.contiguous() for name, value in model.state_dict().items()}, tmp_path / "w.safetensors")
        return str(tmp_path / "w.safetensors")

    torch.manual_seed(0)
    before = made()
    after = made(head_settings=HEAD, pretrained=saved(before))
    new = {"global_pool.pooling.p", *(f"fc.{n}.{kind}" for n in (1, 4, 7) for kind in ("weight", "bias"))}
    assert {*after.new} == new
    old = before.state_dict()
    assert all(torch.equal(value, old[name]) for name, value in after.state_dict().items() if name not in new)
    with torch.no_grad():
        after.global_pool.pooling.p.fill_(4.0)
    again = made(head_settings=HEAD, pretrained=saved(after))
    assert again.new == []
    assert all(torch.equal(value, after.state_dict()[name]) for name, value in again.state_dict().items())
    assert pretrained.summary("w", again).endswith("new: nothing")


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "class token": (
        "test_vit",
        {"pooling": "gem"},
        r"head\.pooling: the network has 0 global poolings .* \{global_pool: avg\}\.",
    ),
    "two heads": ("deit_tiny_distilled_patch16_224", {"hidden": [4]}, r"head\.hidden: the last layer .* not known"),
}


@every("case", REFUSED)
def test_a_network_without_a_place_for_it_is_refused(case: str) -> None:
    name, settings, said = REFUSED[case]
    with torch.device("meta"), pytest.raises(ConfigError, match=said):
        made(name, (32, 32), head_settings=settings)


def test_a_transformer_takes_hidden_layers() -> None:
    model = made("test_vit", (32, 32), head_settings={"hidden": [6]})
    assert model(images(size=(32, 32))).shape == (2, 3)


# --- config


def config(**changes: Any) -> Any:
    model = {"name": "a", "network": "small_resnet", "params": {"widths": [4, 4]}, "image_size_px": 8, **changes}
    return parse({"name": "t", "data": {"source": "digits"}, "models": [model]})


def test_a_head_is_part_of_the_recipes_and_of_the_code_of_its_model_alone() -> None:
    plain, own = config(), config(head={"pooling": {"gem": {"p": 4}}, "hidden": [8]}, mean=0.1, std=[0.3, 0.2, 0.2])
    for of in (slices.learning, slices.network):
        assert "head" not in of(plain, "a")
        assert of(own, "a")["head"] == {"pooling": {"gem": {"p": 4}}, "hidden": [8]}
    assert slices.learning(own, "a")["mean"] == 0.1
    assert not {"head", "mean", "std"} & {*slices.learning(plain, "a")}
    place = catalog.POOLINGS["gem"]
    assert [place in chosen.places(one, "train", "a") for one in (plain, own)] == [False, True]
    assert place in chosen.places(own, "predict", "a")


def test_a_bundle_builds_the_network_with_its_head_and_names_a_pooling_of_ones_own() -> None:
    own = config(head={"pooling": "test_heads:Mean", "hidden": [8]}, mean=0.1, std=0.3)
    trained, infer = slices.learning(own, "a"), tasks.infer({"name": "classification"}, ["a", "b"])
    described = Network(**slices.network(own, "a"), resize="squash")
    written = Network(**described.model_dump())
    weights = build(infer, trained, 3, starts=True).state_dict()
    made = build(infer, written.model_dump(), 3)
    made.load_state_dict(weights)
    assert made.mean.flatten().tolist() == pytest.approx([0.1] * 3)
    assert any(name.endswith("head.3.1.weight") for name in weights)
    member = form.Member(name="a", weight=1.0, network=written, weights=["weights/a.safetensors"])
    manifest = form.Manifest.model_construct(
        task={"name": "classification"}, members=[member], views=["identity"], ensemble={}, fusion=None
    )
    assert manifest.places_of_own_code() == ["test_heads:Mean"]
    assert "head" not in Network(**slices.network(config(), "a"), resize="squash").model_dump()


def test_statistics_of_the_config_replace_those_of_the_backbone() -> None:
    spec = {"network": "timm", "backbone": "test_resnet", "params": {}, "size": (32, 32)}
    infer = tasks.infer({"name": "classification"}, ["a", "b"])
    own = build(infer, {**spec, "mean": 0.4, "std": [0.1, 0.2, 0.3]}, 3)
    assert own.mean.flatten().tolist() == pytest.approx([0.4] * 3)
    assert own.std.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])
    default = build(infer, spec, 3)
    assert default.mean.flatten().tolist() == pytest.approx(default.network.default_cfg["mean"])


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"head": {}}, "head: sets nothing; set pooling or hidden, or remove it"),
    (
        {"head": {"dropout": 0.2}},
        "dropout: is that of hidden layers, and there are none; set hidden, or dropout of the model",
    ),
    ({"head": {"pooling": "gme"}}, "head.pooling = 'gme': nearest is 'gem'; allowed: gem, package.module:function"),
    ({"head": {"pooling": {"gem": {"q": 1}}}}, "gem does not take 'q'; its parameters: p, eps"),
    ({"head": {"hidden": [0]}}, "head.hidden[0] = 0: must be at least 1"),
    ({"std": 0}, "std = 0.0: must be above 0 and at most 1, in units of the largest pixel value (255)"),
    ({"mean": [0.5, 0.5]}, "mean = [0.5, 0.5]: has 2 values, but images have 3 channels; give one per channel"),
    ({"mean": 123.7}, "mean = 123.7: must be at least 0 and at most 1"),
]
TIMM = {"network": "timm", "backbone": "test_resnet"}
WRONG += [
    ({**TIMM, "params": {"img_size": 64}}, "params: 'img_size' is set by goldfold, from image_size_px; remove it"),
    ({**TIMM, "params": {"in_chans": 1}}, "params: 'in_chans' is set by goldfold, from data.channels; remove it"),
    ({**TIMM, "params": {"drop_rate": 0.1}, "dropout": 0.2}, "'drop_rate' is what dropout sets, which is 0.2; keep one of them"),
    (
        {**TIMM, "params": {"global_pool": "max"}, "head": {"pooling": "gem"}},
        "head.pooling: params.global_pool chooses the pooling too; keep one of them",
    ),
]  # fmt: skip


@every(("changes", "said"), WRONG)
def test_what_a_head_cannot_be_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config(**changes)
    assert said in str(caught.value)
    assert "models[0]" in str(caught.value)


def test_networks_for_masks_have_heads_of_their_own() -> None:
    with pytest.raises(ConfigError, match=r"head: networks for masks and boxes have heads of their own; remove it"):
        parse({
            "name": "t", "task": "segmentation", "data": {"source": "scenes_masks"},
            "models": [{
                "name": "a", "network": "unet", "backbone": "resnet18", "image_size_px": 64, "head": {"pooling": "gem"},
            }],
        })  # fmt: skip
