"""Networks for masks and for boxes, and the losses for masks."""

import subprocess
import sys
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from entries import LOSSES as ALL_LOSSES
from goldfold import catalog, models
from goldfold.base.errors import ConfigError
from goldfold.models.detectors import DETECTORS as OF_TORCHVISION
from goldfold.models.query_models import FAMILIES
from goldfold.models.smp_models import ARCHITECTURES as OF_SMP
from goldfold.models.wrapping import Normalised

every = pytest.mark.parametrize
SLIM: dict[str, dict[str, Any]] = {
    **{name: {"decoder_channels": [32, 24, 16, 16, 8]} for name in ("unet", "unetplusplus", "manet")},
    **{name: {"decoder_channels": 32} for name in ("deeplabv3", "deeplabv3plus", "upernet", "pan")},
    "fpn": {"decoder_pyramid_channels": 32, "decoder_segmentation_channels": 32},
    "linknet": {},
    "pspnet": {"psp_out_channels": 32},
    "segformer": {"decoder_segmentation_channels": 32},
    "fused_features": {"width": 32},
    "dpt": {"decoder_intermediate_channels": [16, 16, 32, 32], "decoder_fusion_channels": 32},
}
ARCHITECTURES = [*OF_SMP, "fused_features"]
DETECTORS = [*OF_TORCHVISION, *FAMILIES]
QUERIES: dict[str, Any] = {"queries": 12, "decoder_layers": 2}
FEW: dict[str, dict[str, Any]] = {
    "rt_detr_v2": {**QUERIES, "num_denoising": 8},
    "d_fine": {**QUERIES, "num_denoising": 8},
    "detr": {**QUERIES, "encoder_layers": 1},
}
"""Few queries and layers of detectors of transformers."""
SIDES: dict[str, tuple[int, int]] = {"pan": (128, 128)}
"""(height, width); PAN halves its features at stride 16 three times."""

LOSSES = ALL_LOSSES["mask"]


def dense(name: str, backbone: str = "resnet10t", channels: int = 3, n_classes: int = 2, **params: Any) -> Normalised:
    """A slim network inside goldfold's wrapping, all weights drawn so that none blocks a gradient."""
    torch.manual_seed(0)
    params = {"image_size": SIDES.get(name, (64, 96)), **SLIM[name], **params}
    built = models.build(name, backbone=backbone, n_classes=n_classes, in_channels=channels, **params)
    return perturbed(Normalised(built, channels))


def perturbed(model: Normalised) -> Normalised:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return model


def images(size: tuple[int, int], channels: int = 3, n: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (n, channels, *size), dtype=torch.uint8, generator=generator)


def without_gradient(model: torch.nn.Module) -> list[str]:
    """Parameters that are trained but get no gradient; of D-FINE, two constants of its boxes are parameters and not trained."""
    fixed = {name for name, value in model.named_parameters() if not value.requires_grad}
    assert {name.rpartition(".")[2] for name in fixed} <= {"up", "reg_scale"}
    return [name for name, value in model.named_parameters() if value.grad is None and name not in fixed]


def round_trip(model: Normalised, other: Normalised, path: Path) -> None:
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, path)
    other.load_state_dict(load_file(path))


# --- masks


def test_every_architecture_is_tried() -> None:
    assert set(SLIM) == set(ARCHITECTURES)
    assert len(ARCHITECTURES) >= 13
    assert len(DETECTORS) >= 6
    assert list(catalog.NETWORKS["maps"]) == [*ARCHITECTURES, "mask2former"], "whose outputs test_mask2former tries"
    assert list(catalog.NETWORKS["boxes"]) == [*DETECTORS, "ultralytics"], "whose models test_ultralytics tries"


@every("name", ARCHITECTURES)
def test_architecture_gives_logits_of_the_input_s_size_and_learns_with_every_parameter(
    name: str, tmp_path: Path
) -> None:
    model, batch = dense(name), images(SIDES.get(name, (64, 96)))
    logits = model(batch)
    assert logits.shape == (2, 2, *batch.shape[2:])
    assert torch.isfinite(logits).all()
    logits.square().sum().backward()
    assert without_gradient(model) == []
    other = perturbed(dense(name))
    round_trip(model, other, tmp_path / "w.safetensors")
    with torch.inference_mode():
        assert torch.equal(other.eval()(batch), model.eval()(batch))


@every("channels", [1, 4])
@every(
    ("name", "backbone"),
    [
        ("unet", "mobilenetv4_conv_small"),
        ("fpn", "convnext_atto"),
        ("segformer", "mobilenetv4_conv_small"),
        ("pspnet", "test_efficientnet"),
        ("dpt", "test_vit"),
        ("fused_features", "swin_s3_tiny_224"),
        ("fused_features", "hrnet_w18_small"),
    ],
)
def test_architecture_takes_other_backbones_and_channels(name: str, backbone: str, channels: int) -> None:
    model = dense(name, backbone, channels, n_classes=1)
    assert model.mean.shape == model.std.shape == (1, channels, 1, 1)
    logits = model(images((64, 96), channels))
    assert logits.shape == (2, 1, 64, 96)
    logits.sum().backward()
    assert without_gradient(model) == []


def test_mean_and_std_are_the_backbone_s() -> None:
    assert dense("unet").mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert dense("unet", "test_resnet").std.flatten().tolist() == pytest.approx([0.5, 0.5, 0.5])
    assert boxes("fcos", "resnet10t").mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])


@every("name", [*ARCHITECTURES, *DETECTORS])
def test_network_is_built_without_memory_on_the_meta_device(name: str) -> None:
    with torch.device("meta"):
        model = models.build(name, backbone="resnet10t", n_classes=2, in_channels=3, image_size=(128, 128))
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}


@every("name", ["unet", "fused_features"])
def test_any_size_is_taken(name: str) -> None:
    assert dense(name, image_size=(50, 67)).eval()(images((50, 67))).shape == (2, 2, 50, 67)


def test_features_of_all_stages_are_fused_at_the_place_where_they_are() -> None:
    """Only pixels near a change move, and padding at the right and bottom does not shift what is cropped back."""
    model = dense("fused_features", image_size=(128, 128), width=16, strides=[4, 8]).eval()
    small, large = images((125, 123)), torch.zeros(2, 3, 128, 128, dtype=torch.uint8)
    large[...] = model.mean.mul(255).round().byte()  # the value of the padding, up to rounding
    large[..., :125, :123] = small
    with torch.inference_mode():
        found, wanted = model(small), model(large)[..., :125, :123]
        torch.testing.assert_close(found, wanted, atol=0.02, rtol=0)
        small[..., :8, :8] = 255
        moved = (model(small) - found).abs().amax((0, 1)) > 0
    assert moved[:8, :8].any()
    assert not moved[64:].any()
    assert not moved[:, 64:].any()


WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "no multiple": (
        "fpn",
        {"image_size": (100, 64)},
        r"image_size_px: 100x64 \(height x width\) is not a multiple of 32, the stride of network 'fpn' on 'resnet10t'. "
        r"Nearest: 96x64 \(height x width\) or 128x64",
    ),
    "no smaller size": ("fpn", {"image_size": (20, 64)}, r"not a multiple of 32.*Nearest: 32x64 \(height x width\)\.$"),
    "stride of a dilated backbone": ("deeplabv3", {"image_size": (100, 64)}, r"multiple of 8,.*96x64.* or 104x64"),
    "no multiple of DPT's": ("dpt", {"image_size": (48, 64), "backbone": "test_vit"}, r"multiple of 32.*32x64.* 64x64"),
    "too small": ("pan", {"image_size": (96, 96)}, "'pan' on 'resnet10t' does not work at 96x96.*Use larger images"),
    "another size comes out": ("fpn", {"encoder_depth": 4}, "returns 128x128 .* for images of 64x64.*upsampling"),
    "vision transformer": ("unet", {"backbone": "test_vit"}, r"'test_vit' has features at strides.*network: dpt"),
    "no features": ("fpn", {"backbone": "mixer_s16_224"}, "'mixer_s16_224' has .*features.*resnet18"),
    "no such backbone": ("unet", {"backbone": "resnet10u"}, "'resnet10u'.*Unknown model"),
    "no dropout": (
        "unet",
        {"dropout": 0.1},
        "dropout = 0.1: network 'unet' has no dropout; .*deeplabv3, .*fpn, pspnet",
    ),
    "no drop path": ("unet", {"drop_path": 0.1, "backbone": "vgg11"}, "drop_path"),
    "unknown parameter": ("unet", {"no_such": 1}, r"'unet' does not take these parameters: .*no_such"),
    "our own parameter": ("unet", {"classes": 1}, r"does not take these parameters: .*classes"),
    "no dropout in a detector": ("fcos", {"dropout": 0.1}, "dropout = 0.1: network 'fcos' has no dropout"),
    "strides that skip": ("fcos", {"strides": [8, 32]}, r"strides = \[8, 32\]: each must be twice the previous"),
    "strides not there": (
        "fcos",
        {"strides": [32, 64]},
        r"'resnet10t' has no features at stride 64; available: \[2, 4, 8, 16, 32\]",
    ),
    "odd width": ("retinanet", {"width": 100}, "width = 100: must be a multiple of 8"),
    "swallowed by torchvision": ("fcos", {"no_such": 1}, r"'fcos' does not take these.*'no_such'; .*topk_candidates"),
    "resized by torchvision": ("faster_rcnn", {"min_size": 100}, "'min_size'; torchvision takes .*rpn_nms_thresh"),
}


@every("case", WRONG)
def test_what_does_not_fit_is_told_before_anything_runs(case: str) -> None:
    name, changes, said = WRONG[case]
    params = {"backbone": "resnet10t", "image_size": (64, 64), "n_classes": 2, "in_channels": 3, **changes}
    with pytest.raises(ConfigError, match=said):
        models.build(name, **params)


@every("name", ["fpn", "pspnet", "deeplabv3", "deeplabv3plus"])
def test_dropout_goes_to_the_decoder(name: str) -> None:
    model = dense(name, dropout=0.37)
    rates = [module.p for module in model.modules() if isinstance(module, torch.nn.modules.dropout._DropoutNd)]
    assert 0.37 in rates


@every("name", ["unet", "fcos"])
def test_drop_path_goes_to_the_backbone(name: str) -> None:
    built = models.build(
        name, backbone="convnext_atto", n_classes=2, in_channels=3, image_size=(64, 64), drop_path=0.25
    )
    assert 0.25 in [round(module.drop_prob, 6) for module in built.modules() if hasattr(module, "drop_prob")]


def test_weights_of_an_encoder_that_are_not_to_be_had_give_the_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    import timm.models._builder as builder

    def fail(*arguments: Any, **more: Any) -> None:
        raise OSError("no network")

    monkeypatch.setattr(builder, "load_pretrained", fail)
    for name in ("unet", "fcos"):
        with pytest.raises(ConfigError, match=r"pretrained: true, but the weights of 'resnet10t' are neither.*HF_HOME"):
            dense(name, pretrained=True) if name == "unet" else boxes(name, "resnet10t", pretrained=True)


def test_weights_are_fetched_for_every_network_on_a_backbone(monkeypatch: pytest.MonkeyPatch) -> None:
    from goldfold.commands import preflight

    fetched: list[str] = []
    monkeypatch.setattr(preflight, "fetch", fetched.append)
    model = {
        "name": "a",
        "params": {},
        "dropout": 0.0,
        "drop_path": 0.0,
        "size": [64, 64],
        "channels": 3,
        "batch_norm": "trained",
    }
    model |= {"backbone": "resnet10t", "pretrained": True}
    assert preflight.main([{**model, "network": name} for name in ("timm", "fpn", "fcos")]) == 0
    assert fetched == ["resnet10t"] * 3


def test_importing_the_networks_loads_neither_smp_nor_torchvision_s_detectors() -> None:
    names = "goldfold.models.detectors, goldfold.models.smp_models, goldfold.losses.segmentation"
    code = f"import sys, {names}\nprint(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    loaded = done.stdout.split()
    assert "goldfold.models.detectors" in loaded
    assert [name for name in loaded if name.startswith(("segmentation_models_pytorch", "torchvision.models"))] == []


# --- boxes

FRAME = (60, 100)
"""(height, width), no multiple of the strides."""
TARGETS = [
    {"boxes": torch.tensor([[2.0, 3, 30, 40], [50, 20, 90, 55]]), "labels": torch.tensor([0, 2])},
    {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)},
]


def boxes(name: str, backbone: str = "test_resnet", channels: int = 3, **params: Any) -> Normalised:
    torch.manual_seed(0)
    params = {"n_classes": 3, "image_size": FRAME, "width": 32, **FEW.get(name, {}), **params}
    return Normalised(models.build(name, backbone=backbone, in_channels=channels, **params), channels)


@every("name", DETECTORS)
@every(
    ("backbone", "channels", "strides"),
    [("test_resnet", 3, [8, 16, 32]), ("mobilenetv4_conv_small", 1, [4, 8, 16]), ("test_convnext", 4, [8])],
)
def test_detector_gives_losses_in_training_and_boxes_in_the_frame_after(
    name: str, backbone: str, channels: int, strides: list[int], tmp_path: Path
) -> None:
    make = partial(boxes, name, backbone, channels, strides=strides, score_threshold=0.001, max_boxes=20)
    model, batch = perturbed(make()), images(FRAME, channels)
    losses = model(batch, TARGETS)
    assert all(value.shape == () and torch.isfinite(value) for value in losses.values())
    sum(losses.values()).backward()
    assert without_gradient(model) == []
    other = make()
    round_trip(model, other, tmp_path / "w.safetensors")
    with torch.inference_mode():
        found, again = model.eval()(batch), other.eval()(batch)
    assert len(found) == 2
    for each, same in zip(found, again, strict=True):
        assert set(each) == {"boxes", "scores", "labels"}
        assert 0 < len(each["boxes"]) <= 20
        assert each["boxes"].shape == (len(each["labels"]), 4)
        assert each["boxes"].min() >= 0
        assert (each["boxes"] <= torch.tensor([100, 60, 100, 60])).all()
        assert set(each["labels"].tolist()) <= {0, 1, 2}
        assert (each["scores"].diff() <= 0).all()
        assert all(torch.equal(each[key], same[key]) for key in each)


@every("name", DETECTORS)
def test_detector_learns_from_images_without_boxes(name: str) -> None:
    model = boxes(name)
    losses = model(images(FRAME), [TARGETS[1], TARGETS[1]])
    assert all(torch.isfinite(value) for value in losses.values())
    total = sum(losses.values())
    assert total > 0
    total.backward()
    assert any(value.grad.abs().sum() > 0 for value in model.network.model.backbone.parameters())
    words = ("reg", "ctrness", "bbox", "giou", "fgl", "ddf")
    regression = [value for key, value in losses.items() if any(word in key for word in words)]
    assert len(regression) >= 1
    assert all(value == 0 for value in regression)


def trained(name: str) -> dict[str, torch.Tensor]:
    model = boxes(name)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(5):
        optimizer.zero_grad()
        sum(model(images(FRAME), TARGETS).values()).backward()
        optimizer.step()
    return model.state_dict()


@every("name", DETECTORS)
def test_detector_trained_twice_has_the_same_bytes(name: str) -> None:
    first, second = trained(name), trained(name)
    assert len(first) > 50
    assert all(torch.equal(first[key], second[key]) for key in first)
    moved = [key for key in first if key.endswith("running_mean")]
    assert moved, "BatchNorm of the backbone is trained"
    assert all(first[key].abs().sum() > 0 for key in moved)


@cache
def fitted(name: str) -> Normalised:
    """Trained on one picture: a bright square, of class 1, at the left edge."""
    model = boxes(name, image_size=(64, 64), n_classes=2, strides=[4, 8])
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3 if name in FEW else 2e-3)
    n = 120 if name == "d_fine" else 60
    for step in range(n):
        if name == "d_fine":  # at a constant rate, whether it ends well depends on the machine
            optimizer.param_groups[0]["lr"] = 4e-3 * (1 - step / n)
        optimizer.zero_grad()
        sum(model(*square()).values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
    return model.eval()


def square() -> tuple[torch.Tensor, list[dict[str, torch.Tensor]]]:
    batch = images((64, 64)) // 4
    batch[0, :, 20:36, 0:16] = 250
    return batch, [{"boxes": torch.tensor([[0.0, 20, 16, 36]]), "labels": torch.tensor([1])}, TARGETS[1]]


@every("name", DETECTORS)
def test_detector_finds_what_it_was_shown_where_it_is(name: str) -> None:
    model = fitted(name)
    with torch.inference_mode():
        shown, empty = model(square()[0])
    assert shown["labels"][0] == 1
    assert shown["scores"][0] > 0.5
    assert shown["boxes"][0].tolist() == pytest.approx([0, 20, 16, 36], abs=2.5)
    assert (empty["scores"] < 0.4).all()


@every("name", DETECTORS)
def test_detector_in_bf16_codes_boxes_in_float32(name: str) -> None:
    model = fitted(name)
    with torch.inference_mode():
        exact = model(square()[0])[0]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = model(square()[0])[0]
    assert half["boxes"].dtype == half["scores"].dtype == torch.float32
    assert (half["boxes"][0] - exact["boxes"][0]).abs().max() < 0.7


def test_detector_in_training_asks_for_targets() -> None:
    with pytest.raises(ValueError, match="needs targets"):
        boxes("fcos")(images(FRAME))


@every("size", [(60, 100), (240, 320)])
def test_anchors_stand_in_the_middle_of_cells_at_whole_strides(size: tuple[int, int]) -> None:
    from torchvision.models.detection.image_list import ImageList

    detector = boxes("fcos", image_size=size, strides=[8, 16, 32]).network.model
    padded, _ = detector.transform(torch.zeros(1, 3, *size))
    assert all(side % 32 == 0 for side in padded.tensors.shape[-2:])
    assert padded.image_sizes == [size]
    maps = [torch.zeros(1, 1, *(side // stride for side in padded.tensors.shape[-2:])) for stride in (8, 16, 32)]
    anchors = detector.anchor_generator(ImageList(padded.tensors, [size]), maps)[0]
    assert anchors[0].tolist() == [0, 0, 8, 8]
    assert anchors[1].tolist() == [8, 0, 16, 8]
    assert anchors[maps[0].numel()].tolist() == [0, 0, 16, 16]
    height, width = padded.tensors.shape[-2:]
    assert anchors[-1].tolist() == [width - 32, height - 32, width, height]


# --- losses for masks


def masks(n_classes: int, ignored: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (2, channels, 6, 5), one channel for two classes, and indices with a row to ignore."""
    generator = torch.Generator().manual_seed(3)
    channels = 1 if n_classes == 2 else n_classes
    logits = torch.randn(2, channels, 6, 5, generator=generator, requires_grad=True)
    target = torch.randint(0, n_classes, (2, 6, 5), generator=generator)
    if ignored:
        target[:, 2] = 255
    return logits, target


@every("name", LOSSES)
@every("n_classes", [2, 4])
def test_ignored_pixels_do_not_count_and_get_no_gradient(name: str, n_classes: int) -> None:
    logits, target = masks(n_classes)
    value = LOSSES[name](logits, target)
    assert value.shape == ()
    value.backward()
    assert value > 0
    assert (logits.grad[:, :, 2] == 0).all()
    assert (logits.grad[:, :, 3] != 0).any()
    fixed, before = logits.detach(), value.item()
    changed = fixed.clone()
    changed[:, :, 2] += 7.0
    assert LOSSES[name](changed, target) == pytest.approx(before, abs=1e-6)
    kept = [0, 1, 3, 4, 5]
    assert LOSSES[name](fixed[:, :, kept], target[:, kept]) == pytest.approx(before, abs=1e-6)
    other = LOSSES[name](fixed, torch.where(target == 255, 99, target), ignore_index=99)
    assert other == pytest.approx(before, abs=1e-6)


@every("name", LOSSES)
@every("n_classes", [2, 4])
def test_a_batch_in_which_all_is_ignored_gives_nothing(name: str, n_classes: int) -> None:
    logits, target = masks(n_classes)
    value = LOSSES[name](logits, torch.full_like(target, 255))
    value.backward()
    assert value == 0
    assert value.shape == ()
    assert (logits.grad == 0).all()


@every("name", LOSSES)
@every("n_classes", [2, 4])
@every("ignored", [False, True])
def test_certain_and_right_logits_cost_nothing_and_wrong_ones_much(name: str, n_classes: int, ignored: bool) -> None:
    _, target = masks(n_classes, ignored)
    seen = torch.where(target == 255, 0, target)
    right = torch.nn.functional.one_hot(seen, n_classes).permute(0, 3, 1, 2).float() * 40 - 20
    right = right[:, 1:] if n_classes == 2 else right
    assert LOSSES[name](right, target) == pytest.approx(0, abs=1e-4)
    assert LOSSES[name](-right, target) > 0.5


@every("name", LOSSES)
def test_loss_is_in_float32_for_half_precision_logits(name: str) -> None:
    logits, target = masks(4)
    value = LOSSES[name](logits.detach().bfloat16(), target)
    assert value.dtype == torch.float32
    assert value == pytest.approx(LOSSES[name](logits.detach(), target).item(), abs=0.02)


def logit(*shares: float) -> torch.Tensor:
    return torch.logit(torch.tensor(shares, dtype=torch.float64))


# By hand: three pixels that count, foreground with probability 0.8, 0.4, 0.1; the first two are foreground. One ignored.
# TP = 1.2, FP = 0.1, FN = 0.8; ce: -(ln 0.8 + ln 0.4 + ln 0.9) / 3; focal with gamma 2: (1-p)^2 before each log
# topk_ce, of a tenth of the pixels, and ohem_ce, of those below 0.7: -ln 0.4
# lovasz hinge: errors 1 - 1.3863, 1 + 0.4055, 1 - 2.1972, of which 1.4055 alone is above 0; Jaccard loss of it alone 1/2
BINARY = {
    "ce": 0.41493,
    "bce": 0.41493,
    "topk_ce": 0.91629,
    "ohem_ce": 0.91629,
    "dice": 1 - 2 * 1.2 / (2 * 1.2 + 0.1 + 0.8),
    "jaccard": 1 - 1.2 / 2.1,
    "tversky": 1 - 1.2 / (1.2 + 0.3 * 0.1 + 0.7 * 0.8),
    "focal": (0.04 * 0.22314 + 0.36 * 0.91629 + 0.01 * 0.10536) / 3,
    "lovasz": 1.40547 / 2,
}
# By hand: three classes, the third nowhere; pixels of class 0, 0, 1 with (0.7, 0.2, 0.1), (0.5, 0.3, 0.2), (0.2, 0.7, 0.1)
# class 0: TP 1.2, FP 0.2, FN 0.8; class 1: TP 0.7, FP 0.5, FN 0.3; the mean of the two
# lovasz softmax: class 0 errors 0.5 (fg), 0.3 (fg), 0.2: 0.5 * 1/2 + 0.3 * 1/2 + 0.2 * 0
#                 class 1 errors 0.3 (fg), 0.3, 0.2: 0.3 * 1 + 0 + 0; either order of the two 0.3 gives 0.3
SEVERAL = {
    "ce": (0.35667 + 0.69315 + 0.35667) / 3,
    "bce": 3.87316 / 9,  # of logits ln p: -ln(p / (1 + p)) of the class, ln(1 + p) of each other
    "topk_ce": 0.69315,
    "dice": 1 - (2.4 / 3.4 + 1.4 / 2.2) / 2,
    "jaccard": 1 - (1.2 / 2.2 + 0.7 / 1.5) / 2,
    "tversky": 1 - (1.2 / (1.2 + 0.06 + 0.56) + 0.7 / (0.7 + 0.15 + 0.21)) / 2,
    "focal": (0.09 * 0.35667 + 0.25 * 0.69315 + 0.09 * 0.35667) / 3,
    "lovasz": (0.4 + 0.3) / 2,
}


@every("name", LOSSES)
def test_loss_is_what_a_hand_computes(name: str) -> None:
    binary = logit(0.8, 0.4, 0.1, 0.99).view(1, 1, 1, 4)
    assert LOSSES[name](binary, torch.tensor([[[1, 1, 0, 255]]])) == pytest.approx(BINARY[name], abs=1e-4)
    if name == "ohem_ce":  # whose limit is 0.7
        return
    shares = torch.tensor([[0.7, 0.2, 0.1], [0.5, 0.3, 0.2], [0.2, 0.7, 0.1], [0.3, 0.3, 0.4]])
    several = shares.log().T.reshape(1, 3, 1, 4)
    assert LOSSES[name](several, torch.tensor([[[0, 0, 1, 255]]])) == pytest.approx(SEVERAL[name], abs=1e-4)


@every(
    ("convolution", "is_last"),
    [
        (torch.nn.Conv2d(4, 8, 1, stride=2), False),
        (torch.nn.Conv2d(64, 64, 1, stride=(1, 2), groups=8), False),
        (torch.nn.Conv2d(1, 8, 1, stride=2), False),
        (torch.nn.Conv2d(16, 8, 1, stride=2), True),
        (torch.nn.Conv2d(4, 8, 3, stride=2), True),
        (torch.nn.Conv2d(4, 8, 1), True),
    ],
)
def test_no_network_has_channels_last_where_a_gradient_would_be_written_beyond_its_memory(
    convolution: torch.nn.Conv2d, is_last: bool
) -> None:
    network = Normalised(torch.nn.Sequential(convolution), convolution.in_channels)
    images = torch.rand(2, 6, 6, convolution.in_channels).permute(0, 3, 1, 2)
    seen: list[torch.Tensor] = []
    convolution.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    network(images)
    _, c, h, w = images.shape
    assert seen[0].stride() == ((h * w * c, 1, w * c, c) if is_last else (c * h * w, h * w, w, 1))
