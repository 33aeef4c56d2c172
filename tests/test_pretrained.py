"""Starting from a local file of weights: how it is read, what is adapted, and what may stay new."""

import argparse
import os
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from goldfold import models
from goldfold.base.errors import ConfigError
from goldfold.commands import preflight
from goldfold.models.timm_models import weights_from
from goldfold.models.weight_files import read

every = pytest.mark.parametrize
State = dict[str, torch.Tensor]


def saved(state: Any, path: Path) -> Path:
    if path.suffix == ".safetensors":
        save_file({name: value.contiguous() for name, value in state.items()}, path)
    else:
        torch.save(state, path)
    return path


@cache
def donor(backbone: str = "test_resnet", **arguments: Any) -> State:
    torch.manual_seed(1)
    state = timm.create_model(backbone, **arguments).state_dict()
    return {name: torch.rand_like(value) if value.is_floating_point() else value for name, value in state.items()}


def start(path: Path, network: str = "timm", backbone: str | None = "test_resnet", **changes: Any) -> nn.Module:
    torch.manual_seed(2)
    params = {"n_classes": 2, "in_channels": 3, "image_size": (64, 64), **changes}
    params |= {"backbone": backbone} if backbone else {}
    return models.build(network, pretrained=str(path), **params)


# --- the file


SMALL = {"conv.weight": torch.ones(4, 3, 3, 3), "fc.bias": torch.zeros(2)}
HELD: dict[str, Any] = {
    "plain": SMALL,
    "ddp": {f"module.{name}": value for name, value in SMALL.items()},
    "compiled ddp": {f"_orig_mod.module.{name}": value for name, value in SMALL.items()},
    "goldfold's": {f"network.{name}": value for name, value in SMALL.items()} | {"mean": torch.zeros(1)},
    "state_dict": {"state_dict": SMALL, "epoch": 3},
    "model": {"model": SMALL, "optimizer": {"state": {}}},
    "average first": {"model": {"conv.weight": torch.zeros(1)}, "model_ema": SMALL},
    "nested": {"model": {"state_dict": {f"module.{name}": value for name, value in SMALL.items()}}},
    "timm's options": {"state_dict": SMALL, "args": argparse.Namespace(lr=0.1)},
}


@every("suffix", [".pth", ".bin"])
@every("form", HELD)
def test_weights_are_found_in_whatever_training_tools_save(form: str, suffix: str, tmp_path: Path) -> None:
    found = read(saved(HELD[form], tmp_path / f"w{suffix}"))
    assert set(SMALL) <= set(found) <= {*SMALL, "mean"}
    assert torch.equal(found["conv.weight"], SMALL["conv.weight"])


def test_safetensors_are_read_by_their_content_whatever_the_name(tmp_path: Path) -> None:
    saved(SMALL, tmp_path / "w.safetensors").rename(tmp_path / "w.pt")
    assert set(read(tmp_path / "w.pt")) == set(SMALL)


def write_torn(path: Path) -> None:
    saved({"a": torch.rand(5000)}, path)
    path.write_bytes(path.read_bytes()[:9000])


def write_old_and_torn(path: Path) -> None:
    torch.save({"a": torch.rand(5000)}, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:9000])


def write_with_a_wrong_header(path: Path) -> None:
    data = saved(SMALL, path).read_bytes()
    path.write_bytes(data[:8] + b"{x" + data[10:])


def write_script(path: Path) -> None:
    torch.jit.script(nn.Linear(2, 2)).save(str(path))


def write_archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "no weights")


def of(data: bytes) -> Callable[[Path], Any]:
    return lambda path: path.write_bytes(data)


BAD: dict[str, tuple[str, Callable[[Path], Any], str]] = {
    "a folder": ("w", lambda path: path.mkdir(), "is a folder. Give the path of the file in it"),
    "not there": ("w.pth", lambda path: None, "cannot be read: No such file or directory. Give a file"),
    "of 0 bytes": ("w.pth", of(b""), r"is empty \(0 bytes\). Copy or download it again"),
    "a web page": ("w.pth", of(b"\n<!DOCTYPE html><html>sign in</html>"), "is a web page, not weights"),
    "a web page named safetensors": ("w.safetensors", of(b"<html><body>404</body>"), "is a web page, not weights"),
    "a Git LFS pointer": ("w.safetensors", of(b"version https://git-lfs.github.com/spec/v1\noid"), "git lfs pull"),
    "keras": ("w.h5", of(b"\x89HDF\r\n\x1a\n0000"), "is an HDF5 file"),
    "packed": ("w.pth.gz", of(b"\x1f\x8b\x08000"), "is compressed by gzip"),
    "text": ("w.pth", of(b"no weights"), "neither a .safetensors nor a torch.save file"),
    "torn": ("w.pth", write_torn, "cannot be read: it is truncated"),
    "torn, of the older kind": ("w.pth", write_old_and_torn, "cannot be read: it is truncated"),
    "torn safetensors": ("w.safetensors", write_torn, "do not match its safetensors header"),
    "a wrong header": ("w.safetensors", write_with_a_wrong_header, "do not match its safetensors header"),
    "a text named safetensors": ("w.safetensors", of(b"no weights"), "do not match its safetensors header"),
    "TorchScript": ("w.pt", write_script, "is a TorchScript program"),
    "another archive": ("w.zip", write_archive, "is an archive without torch weights"),
    "a whole model": ("w.pth", lambda path: torch.save(nn.Linear(2, 2), path), r"Python objects.*nn.*state_dict\(\)"),
    "a list": ("w.pth", lambda path: torch.save([1, 2], path), r"contains no tensors by name \(no names\)"),
    "a tensor": ("w.pth", lambda path: torch.save(torch.zeros(3), path), "contains no tensors by name"),
    "no tensors": (
        "w.pth",
        lambda path: torch.save({"epoch": 3}, path),
        r"contains no tensors by name \(the keys epoch\)",
    ),
}


@every("case", BAD)
def test_a_file_that_holds_no_weights_is_refused_in_our_words(case: str, tmp_path: Path) -> None:
    name, write, said = BAD[case]
    write(tmp_path / name)
    with pytest.raises(ConfigError, match=said) as refused:
        read(tmp_path / name)
    assert str(refused.value).startswith(f"pretrained: {tmp_path / name} ")
    assert "\n" not in str(refused.value)
    assert "weights_only" not in str(refused.value), "torch's advice to load what may run code"


def test_a_pipe_or_device_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "w.pth")
    with pytest.raises(ConfigError, match=r"not a regular file \(a named pipe\)\. Give a file"):
        read(tmp_path / "w.pth")
    with pytest.raises(ConfigError, match=r"not a regular file \(a device\)"):
        read("/dev/zero")


@every("new", [True, False])
def test_a_file_that_would_run_code_is_not_unpickled(new: bool, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"weight": Trap()}, tmp_path / "w.pth", _use_new_zipfile_serialization=new)
    with pytest.raises(ConfigError, match=r"it contains Python objects.*which could run code when loaded") as refused:
        read(tmp_path / "w.pth")
    assert "weights_only" not in str(refused.value)
    assert not (tmp_path / "ran").exists()


# --- what is adapted


@every("suffix", [".safetensors", ".pth"])
@every("prefix", ["", "network.", "module.", "model."])
def test_all_is_loaded_but_a_head_of_another_shape(prefix: str, suffix: str, tmp_path: Path) -> None:
    state = {prefix + name: value for name, value in donor(num_classes=7).items()}
    model = start(saved(state, tmp_path / f"w{suffix}"))
    assert model.new == ["fc.bias", "fc.weight"]
    own = model.state_dict()
    assert all(torch.equal(own[name], value) for name, value in donor(num_classes=7).items() if name[:3] != "fc.")


def test_a_head_of_the_same_classes_is_loaded_too(tmp_path: Path) -> None:
    model = start(saved(donor(num_classes=2), tmp_path / "w.pth"))
    assert model.new == []
    assert torch.equal(model.fc.weight, donor(num_classes=2)["fc.weight"])


@every("backbone", ["test_resnet", "test_vit", "test_convnext"])
@every(("given", "channels"), [(3, 1), (3, 4), (1, 3), (4, 1)])
def test_the_first_convolution_is_adapted_to_the_channels(
    given: int, channels: int, backbone: str, tmp_path: Path
) -> None:
    state, first = donor(backbone, in_chans=given), timm.get_pretrained_cfg(backbone).first_conv
    model = start(saved(state, tmp_path / "w.pth"), backbone=backbone, in_channels=channels)
    assert all(name.startswith(("fc.", "head.")) for name in model.new)
    made, source = model.get_parameter(f"{first}.weight"), state[f"{first}.weight"]
    grey = torch.full((1, given, 16, 16), 0.5), torch.full((1, channels, 16, 16), 0.5)
    answers = [nn.functional.conv2d(image, weight) for image, weight in zip(grey, (source, made), strict=True)]
    if channels <= given or given == 1:  # a grey image is seen as before
        assert torch.allclose(answers[0], answers[1], rtol=1e-4)
    assert made.std() > 0


@every("size", [(64, 64), (96, 160)])
def test_position_embeddings_are_resampled_as_timm_does(size: tuple[int, int], tmp_path: Path) -> None:
    state = donor("test_vit", img_size=(160, 160))
    model = start(saved(state, tmp_path / "w.pth"), backbone="test_vit", image_size=size)
    assert model.new == ["head.bias", "head.weight"]
    from timm.layers import resample_abs_pos_embed

    grid = (size[0] // 16, size[1] // 16)
    n = int(model.num_prefix_tokens)
    assert torch.allclose(
        model.pos_embed, resample_abs_pos_embed(state["pos_embed"], list(grid), num_prefix_tokens=n), atol=1e-6
    )


@every("backbone", ["test_resnet", "test_convnext"])
@every(
    ("network", "place"),
    [("unet", "encoder.model."), ("fcos", "model.backbone.body."), ("detr", "model.backbone.body.")],
)
def test_weights_of_a_backbone_start_networks_for_masks_and_boxes(
    network: str, place: str, backbone: str, tmp_path: Path
) -> None:
    """A classifier's file, as timm publishes it; convnext's stages have other names inside these networks."""
    slim = {
        "unet": {"decoder_channels": [16, 12, 8, 8, 8]},
        "fcos": {"width": 16, "head_convs": 1},
        "detr": {"width": 16},
    }
    model = start(saved(donor(backbone), tmp_path / "w.pth"), network, backbone, in_channels=4, **slim[network])
    assert not [name for name in model.new if name.startswith(place)]
    assert any(name.startswith(place) for name, _ in model.named_parameters())
    assert all("state_dict" not in getattr(part, "pretrained_cfg", {}) for part in model.modules())


def test_a_whole_network_is_loaded_by_name_but_for_its_head(tmp_path: Path) -> None:
    def build(n: int, channels: int = 3, **given: Any) -> nn.Module:
        shape = {"image_size": (16, 16), "widths": (4, 8)}
        return models.build("small_resnet", n_classes=n, in_channels=channels, **shape, **given)

    torch.manual_seed(1)
    state = {f"network.{name}": value for name, value in build(7).state_dict().items()}
    path = str(saved(state, tmp_path / "w.safetensors"))
    assert build(2, pretrained=path).new == ["head.3.bias", "head.3.weight"]
    grey = build(2, channels=1, pretrained=path)
    assert grey.new == ["head.3.bias", "head.3.weight"]
    assert torch.allclose(grey.stem[0].weight, state["network.stem.0.weight"].sum(1, keepdim=True), atol=1e-6)


# --- what stays new


def lacking(*names: str, backbone: str = "test_resnet") -> State:
    return {name: value for name, value in donor(backbone).items() if not name.startswith(names)}


@every(
    ("state", "changes", "said"),
    [
        (
            lambda: lacking("layer4."),
            {},
            r"would leave layer4\.0\.bn1\.bias, .* and \d+ more new, .*partly_pretrained: true",
        ),
        (lambda: lacking("bn1.running"), {}, r"would leave bn1\.running_mean, bn1\.running_var new"),
        (lambda: lacking("pos_embed", backbone="test_vit"), {"backbone": "test_vit"}, "would leave pos_embed new"),
        (lambda: donor("test_convnext"), {}, r"fits \d+ of \d+ parameters of this network. Use .* the same backbone"),
        (lambda: {"other.weight": torch.zeros(2)}, {}, r"fits 0 of \d+ parameters"),
        (lambda: {"a.weight": torch.zeros(2)}, {"network": "small_resnet", "backbone": None}, r"fits 0 of \d+ param"),
        (
            lambda: {**donor(), "layer1.0.conv1.weight": torch.zeros(3, 3, 3, 3)},
            {"network": "unet"},
            r"does not fit backbone 'test_resnet': layer1\.0\.conv1\.weight has another shape",
        ),
        (
            lambda: {**donor(), "layer1.0.conv1.weight": donor()["layer1.0.conv1.weight"] * torch.nan},
            {},
            r"has NaN values, in layer1\.0\.conv1\.weight\. Use weights",
        ),
    ],
    ids=[
        "a stage",
        "statistics",
        "position embedding",
        "another family",
        "another network",
        "by name",
        "a shape",
        "no number",
    ],
)
def test_what_would_stay_new_besides_the_head_is_named(
    state: Callable[[], State], changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        start(saved(state(), tmp_path / "w.pth"), **changes)
    assert str(tmp_path / "w.pth") in str(refused.value)


@every("changed", [lambda: lacking("layer4."), lambda: {**donor(), "layer4.0.conv1.weight": torch.zeros(3, 3, 3, 3)}])
def test_other_parts_stay_new_where_the_config_says_so(changed: Callable[[], State], tmp_path: Path) -> None:
    path = saved(changed(), tmp_path / "w.pth")
    model = start(path, partly_pretrained=True)
    assert "layer4.0.conv1.weight" in model.new
    assert torch.equal(model.conv1[0].weight, donor()["conv1.0.weight"])


def test_published_weights_are_taken_as_before() -> None:
    assert weights_from(True, "test_resnet") == {"pretrained": True}
    assert weights_from(False, "test_resnet") == {"pretrained": False}


# --- before any job


@every("network", ["timm", "unet", "fcos"])
def test_a_bad_file_is_told_before_any_job(network: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "w.pth").write_bytes(b"<html>")
    entry = {"name": "m", "network": network, "backbone": "test_resnet", "params": {}, "dropout": 0.0, "drop_path": 0.0}
    entry |= {"pretrained": str(tmp_path / "w.pth"), "size": [64, 64], "channels": 3, "batch_norm": "trained"}
    assert preflight.main([entry]) == 1
    assert capsys.readouterr().err.startswith(f"goldfold: models (m): pretrained: {tmp_path / 'w.pth'} is a web page")
