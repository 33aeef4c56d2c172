"""GPU slots with pretend devices and real processes."""

import contextlib
import fcntl
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from goldfold.base import gpu_slots
from goldfold.base.errors import ConfigError, shortened
from goldfold.base.gpu_slots import Device, devices_named, devices_of_machine, gpu_slot
from goldfold.config import parse

UUIDS = ["GPU-11111111-aaaa", "GPU-22222222-bbbb", "GPU-22233333-cccc"]
NOBODY, ANOTHER = 65534, 65533
AS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root can start processes as two other users")


def pretend(folder: Path, minors: list[int], uuids: list[str] | None = None) -> None:
    """Device files and the driver's own listing, the latter in the order of places on the bus."""
    (folder / "dev").mkdir(exist_ok=True)
    for name in ("nvidiactl", "nvidia-uvm", *(f"nvidia{minor}" for minor in minors)):
        (folder / "dev" / name).touch()
    for place, (minor, uuid) in enumerate(zip(minors, uuids or [], strict=False)):
        file = folder / f"driver/0000:{place:02x}:00.0/information"
        file.parent.mkdir(parents=True)
        file.write_text(
            f"Model: \t\t Pretend\nIRQ:   \t\t 7\nGPU UUID: \t {uuid}\nBus Location: \t {place}\nDevice Minor: \t {minor}\n"
        )


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty machine, whose locks lie in locks/."""
    (tmp_path / "dev").mkdir()
    monkeypatch.setattr(gpu_slots, "DEVICE_FILES", tmp_path / "dev")
    monkeypatch.setattr(gpu_slots, "DRIVER", tmp_path / "driver")
    monkeypatch.setenv("GOLDFOLD_LOCKS", str(tmp_path / "locks"))
    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", *gpu_slots.SCHEDULERS, *gpu_slots.SLURM_DEVICES):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


# --- which devices there are


def test_devices_are_numbered_as_cuda_counts_them_and_named_after_the_device_file(machine: Path) -> None:
    assert devices_of_machine() == []
    pretend(machine, [10, 2])
    assert devices_of_machine() == [Device("0", "gpu2"), Device("1", "gpu10")]


def test_the_driver_knows_the_order_on_the_bus(machine: Path) -> None:
    pretend(machine, [1, 0], UUIDS[:2])
    assert devices_of_machine() == [Device("0", "gpu1", UUIDS[0]), Device("1", "gpu0", UUIDS[1])]


def test_a_driver_that_lists_fewer_devices_than_there_are_is_not_asked(machine: Path) -> None:
    pretend(machine, [0, 1], UUIDS[:1])
    assert devices_of_machine() == [Device("0", "gpu0"), Device("1", "gpu1")]


@pytest.mark.parametrize(
    ("names", "keys"),
    [
        ("0,1", ["gpu5", "gpu3"]),
        ("1", ["gpu3"]),
        (" 2 , 0 ", ["gpu7", "gpu5"]),
        ("1,1", ["gpu3"]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        (" ", []),
        (UUIDS[1], ["gpu3"]),
        ("GPU-1111", ["gpu5"]),
        ("GPU-unknown", ["GPU-unknown"]),
        ("MIG-1a2b,MIG-GPU-1/7/0", ["MIG-1a2b", "MIG-GPU-1_7_0"]),
    ],
)
def test_devices_that_the_user_names(machine: Path, names: str, keys: list[str]) -> None:
    pretend(machine, [5, 3, 7], UUIDS)
    shown = devices_named(names)
    assert [device.key for device in shown] == keys
    assert [device.name for device in shown] == list(dict.fromkeys(re.findall(r"[^ ,]+", names)))[: len(keys)]


@pytest.mark.parametrize("names", ["0,00", f"0,{UUIDS[0]}", f"{UUIDS[0]},GPU-1111"])
def test_a_device_named_twice_is_one(machine: Path, names: str) -> None:
    pretend(machine, [5, 3, 7], UUIDS)
    assert devices_named(names) == [Device(names.split(",")[0], "gpu5")]


@pytest.mark.parametrize(
    ("names", "wrong"),
    [
        ("0 1", "0 1"), ("1;0", "1;0"), ("٠", "٠"), ("0,²", "²"), ("GPU-", "GPU-"), ("MIG-", "MIG-"), ("0,GPU-", "GPU-"),
        ("GPU--", "GPU--"), ("0,-1,1", "-1"), ("-1,0", "-1"), ("0,", ""), (",", ""), ("+1", "+1"), ("cuda:0", "cuda:0"),
        ("all", "all"), ("0,NoDevFiles", "NoDevFiles"), ("0\n1", "0\n1"), ("GPU-a GPU-b", "GPU-a GPU-b"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("minors", [[], [0, 1]])
def test_what_is_no_list_of_devices_is_refused(
    machine: Path, monkeypatch: pytest.MonkeyPatch, names: str, wrong: str, minors: list[int]
) -> None:
    pretend(machine, minors)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", names)
    message = (
        f"CUDA_VISIBLE_DEVICES is {names!r}: {wrong!r} is neither a number nor an id (GPU-... or MIG-...). "
        "Separate devices by commas, as in 0,1; -1 or nothing shows none."
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"), gpu_slot():
        pass


@pytest.mark.parametrize(("names", "missing"), [("9", "9"), ("0,3,1", "3"), ("1," + "9" * 5000, "9" * 5000)])
def test_an_index_that_is_not_there_is_refused(machine: Path, names: str, missing: str) -> None:
    pretend(machine, [5, 3, 7])
    message = f"CUDA_VISIBLE_DEVICES is {names!r}: there is no GPU {missing}, only 0 to 2. Choose others."
    with pytest.raises(ConfigError, match=f"^{re.escape(shortened(message))}$"):
        devices_named(names)


def test_two_containers_that_count_one_device_differently_use_one_lock(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "host").mkdir()
    (tmp_path / "container").mkdir()
    pretend(tmp_path / "host", [0, 1, 2])
    pretend(tmp_path / "container", [2])
    monkeypatch.setattr(gpu_slots, "DEVICE_FILES", tmp_path / "host/dev")
    on_host = devices_named("2")
    monkeypatch.setattr(gpu_slots, "DEVICE_FILES", tmp_path / "container/dev")
    (inside,) = devices_of_machine()
    assert (inside.name, on_host[0].name) == ("0", "2")
    assert inside.key == on_host[0].key == "gpu2"


# --- one process


def test_without_devices_there_is_nothing_to_hold(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for visible in (None, "0,1"):
        if visible is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        with gpu_slot() as taken:
            assert taken == []
            assert os.environ.get("CUDA_VISIBLE_DEVICES") == visible
    assert not (machine / "locks").exists()


@pytest.mark.parametrize("visible", ["", "-1"])
def test_a_user_who_shows_no_device_gets_none(machine: Path, monkeypatch: pytest.MonkeyPatch, visible: str) -> None:
    pretend(machine, [0, 1])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with gpu_slot() as taken:
        assert taken == []
        assert os.environ["CUDA_VISIBLE_DEVICES"] == visible
    assert not (machine / "locks").exists()


def test_a_device_is_shown_and_given_back_where_the_block_raises(machine: Path) -> None:
    pretend(machine, [7])
    for _ in range(3):
        with pytest.raises(ValueError, match="'gpu 0, 0, PCI_BUS_ID'"), gpu_slot(poll_seconds=0.01) as taken:
            int(f"gpu {taken[0]}, {os.environ['CUDA_VISIBLE_DEVICES']}, {os.environ['CUDA_DEVICE_ORDER']}")
        assert not {"CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"} & set(os.environ)
    assert sorted(os.listdir(machine / "locks")) == ["door.lock", "gpu7.lock"]


def test_the_users_list_is_chosen_from_in_the_users_own_words(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(machine, [0, 1, 2], UUIDS)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", f"2,{UUIDS[0]}")
    with gpu_slot() as first:
        assert first == ["2"]
        assert "CUDA_DEVICE_ORDER" not in os.environ, "what 2 means is the user's"
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", f"2,{UUIDS[0]}")
        with gpu_slot() as second:
            assert second == [UUIDS[0]]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == f"2,{UUIDS[0]}"


def test_more_devices_than_a_job_may_use_are_an_error(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(machine, [0, 1])
    with (
        pytest.raises(ConfigError, match=r"^3 GPUs for one job, but it may use only 0, 1\. Make more visible"),
        gpu_slot(count=3),
    ):
        pass
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with pytest.raises(ConfigError, match="2 GPUs for one job, but it may use only 1"), gpu_slot(count=2):
        pass


def test_a_schedulers_assignment_is_left_alone(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(machine, [0, 1])
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    for visible, names in (("1", ["1"]), ("0,1", ["0", "1"]), ("1,0", ["1", "0"]), ("", []), ("NoDevFiles", [])):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        with gpu_slot(count=max(1, len(names))) as taken:
            assert taken == names
            assert os.environ["CUDA_VISIBLE_DEVICES"] == visible
            assert "CUDA_DEVICE_ORDER" not in os.environ
    assert sorted(os.listdir(machine / "locks")) == [
        "SLURM_JOB_ID-7-gpu0.lock", "SLURM_JOB_ID-7-gpu1.lock", "door.lock",
    ]  # fmt: skip


def test_a_schedulers_job_that_names_no_devices_uses_the_locks_of_the_machine(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(machine, [0])
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with gpu_slot() as taken:
        assert taken == ["0"]
    assert sorted(os.listdir(machine / "locks")) == ["door.lock", "gpu0.lock"]


@pytest.mark.parametrize(
    ("jobs", "key"),
    [
        ([{"PBS_JOBID": "9[1].host"}, {"PBS_JOBID": "9[2].host"}], "PBS_JOBID-9_1_.host-gpu0.lock"),
        ([{"LSB_JOBID": "9", "LSB_JOBINDEX": str(number)} for number in (1, 2)], "LSB_JOBID-9-1-gpu0.lock"),
        ([{"SLURM_JOB_ID": "9", "SLURM_STEP_GPUS": number} for number in "23"], "SLURM_JOB_ID-9-gpu2.lock"),
    ],
)
def test_jobs_of_an_array_and_steps_with_devices_of_their_own_do_not_wait_for_each_other(
    machine: Path, start: "Start", jobs: list[dict[str, str]], key: str
) -> None:
    pretend(machine, [0, 1, 2, 3])
    for number, job in enumerate(jobs):
        start(60, CUDA_VISIBLE_DEVICES="0", **job)
        wait_for(lambda number=number: len(events(machine)) == number + 1)
    assert key in os.listdir(machine / "locks")


def test_a_step_and_the_job_around_it_share_the_devices_that_they_count_differently(
    machine: Path, start: "Start"
) -> None:
    pretend(machine, [0, 1, 2, 3])
    start(60, count=2, CUDA_VISIBLE_DEVICES="0,1", SLURM_JOB_ID="7", SLURM_JOB_GPUS="2,3")
    wait_for(lambda: len(events(machine)) == 1)
    step = start(0, CUDA_VISIBLE_DEVICES="0", SLURM_JOB_ID="7", SLURM_JOB_GPUS="2,3", SLURM_STEP_GPUS="3")
    assert step.stdout is not None
    assert step.stdout.readline().startswith("waiting for 1 of GPU 0: in use by other jobs")


def test_jobs_within_one_allocation_share_what_the_scheduler_gave(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(machine, [0, 1])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with gpu_slot() as first:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
        with gpu_slot() as second:
            assert {*first, *second} == {"0", "1"}
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
        monkeypatch.setenv("SLURM_JOB_ID", "8")  # its 0 may be another device
        with gpu_slot() as other:
            assert other == ["0"]
    assert "SLURM_JOB_ID-7-gpu0.lock" in os.listdir(machine / "locks")


def test_jobs_per_gpu_is_one_unless_the_config_says_otherwise() -> None:
    entry = {
        "name": "t",
        "data": {"source": "folder", "train": "raw"},
        "models": [{"name": "a", "backbone": "resnet18"}],
    }
    assert parse(entry).runtime.jobs_per_gpu == 1
    assert parse({**entry, "runtime": {"jobs_per_gpu": 3}}).runtime.jobs_per_gpu == 3
    with pytest.raises(ConfigError, match="jobs_per_gpu"):
        parse({**entry, "runtime": {"jobs_per_gpu": 0}})


def test_taking_a_slot_loads_no_torch(machine: Path) -> None:
    pretend(machine, [0])
    done = subprocess.run(
        [sys.executable, "-c", f"{HEAD}\nwith gpu_slots.gpu_slot():\n    print('torch' in sys.modules)", str(machine)],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout == "False\n"


# --- the folder of locks


def test_the_folder_and_its_files_are_for_all_users_whatever_the_umask(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(machine, [0])
    monkeypatch.delenv("GOLDFOLD_LOCKS")
    monkeypatch.setattr(gpu_slots, "SHARED_LOCKS", str(machine / "shared"))
    before = os.umask(0o077)
    try:
        with gpu_slot(jobs_per_gpu=2):
            pass
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(before)
    assert stat.S_IMODE((machine / "shared").stat().st_mode) == 0o1777
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (machine / "shared").iterdir()}
    assert modes == dict.fromkeys(["door.lock", "gpu0.lock", "gpu0-0.lock", "gpu0-1.lock"], 0o666)


@pytest.mark.parametrize("trap", ["link", "file", "locked link"])
def test_a_folder_that_leads_elsewhere_is_refused(machine: Path, monkeypatch: pytest.MonkeyPatch, trap: str) -> None:
    pretend(machine, [0])
    monkeypatch.delenv("GOLDFOLD_LOCKS")
    monkeypatch.setattr(gpu_slots, "SHARED_LOCKS", str(machine / "shared"))
    (machine / "elsewhere").mkdir()
    (machine / "victim").write_text("kept")
    if trap == "link":
        (machine / "shared").symlink_to(machine / "elsewhere")
    elif trap == "file":
        (machine / "shared").write_text("")
    else:
        (machine / "shared").mkdir()
        (machine / "shared/gpu0.lock").symlink_to(machine / "victim")
    message = r"GPU locks cannot be kept there .*set the environment variable GOLDFOLD_LOCKS"
    with pytest.raises(ConfigError, match=message), gpu_slot():
        pass
    assert os.listdir(machine / "elsewhere") == []
    assert (machine / "victim").read_text() == "kept"


def test_a_folder_of_the_users_own_may_be_a_link(machine: Path) -> None:
    pretend(machine, [0])
    (machine / "scratch").mkdir()
    (machine / "locks").symlink_to(machine / "scratch")
    with gpu_slot() as taken:
        assert taken == ["0"]
    assert "gpu0.lock" in os.listdir(machine / "scratch")


# --- many processes

HEAD = """
import os, sys, time
from pathlib import Path
from goldfold.base import gpu_slots
machine = Path(sys.argv[1])
gpu_slots.DEVICE_FILES, gpu_slots.DRIVER = machine / "dev", machine / "driver"
os.environ["GOLDFOLD_LOCKS"] = str(machine / "locks")
gpu_slots.KEEP_SECONDS = 0.05
"""
HOLDER = f"""{HEAD}
count, jobs_per_gpu, seconds = int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
before = os.environ.get("CUDA_VISIBLE_DEVICES")
with gpu_slots.gpu_slot(count, jobs_per_gpu, poll_seconds=0.02) as taken:
    shown = os.environ["CUDA_VISIBLE_DEVICES"]
    assert shown == ",".join(taken)
    if len(sys.argv) > 5 and os.fork() == 0:
        time.sleep(60)
    with open(machine / "log", "a") as log:
        log.write(f"{{time.monotonic()}} take {{shown}} {{os.getpid()}}\\n"); log.flush()
        time.sleep(seconds)
        log.write(f"{{time.monotonic()}} give {{shown}} {{os.getpid()}}\\n"); log.flush()
assert os.environ.get("CUDA_VISIBLE_DEVICES") == before
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(machine: Path) -> Iterator[Start]:
    """Start a process that takes a slot, writes so to the log, and gives it back after some seconds."""
    running = []

    def begin(
        seconds: float, count: int = 1, jobs_per_gpu: int = 1, leaves_child: bool = False, **environment: str
    ) -> "subprocess.Popen[str]":
        words = [str(machine), str(count), str(jobs_per_gpu), str(seconds), *(["child"] if leaves_child else [])]
        running.append(
            subprocess.Popen(
                [sys.executable, "-c", HOLDER, *words], env={**os.environ, **environment}, stdout=subprocess.PIPE,
                text=True, start_new_session=True,
            )
        )  # fmt: skip
        return running[-1]

    yield begin
    for process in running:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)  # a session of its own
        process.communicate()


def events(machine: Path) -> list[tuple[float, str, list[str]]]:
    lines = (machine / "log").read_text().splitlines() if (machine / "log").exists() else []
    return sorted((float(when), what, devices.split(",")) for when, what, devices, _ in map(str.split, lines))


def most_at_once(machine: Path) -> tuple[int, dict[str, int]]:
    """Most devices in use at once, counted a job; most jobs at once by device."""
    now: dict[str, int] = {}
    most, by_device = 0, dict[str, int]()
    for _, what, devices in events(machine):
        for device in devices:
            now[device] = now.get(device, 0) + (1 if what == "take" else -1)
            by_device[device] = max(by_device.get(device, 0), now[device])
        most = max(most, sum(now.values()))
    return most, by_device


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def test_eight_jobs_share_two_devices_one_each_at_a_time(machine: Path, start: Start) -> None:
    pretend(machine, [0, 1])
    running = [start(0.2) for _ in range(8)]
    printed = [process.communicate(timeout=60)[0] for process in running]
    assert [process.returncode for process in running] == [0] * 8
    assert len(events(machine)) == 16
    assert most_at_once(machine) == (2, {"0": 1, "1": 1})
    said = {text for text in printed if text}  # how many had to wait depends on how quickly they start
    assert said <= {f"waiting for 1 of GPU 0, 1: in use by other jobs (locks: {machine / 'locks'})\n"}


def test_two_jobs_a_device_where_the_config_says_so_spread_over_all(machine: Path, start: Start) -> None:
    pretend(machine, [0, 1])
    for number in range(2):
        start(60, jobs_per_gpu=2)
        wait_for(lambda number=number: len(events(machine)) == number + 1)
    assert {devices[0] for _, _, devices in events(machine)} == {"0", "1"}, "the second took the idle one"
    (machine / "log").unlink()
    running = [start(0.2, jobs_per_gpu=2) for _ in range(6)]
    assert [process.wait(timeout=60) for process in running] == [0] * 6
    assert most_at_once(machine) == (2, {"0": 1, "1": 1}), "beside the two that stay"


def test_never_more_than_four_jobs_on_two_devices_that_two_may_share(machine: Path, start: Start) -> None:
    pretend(machine, [0, 1])
    running = [start(0.2, jobs_per_gpu=2) for _ in range(10)]
    assert [process.wait(timeout=60) for process in running] == [0] * 10
    assert most_at_once(machine) == (4, {"0": 2, "1": 2})


def test_a_job_that_wants_a_device_alone_gets_it_alone(machine: Path, start: Start) -> None:
    pretend(machine, [0])
    sharing, alone = [start(0.3, jobs_per_gpu=2) for _ in range(3)], [start(0.2) for _ in range(3)]
    assert [process.wait(timeout=60) for process in sharing + alone] == [0] * 6
    lines = sorted(line.split() for line in (machine / "log").read_text().splitlines())
    pids = {str(process.pid) for process in alone}
    inside: set[str] = set()
    for _, what, _, pid in sorted(lines, key=lambda words: float(words[0])):
        inside = inside | {pid} if what == "take" else inside - {pid}
        assert len(inside) == 1 or not inside & pids


def test_a_killed_holder_frees_its_device(machine: Path, start: Start) -> None:
    pretend(machine, [0, 1])
    running = [start(60) for _ in range(2)]
    wait_for(lambda: len(events(machine)) == 2)
    late = start(0)
    time.sleep(0.3)
    assert late.poll() is None, "waits while both are held"
    running[0].kill()
    assert late.wait(timeout=20) == 0


def test_a_child_that_outlives_its_job_holds_no_device(machine: Path, start: Start) -> None:
    pretend(machine, [0])
    job = start(60, leaves_child=True)
    wait_for(lambda: len(events(machine)) == 1)
    late = start(0)
    time.sleep(0.3)
    assert late.poll() is None
    job.kill()
    job.wait()
    assert late.wait(timeout=20) == 0
    os.killpg(job.pid, 0)  # its child is alive


def test_jobs_on_two_devices_take_both_or_none_and_all_end(machine: Path, start: Start) -> None:
    pretend(machine, [0, 1])
    running = [start(0.1, count=1 + number % 2) for number in range(10)]
    assert [process.wait(timeout=60) for process in running] == [0] * 10
    assert most_at_once(machine) == (2, {"0": 1, "1": 1})
    assert sorted(len(devices) for _, what, devices in events(machine) if what == "take") == [1] * 5 + [2] * 5


def test_a_job_that_waits_for_two_devices_does_not_keep_one_idle(machine: Path, start: Start) -> None:
    pretend(machine, [0, 1])
    first = start(60)
    wait_for(lambda: len(events(machine)) == 1)
    both = start(0, count=2)
    time.sleep(0.3)
    assert start(0).wait(timeout=20) == 0
    assert both.poll() is None
    first.kill()
    assert both.wait(timeout=20) == 0


def test_the_users_own_list_is_shared_one_job_a_device(machine: Path, start: Start) -> None:
    pretend(machine, [0, 1, 2, 3])
    running = [start(0.2, CUDA_VISIBLE_DEVICES="1,3") for _ in range(6)]
    assert [process.wait(timeout=60) for process in running] == [0] * 6
    assert most_at_once(machine) == (2, {"1": 1, "3": 1})


@pytest.mark.parametrize("scheduler", ["SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID"])
@pytest.mark.parametrize("count", [1, 2])
def test_jobs_that_each_ask_for_all_of_one_allocation_take_turns(
    machine: Path, start: Start, scheduler: str, count: int
) -> None:
    pretend(machine, [0, 1])
    visible = ",".join("01"[:count])
    running = [start(0.2, count=count, CUDA_VISIBLE_DEVICES=visible, **{scheduler: "7"}) for _ in range(4)]
    assert [process.wait(timeout=60) for process in running] == [0] * 4
    assert most_at_once(machine) == (count, dict.fromkeys("01"[:count], 1))


@pytest.mark.parametrize("removed", ["file", "folder"])
def test_a_lock_that_was_removed_while_held_is_held_again(machine: Path, start: Start, removed: str) -> None:
    pretend(machine, [0])
    holder = start(60)
    wait_for(lambda: len(events(machine)) == 1)
    if removed == "file":
        (machine / "locks/gpu0.lock").unlink()
    else:
        shutil.rmtree(machine / "locks")
    wait_for((machine / "locks/gpu0.lock").exists, 10)
    late = start(0)
    assert late.stdout is not None
    assert late.stdout.readline().startswith("waiting for 1 of GPU 0: in use by other jobs")
    time.sleep(0.3)
    assert late.poll() is None
    holder.kill()
    assert late.wait(timeout=20) == 0


def test_a_lock_that_another_job_took_after_its_removal_is_spoken_of_once(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend(machine, [0])
    monkeypatch.setattr(gpu_slots, "KEEP_SECONDS", 0.2)
    said = f"{machine / 'locks'}/gpu0.lock was removed, and another job now shares this GPU. Do not remove it.\n"
    with gpu_slot():
        (machine / "locks/gpu0.lock").unlink()
        with gpu_slot():
            time.sleep(1)
    assert capsys.readouterr().out == said


def test_a_file_removed_between_opening_and_locking_is_not_taken_for_the_lock(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(machine, [0])
    file, flock, removed = machine / "locks/gpu0.lock", fcntl.flock, list[int]()

    def late(handle: int, how: int) -> None:
        if file.exists() and os.fstat(handle).st_ino == file.stat().st_ino and not removed:
            removed.append(file.stat().st_ino)
            file.rename(machine / "gone")
        flock(handle, how)

    monkeypatch.setattr(gpu_slots.fcntl, "flock", late)
    with gpu_slot():
        assert removed == [(machine / "gone").stat().st_ino]
        with open(file) as other, pytest.raises(BlockingIOError):
            flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize("jobs_per_gpu", [1, 2])
def test_a_lock_does_not_age_when_it_is_taken_and_while_it_is_held(
    machine: Path, monkeypatch: pytest.MonkeyPatch, jobs_per_gpu: int
) -> None:
    pretend(machine, [0])
    monkeypatch.setattr(gpu_slots, "KEEP_SECONDS", 0.05)
    files = [machine / "locks" / name for name in ("gpu0.lock", *(["gpu0-0.lock"] if jobs_per_gpu > 1 else []))]
    with gpu_slot(jobs_per_gpu=jobs_per_gpu):
        pass

    def age() -> None:
        for file in files:
            os.utime(file, (0, 0))

    def is_young() -> bool:
        return min(min(file.stat().st_atime, file.stat().st_mtime) for file in files) > time.time() - 60

    age()
    with gpu_slot(jobs_per_gpu=jobs_per_gpu):
        assert is_young()
        age()
        wait_for(is_young, 10)


# --- several users


def as_user(uid: int, work: Callable[[], object]) -> int:
    """Fork a process of another user's; exit status 0 where ``work`` raises nothing. Returns its id."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
        os.umask(0o077)
        work()
        status = 0
    finally:
        os._exit(status)


def guarded_open(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
    """As the kernel opens files in a sticky folder where fs.protected_regular is set, as many systems have it."""
    if flags & os.O_CREAT and dir_fd is not None:
        with contextlib.suppress(FileNotFoundError):
            if os.stat(path, dir_fd=dir_fd).st_uid not in (os.getuid(), os.fstat(dir_fd).st_uid):
                raise PermissionError(13, "Permission denied", path)
    return OPEN(path, flags, mode, dir_fd=dir_fd)


OPEN = os.open


@AS_ROOT
def test_users_of_one_machine_share_its_devices(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(machine, [0])
    monkeypatch.delenv("GOLDFOLD_LOCKS")
    with tempfile.TemporaryDirectory() as parent:  # pytest's own folders are root's alone
        os.chmod(parent, 0o777)
        monkeypatch.setattr(gpu_slots, "SHARED_LOCKS", f"{parent}/locks")
        monkeypatch.setattr(gpu_slots, "devices_of_machine", lambda: [Device("0", "gpu0")])
        monkeypatch.setattr(gpu_slots.os, "open", guarded_open)

        def hold(seconds: float) -> None:
            with gpu_slot(jobs_per_gpu=2, poll_seconds=0.02), gpu_slot(jobs_per_gpu=2, poll_seconds=0.02):
                Path(parent, f"{os.getuid()}-has-it").touch()
                time.sleep(seconds)

        first = as_user(NOBODY, lambda: hold(60))
        wait_for(Path(parent, f"{NOBODY}-has-it").exists)
        second = as_user(ANOTHER, lambda: hold(0))
        time.sleep(0.3)
        assert os.waitpid(second, os.WNOHANG) == (0, 0), "waits for the other user's job"
        os.kill(first, 9)
        os.waitpid(first, 0)
        assert os.waitpid(second, 0)[1] == 0
        owners = {file.stat().st_uid for file in Path(parent, "locks").iterdir()}
        assert owners == {NOBODY}, "the second user took the first one's files"


@AS_ROOT
def test_a_folder_that_another_user_keeps_to_himself_is_an_error_that_says_so(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(machine, [0])
    monkeypatch.delenv("GOLDFOLD_LOCKS")
    with tempfile.TemporaryDirectory() as parent:
        os.chmod(parent, 0o755)
        Path(parent, "locks").mkdir(mode=0o755)
        monkeypatch.setattr(gpu_slots, "SHARED_LOCKS", f"{parent}/locks")
        monkeypatch.setattr(gpu_slots, "devices_of_machine", lambda: [Device("0", "gpu0")])

        def refused() -> None:
            with pytest.raises(ConfigError, match=r"cannot be kept there \(Permission denied\)"), gpu_slot():
                pass

        assert os.waitpid(as_user(NOBODY, refused), 0)[1] == 0
