"""What every task promises, held over all of TASKS; and what masks and boxes promise besides."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import SCENE_PX, Tiny, scene
from entries import NETWORKS, SEVERAL_VIEWS, VIEWS
from goldfold import tasks
from goldfold.base.errors import ConfigError, DataError
from goldfold.cache.images import CachedImages, build
from goldfold.cases import Batch, Inputs
from goldfold.catalog import FACETS, TASKS
from goldfold.config.learning import Train
from goldfold.config.root import Ensemble
from goldfold.config.slices import TASK_KEYS
from goldfold.images.geometry import MODES
from goldfold.metrics import score
from goldfold.predictions.arrays import Arrays, load, save
from goldfold.targets.boxes import from_text, to_text
from goldfold.targets.label_sets import indicators
from goldfold.targets.label_sets import to_text as to_labels
from goldfold.targets.mask_coding import IGNORE
from goldfold.targets.masks import decode_mask, write_mask
from goldfold.targets.points import centres
from goldfold.targets.points import from_text as points_from_text
from goldfold.targets.points import to_text as points_to_text
from goldfold.tasks import protocol
from goldfold.tasks.classification.output import probabilities as label_shares
from goldfold.tasks.detection.boxes import arrays
from goldfold.tasks.multilabel.output import probabilities as multilabel_shares
from goldfold.tasks.objects import by_image
from goldfold.tasks.points.arrays import arrays as arrays_of_points
from goldfold.tasks.protocol import OPTIONAL, REQUIRED
from whole_task import Whole, whole

every_task = pytest.mark.parametrize("name", TASKS)
dense_task = pytest.mark.parametrize("name", ["segmentation", "detection", "points"])
OF_LOGITS = ("classification", "ordinal", "multilabel")
LABELS_OF = [["dim", "lit"], ["lit"], ["dim"], [], ["lit"], ["dim"]]
seeds = st.integers(0, 2**32 - 1)
FRAME = (24, 24)


def task_of(name: str, classes: str = "abc", **more: Any) -> Whole:
    return whole({"name": name, **more}, list(classes))


def table_of(ids: list[str], size: tuple[int, int] = (30, 40)) -> pd.DataFrame:
    """Images, each a little larger than the one before."""
    rows = [(id, str(size[1] + row), str(size[0] + row)) for row, id in enumerate(ids)]
    return pd.DataFrame(rows, columns=["id", "width", "height"])


def parts_of(name: str, n: int, n_classes: int, seed: int) -> list[dict[str, Any]]:
    """What `predict` might give for n images, in batches of two."""
    generator = np.random.default_rng(seed)
    batches = [min(2, n - start) for start in range(0, n, 2)]
    if name in OF_LOGITS:
        return [{"logits": generator.normal(size=(size, n_classes)).astype(np.float32)} for size in batches]
    if name == "regression":
        return [{"values": generator.normal(size=size), "spreads": np.zeros(size)} for size in batches]
    if name == "segmentation":
        shares = [generator.dirichlet(np.ones(n_classes + 1), (size, *FRAME)) for size in batches]
        return [{"maps": (part[..., 1:] * 255).astype(np.uint8).transpose(0, 3, 1, 2)} for part in shares]
    make = random_points if name == "points" else random_boxes
    return [{"found": [make(generator, n_classes) for _ in range(size)]} for size in batches]


def random_boxes(generator: np.random.Generator, n_classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Up to four boxes that do not overlap, one a quarter of the frame, with distinct scores."""
    half = FRAME[0] / 2
    corners = np.array([[0, 0], [half, 0], [0, half], [half, half]])[: int(generator.integers(0, 5))]
    near, far = generator.uniform(0, 4, corners.shape), generator.uniform(7, 11, corners.shape)
    scores = generator.permutation(np.linspace(0.1, 0.99, 40))[: len(corners)]
    return np.hstack([corners + near, corners + far]), scores, generator.integers(0, n_classes, len(corners))


def random_points(generator: np.random.Generator, n_classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Up to four points, one a quarter of the frame, with distinct scores."""
    boxes, scores, labels = random_boxes(generator, n_classes)
    return boxes[:, :2], scores, labels


def predicted(task: Whole, name: str, ids: list[str], seed: int = 0, classes: str = "abc") -> dict[str, Any]:
    parts = parts_of(name, len(ids), len(classes), seed)
    return dict(task.pack(table_of(ids), parts, FRAME, "squash"))


def image_of(task: Whole, predictions: Arrays, id: str) -> list[np.ndarray]:
    """All that predictions say of one image."""
    row = list(predictions["ids"]).index(id)
    if task.name in ("detection", "points"):
        return [
            predictions["sizes"][row],
            *(np.asarray(part, dtype=float) for part in found_of(task.name, predictions)[row]),
        ]
    if task.name == "segmentation":
        return [predictions["sizes"][row], predictions[f"maps/{row}"]]
    if task.name == "regression":
        return [predictions["values"][row]]
    return [predictions[key][row] for key in ("logits", "probabilities") if key in predictions]


def found_of(name: str, predictions: Arrays) -> list[Any]:
    return by_image("boxes" if name == "detection" else "points", predictions)


def assert_same_image(task: Whole, first: Arrays, second: Arrays, id: str, tolerance: float = 0) -> None:
    pairs = zip(image_of(task, first, id), image_of(task, second, id), strict=True)
    for one, other in pairs:
        assert one.shape == other.shape
        assert np.abs(one.astype(float) - other.astype(float)).max(initial=0) <= tolerance


# --- facts


def test_there_are_seven_tasks_and_what_each_predicts() -> None:
    names = ["classification", "ordinal", "multilabel", "regression", "segmentation", "detection", "points"]
    assert list(TASKS) == names
    targets = ["label", "label", "labels", "value", "mask", "boxes", "points"]
    assert [tasks.facts(name).target for name in TASKS] == targets


@every_task
def test_a_task_has_all_that_the_protocol_names(name: str) -> None:
    assert sum(map(len, REQUIRED.values())) == 16
    kinds = [
        facet for facet in vars(protocol).values() if getattr(facet, "_is_protocol", False) and facet is not Protocol
    ]
    assert {kind.__name__.lower() for kind in kinds} == {*REQUIRED, *OPTIONAL, "examine"}
    assert {*REQUIRED, *OPTIONAL, "examine", "facts", "decided"} == set(FACETS)
    made = dict(zip(REQUIRED, task_of(name).facets, strict=True))
    for kind in kinds:
        facet = made.get(kind.__name__.lower())
        for key in REQUIRED.get(kind.__name__.lower(), ()):
            asked, answered = (list(signature(getattr(one, key)).parameters) for one in (kind, facet))
            # settings (**) may be spelt out, and nothing may be asked for that the stages do not give
            assert [word for word in asked if word not in (*answered, "self", "settings", "params")] == [], key
    asked, answered = signature(protocol.Examine.__call__).parameters, signature(tasks.examine(name)).parameters
    assert [word for word in asked if word not in (*answered, "self", "settings")] == []


@every_task
def test_the_facts_that_a_config_is_checked_against_are_those_of_the_code(name: str) -> None:
    task, facts = task_of(name), tasks.facts(name)
    for metric in facts.metrics:
        assert task.metric(metric).name == metric
    with pytest.raises(ConfigError, match=r"unknown metric 'no_such': .*allowed: "):
        task.metric("no_such")
    assert set(facts.networks) <= set(NETWORKS)
    assert set(facts.views) <= {*VIEWS, *SEVERAL_VIEWS}
    assert "identity" in facts.views
    if name in ("segmentation", "detection", "points"):
        turned = [VIEWS[view].turn for view in facts.views if view in VIEWS]
        assert len(turned) == 8
        assert None not in turned, "what is predicted must be turned back"
    assert set(facts.loss_keys) <= set(Train.model_fields)
    assert set(facts.loss_keys) == set(signature(task.learn.loss).parameters) - {"counts"}
    for loss in facts.losses if "loss" in facts.loss_keys else ():
        assert callable(task.loss(loss=loss))
    assert set(facts.ensemble_keys) <= set(Ensemble.model_fields)
    assert set(facts.ensemble_keys) == set(signature(task.fuse).parameters) - {
        "members",
        "weights",
        "workers",
        "method",
    }
    for metric in (facts.metrics, facts.methods, facts.networks, facts.views):
        assert len(metric) == len(set(metric)) > 0


@every_task
def test_settings_of_a_task_are_what_it_is_made_with(name: str) -> None:
    facts = tasks.facts(name)
    own, late = [field.name for field in fields(facts.settings)], set(facts.post_training_settings)
    assert late <= set(own)
    taken = {field.name for field in fields(import_module(f"{TASKS[name]}.spec").Spec)} - {"classes"}
    assert set(own) == taken - set(TASK_KEYS), "besides what a data source says of its targets"
    assert taken - late <= set(signature(tasks.examine(name)).parameters), "what is not late reaches the manifest"
    defaults = facts.settings()
    assert task_of(name, **{field: getattr(defaults, field) for field in own}).classes == ["a", "b", "c"]


@every_task
@pytest.mark.parametrize("method", range(4))
def test_each_way_to_fuse_gives_predictions_that_can_be_scored_saved_and_fused_again(name: str, method: int) -> None:
    kind = tasks.facts(name)
    if method >= len(kind.methods):
        pytest.skip(f"{name} has {len(kind.methods)}")
    task = task_of(name)
    members = [predicted(task, name, list("xyz"), seed) for seed in (1, 2)]
    once = task.fuse(members, [1, 3], method=list(kind.methods)[method])
    again = task.fuse([once, once], [1, 1], method=list(kind.methods)[method])
    assert list(once["ids"]) == list(again["ids"]) == list("xyz")
    assert set(task.table(once).columns) == set(task.table(again).columns)
    assert task.table(once).columns[0] == "id"


# --- from predictions to one prediction


@every_task
@settings(max_examples=10)
@given(seed=seeds, n=st.integers(0, 5))
def test_what_is_saved_is_what_is_loaded_and_the_bytes_are_the_same_twice(
    name: str, seed: int, n: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, task = tmp_path_factory.mktemp("saved"), task_of(name)
    ids = [f"i{number}" for number in range(n)]
    made = predicted(task, name, ids, seed) | {"fold": np.array(1)}
    for file in ("one.npz", "two.npz"):
        save(folder / file, made.items())
    back = load(folder / "one.npz")
    assert set(back) == set(made)
    assert len(back) == len(made)
    for key, array in made.items():
        assert back[key].dtype == array.dtype, key
        assert np.array_equal(back[key], array), key
    assert (folder / "one.npz").read_bytes() == (folder / "two.npz").read_bytes()
    with np.load(folder / "one.npz", allow_pickle=False) as plain:
        assert set(plain.files) == set(made), "any reader of .npz can read it"


@every_task
def test_files_of_parts_join_and_fuse_as_what_they_were_made_of(name: str, tmp_path: Path) -> None:
    task = task_of(name)
    members = []
    for seed in (1, 2):
        parts = [predicted(task, name, list(ids), seed + place) for place, ids in enumerate(("db", "aec"))]
        for number, part in enumerate(parts):
            save(tmp_path / f"{seed}-{number}.npz", part.items())
        joined = task.join([load(tmp_path / f"{seed}-{place}.npz") for place in (0, 1)])
        assert list(joined["ids"]) == list("abcde")
        for part in parts:
            for id in part["ids"]:
                assert_same_image(task, joined, part, str(id))
        members.append(joined)
    save(tmp_path / "fused.npz", task.fuse(members, [1, 1]).items())
    fused = load(tmp_path / "fused.npz")
    assert list(fused["ids"]) == list("abcde")
    assert [str(value) for value in fused["classes"]] == list("abc")
    direct = task.fuse([predicted(task, name, list("db"), 1), predicted(task, name, list("db"), 2)], [1, 1])
    for id in "db":
        assert_same_image(task, fused, direct, id, tolerance=1e-5)


@every_task
def test_parts_that_overlap_and_members_of_other_images_or_classes_are_refused(name: str) -> None:
    task = task_of(name)
    ab, bc = predicted(task, name, ["a", "b"]), predicted(task, name, ["b", "c"])
    with pytest.raises(DataError, match="predictions overlap: id 'b' is in more than one part"):
        task.join([ab, bc])
    with pytest.raises(DataError, match=r"members predict different images, e\.g\. \['a'\]"):
        task.fuse([ab, bc], [1, 1])
    other = predicted(task_of(name, "acb"), name, ["a", "b"])
    said = r"a prediction has its classes in another order, from the class 'c' in place 2 on\. Make it again"
    with pytest.raises(DataError, match=said):
        task.fuse([ab, other], [1, 1])
    with pytest.raises(DataError, match=said):
        task.join([ab, predicted(task_of(name, "acb"), name, ["x"])])


@every_task
@settings(max_examples=10)
@given(seed=seeds, weight=st.floats(0.1, 9))
def test_fusing_one_member_is_the_identity(name: str, seed: int, weight: float) -> None:
    task, ids = task_of(name), list("zxy")
    member = predicted(task, name, ids, seed)
    for method in [one for one in tasks.facts(name).methods if one != "vote"]:  # a vote is a decision
        fused = task.fuse([member], [weight], method=method)
        assert list(fused["ids"]) == sorted(ids)
        if name in OF_LOGITS:
            share = multilabel_shares if name == "multilabel" else label_shares
            member = {**member, "probabilities": share(member)}
            assert fused["probabilities"] == pytest.approx(member["probabilities"][[1, 2, 0]], abs=1e-9)
            continue
        for id in ids:
            assert_same_image(task, fused, member, id, tolerance=1e-12)


@every_task
@settings(max_examples=10)
@given(seed=seeds)
def test_fusing_equal_members_changes_nothing(name: str, seed: int) -> None:
    task, ids = task_of(name), list("xy")
    member = predicted(task, name, ids, seed)
    alone, fused = task.fuse([member], [1]), task.fuse([member, member, member], [1, 2, 3])
    for id in ids:
        if task.name not in ("detection", "points"):
            assert_same_image(task, alone, fused, id, tolerance=1 if name == "segmentation" else 1e-9)
            continue
        first, second = (
            sorted(zip(*(part.tolist() for part in image_of(task, of, id)[1:]), strict=True)) for of in (alone, fused)
        )
        assert [label for _, _, label in first] == [label for _, _, label in second]
        for (box, value, _), (other, other_value, _) in zip(first, second, strict=True):
            assert other == pytest.approx(box, abs=1e-3)
            assert other_value == pytest.approx(value, abs=1e-5)


@every_task
@settings(max_examples=10)
@given(seed=seeds, data=st.data())
def test_members_are_joined_on_id_whatever_the_order_of_their_rows(name: str, seed: int, data: st.DataObject) -> None:
    task, ids = task_of(name), [f"i{number}" for number in range(5)]
    first, second = (predicted(task, name, ids, seed + number) for number in (0, 1))
    order = data.draw(st.permutations(ids))
    shuffled = reordered(task, second, order)
    assert list(shuffled["ids"]) == order
    for same in ([first, shuffled], [reordered(task, first, order), second]):
        one, other = task.fuse([first, second], [1, 2]), task.fuse(same, [1, 2])
        assert list(one["ids"]) == list(other["ids"])
        for id in ids:
            assert_same_image(task, one, other, id)


def reordered(task: Whole, predictions: Arrays, ids: list[str]) -> dict[str, Any]:
    """The same predictions with their images in another order."""
    rows = [list(predictions["ids"]).index(id) for id in ids]
    if task.name in ("detection", "points"):
        found = [found_of(task.name, predictions)[row] for row in rows]
        return (arrays if task.name == "detection" else arrays_of_points)(
            task.classes, np.array(ids), predictions["sizes"][rows], found
        )  # type: ignore[return-value]
    made = {key: predictions[key][rows] for key in predictions if key != "classes" and "/" not in key}
    return {
        **made,
        "classes": predictions["classes"],
        **{
            f"maps/{place}": predictions[f"maps/{row}"] for place, row in enumerate(rows) if task.name == "segmentation"
        },
    }


@every_task
def test_a_member_of_weight_zero_is_not_heard(name: str) -> None:
    task, ids = task_of(name), list("xyz")
    first, second, third = (predicted(task, name, ids, seed) for seed in (1, 2, 3))
    without, silent = task.fuse([first, second], [1, 2]), task.fuse([first, second, third], [1, 2, 0])
    for id in ids:
        assert_same_image(task, without, silent, id, tolerance=1e-5)


class Watched(Mapping[str, Any]):
    """Predictions that write down which map is asked for."""

    def __init__(self, arrays: Arrays, name: str, log: list[tuple[str, str]]) -> None:
        self.arrays, self.name, self.log = arrays, name, log

    def __getitem__(self, key: str) -> Any:
        if "/" in key:
            self.log.append((self.name, key))
        return self.arrays[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)


def test_fusing_masks_asks_for_one_image_at_a_time(tmp_path: Path) -> None:
    task, ids, log = task_of("segmentation"), list("cab"), []
    members = [Watched(predicted(task, "segmentation", ids, seed), f"m{seed}", log) for seed in range(3)]
    joined = [task.join([member]) for member in members]
    fused = task.fuse(joined, [1, 1, 1])
    assert log == [], "nothing is read before it is asked for"
    save(tmp_path / "fused.npz", fused.items())
    by_id = [f"maps/{ids.index(id)}" for id in sorted(ids)]
    assert log == [(f"m{seed}", key) for key in by_id for seed in range(3)], "and each image once, one after the other"
    log.clear()
    list(task.masks(fused, ["b"]))  # type: ignore[attr-defined]
    assert log == [(f"m{seed}", by_id[1]) for seed in range(3)]


def test_members_of_other_resolutions_fuse_at_the_largest() -> None:
    task = task_of("segmentation", "a")
    small, large = np.full((1, 1, 6, 8), 255, np.uint8), np.zeros((1, 1, 12, 16), np.uint8)
    members = [dict(task.pack(table_of(["x"]), [{"maps": maps}], maps.shape[2:], "squash")) for maps in (small, large)]
    fused = task.fuse(members, [3, 1])
    assert fused["maps/0"].shape == (1, 12, 16)
    assert (fused["maps/0"] == round(0.75 * 255)).all()
    assert next(task.masks(fused, ["x"])).shape == (30, 40)  # type: ignore[attr-defined]


# --- evidence and scores


@pytest.fixture
def truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, pd.DataFrame]:
    """Six scenes with their labels, masks and boxes, by task; groups of two."""
    monkeypatch.chdir(tmp_path)
    kinds = [("dim", "lit"), ("lit",), ("dim",), (), ("lit", "lit"), ("dim",)]
    made = {f"s{number}": scene(number, kind) for number, kind in enumerate(kinds)}
    table = pd.DataFrame({"id": list(made), "width": str(SCENE_PX[1]), "height": str(SCENE_PX[0])})
    table["group"] = ["g0", "g0", "g1", "g1", "g2", "g2"]
    for id, of_id in made.items():
        write_mask(f"{id}.png", of_id.mask)
    boxes = [
        to_text([box[0] for box in of_id.boxes], np.array([box[1:] for box in of_id.boxes])) for of_id in made.values()
    ]
    return {
        **dict.fromkeys(
            ("classification", "ordinal"), table.assign(label=["dim" if "dim" in kind else "lit" for kind in kinds])
        ),
        "multilabel": table.assign(labels=[to_labels(labels) for labels in LABELS_OF]),
        "regression": table.assign(value=["0", "1", "2", "1", "3", "2"]),
        "segmentation": table.assign(mask=[f"{id}.png" for id in made], mask_sha256="s"),
        "detection": table.assign(boxes=boxes),
        "points": table.assign(points=[centres(text) for text in boxes]),
    }


def true_predictions(name: str, truth: pd.DataFrame) -> tuple[Whole, dict[str, Any]]:
    """A task of dim and lit, and predictions that are right and certain."""
    task = whole({"name": name}, ["0 to 1", "1 to 3"] if name == "regression" else ["dim", "lit"])
    if name == "multilabel":
        parts = [{"logits": 40.0 * (2.0 * indicators(truth["labels"], task.classes) - 1)}]
    elif name == "regression":
        parts = [{"values": truth["value"].astype(float), "spreads": np.zeros(len(truth))}]
    elif name in ("classification", "ordinal"):
        index = np.array([["dim", "lit"].index(label) for label in truth["label"]])
        parts = [{"logits": 40.0 * np.eye(2)[index]}]
    elif name == "segmentation":
        masks = np.stack([decode_mask(path) for path in truth["mask"]])
        parts = [{"maps": np.stack([masks == 1, masks == 2], axis=1).astype(np.uint8) * 255}]
    else:
        read, column = (points_from_text, "points") if name == "points" else (from_text, "boxes")
        found = [read(text) for text in truth[column]]
        parts = [{"found": [(boxes, np.ones(len(boxes)), [["dim", "lit"].index(label) for label in labels])]}
                 for labels, boxes in found]  # fmt: skip
    return task, dict(task.pack(truth, parts, SCENE_PX, "squash"))


@every_task
def test_right_predictions_have_the_best_score_by_every_metric(name: str, truth: dict[str, pd.DataFrame]) -> None:
    task, made = true_predictions(name, truth[name])
    evidence = task.evidence(made, truth[name])
    assert len(evidence) == 6
    scored = 0
    for metric in tasks.facts(name).metrics:
        found = score(task.metric(metric), evidence, list(truth[name]["group"]), n_resamples=20)
        if np.isnan(found.value):  # there is nothing of that size
            assert metric in ("ap_medium", "ap_large", "ap_small")
            continue
        scored += 1
        best = 1.0 if task.metric(metric).greater_is_better else 0.0
        best = 0.2 if metric == "auc_above_tpr" else best
        low = found.low if metric == "mcc" else best  # 0 in resamples in which all images have the label
        assert (found.value, found.low, found.high) == pytest.approx((best, low, best), abs=1e-9), metric
    assert scored >= 4
    table = task.by_class(evidence)
    assert list(table.index) == task.classes
    assert next(iter(table.columns)) in ("images", "objects")


@every_task
@settings(max_examples=8)
@given(seed=seeds)
def test_the_score_does_not_depend_on_the_order_of_rows(
    name: str, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    task, ids = task_of(name, "ab"), [f"i{number}" for number in range(6)]
    made, truth = predicted(task, name, ids, seed, "ab"), table_of(ids)
    generator = np.random.default_rng(seed)
    if name in ("classification", "ordinal"):
        truth["label"] = [*"ab", *generator.choice(["a", "b"], 4)]
    elif name == "multilabel":
        truth["labels"] = ["[]", '["a","b"]', *generator.choice(['["a"]', '["b"]', "[]"], 4)]
    elif name == "regression":
        truth["value"] = [str(number) for number in generator.integers(0, 5, 6)]
    elif name == "segmentation":
        folder = tmp_path_factory.mktemp("masks")
        truth["mask"] = [str(folder / f"{id}.png") for id in ids]
        for row in truth.to_dict("records"):
            write_mask(row["mask"], generator.integers(0, 3, (int(row["height"]), int(row["width"]))))
    elif name == "points":
        each = [random_points(generator, 2) for _ in ids]
        truth["points"] = [points_to_text(["ab"[label] for label in labels], places) for places, _, labels in each]
    else:
        boxes = [random_boxes(generator, 2) for _ in ids]
        truth["boxes"] = [to_text(["ab"[label] for label in labels], corners) for corners, _, labels in boxes]
    shuffled = reordered(task, made, generator.permutation(ids).tolist())
    first, second = task.evidence(made, truth), task.evidence(shuffled, truth)
    for metric in tasks.facts(name).metrics:
        one, other = (task.metric(metric).value(evidence, np.arange(6)) for evidence in (first, second))
        assert one == pytest.approx(other, abs=1e-12, nan_ok=True), metric
    backwards = truth.iloc[::-1].reset_index(drop=True)
    for metric in tasks.facts(name).metrics:
        rows = np.array([0, 0, 3])
        one = task.metric(metric).value(first, rows)
        other = task.metric(metric).value(task.evidence(made, backwards), 5 - rows)
        assert one == pytest.approx(other, abs=1e-12, nan_ok=True), f"{metric}: rows are those of the truth"


@every_task
def test_an_image_without_a_prediction_is_named(name: str, truth: dict[str, pd.DataFrame]) -> None:
    task, made = true_predictions(name, truth[name][:4])
    with pytest.raises(DataError, match="2 images have no prediction, first 's4'"):
        task.evidence(made, truth[name])


def test_masks_are_compared_in_the_frame_where_targets_are_given_and_padding_counts_for_nothing(
    tiny_masks: Tiny, tmp_path: Path
) -> None:
    """The validation of a training run: at the network's resolution, without a look at the files."""
    table = pd.read_csv(tiny_masks.folds / "train.csv", dtype=str)
    for mode in MODES:
        build(table.assign(mask_depth="8"), tmp_path / mode, (40, 40), 3, mode)
        images = CachedImages([tmp_path / mode])
        task = whole({"name": "segmentation"}, tiny_masks.classes)
        targets = task.targets(table, images, mode)
        framed = np.stack([targets[row]["mask"] for row in range(len(table))])
        assert (framed == IGNORE).any() == (mode == "pad")
        everywhere = np.where(framed == IGNORE, 1, framed)  # nonsense in the padding
        maps = np.stack([everywhere == 1, everywhere == 2], axis=1).astype(np.uint8) * 255
        made = dict(task.pack(table, [{"maps": maps}], (40, 40), mode))
        evidence = task.evidence(made, table.drop(columns="mask"), targets)
        assert [task.metric(metric).value(evidence, np.arange(len(table))) for metric in ("dice", "iou")] == [1, 1]


# --- from training to the ensemble, on masks and boxes


@pytest.mark.parametrize("loss", [None, "ce", "dice"])
def test_the_weight_of_an_image_scales_its_share_of_the_loss_of_masks(loss: str | None) -> None:
    task, generator = task_of("segmentation", "ab"), torch.Generator().manual_seed(0)
    logits = torch.randn(4, 3, 6, 6, generator=generator)
    masks = torch.randint(0, 3, (4, 6, 6), generator=generator)
    images = torch.arange(4, dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 3, 6, 6)

    def mean(weights: list[float], rows: tuple[int, ...] = (0, 1, 2, 3)) -> float:
        chosen = list(rows)
        batch = Batch(["x"] * len(chosen), Inputs.of(images[chosen]), masks[chosen], torch.tensor(weights))
        return task.loss(loss=loss)(lambda seen: logits[seen.single[:, 0, 0, 0].long()], batch).total.item()  # type: ignore[arg-type]

    assert mean([0.5] * 4) == pytest.approx(0.5 * mean([1.0] * 4), rel=1e-5)
    parts = 0.5 * mean([1.0] * 2, (0, 2)) + 0.5 * 0.25 * mean([1.0] * 2, (1, 3))
    assert mean([1.0, 0.25, 1.0, 0.25]) == pytest.approx(parts, rel=1e-5)


@dense_task
def test_pseudo_labelled_images_are_learnt_from(name: str, tiny_of: dict[str, Tiny], tmp_path: Path) -> None:
    from goldfold.stages import pseudo_label

    tiny, model = tiny_of[name], tiny_of[name].model({"epochs": 1, "warmup_epochs": 0})
    first = tmp_path / "net/round0/fold0/seed0"
    tiny.train(first, model=model)
    tiny.predict(first, first / "model.safetensors", "test")
    classes, out = str(tiny.folds / "classes.json"), str(tmp_path / "pseudo.csv")
    teach = {"threshold": 0.05, "fold": 0, "weights": {}, "settings": {}, "workers": 1}
    pseudo_label.run({"test": [str(first / "test.npz")]}, classes, out, tiny.task, **teach)
    pseudo = pd.read_csv(out, dtype=str)
    assert 0 < len(pseudo) <= 4
    assert set(pseudo["source"]) == {"test"}
    caches = tiny.caches("train", "test")
    weights = (1.0, 0.25) if tasks.facts(name).weighs_samples else (1.0,)
    made = set()
    for weight in weights:
        folder = tmp_path / f"r1-{weight}"
        record = tiny.train(
            folder,
            model=model,
            pseudo=out,
            pseudo_weight=weight,
            caches=caches,
            place={"round": 1, "fold": 0, "seed": 0},
        )
        assert record["n_pseudo"] == len(pseudo)
        made.add((folder / "model.safetensors").read_bytes())
    assert len(made) == len(weights), "the weight of pseudo-labelled images matters where there is one"


@dense_task
def test_a_network_of_the_task_learns_what_is_easy(name: str, tiny_of: dict[str, Tiny], tmp_path: Path) -> None:
    """Far better than after a step, on images of the other fold."""
    settings: dict[str, Any] = {"epochs": 25, "lr": 0.005, "augment": "none", "warmup_epochs": 2}
    if name == "points":  # a place alone says less than a box or a mask: six images would be learnt by heart
        settings |= {
            "epochs": 60,
            "lr": 0.01,
            "flips": "both",
            "mix": ["mosaic"],
            "mix_probability": 0.5,
            "validate_every": 60,
        }
    record = tiny_of[name].train(tmp_path, model=tiny_of[name].model(settings))
    assert record["final"][tiny_of[name].metric] > 0.6
