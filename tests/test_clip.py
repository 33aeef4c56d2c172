"""CLIP by transformers: image towers as networks, and classes as texts, with small random checkpoints."""

import builtins
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from torch.nn.functional import normalize

from goldfold import models, optim, tasks
from goldfold.backbones import backbone
from goldfold.base.errors import ConfigError, GoldfoldError
from goldfold.bundles import heads as bundled
from goldfold.bundles.fitted_layers import Headed
from goldfold.cases import Inputs
from goldfold.commands import preflight
from goldfold.config import parse, slices
from goldfold.config.dependencies import recipe
from goldfold.engine import depth
from goldfold.head_fits import Facet
from goldfold.heads.fitting import fitted
from goldfold.heads.zero_shot import cosines, zero_shot
from goldfold.inference.embedding import Embedder
from goldfold.inference.predictor import build
from goldfold.inference.views import identity
from goldfold.models.clip import TextsOfClasses
from goldfold.models.wrapping import Normalised
from goldfold.planning.jobs import Job
from goldfold.predictions.arrays import load
from goldfold.stages import embed, heads
from test_frozen_heads import RUNTIME, write_cache, write_fold

WORDS = ["<end>", "<unk>", "a", "photo", "of", "the", "dim", "lit", "picture", "dark", "bright", "."]
SMALL = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
PATCH_PX, OWN_PX, WIDTH = 8, 32, 12


def write_checkpoint(folder: Path, kind: str) -> str:
    """A random model of clip or siglip with a tokenizer of `WORDS`."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, "<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(single="$A <end>", special_tokens=[("<end>", 0)])
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<end>", eos_token="<end>", unk_token="<unk>"
    )
    tokenizer.save_pretrained(folder)
    text = {
        **SMALL,
        "vocab_size": len(WORDS),
        "max_position_embeddings": 12,
        "eos_token_id": 0,
        "bos_token_id": 1,
        "pad_token_id": 0,
    }
    vision = {**SMALL, "image_size": OWN_PX, "patch_size": PATCH_PX}
    torch.manual_seed(0)
    if kind == "clip":
        config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=WIDTH)
        transformers.CLIPModel(config).save_pretrained(folder)
    else:
        text["projection_size"] = SMALL["hidden_size"]
        transformers.SiglipModel(transformers.SiglipConfig(text_config=text, vision_config=vision)).save_pretrained(
            folder
        )
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.2, 0.3]})
    )
    return str(folder)


@pytest.fixture(scope="module", params=["clip", "siglip"])
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_checkpoint(tmp_path_factory.mktemp("checkpoint") / request.param, request.param)


# --- image towers


@pytest.mark.parametrize(("size", "channels"), [((32, 32), 3), ((16, 24), 1)])
def test_an_image_tower_is_a_network_of_which_every_weight_learns(
    checkpoint: str, size: tuple[int, int], channels: int
) -> None:
    built: Any = models.build(
        "clip", pretrained=True, checkpoint=checkpoint, n_classes=3, in_channels=channels, image_size=size
    )
    assert len(built.mean) == channels
    assert built(torch.rand(2, channels, *size)).shape == (2, 3)
    built(torch.rand(2, channels, *size)).square().sum().backward()
    assert not [name for name, value in built.named_parameters() if value.grad is None]
    assert not [name for name in built.state_dict() if "text" in name]
    again: Any = models.build("clip", checkpoint=checkpoint, n_classes=3, in_channels=channels, image_size=size)
    again.load_state_dict(built.state_dict())


def test_blocks_are_counted_from_the_input_for_rates_by_depth_and_freezing(checkpoint: str) -> None:
    network = Normalised(
        models.build("clip", n_classes=3, in_channels=3, image_size=(32, 32), checkpoint=checkpoint), 3
    )
    first, second = depth.stages(network)
    assert "network.vision.embeddings.patch_embedding.weight" in first
    assert any(".layers.0." in name for name in first)
    assert any(".layers.1." in name for name in second)
    assert "network.vision.post_layernorm.weight" in second
    assert not any("classifier" in name for name in first | second)
    groups = optim.build_optimizer(network, "adamw", 1e-3, 0.1, 0.5).param_groups
    assert {group["lr_scale"] for group in groups} == {0.125, 0.25, 0.5, 1.0}


def test_embeddings_are_those_that_transformers_compares_with_texts(checkpoint: str) -> None:
    from transformers import AutoModel

    whole = AutoModel.from_pretrained(checkpoint).eval()
    images = torch.rand(2, 3, 32, 32)
    tower: Any = models.build(
        "clip", pretrained=True, checkpoint=checkpoint, n_classes=1, in_channels=3, image_size=(32, 32)
    ).eval()
    assert (tower.mean, tower.std) == ((0.4, 0.5, 0.6), (0.2, 0.2, 0.3))
    tower.reset_classifier(0)
    with torch.inference_mode():
        torch.testing.assert_close(tower(images), whole.get_image_features(pixel_values=images).pooler_output)


def test_classes_are_the_mean_of_their_texts(checkpoint: str) -> None:
    from transformers import AutoModel, AutoTokenizer

    whole, tokenizer = AutoModel.from_pretrained(checkpoint).eval(), AutoTokenizer.from_pretrained(checkpoint)
    found, scale = TextsOfClasses(["dim", "lit"], checkpoint).classes([["a dim photo", "dim"], ["lit"]])
    padding = "max_length" if "siglip" in checkpoint else True
    with torch.inference_mode():
        tokens = [
            tokenizer(text, return_tensors="pt", padding=padding, max_length=12)
            for text in ("a dim photo", "dim", "lit")
        ]
        each = [
            normalize(whole.get_text_features(input_ids=one["input_ids"]).pooler_output, dim=1)[0] for one in tokens
        ]
    wanted = torch.stack([normalize((each[0] + each[1]) / 2, dim=0), each[2]])
    np.testing.assert_allclose(found, wanted.numpy(), atol=1e-5)
    assert scale == pytest.approx(float(whole.logit_scale.exp()))


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"checkpoint": "no/such/folder"}, r"checkpoint 'no/such/folder': .* Give a folder with config\.json"),
        (
            {"image_size": (32, 36)},
            r"32x36: must be divisible by 8, the patch of this checkpoint, which was trained at 32",
        ),
    ],
)
def test_what_is_no_checkpoint_or_no_size_is_refused(
    params: dict[str, Any], said: str, checkpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    given = {"checkpoint": checkpoint, "n_classes": 2, "in_channels": 3, "image_size": (32, 32), **params}
    with pytest.raises(GoldfoldError, match=said):
        models.build("clip", pretrained=True, **given)


def test_checkpoints_that_hold_code_or_no_text_tower_are_refused(checkpoint: str, tmp_path: Path) -> None:
    from transformers import ViTConfig, ViTModel

    given = {"n_classes": 2, "in_channels": 3, "image_size": (32, 32)}
    for path in Path(checkpoint).iterdir():
        if path.suffix != ".safetensors":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    torch.save({"x": torch.zeros(1)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ConfigError, match=r"model\.safetensors"):
        models.build("clip", pretrained=True, checkpoint=str(tmp_path), **given)
    whole = (Path(checkpoint) / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigError, match=r"Give a folder with config\.json"):
        models.build("clip", pretrained=True, checkpoint=str(tmp_path), **given)
    with pytest.raises(ConfigError, match="checkpoint = 5: must be the name of a model on the hub, or a folder"):
        models.build("clip", pretrained=True, checkpoint=5, **given)
    ViTModel(ViTConfig(**SMALL, image_size=32, patch_size=8)).save_pretrained(tmp_path / "vit")
    with pytest.raises(ConfigError, match="ViTModel has no image and text tower; use one of CLIP or SigLIP"):
        models.build("clip", pretrained=True, checkpoint=str(tmp_path / "vit"), **given)


def test_code_of_a_checkpoint_is_neither_run_nor_asked_about(
    checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", lambda _: pytest.fail("it asks"))
    for path in Path(checkpoint).iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "mine.py").write_text("raise SystemExit('it runs')")
    own = {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config", "AutoModel": "mine.Model"}}
    (tmp_path / "config.json").write_text(json.dumps(own))
    for pretrained in (True, False):
        with pytest.raises(ConfigError, match="contains custom code"):
            models.build(
                "clip", pretrained=pretrained, n_classes=2, in_channels=3, image_size=(32, 32), checkpoint=str(tmp_path)
            )


def test_without_transformers_the_error_names_the_extra(checkpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.partition(".")[0] == "transformers":
            raise ModuleNotFoundError(f"No module named {name!r}", name="transformers")
        return plain(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=re.escape("pip install 'goldfold[transformers]'")):
        models.build("clip", checkpoint=checkpoint, n_classes=2, in_channels=3, image_size=(32, 32))


# --- the head


class Given:
    """Texts without a model: the class of number k lies along axis k."""

    names = ("dim_one", "lit")

    def classes(self, prompts: Any) -> tuple[NDArray[np.float64], float]:
        self.prompts = prompts
        return np.eye(2, 3), 10.0


def test_logits_are_scaled_cosines_and_templates_name_the_classes() -> None:
    texts = Given()
    head = zero_shot("label", 2, texts, templates=["a {}.", "the {}"], prompts={"lit": "bright"})
    assert texts.prompts == [["a dim one.", "the dim one"], ["bright"]]
    features = np.array([[3, 4, 0], [0, 0, 0], [0, 0, 5]], np.float32)
    assert cosines(features, np.eye(2, 3)).tolist() == [[0.6, 0.8], [0, 0], [0, 0]]
    (predict,) = head.fit(features, np.zeros(3), 0, [0])
    assert predict(features)[0].tolist() == pytest.approx([6, 8])
    assert zero_shot("label", 2, texts, scale=2.0)(features)[0].tolist() == pytest.approx([1.2, 1.6])


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"templates": ["a photo"]}, r"'a photo' lacks \{\}, the place of the class"),
        ({"templates": []}, "templates: there is none"),
        ({"prompts": {"litt": "x"}}, "'litt' is no class; nearest is 'lit'; classes: dim_one, lit"),
        ({"scale": 0}, "scale = 0: must be above 0"),
    ],
)
def test_texts_of_no_class_are_refused(params: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        zero_shot("label", 2, Given(), **params)


def test_a_member_that_has_seen_no_label_from_images_to_predictions(checkpoint: str, tmp_path: Path) -> None:
    ids = write_cache(tmp_path, 12)
    model = {
        "network": "clip", "backbone": None, "params": {"checkpoint": checkpoint}, "pretrained": True, "size": [16, 16],
        "partly_pretrained": False,
    }  # fmt: skip
    embed.run(
        path=str(tmp_path / "train-0.npz"), cache=str(tmp_path / "cache"), model=model, resize="squash", channels=1,
        views=["identity"], batch_size=4, runtime=RUNTIME,
    )  # fmt: skip
    train = pd.DataFrame({"id": ids, "label": ["dim", "lit"] * 6, "fold": [0, 0, 1, 1, 2, 2] * 2})
    train.to_csv(tmp_path / "train.csv", index=False)
    (tmp_path / "classes.json").write_text('["dim", "lit"]')
    run: dict[str, Any] = {
        "embedded": [str(tmp_path / "train-0.npz")], "folds": {fold: str(tmp_path / f"fold{fold}.csv") for fold in range(3)},
        "lists": {}, "train": str(tmp_path / "train.csv"), "classes": str(tmp_path / "classes.json"), "embeddings": "e",
        "task": {"name": "classification"}, "n_folds": 3, "seeds": [0], "name": "m", "head": "zero_shot",
        "checkpoint": checkpoint,
    }  # fmt: skip
    for labels in (train, train.assign(label=train["label"].to_numpy()[::-1])):
        for fold in range(3):
            write_fold(tmp_path, labels, fold)
        facts = heads.run(predictions=str(tmp_path / str(labels["label"][0])), **run)
    for fold in range(3):
        first, other = (tmp_path / of / f"m/round0/fold{fold}/seed0/oof.npz" for of in ("dim", "lit"))
        assert first.read_bytes() == other.read_bytes(), "no label has an influence"
    similarity = np.array(facts["head"]["similarity"])
    assert similarity.shape == (2, 2)
    assert np.abs(similarity).max() <= 1
    found = load(tmp_path / "lit/m/round0/fold0/seed0/oof.npz")
    scale = facts["head"]["chosen"]["0"]
    assert np.abs(found["logits"]).max() <= scale


def test_a_bundle_has_the_classes_as_its_last_layer(checkpoint: str) -> None:
    model: dict[str, Any] = {
        "network": "clip", "backbone": None, "params": {"checkpoint": checkpoint}, "pretrained": True, "size": [16, 16],
        "partly_pretrained": False,
    }  # fmt: skip
    frozen, task = backbone(model, 1), tasks.infer({"name": "classification"}, ["dim", "lit"])
    inputs = Inputs.of(torch.from_numpy(np.random.default_rng(0).integers(0, 255, (6, 1, 16, 16), dtype=np.uint8)))
    with torch.inference_mode():
        features = Embedder().predict(frozen, inputs, [identity()])["features"]
    facet = Facet({"name": "classification"}, ["dim", "lit"], checkpoint)
    head = zero_shot("label", 2, **facet.more)
    (fit,) = fitted(head, features, np.zeros(6), np.arange(6) % 3, 0, [0])
    described = {key: value for key, value in model.items() if key not in bundled.OF_TRAINING}
    network = build(task, described, 1).eval()
    bundled._filled(network, frozen, fit, "m", "zero_shot", "label")
    loaded = build(Headed(task, "zero_shot", "label", 2), described, 1).eval()
    loaded.load_state_dict(network.state_dict())
    with torch.inference_mode():
        assert loaded(inputs).numpy() == pytest.approx(fit(features), abs=1e-4)


# --- config


def config(**changes: Any) -> Any:
    entry = {
        "name": "clip", "network": "clip", "params": {"checkpoint": "openai/clip-vit-base-patch32"}, "image_size_px": 224,
        "pretrained": True, "frozen": {"head": {"zero_shot": {"templates": ["a photo of a {}."]}}}, **changes,
    }  # fmt: skip
    data = {"source": "csv", "train": "t.csv", "images": "i", "classes": ["cat", "dog"]}
    return parse({"name": "t", "data": data, "models": [entry]})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"network": "small_resnet", "params": {}},
            "network 'small_resnet' has no text tower; set network: clip and params",
        ),
        ({"pretrained": False}, "compares images with texts by the weights of the checkpoint; set pretrained: true"),
        ({"params": {}}, "checkpoint"),
        ({"frozen": {"head": {"zero_shot": {"template": "x"}}}}, "template"),
        (
            {"frozen": {"head": {"zero_shot": {"templates": ["x"]}}}},
            r"frozen\.head: zero_shot: templates: 'x' lacks \{\}",
        ),
        ({"frozen": {"head": {"zero_shot": {"prompts": {"kat": "x"}}}}}, "'kat' is no class; nearest is 'cat'"),
        (
            {"frozen": {"head": {"zero_shot": {"prompts": {"cat": 5}}}}},
            "prompts: 'cat' has 5; write one text, or a list",
        ),
        ({"frozen": {"head": {"zero_shot": {"prompts": {"cat": []}}}}}, r"prompts: 'cat' has \[\]; write one text"),
        ({"frozen": {"head": {"zero_shot": {"scale": 0}}}}, "scale = 0: must be above 0"),
    ],
)
def test_zero_shot_needs_the_weights_of_both_towers(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        config(**changes)


def test_prompts_compute_no_embedding_again_and_a_changed_folder_does(tmp_path: Path, checkpoint: str) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    for path in Path(checkpoint).iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    one, other = (
        config(params={"checkpoint": str(folder)}, frozen={"head": {"zero_shot": {"templates": [text]}}})
        for text in ("a {}", "the {}")
    )
    assert one.embeddings == other.embeddings
    job, head = Job("embed", embedding=one.embeddings["clip"], shard="train-0"), Job("heads_once", "clip")
    assert recipe(one, job) == recipe(other, job)
    assert recipe(one, head) != recipe(other, head)
    before = recipe(one, job), recipe(one, head)
    (folder / "config.json").write_text((folder / "config.json").read_text() + "\n")
    assert recipe(one, job) != before[0]
    assert recipe(one, head) != before[1]


def test_the_network_is_tried_before_any_job(checkpoint: str) -> None:
    made = config(params={"checkpoint": checkpoint}, image_size_px=32)
    for wanted in slices.network_checks(made):
        preflight.check(wanted)
    (wanted,) = slices.network_checks(config(params={"checkpoint": checkpoint}, image_size_px=33))
    with pytest.raises(GoldfoldError, match="must be divisible by 8"):
        preflight.check(wanted)


def test_a_head_without_a_tokenizer_is_refused_before_any_job(checkpoint: str, tmp_path: Path) -> None:
    for path in Path(checkpoint).iterdir():
        if "token" not in path.name and path.name not in ("vocab.json", "merges.txt"):
            (tmp_path / path.name).write_bytes(path.read_bytes())
    for head in ("zero_shot", "logistic"):
        made = config(params={"checkpoint": str(tmp_path)}, image_size_px=32, frozen={"head": head})
        (wanted,) = slices.network_checks(made)
        if head == "logistic":
            preflight.check(wanted)
            continue
        with pytest.raises(ConfigError, match="okenizer"):
            preflight.check(wanted)
