"""Metadata columns as an input of networks: encoded, trained on, predicted with, exported, refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import goldfold
import made_run
from conftest import Tiny, picture, prepare, save_picture
from goldfold import models, tasks
from goldfold.audit.doubts.metadata import about_metadata, about_targets
from goldfold.base.errors import ConfigError, DataError
from goldfold.bundles import form, listing
from goldfold.bundles.export import export
from goldfold.cases import Inputs
from goldfold.commands import preflight
from goldfold.config import columns, parse, slices
from goldfold.inference.predictor import build, encoder_beside
from goldfold.metadata.columns import Columns, check_lists, joined
from goldfold.metadata.encoder import Encoder
from goldfold.models import pretrained
from goldfold.models.case_head import case_head
from goldfold.models.fusion import Branch, Fusion
from goldfold.models.wrapping import Normalised
from goldfold.planning.plan import plan_of
from goldfold.predictions.arrays import load as load_arrays
from goldfold.tasks.protocol import Infer
from made_run import would_run
from test_reruns import LATE, runs
from tiny_results import record, write_results

KINDS = {"numeric": ["age", "noise"], "categorical": ["site"]}
COLUMNS = Columns(("age", "noise"), ("site",))
AGE_SITE = Columns(("age",), ("site",))


def table(age: str, site: str) -> pd.DataFrame:
    """A case per word; ``-`` is a missing value."""
    values = {"meta_age": age.split(), "meta_site": site.split()}
    return pd.DataFrame(values).replace("-", "")


def test_levels_of_one_case_and_levels_of_the_test_cases_alone_are_doubted() -> None:
    def doubts(train: str, test: str) -> list[str]:
        tables = {
            name: table("-" + " -" * sites.count(" "), sites) for name, sites in (("train", train), ("test", test))
        }
        return list(about_metadata(tables, ["site"]))

    assert doubts("a a b b - c", "a b - - - c") == []
    (single,) = doubts("a b c d e e", "a a a")
    assert "'site' has 5 levels in 6 training cases, 4 of them once" in single
    (unknown,) = doubts("a a b b", "a x y - b")
    assert "'site': 2 of 5 test cases have a level that no training case has" in unknown
    assert list(about_metadata({"train": table("- -", "a a")}, [])) == []


def test_a_column_that_tells_the_target_is_doubted() -> None:
    cases = table("1 2 1 2 3", "x y x y y").assign(label=["cat", "dog", "cat", "dog", "dog"])
    (leak,) = about_targets(cases, ["age", "site"], [])
    assert leak.startswith("metadata column 'site' tells the target of every training case")
    (copy,) = about_targets(cases, [], ["age", "site"])
    assert copy.startswith("train.auxiliary: 'site' is the target by another name")
    assert list(about_targets(cases[:4].assign(label=[*"abca"]), ["age", "site"], [])) == []
    numbers = table("1 2 4 -", "- - - -").assign(value=["0.5", "1", "2", "9"])
    assert list(about_targets(numbers, ["age"], [])) != [], "proportional where it is known"
    assert list(about_targets(numbers.assign(value=["0.5", "1", "1", "9"]), ["age"], [])) == []
    several = table("- - - - - -", "x x y y z z").assign(label=[*"aabbbb"])
    assert list(about_targets(several, ["site"], [])) != [], "two levels of one class"
    assert list(about_targets(cases.drop(columns="label").assign(labels="a"), ["site"], [])) == [], (
        "several labels per case"
    )


# --- values -> numbers


def test_numbers_are_standardised_and_levels_numbered_by_the_training_cases_alone() -> None:
    encoder = Encoder.fit(table("1 3 5 -", "a b a -"), AGE_SITE)
    deviation = np.std([1, 3, 5])
    assert encoder.numeric == {"age": (3.0, pytest.approx(deviation))}
    assert (encoder.categorical, encoder.n_levels) == ({"site": ["a", "b"]}, (2,))
    rows = encoder.encode(table("5 - 3 1e300", "b new - a"))
    assert rows.dtype == np.float32
    expected = [[2 / deviation, 0, 2], [0, 1, 0], [0, 0, 0], [1e4, 0, 1]]
    np.testing.assert_allclose(rows, expected, rtol=1e-6)
    assert encoder.unseen(table("1 1 1", "a new -")) == [
        "metadata 'site': 1 of 3 values unseen in training, e.g. 'new'"
    ]


def test_a_column_of_one_value_in_a_fold_is_encoded_as_nothing() -> None:
    encoder = Encoder.fit(table("4 4", "a a"), AGE_SITE)
    assert encoder.useless == ["age", "site"]
    assert Encoder.fit(table(" ".join(["0.1"] * 30), " ".join("a" * 30)), AGE_SITE).useless == ["age", "site"], (
        "rounding"
    )
    assert encoder.encode(table("4 900", "a b")).tolist() == [[0, 0, 0], [0, 0, 0]]
    assert Encoder.fit(table("- -", "- -"), AGE_SITE).encode(table("7", "a")).tolist() == [[0, 0, 0]]
    assert Encoder.fit(table("4 5", "- a"), AGE_SITE).useless == []


def test_statistics_go_through_the_header_of_a_weights_file(tmp_path: Path) -> None:
    encoder = Encoder.fit(table("1 2 4", "a b é"), AGE_SITE)
    save_file({"x": torch.zeros(1)}, tmp_path / "w.safetensors", metadata=encoder.to_header())
    assert encoder_beside(tmp_path / "w.safetensors", {"metadata": {"width": 3}}) == encoder
    assert encoder_beside(tmp_path / "w.safetensors", {}) is None
    save_file({"x": torch.zeros(1)}, tmp_path / "plain.safetensors")
    with pytest.raises(DataError, match="holds no statistics of metadata columns, though its network takes metadata"):
        encoder_beside(tmp_path / "plain.safetensors", {"metadata": {"width": 3}})


@pytest.mark.parametrize(
    ("age", "said"),
    [
        ("1 old", "column 'age' is numeric, and has 'old' .1 such cases.,"),
        ("1e308 -1.7e308", "too large to be standard"),
    ],
)
def test_values_that_are_no_numbers_are_refused(age: str, said: str) -> None:
    with pytest.raises(DataError, match=said), np.errstate(over="ignore"):
        Encoder.fit(table(age, "a b"), AGE_SITE)


# --- the network

BRANCH = Branch(1, (2,), 8, 0.1)


class Pixels(nn.Module):
    """Features: the mean of each channel."""

    num_features = 3

    def reset_classifier(self, n_classes: int) -> None:
        """It never had a head."""

    def forward(self, images: Tensor) -> Tensor:
        return images.mean(dim=(2, 3))


def test_the_head_sees_the_mean_over_the_images_beside_the_metadata() -> None:
    torch.manual_seed(0)
    network = Pixels()
    whole = Normalised(network, 3, *case_head(network, "pixels", 2, BRANCH)).eval()
    images = torch.rand(2, 2, 3, 4, 4) * 255
    metadata = torch.tensor([[0.5, 0.0, 1.0], [-1.0, 0.0, 2.0]])
    inputs = Inputs(images, torch.tensor([[True, True], [False, True]]), metadata)
    fusion: Any = whole.fusion
    features = inputs.mean((inputs.there / 255 - 0.5).mean(dim=(2, 3)) / 0.25)
    embedded = fusion.embeddings[0].weight[[1, 2]]
    branch = fusion.branch(torch.cat([metadata[:, :2], embedded], 1))
    torch.testing.assert_close(whole(inputs), fusion.head(torch.cat([features, branch], 1)))
    flipped = inputs.map(lambda images: images.flip(-1))
    torch.testing.assert_close(whole(flipped), whole(inputs), msg="a view changes images alone")
    with pytest.raises(ValueError, match="the network takes metadata, but the batch has none"):
        whole(replace(inputs, metadata=None))


def test_what_training_never_shows_changes_nothing() -> None:
    """A missing number and an unknown level, where no training case has one, have no weights of chance."""
    fusion, features = Fusion(3, 2, BRANCH).eval(), torch.rand(1, 3)
    known, missing = (
        fusion(features, torch.tensor([[0.0, 0.0, 0.0]])),
        fusion(features, torch.tensor([[0.0, 1.0, 0.0]])),
    )
    assert torch.equal(known, missing)
    assert not fusion.embeddings[0].weight[0].any()


@pytest.mark.parametrize("task", ["classification", "multilabel", "regression"])
@pytest.mark.parametrize(
    ("network", "backbone"), [("small_resnet", None), ("timm", "test_vit"), ("timm", "test_resnet")]
)
def test_networks_of_numbers_take_metadata_and_every_weight_of_the_branch_learns(
    task: str, network: str, backbone: str | None
) -> None:
    encoder = Encoder.fit(table("1 3 -", "a b -"), AGE_SITE)
    params = {"widths": [4, 4]} if backbone is None else {}
    spec = {
        "network": network, "backbone": backbone, "params": params, "size": (32, 32),
        "metadata": {"numeric": ["age"], "categorical": ["site"], "width": 8, "dropout": 0.0},
    }  # fmt: skip
    infer: Infer = tasks.infer({"name": task}, ["a", "b", "c"] if task != "regression" else ["0 to 1", "1 to 2"])
    torch.manual_seed(0)
    whole: Any = build(infer, spec, 3, encoder=encoder).eval()
    metadata = torch.from_numpy(encoder.encode(table("1 3 -", "a b -")))
    outputs = whole(Inputs(torch.rand(3, 1, 3, 32, 32) * 255, torch.ones(3, 1, dtype=torch.bool), metadata))
    assert outputs.shape == (3, 1 if task == "regression" else 3)
    outputs.square().sum().backward()
    lost = [name for name, value in whole.named_parameters() if value.grad is None]
    assert not lost
    assert not any(name.startswith("network.") and "classifier" in name for name in whole.state_dict())


def test_a_network_of_images_alone_has_the_parameters_it_had() -> None:
    plain = models.build("small_resnet", n_classes=2, in_channels=3, image_size=(8, 8), widths=[4])
    assert {name.split(".")[0] for name in Normalised(plain, 3).state_dict()} == {"network", "mean", "std"}


@pytest.mark.parametrize("had_metadata", [False, True])
def test_weights_by_path_leave_only_head_and_branch_new(had_metadata: bool, tmp_path: Path) -> None:
    def made(**how: Any) -> Any:
        return tasks.logits.network("timm", 2, (32, 32), 3, backbone="test_resnet", **how)

    torch.manual_seed(0)
    before = made(metadata_branch=BRANCH) if had_metadata else made()
    save_file({name: value.contiguous() for name, value in before.state_dict().items()}, tmp_path / "w.safetensors")
    after = made(metadata_branch=replace(BRANCH, n_levels=(5,)), pretrained=str(tmp_path / "w.safetensors"))
    old, new = before.state_dict(), after.state_dict()
    assert len([name for name in new if name.startswith("network.")]) > 20
    assert all(torch.equal(new[name], old[name]) for name in new if name.startswith("network."))
    assert pretrained.summary("w", after.network).endswith("new: the head, and the branch of metadata")


def test_preflight_passes_metadata_through_and_refuses_networks_without_a_head_to_take_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen, forward = list[Any](), Fusion.forward

    def noted(self: Fusion, features: Tensor, metadata: Tensor | None) -> Tensor:
        seen.append(metadata)
        return forward(self, features, metadata)

    monkeypatch.setattr(Fusion, "forward", noted)
    preflight.check(slices.network_checks(with_metadata())[0])
    assert [tuple(metadata.shape) for metadata in seen] == [(2, 5), (1, 5)], "two numbers, two flags, one level"
    with pytest.raises(ConfigError, match=r"cannot be removed\. Use timm or small_resnet, or give your network"):
        preflight.check(slices.network_checks(with_metadata(network="test_metadata:headless"))[0])


def headless(n_classes: int, in_channels: int, image_size: tuple[int, int]) -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(in_channels, n_classes))


# --- config


def with_metadata(**changes: Any) -> Any:
    data = {
        "source": "csv",
        "train": "t.csv",
        "images": "i",
        "test": "x.csv",
        "metadata": KINDS,
        **changes.pop("data", {}),
    }
    top = {key: changes.pop(key) for key in ("task", "train", "quick") if key in changes}
    entry = {"name": "net", "network": "small_resnet", "image_size_px": 16, "metadata": True, **changes}
    return parse({"name": "t", "data": data, "models": [entry], **top})


def test_what_a_model_takes_is_in_the_recipes_of_its_own_jobs() -> None:
    config = with_metadata(metadata={"width": 8})
    expected = {"width": 8, "dropout": 0.1, **KINDS}
    assert slices.learning(config, "net")["metadata"] == slices.network(config, "net")["metadata"] == expected
    assert columns.taken(config) == KINDS
    plain = with_metadata(metadata=False)
    assert "metadata" not in slices.learning(plain, "net") | slices.network(plain, "net") | plain.models[0].model_dump()
    assert columns.taken(plain) is None
    assert columns.taken(with_metadata(quick=True)) is None, "few cases may all be alike"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": {"metadata": None}}, "models[0] (net).metadata: data.metadata names no column; list them there"),
        ({"data": {"metadata": {}}}, "models[0] (net).metadata: data.metadata names no column; list them there"),
        ({"data": {"unlabeled": "u"}}, "the images of data.unlabeled have no metadata; remove one of the two"),
        ({"train": {"mixup_alpha": 0.2}}, "train.mixup_alpha = 0.2: metadata of two cases cannot be mixed; remove mixup_alpha"),
        ({"metadata": {"depth": 2}}, "models[0].metadata"),
    ],
)  # fmt: skip
def test_metadata_that_a_model_cannot_take_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        with_metadata(**changes)
    assert said in str(caught.value)


def own() -> dict[str, pd.DataFrame]:
    """A data source."""
    return {}


def test_a_source_of_ones_own_says_which_of_its_columns_are_numbers() -> None:
    data = {"source": "test_metadata:own", "brings": "label", "files": [], "tables": ["test"], "metadata": KINDS}
    model = {"name": "net", "network": "small_resnet", "image_size_px": 16, "metadata": True}
    config = parse({"name": "t", "data": data, "models": [model], "folds": {"n_folds": 2}})
    assert columns.taken(config) == KINDS
    assert plan_of(config).metadata_parts == ["fold0", "fold1", "test"]
    assert "metadata" not in slices.manifest(config)["source"], "the manifest has them whatever they are"
    assert slices.manifest(with_metadata())["source"]["metadata"] == KINDS
    with pytest.raises(ConfigError, match=r"data\.metadata names no column; list them there, or remove it"):
        parse({"name": "t", "data": {**data, "metadata": None}, "models": [model]})
    digits = r"list them there \(source: csv and sources of your own have this key\), or remove it"
    with pytest.raises(ConfigError, match=digits):
        parse({"name": "t", "data": {"source": "digits"}, "models": [model]})


def test_tasks_whose_networks_take_no_metadata_refuse_it() -> None:
    model = {"name": "net", "network": "unet", "backbone": "resnet18", "image_size_px": 32, "metadata": True}
    data = {"source": "masks", "train": "a", "masks": "b"}
    said = r"networks of task 'segmentation' take no metadata; remove it \(these tasks do: classification, ordinal"
    with pytest.raises(ConfigError, match=said):
        parse({"name": "t", "task": "segmentation", "data": data, "models": [model]})


# --- stages


@pytest.fixture(scope="module")
def of_noise(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """48 training and 10 test images of noise; age and site say the label, noise does not; every sixth value is missing."""
    root = tmp_path_factory.mktemp("noise")
    rows = []
    for number in range(58):
        save_picture(root / f"img/n{number:02d}.png", picture(number))
        is_dog, generator = number % 2, np.random.default_rng(number)
        age = "" if number % 6 == 4 else f"{40 + 20 * is_dog + generator.normal(0, 3):.2f}"
        site = "" if number % 6 == 3 else ["north", "south"][is_dog]
        rows.append([f"n{number:02d}", ["cat", "dog"][is_dog], age, site, f"{generator.normal():.3f}"])
    every = pd.DataFrame(rows, columns=["id", "label", "age", "site", "noise"])
    every[:48].to_csv(root / "train.csv", index=False)
    every[48:].drop(columns="label").replace("south", "south west").to_csv(root / "test.csv", index=False)
    data = {"source": "csv", "train": str(root / "train.csv"), "test": str(root / "test.csv"), "images": str(root / "img"),
            "duplicates": "ignore", "metadata": KINDS}  # fmt: skip
    return prepare(Tiny(root, data), ["train", "test"])


TRAIN = {"epochs": 12, "lr": 0.01, "warmup_epochs": 1, "augment": "none", "validate_every": 12}


def test_lists_of_the_folds_hold_metadata_apart_from_what_all_jobs_read(of_noise: Tiny) -> None:
    folds = of_noise.folds
    for name in ("train", "test", "fold0", "fold1"):
        assert not [column for column in pd.read_csv(folds / f"{name}.csv") if column.startswith("meta_")]
    for name in ("fold0", "fold1", "test"):
        values = pd.read_csv(folds / f"{name}-metadata.csv", dtype=str, keep_default_na=False)
        assert list(values) == ["id", "meta_age", "meta_noise", "meta_site"]
        assert set(values["id"]) == set(pd.read_csv(folds / f"{name}.csv")["id"])


@pytest.mark.parametrize(
    ("columns", "low", "high"),
    [(KINDS, 0.95, 1.0), ({"numeric": ["noise"], "categorical": []}, 0.2, 0.8), (None, 0.2, 0.8)],
    ids=["the label", "noise", "none"],
)
def test_a_label_that_only_metadata_carry_is_learnt_from_these_alone(
    columns: dict[str, list[str]] | None, low: float, high: float, of_noise: Tiny, tmp_path: Path
) -> None:
    tiny = replace(of_noise, data={**of_noise.data, "metadata": columns})
    facts = tiny.train(tmp_path, model=tiny.model(TRAIN, metadata=columns is not None))
    assert low <= facts["final"]["accuracy"] <= high
    assert (encoder_beside(tmp_path / "model.safetensors", {"metadata": columns}) is not None) == (columns is not None)


def changed(lists: list[str], ids: set[str], to: Path) -> list[str]:
    """Lists in which the values of some cases are others."""
    made = []
    for path in lists:
        values = pd.read_csv(path, dtype=str, keep_default_na=False)
        values.loc[values["id"].isin(ids), ["meta_age", "meta_noise", "meta_site"]] = ["999", "-5", "elsewhere"]
        made.append(str(to / Path(path).name))
        values.to_csv(made[-1], index=False)
    return made


def test_no_value_of_validation_or_test_cases_gets_into_training(of_noise: Tiny, tmp_path: Path) -> None:
    """Neither statistics nor weights change with them, nor statistics with pseudo-labelled test cases."""
    tiny, model = of_noise, of_noise.model({"epochs": 2, "warmup_epochs": 0, "checkpoint": "last"}, metadata=True)
    table = pd.read_csv(tiny.fold_file())
    others = {*table["id"][table["split"] == "val"], *pd.read_csv(tiny.folds / "test.csv")["id"]}
    assert len(others) == 34
    lists = tiny.metadata(tiny.fold_file(), with_test=True)
    (tmp_path / "lists").mkdir()
    edited = changed(lists, others, tmp_path / "lists")
    pseudo = tmp_path / "pseudo.csv"
    pd.DataFrame({"id": ["n48", "n49"], "label": ["cat", "dog"]}).to_csv(pseudo, index=False)
    caches = tiny.caches("train", "test")
    for name, given in (("a", lists), ("b", edited)):
        tiny.train(tmp_path / name, model=model, metadata=given[:1])
        tiny.train(tmp_path / f"{name}-taught", model=model, metadata=given, pseudo=str(pseudo), caches=caches)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("a", "b", "a-taught", "b-taught")]
    assert weights[0] == weights[1], "validation cases change no byte"
    assert weights[2] != weights[3], "pseudo-labelled cases are trained on with their metadata"
    encoders = [encoder_beside(tmp_path / name / "model.safetensors", model) for name in ("a", "b-taught")]
    assert encoders[0] == encoders[1], "and are no part of the statistics"
    known = joined(table[table["split"] == "train"], lists, COLUMNS)
    assert encoders[0] == Encoder.fit(known, COLUMNS)
    assert encoders[0] is not None
    assert "elsewhere" not in encoders[0].categorical["site"]


@pytest.fixture(scope="module")
def results(of_noise: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Finished results and their bundle, of networks that take metadata."""
    folder = tmp_path_factory.mktemp("results") / "noise"
    write_results(of_noise, folder, metadata={"width": 8, "dropout": 0.2})
    source = {"id_column": "id", "image_column": None, "metadata": KINDS}
    settings = {"roi": None, "max_pixels": 200_000_000, "source": source}
    record(folder, "manifest/run.json", "manifest", settings, [], ["manifest/classes.json"])
    export(folder, folder.parent / "bundle")
    return folder


def test_a_bundle_predicts_by_a_table_of_metadata_as_the_run_did(
    results: Path, of_noise: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, images = goldfold.load(results.parent / "bundle"), of_noise.root / "img"
    shuffled = pd.read_csv(of_noise.root / "test.csv", dtype=str).sample(frac=1, random_state=0)
    shuffled.to_csv(tmp_path / "new.csv", index=False)
    found, wanted = bundle.predict(images, table=tmp_path / "new.csv"), load_arrays(results / "ensemble/test.npz")
    rows = [found.arrays["ids"].tolist().index(id) for id in wanted["ids"]]
    np.testing.assert_allclose(found.arrays["probabilities"][rows], wanted["probabilities"], atol=1e-5)
    said = "net-seed0: metadata 'site': 3 of 10 values unseen in training, e.g. 'south west'"
    assert said in capsys.readouterr().err
    shuffled.assign(age="20").to_csv(tmp_path / "younger.csv", index=False)
    other = bundle.predict(images, table=tmp_path / "younger.csv")
    assert np.abs(other.arrays["probabilities"] - found.arrays["probabilities"]).max() > 1e-3
    written = form.read(results.parent / "bundle")
    assert (written.schema_version, written.preprocessing.metadata.numeric) == (3, ["age", "noise"])
    assert "age, noise, site" in (results.parent / "bundle" / form.CARD).read_text()


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda table: table.drop(columns="age"), r"new\.csv has no column 'age', which this bundle takes; it has: id, site"),
        (lambda table: table.assign(age="old"), r"column 'age' of data\.metadata\.numeric has 'old' in line 2 \(10 such"),
        (lambda table: pd.concat([table, table[:1]]), r"new\.csv has two rows for 'n48'\. Keep one\."),
        (None, r"were trained on images and metadata\. .*--table FILE \(CSV with one row per image: id, age, noise, site\)\."),
    ],
)  # fmt: skip
def test_new_cases_without_usable_metadata_are_refused(
    edit: Callable[[pd.DataFrame], pd.DataFrame] | None, said: str, results: Path, of_noise: Tiny, in_tmp: Path
) -> None:
    how = form.read(results.parent / "bundle").preprocessing
    if edit is not None:
        edit(pd.read_csv(of_noise.root / "test.csv", dtype=str)).to_csv("new.csv", index=False)
    with pytest.raises(DataError, match=said):
        listing.files_of(how, [of_noise.root / "img"], "new.csv" if edit else None, takes_metadata=True)


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"case_column": "case", "view_column": "view", "image_column": "image"},
         "case,view,image,age,site\nx,back,n00,,a\nx,front,n01,,a\ny,back,n02,7,\n"),
        ({"view_columns": ["back", "front"]}, "id,back,front,age,site\nx,n00,n01,,a\ny,n02,,7,\n"),
    ],
)  # fmt: skip
def test_new_cases_of_several_images_have_one_value_each(
    columns: dict[str, Any], text: str, of_noise: Tiny, in_tmp: Path
) -> None:
    Path("new.csv").write_text(text)
    how = form.Cases(id_column="id", views=["back", "front"], **columns)
    metadata = form.Metadata(id_column="id", numeric=["age"], categorical=["site"])
    found = listing.read_cases(how, "new.csv", str(of_noise.root / "img"), metadata)
    assert found[["id", "meta_age", "meta_site"]].to_numpy().tolist() == [["x", "", "a"], ["y", "7", ""]]
    assert [len(json.loads(images)) for images in found["images"]] == [2, 2]


# --- what runs again


@pytest.fixture(scope="module")
def run_of_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up run in which `slim` takes metadata and `wide` does not."""
    folder = tmp_path_factory.mktemp("made") / "run"
    here = Path.cwd()
    made_run.finish(folder, made_run.write_metadata, **made_run.METADATA, pseudo_labels={"rounds": 0})
    made_run.enter(here)
    return folder


@pytest.mark.parametrize(
    ("name", "stages"), [("train", "train predict"), ("test", "predict")], ids=["training case", "test case"]
)
def test_a_changed_value_reruns_the_models_that_take_it(
    name: str, stages: str, run_of_two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = made_run.clone(run_of_two, tmp_path / "run")
    path = folder / f"raw/{name}.csv"
    path.write_text(path.read_text().replace(",30,", ",31,", 1))
    made_run.enter(folder)
    made_run.make_folds()
    members = runs(stages, models="slim", rounds=[0])
    assert {job for job in would_run(folder) if not job.startswith("cache")} == members | LATE


def test_the_switch_reruns_the_model_alone(run_of_two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = made_run.clone(run_of_two, tmp_path / "run")
    assert would_run(folder) == set()
    models = [{**model, "metadata": False} for model in made_run.METADATA["models"]]
    jobs = {job for job in would_run(folder, models=models) if not job.startswith("cache")}
    assert jobs == runs(models="slim", rounds=[0]) | LATE


# --- columns that cannot be used


def lists(folder: Path, test: str = "id,meta_age,meta_site\nx,1,a\n", **cells: list[str]) -> None:
    values = {"id": ["a", "b", "c"], "meta_age": ["1", "2", ""], "meta_site": ["u", "", "v"], **cells}
    pd.DataFrame(values).to_csv(folder / "fold0-metadata.csv", index=False)
    (folder / "test-metadata.csv").write_text(test)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (
            {"meta_age": ["1", "2", "x"]},
            "metadata column 'age' is numeric, and has 'x' (1 such cases), which is not a finite",
        ),
        ({"meta_age": ["7", "7", "7"]}, "metadata column 'age' is '7' in all 3 training cases, so that no network can"),
        (
            {"meta_age": [""] * 3, "meta_site": [""] * 3},
            "metadata column 'age', 'site' is empty in all 3 training cases",
        ),
        (
            {"test": "id,meta_age\nx,1\n"},
            "test: there is no column 'site', which models with metadata: true take. Add it",
        ),
    ],
)
def test_columns_that_no_network_can_use_are_refused(cells: dict[str, Any], said: str, tmp_path: Path) -> None:
    lists(tmp_path)
    check_lists(str(tmp_path), AGE_SITE)
    lists(tmp_path, **cells)
    with pytest.raises(DataError) as caught:
        check_lists(str(tmp_path), AGE_SITE)
    assert said in str(caught.value)


def test_folds_refuse_them_only_where_a_model_takes_them(in_tmp: Path) -> None:
    made_run.write_metadata(in_tmp)
    rows = pd.read_csv("raw/test.csv", dtype=str)
    rows.drop(columns="site").to_csv("raw/test.csv", index=False)
    made_run.write_config(in_tmp, **{**made_run.METADATA, "models": [made_run.TINY["models"][0]]})
    made_run.make_folds()
    assert list(pd.read_csv("results/tiny/folds/test-metadata.csv")) == ["id", "meta_age"]
    from goldfold.stages import folds

    config = parse({**json.loads(json.dumps(made_run.TINY)), **made_run.METADATA})
    with pytest.raises(DataError, match="test: there is no column 'site', which models with metadata: true take"):
        folds.run("results/tiny/manifest", "elsewhere", taken=columns.taken(config), **slices.folds(config))
    with pytest.raises(DataError, match=r"no metadata of case 'zz'"):
        joined(pd.DataFrame({"id": ["zz"]}), ["results/tiny/folds/fold0-metadata.csv"], AGE_SITE)


def test_lists_that_are_up_to_date_are_checked_before_the_first_job(
    run_of_two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that takes metadata of a finished run for the first time: the stage folds does not run again."""
    monkeypatch.chdir(tmp_path)
    folder = made_run.clone(run_of_two, tmp_path / "run")
    made_run.enter(folder)
    asked = []
    monkeypatch.setattr("goldfold.trials.run", lambda trials: asked.append(trials) or SimpleNamespace(returncode=0))
    made_run.session()._preflight()
    made_run.session(quick=True)._preflight()
    assert [one.get("folds") for checks in asked for one in checks] == ["results/tiny/folds"] * 2 + [None] * 2
    (folder / "results/tiny/folds/test-metadata.csv").write_text("id,meta_age\n")
    with pytest.raises(DataError, match="test: there is no column 'site', which models with metadata: true take"):
        preflight.check(asked[0][1])
