"""The same Snakefile on a Slurm of two nodes, which is started here, for these tests alone."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

import forks
from test_workflow import ROOT, TINY, write_config

MINI_SLURM = ROOT / "tests/slurm/mini_slurm.sh"
PATH = f"{os.environ['PATH']}:/usr/sbin"
MISSING = [tool for tool in ("munged", "slurmctld", "slurmd", "sbatch", "srun") if not shutil.which(tool, path=PATH)]
WITHOUT_ACCOUNTING = ["--slurm-status-command", "squeue"]
IMPATIENT = ["--slurm-init-seconds-before-status-checks", "3", "--latency-wait", "10", "--max-threads", "2"]
SMALL = {"models": TINY["models"][:1], "data": {**TINY["data"], "shards": 1}, "pseudo_labels": {"rounds": 0}}
DIGITS = {"data": {"source": "digits", "shards": 1}, "train": {**TINY["train"], "epochs": 2}}
LONG = {**DIGITS, "train": {**TINY["train"], "epochs": 12}, "runtime": {"save_minutes": 0.02}}
TRAININGS = tuple(f"results/tiny/train/wide/round0/fold{fold}/seed0/run.json" for fold in (0, 1))

WHY_NOT = (
    "only root can start a Slurm here"
    if os.getuid() != 0
    else f"no {', '.join(MISSING)}: apt-get install slurmctld slurmd slurm-client munge"
    if MISSING
    else "no snakemake-executor-plugin-slurm: pip install 'goldfold[slurm]'"
    if find_spec("snakemake_executor_plugin_slurm") is None
    else ""
)


def on_slurm(test: Any) -> Any:
    """Mark a test that runs jobs on the two nodes."""
    return pytest.mark.slow(pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)(test))


class Cluster:
    """A Slurm of the nodes n1 and n2, a GPU each, and a checkout that nobody edits."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state, self.checkout = folder, folder / "state", folder / "checkout"
        for name in ("src", "workflow", "envs", "profiles", "Snakefile", "config.yaml"):
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            self.checkout.mkdir(exist_ok=True)
            copy(ROOT / name, self.checkout / name)
        self.environment = {
            **os.environ,
            "PATH": f"{self.state / 'bin'}:{Path(sys.executable).parent}:{PATH}",
            "PYTHONPATH": str(self.checkout / "src"),
        }

    def do(self, *words: str) -> str:
        """What a command of Slurm's prints."""
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout

    def mini_slurm(self, what: str, *more: str) -> None:
        self.do(str(MINI_SLURM), what, str(self.state), *more)

    def jobs(self) -> list[dict[str, str]]:
        """All jobs that Slurm knows of."""
        asked = "JobID:|,State:|,NodeList:|,Comment:|,tres-per-job:"
        lines = self.do("squeue", "--states=all", "--noheader", f"--Format={asked}").splitlines()
        names = ("id", "state", "node", "what", "asks")
        return [dict(zip(names, map(str.strip, line.split("|")), strict=True)) for line in lines]

    def run(self, folder: Path, *words: str) -> "subprocess.Popen[str]":
        """Start Snakemake as a user of a cluster does."""
        return self.snakemake(folder, "--workflow-profile", "profiles/slurm", *WITHOUT_ACCOUNTING, *IMPATIENT, *words)

    def run_locally(self, folder: Path, *words: str) -> dict[str, str]:
        """The bytes that a run on this machine makes."""
        run = self.snakemake(folder, "--cores", "2", *words, python=str(forks.folder() / "python"))
        assert run.wait(timeout=900) == 0, (folder / "out").read_text()
        return bytes_of(folder)

    def snakemake(self, folder: Path, *words: str, python: str = sys.executable) -> "subprocess.Popen[str]":
        """Start Snakemake in the checkout; what it prints goes to FOLDER/out."""
        words = ("--directory", str(folder), "--configfile", str(folder / "tiny.yaml"), *words)
        command = [python, "-m", "snakemake", *words]
        with open(folder / "out", "w") as stream:
            return subprocess.Popen(
                command, cwd=self.checkout, env=self.environment, text=True, stdout=stream, stderr=subprocess.STDOUT
            )

    def kill_node(self, node: str) -> int:
        """SIGKILL all that a node runs, its daemon first; the number of processes."""
        daemon = psutil.Process(int((self.state / f"slurmd-{node}.pid").read_text()))
        jobs = [process for process in psutil.process_iter() if self._runs_on(process, node)]
        keepers = {parent for process in jobs for parent in process.parents() if parent.name().startswith("slurmstep")}
        doomed = [daemon, *keepers, *jobs]
        for process in doomed:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        return len(doomed)

    def _runs_on(self, process: psutil.Process, node: str) -> bool:
        with suppress(psutil.Error):
            environment = process.environ()
            return environment.get("SLURMD_NODENAME") == node and str(self.state) in environment.get("PATH", "")
        return False


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="goldfold-slurm-", ignore_cleanup_errors=True) as folder:
        cluster = Cluster(Path(folder))
        cluster.mini_slurm("start")
        yield cluster
        cluster.mini_slurm("stop")


def bytes_of(folder: Path) -> dict[str, str]:
    """sha256 of models, predictions, tables and submission by path."""
    results = folder / "results/tiny"
    files = [
        *results.glob("train/**/model.safetensors"), *results.glob("train/**/history.csv"), *results.glob("predict/**/*.npz"),
        *results.glob("ensemble/*.csv"), results / "submission.csv", results / "metrics.json",
    ]  # fmt: skip
    return {str(file.relative_to(results)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def prepared(folder: Path, **changes: object) -> Path:
    folder.mkdir(exist_ok=True)
    write_config(folder, **{**SMALL, **changes})
    return folder


def wait_for(condition: Callable[[], object], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited too long for {what}"
        time.sleep(0.2)


def test_the_profile_says_all_that_the_default_says() -> None:
    default, slurm = (
        yaml.safe_load((ROOT / f"profiles/{name}/config.yaml").read_text()) for name in ("default", "slurm")
    )
    assert {key: slurm.get(key) for key in default if key != "cores"} == {
        key: value for key, value in default.items() if key != "cores"
    }


@pytest.fixture(scope="module")
def local(cluster: Cluster) -> tuple[Path, dict[str, str]]:
    """A folder in which the digits were run on this machine alone, and the bytes."""
    folder = prepared(cluster.folder / "local", **DIGITS)
    return folder, cluster.run_locally(folder)


@pytest.fixture(scope="module")
def on_two_nodes(cluster: Cluster) -> Path:
    """A folder in which they were run by Slurm."""
    folder = prepared(cluster.folder / "slurm", **DIGITS)
    assert cluster.run(folder).wait(timeout=900) == 0, (folder / "out").read_text()
    return folder


@on_slurm
def test_two_nodes_make_the_same_bytes_as_one_machine(
    cluster: Cluster, local: tuple[Path, dict[str, str]], on_two_nodes: Path
) -> None:
    assert len(local[1]) == 2 * 2 + 2 * 2 + 5
    assert bytes_of(on_two_nodes) == local[1]
    jobs = cluster.jobs()
    trainings = [job for job in jobs if job["what"].startswith("rule_train")]
    assert len(trainings) == 2
    assert {job["node"] for job in trainings} == {"n1", "n2"}
    assert {job["asks"] for job in trainings} == {"gres:gpu:1"}
    assert {job["state"] for job in jobs} == {"COMPLETED"}
    again = cluster.run(on_two_nodes, "-n")
    assert again.wait(timeout=120) == 0
    assert "Nothing to be done" in (on_two_nodes / "out").read_text()


@on_slurm
def test_a_node_that_dies_in_a_training_costs_time_and_nothing_else(
    cluster: Cluster, local: tuple[Path, dict[str, str]], on_two_nodes: Path
) -> None:
    """Only the trainings are run again, with more epochs: the images are there from the test before."""
    before, expected = local[1], cluster.run_locally(prepared(local[0], **LONG), *TRAININGS)
    trained = {path for path in expected if path.startswith("train/")}
    assert {path for path in expected if expected[path] != before.get(path)} == trained
    assert len(trained) == 2 * 2
    run = cluster.run(prepared(on_two_nodes, **LONG), *TRAININGS)
    records = [on_two_nodes / path for path in TRAININGS]

    def on_n1() -> list[dict[str, str]]:
        running = [job for job in cluster.jobs() if job["state"] == "RUNNING" and job["node"] == "n1"]
        return [job for job in running if job["what"].startswith("rule_train")]

    wait_for(lambda: all(path.with_name("state.pt").exists() for path in records), 300, "two trainings")
    (victim,) = on_n1()
    try:
        assert cluster.kill_node("n1") >= 5  # daemon, its step's daemons, Snakemake twice, the training
        wait_for(
            lambda: "down" in cluster.do("sinfo", "--noheader", "--nodes=n1", "--format=%T"), 60, "Slurm to see it"
        )
        assert run.wait(timeout=600) == 0, (on_two_nodes / "out").read_text()
    finally:
        cluster.mini_slurm("node", "n1")
        wait_for(lambda: cluster.do("sinfo", "--noheader", "--states=idle", "--format=%D") == "2\n", 60, "both nodes")
    (ended,) = [job for job in cluster.jobs() if job["id"] == victim["id"]]
    assert (ended["state"], ended["node"]) == ("COMPLETED", "n2"), "Slurm queued it again"
    assert bytes_of(on_two_nodes) == expected
    resumed = [json.loads(path.read_text())["resumed_at_step"] for path in records]
    assert sorted(map(len, resumed)) == [0, 1], "the one went on from its last saved state"
