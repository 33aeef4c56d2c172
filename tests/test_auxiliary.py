"""Auxiliary targets: metadata columns that a network also learns, and that its prediction never reads."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from conftest import Tiny, picture, prepare, save_picture
from goldfold.base.errors import ConfigError, DataError
from goldfold.cases import Batch, Inputs
from goldfold.commands import preflight
from goldfold.config import columns, parse, slices
from goldfold.config.dependencies import recipe
from goldfold.losses import Losses
from goldfold.losses.auxiliary import of_columns
from goldfold.metadata.columns import Columns
from goldfold.models.wrapping import Normalised
from goldfold.planning.jobs import Job
from goldfold.planning.plan import plan_of
from goldfold.stages import folds
from goldfold.training.auxiliary import FIELD, coded, loss_with
from goldfold.training.with_fields import LearnWith

AUXILIARY = {"columns": ["age", "site"], "weight": 0.5}
TRAIN = {"epochs": 2, "warmup_epochs": 0, "auxiliary": AUXILIARY}
KINDS = {"numeric": ["age"], "categorical": ["site"]}


# --- values -> rows, rows -> loss


def lists_of(folder: Path, **values: str) -> list[str]:
    """A list of metadata with a case per word; ``-`` is a missing value."""
    table = pd.DataFrame({f"meta_{name}": text.split() for name, text in values.items()}).replace("-", "")
    table.insert(0, "id", [f"c{number}" for number in range(len(table))])
    table.to_csv(folder / "list.csv", index=False)
    return [str(folder / "list.csv")]


def test_rows_have_the_statistics_of_labelled_cases_and_nothing_where_a_value_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lists = lists_of(tmp_path, age="1 3 - 900", flat="7 7 7 7", site="a b - a", same="x x x x")
    train = pd.DataFrame({"id": ["c0", "c1", "c2", "c3", "new"], "split": ["train"] * 3 + ["", ""]})
    found = coded(train, lists, Columns(("age", "flat"), ("site", "same")))
    assert (found.n_numbers, found.n_levels, found.n_outputs) == (1, (2,), 3)
    assert found.rows.tolist() == [[-1, 1, 1, 0], [1, 1, 0, 1], [0, 0, 0, 0], [898, 1, 1, 0], [0, 0, 0, 0]]
    said = capsys.readouterr().out
    assert "auxiliary target 'flat': one value in all training cases" in said
    assert "auxiliary target 'same'" in said


def test_the_loss_is_the_mean_over_columns_without_missing_values_and_mixed_rows_have_shares() -> None:
    outputs = torch.tensor([[0.5, -2.0, 0.3, -0.3, 1.0]] * 3, requires_grad=True)
    one, other = torch.tensor([2.0, 0, 1, 0, 1, 0, 0]), torch.tensor([0.0, 1, 0, 1, 0, 0, 1])
    costs = of_columns(outputs, torch.stack([one, torch.zeros(7), 0.75 * one + 0.25 * other]), 2, (3,))
    log = outputs[0, 2:].log_softmax(0)
    first = functional.smooth_l1_loss(outputs[0, 0], one[0]) - log[0]
    second = functional.smooth_l1_loss(outputs[0, 1], other[1]) - log[2]
    wanted = torch.stack([first / 3, torch.tensor(0.0), (0.75 * first + 0.25 * second) / 3])
    torch.testing.assert_close(costs, wanted)
    costs[1].backward()  # type: ignore[no-untyped-call]
    assert outputs.grad is not None
    assert not outputs.grad.isnan().any()
    assert not outputs.grad[1].any()


class Sequential(nn.Sequential):
    """A network whose features are the mean of each of two channels."""

    def __init__(self) -> None:
        super().__init__(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3))

    def get_classifier(self) -> nn.Module:
        return self[-1]


def test_the_heads_take_the_features_of_a_case_and_weights_of_samples_apply(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Normalised(Sequential(), 2)
    network.auxiliary, images = nn.Linear(2, 1), torch.rand(2, 2, 4, 4) * 255
    train = pd.DataFrame({"id": ["c0", "c1"], "split": "train"})
    coding = coded(train, lists_of(tmp_path, age="1 3"), Columns(("age",), ()))
    batch = Batch(
        ["c0", "c1"],
        Inputs.of(images),
        {LearnWith.OWN: 5, FIELD: torch.from_numpy(coding.rows)},
        torch.tensor([1.0, 3]),
    )

    def own(model: nn.Module, given: Batch) -> Losses:
        assert given.targets == 5
        return Losses(model(given.inputs).sum())

    found = loss_with(own, coding, 0.5)(network, batch)
    costs = functional.smooth_l1_loss(
        network.auxiliary(4 * (images.mean((2, 3)) / 255 - 0.5))[:, 0], torch.tensor([-1.0, 1]), reduction="none"
    )
    torch.testing.assert_close(found.parts[FIELD], 0.5 * (costs[0] + 3 * costs[1]).detach() / 2)
    torch.testing.assert_close(found.total, network(batch.inputs).sum() + found.parts[FIELD])
    assert {*found.parts} == {"own", FIELD}


# --- a training


@pytest.fixture(scope="module")
def aged(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """Images whose brightness tells the label, the age and the site; the test table has only ids."""
    root = tmp_path_factory.mktemp("aged")
    rows = []
    for number in range(32):
        level = 40 + 170 * (number % 2) + number
        save_picture(root / f"img/n{number:02d}.png", picture(number, level=level))
        age = "" if number % 5 == 0 else f"{level}"
        rows.append({"id": f"n{number:02d}", "label": ["cat", "dog"][number % 2], "age": age, "site": "ab"[number % 2]})
    table = pd.DataFrame(rows)
    table[:24].to_csv(root / "train.csv", index=False)
    table[24:][["id"]].to_csv(root / "test.csv", index=False)
    data = {
        "source": "csv",
        "train": f"{root}/train.csv",
        "test": f"{root}/test.csv",
        "images": f"{root}/img",
        "metadata": KINDS,
    }
    return prepare(Tiny(root, data), ["train", "test"])


def metadata_of(tiny: Tiny) -> list[str]:
    return tiny.metadata(tiny.fold_file(), with_test=False)


@pytest.mark.parametrize("more", [{}, {"mixup_alpha": 0.4}, {"accumulate": 2, "ema_decay": 0.9}], ids=str)
def test_columns_are_learnt_beside_the_label_and_the_weights_are_those_of_a_network_without(
    more: dict[str, Any], aged: Tiny, tmp_path: Path
) -> None:
    model = aged.model({**TRAIN, **more, "epochs": 6, "lr": 0.02})
    aged.train(tmp_path, model=model, metadata=metadata_of(aged))
    history = pd.read_csv(tmp_path / "history.csv")
    part = history[f"train_loss_{FIELD}"]
    assert part.iloc[-1] < 0.8 * part.iloc[0]
    assert not any(FIELD in name for name in load_file(tmp_path / "model.safetensors"))
    aged.predict(tmp_path, tmp_path / "model.safetensors", "test", model=model)
    assert np.load(tmp_path / "test.npz")["logits"].shape == (8, 2)


def test_no_value_of_a_validation_case_gets_into_training_and_those_of_training_cases_do(
    aged: Tiny, tmp_path: Path
) -> None:
    table = pd.read_csv(aged.fold_file(), dtype=str)
    values = pd.read_csv(metadata_of(aged)[0], dtype=str, keep_default_na=False)
    weights = {}
    for split in ("none", "val", "train"):
        edited = values.copy()
        chosen = edited["id"].isin(table["id"][table["split"] == split]) & (np.arange(len(edited)) % 2 == 0)
        edited.loc[chosen, ["meta_age", "meta_site"]] = ["999", "elsewhere"]
        edited.to_csv(tmp_path / f"{split}.csv", index=False)
        aged.train(
            tmp_path / split, model=aged.model({**TRAIN, "epochs": 1}), metadata=[str(tmp_path / f"{split}.csv")]
        )
        weights[split] = (tmp_path / split / "model.safetensors").read_bytes()
    assert weights["none"] == weights["val"] != weights["train"]


def test_pseudo_labelled_cases_without_values_learn_their_label_alone(aged: Tiny, tmp_path: Path) -> None:
    pd.DataFrame({"id": ["n25"], "label": ["dog"]}).to_csv(tmp_path / "pseudo.csv", index=False)
    lists = aged.metadata(aged.fold_file(), with_test=True)
    model = aged.model({**TRAIN, "epochs": 1})
    aged.train(
        tmp_path / "a",
        model=model,
        metadata=lists,
        pseudo=str(tmp_path / "pseudo.csv"),
        caches=aged.caches("train", "test"),
    )
    aged.train(tmp_path / "b", model=model, start=str(tmp_path / "a/model.safetensors"), metadata=lists[:1])
    assert "train_loss_auxiliary" in pd.read_csv(tmp_path / "b/history.csv")


# --- config


def config(model: dict[str, Any], **more: Any) -> Any:
    data = {
        "source": "csv",
        "train": "t.csv",
        "images": "i",
        "label_column": "grade",
        "metadata": KINDS,
        **more.pop("data", {}),
    }
    entry = {"name": "net", "network": "small_resnet", "image_size_px": 16, **model}
    other = {"name": "other", "network": "small_resnet", "image_size_px": 16}
    return parse({"name": "t", "data": data, "models": [entry, other], **more})


def test_only_the_training_of_the_model_reads_the_columns_and_its_inputs_are_the_others() -> None:
    made = config({"metadata": True, "train": {"auxiliary": {"columns": ["age"]}}})
    assert slices.network(made, "net")["metadata"] | {"width": 0} == {
        "numeric": [],
        "categorical": ["site"],
        "dropout": 0.1,
        "width": 0,
    }
    assert slices.learning(made, "net")["auxiliary"] == {"numeric": ["age"], "categorical": []}
    assert columns.taken(made) == {
        "numeric": [],
        "categorical": ["site"],
        "auxiliary": {"numeric": ["age"], "categorical": []},
    }
    alone = config({"train": {"auxiliary": {"columns": ["age"]}}})
    plan = plan_of(alone)
    assert plan.metadata_lists(Job("train", "net", 0, 1, 0)) == ["fold1-metadata.csv"]
    assert not plan.metadata_lists(Job("predict", "net", 0, 1, 0))
    assert not plan.metadata_lists(Job("train", "other", 0, 1, 0))
    assert "auxiliary" not in str(recipe(alone, Job("train", "other", 0, 1, 0)))
    assert "auxiliary" not in str(recipe(alone, Job("predict", "net", 0, 1, 0)))
    assert slices.network(alone, "net") == slices.network(config({}), "net")


@pytest.mark.parametrize(
    ("how", "more", "said"),
    [
        ({"columns": ["aeg"]}, {}, "train.auxiliary: 'aeg' is not in data.metadata; nearest is 'age'; list it there as numeric"),
        ({"columns": ["age"]}, {"data": {"metadata": None}}, "'age' is not in data.metadata, which names no column; list it"),
        ({"columns": ["grade"]}, {}, "train.auxiliary: 'grade' is the target itself; name other columns"),
        ({"columns": []}, {}, "train.auxiliary.columns"),
        ({"columns": ["age", "age"]}, {}, "train.auxiliary.columns"),
        ({"columns": ["age"], "weight": 0}, {}, "train.auxiliary.weight"),
        (
            {"columns": ["age"]}, {"task": "segmentation", "data": {"source": "masks", "train": "a", "masks": "b"}},
            "networks of task 'segmentation' have no features of a case; remove it (these tasks have: classification, ordinal",
        ),
    ],
)  # fmt: skip
def test_wrong_columns_are_refused(how: dict[str, Any], more: dict[str, Any], said: str) -> None:
    model: dict[str, Any] = {"train": {"auxiliary": how}}
    if "task" in more:
        entry = {"name": "net", "network": "unet", "backbone": "resnet18", "image_size_px": 32, **model}
        with pytest.raises(ConfigError, match=re.escape(said)):
            parse({"name": "t", "models": [entry], **more})
        return
    with pytest.raises(ConfigError, match=re.escape(said)):
        config(model, **more)


def test_an_input_cannot_become_a_target_in_a_later_round_and_fixmatch_has_none() -> None:
    rounds = [{"models": ["net"]}, {"models": ["net"], "train": {"auxiliary": {"columns": ["site"]}}}]
    said = "'site' is an input of the network, as the model's own train.auxiliary does not name it"
    with pytest.raises(ConfigError, match=said):
        config({"metadata": True}, rounds=rounds, data={"test": "x.csv"})
    with pytest.raises(ConfigError, match="FixMatch trains on its own batches, which have no auxiliary targets"):
        config({"train": {"auxiliary": {"columns": ["site"]}, "fixmatch": {}}}, data={"unlabeled": "u"})


def test_a_network_that_takes_metadata_has_columns_left() -> None:
    with pytest.raises(
        ConfigError, match=r"net\)\.train\.auxiliary: names all columns .* as an input of the network; set"
    ):
        config({"metadata": True, "train": {"auxiliary": {"columns": ["age", "site"]}}})


def test_a_network_without_a_known_head_is_refused_before_any_job() -> None:
    of = config({"network": "test_auxiliary:headless", "train": {"auxiliary": {"columns": ["site"]}}})
    with pytest.raises(ConfigError, match=r"train\.auxiliary: it is not known where the head .* or remove auxiliary"):
        preflight.check(slices.network_checks(of)[0])


def headless(n_classes: int, in_channels: int, image_size: tuple[int, int]) -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(in_channels, n_classes))


@pytest.mark.parametrize(
    ("value", "said"), [("", "is empty in all training cases"), ("5", "is '5' in all training cases")]
)
def test_a_column_of_one_value_is_refused_with_the_folds(value: str, said: str, aged: Tiny, tmp_path: Path) -> None:
    table = pd.read_csv(aged.root / "manifest/train.csv", dtype=str)
    (tmp_path / "manifest").mkdir()
    for path in (aged.root / "manifest").iterdir():
        (tmp_path / "manifest" / path.name).write_bytes(path.read_bytes())
    table.assign(meta_age=value).to_csv(tmp_path / "manifest/train.csv", index=False)
    taken = {"numeric": [], "categorical": [], "auxiliary": {"numeric": ["age"], "categorical": []}}
    with pytest.raises(DataError, match=f"auxiliary target 'age' {said}"):
        folds.run(
            str(tmp_path / "manifest"),
            str(tmp_path / "folds"),
            aged.task,
            ["train"],
            "stratified",
            2,
            0,
            1,
            taken=taken,
        )
