"""An embedding beside other settings: families, pooling, images of a case, what is frozen, teachers, all rows, bundles."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor
from torch.nn import functional

import goldfold
from conftest import PLACE, RUNTIME, Tiny
from goldfold import tasks
from goldfold.base.errors import ConfigError, GoldfoldError
from goldfold.bundles import form
from goldfold.bundles.export import export
from goldfold.cases import Inputs
from goldfold.config import slices
from goldfold.engine.parts import backbone
from goldfold.models.search import Search
from goldfold.optim.groups import parameter_groups
from goldfold.planning.plan import Job, plan_of
from goldfold.planning.runs import Run
from goldfold.predictions.arrays import load
from goldfold.splits.splitting import split
from goldfold.stages import derive
from goldfold.training import indexing
from test_backbones import FAMILIES, images
from test_backbones import made as of_family
from test_distillation import made_up
from test_frames_of_cases import of_frames
from test_retrieval import EMBEDDING, NEAR, NET, PLAIN, config, embedding_model, make, member, trained, unit, without
from tiny_results import fuse, record, write_results

__all__ = ["of_frames", "trained"]
ROOT = Path(__file__).parent.parent
every = pytest.mark.parametrize


def network(name: str = "small_resnet", size: tuple[int, int] = (12, 12), **more: Any) -> Any:
    torch.manual_seed(0)
    return tasks.infer({"name": "classification"}, ["a", "b", "c"]).model(name, size, 3, embedding=EMBEDDING, **more)


# --- the network


@every("family", FAMILIES)
def test_every_family_embeds_and_learns_with_every_parameter(family: str) -> None:
    size = FAMILIES[family][2]
    model = of_family(family, size, embedding=EMBEDDING).train()
    outputs = model(Inputs.of(images(size, 3)))
    assert outputs.shape == (3, 3)
    assert outputs.abs().max() <= EMBEDDING["scale"] * (1 + 1e-6)
    torch.autograd.backward((outputs * torch.tensor([[1.0, 2.0, -1.0]])).sum())
    assert [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()] == []
    body = backbone(model)
    assert {name for name, _ in model.named_parameters()} - body == {
        "fusion.neck.0.weight", "fusion.neck.1.weight", "fusion.neck.1.bias", "fusion.head.weight",
    }, "what train.freeze: backbone leaves"  # fmt: skip


@every("name", ["small_resnet", "timm"])
def test_gem_a_linear_layer_and_the_neck_give_the_embedding(name: str) -> None:
    more: dict[str, Any] = {"widths": (4, 8)} if name == "small_resnet" else {"backbone": "test_resnet"}
    model, maps = network(name, (32, 48), head_settings={"pooling": {"gem": {"p": 2.5}}}, **more), list[Tensor]()
    (place,) = model.network.head_parts
    model.network.get_submodule(place).register_forward_pre_hook(lambda _, given: maps.append(given[0]))
    outputs = model.train()(Inputs.of(torch.randint(0, 256, (4, 3, 32, 48), dtype=torch.uint8)))
    weights = dict(model.named_parameters())
    pooled = maps[0].clamp(min=1e-6).pow(2.5).mean((2, 3)).pow(1 / 2.5)
    linear = functional.linear(pooled, weights["fusion.neck.0.weight"])
    normed = functional.batch_norm(
        linear, None, None, weights["fusion.neck.1.weight"], weights["fusion.neck.1.bias"], True
    )
    cosines = functional.normalize(normed) @ functional.normalize(weights["fusion.head.weight"]).T
    assert torch.allclose(outputs, 20 * cosines.reshape(4, 3, 2).amax(2), atol=1e-4)
    torch.autograd.backward(outputs[:, 0].sum())
    exponent = weights[f"network.{place}.pooling.p"]
    assert torch.isfinite(exponent.grad).all()  # type: ignore[arg-type]
    assert exponent.grad.any()  # type: ignore[union-attr]


def test_what_is_frozen_is_all_before_the_embedding() -> None:
    model = network(widths=(4, 8))
    groups = parameter_groups(model, 0.01, freeze=[[0, "backbone"], [2, "none"]])
    names = {id(value): name for name, value in model.named_parameters()}
    at_once = {names[id(value)] for group in groups if group["trained_from"] == 0 for value in group["params"]}
    assert at_once == {name for name in names.values() if name.startswith("fusion.")}


def test_an_embedding_of_a_case_is_made_of_its_images_and_of_none_that_is_missing() -> None:
    model = network(widths=(4, 8), views="attention").eval()
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (2, 3, 3, 12, 12), dtype=torch.uint8, generator=draw)
    present = torch.tensor([[True, True, True], [True, False, False]])
    others = torch.where(present[:, :, None, None, None], pixels, 255 - pixels)
    both = [indexing.embeddings(model, [Inputs(one, present)], torch.no_grad) for one in (pixels, others)]
    assert both[0].shape == (2, 6)
    assert torch.equal(*both)
    alone = indexing.embeddings(model, [Inputs.of(pixels[1, :1])], torch.no_grad)
    assert torch.allclose(alone[0], both[0][1], atol=1e-6)


# --- thousands of classes


def test_thousands_of_classes_of_few_images_take_a_byte_per_image_and_class() -> None:
    names = [f"c{number:04d}" for number in range(2000)]
    labels = [name for name in names[:1950] for _ in range(3)] + names[1950:]
    table = pd.DataFrame({"id": [f"i{number:05d}" for number in range(len(labels))], "label": labels})
    content = tasks.target({"name": "classification"}, names).content(table)
    assert content.to_numpy().nbytes == len(labels) * len(names)
    assert content.to_numpy().argmax(axis=1).tolist() == [names.index(label) for label in labels]
    folds = split(table, content, "stratified", 3, 0, rare_classes="train_only")
    assert folds[-50:].tolist() == [-1] * 50, "classes of one image are always trained on"
    counts = pd.crosstab(table["label"][:-50], folds[:-50])
    assert (counts == 1).all(axis=None), "each other class has one image in each fold"


# --- without faiss


def test_the_search_needs_no_faiss_and_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    index, queries = unit(60, 8, 0), unit(5, 8, 1)
    expected = Search(index).nearest(queries, 4)
    monkeypatch.setitem(sys.modules, "faiss", None)
    search = Search(index)
    assert search.engine is None
    assert all(torch.equal(a, b) for a, b in zip(search.nearest(queries, 4), expected, strict=True))
    with pytest.raises(
        GoldfoldError, match=r"faiss cannot be imported .*: pip install 'goldfold\[faiss\]', or uninstall"
    ):
        Search(index, with_faiss=True)


# --- trainings


def test_mixed_samples_and_a_teacher_are_trained_on_and_the_margin_is_part_of_the_loss(
    tiny: Tiny, tmp_path: Path
) -> None:
    still = {"lr": 1e-12, "warmup_epochs": 0, "epochs": 1, "weight_decay": 0.0, "augment": "none", "mixup_alpha": 1.0}
    rows, losses = made_up(tiny, tmp_path, lambda id: [0.0, 1.0]), dict[float, float]()
    for margin in (0.0, 0.4):
        loss = {"arcface": {"margin": margin, "scale": 20}}
        model = tiny.model({**still, "loss": loss}, embedding=EMBEDDING)
        taught = {**model, "target": slices.facts("classification").target}
        taught["train"] = {**model["train"], "distill": {"teacher": "big", "weight": 0.5}}
        tiny.train(tmp_path / f"{margin}", model=taught, lessons=[str(rows)])
        history = pd.read_csv(tmp_path / f"{margin}/history.csv").iloc[0]
        assert history["train_loss_own"] + history["train_loss_distill"] == pytest.approx(history["train_loss"])
        losses[margin] = history["train_loss_own"]
    assert losses[0.4] > losses[0.0] + 0.1


@every(
    ("models", "changes", "said"),
    [
        (
            [{**NET, "head": {"pooling": "gem", "hidden": [8]}}], {},
            r"\(net\)\.head\.hidden: the embedding takes the place of these layers; remove hidden, and set embedding\.width",
        ),
        ([{**NET, "metadata": True}], {}, r"\(net\)\.embedding: an embedding is made of images alone; remove it, or metadata"),
        ([{**NET, "views": "attention"}], {}, r"\(net\)\.views = 'attention': cases have one image each"),
        (
            [{**NET, "train": {"loss": {"arcface": {"scale": "20"}}}}], {},
            r"arcface has scale '20', but embedding\.scale is 20; set both to the same",
        ),
        (
            [without(NET, "train")], {"task": "ordinal"},
            r"\(net\)\.embedding: task 'ordinal' has none, which needs one class per image \(task: classification\)",
        ),
        ([NET], {"task": "ordinal"}, r"\(net\)\.train\.loss = .*allowed with ordinal: cumulative, earth_mover, cross_entropy"),
        (
            [NET, NEAR], {"ablate": {"x": {"neighbours": {"of": "net"}}}},
            r"ablate\.x\.neighbours: it makes a member from trained models, a variant is trained; remove it",
        ),
        ([{**NET, "train": {"freeze": "backbone"}}], {}, r"so random weights would be frozen"),
    ],
)  # fmt: skip
def test_settings_beside_an_embedding_that_cannot_work_are_refused(
    models: list[Any], changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        config(models, **changes)


# --- members


def test_neighbours_of_a_snapshot_are_those_of_its_own_weights() -> None:
    cycles = {**NET["train"], "schedule": {"cosine": {"cycles": 2}}, "snapshots": 2, "epochs": 4}
    found = config([{**NET, "train": cycles}, {"name": "early", "neighbours": {"of": "net-snapshot1"}}])
    above = plan_of(found).above(Job("derive", "early", 0, 1, 0))
    assert above == [Job("derive", "net-snapshot1", 0, 1, 0)]


def test_networks_of_all_rows_are_those_that_are_trained() -> None:
    found = config([NET, PLAIN, NEAR], full_data=True)
    assert {job.model for job in plan_of(found).jobs("full_train")} == {"net", "plain"}
    assert {job.fold for job in plan_of(found).jobs("derive")} == {0, 1}


def test_teachers_and_students_have_embeddings_but_neighbours_do_not_teach() -> None:
    taught = {"loss": {"arcface": {"scale": 20}}, "distill": {"teacher": "net"}}
    found = config([NET, {**NET, "name": "small", "train": taught}, {"name": "near", "neighbours": {"of": "small"}}])
    assert plan_of(found).parents(Run("near", 0, 1, 1)) == (Run("small", 0, 1, 1),)
    assert ("small", 0) in found.lessons.wanted


# --- cases of several images, and bundles


def near_of(tiny: Tiny, results: Path, model: dict[str, Any], fold: int) -> None:
    """Make and predict a member of neighbours of `net`, with its records, as its jobs do."""
    place, where = {**PLACE, "fold": fold}, f"round0/fold{fold}/seed0"
    own = {**model, "name": "near", "neighbours": member(tiny)["neighbours"]}
    weights = results / f"train/net/{where}/model.safetensors"
    derive.run(
        folder=str(results / f"train/near/{where}"), weights=[str(weights)], fold_file=tiny.fold_file(fold),
        classes=str(tiny.folds / "classes.json"), caches=tiny.caches(), task=tiny.task, metric=tiny.metric, model=own,
        resize="squash", channels=3, place=place, of=[f"net/{where}"], snapshot=0, select=None, runtime=RUNTIME,
    )  # fmt: skip
    made, parts = (
        f"train/near/{where}/model.safetensors",
        [f"predict/near/{where}/{one}.npz" for one in ("oof", "test")],
    )
    record(results, f"train/near/{where}/run.json", "derive", {}, [], [made])
    keys = ("network", "backbone", "params", "size", "views", "max_images", "embedding", "neighbours", "head")
    kept = {key: own[key] for key in keys if key in own}
    given = tiny.predict(
        results / f"predict/near/{where}",
        results / made,
        "test",
        model=own,
        fold_file=tiny.fold_file(fold),
        place=place,
    )
    assert given["model"] == kept
    known = {key: given[key] for key in ("task", "model", "resize", "channels", "tta", "place", "runtime")}
    more = {"batch_size": 256, "scale_16bit": "percentile", "batch_norm": "trained"}
    record(results, f"predict/near/{where}/run.json", "predict", {**known, **more}, [made], parts)


def finished(tiny: Tiny, results: Path, **changes: Any) -> Path:
    """Results of a network with an embedding and of its neighbours, in both folds."""
    write_results(tiny, results, embedding=EMBEDDING, **changes)
    model = tiny.model({"epochs": 1, "warmup_epochs": 0}, embedding=EMBEDDING, **changes)
    for fold in range(tiny.n_folds):
        near_of(tiny, results, model, fold)
    fuse(tiny, results, {"net": 1.0, "near": 2.0})
    return results


def test_a_bundle_of_an_embedding_and_its_neighbours_predicts_as_the_run_did(tiny: Tiny, in_tmp: Path) -> None:
    results = finished(tiny, in_tmp / "results", head={"pooling": "gem"})
    export(results, in_tmp / "bundle")
    shutil.rmtree(results / "train")
    read = form.read(in_tmp / "bundle")
    assert read.schema_version == form.WITHOUT_DETECTOR
    assert [one.network.embedding.width for one in read.members if one.network.embedding] == [6, 6]
    assert {one.name: one.network.neighbours.k for one in read.members if one.network.neighbours} == {"near-seed0": 3}
    found = goldfold.load(in_tmp / "bundle").predict(list(pd.read_csv(tiny.folds / "test.csv", dtype=str)["path"]))
    wanted = load(results / "ensemble/test.npz")
    assert found.arrays["ids"].tolist() == wanted["ids"].tolist()
    np.testing.assert_allclose(found.arrays["probabilities"], wanted["probabilities"], atol=1e-5)
    written = json.loads((in_tmp / "bundle" / form.NAME).read_text())
    assert "unknown" not in written["members"][1]["network"].get("neighbours", {})


def test_cases_of_several_images_are_neighbours_too(of_frames: Tiny, tmp_path: Path) -> None:
    changes = {"views": "attention", "max_images": 2, "embedding": EMBEDDING}
    model = of_frames.model({"epochs": 1, "warmup_epochs": 0}, **changes)
    of_frames.train(tmp_path / "train/net/round0/fold0/seed0", model=model)
    near_of(of_frames, tmp_path, model, 0)
    table = pd.read_csv(of_frames.fold_file(), dtype=str)
    where = "near/round0/fold0/seed0"
    index, oof = load(tmp_path / f"train/{where}/embeddings.npz"), load(tmp_path / f"predict/{where}/oof.npz")
    assert index["ids"].tolist() == sorted(table["id"][table["split"] == "train"])
    assert oof["features"].shape == (len(oof["ids"]), 6)
    assert oof["view_weights"].sum(axis=1) == pytest.approx(np.ones(len(oof["ids"])), abs=1e-5)
    assert oof["view_weights"].shape[1] == 2


def test_the_other_weights_of_a_member_of_neighbours_are_those_of_its_network(
    tiny: Tiny, trained: Path, tmp_path: Path
) -> None:
    """Embeddings of different folds are never compared: a network of another fold has another index."""
    make(tiny, tmp_path / "own", trained)
    tiny.train(tmp_path / "other", model=embedding_model(tiny), fold_file=tiny.fold_file(1), place={**PLACE, "fold": 1})
    other = tmp_path / "other/model.safetensors"
    make(
        tiny,
        tmp_path / "second",
        other,
        fold_file=tiny.fold_file(1),
        place={**PLACE, "fold": 1},
        of=["net/round0/fold1/seed0"],
    )
    first, second = (load(tmp_path / name / "embeddings.npz") for name in ("own", "second"))
    assert (int(first["fold"]), int(second["fold"])) == (0, 1)
    assert not {*first["ids"]} & {*second["ids"]}, "of two folds, each indexes the half that it trains on"
