"""A run of the whole workflow whose jobs, whose Snakemake, and then both are killed in the middle of trainings."""

import os
import signal
import subprocess
from pathlib import Path

from goldfold.base import status
from goldfold.base.files import read_json
from test_run_lock import Runs, is_alive, outputs_of, wait_for
from test_workflow import TINY, snakemake, write_config, write_images

RESULTS = "results/tiny"
LONG = {
    "train": {**TINY["train"], "epochs": 400},  # type: ignore[dict-item]
    "runtime": {"save_minutes": 1e-3},
    "models": TINY["models"][:1],  # type: ignore[index]
    "pseudo_labels": {"rounds": 0},
}


def prepared(folder: Path) -> Path:
    folder.mkdir()
    write_images(folder)
    write_config(folder, **LONG)
    return folder


def states(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (folder / RESULTS / "train").rglob("state.pt")}


def wait_for_new_states(runs: Runs, run: "subprocess.Popen[str]", before: dict[Path, int]) -> list[int]:
    """Processes of trainings that have each saved a state in this run."""
    wait_for(
        lambda: run.poll() is not None or len(states(runs.folder).items() - before.items()) == 2, 120, "two states"
    )
    assert run.poll() is None, runs.output.read_text()
    entries = status.listing(runs.folder / "results")
    return [entry["pid"] for entry in entries if entry["job"].startswith("train")]


def test_jobs_snakemake_and_both_killed_end_with_the_bytes_of_a_run_in_peace(code: Path, tmp_path: Path) -> None:
    peace = prepared(tmp_path / "peace")
    assert snakemake(peace, code=code).returncode == 0
    runs = Runs(prepared(tmp_path / "killed"), code)
    try:
        for victims in ("jobs", "snakemake", "both"):
            before, run = states(runs.folder), runs.start()
            pids = wait_for_new_states(runs, run, before)
            if victims == "jobs":
                for pid in pids:
                    os.kill(pid, signal.SIGKILL)
            elif victims == "snakemake":
                os.kill(run.pid, signal.SIGKILL)
            else:
                os.killpg(run.pid, signal.SIGKILL)
            assert run.wait(timeout=120) != 0
            wait_for(lambda pids=pids: not any(map(is_alive, pids)), 30, "the jobs to leave")
            assert not list((runs.folder / RESULTS / "train").rglob("run.json"))
        run = runs.start()
        assert run.wait(timeout=600) == 0, runs.output.read_text()
    finally:
        runs.end()
    assert outputs_of(runs.folder) == outputs_of(peace)
    for record in (runs.folder / RESULTS / "train").rglob("run.json"):
        resumed = read_json(record)["resumed_at_step"]
        assert len(resumed) == 3, "each run went on from what the one before had saved"
        assert resumed == sorted(resumed)
