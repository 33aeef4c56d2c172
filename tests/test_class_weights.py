"""Class weights, the counts of training cases that losses get, and losses that take no soft targets."""

import re
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch
from torch.nn import functional

from conftest import picture, save_picture
from goldfold import catalog, losses, signatures
from goldfold.base.errors import ConfigError
from goldfold.cases import Batch, Inputs
from goldfold.commands.component_trial import check_components
from goldfold.config import chosen, parse, slices, with_classes
from goldfold.losses import class_weights
from goldfold.stages import manifest
from goldfold.training.samples import counts_of, rows_of
from whole_task import classification, whole

NAMES, COUNTS = ["a", "b", "c"], [10.0, 40.0, 5.0]
OWN = """
def margin(logits, hard_target, size=0.5):
    return -logits[range(len(logits)), hard_target] * size

def counted(logits, target, counts, power=1.0):
    return (target / counts**power).sum(1)

def root(counts):
    return counts**-0.5

def two(counts):
    return counts[:2]
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "own_loss.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    for function in (signatures.read, signatures._file, signatures._tree):
        function.cache_clear()
    yield
    sys.modules.pop("own_loss", None)


def config(train: dict[str, Any], task: str = "classification", **changes: Any) -> Any:
    data = {"source": "digits" if task == "classification" else "digits_labels"}
    model = {"name": "m", "network": "small_resnet", "image_size_px": 8}
    return parse({"name": "t", "task": task, "data": data, "models": [model], "train": train, **changes})


# --- weights


@pytest.mark.parametrize(
    ("wanted", "counts", "expected"),
    [
        ("inverse_frequency", [10, 40, 40], [2.0, 0.5, 0.5]),
        ("inverse_frequency", [10, 40, 0], [1.6, 0.4, 1.0]),
        ({"effective_number": {"beta": 0}}, [10, 40, 5], [1, 1, 1]),
        # (1 - 0.5^n) / 0.5 = 1, 1.5, 1.75 effective cases: weights 1, 2/3, 4/7, whose sum is 47/21
        ({"effective_number": {"beta": 0.5}}, [1, 2, 3], [63 / 47, 42 / 47, 36 / 47]),
        ({"a": 4.0}, [7, 7, 7], [2.0, 0.5, 0.5]),
        ({"a": 1.0, "b": 1.0, "c": 4.0}, None, [0.5, 0.5, 2.0]),
        ("own_loss:root", [4, 16, 0], [4 / 3, 2 / 3, 1]),
    ],
)
def test_weights_sum_to_the_number_of_classes(wanted: Any, counts: Any, expected: list[float], own: None) -> None:
    found = class_weights.weights(wanted, NAMES, counts)
    assert found.tolist() == pytest.approx(expected, rel=1e-5)
    assert found.sum().item() == pytest.approx(3.0)


def test_effective_numbers_of_large_betas_are_exact() -> None:
    counts = torch.tensor([1.0, 10.0, 100000.0])
    beta = 0.99999
    expected = [(1 - beta) / (1 - beta**n) for n in counts.tolist()]
    assert class_weights.effective_number(counts, beta).tolist() == pytest.approx(expected, rel=1e-9)


def value(rows: torch.Tensor, **settings: Any) -> float:
    batch = Batch(list("wxyz"), Inputs.of(torch.zeros(4, 1, 2, 2)), rows, torch.tensor([1.0, 1.0, 0.5, 1.0]))
    return float(classification(NAMES).loss(**settings)(lambda inputs: LOGITS, batch).total)


LOGITS = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 0])


def test_class_weights_multiply_the_loss_of_a_sample_by_those_of_its_target() -> None:
    weights, of_sample = torch.tensor([2.0, 0.5, 0.5]), torch.tensor([1.0, 1.0, 0.5, 1.0])
    each = functional.cross_entropy(LOGITS, LABELS, weights, reduction="none")
    assert value(LABELS, class_weights={"a": 4.0}) == pytest.approx((of_sample * each).mean().item())
    target = 0.7 * torch.eye(3)[LABELS] + 0.1
    soft = (target * weights).sum(1) * functional.cross_entropy(LOGITS, target, reduction="none")
    found = value(LABELS, class_weights={"a": 4.0}, label_smoothing=0.3)
    assert found == pytest.approx((of_sample * soft).mean().item())
    counted = value(LABELS, class_weights="inverse_frequency", counts=[10.0, 40.0, 40.0])
    assert counted == pytest.approx(value(LABELS, class_weights={"a": 4.0}))
    assert value(LABELS, class_weights=None) == value(LABELS)


# --- counts

UNWEIGHTED: Any = SimpleNamespace(train=SimpleNamespace(class_weights=None), resize="squash")


@pytest.mark.parametrize("task", ["classification", "multilabel"])
def test_counts_are_those_of_the_labelled_training_cases_of_the_fold(task: str, tmp_path: Path) -> None:
    column, several = (
        ("label", lambda text: text) if task == "classification" else ("labels", lambda text: f'["{text}"]')
    )
    of_task = whole({"name": task}, NAMES)
    (tmp_path / "pseudo.csv").write_text(f"id,{column}\np,c\nq,a\n")

    def counts(held_out: list[str], pseudo: str | None) -> Any:
        labels = [several(name) for name in ["b", "a", "b", *held_out]]
        table = pd.DataFrame({"id": list("123456"), "split": ["train"] * 3 + ["val"] * 3, column: labels})
        rows = rows_of(table, pseudo, 0.5)
        if pseudo:
            rows.loc[rows["split"] == "", column] = several("c")
        return counts_of(UNWEIGHTED, of_task.facets[0], of_task.learn, rows, None)

    assert counts(["a", "a", "a"], None) == counts(["c", "c", "b"], None) == [1.0, 2.0, 0.0]
    assert counts(["a", "a", "a"], str(tmp_path / "pseudo.csv")) == [1.0, 2.0, 0.0]


def test_a_task_whose_loss_takes_no_counts_gets_none() -> None:
    for name in ("regression", "segmentation", "detection"):
        of_task = whole({"name": name}, ["0 to 1", "1 to 2"] if name == "regression" else ["a"])
        assert counts_of(UNWEIGHTED, of_task.facets[0], of_task.learn, pd.DataFrame(), None) is None
    with pytest.raises(
        ConfigError, match="loss class_balanced needs the training cases of each class, which this task"
    ):
        losses.combined(catalog.LOSSES["label"], "class_balanced")


def test_own_losses_get_counts_and_hard_targets_where_they_name_them(own: None) -> None:
    target = torch.eye(3)[LABELS]
    wanted = {"own_loss:counted": {"power": 2, "weight": 3}, "own_loss:margin": 1}
    made = losses.combined(catalog.LOSSES["label"], wanted, COUNTS, lambda rows: rows.argmax(dim=1))(LOGITS, target)
    first, second = made.parts.values()
    assert first.tolist() == pytest.approx([3 / 100, 3 / 1600, 3 / 25, 3 / 100])
    assert second.tolist() == (-0.5 * LOGITS[range(4), LABELS]).tolist()
    config({"loss": wanted})
    with pytest.raises(ConfigError, match="own_loss:counted gets 'counts' from goldfold; remove it"):
        config({"loss": {"own_loss:counted": {"counts": [1]}}})


def test_the_loss_of_the_docs_gets_both(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: None) -> None:
    snippet = re.search(r"```python\n# rare.py\n(.*?)```", (repo / "docs/extending.md").read_text(), re.DOTALL)
    assert snippet is not None
    (tmp_path / "rare.py").write_text(snippet[1])
    wanted = {"rare:rare": {"power": 2}}
    config({"loss": wanted})
    made = losses.combined(catalog.LOSSES["label"], wanted, COUNTS, lambda rows: rows.argmax(dim=1))
    each = functional.cross_entropy(LOGITS, LABELS, torch.tensor([0.01, 1 / 1600, 0.04]), reduction="none")
    assert torch.allclose(made(LOGITS, torch.eye(3)[LABELS]).total, each)


def test_a_loss_first_computed_in_validation_has_a_gradient_later() -> None:
    logits = LOGITS.clone().requires_grad_()
    batch = Batch(list("wxyz"), Inputs.of(torch.zeros(4, 1, 2, 2)), LABELS, torch.ones(4))
    how = {"loss": "class_balanced", "class_weights": "inverse_frequency", "counts": COUNTS}
    loss = classification(NAMES).loss(**how)
    with torch.inference_mode():
        loss(lambda inputs: logits, batch)
    loss(lambda inputs: logits, batch).total.backward()
    assert logits.grad is not None
    assert logits.grad.abs().max() > 0


# --- configs


@pytest.mark.parametrize("key", ["label_smoothing", "mixup_alpha", "cutmix_alpha"])
def test_soft_targets_are_refused_for_a_loss_that_takes_hard_ones(key: str, own: None) -> None:
    said = (
        rf"train\.{key} = 0\.2: makes soft targets, but the loss margin takes hard ones; remove it, or use a loss that "
        r"takes soft targets: cross_entropy, focal, bce, "
    )
    with pytest.raises(ConfigError, match=said):
        config({key: 0.2, "loss": {"own_loss:margin": 1, "focal": 1}})
    with pytest.raises(ConfigError, match=r"rounds\[1\]\." + said):
        config({"loss": "own_loss:margin"}, rounds=[{}, {"train": {key: 0.2}, "start": "previous"}])
    config({key: 0.2, "loss": "focal"})


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ([1, 2], r"class_weights: write inverse_frequency, .*or a weight by class, \{cat: 2.5\}, not \[1, 2\]"),
        ({"3": 0}, "class_weights: 3: 0 is no weight; give a number above 0"),
        ({"3": "much"}, "class_weights: 3: 'much' is no weight"),
        ({3: 2}, "class_weights: key 3 is not text; put it in quotes"),
        ({"3": 2, "x": {}}, "class_weights: write a name, or {name"),
        ({"11": 2}, "class_weights: '11' is not a class; .*classes: 0, 1"),
        ("inverse", "'inverse': .*allowed: inverse_frequency, effective_number"),
        ({"effective_number": {"bta": 1}}, "effective_number does not take 'bta'; nearest is 'beta'"),
    ],
)
def test_class_weights_that_cannot_be_used_are_refused(wanted: Any, said: str) -> None:
    named = {"source": "folder", "train": ".", "classes": [str(number) for number in range(10)]}
    with pytest.raises(ConfigError, match=said):
        config({"class_weights": wanted}, data=named)


def test_class_weights_of_several_labels_are_refused_with_what_to_do() -> None:
    with pytest.raises(
        ConfigError, match=r"train\.class_weights: task 'multilabel' does not use it; set task_params\.pos"
    ):
        config({"class_weights": "inverse_frequency"}, "multilabel")


def test_unknown_classes_are_refused_with_the_manifest(in_tmp: Path) -> None:
    for number in range(4):
        save_picture(in_tmp / f"raw/{'ab'[number % 2]}/{number}.png", picture(number))
    made = config({"class_weights": {"a": 2, "d": 3}}, data={"source": "folder", "train": "raw"})
    with pytest.raises(ConfigError, match=r"models \(m\)\.train\.class_weights: 'd' is not a class; .*classes: a, b"):
        manifest.run(folder="made", workers=1, **with_classes.settings(made), **slices.manifest(made))


def test_a_list_of_another_length_than_the_classes_is_refused_with_the_manifest(in_tmp: Path) -> None:
    for number in range(4):
        save_picture(in_tmp / f"raw/{'ab'[number % 2]}/{number}.png", picture(number))
    made = config({"loss": {"focal": {"alpha": [1, 2, 1]}}}, data={"source": "folder", "train": "raw"})
    said = (
        "models (m).train.loss: focal: alpha = [1, 2, 1]: has 3 values, but there are 2 classes; write one value for each, in "
        "this order: a, b"
    )
    with pytest.raises(ConfigError, match=re.escape(said)):
        manifest.run(folder="made", workers=1, **with_classes.settings(made), **slices.manifest(made))


def test_class_weights_are_part_of_the_recipe_and_the_code_only_where_they_are_set(own: None) -> None:
    plain, by_name, computed = (
        config(train) for train in ({}, {"class_weights": {"3": 2}}, {"class_weights": "own_loss:root"})
    )
    assert "class_weights" not in {**slices.learning(plain, "m")["train"], **slices.report(plain)["settings"]["train"]}
    assert "class_weights" not in slices.learning(plain, "m")["loss_keys"]
    learning = slices.learning(by_name, "m")
    assert (learning["train"]["class_weights"], learning["loss_keys"][-1]) == ({"3": 2.0}, "class_weights")
    places = [chosen.places(made, "train", "m") for made in (plain, by_name)]
    assert places[0] == places[1]
    assert set(chosen.places(computed, "train", "m")) - set(places[0]) == {"own_loss:root"}


# --- the trial before any job


@pytest.mark.parametrize(
    ("train", "n_classes", "said"),
    [
        (
            {"loss": {"class_balanced": {"beta": 1}}},
            None,
            r"train.loss = .*: beta = 1: must be a number of at least 0 and below 1",
        ),
        ({"loss": {"focal": {"alpha": [1, 2, 3]}}}, 4, r"train.loss = .*: must be a list of 4 numbers, one per class"),
        ({"loss": {"focal": {"alpha": [1, 2, 3]}}}, None, None),
        ({"loss": "own_loss:margin"}, None, None),
        (
            {"loss": "focal", "class_weights": {"effective_number": {"beta": -1}}},
            None,
            "train.class_weights = .*: beta = -1: ",
        ),
        (
            {"loss": "focal", "class_weights": "own_loss:two"},
            3,
            "returns .*, where 3 finite weights above 0 are needed",
        ),
        (
            {"loss": "focal", "class_weights": "own_loss:margin"},
            3,
            "class_weights = 'own_loss:margin' fails: TypeError: ",
        ),
        ({"loss": "focal", "class_weights": "own_loss:root"}, 3, None),
    ],
)
def test_parameters_are_tried_before_any_job(train: Any, n_classes: int | None, said: str | None, own: None) -> None:
    whole_train = {"augment": "none", "flips": "none", **train}
    model = {"task": "classification", "train": whole_train, "size": [8, 8], "channels": 1, "n_classes": n_classes}
    with nullcontext() if said is None else pytest.raises(ConfigError, match=said):
        check_components(model, n_classes or 2)
