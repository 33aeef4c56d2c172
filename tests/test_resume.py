"""A training that is interrupted and run again ends with the bytes of one that never was."""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from conftest import PLACE, RUNTIME, Tiny
from goldfold.base.errors import GoldfoldError
from goldfold.engine import stopping
from goldfold.engine.checkpoint import StateFile, weights_digest
from goldfold.engine.stopping import Keeper, StopRequest, signals_noted
from goldfold.inference.predictor import Predictor
from goldfold.samples.dataset import TrainingSet
from goldfold.stages import train
from goldfold.training import validation
from jobs import Jobs, bytes_of, is_alive, settings_of_job, status_of, until

EACH_STEP = {**RUNTIME, "save_minutes": 0.0}
ALL_KINDS: dict[str, Any] = {
    "epochs": 4, "accumulate": 2, "batch_size": 4, "ema_decay": 0.9, "validate_every": 2, "checkpoint": "best",
    "augment": "medium", "flips": "both", "clip_norm": 1.0, "schedule": "one_cycle",
}  # fmt: skip
"""All that has a state, or draws, or happens now and then."""
MIXED = {"mixup_alpha": 0.4, "cutmix_alpha": 1.0, "mix": ["mosaic"], "sampler": "balanced"}

PASTED = {"mix": ["cutmix", "mosaic", "copy_paste"], "sampler": "weighted"}
DETECTING = {
    "mix": ["mixup", *PASTED["mix"]], "sizes": {"multi_scale": [[16, 32], [32, 64]]}, "schedule": "cosine", "warmup_epochs": 2,
    "optimizer": "sgd", "warmup": {"momentum": 0.5, "bias_lr": 0.02}, "loss_weights": {"bbox_regression": 2},
}  # fmt: skip
MIXED_OF = {"classification": {**MIXED, "epochs": 6}, "segmentation": PASTED, "detection": {**PASTED, **DETECTING}}


class Interrupted(Exception):
    """The run ends here."""


class Until:
    """Progress that does something after a number of steps, before their state is saved."""

    def __init__(self, step: int, do: Callable[[], None]) -> None:
        self.step, self.do, self.done, self.total = step, do, 0, 0

    def __call__(self, total: int, unit: str) -> "Until":
        self.total = total
        return self

    def go_on_from(self, done: int) -> None:
        self.done = done

    def advance(self, n: int = 1, note: str = "") -> None:
        self.done += n
        if n and self.done == self.step:
            self.do()

    def close(self) -> None:
        pass


def interrupt() -> None:
    raise Interrupted


def run_until(step: int, tiny: Tiny, folder: Path, **settings: Any) -> None:
    """Train with a state after every step; the last one that is saved is that before ``step``."""
    with pytest.raises(Interrupted):
        tiny.train(folder, progress=Until(step, interrupt), **{"runtime": EACH_STEP, **settings})


def settings_of(tiny: Tiny) -> dict[str, Any]:
    """Small, with all kinds of states."""
    name = tiny.task["name"]
    of_task = MIXED_OF.get(name, {})
    return {"model": tiny.model({**ALL_KINDS, **of_task}, **({"dropout": 0.3} if name == "classification" else {}))}


@pytest.fixture(scope="module")
def whole(tiny_of: dict[str, Tiny], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By task, a run that was never interrupted."""
    made = {}
    for name, tiny in tiny_of.items():
        made[name] = tmp_path_factory.mktemp(f"whole_{name}")
        assert tiny.train(made[name], **settings_of(tiny))["resumed_at_step"] == []
    return made


@pytest.mark.parametrize(("checkpoint", "spare"), [("last", "best"), ("best", "last")])
def test_the_epoch_that_was_not_chosen_is_among_the_files_of_the_record(
    checkpoint: str, spare: str, tiny: Tiny, tmp_path: Path
) -> None:
    facts = tiny.train(tmp_path, model=tiny.model({"epochs": 1, "warmup_epochs": 0, "checkpoint": checkpoint}))
    assert facts["files"] == [f"{tmp_path}/{spare}.safetensors"]
    assert Path(facts["files"][0]).exists()


# --- interrupted in the process


@pytest.mark.parametrize("task", ["classification", "segmentation", "detection"])
def test_a_run_stopped_at_a_step_ends_with_the_same_bytes(
    task: str, tiny_of: dict[str, Tiny], whole: dict[str, Path], tmp_path: Path
) -> None:
    tiny = tiny_of[task]
    for step in (2, 3, 4) if task != "classification" else (2, 5, 12, 18):  # mid-epoch, at the end of one, the last
        folder = tmp_path / str(step)
        run_until(step, tiny, folder, **settings_of(tiny))
        assert {path.name for path in folder.iterdir()} == {"state.pt"}
        facts = tiny.train(folder, **settings_of(tiny))
        assert facts["resumed_at_step"] == [step - 1]
        assert bytes_of(folder) == bytes_of(whole[task])


def test_a_run_stopped_after_each_of_its_steps_ends_with_the_same_bytes(
    tiny: Tiny, whole: dict[str, Path], tmp_path: Path
) -> None:
    for step in range(2, 19):
        run_until(step, tiny, tmp_path, **settings_of(tiny))
    facts = tiny.train(tmp_path, **settings_of(tiny))
    assert facts["resumed_at_step"] == list(range(1, 18))
    assert bytes_of(tmp_path) == bytes_of(whole["classification"])


@pytest.mark.parametrize(
    ("train", "facts", "steps"),
    [
        ({"epochs": 4, "swa": {"start": 0.5, "lr": 1e-3}}, {"epochs": 4, "swa": {"averaged": 2}}, (6, 8)),
        (
            {"epochs": 4, "ema_decay": 0.5, "schedule": {"cosine": {"cycles": 3}}, "snapshots": 3},
            {"epochs": 4, "snapshots": {"after_updates": [4, 6]}},
            (4, 5, 7),
        ),
        (
            {"epochs": 9, "ema_decay": 0.5, "early_stopping": {"patience": 2, "min_delta": 1}, "validate_every": 2},
            {"epochs": 4, "best_epoch": 1},
            (3, 8),
        ),
    ],
)
def test_a_run_that_averages_or_ends_early_and_is_killed_ends_with_the_same_bytes(
    train: dict[str, Any], facts: dict[str, Any], steps: tuple[int, ...], tiny: Tiny, tmp_path: Path
) -> None:
    """Two steps per epoch; an improvement by 1 is never seen after the first validation, in epoch 1."""
    model = tiny.model({"batch_size": 8, "augment": "medium", **train})
    found = tiny.train(tmp_path / "whole", model=model)
    assert {name: found[name] for name in facts} == facts
    for step in steps:
        run_until(step, tiny, tmp_path / str(step), model=model)
        assert tiny.train(tmp_path / str(step), model=model)["resumed_at_step"] == [step - 1]
        assert bytes_of(tmp_path / str(step)) == bytes_of(tmp_path / "whole")
    said = pd.read_csv(tmp_path / "whole/history.csv").get("stopped", pd.Series([None])).iloc[-1]
    by = found.get("stopped", {}).get("by", "")
    assert (said or "").startswith(f"{by}: accuracy has not improved by more than 1 over" if by else "")
    assert bool(by) == ("early_stopping" in train)


def test_batches_that_are_done_are_not_loaded_again(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, loaded = tiny.model({"epochs": 1, "batch_size": 4, "warmup_epochs": 0}), list[int]()
    get = TrainingSet.__getitem__
    monkeypatch.setattr(TrainingSet, "__getitem__", lambda self, place: loaded.append(place[1]) or get(self, place))
    tiny.train(tmp_path / "whole", model=model)
    in_order = loaded.copy()
    assert len(in_order) == 20
    run_until(4, tiny, tmp_path, model=model)
    loaded.clear()
    tiny.train(tmp_path, model=model)
    assert loaded == in_order[12:]


@pytest.mark.parametrize("workers", [0, 2])
def test_neither_the_time_between_saves_nor_the_number_of_workers_changes_bytes(
    workers: int, tiny: Tiny, whole: dict[str, Path], tmp_path: Path
) -> None:
    how = {**RUNTIME, "loader_workers": workers}
    run_until(8, tiny, tmp_path, **settings_of(tiny), runtime={**how, "save_minutes": 0.0})
    tiny.train(tmp_path, **settings_of(tiny), runtime={**how, "save_minutes": 1e-4})
    assert bytes_of(tmp_path) == bytes_of(whole["classification"])


# --- killed


@pytest.fixture(scope="module")
def jobs() -> Iterator[Jobs]:
    made = Jobs()
    yield made
    made.end()


def test_a_process_killed_at_random_moments_ends_with_the_same_bytes(
    tiny: Tiny, whole: dict[str, Path], tmp_path: Path, jobs: Jobs
) -> None:
    """20 trainings, each killed by SIGKILL at a random moment of a random step, then run again to its end."""
    draw, steps = random.Random(0), list(range(18))
    counts = dict.fromkeys(("hit a running process", "tore a save", "went on from a state", "bytes equal"), 0)
    for number, step in enumerate([*steps, 17, 8]):
        folder, log = tmp_path / f"run{number}", tmp_path / f"run{number}.log"
        how = {**RUNTIME, "save_minutes": draw.choice([0.0, 0.0, 1e-3])}
        job = settings_of_job(tiny, folder, runtime=how, **settings_of(tiny))
        process, told = jobs.start(job, log), log.with_suffix(".step")
        until(lambda step=step, told=told: step == 0 or (told.exists() and int(told.read_text() or 0) >= step))
        time.sleep(draw.uniform(0, 0.03 if step else 1.0))
        process.kill()
        process.join()
        counts["hit a running process"] += process.exitcode == -signal.SIGKILL
        counts["tore a save"] += any(folder.glob(".*"))
        assert status_of(jobs.start(job, log)) == 0, log.read_text()
        counts["went on from a state"] += bool(json.loads(log.with_suffix(".json").read_text())["resumed_at_step"])
        counts["bytes equal"] += bytes_of(folder) == bytes_of(whole["classification"])
    print(f"20 kills: {counts}")
    assert counts["bytes equal"] == 20
    assert counts["hit a running process"] >= 15, counts
    assert counts["went on from a state"] >= 10, counts
    assert counts["tore a save"] >= 1, counts


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_signal_to_all_processes_of_a_job_ends_it_between_two_steps(
    number: signal.Signals, status: int, workers: int, tiny: Tiny, tmp_path: Path, jobs: Jobs
) -> None:
    settings = {"model": tiny.model({**ALL_KINDS, **MIXED, "epochs": 200})}
    log = tmp_path / "log"
    job = settings_of_job(tiny, tmp_path / "run", runtime={**EACH_STEP, "loader_workers": workers}, **settings)
    process = jobs.start(job, log)
    until(lambda: (tmp_path / "run/state.pt").exists())
    os.killpg(process.pid, number)
    assert status_of(process) == status, log.read_text()
    lines = log.read_text().splitlines()
    assert lines[-1].startswith(f"stopped by {number.name} at step ")
    assert lines[-1].endswith(" of 600; state saved, run again to resume")
    assert "Traceback" not in log.read_text()
    step = int(lines[-1].split()[5])
    again = jobs.start(job, log)
    until(lambda: f"resuming at step {step} of 600" in log.read_text())
    again.terminate()
    assert status_of(again) == 143


def test_workers_of_a_killed_training_do_not_outlive_it(tiny: Tiny, tmp_path: Path, jobs: Jobs) -> None:
    settings = {"model": tiny.model({**ALL_KINDS, "epochs": 200}), "runtime": {**EACH_STEP, "loader_workers": 2}}
    process = jobs.start(settings_of_job(tiny, tmp_path / "run", **settings), tmp_path / "log")
    until(lambda: (tmp_path / "run/state.pt").exists())
    workers = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    assert len(workers) == 2
    process.kill()
    process.join()
    until(lambda: not any(is_alive(pid) for pid in workers), 2)


@pytest.mark.parametrize("step", [1, 7, 18])
def test_a_signal_saves_the_step_that_is_running_whatever_the_time(
    step: int, tiny: Tiny, whole: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {number: signal.getsignal(number) for number in stopping.SIGNALS}
    with pytest.raises(SystemExit) as end:
        tiny.train(
            tmp_path, progress=Until(step, lambda: os.kill(os.getpid(), signal.SIGTERM)), **settings_of(tiny),
        )  # fmt: skip
    assert end.value.code == 143
    assert f"stopped by SIGTERM at step {step} of 18; state saved, run again to resume" in capsys.readouterr().out
    assert {number: signal.getsignal(number) for number in stopping.SIGNALS} == before
    assert tiny.train(tmp_path, **settings_of(tiny))["resumed_at_step"] == [step]
    assert bytes_of(tmp_path) == bytes_of(whole["classification"])


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C with its usual meaning: a shell that starts the tests in the background has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_a_signal_while_validating_does_not_wait_for_the_end_of_it(
    tiny: Tiny, whole: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation, "BATCH_SIZE", 5)
    seen = list[int]()

    def parts(*given: Any) -> Iterator[Any]:
        for part in original(*given):
            seen.append(1)
            if len(seen) == 2:
                os.kill(os.getpid(), signal.SIGINT)
            yield part

    original = Predictor._parts
    monkeypatch.setattr(Predictor, "_parts", parts)
    with pytest.raises(SystemExit) as end:
        tiny.train(tmp_path, **settings_of(tiny))
    assert (end.value.code, len(seen)) == (130, 2)
    monkeypatch.undo()
    assert tiny.train(tmp_path, **settings_of(tiny))["resumed_at_step"] == [6]
    assert bytes_of(tmp_path) == bytes_of(whole["classification"])


def test_signals_are_noted_in_the_block_alone_and_ignored_ones_stay_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with signals_noted() as asked:
            os.kill(os.getpid(), signal.SIGINT)
            assert asked.signal is None
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
            assert asked.signal == signal.SIGTERM
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_state_is_saved_when_it_is_time_and_not_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, made = [0.0], list[int]()
    monkeypatch.setattr(stopping.time, "monotonic", lambda: now[0])
    keeper = Keeper(StateFile(tmp_path / "state.pt", {}), 300.0, 10, StopRequest())
    for step, seconds in ((1, 100), (2, 299), (3, 300), (3, 700), (4, 750), (5, 1049), (6, 1050)):
        now[0] = float(seconds)
        keeper(step, lambda step=step: made.append(step) or {"step": step})
    assert made == [3, 4, 6]


@pytest.fixture(scope="module")
def stopped_at_an_epoch_s_end(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("epoch")
    run_until(7, tiny, folder, **settings_of(tiny))
    return folder / "state.pt"


def test_a_stop_before_the_first_step_of_a_resumed_run_leaves_the_state_as_it_is(
    tiny: Tiny,
    stopped_at_an_epoch_s_end: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It validates first."""
    state = Path(shutil.copy(stopped_at_an_epoch_s_end, tmp_path / "state.pt"))
    before = state.stat().st_mtime_ns

    def parts(*given: Any) -> Iterator[Any]:
        os.kill(os.getpid(), signal.SIGTERM)
        return original(*given)

    original = Predictor._parts
    monkeypatch.setattr(Predictor, "_parts", parts)
    with pytest.raises(SystemExit):
        tiny.train(tmp_path, **settings_of(tiny), runtime=EACH_STEP)
    assert state.stat().st_mtime_ns == before
    assert "stopped by SIGTERM at step 6 of 18; state saved" in capsys.readouterr().out


def test_files_that_a_killed_run_was_writing_are_swept_away(tiny: Tiny, tmp_path: Path) -> None:
    for name in (".state.pt.abc.pt", ".model.safetensors.x1.safetensors", ".history.csv.q.csv", ".best.safetensors.z"):
        (tmp_path / name).write_bytes(b"half")
    (tmp_path / ".run.json.lock").touch()
    tiny.train(tmp_path, model=tiny.model({"epochs": 1, "warmup_epochs": 0}))
    expected = {".run.json.lock", "model.safetensors", "best.safetensors", "history.csv"}
    assert {path.name for path in tmp_path.iterdir()} == expected


# --- states that are not this run's


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


TORN: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda data: b"", "it is incomplete or not a training state"),
    "half of it": (lambda data: data[: len(data) // 2], "it is incomplete or not a training state"),
    "a byte short": (lambda data: data[:-2], "Expecting"),
    "its first half gone": (lambda data: data[len(data) // 2 :], "its checksum is wrong"),
    "a bit in the head": (lambda data: flipped(data, 60), "its checksum is wrong"),
    "a bit in the middle": (lambda data: flipped(data, len(data) // 2), "its checksum is wrong"),
    "a bit of the checksum": (lambda data: flipped(data, len(data) - 10), "its checksum is wrong"),
    "a bit in the digests": (
        lambda data: flipped(data, data.rfind(b'"data"') + 12),
        "it is from a run with other data",
    ),
    "text": (lambda data: b"no state\n" * 1000, "it is incomplete or not a training state"),
    "zeros": (lambda data: bytes(len(data)), "it is incomplete or not a training state"),
}


@pytest.fixture(scope="module")
def stopped(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state in the middle of a run."""
    folder = tmp_path_factory.mktemp("stopped")
    run_until(8, tiny, folder, **settings_of(tiny))
    return folder / "state.pt"


@pytest.mark.parametrize("how", TORN)
def test_a_torn_state_is_left_aside_with_a_line_that_says_why(
    how: str, tiny: Tiny, stopped: Path, tmp_path: Path, whole: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    tear, why = TORN[how]
    (tmp_path / "state.pt").write_bytes(tear(stopped.read_bytes()))
    assert tiny.train(tmp_path, **settings_of(tiny))["resumed_at_step"] == []
    lines = [line for line in capsys.readouterr().out.splitlines() if "state.pt" in line]
    assert len(lines) == 1
    assert lines[0].startswith(f"{tmp_path}/state.pt is not used: {why}")
    assert lines[0].endswith("Training starts from scratch.")
    assert bytes_of(tmp_path) == bytes_of(whole["classification"])


def test_a_file_that_would_run_code_is_not_unpickled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    file = StateFile(tmp_path / "state.pt", {"data": "1"})
    assert file.write({"fit": Trap()})
    assert file.read() is None
    assert "Weights only load failed" in capsys.readouterr().out
    assert not (tmp_path / "ran").exists()


def test_a_folder_in_the_place_of_the_state_does_not_end_the_run(
    tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "state.pt").mkdir()
    file = StateFile(tmp_path / "state.pt", {})
    assert file.read() is None
    assert not file.write({})
    assert "Is a directory" in capsys.readouterr().out


def test_a_state_of_another_run_is_left_aside(
    tiny: Tiny, stopped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def other(name: str, why: str, **changes: Any) -> None:
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(stopped, folder / "state.pt")
        run_until(1, tiny, folder, **{**settings_of(tiny), **changes})  # one that resumes is past its first step
        assert f"it is from a run with other {why}. Training starts from scratch." in capsys.readouterr().out, name

    def model(changes: dict[str, Any], **own: Any) -> dict[str, Any]:
        return tiny.model({**ALL_KINDS, **MIXED, "epochs": 6, **changes}, **{"dropout": 0.3, **own})

    other("rate", "settings", model=model({"lr": 0.02}))
    other("epochs", "settings", model=model({"epochs": 7}))
    other("seed", "settings, first weights", place={**PLACE, "seed": 1})
    other("width", "settings, first weights", model=model({}, params={"widths": [4, 9]}))
    other("threads", "settings", runtime={**RUNTIME, "torch_threads": 2})
    table = pd.read_csv(tiny.fold_file(), dtype=str)
    table.drop(index=table.index[0]).to_csv(tmp_path / "fold.csv", index=False)
    other("fold", "data", fold_file=str(tmp_path / "fold.csv"))
    cache = shutil.copytree(tiny.caches()[0], tmp_path / "copy")
    (cache / "ids.csv").write_text((cache / "ids.csv").read_text().replace("a", "b"))
    other("cache", "data", caches=[str(cache), *tiny.caches()])


def test_other_code_or_libraries_make_a_state_stale(
    tiny: Tiny, stopped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(train.provenance, "versions", lambda names: {"torch": "0.4"})
    shutil.copy(stopped, tmp_path / "state.pt")
    tiny.train(tmp_path, code="other", **settings_of(tiny))
    assert "it is from a run with other code, libraries. Training starts from scratch." in capsys.readouterr().out


def test_what_decides_no_bytes_does_not_make_a_state_stale(tiny: Tiny, stopped: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    shutil.copy(stopped, moved / "state.pt")
    classes = shutil.copy(tiny.folds / "classes.json", tmp_path / "c.json")
    model = {**settings_of(tiny)["model"]}
    model["train"] = {**model["train"], "on_oom": "shrink"}
    facts = tiny.train(moved, model=model, classes=str(classes), runtime={**RUNTIME, "save_minutes": 9.0})
    assert facts["resumed_at_step"] == [7]


def test_a_digest_of_weights_is_of_names_shapes_and_values() -> None:
    torch.manual_seed(0)
    one = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    before = weights_digest(one)
    assert weights_digest(one) == before
    with torch.no_grad():
        one[0].weight[0, 0] += 1e-6
    assert weights_digest(one) != before
    assert weights_digest(one) != weights_digest(torch.nn.ModuleDict({"a": one}))


# --- a full disk


@dataclass
class Disk:
    """A place for files that can be filled up."""

    folder: Path
    fill: Callable[[], None]
    clear: Callable[[], None]
    said: str


@pytest.fixture(params=["tmpfs", "limit"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    """A small tmpfs that a file fills, or a limit on the size of files, which asks for no rights."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if request.param == "tmpfs":
        command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
        if os.getuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
            pytest.skip("mounting a tmpfs is not allowed here")
        ballast = folder / "ballast"

        def fill() -> None:
            free = shutil.disk_usage(folder).free
            ballast.write_bytes(bytes(max(0, free - 8192)))

        try:
            yield Disk(folder, fill, lambda: ballast.unlink(missing_ok=True), "No space left on device")
        finally:
            subprocess.run(["umount", str(folder)], check=True)
    else:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))

        def lift() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

        try:
            yield Disk(folder, limit, lift, "File too large")
        finally:
            lift()


def test_a_full_disk_costs_the_state_and_not_the_run(
    disk: Disk, tiny: Tiny, whole: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = disk.folder / "run"
    kept = list[bytes]()

    class Filled(Until):
        def advance(self, n: int = 1, note: str = "") -> None:
            super().advance(n, note)
            if n and self.done == 8:
                disk.fill()
            if n and self.done == 15:
                kept.append((folder / "state.pt").read_bytes())
                disk.clear()

    tiny.train(folder, runtime=EACH_STEP, progress=Filled(0, interrupt), **settings_of(tiny))
    lines = [line for line in capsys.readouterr().out.splitlines() if "not saved" in line]
    assert len(lines) == 1
    assert lines[0].startswith(f"state not saved: {folder}/state.pt: {disk.said} (")
    assert lines[0].endswith("MB are free there). Training continues without it.")
    assert bytes_of(folder) == bytes_of(whole["classification"])
    again = disk.folder / "again"
    again.mkdir()
    (again / "state.pt").write_bytes(kept[0])
    assert tiny.train(again, **settings_of(tiny))["resumed_at_step"] == [7], "what was saved before stays whole"


def test_outputs_that_do_not_fit_leave_all_as_it_was(disk: Disk, tiny: Tiny, whole: dict[str, Path]) -> None:
    folder = disk.folder / "run"
    folder.mkdir()
    for name in ("model.safetensors", "last.safetensors", "history.csv"):
        (folder / name).write_text("of an earlier run")
    with pytest.raises(GoldfoldError) as error:
        tiny.train(folder, runtime=EACH_STEP, progress=Until(12, disk.fill), **settings_of(tiny))
    assert str(error.value).startswith(f"cannot write {folder}/model.safetensors: ")
    for words in (disk.said, "MB are free there", "Free disk space and run again", "untouched"):
        assert words in str(error.value)
    assert {path.name for path in folder.iterdir()} == {
        "state.pt", "model.safetensors", "last.safetensors", "history.csv",
    }  # fmt: skip
    assert all(path.read_text() == "of an earlier run" for path in folder.iterdir() if path.name != "state.pt")
    disk.clear()
    assert tiny.train(folder, **settings_of(tiny))["resumed_at_step"] == [11]
    assert bytes_of(folder) == bytes_of(whole["classification"])


def test_a_stop_whose_state_could_not_be_saved_says_so(
    disk: Disk, tiny: Tiny, capsys: pytest.CaptureFixture[str]
) -> None:
    def fill_and_stop() -> None:
        disk.fill()
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(SystemExit):
        tiny.train(disk.folder / "run", runtime=EACH_STEP, progress=Until(3, fill_and_stop), **settings_of(tiny))
    disk.clear()
    assert "stopped by SIGTERM at step 3 of 18; its state could not be saved" in capsys.readouterr().out
    assert tiny.train(disk.folder / "run", **settings_of(tiny))["resumed_at_step"] == [2]
