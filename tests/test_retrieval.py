"""ArcFace, embeddings, members that predict by neighbours, and the class of unknown images."""

import importlib.util
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from conftest import PLACE, RUNTIME, Tiny
from goldfold.base.errors import ConfigError
from goldfold.bundles.finished import Finished
from goldfold.config.load import parse
from goldfold.config.root import Config
from goldfold.ensembling.unknown import Unknown, at
from goldfold.losses.arcface import arcface, dynamic_arcface, with_margin
from goldfold.metrics.positives import gap, map_at_k
from goldfold.models.embedding import Cosines, Embedding
from goldfold.models.neighbours import Neighbours, Votes
from goldfold.models.search import Search
from goldfold.planning.plan import Job, plan_of
from goldfold.planning.runs import Run
from goldfold.predictions.arrays import load
from goldfold.splits.splitting import split
from goldfold.stages import derive, predict
from goldfold.tasks.steps import ForSteps
from goldfold.training.indexing import indexed

HAS_FAISS = importlib.util.find_spec("faiss") is not None
EMBEDDING = {"width": 6, "neck": "batch_norm", "scale": 20.0, "centres": 2}
VOTES = Votes(k=3, count="sum", temperature=0.1, background=0.5)


# --- the margin


def reference(cosines: list[float], true: int, margin: float, scale: float, easy: bool) -> float:
    """Cross-entropy with an angular margin, by the angle itself."""
    angle = math.acos(cosines[true])
    if easy:
        enlarged = math.cos(angle + margin) if angle < math.pi / 2 else cosines[true]
    elif angle + margin < math.pi:
        enlarged = math.cos(angle + margin)
    else:
        enlarged = cosines[true] - margin * math.sin(margin)
    logits = [scale * (enlarged if place == true else one) for place, one in enumerate(cosines)]
    return math.log(sum(math.exp(one - logits[true]) for one in logits))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.floats(0.001, math.pi - 0.001), min_size=2, max_size=5),
    st.floats(0, 1.5),
    st.floats(1, 64),
    st.booleans(),
)
def test_the_loss_is_that_of_the_enlarged_angle(angles: list[float], margin: float, scale: float, easy: bool) -> None:
    if abs(angles[0] + margin - math.pi) < 1e-6 or abs(angles[0] - math.pi / 2) < 1e-6:
        return  # either side of a jump
    cosines = torch.tensor([angles], dtype=torch.float64).cos()
    target = functional.one_hot(torch.zeros(1, dtype=torch.int64), len(angles)).double()
    found = arcface(scale * cosines, target, margin, scale, easy).item()
    assert found == pytest.approx(reference(cosines[0].tolist(), 0, margin, scale, easy), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("easy", [False, True])
def test_the_margin_is_finite_and_right_at_the_ends_of_the_circle(easy: bool) -> None:
    angles = torch.tensor([0.0, 1e-8, 1e-4, 1e-3, math.pi - 1e-3, math.pi - 1e-8, math.pi], dtype=torch.float64)
    cosines = angles.cos().float().requires_grad_()
    margin = torch.tensor(0.4)
    found = with_margin(cosines, margin, easy)
    beyond = angles.cos() if easy else angles.cos() - 0.4 * math.sin(0.4)
    expected = torch.where(angles < math.pi / 2, (angles + 0.4).cos(), beyond)
    assert (found.detach().double() - expected).abs().max() < 3e-4  # float32 holds angles near 0 to sqrt(2 x 6e-8)
    torch.autograd.backward(found.sum())
    assert torch.isfinite(torch.as_tensor(cosines.grad)).all()
    zero = with_margin(cosines, torch.tensor(0.0), easy)
    assert torch.equal(zero, cosines), "without a margin the cosine stays as it is"


def test_the_gradient_is_that_of_finite_differences() -> None:
    draw = torch.Generator().manual_seed(0)
    cosines = (torch.rand(6, 4, generator=draw, dtype=torch.float64) * 1.8 - 0.9).requires_grad_()
    target = torch.eye(4, dtype=torch.float64)[[0, 1, 2, 3, 0, 1]]
    for easy in (False, True):
        assert torch.autograd.gradcheck(lambda x, easy=easy: arcface(5 * x, target, 0.3, 5.0, easy), cosines)


def test_smoothing_changes_no_margin_and_a_mixed_target_shares_it() -> None:
    logits = 20 * torch.tensor([[0.5, 0.1, -0.3]])
    hard, margin = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor(0.3)
    shifted = torch.cat([20 * with_margin(logits[:, :1] / 20, margin), logits[:, 1:]], 1)
    smooth = hard * 0.9 + 0.1 / 3
    expected = -(smooth * shifted.log_softmax(1)).sum(1)
    assert torch.allclose(arcface(logits, smooth, 0.3, 20.0), expected, atol=1e-5)
    mixed = torch.tensor([[0.7, 0.3, 0.0]])
    half = logits + mixed * (20 * with_margin(logits / 20, margin) - logits)
    assert torch.allclose(arcface(logits, mixed, 0.3, 20.0), -(mixed * half.log_softmax(1)).sum(1), atol=1e-5)


def test_rarer_classes_have_larger_margins() -> None:
    logits = torch.tensor([[6.0, 0.0, 0.0]])
    one = [torch.roll(torch.eye(3)[:1], place, 1) for place in range(3)]
    counts = torch.tensor([1.0, 16.0, 81.0])  # ** -1/4: 1, 1/2, 1/3
    for place, margin in enumerate((0.5, 0.05 + 0.45 * (1 / 2 - 1 / 3) / (1 - 1 / 3), 0.05)):
        rolled = torch.roll(logits, place, 1)
        found, expected = (
            dynamic_arcface(rolled, one[place], counts, scale=10.0),
            arcface(rolled, one[place], margin, 10.0),
        )
        assert torch.allclose(found, expected, atol=1e-5)
    assert torch.isfinite(dynamic_arcface(logits, one[0], torch.zeros(3)))


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"margin": 1.6}, "margin = 1.6: must be a number of at least 0 and below pi / 2"),
        ({"margin": -0.1}, "margin = -0.1: must be a number of at least 0"),
        ({"scale": 0}, "scale = 0: must be a number above 0"),
        ({"gamma": -1}, "gamma = -1"),
    ],
)
def test_parameters_outside_their_range_are_refused(params: dict[str, float], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        arcface(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]), **params)  # type: ignore[arg-type]


# --- the head


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_cosines_and_margin_are_float32_under_autocast(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    head, unit = Cosines(16, 5, 30.0, 2), functional.normalize(torch.randn(8, 16))
    target = torch.eye(5)[torch.arange(8) % 5]
    plain = arcface(head(unit), target)
    with torch.autocast("cpu", dtype):
        logits = head(unit)
        loss = arcface(logits, target)
    assert logits.dtype == loss.dtype == torch.float32
    assert torch.equal(loss, plain)
    assert torch.allclose(arcface(logits.to(dtype), target), plain, atol=0.5), (
        "a half-precision output is converted first"
    )


def test_the_nearest_of_several_centres_counts_and_embeddings_have_unit_length() -> None:
    torch.manual_seed(1)
    whole = Embedding(7, 6, "batch_norm", Cosines(6, 3, 10.0, 4)).eval()
    embeddings = whole.embed(torch.randn(5, 7))
    assert torch.allclose(embeddings.norm(dim=1), torch.ones(5), atol=1e-6)
    each = embeddings @ functional.normalize(whole.head.weight).T  # type: ignore[arg-type,operator]
    expected = [[10 * each[row, 4 * place : 4 * place + 4].max().item() for place in range(3)] for row in range(5)]
    assert whole.head(embeddings).tolist() == [pytest.approx(row, abs=1e-5) for row in expected]


# --- the search


def unit(n: int, width: int, seed: int) -> Tensor:
    return functional.normalize(torch.randn(n, width, generator=torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize(
    "with_faiss", [False, pytest.param(True, marks=pytest.mark.skipif(not HAS_FAISS, reason="faiss"))]
)
def test_neighbours_are_those_of_all_pairs(with_faiss: bool) -> None:
    index, queries = unit(700, 24, 0), unit(300, 24, 1)
    index = torch.cat([index, index[:40]])  # each of these has an equal
    queries = torch.cat([queries, index[:10]])
    pairs = index.double() @ queries.double().T
    for k in (1, 7, 2000):
        cosines, rows = Search(index, with_faiss).nearest(queries, k)
        n = min(k, len(index))
        expected = pairs.float().T.sort(dim=1, descending=True, stable=True).indices[:, :n]
        assert torch.equal(rows, expected)
        assert torch.allclose(cosines.double(), pairs.T.gather(1, expected), atol=1e-6)


@pytest.mark.skipif(not HAS_FAISS, reason="faiss-cpu is not installed")
def test_both_searches_return_the_same_bytes() -> None:
    index, queries = unit(3000, 64, 2), unit(500, 64, 3)
    found = [Search(index, with_faiss).nearest(queries, 10) for with_faiss in (False, True)]
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def by_hand(cosines: list[tuple[float, int]], n: int, count: str, unknown: int | None) -> list[float]:
    """Probabilities of classes from the neighbours' cosines and labels."""
    votes = [0.0] * n
    for cosine, label in cosines:
        one = math.exp(cosine / VOTES.temperature)
        votes[label] = max(votes[label], one) if count == "max" else votes[label] + one
    background = math.exp(VOTES.background / VOTES.temperature)
    shared = background if unknown is None else 0.01 * background
    votes = [one + shared / n for one in votes]
    if unknown is not None:
        votes[unknown] += 0.99 * background
    return [one / sum(votes) for one in votes]


@pytest.mark.parametrize("count", ["sum", "max"])
@pytest.mark.parametrize("unknown", [None, 3])
def test_votes_are_those_by_hand(count: str, unknown: int | None) -> None:
    angles = torch.tensor([0.0, 0.4, 0.6, 1.5])
    index, labels = torch.stack([angles.cos(), angles.sin()], 1), torch.tensor([2, 0, 0, 1])
    head = Neighbours(2, 4, Votes(3, count, VOTES.temperature, VOTES.background, unknown))
    head.load_state_dict({"index": index, "labels": labels})
    query = torch.tensor([[math.cos(0.3), math.sin(0.3)]])
    near = [(math.cos(0.3), 2), (math.cos(0.1), 0), (math.cos(0.3), 0)]
    assert head(query)[0].exp().tolist() == pytest.approx(by_hand(near, 4, count, unknown), rel=1e-4)
    far = head(torch.tensor([[-1.0, 0.0]]))[0].exp()
    if unknown is None:
        assert far.max() < 0.3, "an image that is like none has a small confidence"
    else:
        assert far.argmax() == unknown


# --- metrics


def test_map_at_k_and_gap_are_those_by_hand() -> None:
    p = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7], [0.4, 0.35, 0.25]])
    labels = np.array([0, 2, 2, 2])
    assert map_at_k(p, labels, k=2) == pytest.approx((1 + 1 / 2 + 1 + 0) / 4)
    # by confidence: 0.7 right, 0.6 right, 0.5 wrong, 0.4 wrong
    assert gap(p, labels) == pytest.approx((1 + 1) / 4)
    assert gap(p, np.array([0, 1, 0, 0])) == pytest.approx((0 + 1 / 2 + 2 / 3 + 3 / 4) / 4)


# --- the class of unknown images


def test_the_threshold_of_unknown_images_is_the_best_one() -> None:
    task = ForSteps({"name": "classification"}, ["a", "b", "new"])
    top = np.array([0.9, 0.8, 0.7, 0.4, 0.35, 0.3])
    values = np.stack([top, 0.99 - top, np.full(6, 0.01)], 1)
    ids = np.array([f"i{place}" for place in range(6)])
    members = {"ensemble": {"ids": ids, "classes": np.array(["a", "b", "new"]), "probabilities": values}}
    truth = pd.DataFrame({"id": ids, "label": ["a", "a", "a", "new", "new", "new"]})
    step = Unknown(task, 1, "new")
    fitted = step.fit(members, truth, np.zeros(6, dtype=np.int64), task.metric("accuracy"))
    assert fitted["threshold"] == pytest.approx((0.69 + 0.7) / 2, abs=0.02)  # second class of the others: 0.59 .. 0.69
    changed = step.apply(members, fitted)["ensemble"]["probabilities"]
    assert changed.argmax(axis=1).tolist() == [0, 0, 0, 2, 2, 2]
    assert changed.sum(axis=1) == pytest.approx(np.ones(6))
    assert np.array_equal(at(values, 2, 0.01), values / values.sum(axis=1, keepdims=True))
    with pytest.raises(ConfigError, match="label = 'nwe' is no class; nearest is 'new'"):
        Unknown(task, 1, "nwe").fit(members, truth, np.zeros(6, dtype=np.int64), task.metric("accuracy"))


# --- the stages


@pytest.fixture(scope="module")
def trained(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of fold 0 with an embedding."""
    folder = tmp_path_factory.mktemp("embedded")
    tiny.train(folder, model=embedding_model(tiny))
    return folder / "model.safetensors"


def embedding_model(tiny: Tiny) -> dict[str, Any]:
    return tiny.model({"loss": {"arcface": {"margin": 0.2, "scale": 20}}}, embedding=EMBEDDING)


def member(tiny: Tiny, **changes: Any) -> dict[str, Any]:
    votes = {"of": "net", "k": 3, "votes": "sum", "temperature": 0.1, "background": 0.5, **changes}
    return {**embedding_model(tiny), "name": "near", "neighbours": votes}


def make(tiny: Tiny, folder: Path, weights: Path, **changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "folder": str(folder), "weights": [str(weights)], "fold_file": tiny.fold_file(),
        "classes": str(tiny.folds / "classes.json"), "caches": tiny.caches(), "task": tiny.task, "metric": tiny.metric,
        "model": member(tiny), "resize": "squash", "channels": 3, "place": PLACE, "of": ["net/round0/fold0/seed0"],
        "snapshot": 0, "select": None, "runtime": RUNTIME, "reported": ["log_loss"],
    }  # fmt: skip
    return derive.run(**given | changes)


def predict_with(tiny: Tiny, folder: Path, weights: Path) -> Any:
    model = {key: member(tiny)[key] for key in ("network", "backbone", "params", "size", "embedding", "neighbours")}
    predict.run(
        folder=str(folder), weights=str(weights), fold_file=tiny.fold_file(), classes=str(tiny.folds / "classes.json"),
        caches=tiny.caches("train", "test"), lists={"test": str(tiny.folds / "test.csv")}, task=tiny.task, model=model,
        resize="squash", channels=3, tta=["identity"], place=PLACE, runtime=RUNTIME,
    )  # fmt: skip
    return load(folder / "oof.npz"), load(folder / "test.npz")


def test_validation_and_test_images_are_queries_and_training_images_of_the_fold_the_index(
    tiny: Tiny, trained: Path, tmp_path: Path
) -> None:
    facts = make(tiny, tmp_path, trained)
    rows = pd.read_csv(tiny.fold_file(), dtype=str)
    index, (oof, test) = load(tmp_path / "embeddings.npz"), predict_with(tiny, tmp_path, tmp_path / "model.safetensors")
    assert sorted(rows["id"][rows["split"] == "train"]) == index["ids"].tolist()
    assert sorted(rows["id"][rows["split"] == "val"]) == sorted(oof["ids"])
    assert not {*index["ids"]} & {*oof["ids"], *test["ids"]}
    assert int(index["fold"]) == int(oof["fold"]) == int(test["fold"]) == 0
    assert facts["neighbours"] | {"of": "net"} == member(tiny)["neighbours"] | {"n_index": 20}
    for one in (index["embeddings"], oof["features"], test["features"]):
        assert np.linalg.norm(one.astype(np.float32), axis=1) == pytest.approx(np.ones(len(one)), abs=1e-3)
    similar = oof["features"].astype(np.float64) @ index["embeddings"].astype(np.float64).T
    labels = np.array(["cat", "dog"]).searchsorted(index["labels"])
    for row, cosines in enumerate(similar):
        near = sorted(zip(cosines, labels, strict=True), reverse=True)[:3]
        expected = by_hand([(float(one), int(label)) for one, label in near], 2, "sum", None)
        assert functional.softmax(torch.tensor(oof["logits"][row]), 0).tolist() == pytest.approx(expected, abs=0.02)
    assert facts["final"]["accuracy"] == pytest.approx(
        np.mean(oof["logits"].argmax(1) == np.array(["cat", "dog"]).searchsorted(
            rows.set_index("id")["label"][oof["ids"]].to_numpy(dtype=str)))
    )  # fmt: skip


def test_labels_of_the_validation_images_change_nothing_but_their_score(
    tiny: Tiny, trained: Path, tmp_path: Path
) -> None:
    rows = pd.read_csv(tiny.fold_file(), dtype=str)
    is_val = rows["split"] == "val"
    rows.loc[is_val, "label"] = ["dog" if label == "cat" else "cat" for label in rows.loc[is_val, "label"]]
    rows.to_csv(tmp_path / "permuted.csv", index=False)
    found = []
    for name, fold_file in (("a", tiny.fold_file()), ("b", str(tmp_path / "permuted.csv"))):
        scores = make(tiny, tmp_path / name, trained, fold_file=fold_file)["final"]
        predict_with(tiny, tmp_path / name, tmp_path / name / "model.safetensors")
        files = ("model.safetensors", "embeddings.npz", "oof.npz", "test.npz")
        found.append((scores, [(tmp_path / name / file).read_bytes() for file in files]))
    assert found[0][1] == found[1][1]
    assert found[0][0] != found[1][0], "the labels were others"


def test_the_unknown_class_is_not_in_the_index(tiny: Tiny, trained: Path, tmp_path: Path) -> None:
    make(tiny, tmp_path, trained, model=member(tiny, unknown="dog"))
    weights = load_file(tmp_path / "model.safetensors")
    assert weights["fusion.head.labels"].unique().tolist() == [0]
    assert "fusion.head.weight" not in weights
    assert len(weights["fusion.head.index"]) == 10
    table = pd.DataFrame({"id": ["b", "a", "c"], "label": ["x", "x", "new"], "split": ["train", "train", "train"]})
    assert indexed(table, "new")["id"].tolist() == ["a", "b"]


# --- config and plan

DATA = {"source": "csv", "train": "t.csv", "test": "s.csv", "images": "i", "classes": ["a", "b", "new"]}
NET: dict[str, Any] = {
    "name": "net", "network": "small_resnet", "image_size_px": 16, "embedding": {"width": 8, "scale": 20},
    "train": {"loss": {"arcface": {"scale": 20}}},
}  # fmt: skip
NEAR: dict[str, Any] = {"name": "near", "neighbours": {"of": "net", "k": 5}}
PLAIN: dict[str, Any] = {"name": "plain", "network": "small_resnet", "image_size_px": 16}


def config(models: list[Any], **changes: Any) -> Config:
    return parse({"name": "x", "data": DATA, "models": models, "folds": {"n_folds": 2}, "seeds": [0, 1], **changes})


def without(one: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in one.items() if key not in keys}


@pytest.mark.parametrize(
    ("models", "changes", "said"),
    [
        ([without(NET, "embedding")], {}, r"models\[0\] \(net\).train.loss: arcface needs a network that returns cosines"),
        ([{**NET, "embedding": {"width": 8}}], {}, r"arcface has scale 20, but embedding.scale is 30; set both to the same"),
        ([{**NET, "embedding": {"width": 0}}], {}, r"models\[0\].embedding.width = 0"),
        ([{**NET, "embedding": {"centres": 0}}], {}, r"models\[0\].embedding.centres = 0"),
        (
            [without({**NET, "embedding": {}}, "train")], {"task": "regression", "data": without(DATA, "classes")},
            r"\(net\).embedding: task 'regression' has none, which needs one class per image",
        ),
        (
            [NET], {"task": "multilabel"}, r"allowed with multilabel: bce, focal"
        ),
        ([PLAIN, NEAR], {}, r"neighbours.of = 'net': no model has this name; .*none, since no model has an embedding"),
        ([NET, PLAIN, {"name": "n", "neighbours": {"of": "plain"}}], {}, r"of = 'plain': has no embedding, in which"),
        ([NET, NEAR, {"name": "n", "neighbours": {"of": "near"}}], {}, r"of = 'near': is not trained; allowed: net"),
        ([NET, {**NEAR, "train": {"lr": 1}}], {}, "train: a member that predicts by neighbours is not trained"),
        ([NET, {"name": "n", "neighbours": {"of": "net", "k": 0}}], {}, r"neighbours.k = 0"),
        (
            [NET, {"name": "n", "neighbours": {"of": "net", "unknown": "nwe"}}], {},
            r"unknown = 'nwe': is no class; nearest is 'new'",
        ),
        (
            [NET, NEAR, {**PLAIN, "train": {"distill": {"teacher": "near"}}}], {},
            r"teacher = 'near' \(plain, round 0\): predicts by neighbours, which finds each training image itself",
        ),
        (
            [NET, NEAR, {**PLAIN, "train": {"distill": {"teacher": "ensemble"}}}], {},
            r"near is part of it, .* or set ensemble.weights.near: 0",
        ),
        ([NET, NEAR], {"rounds": [{}, {"models": ["net"], "start": "near"}]}, r"start = 'near': predicts by neighbours"),
        (
            [NET, PLAIN, NEAR], {"rounds": [{"models": ["plain", "near"]}, {}]},
            r"of = 'net': no round up to 0 trains it, but rounds\[0\] makes near",
        ),
        ([NET, {"name": "s", "soup": ["net", "near"]}, NEAR], {}, r"soup.of: 'near' is made of neighbours"),
        ([NET, NEAR], {"full_data": {"models": ["near"]}}, "'near' is made of neighbours, which is not trained"),
        ([NET], {"ensemble": ["average", {"unknown": {"label": "nwe"}}]}, r"label = 'nwe': is no class; nearest is 'new'"),
        ([NET], {"ensemble": ["average", {"unknown": {"label": 1}}]}, r"label = 1: must be the name of a class"),
    ],
)  # fmt: skip
def test_settings_that_cannot_work_are_refused(models: list[Any], changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        config(models, **changes)


def test_a_member_has_a_run_for_each_of_its_models_made_of_the_same_fold_and_seed() -> None:
    made = config([NET, NEAR])
    plan, run = plan_of(made), Run("near", 0, 1, 1)
    assert plan.parents(run) == (Run("net", 0, 1, 1),)
    assert len(plan.jobs("derive")) == 4
    above = plan.above(Job("derive", "near", 0, 1, 1))
    assert above == [Job("train", "net", 0, 1, 1)]
    assert made.models[1].embedding == made.models[0].embedding


def test_results_have_a_run_of_the_member_for_each_seed(tmp_path: Path) -> None:
    found = Finished(tmp_path)
    found.__dict__["settings"] = {"models": ["near", "net"], "seeds": [0, 1], "n_folds": 2, "rounds": 1}
    assert Run("near", 0, 1, 1) in found.grid.runs()


def test_classes_of_one_image_are_always_trained_on_and_never_validated() -> None:
    labels = ["a"] * 4 + ["b"] * 4 + ["alone", "single"]
    table = pd.DataFrame({"id": [f"i{place}" for place in range(10)], "label": labels})
    content = pd.get_dummies(table["label"]).astype(int)
    folds = split(table, content, "stratified", 2, 0, rare_classes="train_only")
    assert folds[8:].tolist() == [-1, -1]
    assert set(folds[:8]) == {0, 1}
    with pytest.raises(Exception, match="alone"):
        split(table, content, "stratified", 2, 0)
