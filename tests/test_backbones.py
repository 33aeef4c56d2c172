"""Contract of backbones: one small member of each family that docs/models.md lists, at a square size and at another."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from goldfold import tasks
from goldfold.commands import preflight
from goldfold.config.libraries import timm_backbones
from goldfold.inference.predictor import build
from test_preflight import entry

every = pytest.mark.parametrize
Size = tuple[int, int]
FLAT: dict[str, Any] = {"depth": 1, "embed_dim": 24, "num_heads": 3}
"""A vision transformer of one narrow block."""
WINDOWED: dict[str, Any] = {"embed_dim": 8, "depths": (1, 2), "num_heads": (1, 2)}
FAMILIES: dict[str, tuple[str, dict[str, Any], Size, Size]] = {
    "EfficientNet": ("test_efficientnet", {}, (32, 32), (32, 48)),
    "EfficientNetV2": ("tf_efficientnetv2_b0", {}, (32, 32), (32, 48)),
    "ConvNeXt": ("test_convnext", {}, (32, 32), (32, 64)),
    "ConvNeXt V2": ("convnextv2_atto", {"depths": (1, 1, 1, 1), "dims": (8, 16, 24, 32)}, (32, 32), (32, 64)),
    "ViT": ("test_vit", {}, (32, 32), (32, 48)),
    "DeiT": ("deit_tiny_patch16_224", FLAT, (32, 32), (32, 48)),
    "BEiT": ("beit_base_patch16_224", FLAT, (32, 32), (32, 48)),
    "Swin": ("swin_tiny_patch4_window7_224", WINDOWED, (56, 56), (56, 112)),
    "Swin V2": ("swinv2_tiny_window8_256", WINDOWED, (64, 64), (64, 96)),
    "MaxViT": ("test_maxvit", {}, (64, 64), (64, 96)),
    "EVA-02": ("eva02_tiny_patch14_224", FLAT, (28, 28), (28, 42)),
    "DINOv3": ("vit_tiny_patch16_dinov3_qkvb", {**FLAT, "embed_dim": 48}, (32, 32), (32, 48)),
    "SigLIP2": ("vit_base_patch32_siglip_256", FLAT, (64, 64), (64, 96)),
    "NFNet": ("test_nfnet", {}, (32, 32), (32, 64)),
    "ResNeSt": ("resnest14d", {}, (32, 32), (32, 64)),
    "HRNet": ("hrnet_w18_small", {}, (32, 32), (32, 64)),
    "MobileNet": ("mobilenetv3_small_050", {}, (32, 32), (32, 48)),
    "CLIP image tower": ("vit_base_patch32_clip_224", FLAT, (64, 64), (64, 96)),
}
"""Family -> name in timm, arguments that make it small, a square size, a size that is not square."""
UNFIT: dict[str, tuple[str, dict[str, Any], Size, str]] = {
    "ViT": ("test_vit", {}, (40, 40), "48x48"),
    "DeiT": ("deit_tiny_patch16_224", FLAT, (40, 56), "48x64"),
    "BEiT": ("beit_base_patch16_224", FLAT, (50, 50), "48x48"),
    "EVA-02": ("eva02_tiny_patch14_224", FLAT, (32, 32), "28x28"),
    "DINOv3": ("vit_tiny_patch16_dinov3_qkvb", {**FLAT, "embed_dim": 48}, (40, 40), "48x48"),
    "SigLIP2": ("vit_base_patch32_siglip_256", FLAT, (100, 100), "96x96"),
    "CLIP image tower": ("vit_base_patch32_clip_224", FLAT, (50, 50), "64x64"),
    "Swin": ("swin_tiny_patch4_window7_224", WINDOWED, (30, 30), "32x32"),
    "MaxViT": ("test_maxvit", {}, (40, 40), "160x160"),
}


def test_families_are_those_of_the_page() -> None:
    page = (Path(__file__).parents[1] / "docs" / "models.md").read_text()
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| ") and "backbone: " in line]
    assert {row[1].strip() for row in rows} == {*FAMILIES}
    named = {re.search(r"backbone: ([\w.]+)", row[2])[1].split(".")[0] for row in rows}
    assert named <= timm_backbones()
    assert len(named) == len(FAMILIES) == 18


def made(family: str, size: Size, **more: Any) -> Any:
    name, params, *_ = FAMILIES[family]
    torch.manual_seed(0)
    spec = {"network": "timm", "backbone": name, "params": params, "size": size, **more}
    model = build(tasks.infer({"name": "classification"}, ["a", "b", "c"]), spec, 3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))  # so that none is 0 and blocks a gradient
    return model


def images(size: Size, n: int = 2) -> torch.Tensor:
    return torch.randint(0, 256, (n, 3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@every("family", FAMILIES)
@every("shape", ["square", "other"])
def test_every_parameter_gets_a_gradient(family: str, shape: str) -> None:
    size = FAMILIES[family][2 if shape == "square" else 3]
    model = made(family, size)
    output = model(images(size))
    assert output.shape == (2, 3)
    assert (output[0] != output[1]).any()
    output.square().sum().backward()
    named = {key: value for key, value in model.named_parameters() if value.requires_grad}
    assert len(named) > 10
    assert [key for key, value in named.items() if value.grad is None or not value.grad.abs().sum() > 0] == []


@every("family", FAMILIES)
def test_half_precision_is_near_and_saved_weights_give_the_same(family: str, tmp_path: Path) -> None:
    size = FAMILIES[family][3]
    model, batch = made(family, size).eval(), images(size)
    with torch.inference_mode():
        exact = model(batch)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = model(batch).float()
    assert torch.isfinite(half).all()
    assert (half - exact).abs().max() < 0.1 * exact.abs().max() + 0.1
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, tmp_path / "w.safetensors")
    other = made(family, size, dropout=0.1).eval()
    for parameter in other.parameters():
        parameter.data.zero_()
    other.load_state_dict(load_file(tmp_path / "w.safetensors"))
    with torch.inference_mode():
        assert torch.equal(other(batch), exact)


def test_pixels_that_no_patch_would_cover_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert preflight.main([entry(backbone="deit_tiny_patch16_224", params=FLAT, size=[50, 65])]) == 1
    said = "patches of 16x16 pixels, and would ignore the last 2 rows and 1 column. Sizes that work: "
    assert said in capsys.readouterr().err


@every("family", UNFIT)
def test_a_size_that_a_family_cannot_take_is_refused_before_any_job_with_sizes_that_it_can(
    family: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name, params, size, works = UNFIT[family]
    assert preflight.main([entry(backbone=name, params=params, size=list(size))]) == 1
    line = capsys.readouterr().err
    assert "image_size_px" in line
    assert works in line.partition("Sizes that work: ")[2]


def test_arguments_of_timm_go_to_the_network_by_name() -> None:
    spec = {"network": "timm", "backbone": "test_convnext", "size": (32, 32)}
    params = {"drop_rate": 0.3, "drop_path_rate": 0.2, "global_pool": "max"}
    model = build(tasks.infer({"name": "classification"}, ["a", "b"]), {**spec, "params": params}, 5)
    assert model.network.head.drop.p == 0.3
    assert max(part.drop_prob for part in model.modules() if hasattr(part, "drop_prob")) == pytest.approx(0.2)
    assert model.network.head.global_pool.pool_type == "max"
    assert model.network.stem[0].in_channels == 5
    same = build(
        tasks.infer({"name": "classification"}, ["a", "b"]),
        {**spec, "params": {"global_pool": "max"}, "dropout": 0.3, "drop_path": 0.2},
        5,
    )
    assert repr(same) == repr(model)
