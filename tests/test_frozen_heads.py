"""Heads on frozen backbones: config, plan, embeddings, and heads that see nothing of the rows that they predict."""

import contextlib
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

import goldfold
import made_run
from goldfold import catalog, components, tasks
from goldfold.backbones import backbone
from goldfold.base.errors import ConfigError, DataError, GoldfoldError
from goldfold.base.files import read_json, write_json
from goldfold.base.fingerprint import sha256_of
from goldfold.bundles import form
from goldfold.bundles import heads as bundled
from goldfold.bundles.export import export
from goldfold.bundles.finished import Run
from goldfold.bundles.fitted_arrays import _start_and_rounds, arrays_of
from goldfold.bundles.fitted_layers import LAYERS, Headed
from goldfold.cache.images import build
from goldfold.cases import Inputs
from goldfold.config import parse, slices
from goldfold.config.dependencies import recipe
from goldfold.config.frozen import doubts
from goldfold.embeddings import read
from goldfold.heads import neighbours
from goldfold.heads.components import Components
from goldfold.heads.fitting import Standard, fitted
from goldfold.heads.protocol import Head, loss
from goldfold.inference.embedding import Embedder
from goldfold.inference.predictor import build as build_network
from goldfold.inference.views import identity
from goldfold.planning.plan import Job, plan_of
from goldfold.planning.runs import Member
from goldfold.planning.runs import Run as Run_of
from goldfold.predictions.arrays import load, save
from goldfold.stages import embed, heads
from test_rounds import B0, BASE
from test_workflow import TINY, snakemake, write_config, write_images

NETWORK: dict[str, Any] = {"network": "small_resnet", "params": {"widths": [4, 4]}, "image_size_px": 12}
LINEAR: dict[str, Any] = {"name": "linear", **NETWORK, "frozen": {"head": "logistic"}}
MLP: dict[str, Any] = {"name": "mlp", **NETWORK, "frozen": {"head": {"mlp": {"epochs": 4}}}}
RUNTIME = {"device": "cpu", "precision": "fp32", "torch_threads": 1}
EVERY = [(target, name) for target, names in catalog.HEADS.items() for name in names if name != "zero_shot"]
TASKS = {"label": "classification", "labels": "multilabel", "value": "regression"}
N, WIDTH, FOLDS = 120, 6, 3


# --- config


def with_heads(*models: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**BASE, "seeds": [0, 1], "models": [B0, *models], **changes}


def test_a_head_has_no_training_and_runs_by_seed_only_if_it_draws_at_random() -> None:
    config = parse(with_heads(LINEAR, MLP))
    assert [len(config.grid.seeds_of(name)) for name in ("b0", "linear", "mlp")] == [2, 1, 2]
    assert "train" not in config.models[1].model_dump()
    assert config.models[1].model_dump()["pretrained"] is False
    assert {run.model for run in config.grid.trained_runs()} == {"b0"}
    assert [one["name"] for one in slices.network_checks(config)] == ["b0", "linear"], "a shared backbone is tried once"
    assert [doubt.split(":")[0] for doubt in doubts(config)] == ["models (linear)", "models (mlp)"]


def test_weights_of_a_fold_are_doubted(tmp_path: Path) -> None:
    weights = tmp_path / "results/other/train/b0/round0/fold1/seed0/model.safetensors"
    weights.parent.mkdir(parents=True)
    weights.touch()
    (doubt,) = doubts(parse(with_heads({**LINEAR, "pretrained": str(weights)})))
    assert doubt.startswith("models (linear).pretrained = ")
    assert "its embeddings know labels that are validated here" in doubt


def test_models_share_embeddings_unless_backbone_images_or_views_differ() -> None:
    flipped = {**MLP, "name": "flipped", "frozen": {"head": "knn", "views": ["identity", "hflip"]}}
    larger = {**MLP, "name": "larger", "image_size_px": 16}
    darker = {**MLP, "name": "darker", "mean": 0.3}
    embeddings = parse(with_heads(LINEAR, {**MLP, "views": "mean"}, flipped, larger, darker)).embeddings
    assert embeddings["linear"] == embeddings["mlp"]
    assert len({*embeddings.values()}) == 4


def test_heads_are_fitted_in_the_first_round_and_teach_the_next() -> None:
    config = parse(with_heads(LINEAR, pseudo_labels={"rounds": 1}))
    assert [one.models for one in config.every_round] == [["b0", "linear"], ["b0"]]
    plan = plan_of(config)
    assert {job.stage for job in plan.above(Job("pseudo_label", round=1, fold=0))} == {"predict", "heads_once"}
    assert plan.labels[1, 0].teachers[-1].folder == "linear/round0/fold0/seed0"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"models": [{**LINEAR, "train": {"epochs": 2}}]}, r"models\[0\]: train: a frozen backbone is not trained"),
        (
            {"models": [{**LINEAR, "metadata": True}]},
            "metadata: a frozen backbone is not trained, and its head takes embeddings",
        ),
        (
            {"models": [{**LINEAR, "views": "attention", "max_images": 3, "head": {"hidden": [8]}}]},
            "head, views, max_images: a frozen backbone is not trained, .* averaged over the images of a case; remove them",
        ),
        ({"models": [{**LINEAR, "std": 2}]}, r"models\[0\] \(linear\)\.std = 2.*: must be above 0 and at most 1"),
        ({"models": [{**LINEAR, "frozen": "logistic"}]}, r"frozen = .logistic.: write a section: \{head: logistic\}"),
        ({"models": [{**LINEAR, "frozen": {"head": "logistik"}}]}, "frozen.head = 'logistik': .*nearest is 'logistic'"),
        (
            {"models": [{**LINEAR, "frozen": {"head": "ridge"}}]},
            "frozen.head = 'ridge': .*allowed with classification: ",
        ),
        (
            {"models": [{**LINEAR, "frozen": {"head": {"knn": {"k": 0}}}}]},
            "frozen.head: head knn: k = 0: must be at least 1",
        ),
        (
            {"models": [{**LINEAR, "frozen": {"head": {"boosted": {"trees": 0}}}}]},
            "frozen.head: head boosted: trees = 0: must",
        ),
        (
            {"models": [{**LINEAR, "frozen": {"head": {"mlp": {"hidden": -3}}}}]},
            "frozen.head: head mlp: hidden = -3: must be",
        ),
        ({"models": [{**LINEAR, "frozen": {"head": {"knn": {"n": 3}}}}]}, "frozen.head = .*knn.* does not take 'n'"),
        ({"models": [{**LINEAR, "frozen": {"head": "knn", "views": ["flip"]}}]}, r"frozen\.views\[0\] = 'flip': "),
        ({"models": [{**LINEAR, "resize": "stretch"}]}, r"models\[0\]\.resize"),
        (
            {"models": [{**LINEAR, "pretrained": "no.pth"}]},
            r"models\[0\] \(linear\)\.pretrained = 'no.pth': no such file",
        ),
        (
            {"rounds": [{"models": ["b0"]}, {}]},
            r"rounds\[0\]\.models: lacks the head linear, which is fitted in the first",
        ),
        ({"rounds": [{}, {"models": ["b0", "linear"]}]}, r"rounds\[1\]\.models: linear is a head on a frozen backbone"),
        (
            {"rounds": [{}, {"start": "linear"}]},
            r"rounds\[1\]\.start = 'linear': a head on a frozen backbone has no weights",
        ),
        (
            {"models": [B0, LINEAR, {"name": "s", "soup": ["linear"]}]},
            "soup.of: 'linear' is a head on a frozen backbone",
        ),
        (
            {"models": [{**B0, "train": {"distill": {"teacher": "ensemble"}}}, LINEAR]},
            "its teacher includes linear, a head on a frozen backbone, .* give it weight 0",
        ),
    ],
)
def test_what_a_head_cannot_have_or_be_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse({**with_heads(LINEAR), **changes})


def test_masks_and_boxes_have_no_heads() -> None:
    values = {"name": "x", "data": {"source": "scenes_masks"}, "task": "segmentation"}
    with pytest.raises(
        ConfigError, match=r"frozen: task 'segmentation' has no heads on embeddings; .*classification, "
    ):
        parse(
            {**values, "models": [{"name": "m", "network": "unet", "backbone": "resnet18", "frozen": {"head": "knn"}}]}
        )


def test_a_recipe_without_heads_has_no_word_of_them() -> None:
    config = parse(BASE)
    plan = plan_of(config)
    assert not {"embed", "heads", "heads_once"} & {*plan.stages()}
    assert all(
        "frozen" not in str(recipe(config, job)["settings"]) for stage in plan.stages() for job in plan.jobs(stage)
    )


# --- heads


def made(target: str, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Embeddings (N, WIDTH) that tell targets of a kind."""
    generator = np.random.default_rng(seed)
    features = (5 + 3 * generator.normal(size=(N, WIDTH))).astype(np.float32)
    logits = features[:, :3] + generator.normal(size=(N, 3))
    if target == "value":
        return features, logits[:, 0] - logits[:, 0].mean()
    return features, logits.argmax(axis=1) if target == "label" else (logits > 5).astype(np.int64)


def built(target: str, name: str) -> Head:
    head: Head = components.load(name, catalog.HEADS[target], "head")(target, 1 if target == "value" else 3)
    return head


@pytest.mark.parametrize("name", sorted(catalog.HEADS["labels"]))
def test_every_head_learns_a_single_label(name: str) -> None:
    features, truth = made("labels")
    head: Head = components.load(name, catalog.HEADS["labels"], "head")("labels", 1)
    (found,) = fitted(head, features[:90], truth[:90, :1], np.arange(90) % FOLDS, 0, [0])
    outputs = found(features[90:])
    assert outputs.shape == (30, 1)
    assert ((outputs > 0) == truth[90:, :1]).mean() > 0.7


@pytest.mark.parametrize(("target", "name"), EVERY)
def test_every_head_learns_and_gives_the_same_again(target: str, name: str) -> None:
    features, truth = made(target)
    known, rest, parts = slice(0, 90), slice(90, N), np.arange(90) % FOLDS
    one, other, same = [*fitted(built(target, name), features[known], truth[known], parts, 0, [1, 2, 1])]
    outputs = one(features[rest])
    assert outputs.shape == (30, 1 if target == "value" else 3)
    assert np.isfinite(outputs).all()
    shares = [truth[known].mean(axis=0)] if target != "label" else [np.bincount(truth[known], minlength=3) / 90]
    constant = {"value": shares[0], "label": np.log(shares[0]), "labels": np.log(shares[0] / (1 - shares[0]))}[target]
    assert loss(outputs, truth[rest], target) < 0.9 * loss(np.tile(constant, (30, 1)), truth[rest], target)
    assert np.array_equal(outputs, same(features[rest]))
    assert np.array_equal(outputs, other(features[rest])) == (name in catalog.HEADS_WITHOUT_SEED)


@pytest.mark.parametrize(("target", "name"), [pair for pair in EVERY if pair[0] != "value"])
def test_a_head_whose_training_rows_lack_a_class_gives_it_little(target: str, name: str) -> None:
    features, truth = made(target)
    if target == "label":
        truth = np.where(truth == 2, 0, truth)
    else:
        truth[:, 2] = 0
    (one,) = fitted(built(target, name), features, truth, np.arange(N) % FOLDS, 0, [0])
    outputs = one(features)
    assert (outputs[:, 2] < (outputs[:, :2].max(axis=1) if target == "label" else 0)).all()


def test_strength_and_statistics_come_from_the_training_rows() -> None:
    features, truth = made("label")
    (one,) = fitted(built("label", "logistic"), features, truth, np.arange(N) % FOLDS, 0, [0])
    assert np.allclose(one.standard.centre, features.mean(axis=0))
    assert one.chosen in (0.1, 1, 10, 100)
    (noise,) = fitted(
        built("label", "logistic"), features, np.random.default_rng(1).permutation(truth), np.arange(N) % FOLDS, 0, [0]
    )
    assert noise.chosen > one.chosen, "noise wants a larger penalty"


@pytest.mark.parametrize("n", [4, 40])
def test_components_are_those_of_a_singular_value_decomposition(n: int) -> None:
    rows = np.random.default_rng(0).normal(size=(n, 8)).astype(np.float32) * np.arange(1, 9)
    found = Components.fit(rows.astype(np.float32), 3)
    wanted = np.linalg.svd(rows - rows.mean(axis=0))[2][:3]
    assert np.allclose(np.abs((found.axes * wanted).sum(axis=1)), 1, atol=1e-4)
    assert (np.take_along_axis(found.axes, np.abs(found.axes).argmax(axis=1)[:, None], axis=1) > 0).all()


def test_ridge_of_more_columns_than_rows_is_that_of_scikit_learn() -> None:
    from sklearn.linear_model import Ridge

    generator = np.random.default_rng(0)
    for n in (5, 30):
        rows, truth = generator.normal(size=(n, 10)).astype(np.float32), generator.normal(size=n)
        rows = Standard.fit(rows)(rows)
        (predict,) = built("value", "ridge").fit(rows, truth, 10.0, [0])
        assert np.allclose(predict(rows)[:, 0], Ridge(alpha=10).fit(rows, truth).predict(rows), atol=1e-4)


# --- stages


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_embeddings_that_are_not_finite_are_refused_with_the_first_image(value: float) -> None:
    table = pd.DataFrame({"id": ["a", "b", "c"]})
    parts = [{"features": np.zeros((2, 4), np.float32)}, {"features": np.full((1, 4), value, np.float32)}]
    with pytest.raises(DataError, match="embeddings of 1 of 3 images are NaN or infinite, first 'c'"):
        [*Embedder().pack(table, parts)]
    assert [name for name, _ in Embedder().pack(table.iloc[:0], [])] == ["ids", "features"]


def write_lists(folder: Path, target: str) -> tuple[dict[str, Any], pd.DataFrame]:
    """Embeddings and lists of `FOLDS` folds, and the arguments of the stage but for head and name."""
    features, truth = made(target)
    ids, classes = [f"{row:03d}" for row in range(N)], ["a", "b", "c"]
    columns: Any = {
        "label": lambda: [classes[one] for one in truth],
        "labels": lambda: [
            str([name for name, has in zip(classes, row, strict=True) if has]).replace("'", '"') for row in truth
        ],
        "value": lambda: truth.astype(str),
    }[target]()
    table = pd.DataFrame({"id": ids, target: columns})
    train = table[:90].assign(fold=np.arange(90) % FOLDS)
    for fold in range(FOLDS):
        write_fold(folder, train, fold)
    train.to_csv(folder / "train.csv", index=False)
    table[90:][["id"]].to_csv(folder / "test.csv", index=False)
    write_json(folder / "classes.json", ["-9 to 9"] if target == "value" else classes)
    for part in range(2):
        own = slice(part, None, 2)
        save(folder / f"e{part}.npz", {"ids": np.array(ids)[own], "features": features[own]}.items())
    return {
        "embedded": [str(folder / f"e{part}.npz") for part in range(2)], "embeddings": "e", "n_folds": FOLDS,
        "folds": {fold: str(folder / f"fold{fold}.csv") for fold in range(FOLDS)}, "lists": {"test": str(folder / "test.csv")},
        "train": str(folder / "train.csv"), "classes": str(folder / "classes.json"), "task": {"name": TASKS[target]},
    }, train  # fmt: skip


def write_fold(folder: Path, train: pd.DataFrame, fold: int) -> None:
    split = np.where(train["fold"] == fold, "val", "train")
    train.drop(columns="fold").assign(split=split).to_csv(folder / f"fold{fold}.csv", index=False)


def bytes_of(folder: Path, fold: int) -> list[bytes]:
    files = sorted(folder.glob(f"*/round0/fold{fold}/seed*/*.npz"))
    assert files
    return [path.read_bytes() for path in files]


@pytest.mark.parametrize(("target", "name"), EVERY)
def test_labels_of_the_validation_rows_change_no_byte_of_their_fold(tmp_path: Path, target: str, name: str) -> None:
    settings, train = write_lists(tmp_path, target)
    seeds = [0] if name in catalog.HEADS_WITHOUT_SEED else [0, 1]
    run: Any = {**settings, "head": name, "name": "m", "seeds": seeds}
    facts = heads.run(predictions=str(tmp_path / "before"), **run)
    found = load(tmp_path / "before/m/round0/fold1/seed0/oof.npz")
    assert len(found["ids"]) == 30
    assert int(found["fold"]) == 1
    assert [*facts["head"]["chosen"]] == ["0", "1", "2"]
    held = train["fold"] == 1
    other = train.copy()
    other.loc[held, target] = train.loc[held, target].to_numpy()[::-1]
    assert (other[target] != train[target]).any()
    write_fold(tmp_path, other, 1)
    for fold in (0, 2):
        write_fold(tmp_path, other, fold)
    heads.run(predictions=str(tmp_path / "after"), **run)
    same = [bytes_of(tmp_path / "before", fold) == bytes_of(tmp_path / "after", fold) for fold in range(FOLDS)]
    assert same[1], "the head of fold 1 has seen labels that it validates"
    assert same == [False, True, False], "other folds train on these rows"


def test_heads_give_ordered_classes_what_they_give_classes(tmp_path: Path) -> None:
    settings, _ = write_lists(tmp_path, "label")
    for task in ("classification", "ordinal"):
        run: Any = {**settings, "head": "logistic", "name": "m", "seeds": [0], "task": {"name": task}}
        heads.run(predictions=str(tmp_path / task), **run)
    assert bytes_of(tmp_path / "classification", 0) == bytes_of(tmp_path / "ordinal", 0)
    assert parse(with_heads(LINEAR, task="ordinal", data={**BASE["data"], "classes": ["b", "a"]})).task == "ordinal"


def test_embeddings_of_the_validation_rows_change_no_head_of_their_fold(tmp_path: Path) -> None:
    settings, train = write_lists(tmp_path, "label")
    run: Any = {**settings, "head": "boosted", "name": "m", "seeds": [0]}
    heads.run(predictions=str(tmp_path / "before"), **run)
    held = {*train.loc[train["fold"] == 1, "id"]}
    for path in settings["embedded"]:
        arrays = load(path)
        moved = np.array([id in held for id in arrays["ids"]])
        save(
            path,
            {"ids": arrays["ids"], "features": arrays["features"] + 100 * moved[:, None].astype(np.float32)}.items(),
        )
    heads.run(predictions=str(tmp_path / "after"), **run)
    tests = [(tmp_path / when / "m/round0/fold1/seed0/test.npz").read_bytes() for when in ("before", "after")]
    assert tests[0] == tests[1], "mean, spread and components are those of the training rows"


def write_cache(folder: Path, n: int, of: int = 8) -> list[str]:
    import cv2

    generator, paths = np.random.default_rng(0), [folder / f"{row}.png" for row in range(n)]
    for path in paths:
        cv2.imwrite(str(path), generator.integers(0, 255, (of, of), dtype=np.uint8))
    digests = [sha256_of(path) for path in paths]
    table = pd.DataFrame({"id": [path.stem for path in paths], "path": [*map(str, paths)], "sha256": digests})
    build(table, folder / "cache", (12, 12), 1, "squash")
    return table["id"].tolist()


def test_embeddings_are_the_mean_over_views_and_the_same_in_every_job(tmp_path: Path) -> None:
    ids = write_cache(tmp_path, 5)
    model = {**NETWORK, "backbone": None, "pretrained": False, "partly_pretrained": False, "size": [12, 12]}
    found = {}
    for name, views in (("one", ["identity"]), ("flipped", ["hflip"]), ("both", ["identity", "hflip"])):
        facts = embed.run(
            path=str(tmp_path / f"{name}.npz"), cache=str(tmp_path / "cache"), model=model, resize="squash", channels=1,
            views=views, batch_size=2, runtime=RUNTIME,
        )  # fmt: skip
        found[name] = read([tmp_path / f"{name}.npz"]).of(ids)
    assert found["one"].shape == (5, 4)
    assert facts["embedding"]["n"] == 5
    assert not np.allclose(found["one"], found["flipped"])
    assert np.allclose(found["both"], (found["one"] + found["flipped"]) / 2, atol=1e-6)


@pytest.mark.parametrize("n_shards", [1, 2])
def test_the_embedding_of_a_case_is_the_mean_over_its_images_in_all_shards(tmp_path: Path, n_shards: int) -> None:
    """x has images 0 and 1, y image 2 alone."""
    write_cache(tmp_path, 3)
    model = {**NETWORK, "backbone": None, "pretrained": False, "partly_pretrained": False, "size": [12, 12]}
    run: Any = {
        "model": model,
        "resize": "squash",
        "channels": 1,
        "views": ["identity"],
        "batch_size": 2,
        "runtime": RUNTIME,
    }
    embed.run(path=str(tmp_path / "images.npz"), cache=str(tmp_path / "cache"), **run)
    each = read([tmp_path / "images.npz"]).of(["0", "1", "2"])
    table = pd.DataFrame({"id": ["x#0", "x#1", "y#1"], "case": ["x", "x", "y"], "view": ["0", "1", "1"]})
    table = table.assign(path=[str(tmp_path / f"{row}.png") for row in range(3)])
    table = table.assign(sha256=[sha256_of(Path(path)) for path in table["path"]])
    files = []
    for shard in range(n_shards):
        own = table[np.arange(3) % n_shards == shard].reset_index(drop=True)
        build(own, tmp_path / f"cache{shard}", (12, 12), 1, "squash")
        files.append(tmp_path / f"{shard}.npz")
        embed.run(path=str(files[-1]), cache=str(tmp_path / f"cache{shard}"), **run)
    found = read(files).of(["x", "y"])
    assert np.allclose(found, [each[:2].mean(axis=0), each[2]], atol=1e-6)


# --- bundles


@pytest.mark.parametrize(("target", "name"), EVERY)
@pytest.mark.parametrize("kept", ["all", "two classes", "one class"])
def test_a_head_is_the_last_layer_of_its_network(target: str, name: str, kept: str) -> None:
    """Also where its training rows lack classes; and loaded into a network whose layer has no numbers yet."""
    import torch

    model = {
        **NETWORK,
        "backbone": None,
        "pretrained": False,
        "partly_pretrained": False,
        "size": [12, 12],
        "mean": 0.3,
    }
    frozen = backbone(model, 1)
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (60, 1, 12, 12), dtype=np.uint8))
    with torch.inference_mode():
        features = Embedder().predict(frozen, Inputs.of(images), [identity()])["features"]
    truth = made(target)[1][:60]
    truth = truth if target == "value" or kept == "all" else truth % 2 if kept == "two classes" else np.ones_like(truth)
    (head,) = fitted(built(target, name), features, truth, np.arange(60) % FOLDS, 0, [3])
    described = {key: value for key, value in model.items() if key not in bundled.OF_TRAINING}
    names = ["-9 to 0", "0 to 9"] if target == "value" else ["a", "b", "c"]
    task = tasks.infer({"name": TASKS[target]}, names)
    network = build_network(task, described, 1).eval()
    bundled._filled(network, frozen, head, "m", name, target)
    empty = Headed(task, name, target, 1 if target == "value" else 3) if name in LAYERS else task
    loaded = build_network(empty, described, 1).eval()
    loaded.load_state_dict(network.state_dict())
    for one in (network, loaded):
        with torch.inference_mode():
            found = one(Inputs.of(images)).numpy()
        assert found.dtype == np.float32
        assert np.allclose(found, head(features), atol=1e-4)


@pytest.mark.parametrize(
    ("head", "views", "tta", "said"),
    [
        ({"mine.lda": {"rate": 4}}, ["identity"], ["identity"], r"mine\.lda\(rate=4\), of task 'classification': a bundle"),
        ({"knn": {"k": 4}}, ["identity"], ["identity"], r"knn\(k=4\), fitted to the mean embedding over the images of a case"),
        ("logistic", ["identity", "hflip"], ["identity"], "fitted to the mean embedding over 2 views"),
        ("logistic", ["identity"], ["hflip"], "fitted to the view identity alone, while tta has other views"),
    ],
)  # fmt: skip
def test_heads_that_are_no_layer_are_not_exported(head: Any, views: list[str], tta: list[str], said: str) -> None:
    records = {
        "heads/m/run.json": {"recipe": {"settings": {"head": head, "embeddings": "e"}}},
        "embeddings/e/train-0.run.json": {"recipe": {"settings": {"views": views}}},
        "manifest/run.json": {"recipe": {"settings": {"source": {"case_column": "case"}}}},
    }
    found: Any = SimpleNamespace(
        heads=[Member("m", 0)], weights={"m-seed0": 1.0}, settings={"task": {"name": "classification"}}, root="results/t",
        record=records.__getitem__,
    )  # fmt: skip
    with pytest.raises(
        ConfigError, match="results/t: 'm-seed0' has weight 1 in the ensemble, but it is a head on .*" + said
    ):
        bundled.refuse(found, [Run(Member("net", 0), 0, 0, Path(), {"tta": tta})])


@pytest.mark.parametrize("target", ["label", "labels", "value"])
@pytest.mark.parametrize("k", [1, 3, 6])
def test_copies_at_the_last_place_share_its_votes_whatever_their_order(target: str, k: int) -> None:
    import torch

    features, truth = made(target)
    known, head = np.repeat(features[:20], 4, axis=0), components.load({"knn": {"k": k}}, catalog.HEADS[target], "head")
    targets, orders = (
        np.concatenate([truth[:60], truth[:20]]),
        [np.arange(80), np.random.default_rng(0).permutation(80)],
    )
    outputs = []
    for order in orders:
        (found,) = fitted(
            head(target, 1 if target == "value" else 3), known[order], targets[order], np.arange(80) % 2, 0, [0]
        )
        layer = LAYERS["knn"](target, 1 if target == "value" else 3, arrays_of(found))
        outputs += [found(features), layer(torch.from_numpy(features)).detach().numpy()]
    for other in outputs[1:]:
        np.testing.assert_allclose(other, outputs[0], atol=2e-4)


@pytest.mark.parametrize(("name", "wrong", "is_refused"), [
    ("ridge", 0, False), ("ridge", 1, True), ("boosted", 0, False), ("boosted", 1, False), ("boosted", 3, True),
])  # fmt: skip
def test_a_layer_that_predicts_otherwise_than_the_run_is_refused(
    name: str, wrong: int, is_refused: bool, tmp_path: Path
) -> None:
    """Of 120 numbers, one may fall to another leaf; the outputs of ridge regression are continuous."""
    import torch

    features, truth = made("value")
    (head,) = fitted(built("value", name), features, truth, np.arange(N) % FOLDS, 0, [0])
    values = 10 + 4 * head(features)[:, 0]
    values[:wrong] += 1
    save(tmp_path / "oof.npz", {"ids": np.array([f"i{row:03d}" for row in range(N)]), "values": values}.items())
    if name == "ridge":
        layer: Any = lambda rows: torch.from_numpy(head(rows.numpy()))  # noqa: E731
    else:
        layer = LAYERS[name]("value", 1, arrays_of(head))
    found: Any = SimpleNamespace(fused=lambda *_: tmp_path / "oof.npz", root="results/t")
    check = partial(
        bundled._check, found, Run_of("m", 0, 0, 0), layer, SimpleNamespace(of=lambda _: features), (10.0, 4.0)
    )
    if not is_refused:
        check()
        return
    with pytest.raises(DataError, match="results/t: the head m of fold 0 was fitted again, and predicts otherwise"):
        check()


def test_trees_of_another_scikit_learn_are_refused() -> None:
    with pytest.raises(GoldfoldError, match=r"boosted: the trees of scikit-learn .* cannot be read .* use a logistic"):
        _start_and_rounds(SimpleNamespace(_baseline_prediction=np.zeros(1)))


def test_a_stack_that_takes_embeddings_is_not_exported() -> None:
    found: Any = SimpleNamespace(heads=[], settings={"embeddings": {"linear": "e"}}, root="results/t")
    with pytest.raises(ConfigError, match="results/t: a stack takes embeddings, which a bundle does not make yet"):
        bundled.refuse(found, [])


# --- reruns


def test_a_head_reruns_alone_and_embeddings_with_their_backbone(tmp_path: Path) -> None:
    models: list[Any] = [TINY["models"][0], LINEAR, MLP]  # type: ignore[index]
    folder = tmp_path / "run"
    made_run.finish(folder, models=models)
    assert made_run.would_run(folder) == set()
    above = {"ensemble", "submit", "report"}
    stronger = [*models[:2], {**MLP, "frozen": {"head": {"mlp": {"epochs": 5}}}}]
    labels = {"pseudo_label round1/fold0", "pseudo_label round1/fold1"}
    trained = {f"{stage} wide/round1/fold{fold}/seed0" for stage in ("train", "predict") for fold in range(2)}
    assert made_run.would_run(folder, models=stronger) == {"heads mlp", *labels, *trained, *above}
    assert made_run.would_run(folder, models=stronger[:2], pseudo_labels={"rounds": 0}) >= above
    other = made_run.would_run(
        folder, models=[models[0], {**LINEAR, "frozen": {"head": "logistic", "views": ["hflip"]}}, MLP]
    )
    assert sum(name.startswith("embed ") for name in other) == 4
    assert "heads mlp" not in other
    assert {"heads_once linear", "report"} <= other
    assert not any(name.startswith("cache") for name in other) or "embed" in str(other)


# --- from end to end


def test_heads_are_members_from_embeddings_to_report(code: Path, tmp_path: Path) -> None:
    """And heads in a bundle, and embeddings in a stack, which fits nothing else again."""
    write_images(tmp_path)
    values: dict[str, Any] = {
        "data": {**TINY["data"], "shards": 1}, "pseudo_labels": {"rounds": 0}, "seeds": [0, 1],  # type: ignore[dict-item]
        "models": [LINEAR, {**MLP, "params": {"widths": [8, 8]}, "interpolation": "bicubic"}],
    }  # fmt: skip
    write_config(tmp_path, **values)
    result = snakemake(tmp_path, code=code)
    assert result.returncode == 0, result.stdout + result.stderr
    results = tmp_path / "results/tiny"
    members = ["ensemble", "linear-seed0", "mlp-seed0", "mlp-seed1"]
    assert sorted(pd.read_csv(results / "leaderboard.csv")["member"]) == members
    assert not (results / "train").exists()
    assert len([*(results / "embeddings").rglob("*.npz")]) == 4, "two backbones, training and test images"
    record = read_json(results / "heads/mlp/run.json")
    assert record["head"]["width"] == 8
    page = (results / "report/report.html").read_text()
    for said in ("Heads on frozen backbones", "Weights of linear and mlp are random", "first principal component"):
        assert said in page
    assert "Learning curves" not in page, "no network was trained"
    with contextlib.chdir(tmp_path):
        export("results/tiny", "bundle")
        tests = pd.read_csv("results/tiny/folds/test.csv", dtype=str)
        bundle, wanted = goldfold.load("bundle"), load(results / "ensemble/test.npz")
        found = bundle.predict([*tests["path"]]).arrays
        names = {Path(path).stem: id for id, path in zip(tests["id"], tests["path"], strict=True)}
        rows = [wanted["ids"].tolist().index(names[Path(str(id)).stem]) for id in found["ids"]]
        assert bundle.members == ["linear-seed0", "mlp-seed0", "mlp-seed1"]
        assert "frozen, with the head mlp" in (bundle.folder / form.CARD).read_text()
        assert np.allclose(found["probabilities"], wanted["probabilities"][rows], atol=1e-5)
    before = (results / "predict/mlp/round0/fold0/seed0/oof.npz").stat().st_mtime_ns
    write_config(tmp_path, **values, ensemble=[{"stacking": {"embeddings": True, "components": 3}}])
    result = snakemake(tmp_path, code=code)
    assert result.returncode == 0, result.stdout + result.stderr
    assert (results / "predict/mlp/round0/fold0/seed0/oof.npz").stat().st_mtime_ns == before
    assert read_json(results / "metrics.json")["embeddings"]["models"].keys() == {"linear", "mlp"}
    assert "stacking takes principal components of 2 embeddings" in (results / "report/report.html").read_text()
    with (
        contextlib.chdir(tmp_path),
        pytest.raises(ConfigError, match="a stack takes embeddings, which a bundle does not make yet"),
    ):
        export("results/tiny", "bundle", force=True)
    again = snakemake(tmp_path, "-n", code=code)
    assert "Nothing to be done" in again.stdout + again.stderr, again.stdout


def test_a_given_number_of_neighbours_is_that_of_the_fit() -> None:
    """The rows on which a number would be chosen are fewer than those of the fit."""
    few, labels = np.eye(3)[np.arange(20) % 3], np.arange(20) % 3
    assert neighbours.knn("label", 3, 25).choose(few, labels, few, labels) == 25
    assert neighbours.knn("label", 3).choose(few, labels, few, labels) <= 20
