"""The re-run matrix: an edit on the left, exactly the jobs on the right, where the run was made and in a fresh clone."""

import os
import random
import re
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import pytest
import yaml

from goldfold.data.cache import shard_of
from goldfold.runtime.files import read_json, sealed, write_json
from goldfold.runtime.provenance import FRAME
from test_workflow import TINY, snakemake, write_config

Jobs = set[str]
MODELS: Any = TINY["models"]
WIDE, SLIM = MODELS
ROUND_0 = {"pseudo_labels": {"rounds": 0}}
LATE = {"ensemble", "submit", "report"}
UNVERSIONED = (".snakemake", ".goldfold", "cache", "logs", "benchmarks", ".status", ".lock")
"""What ``git clone`` and ``dvc pull`` do not bring."""
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
    code: Path

    def apply(self, edit: Callable[[Path], Any]) -> None:
        for folder in (self.left, self.clone):
            edit(folder)

    def config(self, **changes: object) -> None:
        self.apply(lambda folder: write_config(folder, **changes))

    def make_folds(self) -> None:
        """Before that, no one can tell what an edit of raw data means."""
        made = self._both(lambda folder: ran(folder, self.code, "results/tiny/folds/run.json"))
        assert made == [{"manifest", "folds"}] * 2

    def rerun(self, jobs: Jobs, *words: str, also: Jobs | None = None, code: Path | None = None) -> None:
        """Assert that exactly ``jobs`` would run; in the clone, which has no cache, all that they read is cached too.

        Args:
            also: pieces of cache that are made anew where the run was made.
        """
        left, clone = self._both(lambda folder: planned(folder, code or self.code, *words))
        own_size = {job for job in caches(jobs) if "12x12" not in job}
        assert left == jobs | own_size | (also or set())
        assert clone == jobs | caches(jobs), "in a fresh clone"

    def _both(self, do: Callable[[Path], Any]) -> list[Any]:
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(do, (self.left, self.clone)))


def states_of(run: Path, code: Path, folder: Path) -> States:
    """Copies of a run; in the clone, times of files are as they happen to be."""
    states = States(folder / "left", folder / "clone", code)
    shutil.copytree(run, states.left)
    shutil.copytree(run, states.clone, ignore=shutil.ignore_patterns(*UNVERSIONED))
    generator = random.Random(0)
    files = sorted(path for path in states.clone.rglob("*") if path.is_file())
    assert len(files) > 40
    for path in files:
        time = generator.uniform(1.4e9, 1.7e9)
        os.utime(path, (time, time))
    return states


@pytest.fixture
def states(tiny_run: Path, code: Path, tmp_path: Path) -> States:
    return states_of(tiny_run, code, tmp_path)


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


def test_touched_files_rerun_nothing(states: States, tmp_path: Path) -> None:
    code = copy_of(states.code, tmp_path)
    for path in [*code.rglob("*.py"), *code.rglob("*.smk"), code / "Snakefile"]:
        path.touch()
    for pattern in ("raw/**/*", "results/**/*"):
        states.apply(lambda folder, pattern=pattern: [path.touch() for path in folder.glob(pattern) if path.is_file()])
        states.rerun(set(), code=code)


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
        pytest.param({"report": {"gallery": 5}}, {"report"}, id="report option"),
        pytest.param({"runtime": {"loader_workers": 2}}, {"report"}, id="loader workers"),
        pytest.param({"runtime": {"save_minutes": 1}}, {"report"}, id="save minutes"),
        pytest.param({"cache": {"max_gb": 0}}, {"report"}, id="how the cache is kept"),
    ],
)
def test_an_edit_of_the_config_reruns_exactly(changes: dict[str, Any], jobs: Jobs, states: States) -> None:
    states.config(**changes)
    states.rerun(jobs)


def test_pseudo_labels_do_not_wait_for_a_model_of_weight_0(states: States) -> None:
    states.config(models=edited(WIDE, train={"lr": 0.02}), ensemble={"weights": {"wide": 0}})
    states.rerun(labels(0), "results/tiny/pseudo/round1/fold0.csv")


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


def copy_of(code: Path, folder: Path) -> Path:
    return Path(shutil.copytree(code, folder / "code"))


def append(file: Path, text: str) -> None:
    file.write_text(file.read_text() + text)


def test_a_comment_in_any_module_and_an_edit_of_the_frame_rerun_nothing(states: States, tmp_path: Path) -> None:
    code = copy_of(states.code, tmp_path)
    files = list(code.rglob("*.py"))
    assert len(files) > 90
    for file in files:
        append(file, "\n# a comment\n")
    for name in FRAME:
        append(code / "src" / f"{name.replace('.', '/')}.py", "\nADDED = 1\n")
    states.rerun(set(), code=code)


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
    file: str, changes: dict[str, Any], jobs: Jobs, states: States, tmp_path: Path
) -> None:
    code = copy_of(states.code, tmp_path)
    append(code / file, "\nADDED = 1\n" if file.endswith(".py") else "\nb { color: red }\n")
    states.config(**changes)
    states.rerun(jobs, code=code)


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
    states: States, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = tmp_path / "later/timm-99.0.dist-info/METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Metadata-Version: 2.1\nName: timm\nVersion: 99.0\n")
    monkeypatch.setenv("PYTHONPATH", str(metadata.parents[1]))
    records = len(list(states.clone.rglob("*run.json")))
    assert records == 23
    said = f"timm {version('timm')} -> 99.0: {records} results of the old version are kept; "
    result = snakemake(states.clone, "-n", code=states.code)
    assert f"{said}--config strict_versions=true makes them again" in result.stdout + result.stderr
    states.rerun(set())


def test_results_of_other_versions_are_made_anew_where_the_config_asks_for_it(states: States) -> None:
    for path, library in (("train/wide/round1/fold0", "torch"), ("predict/slim/round1/fold1", "timm")):
        file = states.left / "results/tiny" / path / "seed0/run.json"
        before, record = file.stat(), read_json(file)
        record["versions"][library] = "0.1"
        write_json(file, sealed(record))
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert planned(states.left, states.code) == set()
    jobs = runs(models="wide", rounds=[1], folds=[0]) | runs("predict", "slim", [1], [1]) | LATE
    assert planned(states.left, states.code, "--config", "strict_versions=true") == jobs
    result = snakemake(states.left, "-n", "--config", "strict_versions=true", code=states.code)
    for library in ("torch", "timm"):
        said = f"{library} 0.1 -> {version(library)}: 1 result of the old version is made again"
        assert said in result.stdout + result.stderr
