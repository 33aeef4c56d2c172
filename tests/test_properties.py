import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from conftest import FORM, TASK
from entries import VIEWS
from goldfold.base.counter import counter
from goldfold.base.errors import DataError
from goldfold.cache.images import shard_of
from goldfold.ensembling.average import geometric, logit, mean_ranks, probability, rank
from goldfold.metrics.bootstrap import bootstrap
from goldfold.metrics.classification import roc_auc
from goldfold.predictions.arrays import save
from goldfold.samples.dataset import EpochSampler
from goldfold.splits.splitting import split
from goldfold.stages import submit
from whole_task import classification

seeds = st.integers(0, 2**32 - 1)


# --- folds


@st.composite
def tables(draw: st.DrawFn) -> tuple[pd.DataFrame, int]:
    """Tables that a stratified splitter takes: every class has an image for every fold; groups of 1 to 4 images."""
    n_folds = draw(st.integers(2, 5))
    counts = draw(st.lists(st.integers(n_folds, 25), min_size=2, max_size=4))
    labels = [f"c{number}" for number, count in enumerate(counts) for _ in range(count)]
    generator = np.random.default_rng(draw(seeds))
    groups = generator.integers(0, max(n_folds + 1, len(labels) // draw(st.integers(1, 4))), len(labels))
    table = pd.DataFrame({"label": labels, "group": [f"g{group}" for group in groups]})
    table["id"] = [f"i{number}" for number in generator.permutation(len(table))]
    return table.sample(frac=1, random_state=int(generator.integers(1000))).reset_index(drop=True), n_folds


def content_of(table: pd.DataFrame) -> pd.DataFrame:
    """As classification gives it: 1 in the column of the label."""
    return classification(sorted(set(table["label"]))).content(table)


def split_or_reject(table: pd.DataFrame, splitter: str, n_folds: int, seed: int) -> np.ndarray:
    try:
        return split(table, content_of(table), splitter, n_folds, seed)
    except DataError:
        assume(False)
        raise


@given(tables(), seeds, st.sampled_from(["stratified", "group", "stratified_group"]))
def test_every_image_validates_in_exactly_one_fold_and_no_fold_is_empty(
    made: tuple[pd.DataFrame, int], seed: int, splitter: str
) -> None:
    table, n_folds = made
    folds = split_or_reject(table, splitter, n_folds, seed)
    assert len(folds) == len(table)
    assert set(folds) == set(range(n_folds))
    for number in range(n_folds):
        assert set(table["label"][folds != number]) == set(table["label"]), "every class is learnt in every fold"


@given(tables(), seeds, st.sampled_from(["group", "stratified_group"]))
def test_no_group_spans_two_folds(made: tuple[pd.DataFrame, int], seed: int, splitter: str) -> None:
    table, n_folds = made
    folds = split_or_reject(table, splitter, n_folds, seed)
    assert (pd.Series(folds).groupby(table["group"]).nunique() == 1).all()


@given(tables(), seeds, seeds, st.sampled_from(["stratified", "group", "stratified_group"]))
def test_folds_do_not_depend_on_the_order_of_rows(
    made: tuple[pd.DataFrame, int], seed: int, shuffle: int, splitter: str
) -> None:
    table, n_folds = made
    folds = split_or_reject(table, splitter, n_folds, seed)
    shuffled = table.sample(frac=1, random_state=shuffle).reset_index(drop=True)
    again = split(shuffled, content_of(shuffled), splitter, n_folds, seed)
    assert dict(zip(table["id"], folds, strict=True)) == dict(zip(shuffled["id"], again, strict=True))


@given(tables(), seeds)
def test_each_fold_has_each_class_in_its_share_to_within_an_image(made: tuple[pd.DataFrame, int], seed: int) -> None:
    table, n_folds = made
    folds = split(table.drop(columns="group"), content_of(table), "stratified", n_folds, seed)
    counts = pd.crosstab(folds, table["label"])
    exact = table["label"].value_counts() / n_folds
    assert ((counts - exact).abs() <= 1 + 1e-9).all().all()


@given(st.integers(2, 6), seeds)
def test_group_folds_are_of_about_the_same_size(n_folds: int, seed: int) -> None:
    table = pd.DataFrame({"id": [f"i{n:03d}" for n in range(240)], "group": [f"g{n // 2}" for n in range(240)]})
    table["label"] = [str(n % 3) for n in range(240)]
    sizes = np.bincount(split(table, content_of(table), "group", n_folds, seed), minlength=n_folds)
    assert sizes.max() - sizes.min() <= 4


@st.composite
def amounts(draw: st.DrawFn) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    """Groups of images, and how many objects, or pixels, of each class are in each: in most none or some of several."""
    n_folds, n, n_classes = draw(st.integers(2, 4)), draw(st.integers(30, 60)), draw(st.integers(1, 4))
    generator, most = np.random.default_rng(draw(seeds)), draw(st.sampled_from([4, 100_000]))
    values = generator.integers(1, most, (n, n_classes)) * (generator.random((n, n_classes)) < 0.6)
    values[: 2 * n_folds] = np.maximum(values[: 2 * n_folds], 1)
    table = pd.DataFrame({"id": [f"i{number:02d}" for number in generator.permutation(n)]})
    table["group"] = [f"g{number}" for number in generator.permutation(n) // draw(st.integers(1, 3))]
    return table, pd.DataFrame(values, columns=[f"c{number}" for number in range(n_classes)]), n_folds


@given(amounts(), seeds, st.sampled_from(["stratified", "group", "stratified_group"]))
def test_folds_of_images_with_many_objects_or_none_hold_each_once_and_part_no_group(
    made: tuple[pd.DataFrame, pd.DataFrame, int], seed: int, splitter: str
) -> None:
    table, content, n_folds = made
    table = table.drop(columns="group") if splitter == "stratified" else table
    try:
        folds = split(table, content, splitter, n_folds, seed)
    except DataError:
        assume(False)
    assert len(folds) == len(table)
    assert set(folds) == set(range(n_folds))
    for number in range(n_folds):
        assert (content[folds != number].sum() > 0).all(), "every class is learnt in every fold"
    if splitter != "stratified":
        assert (pd.Series(folds).groupby(table["group"]).nunique() == 1).all()
    order = np.random.default_rng(seed).permutation(len(table))
    shuffled = [part.iloc[order].reset_index(drop=True) for part in (table, content)]
    assert (split(*shuffled, splitter, n_folds, seed) == folds[order]).all()


@pytest.mark.parametrize("most", [6, 40_000], ids=["objects", "pixels"])
@pytest.mark.parametrize("seed", range(5))
def test_folds_share_out_objects_pixels_and_images_alike(most: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    content = pd.DataFrame(generator.integers(0, most, (200, 3)) * (generator.random((200, 3)) < 0.4), columns=[*"abc"])
    table = pd.DataFrame({"id": [f"i{number:03d}" for number in range(200)]})
    folds = split(table, content, "stratified", 4, seed)
    shares = content.groupby(folds).sum() / content.sum()
    assert (shares - 1 / 4).abs().max().max() < 0.06
    assert np.bincount(folds) == pytest.approx([50] * 4, abs=4)


# --- ensembling


@st.composite
def stacks(draw: st.DrawFn) -> tuple[np.ndarray, list[float]]:
    """Probabilities (members, images, classes), rows summing to one, some exactly 0, and weights."""
    members, images, classes = draw(st.integers(1, 4)), draw(st.integers(1, 12)), draw(st.integers(2, 5))
    generator = np.random.default_rng(draw(seeds))
    raw = generator.integers(0, draw(st.sampled_from([3, 1000])), (members, images, classes)).astype(float)
    raw[..., 0] += raw.sum(axis=-1) == 0
    weights = draw(st.lists(st.floats(0.1, 10), min_size=members, max_size=members))
    return raw / raw.sum(axis=-1, keepdims=True), weights


@given(stacks(), st.floats(0.2, 5))
def test_mean_ranks_depend_on_nothing_but_the_order_of_images_within_a_class(
    made: tuple[np.ndarray, list[float]], power: float
) -> None:
    stack, weights = made
    bent = stack.copy()
    for member in range(stack.shape[0]):
        for label in range(stack.shape[2]):
            bent[member, :, label] = (3 + member + label) * stack[member, :, label] ** power - label
    assert mean_ranks(bent, weights) == pytest.approx(mean_ranks(stack, weights), abs=1e-12)


@given(stacks())
def test_mean_ranks_rank_images_not_classes_and_average_ties(made: tuple[np.ndarray, list[float]]) -> None:
    stack, weights = made
    n = stack.shape[1]
    ranks = mean_ranks(stack, weights)
    assert ranks.sum(axis=0) == pytest.approx([(n + 1) / 2] * stack.shape[2], rel=1e-9)
    tied = np.concatenate([stack, stack[:, :1]], axis=1)
    again = mean_ranks(tied, weights)
    assert again[0] == pytest.approx(again[-1], abs=1e-12)


def test_mean_ranks_by_hand() -> None:
    stack = np.array([[[0.1, 0.9], [0.5, 0.5], [0.5, 0.5], [0.8, 0.2]]])
    expected = np.array([[1, 4], [2.5, 2.5], [2.5, 2.5], [4, 1]]) / 4
    assert mean_ranks(stack, [1.0]) == pytest.approx(expected)


@given(stacks())
def test_rank_average_orders_images_within_a_class_as_their_mean_ranks(made: tuple[np.ndarray, list[float]]) -> None:
    stack, weights = made
    fused, ranks = rank(stack, weights), mean_ranks(stack, weights)
    for label in range(stack.shape[2]):
        order = np.argsort(ranks[:, label], kind="stable")
        assert (np.diff(fused[order, label]) >= -1e-12).all()


@given(stacks())
def test_probability_average_lies_between_its_members(made: tuple[np.ndarray, list[float]]) -> None:
    stack, weights = made
    fused = probability(stack, weights)
    assert (fused >= stack.min(axis=0) - 1e-12).all()
    assert (fused <= stack.max(axis=0) + 1e-12).all()
    assert fused.sum(axis=1) == pytest.approx(1, abs=1e-9)


@given(stacks())
@pytest.mark.parametrize("method", [geometric, logit])
def test_rows_of_geometric_and_logit_averages_sum_to_one(method: Any, made: tuple[np.ndarray, list[float]]) -> None:
    fused = method(*made)
    assert fused.sum(axis=1) == pytest.approx(1, abs=1e-9)
    assert (fused >= 0).all()


def test_the_mean_of_logits_is_the_geometric_mean_and_logit_is_that_of_log_odds() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (3, 50, 4))
    mean_of_logits = softmax(np.average(logits, axis=0, weights=[1, 2, 3]), axis=1)
    assert geometric(softmax(logits, axis=2), [1, 2, 3]) == pytest.approx(mean_of_logits, abs=1e-9)
    assert np.abs(logit(softmax(logits, axis=2), [1, 2, 3]) - mean_of_logits).max() > 0.01, "of more than two classes"
    two = softmax(logits[..., :2], axis=2)
    assert logit(two, [1, 2, 3]) == pytest.approx(geometric(two, [1, 2, 3]), abs=1e-9)


@given(stacks())
def test_geometric_average_is_the_weighted_product_scaled(made: tuple[np.ndarray, list[float]]) -> None:
    stack, weights = made
    shares = np.array(weights) / sum(weights)
    product = np.prod(np.clip(stack, 1e-12, 1) ** shares[:, None, None], axis=0)
    assert geometric(stack, weights) == pytest.approx(product / product.sum(axis=1, keepdims=True), abs=1e-9)


# --- views

INVERTIBLE = [name for name, view in VIEWS.items() if view.turn is not None]
LOSSY = [name for name, view in VIEWS.items() if view.turn is None]


def test_eight_views_can_be_undone_and_six_cannot() -> None:
    assert (len(INVERTIBLE), len(LOSSY)) == (8, 6)


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), seeds)
@pytest.mark.parametrize("name", INVERTIBLE)
def test_the_inverse_of_a_view_undoes_it_on_square_and_other_images(
    name: str, n: int, channels: int, height: int, width: int, seed: int
) -> None:
    x = torch.rand((n, channels, height, width), generator=torch.Generator().manual_seed(seed))
    view = VIEWS[name]
    assert view.turn is not None
    assert torch.equal(view.turn.inverse(view.forward(x)), x)
    assert torch.equal(view.forward(view.turn.inverse(x)), x)


def test_the_eight_views_that_can_be_undone_are_the_eight_symmetries_of_a_square() -> None:
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert len({tuple(VIEWS[name].forward(x).flatten().tolist()) for name in INVERTIBLE}) == 8


@given(st.integers(2, 12), st.integers(2, 12), seeds)
@pytest.mark.parametrize("name", INVERTIBLE)
def test_boxes_are_turned_back_to_where_the_pixels_came_from(name: str, height: int, width: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    x1, y1 = (int(generator.integers(0, side)) for side in (width, height))
    x2, y2 = int(generator.integers(x1 + 1, width + 1)), int(generator.integers(y1 + 1, height + 1))
    image = torch.zeros((1, 1, height, width))
    image[..., y1:y2, x1:x2] = 1
    view = VIEWS[name]
    assert view.turn is not None
    seen = view.forward(image)
    ys, xs = (seen[0, 0].any(dim=dim).nonzero()[:, 0] for dim in (1, 0))
    found = torch.stack([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]).float()[None]
    back = view.turn.boxes_back(found, (seen.shape[-2], seen.shape[-1]))
    assert back.tolist() == [[x1, y1, x2, y2]]
    assert view.turn.boxes_back(found[:0], (seen.shape[-2], seen.shape[-1])).shape == (0, 4)


@given(st.integers(2, 40), st.integers(2, 40), seeds)
@pytest.mark.parametrize("name", LOSSY)
def test_shifts_and_zooms_keep_shape_and_range(name: str, height: int, width: int, seed: int) -> None:
    x = 255 * torch.rand((2, 3, height, width), generator=torch.Generator().manual_seed(seed))
    seen = VIEWS[name].forward(x)
    assert seen.shape == x.shape
    assert seen.min() >= x.min() - 1e-3
    assert seen.max() <= x.max() + 1e-3


def test_shifts_move_by_a_sixteenth_to_the_side_they_name() -> None:
    x = torch.zeros(1, 1, 32, 32)
    x[0, 0, 10, 20] = 1
    moved = {"shift_left": (10, 18), "shift_right": (10, 22), "shift_up": (8, 20), "shift_down": (12, 20)}
    for name, place in moved.items():
        assert VIEWS[name].forward(x)[0, 0].nonzero().tolist() == [list(place)], name


def test_zooms_scale_about_the_middle() -> None:
    ramp = torch.arange(33.0).repeat(33, 1)[None, None]
    for name, factor in (("zoom_in", 1.1), ("zoom_out", 1 / 1.1)):
        row = VIEWS[name].forward(ramp)[0, 0, 16]
        assert row[16] == pytest.approx(16, abs=1e-3)
        assert row[20] - row[12] == pytest.approx(8 / factor, abs=1e-3)


# --- pseudo labels


@given(st.integers(0, 20), st.integers(2, 4), st.floats(0, 1), seeds)
def test_pseudo_labels_are_the_most_probable_classes_of_the_sure_images_only(
    n: int, classes: int, threshold: float, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    names = [f"c{number}" for number in range(classes)]
    ids = np.array([f"i{number}" for number in generator.permutation(n)], dtype=str)
    values = generator.dirichlet(np.full(classes, 0.3), n).reshape(n, classes)
    task = classification(names)
    table = task.pseudo_labels({"ids": ids, "classes": np.array(names), "probabilities": values}, threshold)
    expected = {
        id: names[int(row.argmax())] for id, row in zip(ids.tolist(), values, strict=True) if row.max() >= threshold
    }
    assert dict(zip(table["id"], table["label"], strict=True)) == expected
    assert len(table) == len(expected)
    assert (table["confidence"] >= threshold - 1e-6).all()


# --- cache shards


@given(st.text(min_size=1), st.integers(1, 999))
def test_a_shard_is_in_range_and_a_function_of_the_id_alone(id: str, shards: int) -> None:
    assert 0 <= shard_of(id, shards) < shards
    assert shard_of(id, shards) == shard_of(id, shards)


def test_shards_of_known_ids_never_change_and_are_about_even() -> None:
    # sha256 of the id, first 8 bytes big-endian, modulo 7: by `printf a | sha256sum` -> ca978112ca1bbdca
    assert shard_of("a", 7) == 0xCA978112CA1BBDCA % 7
    sizes = np.bincount([shard_of(f"img_{number}", 8) for number in range(4000)])
    assert len(sizes) == 8
    assert sizes.min() > 400


# --- order of training samples


@given(st.integers(1, 60), st.integers(2, 20), seeds, st.integers(0, 5))
def test_an_epoch_is_a_permutation_cut_into_whole_batches(n: int, batch: int, key: int, epoch: int) -> None:
    sampler = EpochSampler(n, batch, ("model", key))
    sampler.epoch = epoch
    batches = list(sampler)
    rows = [place.row for part in batches for place in part]
    assert len(batches) == len(sampler) == max(1, n // batch)
    assert len(rows) == len(set(rows)) == (n if n < batch else n // batch * batch)
    assert set(rows) <= set(range(n))
    assert {place.epoch for part in batches for place in part} == {epoch}
    assert [{place.batch for place in part} for part in batches] == [{number} for number in range(len(batches))]
    assert all(len(part) == min(batch, n) for part in batches)


@given(st.integers(20, 60), seeds)
def test_the_order_differs_between_epochs_and_keys_and_is_the_same_for_the_same(n: int, key: int) -> None:
    def order(key: int, epoch: int) -> list[int]:
        sampler = EpochSampler(n, n, ("model", key))
        sampler.epoch = epoch
        return [place.row for part in sampler for place in part]

    assert order(key, 0) == order(key, 0)
    assert order(key, 0) != order(key, 1)
    assert order(key, 0) != order(key + 1, 0)


# --- counter

parts = st.lists(st.one_of(st.integers(-(2**40), 2**40), st.text(st.characters(exclude_characters="\0"))), max_size=5)


@given(parts, parts)
def test_different_parts_give_different_seeds(first: list[Any], second: list[Any]) -> None:
    assert 0 <= counter(*first) < 2**63
    assert counter(*first) == counter(*first)
    same = [(type(part), part) for part in first] == [(type(part), part) for part in second]
    assert (counter(*first) == counter(*second)) == same


def test_neighbouring_parts_do_not_run_together() -> None:
    assert (
        len({counter("a", "bc"), counter("ab", "c"), counter("abc"), counter(1, 23), counter(12, 3), counter("1")}) == 6
    )


# --- bootstrap


@given(st.integers(80, 300), st.floats(0.2, 0.8), seeds)
@settings(max_examples=15)
def test_the_interval_holds_the_value_and_lies_within_the_range_of_the_metric(n: int, share: float, seed: int) -> None:
    hits = np.random.default_rng(seed).random(n) < share
    assume(5 < hits.sum() < n - 5)
    found = bootstrap(lambda rows: float(hits[rows].mean()), n, n_resamples=200)
    assert found.value == hits.mean()
    assert 0 <= found.low <= found.value <= found.high <= 1
    # half a width of 1.96 standard errors, as the normal approximation has it
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * np.sqrt(share_variance(hits) / n), rel=0.35)


def share_variance(hits: np.ndarray) -> float:
    return float(hits.mean() * (1 - hits.mean()))


@given(seeds)
@settings(max_examples=10)
def test_the_interval_is_wider_where_images_of_a_group_stand_and_fall_together(seed: int) -> None:
    per_group = np.random.default_rng(seed).random(30) < 0.5
    hits = np.repeat(per_group, 8)
    groups = [f"g{number}" for number in np.repeat(np.arange(30), 8)]
    alone = bootstrap(lambda rows: float(hits[rows].mean()), len(hits), n_resamples=300)
    grouped = bootstrap(lambda rows: float(hits[rows].mean()), len(hits), groups, n_resamples=300)
    assert grouped.value == alone.value
    # 30 groups of 8 equal images carry the information of 30 images: sqrt(8) = 2.8 times as wide
    assert grouped.high - grouped.low > 1.8 * (alone.high - alone.low)


def test_groups_of_one_image_each_change_nothing_but_the_draw() -> None:
    hits = np.arange(200) % 3 == 0
    alone = bootstrap(lambda rows: float(hits[rows].mean()), 200)
    grouped = bootstrap(lambda rows: float(hits[rows].mean()), 200, [f"g{number}" for number in range(200)])
    assert grouped.high - grouped.low == pytest.approx(alone.high - alone.low, rel=0.15)


def test_without_resamples_there_is_no_interval_and_resamples_that_cannot_be_scored_are_left_out() -> None:
    none = bootstrap(lambda rows: 0.5, 10, n_resamples=0)
    assert none.value == 0.5
    assert np.isnan([none.low, none.high]).all()
    labels = np.array([0] * 9 + [1])
    values = np.column_stack([np.linspace(1, 0, 10), np.linspace(0, 1, 10)])
    found = bootstrap(lambda rows: roc_auc(values[rows], labels[rows]), 10, n_resamples=100)
    assert (found.low, found.high) == (1.0, 1.0)


# --- submission


@given(st.integers(1, 12), seeds, st.sampled_from(["label", "probabilities"]))
@settings(max_examples=15)
def test_a_submission_joins_on_id_whatever_the_order_of_rows(
    tmp_path_factory: pytest.TempPathFactory, n: int, seed: int, form: str
) -> None:
    folder = tmp_path_factory.mktemp("submit")
    generator = np.random.default_rng(seed)
    names = ["a", "b", "c"]
    ids = [f"i{number}" for number in range(n)]
    values = dict(zip(ids, generator.dirichlet(np.ones(3), n), strict=True))
    predicted, listed, sampled = (generator.permutation(ids).tolist() for _ in range(3))
    (folder / "classes.json").write_text(json.dumps(names))
    (folder / "class_ids.json").write_text("{}")
    pd.DataFrame({"id": listed}).to_csv(folder / "test.csv", index=False)
    columns = {"image": sampled, "label": "a"} if form == "label" else {"image": sampled, "c": 0, "a": 0, "b": 0}
    pd.DataFrame(columns).to_csv(folder / "sample.csv", index=False)
    arrays = {"ids": np.array(predicted), "classes": np.array(names)}
    arrays["probabilities"] = np.array([values[id] for id in predicted])
    save(folder / "test.npz", arrays.items())
    submit.run(
        predictions=str(folder / "test.npz"),
        test=str(folder / "test.csv"),
        classes=str(folder / "classes.json"),
        class_ids=str(folder / "class_ids.json"),
        out=str(folder / "out.csv"),
        task=TASK,
        metric="accuracy",
        sample=str(folder / "sample.csv"),
        settings=FORM,
    )
    made = pd.read_csv(folder / "out.csv")
    assert list(made.columns) == list(columns)
    assert list(made["image"]) == sampled
    for row in made.to_dict("records"):
        expected = values[row["image"]]
        if form == "label":
            assert row["label"] == names[int(expected.argmax())]
        else:
            assert [row["a"], row["b"], row["c"]] == pytest.approx(expected.tolist())
