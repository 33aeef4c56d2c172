"""DETR, RT-DETR v2 and D-FINE of transformers: small random checkpoints, new ones on a timm backbone, and what is refused.

What holds for all detectors is tested in test_networks.
"""

import builtins
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

import goldfold
from conftest import Tiny
from goldfold import models
from goldfold.base.errors import ConfigError, GoldfoldError
from goldfold.bundles.export import export
from goldfold.commands import preflight
from goldfold.config import parse, slices
from goldfold.engine.depth import stages
from goldfold.engine.parts import backbone, output_layers
from goldfold.models.query_models import FAMILIES
from goldfold.models.wrapping import Normalised
from test_networks import FEW, TARGETS, boxes, images
from tiny_results import write_results

every = pytest.mark.parametrize
N_OWN = 5
"""Classes of the checkpoints."""
SHAPE: dict[str, Any] = {"encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "d_model": 16, "decoder_layers": 2}


def config_of(kind: str) -> Any:
    """A small configuration with the backbone of published checkpoints of this kind."""
    import transformers as t

    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    if kind == "detr":
        return t.DetrConfig(backbone="test_resnet", num_labels=N_OWN, num_queries=7, encoder_layers=1, **SHAPE, **heads)
    widths: dict[str, Any] = {
        "encoder_hidden_dim": 16,
        "encoder_in_channels": [8, 8, 16],
        "decoder_in_channels": [16] * 3,
    }
    widths |= {"num_queries": 7, "num_denoising": 4, "num_labels": N_OWN, "anchor_image_size": [64, 96]}
    if kind == "rt_detr_v2":
        body: Any = t.RTDetrResNetConfig(
            embedding_size=8, hidden_sizes=[8, 8, 8, 16], depths=[1] * 4, layer_type="basic", out_indices=[2, 3, 4]
        )
        return t.RTDetrV2Config(backbone_config=body, **widths, **SHAPE, **heads)
    body = t.HGNetV2Config(
        stem_channels=[3, 8, 8], stage_in_channels=[8] * 4, stage_mid_channels=[8] * 4, stage_out_channels=[8, 8, 8, 16],
        stage_num_blocks=[1] * 4, stage_numb_of_layers=[1] * 4, hidden_sizes=[8, 8, 8, 16], depths=[1] * 4,
        embedding_size=8, out_indices=[2, 3, 4],
    )  # fmt: skip
    return t.DFineConfig(backbone_config=body, **widths, **SHAPE, **heads)


def write_checkpoint(folder: Path, kind: str) -> str:
    """A random checkpoint, of which no part of the boxes is 0 as transformers initialises them."""
    from transformers import AutoModelForObjectDetection

    torch.manual_seed(0)
    model = AutoModelForObjectDetection.from_config(config_of(kind))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({"do_normalize": False} if kind != "detr" else {}))
    return str(folder)


@pytest.fixture(scope="module")
def checkpoint_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    made: dict[str, str] = {}

    def get(kind: str) -> str:
        if kind not in made:
            made[kind] = write_checkpoint(tmp_path_factory.mktemp("checkpoint") / kind, kind)
        return made[kind]

    return get


def built(kind: str, checkpoint: str | None = None, **changes: Any) -> Any:
    given: dict[str, Any] = {"n_classes": N_OWN, "in_channels": 3, "image_size": (64, 96)}
    return models.build(kind, **{**given, **({"checkpoint": checkpoint} if checkpoint else {}), **changes})


# --- checkpoints


@every("kind", FAMILIES)
def test_boxes_of_a_checkpoint_are_those_of_transformers(kind: str, checkpoint_of: Callable[[str], str]) -> None:
    from transformers import AutoModelForObjectDetection

    path, batch = checkpoint_of(kind), torch.rand(2, 3, 64, 96)
    ours = built(kind, path, pretrained=True, score_threshold=0.0).eval()
    theirs = AutoModelForObjectDetection.from_pretrained(path).eval()
    with torch.inference_mode():
        found, wanted = ours(batch), theirs(batch)
    scores = wanted.logits.softmax(-1)[..., :-1] if kind == "detr" else wanted.logits.sigmoid()
    for image, (one, each) in enumerate(zip(found, scores, strict=True)):
        best, place = each.flatten().sort(descending=True)
        torch.testing.assert_close(one["scores"], best)
        assert torch.equal(one["labels"], place % N_OWN)
        x, y, w, h = wanted.pred_boxes[image, place // N_OWN].unbind(1)
        corners = torch.stack([(x - w / 2) * 96, (y - h / 2) * 64, (x + w / 2) * 96, (y + h / 2) * 64], 1)
        ends = torch.tensor([96.0, 64, 96, 64])
        torch.testing.assert_close(one["boxes"], corners.clamp(min=0).minimum(ends), atol=1e-3, rtol=1e-4)
    assert len(found[0]["boxes"]) == 7 * N_OWN


@every("kind", FAMILIES)
def test_only_what_depends_on_the_classes_is_new(kind: str, checkpoint_of: Callable[[str], str]) -> None:
    path = checkpoint_of(kind)
    own = built(kind, path, pretrained=True).state_dict()
    other = built(kind, path, pretrained=True, n_classes=2, in_channels=1)
    differ = {name for name, value in other.state_dict().items() if not _same(value, own[name])}
    assert sum(".body." in name for name in differ) == 1, "the first convolution takes one channel"
    assert all("class" in name or "score" in name for name in differ if ".body." not in name)
    losses = other(torch.rand(2, 1, 64, 96), [{**TARGETS[0], "labels": torch.tensor([0, 1])}, TARGETS[1]])
    assert set(losses) == set(FAMILIES[kind].losses)
    sum(losses.values()).backward()
    trained = [name for name, value in other.named_parameters() if value.requires_grad]
    assert any(name.startswith("model.backbone.body.") for name in trained)
    assert not [name for name in trained if other.get_parameter(name).grad is None]
    again = built(kind, path, n_classes=2, in_channels=1)
    again.load_state_dict(other.state_dict())
    assert other.mean == ((0.0,) if kind != "detr" else (pytest.approx(0.449),))


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one, other)


def test_auxiliary_losses_of_detr_leave_its_decoder_as_published(checkpoint_of: Callable[[str], str]) -> None:
    """With its own auxiliary losses, transformers would normalise between the layers of the decoder."""
    model = built("detr", checkpoint_of("detr"), pretrained=True)
    output = model._of_trained_queries(torch.rand(1, 3, 64, 96), with_layers=True)
    assert len(output.of_layers["outputs_class"]) == 2
    assert torch.equal(output.of_layers["outputs_class"][-1], output.logits)
    assert not torch.equal(output.of_layers["outputs_class"][0], output.logits)


# --- what does not fit

REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "neither": ("detr", {}, r"'detr' needs a backbone or params: \{checkpoint: NAME\}, and only one of them"),
    "both": ("detr", {"backbone": "test_resnet", "checkpoint": "detr"}, "and only one of them"),
    "another kind": ("detr", {"checkpoint": "d_fine"}, "is a d_fine, not a detr. Correct network or checkpoint"),
    "its own width": ("d_fine", {"checkpoint": "d_fine", "width": 32}, "width = 32: checkpoint .* has its own; remove it"),
    "its own drop path": ("detr", {"checkpoint": "detr", "drop_path": 0.1}, "drop_path = 0.1: checkpoint"),
    "trained queries": ("detr", {"checkpoint": "detr", "queries": 5}, "queries = 5: checkpoint"),
    "a parameter": ("detr", {"backbone": "test_resnet", "no_such": 1}, "unknown parameter 'no_such'; .*decoder_layers"),
    "set by width": ("detr", {"backbone": "test_resnet", "d_model": 1}, "unknown parameter 'd_model'"),
    "a type": ("detr", {"backbone": "test_resnet", "decoder_layers": "x"}, "decoder_layers.* expected int, got str"),
    "more layers": (
        "rt_detr_v2", {"checkpoint": "rt_detr_v2", "pretrained": True, "decoder_layers": 3},
        r"would leave bbox_embed\.2\..* and \d+ more new, outside the head. Remove params that change shapes",
    ),
    "too small": (
        "rt_detr_v2", {"backbone": "test_resnet", "width": 32, "image_size": (64, 96)},
        r"image_size_px = 64x96: has 126 places at strides 8, 16, 32 for 300 queries. Use larger .*queries: 126\}",
    ),
    "strides": ("d_fine", {"backbone": "test_resnet", "strides": [8, 32]}, "each must be twice the previous"),
    "not there": ("detr", {"checkpoint": "no/such/folder"}, r"checkpoint 'no/such/folder': .*config\.json and model\.safet"),
}  # fmt: skip


@every("case", REFUSED)
def test_what_does_not_fit_is_refused(
    case: str, checkpoint_of: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    kind, changes, text = REFUSED[case]
    place = changes.get("checkpoint", "no")
    changes = {**changes, **({"checkpoint": checkpoint_of(place)} if place in FAMILIES else {})}
    with pytest.raises(ConfigError, match=text):
        built(kind, **changes)


def test_code_and_pickled_weights_of_a_checkpoint_are_not_loaded(
    checkpoint_of: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", lambda _: pytest.fail("it asks"))
    source = Path(checkpoint_of("detr"))
    (tmp_path / "config.json").write_bytes((source / "config.json").read_bytes())
    torch.save({"x": torch.zeros(1)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ConfigError, match=r"model\.safetensors"):
        built("detr", str(tmp_path), pretrained=True)
    (tmp_path / "mine.py").write_text("raise SystemExit('it runs')")
    own = {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config", "AutoModelForObjectDetection": "mine.Model"}}
    (tmp_path / "config.json").write_text(json.dumps(own))
    with pytest.raises(ConfigError, match="contains custom code"):
        built("detr", str(tmp_path), pretrained=True)


def test_without_transformers_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.partition(".")[0] == "transformers":
            raise ModuleNotFoundError(f"No module named {name!r}", name="transformers")
        return plain(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    said = re.escape(
        "network detr needs the library transformers, which is not installed: pip install 'goldfold[transfo"
    )
    with pytest.raises(ConfigError, match=said):
        built("detr", backbone="test_resnet")


# --- training


def test_boxes_that_are_not_finite_give_a_loss_that_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    model = boxes("detr")
    with torch.no_grad():
        next(model.network.bbox_embed.parameters()).fill_(torch.nan)
    losses = model(images((60, 100)), TARGETS)
    assert set(losses) == set(FAMILIES["detr"].losses)
    assert all(value.isnan() for value in losses.values())


@every("kind", FAMILIES)
def test_more_objects_than_queries_and_scales_of_training_are_taken(kind: str) -> None:
    model = boxes(kind)
    corner = torch.rand(40, 2) * 40
    many = {"boxes": torch.cat([corner, corner + 4], 1), "labels": torch.zeros(40, dtype=torch.int64)}
    for size in ((60, 100), (77, 64)):
        losses = model(images(size), [many, TARGETS[1]])
        assert all(value.isfinite() for value in losses.values())


@every("kind", FAMILIES)
def test_dropout_is_that_of_the_config(kind: str, checkpoint_of: Callable[[str], str]) -> None:
    for model in (boxes(kind, dropout=0.25), built(kind, checkpoint_of(kind), dropout=0.25)):
        assert {part.config.dropout for part in model.modules() if hasattr(getattr(part, "config", 0), "dropout")} == {
            0.25
        }


def test_parts_of_the_network_are_those_of_other_detectors() -> None:
    model = boxes("d_fine")
    body = backbone(model)
    assert len(stages(model)) == 4
    assert "network.model.backbone.body.layer2.0.conv1.weight" in stages(model)[1]
    assert all(name.startswith("network.model.backbone.body.") for name in body)
    assert "network.model.decoder.class_embed.0.weight" in output_layers(model)
    assert not body & output_layers(model)


def test_a_detector_is_trained_predicts_views_and_is_exported(tiny_boxes: Tiny, tmp_path: Path) -> None:
    few = {**FEW["detr"], "queries": 5, "width": 16, "strides": [8, 16], "score_threshold": 0, "max_boxes": 4}
    changes = {"network": "detr", "params": few}
    results = write_results(tiny_boxes, tmp_path / "results", **changes)
    history = pd.read_csv(next(results.glob("train/net/round0/fold0/seed0/history.csv")))
    assert {"train_loss_ce", "train_loss_bbox", "train_loss_giou"} <= set(history.columns)
    export(results, tmp_path / "bundle")
    found = goldfold.load(tmp_path / "bundle").predict(
        list(pd.read_csv(tiny_boxes.folds / "test.csv", dtype=str)["path"])
    )
    wanted = pd.read_csv(results / "ensemble/test.csv")
    assert len(found.table) == len(wanted) > 0


# --- config


def problems(**changes: Any) -> str:
    entry = {"name": "a", "network": "detr", "image_size_px": 64, **changes}
    data = {"source": "coco", "train": "t.json", "images": "i"}
    with pytest.raises(ConfigError) as refused:
        parse({"name": "t", "task": "detection", "data": data, "models": [entry]})
    return str(refused.value)


def test_a_checkpoint_takes_the_place_of_a_backbone() -> None:
    of = {"params": {"checkpoint": "x"}, "pretrained": True}
    assert "backbone: network 'detr' needs one, e.g. backbone: resnet18 or params: {checkpoint: NAME}" in problems()
    assert "network 'detr' has that of params.checkpoint; remove one" in problems(**of, backbone="resnet18")
    assert "would train random weights behind the frozen batch normalisation" in problems(**{**of, "pretrained": False})


def entry(**changes: Any) -> dict[str, Any]:
    model = {"name": "a", "network": "rt_detr_v2", "image_size_px": 64, **changes}
    data = {"source": "coco", "train": "t.json", "images": "i", "classes": ["cat", "dog"]}
    (wanted,) = slices.network_checks(parse({"name": "t", "task": "detection", "data": data, "models": [model]}))
    return wanted


def test_a_network_is_tried_before_any_job(checkpoint_of: Callable[[str], str]) -> None:
    preflight.check(entry(params={"checkpoint": checkpoint_of("rt_detr_v2")}, pretrained=True))
    with pytest.raises(GoldfoldError, match=r"84 places .* or fewer\. Sizes that work: 160x160"):
        preflight.check(entry(backbone="test_resnet", params={"width": 32, "decoder_layers": 1}))


def test_weights_of_a_checkpoint_are_loaded_before_any_job(checkpoint_of: Callable[[str], str], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((Path(checkpoint_of("rt_detr_v2")) / "config.json").read_bytes())
    with pytest.raises(GoldfoldError, match=r"model\.safetensors"):
        preflight.check(entry(params={"checkpoint": str(tmp_path)}, pretrained=True))


def test_names_of_the_wrapping_are_kept_out_of_the_weights() -> None:
    names = list(Normalised(boxes("d_fine").network, 3).state_dict())
    assert not [name for name in names if ".part." in name], "a part without autocast has no weights"
