"""Members, rounds, runs and their parents, and paths, without Snakemake."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from goldfold.base.errors import ConfigError
from goldfold.config import parse
from goldfold.lineage.staleness import Standing
from goldfold.planning.grid import grid_of
from goldfold.planning.plan import Job, Plan, job_at, job_of, plan_of
from goldfold.planning.runs import Labels, Member, Run, run_of, stage_folder
from test_workflow import TINY, jobs_of, snakemake, write_config, write_images

BIG = {"name": "big", "network": "small_resnet", "params": {"widths": [4, 4]}, "image_size_px": [14, 16]}


def plan(**changes: Any) -> Plan:
    return plan_of(parse({**TINY, **changes}))


def jobs(found: Plan, *stale: Job) -> list[str]:
    """Names of the jobs that would run where ``stale`` are out of date by themselves."""
    return [job.name for job in Standing(found, lambda job: job not in stale).stale()]


def test_members_rounds_and_runs_are_those_of_the_config() -> None:
    found = plan(seeds=[3, 0], pseudo_labels={"rounds": 2, "threshold": 0.0})
    assert [member.name for member in found.grid.members] == ["slim-seed3", "slim-seed0", "wide-seed3", "wide-seed0"]
    assert [(stage.number, stage.models, stage.teachers) for stage in found.grid.rounds] == [
        (0, ("slim", "wide"), ()), (1, ("slim", "wide"), ("slim", "wide")), (2, ("slim", "wide"), ("slim", "wide")),
    ]  # fmt: skip
    assert len(found.runs) == len(set(found.runs)) == 2 * 3 * 2 * 2
    assert found.grid.runs_of(Member("wide", 3), 2) == [Run("wide", 2, 0, 3), Run("wide", 2, 1, 3)]


def test_parents_are_the_teachers_of_the_round_before_and_of_the_same_fold() -> None:
    found = plan(seeds=[0, 1], ensemble={"weights": {"wide": 0}})
    assert found.parents(Run("wide", 0, 1, 0)) == ()
    assert found.parents(Run("wide", 1, 1, 0)) == (Run("slim", 0, 1, 0), Run("slim", 0, 1, 1)), (
        "weight 0 does not teach"
    )
    assert all(
        parent.fold == run.fold and parent.round < run.round for run in found.runs for parent in found.parents(run)
    )


@pytest.mark.parametrize("teacher", [Run("a", 0, 1, 0), Run("a", 1, 0, 0), Run("a", 2, 0, 0)])
def test_a_teacher_of_another_fold_or_of_no_earlier_round_is_refused(teacher: Run) -> None:
    with pytest.raises(ConfigError, match=rf"round 1, fold 0: {teacher.folder} cannot be a teacher"):
        Labels(1, 0, (Run("a", 0, 0, 0), teacher))


def test_a_path_leads_back_to_its_run() -> None:
    for run in plan().runs:
        assert run_of(f"results/tiny/predict/{run.folder}/oof.npz") == run
        assert stage_folder(f"results/tiny/predict/{run.folder}/oof.npz") == "results/tiny/predict"
    with pytest.raises(ValueError, match=r"x/model.bin is not in the folder of a run"):
        run_of("x/model.bin")


def test_the_grid_of_a_job_s_settings_is_that_of_the_config() -> None:
    config = parse(TINY)
    found = grid_of(config.model_dump(mode="json"))
    assert sorted(found.runs()) == sorted(plan_of(config).runs)
    assert [(labels.round, labels.fold) for labels in found.labels()] == [(1, 0), (1, 1)]


def test_wildcards_give_the_job_and_the_job_its_files() -> None:
    found, place = plan(), {"model": "wide", "round": "1", "fold": "0", "seed": "0"}
    train = job_at("train", SimpleNamespace(**place))
    assert train == job_of("train", Run("wide", 1, 0, 0))
    assert found.outputs(train) == [
        f"results/tiny/train/wide/round1/fold0/seed0/{name}"
        for name in ("model.safetensors", "history.csv", "run.json")
    ]
    assert found.outputs(job_at("pseudo_label", SimpleNamespace(**place))) == [
        "results/tiny/pseudo/round1/fold0.csv", "results/tiny/pseudo/round1/fold0.run.json",
    ]  # fmt: skip
    assert found.expected(Job("folds"))[:3] == [
        "results/tiny/folds/run.json", "results/tiny/folds/fold0.csv", "results/tiny/folds/fold1.csv",
    ]  # fmt: skip


def test_no_two_jobs_write_the_same_file() -> None:
    found = plan(models=[*TINY["models"], BIG])  # type: ignore[misc]
    written = [path for stage in found.stages() for job in found.jobs(stage) for path in found.outputs(job)]
    assert len(written) == len(set(written)) > 100


def test_a_run_of_a_later_round_reads_the_images_that_it_learns_labels_of() -> None:
    found = plan(models=[BIG], data={**TINY["data"], "shards": 1})  # type: ignore[dict-item]
    names = {number: [job.name for job in found.caches(job_of("train", Run("big", number, 0, 0)))] for number in (0, 1)}
    assert names == {0: ["cache 14x16-squash/train-0"], 1: ["cache 14x16-squash/train-0", "cache 14x16-squash/test-0"]}


def test_what_is_below_a_stale_job_is_stale_and_nothing_else() -> None:
    found = plan()
    assert jobs(found) == []
    assert jobs(found, Job("report")) == ["report"]
    below = ["predict slim/round1/fold1/seed0", "ensemble", "submit", "report"]
    assert jobs(found, job_of("predict", Run("slim", 1, 1, 0))) == below
    assert jobs(found, Job("pseudo_label", round=1, fold=0)) == [
        *(f"train {model}/round1/fold0/seed0" for model in ("slim", "wide")),
        *(f"predict {model}/round1/fold0/seed0" for model in ("slim", "wide")),
        "pseudo_label round1/fold0", "ensemble", "submit", "report",
    ]  # fmt: skip


def test_a_piece_of_cache_is_made_only_for_a_job_that_runs() -> None:
    found, piece = plan(), Job("cache", spec="12x12-squash", shard="test-1")
    train = job_of("train", Run("wide", 1, 0, 0))
    assert jobs(found, piece) == []
    assert jobs(found, piece, train)[:2] == ["cache 12x12-squash/test-1", "train wide/round1/fold0/seed0"]
    assert jobs(found, piece, job_of("train", Run("wide", 0, 0, 0)))[0] == "cache 12x12-squash/test-1", (
        "it is predicted"
    )


def test_sizes_are_wanted_by_models_that_are_out_of_date() -> None:
    found = plan(models=[*TINY["models"], BIG])  # type: ignore[misc]
    of_big = job_of("predict", Run("big", 0, 0, 0))
    gone = [Job("cache", spec="14x16-squash", shard="train-0")]
    standing = Standing(found, lambda job: job not in [of_big, *gone])
    assert standing.wanted_sizes() == ["12x12-squash", "14x16-squash"], "the next round of all learns from its labels"
    assert standing.other_sizes(Job("cache", spec="12x12-squash", shard="train-0")) == ["14x16-squash"]
    assert standing.other_sizes(Job("cache", spec="12x12-squash", shard="test-0")) == [], "it is there"
    assert standing.whole_cache({"train": 40}) == {
        "images": {"train": 40, "test": 0}, "shards": 2, "specs": ["12x12-squash", "14x16-squash"],
        "wanted": ["12x12-squash", "14x16-squash"],
    }  # fmt: skip


def test_each_job_is_looked_at_once() -> None:
    looked_at: list[Job] = []
    found = plan()
    standing = Standing(found, lambda job: bool(looked_at.append(job)) or True)
    assert standing.stale() == standing.stale() == []
    assert len(looked_at) == len(set(looked_at)) == 2 + 8 + 8 + 2 + 3


def test_a_round_outside_the_config_is_no_target(tmp_path: Path) -> None:
    write_images(tmp_path)
    write_config(tmp_path)
    target = "results/tiny/train/wide/round{}/fold0/seed0/model.safetensors"
    assert jobs_of(snakemake(tmp_path, "-n", target.format(1)))["train"] == 3
    refused = snakemake(tmp_path, "-n", target.format(2))
    assert refused.returncode == 1
    assert "No rule to produce" in refused.stdout + refused.stderr


def test_a_model_that_its_round_does_not_train_is_refused() -> None:
    rounds = [{"models": ["wide"]}, {"models": ["slim"], "teacher": {"threshold": 0.5}}]
    found = plan_of(parse({**{key: TINY[key] for key in TINY if key != "pseudo_labels"}, "rounds": rounds}))
    for stage in ("train", "predict"):
        found.refuse_unplanned(Job(stage, "slim", round=1))
        with pytest.raises(ConfigError, match=f"^{stage} slim/round0/fold0/seed0: round 0 trains wide, not slim$"):
            found.refuse_unplanned(Job(stage, "slim", round=0))
