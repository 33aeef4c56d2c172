import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit, softmax
from scipy.stats import rankdata

from conftest import FORM, PLACE, RUNTIME, TASK, Tiny
from entries import METHODS as ALL_METHODS
from entries import METRICS as ALL_METRICS
from goldfold import every_metric
from goldfold.base.errors import ConfigError, DataError
from goldfold.cases import Inputs
from goldfold.ensembling.voters import voters
from goldfold.inference import views
from goldfold.metrics import Metric, Score, score
from goldfold.metrics.classification import Labelled
from goldfold.predictions.arrays import load, save
from goldfold.stages import ensemble, predict, pseudo_label
from goldfold.submission.form import Form
from goldfold.tasks import facts
from whole_task import Whole, classification, whole

METHODS, METRICS = ALL_METHODS["label"], ALL_METRICS["label"]


def task(names: str = "abc") -> Whole:
    return classification(list(names))


def packed(ids: str, names: str = "abc", seed: int = 0, **more: Any) -> dict[str, Any]:
    """Predictions of images named by one letter each."""
    logits = np.random.default_rng(seed).normal(size=(len(ids), len(names)))
    return arrays(task(names), list(ids), logits) | more


def arrays(chosen: Whole, ids: list[str], logits: np.ndarray) -> dict[str, Any]:
    """Predictions of a task by name of entry."""
    return dict(chosen.pack(pd.DataFrame({"id": ids}), [{"logits": logits}]))


def scored(chosen: Whole, made: Any, truth: pd.DataFrame, metric: str, n_resamples: int = 1000) -> Score:
    """Score as the ensemble stage takes it."""
    groups = list(truth["group"]) if "group" in truth else None
    return score(chosen.metric(metric), chosen.evidence(made, truth), groups, n_resamples)


# --- samples


def test_targets_are_indices_of_the_classes_in_their_order() -> None:
    table = pd.DataFrame({"id": ["x", "y", "z"], "label": ["c", "a", "c"]})
    assert task().targets(table) == [{"label": 2}, {"label": 0}, {"label": 2}]


def test_a_batch_is_images_channels_first_beside_labels_and_weights() -> None:
    case = {"present": np.ones(1, bool)}
    samples = [
        {**case, "id": f"i{n}", "images": np.full((1, 4, 6, 3), n, np.uint8), "label": n, "weight": 1 - n / 4}
        for n in range(3)
    ]
    batch = task().collate(samples)
    assert batch.ids == ["i0", "i1", "i2"]
    assert batch.inputs.images.shape == (3, 1, 3, 4, 6)
    assert batch.inputs.images.dtype == torch.uint8
    assert batch.targets.tolist() == [0, 1, 2]
    assert batch.weights.tolist() == [1.0, 0.75, 0.5]


# --- predicting


class Means(torch.nn.Module):
    """Logits: means of the left, the right and the upper half of each image."""

    def forward(self, inputs: Inputs) -> torch.Tensor:
        x = inputs.single.float() / 255
        halves = x[..., : x.shape[-1] // 2], x[..., x.shape[-1] // 2 :], x[..., : x.shape[-2] // 2, :]
        return torch.stack([half.mean(dim=(1, 2, 3)) for half in halves], dim=1)


IMAGES = torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
CASES = Inputs.of(IMAGES)


def test_one_view_gives_the_network_s_logits() -> None:
    made = task().predict(Means(), CASES, views.build(["identity"]))
    assert made["logits"] == pytest.approx(Means()(CASES).numpy())


def test_many_views_give_the_log_of_the_mean_probability() -> None:
    names = ["identity", "hflip", "rot90", "shift_left"]
    made = task().predict(Means(), CASES, views.build(names))["logits"]
    each = [torch.softmax(Means()(CASES.map(views.build([name])[0].forward)), 1).numpy() for name in names]
    assert np.exp(made) == pytest.approx(np.mean(each, axis=0), abs=1e-6)
    flipped = task().predict(Means(), Inputs.of(IMAGES.flip(-1)), views.build(["identity", "hflip"]))["logits"]
    assert flipped == pytest.approx(task().predict(Means(), CASES, views.build(["identity", "hflip"]))["logits"])


def test_packing_keeps_the_order_and_the_classes_and_takes_no_batch_at_all() -> None:
    parts = [{"logits": np.ones((2, 3))}, {"logits": np.zeros((1, 3))}]
    made = dict(task().pack(pd.DataFrame({"id": ["z", "y", "x"]}), parts))
    assert made["ids"].tolist() == ["z", "y", "x"]
    assert made["classes"].tolist() == ["a", "b", "c"]
    assert (made["logits"].dtype, made["logits"][:, 0].tolist()) == (np.float32, [1, 1, 0])
    assert dict(task().pack(pd.DataFrame({"id": []}), []))["logits"].shape == (0, 3)


def test_predictions_are_kept_without_pickling(tmp_path: Path) -> None:
    made = packed("xyz", fold=np.array(1))
    save(tmp_path / "p.npz", made.items())
    back = load(tmp_path / "p.npz")
    assert set(back) == {"ids", "classes", "logits", "fold"}
    assert all((back[name] == made[name]).all() for name in made)
    np.savez(tmp_path / "bad.npz", ids=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="pickle"):
        load(tmp_path / "bad.npz")


# --- joining and fusing


def test_join_orders_by_id_and_keeps_each_row_with_its_id() -> None:
    parts = [packed("dba", seed=1), packed("ec", seed=2)]
    joined = task().join(parts)
    assert joined["ids"].tolist() == list("abcde")
    for part in parts:
        for id, row in zip(part["ids"], part["logits"], strict=True):
            assert (joined["logits"][list("abcde").index(id)] == row).all()


def test_join_refuses_parts_that_overlap_or_are_of_other_classes() -> None:
    with pytest.raises(DataError, match="predictions overlap: id 'b' is in more than one part"):
        task().join([packed("ab"), packed("bc")])
    with pytest.raises(DataError, match="a prediction has its classes in another order, from the class 'c' in"):
        task().join([packed("ab"), packed("cd", names="acb")])


def test_fuse_joins_on_id_whatever_the_order_of_rows() -> None:
    first, second = packed("abcd", seed=1), packed("abcd", seed=2)
    order = [2, 0, 3, 1]
    shuffled = {**second, "ids": second["ids"][order], "logits": second["logits"][order]}
    fused = task().fuse([first, shuffled], [1, 3])
    assert fused["ids"].tolist() == list("abcd")
    expected = (softmax(first["logits"], 1) + 3 * softmax(second["logits"], 1)) / 4
    assert fused["probabilities"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("other", ["abce", "abc", "abcde", "abcc"])
def test_fuse_refuses_members_of_other_images(other: str) -> None:
    with pytest.raises(DataError, match=r"members predict different images, e\.g\. "):
        task().fuse([packed("abcd"), packed(other)], [1, 1])


def test_fuse_refuses_classes_in_another_order() -> None:
    with pytest.raises(DataError, match="a prediction has its classes in another order, from the class 'c' in place 1"):
        task().fuse([packed("ab"), packed("ab", names="cba")], [1, 1])


def test_fusing_predictions_of_no_image_gives_none() -> None:
    assert task().fuse([packed(""), packed("")], [1, 1])["probabilities"].shape == (0, 3)


def test_fused_predictions_can_be_fused_again() -> None:
    once = task().fuse([packed("abc", seed=1), packed("abc", seed=2)], [1, 1])
    again = task().fuse([once, once], [1, 1])
    assert again["probabilities"] == pytest.approx(once["probabilities"])


def test_probabilities_in_the_order_of_ids_asked_for_and_a_missing_one_named() -> None:
    made = packed("abc")
    rows = task().probabilities(made, ["c", "a"])
    assert rows == pytest.approx(softmax(made["logits"], 1)[[2, 0]], abs=1e-6)
    assert rows.sum(axis=1) == pytest.approx(1)
    with pytest.raises(DataError, match="2 images have no prediction, first 'x'"):
        task().probabilities(made, ["a", "x", "y"])


# --- scores


@pytest.mark.parametrize("metric", METRICS)
def test_score_joins_on_id(metric: str) -> None:
    ids = [f"i{number:02d}" for number in range(40)]
    truth = pd.DataFrame({"id": ids, "label": [list("abc")[number % 3] for number in range(40)]})
    made = arrays(task(), ids, np.random.default_rng(0).normal(size=(40, 3)))
    order = np.random.default_rng(1).permutation(40)
    shuffled = {**made, "ids": made["ids"][order], "logits": made["logits"][order]}
    first = scored(task(), made, truth, metric, n_resamples=50)
    assert scored(task(), shuffled, truth, metric, n_resamples=50) == first
    evidence = Labelled(softmax(made["logits"].astype(float), 1), np.arange(40) % 3)
    expected = METRICS[metric].value(evidence, np.arange(40))
    assert first.value == pytest.approx(expected)
    assert first.low <= first.value <= first.high


def test_score_resamples_by_group_where_there_are_groups() -> None:
    ids = [f"i{number:03d}" for number in range(120)]
    right = np.repeat(np.random.default_rng(0).random(15) < 0.6, 8)
    made = arrays(task("ab"), ids, np.column_stack([np.where(right, 5, -5), np.zeros(120)]))
    truth = pd.DataFrame({"id": ids, "label": "a"})
    alone = scored(task("ab"), made, truth, "accuracy")
    grouped = scored(task("ab"), made, truth.assign(group=np.repeat(np.arange(15), 8).astype(str)), "accuracy")
    assert grouped.value == alone.value == right.mean()
    assert grouped.high - grouped.low > 1.8 * (alone.high - alone.low)


def test_the_table_for_people_has_class_confidence_and_a_column_a_class() -> None:
    table = task().table(packed("xy"))
    assert list(table.columns) == ["id", "prediction", "confidence", "p_a", "p_b", "p_c"]
    for row in table.to_dict("records"):
        assert row["confidence"] == max(row[f"p_{name}"] for name in "abc") == row[f"p_{row['prediction']}"]


# --- the prediction stage


@pytest.fixture(scope="module")
def predicted(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Training and prediction of both folds of the tiny experiment."""
    root = tmp_path_factory.mktemp("predicted")
    model = tiny.model({"epochs": 6, "augment": "none"})
    for fold in range(2):
        place = {**PLACE, "fold": fold}
        tiny.train(root / f"train/fold{fold}", fold_file=tiny.fold_file(fold), place=place, model=model)
        predict.run(
            folder=str(root / f"net/round0/fold{fold}/seed0"),
            weights=str(root / f"train/fold{fold}/model.safetensors"),
            fold_file=tiny.fold_file(fold),
            classes=str(tiny.folds / "classes.json"),
            caches=tiny.caches("train", "test", "unlabeled"),
            lists={name: str(tiny.folds / f"{name}.csv") for name in ("test", "unlabeled")},
            task=TASK,
            model={name: model[name] for name in ("network", "backbone", "params", "size")},
            resize="squash",
            channels=3,
            tta=["identity", "hflip"],
            place=place,
            runtime=RUNTIME,
        )
    return root


def test_prediction_covers_the_validation_fold_and_each_list(predicted: Path, tiny: Tiny) -> None:
    for fold in range(2):
        folder = predicted / f"net/round0/fold{fold}/seed0"
        table = pd.read_csv(tiny.fold_file(fold), dtype=str)
        assert set(load(folder / "oof.npz")["ids"]) == set(table["id"][table["split"] == "val"])
        for name, n in (("test", 12), ("unlabeled", 10)):
            made = load(folder / f"{name}.npz")
            assert made["ids"].tolist() == list(pd.read_csv(tiny.folds / f"{name}.csv", dtype=str)["id"])
            assert made["logits"].shape == (n, 2)
            assert (int(made["fold"]), int(made["round"]), int(made["seed"])) == (fold, 0, 0)


def test_prediction_gives_in_small_batches_what_it_gives_in_one(predicted: Path, tiny: Tiny, tmp_path: Path) -> None:
    model = tiny.model()
    predict.run(
        folder=str(tmp_path),
        weights=str(predicted / "train/fold0/model.safetensors"),
        fold_file=tiny.fold_file(),
        classes=str(tiny.folds / "classes.json"),
        caches=tiny.caches("train"),
        lists={},
        task=TASK,
        model={name: model[name] for name in ("network", "backbone", "params", "size")},
        resize="squash",
        channels=3,
        tta=["identity", "hflip"],
        place=PLACE,
        runtime=RUNTIME,
        batch_size=3,
    )
    given = load(predicted / "net/round0/fold0/seed0/oof.npz")
    assert load(tmp_path / "oof.npz")["logits"] == pytest.approx(given["logits"], abs=1e-4)
    assert [path.name for path in tmp_path.iterdir()] == ["oof.npz"]


# --- pseudo labels

POOL = [f"u{number}" for number in range(6)]


def pool_file(path: Path, fold: int, sure: dict[str, str], member: int = 0, certainty: float = 12.0) -> str:
    """Predictions of the pool by a model of a fold: certain of ``sure``, undecided of the others."""
    logits = np.zeros((len(POOL), 2))
    for id, label in sure.items():
        logits[POOL.index(id), ["cat", "dog"].index(label)] = certainty
    made = arrays(classification(["cat", "dog"]), POOL, logits)
    target = path / f"member{member}/round0/fold{fold}/seed0/test.npz"
    target.parent.mkdir(parents=True)
    save(target, (made | {"fold": np.array(fold), "round": np.array(0), "seed": np.array(0)}).items())
    return str(target)


def make_pseudo(
    folder: Path,
    files: list[str],
    fold: int,
    threshold: float = 0.9,
    weights: dict[str, float] | None = None,
    method: str = "probability",
) -> pd.DataFrame:
    classes, out, how = folder / "classes.json", folder / f"pseudo{fold}.csv", {"method": method}
    classes.write_text(json.dumps(["cat", "dog"]))
    pseudo_label.run({"unlabeled": files}, str(classes), str(out), TASK, threshold, fold, weights or {}, how, 1)
    return pd.read_csv(out, dtype=str)


def test_a_planted_label_of_a_validation_image_does_not_reach_its_own_fold(tmp_path: Path) -> None:
    """u0 is a copy of a validation image of fold 0: the models of folds 1 and 2 learnt its (wrong) label 'dog'."""
    fold_0 = [pool_file(tmp_path, 0, {"u1": "cat"}, member) for member in range(2)]
    others = {fold: [pool_file(tmp_path, fold, {"u0": "dog", "u1": "cat"})] for fold in (1, 2)}
    assert make_pseudo(tmp_path, fold_0, fold=0)["id"].tolist() == ["u1"]
    for fold in (1, 2):
        made = make_pseudo(tmp_path, others[fold], fold)
        assert dict(zip(made["id"], made["label"], strict=True)) == {"u0": "dog", "u1": "cat"}, "the plant is real"


@pytest.mark.parametrize("position", [0, 1])
def test_a_file_of_another_fold_is_refused(tmp_path: Path, position: int) -> None:
    files = [pool_file(tmp_path, 0, {"u1": "cat"})]
    files.insert(position, pool_file(tmp_path, 1, {"u0": "dog"}))
    said = r"member0/round0/fold1/seed0/test\.npz holds predictions of fold 1; pseudo labels for fold 0 must come from its own"
    with pytest.raises(DataError, match=said):
        make_pseudo(tmp_path, files, fold=0)
    assert not (tmp_path / "pseudo0.csv").exists()


def test_members_are_averaged_before_the_threshold(tmp_path: Path) -> None:
    files = [pool_file(tmp_path, 0, {"u1": "cat", "u2": "dog"}, 0), pool_file(tmp_path, 0, {"u1": "cat"}, 1)]
    assert make_pseudo(tmp_path, files, 0, threshold=0.9)["id"].tolist() == ["u1"]
    made = make_pseudo(tmp_path, files, 0, threshold=0.7)
    assert made["id"].tolist() == ["u1", "u2"]
    assert [float(value) for value in made["confidence"]] == pytest.approx([1.0, 0.75], abs=1e-4)
    assert set(made["source"]) == {"unlabeled"}


def test_the_teacher_is_the_ensemble_with_its_weights_and_its_method(tmp_path: Path) -> None:
    files = [pool_file(tmp_path, 0, {"u1": "cat"}, 0, 3.0), pool_file(tmp_path, 0, {"u1": "dog", "u2": "dog"}, 1, 6.0)]
    one, two = expit(3.0), expit(6.0)

    def said(**how: Any) -> dict[str, tuple[str, float]]:
        made = make_pseudo(tmp_path, files, 0, 0.6, **how)
        return {row["id"]: (row["label"], float(row["confidence"])) for row in made.to_dict("records")}

    assert said()["u2"] == ("dog", pytest.approx((0.5 + two) / 2, abs=1e-5))
    assert "u1" not in said(), "equal votes differ"
    assert said(weights={"member0": 3})["u1"] == ("cat", pytest.approx((3 * one + 1 - two) / 4, abs=1e-5))
    assert said(method="logit")["u1"] == ("dog", pytest.approx(expit(1.5), abs=1e-5))
    alone = {"u1": ("cat", pytest.approx(one, abs=1e-5))}
    assert said(weights={"member1": 0}) == alone, "a member of weight 0 has no say"
    Path(files[1]).write_bytes(b"no predictions")
    assert said(weights={"member1": 0}) == alone, "nor is it read"


def test_where_nothing_is_sure_the_file_holds_its_head_alone(tmp_path: Path) -> None:
    made = make_pseudo(tmp_path, [pool_file(tmp_path, 0, {})], 0)
    assert (len(made), list(made.columns)) == (0, ["id", "label", "confidence", "source"])


def test_an_empty_pseudo_file_is_learnt_from_like_none(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "pseudo.csv").write_text("id,label,confidence,source\n")
    model = tiny.model({"epochs": 1, "warmup_epochs": 0})
    record = tiny.train(tmp_path, pseudo=str(tmp_path / "pseudo.csv"), model=model)
    assert (record["n_train"], record["n_pseudo"]) == (20, 0)


# --- the ensemble stage


def few_resamples(metric: Metric, evidence: Any, groups: list[str] | None = None, n_resamples: int = 0) -> Score:
    return score(metric, evidence, groups, 60)


def run_ensemble(predictions: Path, tiny: Tiny, out: Path, **changes: Any) -> dict[str, Any]:
    settings = {
        "predictions": str(predictions),
        "train": str(tiny.folds / "train.csv"),
        "classes": str(tiny.folds / "classes.json"),
        "folder": str(out / "ensemble"),
        "leaderboard": str(out / "leaderboard.csv"),
        "metrics": str(out / "metrics.json"),
        "task": TASK,
        "metric": "accuracy",
        "models": ["net"],
        "seeds": [0],
        "n_folds": 2,
        "rounds": 1,
        "has_test": True,
        "weights": {},
        "settings": {"method": "probability"},
        "workers": 1,
        **changes,
    }
    with pytest.MonkeyPatch.context() as patch:  # 1,000 resamples of six metrics take seconds
        patch.setattr(every_metric, "score", few_resamples)
        ensemble.run(**settings)
    return json.loads((out / "metrics.json").read_text())


def test_the_ensemble_s_oof_covers_every_training_image_once(predicted: Path, tiny: Tiny, tmp_path: Path) -> None:
    run_ensemble(predicted, tiny, tmp_path)
    oof = load(tmp_path / "ensemble/oof.npz")
    assert oof["ids"].tolist() == sorted(pd.read_csv(tiny.folds / "train.csv", dtype=str)["id"])
    assert len(oof["ids"]) == 40
    table = pd.read_csv(tmp_path / "ensemble/oof.csv", dtype=str)
    assert {"id", "prediction", "confidence", "p_cat", "p_dog", "label", "fold"} <= set(table.columns)
    assert len(table) == 40
    test = load(tmp_path / "ensemble/test.npz")
    each = [softmax(load(predicted / f"net/round0/fold{k}/seed0/test.npz")["logits"].astype(float), 1) for k in (0, 1)]
    assert test["probabilities"] == pytest.approx(np.mean(each, axis=0))


@pytest.fixture
def three_rounds(predicted: Path, tmp_path: Path) -> Path:
    """Predictions of a in the rounds 0 and 2, and of b in round 1, all different."""
    for place, (name, number) in enumerate([("a", 0), ("b", 1), ("a", 2)]):
        for fold in (0, 1):
            to = tmp_path / f"predict/{name}/round{number}/fold{fold}/seed0"
            to.mkdir(parents=True)
            for path in (predicted / f"net/round0/fold{fold}/seed0").glob("*.npz"):
                found = dict(np.load(path))
                np.savez(to / path.name, **{**found, "logits": found["logits"] * (0.1 + place)})
    return tmp_path / "predict"


def test_the_latest_networks_vote_and_weight_0_has_no_say(three_rounds: Path, tiny: Tiny, tmp_path: Path) -> None:
    def voted(**weights: float) -> tuple[Any, dict[int, list[str]]]:
        how = {"models": ["a", "b"], "rounds": [["a"], ["b"], ["a"]], "weights": weights}
        run_ensemble(three_rounds, tiny, tmp_path, **how)
        scores = pd.read_csv(tmp_path / "ensemble/rounds.csv").groupby("round")["member"].apply(list).to_dict()
        return load(tmp_path / "ensemble/test.npz")["probabilities"], scores

    mean = {
        name: np.mean(
            [softmax(load(path)["logits"].astype(float), 1) for path in (three_rounds / name).rglob("test.npz")], 0
        )
        for name in ("a/round2", "b/round1")
    }
    probabilities, members = voted()
    np.testing.assert_allclose(probabilities, (mean["a/round2"] + mean["b/round1"]) / 2, atol=1e-6)
    both = ["a-seed0", "b-seed0", "ensemble"]
    assert members == {0: ["a-seed0", "ensemble"], 1: both, 2: both}
    probabilities, members = voted(a=0)
    np.testing.assert_allclose(probabilities, mean["b/round1"], atol=1e-6)
    assert members == {0: ["a-seed0"], 1: both, 2: both}, "before b is trained there is no ensemble"


def test_images_that_no_fold_validates_are_not_scored(predicted: Path, tiny: Tiny, tmp_path: Path) -> None:
    table = pd.read_csv(tiny.folds / "train.csv", dtype=str)
    more = pd.concat([table, table.head(3).assign(id=["x", "y", "z"], fold="-1")], ignore_index=True)
    more.to_csv(tmp_path / "train.csv", index=False)
    made = run_ensemble(predicted, tiny, tmp_path, train=str(tmp_path / "train.csv"))
    assert load(tmp_path / "ensemble/oof.npz")["ids"].tolist() == sorted(table["id"])
    assert made["oof"]["accuracy"] == run_ensemble(predicted, tiny, tmp_path)["oof"]["accuracy"]


def test_metrics_json_has_the_keys_of_the_design(predicted: Path, tiny: Tiny, tmp_path: Path) -> None:
    made = run_ensemble(predicted, tiny, tmp_path)
    assert {"task", "metric", "oof", "members"} <= set(made)
    assert (made["task"], made["metric"]) == ("classification", "accuracy")
    assert set(made["oof"]) == set(facts("classification").reported) - {"quadratic_kappa"}, (
        "cats and dogs are no grades"
    )
    assert next(iter(made["oof"])) == "accuracy"
    assert set(made["members"]) == {"net-seed0"}
    for entry in [*made["oof"].values(), made["members"]["net-seed0"]["accuracy"]]:
        assert set(entry) == {"value", "low", "high"}
        assert entry["low"] <= entry["value"] <= entry["high"]
    oof = pd.read_csv(tmp_path / "ensemble/oof.csv", dtype=str)
    assert made["oof"]["accuracy"]["value"] == pytest.approx((oof["prediction"] == oof["label"]).mean())


def test_the_test_score_stands_in_metrics_json_and_the_headline_is_a_handful_of_numbers(
    predicted: Path, tiny: Tiny, tmp_path: Path
) -> None:
    test = pd.read_csv(tiny.folds / "test.csv", dtype=str)
    run_ensemble(predicted, tiny, tmp_path)
    assert set(json.loads((tmp_path / "headline.json").read_text())) == {"task", "metric", "oof"}
    said = pd.read_csv(tmp_path / "ensemble/test.csv", dtype=str)[["id", "prediction"]].rename(
        columns={"prediction": "label"}
    )
    classes = json.loads((tiny.folds / "classes.json").read_text())
    said.loc[0, "label"] = classes[1 - classes.index(said.loc[0, "label"])]
    said.to_csv(tmp_path / "answers.csv", index=False)
    test.assign(group="one").to_csv(tmp_path / "test.csv", index=False)
    grouped = {"answers": str(tmp_path / "answers.csv"), "test": str(tmp_path / "test.csv")}
    made = run_ensemble(predicted, tiny, tmp_path, **grouped)
    assert made["test"]["accuracy"]["value"] == pytest.approx(1 - 1 / len(said))
    assert made["test"]["accuracy"]["low"] == made["test"]["accuracy"]["high"], "one group alone can be drawn"
    assert set(made["test"]) == set(made["oof"])
    headline = json.loads((tmp_path / "headline.json").read_text())
    parts = {name: {"accuracy": made[name]["accuracy"]} for name in ("oof", "test")}
    assert headline == {"task": "classification", "metric": "accuracy", **parts}


def test_an_image_without_out_of_fold_prediction_is_refused(predicted: Path, tiny: Tiny, tmp_path: Path) -> None:
    table = pd.read_csv(tiny.folds / "train.csv", dtype=str)
    table = pd.concat([table, table.tail(1).assign(id="new")])
    table.to_csv(tmp_path / "train.csv", index=False)
    said = r"net seed 0 round 0: out-of-fold predictions and training images differ, e\.g\. 'new'"
    with pytest.raises(DataError, match=said):
        run_ensemble(predicted, tiny, tmp_path, train=str(tmp_path / "train.csv"))
    assert not (tmp_path / "metrics.json").exists()


def members_file(root: Path, tiny: Tiny, member: str, round: int, right: float, seed: int = 0) -> None:
    """Predictions of a pretended member that is right in a share of the images."""
    truth = pd.read_csv(tiny.folds / "train.csv", dtype=str)
    for fold in range(2):
        rows = truth[truth["fold"] == str(fold)]
        hit = np.arange(len(rows)) < right * len(rows)
        index = np.array([tiny.classes.index(label) for label in rows["label"]])
        logits = np.zeros((len(rows), 2))
        logits[np.arange(len(rows)), np.where(hit, index, 1 - index)] = 3.0
        folder = root / member / f"round{round}" / f"fold{fold}" / f"seed{seed}"
        chosen = classification(tiny.classes)
        save(folder / "oof.npz", arrays(chosen, list(rows["id"]), logits).items())
        save(folder / "test.npz", arrays(chosen, ["t0"], logits[:1]).items())


def test_the_leaderboard_has_a_row_a_member_and_one_of_the_ensemble_best_first(tiny: Tiny, tmp_path: Path) -> None:
    for member, right in (("weak", 0.6), ("strong", 0.9)):
        for seed in (0, 1):
            members_file(tmp_path / "p", tiny, member, 0, right - 0.1, seed)
            members_file(tmp_path / "p", tiny, member, 1, right, seed)
    made = run_ensemble(
        tmp_path / "p", tiny, tmp_path, models=["weak", "strong"], seeds=[0, 1], rounds=2, weights={"weak": 0.5}
    )
    board = pd.read_csv(tmp_path / "leaderboard.csv")
    assert sorted(board["member"]) == ["ensemble", "strong-seed0", "strong-seed1", "weak-seed0", "weak-seed1"]
    assert board["accuracy"].is_monotonic_decreasing
    assert set(board["round"]) == {1}
    assert made["members"]["strong-seed0"]["accuracy"]["value"] == pytest.approx(0.9)
    rounds = pd.read_csv(tmp_path / "ensemble/rounds.csv")
    assert len(rounds) == 2 * 5
    first = rounds[(rounds["round"] == 0) & (rounds["member"] == "strong-seed0")]
    assert first["accuracy"].item() == pytest.approx(0.8)
    weights = json.loads((tmp_path / "ensemble/weights.json").read_text())
    assert weights["method"] == "probability"
    assert weights["weights"] == pytest.approx(
        {"weak-seed0": 1 / 6, "weak-seed1": 1 / 6, "strong-seed0": 1 / 3, "strong-seed1": 1 / 3}
    )


def test_the_score_of_fitted_steps_is_the_nested_one_and_the_optimistic_one_stands_beside_it(
    tiny: Tiny, tmp_path: Path
) -> None:
    generator, truth = np.random.default_rng(0), pd.read_csv(tiny.folds / "train.csv", dtype=str)
    for member in ("one", "two"):
        for fold in range(2):
            ids = list(truth["id"][truth["fold"] == str(fold)])
            folder, task = tmp_path / f"p/{member}/round0/fold{fold}/seed0", classification(tiny.classes)
            save(folder / "oof.npz", arrays(task, ids, generator.normal(size=(len(ids), 2))).items())
            save(folder / "test.npz", arrays(task, ["t0"], np.zeros((1, 2))).items())
    steps = {"fusion": "fitted_average", "postprocessing": ["thresholds"], "models": ["one", "two"]}
    made = run_ensemble(tmp_path / "p", tiny, tmp_path, **steps)
    fitted = json.loads((tmp_path / "ensemble/fitted.json").read_text())
    assert [step["step"] for step in fitted["steps"]] == ["fitted_average", "thresholds"]
    assert list(fitted["without_fold"]) == ["0", "1"]
    weights = json.loads((tmp_path / "ensemble/weights.json").read_text())
    assert weights == {"method": "fitted_average", "weights": pytest.approx(fitted["steps"][0]["fitted"]["weights"])}
    honest, flattered = made["oof"]["accuracy"]["value"], made["optimistic"]["accuracy"]["value"]
    assert flattered > honest
    oof, test = load(tmp_path / "ensemble/oof.npz"), load(tmp_path / "ensemble/test.npz")
    table = pd.read_csv(tmp_path / "ensemble/oof.csv", dtype=str)
    assert honest == pytest.approx((table["prediction"] == table["label"]).mean())
    for fold in range(2):
        used = oof["thresholds"][(table["fold"] == str(fold)).to_numpy()]
        assert np.unique(used).tolist() == [*fitted["without_fold"][str(fold)][1]["thresholds"].values()]
    assert test["thresholds"].tolist() == [[*fitted["steps"][1]["fitted"]["thresholds"].values()]]
    board = pd.read_csv(tmp_path / "leaderboard.csv").set_index("member")
    assert board.loc["ensemble", "accuracy"] == pytest.approx(honest)
    assert board.loc["ensemble", "optimistic"] == pytest.approx(flattered)
    assert board["optimistic"].drop("ensemble").isna().all()
    headline = json.loads((tmp_path / "headline.json").read_text())
    assert headline["optimistic"] == {"accuracy": made["optimistic"]["accuracy"]}
    assert set(made["optimistic"]["accuracy"]) == {"value", "low", "high"}


def test_a_metric_to_be_lowered_orders_the_leaderboard_upwards(tiny: Tiny, tmp_path: Path) -> None:
    for member, right in (("weak", 0.6), ("strong", 0.9)):
        members_file(tmp_path / "p", tiny, member, 0, right)
    run_ensemble(tmp_path / "p", tiny, tmp_path, models=["weak", "strong"], metric="log_loss")
    board = pd.read_csv(tmp_path / "leaderboard.csv")
    assert board["log_loss"].is_monotonic_increasing
    assert board["member"].iloc[0] == "strong-seed0"


@pytest.mark.parametrize("method", METHODS)
def test_an_ensemble_of_one_member_scores_as_the_member(
    method: str, predicted: Path, tiny: Tiny, tmp_path: Path
) -> None:
    made = run_ensemble(predicted, tiny, tmp_path, settings={"method": method})
    assert made["oof"]["accuracy"] == made["members"]["net-seed0"]["accuracy"]


# --- submissions


def test_submission_of_two_classes_in_one_column_is_the_second_s_probability() -> None:
    made = {"ids": np.array(["x", "y"]), "classes": np.array(["no", "yes"])}
    made |= {"probabilities": np.array([[0.9, 0.1], [0.2, 0.8]])}
    binary = classification(["no", "yes"])
    table = binary.submission(made, Form(["id", "target"]))
    assert table.to_dict("list") == {"id": ["x", "y"], "target": pytest.approx([0.1, 0.8])}
    assert binary.submission(made, Form(["id", "no"]))["no"].tolist() == pytest.approx([0.9, 0.2])
    assert binary.submission(made, Form(["id", "target"], as_labels=True))["target"].tolist() == ["no", "yes"]


def test_submitted_columns_are_named_not_counted() -> None:
    made = {"ids": np.array(["x", "y"]), "classes": np.array(list("abc"))}
    made |= {"probabilities": np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])}
    table = task().submission(made, Form(["id", "c", "a", "b"]))
    assert list(table.columns) == ["id", "c", "a", "b"]
    assert table[["a", "b", "c"]].to_numpy() == pytest.approx(made["probabilities"])


def test_a_submitted_rank_average_keeps_the_order_within_each_class_that_a_ranking_metric_sees() -> None:
    """What is submitted must be what was scored: dividing rows by their sums reorders images within a class."""
    stack = np.random.default_rng(0).dirichlet(np.ones(3), (3, 30))
    values = METHODS["rank"](stack, [1, 1, 1])
    made = {"ids": np.array([f"i{n:02d}" for n in range(30)]), "classes": np.array(list("abc"))}
    table = task().submission(made | {"probabilities": values}, Form(["id", "a", "b", "c"]))
    for column, name in enumerate("abc"):
        assert rankdata(table[name].to_numpy()) == pytest.approx(rankdata(values[:, column])), name


def test_what_a_metric_looks_at_decides_what_is_submitted() -> None:
    wants = {name: task().form(None, "", FORM, name).as_labels for name in METRICS}
    assert wants == {name: metric.of_labels for name, metric in METRICS.items()}
    named = {**FORM, "id_column": "Id", "label_column": "y"}
    assert whole(TASK, ["a", "b"]).form(None, "", named, "accuracy").columns == ["Id", "y"]
    assert task().form(None, "", named, "log_loss").columns == ["Id", "a", "b", "c"]


def test_a_member_of_weight_zero_is_left_out_before_anything_is_fused() -> None:
    assert voters(["a", "b", "c"], [3, 0, 1]) == (["a", "c"], [0.75, 0.25])
    with pytest.raises(ConfigError, match=r"all are 0\. At least one must be above 0\."):
        voters(["a"], [0])
