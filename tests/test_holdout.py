"""The sealed holdout: which cases are set aside, that no job sees their targets, and how it is opened."""

import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import made_run
from conftest import Tiny, save_picture
from goldfold import cli, ledger, openings, sealing
from goldfold.audit.doubts.folds import about_holdout
from goldfold.base.errors import ConfigError, DataError
from goldfold.base.files import read_json
from goldfold.catalog import TASKS
from goldfold.config import parse, slices
from goldfold.config.dependencies import recipe
from goldfold.metrics.luck import expected_maximum
from goldfold.openings import Opening
from goldfold.planning.outputs import SEALED
from goldfold.planning.plan import Job, plan_of
from goldfold.predictions.arrays import load, save
from goldfold.report import holdout as section
from goldfold.splits.holdout import drawn, separate
from goldfold.splits.together import joined
from goldfold.stages import folds, manifest
from test_compare import made
from test_workflow import TINY, write_config, write_images
from tiny_results import fusing, record, run_ensemble

CLASSES = ["cat", "dog"]
SHARE = {"share": 0.2}
FOLDS = {"splitter": "stratified", "n_folds": 2, "seed": 0, "shards": 1}
_TINY: Any = TINY


def table_of(n: int = 60, **columns: Any) -> pd.DataFrame:
    """``n`` images, two classes in turns."""
    ids = [f"i{number:03d}" for number in range(n)]
    return pd.DataFrame(
        {"id": ids, "label": [CLASSES[k % 2] for k in range(n)], "sha256": [f"s{id}" for id in ids], **columns}
    )


def content(table: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({name: (table["label"] == name).astype(int) for name in CLASSES})


def apart(table: pd.DataFrame, how: dict[str, Any] = SHARE, splitter: str = "stratified", **more: Any) -> Any:
    return separate(table, content(table), how, splitter, **more)


def listing(folder: Path, rows: dict[str, Sequence[object]]) -> str:
    """A file for `holdout.file`."""
    pd.DataFrame(rows).to_csv(folder / "holdout.csv", index=False)
    return str(folder / "holdout.csv")


# --- which cases are set aside


@given(st.integers(30, 200), st.sampled_from([0.05, 0.1, 0.15, 0.25, 0.4]), st.integers(0, 2**32 - 1))
def test_a_draw_has_its_share_of_each_class_whatever_the_order_of_the_rows(n: int, share: float, seed: int) -> None:
    table = table_of(n)
    mask = drawn(table, content(table), share, "stratified", seed)
    assert abs(mask.sum() - share * n) <= max(3, 0.2 * share * n)
    per_class = content(table)[mask].sum()
    assert per_class.max() - per_class.min() <= 3
    order = np.random.default_rng(seed).permutation(n)
    turned = table.iloc[order].reset_index(drop=True)
    again = drawn(turned, content(turned), share, "stratified", seed)
    assert set(turned["id"][again]) == set(table["id"][mask])


@given(st.data())
def test_no_group_and_no_set_of_copies_is_on_both_sides(data: st.DataObject) -> None:
    n = 48
    groups = data.draw(st.lists(st.integers(0, 11), min_size=n, max_size=n))
    firsts = data.draw(st.lists(st.integers(0, n - 1), min_size=6, max_size=6))
    copies = np.full(n, "", object)
    copies[firsts], copies[[(first + 17) % n for first in firsts]] = "i000", "i000"
    table = table_of(n, group=[f"g{one}" for one in groups], copies=copies)
    if joined(table)["group"].nunique() < 2:
        return
    try:
        found = apart(table, splitter="stratified_group")
    except DataError:  # one unit holds a class
        return
    of = dict(zip(table["id"], joined(table)["group"], strict=True))
    assert not {of[id] for id in found.holdout["id"]} & {of[id] for id in found.train["id"]}
    assert len(found.holdout) + len(found.train) == n
    assert found.left_out.empty


def test_another_seed_draws_another_holdout() -> None:
    first, other = (set(apart(table_of(), {**SHARE, "seed": seed}).holdout["id"]) for seed in (0, 1))
    assert len(first) == len(other) == 12
    assert first != other


def test_few_groups_give_one_of_them() -> None:
    table = table_of(60, group=[f"g{k // 10}" for k in range(60)])
    assert apart(table, {"share": 0.05}, "stratified_group").holdout["group"].nunique() == 1
    with pytest.raises(
        DataError, match=r"holdout.share = 0.1: all 60 training cases belong together \(group, copies\)"
    ):
        apart(table_of(60, group="one"), {"share": 0.1}, "stratified_group")


def test_a_class_of_one_case_stays_in_training() -> None:
    for seed in range(20):
        table = table_of(41)
        table.loc[40, "label"] = "rare"
        amounts = content(table).assign(rare=(table["label"] == "rare").astype(int))
        found = separate(table, amounts, {**SHARE, "seed": seed}, "stratified")
        assert "rare" in set(found.train["label"])


def test_cases_that_are_only_trained_on_are_not_drawn_and_leave_with_their_group() -> None:
    is_extra = ["1" if k >= 40 else "" for k in range(60)]
    table = table_of(60, train_only=is_extra, group=[f"g{k % 20}" for k in range(60)])
    found = apart(table, splitter="stratified_group")
    assert not set(found.holdout["train_only"]) & {"1"}
    assert set(found.left_out["train_only"]) == {"1"}
    assert set(found.left_out["group"]) == set(found.holdout["group"])
    first = found.left_out.iloc[0]
    assert first["reason"] == f"is of group {first['group']!r}, which is in the holdout"


def test_cases_of_no_given_fold_are_not_drawn() -> None:
    table = table_of(60, fold=[str(k % 3 - 1) for k in range(60)])
    found = apart(table, {"share": 0.25}, "predefined")
    assert sorted(set(found.holdout["fold"])) == ["0", "1"]
    with pytest.raises(
        DataError, match=r"holdout.share: no training case is validated, and the holdout is drawn from those"
    ):
        apart(table_of(60, train_only="1"))


def test_an_ordered_split_sets_the_last_cases_aside_at_the_distance_of_its_gap() -> None:
    table = table_of(60, order=[str(k) for k in range(60)])
    found = apart(table, splitter="ordered", gap=5.0)
    assert found.holdout["order"].astype(int).tolist() == list(range(48, 60))
    assert found.left_out["order"].astype(int).tolist() == [44, 45, 46, 47]
    assert found.left_out["reason"].unique() == [
        "shares an image with the holdout, or is less than folds.gap before it"
    ]


@pytest.mark.parametrize(
    ("columns", "how"),
    [
        ({"id": ["i001", "i004"]}, {}),
        ({"id": ["i001", "i004", "i005"], "kept": ["yes", "1", ""]}, {"column": "kept"}),
        ({"image": ["i004", "i001", "i000"], "split": ["h", "h", "t"]}, {"id_column": "image", "column": "split", "value": "h"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("prefix", ["", "train/"])
def test_a_file_names_the_cases(tmp_path: Path, columns: dict[str, Any], how: dict[str, Any], prefix: str) -> None:
    table = table_of()
    table["id"] = prefix + table["id"]
    found = apart(table, {"file": listing(tmp_path, columns), **how})
    assert found.holdout["id"].tolist() == [f"{prefix}i001", f"{prefix}i004"]
    assert len(found.train) == 58


def test_a_file_may_name_cases_that_were_left_out_before(tmp_path: Path) -> None:
    file = listing(tmp_path, {"id": ["i001", "gone"]})
    assert len(apart(table_of(), {"file": file}, lost=["gone"]).holdout) == 1


@pytest.mark.parametrize(
    ("rows", "how", "error"),
    [
        ({"id": ["i001", "x"]}, {}, "names 1 id that no training case has, first 'x'. Use the ids of manifest/train.csv"),
        ({"image": ["i001"]}, {}, "has no column 'id': .*it has: image. Set holdout.id_column"),
        ({"id": ["i001"]}, {"column": "split"}, "has no column 'split': it has: id. Set holdout.column"),
        (
            {"id": ["i001", "i002"], "split": ["train", "val"]}, {"column": "split", "value": "holdout"},
            "has split = 'holdout'; it has 'train', 'val'. Correct value",
        ),
        ({"id": ["i001"], "split": ["maybe"]}, {"column": "split"}, "id 'i001' has 'maybe'; write 1 or 0"),
        (
            {"id": ["i001", "i001"], "split": ["a", "b"]}, {"column": "split", "value": "a"},
            "marks id 'i001' in one row, and not in another",
        ),
        ({"id": [f"i{k:03d}" for k in range(0, 60, 2)]}, {}, "class 'cat' would be in the holdout only"),
        ({"id": [f"i{k:03d}" for k in range(60)]}, {}, "the holdout leaves none of the 60 training cases"),
    ],
)  # fmt: skip
def test_an_unusable_file_is_refused(tmp_path: Path, rows: dict[str, Any], how: dict[str, Any], error: str) -> None:
    with pytest.raises(DataError, match=error):
        apart(table_of(), {"file": listing(tmp_path, rows), **how})


def test_a_file_whose_cases_were_all_left_out_gives_no_holdout(tmp_path: Path) -> None:
    file = listing(tmp_path, {"id": ["gone"]})
    with pytest.raises(DataError, match=r"holdout.file: the holdout is empty: none of the 60 training cases is in it"):
        apart(table_of(), {"file": file}, lost=["gone"])


def test_a_listed_holdout_shares_no_group_with_training(tmp_path: Path) -> None:
    table = table_of(60, group=[f"g{k // 3}" for k in range(60)])
    file = listing(tmp_path, {"id": ["i000", "i001"]})
    with pytest.raises(DataError, match=r"holdout.file: group 'g0' is in the holdout and in training \(1 such group\)"):
        apart(table, {"file": file}, "stratified_group")


def test_copies_of_a_listed_holdout_are_left_out_of_training(tmp_path: Path) -> None:
    table = table_of(60, copies=["i000" if k in (0, 7) else "" for k in range(60)])
    table.loc[9, "sha256"] = table.loc[1, "sha256"]
    found = apart(table, {"file": listing(tmp_path, {"id": ["i000", "i001"]})})
    assert dict(zip(found.left_out["id"], found.left_out["reason"], strict=True)) == {
        "i007": "is a copy of holdout case i000", "i009": "is a copy of holdout case i001",
    }  # fmt: skip
    assert len(found.train) == 56


# --- the config


def config(**changes: Any) -> Any:
    return parse({**_TINY, **changes})


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"holdout": {}}, "holdout: needs share, which draws cases, or file, which lists them"),
        ({"holdout": {"share": 0.1, "file": "a.csv"}}, "needs share, which draws cases, or file, which lists them, not both"),
        ({"holdout": {"share": 0.9}}, "holdout.share = 0.9"),
        ({"holdout": {"share": 0}}, "holdout.share = 0"),
        ({"holdout": {"share": 0.1, "column": "split"}}, "id_column, column and value belong to file"),
        ({"holdout": {"file": "raw/train.csv", "value": "a"}}, "value needs column"),
        ({"holdout": {"file": "raw/train.csv", "seed": 1}}, "seed belongs to share"),
        ({"holdout": {"file": "none.csv"}}, "holdout.file = 'none.csv': no such file; correct it, or remove it"),
        ({"holdout": SHARE, "folds": {"n_folds": 2, "sticky": True}}, "new images would draw another holdout"),
        (
            {"holdout": SHARE, "external": [{"name": "other", "oof": "raw/train.csv", "test": "raw/test.csv"}]},
            "holdout: members of other tools have no predictions of the holdout, and may be trained on it",
        ),
    ],
)  # fmt: skip
def test_a_holdout_that_cannot_be_is_refused(in_tmp: Path, changes: dict[str, Any], error: str) -> None:
    write_images(in_tmp)
    with pytest.raises(ConfigError, match=re.escape(error)):
        config(**changes)


def test_without_a_holdout_no_recipe_knows_of_it(in_tmp: Path) -> None:
    write_images(in_tmp)
    plain, with_one = config(), config(holdout=SHARE)
    for job in (Job("folds"), Job("ensemble"), Job("report")):
        assert "holdout" not in json.dumps(recipe(plain, job)["settings"])
        assert "holdout" in json.dumps(recipe(with_one, job)["settings"])
    assert not any("holdout" in path for path in written_by(plan_of(plain)))
    assert parse({**_TINY, "holdout": SHARE, "quick": True}).holdout is None


def written_by(plan: Any) -> list[str]:
    return [path for stage in plan.stages() for job in plan.jobs(stage) for path in plan.expected(job)]


def test_no_rule_but_the_folds_reads_the_truth() -> None:
    rules = {path.stem: path.read_text() for path in Path(made_run.__file__).parents[1].glob("workflow/rules/*.smk")}
    assert len(rules) > 12
    assert not [name for name, text in rules.items() if "sealed" in text]
    reads = [name for name, text in rules.items() if re.search(r'rules\.manifest|FILES\["manifest"\]', text)]
    assert sorted(reads) == ["crop", "folds", "manifest"]  # crop: ids and files of images, whatever their targets


# --- the lists


def lists_of(tiny: Tiny, folder: Path, how: dict[str, Any] = SHARE) -> dict[str, bytes]:
    """Run the folds stage on the manifest in ``folder`` with a holdout; content of its lists by name."""
    out = folder / "folds"
    folds.run(str(folder / "manifest"), str(out), tiny.task, ["train", "test"], **FOLDS, holdout=how)
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("task", TASKS)
def test_targets_of_the_holdout_are_in_no_list_but_the_sealed_one(
    tiny_of: dict[str, Tiny], tmp_path: Path, task: str
) -> None:
    tiny = tiny_of[task]
    shutil.copytree(tiny.root / "manifest", tmp_path / "manifest")
    path = tmp_path / "manifest/train.csv"
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    rows = table.index[[1, 4, 6, 7]]
    how = {"file": listing(tmp_path, {"id": list(table["id"][rows])})}
    findings(tmp_path / "manifest", table.loc[rows[:2]], "first")
    before = lists_of(tiny, tmp_path, how)
    targets = [name for name in table if name not in sealing.OF_IMAGES]
    assert targets, "the columns that hold the target"
    table.loc[rows, targets] = table.loc[rows[[1, 0, 3, 2]], targets].to_numpy()
    table.to_csv(path, index=False)
    findings(tmp_path / "manifest", table.loc[rows[:2]], "other")
    after = lists_of(tiny, tmp_path, how)
    assert {name for name in before if before[name] != after[name]} == {SEALED}
    assert sorted(before) == sorted(after)
    named = pd.read_csv(tmp_path / "folds" / SEALED, dtype=str, keep_default_na=False)
    assert named[targets].to_numpy().tolist() == table.loc[rows, targets].to_numpy().tolist()
    ids = set(named["id"])
    of_training = [name for name in before if re.match(r"fold\d|train|shards/train|summary|inner", name)]
    assert len(of_training) >= 5
    assert not [name for name in of_training for id in ids if f"{id},".encode() in before[name]]


def findings(folder: Path, rows: pd.DataFrame, label: str) -> None:
    """Copies and a flawed part of a target among cases of the holdout, as the manifest lists them."""
    copies = rows.assign(cluster="7", split="train", label=label, kind="exact", distance="0", nearest="", splits="train",
                         n_labels="1")  # fmt: skip
    names = pd.read_csv(folder / "duplicates.csv", nrows=0).columns
    copies.reindex(columns=names).to_csv(folder / "duplicates.csv", index=False)
    parts = rows.assign(split="train", part="box", reason=f"{label} box", outcome="left out").iloc[:1]
    names = pd.read_csv(folder / "quarantine.csv", nrows=0).columns
    parts.reindex(columns=names).to_csv(folder / "quarantine.csv", index=False)


def test_folds_that_lack_the_cases_of_the_holdout_name_it(tiny: Tiny, tmp_path: Path) -> None:
    shutil.copytree(tiny.root / "manifest", tmp_path / "manifest")
    settings = {**FOLDS, "n_folds": 15}
    with pytest.raises(
        DataError, match=r"fewer than folds.n_folds: 15 .* The holdout has taken 20 of 40 training cases"
    ):
        folds.run(
            str(tmp_path / "manifest"),
            str(tmp_path / "folds"),
            tiny.task,
            ["train"],
            **settings,
            holdout={"share": 0.5},
        )


def test_given_folds_need_not_have_the_cases_of_a_listed_holdout(tiny: Tiny, tmp_path: Path) -> None:
    shutil.copytree(tiny.root / "manifest", tmp_path / "manifest")
    ids = [f"im{number:02d}" for number in range(40)]
    pd.DataFrame({"id": ids[4:], "fold": [k // 2 % 2 for k in range(36)]}).to_csv(tmp_path / "given.csv", index=False)
    settings = {**FOLDS, "splitter": "predefined", "file": str(tmp_path / "given.csv")}
    where = str(tmp_path / "manifest"), str(tmp_path / "folds"), tiny.task, ["train"]
    folds.run(*where, **settings, holdout={"file": listing(tmp_path, {"id": ids[:4]})})
    table = pd.read_csv(tmp_path / "folds/train.csv", dtype=str)
    assert (list(table["id"]), list(table["fold"][:3])) == (ids[4:], ["0", "0", "1"])
    with pytest.raises(DataError, match="has no fold for 4 of 40 training images, first 'im00'"):
        folds.run(*where, **settings, holdout=SHARE)


def test_a_holdout_that_is_given_up_leaves_no_list(tiny: Tiny, tmp_path: Path) -> None:
    shutil.copytree(tiny.root / "manifest", tmp_path / "manifest")
    assert {"holdout.csv", SEALED, "shards/holdout-0.csv"} <= set(lists_of(tiny, tmp_path))
    folds.run(str(tmp_path / "manifest"), str(tmp_path / "folds"), tiny.task, ["train", "test"], **FOLDS)
    assert not [path for path in (tmp_path / "folds").rglob("holdout*") if path.is_file()]


def test_unlabeled_copies_of_the_holdout_are_left_out(in_tmp: Path) -> None:
    write_images(in_tmp)
    image = cv2.imread("raw/images/03.png", cv2.IMREAD_GRAYSCALE)
    assert image is not None
    Path("raw/pool").mkdir()
    shutil.copy("raw/images/02.png", "raw/pool/same.png")
    cv2.imwrite("raw/pool/near.png", cv2.convertScaleAbs(image, alpha=1.0, beta=2))
    save_picture(Path("raw/pool/new.png"), np.random.default_rng(5).integers(0, 255, (16, 16)).astype(np.uint8))
    listing(in_tmp, {"id": ["02", "03"]})
    data = {**_TINY["data"], "unlabeled": "raw/pool", "duplicates_distance": 6}
    wanted = config(data=data, holdout={"file": "holdout.csv"})
    manifest.run(folder="manifest", workers=1, **slices.manifest(wanted))
    folds.run("manifest", "folds", **slices.folds(wanted))
    assert list(pd.read_csv("folds/holdout.csv", dtype=str)["id"]) == ["02", "03"]
    assert list(pd.read_csv("folds/unlabeled.csv", dtype=str)["id"]) == ["new"]
    lost = pd.read_csv("folds/quarantine.csv", dtype=str)
    assert sorted(lost["reason"]) == ["has the same bytes as training image 02", "looks like training image 03"]


def test_the_check_counts_the_holdout_and_names_classes_that_it_lacks(
    in_tmp: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_images(in_tmp)
    shutil.copy("raw/images/02.png", "raw/images/40.png")  # of the test set, and now of training too
    table = Path("raw/train.csv")
    table.write_text(table.read_text() + "40,light\n")
    test = Path("raw/test.csv")
    test.write_text(test.read_text().replace("40\n", ""))
    listing(in_tmp, {"id": ["02", "04"]})
    write_config(in_tmp, holdout={"file": "holdout.csv"})
    assert cli.main(["check", "--no-networks", "--config", "tiny.yaml"]) == 0
    text = capsys.readouterr().out
    assert "holdout: 2 of the training cases are set aside" in text
    assert "the holdout has no case of 1 class, so it cannot score 'dark'" in text
    assert "train 40 (raw/images/40.png): is a copy of holdout case 02" in text
    assert "  light: 18 (" in text, "20 without the holdout, 21 without the copy"


def test_metadata_of_the_holdout_go_to_its_predictions(in_tmp: Path) -> None:
    made_run.finish(in_tmp / "run", made_run.write_metadata, **made_run.METADATA, holdout=SHARE)
    ids = list(pd.read_csv("results/tiny/folds/holdout.csv", dtype=str)["id"])
    assert list(pd.read_csv("results/tiny/folds/holdout-metadata.csv", dtype=str)["id"]) == ids
    plan = plan_of(made_run.config())
    job = next(job for job in plan.jobs("predict") if job.model == "slim")
    assert plan.metadata_lists(job) == ["fold0-metadata.csv", "test-metadata.csv", "holdout-metadata.csv"]
    assert made_run.would_run(in_tmp / "run") == set()


# --- what runs again


@pytest.fixture(scope="module")
def finished_plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """TINY with a listed holdout, as if it had been run."""
    folder = tmp_path_factory.mktemp("holdout") / "run"

    def prepared(folder: Path) -> None:
        write_images(folder)
        listing(folder, {"id": ["02", "03", "07"]})

    made_run.finish(folder, prepared, holdout={"file": "holdout.csv"})
    return folder


@pytest.fixture
def run(finished_plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)  # and back at the end
    shutil.copytree(finished_plan, tmp_path / "run")
    return tmp_path / "run"


def test_other_labels_of_the_holdout_run_nothing_below_the_folds(run: Path) -> None:
    assert made_run.would_run(run) == set()
    table = run / "raw/train.csv"
    table.write_text(table.read_text().replace("02,light", "02,dark").replace("03,dark", "03,light"))
    assert made_run.would_run(run) >= {"manifest", "folds"}
    made_run.make_folds()
    assert made_run.would_run(run) == set()
    table.write_text(table.read_text().replace("04,light", "04,dark"))
    assert made_run.would_run(run) >= {"manifest", "folds"}
    made_run.make_folds()
    assert "train wide/round0/fold0/seed0" in made_run.would_run(run), "of a label that is trained on"


def test_another_holdout_trains_again(run: Path) -> None:
    listing(run, {"id": ["02", "03"]})
    assert "folds" in made_run.would_run(run)
    made_run.make_folds()
    jobs = made_run.would_run(run)
    assert {job.split()[0] for job in jobs} >= {"train", "predict", "ensemble", "report"}
    listing(run, {"id": ["02", "03", "07"]})
    made_run.make_folds()
    assert made_run.would_run(run) == set()
    write_config(run)
    assert "folds" in made_run.would_run(run)


def test_a_lost_prediction_of_the_holdout_is_made_again(run: Path) -> None:
    (run / "results/tiny/predict/wide/round1/fold0/seed0/holdout.npz").unlink()
    assert {job.split()[0] for job in made_run.would_run(run)} == {"predict", "ensemble", "submit", "report"}


def test_an_opening_runs_reports_with_a_holdout_and_nothing_else(run: Path) -> None:
    made_run.enter(run)
    openings.add(OPENING)
    assert made_run.would_run(run) == {"report"}
    made_run.run(run)
    assert made_run.would_run(run) == set()
    Path(openings.FILE).write_text("time\n")
    with pytest.raises(
        DataError, match=r"openings.csv: its columns are time, not time, experiment, .* begin a new ledger"
    ):
        made_run.would_run(run)


# --- the command

OPENING = Opening(
    "2026-01-01T00:00:00+00:00", "one", "accuracy", 0.8, 0.75, 0.85, 0.79, 0.7, 0.9, 0.03, 0.7, 0.9, 40, "aaa", "1f", "2f", ""
)  # fmt: skip
N_HOLDOUT = 40
Make = Callable[..., Path]


@pytest.fixture
def finished(in_tmp: Path) -> Make:
    """Writes a finished run with a holdout below ``results``."""

    def make(name: str = "one", strength: float = 1.0, right: int = 25, **settings: Any) -> Path:
        root = made(Path("results") / name, strength)
        labels = np.array(["a", "b", "c"])[np.arange(N_HOLDOUT) % 3]
        truth = pd.DataFrame({"id": [f"h{place:02d}" for place in range(N_HOLDOUT)], "label": labels, **settings})
        (root / "folds/sealed").mkdir()
        truth.to_csv(root / "folds" / SEALED, index=False)
        truth[["id"]].to_csv(root / "folds/holdout.csv", index=False)
        said = (np.arange(N_HOLDOUT) % 3 + (np.arange(N_HOLDOUT) >= right)) % 3
        predicted = 0.1 + 0.7 * np.eye(3)[said]
        arrays = [
            ("ids", truth["id"].to_numpy(str)),
            ("classes", np.array(["a", "b", "c"])),
            ("probabilities", predicted),
        ]
        save(root / "ensemble/holdout.npz", arrays)
        scores = {
            "accuracy": {"value": 0.62, "low": 0.54, "high": 0.7},
            "log_loss": {"value": 0.9, "low": 0.8, "high": 1.0},
        }
        (root / "metrics.json").write_text(json.dumps({"oof": scores}))
        finish(root)
        return root

    return make


def finish(root: Path, **changes: object) -> None:
    """Write the records of folds and ensemble again."""
    settings = {
        **read_json(root / "ensemble/run.json")["recipe"]["settings"],
        "has_test": False,
        "has_holdout": True,
        **changes,
    }
    lists = ["folds/train.csv", "folds/classes.json", "folds/holdout.csv", f"folds/{SEALED}"]
    record(root, "folds/run.json", "folds", {}, [], [], lists)
    fused = ["ensemble/oof.npz", "ensemble/holdout.npz", "ensemble/weights.json", "metrics.json"]
    record(root, "ensemble/run.json", "ensemble", settings, ["folds/train.csv"], fused)


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(["holdout", *arguments]) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(["holdout", *arguments]) == 2
    return capsys.readouterr().err


def test_a_holdout_is_sealed_until_it_is_opened(finished: Make, capsys: pytest.CaptureFixture[str]) -> None:
    root = finished()
    name = ledger.test_set([f"h{place:02d}" for place in range(N_HOLDOUT)])
    about = f"results/one: holdout {name} of 40 cases (21.1% of all labelled ones)"
    assert said(capsys).splitlines() == [f"{about}, sealed.", "Open it: goldfold holdout results/one --open"]
    assert not Path(openings.FILE).exists()
    lines = said(capsys, str(root), "--open", "--note", "final choice").splitlines()
    assert lines[0] == f"{about}, opening 1 of 1."
    assert any(" cases of the holdout are few: accuracy has a standard deviation of 0." in line for line in lines)
    assert re.fullmatch(r"accuracy +0\.6250 +0\.\d{4} to 0\.\d{4} +0\.6200 +0\.5400 to 0\.7000", lines[2])
    (other,) = [line for line in lines if line.startswith("log_loss")]
    assert other.endswith("0.9000       0.8000 to 1.0000"), other
    assert "accuracy: the holdout differs by +0.0050 from the out-of-fold score, within noise: 0." in "\n".join(lines)
    assert lines[-1] == "Recorded in openings.csv. Run snakemake again to show it in the report."
    (row,) = openings.read()
    assert (row.experiment, row.score, row.oof, row.cases, row.note) == ("one", 0.625, 0.62, 40, "final choice")
    assert row.low < 0.625 < row.high
    assert row.noise == pytest.approx(np.sqrt(0.6 * 0.4 / 40), rel=0.15)
    text = said(capsys)
    assert "opened once." in text
    assert "The predictions of this run were opened as number 1." in text
    assert "--open" not in text


def test_the_same_predictions_are_no_new_look_and_others_are(
    finished: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    finished()
    said(capsys, "--open")
    text = said(capsys, "--open")
    assert "opening 1 of 1." in text
    assert "this is no new look, and nothing was recorded" in text
    other = finished("two", 1.0, right=38)
    assert "2 runs have: results/one, results/two one" in refused(capsys, "--open")
    text = said(capsys, str(other), "--open")
    assert "opening 2 of 2." in text
    assert "+0.3300 from the out-of-fold score, more than noise explains" in text
    first, second = openings.read()
    gain = expected_maximum(2) * np.median([first.noise, second.noise])
    assert (
        f"the best of them would be expected to score up to {gain:.4f} better than it is (accuracy), by chance" in text
    )
    assert "opened 2 times." in said(capsys, "results/one")
    found = json.loads(said(capsys, "results/two", "--json"))
    assert (found["own"], found["cases"], [one["is_expected"] for one in found["openings"]]) == (2, 40, [True, False])
    found = json.loads(said(capsys, "results/two", "--open", "--json"))
    assert (found["is_new"], found["scores"]["accuracy"]["value"]) == (False, 0.95)


def test_corrected_labels_of_the_holdout_are_a_new_look(finished: Make, capsys: pytest.CaptureFixture[str]) -> None:
    root = finished()
    said(capsys, "--open")
    path = root / "folds" / SEALED
    path.write_text(path.read_text().replace("h00,a", "h00,b"))
    assert "sealed/holdout.csv is not what its job wrote" in refused(capsys, "--open")
    finish(root)
    assert "The predictions of this run are not opened." in said(capsys)
    assert "opening 2 of 2." in said(capsys, "--open")


def test_openings_of_other_holdouts_are_named(finished: Make, capsys: pytest.CaptureFixture[str]) -> None:
    finished()
    openings.add(OPENING)
    text = said(capsys)
    assert ", sealed." in text
    assert "openings.csv also has 1 opening of other holdouts; a case that was in one of them is not sealed." in text


def test_whole_groups_are_resampled(finished: Make, capsys: pytest.CaptureFixture[str]) -> None:
    finished("one")
    finished("two", group=[f"g{place // 10}" for place in range(N_HOLDOUT)])
    widths = []
    for name in ("one", "two"):
        ends = json.loads(said(capsys, f"results/{name}", "--open", "--json"))["scores"]["accuracy"]
        widths.append(ends["high"] - ends["low"])
    assert widths[1] > 1.5 * widths[0]


def test_what_cannot_be_opened_is_refused(finished: Make, capsys: pytest.CaptureFixture[str]) -> None:
    assert "Name the run whose holdout is meant, such as results/mine; below results/ no run has one" in refused(capsys)
    root = finished()
    assert "results/none is not a folder" in refused(capsys, "results/none")
    table = root / "folds/train.csv"
    before = table.read_text()
    table.write_text(before.replace("i000", "i999"))
    lists = ["folds/train.csv", "folds/classes.json", "folds/holdout.csv", f"folds/{SEALED}"]
    record(root, "folds/run.json", "folds", {}, [], [], lists)
    text = refused(capsys, "--open")
    assert "ensemble/run.json was made from a version of folds/train.csv other than the present one" in text
    table.write_text(before)
    finish(root)
    found = load(root / "ensemble/holdout.npz")
    save(root / "ensemble/holdout.npz", [(key, found[key][1:] if key != "classes" else found[key]) for key in found])
    finish(root)
    assert "its holdout and the predictions of it differ, e.g. 'h00'" in refused(capsys, "--open")
    finish(root, has_holdout=False)
    assert "has no holdout: its config sets none aside (holdout: {share: 0.1})" in refused(capsys, "--open")
    assert not Path(openings.FILE).exists()


# --- each task, through the stages


@pytest.mark.parametrize("task", TASKS)
def test_each_task_is_scored_on_its_holdout(tiny_of: dict[str, Tiny], in_tmp: Path, task: str) -> None:
    tiny, results = tiny_of[task], Path("results/run")
    shutil.copytree(tiny.root / "manifest", results / "manifest")
    lists_of(tiny, results)
    cached = replace_root(tiny, results)
    for fold in (0, 1):
        train_and_predict(cached, results, fold)
    settings = {
        "task": tiny.task, "metric": tiny.metric, "models": ["net"], "seeds": [0], "n_folds": 2, "rounds": 1,
        "has_test": False, "has_holdout": True, "weights": {}, "settings": fusing(task),
    }  # fmt: skip
    run_ensemble(results, settings)
    (results / "ensemble/run.json").write_text(json.dumps({"recipe": {"settings": settings}}))
    finish(results)
    from goldfold.holdouts import opened

    found = opened(results)
    truth = pd.read_csv(results / "folds" / SEALED, dtype=str)
    assert found.state.cases == len(truth) == round(0.2 * found.state.cases * 5)
    assert found.state.cases + found.state.others == len(pd.read_csv(results / "manifest/train.csv"))
    assert next(iter(found.scores)) == tiny.metric
    assert set(found.scores) == set(found.oof)
    assert found.scores[tiny.metric]["value"] is not None
    assert not [
        column for column in pd.read_csv(results / "ensemble/holdout.csv") if column in ("label", "labels", "value")
    ]


def replace_root(tiny: Tiny, root: Path) -> Tiny:
    """The experiment with lists and cache below ``root``."""
    from goldfold.stages import cache

    own = Tiny(root, tiny.data, tiny.task, tiny.metric, tiny.n_folds, tiny.classes)
    for split in ("train", "holdout"):
        shard = root / f"folds/shards/{split}-0.csv"
        cache.run(str(shard), str(root / f"cache/{split}-0"), list(own.model()["size"]), 3, "squash")
    return own


def train_and_predict(tiny: Tiny, results: Path, fold: int) -> None:
    model, where = tiny.model({"epochs": 1, "warmup_epochs": 0}), f"net/round0/fold{fold}/seed0"
    common = {"model": model, "fold_file": tiny.fold_file(fold), "place": {"round": 0, "fold": fold, "seed": 0}}
    tiny.train(results / "train" / where, **common)
    tiny.predict(results / "predict" / where, results / "train" / where / "model.safetensors", "holdout", **common)


# --- the report


def shown(ids: Sequence[str]) -> Any:
    found = section.section(SimpleNamespace(tables={"holdout": pd.DataFrame({"id": ids})}))  # type: ignore[arg-type]
    assert found is not None
    return found


def test_the_report_shows_the_recorded_scores_and_scores_nothing(in_tmp: Path) -> None:
    ids = ["a", "b"]
    assert section.section(SimpleNamespace(tables={})) is None  # type: ignore[arg-type]
    openings.add(OPENING)
    assert shown(ids).intro.startswith("2 labelled images were set aside before the folds were made.")
    assert shown(ids).intro.endswith("The holdout is sealed: it has not been opened.")
    own = replace(OPENING, holdout=ledger.test_set(ids[::-1]))
    openings.add(own)
    found = shown(ids)
    assert "The holdout was opened once, by the command goldfold holdout --open" in found.intro
    (table,) = found.blocks
    assert table.rows[0][:6] == ["2026-01-01", "one", "accuracy", "0.7900", "0.7000 to 0.9000", "0.8000"]
    openings.add(replace(own, predictions="3f", score=0.5))
    openings.add(replace(own, predictions="4f", metric="log_loss"))
    table, text = shown(ids).blocks
    assert [row[7] for row in table.rows] == ["within noise", "more than noise", "within noise"]
    assert text.text.startswith(f"If all 2 opened ensembles were equally good, the best of them would be expected to score up to "
                                f"{0.03 / np.sqrt(np.pi):.4f} better")  # fmt: skip


@pytest.mark.parametrize(("n", "is_few"), [(499, True), (500, False)])
def test_a_holdout_of_few_cases_is_a_doubt_with_its_noise(n: int, is_few: bool) -> None:
    said = list(about_holdout(pd.DataFrame({"a": np.ones(n)})))
    deviation = np.sqrt(0.9 * 0.1 / n)
    assert said == [
        f"{n} cases of the holdout are few: an accuracy of 0.9 has a standard deviation of {deviation:.3f}, and a difference "
        f"below {2 * deviation:.3f} cannot be told from noise; with 500 or more it can be smaller."
    ] * is_few  # fmt: skip
