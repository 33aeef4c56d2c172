"""Several labels an image, and a number an image: from the table through targets, scores and pseudo labels to the submission."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from conftest import NETS, picture, save_picture
from entries import LOSSES as ALL_LOSSES
from entries import METRICS as ALL_METRICS
from goldfold import catalog, metrics, sources, tasks
from goldfold.base.errors import ConfigError, DataError
from goldfold.cases import Inputs
from goldfold.config import parse, slices
from goldfold.drawing.blocks import Gallery
from goldfold.ensembling import values as averages
from goldfold.inference.views import build
from goldfold.metrics import positives, ranking, regression
from goldfold.metrics.classification import Labelled
from goldfold.metrics.multilabel import MultiLabelled
from goldfold.samples.dataset import sample
from goldfold.stages import folds, manifest
from goldfold.targets.bins import bins_of, edges_of, place_in
from whole_task import Whole, whole

pytestmark = pytest.mark.usefixtures("in_tmp")
SOURCE = {"source": "csv", "train": "raw/train.csv", "images": "raw/images"}
FORM = {"format": "auto", "id_column": "id", "label_column": "label"}
N = 12

LOSSES = ALL_LOSSES["labels"]


def write(header: str, cells: list[str], name: str = "train", first: int = 0) -> None:
    """Images and a CSV of a cell, or several parted by commas, an image."""
    rows = [f"im{first + number:02d},{cell}" for number, cell in enumerate(cells)]
    for number in range(len(cells)):
        save_picture(Path(f"raw/images/im{first + number:02d}.png"), picture(first + number, (8, 8)))
    Path(f"raw/{name}.csv").write_text("\n".join([f"id,{header}", *rows]) + "\n")


def made(task: str, folder: str = "out", **data: Any) -> pd.DataFrame:
    """The training table with its folds, through the config and both stages."""
    params = data.pop("task_params", {})
    values = {"name": "t", "task": task, "data": {**SOURCE, **data}, "models": [{"name": "net", **NETS[task]}]}
    config = parse({**values, "folds": {"n_folds": 2}, "task_params": params})
    manifest.run(folder=folder, workers=1, **slices.manifest(config))
    folds.run(manifest=folder, folder="folds", **slices.folds(config))
    return pd.read_csv("folds/train.csv", dtype=str, keep_default_na=False)


# --- several labels: reading


@pytest.mark.parametrize("mark", [" ", "|", ";"])
def test_several_labels_in_a_cell_are_a_list_in_the_order_of_the_classes(mark: str) -> None:
    write("label", [f"16{mark}0", "0", "2", f" 2{mark}16 ", "16", f"0{mark}2"] * 2)
    table = made("multilabel", label_separator=mark)
    assert table["labels"].tolist()[:6] == ['["0","16"]', '["0"]', '["2"]', '["2","16"]', '["16"]', '["0","2"]']
    summary = pd.read_csv("folds/summary.csv")
    assert list(summary.columns[:5]) == ["fold", "0", "2", "16", "(all)"]
    assert summary[["0", "2", "16"]].sum().tolist() == [6, 6, 6]
    assert (summary[["0", "2", "16"]].diff().iloc[1].abs() <= 1).all(), "images of each class are shared out"


def test_columns_of_0_and_1_are_the_classes_and_zeros_are_no_class() -> None:
    write("b,big cat", ["1,0", "0,1.0", "1,1", "0,0"] * 3)
    table = made("multilabel", label_columns=["b", "big cat"])
    assert table["labels"].tolist()[:4] == ['["b"]', '["big cat"]', '["b","big cat"]', "[]"]
    assert len(made("multilabel", label_columns=["b", "big cat"], empty_label="missing")) == 9
    lost = pd.read_csv("out/quarantine.csv")
    assert set(lost["reason"]) == {"image has no labels"}


def test_an_empty_cell_is_missing_or_no_class_as_the_config_says() -> None:
    write("label", ["a b", "a", "b", ""] * 3)
    assert len(made("multilabel", label_separator=" ")) == 9
    table = made("multilabel", label_separator=" ", empty_label="no_class")
    assert table["labels"].tolist()[3] == "[]"
    assert len(table) == 12


@pytest.mark.parametrize(
    ("cells", "keys", "said"),
    [
        (["1", "01 2", "2"] * 4, {"label_separator": " "}, "labels '01' and '1' are the same number. Write them alike"),
        (["a||b", "a", "b"] * 4, {"label_separator": "|"}, "4 of 12 .*first 'im00': its labels 'a||b' include an empty one."),
        (["a|b|", "a", "b"] * 4, {"label_separator": "|"}, "its labels 'a|b|' include an empty one.*data.on_bad_label: drop or"),
        (["a b a", "a", "b"] * 4, {"label_separator": " "}, "its labels include 'a' twice"),
        (["a b", "c", "b"] * 4, {"label_separator": " ", "classes": ["a", "b"]}, "label 'c' is not in data.classes"),
        (["a b", "a", "b"] * 4, {"label_separator": " ", "classes": ["a", "b", "c"]}, "class 'c' has no training image"),
        (["1,0", "0,0", "1,0"] * 4, {"label_columns": ["x", "y"]}, "class 'y' has no training image"),
        (["1,0", "yes,0", "1,1"] * 4, {"label_columns": ["x", "y"]}, "column 'x' has 'yes' in line 3 .4 such rows.. Write 1"),
        (["1,0", "1,1"] * 6, {"label_columns": ["x", "z"]}, "has no column 'z': .*Set data.label_columns"),
        (["", ""] * 6, {"label_separator": " ", "empty_label": "no_class"}, "no image has a label. Check data.label_column"),
    ],
)  # fmt: skip
def test_labels_that_cannot_be_used_end_the_job(cells: list[str], keys: dict[str, Any], said: str) -> None:
    write("x,y" if "," in cells[0] else "label", cells)
    with pytest.raises(DataError, match=said.replace("||", r"\|\|").replace("b|'", r"b\|'").replace("a|b", r"a\|b")):
        made("multilabel", **keys)


def test_of_flawed_labels_the_rest_may_be_kept_and_is_said() -> None:
    write("label", ["a||b", "a", "b", "b|a|b"] * 3)
    table = made("multilabel", label_separator="|", on_bad_label="drop")
    assert table["labels"].tolist()[:4] == ['["a","b"]', '["a"]', '["b"]', '["a","b"]']
    lost = pd.read_csv("out/quarantine.csv")
    assert set(lost["part"]) == {"label"}
    assert len(lost) == 6


def test_copies_with_other_labels_are_told_and_the_order_of_labels_does_not_count() -> None:
    write("label", ["a b", "a", "b", "b a"] * 3)
    Path("raw/images/im03.png").write_bytes(Path("raw/images/im00.png").read_bytes())
    assert len(made("multilabel", label_separator=" ", on_two_labels="fail")) == 12
    Path("raw/images/im01.png").write_bytes(Path("raw/images/im02.png").read_bytes())
    with pytest.raises(DataError, match=r"with more than one label.*on_two_labels"):
        made("multilabel", label_separator=" ", on_two_labels="fail")


def test_doubled_blanks_are_one_separator() -> None:
    write("label", ["a   b ", "a", " b"] * 4)
    assert made("multilabel", label_separator=" ")["labels"].tolist()[:3] == ['["a","b"]', '["a"]', '["b"]']


def test_true_labels_of_test_images_are_read_as_the_training_labels_are() -> None:
    write("label", ["a b", "a", "b"] * 4)
    write("label", ["b a", ""], "answers", first=50)
    Path("raw/test.csv").write_text("id\nim50\nim51\n")
    keys = {"test": "raw/test.csv", "test_answers": "raw/answers.csv", "label_separator": " "}
    made("multilabel", **keys, empty_label="no_class")
    assert pd.read_csv("folds/answers.csv")["labels"].tolist() == ['["a","b"]', "[]"]


# --- numbers: reading


def test_folds_are_balanced_by_bins_of_the_number() -> None:
    write("y", [f"{number * 0.37:.4f}" for number in range(80)])
    table = made("regression", target_column="y")
    sides = table.groupby("fold")["value"].apply(lambda part: part.astype(float).mean())
    assert sides.max() - sides.min() < 2.0, "of 29.6"
    summary = pd.read_csv("folds/summary.csv").filter(like=" to ")
    assert summary.shape == (2, 4)
    assert (summary == 10).all(axis=None)


@pytest.mark.parametrize("cell", ["nan", "inf", "-inf", "tall", "3,5", "1e999"])
def test_a_target_that_is_no_finite_number_is_named_by_its_row(cell: str) -> None:
    write("y", [str(number) for number in range(N - 1)] + [f'"{cell}"'])
    with pytest.raises(DataError, match=f"1 of 12 .* first 'im11': its target '{cell}' is not a finite number"):
        made("regression", target_column="y")
    assert len(made("regression", target_column="y", on_bad_label="quarantine")) == N - 1
    assert f"its target {cell!r} is not a finite number" in Path("out/quarantine.csv").read_text().replace('""', '"')


def test_targets_that_teach_nothing_or_are_classes_are_refused() -> None:
    write("y", ["4.5"] * N)
    with pytest.raises(DataError, match=r"all 12 targets are 4\.5\. There is nothing to learn"):
        made("regression", target_column="y")
    write("y", ["x"] * N)
    with pytest.raises(DataError, match=r"no image has a number as its target\. Check data\.target_column"):
        made("regression", target_column="y")
    write("y", list("123456789") + ["1"] * 3)
    with pytest.raises(DataError, match=r"data\.classes: regression has no classes; remove it"):
        made("regression", target_column="y", classes=["a", "b"])


@settings(max_examples=60)
@given(st.lists(st.one_of(st.floats(-1e9, 1e9), st.integers(0, 3).map(float)), min_size=2, max_size=120))
def test_bins_hold_every_value_none_is_small_and_their_names_are_read_back(values: list[float]) -> None:
    array = np.array(values)
    names = bins_of(array)
    counts = np.bincount(place_in(array, edges_of(names)), minlength=len(names))
    assert counts.sum() == len(values)
    assert 1 <= len(names) == len(set(names)) <= 10
    assert len(names) == 1 or counts.min() >= 20


# --- metadata


def test_metadata_are_carried_beside_the_images_apart_from_what_all_jobs_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write("label,age,sex", ["a b,31,f", "a,,m", "b,2.5e1,"] * 4)
    table = made("multilabel", label_separator=" ", metadata={"numeric": ["age"], "categorical": ["sex"]})
    assert list(table.columns) == ["id", "path", "sha256", "width", "height", "labels", "fold"]
    table = pd.read_csv("out/train.csv", dtype=str, keep_default_na=False)
    assert table["meta_age"].tolist()[:3] == ["31", "", "2.5e1"]
    assert table["meta_sex"].tolist()[:3] == ["f", "m", ""]
    assert "train: metadata 'age': 4 of 12 missing" in capsys.readouterr().out
    assert list(pd.read_csv("folds/fold0.csv").columns) == ["id", "split", "sha256", "labels"]


@pytest.mark.parametrize("cell", ["old", "NA", "inf"])
def test_text_in_a_column_of_numbers_is_refused_with_its_line(cell: str) -> None:
    write("label,age", ["a,31", f"b,{cell}", "a,3"] * 4)
    said = f"column 'age' of data.metadata.numeric has '{cell}' in line 3 .4 such rows., which is not a finite number"
    with pytest.raises(DataError, match=said):
        sources.read(**SOURCE, metadata={"numeric": ["age"], "categorical": []})


# --- scores


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1))
def test_scores_of_labels_are_those_of_scikit_learn(seed: int) -> None:
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 2, (30, 4)).astype(np.uint8)
    truth[:2] = [[1], [0]]
    p = generator.integers(1, 10, (30, 4)) / 10  # with ties
    found = MultiLabelled(p, truth)
    value = {name: metric.value(found, np.arange(30)) for name, metric in ALL_METRICS["labels"].items()}
    assert value["roc_auc"] == pytest.approx(sk.roc_auc_score(truth, p, average="macro"))
    assert value["map"] == pytest.approx(sk.average_precision_score(truth, p, average="macro"))
    assert value["f1_macro"] == pytest.approx(sk.f1_score(truth, p >= 0.5, average="macro"))
    assert value["f1_micro"] == pytest.approx(sk.f1_score(truth, p >= 0.5, average="micro"))
    parts = [sk.log_loss(truth[:, column], p[:, column], labels=[0, 1]) for column in range(4)]
    assert value["log_loss"] == pytest.approx(np.mean(parts))


BASIC = ("f1_macro", "f1_micro", "roc_auc", "map")


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_rankings_of_labels_are_those_of_scikit_learn_and_of_their_definitions(seed: int, k: int) -> None:
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 2, (30, 5)).astype(np.uint8)
    truth[:3] = [[1] * 5, [0] * 5, [0] * 5]
    p = generator.permutation(150).reshape(30, 5) / 150  # without ties
    every = np.arange(30)

    def value(written: Any) -> float:
        return metrics.build(written, catalog.METRICS["labels"]).value(MultiLabelled(p, truth), every)

    def mean(of_class: Any) -> float:
        return float(np.mean([of_class(truth[:, c] == 1, p[:, c]) for c in range(5)]))

    assert value("mcc") == pytest.approx(mean(lambda y, s: sk.matthews_corrcoef(y, s >= 0.5)))
    assert value({"partial_auc": {"max_fpr": 0.3}}) == pytest.approx(
        mean(lambda y, s: sk.roc_auc_score(y, s, max_fpr=0.3))
    )
    assert value("auc_above_tpr") == pytest.approx(mean(lambda y, s: positives.area_above(s, y, 0.8)))
    assert value("pf1") == pytest.approx(mean(lambda y, s: 2 * s[y].sum() / (s.sum() + y.sum())))
    averages = []
    for scores, true in zip(p, truth, strict=True):
        found, of_image = 0, 0.0
        for place, c in enumerate(np.argsort(-scores)[:k]):
            found += int(true[c])
            of_image += found / (place + 1) * int(true[c])
        averages += [of_image / min(int(true.sum()), k)] if true.any() else []
    assert value({"map_at_k": {"k": k}}) == pytest.approx(np.mean(averages))
    kept = np.argsort(np.argsort(-p, axis=1), axis=1) < k
    pooled = sk.average_precision_score(truth[kept], p[kept]) * truth[kept].sum() / truth.sum()
    assert value({"gap": {"k": k}}) == pytest.approx(pooled)


def test_rankings_of_labels_without_labels_and_with_ties() -> None:
    none, tied = np.zeros((2, 3), np.uint8), np.full((2, 3), 0.5)
    value = {
        name: metric.value(MultiLabelled(tied, none), np.arange(2)) for name, metric in ALL_METRICS["labels"].items()
    }
    assert value["mcc"] == 0
    assert all(np.isnan(value[name]) for name in ("partial_auc", "auc_above_tpr", "pf1", "map_at_k", "gap"))
    one = MultiLabelled(tied, np.array([[1, 0, 0], [0, 0, 1]], np.uint8))
    assert metrics.build({"map_at_k": {"k": 2}}, catalog.METRICS["labels"]).value(one, np.arange(2)) == 0, (
        "the label comes last of tied ones"
    )
    with pytest.raises(ConfigError, match=r"metric: gap: k = 0: must be at least 1"):
        metrics.build({"gap": {"k": 0}}, catalog.METRICS["labels"]).value(one, np.arange(2))


def test_the_table_of_classes_has_the_area_under_the_roc_curve_of_each_against_the_rest() -> None:
    draw = np.random.default_rng(0)
    p, labels = draw.dirichlet(np.ones(3), 40), draw.integers(0, 2, 40)
    found = tasks.score({"name": "classification"}, list("abc")).by_class(Labelled(p, labels))["roc_auc"]
    assert found["a"] == pytest.approx(sk.roc_auc_score(labels == 0, p[:, 0]))
    assert found["b"] == pytest.approx(sk.roc_auc_score(labels == 1, p[:, 1]))
    assert np.isnan(found["c"]), "a class without images"


def test_a_class_that_is_nowhere_has_no_ranking_and_an_f1_of_0() -> None:
    found = MultiLabelled(np.array([[0.9, 0.1], [0.2, 0.1]]), np.array([[1, 0], [0, 0]], np.uint8))
    assert {name: metric.value(found, np.arange(2)) for name, metric in ALL_METRICS["labels"].items() if name in BASIC} == {
        "f1_macro": 0.5, "f1_micro": 1.0, "roc_auc": 1.0, "map": 1.0,
    }  # fmt: skip
    assert np.isnan(ranking.average_precision(np.array([0.5]), np.array([False])))


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1))
def test_scores_of_numbers_are_those_of_scikit_learn(seed: int) -> None:
    generator = np.random.default_rng(seed)
    truth = np.append(generator.integers(0, 5, 18), [0, 4]).astype(float)
    predicted = truth + generator.normal(0, 2, 20)
    value = {
        name: metric.value(regression.Valued(predicted, truth), np.arange(20))
        for name, metric in ALL_METRICS["value"].items()
    }
    grades = np.clip(np.round(predicted), 0, 4)
    assert value["rmse"] == pytest.approx(sk.root_mean_squared_error(truth, predicted))
    assert value["mae"] == pytest.approx(sk.mean_absolute_error(truth, predicted))
    assert value["r2"] == pytest.approx(sk.r2_score(truth, predicted))
    assert value["quadratic_kappa"] == pytest.approx(sk.cohen_kappa_score(truth, grades, weights="quadratic"))


def test_kappa_of_numbers_that_are_no_grades_is_refused_before_training() -> None:
    task = whole({"name": "regression"}, ["0.5 to 1", "1 to 2"])
    with pytest.raises(
        DataError, match=r"quadratic_kappa needs integer grades, but there are targets such as 0\.5\. Use rmse"
    ):
        task.refuse_doubts(None, "quadratic_kappa", None)
    task.refuse_doubts(None, "rmse", None)


# --- learning


def test_losses_of_labels_equal_their_formulas_and_weigh_positives() -> None:
    logits, target = torch.tensor([[2.0, -1.0], [0.0, 3.0]]), torch.tensor([[1.0, 0.0], [0.5, 1.0]])
    p, weight = logits.sigmoid(), torch.tensor([3.0, 1.0])
    bce = -(weight * target * p.log() + (1 - target) * (1 - p).log()).mean(dim=1)
    assert LOSSES["bce"](logits, target, weight) == pytest.approx(bce)
    focal = -(weight * target * (1 - p) ** 2 * p.log() + (1 - target) * p**2 * (1 - p).log()).mean(dim=1)
    assert LOSSES["focal"](logits, target, weight) == pytest.approx(focal)


def test_weights_of_positives_reach_the_loss_and_unknown_classes_are_named() -> None:
    images = SimpleNamespace(views=lambda id: [np.zeros((4, 4, 3), np.uint8)])
    case = sample(images, "x", {"labels": np.array([1, 0], np.uint8)})
    losses = []
    for weights in ({}, {"a": 4.0}):
        task = whole({"name": "multilabel", "positive_weights": weights}, ["a", "b"])
        losses.append(task.loss()(lambda inputs: torch.zeros(len(inputs), 2), task.collate([case])).total.item())
    assert losses == pytest.approx([np.log(2), 2.5 * np.log(2)])
    with pytest.raises(DataError, match=r"positive_weights: 'c' is not a class; .*classes: a, b"):
        whole({"name": "multilabel", "positive_weights": {"c": 2.0}}, ["a", "b"])
    with pytest.raises(ConfigError, match=r"positive_weights\.a = 0: must be above 0"):
        whole({"name": "multilabel", "positive_weights": {"a": 0}}, ["a", "b"])


class Bright(torch.nn.Module):
    """The mean of the left half of an image."""

    def forward(self, inputs: Inputs) -> torch.Tensor:
        images = inputs.single
        return images[..., : images.shape[-1] // 2].float().mean(dim=(1, 2, 3))[:, None] / 50


def test_views_give_the_mean_probability_and_the_mean_number() -> None:
    images = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    images[0, ..., :4] = 200
    views, cases = build(["identity", "hflip"]), Inputs.of(images)
    task = whole({"name": "multilabel"}, ["a"])
    single = [torch.tensor(task.predict(Bright(), cases, [view])["logits"]).sigmoid() for view in views]
    both = torch.tensor(task.predict(Bright(), cases, views)["logits"]).sigmoid()
    assert both.numpy() == pytest.approx(((single[0] + single[1]) / 2).numpy(), abs=1e-6)
    numbers = whole({"name": "regression"}, ["0 to 10", "10 to 20"]).predict(Bright(), cases, views)
    assert numbers["spreads"] == pytest.approx([16, 0], abs=1e-6), "4 and 0, in spreads of 8"
    assert numbers["values"] == pytest.approx([10 + 8 * 2, 10], abs=1e-6)


# --- after predicting


def labelled(p: list[list[float]], ids: str = "xyz") -> tuple[Whole, dict[str, Any]]:
    task = whole({"name": "multilabel"}, ["a", "b"])
    return task, {"ids": np.array(list(ids)), "classes": np.array(["a", "b"]), "probabilities": np.array(p)}


def test_members_are_averaged_each_class_for_itself() -> None:
    task, first = labelled([[0.9, 0.9], [0.5, 0.1], [0.2, 0.3]])
    _, second = labelled([[0.5, 0.7], [0.9, 0.3], [0.4, 0.1]])
    assert task.fuse([first, second], [1, 1])["probabilities"][0] == pytest.approx([0.7, 0.8])
    odds = task.fuse([first, second], [1, 1], method="logit")["probabilities"][0]
    assert odds[0] == pytest.approx(1 / (1 + np.exp(-np.log(9) / 2))), "rows are not scaled to one"
    ranks = task.fuse([first, second], [1, 1], method="rank")["probabilities"]
    assert ranks[:, 0].argsort().tolist() == [2, 1, 0] or ranks[0, 0] == ranks[1, 0]
    assert ranks[2].max() < ranks[:2].max()


def test_pseudo_labels_are_of_images_of_which_every_class_is_sure() -> None:
    task, found = labelled([[0.97, 0.04], [0.97, 0.5], [0.02, 0.01]])
    table = task.pseudo_labels(found, 0.95)
    assert table.to_dict("list") == {"id": ["x", "z"], "labels": ['["a"]', "[]"], "confidence": [0.96, 0.98]}


def test_pseudo_numbers_are_those_on_which_members_and_views_agree() -> None:
    task = whole({"name": "regression"}, ["0 to 10", "10 to 20"])

    def member(values: list[float], spread: float) -> dict[str, Any]:
        parts = [{"values": np.array(values), "spreads": np.full(2, spread), "scales": np.full(2, 8.0)}]
        return dict(task.pack(pd.DataFrame({"id": ["x", "y"]}), parts, (0, 0), ""))

    fused = task.fuse([member([4, 4], 0.0), member([6, 12], 0.0)], [1, 1])
    assert fused["spreads"] == pytest.approx([1, 4])
    assert task.pseudo_labels(fused, 0.8).to_dict("list") == {"id": ["x"], "value": ["5"], "confidence": [0.875]}
    viewed = task.fuse([member([4, 4], 3.0), member([4, 4], 5.0)], [1, 1])
    assert viewed["spreads"] == pytest.approx([17**0.5] * 2), "the spread of all views together"


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.floats(-5, 5), st.integers(0, 4)), min_size=1, max_size=7).filter(
        lambda x: any(w for _, w in x)
    )
)
def test_the_weighted_median_is_the_median_of_so_many_copies(members: list[tuple[float, int]]) -> None:
    stack, weights = np.array([[value] for value, _ in members]), [weight for _, weight in members]
    copies = [value for value, weight in members for _ in range(weight)]
    assert averages.median(stack, weights)[0] == pytest.approx(np.median(copies), abs=1e-12)


# --- submitting


def test_labels_are_submitted_in_one_cell_or_as_probabilities_as_the_sample_shows() -> None:
    task, found = labelled([[0.9, 0.6], [0.1, 0.7], [0.1, 0.2]])
    cells = pd.DataFrame({"Id": ["z", "x", "y"], "Predicted": ["b a", "a", None]})
    form = task.form(cells, "sample.csv", FORM, "roc_auc")
    assert task.submission(found, form).to_dict("list") == {"Id": ["x", "y", "z"], "Predicted": ["a b", "b", ""]}
    columns = pd.DataFrame({"Id": ["z", "x", "y"], "b": 0, "a": 0})
    filled = task.submission(found, task.form(columns, "sample.csv", FORM, "f1_macro"))
    assert filled.columns.tolist() == ["Id", "b", "a"]
    assert filled["b"].tolist() == [0.6, 0.7, 0.2]
    assert task.form(None, "", FORM, "f1_macro").columns == ["id", "label"]
    assert task.form(None, "", FORM, "map").columns == ["id", "a", "b"]


@pytest.mark.parametrize(
    ("sample", "settings", "said"),
    [
        ({"id": ["x"], "label": ["a|b"]}, FORM, r"'a\|b' is not a class; .*classes: a, b; labels are separated by ' '"),
        ({"id": ["x"], "a": [0]}, FORM, "no column for class 'b'; classes: a, b"),
        ({"id": ["x"], "a": [0], "c": [0]}, FORM, "column 'c' is not a class"),
        (
            {"id": ["x"], "label": ["a"]},
            {**FORM, "format": "probabilities"},
            "needs one column per class; .*besides the id: label",
        ),
        ({"id": ["x"]}, FORM, "besides the id: nothing"),
    ],
)
def test_a_sample_that_cannot_be_filled_with_labels_is_refused(
    sample: dict[str, Any], settings: dict[str, Any], said: str
) -> None:
    task, _ = labelled([[0.9, 0.6], [0.1, 0.7], [0.1, 0.2]])
    with pytest.raises(DataError, match=said):
        task.form(pd.DataFrame(sample), "sample.csv", settings, "f1_macro")


def test_a_class_that_holds_the_separator_is_no_label_in_a_cell() -> None:
    task = whole({"name": "multilabel"}, ["big cat", "dog"])
    with pytest.raises(DataError, match="class 'big cat' contains the separator ' ', so it would be split"):
        task.form(None, "", FORM, "f1_macro")
    assert task.form(None, "", {**FORM, "format": "probabilities"}, "f1_macro").columns == ["id", "big cat", "dog"]
    assert whole({"name": "multilabel", "label_separator": "|"}, ["big cat"]).form(None, "", FORM, "f1_macro").as_labels


def test_the_threshold_decides_which_labels_are_submitted() -> None:
    task = whole({"name": "multilabel", "threshold": 0.25}, ["a", "b"])
    _, found = labelled([[0.9, 0.3], [0.1, 0.7], [0.1, 0.2]])
    assert task.submission(found, task.form(None, "", FORM, "f1_macro"))["label"].tolist() == ["a b", "b", ""]


def test_a_sample_for_numbers_has_two_columns() -> None:
    task = whole({"name": "regression"}, ["0 to 1"])
    sample = pd.DataFrame({"Id": ["x"], "score": [0.0], "other": [1]})
    with pytest.raises(DataError, match="has the columns Id, score, other; one number per image needs two columns"):
        task.form(sample, "sample.csv", FORM, "rmse")
    assert task.form(sample[["Id", "score"]], "sample.csv", FORM, "rmse").columns == ["Id", "score"]


# --- showing


def test_pages_of_labels_name_errors_and_give_each_class_its_scores() -> None:
    task, found = labelled([[0.97, 0.9], [0.1, 0.7], [0.1, 0.2]])
    truth = pd.DataFrame({"id": list("xyz"), "labels": ['["a"]', '["b"]', '["a"]']})
    pages = {page.id: page for page in task.pages(found, truth, 8)}
    assert list(pages) == ["classes", "together", "calibration", "errors"]
    assert "All classes are correct for 33.3 % of the 3 images; an image has 1.00 labels" in pages["classes"].intro
    gallery = next(block for block in pages["errors"].blocks if isinstance(block, Gallery))
    assert [shown.title for shown in gallery.pictures] == ["−b", "+a"], "the surest error first"


def test_pages_of_numbers_compare_with_predicting_the_mean() -> None:
    task = whole({"name": "regression"}, ["0 to 2", "2 to 4"])
    truth = pd.DataFrame({"id": list("wxyz"), "value": ["0", "1", "3", "4"]})
    parts = [{"values": np.array([0, 1, 3, 8.0]), "spreads": np.zeros(4)}]
    found = dict(task.pack(truth, parts, (0, 0), ""))
    pages = {page.id: page for page in task.pages(found, truth, 1)}
    assert list(pages) == ["numbers", "bins", "errors"]
    assert "error 2, against 1.581 for always predicting the mean of 4 images" in pages["numbers"].intro
    gallery = next(block for block in pages["errors"].blocks if isinstance(block, Gallery))
    assert [shown.title for shown in gallery.pictures] == ["4 → 8"]
