"""The rerun matrix: an edit on the left, exactly the jobs on the right, where the run was made and in a fresh clone.

Nearly all of it without Snakemake, on the records of a made-up run; the last lines show that Snakemake agrees.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import pytest
import yaml

import made_run
from goldfold.base import scheduled
from goldfold.base.files import read_json, sealed, write_json
from goldfold.cache.images import shard_of
from goldfold.lineage import definitions, provenance, source
from goldfold.planning.plan import Job, job_at
from made_run import would_run
from test_workflow import TINY, command, snakemake, write_config

Jobs = set[str]
MODELS: Any = TINY["models"]
WIDE, SLIM = MODELS
ROUND_0 = {"pseudo_labels": {"rounds": 0}}
LATE = {"ensemble", "submit", "report"}
SPECS = {"big": "14x14-squash"}
"""Cache of models that are not of TINY's size."""


def runs(
    stages: str = "train predict",
    models: str = "wide slim",
    rounds: Iterable[int] = (0, 1),
    folds: Iterable[int] = (0, 1),
    seeds: Iterable[int] = (0,),
) -> Jobs:
    """Jobs of members, named as `planned` names them."""
    return {
        f"{stage} {model}/round{number}/fold{fold}/seed{seed}"
        for stage in stages.split()
        for model in models.split()
        for number in rounds
        for fold in folds
        for seed in seeds
    }


def labels(*folds: int) -> Jobs:
    """Jobs that make the pseudo labels of round 1, of all folds where none is named."""
    return {f"pseudo_label round1/fold{fold}" for fold in folds or (0, 1)}


def caches(jobs: Jobs) -> Jobs:
    """Pieces of cache that jobs read: test images are predicted, and learnt from in round 1."""
    return {
        f"cache {SPECS.get(job.split()[1].split('/')[0], '12x12-squash')}/{split}-{piece}"
        for job in jobs
        if job.startswith(("train", "predict"))
        for split in (["train"] if job.startswith("train") and "/round0/" in job else ["train", "test"])
        for piece in (0, 1)
    }


def own_size(jobs: Jobs) -> Jobs:
    """Those of another size than the run's, which are not there yet."""
    return {job for job in caches(jobs) if "12x12" not in job}


BLOCK = re.compile(r"^(?:local)?(?:rule|checkpoint) (\w+):\n((?:    .+\n)+)", re.MULTILINE)


def jobs_in(text: str) -> dict[str, str]:
    """What Snakemake says of each job, by its rule and wildcards."""
    jobs = {}
    for rule, said in BLOCK.findall(text):
        found = re.search(r"^    wildcards: (.+)$", said, re.MULTILINE)
        pairs = [pair.split("=") for pair in found[1].split(", ")] if found else []
        place = "/".join(f"{key}{value}" if value.isdigit() else value for key, value in pairs)
        jobs[f"{rule} {place}".strip()] = said
    return jobs


def planned(folder: Path, code: Path, *words: str) -> Jobs:
    """Jobs that would run."""
    result = snakemake(folder, "-n", *words, code=code)
    assert result.returncode == 0, result.stdout + result.stderr
    jobs, count = jobs_in(result.stdout), re.search(r"^total +(\d+)$", result.stdout, re.MULTILINE)
    assert len(jobs) == int(count[1] if count else 0), result.stdout
    for job, said in jobs.items():
        assert not job.startswith(("train", "predict")) or "/cache/" in said, f"{job} would not wait for its images"
    return set(jobs) - {"all"}


def ran(folder: Path, code: Path, *words: str) -> Jobs:
    """Jobs that were run for real."""
    result = snakemake(folder, *words, code=code)
    output = result.stdout + result.stderr
    assert result.returncode == 0, output
    return set(jobs_in(output)) - {"all"}


@dataclass(frozen=True)
class States:
    """A finished run in its own folder, and as someone else has it after `git clone` and `dvc pull`."""

    left: Path
    clone: Path

    def apply(self, edit: Callable[[Path], Any]) -> None:
        for folder in (self.left, self.clone):
            edit(folder)

    def config(self, **changes: object) -> None:
        self.apply(lambda folder: write_config(folder, **changes))

    def make_folds(self) -> None:
        """Before that, no one can tell what an edit of raw data means."""
        for folder in (self.left, self.clone):
            assert would_run(folder) >= {"manifest", "folds"} | runs(rounds=[0]) | LATE
            made_run.make_folds()

    def rerun(self, jobs: Jobs, also: Jobs | None = None, **settings: Any) -> None:
        """Assert that exactly ``jobs`` would run; in the clone, which has no cache, all that they read is cached too.

        Args:
            also: pieces of cache that are made again where the run was made.
        """
        assert would_run(self.left, **settings) == jobs | own_size(jobs) | (also or set())
        assert would_run(self.clone, **settings) == jobs | caches(jobs), "in a fresh clone"


@pytest.fixture
def states(made_up_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> States:
    monkeypatch.chdir(tmp_path)  # and back again after the test
    for name in ("left", "clone"):
        shutil.copytree(made_up_run / name, tmp_path / name)
    return States(tmp_path / "left", tmp_path / "clone")


def edited(model: dict[str, Any], **changes: Any) -> list[dict[str, Any]]:
    """The models of TINY with one of them changed."""
    return [{**entry, **changes} if entry is model else entry for entry in MODELS]


# --- nothing

LAYOUT = """# The same in another order, with comments
report: {{gallery:   4}}

tta:
  # two views
  - identity
  - hflip
{rest}
name: tiny  # last
"""


def test_nothing_and_the_layout_of_the_config_rerun_nothing(states: States) -> None:
    states.rerun(set())
    rest = {key: TINY[key] for key in reversed(TINY) if key not in ("report", "tta", "name")}
    text = LAYOUT.format(rest=yaml.safe_dump(rest, sort_keys=False, indent=4))
    assert yaml.safe_load(text) == TINY
    states.apply(lambda folder: (folder / "tiny.yaml").write_text(text))
    states.rerun(set())


def test_touched_files_rerun_nothing(states: States) -> None:
    for pattern in ("raw/**/*", "results/**/*"):
        states.apply(lambda folder, pattern=pattern: [path.touch() for path in folder.glob(pattern) if path.is_file()])
        states.rerun(set())


# --- the config

BELOW_ROUND_0 = labels() | runs(rounds=[1]) | LATE
"""What follows where a model of each fold of round 0 changes."""


@pytest.mark.parametrize(
    ("changes", "jobs"),
    [
        pytest.param(
            {"models": edited(WIDE, train={"lr": 0.01})}, runs(models="wide", rounds=[0]) | BELOW_ROUND_0, id="lr"
        ),
        pytest.param(
            {"models": edited(WIDE, train={"lr": 0.01}), **ROUND_0},
            runs(models="wide", rounds=[0]) | LATE,
            id="lr without rounds",
        ),
        pytest.param({"seeds": [0, 1], **ROUND_0}, runs(rounds=[0], seeds=[1]) | LATE, id="seed without rounds"),
        pytest.param(
            # all of round 1 learn from labels that the new ones help to make
            {"seeds": [0, 1]},
            runs(rounds=[0], seeds=[1]) | labels() | runs(rounds=[1], seeds=[0, 1]) | LATE,
            id="seed",
        ),
        pytest.param(
            {"models": [*MODELS, {**WIDE, "name": "third"}], **ROUND_0},
            runs(models="third", rounds=[0]) | LATE,
            id="member without rounds",
        ),
        pytest.param(
            {"models": [*MODELS, {**WIDE, "name": "big", "image_size_px": 14}], **ROUND_0},
            runs(models="big", rounds=[0]) | LATE,
            id="member of another size without rounds",
        ),
        pytest.param({"models": [WIDE], **ROUND_0}, LATE, id="a member less"),
        pytest.param({"tta": ["identity"]}, runs("predict", rounds=[0]) | BELOW_ROUND_0, id="tta"),
        pytest.param({"tta": ["identity"], **ROUND_0}, runs("predict", rounds=[0]) | LATE, id="tta without rounds"),
        pytest.param(
            {"batch_norm": "adapted", **ROUND_0}, runs("predict", rounds=[0]) | LATE, id="batch normalisation"
        ),
        pytest.param({"pseudo_labels": {"rounds": 1, "threshold": 0.5}}, BELOW_ROUND_0, id="threshold"),
        pytest.param(
            {"pseudo_labels": {**TINY["pseudo_labels"], "weight": 0.5}},  # type: ignore[dict-item]
            runs(rounds=[1]) | LATE,
            id="weight of pseudo labels",
        ),
        pytest.param(
            {"data": {**TINY["data"], "scale_16bit": "min_max"}},  # type: ignore[dict-item]
            runs(rounds=[0]) | BELOW_ROUND_0,
            id="rule for 16 bits",
        ),
        pytest.param(
            {"ensemble": {"method": "rank", "weights": {"wide": 2}}, **ROUND_0}, LATE, id="ensemble without rounds"
        ),
        # the ensemble of round 0 teaches round 1
        pytest.param({"ensemble": {"method": "rank"}}, BELOW_ROUND_0, id="ensemble method"),
        pytest.param({"ensemble": {"weights": {"wide": 2}}}, BELOW_ROUND_0, id="ensemble weights"),
        # which is never by what was fitted to all folds
        pytest.param({"ensemble": ["average", {"thresholds": {"metric": "accuracy"}}]}, LATE, id="fitted thresholds"),
        pytest.param({"metric": "log_loss"}, LATE, id="metric"),
        pytest.param({"report": {"gallery": 5}}, {"report"}, id="report option"),
        pytest.param({"runtime": {"loader_workers": 2}}, {"report"}, id="loader workers"),
        pytest.param({"runtime": {"save_minutes": 1}}, {"report"}, id="save minutes"),
        pytest.param({"cache": {"max_gb": 0}}, {"report"}, id="how the cache is kept"),
    ],
)
def test_an_edit_of_the_config_reruns_exactly(changes: dict[str, Any], jobs: Jobs, states: States) -> None:
    states.config(**changes)
    states.rerun(jobs)


@pytest.mark.parametrize(
    ("change", "jobs"),
    [
        pytest.param({}, {"report"}, id="the same, written as a list"),
        pytest.param({"train": {"lr": 0.01}}, runs(rounds=[1]) | LATE, id="settings of round 1"),
        pytest.param({"start": "previous"}, runs(rounds=[1]) | LATE, id="weights of round 0"),
        pytest.param({"teacher": {"threshold": 0.0, "models": ["wide"]}}, BELOW_ROUND_0, id="a teacher"),
        pytest.param({"models": ["slim"]}, LATE, id="a model less in round 1"),
        pytest.param({"teacher": None}, runs(rounds=[1]) | LATE, id="no teacher"),
    ],
)
def test_an_edit_of_a_round_reruns_exactly(change: dict[str, Any], jobs: Jobs, states: States) -> None:
    rest = {key: value for key, value in TINY.items() if key != "pseudo_labels"}
    second = {"teacher": {"threshold": 0.0}, **change}
    text = yaml.safe_dump({**rest, "rounds": [{}, second]})
    states.apply(lambda folder: (folder / "tiny.yaml").write_text(text))
    states.rerun(jobs)


def test_pseudo_labels_do_not_wait_for_a_model_of_weight_0(states: States) -> None:
    states.config(models=edited(WIDE, train={"lr": 0.02}), ensemble={"weights": {"wide": 0}})
    states.rerun(labels(0), targets=[Job("pseudo_label", round=1, fold=0)])


# --- files that were deleted


@pytest.mark.parametrize(
    ("path", "jobs"),
    [
        pytest.param(
            "train/wide/round0/fold1/seed0/model.safetensors",
            runs(models="wide", rounds=[0], folds=[1]) | labels(1) | runs(rounds=[1], folds=[1]) | LATE,
            id="model",
        ),
        pytest.param(
            "train/slim/round1/fold0/seed0/history.csv",
            runs(models="slim", rounds=[1], folds=[0]) | LATE,
            id="history of the last round",
        ),
        pytest.param(
            "train/slim/round1/fold0/seed0/run.json", runs(models="slim", rounds=[1], folds=[0]) | LATE, id="record"
        ),
        pytest.param(
            "predict/wide/round0/fold0/seed0/test.npz",
            runs("predict", "wide", [0], [0]) | labels(0) | runs(rounds=[1], folds=[0]) | LATE,
            id="prediction",
        ),
        pytest.param(
            "predict/wide/round1/fold0/seed0/oof.npz",
            runs("predict", "wide", [1], [0]) | LATE,
            id="prediction of the last round",
        ),
        pytest.param("pseudo/round1/fold1.csv", labels(1) | runs(rounds=[1], folds=[1]) | LATE, id="pseudo labels"),
        pytest.param("ensemble/oof.csv", LATE, id="fused prediction"),
        pytest.param("metrics.json", LATE, id="score"),
        pytest.param("submission.csv", {"submit", "report"}, id="submission"),
        pytest.param("report/report.html", {"report"}, id="report"),
    ],
)
def test_a_deleted_file_is_made_again_with_what_is_below_it(path: str, jobs: Jobs, states: States) -> None:
    states.apply(lambda folder: (folder / "results/tiny" / path).unlink())
    states.rerun(jobs)


# --- code


def append(file: Path, text: str) -> None:
    file.write_text(file.read_text() + text)


@pytest.fixture
def edit_code(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """Make goldfold see a file of its own with one more statement; the file stays as it is."""
    outline, digest = source._outline, source.code_digest

    def edit(file: Path) -> None:
        assert file.is_file()
        if file.suffix == ".py":
            text, package = f"{file.read_text()}\nassert True\n", source._dotted(file).rpartition(".")[0]
            edited = definitions.outline(text, package)
            monkeypatch.setattr(source, "_outline", lambda path: edited if path == file else outline(path))
        for module in (source, provenance):
            monkeypatch.setattr(module, "code_digest", lambda path: "edited" if path == file else digest(path))
        forget()

    yield edit
    monkeypatch.undo()
    forget()


def forget() -> None:
    """Forget all digests of code."""
    for known in (source._targets, provenance._code, provenance.source_digest, provenance.code_table):
        known.cache_clear()


EVERY_RUN = runs() | labels() | LATE
EVERY_PREDICTION = runs("predict") | runs("train", rounds=[1]) | labels() | LATE


@pytest.mark.parametrize(
    ("file", "changes", "jobs"),
    [
        pytest.param("src/goldfold/engine/loop.py", {}, EVERY_RUN, id="engine"),
        pytest.param("src/goldfold/models/small_resnet.py", {}, EVERY_RUN, id="network"),
        pytest.param("src/goldfold/models/timm_models.py", {}, set(), id="network of no model"),
        pytest.param("workflow/scripts/predict.py", {}, EVERY_PREDICTION, id="script"),
        pytest.param("src/goldfold/ensembling/average.py", {}, BELOW_ROUND_0, id="ensembling labels too"),
        pytest.param("src/goldfold/ensembling/average.py", ROUND_0, LATE, id="ensembling"),
        pytest.param("src/goldfold/ensembling/boxes.py", {}, set(), id="ensembling of another task"),
        pytest.param("src/goldfold/stages/submit.py", {}, {"submit", "report"}, id="submission"),
        pytest.param("src/goldfold/report/scores.py", {}, {"report"}, id="report"),
        pytest.param("src/goldfold/report/style.css", {}, {"report"}, id="style"),
    ],
)
def test_an_edit_of_code_reruns_exactly(
    file: str, changes: dict[str, Any], jobs: Jobs, states: States, edit_code: Callable[[Path], None]
) -> None:
    states.config(**changes)
    edit_code(provenance.ROOT / file)
    states.rerun(jobs)


# --- raw data


def write_label(folder: Path) -> None:
    table = (folder / "raw/train.csv").read_text()
    assert table.count("\n07,dark\n") == 1
    (folder / "raw/train.csv").write_text(table.replace("\n07,dark\n", "\n07,light\n"))


def write_pixels(folder: Path) -> None:
    path = str(folder / "raw/images/07.png")
    cv2.imwrite(path, 255 - cv2.imread(path, cv2.IMREAD_GRAYSCALE))


def write_test_image(folder: Path) -> None:
    shutil.copy(folder / "raw/images/40.png", folder / "raw/images/50.png")
    append(folder / "raw/test.csv", "50\n")


def write_other_bytes(folder: Path) -> None:
    (folder / "raw/train.csv").write_bytes((folder / "raw/train.csv").read_bytes().replace(b"\n", b"\r\n"))


def test_another_size_of_the_cache_trains_again_and_reads_no_data_again(states: States) -> None:
    states.config(cache={"image_size_px": 16})
    jobs = runs() | labels() | LATE
    pieces = {job.replace("12x12", "16x16") for job in caches(jobs)}
    assert would_run(states.left) == would_run(states.clone) == jobs | pieces
    states.config(cache={"image_size_px": 12})  # the networks' own
    states.rerun({"report"})


@pytest.mark.parametrize(
    ("edit", "changes", "jobs", "also"),
    [
        pytest.param(
            write_other_bytes,
            {"submission": {"id_column": "image"}},  # the manifest looks at it too
            {"submit", "report"},
            set(),
            id="the same table in other bytes, and the form of the submission",
        ),
        pytest.param(write_label, {}, EVERY_RUN, set(), id="label"),
        pytest.param(
            write_pixels, {}, EVERY_RUN, {f"cache 12x12-squash/train-{shard_of('07', 2)}"}, id="pixels of an image"
        ),
        pytest.param(
            write_test_image,
            ROUND_0,
            runs("predict", rounds=[0]) | LATE,
            {f"cache 12x12-squash/test-{shard_of('50', 2)}"},
            id="a test image more",
        ),
    ],
)
def test_an_edit_of_raw_data_reruns_exactly(
    edit: Callable[[Path], None], changes: dict[str, Any], jobs: Jobs, also: Jobs, states: States
) -> None:
    states.config(**changes)
    states.apply(edit)
    states.make_folds()
    states.rerun(jobs, also=also)


# --- other versions of libraries


def test_another_version_of_a_library_is_named_and_reruns_nothing(
    states: States, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    installed = provenance.versions(provenance.SHAPING)
    monkeypatch.setattr(provenance, "versions", lambda names: {**installed, "timm": "99.0"})
    states.rerun(set())
    said = "results of the old version are kept; --config strict_versions=true makes them again"
    assert caplog.messages == [f"timm {version('timm')} -> 99.0: {n} {said}" for n in (27, 23)], "4 pieces of cache"


def test_results_of_other_versions_are_made_again_where_the_config_asks_for_it(
    states: States, caplog: pytest.LogCaptureFixture
) -> None:
    for path, library in (("train/wide/round1/fold0", "torch"), ("predict/slim/round1/fold1", "timm")):
        file = states.left / "results/tiny" / path / "seed0/run.json"
        before, record = file.stat(), read_json(file)
        record["versions"][library] = "0.1"
        write_json(file, sealed(record))
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert would_run(states.left) == set()
    caplog.clear()
    jobs = runs(models="wide", rounds=[1], folds=[0]) | runs("predict", "slim", [1], [1]) | LATE
    assert would_run(states.left, strict_versions=True) == jobs
    assert caplog.messages == [
        f"{library} 0.1 -> {version(library)}: 1 result of the old version is made again"
        for library in ("torch", "timm")
    ]


def test_a_record_of_fewer_folds_is_not_called_unreadable_and_a_torn_one_is(
    states: States, caplog: pytest.LogCaptureFixture
) -> None:
    assert "folds" in would_run(states.left, folds={"n_folds": 3})
    assert caplog.messages == [], "a setting changed, as `goldfold why` says"
    record = "results/tiny/folds/run.json"
    (states.left / record).write_text("{")
    assert "folds" in would_run(states.left)
    assert set(caplog.messages) == {
        f"{record} cannot be read as a record (empty, truncated or edited): its job runs again"
    }


# --- the same through Snakemake


def test_a_plan_knows_what_snakemake_would_run_and_from_what(tmp_path: Path, code: Path) -> None:
    """All jobs of a run that has only its folds, with every file that they read and write; a model takes metadata, another one
    learns from unlabelled and generated images, heads are fitted to embeddings, which a stack takes too, and trainings and
    embeddings wait until the predictions of another tool have been read."""
    wide, slim = made_run.METADATA["models"]
    network = {"network": "small_resnet", "image_size_px": 16}
    heads = [{"name": head, **network, "frozen": {"head": head}} for head in ("logistic", "boosted")]
    models = [{**wide, "train": {"fixmatch": {}, "generated": {}}}, slim, *heads]
    ensemble, waiting = [{"stacking": {"embeddings": True}}], ("train", "generate", "embed")
    external = [{"name": "other", "oof": "raw/other.csv", "test": "raw/other_test.csv", "fold": None}]

    def prepare(folder: Path) -> None:
        made_run.write_metadata(folder)
        for name in ("other", "other_test"):
            (folder / f"raw/{name}.csv").write_text("id\n")

    made_run.finish(
        tmp_path, prepare, **{**made_run.METADATA, "models": models, "external": external, "ensemble": ensemble}
    )
    plan = made_run.session().plan
    for job in (job for stage in plan.stages()[2:] for job in plan.jobs(stage)):
        Path(plan.record(job)).unlink()
    found, jobs = scheduled_jobs(tmp_path, code), made_run.session().standing().stale()
    assert {entry["name"] for entry in found} == {job.name for job in jobs}
    for job in jobs:
        entry = next(entry for entry in found if entry["name"] == job.name)
        assert entry["outputs"] == sorted(plan.outputs(job))
        waits_for = {plan.record(one) for one in plan.jobs("external") if job.stage in waiting}
        assert set(entry["inputs"]) - {entry["recipe"]} == set(made_run.inputs_of(plan, job)) | waits_for, job.name
        assert entry["record"] == plan.record(job)


def scheduled_jobs(folder: Path, code: Path) -> list[dict[str, Any]]:
    """What Snakemake would run, as `goldfold why` reads it."""
    out = folder / "scheduled.json"
    started = command(folder, "-n", code=code)
    started["env"] |= {scheduled.VARIABLE: str(out)}
    done = subprocess.run(**started, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return [
        {**entry, "name": job_at(entry["rule"], SimpleNamespace(**entry["wildcards"])).name} for entry in read_json(out)
    ]


def delete_model(folder: Path) -> None:
    (folder / "results/tiny/train/wide/round0/fold1/seed0/model.safetensors").unlink()


@pytest.mark.parametrize(
    ("edit", "jobs"),
    [
        pytest.param(lambda folder: None, set(), id="nothing"),
        pytest.param(
            lambda folder: write_config(folder, models=edited(WIDE, train={"lr": 0.01})),
            runs(models="wide", rounds=[0]) | BELOW_ROUND_0,
            id="lr",
        ),
        pytest.param(
            lambda folder: write_config(
                folder, models=[*MODELS, {**WIDE, "name": "big", "image_size_px": 14}], **ROUND_0
            ),
            runs(models="big", rounds=[0]) | LATE,
            id="member of another size without rounds",
        ),
        pytest.param(
            delete_model,
            runs(models="wide", rounds=[0], folds=[1]) | labels(1) | runs(rounds=[1], folds=[1]) | LATE,
            id="model",
        ),
    ],
)
def test_snakemake_reruns_what_the_plan_says(
    edit: Callable[[Path], None], jobs: Jobs, states: States, code: Path
) -> None:
    states.apply(edit)
    states.rerun(jobs)
    for folder, wanted in ((states.left, own_size(jobs)), (states.clone, caches(jobs))):
        assert planned(folder, code) == jobs | wanted


def test_snakemake_sees_an_edit_of_code_and_another_version(states: States, code: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(code, tmp_path / "code"))
    for file in own.rglob("*.py"):
        append(file, "\n# a comment\n")
    append(own / "src/goldfold/ensembling/average.py", "\nADDED = 1\n")
    metadata = tmp_path / "later/timm-99.0.dist-info/METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Metadata-Version: 2.1\nName: timm\nVersion: 99.0\n")
    states.config(**ROUND_0)
    started = command(states.left, "-n", code=own)
    started["env"]["PYTHONPATH"] = f"{metadata.parents[1]}{os.pathsep}{started['env']['PYTHONPATH']}"
    result = subprocess.run(**started, capture_output=True)
    assert set(jobs_in(result.stdout)) - {"all"} == LATE, result.stdout + result.stderr
    assert f"timm {version('timm')} -> 99.0" in result.stdout + result.stderr
