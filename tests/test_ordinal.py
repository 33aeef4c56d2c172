"""Ordered classes: links, losses, metrics, decisions by thresholds."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import cohen_kappa_score, mean_absolute_error
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot

from conftest import FORM, Tiny
from goldfold import tasks
from goldfold.base.errors import ConfigError, DataError
from goldfold.config import parse
from goldfold.engine.parts import backbone
from goldfold.ensembling.thresholds import Thresholds
from goldfold.losses.classification import cross_entropy
from goldfold.losses.ordinal import cumulative, earth_mover
from goldfold.metrics.classification import Labelled, chosen
from goldfold.metrics.metric import build
from goldfold.metrics.ordinal import Graded
from goldfold.models.ordinal_link import OrdinalLink, n_outputs
from goldfold.predictions.arrays import load
from goldfold.tasks.ordinal.target import examine
from goldfold.tasks.steps import ForSteps
from whole_task import whole

LINKS: list[Any] = ["cumulative", "proportional", "conditional"]
GRADES = ["none", "mild", "severe", "worst"]


def outputs_of(kind: Any, n_classes: int, scale: float = 2.0, n: int = 50) -> torch.Tensor:
    return scale * torch.randn(n, n_outputs(kind, n_classes), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("n_classes", [2, 3, 6])
@pytest.mark.parametrize("kind", LINKS)
def test_probabilities_sum_to_one_and_begin_equal(kind: Any, n_classes: int) -> None:
    link = OrdinalLink(kind, n_classes)
    found = link(outputs_of(kind, n_classes)).exp()
    assert found.shape == (50, n_classes)
    assert torch.allclose(found.sum(dim=1), torch.ones(50), atol=1e-6)
    equal = link(torch.zeros(1, n_outputs(kind, n_classes))).exp()
    assert torch.allclose(equal, torch.full((1, n_classes), 1 / n_classes), atol=1e-6)


def test_links_are_their_formulas() -> None:
    """In double precision and in the plain way: differences of sigmoids, and products."""
    a = outputs_of("cumulative", 4).double()
    link = OrdinalLink("cumulative", 4)
    z = [a[:, 0] - link.raw[0]]
    for place in (1, 2):
        z.append(z[-1] - torch.log1p((a[:, place] + link.raw[place]).exp()))
    above = torch.stack([torch.ones(50).double(), *(one.sigmoid() for one in z), torch.zeros(50).double()], dim=1)
    assert torch.allclose(link(a).double().exp(), above[:, :-1] - above[:, 1:], atol=1e-6)

    link = OrdinalLink("proportional", 4)
    cuts = torch.cat([link.raw[:1], torch.log1p(link.raw[1:].exp())]).cumsum(dim=0).double()
    assert torch.allclose(cuts, torch.logit(torch.tensor([0.25, 0.5, 0.75])).double(), atol=1e-6)
    score = outputs_of("proportional", 4).double()
    above = torch.cat([torch.ones(50, 1), (score - cuts).sigmoid(), torch.zeros(50, 1)], dim=1)
    assert torch.allclose(link(score).double().exp(), above[:, :-1] - above[:, 1:], atol=1e-6)

    link = OrdinalLink("conditional", 4)
    passes = (a + link.raw).sigmoid()
    reached = torch.cat([torch.ones(50, 1), passes.cumprod(dim=1)], dim=1)
    stays = torch.cat([1 - passes, torch.ones(50, 1)], dim=1)
    assert torch.allclose(link(a).double().exp(), reached * stays, atol=1e-6)


@pytest.mark.parametrize("kind", LINKS)
@pytest.mark.parametrize("scale", [30.0, 1e3])
def test_extreme_outputs_give_finite_losses_and_gradients(kind: Any, scale: float) -> None:
    link, outputs = OrdinalLink(kind, 5), outputs_of(kind, 5, scale).requires_grad_()
    for loss in (cumulative, earth_mover, cross_entropy):
        values = loss(link(outputs), one_hot(torch.arange(50) % 5, 5).float())
        (gradient,) = torch.autograd.grad(values.sum(), outputs)
        assert values.isfinite().all()
        assert gradient.isfinite().all()


def test_cross_entropy_with_the_conditional_link_is_the_loss_of_corn() -> None:
    """Shi et al. 2021, eq. 5, summed: each place is a binary label of the images that reach it."""
    outputs, labels = outputs_of("conditional", 4), torch.arange(50) % 4
    link = OrdinalLink("conditional", 4)
    corn = torch.zeros(())
    for place in range(3):
        reach = labels >= place
        own = (outputs + link.raw)[reach, place]
        corn = corn + binary_cross_entropy_with_logits(own, (labels[reach] > place).float(), reduction="sum")
    assert cross_entropy(link(outputs), one_hot(labels, 4).float()).sum() == pytest.approx(corn.item(), rel=1e-5)


def test_losses_of_order_are_their_formulas_for_hard_and_soft_targets() -> None:
    p = torch.tensor([[0.1, 0.2, 0.3, 0.4]]).double()
    for target in ([0, 1, 0, 0], [0.0, 0.25, 0.5, 0.25]):
        shares = torch.tensor([target]).double()
        above, wanted = p.flip(1).cumsum(1).flip(1)[:, 1:], shares.flip(1).cumsum(1).flip(1)[:, 1:]
        binary = -(wanted * above.log() + (1 - wanted) * (1 - above).log()).mean()
        assert cumulative(p.log(), shares).item() == pytest.approx(binary.item())
        assert earth_mover(p.log(), shares).item() == pytest.approx((above - wanted).square().mean().item())


@pytest.mark.parametrize("loss", [cumulative, earth_mover])
def test_an_error_by_two_classes_costs_more_than_one_by_one(loss: Any) -> None:
    sure = 4 * torch.eye(4)
    target = one_hot(torch.zeros(4, dtype=torch.long), 4).float()
    costs = loss(sure, target)
    assert (costs.diff() > 0).all()


def test_metrics_of_order() -> None:
    generator = np.random.default_rng(0)
    values, labels = generator.dirichlet(np.ones(4), 80), generator.integers(0, 4, 80)
    predicted = values.argmax(axis=1)
    score = tasks.score({"name": "ordinal"}, GRADES)
    evidence, rows = Labelled(values, labels), np.arange(80)
    assert score.metric("mae").value(evidence, rows) == pytest.approx(mean_absolute_error(labels, predicted))
    assert score.metric("quadratic_kappa").value(evidence, rows) == pytest.approx(
        cohen_kappa_score(labels, predicted, weights="quadratic")
    )
    assert next(iter(tasks.facts("ordinal").metrics)) == "quadratic_kappa"
    assert score.by_class(evidence)["mae"].to_numpy() @ np.bincount(labels) / 80 == pytest.approx(
        score.metric("mae").value(evidence, rows)
    )


@pytest.mark.parametrize("name", ["quadratic_kappa", "mae", "accuracy", "balanced_accuracy"])
def test_metrics_of_all_levels_of_a_threshold_are_those_of_each(name: str) -> None:
    generator = np.random.default_rng(0)
    values, labels = generator.dirichlet(np.ones(4), 60), generator.integers(0, 4, 60)
    evidence, metric = Graded(Labelled(values, labels)), tasks.score({"name": "ordinal"}, GRADES).metric(name)
    for column in range(3):
        levels, thresholds = evidence.levels([column]), np.array([0.6, 0.3, 0.5])
        at_once = metric.of_confusion(evidence.confusions(column, levels, thresholds))  # type: ignore[misc]
        for level, found in zip(levels, at_once, strict=True):
            thresholds[column] = level
            assert found == pytest.approx(metric.value(evidence.at(thresholds.tolist()), np.arange(60)), abs=1e-12)


def test_thresholds_of_one_half_give_the_median_class() -> None:
    values = np.array([[0.4, 0.1, 0.2, 0.3], [0.1, 0.2, 0.6, 0.1], [0.45, 0.1, 0.1, 0.35], [0.6, 0.2, 0.1, 0.1]])
    assert chosen(values, np.full((4, 3), 0.5)).tolist() == [1, 2, 1, 0]
    assert chosen(values, np.tile([0.05, 0.05, 0.32], (4, 1))).tolist() == [2, 2, 3, 2]
    two = np.random.default_rng(0).dirichlet([1, 1], 50)
    assert (chosen(two, np.full((50, 1), 0.3)) == chosen(two, np.full(50, 0.3))).all(), "as for two classes"


def predictions_of(values: Any, ids: list[str]) -> dict[str, Any]:
    return {"ids": np.array(ids), "classes": np.array(GRADES), "probabilities": np.asarray(values)}


def test_fitted_thresholds_correct_predictions_that_are_all_too_low() -> None:
    """Logits of a member are shifted by a step and a half; no single class can be blamed for it."""
    generator = np.random.default_rng(3)
    grade = generator.uniform(0, 4, 300)
    ids, labels = [f"i{number:03d}" for number in range(300)], np.minimum(grade.astype(int), 3)
    cuts = 1 / (1 + np.exp(-4 * (grade[:, None] - 1.2 - np.array([1, 2, 3]))))
    above = np.concatenate([np.ones((300, 1)), cuts, np.zeros((300, 1))], axis=1)
    predictions = predictions_of(above[:, :-1] - above[:, 1:], ids)
    truth = pd.DataFrame({"id": ids, "label": [GRADES[place] for place in labels]})
    task = ForSteps({"name": "ordinal"}, GRADES)
    metric = task.metric("quadratic_kappa")
    step = Thresholds(task, 1)
    fitted = step.fit({"a": predictions}, truth, np.zeros(300, dtype=np.int64), metric)
    assert list(fitted["thresholds"]) == GRADES[1:]
    (decided,) = step.apply({"a": predictions}, fitted).values()
    rows = np.arange(300)
    before = metric.value(task.evidence(predictions, truth), rows)
    after = metric.value(task.evidence(decided, truth), rows)
    assert before < 0.75
    assert after > 0.999
    assert np.allclose(list(fitted["thresholds"].values()), 1 / (1 + np.exp(4 * 1.2)), atol=2e-3)
    table = tasks.tables({"name": "ordinal"}, GRADES).table(decided)
    assert (table["prediction"] == truth["label"]).mean() > 0.99
    form = tasks.submit({"name": "ordinal"}, GRADES).form(None, "", FORM, "quadratic_kappa")
    submitted = tasks.submit({"name": "ordinal"}, GRADES).submission(decided, form)
    assert (submitted["label"] == truth["label"]).mean() > 0.99


@pytest.mark.parametrize(
    ("labels", "classes", "said"),
    [
        (
            ["low", "high"],
            None,
            "task: ordinal needs the order of the classes, but high, low are not numbers. Set data.cl",
        ),
        (["1", "2", "3"], ["2", "1", "3"], "data.classes: 2, 1, 3 are numbers, but not in order. .* first: 1, 2, 3"),
        (["1", "two"], None, "needs the order of the classes"),
    ],
)
def test_classes_without_an_order_are_refused(labels: list[str], classes: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        examine(pd.DataFrame({"label": labels}), classes, "train", False, 1)


@pytest.mark.parametrize(
    ("labels", "classes", "found"),
    [
        (["10", "9", "2"], None, ["2", "9", "10"]),
        (["low", "high"], ["low", "high"], ["low", "high"]),
        (["1", "2"], ["2", "1"], ["2", "1"]),
    ],
)
def test_the_order_is_that_of_numbers_or_of_the_config(labels: list[str], classes: Any, found: list[str]) -> None:
    assert examine(pd.DataFrame({"label": labels}), classes, "train", False, 1).classes == found


@pytest.mark.parametrize("kind", LINKS)
def test_a_network_learns_grades_and_its_predictions_are_joined_and_decided(
    kind: str, tiny_grades: Tiny, tmp_path: Path
) -> None:
    tiny = Tiny(
        tiny_grades.root, tiny_grades.data, {"name": "ordinal", "link": kind}, "quadratic_kappa", 2, list("0123")
    )
    more = {"mixup_alpha": 0.2} if kind == "conditional" else {}
    model = tiny.model({"epochs": 12, "lr": 0.03, "augment": "none", **more})
    facts = tiny.train(tmp_path / "train", model=model)
    assert facts["final"]["quadratic_kappa"] > 0.6
    weights = load_file(tmp_path / "train/model.safetensors")
    assert "link.raw" in weights
    assert len(weights["network.head.3.weight"]) == n_outputs(kind, 4)  # type: ignore[arg-type]
    tiny.predict(tmp_path / "predict", tmp_path / "train/model.safetensors", "test", model=model)
    member = load(tmp_path / "predict/oof.npz")
    assert member["logits"].shape[1] == 4
    assert np.allclose(np.exp(member["logits"].astype(np.float64)).sum(axis=1), 1, atol=1e-5)
    table = whole(tiny.task, tiny.classes).table(member)
    assert set(table["prediction"]) <= set("0123")


def test_the_link_belongs_to_the_head(tiny_grades: Tiny) -> None:
    model = tasks.infer({"name": "ordinal", "link": "proportional"}, GRADES).model(
        "small_resnet", (12, 12), 3, widths=(4, 8)
    )
    names = {name for name, _ in model.named_parameters()}
    assert names - backbone(model) == {"link.raw", "network.head.3.weight", "network.head.3.bias"}


def config_of(**more: Any) -> Any:
    model = {"name": "m", "network": "small_resnet", "image_size_px": 32}
    data = {"source": "csv", "train": "t.csv", "images": "."}
    return parse({"name": "t", "task": "ordinal", "data": data, "models": [model], **more})


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"task_params": {"link": "logit"}}, "link"),
        ({"train": {"label_smoothing": 0.1}}, "train.label_smoothing: task 'ordinal' does not use it"),
        ({"train": {"loss": "bce"}}, "cumulative, earth_mover, cross_entropy, focal"),
        ({"metric": "rmse"}, "quadratic_kappa, mae"),
    ],
)
def test_settings_that_do_not_fit_are_refused(more: dict[str, Any], said: str, in_tmp: Path) -> None:
    (in_tmp / "t.csv").write_text("id,label\n")
    with pytest.raises(ConfigError, match=said):
        config_of(**more)


def test_order_is_no_matter_of_other_tasks(in_tmp: Path) -> None:
    (in_tmp / "t.csv").write_text("id,label\n")
    assert config_of().metric == "quadratic_kappa"
    with pytest.raises(ConfigError, match="cumulative"):
        config_of(task="classification", train={"loss": "cumulative"})
    assert build("mae", tasks.facts("ordinal").metrics).greater_is_better is False
