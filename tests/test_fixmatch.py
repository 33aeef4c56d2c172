"""FixMatch: the loss on unlabelled images, their views, what a training with them depends on, and how it resumes."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import made_run
from conftest import PLACE, Tiny
from goldfold import tasks
from goldfold.base.errors import ConfigError
from goldfold.cache.images import CachedImages
from goldfold.cases import Inputs, stacked
from goldfold.commands.component_trial import check_components
from goldfold.config import parse, slices
from goldfold.config.dependencies import recipe
from goldfold.losses import Losses
from goldfold.losses.fixmatch import consistency, pseudo_labels
from goldfold.planning.jobs import Job, job_of
from goldfold.planning.plan import plan_of
from goldfold.report import fixmatch as page
from goldfold.samples.dataset import EpochSampler, Loader, Place
from goldfold.training.fixmatch import FixMatch, Views
from goldfold.training.labelling import InEveryStep, Kept, Renewal, Teacher
from goldfold.training.lesson import Lesson, with_unlabeled
from goldfold.training.samples import loader
from goldfold.training.spec import Spec, read
from jobs import bytes_of
from made_run import would_run
from test_resume import run_until
from test_rounds import BASE, NET
from test_workflow import TINY

B0, B3 = ({"name": name, **NET} for name in ("b0", "b3"))
STRONG = {"strong": ["broad"]}


def model(name: str = "b3", train: dict[str, Any] | None = None, **how: Any) -> dict[str, Any]:
    return {"name": name, **NET, "train": {**(train or {}), "fixmatch": how}}


# --- the loss


def test_labels_are_used_from_the_threshold_on_and_hard_but_for_a_temperature() -> None:
    logits = torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]).log()
    rows, used = pseudo_labels(logits, 0.8 - 1e-6)
    assert rows.tolist() == [[1, 0], [1, 0], [0, 1]]
    assert used.tolist() == [1, 0, 1]
    rows, used = pseudo_labels(
        logits, 0.8 - 1e-6, temperature=0.5
    )  # squares of the probabilities, which sum to one again
    assert torch.allclose(rows[0], torch.tensor([0.81, 0.01]) / 0.82)
    assert used.tolist() == [1, 0, 1], "the threshold is of the probabilities as they are"


def test_the_loss_on_unlabelled_images_is_the_mean_over_all_of_them() -> None:
    rows, used = torch.eye(2)[[0, 1, 1]], torch.tensor([1.0, 0.0, 1.0])
    loss = consistency(torch.tensor([[0.5, 0.5], [0.1, 0.9], [0.75, 0.25]]).log(), rows, used)
    assert loss.tolist() == pytest.approx([np.log(2), 0, np.log(4)])


def labelled(images: list[float], targets: list[int], weak: list[list[float]], strong: list[list[float]]) -> Any:
    """A batch of images of one pixel, each with unlabelled images."""

    def pixels(values: list[Any]) -> Any:
        return np.array(values, np.uint8).reshape(*np.shape(values), 1, 1, 1, 1)

    samples = [
        {"id": str(row), "weight": 1.0, "images": pixel[0], "present": np.ones(1, bool)}
        for row, pixel in enumerate(pixels([[value] for value in images]))
    ]
    views = {"weak": torch.from_numpy(pixels(weak)), "strong": torch.from_numpy(pixels(strong))}
    there = torch.ones(*np.shape(weak), 1, dtype=torch.bool)
    return stacked(samples, {"own": torch.tensor(targets), **views, "there": there})


class Pixel(nn.Module):
    """Logits (0, scale x pixel)."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, inputs: Inputs) -> torch.Tensor:
        value = self.scale * inputs.single.float().flatten(1)
        return torch.cat([torch.zeros_like(value), value], dim=1)


def entropy(model: nn.Module, batch: Any) -> Losses:
    return Losses(nn.functional.cross_entropy(model(batch.inputs), batch.targets))


BATCH = labelled([1, 2], [1, 0], weak=[[5, 0], [4, 1]], strong=[[3, 9], [0, 9]])


def test_the_total_is_the_loss_on_labelled_images_and_the_weighted_one_on_unlabelled_ones() -> None:
    network = Pixel(1.0)
    found = FixMatch(entropy, 2.0, InEveryStep(0.9))(network, BATCH)
    own = (np.log(1 + np.exp(-1.0)) + np.log(1 + np.exp(2.0))) / 2
    unlabeled = (np.log(1 + np.exp(-3.0)) + np.log(2)) / 4  # weak views of 5 and 4 are sure of class 1
    assert found.total.item() == pytest.approx(own + 2 * unlabeled)
    assert {name: part.item() for name, part in found.parts.items()} == pytest.approx(
        {"own": own, "unlabeled": 2 * unlabeled}
    )
    assert found.rates["mask_rate"].item() == 0.5
    found.total.backward()
    strong = (-3 / (1 + np.exp(3.0))) / 4  # no gradient of the weak views
    assert network.scale.grad is not None
    assert network.scale.grad.item() == pytest.approx((-1 / (1 + np.e) + 2 / (1 + np.exp(-2.0))) / 2 + 2 * strong)


def test_pieces_of_a_batch_have_the_loss_of_the_whole() -> None:
    loss = FixMatch(entropy, 1.0, InEveryStep(0.9))
    halves = [loss(Pixel(1.0), BATCH.rows([row])) for row in (0, 1)]
    whole = loss(Pixel(1.0), BATCH)
    assert sum(one.total.item() for one in halves) / 2 == pytest.approx(whole.total.item())
    assert sum(one.rates["mask_rate"].item() for one in halves) / 2 == whole.rates["mask_rate"].item()


def test_the_averaged_weights_predict_the_weak_views_where_the_config_says_so() -> None:
    average, training = Pixel(-1.0), type("Training", (), {})()
    training.scored = average
    for is_averaged, expected in ((True, [0, 0]), (False, [1, 1])):
        labels = InEveryStep(0.9)
        Teacher(labels, 4, is_averaged).before_epoch(training)
        weak = torch.tensor([4, 5], dtype=torch.uint8).reshape(1, 2, 1, 1, 1, 1)
        rows, used = labels(Pixel(1.0), {"weak": weak, "there": torch.ones(1, 2, 1, dtype=torch.bool)})
        assert rows.argmax(dim=1).tolist() == expected
        assert used.tolist() == [1, 1]
    assert not any(value.grad is not None for value in average.parameters())


def test_kept_labels_are_those_of_the_last_renewal_by_the_validated_network(tiny: Tiny) -> None:
    """Every second epoch, without augmentation; before the first time no image is used."""
    made = settings(tiny, {"epochs": 6}, renew_epochs=2, threshold=0.5)
    spec, ids = spec_of(made), list(pd.read_csv(made["unlabeled"][0], dtype=str)["id"])
    labels, images = Kept(len(ids), 0.5), CachedImages(made["caches"])
    hook = Renewal(labels, ids, spec, images, 2)
    seen: list[tuple[bool, list[float]]] = []

    def forward(network: Any, inputs: Inputs) -> dict[str, torch.Tensor]:
        """Images darker than the mean are of class 1."""
        means = inputs.images.float().mean(dim=(1, 2, 3, 4))
        seen.append((network.training, means.tolist()))
        return {"logits": torch.stack([torch.zeros_like(means), network.weight[0, 0] * (128 - means)], dim=1)}

    hook.before_training(SimpleNamespace(forward=forward))  # type: ignore[arg-type]
    network = nn.Linear(1, 1)
    nn.init.ones_(network.weight)
    batch = {"unlabeled_row": torch.tensor([[3, 0], [1, 3]])}
    for epoch in range(5):
        hook.before_epoch(SimpleNamespace(history=[{}] * epoch, scored=network))  # type: ignore[arg-type]
        hook.before_epoch(SimpleNamespace(history=[{}] * epoch, scored=network))  # type: ignore[arg-type]  # resumed
        assert network.training
        classes, used = labels(network, batch)
        assert len(seen) == [0, 0, 1, 1, 2][epoch] * -(-len(ids) // spec.train.batch_size)
        if epoch < 2:
            assert used.tolist() == [0.0] * 4
        else:
            expected = [int(images.views(ids[row])[0].mean() < 128) for row in (3, 0, 1, 3)]
            assert (classes.tolist(), used.tolist()) == (expected, [1.0] * 4)
    assert not any(was_training for was_training, _ in seen)
    other = Renewal(Kept(len(ids), 0.5), ids, spec, images, 2)
    other.load_state_dict(hook.state_dict())
    assert other.last == 4
    assert torch.equal(other.labels.labels, labels.labels)


# --- the views


def settings(tiny: Tiny, train: dict[str, Any] | None = None, **how: Any) -> dict[str, Any]:
    """Recipe's settings of a model, and lists and caches of its unlabelled images."""
    chosen = tiny.model({**(train or {}), "fixmatch": {"sources": ["unlabeled"], "mu": 2, "threshold": 0.5, **how}})
    splits = chosen["train"]["fixmatch"]["sources"]
    lists = [str(tiny.folds / f"{split}.csv") for split in splits]
    return {"model": chosen, "unlabeled": lists, "caches": tiny.caches("train", *splits)}


def spec_of(made: dict[str, Any]) -> Spec:
    return read(made["model"], "squash", 3, PLACE)


def views_of(tiny: Tiny, **how: Any) -> tuple[Views, list[str]]:
    made = settings(tiny, **how)
    ids = pd.read_csv(made["unlabeled"][0])["id"].tolist()
    return Views(ids, spec_of(made), tasks.learn(tiny.task, tiny.classes), CachedImages(made["caches"])), ids


def test_each_unlabelled_image_comes_once_in_a_pass_and_passes_have_orders_of_their_own(tiny: Tiny) -> None:
    views, ids = views_of(tiny, mu=3)
    places = [place for number in range(20) for place in views.places(number)]
    assert len(ids) == 10
    passes = [[place.row for place in places if place.epoch == number] for number in range(6)]
    assert [sorted(rows) for rows in passes] == [list(range(10))] * 6
    assert len({tuple(rows) for rows in passes}) == 6
    views.orders.clear()
    assert views.places(13) == places[39:42], "a place is a function of its number alone"


def test_weak_and_strong_view_are_of_one_image_and_draw_from_streams_of_their_own(tiny: Tiny) -> None:
    views, ids = views_of(tiny, weak="none", **STRONG)
    found = views(Place(0, 0, number=4))
    own = views.sets["weak"].images
    assert [own[ids[place.row]].tolist() for place in views.places(4)] == found["weak"][:, 0].tolist()
    assert found["weak"].shape == found["strong"].shape == (2, 1, 12, 12, 3)
    assert (found["weak"] != found["strong"]).any(axis=(1, 2, 3, 4)).all()
    same, _ = views_of(
        tiny, weak=[{"randaugment": {"n": 3}}], strong=[{"randaugment": {"n": 3}}, {"ToGray": {"p": 0.0}}]
    )
    found = same(Place(0, 0, number=4))
    assert (found["weak"] != found["strong"]).any(), "though both are augmented alike, they draw differently"
    later = [same(Place(0, 0, number=4 + 5 * passed))["weak"] for passed in range(2)]
    assert not np.array_equal(*later), "the views of the next pass are others"


def batches(tiny: Tiny, workers: int, **train: Any) -> Loader:
    made = settings(tiny, train, **STRONG)
    spec, images = spec_of(made), CachedImages(made["caches"])
    target, learn = tasks.target(tiny.task, tiny.classes), tasks.learn(tiny.task, tiny.classes)
    lesson = with_unlabeled(Lesson(target, learn, entropy), spec, images, made["unlabeled"])
    table = pd.read_csv(tiny.fold_file(), dtype=str)
    rows = table[table["split"] == "train"].assign(weight=1.0).reset_index(drop=True)
    alone: Any = type("Alone", (), {"process_index": 0, "num_processes": 1, "device": torch.device("cpu")})()
    return loader(spec, lesson.target, lesson.learn, rows, images, workers, alone, more=lesson.more)


def test_batches_are_the_same_whatever_the_workers_and_wherever_they_start(tiny: Tiny) -> None:
    expected = [[*batches(tiny, 0).epoch(epoch)] for epoch in (0, 1)]
    own = batches(tiny, 2)
    for epoch, start in ((1, 0), (0, 1)):
        found = [*own.epoch(epoch, start)]
        assert len(found) == len(expected[epoch]) - start > 0
        for batch, other in zip(found, expected[epoch][start:], strict=True):
            for name in ("weak", "strong", "own"):
                assert torch.equal(batch.targets[name], other.targets[name])
    assert not torch.equal(expected[0][0].targets["weak"], expected[1][0].targets["weak"])


@pytest.mark.parametrize("train", [{"mixup_alpha": 0.4}, {"sizes": {"multi_scale": [8, 12]}}, {"sampler": "balanced"}])
def test_unlabelled_images_have_the_size_of_their_batch_and_are_not_mixed(train: dict[str, Any], tiny: Tiny) -> None:
    plain = [*batches(tiny, 0).epoch(0)]
    for batch, other in zip(batches(tiny, 0, **train).epoch(0), plain, strict=True):
        assert batch.targets["strong"].shape[3:5] == batch.inputs.images.shape[3:5]
        assert batch.targets["own"].dim() == 1 + ("mixup_alpha" in train)
        if "sizes" not in train:
            assert torch.equal(batch.targets["strong"], other.targets["strong"])


def test_processes_share_the_unlabelled_images_of_one_with_twice_the_batch() -> None:
    whole = [place for epoch in (0, 1) for batch in _epoch(EpochSampler(22, 8, ("k",)), epoch) for place in batch]
    shares = [EpochSampler(22, 4, ("k",), process, 2) for process in (0, 1)]
    found = [place for epoch in (0, 1) for share in shares for batch in _epoch(share, epoch) for place in batch]
    assert sorted(found) == sorted(whole)
    assert sorted(place.number for place in whole) == list(range(32)), "no number is left out between epochs"


def _epoch(sampler: EpochSampler, epoch: int) -> list[list[Place]]:
    sampler.epoch = epoch
    return list(sampler)


# --- a training

KINDS: dict[str, Any] = {
    "epochs": 3, "accumulate": 2, "batch_size": 4, "ema_decay": 0.5, "mixup_alpha": 0.4, "flips": "horizontal",
    "warmup_epochs": 0, "checkpoint": "best",
}  # fmt: skip


@pytest.mark.parametrize("how", [{"ema_teacher": True}, {}, {"renew_epochs": 1}], ids=str)
def test_a_run_stopped_at_a_step_ends_with_the_same_bytes(how: dict[str, Any], tiny: Tiny, tmp_path: Path) -> None:
    made = settings(tiny, {**KINDS, **({"update": "sam"} if how else {})}, **how, **STRONG)
    facts = tiny.train(tmp_path / "whole", **made)
    history = pd.read_csv(tmp_path / "whole/history.csv")
    assert {"train_loss_own", "train_loss_unlabeled", "mask_rate"} <= set(history)
    assert history["mask_rate"].between(0, 1).all()
    assert history["mask_rate"].iloc[-1] > 0
    assert np.allclose(history["train_loss_own"] + history["train_loss_unlabeled"], history["train_loss"], atol=1e-5)
    assert facts["fixmatch"] == {"images": 10}
    assert (history["mask_rate"].iloc[0] == 0) == ("renew_epochs" in how)
    for step in (2, 4, 5):  # mid-epoch, at the end of one, in a later one
        folder = tmp_path / str(step)
        run_until(step, tiny, folder, **made)
        assert tiny.train(folder, **made)["resumed_at_step"] == [step - 1]
        assert bytes_of(folder) == bytes_of(tmp_path / "whole")


def test_no_label_of_validation_images_and_no_column_but_the_id_reaches_the_network(tiny: Tiny, tmp_path: Path) -> None:
    made, table = settings(tiny, {"epochs": 2}, **STRONG), pd.read_csv(tiny.fold_file(), dtype=str)
    held_out = table["split"] == "val"
    table.loc[held_out, "label"] = table.loc[held_out, "label"].to_numpy()[::-1]
    assert (table["label"] != pd.read_csv(tiny.fold_file(), dtype=str)["label"]).any()
    table.to_csv(tmp_path / "fold0.csv", index=False)
    listed = pd.read_csv(made["unlabeled"][0], dtype=str)
    assert not {*listed["id"]} & {*table["id"]}
    listed[["id"]].assign(label=tiny.classes[0]).to_csv(tmp_path / "unlabeled.csv", index=False)
    tiny.train(tmp_path / "plain", **made)
    tiny.train(
        tmp_path / "other",
        **{**made, "unlabeled": [str(tmp_path / "unlabeled.csv")]},
        fold_file=str(tmp_path / "fold0.csv"),
    )
    plain, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("plain", "other"))
    assert plain == other
    fewer = {**made, "unlabeled": [str(tmp_path / "fewer.csv")]}
    listed[:5].to_csv(tmp_path / "fewer.csv", index=False)
    tiny.train(tmp_path / "fewer", **fewer)
    assert (tmp_path / "fewer/model.safetensors").read_bytes() != plain


# --- config, plan and recipes


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"models": [model(mu=0)]}, r"models\[0\]\.train\.fixmatch\.mu = 0: must be at least 1"),
    ({"models": [model(threshold=1.5)]}, r"models\[0\]\.train\.fixmatch\.threshold = 1\.5: must be at most"),
    ({"models": [model(weight=0)]}, r"models\[0\]\.train\.fixmatch\.weight = 0: must be greater than 0"),
    ({"models": [model(sources=[])]}, r"models\[0\]\.train\.fixmatch\.sources = \[\]: must have at least 1 item"),
    ({"models": [model(treshold=1)]}, r"models\[0\]\.train\.fixmatch\.treshold: unknown key; nearest is 'threshold'"),
    ({"models": [B0, model(sources=["unlabeled"])]}, r"models\[1\] \(b3\)\.train\.fixmatch\.sources: there are no unlabeled "
     r"images; set data\.unlabeled or data\.test, or remove fixmatch"),
    ({"models": [model(strong="light")]}, r"models\[0\] \(b3\)\.train\.fixmatch\.strong: is the same as train\.augment, which "
     r"the weak view has; .*Set another"),
    ({"models": [model(weak="medium", strong=["medium"])]}, r"models\[0\] \(b3\)\.train\.fixmatch\.strong: is the same as "
     r"train\.fixmatch\.weak; "),
    ({"models": [model(strong="brod")]}, r"models\[0\] \(b3\)\.train\.fixmatch\.strong = 'brod': .*nearest is 'broad'"),
    ({"models": [model(ema_teacher=True)]}, r"models\[0\] \(b3\)\.train\.fixmatch\.ema_teacher = true: there are no averaged "
     r"weights; set train\.ema_decay: 0\.999, or remove it"),
    ({"models": [model(train={"update": "sam"})]}, r"models\[0\] \(b3\)\.train\.fixmatch: sam computes each gradient at moved "
     r"weights, .*set ema_teacher: true"),
    ({"models": [model(train={"epochs": 5}, renew_epochs=5)]},
     r"models\[0\] \(b3\)\.train\.fixmatch\.renew_epochs = 5: the images are labelled for the "
     r"first time before epoch 5, but there are only 5 epochs; set fewer"),
    ({"models": [model(renew_epochs=2, weak="medium")]}, r"models\[0\] \(b3\)\.train\.fixmatch\.weak: with renew_epochs, "
     r"images are labelled without augmentation by the network that is validated, so it has no effect; remove it"),
    ({"models": [model(train={"ema_decay": 0.9}, renew_epochs=2, ema_teacher=True)]},
     r"models\[0\] \(b3\)\.train\.fixmatch\.ema_teacher: with renew_epochs"),
    ({"models": [model(train={"compile": True})]}, r"models\[0\] \(b3\)\.train\.compile = true: cannot be combined with "
     r"fixmatch, whose"),
    ({"models": [B0, model(train={"distill": {"teacher": "b0"}})]}, r"models\[1\] \(b3\)\.train\.fixmatch: cannot be combined "
     r"with distill; "),
    ({"models": [model()], "rounds": [{}, {"train": {"fixmatch": {"strong": "light"}}}]},
     r"rounds\[1\]\.train\.fixmatch\.strong: is the same as"),
    ({"models": [model()], "task": "segmentation"}, r"models\[0\] \(b3\)\.train\.fixmatch: task 'segmentation' has no FixMatch "
     r"yet; these tasks have: classification, ordinal\. Remove it"),
    ({"models": [model()], "task": "multilabel"}, r"models\[0\] \(b3\)\.train\.fixmatch: task 'multilabel' has no FixMatch yet"),
    ({"models": [model()], "task": "regression"}, r"models\[0\] \(b3\)\.train\.fixmatch: task 'regression' has no FixMatch yet"),
    ({"models": [{**model(), "metadata": True}], "data": {**BASE["data"], "metadata": {"numeric": ["age"]}}},
     r"models\[0\] \(b3\)\.train\.fixmatch: unlabelled images have no metadata; set metadata: false for this model"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "said"), WRONG, ids=[text[:70] for _, text in WRONG])
def test_what_fixmatch_cannot_do_is_refused_before_any_job(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=rf"(?s)\n  {said}") as caught:
        parse({**BASE, **changes})
    if "task" not in changes:
        assert str(caught.value).startswith("config: 1 problem\n")


def test_data_without_images_to_learn_from_are_refused() -> None:
    data = {key: value for key, value in BASE["data"].items() if key != "test"}
    with pytest.raises(ConfigError, match=r"train\.fixmatch\.sources: there are no test or unlabeled images; set data"):
        parse({**BASE, "data": data, "models": [model()]})


def test_a_view_that_fails_is_found_before_training() -> None:
    wanted = slices.network_checks(parse({**BASE, "models": [model(strong=[{"ToFloat": {}}])]}))[0]
    with pytest.raises(
        ConfigError, match=r"train\.fixmatch\.strong = .*ToFloat returns float32; images must stay uint8"
    ):
        check_components(wanted, 2)


def test_only_trainings_that_ask_for_them_read_unlabelled_images() -> None:
    data = {**BASE["data"], "unlabeled": "raw/more"}
    rounds = [{}, {"clean": {"folds": 2}}, {"models": ["b3"], "train": {"fixmatch": None}}]
    plan = plan_of(parse({**BASE, "data": data, "models": [B0, model()], "rounds": rounds}))
    found = {
        (job.stage, job.model, job.round): (
            plan.unlabeled_of(job),
            sorted({piece.shard[:-2] for piece in plan.caches(job)}),
        )
        for stage in plan.stages()
        for job in plan.jobs(stage)
        if job.model
    }
    every = (["test", "unlabeled"], ["test", "train", "unlabeled"])
    asking = {place for place, (splits, _) in found.items() if splits}
    assert asking == {("train", "b3", 0), ("train", "b3", 1), ("inner_train", "b3", 0)}
    assert all(found[place] == every for place in asking)
    assert found["train", "b0", 0] == found["inner_train", "b0", 0] == ([], ["train"])
    assert found["inner_predict", "b3", 0] == found["train", "b3", 2] == ([], ["train"])
    plan = plan_of(
        parse({**BASE, "data": data, "models": [model(sources=["unlabeled"])], "pseudo_labels": {"rounds": 1}})
    )
    caches = [piece.shard for piece in plan.caches(job_of("train", plan.runs[-1]))]
    assert len(caches) == len(set(caches)) == 3 * BASE["data"]["shards"], "pseudo-labelled images are read once"


def test_the_recipe_names_views_and_sources_and_others_have_none() -> None:
    config = parse({**BASE, "models": [B0, model(strong="medium")]})
    made = {name: recipe(config, Job("train", name)) for name in ("b0", "b3")}
    assert "fixmatch" not in made["b0"]["settings"]["model"]["train"]
    assert made["b0"] == recipe(parse({**BASE, "models": [B0, B3]}), Job("train", "b0"))
    how = made["b3"]["settings"]["model"]["train"]["fixmatch"]
    assert how["sources"] == ["test"], "there are no unlabeled images"
    assert [next(iter(step)) for step in how["weak"]] == ["shift_scale_rotate"]
    assert next(iter(how["strong"][0])) == "RandomResizedCrop"
    code = "goldfold.training.fixmatch:matched"
    assert code not in made["b0"]["code"]["of"]
    assert code in made["b3"]["code"]["of"]
    without = parse({**BASE, "models": [model()], "rounds": [{}, {"train": {"fixmatch": None}}]})
    assert "fixmatch" not in recipe(without, Job("train", "b3", 1))["settings"]["model"]["train"]


WIDE, SLIM = TINY["models"]  # type: ignore[misc]
WITH = {"pseudo_labels": {"rounds": 0}, "models": [WIDE, {**SLIM, "train": {"fixmatch": {}}}]}  # type: ignore[dict-item]
LATE = {"ensemble", "submit", "report"}


def jobs(stages: str, *models: str) -> set[str]:
    return {f"{stage} {name}/round0/fold{fold}/seed0" for stage in stages.split() for name in models for fold in (0, 1)}


def test_other_unlabelled_images_rerun_exactly_the_trainings_that_learn_from_them(in_tmp: Path) -> None:
    made_run.finish(in_tmp / "run", **WITH)
    folder = in_tmp / "run"
    assert would_run(folder, **WITH) == set()
    weight = {**WITH, "models": [WIDE, {**SLIM, "train": {"fixmatch": {"weight": 0.5}}}]}  # type: ignore[dict-item]
    found = {name for name in would_run(folder, **weight) if not name.startswith("cache")}
    assert found == jobs("train predict", "slim") | LATE
    none = {**WITH, "models": [WIDE, SLIM]}
    found = {name for name in would_run(folder, **none) if not name.startswith("cache")}
    assert found == jobs("train predict", "slim") | LATE
    rows = pd.read_csv(folder / "raw/test.csv", dtype=str)
    rows[1:].to_csv(folder / "raw/test.csv", index=False)
    made_run.enter(folder)
    made_run.make_folds()
    found = {name for name in would_run(folder, **WITH) if not name.startswith("cache")}
    assert found == jobs("train", "slim") | jobs("predict", "wide", "slim") | LATE


@pytest.mark.usefixtures("undrawn")
def test_the_report_draws_the_mask_rate_of_the_models_that_have_one() -> None:
    history = pd.DataFrame(
        {"epoch": [0, 1], "train_loss": [2.0, 1.0], "train_loss_unlabeled": [0.1, 0.2], "mask_rate": [0.1, 0.4]}
    )
    runs = [
        SimpleNamespace(model="b3", round=0, record={"fixmatch": {"images": 10}}, history=history),
        SimpleNamespace(model="b0", round=0, record={}, history=history[["epoch", "train_loss"]]),
    ]
    text, figure = page.blocks(SimpleNamespace(models=["b0", "b3"], runs=runs))  # type: ignore[arg-type]
    assert text.heading == "FixMatch of b3"  # type: ignore[union-attr]
    assert "The mask rate is the share of 10 images without labels" in text.text  # type: ignore[union-attr]
    assert figure.name == "fixmatch_b3"  # type: ignore[union-attr]
