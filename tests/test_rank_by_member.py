"""The rank average of members read one after the other has the bytes of the average of their stack."""

import numpy as np
import pytest
from scipy.special import expit, softmax
from scipy.stats import rankdata

from goldfold.ensembling.average import mean_ranks, probability, rank
from goldfold.predictions.arrays import sharing_ids
from goldfold.tasks import logits as of_logits
from test_tasks import arrays
from whole_task import classification, whole


def of_stack(stack: np.ndarray, weights: list[float]) -> np.ndarray:
    """The average with all members and images in memory."""
    ranks = np.average(rankdata(stack, axis=1), axis=0, weights=weights) / stack.shape[1]
    levels = np.sort(probability(stack, weights), axis=0)
    places = (rankdata(ranks, axis=0) - 1).clip(0, len(levels) - 1)
    columns = [np.interp(places[:, c], np.arange(len(levels)), levels[:, c]) for c in range(levels.shape[1])]
    return np.stack(columns, axis=1)


@pytest.mark.parametrize(("members", "equal"), [(1, True), (3, False), (30, True), (30, False)])
def test_the_rank_average_has_the_same_bytes_in_blocks_of_members(members: int, equal: bool) -> None:
    drawn = np.random.default_rng(members)
    stack = softmax(drawn.normal(size=(members, 400, 4)).round(1), axis=2)  # with ties
    weights = [1.0] * members if equal else drawn.uniform(0.1, 3, members).tolist()
    before = stack.copy()
    assert rank(stack, weights).tobytes() == of_stack(stack, weights).tobytes()
    assert rank(iter(stack), weights).tobytes() == of_stack(stack, weights).tobytes()
    expected = np.average(rankdata(stack, axis=1), axis=0, weights=weights) / stack.shape[1]
    assert mean_ranks(stack, weights).tobytes() == expected.tobytes()
    assert stack.tobytes() == before.tobytes(), "the members are only read"


def test_members_in_other_orders_are_aligned_one_by_one() -> None:
    drawn, task = np.random.default_rng(0), classification("abc")
    ids = [f"c{number:03d}" for number in range(50)]
    logits = drawn.normal(size=(3, 50, 3)).astype(np.float32)
    members = [arrays(task, ids, one) for one in logits]
    order = drawn.permutation(50)
    members[1] = arrays(task, [ids[row] for row in order], logits[1][order])
    fused = task.fuse(members, [1.0, 2.0, 1.0], method="rank")
    stack = np.stack([softmax(one.astype(np.float64), axis=1) for one in logits])
    assert fused["ids"].tolist() == ids
    assert fused["probabilities"].tobytes() == of_stack(stack, [1.0, 2.0, 1.0]).tobytes()


def test_sets_of_labels_have_the_bytes_of_each_label_by_itself_and_are_read_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn, task = np.random.default_rng(1), whole({"name": "multilabel"}, ["a", "b", "c"])
    logits = drawn.normal(size=(4, 300, 3)).round(1).astype(np.float32)  # with ties
    members, weights = (
        [arrays(task, [f"c{row:03d}" for row in range(300)], one) for one in logits],
        [1.0, 0.5, 2.0, 1.0],
    )
    stack = expit(logits.astype(np.float64))
    pairs = np.stack([1 - stack, stack], axis=-1)
    expected = np.stack([of_stack(pairs[:, :, label], weights)[:, 1] for label in range(3)], axis=1)
    seen = []
    converted = of_logits._converted
    monkeypatch.setattr(of_logits, "_converted", lambda *given: seen.append(1) or converted(*given))
    assert task.fuse(members, weights, method="rank")["probabilities"].tobytes() == expected.tobytes()
    assert len(seen) == len(members), "not as one stack of all"


def test_members_with_the_same_ids_share_them_in_memory() -> None:
    task, logits = classification("ab"), np.zeros((3, 2))
    given = [("a", list("xyz")), ("b", list("xyz")), ("c", list("zyx"))]
    made = {name: arrays(task, ids, logits) for name, ids in given}
    found = sharing_ids(made.items())
    assert found["b"]["ids"] is found["a"]["ids"]
    assert found["c"]["ids"].tolist() == list("zyx")
    assert found["b"]["logits"] is made["b"]["logits"]
