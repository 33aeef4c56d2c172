"""Samplers: which cases an epoch has, in an order that is a function of key and epoch alone."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import PLACE, Tiny
from goldfold.base.errors import ConfigError, TrainingError
from goldfold.cache.images import CachedImages
from goldfold.commands.sample_trial import check_samples
from goldfold.config import parse, slices
from goldfold.planning.plan import job_of, plan_of
from goldfold.samples.dataset import EpochSampler
from goldfold.samples.samplers import (
    EpochOrder,
    TrainingCases,
    balanced,
    in_random_order,
    oversampled,
    repeats,
    weighted,
)
from goldfold.tasks.optional import classes_of
from goldfold.training.samples import loader
from goldfold.training.spec import read
from whole_task import whole

LEVELS = [0] * 60 + [1] * 25 + [2] * 10 + [3] * 5
seeds = st.integers(0, 2**32 - 1)


def of(levels: list[int]) -> TrainingCases:
    return TrainingCases(len(levels), lambda by: np.array(levels))


def counts(levels: list[int], rows: Any) -> dict[int, int]:
    return dict(Counter(np.array(levels)[rows].tolist()))


# --- each sampler


@given(st.lists(st.integers(0, 6), min_size=1, max_size=80), st.integers(1, 20), seeds)
def test_balanced_batches_hold_each_class_as_often_as_another(levels: list[int], batch: int, seed: int) -> None:
    rows = balanced(of(levels), batch, np.random.default_rng(seed))
    known = set(levels)
    assert len(rows) == len(levels), "an epoch is as long as without"
    for start in range(0, len(rows), batch):
        found = counts(levels, rows[start : start + batch])
        numbers = [found.get(level, 0) for level in known]
        assert max(numbers) - min(numbers) <= 1
    found = [counts(levels, rows).get(level, 0) for level in known]
    assert max(found) - min(found) <= 1
    for level in known:  # each case of a level is used again only when all were
        used = [
            repeat for row, repeat in zip(*np.unique(rows, return_counts=True), strict=True) if levels[row] == level
        ]
        if len(used) < levels.count(level):
            assert max(used, default=1) == 1
        else:
            assert max(used) - min(used) <= 1


def test_frequent_cases_take_turns_over_the_epochs() -> None:
    order = EpochOrder(balanced, of(LEVELS), 8, ("k",))
    assert {row for epoch in range(20) for row in order(epoch).tolist()} == set(range(100))


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_weighted_draws_have_the_binomial_counts_of_their_power(power: float) -> None:
    rows = np.concatenate([weighted(of(LEVELS), 8, np.random.default_rng(seed), power=power) for seed in range(40)])
    sizes = np.bincount(LEVELS)
    shares = sizes ** (1 - power) / (sizes ** (1 - power)).sum()
    for level, share in enumerate(shares):
        n = counts(LEVELS, rows)[level]
        assert abs(n - 4000 * share) < 4 * np.sqrt(4000 * share * (1 - share))
    assert len(rows) == 4000


def test_oversampled_epochs_have_exact_counts_and_every_case() -> None:
    rows = oversampled(of(LEVELS), 8, np.random.default_rng(0), share=0.5, most=4)
    assert counts(LEVELS, rows) == {0: 60, 1: 30, 2: 30, 3: 20}
    assert set(rows.tolist()) == set(range(100))
    times = np.bincount(rows)
    assert (times[:60] == 1).all()
    assert (times[85:95] == 3).all()
    assert sorted(times[60:85]) == [1] * 20 + [2] * 5
    assert counts(LEVELS, oversampled(of(LEVELS), 8, np.random.default_rng(0))) == {0: 60, 1: 60, 2: 60, 3: 50}


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (
            {"weighted": {"power": 2}},
            "train.sampler = {'weighted': {'power': 2}}: sampler weighted: power = 2 must be between",
        ),
        ({"oversampled": {"most": 0.5}}, "share = 1 must be 0..1, and most = 0.5 at least 1"),
        ("test_samplers:of_names", "train.sampler returned <U1 (12,) for 12 cases; return row numbers from 0 to 11"),
        (
            "test_samplers:shrinking",
            "epoch 1 has 11 cases, but epoch 0 has 12. The schedule needs epochs of one length.",
        ),
    ],
)
def test_a_sampler_that_cannot_be_used_is_refused_before_any_job(wanted: Any, said: str) -> None:
    model = {"task": "detection", "size": (8, 8), "channels": 3, "train": {"sampler": wanted}}
    with pytest.raises(ConfigError) as caught:
        check_samples(model, 2)
    assert said in str(caught.value)


def of_names(cases: TrainingCases, batch_size: int, generator: np.random.Generator) -> Any:
    return np.array(list("abcdefghijkl"))


SEEN: list[int] = []


def shrinking(cases: TrainingCases, batch_size: int, generator: np.random.Generator) -> Any:
    SEEN.append(1)
    return np.arange(cases.n - (len(SEEN) - 1))


# --- epochs of batches


@given(st.sampled_from([balanced, weighted, oversampled]), st.integers(1, 3), seeds, st.integers(0, 4))
def test_an_epoch_goes_on_where_it_was_left_and_processes_share_it(sampler: Any, n: int, seed: int, start: int) -> None:
    def batches(process: int = 0, processes: int = 1, start: int = 0, epoch: int = 2) -> list[Any]:
        order = EpochOrder(sampler, of(LEVELS), 6 * n, ("k", seed))
        made = EpochSampler(100, 6 * n // processes, ("k", seed), process, processes, order)
        made.epoch, made.start = epoch, start
        return list(made)

    assert batches(start=start) == batches()[start:]
    shares = [batches(process, n) for process in range(n)]
    whole = batches()
    assert [sorted(place for part in parts for place in part) for parts in zip(*shares, strict=True)] == [
        sorted(part) for part in whole
    ]
    assert len({tuple(place) for part in whole for place in part}) == sum(map(len, whole)), "no place comes twice"
    assert whole != batches(epoch=1)


def test_repeats_count_what_came_before() -> None:
    rows = np.array([3, 1, 3, 3, 0, 1])
    assert repeats(rows).tolist() == [0, 0, 1, 2, 0, 1]
    assert repeats(np.arange(4)).tolist() == [0, 0, 0, 0]
    order = in_random_order(5, ("k",))
    assert sorted(order(3).tolist()) == list(range(5))
    with pytest.raises(ConfigError, match="there is no column 'class'"):
        order.cases.levels("class")


def test_an_epoch_of_another_length_ends_the_run() -> None:
    order = EpochOrder(lambda cases, batch, generator: np.arange(cases.n), of([0, 1, 2]), 2, ("k",))
    order.cases = of([0, 1])
    with pytest.raises(TrainingError, match=r"train\.sampler: epoch 1 has 2 cases, but epoch 0 has 3"):
        order(1)


# --- classes and columns


def test_a_case_of_several_classes_counts_as_the_rarest() -> None:
    table = pd.DataFrame({"labels": ['["a", "b"]', '["a"]', "[]", '["b", "c"]', '["a", "c"]', '["a"]', '["b"]']})
    task = whole({"name": "multilabel"}, ["a", "b", "c"])
    assert classes_of(task, table, []).tolist() == [1, 0, -1, 2, 2, 0, 1]


def drawn(
    tiny: Tiny, sampler: Any, lists: list[str] | None = None, **model: Any
) -> tuple[pd.DataFrame, list[list[str]]]:
    """Training cases of fold 0, and the ids of the batches of an epoch."""
    chosen = whole(tiny.task, tiny.classes)
    spec = read(tiny.model({"batch_size": 4}), "squash", 3, PLACE)
    spec = replace(spec, train=replace(spec.train, sampler=sampler))
    rows = (
        pd.read_csv(tiny.fold_file(), dtype=str, keep_default_na=False).query("split == 'train'").reset_index(drop=True)
    )
    place: Any = SimpleNamespace(process_index=0, num_processes=1, device=SimpleNamespace(type="cpu"))
    images = CachedImages(tiny.caches())
    found = loader(spec, chosen, chosen.learn, rows.assign(weight=1.0), images, 0, place, lists=lists or [])
    return rows, [batch.ids for batch in found.epoch(0)]


@pytest.mark.parametrize("name", ["classification", "multilabel", "regression", "segmentation", "detection"])
def test_every_task_has_classes_to_balance(name: str, tiny_of: dict[str, Tiny]) -> None:
    rows, batches = drawn(tiny_of[name], "balanced")
    chosen = whole(tiny_of[name].task, tiny_of[name].classes)
    images = CachedImages(tiny_of[name].caches())
    labels = classes_of(chosen, rows, chosen.targets(rows, images, "squash"))
    of_id = dict(zip(rows["id"], labels.tolist(), strict=True))
    for ids in batches:
        numbers = Counter(of_id[id] for id in ids)
        everything = [numbers[label] for label in set(labels.tolist())]
        assert max(everything) - min(everything) <= 1
    assert len(set(of_id.values())) > 1


def test_a_class_that_the_fold_lacks_is_no_error(tiny: Tiny) -> None:
    without = Tiny(tiny.root, tiny.data, tiny.task, tiny.metric, tiny.n_folds, ["bird", *tiny.classes])
    assert len(drawn(without, "balanced")[1]) == 5


def test_repeated_cases_are_augmented_by_draws_of_their_own(tiny: Tiny) -> None:
    from goldfold.samples.dataset import TrainingSet
    from goldfold.samples.transforms import Augment

    images = CachedImages(tiny.caches())
    first = next(iter(images.place))
    samples = TrainingSet([first], [{"label": 0}], [1.0], images, Augment("medium", "none", images.frame, 3), ("k",))
    made = [samples[place]["images"] for place in ((0, 0), (0, 0, 1), (0, 0, 2), (0, 0, 1))]
    assert not np.array_equal(made[0], made[1])
    assert not np.array_equal(made[1], made[2])
    assert np.array_equal(made[1], made[3])


def test_columns_are_read_from_the_lists_of_the_fold(tiny: Tiny, tmp_path: Path) -> None:
    ids = pd.read_csv(tiny.fold_file(), dtype=str)["id"]
    sites = pd.DataFrame({"id": ids[1:], "meta_site": ["north" if int(id[2:]) % 5 else "south" for id in ids[1:]]})
    sites.to_csv(tmp_path / "fold0-metadata.csv", index=False)
    pd.DataFrame({"id": ids, "group": "g"}).to_csv(tmp_path / "fold0-groups.csv", index=False)
    lists = [str(tmp_path / "fold0-metadata.csv"), str(tmp_path / "fold0-groups.csv")]
    rows, batches = drawn(tiny, {"oversampled": {"by": "site", "most": 100}}, lists)
    of_id = dict.fromkeys(ids, "") | dict(zip(sites["id"], sites["meta_site"], strict=True))
    expected = Counter(of_id[id] for id in rows["id"])
    found = Counter(of_id[id] for part in batches for id in part)
    most = max(expected.values())
    assert sum(found.values()) == most * len(expected) // 4 * 4
    assert all(number >= most - 3 for number in found.values()), "cases without a value are a level of their own"
    assert sorted({id for part in drawn(tiny, {"oversampled": {"by": "group"}}, lists)[1] for id in part}) == sorted(
        rows["id"]
    )
    with pytest.raises(ConfigError, match=r"by = 'age': the data have no such column"):
        drawn(tiny, {"weighted": {"by": "age"}}, lists)


# --- config, plan and folds


def config(sampler: Any, **changes: Any) -> Any:
    data = {
        "source": "csv",
        "train": "t.csv",
        "images": "i",
        "group_column": "p",
        "metadata": {"categorical": ["site"]},
    }
    models = [
        {"name": "a", "network": "small_resnet", "image_size_px": 16, "train": {"sampler": sampler}},
        {"name": "b", "network": "small_resnet", "image_size_px": 16},
    ]
    folds = {"splitter": "stratified_group", "n_folds": 2}
    return parse({"name": "t", "data": {**data, "test": "s.csv"}, "folds": folds, "models": models, **changes})


def test_lists_of_a_column_are_inputs_of_the_trainings_that_sample_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("goldfold.config.load.check", lambda config: None, raising=False)
    lists = {}
    for by in ("class", "group", "site"):
        plan = plan_of(config({"weighted": {"by": by}}))
        jobs = [job_of(stage, run) for stage in ("train", "predict") for run in plan.runs if run.fold == 0]
        lists[by] = {(job.stage, job.model): [*plan.metadata_lists(job), *plan.group_lists(job)] for job in jobs}
        assert ("fold0-groups.csv" in str(plan.files["folds"].beside)) == (by == "group")
    none: dict[Any, list[str]] = {(stage, model): [] for stage in ("train", "predict") for model in ("a", "b")}
    assert lists == {
        "class": none,
        "group": {**none, ("train", "a"): ["fold0-groups.csv"]},
        "site": {**none, ("train", "a"): ["fold0-metadata.csv"]},
    }


def test_a_default_is_left_out_of_the_recipe_and_a_round_can_return_to_it() -> None:
    made = config("balanced", rounds=[{}, {"train": {"sampler": "shuffled"}}])
    assert slices.learning(made, "a", 0)["train"]["sampler"] == "balanced"
    assert "sampler" not in slices.learning(made, "a", 1)["train"]
    assert not {"sampler", "mix"} & set(slices.learning(made, "b")["train"])
    short = slices.learning(config("balanced", train={"mixup_alpha": 0.2, "mix": ["mosaic"]}), "b")["train"]
    assert short["mix"] == [{"mixup": {"alpha": 0.2}}, "mosaic"]
